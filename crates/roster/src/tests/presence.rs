//! RFC 6121 §3: what is sent, in which order, and what waits.

use super::{Sent, User, address, push};
use crate::{Subscription, SubscriptionStanza as P};

const ROMEO: &str = "romeo@example.net";

#[test]
fn rfc6121_3_1_2_a_request_is_routed_then_pushed_as_pending() {
    let mut juliet = User::juliet();
    let pending = push("<item jid='romeo@example.net' subscription='none' ask='subscribe'/>");
    assert_eq!(
        juliet.sends(P::Subscribe, "romeo@example.net/orchard"),
        [Sent::Route, pending]
    );
    // Asked again it is routed again, but nothing has changed for the clients.
    assert_eq!(juliet.sends(P::Subscribe, ROMEO), [Sent::Route]);
}

#[test]
fn rfc6121_3_1_3_a_request_is_delivered_and_kept_and_makes_no_item() {
    let mut juliet = User::juliet();
    assert_eq!(
        juliet.receives(P::Subscribe, "romeo@example.net/orchard"),
        [Sent::Deliver]
    );
    assert!(juliet.roster.is_empty());
    assert_eq!(juliet.subscription(ROMEO), Subscription::NonePendingIn);
    let (contact, stanza) = juliet.roster.requests().next().unwrap();
    assert_eq!(
        (contact.as_str(), &**stanza),
        (ROMEO, &b"<presence from='romeo@example.net/orchard'/>"[..])
    );
    // Only one request of a contact waits, the first.
    assert_eq!(juliet.receives(P::Subscribe, "romeo@example.net/other"), []);
    assert_eq!(juliet.roster.requests().count(), 1);
    assert!(
        juliet
            .roster
            .requests()
            .next()
            .unwrap()
            .1
            .ends_with(b"orchard'/>")
    );
}

#[test]
fn rfc6121_3_1_5_an_approval_is_routed_pushed_and_followed_by_presence() {
    let mut juliet = User::juliet();
    juliet.receives(P::Subscribe, ROMEO);
    let approved = push("<item jid='romeo@example.net' subscription='from'/>");
    assert_eq!(
        juliet.sends(P::Subscribed, ROMEO),
        [Sent::Route, approved, Sent::Presence]
    );
    assert_eq!(juliet.roster.requests().count(), 0);
}

#[test]
fn rfc6121_3_1_6_an_approval_is_delivered_before_it_is_pushed() {
    let mut juliet = User::juliet();
    juliet.sends(P::Subscribe, ROMEO);
    let subscribed = push("<item jid='romeo@example.net' subscription='to'/>");
    assert_eq!(juliet.receives(P::Subscribed, ROMEO), [Sent::Deliver, subscribed]);
    // Who was not asked has nothing to approve.
    assert_eq!(juliet.receives(P::Subscribed, ROMEO), []);
    assert_eq!(juliet.receives(P::Subscribed, "tybalt@example.net"), []);
}

#[test]
fn rfc6121_3_2_2_a_cancellation_comes_after_unavailable() {
    let mut juliet = User::juliet();
    juliet.receives(P::Subscribe, ROMEO);
    juliet.sends(P::Subscribed, ROMEO);
    let none = push("<item jid='romeo@example.net' subscription='none'/>");
    assert_eq!(
        juliet.sends(P::Unsubscribed, ROMEO),
        [Sent::Unavailable, Sent::Route, none]
    );
    // Rule 1: to who is not subscribed, nothing goes.
    assert_eq!(juliet.sends(P::Unsubscribed, ROMEO), []);
    assert_eq!(juliet.sends(P::Unsubscribed, "tybalt@example.net"), []);
}

#[test]
fn rfc6121_3_2_2_a_request_is_denied_without_presence_and_without_an_item() {
    let mut juliet = User::juliet();
    juliet.receives(P::Subscribe, ROMEO);
    assert_eq!(juliet.sends(P::Unsubscribed, ROMEO), [Sent::Route]);
    assert_eq!((juliet.roster.requests().count(), juliet.roster.len()), (0, 0));
}

#[test]
fn rfc6121_3_2_3_a_cancellation_is_delivered_before_it_is_pushed() {
    let mut juliet = User::juliet();
    juliet.sends(P::Subscribe, ROMEO);
    juliet.receives(P::Subscribed, ROMEO);
    let none = push("<item jid='romeo@example.net' subscription='none'/>");
    assert_eq!(juliet.receives(P::Unsubscribed, ROMEO), [Sent::Deliver, none]);
    assert_eq!(juliet.receives(P::Unsubscribed, ROMEO), []);
}

