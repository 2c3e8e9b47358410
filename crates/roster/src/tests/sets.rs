//! RFC 6121 §2.3 to §2.5: adding, updating and deleting a contact.

use stanza::Address;

use super::{Sent, User, address, push, sent};
use crate::{Send, Subscription, SubscriptionStanza as P};

#[test]
fn rfc6121_2_3_2_a_new_item_is_kept_and_pushed() {
    let mut juliet = User::juliet();
    let outcome = juliet
        .set("<item jid='nurse@example.com' name='Nurse'><group>Servants</group></item>")
        .unwrap();
    let item =
        "<item jid='nurse@example.com' name='Nurse' subscription='none'><group>Servants</group></item>";
    assert_eq!(sent(&outcome), [push(item)]);
    assert_eq!(juliet.roster.len(), 1);
}

#[test]
fn rfc6121_2_4_1_an_item_is_updated_exactly_as_provided() {
    let mut juliet = User::juliet();
    for (set, pushed) in [
        (
            "<item jid='romeo@example.net' name='Romeo'><group>Friends</group><group>Lovers</group></item>",
            "<item jid='romeo@example.net' name='Romeo' subscription='none'><group>Friends</group><group>Lovers</group></item>",
        ),
        (
            "<item jid='romeo@example.net' name='Romeo'><group>Lovers</group></item>",
            "<item jid='romeo@example.net' name='Romeo' subscription='none'><group>Lovers</group></item>",
        ),
        (
            "<item jid='romeo@example.net'/>",
            "<item jid='romeo@example.net' subscription='none'/>",
        ),
        (
            "<item jid='romeo@example.net' name='MyRomeo'/>",
            "<item jid='romeo@example.net' name='MyRomeo' subscription='none'/>",
        ),
        // An empty name is no name.
        (
            "<item jid='romeo@example.net' name=''/>",
            "<item jid='romeo@example.net' subscription='none'/>",
        ),
    ] {
        assert_eq!(sent(&juliet.set(set).unwrap()), [push(pushed)]);
    }
}

#[test]
fn rfc6121_2_1_2_what_a_client_may_not_say_is_ignored() {
    let mut juliet = User::juliet();
    let forged =
        "<item jid='romeo@example.net' subscription='both' ask='subscribe' approved='true' name='R'/>";
    let outcome = juliet.set(forged).unwrap();
    assert_eq!(
        sent(&outcome),
        [push(
            "<item jid='romeo@example.net' name='R' subscription='none'/>"
        )]
    );
    assert_eq!(juliet.subscription("romeo@example.net"), Subscription::None);

    // And it does not take away what is there either.
    juliet.sends(P::Subscribe, "romeo@example.net");
    juliet.sends(P::Subscribed, "romeo@example.net");
    juliet
        .set("<item jid='romeo@example.net' subscription='none' approved='false'/>")
        .unwrap();
    let item = juliet.roster.get("romeo@example.net").unwrap();
    assert_eq!(
        (item.subscription(), item.approved()),
        (Subscription::NonePendingOut, true)
    );
}

#[test]
fn rfc6121_2_3_3_each_violation_has_its_error() {
    let long = "x".repeat(1_024);
    let many: String = (0..33).map(|number| format!("<group>{number}</group>")).collect();
    for (set, error) in [
        (
            "<item jid='nurse@example.com'/><item jid='mother@example.com'/>",
            "modify/bad-request",
        ),
        ("", "modify/bad-request"),
        (
            "<item xmlns='urn:other' jid='nurse@example.com'/>",
            "modify/bad-request",
        ),
        ("<item name='Nurse'/>", "modify/bad-request"),
        ("<item jid='nurse@example.com/room'/>", "modify/bad-request"),
        ("<item jid='a@b@c'/>", "modify/jid-malformed"),
        ("<item jid=''/>", "modify/jid-malformed"),
        (
            "<item jid='nurse@example.com'><group>A</group><group>B</group><group>A</group></item>",
            "modify/bad-request",
        ),
        (
            "<item jid='nurse@example.com'><group/></item>",
            "modify/not-acceptable",
        ),
        (
            "<item jid='nurse@example.com'><group></group></item>",
            "modify/not-acceptable",
        ),
        (
            &format!("<item jid='nurse@example.com'><group>{long}</group></item>"),
            "modify/not-acceptable",
        ),
        (
            &format!("<item jid='nurse@example.com' name='{long}'/>"),
            "modify/not-acceptable",
        ),
        (
            &format!("<item jid='nurse@example.com'>{many}</item>"),
            "modify/not-acceptable",
        ),
        // §2.3.3, interoperability note.
        ("<item jid='juliet@example.com'/>", "cancel/not-allowed"),
    ] {
        assert_eq!(User::juliet().set(set).unwrap_err(), error, "{set}");
    }
}

