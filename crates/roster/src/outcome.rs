//! What a roster decides: what is to be kept, and what is to be sent.

use std::sync::Arc;

use stanza::Address;
use stanza::namespace::ROSTER;

use crate::{Item, ItemRow};

/// A change to be kept before anything of it is seen. A roster that is loaded from what was kept is the same roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The contact is new or differs; a removal of the same contact need not be remembered any longer.
    Item(ItemRow),
    /// The contact is removed, which is to be remembered with the version.
    Removed {
        /// Who was removed.
        contact: Address,
        /// The version in which it was removed.
        version: u64,
    },
    /// The removal of this contact need not be remembered any longer.
    RemovalForgotten {
        /// Whose removal.
        contact: Address,
    },
    /// A subscription request waits for the user (RFC 6121 §3.1.3).
    Request {
        /// Who asks.
        contact: Address,
        /// The whole stanza.
        stanza: Arc<[u8]>,
    },
    /// A subscription request was answered or withdrawn.
    RequestSettled {
        /// Who asked.
        contact: Address,
    },
    /// The versions of the roster (RFC 6121 §2.6).
    Version {
        /// The current one.
        current: u64,
        /// The oldest one from which every change since is known.
        complete_since: u64,
    },
}

/// A roster push (RFC 6121 §2.1.6): one item, new, changed or removed, and the version that it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    contact: Address,
    /// `None` when it was removed.
    item: Option<Item>,
    version: u64,
}

impl Push {
    pub(crate) fn new(contact: Address, item: Option<Item>, version: u64) -> Push {
        Push {
            contact,
            item,
            version,
        }
    }

    /// Whose item.
    pub fn contact(&self) -> &Address {
        &self.contact
    }

    /// The item as it is now; `None` when it was removed.
    pub fn item(&self) -> Option<&Item> {
        self.item.as_ref()
    }

    /// The version of the roster with this change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The `<query/>` of the push.
    pub fn payload(&self) -> Vec<u8> {
        let mut out = format!("<query xmlns='{ROSTER}' ver='{}'>", self.version).into_bytes();
        match &self.item {
            Some(item) => item.write(&self.contact, &mut out),
            None => {
                out.extend_from_slice(b"<item jid='");
                xml::escape_attribute(&mut out, self.contact.as_str());
                out.extend_from_slice(b"' subscription='remove'/>");
            }
        }
        out.extend_from_slice(b"</query>");
        out
    }
}

/// One thing to be sent. All presence is from the user's bare address to the contact's, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Send {
    /// The user's own stanza goes to the contact, with both addresses made bare (RFC 6121 §3.1.2).
    Route,
    /// The contact's stanza goes to the user: `subscribe` to the available resources (RFC 6121 §3.1.3), the other three
    /// to the interested ones (§3.1.6, §3.2.3, §3.3.3).
    Deliver,
    /// The push goes to every interested resource.
    Push(Push),
    /// `subscribed` in the name of the user.
    Subscribed,
    /// `unsubscribe` in the name of the user.
    Unsubscribe,
    /// `unsubscribed` in the name of the user.
    Unsubscribed,
    /// The current presence of each available resource, from its full address (RFC 6121 §3.1.5).
    Presence,
    /// `unavailable` of each available resource, from its full address (RFC 6121 §3.2.2, §3.3.3).
    Unavailable,
}

/// A decision: first what is to be kept, then what is to be sent, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The other side of it, bare.
    pub contact: Address,
    /// What is to be kept.
    pub changes: Vec<Change>,
    /// What is to be sent once it is kept.
    pub sends: Vec<Send>,
}
