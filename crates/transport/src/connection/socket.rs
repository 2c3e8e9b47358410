//! What a connection runs on: TCP, or TLS on it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// What a connection runs on.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
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
}

impl Socket {
    /// Reads what has come into `buffer`, and gives it.
    pub(super) fn poll_read_into<'b>(
        &mut self,
        context: &mut Context<'_>,
        buffer: &'b mut [u8],
    ) -> (Read, &'b [u8]) {
        let mut into = ReadBuf::new(buffer);
        let outcome = self.poll_read(context, &mut into);
        let filled = into.filled().len();
        let read = match outcome {
            Poll::Pending => Read::Nothing,
            Poll::Ready(Err(_)) => Read::Failed,
            Poll::Ready(Ok(())) if filled == 0 => Read::Ended,
            Poll::Ready(Ok(())) => Read::Some,
        };
        (read, buffer.get(..filled).unwrap_or_default())
    }

    fn poll_read(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Socket::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
            Socket::None => Poll::Ready(Ok(())),
        }
    }

    pub(super) fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Socket::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
            Socket::None => Poll::Ready(Ok(0)),
        }
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            // TCP has nothing to flush.
            Socket::Plain(_) | Socket::None => Poll::Ready(Ok(())),
            Socket::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    /// Says goodbye as the protocol below has it, and waits for the peer to do so: a socket that is closed with unread
    /// bytes would take the last word back (TCP reset).
    pub(super) async fn close(mut self) {
        let _ = poll_fn(|context| match &mut self {
            Socket::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Socket::Tls(tls) => Pin::new(tls).poll_shutdown(context),
            Socket::None => Poll::Ready(Ok(())),
        })
        .await;
        let mut sink = [0; 1024];
        loop {
            let read = poll_fn(|context| {
                let mut buffer = ReadBuf::new(&mut sink);
                ready!(self.poll_read(context, &mut buffer))?;
                Poll::Ready(io::Result::Ok(buffer.filled().len()))
            });
            match read.await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}
