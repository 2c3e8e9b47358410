//! What waits for the peer: in order, until it is written or acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use machine::Moment;
use stanza::{IqType, Kind, Parcel, Target};

use crate::restored::KeptEntry;
use crate::{Limits, Receipt};

/// Names an entry of one mailbox for as long as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub u64);

/// Names a stored stanza of an account (the table of waiting stanzas).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredId(pub i64);

/// One stanza that waits for the peer.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The copy to be written.
    pub parcel: Parcel,
    /// The sender's receipt, which this delivery settles.
    pub receipt: Option<Receipt>,
    /// Whether the stanza may be stored when it cannot be delivered (RFC 6121 §8.5, XEP-0160).
    pub storable: bool,
    /// The row that holds a durable copy, to be deleted once delivered.
    pub stored: Option<StoredId>,
    /// Shared with the same stanza's entries in other mailboxes, if there are any.
    pub copies: Option<Copies>,
    /// When it was put in.
    pub pushed: Moment,
}

/// What the entries of one stanza in several mailboxes know of each other: one copy that arrives is enough, and only the
/// last copy that fails makes the stanza undelivered.
#[derive(Debug, Clone, Default)]
pub struct Copies(Arc<AtomicBool>);

impl Copies {
    /// The same of a stanza of which one has arrived already.
    pub fn of_arrived() -> Copies {
        Copies(Arc::new(AtomicBool::new(true)))
    }

    /// What is the same for all copies of one stanza, and of no other as long as one of these is there.
    pub fn identity(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// One copy has arrived.
    pub(crate) fn arrived(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether one copy has arrived: then nothing need be kept of the others.
    pub fn has_arrived(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether a copy has arrived, or one still may: then this one need not be delivered elsewhere.
    pub fn others_suffice(&self) -> bool {
        self.0.load(Ordering::Relaxed) || Arc::strong_count(&self.0) > 1
    }
}

/// Why an entry was not taken. It comes back to be bounced.
#[derive(Debug)]
pub enum PushError {
    /// The mailbox is closed and emptied: the account no longer has this session.
    Closed(Box<Entry>),
    /// Far beyond its limits: the peer does not read, and its session is about to end.
    Full(Box<Entry>),
}

impl PushError {
    /// The entry that was not taken.
    pub fn into_entry(self) -> Box<Entry> {
        match self {
            PushError::Closed(entry) | PushError::Full(entry) => entry,
        }
    }
}

/// Entries that left the mailbox because the peer has them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Rows that are no longer needed.
    pub stored: Vec<StoredId>,
}

/// The peer acknowledged more than it was sent (XEP-0198 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooHigh {
    /// What the peer claims.
    pub handled: u32,
    /// What it was sent.
    pub sent: u32,
}

/// The outcome of one drain.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Stanzas written to the buffer.
    pub stanzas: usize,
    /// How many of them answer an IQ request.
    pub answers: usize,
    /// Whether more are waiting.
    pub more: bool,
    /// What is to be told of the peer's stanzas now, behind what was drained: it was asked for before (see
    /// [`Loan::tell_handled`](crate::Loan::tell_handled)).
    pub handled: Option<u32>,
}

/// An acknowledgement that waits until what was in the mailbox before it is drained.
#[derive(Clone, Copy)]
struct Deferred {
    handled: u32,
    /// The first entry that it need not wait for.
    before: u64,
    /// Whether it was asked for once more meanwhile.
    again: bool,
}

/// What a mailbox held when it was closed, in order.
#[derive(Debug, Default)]
pub struct Remains {
    /// Handed to a connection and neither confirmed nor acknowledged: the peer may have it.
    pub sent: Vec<Entry>,
    /// Never handed to a connection.
    pub unsent: Vec<Entry>,
}

/// The outward side of one session.
#[derive(Default)]
pub(crate) struct Outward {
    entries: VecDeque<(EntryId, Entry)>,
    next_id: u64,
    /// The first so many were handed to the connection and are not yet confirmed or acknowledged.
    handed: usize,
    /// Bytes of all entries.
    bytes: usize,
    /// Acknowledgement numbers when stream management is on.
    counted: Option<Counted>,
    /// In a box: mailboxes are many, and this is rare.
    deferred: Option<Box<Deferred>>,
    closed: bool,
    overflowed: bool,
}

/// The peer's count, modulo 2³² (XEP-0198 §4).
#[derive(Default, Clone, Copy)]
struct Counted {
    acknowledged: u32,
    /// The first so many entries were handed over before counting began; they are confirmed by writing.
    uncounted: u32,
}

