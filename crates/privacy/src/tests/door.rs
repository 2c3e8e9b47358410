//! XEP-0016 §2.9 to §2.14: what each kind of rule does to each kind of stanza.

use stanza::{Condition, IqType, Kind, MessageType, PresenceType};

use super::{User, address};
use crate::{Denial, Direction, Ground, Lists, Question, Turn, Verdict};

use Direction::{In, Out};

const CHAT: Kind = Kind::Message(MessageType::Chat);
const GET: Kind = Kind::Iq(IqType::Get);
const AVAILABLE: Kind = Kind::Presence(PresenceType::Available);
const UNAVAILABLE: Kind = Kind::Presence(PresenceType::Unavailable);
const SUBSCRIBE: Kind = Kind::Presence(PresenceType::Subscribe);
const PROBE: Kind = Kind::Presence(PresenceType::Probe);

const EVERYTHING: [(Direction, Kind); 12] = [
    (In, CHAT),
    (In, GET),
    (In, AVAILABLE),
    (In, UNAVAILABLE),
    (In, SUBSCRIBE),
    (In, PROBE),
    (Out, CHAT),
    (Out, GET),
    (Out, AVAILABLE),
    (Out, UNAVAILABLE),
    (Out, SUBSCRIBE),
    (Out, PROBE),
];

/// Romeo with this one item in his default list.
fn with_item(item: &str) -> User {
    let mut romeo = User::romeo();
    romeo
        .sets("orchard", &format!("<list name='only'>{item}</list>"))
        .unwrap();
    romeo.sets("orchard", "<default name='only'/>").unwrap();
    romeo
}

/// What of everything between Romeo and `other` is denied.
fn denied(romeo: &User, other: &str) -> Vec<(Direction, Kind)> {
    EVERYTHING
        .into_iter()
        .filter(|(direction, kind)| !romeo.passes(*direction, *kind, other))
        .collect()
}

/// Each of the four ways to name tybalt, and nobody else of these: by address, group, subscription, and all.
fn check_examples(kind: &str, expected: &[(Direction, Kind)]) {
    let tybalt = "tybalt@example.com";
    for (item, others) in [
        ("type='jid' value='tybalt@example.com'", false),
        ("type='group' value='Enemies'", false),
        ("type='subscription' value='from'", false),
        ("", true),
    ] {
        let romeo = with_item(&format!("<item {item} action='deny' order='3'>{kind}</item>"));
        assert_eq!(denied(&romeo, tybalt), expected, "{item}");
        assert_eq!(denied(&romeo, "tybalt@example.com/castle"), expected, "{item}");
        let expected_of_others = if others { expected } else { &[] };
        for other in [
            "juliet@example.com",
            "benvolio@example.org",
            "stranger@example.com",
            "example.com",
        ] {
            assert_eq!(denied(&romeo, other), expected_of_others, "{item} for {other}");
        }
    }
}

#[test]
fn xep0016_2_9_examples_29_to_32_messages() {
    check_examples("<message/>", &[(In, CHAT)]);
}

#[test]
fn xep0016_2_10_examples_33_to_36_inbound_presence_notifications() {
    check_examples("<presence-in/>", &[(In, AVAILABLE), (In, UNAVAILABLE)]);
}

#[test]
fn xep0016_2_11_examples_37_to_40_outbound_presence_notifications() {
    check_examples("<presence-out/>", &[(Out, AVAILABLE), (Out, UNAVAILABLE)]);
}

#[test]
fn xep0016_2_12_examples_41_to_44_iqs() {
    check_examples("<iq/>", &[(In, GET)]);
}

#[test]
fn xep0016_2_13_examples_45_to_48_all_communication() {
    check_examples("", &EVERYTHING);
}

#[test]
fn xep0016_2_13_all_four_kinds_are_less_than_all() {
    let four = [
        (In, CHAT),
        (In, GET),
        (In, AVAILABLE),
        (In, UNAVAILABLE),
        (Out, AVAILABLE),
        (Out, UNAVAILABLE),
    ];
    check_examples("<message/><iq/><presence-in/><presence-out/>", &four);
}

#[test]
fn xep0016_2_1_none_is_also_who_is_not_in_the_roster() {
    let romeo = with_item("<item type='subscription' value='none' action='deny' order='437'/>");
    for (other, passes) in [
        ("stranger@example.com", false),
        ("paris@example.org", false),
        ("tybalt@example.com", true),
        ("juliet@example.com/chamber", true),
    ] {
        assert_eq!(romeo.passes(In, CHAT, other), passes, "{other}");
    }
}

