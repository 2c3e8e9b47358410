//! XEP-0016 §2.3 to §2.8: retrieving and editing lists, example by example.

use super::{User, items, pushed, query};
use crate::{Audience, ListName, SessionChange, Sessions};

const PUBLIC: &str = "<list name='public'><item type='jid' value='tybalt@example.com' action='deny' order='1'/>\
                      <item action='allow' order='2'/></list>";
const PRIVATE: &str = "<list name='private'><item type='subscription' value='both' action='allow' order='10'/>\
                       <item action='deny' order='15'/></list>";
const SPECIAL: &str = "<list name='special'><item type='jid' value='juliet@example.com' action='allow' order='6'/>\
                       <item type='jid' value='benvolio@example.org' action='allow' order='7'/>\
                       <item type='jid' value='mercutio@example.org' action='allow' order='42'/>\
                       <item action='deny' order='666'/></list>";

/// Romeo with the three lists of the examples, none of them in use.
fn romeo() -> User {
    let mut romeo = User::romeo();
    for list in [PUBLIC, PRIVATE, SPECIAL] {
        romeo.sets("orchard", list).unwrap();
    }
    romeo
}

#[test]
fn xep0016_2_3_examples_1_and_2_names_of_lists() {
    let mut romeo = romeo();
    assert_eq!(User::romeo().gets("orchard", "").unwrap(), query(""));
    let all = "<list name='private'/><list name='public'/><list name='special'/>";
    assert_eq!(romeo.gets("orchard", "").unwrap(), query(all));
    romeo.sets("orchard", "<active name='private'/>").unwrap();
    romeo.sets("orchard", "<default name='public'/>").unwrap();
    let default = "<default name='public'/>";
    let active = "<active name='private'/>";
    assert_eq!(
        romeo.gets("orchard", "").unwrap(),
        query(&format!("{active}{default}{all}"))
    );
    assert_eq!(romeo.gets("home", "").unwrap(), query(&format!("{default}{all}")));
}

#[test]
fn xep0016_2_3_examples_3_to_8_one_list() {
    let romeo = romeo();
    for (name, list) in [("public", PUBLIC), ("private", PRIVATE), ("special", SPECIAL)] {
        assert_eq!(
            romeo.gets("orchard", &format!("<list name='{name}'/>")).unwrap(),
            query(list)
        );
    }
}

#[test]
fn xep0016_2_3_examples_9_and_10_what_cannot_be_retrieved() {
    let romeo = romeo();
    for (get, error) in [
        ("<list name='The Empty Set'/>", "cancel/item-not-found"),
        (
            "<list name='public'/><list name='private'/><list name='special'/>",
            "modify/bad-request",
        ),
        ("<list/>", "modify/bad-request"),
        ("<active/>", "modify/bad-request"),
        ("<list xmlns='urn:other' name='public'/>", "modify/bad-request"),
    ] {
        assert_eq!(romeo.gets("orchard", get).unwrap_err(), error, "{get}");
    }
}

#[test]
fn xep0016_2_4_examples_11_to_15_active_lists() {
    let mut romeo = romeo();
    let outcome = romeo.sets("orchard", "<active name='special'/>").unwrap();
    assert_eq!(outcome.session, SessionChange::Active(ListName::new("special")));
    assert!(outcome.changes.is_empty() && outcome.pushes.is_empty());
    assert_eq!(outcome.shifts.len(), 1);
    assert_eq!(outcome.shifts[0].sessions, Sessions::Sender);

    assert_eq!(
        romeo
            .sets("orchard", "<active name='The Empty Set'/>")
            .unwrap_err(),
        "cancel/item-not-found"
    );
    let outcome = romeo.sets("orchard", "<active/>").unwrap();
    assert_eq!(outcome.session, SessionChange::NoActive);
    // Declining twice is no change of anything.
    assert!(romeo.sets("orchard", "<active/>").unwrap().shifts.is_empty());
}

#[test]
fn xep0016_2_5_examples_16_to_22_the_default_list() {
    let mut romeo = romeo();
    // Without a default list, setting one disturbs nobody who has none.
    let outcome = romeo.sets("orchard", "<default name='special'/>").unwrap();
    assert_eq!(outcome.shifts[0].sessions, Sessions::WithoutActive);
    assert_eq!(
        romeo
            .sets("orchard", "<default name='The Empty Set'/>")
            .unwrap_err(),
        "cancel/item-not-found"
    );
    // It applies to the other resource now, too.
    assert_eq!(
        romeo.sets("orchard", "<default name='public'/>").unwrap_err(),
        "cancel/conflict"
    );
    assert_eq!(
        romeo.sets("orchard", "<default/>").unwrap_err(),
        "cancel/conflict"
    );
    // What is the default already may be set again.
    assert!(
        romeo
            .sets("orchard", "<default name='special'/>")
            .unwrap()
            .changes
            .is_empty()
    );
    // The other resource goes its own way, and the conflict is gone.
    romeo.sets("home", "<active name='private'/>").unwrap();
    romeo.sets("orchard", "<default name='public'/>").unwrap();
    romeo.sets("orchard", "<default/>").unwrap();
    assert!(romeo.lists.default_list().is_none());
}

