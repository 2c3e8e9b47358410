//! Bytes from the socket to the session, and what the session says and the mailbox holds to the socket.

use std::task::{Context, Poll};

use c2s::{Input, Stage};
use stanza::{StreamCondition, StreamError};

use super::Connection;
use super::round::{self, Round};
use super::rounds::Mailbox;
use super::socket::{Read, Socket, Wrong};
use crate::addresses::WrongPort;
use crate::carrier::Carrier;

/// The first byte of a client that begins with TLS (RFC 8446 §5.1). No XML begins with it.
const TLS_HANDSHAKE: u8 = 22;

/// Bytes that are joined into one write. A little less than the 16 KiB of a TLS record, because the last stanza goes over
/// it.
const WRITE_BYTES: usize = 15 << 10;

/// Stanzas that are drained at once, so that one busy mailbox does not hold its lock for long.
const DRAIN_STANZAS: usize = 256;

/// What came of writing.
pub(super) enum Write {
    /// There was nothing to be written.
    Nothing,
    /// Something was written, and nothing waits for the socket.
    Some,
    /// The socket takes no more for now.
    Waiting,
    Failed,
}

impl Connection {
    /// Writes what the socket did not take before, then what the session said and what the mailbox holds, joined.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        round: &mut Round,
        mailbox: Mailbox,
    ) -> Write {
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.poll_write(context, rest) {
                Poll::Ready(Ok(0) | Err(_)) => return Write::Failed,
                Poll::Ready(Ok(written)) => {
                    self.sent += written;
                    self.unflushed = true;
                }
                Poll::Pending => return Write::Waiting,
            }
        }
        if !self.unsent.is_empty() {
            // An idle connection keeps no buffer.
            self.unsent = Vec::new();
            self.sent = 0;
        }
        self.drain(round, mailbox);
        let mut bytes = round.output.bytes.as_slice();
        while !bytes.is_empty() {
            match self.socket.poll_write(context, bytes) {
                Poll::Ready(Ok(0) | Err(_)) => return Write::Failed,
                Poll::Ready(Ok(written)) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    self.unflushed = true;
                }
                Poll::Pending => {
                    // Only now is it worth keeping: the socket is full.
                    self.unsent = bytes.to_vec();
                    round.output.bytes.clear();
                    return Write::Waiting;
                }
            }
        }
        round.output.bytes.clear();
        if !self.unflushed {
            return Write::Nothing;
        }
        match self.socket.poll_flush(context) {
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                self.all_written();
                Write::Some
            }
            Poll::Ready(Err(_)) => Write::Failed,
            Poll::Pending => Write::Waiting,
        }
    }

    /// Puts what waits in the mailbox behind what the session said.
    fn drain(&mut self, round: &mut Round, calls: Mailbox) {
        let is_leaving = self.session.stage() == Stage::Leaving;
        if (calls == Mailbox::Silent && !is_leaving) || !self.session.may_drain() {
            return;
        }
        let Some(mailbox) = self.session.mailbox() else {
            return;
        };
        let target = self.session.target();
        let drained = mailbox.drain(&mut round.output.bytes, target, WRITE_BYTES, DRAIN_STANZAS);
        self.drained += drained.stanzas;
        // What waited may have been taken back, and an acknowledgement behind it is due all the same.
        if drained.stanzas > 0 || drained.handled.is_some() || is_leaving {
            self.input(round, Input::Drained(drained));
        }
    }

    /// Everything that was drained is with the client now; in requests, it is on its way.
    fn all_written(&mut self) {
        let drained = std::mem::take(&mut self.drained);
        match &self.socket {
            Socket::Requests(bosh) => bosh.flush(drained),
            Socket::Bytes(_) | Socket::Messages(_) | Socket::None => self.delivered(drained),
        }
    }

    /// What a client that speaks in requests is known to have.
    pub(super) fn take_delivered(&mut self) {
        if let Socket::Requests(bosh) = &self.socket {
            self.delivered(bosh.take_delivered());
        }
    }

    /// The client has the next stanzas of those that were drained.
    fn delivered(&self, stanzas: usize) {
        if stanzas > 0
            && let (Some(mailbox), Some(handle)) = (self.session.mailbox(), &self.handle)
        {
            let released = mailbox.written(stanzas);
            if !released.stored.is_empty() {
                let router = self.clients.router();
                router.work(|worker| router.released(handle, released, worker));
            }
        }
    }

    pub(super) fn poll_read(&mut self, context: &mut Context<'_>, round: &mut Round) -> Read {
        // Out of the connection for a moment, so that what is read can be given to it.
        let mut socket = std::mem::replace(&mut self.socket, Socket::None);
        let is_first = std::mem::replace(&mut self.is_unheard, false)
            && matches!(socket, Socket::Bytes(Carrier::Plain(_)));
        let mut is_lost = false;
        let read = round::with_read_buffer(|buffer| {
            socket.poll_read(context, buffer, |input| {
                if is_first && matches!(input, Input::Received([TLS_HANDSHAKE, ..])) {
                    is_lost = true;
                } else {
                    self.input(round, input);
                }
            })
        });
        self.socket = socket;
        match read {
            Read::Some if is_lost => {
                self.tell_of_wrong_port(WrongPort::Tls);
                Read::Failed
            }
            Read::Nothing => {
                self.is_unheard = is_first;
                read
            }
            Read::Some | Read::Paused | Read::Continued | Read::Ended | Read::Failed | Read::Wrong(_) => read,
        }
    }
}

/// What a peer is told of what has no place in its connection.
pub(super) fn fault(wrong: Wrong) -> StreamError {
    match wrong {
        Wrong::Binary => {
            StreamError::new(StreamCondition::BadFormat).text("Messages are text here (RFC 7395 §3.2).")
        }
        Wrong::TooLong => StreamError::new(StreamCondition::PolicyViolation).text("A message was too long."),
    }
}
