//! The tables of RFC 6121 appendix A.2 and A.3, with pre-approval (§3.4).
//!
//! The eight tables stand as they stand in the RFC: one row per state, in its order. What else follows from a row (what
//! becomes of the approval, whether the roster shows a difference) follows from the columns and is computed once.

use stanza::PresenceType;

use crate::Subscription;
use crate::Subscription as S;

/// The four types of presence that manage subscriptions (RFC 6121 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubscriptionStanza {
    /// Asks for a subscription.
    Subscribe,
    /// Grants one, also in advance.
    Subscribed,
    /// Gives one up.
    Unsubscribe,
    /// Refuses or cancels one.
    Unsubscribed,
}

impl SubscriptionStanza {
    /// All four.
    pub const ALL: [SubscriptionStanza; 4] = [
        SubscriptionStanza::Subscribe,
        SubscriptionStanza::Subscribed,
        SubscriptionStanza::Unsubscribe,
        SubscriptionStanza::Unsubscribed,
    ];

    /// The presence type as one of the four; `None` for all other presence.
    pub fn of(kind: PresenceType) -> Option<SubscriptionStanza> {
        match kind {
            PresenceType::Subscribe => Some(SubscriptionStanza::Subscribe),
            PresenceType::Subscribed => Some(SubscriptionStanza::Subscribed),
            PresenceType::Unsubscribe => Some(SubscriptionStanza::Unsubscribe),
            PresenceType::Unsubscribed => Some(SubscriptionStanza::Unsubscribed),
            PresenceType::Available
            | PresenceType::Error
            | PresenceType::Probe
            | PresenceType::Unavailable => None,
        }
    }
}

/// What a roster knows of one contact's subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    /// One of the nine.
    pub subscription: Subscription,
    /// Whether the user has approved the contact's request in advance (RFC 6121 §3.4).
    pub approved: bool,
}

impl State {
    /// Whether a client could see a difference: in `subscription`, `ask` or `approved` (RFC 6121 §2.6.3, "roster
    /// modification").
    pub fn shows_like(self, other: State) -> bool {
        let shown = |state: State| {
            (
                state.subscription.relation(),
                state.subscription.is_pending_out(),
                state.approved,
            )
        };
        shown(self) == shown(other)
    }
}

/// What the server answers by itself, from the user's bare address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The contact is subscribed already, or was approved in advance (RFC 6121 §3.1.3 rule 2).
    Subscribed,
    /// The contact's subscription has ended (RFC 6121 A.3.2).
    Unsubscribed,
}

/// One step of a subscription: the row of a table, applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// The state before.
    pub before: State,
    /// The state after.
    pub after: State,
    /// Whether the stanza goes on: routed to the contact, or delivered to the user.
    pub passes: bool,
    /// What the server answers by itself.
    pub reply: Option<Reply>,
}

impl Step {
    /// Whether a roster item that existed before looks different afterwards, so that a push goes out.
    pub fn shows(&self) -> bool {
        !self.before.shows_like(self.after)
    }
}

/// What the user's own subscription stanza does (RFC 6121 A.2).
pub fn outbound(stanza: SubscriptionStanza, before: State) -> Step {
    let row = match stanza {
        SubscriptionStanza::Subscribe => outbound_subscribe(before.subscription),
        SubscriptionStanza::Unsubscribe => outbound_unsubscribe(before.subscription),
        SubscriptionStanza::Subscribed => outbound_subscribed(before.subscription),
        SubscriptionStanza::Unsubscribed => outbound_unsubscribed(before.subscription),
    };
    row.apply(before)
}

