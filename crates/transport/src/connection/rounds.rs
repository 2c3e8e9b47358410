//! One wake of a connection: answers, time, the mailbox and the socket in turns, until none of them has anything.

use std::pin::Pin;
use std::task::{Context, Poll};

use c2s::{Input, Stage};
use features::Setback;
use router::Router;
use stanza::{StreamCondition, StreamError};

use super::patience::Time;
use super::round::Round;
use super::socket::{Read, Socket};
use super::transfer::{Write, fault};
use super::{Answer, Connection, Step, Wants};

/// Things one connection may do before others on its thread have their turn.
const ROUNDS_MAX: usize = 64;

/// Whether there is something in the mailbox.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mailbox {
    Calls,
    Silent,
}

impl Connection {
    /// Does what can be done now. Ready when the task must go on outside.
    pub(super) fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        let mut round = Round::begin(&self.clients);
        let step = self.poll_rounds(context, &mut round);
        self.keep(&round);
        step
    }

    /// Every round that did something is followed by another, so that in the last one each source was found empty, and
    /// the task is woken by all of them.
    fn poll_rounds(&mut self, context: &mut Context<'_>, round: &mut Round) -> Poll<Step> {
        let mut nothing_to_read = false;
        for _ in 0..ROUNDS_MAX {
            if let Socket::Requests(bosh) = &mut self.socket {
                bosh.watch(context);
                if self.session.stage() != Stage::Unauthenticated {
                    bosh.authenticated();
                }
                self.take_delivered();
            }
            let mut busy = self.poll_answer(context, round);
            match self.poll_deadline(context, round) {
                Time::Runs => {}
                Time::Passed => busy = true,
                Time::Ended => {
                    // What the socket takes at once is still said.
                    self.poll_write(context, round, Mailbox::Silent);
                    return Poll::Ready(Step::End);
                }
            }
            let mailbox = self.poll_mailbox(context);
            if mailbox == Mailbox::Calls {
                busy |= self.take_signals(round);
            }
            match self.poll_write(context, round, mailbox) {
                Write::Nothing => {}
                // More stanzas change nothing for a client that takes none. But its session may be ended meanwhile.
                Write::Waiting => busy |= self.poll_signal(context) == Mailbox::Calls,
                Write::Some => busy = true,
                Write::Failed => return self.lost(round),
            }
            if self.is_written(round) {
                match self.wants {
                    Wants::Nothing => {}
                    Wants::Tls => return Poll::Ready(Step::Secure),
                    Wants::Close(_) => return Poll::Ready(Step::End),
                }
                // A slow reader is not read from, nor is who asks on while answers wait: the next round writes some of them.
                let is_first_given = mailbox == Mailbox::Calls && self.session.asks_too_fast();
                if !nothing_to_read && self.session.reads() && !is_first_given {
                    match self.poll_read(context, round) {
                        Read::Some => busy = true,
                        Read::Nothing => nothing_to_read = true,
                        Read::Ended => {
                            self.input(round, Input::PeerClosed);
                            busy = true;
                        }
                        Read::Paused => {
                            self.tell_account(Router::paused);
                            busy = true;
                        }
                        Read::Continued => {
                            self.tell_account(Router::continued);
                            busy = true;
                        }
                        Read::Wrong(wrong) => {
                            self.input(round, Input::End(fault(wrong)));
                            busy = true;
                        }
                        Read::Failed => return self.lost(round),
                    }
                }
            }
            if !busy {
                return Poll::Pending;
            }
        }
        // Others are waiting for this thread too.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_written(&self, round: &Round) -> bool {
        self.sent == self.unsent.len() && !self.unflushed && round.output.bytes.is_empty()
    }

    fn lost(&mut self, round: &mut Round) -> Poll<Step> {
        self.input(round, Input::PeerClosed);
        round.output.bytes.clear();
        self.unsent = Vec::new();
        self.sent = 0;
        self.unflushed = false;
        Poll::Ready(Step::End)
    }

    fn poll_answer(&mut self, context: &mut Context<'_>, round: &mut Round) -> bool {
        let Some(answer) = &mut self.answer else {
            return false;
        };
        let Poll::Ready(answer) = Pin::new(answer).poll(context) else {
            return false;
        };
        self.answer = None;
        let input = match answer {
            Ok(Answer::Credentials(lookup)) => Input::Credentials(lookup),
            Ok(Answer::Password(verdict)) => Input::PasswordChecked(verdict),
            Ok(Answer::Registered(outcome)) => {
                if let Err(Setback::NameTaken | Setback::Unavailable) = outcome {
                    self.admission.registration_failed();
                }
                Input::Registered(outcome)
            }
            // Whoever was asked is gone without a word.
            Err(_) => Input::End(StreamError::new(StreamCondition::InternalServerError)),
        };
        self.input(round, input);
        true
    }

    /// Whether the mailbox has something; otherwise it will wake this task.
    fn poll_mailbox(&self, context: &mut Context<'_>) -> Mailbox {
        match self.session.mailbox() {
            Some(mailbox) if self.session.may_drain() => match mailbox.poll_work(context) {
                Poll::Ready(()) => Mailbox::Calls,
                Poll::Pending => Mailbox::Silent,
            },
            Some(_) | None => self.poll_signal(context),
        }
    }

    /// Whether the mailbox has a signal; otherwise one will wake this task, whatever waits before it.
    fn poll_signal(&self, context: &mut Context<'_>) -> Mailbox {
        match self.session.mailbox().map(|mailbox| mailbox.poll_signal(context)) {
            Some(Poll::Ready(())) => Mailbox::Calls,
            Some(Poll::Pending) | None => Mailbox::Silent,
        }
    }

    fn take_signals(&mut self, round: &mut Round) -> bool {
        let mut some = false;
        while let Some(signal) = self.session.mailbox().and_then(|mailbox| mailbox.take_signal()) {
            self.input(round, Input::Signal(signal));
            some = true;
        }
        some
    }

    /// What could not be written in this round waits for the socket.
    pub(super) fn keep(&mut self, round: &Round) {
        self.unsent.extend_from_slice(&round.output.bytes);
    }
}
