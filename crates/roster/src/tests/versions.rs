//! RFC 6121 §2.6 and XEP-0237: who names a version gets what has changed since.

use super::{User, item_of, query, tree};
use crate::{Retrieved, Roster, SubscriptionStanza as P};

impl User {
    fn version(&self) -> String {
        self.roster.version().to_string()
    }

    /// What a client gets that names this version, item by item; `None` for the whole roster.
    fn since(&self, version: &str) -> Option<Vec<String>> {
        let get = tree(&format!("<query xmlns='jabber:iq:roster' ver='{version}'/>"));
        match self.roster.retrieve(&get, &self.limits).unwrap() {
            Retrieved::Whole(_) => None,
            Retrieved::Since(pushes) => {
                assert!(
                    pushes.is_sorted_by(|a, b| a.version() < b.version()),
                    "in order and unique"
                );
                Some(pushes.iter().map(item_of).collect())
            }
        }
    }

    fn whole(&self) -> String {
        match self.roster.retrieve(&query(""), &self.limits).unwrap() {
            Retrieved::Whole(payload) => String::from_utf8(payload).unwrap(),
            Retrieved::Since(_) => panic!("no version was named"),
        }
    }
}

#[test]
fn rfc6121_2_1_4_the_whole_roster_has_a_version_even_when_empty() {
    let mut juliet = User::juliet();
    assert_eq!(juliet.whole(), "<query xmlns='jabber:iq:roster' ver='1000'/>");
    juliet
        .set("<item jid='romeo@example.net' name='Romeo'><group>Friends</group></item>")
        .unwrap();
    juliet.set("<item jid='nurse@example.com'/>").unwrap();
    assert_eq!(
        juliet.whole(),
        "<query xmlns='jabber:iq:roster' ver='1002'><item jid='nurse@example.com' subscription='none'/>\
         <item jid='romeo@example.net' name='Romeo' subscription='none'><group>Friends</group></item></query>"
    );
}

#[test]
fn rfc6121_2_1_3_a_get_with_an_item_is_bad() {
    let juliet = User::juliet();
    let error = juliet
        .roster
        .retrieve(&query("<item jid='a@b'/>"), &juliet.limits)
        .unwrap_err();
    assert_eq!(error.condition.as_str(), "bad-request");
}

#[test]
fn rfc6121_2_6_3_nothing_is_sent_when_nothing_has_changed() {
    let mut juliet = User::juliet();
    juliet.set("<item jid='romeo@example.net'/>").unwrap();
    let version = juliet.version();
    // A request that waits is no modification.
    juliet.receives(P::Subscribe, "tybalt@example.net");
    juliet.receives(P::Subscribe, "romeo@example.net");
    assert_eq!(juliet.since(&version), Some(vec![]));
}

#[test]
fn rfc6121_2_6_3_each_changed_item_is_pushed_once_in_its_last_form() {
    let mut juliet = User::juliet();
    for contact in ["a@x", "b@x", "c@x", "d@x"] {
        juliet.set(&format!("<item jid='{contact}'/>")).unwrap();
    }
    let version = juliet.version();
    juliet.set("<item jid='c@x' name='first'/>").unwrap();
    juliet.sends(P::Subscribe, "b@x");
    juliet.set("<item jid='a@x' subscription='remove'/>").unwrap();
    juliet.set("<item jid='c@x' name='second'/>").unwrap();
    let expected = [
        "<item jid='b@x' subscription='none' ask='subscribe'/>",
        "<item jid='a@x' subscription='remove'/>",
        "<item jid='c@x' name='second' subscription='none'/>",
    ];
    assert_eq!(juliet.since(&version).unwrap(), expected);
    // One who was there in between needs less.
    assert_eq!(
        juliet.since(&(juliet.roster.version() - 1).to_string()).unwrap(),
        expected[2..]
    );
}

#[test]
fn rfc6121_2_6_3_who_comes_back_is_not_removed_first() {
    let mut juliet = User::juliet();
    for contact in ["a@x", "b@x"] {
        juliet.set(&format!("<item jid='{contact}'/>")).unwrap();
    }
    let version = juliet.version();
    juliet.set("<item jid='a@x' subscription='remove'/>").unwrap();
    juliet.set("<item jid='a@x' name='again'/>").unwrap();
    assert_eq!(
        juliet.since(&version).unwrap(),
        ["<item jid='a@x' name='again' subscription='none'/>"]
    );
}

#[test]
fn rfc6121_2_6_3_a_version_that_is_not_ours_brings_the_whole_roster() {
    let mut juliet = User::juliet();
    juliet.set("<item jid='a@x'/>").unwrap();
    for version in [
        "",
        "999",
        "1002",
        "01001",
        "+1001",
        " 1001",
        "ver14",
        "99999999999999999999",
        "-1",
    ] {
        assert_eq!(juliet.since(version), None, "{version:?}");
    }
    assert!(juliet.since("1000").is_some());
}

#[test]
fn removals_are_remembered_within_a_bound_and_older_versions_get_the_whole_roster() {
    let mut juliet = User::juliet();
    juliet.limits.removals = 2;
    for contact in ["a@x", "b@x", "c@x", "d@x", "e@x", "f@x"] {
        juliet.set(&format!("<item jid='{contact}'/>")).unwrap();
    }
    let first = juliet.version();
    juliet.set("<item jid='a@x' subscription='remove'/>").unwrap();
    let second = juliet.version();
    juliet.set("<item jid='b@x' subscription='remove'/>").unwrap();
    assert!(juliet.since(&first).is_some());
    juliet.set("<item jid='c@x' subscription='remove'/>").unwrap();
    assert_eq!(juliet.since(&first), None, "the removal of a@x is forgotten");
    assert_eq!(juliet.since(&second).unwrap().len(), 2);
    let loaded = Roster::load(&juliet.roster.owner, juliet.stored.clone());
    assert_eq!(loaded.complete_since.to_string(), second);
}

#[test]
fn what_would_be_many_pushes_is_sent_as_one_roster() {
    let mut juliet = User::juliet();
    juliet.limits.interim_pushes = 3;
    for number in 0..10 {
        juliet.set(&format!("<item jid='{number}@x'/>")).unwrap();
    }
    assert_eq!(juliet.since("1007").unwrap().len(), 3);
    assert_eq!(juliet.since("1006"), None);
}
