//! A WebSocket as a connection reads and writes it: each message one element (RFC 7395 §3.3.3).

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink, Stream};
use stanza::namespace::FRAMING;
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use super::socket::{Read, Wrong};
use crate::carrier::Carrier;

/// Room to read into; a longer message makes room for itself.
const READ_BYTES: usize = 4 << 10;

/// Messages are joined into writes of this size.
const WRITE_BYTES: usize = 16 << 10;

/// One WebSocket, its handshake behind it.
pub(crate) struct WebSocket {
    stream: WebSocketStream<Carrier>,
    ping_interval: Duration,
    ping: Pin<Box<Sleep>>,
    /// Whether the peer gave a sign of life since it was last asked for one.
    is_alive: bool,
}

impl WebSocket {
    /// Goes on behind the handshake; `read` is what came behind it. Messages of more than `message_bytes` are refused.
    pub(crate) async fn new(
        carrier: Carrier,
        read: &[u8],
        message_bytes: usize,
        ping_interval: Duration,
    ) -> WebSocket {
        let mut config = WebSocketConfig::default();
        config.read_buffer_size = READ_BYTES;
        config.write_buffer_size = WRITE_BYTES;
        config.max_message_size = Some(message_bytes);
        config.max_frame_size = Some(message_bytes);
        let stream =
            WebSocketStream::from_partially_read(carrier, read.to_vec(), Role::Server, Some(config)).await;
        WebSocket {
            stream,
            ping_interval,
            ping: Box::pin(tokio::time::sleep(ping_interval)),
            is_alive: true,
        }
    }

    /// Gives the next message to `take`.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>, take: impl FnOnce(&[u8])) -> Read {
        loop {
            match Pin::new(&mut self.stream).poll_next(context) {
                Poll::Pending => return self.poll_ping(context),
                Poll::Ready(None | Some(Ok(Message::Close(_)))) => return Read::Ended,
                Poll::Ready(Some(Ok(Message::Text(text)))) => {
                    self.is_alive = true;
                    take(text.as_bytes());
                    return Read::Some;
                }
                Poll::Ready(Some(Ok(Message::Binary(_)))) => return Read::Wrong(Wrong::Binary),
                // A ping is answered by whoever reads it.
                Poll::Ready(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {
                    self.is_alive = true;
                }
                Poll::Ready(Some(Err(tungstenite::Error::Capacity(_)))) => {
                    return Read::Wrong(Wrong::TooLong);
                }
                Poll::Ready(Some(Err(_))) => return Read::Failed,
            }
        }
    }

    /// Asks from time to time whether the peer is still there (RFC 6455 §5.5.2), which also keeps proxies in between
    /// from giving up the connection. A peer that has not answered by the next time is lost.
    fn poll_ping(&mut self, context: &mut Context<'_>) -> Read {
        while self.ping.as_mut().poll(context).is_ready() {
            if !std::mem::take(&mut self.is_alive) {
                return Read::Failed;
            }
            self.ping.as_mut().reset(Instant::now() + self.ping_interval);
            if Pin::new(&mut self.stream).poll_ready(context).is_ready() {
                let ping = Message::Ping(Bytes::new());
                if Pin::new(&mut self.stream).start_send(ping).is_err() {
                    return Read::Failed;
                }
            }
            if let Poll::Ready(Err(_)) = Pin::new(&mut self.stream).poll_flush(context) {
                return Read::Failed;
            }
        }
        Read::Nothing
    }

    /// Puts the first element of `bytes` into a message, and says how long it was.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = match Pin::new(&mut self.stream).poll_ready(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => Err(io::Error::other(error)),
            Poll::Ready(Ok(())) => match xml::split_plain(bytes) {
                Some((element, _)) => Pin::new(&mut self.stream)
                    .start_send(Message::text(element))
                    .map(|()| element.len())
                    .map_err(io::Error::other),
                None => Err(io::ErrorKind::InvalidData.into()),
            },
        };
        Poll::Ready(outcome)
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream)
            .poll_flush(context)
            .map_err(io::Error::other)
    }

    /// Answers the opening of a stream by sending the client to another place (RFC 7395 §3.4, §3.6.1).
    pub(crate) async fn send_elsewhere(mut self, uri: &str) {
        let came = poll_fn(|context| match self.poll_read(context, |_| {}) {
            Read::Nothing => Poll::Pending,
            Read::Some => Poll::Ready(true),
            Read::Ended | Read::Failed | Read::Paused | Read::Continued | Read::Wrong(_) => {
                Poll::Ready(false)
            }
        });
        if came.await {
            let mut close = format!("<close xmlns='{FRAMING}' see-other-uri='").into_bytes();
            xml::escape_attribute(&mut close, uri);
            close.extend_from_slice(b"'/>");
            let written = poll_fn(|context| self.poll_write(context, &close));
            if written.await.is_ok() {
                self.close().await.close().await;
            }
        }
    }

    /// The closing handshake of WebSocket (RFC 7395 §3.6, RFC 6455 §7.1.2). Gives what it ran on.
    pub(super) async fn close(mut self) -> Carrier {
        let closing = poll_fn(|context| Pin::new(&mut self.stream).poll_close(context));
        if closing.await.is_ok() {
            while let Some(Ok(_)) = poll_fn(|context| Pin::new(&mut self.stream).poll_next(context)).await {}
        }
        self.stream.into_inner()
    }
}
