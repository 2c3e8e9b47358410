//! The eight tables of RFC 6121 appendix A, one test per row: state, whether the stanza passes, new state, footnote.

use crate::Subscription as S;
use crate::{Reply, State, SubscriptionStanza, inbound, outbound};

/// `name: direction stanza, state, passes, new state, what the footnote says;`
macro_rules! rows {
    ($($name:ident: $direction:ident $stanza:ident, $state:ident, $passes:ident, $new:ident, $note:ident;)*) => {
        $(#[test]
        fn $name() {
            let before = State { subscription: S::$state, approved: false };
            let step = $direction(SubscriptionStanza::$stanza, before);
            assert_eq!(step.before, before);
            assert_eq!(step.after.subscription, S::$new);
            assert_eq!(step.passes, passes!($passes));
            assert_eq!((step.after.approved, step.reply), note!($note));
        })*
    };
}

/// The words of the RFC: MUST, SHOULD NOT, MUST NOT.
macro_rules! passes {
    (must) => {
        true
    };
    (should_not) => {
        false
    };
    (must_not) => {
        false
    };
}

/// Whether the contact is approved in advance afterwards, and what the server replies by itself.
macro_rules! note {
    (nothing) => {
        (false, None)
    };
    (pre_approval) => {
        (true, None)
    };
    (auto_subscribed) => {
        (false, Some(Reply::Subscribed))
    };
    (auto_unsubscribed) => {
        (false, Some(Reply::Unsubscribed))
    };
}

// Table 2.
rows! {
    rfc6121_a_2_1_outbound_subscribe_in_none: outbound Subscribe, None, must, NonePendingOut, nothing;
    rfc6121_a_2_1_outbound_subscribe_in_none_pending_out: outbound Subscribe, NonePendingOut, must, NonePendingOut, nothing;
    rfc6121_a_2_1_outbound_subscribe_in_none_pending_in: outbound Subscribe, NonePendingIn, must, NonePendingOutIn, nothing;
    rfc6121_a_2_1_outbound_subscribe_in_none_pending_out_in: outbound Subscribe, NonePendingOutIn, must, NonePendingOutIn, nothing;
    rfc6121_a_2_1_outbound_subscribe_in_to: outbound Subscribe, To, must, To, nothing;
    rfc6121_a_2_1_outbound_subscribe_in_to_pending_in: outbound Subscribe, ToPendingIn, must, ToPendingIn, nothing;
    rfc6121_a_2_1_outbound_subscribe_in_from: outbound Subscribe, From, must, FromPendingOut, nothing;
    rfc6121_a_2_1_outbound_subscribe_in_from_pending_out: outbound Subscribe, FromPendingOut, must, FromPendingOut, nothing;
    rfc6121_a_2_1_outbound_subscribe_in_both: outbound Subscribe, Both, must, Both, nothing;
}

// Table 3.
rows! {
    rfc6121_a_2_2_outbound_unsubscribe_in_none: outbound Unsubscribe, None, must, None, nothing;
    rfc6121_a_2_2_outbound_unsubscribe_in_none_pending_out: outbound Unsubscribe, NonePendingOut, must, None, nothing;
    rfc6121_a_2_2_outbound_unsubscribe_in_none_pending_in: outbound Unsubscribe, NonePendingIn, must, NonePendingIn, nothing;
    rfc6121_a_2_2_outbound_unsubscribe_in_none_pending_out_in: outbound Unsubscribe, NonePendingOutIn, must, NonePendingIn, nothing;
    rfc6121_a_2_2_outbound_unsubscribe_in_to: outbound Unsubscribe, To, must, None, nothing;
    rfc6121_a_2_2_outbound_unsubscribe_in_to_pending_in: outbound Unsubscribe, ToPendingIn, must, NonePendingIn, nothing;
    rfc6121_a_2_2_outbound_unsubscribe_in_from: outbound Unsubscribe, From, must, From, nothing;
    rfc6121_a_2_2_outbound_unsubscribe_in_from_pending_out: outbound Unsubscribe, FromPendingOut, must, From, nothing;
    rfc6121_a_2_2_outbound_unsubscribe_in_both: outbound Unsubscribe, Both, must, From, nothing;
}

