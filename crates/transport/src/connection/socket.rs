//! What a connection runs on: bytes on TCP or TLS, messages on a WebSocket, or the requests of a BOSH session.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use c2s::{Ending, Input};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::bosh::Bosh;
use super::web_socket::WebSocket;
use crate::carrier::Carrier;

/// What a connection runs on.
pub(super) enum Socket {
    Bytes(Carrier),
    Messages(Box<WebSocket>),
    Requests(Box<Bosh>),
    /// Between two of them, and after the end.
    None,
}

/// What came of reading.
pub(super) enum Read {
    Some,
    /// Nothing has come; the task is woken when something does.
    Nothing,
    /// The peer will send nothing any more.
    Ended,
    Failed,
    /// The client said that it will be silent for a while.
    Paused,
    /// That client is back.
    Continued,
    /// Something came that has no place in this kind of connection.
    Wrong(Wrong),
}

/// What a peer must not send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// A message that is no text (RFC 7395 §3.2).
    Binary,
    /// A message beyond all limits.
    TooLong,
}

impl Socket {
    /// Reads what has come, and gives it to `take`.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        take: impl FnOnce(Input<'_>),
    ) -> Read {
        match self {
            Socket::Bytes(carrier) => {
                let mut into = ReadBuf::new(buffer);
                match Pin::new(carrier).poll_read(context, &mut into) {
                    Poll::Pending => Read::Nothing,
                    Poll::Ready(Err(_)) => Read::Failed,
                    Poll::Ready(Ok(())) if into.filled().is_empty() => Read::Ended,
                    Poll::Ready(Ok(())) => {
                        take(Input::Received(into.filled()));
                        Read::Some
                    }
                }
            }
            Socket::Messages(web_socket) => {
                web_socket.poll_read(context, |message| take(Input::Received(message)))
            }
            Socket::Requests(bosh) => bosh.read(take),
            Socket::None => Read::Ended,
        }
    }

    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Socket::Bytes(carrier) => Pin::new(carrier).poll_write(context, bytes),
            Socket::Messages(web_socket) => web_socket.poll_write(context, bytes),
            Socket::Requests(bosh) => bosh.poll_write(bytes),
            Socket::None => Poll::Ready(Ok(0)),
        }
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Bytes(carrier) => Pin::new(carrier).poll_flush(context),
            Socket::Messages(web_socket) => web_socket.poll_flush(context),
            // What a request takes, and when, is seen later.
            Socket::Requests(_) | Socket::None => Poll::Ready(Ok(())),
        }
    }

    /// Says goodbye as each protocol below has it.
    pub(super) async fn close(self, ending: &Ending) {
        match self {
            Socket::Bytes(carrier) => carrier.close().await,
            Socket::Messages(web_socket) => web_socket.close().await.close().await,
            Socket::Requests(bosh) => bosh.close(ending).await,
            Socket::None => {}
        }
    }
}
