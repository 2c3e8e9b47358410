//! The mailbox itself: both sides, the signals to the connection, and how the connection is woken.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use stanza::{Address, StanzaError, StreamError, Target};

use crate::Receipt;
use crate::inward::Inward;
use crate::loan::{Loan, NotResumed, Resumption};
use crate::outward::{Drained, Entry, EntryId, Outward, PushError, Released, Remains, StoredId, TooHigh};
use crate::restored::{Kept, KeptEntry};

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
    /// The session goes on here: from now on its own mailbox is lent to this connection (XEP-0198 §5).
    Resumed(Box<Resumption>),
    /// The session does not go on here.
    NotResumed(NotResumed),
    /// The server stops for a while and keeps the session: the connection is to be closed, but not the stream.
    Suspend,
}

/// The ordered output of one session and the count of its input. Shared by the account, which fills it, and the
/// connection, which empties it.
pub struct Mailbox {
    limits: Limits,
    pub(crate) outward: Mutex<Outside>,
    pub(crate) inward: Mutex<Inside>,
}

#[derive(Default)]
pub(crate) struct Outside {
    pub(crate) queue: Outward,
    signals: VecDeque<Signal>,
    ack_due: bool,
    waker: Option<Waker>,
    /// How often the mailbox was lent: older loans are over.
    pub(crate) tenure: u64,
}

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) count: Inward,
    /// As outside.
    pub(crate) tenure: u64,
}

impl Outside {
    /// Ready when there is something to write, a signal, or an owed acknowledgement; otherwise the task is woken later.
    pub(crate) fn poll_work(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.queue.waiting() > 0 {
            return Poll::Ready(());
        }
        self.poll_signal(context)
    }