#[test]
fn xep0016_2_6_examples_23_to_25_an_edit_replaces_the_list_and_is_pushed_to_all() {
    let mut romeo = romeo();
    let list = "<list name='public'><item type='jid' value='tybalt@example.com' action='deny' order='3'/>\
                <item type='jid' value='paris@example.org' action='deny' order='5'/>\
                <item action='allow' order='68'/></list>";
    let outcome = romeo.sets("orchard", list).unwrap();
    assert_eq!(
        pushed(&outcome, Audience::Connected),
        [query("<list name='public'/>")]
    );
    assert!(outcome.shifts.is_empty(), "nobody uses it");
    assert_eq!(romeo.gets("home", "<list name='public'/>").unwrap(), query(list));
    // The same definition again is no modification of any rule.
    let outcome = romeo.sets("orchard", list).unwrap();
    assert!(outcome.changes.is_empty() && outcome.pushes.is_empty());
}

#[test]
fn xep0016_2_2_rule_8_an_edit_counts_for_all_to_whom_the_list_applies() {
    let mut romeo = romeo();
    romeo.sets("orchard", "<default name='public'/>").unwrap();
    romeo.sets("home", "<active name='public'/>").unwrap();
    let outcome = romeo
        .sets(
            "orchard",
            "<list name='public'><item action='deny' order='1'/></list>",
        )
        .unwrap();
    let sessions: Vec<&Sessions> = outcome.shifts.iter().map(|shift| &shift.sessions).collect();
    assert_eq!(
        sessions,
        [
            &Sessions::WithActive(ListName::new("public")),
            &Sessions::WithoutActive
        ]
    );
}

#[test]
fn xep0016_2_8_examples_27_and_28_a_list_is_removed() {
    let mut romeo = romeo();
    let outcome = romeo.sets("orchard", "<list name='private'/>").unwrap();
    assert_eq!(
        pushed(&outcome, Audience::Connected),
        [query("<list name='private'/>")]
    );
    assert!(romeo.lists.get("private").is_none());
    assert_eq!(
        romeo.sets("orchard", "<list name='private'/>").unwrap_err(),
        "cancel/item-not-found"
    );
    let two = "<list name='public'/><list name='special'/>";
    assert_eq!(romeo.sets("orchard", two).unwrap_err(), "modify/bad-request");
}

#[test]
fn xep0016_2_2_rule_11_what_applies_to_another_resource_cannot_be_removed() {
    let mut romeo = romeo();
    romeo.sets("home", "<active name='special'/>").unwrap();
    assert_eq!(
        romeo.sets("orchard", "<list name='special'/>").unwrap_err(),
        "cancel/conflict"
    );
    romeo.sets("orchard", "<default name='public'/>").unwrap();
    // Home has a list of its own, so the default applies to the sender only.
    romeo.sets("orchard", "<list name='public'/>").unwrap();
    assert!(romeo.lists.default_list().is_none());
    romeo.sets("home", "<active/>").unwrap();
    romeo.sets("home", "<default name='special'/>").unwrap();
    assert_eq!(
        romeo.sets("orchard", "<list name='special'/>").unwrap_err(),
        "cancel/conflict"
    );
}

#[test]
fn xep0016_2_8_who_removes_its_own_active_list_falls_back_to_the_default() {
    let mut romeo = romeo();
    romeo.sets("orchard", "<default name='public'/>").unwrap();
    romeo.sets("orchard", "<active name='private'/>").unwrap();
    let outcome = romeo.sets("orchard", "<list name='private'/>").unwrap();
    assert_eq!(outcome.session, SessionChange::NoActive);
    let shift = &outcome.shifts[0];
    assert_eq!(shift.sessions, Sessions::Sender);
    assert_eq!(shift.after.as_ref().unwrap().name().as_str(), "public");
}

#[test]
fn who_removes_the_last_list_pays_for_none() {
    let mut romeo = User::romeo();
    romeo.sets("orchard", PUBLIC).unwrap();
    assert!(!romeo.lists.is_empty());
    romeo.sets("orchard", "<list name='public'/>").unwrap();
    assert!(romeo.lists.is_empty());
}