impl Outward {
    /// Puts an entry at the end. `Ok(true)`: the mailbox has just gone beyond its limits.
    pub(crate) fn push(&mut self, entry: Entry, limits: &Limits) -> Result<bool, PushError> {
        if self.closed {
            return Err(PushError::Closed(Box::new(entry)));
        }
        let over = self.bytes > limits.bytes || self.entries.len() >= limits.stanzas;
        // What is on its way while the session is being ended still fits; the factor bounds it.
        if self.bytes > limits.bytes.saturating_mul(2)
            || self.entries.len() >= limits.stanzas.saturating_mul(2)
        {
            return Err(PushError::Full(Box::new(entry)));
        }
        self.bytes += entry.parcel.byte_len();
        let id = EntryId(self.next_id);
        self.next_id += 1;
        self.entries.push_back((id, entry));
        let newly = over && !self.overflowed;
        self.overflowed |= over;
        Ok(newly)
    }

    /// Writes waiting entries until `out` holds `bytes_max` bytes or more, or `stanzas_max` were written.
    pub(crate) fn drain(
        &mut self,
        out: &mut Vec<u8>,
        target: Target,
        bytes_max: usize,
        stanzas_max: usize,
    ) -> Drained {
        let (mut stanzas, mut answers) = (0, 0);
        for (_, entry) in self.entries.range(self.handed..) {
            if out.len() >= bytes_max || stanzas >= stanzas_max {
                break;
            }
            entry.parcel.emit(out, target);
            stanzas += 1;
            answers += usize::from(matches!(
                entry.parcel.stanza().kind(),
                Kind::Iq(IqType::Result | IqType::Error)
            ));
        }
        self.handed += stanzas;
        let first = self.entries.get(self.handed).map(|(id, _)| id.0);
        Drained {
            stanzas,
            answers,
            more: first.is_some(),
            handled: self
                .deferred
                .as_ref()
                .filter(|deferred| first.is_none_or(|first| first >= deferred.before))
                .map(|deferred| deferred.handled),
        }
    }

    /// The acknowledgement that waited is told. True when it was asked for once more meanwhile.
    pub(crate) fn take_asked_again(&mut self) -> bool {
        self.deferred.take().is_some_and(|deferred| deferred.again)
    }

    /// What may be told now: what was returned to the peer goes before the acknowledgement of it. `None`: a later drain
    /// will say it.
    pub(crate) fn tell(&mut self, handled: u32) -> Option<u32> {
        if self.waiting() == 0 {
            return Some(handled);
        }
        match &mut self.deferred {
            Some(deferred) => deferred.again = true,
            None => {
                self.deferred = Some(Box::new(Deferred {
                    handled,
                    before: self.next_id,
                    again: false,
                }));
            }
        }
        None
    }

    /// Another connection goes on: what the one before was to be told is told to it in another way.
    pub(crate) fn tell_nothing(&mut self) {
        self.deferred = None;
    }

    /// Counting begins (`<enable/>`). What was handed over before is confirmed by writing, not by counting.
    pub(crate) fn enable(&mut self) {
        self.counted = Some(Counted {
            acknowledged: 0,
            uncounted: self.handed as u32,
        });
    }

    pub(crate) fn is_counted(&self) -> bool {
        self.counted.is_some()
    }

    /// The first `stanzas` handed over were written to the socket. What was handed over while counting waits on.
    pub(crate) fn written(&mut self, stanzas: usize, receipts: &mut Vec<Receipt>) -> Released {
        let stanzas = match &mut self.counted {
            None => stanzas,
            Some(counted) => {
                let early = stanzas.min(counted.uncounted as usize);
                counted.uncounted -= early as u32;
                early
            }
        };
        self.release(stanzas, receipts)
    }

    /// The peer has handled `h` stanzas (XEP-0198 §4).
    pub(crate) fn acknowledge(&mut self, h: u32, receipts: &mut Vec<Receipt>) -> Result<Released, TooHigh> {
        let Some(counted) = self.counted else {
            return Ok(Released::default());
        };
        let newly = h.wrapping_sub(counted.acknowledged) as usize;
        let open = self.handed - counted.uncounted as usize;
        if newly > open {
            return Err(TooHigh {
                handled: h,
                sent: counted.acknowledged.wrapping_add(open as u32),
            });
        }
        if newly == 0 {
            return Ok(Released::default());
        }
        // Whoever has a counted stanza has all that was written before it.
        self.counted = Some(Counted {
            acknowledged: h,
            uncounted: 0,
        });
        Ok(self.release(newly + counted.uncounted as usize, receipts))
    }

    /// Entries handed to the connection and not yet acknowledged, when stream management is on.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.counted
            .map_or(0, |counted| self.handed - counted.uncounted as usize)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.entries.len() - self.handed
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &(EntryId, Entry)> {
        self.entries.iter()
    }

