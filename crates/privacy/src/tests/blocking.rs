//! XEP-0191, example by example, and the two views of one list (XEP-0191 §5).

use stanza::{Kind, MessageType, PresenceType};

use super::{User, address, items, pushed, query, tree};
use crate::{Audience, Change, Direction, Sessions, Turn, Verdict};

const CHAT: Kind = Kind::Message(MessageType::Chat);

fn block(jids: &[&str]) -> String {
    command("block", jids)
}

fn unblock(jids: &[&str]) -> String {
    command("unblock", jids)
}

fn command(name: &str, jids: &[&str]) -> String {
    let items: String = jids.iter().map(|jid| format!("<item jid='{jid}'/>")).collect();
    format!("<{name} xmlns='urn:xmpp:blocking'>{items}</{name}>")
}

#[test]
fn xep0191_3_2_examples_3_to_5_the_blocklist() {
    let mut romeo = User::romeo();
    let empty = tree("<blocklist xmlns='urn:xmpp:blocking'/>");
    assert_eq!(tree(&String::from_utf8(romeo.lists.blocklist()).unwrap()), empty);
    romeo
        .commands("orchard", &block(&["romeo@montague.net", "iago@shakespeare.lit"]))
        .unwrap();
    let both = "<blocklist xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/><item jid='iago@shakespeare.lit'/></blocklist>";
    assert_eq!(
        tree(&String::from_utf8(romeo.lists.blocklist()).unwrap()),
        tree(both)
    );
}

#[test]
fn xep0191_3_3_examples_6_to_8_a_block_is_kept_pushed_and_enforced() {
    let mut romeo = User::romeo();
    let command = block(&["tybalt@example.com"]);
    let outcome = romeo.commands("orchard", &command).unwrap();
    assert_eq!(pushed(&outcome, Audience::HoldsBlocklist), [tree(&command)]);
    // Who knows nothing of lists hears nothing of them.
    assert_eq!(pushed(&outcome, Audience::Connected), []);
    assert_eq!(
        pushed(&outcome, Audience::UsesLists),
        [query("<list name='blocklist'/>")]
    );
    assert!(romeo.lists.is_blocked(&address("tybalt@example.com")));
    assert!(!romeo.lists.is_blocked(&address("example.com")));

    let [shift] = &outcome.shifts[..] else {
        panic!("one shift")
    };
    assert_eq!(shift.sessions, Sessions::WithoutActive);
    for (other, turn) in [
        ("tybalt@example.com", Turn::Hidden),
        ("juliet@example.com", Turn::Same),
    ] {
        for direction in [Direction::In, Direction::Out] {
            assert_eq!(
                shift.presence(direction, &romeo.account, &address(other), &romeo.roster),
                turn
            );
        }
    }
    for kind in [
        CHAT,
        Kind::Presence(PresenceType::Subscribe),
        Kind::Presence(PresenceType::Probe),
    ] {
        assert!(!romeo.passes(Direction::In, kind, "tybalt@example.com/castle"));
        assert!(!romeo.passes(Direction::Out, kind, "tybalt@example.com"));
        assert!(romeo.passes(Direction::In, kind, "paris@example.com"));
    }
}

#[test]
fn xep0191_3_3_a_block_without_an_item_is_bad() {
    let mut romeo = User::romeo();
    for (command, error) in [
        (block(&[]), "modify/bad-request"),
        (
            "<block xmlns='urn:xmpp:blocking'><item/></block>".to_owned(),
            "modify/bad-request",
        ),
        (
            "<block xmlns='urn:xmpp:blocking'><item xmlns='urn:x' jid='a@b'/></block>".to_owned(),
            "modify/bad-request",
        ),
        (block(&["a@b", "a@b@c"]), "modify/jid-malformed"),
        // Nobody is named, but not everybody is meant.
        (
            "<unblock xmlns='urn:xmpp:blocking'><jid>a@b</jid></unblock>".to_owned(),
            "modify/bad-request",
        ),
        (
            "<blocklist xmlns='urn:xmpp:blocking'/>".to_owned(),
            "modify/bad-request",
        ),
    ] {
        assert_eq!(
            romeo.commands("orchard", &command).unwrap_err(),
            error,
            "{command}"
        );
    }
}

#[test]
fn xep0191_3_3_example_9_the_user_is_told_of_its_own_block() {
    let mut romeo = User::romeo();
    romeo
        .commands("orchard", &block(&["tybalt@example.com"]))
        .unwrap();
    let Verdict::Deny(denial) = romeo.verdict("orchard", Direction::Out, CHAT, "tybalt@example.com") else {
        panic!("blocked")
    };
    let mut error = Vec::new();
    denial.answer().unwrap().write(&mut error);
    let error = tree(&String::from_utf8(error).unwrap());
    assert_eq!(error.attribute("type"), Some("cancel"));
    let conditions: Vec<(&str, &str)> = error
        .children()
        .map(|child| (child.name.as_str(), child.namespace.as_str()))
        .collect();
    assert_eq!(
        conditions,
        [
            ("not-acceptable", "urn:ietf:params:xml:ns:xmpp-stanzas"),
            ("blocked", "urn:xmpp:blocking:errors")
        ]
    );
}