// Table 4.
rows! {
    rfc6121_a_2_3_outbound_subscribed_in_none: outbound Subscribed, None, must_not, None, pre_approval;
    rfc6121_a_2_3_outbound_subscribed_in_none_pending_out: outbound Subscribed, NonePendingOut, must_not, NonePendingOut, pre_approval;
    rfc6121_a_2_3_outbound_subscribed_in_none_pending_in: outbound Subscribed, NonePendingIn, must, From, nothing;
    rfc6121_a_2_3_outbound_subscribed_in_none_pending_out_in: outbound Subscribed, NonePendingOutIn, must, FromPendingOut, nothing;
    rfc6121_a_2_3_outbound_subscribed_in_to: outbound Subscribed, To, must_not, To, pre_approval;
    rfc6121_a_2_3_outbound_subscribed_in_to_pending_in: outbound Subscribed, ToPendingIn, must, Both, nothing;
    rfc6121_a_2_3_outbound_subscribed_in_from: outbound Subscribed, From, must_not, From, nothing;
    rfc6121_a_2_3_outbound_subscribed_in_from_pending_out: outbound Subscribed, FromPendingOut, must_not, FromPendingOut, nothing;
    rfc6121_a_2_3_outbound_subscribed_in_both: outbound Subscribed, Both, must_not, Both, nothing;
}

// Table 5.
rows! {
    rfc6121_a_2_4_outbound_unsubscribed_in_none: outbound Unsubscribed, None, should_not, None, nothing;
    rfc6121_a_2_4_outbound_unsubscribed_in_none_pending_out: outbound Unsubscribed, NonePendingOut, should_not, NonePendingOut, nothing;
    rfc6121_a_2_4_outbound_unsubscribed_in_none_pending_in: outbound Unsubscribed, NonePendingIn, must, None, nothing;
    rfc6121_a_2_4_outbound_unsubscribed_in_none_pending_out_in: outbound Unsubscribed, NonePendingOutIn, must, NonePendingOut, nothing;
    rfc6121_a_2_4_outbound_unsubscribed_in_to: outbound Unsubscribed, To, should_not, To, nothing;
    rfc6121_a_2_4_outbound_unsubscribed_in_to_pending_in: outbound Unsubscribed, ToPendingIn, must, To, nothing;
    rfc6121_a_2_4_outbound_unsubscribed_in_from: outbound Unsubscribed, From, must, None, nothing;
    rfc6121_a_2_4_outbound_unsubscribed_in_from_pending_out: outbound Unsubscribed, FromPendingOut, must, NonePendingOut, nothing;
    rfc6121_a_2_4_outbound_unsubscribed_in_both: outbound Unsubscribed, Both, must, To, nothing;
}

// Table 6.
rows! {
    rfc6121_a_3_1_inbound_subscribe_in_none: inbound Subscribe, None, must, NonePendingIn, nothing;
    rfc6121_a_3_1_inbound_subscribe_in_none_pending_out: inbound Subscribe, NonePendingOut, must, NonePendingOutIn, nothing;
    rfc6121_a_3_1_inbound_subscribe_in_none_pending_in: inbound Subscribe, NonePendingIn, should_not, NonePendingIn, nothing;
    rfc6121_a_3_1_inbound_subscribe_in_none_pending_out_in: inbound Subscribe, NonePendingOutIn, should_not, NonePendingOutIn, nothing;
    rfc6121_a_3_1_inbound_subscribe_in_to: inbound Subscribe, To, must, ToPendingIn, nothing;
    rfc6121_a_3_1_inbound_subscribe_in_to_pending_in: inbound Subscribe, ToPendingIn, should_not, ToPendingIn, nothing;
    rfc6121_a_3_1_inbound_subscribe_in_from: inbound Subscribe, From, should_not, From, auto_subscribed;
    rfc6121_a_3_1_inbound_subscribe_in_from_pending_out: inbound Subscribe, FromPendingOut, should_not, FromPendingOut, auto_subscribed;
    rfc6121_a_3_1_inbound_subscribe_in_both: inbound Subscribe, Both, should_not, Both, auto_subscribed;
}

// Table 7.
rows! {
    rfc6121_a_3_2_inbound_unsubscribe_in_none: inbound Unsubscribe, None, should_not, None, nothing;
    rfc6121_a_3_2_inbound_unsubscribe_in_none_pending_out: inbound Unsubscribe, NonePendingOut, should_not, NonePendingOut, nothing;
    rfc6121_a_3_2_inbound_unsubscribe_in_none_pending_in: inbound Unsubscribe, NonePendingIn, must, None, auto_unsubscribed;
    rfc6121_a_3_2_inbound_unsubscribe_in_none_pending_out_in: inbound Unsubscribe, NonePendingOutIn, must, NonePendingOut, auto_unsubscribed;
    rfc6121_a_3_2_inbound_unsubscribe_in_to: inbound Unsubscribe, To, should_not, To, nothing;
    rfc6121_a_3_2_inbound_unsubscribe_in_to_pending_in: inbound Unsubscribe, ToPendingIn, must, To, auto_unsubscribed;
    rfc6121_a_3_2_inbound_unsubscribe_in_from: inbound Unsubscribe, From, must, None, auto_unsubscribed;
    rfc6121_a_3_2_inbound_unsubscribe_in_from_pending_out: inbound Unsubscribe, FromPendingOut, must, NonePendingOut, auto_unsubscribed;
    rfc6121_a_3_2_inbound_unsubscribe_in_both: inbound Unsubscribe, Both, must, To, auto_unsubscribed;
}