#[test]
fn a_roster_grows_up_to_its_limit_and_items_can_still_be_changed_there() {
    let mut juliet = User::juliet();
    juliet.limits.items = 2;
    juliet.set("<item jid='a@example.com'/>").unwrap();
    juliet.set("<item jid='b@example.com'/>").unwrap();
    assert_eq!(
        juliet.set("<item jid='c@example.com'/>").unwrap_err(),
        "modify/policy-violation"
    );
    juliet.set("<item jid='b@example.com' name='B'/>").unwrap();
    let contact = address("c@example.com");
    for stanza in [P::Subscribe, P::Subscribed] {
        assert!(juliet.roster.outbound(stanza, &contact, &juliet.limits).is_err());
    }
    // What makes no item is not refused.
    assert!(
        juliet
            .roster
            .outbound(P::Unsubscribe, &contact, &juliet.limits)
            .is_ok()
    );
}

#[test]
fn rfc6121_2_5_3_who_is_not_there_cannot_be_removed() {
    let mut juliet = User::juliet();
    let remove = "<item jid='nurse@example.com' subscription='remove'/>";
    assert_eq!(juliet.set(remove).unwrap_err(), "modify/item-not-found");
    // A stranger whose request waits is no item.
    juliet.receives(P::Subscribe, "nurse@example.com");
    assert_eq!(juliet.set(remove).unwrap_err(), "modify/item-not-found");
}

/// A user with one contact in the given state.
fn in_state(state: Subscription) -> User {
    let mut juliet = User::juliet();
    let contact = "nurse@example.com";
    juliet
        .set("<item jid='nurse@example.com' name='Nurse'/>")
        .unwrap();
    if state.contact_is_subscribed() || state.is_pending_in() {
        juliet.receives(P::Subscribe, contact);
    }
    if state.contact_is_subscribed() {
        juliet.sends(P::Subscribed, contact);
    }
    if state.user_is_subscribed() || state.is_pending_out() {
        juliet.sends(P::Subscribe, contact);
    }
    if state.user_is_subscribed() {
        juliet.receives(P::Subscribed, contact);
    }
    assert_eq!(juliet.subscription(contact), state);
    juliet
}

#[test]
fn rfc6121_2_5_2_removal_ends_every_subscription_and_every_question() {
    let removed = push("<item jid='nurse@example.com' subscription='remove'/>");
    for (state, sends) in [
        (Subscription::None, vec![]),
        (Subscription::NonePendingOut, vec![Sent::Unsubscribe]),
        (Subscription::NonePendingIn, vec![Sent::Unsubscribed]),
        (
            Subscription::NonePendingOutIn,
            vec![Sent::Unsubscribe, Sent::Unsubscribed],
        ),
        (Subscription::To, vec![Sent::Unsubscribe]),
        (
            Subscription::ToPendingIn,
            vec![Sent::Unsubscribe, Sent::Unsubscribed],
        ),
        (Subscription::From, vec![Sent::Unavailable, Sent::Unsubscribed]),
        (
            Subscription::FromPendingOut,
            vec![Sent::Unsubscribe, Sent::Unavailable, Sent::Unsubscribed],
        ),
        (
            Subscription::Both,
            vec![Sent::Unsubscribe, Sent::Unavailable, Sent::Unsubscribed],
        ),
    ] {
        let mut juliet = in_state(state);
        let outcome = juliet
            .set("<item jid='nurse@example.com' subscription='remove'/>")
            .unwrap();
        let expected: Vec<Sent> = [removed.clone()].into_iter().chain(sends).collect();
        assert_eq!(sent(&outcome), expected, "{state:?}");
        assert_eq!(
            juliet.subscription("nurse@example.com"),
            Subscription::None,
            "{state:?}"
        );
        assert!(juliet.roster.is_empty() && juliet.roster.requests().count() == 0);
    }
}

#[test]
fn names_and_groups_are_escaped_on_their_way_out() {
    let mut juliet = User::juliet();
    let set = "<item jid='nurse@example.com' name='&lt;&apos;&amp;'><group>a&lt;b]]&gt;</group></item>";
    let outcome = juliet.set(set).unwrap();
    let [Send::Push(pushed)] = &outcome.sends[..] else {
        panic!("one push")
    };
    let query = super::tree(&String::from_utf8(pushed.payload()).unwrap());
    let item = query.children().next().unwrap();
    assert_eq!(item.attribute("jid"), Some("nurse@example.com"));
    assert_eq!(item.attribute("name"), Some("<'&"));
    assert_eq!(item.children().next().unwrap().content(), "a<b]]>");
}

#[test]
fn rfc6121_4_audiences_are_read_from_the_roster() {
    let mut juliet = User::juliet();
    for (contact, stanzas) in [("a@x", 0), ("b@x", 1), ("c@x", 2)] {
        juliet.receives(P::Subscribe, contact);
        juliet.sends(P::Subscribed, contact);
        if stanzas > 0 {
            juliet.sends(P::Subscribe, contact);
        }
        if stanzas > 1 {
            juliet.receives(P::Subscribed, contact);
        }
    }
    let texts = |contacts: Vec<&Address>| {
        contacts
            .iter()
            .map(|contact| contact.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        texts(juliet.roster.subscribers().collect()),
        ["a@x", "b@x", "c@x"]
    );
    assert_eq!(texts(juliet.roster.subscriptions().collect()), ["c@x"]);
    assert_eq!(texts(juliet.roster.unanswered().collect()), ["b@x"]);
}
