//! The mailbox itself: both sides, the signals to the connection, and how the connection is woken.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use stanza::{Address, StanzaError, StreamError, Target};

use crate::Receipt;
use crate::inward::Inward;
use crate::outward::{Drained, Entry, EntryId, Outward, PushError, Released, Remains, StoredId, TooHigh};

/// How much may wait for one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Stanzas, waiting and unacknowledged. Beyond it the session ends with `resource-constraint`.
    pub stanzas: usize,
    /// Bytes of them.
    pub bytes: usize,
}

/// A word to the connection that the mailbox was lent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signal {
    /// The resource is bound under this full address (RFC 6120 §7).
    Bound(Address),
    /// The resource could not be bound.
    NotBound(StanzaError),
    /// The stream is to be ended with this error.
    Close(StreamError),
    /// The answer owed to an earlier `<r/>` can be given: look at [`Mailbox::handled`].
    AckDue,
}

/// The ordered output of one session and the count of its input. Shared by the account, which fills it, and the
/// connection, which empties it.
pub struct Mailbox {
    limits: Limits,
    outward: Mutex<Outside>,
    inward: Mutex<Inward>,
}

#[derive(Default)]
struct Outside {
    queue: Outward,
    signals: VecDeque<Signal>,
    ack_due: bool,
    waker: Option<Waker>,
}

impl Mailbox {
    /// An empty mailbox, not counted, lent to nobody.
    pub fn new(limits: Limits) -> Arc<Mailbox> {
        Arc::new(Mailbox {
            limits,
            outward: Mutex::default(),
            inward: Mutex::default(),
        })
    }

    // ---- the account's side ----

    /// Puts an entry at the end and wakes the connection. `Ok(true)`: the mailbox has just gone beyond its limits, and
    /// the account should end the session.
    ///
    /// # Errors
    /// When the session is over, or the mailbox holds twice its limits.
    pub fn push(&self, entry: Entry) -> Result<bool, PushError> {
        let mut outside = self.outward.lock();
        let overflowed = outside.queue.push(entry, &self.limits)?;
        let waker = outside.waker.take();
        drop(outside);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(overflowed)
    }

