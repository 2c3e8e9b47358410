//! What of a mailbox survives the process (`docs/kept.md`, restart).

use machine::Moment;
use stanza::Parcel;

use crate::{Copies, StoredId};

/// A mailbox as it is kept while no process has it.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What the peer has acknowledged, modulo 2³².
    pub acknowledged: u32,
    /// What of the peer's stanzas is settled, modulo 2³².
    pub handled: u32,
    /// What the peer has not acknowledged, in order.
    pub entries: Vec<KeptEntry>,
}

/// One stanza that the peer does not surely have.
#[derive(Debug, Clone)]
pub struct KeptEntry {
    /// The copy to be written.
    pub parcel: Parcel,
    /// Whether it may be stored when it cannot be delivered.
    pub storable: bool,
    /// The row that holds a durable copy.
    pub stored: Option<StoredId>,
    /// Shared with the same stanza's entries in other mailboxes, if there are any.
    pub copies: Option<Copies>,
    /// When it was put in.
    pub pushed: Moment,
}