#[test]
fn xep0016_2_1_what_the_grammar_does_not_know_is_refused() {
    let mut romeo = romeo();
    let long = "x".repeat(1_024);
    for (item, error) in [
        (
            "<item type='jid' value='a@b' action='deny'/>",
            "modify/bad-request",
        ),
        ("<item action='deny' order='-1'/>", "modify/bad-request"),
        ("<item action='deny' order='4294967296'/>", "modify/bad-request"),
        ("<item action='deny' order='first'/>", "modify/bad-request"),
        ("<item order='1'/>", "modify/bad-request"),
        ("<item action='block' order='1'/>", "modify/bad-request"),
        (
            "<item action='deny' order='1'/><item action='allow' order='1'/>",
            "modify/bad-request",
        ),
        (
            "<item action='deny' order='1'/><item action='allow' order='01'/>",
            "modify/bad-request",
        ),
        (
            "<item type='user' value='a@b' action='deny' order='1'/>",
            "modify/bad-request",
        ),
        (
            "<item type='' value='a@b' action='deny' order='1'/>",
            "modify/bad-request",
        ),
        ("<item type='jid' action='deny' order='1'/>", "modify/bad-request"),
        (
            "<item value='a@b' action='deny' order='1'/>",
            "modify/bad-request",
        ),
        (
            "<item type='jid' value='a@b@c' action='deny' order='1'/>",
            "modify/jid-malformed",
        ),
        (
            "<item type='jid' value='' action='deny' order='1'/>",
            "modify/jid-malformed",
        ),
        (
            "<item type='subscription' value='remove' action='deny' order='1'/>",
            "modify/bad-request",
        ),
        (
            "<item type='group' value='Strangers' action='deny' order='1'/>",
            "cancel/item-not-found",
        ),
        (
            "<item type='group' value='' action='deny' order='1'/>",
            "cancel/item-not-found",
        ),
        (
            &format!("<item type='group' value='{long}' action='deny' order='1'/>"),
            "modify/not-acceptable",
        ),
        (
            "<item action='deny' order='1'><presence/></item>",
            "modify/bad-request",
        ),
        (
            "<item action='deny' order='1'><message xmlns='jabber:client'/></item>",
            "modify/bad-request",
        ),
        ("<rule action='deny' order='1'/>", "modify/bad-request"),
        ("<item action='allow' order='2'/><rule/>", "modify/bad-request"),
    ] {
        let list = format!("<list name='public'>{item}</list>");
        assert_eq!(romeo.sets("orchard", &list).unwrap_err(), error, "{item}");
    }
    for (set, error) in [
        ("", "modify/bad-request"),
        (
            "<list><item action='deny' order='1'/></list>",
            "modify/bad-request",
        ),
        (
            "<list name=''><item action='deny' order='1'/></list>",
            "modify/bad-request",
        ),
        (
            "<active name='public'/><default name='public'/>",
            "modify/bad-request",
        ),
        ("<active xmlns='urn:other' name='public'/>", "modify/bad-request"),
        ("<query/>", "modify/bad-request"),
        (
            &format!("<list name='{long}'><item action='deny' order='1'/></list>"),
            "modify/not-acceptable",
        ),
    ] {
        assert_eq!(romeo.sets("orchard", set).unwrap_err(), error, "{set}");
    }
    assert_eq!(
        romeo.gets("orchard", "<list name='public'/>").unwrap(),
        query(PUBLIC)
    );
}

#[test]
fn xep0016_2_1_items_are_kept_in_their_order_with_their_kinds() {
    let mut romeo = User::romeo();
    romeo
        .sets(
            "orchard",
            "<list name='all'><item action='deny' order='4294967295'/>\
             <item type='group' value='Enemies' action='deny' order='0'><presence-out/><message/></item></list>",
        )
        .unwrap();
    let expected = "<list name='all'><item type='group' value='Enemies' action='deny' order='0'><message/><presence-out/>\
                    </item><item action='deny' order='4294967295'/></list>";
    assert_eq!(
        romeo.gets("orchard", "<list name='all'/>").unwrap(),
        query(expected)
    );
}

#[test]
fn lists_grow_up_to_their_limits_and_can_be_edited_there() {
    let mut romeo = romeo();
    romeo.limits.lists = 3;
    romeo.limits.items = 2;
    let one = "<item action='deny' order='1'/>";
    assert_eq!(
        romeo
            .sets("orchard", &format!("<list name='fourth'>{one}</list>"))
            .unwrap_err(),
        "modify/policy-violation"
    );
    romeo
        .sets("orchard", &format!("<list name='public'>{one}</list>"))
        .unwrap();
    let three =
        "<item action='deny' order='1'/><item action='deny' order='2'/><item action='deny' order='3'/>";
    let too_many = format!("<list name='public'>{three}</list>");
    assert_eq!(
        romeo.sets("orchard", &too_many).unwrap_err(),
        "modify/policy-violation"
    );
    assert_eq!(items(&romeo.lists, "public").len(), 1);
}