#[test]
fn rfc6121_3_3_2_an_unsubscribe_is_routed_then_pushed() {
    let mut juliet = User::juliet();
    juliet.sends(P::Subscribe, ROMEO);
    juliet.receives(P::Subscribed, ROMEO);
    let none = push("<item jid='romeo@example.net' subscription='none'/>");
    assert_eq!(juliet.sends(P::Unsubscribe, ROMEO), [Sent::Route, none]);
}

#[test]
fn rfc6121_3_3_3_an_unsubscribe_is_delivered_pushed_and_followed_by_unavailable() {
    let mut juliet = User::juliet();
    juliet.receives(P::Subscribe, ROMEO);
    juliet.sends(P::Subscribed, ROMEO);
    let none = push("<item jid='romeo@example.net' subscription='none'/>");
    let sends = juliet.receives(P::Unsubscribe, ROMEO);
    assert_eq!(
        sends,
        [Sent::Deliver, Sent::Unsubscribed, none, Sent::Unavailable]
    );
    assert_eq!(juliet.receives(P::Unsubscribe, ROMEO), []);
}

#[test]
fn rfc6121_3_3_3_a_withdrawn_request_leaves_nothing_behind() {
    let mut juliet = User::juliet();
    juliet.receives(P::Subscribe, ROMEO);
    assert_eq!(
        juliet.receives(P::Unsubscribe, ROMEO),
        [Sent::Deliver, Sent::Unsubscribed]
    );
    assert_eq!(juliet.subscription(ROMEO), Subscription::None);
    assert_eq!((juliet.roster.requests().count(), juliet.roster.len()), (0, 0));
}

#[test]
fn rfc6121_3_4_2_an_approval_in_advance_is_shown_and_stays_here() {
    let mut juliet = User::juliet();
    let approved = push("<item jid='romeo@example.net' subscription='none' approved='true'/>");
    assert_eq!(juliet.sends(P::Subscribed, ROMEO), [approved]);
    assert_eq!(juliet.sends(P::Subscribed, ROMEO), []);

    let from = push("<item jid='romeo@example.net' subscription='from' approved='true'/>");
    assert_eq!(
        juliet.receives(P::Subscribe, ROMEO),
        [Sent::Subscribed, from, Sent::Presence]
    );
    assert_eq!(juliet.roster.requests().count(), 0);
}

#[test]
fn rfc6121_3_4_2_an_approval_in_advance_is_taken_back_in_silence() {
    let mut juliet = User::juliet();
    juliet.sends(P::Subscribed, ROMEO);
    let plain = push("<item jid='romeo@example.net' subscription='none'/>");
    assert_eq!(juliet.sends(P::Unsubscribed, ROMEO), [plain]);
    assert_eq!(juliet.receives(P::Subscribe, ROMEO), [Sent::Deliver]);
}

#[test]
fn rfc6121_a_1_an_item_made_for_who_has_asked_joins_the_request() {
    let mut juliet = User::juliet();
    juliet.receives(P::Subscribe, ROMEO);
    juliet
        .set("<item jid='romeo@example.net' name='Romeo'/>")
        .unwrap();
    assert_eq!(
        juliet.roster.get(ROMEO).unwrap().subscription(),
        Subscription::NonePendingIn
    );
    let from = push("<item jid='romeo@example.net' name='Romeo' subscription='from'/>");
    assert_eq!(
        juliet.sends(P::Subscribed, ROMEO),
        [Sent::Route, from, Sent::Presence]
    );
}

#[test]
fn rfc6121_3_1_3_what_waits_is_limited_in_number_and_size() {
    let mut juliet = User::juliet();
    juliet.limits.requests = 1;
    juliet.limits.request_bytes = 100;
    let large = [b' '; 101];
    let refused = juliet
        .roster
        .inbound(P::Subscribe, &address(ROMEO), &large, &juliet.limits)
        .unwrap_err();
    assert_eq!(refused.condition.as_str(), "policy-violation");
    assert_eq!(juliet.subscription(ROMEO), Subscription::None);
    juliet.receives(P::Subscribe, ROMEO);
    let other = address("tybalt@example.net");
    let refused = juliet
        .roster
        .inbound(P::Subscribe, &other, b"", &juliet.limits)
        .unwrap_err();
    assert_eq!(refused.condition.as_str(), "resource-constraint");
    assert_eq!(juliet.roster.requests().count(), 1);
}

#[test]
fn nobody_subscribes_to_oneself() {
    let mut juliet = User::juliet();
    let own = address("juliet@example.com/balcony");
    for stanza in P::ALL {
        let refused = juliet.roster.outbound(stanza, &own, &juliet.limits).unwrap_err();
        assert_eq!(refused.condition.as_str(), "not-allowed");
        assert!(juliet.roster.inbound(stanza, &own, b"", &juliet.limits).is_err());
    }
}
