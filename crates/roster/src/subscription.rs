//! The nine subscription states and how a roster shows them (RFC 6121 appendix A.1).

/// A subscription state, seen from the user (RFC 6121 appendix A.1). A contact that is not in the roster is `None`, or
/// `NonePendingIn` while its request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subscription {
    /// Neither is subscribed, neither has asked.
    None,
    /// The user has asked.
    NonePendingOut,
    /// The contact has asked.
    NonePendingIn,
    /// Both have asked.
    NonePendingOutIn,
    /// The user is subscribed.
    To,
    /// The user is subscribed and the contact has asked.
    ToPendingIn,
    /// The contact is subscribed.
    From,
    /// The contact is subscribed and the user has asked.
    FromPendingOut,
    /// Both are subscribed.
    Both,
}

impl Subscription {
    /// Every state, in the order of the RFC.
    pub const ALL: [Subscription; 9] = [
        Subscription::None,
        Subscription::NonePendingOut,
        Subscription::NonePendingIn,
        Subscription::NonePendingOutIn,
        Subscription::To,
        Subscription::ToPendingIn,
        Subscription::From,
        Subscription::FromPendingOut,
        Subscription::Both,
    ];

    /// What the `subscription` attribute says (RFC 6121 §2.1.2.5).
    pub fn relation(self) -> Relation {
        match self {
            Subscription::None
            | Subscription::NonePendingOut
            | Subscription::NonePendingIn
            | Subscription::NonePendingOutIn => Relation::None,
            Subscription::To | Subscription::ToPendingIn => Relation::To,
            Subscription::From | Subscription::FromPendingOut => Relation::From,
            Subscription::Both => Relation::Both,
        }
    }

    /// Whether the user has asked and waits for an answer: `ask='subscribe'` (RFC 6121 §2.1.2.2).
    pub fn is_pending_out(self) -> bool {
        matches!(
            self,
            Subscription::NonePendingOut | Subscription::NonePendingOutIn | Subscription::FromPendingOut
        )
    }

    /// Whether the contact has asked and waits for an answer.
    pub fn is_pending_in(self) -> bool {
        matches!(
            self,
            Subscription::NonePendingIn | Subscription::NonePendingOutIn | Subscription::ToPendingIn
        )
    }

    /// Whether the user receives the contact's presence.
    pub fn user_is_subscribed(self) -> bool {
        self.relation().user_is_subscribed()
    }

    /// Whether the contact receives the user's presence.
    pub fn contact_is_subscribed(self) -> bool {
        self.relation().contact_is_subscribed()
    }

    /// The state that a roster shows as `relation` and `ask`, with or without a request of the contact that waits.
    ///
    /// What cannot be at once (a question to which the answer was yes) is resolved in favour of the subscription.
    pub fn from_parts(relation: Relation, ask: bool, contact_asks: bool) -> Subscription {
        match (relation, ask, contact_asks) {
            (Relation::None, false, false) => Subscription::None,
            (Relation::None, true, false) => Subscription::NonePendingOut,
            (Relation::None, false, true) => Subscription::NonePendingIn,
            (Relation::None, true, true) => Subscription::NonePendingOutIn,
            (Relation::To, _, false) => Subscription::To,
            (Relation::To, _, true) => Subscription::ToPendingIn,
            (Relation::From, false, _) => Subscription::From,
            (Relation::From, true, _) => Subscription::FromPendingOut,
            (Relation::Both, _, _) => Subscription::Both,
        }
    }
}

/// The values of the `subscription` attribute (RFC 6121 §2.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// Neither receives the other's presence; also a contact that is not in the roster.
    None,
    /// The user receives the contact's presence.
    To,
    /// The contact receives the user's presence.
    From,
    /// Both receive each other's presence.
    Both,
}

impl Relation {
    /// Every value.
    pub const ALL: [Relation; 4] = [Relation::None, Relation::To, Relation::From, Relation::Both];

    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Relation::None => "none",
            Relation::To => "to",
            Relation::From => "from",
            Relation::Both => "both",
        }
    }

    /// Reads the value of an attribute.
    pub fn parse(value: &str) -> Option<Relation> {
        Self::ALL.into_iter().find(|relation| relation.as_str() == value)
    }

    /// The number under which it is stored: bit 0 for "to", bit 1 for "from".
    pub fn code(self) -> u8 {
        match self {
            Relation::None => 0,
            Relation::To => 1,
            Relation::From => 2,
            Relation::Both => 3,
        }
    }

    /// Reads a stored number.
    pub fn from_code(code: u8) -> Option<Relation> {
        Self::ALL.into_iter().find(|relation| relation.code() == code)
    }

    /// Whether the user receives the contact's presence.
    pub fn user_is_subscribed(self) -> bool {
        matches!(self, Relation::To | Relation::Both)
    }

    /// Whether the contact receives the user's presence.
    pub fn contact_is_subscribed(self) -> bool {
        matches!(self, Relation::From | Relation::Both)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc6121_a_1_each_state_is_its_parts() {
        for state in Subscription::ALL {
            let parts = (state.relation(), state.is_pending_out(), state.is_pending_in());
            assert_eq!(Subscription::from_parts(parts.0, parts.1, parts.2), state);
        }
    }

    #[test]
    fn stored_numbers_and_attribute_values_are_read_back() {
        for relation in Relation::ALL {
            assert_eq!(Relation::from_code(relation.code()), Some(relation));
            assert_eq!(Relation::parse(relation.as_str()), Some(relation));
        }
        assert_eq!((Relation::from_code(4), Relation::parse("remove")), (None, None));
    }
}