#[test]
fn xep0191_3_4_examples_10_to_12_an_unblock_is_kept_and_pushed() {
    let mut romeo = User::romeo();
    romeo
        .commands("orchard", &block(&["tybalt@example.com", "paris@example.org"]))
        .unwrap();
    let command = unblock(&["tybalt@example.com"]);
    let outcome = romeo.commands("home", &command).unwrap();
    assert_eq!(pushed(&outcome, Audience::HoldsBlocklist), [tree(&command)]);
    assert_eq!(romeo.blocklist(), ["paris@example.org"]);
    let tybalt = address("tybalt@example.com");
    assert_eq!(
        outcome.shifts[0].presence(Direction::Out, &romeo.account, &tybalt, &romeo.roster),
        Turn::Shown
    );
    assert!(romeo.passes(Direction::In, CHAT, "tybalt@example.com"));
    // Who is not blocked can be unblocked; nothing is to be kept then.
    assert!(romeo.commands("home", &command).unwrap().changes.is_empty());
}

#[test]
fn xep0191_3_5_examples_13_to_15_unblocking_all_leaves_no_list() {
    let mut romeo = User::romeo();
    romeo
        .commands("orchard", &block(&["tybalt@example.com", "paris@example.org"]))
        .unwrap();
    let outcome = romeo.commands("orchard", &unblock(&[])).unwrap();
    assert_eq!(
        pushed(&outcome, Audience::HoldsBlocklist),
        [tree("<unblock xmlns='urn:xmpp:blocking'/>")]
    );
    assert!(romeo.lists.is_empty());
    let outcome = romeo.commands("orchard", &unblock(&[])).unwrap();
    assert_eq!((outcome.changes.len(), outcome.pushes.len()), (0, 1));
}

#[test]
fn xep0191_5_blocked_addresses_come_first_in_the_default_list() {
    let mut romeo = User::romeo();
    let list = "<list name='mine'><item type='group' value='Friends' action='allow' order='1'/>\
                <item type='jid' value='paris@example.org' action='deny' order='2'/>\
                <item action='allow' order='3'/></list>";
    romeo.sets("orchard", list).unwrap();
    romeo.sets("orchard", "<default name='mine'/>").unwrap();
    romeo
        .commands("orchard", &block(&["juliet@example.com"]))
        .unwrap();
    assert!(
        !romeo.passes(Direction::In, CHAT, "juliet@example.com"),
        "though she is a friend"
    );
    assert!(
        romeo.passes(Direction::In, CHAT, "benvolio@example.org"),
        "who is a friend, too"
    );
    assert_eq!(romeo.blocklist(), ["juliet@example.com", "paris@example.org"]);
    assert_eq!(romeo.lists.len(), 1);

    // Room has been made once; the next blocks are single rows.
    let outcome = romeo
        .commands("orchard", &block(&["tybalt@example.com"]))
        .unwrap();
    let [Change::Items { removed, added, .. }] = &outcome.changes[..] else {
        panic!("single rows")
    };
    assert_eq!((removed.len(), added.len()), (0, 1));
    // A block that another rule overrules moves to the front when it is repeated.
    let outcome = romeo.commands("orchard", &block(&["paris@example.org"])).unwrap();
    let [Change::Items { removed, added, .. }] = &outcome.changes[..] else {
        panic!("single rows")
    };
    assert_eq!((removed.len(), added.len()), (1, 1));
    assert_eq!(
        romeo.blocklist(),
        ["juliet@example.com", "tybalt@example.com", "paris@example.org"]
    );
    // And is then where it belongs.
    assert!(
        romeo
            .commands("orchard", &block(&["paris@example.org"]))
            .unwrap()
            .changes
            .is_empty()
    );
}

#[test]
fn xep0191_5_a_full_range_of_orders_is_numbered_anew() {
    let mut romeo = User::romeo();
    let list = "<list name='mine'><item type='jid' value='a@b' action='deny' order='4294967294'/>\
                <item action='allow' order='4294967295'/></list>";
    romeo.sets("orchard", list).unwrap();
    romeo.sets("orchard", "<default name='mine'/>").unwrap();
    romeo.commands("orchard", &block(&["c@d", "e@f"])).unwrap();
    let orders: Vec<u32> = items(&romeo.lists, "mine")
        .iter()
        .map(|item| item.order)
        .collect();
    assert_eq!(orders, [1, 2, 3, 1_003]);
    assert_eq!(romeo.blocklist(), ["a@b", "c@d", "e@f"]);
}

#[test]
fn xep0191_5_implication_2_what_a_list_blocks_shows_in_the_blocklist() {
    let mut romeo = User::romeo();
    romeo
        .commands("orchard", &block(&["tybalt@example.com", "paris@example.org"]))
        .unwrap();
    let list = "<list name='blocklist'><item type='jid' value='paris@example.org' action='deny' order='1'/>\
                <item type='jid' value='iago@example.org' action='deny' order='2'/></list>";
    let outcome = romeo.sets("home", list).unwrap();
    let expected = [
        tree(&unblock(&["tybalt@example.com"])),
        tree(&block(&["iago@example.org"])),
    ];
    assert_eq!(pushed(&outcome, Audience::HoldsBlocklist), expected);
    assert_eq!(romeo.blocklist(), ["paris@example.org", "iago@example.org"]);
}

