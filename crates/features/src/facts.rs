//! What the caller knows and the answers tell: of the server, of a host, of an account.

use machine::{Moment, Timestamp};
use stanza::Address;

use crate::{Contacts, Stored};

/// What is the same for all hosts and accounts of this server.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What runs here.
    pub software: Software,
    /// When it was started (XEP-0012 §5).
    pub started: Moment,
    /// Disco features of accounts that other parts answer for: blocking, poke ….
    pub account_features: Vec<&'static str>,
    /// How much one account may keep.
    pub limits: Limits,
}

/// What XEP-0092 tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Software {
    /// The program's name, which people read.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The operating system; told only if the operator wants it told (XEP-0092 §5).
    pub os: Option<String>,
}

/// How much one account may keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest vCard in bytes; a larger one is refused.
    pub vcard_bytes: usize,
    /// Private data in bytes, all together; more is refused.
    pub private_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            vcard_bytes: 128 << 10,
            private_bytes: 512 << 10,
        }
    }
}

/// What is known of one host.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// Its domain.
    pub address: Address,
    /// Whether anybody may create an account with a client (XEP-0077).
    pub registration: Registration,
    /// Whom to write to (XEP-0157).
    pub contacts: Contacts,
    /// Services that belong to it: rooms, components.
    pub items: Vec<Item>,
    /// Disco features of the host that other parts answer for.
    pub features: Vec<&'static str>,
}

impl HostFacts {
    /// A host with nothing particular about it.
    pub fn new(address: Address) -> HostFacts {
        HostFacts {
            address,
            registration: Registration::Closed,
            contacts: Contacts::default(),
            items: Vec::new(),
            features: Vec::new(),
        }
    }
}

/// Whether anybody may create an account with a client. Who has one may change its password and remove it either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Accounts are created by the operator only.
    Closed,
    /// By anybody.
    Open,
}

/// A service that belongs to a host (XEP-0030 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its address.
    pub address: Address,
    /// Its name, which people read.
    pub name: Option<String>,
}

/// What is known of one account at the moment of the question.
#[derive(Debug, Clone, Copy)]
pub struct AccountFacts<'a> {
    /// Full addresses of the resources that broadcast their presence.
    pub available: &'a [Address],
    /// When the user left last; `None` when never here.
    pub last_seen: Option<&'a LastSeen>,
    /// What the account keeps.
    pub stored: &'a Stored,
}

/// The end of a user's last presence (XEP-0012 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSeen {
    /// When the last resource became unavailable.
    pub at: Timestamp,
    /// The status that its last presence named.
    pub status: Option<String>,
}