#[test]
fn xep0016_2_1_an_address_matches_in_its_form() {
    for (rule, matching, other) in [
        ("a@b/c", vec!["a@b/c"], vec!["a@b", "a@b/d", "b", "b/c"]),
        ("a@b", vec!["a@b", "a@b/c"], vec!["b", "b/c", "x@b"]),
        ("b/c", vec!["b/c"], vec!["b", "a@b/c", "a@b", "b/d"]),
        ("b", vec!["b", "b/c", "a@b", "a@b/c"], vec!["x.b", "a@x.b"]),
    ] {
        let romeo = with_item(&format!(
            "<item type='jid' value='{rule}' action='deny' order='1'/>"
        ));
        for address in matching {
            assert!(!romeo.passes(In, CHAT, address), "{rule} is {address}");
        }
        for address in other {
            assert!(romeo.passes(In, CHAT, address), "{rule} is not {address}");
        }
    }
}

#[test]
fn xep0016_2_2_rules_5_to_7_the_first_item_in_order_decides() {
    let romeo = with_item(
        "<item type='jid' value='example.com' action='deny' order='20'/>\
         <item type='jid' value='juliet@example.com' action='allow' order='10'/>\
         <item type='jid' value='juliet@example.com/chamber' action='deny' order='30'/>",
    );
    let verdict = |other| romeo.verdict("orchard", In, CHAT, other);
    assert_eq!(
        verdict("juliet@example.com/chamber"),
        Verdict::Pass(Ground::Item(10))
    );
    let denial = Denial {
        order: 20,
        blocked: true,
        direction: In,
        kind: CHAT,
    };
    assert_eq!(verdict("nurse@example.com"), Verdict::Deny(denial));
    assert_eq!(verdict("mercutio@example.org"), Verdict::Pass(Ground::NoItem));
}

#[test]
fn xep0016_2_2_rule_9_a_change_of_the_roster_counts_at_once() {
    let mut romeo = with_item("<item type='group' value='Enemies' action='deny' order='1'/>");
    let set = |name: &str, groups: &str| {
        let item = format!("<item jid='{name}'>{groups}</item>");
        super::tree(&format!("<query xmlns='jabber:iq:roster'>{item}</query>"))
    };
    romeo
        .roster
        .set(
            &set("juliet@example.com", "<group>Enemies</group>"),
            &roster::Limits::default(),
        )
        .unwrap();
    assert!(!romeo.passes(In, CHAT, "juliet@example.com"));
    romeo
        .roster
        .set(&set("tybalt@example.com", ""), &roster::Limits::default())
        .unwrap();
    assert!(romeo.passes(In, CHAT, "tybalt@example.com"));
}

#[test]
fn xep0016_2_1_own_resources_and_the_own_server_are_never_blocked() {
    let romeo = with_item("<item action='deny' order='1'/>");
    for (direction, kind) in EVERYTHING {
        for own in ["romeo@example.net", "romeo@example.net/home"] {
            assert_eq!(
                romeo.verdict("orchard", direction, kind, own),
                Verdict::Pass(Ground::OwnAccount)
            );
        }
        let server = romeo.verdict("orchard", direction, kind, "example.net");
        assert_eq!(server, Verdict::Pass(Ground::OwnServer));
        for other in ["juliet@example.net", "example.net/news", "example.com"] {
            assert!(!romeo.passes(direction, kind, other), "{other}");
        }
    }
}

#[test]
fn xep0016_2_2_rule_3_without_a_list_everything_passes() {
    let mut romeo = User::romeo();
    for (direction, kind) in EVERYTHING {
        let verdict = romeo.verdict("orchard", direction, kind, "tybalt@example.com");
        assert_eq!(verdict, Verdict::Pass(Ground::NoList));
    }
    // A list that nobody uses is none.
    romeo
        .sets(
            "orchard",
            "<list name='unused'><item action='deny' order='1'/></list>",
        )
        .unwrap();
    assert!(denied(&romeo, "tybalt@example.com").is_empty());
}

#[test]
fn xep0016_2_14_examples_49_and_50_who_is_blocked_finds_the_user_absent() {
    let romeo = with_item("<item action='deny' order='1'/>");
    let answer = |kind| match romeo.verdict("orchard", In, kind, "tybalt@example.com/pda") {
        Verdict::Deny(denial) => denial.answer().map(|error| error.condition),
        Verdict::Pass(_) => panic!("denied"),
    };
    let unavailable = Some(Condition::ServiceUnavailable);
    for (kind, expected) in [
        (GET, unavailable),
        (Kind::Iq(IqType::Set), unavailable),
        (Kind::Iq(IqType::Result), None),
        (Kind::Iq(IqType::Error), None),
        (CHAT, unavailable),
        (Kind::Message(MessageType::Normal), unavailable),
        (Kind::Message(MessageType::Headline), None),
        (Kind::Message(MessageType::Groupchat), None),
        (Kind::Message(MessageType::Error), None),
        (AVAILABLE, None),
        (UNAVAILABLE, None),
        (SUBSCRIBE, None),
        (PROBE, None),
        (Kind::Presence(PresenceType::Error), None),
    ] {
        assert_eq!(answer(kind), expected, "{kind:?}");
    }
}

