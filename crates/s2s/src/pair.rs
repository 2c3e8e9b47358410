//! A pair of domains, one here and one elsewhere: what streams authenticate and links keep the state of.

use std::fmt;

use stanza::Address;

/// A domain that is served here, and one that another server serves (XEP-0220 §1.3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// Ours.
    pub local: Address,
    /// Theirs.
    pub remote: Address,
}

impl Pair {
    /// The pair of the domains of two addresses.
    pub fn of(local: &Address, remote: &Address) -> Pair {
        Pair {
            local: local.to_domain(),
            remote: remote.to_domain(),
        }
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ↔ {}", self.local, self.remote)
    }
}

/// In which ways a stream carries stanzas of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ways {
    /// To the other domain: it has accepted us.
    Out,
    /// From the other domain: we have accepted it.
    In,
    /// Both (XEP-0288).
    Both,
}

impl Ways {
    /// Whether stanzas may be sent.
    pub fn sends(self) -> bool {
        matches!(self, Ways::Out | Ways::Both)
    }

    /// Whether stanzas may come.
    pub fn receives(self) -> bool {
        matches!(self, Ways::In | Ways::Both)
    }

    /// What both allow together.
    #[must_use]
    pub fn and(self, other: Ways) -> Ways {
        if self == other { self } else { Ways::Both }
    }
}
