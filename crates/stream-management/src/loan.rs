//! A mailbox as one connection has it: until another connection of the same client goes on with the session.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use stanza::{Address, StreamCondition, StreamError, Target};

use crate::mailbox::{Outside, settle_all};
use crate::outward::{Drained, Entry, PushError, Released, TooHigh};
use crate::{Mailbox, Receipt, Signal};

/// The right to empty a mailbox and to count for it. It ends when the mailbox is lent to somebody else: then nothing is
/// drained, counted or acknowledged through it any more, and its holder is told to close (XEP-0198 §5, `<conflict/>`).
pub struct Loan {
    mailbox: Arc<Mailbox>,
    tenure: u64,
    /// Whether the holder was told that the loan is over.
    told: AtomicBool,
}

/// A session that goes on with another connection (XEP-0198 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumption {
    /// The full address of the session.
    pub address: Address,
    /// The session's mailbox.
    pub loan: Loan,
}

/// Why a session does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotResumed {
    /// There is none of this name. If there was one, this is what was handled of what its client sent.
    Unknown(Option<u32>),
    /// The client claims more than it was sent.
    TooHigh(TooHigh),
}

impl Loan {
    pub(crate) fn new(mailbox: Arc<Mailbox>, tenure: u64) -> Loan {
        Loan {
            mailbox,
            tenure,
            told: AtomicBool::new(false),
        }
    }

    /// What is lent.
    pub fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    /// See [`Mailbox::poll_work`].
    pub fn poll_work(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(|outside| outside.poll_work(context))
    }

    /// See [`Mailbox::poll_signal`].
    pub fn poll_signal(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(|outside| outside.poll_signal(context))
    }

    /// The last signal of a loan that is over is its own.
    fn poll(&self, poll: impl FnOnce(&mut Outside) -> Poll<()>) -> Poll<()> {
        let mut outside = self.mailbox.outward.lock();
        if outside.tenure == self.tenure {
            poll(&mut outside)
        } else if self.told.load(Ordering::Relaxed) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// See [`Mailbox::take_signal`]. The last one says that the loan is over.
    pub fn take_signal(&self) -> Option<Signal> {
        let mut outside = self.mailbox.outward.lock();
        if outside.tenure == self.tenure {
            return outside.take_signal();
        }
        let is_told = self.told.swap(true, Ordering::Relaxed);
        (!is_told).then(|| Signal::Close(StreamError::new(StreamCondition::Conflict)))
    }

    /// See [`Mailbox::drain`].
    pub fn drain(&self, out: &mut Vec<u8>, target: Target, bytes_max: usize, stanzas_max: usize) -> Drained {
        let mut outside = self.mailbox.outward.lock();
        if outside.tenure != self.tenure {
            return Drained::default();
        }
        let mut drained = outside.queue.drain(out, target, bytes_max, stanzas_max);
        let is_asked_again = drained.handled.is_some() && outside.queue.take_asked_again();
        drop(outside);
        if is_asked_again && let Some(handled) = self.tell_handled() {
            drained.handled = Some(handled);
        }
        drained
    }

    /// See [`Mailbox::written`].
    pub fn written(&self, stanzas: usize) -> Released {
        let mut receipts = Vec::new();
        let mut outside = self.mailbox.outward.lock();
        if outside.tenure != self.tenure {
            return Released::default();
        }
        let released = outside.queue.written(stanzas, &mut receipts);
        drop(outside);
        settle_all(receipts);
        released
    }

    /// See [`Mailbox::push`].
    ///
    /// # Errors
    /// As there, and when the loan is over.
    pub fn push(&self, entry: Entry) -> Result<bool, PushError> {
        if self.is_over() {
            return Err(PushError::Closed(Box::new(entry)));
        }
        self.mailbox.push(entry)
    }

    /// See [`Mailbox::enable_counting`].
    pub fn enable_counting(&self) {
        let mut outside = self.mailbox.outward.lock();
        if outside.tenure == self.tenure {
            outside.queue.enable();
        }
    }

    /// See [`Mailbox::acknowledge`]. What comes through a loan that is over tells nothing, nor does a count that is behind
    /// an earlier one.
    ///
    /// # Errors
    /// When the peer was sent fewer.
    pub fn acknowledge(&self, h: u32) -> Result<Released, TooHigh> {
        let mut receipts = Vec::new();
        let mut outside = self.mailbox.outward.lock();
        if outside.tenure != self.tenure {
            return Ok(Released::default());
        }
        if is_behind(h, outside.queue.acknowledged()) {
            return Ok(Released::default());
        }
        let released = outside.queue.acknowledge(h, &mut receipts);
        drop(outside);
        settle_all(receipts);
        released
    }

    /// Counts one stanza of the client. `None` when the loan is over: the client will send it again where the session
    /// goes on.
    pub fn count_received(&self) -> Option<Receipt> {
        let mut inside = self.mailbox.inward.lock();
        let place = (inside.tenure == self.tenure).then(|| inside.count.count())?;
        drop(inside);
        Some(Receipt::new(Arc::clone(&self.mailbox), place))
    }

    /// The client asks for an acknowledgement (`<r/>`). If more was received than is settled, a
    /// [`Signal::AckDue`] follows once it is.
    pub fn asked(&self) {
        let mut inside = self.mailbox.inward.lock();
        if inside.tenure == self.tenure {
            inside.count.asked();
        }
    }

    /// The `h` to be told now. `None` while something waits in the mailbox: errors for what is acknowledged may be among
    /// it, and must be on the stream before that, or a crash in between would lose what they are about. Then
    /// [`Drained::handled`] says it in time.
    pub fn tell_handled(&self) -> Option<u32> {
        // In this order: what is settled by now was put into the mailbox before, if it had to be returned.
        let handled = self.mailbox.handled();
        let mut outside = self.mailbox.outward.lock();
        if outside.tenure != self.tenure {
            // Nothing is drained through this loan any more that it could wait for.
            return Some(handled);
        }
        outside.queue.tell(handled)
    }

    /// See [`Mailbox::handled`].
    pub fn handled(&self) -> u32 {
        self.mailbox.handled()
    }

    /// See [`Mailbox::unacknowledged`].
    pub fn unacknowledged(&self) -> usize {
        self.mailbox.unacknowledged()
    }

    /// See [`Mailbox::open_receipts`].
    pub fn open_receipts(&self) -> usize {
        self.mailbox.open_receipts()
    }

    /// Whether somebody else has the mailbox now.
    pub fn is_over(&self) -> bool {
        self.mailbox.outward.lock().tenure != self.tenure
    }
}

/// Whether one count is behind another, modulo 2³²: nearer to it that way round than the other (RFC 1982 §3.2).
fn is_behind(h: u32, other: u32) -> bool {
    h.wrapping_sub(other) > u32::MAX / 2
}

impl Clone for Loan {
    fn clone(&self) -> Loan {
        Loan {
            mailbox: Arc::clone(&self.mailbox),
            tenure: self.tenure,
            told: AtomicBool::new(self.told.load(Ordering::Relaxed)),
        }
    }
}

impl PartialEq for Loan {
    fn eq(&self, other: &Self) -> bool {
        self.tenure == other.tenure && Arc::ptr_eq(&self.mailbox, &other.mailbox)
    }
}

impl Eq for Loan {}

impl fmt::Debug for Loan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Loan({:?}, tenure {})", self.mailbox, self.tenure)
    }
}
