//! The question and its answer.

use stanza::namespace::BLOCKING_ERRORS;
use stanza::{Address, Condition, ErrorKind, IqType, Kind, MessageType, PresenceType, StanzaError};

use crate::ListName;

/// Which way a stanza goes, seen from the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// To the user.
    In,
    /// From the user.
    Out,
}

impl Direction {
    /// As it is written in figures and explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
        }
    }
}

/// May this stanza pass?
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The user whose lists are asked; its resource does not matter.
    pub account: &'a Address,
    /// The list that the session has made active which sends the stanza or is to receive it. `None`: the default list
    /// applies, because that session has made none active, or because the stanza concerns the account as a whole or
    /// a user without a session (XEP-0016 §2.2 rule 2).
    pub active: Option<&'a ListName>,
    /// Which way it goes.
    pub direction: Direction,
    /// What it is.
    pub kind: Kind,
    /// The other side: the sender of what comes in, the recipient of what goes out.
    pub other: &'a Address,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passes.
    Pass(Ground),
    /// It does not.
    Deny(Denial),
}

impl Verdict {
    /// Whether it passes.
    pub fn passes(self) -> bool {
        match self {
            Verdict::Pass(_) => true,
            Verdict::Deny(_) => false,
        }
    }
}

/// Why a stanza passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// No list applies (XEP-0016 §2.2 rule 3).
    NoList,
    /// Between the user's own resources nothing is ever blocked (XEP-0016 §2.1, XEP-0191 §5).
    OwnAccount,
    /// The user's own server is no correspondent: without it the lists could not even be changed.
    OwnServer,
    /// No item of the list speaks of it (XEP-0016 §2.2 rule 7).
    NoItem,
    /// The item with this order allows it.
    Item(u32),
}

/// Why a stanza does not pass, and how that is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    /// The order of the item that denies it.
    pub order: u32,
    /// Whether the item is a block as XEP-0191 shows it.
    pub blocked: bool,
    /// Which way the stanza went.
    pub direction: Direction,
    /// What it was.
    pub kind: Kind,
}

impl Denial {
    /// The error for who sent the stanza; `None` where silence is due (XEP-0016 §2.14, XEP-0191 §3.3).
    pub fn answer(self) -> Option<StanzaError> {
        match self.direction {
            Direction::In => self.answer_stranger(),
            Direction::Out => self.answer_user(),
        }
    }

    /// To the other side the user looks like one who is not there.
    fn answer_stranger(self) -> Option<StanzaError> {
        match self.kind {
            Kind::Message(MessageType::Chat | MessageType::Normal) | Kind::Iq(IqType::Get | IqType::Set) => {
                Some(StanzaError::new(Condition::ServiceUnavailable))
            }
            // The error is a SHOULD. A room takes it for the end of an occupant, and a headline expects no answer.
            Kind::Message(MessageType::Groupchat | MessageType::Headline | MessageType::Error)
            | Kind::Iq(IqType::Result | IqType::Error)
            | Kind::Presence(_) => None,
        }
    }

    fn answer_user(self) -> Option<StanzaError> {
        if self.kind.is_error() || self.kind == Kind::Iq(IqType::Result) {
            return None;
        }
        let error = StanzaError::new(Condition::NotAcceptable).kind(ErrorKind::Cancel);
        Some(if self.blocked {
            error.application(format!("<blocked xmlns='{BLOCKING_ERRORS}'/>"))
        } else {
            error
        })
    }
}

/// What rules can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    MessageIn,
    IqIn,
    PresenceIn,
    PresenceOut,
    /// Everything that only a rule for all stanzas reaches.
    Other,
}

impl Class {
    pub(crate) const ALL: [Class; 5] = [
        Class::MessageIn,
        Class::IqIn,
        Class::PresenceIn,
        Class::PresenceOut,
        Class::Other,
    ];

    pub(crate) fn of(direction: Direction, kind: Kind) -> Class {
        match (direction, kind) {
            (Direction::In, Kind::Message(_)) => Class::MessageIn,
            (Direction::In, Kind::Iq(_)) => Class::IqIn,
            (Direction::In, Kind::Presence(kind)) if is_notification(kind) => Class::PresenceIn,
            (Direction::Out, Kind::Presence(kind)) if is_notification(kind) => Class::PresenceOut,
            (Direction::In, Kind::Presence(_))
            | (Direction::Out, Kind::Message(_) | Kind::Iq(_) | Kind::Presence(_)) => Class::Other,
        }
    }
}

/// XEP-0016 §2: notifications are presence without a type, and of type `unavailable`, only.
fn is_notification(kind: PresenceType) -> bool {
    matches!(kind, PresenceType::Available | PresenceType::Unavailable)
}