/// What a contact's subscription stanza does (RFC 6121 A.3).
pub fn inbound(stanza: SubscriptionStanza, before: State) -> Step {
    let row = match stanza {
        // A.3.1 [1] and §3.4.2: the user has said yes before the question came.
        SubscriptionStanza::Subscribe if before.approved => inbound_subscribe_approved(before.subscription),
        SubscriptionStanza::Subscribe => inbound_subscribe(before.subscription),
        SubscriptionStanza::Unsubscribe => inbound_unsubscribe(before.subscription),
        SubscriptionStanza::Subscribed => inbound_subscribed(before.subscription),
        SubscriptionStanza::Unsubscribed => inbound_unsubscribed(before.subscription),
    };
    row.apply(before)
}

/// A row: the new state, whether the stanza passes, and the footnote.
struct Row {
    new: Subscription,
    passes: bool,
    note: Note,
}

/// The footnotes of the tables.
enum Note {
    None,
    /// "pre-approval" (A.2.3).
    Approve,
    /// The end of a pre-approval (A.2.4, §3.4.2).
    Disapprove,
    /// Auto-reply (A.3.1, A.3.2).
    Reply(Reply),
}

impl Row {
    fn must(new: Subscription) -> Row {
        Row {
            new,
            passes: true,
            note: Note::None,
        }
    }

    fn not(new: Subscription) -> Row {
        Row {
            new,
            passes: false,
            note: Note::None,
        }
    }

    fn note(self, note: Note) -> Row {
        Row { note, ..self }
    }

    fn apply(self, before: State) -> Step {
        let (approved, reply) = match self.note {
            Note::None => (before.approved, None),
            Note::Approve => (true, None),
            Note::Disapprove => (false, None),
            Note::Reply(reply) => (before.approved, Some(reply)),
        };
        Step {
            before,
            after: State {
                subscription: self.new,
                approved,
            },
            passes: self.passes,
            reply,
        }
    }
}

/// Table 2 (A.2.1). Repeating the question is allowed at any time: it may have been lost.
fn outbound_subscribe(state: Subscription) -> Row {
    match state {
        S::None => Row::must(S::NonePendingOut),
        S::NonePendingOut => Row::must(S::NonePendingOut),
        S::NonePendingIn => Row::must(S::NonePendingOutIn),
        S::NonePendingOutIn => Row::must(S::NonePendingOutIn),
        S::To => Row::must(S::To),
        S::ToPendingIn => Row::must(S::ToPendingIn),
        S::From => Row::must(S::FromPendingOut),
        S::FromPendingOut => Row::must(S::FromPendingOut),
        S::Both => Row::must(S::Both),
    }
}

/// Table 3 (A.2.2).
fn outbound_unsubscribe(state: Subscription) -> Row {
    match state {
        S::None => Row::must(S::None),
        S::NonePendingOut => Row::must(S::None),
        S::NonePendingIn => Row::must(S::NonePendingIn),
        S::NonePendingOutIn => Row::must(S::NonePendingIn),
        S::To => Row::must(S::None),
        S::ToPendingIn => Row::must(S::NonePendingIn),
        S::From => Row::must(S::From),
        S::FromPendingOut => Row::must(S::From),
        S::Both => Row::must(S::From),
    }
}

/// Table 4 (A.2.3), with pre-approval (§3.4.2).
fn outbound_subscribed(state: Subscription) -> Row {
    match state {
        S::None => Row::not(S::None).note(Note::Approve),
        S::NonePendingOut => Row::not(S::NonePendingOut).note(Note::Approve),
        S::NonePendingIn => Row::must(S::From),
        S::NonePendingOutIn => Row::must(S::FromPendingOut),
        S::To => Row::not(S::To).note(Note::Approve),
        S::ToPendingIn => Row::must(S::Both),
        S::From => Row::not(S::From),
        S::FromPendingOut => Row::not(S::FromPendingOut),
        S::Both => Row::not(S::Both),
    }
}

