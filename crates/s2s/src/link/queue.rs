//! What waits for a domain: in order, bounded, for a time.

use std::collections::VecDeque;
use std::time::Duration;

use machine::Moment;
use stanza::{IqType, Kind, MessageType, Parcel, PresenceType};
use stream_management::Entry;

use super::QueueLimits;

/// Stanzas in the order in which they came.
#[derive(Default)]
pub(crate) struct Queue {
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// Whether a stanza waits whatever the state of the link: what a person wrote to a person or a room.
pub(crate) fn is_storable(kind: Kind) -> bool {
    match kind {
        Kind::Message(MessageType::Chat | MessageType::Normal | MessageType::Groupchat) => true,
        Kind::Message(MessageType::Error | MessageType::Headline) | Kind::Presence(_) | Kind::Iq(_) => false,
    }
}

/// Whether a stanza is an answer to something that the other domain said: who does not take answers does not miss them.
pub(crate) fn is_answer(kind: Kind) -> bool {
    kind.is_error() || kind == Kind::Iq(IqType::Result)
}

/// Whether the other domain made this server say something: an answer, the rejection of a request or a probe, or a
/// question that no client asked, since clients ask from full addresses.
pub(crate) fn is_provoked(parcel: &Parcel) -> bool {
    let kind = parcel.stanza().kind();
    let is_of_client = parcel.from().is_some_and(|from| from.resourcepart().is_some());
    is_answer(kind)
        || kind == Kind::Presence(PresenceType::Unsubscribed)
        || kind == Kind::Iq(IqType::Get) && !is_of_client
}

impl Queue {
    /// Whether something waits, and nothing but this.
    pub(crate) fn is_all(&self, what: impl Fn(&Parcel) -> bool) -> bool {
        !self.is_empty() && self.entries.iter().all(|entry| what(&entry.parcel))
    }

    /// Puts an entry at the end, unless there is too much already.
    pub(crate) fn push(&mut self, entry: Entry, limits: QueueLimits) -> Result<(), Box<Entry>> {
        let size = entry.parcel.byte_len();
        if self.entries.len() >= limits.stanzas || self.bytes.saturating_add(size) > limits.bytes {
            return Err(Box::new(entry));
        }
        self.bytes += size;
        self.entries.push_back(entry);
        Ok(())
    }

    /// Puts entries in front that were here before. They had their place, whatever the limits say.
    pub(crate) fn put_back(&mut self, entries: Vec<Entry>) {
        for entry in entries.into_iter().rev() {
            self.bytes += entry.parcel.byte_len();
            self.entries.push_front(entry);
        }
    }

    /// Takes the first.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.parcel.byte_len();
        if self.entries.is_empty() {
            // Queues are long when links are down, and links are many.
            self.entries = VecDeque::new();
        }
        Some(entry)
    }

    /// Takes all that does not wait for a domain that cannot be reached.
    pub(crate) fn take_unstorable(&mut self) -> Vec<Entry> {
        self.take(|entry| !entry.storable)
    }

    /// Takes all that came so long ago.
    pub(crate) fn take_expired(&mut self, now: Moment, timeout: Duration) -> Vec<Entry> {
        self.take(|entry| entry.pushed + timeout <= now)
    }

    /// Takes everything.
    pub(crate) fn take_all(&mut self) -> Vec<Entry> {
        self.take(|_| true)
    }

    /// When the first has waited long enough.
    pub(crate) fn next_expiry(&self, timeout: Duration) -> Option<Moment> {
        self.entries
            .iter()
            .map(|entry| entry.pushed)
            .min()
            .map(|pushed| pushed + timeout)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Stanzas and their bytes.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    fn take(&mut self, which: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let (taken, kept): (Vec<Entry>, VecDeque<Entry>) = {
            let mut taken = Vec::new();
            let mut kept = VecDeque::new();
            for entry in std::mem::take(&mut self.entries) {
                if which(&entry) {
                    taken.push(entry);
                } else {
                    kept.push_back(entry);
                }
            }
            (taken, kept)
        };
        self.entries = kept;
        self.bytes -= taken.iter().map(|entry| entry.parcel.byte_len()).sum::<usize>();
        taken
    }
}