    /// The same without stanzas.
    pub(crate) fn poll_signal(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.signals.is_empty() || self.ack_due {
            return Poll::Ready(());
        }
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// The loan before, if there was one, is over; its holder is to be woken.
    fn begin_tenure(&mut self) -> (u64, Option<Waker>) {
        self.tenure += 1;
        self.queue.tell_nothing();
        (self.tenure, self.waker.take())
    }

    pub(crate) fn take_signal(&mut self) -> Option<Signal> {
        if std::mem::take(&mut self.ack_due) {
            return Some(Signal::AckDue);
        }
        let signal = self.signals.pop_front();
        if self.signals.is_empty() {
            // Signals are rare, idle sessions are many.
            self.signals = VecDeque::new();
        }
        signal
    }
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

    /// Durable copies of these entries exist now; their receipts are settled. Gives rows whose entry has left
    /// meanwhile, or has one already.
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

    /// Lends the mailbox to a connection. Who had it before is told that its time is over, and can do nothing with it
    /// any more.
    pub fn lend(self: &Arc<Self>) -> Loan {
        let (tenure, waker) = self.outward.lock().begin_tenure();
        self.inward.lock().tenure = tenure;
        if let Some(waker) = waker {
            waker.wake();
        }
        Loan::new(Arc::clone(self), tenure)
    }

    /// Lends the mailbox of the session at `address` to another connection of the same client, which has handled `h` stanzas (XEP-0198 §5): what it
    /// has not handled will be drained once more.
    ///
    /// # Errors
    /// When it was sent fewer. Then nothing has changed.
    pub fn lend_again(self: &Arc<Self>, address: Address, h: u32) -> Result<(Resumption, Released), TooHigh> {
        let mut receipts = Vec::new();
        let (released, (tenure, waker)) = {
            let mut outside = self.outward.lock();
            let released = outside.queue.resume(h, &mut receipts)?;
            // What was to be said to the old connection is none of the new one's business.
            outside.signals = VecDeque::new();
            outside.ack_due = false;
            (released, outside.begin_tenure())
        };
        {
            let mut inside = self.inward.lock();
            inside.tenure = tenure;
            inside.count.not_asked();
        }
        // Only now: what a client has sent to itself would give an answer to the old connection to the new one.
        settle_all(receipts);
        if let Some(waker) = waker {
            waker.wake();
        }
        let loan = Loan::new(Arc::clone(self), tenure);
        Ok((Resumption { address, loan }, released))
    }

    /// Takes out what a newer entry makes needless, of what was never handed to a connection. Gives how many.
    pub fn withdraw(&self, is_needless: impl Fn(&Entry) -> bool) -> usize {
        self.outward.lock().queue.withdraw(is_needless)
    }

    /// Changes waiting copies: what `late` gives is put in before the end of the stanza.
    pub fn append(&self, late: impl FnMut(&Entry) -> Option<Vec<u8>>) {
        self.outward.lock().queue.append(late);
    }

    /// All that another process needs to go on with this mailbox. What was never sent, and whose sender waits in vain for
    /// a promise to be kept, is not part of it: it will be sent again.
    pub fn keep(&self) -> Kept {
        let (acknowledged, handed, entries) = {
            let outside = self.outward.lock();
            let entries: Vec<Entry> = outside.queue.entries().map(|(_, entry)| entry.clone()).collect();
            (outside.queue.acknowledged(), outside.queue.handed(), entries)
        };
        // The promises are those of other mailboxes, whose locks are taken only now.
        let is_lasting =
            |entry: &Entry| entry.stored.is_some() || !entry.receipt.as_ref().is_some_and(Receipt::is_open);
        let entries = entries.into_iter().enumerate();
        let entries = entries.filter(|(place, entry)| *place < handed || is_lasting(entry));
        let kept = |(_, entry): (usize, Entry)| KeptEntry {
            parcel: entry.parcel,
            storable: entry.storable,
            stored: entry.stored,
            copies: entry.copies,
            pushed: entry.pushed,
        };
        Kept {
            acknowledged,
            handled: self.handled(),
            entries: entries.map(kept).collect(),
        }
    }

    /// A mailbox that goes on where one of an earlier process stopped. It is lent to nobody.
    pub fn restored(limits: Limits, kept: Kept) -> Arc<Mailbox> {
        let mut outside = Outside::default();
        outside.queue.restore(kept.acknowledged, kept.entries);
        Arc::new(Mailbox {
            limits,
            outward: Mutex::new(outside),
            inward: Mutex::new(Inside {
                count: Inward::going_on(kept.handled),
                tenure: 0,
            }),
        })
    }

    // ---- the connection's side ----

    /// Ready when there is something to write, a signal, or an owed acknowledgement; otherwise the task is woken later.
    pub fn poll_work(&self, context: &mut Context<'_>) -> Poll<()> {
        self.outward.lock().poll_work(context)
    }

    /// The same for whoever may not drain now: stanzas that wait do not count, or nobody would be woken by a signal that
    /// comes after them.
    pub fn poll_signal(&self, context: &mut Context<'_>) -> Poll<()> {
        self.outward.lock().poll_signal(context)
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
        self.outward.lock().take_signal()
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
        let place = self.inward.lock().count.count();
        Receipt::new(Arc::clone(self), place)
    }

    /// The peer asks for an acknowledgement (`<r/>`): gives the `h` of now. If more was received than is settled, a
    /// [`Signal::AckDue`] follows once it is.
    pub fn asked(&self) -> u32 {
        let count = &mut self.inward.lock().count;
        count.asked();
        count.handled()
    }

    /// The settled prefix of what the peer sent, modulo 2³².
    pub fn handled(&self) -> u32 {
        self.inward.lock().count.handled()
    }

    /// Stanzas of the peer whose fate is open.
    pub fn open_receipts(&self) -> usize {
        self.inward.lock().count.open()
    }

    pub(crate) fn is_open(&self, place: u64) -> bool {
        self.inward.lock().count.is_open(place)
    }

    pub(crate) fn settle(&self, place: u64) {
        let due = {
            let count = &mut self.inward.lock().count;
            count.settle(place) && count.take_due()
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
pub(crate) fn settle_all(receipts: Vec<Receipt>) {
    for receipt in receipts {
        receipt.settle();
    }
}
