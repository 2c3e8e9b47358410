//! The last words on the stream of a bound client (RFC 6120 §4.4).
//!
//! Whoever closes a stream may still get what the other side had to say. So the stream of a bound client ends in two
//! steps: first what waits in its mailbox is written, and a client that has closed the stream itself gets the answers to
//! what it asked, if they come soon; then everything is closed. Nothing is read any more.

use stanza::Address;
use stream_management::{Drained, Loan, Signal};

use crate::bound::Bound;
use crate::phase::Stop;
use crate::{Ending, Output};

/// A bound client whose stream is about to end.
pub(crate) struct Leaving {
    bound: Box<Bound>,
    stop: Stop,
    /// Whether answers are worth waiting for.
    is_patient: bool,
}

/// Whether it is time to end the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Time {
    /// It is.
    Now,
    /// There is something to be said before.
    NotYet,
}

impl Leaving {
    pub(crate) fn new(bound: Box<Bound>, stop: Stop) -> Leaving {
        let is_patient = matches!(stop, Stop::Said(Ending::Finished));
        if is_patient {
            bound.ask_for_settlement();
        }
        Leaving {
            bound,
            stop,
            is_patient,
        }
    }

    pub(crate) fn address(&self) -> &Address {
        self.bound.address()
    }

    pub(crate) fn mailbox(&self) -> &Loan {
        self.bound.mailbox()
    }

    /// Whether answers may still come that the client is waiting for.
    pub(crate) fn awaits_answers(&self) -> bool {
        self.is_patient && self.bound.is_owed_answers()
    }

    /// The mailbox was looked into. The end comes only when nothing was found: then all that was there is written, and
    /// known to be.
    pub(crate) fn drained(&mut self, drained: Drained) -> Time {
        self.bound.count_answers(drained.answers);
        if drained.stanzas > 0 || self.awaits_answers() {
            Time::NotYet
        } else {
            Time::Now
        }
    }

    pub(crate) fn signal(&mut self, signal: &Signal) {
        match signal {
            // The account has given up this session: nothing will come any more.
            Signal::Close(_) => self.is_patient = false,
            // The last acknowledgement will say it; and who has closed the stream has ended the session.
            Signal::AckDue
            | Signal::Bound(_)
            | Signal::NotBound(_)
            | Signal::Resumed(_)
            | Signal::NotResumed(_)
            | Signal::Suspend => {}
        }
    }

    /// Time is over: first for answers that have not come, then for a client that does not take what is there.
    pub(crate) fn deadline(&mut self) -> Time {
        if std::mem::take(&mut self.is_patient) {
            Time::NotYet
        } else {
            Time::Now
        }
    }

    /// What is said last, and why the stream ends.
    pub(crate) fn last_words(mut self, out: &mut Output) -> Stop {
        self.bound.performed(out);
        self.bound.write_last_acknowledgement(out);
        self.stop
    }

    /// Why the stream ends, when nothing can be said any more.
    pub(crate) fn into_ending(self) -> Ending {
        self.stop.into_ending()
    }
}
