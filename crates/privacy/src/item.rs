//! One rule of a list: whom it speaks of, of which stanzas, and what becomes of them (XEP-0016 §2.1).

use std::fmt;

use roster::Relation;
use stanza::Address;

use crate::question::Class;

/// One `<item/>` (XEP-0016 §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its place among the items; unique in its list.
    pub order: u32,
    /// Whom it speaks of.
    pub subject: Subject,
    /// What becomes of the stanzas.
    pub action: Action,
    /// Of which stanzas it speaks.
    pub scope: Scope,
}

impl Item {
    /// What XEP-0191 shows as blocked: one address, denied, in everything (XEP-0191 §5).
    pub fn blocks(&self) -> Option<&Address> {
        match &self.subject {
            Subject::Jid(jid) if self.action == Action::Deny && self.scope == Scope::ALL => Some(jid),
            Subject::Jid(_) | Subject::Group(_) | Subject::Subscription(_) | Subject::Everyone => None,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action.as_str())?;
        match self.scope {
            Scope::ALL => f.write_str(" everything")?,
            scope => {
                for (place, name) in scope.names().enumerate() {
                    f.write_str(if place == 0 { " " } else { ", " })?;
                    f.write_str(name)?;
                }
            }
        }
        match &self.subject {
            Subject::Jid(jid) => write!(f, " for {jid}"),
            Subject::Group(group) => write!(f, " for the group {group:?}"),
            Subject::Subscription(relation) => write!(f, " for the subscription {:?}", relation.as_str()),
            Subject::Everyone => f.write_str(" for everyone"),
        }
    }
}

/// Whom a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An address in one of its four forms: a bare one stands for all its resources, a domain for all that is in it.
    Jid(Address),
    /// Who is in this group of the roster.
    Group(Box<str>),
    /// Whose subscription is exactly this.
    Subscription(Relation),
    /// Everyone: the rule has no type, the "fall-through" case.
    Everyone,
}

impl Subject {
    /// The `type` attribute.
    pub fn type_attribute(&self) -> Option<&'static str> {
        match self {
            Subject::Jid(_) => Some("jid"),
            Subject::Group(_) => Some("group"),
            Subject::Subscription(_) => Some("subscription"),
            Subject::Everyone => None,
        }
    }

    /// The `value` attribute.
    pub fn value(&self) -> Option<&str> {
        match self {
            Subject::Jid(jid) => Some(jid.as_str()),
            Subject::Group(group) => Some(group),
            Subject::Subscription(relation) => Some(relation.as_str()),
            Subject::Everyone => None,
        }
    }
}

/// What becomes of a stanza that a rule speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// It passes.
    Allow,
    /// It does not.
    Deny,
}

impl Action {
    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Allow => "allow",
            Action::Deny => "deny",
        }
    }
}

/// Of which stanzas a rule speaks: of all, or of some of the four kinds (XEP-0016 §2.1).
///
/// All four kinds are less than all: what is not a notification (subscriptions, probes) and what the user sends other
/// than presence is reached only by a rule for all (XEP-0016 §2.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scope(u8);

impl Scope {
    /// All stanzas in both directions: no child element.
    pub const ALL: Scope = Scope(0);
    /// Inbound messages.
    pub const MESSAGE: Scope = Scope(1);
    /// Inbound IQs.
    pub const IQ: Scope = Scope(2);
    /// Inbound presence notifications.
    pub const PRESENCE_IN: Scope = Scope(4);
    /// Outbound presence notifications.
    pub const PRESENCE_OUT: Scope = Scope(8);

    /// The kinds with the names of their elements, in the order of the schema.
    pub(crate) const KINDS: [(Scope, &'static str); 4] = [
        (Scope::IQ, "iq"),
        (Scope::MESSAGE, "message"),
        (Scope::PRESENCE_IN, "presence-in"),
        (Scope::PRESENCE_OUT, "presence-out"),
    ];

    /// These kinds and those; not for [`Scope::ALL`], which is no sum of kinds.
    #[must_use]
    pub fn and(self, other: Scope) -> Scope {
        Scope(self.0 | other.0)
    }

    /// The number under which it is stored: 0 for all, else the sum of 1 (message), 2 (iq), 4 (presence in) and
    /// 8 (presence out).
    pub fn code(self) -> u8 {
        self.0
    }

    /// Reads a stored number.
    pub fn from_code(code: u8) -> Option<Scope> {
        (code < 16).then_some(Scope(code))
    }

    /// The names of the kinds' elements; none for all.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        Self::KINDS
            .into_iter()
            .filter(move |(kind, _)| self.0 & kind.0 != 0)
            .map(|(_, name)| name)
    }

    /// Whether stanzas of this class are spoken of.
    pub(crate) fn covers(self, class: Class) -> bool {
        self == Scope::ALL
            || match class {
                Class::MessageIn => self.0 & Scope::MESSAGE.0 != 0,
                Class::IqIn => self.0 & Scope::IQ.0 != 0,
                Class::PresenceIn => self.0 & Scope::PRESENCE_IN.0 != 0,
                Class::PresenceOut => self.0 & Scope::PRESENCE_OUT.0 != 0,
                Class::Other => false,
            }
    }
}
