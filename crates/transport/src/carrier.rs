//! What bytes travel on: TCP, or TLS on it.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use crate::strangers::{Acquaintance, Stranger};

/// What bytes travel on.
pub(crate) enum Carrier {
    Plain(Tcp),
    Tls(Box<TlsStream<Tcp>>),
}

/// TCP: strangers are not read from too often.
pub(crate) struct Tcp {
    stream: TcpStream,
    stranger: Option<Box<Stranger>>,
    /// Octets that came since somebody asked, those of TLS among them.
    came: usize,
}

impl Tcp {
    /// A connection on which everybody may say as much as he likes.
    pub(crate) fn of_friend(stream: TcpStream) -> Tcp {
        Tcp {
            stream,
            stranger: None,
            came: 0,
        }
    }

    /// A connection on which nobody has logged in.
    pub(crate) fn of_stranger(stream: TcpStream, stranger: Stranger) -> Tcp {
        Tcp {
            stranger: Some(Box::new(stranger)),
            ..Tcp::of_friend(stream)
        }
    }

    /// Whether it waits before it reads again.
    fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.stranger {
            Some(stranger) if stranger.is_known() => {
                self.stranger = None;
                Poll::Ready(())
            }
            Some(stranger) => stranger.poll_turn(context),
            None => Poll::Ready(()),
        }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tcp = self.get_mut();
        ready!(tcp.poll_turn(context));
        let before = buffer.filled().len();
        ready!(Pin::new(&mut tcp.stream).poll_read(context, buffer))?;
        let came = buffer.filled().len() - before;
        tcp.came += came;
        if let Some(stranger) = &mut tcp.stranger
            && came > 0
        {
            stranger.count();
        }
        Poll::Ready(Ok(()))
    }
}

/// One record of TLS is sent by itself, for which the kernel does less than for a list of one, and several are sent
/// together.
impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        records: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tcp = Pin::new(&mut self.get_mut().stream);
        match records {
            [record] => tcp.poll_write(context, record),
            _ => tcp.poll_write_vectored(context, records),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

impl Carrier {
    /// Whoever logs in by way of this is known on it.
    pub(crate) fn follow(&mut self, acquaintance: Acquaintance) {
        if let Some(stranger) = &mut self.tcp().stranger {
            stranger.follow(acquaintance);
        }
    }

    /// Octets that came since this was last asked, whether or not anything can be made of them yet.
    pub(crate) fn take_came(&mut self) -> usize {
        std::mem::take(&mut self.tcp().came)
    }

    fn tcp(&mut self) -> &mut Tcp {
        match self {
            Carrier::Plain(tcp) => tcp,
            Carrier::Tls(tls) => tls.get_mut().0,
        }
    }

    /// Says goodbye as the protocol below has it, and waits for the peer to do so: a socket that is closed with unread
    /// bytes would take the last word back (TCP reset).
    pub(crate) async fn close(mut self) {
        let _ = poll_fn(|context| Pin::new(&mut self).poll_shutdown(context)).await;
        let mut sink = [0; 1024];
        loop {
            let read = poll_fn(|context| {
                let mut buffer = ReadBuf::new(&mut sink);
                ready!(Pin::new(&mut self).poll_read(context, &mut buffer))?;
                Poll::Ready(io::Result::Ok(buffer.filled().len()))
            });
            match read.await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}

impl AsyncRead for Carrier {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Carrier::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Carrier::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Carrier::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Carrier::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Carrier::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Carrier::Tls(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use machine::Rate;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::runtime::Handle;

    use super::*;
    use crate::System;
    use crate::addresses::{AddressLimits, Addresses, Limit};

    async fn poll_once(tcp: &mut Tcp) -> Poll<Vec<u8>> {
        // Whatever was sent is here before it is tried.
        tcp.stream.readable().await.unwrap();
        let mut room = [0; 16];
        let mut buffer = ReadBuf::new(&mut room);
        poll_fn(|context| Poll::Ready(Pin::new(&mut *tcp).poll_read(context, &mut buffer)))
            .await
            .map(|read| read.map(|()| buffer.filled().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_a_stranger_says_in_small_pieces_is_read_together_or_when_he_is_known() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut client, (stream, _)) = (client.unwrap(), accepted.unwrap());
        let reads = Rate {
            events: 2,
            per: Duration::from_secs(3600),
        };
        let limits = AddressLimits {
            connections: 1,
            unauthenticated: 1,
            per_address: 1,
            unauthenticated_per_address: 1,
            unauthenticated_reads: Some(reads),
            arrivals: None,
            provoked: None,
            failed_logins: None,
            registrations: None,
            exempt: Vec::new(),
        };
        let addresses = Addresses::new("clients", limits);
        let acquaintance = Acquaintance::default();
        let system = System::start(&Handle::current(), 1);
        let mut tcp = addresses.tcp(stream, acquaintance.clone(), &system);
        for piece in [b"a", b"b"] {
            client.write_all(piece).await.unwrap();
            assert_eq!(poll_once(&mut tcp).await, Poll::Ready(piece.to_vec()));
        }
        for piece in [b"c", b"d"] {
            client.write_all(piece).await.unwrap();
            assert_eq!(poll_once(&mut tcp).await, Poll::Pending);
        }
        assert_eq!(addresses.rejected(Limit::Reads), 1, "counted once");
        acquaintance.made();
        assert_eq!(poll_once(&mut tcp).await, Poll::Ready(b"cd".to_vec()));
    }
}