#[test]
fn xep0191_5_implication_3_what_is_no_block_does_not_show() {
    let mut romeo = User::romeo();
    let list = "<list name='mine'><item type='jid' value='a@b' action='allow' order='1'/>\
                <item type='jid' value='c@d' action='deny' order='2'><message/></item>\
                <item type='group' value='Enemies' action='deny' order='3'/>\
                <item type='subscription' value='none' action='deny' order='4'/><item action='deny' order='5'/></list>";
    romeo.sets("orchard", list).unwrap();
    let outcome = romeo.sets("orchard", "<default name='mine'/>").unwrap();
    assert!(outcome.pushes.is_empty());
    assert!(romeo.blocklist().is_empty());
    // Unblocking all touches none of it.
    assert!(
        romeo
            .commands("orchard", &unblock(&[]))
            .unwrap()
            .changes
            .is_empty()
    );
    assert_eq!(items(&romeo.lists, "mine").len(), 5);
}

#[test]
fn xep0191_5_implication_4_another_default_list_is_another_blocklist() {
    let mut romeo = User::romeo();
    romeo
        .commands("orchard", &block(&["tybalt@example.com"]))
        .unwrap();
    let list = "<list name='mine'><item type='jid' value='iago@example.org' action='deny' order='1'/></list>";
    romeo.sets("orchard", list).unwrap();
    romeo.sets("home", "<active name='mine'/>").unwrap();
    let outcome = romeo.sets("orchard", "<default name='mine'/>").unwrap();
    let expected = [
        tree(&unblock(&["tybalt@example.com"])),
        tree(&block(&["iago@example.org"])),
    ];
    assert_eq!(pushed(&outcome, Audience::HoldsBlocklist), expected);
    assert_eq!(romeo.blocklist(), ["iago@example.org"]);
    // Without a default list nobody is blocked.
    let outcome = romeo.sets("orchard", "<default/>").unwrap();
    assert_eq!(
        pushed(&outcome, Audience::HoldsBlocklist),
        [tree(&unblock(&["iago@example.org"]))]
    );
    assert!(romeo.blocklist().is_empty());
    // The next block makes a list of its own again, beside the old one of that name.
    romeo.commands("orchard", &block(&["paris@example.org"])).unwrap();
    assert_eq!(romeo.lists.default_list().unwrap().name().as_str(), "blocklist-2");
}

#[test]
fn xep0191_5_implication_5_an_active_list_takes_the_place_of_the_blocklist() {
    let mut romeo = User::romeo();
    romeo
        .commands("orchard", &block(&["tybalt@example.com"]))
        .unwrap();
    romeo
        .sets(
            "orchard",
            "<list name='open'><item action='allow' order='1'/></list>",
        )
        .unwrap();
    romeo.sets("orchard", "<active name='open'/>").unwrap();
    assert!(
        romeo
            .verdict("orchard", Direction::In, CHAT, "tybalt@example.com")
            .passes()
    );
    assert!(
        !romeo
            .verdict("home", Direction::In, CHAT, "tybalt@example.com")
            .passes()
    );
}

#[test]
fn a_blocklist_that_a_session_has_made_active_stays_when_it_becomes_empty() {
    let mut romeo = User::romeo();
    romeo
        .commands("orchard", &block(&["tybalt@example.com"]))
        .unwrap();
    romeo.sets("home", "<active name='blocklist'/>").unwrap();
    let outcome = romeo
        .commands("orchard", &unblock(&["tybalt@example.com"]))
        .unwrap();
    assert_eq!(outcome.shifts.len(), 2);
    assert_eq!(
        romeo.gets("home", "<list name='blocklist'/>").unwrap(),
        query("<list name='blocklist'/>")
    );
    assert!(
        romeo
            .verdict("home", Direction::In, CHAT, "tybalt@example.com")
            .passes()
    );
}

#[test]
fn the_blocklist_grows_up_to_the_limits_of_lists() {
    let mut romeo = User::romeo();
    romeo.limits.items = 2;
    romeo.commands("orchard", &block(&["a@b", "c@d"])).unwrap();
    assert_eq!(
        romeo.commands("orchard", &block(&["e@f"])).unwrap_err(),
        "modify/policy-violation"
    );
    romeo.limits.lists = 1;
    romeo
        .sets(
            "home",
            "<list name='blocklist'><item action='allow' order='1'/></list>",
        )
        .unwrap();
    romeo.sets("home", "<active name='blocklist'/>").unwrap();
    romeo.sets("orchard", "<active name='blocklist'/>").unwrap();
    romeo.sets("orchard", "<default/>").unwrap();
    assert_eq!(
        romeo.commands("orchard", &block(&["e@f"])).unwrap_err(),
        "modify/policy-violation"
    );
}