/// Table 5 (A.2.4). Whatever the state, no approval outlives it (§3.4.2, first implementation note).
fn outbound_unsubscribed(state: Subscription) -> Row {
    let row = match state {
        S::None => Row::not(S::None),
        S::NonePendingOut => Row::not(S::NonePendingOut),
        S::NonePendingIn => Row::must(S::None),
        S::NonePendingOutIn => Row::must(S::NonePendingOut),
        S::To => Row::not(S::To),
        S::ToPendingIn => Row::must(S::To),
        S::From => Row::must(S::None),
        S::FromPendingOut => Row::must(S::NonePendingOut),
        S::Both => Row::must(S::To),
    };
    row.note(Note::Disapprove)
}

/// Table 6 (A.3.1).
fn inbound_subscribe(state: Subscription) -> Row {
    match state {
        S::None => Row::must(S::NonePendingIn),
        S::NonePendingOut => Row::must(S::NonePendingOutIn),
        S::NonePendingIn => Row::not(S::NonePendingIn),
        S::NonePendingOutIn => Row::not(S::NonePendingOutIn),
        S::To => Row::must(S::ToPendingIn),
        S::ToPendingIn => Row::not(S::ToPendingIn),
        S::From => Row::not(S::From).note(Note::Reply(Reply::Subscribed)),
        S::FromPendingOut => Row::not(S::FromPendingOut).note(Note::Reply(Reply::Subscribed)),
        S::Both => Row::not(S::Both).note(Note::Reply(Reply::Subscribed)),
    }
}

/// Table 6 with its footnote [1], for a contact that was approved in advance (§3.4.2): never delivered, always answered.
fn inbound_subscribe_approved(state: Subscription) -> Row {
    let new = match state {
        S::None | S::NonePendingIn | S::From => S::From,
        S::NonePendingOut | S::NonePendingOutIn | S::FromPendingOut => S::FromPendingOut,
        S::To | S::ToPendingIn | S::Both => S::Both,
    };
    Row::not(new).note(Note::Reply(Reply::Subscribed))
}

/// Table 7 (A.3.2). §3.3.3 would pass over a request that is withdrawn before it was answered in silence; the table is
/// the complete account, and tells the user.
fn inbound_unsubscribe(state: Subscription) -> Row {
    match state {
        S::None => Row::not(S::None),
        S::NonePendingOut => Row::not(S::NonePendingOut),
        S::NonePendingIn => Row::must(S::None).note(Note::Reply(Reply::Unsubscribed)),
        S::NonePendingOutIn => Row::must(S::NonePendingOut).note(Note::Reply(Reply::Unsubscribed)),
        S::To => Row::not(S::To),
        S::ToPendingIn => Row::must(S::To).note(Note::Reply(Reply::Unsubscribed)),
        S::From => Row::must(S::None).note(Note::Reply(Reply::Unsubscribed)),
        S::FromPendingOut => Row::must(S::NonePendingOut).note(Note::Reply(Reply::Unsubscribed)),
        S::Both => Row::must(S::To).note(Note::Reply(Reply::Unsubscribed)),
    }
}

/// Table 8 (A.3.3).
fn inbound_subscribed(state: Subscription) -> Row {
    match state {
        S::None => Row::not(S::None),
        S::NonePendingOut => Row::must(S::To),
        S::NonePendingIn => Row::not(S::NonePendingIn),
        S::NonePendingOutIn => Row::must(S::ToPendingIn),
        S::To => Row::not(S::To),
        S::ToPendingIn => Row::not(S::ToPendingIn),
        S::From => Row::not(S::From),
        S::FromPendingOut => Row::must(S::Both),
        S::Both => Row::not(S::Both),
    }
}

/// Table 9 (A.3.4).
fn inbound_unsubscribed(state: Subscription) -> Row {
    match state {
        S::None => Row::not(S::None),
        S::NonePendingOut => Row::must(S::None),
        S::NonePendingIn => Row::not(S::NonePendingIn),
        S::NonePendingOutIn => Row::must(S::NonePendingIn),
        S::To => Row::must(S::None),
        S::ToPendingIn => Row::must(S::NonePendingIn),
        S::From => Row::not(S::From),
        S::FromPendingOut => Row::must(S::From),
        S::Both => Row::must(S::From),
    }
}