// Table 8.
rows! {
    rfc6121_a_3_3_inbound_subscribed_in_none: inbound Subscribed, None, should_not, None, nothing;
    rfc6121_a_3_3_inbound_subscribed_in_none_pending_out: inbound Subscribed, NonePendingOut, must, To, nothing;
    rfc6121_a_3_3_inbound_subscribed_in_none_pending_in: inbound Subscribed, NonePendingIn, should_not, NonePendingIn, nothing;
    rfc6121_a_3_3_inbound_subscribed_in_none_pending_out_in: inbound Subscribed, NonePendingOutIn, must, ToPendingIn, nothing;
    rfc6121_a_3_3_inbound_subscribed_in_to: inbound Subscribed, To, should_not, To, nothing;
    rfc6121_a_3_3_inbound_subscribed_in_to_pending_in: inbound Subscribed, ToPendingIn, should_not, ToPendingIn, nothing;
    rfc6121_a_3_3_inbound_subscribed_in_from: inbound Subscribed, From, should_not, From, nothing;
    rfc6121_a_3_3_inbound_subscribed_in_from_pending_out: inbound Subscribed, FromPendingOut, must, Both, nothing;
    rfc6121_a_3_3_inbound_subscribed_in_both: inbound Subscribed, Both, should_not, Both, nothing;
}

// Table 9.
rows! {
    rfc6121_a_3_4_inbound_unsubscribed_in_none: inbound Unsubscribed, None, should_not, None, nothing;
    rfc6121_a_3_4_inbound_unsubscribed_in_none_pending_out: inbound Unsubscribed, NonePendingOut, must, None, nothing;
    rfc6121_a_3_4_inbound_unsubscribed_in_none_pending_in: inbound Unsubscribed, NonePendingIn, should_not, NonePendingIn, nothing;
    rfc6121_a_3_4_inbound_unsubscribed_in_none_pending_out_in: inbound Unsubscribed, NonePendingOutIn, must, NonePendingIn, nothing;
    rfc6121_a_3_4_inbound_unsubscribed_in_to: inbound Unsubscribed, To, must, None, nothing;
    rfc6121_a_3_4_inbound_unsubscribed_in_to_pending_in: inbound Unsubscribed, ToPendingIn, must, NonePendingIn, nothing;
    rfc6121_a_3_4_inbound_unsubscribed_in_from: inbound Unsubscribed, From, should_not, From, nothing;
    rfc6121_a_3_4_inbound_unsubscribed_in_from_pending_out: inbound Unsubscribed, FromPendingOut, must, From, nothing;
    rfc6121_a_3_4_inbound_unsubscribed_in_both: inbound Unsubscribed, Both, must, From, nothing;
}

#[test]
fn rfc6121_3_4_2_who_is_approved_is_answered_in_every_state_and_never_delivered() {
    for (state, new) in [
        (S::None, S::From),
        (S::NonePendingOut, S::FromPendingOut),
        (S::NonePendingIn, S::From),
        (S::NonePendingOutIn, S::FromPendingOut),
        (S::To, S::Both),
        (S::ToPendingIn, S::Both),
        (S::From, S::From),
        (S::FromPendingOut, S::FromPendingOut),
        (S::Both, S::Both),
    ] {
        let step = inbound(
            SubscriptionStanza::Subscribe,
            State {
                subscription: state,
                approved: true,
            },
        );
        assert_eq!(
            step.after,
            State {
                subscription: new,
                approved: true
            },
            "{state:?}"
        );
        assert_eq!(
            (step.passes, step.reply),
            (false, Some(Reply::Subscribed)),
            "{state:?}"
        );
    }
}

#[test]
fn rfc6121_3_4_2_an_approval_ends_with_unsubscribed_and_with_nothing_else() {
    for subscription in S::ALL {
        let before = State {
            subscription,
            approved: true,
        };
        for stanza in SubscriptionStanza::ALL {
            let ends = stanza == SubscriptionStanza::Unsubscribed;
            assert_eq!(
                outbound(stanza, before).after.approved,
                !ends,
                "{stanza:?} in {subscription:?}"
            );
            assert!(
                inbound(stanza, before).after.approved,
                "{stanza:?} in {subscription:?}"
            );
        }
        // §3.2.2 rule 2: it is removed without a word to the contact.
        let step = outbound(SubscriptionStanza::Unsubscribed, before);
        let silent = matches!(subscription, S::None | S::NonePendingOut | S::To);
        assert_eq!(step.passes, !silent, "{subscription:?}");
        assert!(step.shows(), "{subscription:?}");
    }
}
