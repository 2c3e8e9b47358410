//! One wake of a connection: orders, time, the mailbox and the socket in turns, until none of them has anything.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use machine::Moment;
use s2s::Input;
use stanza::{StreamCondition, StreamError};

use super::round::Round;
use super::socket::{Read, Write};
use super::{ELEMENTS_MAX, Peer, ROUNDS_MAX, Step, UNREAD_ANSWERS, Wants};

impl Peer {
    /// Does what can be done now. Ready when the task must go on outside.
    pub(super) fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        let mut round = Round::begin(&self.servers);
        let step = self.poll_rounds(context, &mut round);
        self.keep(&round);
        step
    }

    /// Every round that did something is followed by another, so that in the last one each source was found empty, and
    /// the task is woken by all of them.
    pub(super) fn poll_rounds(&mut self, context: &mut Context<'_>, round: &mut Round) -> Poll<Step> {
        let mut nothing_to_read = false;
        self.taken = 0;
        for _ in 0..ROUNDS_MAX {
            if self.taken > ELEMENTS_MAX {
                break;
            }
            let mut busy = self.take_orders(context, round);
            if self.poll_time(context, round) {
                if self.ending.is_some() {
                    return Poll::Ready(Step::End);
                }
                busy = true;
            }
            // Before anything is written: nothing is given to a peer that has left already, as far as can be known.
            if !nothing_to_read && self.reads(round) {
                match self.poll_read(context, round) {
                    Read::Some => busy = true,
                    Read::Nothing => nothing_to_read = true,
                    Read::Ended => {
                        self.input(round, Input::PeerClosed);
                        busy = true;
                    }
                    Read::Failed => return self.lost(round),
                }
            }
            let calls = self.poll_mailbox(context, round);
            if calls {
                busy |= self.take_signals(round);
            }
            match self.poll_write(context, round, calls) {
                Write::Nothing | Write::Waiting => {}
                Write::Some => busy = true,
                Write::Failed => return self.lost(round),
            }
            if self.is_written(round) {
                match self.wants {
                    Wants::Nothing => {}
                    Wants::Tls => return Poll::Ready(Step::Secure),
                    Wants::Close => return Poll::Ready(Step::End),
                }
            }
            if !busy {
                let rests = self.is_throttled(round) && self.is_written(round);
                if rests
                    && self
                        .carrier
                        .as_mut()
                        .is_some_and(|carrier| carrier.rest().is_err())
                {
                    return self.lost(round);
                }
                return Poll::Pending;
            }
        }
        // Others are waiting for this thread too. It does not only run those that are ready, but looks at all sockets before
        // this task goes on: the people here do not wait behind a server that has much to say.
        let later = pin!(tokio::task::yield_now());
        let _ = later.poll(context);
        Poll::Pending
    }

    pub(super) fn is_written(&self, round: &Round) -> bool {
        self.sent == self.unsent.len() && !self.unflushed && round.output.bytes.is_empty()
    }

    /// Whether the peer is read from: not in a handshake, not when it sent too many stanzas, and not when it has left too
    /// much of what we answered unread.
    pub(super) fn reads(&self, round: &Round) -> bool {
        let waiting = self.unsent.len() - self.sent + round.output.bytes.len();
        matches!(self.wants, Wants::Nothing)
            && self.stream.reads()
            && waiting <= UNREAD_ANSWERS
            && !self.is_throttled(round)
    }

    /// What the peer has sent beyond its rate is made up for by waiting.
    fn is_throttled(&self, round: &Round) -> bool {
        self.throttled_until().is_some_and(|until| until > round.now)
    }

    fn throttled_until(&self) -> Option<Moment> {
        let rate = self.servers.settings().stanzas?;
        Some(self.share.pace().held_until(rate))
    }

    /// Counts what a read brought.
    pub(super) fn count_input(&mut self, bytes: usize, round: &mut Round) {
        let elements = std::mem::take(&mut round.output.elements);
        let (rate, unfinished) = {
            let settings = self.servers.settings();
            (settings.stanzas, settings.unfinished_bytes)
        };
        self.taken += elements;
        if let Some(rate) = rate {
            self.share.pace().count(elements, bytes, rate, round.now);
        }
        if !self.share.hold(self.stream.held_bytes(), unfinished) {
            let error = StreamError::new(StreamCondition::ResourceConstraint);
            let text = "Too much is unfinished on the connections of this address.";
            self.input(round, Input::End(error.text(text)));
        }
    }

    pub(super) fn lost(&mut self, round: &mut Round) -> Poll<Step> {
        self.input(round, Input::PeerClosed);
        round.output.bytes.clear();
        self.unsent = Vec::new();
        self.sent = 0;
        self.unflushed = false;
        self.carrier = None;
        Poll::Ready(Step::End)
    }

    pub(super) fn take_orders(&mut self, context: &mut Context<'_>, round: &mut Round) -> bool {
        let orders = Arc::clone(&self.orders);
        let mut some = false;
        while let Poll::Ready(order) = orders.poll_next(context) {
            self.input(round, order.into());
            some = true;
        }
        some
    }

    /// True when a moment has come that was waited for.
    pub(super) fn poll_time(&mut self, context: &mut Context<'_>, round: &mut Round) -> bool {
        let Some(wake) = self.next_wake(round) else {
            self.sleep = None;
            return false;
        };
        // A sleep that ends too early does no harm, and most moments are put off again and again.
        let armed = self.sleep.take().filter(|(until, _)| *until <= wake);
        let (until, mut sleep) = armed.unwrap_or_else(|| {
            let pause = wake.since(round.now);
            (wake, Box::pin(tokio::time::sleep(pause)))
        });
        if sleep.as_mut().poll(context).is_pending() {
            self.sleep = Some((until, sleep));
            return false;
        }
        if self.ending.as_ref().is_some_and(|(_, until)| *until > round.now) {
            // It slept for something that does not matter any more.
            return self.poll_time(context, round);
        }
        if self.ending.is_none() {
            self.input(round, Input::Wake);
        }
        true
    }

    pub(super) fn next_wake(&self, round: &Round) -> Option<Moment> {
        if let Some((_, until)) = &self.ending {
            return Some(*until);
        }
        let throttled = self.throttled_until();
        let throttled = throttled.filter(|until| *until > round.now);
        let of_stream = self.stream.next_wake(&round.settings.federation.stream);
        throttled.into_iter().chain(of_stream).min()
    }

    /// Whether the mailbox has something that can be taken now; otherwise it will wake this task.
    fn poll_mailbox(&self, context: &mut Context<'_>, round: &Round) -> bool {
        let may_drain = self.stream.may_drain(&round.settings.federation.stream);
        self.stream.signals().is_some_and(|mailbox| match may_drain {
            true => mailbox.poll_work(context).is_ready(),
            false => mailbox.poll_signal(context).is_ready(),
        })
    }

    pub(super) fn take_signals(&mut self, round: &mut Round) -> bool {
        let mut some = false;
        while let Some(signal) = self.stream.signals().and_then(|mailbox| mailbox.take_signal()) {
            self.input(round, Input::Signal(signal));
            some = true;
        }
        some
    }
}