#[test]
fn xep0016_2_14_example_51_the_user_is_told_what_is_not_routed() {
    let romeo = with_item("<item action='deny' order='1'/>");
    for (kind, answered) in [
        (CHAT, true),
        (GET, true),
        (SUBSCRIBE, true),
        (Kind::Iq(IqType::Result), false),
        (Kind::Iq(IqType::Error), false),
        (Kind::Message(MessageType::Error), false),
    ] {
        let Verdict::Deny(denial) = romeo.verdict("orchard", Out, kind, "juliet@example.com") else {
            panic!("denied")
        };
        match denial.answer() {
            Some(error) => {
                assert!(answered, "{kind:?}");
                assert_eq!(
                    (error.condition, error.kind.as_str()),
                    (Condition::NotAcceptable, "cancel")
                );
                // This is no block of XEP-0191.
                assert_eq!(error.application, None);
            }
            None => assert!(!answered, "{kind:?}"),
        }
    }
}

#[test]
fn an_explanation_names_the_list_and_the_item() {
    let mut romeo =
        with_item("<item type='group' value='Enemies' action='deny' order='3'><message/><iq/></item>");
    let explain = |romeo: &User, kind, other: &str| {
        let other = address(other);
        let active = romeo.resources["orchard"].as_ref();
        let question = Question {
            account: &romeo.account,
            active,
            direction: In,
            kind,
            other: &other,
        };
        romeo.lists.explain(&question, &romeo.roster).to_string()
    };
    let denied = "denied: item 3 of the default list \"only\": deny iq, message for the group \"Enemies\"";
    assert_eq!(explain(&romeo, CHAT, "tybalt@example.com"), denied);
    let other = "passes: no item of the default list \"only\" speaks of it";
    assert_eq!(explain(&romeo, CHAT, "juliet@example.com"), other);
    assert_eq!(
        explain(&romeo, CHAT, "romeo@example.net/home"),
        "passes: both are the same account"
    );
    assert_eq!(
        explain(&romeo, CHAT, "example.net"),
        "passes: it is the account's own server"
    );
    let list = "<list name='b'><item type='jid' value='example.com' action='allow' order='1'/></list>";
    romeo.sets("orchard", list).unwrap();
    romeo.sets("orchard", "<active name='b'/>").unwrap();
    let allowed = "passes: item 1 of the active list \"b\": allow everything for example.com";
    assert_eq!(explain(&romeo, CHAT, "tybalt@example.com"), allowed);
    let nobody = User::romeo();
    assert_eq!(
        explain(&nobody, CHAT, "tybalt@example.com"),
        "passes: no list applies"
    );
}

#[test]
fn a_stored_rule_that_says_nothing_opens_no_door() {
    let romeo = with_item("<item type='jid' value='a@b' action='deny' order='7'/>");
    for spoil in [
        |row: &mut crate::ItemRow| row.subject = 4,
        |row: &mut crate::ItemRow| row.scope = 16,
        |row: &mut crate::ItemRow| row.value = "a@b@c".to_owned(),
        |row: &mut crate::ItemRow| row.subject = 3,
    ] {
        let mut stored = romeo.lists.to_stored();
        spoil(&mut stored.lists[0].items[0]);
        let error = Lists::load(stored).unwrap_err();
        assert_eq!((error.list.as_str(), error.order), ("only", 7));
    }
}

#[test]
fn xep0016_2_11_a_change_of_the_roster_hides_and_shows_presence() {
    let mut romeo =
        with_item("<item type='group' value='Enemies' action='deny' order='1'><presence-out/></item>");
    let juliet = address("juliet@example.com");
    let before = romeo.roster.get("juliet@example.com").cloned();
    let set = "<query xmlns='jabber:iq:roster'><item jid='juliet@example.com'><group>Enemies</group></item></query>";
    romeo
        .roster
        .set(&super::tree(set), &roster::Limits::default())
        .unwrap();
    let question = Question {
        account: &romeo.account,
        active: None,
        direction: Out,
        kind: AVAILABLE,
        other: &juliet,
    };
    let then = romeo.lists.may_pass(&question, &before.as_ref());
    let now = romeo.lists.may_pass(&question, &romeo.roster);
    assert_eq!(Turn::between(then, now), Turn::Hidden);
    assert_eq!(Turn::between(now, then), Turn::Shown);
    assert_eq!(
        romeo.lists.may_pass(&question, &None::<&roster::Item>),
        Verdict::Pass(Ground::NoItem)
    );
}