    /// Tells the connection something.
    pub fn signal(&self, signal: Signal) {
        let mut outside = self.outward.lock();
        outside.signals.push_back(signal);
        let waker = outside.waker.take();
        drop(outside);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Entries that hold an open receipt and can be stored: candidates for a durable copy.
    pub fn unsettled(&self) -> Vec<(EntryId, Entry)> {
        let outside = self.outward.lock();
        let open = |entry: &Entry| entry.receipt.is_some() && entry.storable && entry.stored.is_none();
        outside
            .queue
            .entries()
            .filter(|(_, entry)| open(entry))
            .cloned()
            .collect()
    }

    /// Durable copies of these entries exist now; their receipts are settled. Gives rows whose entry has left meanwhile.
    pub fn mark_stored(&self, rows: &[(EntryId, StoredId)]) -> Vec<StoredId> {
        let mut receipts = Vec::new();
        let superfluous = self.outward.lock().queue.mark_stored(rows, &mut receipts);
        settle_all(receipts);
        superfluous
    }

    /// The session is over: gives what the peer does not have, in order. Nothing can be put in afterwards.
    pub fn close(&self) -> Vec<Entry> {
        let Remains { mut sent, unsent } = self.close_apart();
        sent.extend(unsent);
        sent
    }

    /// The same for whoever must not send again what the peer may have.
    pub fn close_apart(&self) -> Remains {
        self.outward.lock().queue.close()
    }

    // ---- the connection's side ----

    /// Ready when there is something to write, a signal, or an owed acknowledgement; otherwise the task is woken later.
    pub fn poll_work(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut outside = self.outward.lock();
        if outside.queue.waiting() > 0 || !outside.signals.is_empty() || outside.ack_due {
            return Poll::Ready(());
        }
        match &mut outside.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => outside.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Writes waiting stanzas into `out` until it holds `bytes_max` bytes or `stanzas_max` were written.
    pub fn drain(&self, out: &mut Vec<u8>, target: Target, bytes_max: usize, stanzas_max: usize) -> Drained {
        self.outward
            .lock()
            .queue
            .drain(out, target, bytes_max, stanzas_max)
    }

    /// The next signal.
    pub fn take_signal(&self) -> Option<Signal> {
        let mut outside = self.outward.lock();
        if std::mem::take(&mut outside.ack_due) {
            return Some(Signal::AckDue);
        }
        let signal = outside.signals.pop_front();
        if outside.signals.is_empty() {
            // Signals are rare, idle sessions are many.
            outside.signals = VecDeque::new();
        }
        signal
    }

    /// The next `stanzas` that were drained are written to the socket. Without stream management they are delivered by
    /// that; with it, this changes nothing.
    pub fn written(&self, stanzas: usize) -> Released {
        let mut receipts = Vec::new();
        let released = self.outward.lock().queue.written(stanzas, &mut receipts);
        settle_all(receipts);
        released
    }

    /// Counting begins in both directions (XEP-0198 §3).
    pub fn enable_counting(&self) {
        self.outward.lock().queue.enable();
    }

    /// Whether counting has begun.
    pub fn is_counted(&self) -> bool {
        self.outward.lock().queue.is_counted()
    }

    /// The peer has handled `h` stanzas (XEP-0198 §4).
    ///
    /// # Errors
    /// When it was sent fewer.
    pub fn acknowledge(&self, h: u32) -> Result<Released, TooHigh> {
        let mut receipts = Vec::new();
        let released = self.outward.lock().queue.acknowledge(h, &mut receipts);
        settle_all(receipts);
        released
    }

    /// Another stream goes on in place of the broken one, whose peer has handled `h` stanzas (XEP-0198 §5): what it has
    /// not handled will be drained once more.
    ///
    /// # Errors
    /// When it was sent fewer.
    pub fn resume(&self, h: u32) -> Result<Released, TooHigh> {
        let mut receipts = Vec::new();
        let released = self.outward.lock().queue.resume(h, &mut receipts);
        settle_all(receipts);
        released
    }

    /// Stanzas that the peer was sent and has not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.outward.lock().queue.unacknowledged()
    }

    /// Stanzas in the mailbox and their bytes.
    pub fn load(&self) -> (usize, usize) {
        let outside = self.outward.lock();
        (outside.queue.len(), outside.queue.bytes())
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.outward.lock().queue.is_closed()
    }

    /// Counts one stanza of the peer.
    pub fn count_received(self: &Arc<Self>) -> Receipt {
        let place = self.inward.lock().count();
        Receipt::new(Arc::clone(self), place)
    }

    /// The peer asks for an acknowledgement (`<r/>`): gives the `h` of now. If more was received than is settled, a
    /// [`Signal::AckDue`] follows once it is.
    pub fn asked(&self) -> u32 {
        let mut inward = self.inward.lock();
        inward.asked();
        inward.handled()
    }

    /// The settled prefix of what the peer sent, modulo 2³².
    pub fn handled(&self) -> u32 {
        self.inward.lock().handled()
    }

    /// Where the peer goes on after a break: the `h` to tell it, and how many stanzas after that were received all the
    /// same. It sends those first, and they are not to be taken twice.
    pub fn resumption_point(&self) -> (u32, usize) {
        self.inward.lock().resumption_point()
    }

    /// Stanzas of the peer whose fate is open.
    pub fn open_receipts(&self) -> usize {
        self.inward.lock().open()
    }

    pub(crate) fn settle(&self, place: u64) {
        let due = {
            let mut inward = self.inward.lock();
            inward.settle(place) && inward.take_due()
        };
        if due {
            let mut outside = self.outward.lock();
            outside.ack_due = true;
            let waker = outside.waker.take();
            drop(outside);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (stanzas, bytes) = self.load();
        write!(f, "Mailbox({stanzas} stanzas, {bytes} bytes)")
    }
}

/// Receipts belong to other mailboxes, whose locks are taken only when ours is released.
fn settle_all(receipts: Vec<Receipt>) {
    for receipt in receipts {
        receipt.settle();
    }
}