    /// Durable copies exist now. Gives the rows of entries that have left meanwhile or have one already, and the receipts
    /// to settle.
    pub(crate) fn mark_stored(
        &mut self,
        rows: &[(EntryId, StoredId)],
        receipts: &mut Vec<Receipt>,
    ) -> Vec<StoredId> {
        let mut superfluous = Vec::new();
        for (id, row) in rows {
            match self.entries.binary_search_by_key(id, |(id, _)| *id) {
                Ok(place) => {
                    if let Some((_, entry)) = self.entries.get_mut(place) {
                        receipts.extend(entry.receipt.take());
                        // Another may have been on its way when this one was asked for; one is enough.
                        if entry.stored.is_none() {
                            entry.stored = Some(*row);
                        } else if entry.stored != Some(*row) {
                            superfluous.push(*row);
                        }
                    }
                }
                Err(_) => superfluous.push(*row),
            }
        }
        superfluous
    }

    /// Another stream goes on in place of the broken one, whose peer has handled `h` stanzas (XEP-0198 §5): what it has
    /// not handled will be handed over once more.
    pub(crate) fn resume(&mut self, h: u32, receipts: &mut Vec<Receipt>) -> Result<Released, TooHigh> {
        let mut released = self.acknowledge(h, receipts)?;
        if let Some(counted) = &mut self.counted {
            // Whoever can resume has seen that counting began, and all before it.
            let early = std::mem::take(&mut counted.uncounted);
            released
                .stored
                .extend(self.release(early as usize, receipts).stored);
        }
        self.handed = 0;
        Ok(released)
    }

    /// Takes entries out that were never handed over, and that nobody waits for. Gives how many.
    pub(crate) fn withdraw(&mut self, is_needless: impl Fn(&Entry) -> bool) -> usize {
        let (before, handed) = (self.entries.len(), self.handed);
        let bytes = &mut self.bytes;
        let mut place = 0;
        self.entries.retain(|(_, entry)| {
            place += 1;
            let is_free = place > handed && entry.receipt.is_none() && entry.stored.is_none();
            let goes = is_free && is_needless(entry);
            if goes {
                *bytes -= entry.parcel.byte_len();
            }
            !goes
        });
        before - self.entries.len()
    }

    /// Puts bytes in before the end of the entries for which there are some.
    pub(crate) fn append(&mut self, mut late: impl FnMut(&Entry) -> Option<Vec<u8>>) {
        for (_, entry) in &mut self.entries {
            if let Some(bytes) = late(entry) {
                self.bytes -= entry.parcel.byte_len();
                entry.parcel = entry.parcel.clone().with_appended(&bytes);
                self.bytes += entry.parcel.byte_len();
            }
        }
    }

    /// How many were handed to a connection and are not acknowledged.
    pub(crate) fn handed(&self) -> usize {
        self.handed
    }

    /// What the peer has acknowledged, modulo 2³².
    pub(crate) fn acknowledged(&self) -> u32 {
        self.counted.map_or(0, |counted| counted.acknowledged)
    }

    /// Goes on, counted, where an earlier queue stopped.
    pub(crate) fn restore(&mut self, acknowledged: u32, entries: Vec<KeptEntry>) {
        self.counted = Some(Counted {
            acknowledged,
            uncounted: 0,
        });
        for kept in entries {
            let id = EntryId(self.next_id);
            self.next_id += 1;
            self.bytes += kept.parcel.byte_len();
            let entry = Entry {
                parcel: kept.parcel,
                receipt: None,
                storable: kept.storable,
                stored: kept.stored,
                copies: kept.copies,
                pushed: kept.pushed,
            };
            self.entries.push_back((id, entry));
        }
        // The client may have had all of it: only its own count tells.
        self.handed = self.entries.len();
    }

    /// The session is over: gives all that the peer does not surely have, in order.
    pub(crate) fn close(&mut self) -> Remains {
        self.closed = true;
        self.bytes = 0;
        let handed = std::mem::take(&mut self.handed);
        let mut entries = std::mem::take(&mut self.entries)
            .into_iter()
            .map(|(_, entry)| entry);
        Remains {
            sent: entries.by_ref().take(handed).collect(),
            unsent: entries.collect(),
        }
    }

    fn release(&mut self, stanzas: usize, receipts: &mut Vec<Receipt>) -> Released {
        let stanzas = stanzas.min(self.handed);
        let mut released = Released::default();
        for _ in 0..stanzas {
            let Some((_, entry)) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= entry.parcel.byte_len();
            receipts.extend(entry.receipt);
            released.stored.extend(entry.stored);
            if let Some(copies) = entry.copies {
                copies.arrived();
            }
        }
        self.handed -= stanzas;
        if self.entries.is_empty() {
            // Idle sessions are many, and the allocator has a new one at hand.
            self.entries = VecDeque::new();
        }
        released
    }
}
