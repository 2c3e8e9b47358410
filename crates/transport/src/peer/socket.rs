//! Bytes of a connection to and from its socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use s2s::Input;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::round::Round;
use super::{DRAIN_STANZAS, Peer, WRITE_BYTES};
use crate::carrier::Carrier;
use crate::connection::with_read_buffer;

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

/// What came of reading.
pub(super) enum Read {
    Some,
    /// Nothing has come; the task is woken when something does.
    Nothing,
    /// The peer will send nothing any more.
    Ended,
    Failed,
}

impl Peer {
    /// Writes what the socket did not take before, then what the stream said and what the mailbox holds, joined.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, round: &mut Round, calls: bool) -> Write {
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match poll_write(&mut self.carrier, context, rest) {
                Poll::Ready(Ok(0) | Err(_)) => return Write::Failed,
                Poll::Ready(Ok(written)) => {
                    self.sent += written;
                    self.unflushed = true;
                }
                Poll::Pending => {
                    // What was answered since goes behind it.
                    self.unsent.append(&mut round.output.bytes);
                    return Write::Waiting;
                }
            }
        }
        if !self.unsent.is_empty() {
            // An idle connection keeps no buffer.
            self.unsent = Vec::new();
            self.sent = 0;
        }
        if calls {
            self.drain(round);
        }
        let mut bytes = round.output.bytes.as_slice();
        while !bytes.is_empty() {
            match poll_write(&mut self.carrier, context, bytes) {
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
        match poll_flush(&mut self.carrier, context) {
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                self.all_written();
                Write::Some
            }
            Poll::Ready(Err(_)) => Write::Failed,
            Poll::Pending => Write::Waiting,
        }
    }

    /// Puts what waits in the mailbox behind what the stream said.
    pub(super) fn drain(&mut self, round: &mut Round) {
        if !self.stream.may_drain(&round.settings.federation.stream) {
            return;
        }
        let Some(mailbox) = self.stream.mailbox() else {
            return;
        };
        let target = self.stream.target();
        let drained = mailbox.drain(&mut round.output.bytes, target, WRITE_BYTES, DRAIN_STANZAS);
        self.drained += drained.stanzas;
        if drained.stanzas > 0 {
            let (stanzas, more) = (drained.stanzas, drained.more);
            self.input(round, Input::Drained { stanzas, more });
        }
    }

    /// Everything that was drained is with the peer now, as far as a connection can tell.
    pub(super) fn all_written(&mut self) {
        let drained = std::mem::take(&mut self.drained);
        if drained > 0
            && let Some(mailbox) = self.stream.mailbox()
        {
            // Links keep no rows of what they send.
            drop(mailbox.written(drained));
        }
    }

    pub(super) fn poll_read(&mut self, context: &mut Context<'_>, round: &mut Round) -> Read {
        with_read_buffer(|buffer| {
            let Some(carrier) = &mut self.carrier else {
                return Read::Ended;
            };
            let mut into = ReadBuf::new(buffer);
            match Pin::new(carrier).poll_read(context, &mut into) {
                Poll::Pending => {
                    // The beginning of a record of TLS costs something too.
                    let came = self.carrier.as_mut().map_or(0, Carrier::take_came);
                    if came > 0 {
                        self.count_input(came, round);
                    }
                    Read::Nothing
                }
                Poll::Ready(Err(_)) => Read::Failed,
                Poll::Ready(Ok(())) if into.filled().is_empty() => Read::Ended,
                Poll::Ready(Ok(())) => {
                    self.input(round, Input::Received(into.filled()));
                    let came = self.carrier.as_mut().map_or(0, Carrier::take_came);
                    self.count_input(came, round);
                    Read::Some
                }
            }
        })
    }

    /// What could not be written in this round waits for the socket.
    pub(super) fn keep(&mut self, round: &Round) {
        self.unsent.extend_from_slice(&round.output.bytes);
    }
}

fn poll_write(
    carrier: &mut Option<Carrier>,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match carrier {
        Some(carrier) => Pin::new(carrier).poll_write(context, bytes),
        None => Poll::Ready(Ok(0)),
    }
}

fn poll_flush(carrier: &mut Option<Carrier>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    match carrier {
        Some(carrier) => Pin::new(carrier).poll_flush(context),
        None => Poll::Ready(Ok(())),
    }
}
