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
    socket: Socket,
    stranger: Option<Box<Stranger>>,
    /// Octets that came since somebody asked, those of TLS among them.
    came: usize,
    /// Whether the last look found nothing to read. TLS looks only when it has nothing left to give, so there is nothing
    /// to read above it either until something comes.
    is_read_up: bool,
}

/// The socket of a connection.
enum Socket {
    Awake(TcpStream),
    /// Nobody wants to read, and the runtime does not know it: each octet that comes would wake somebody.
    Asleep(std::net::TcpStream),
    Gone,
}

impl Tcp {
    /// A connection on which everybody may say as much as he likes.
    pub(crate) fn of_friend(stream: TcpStream) -> Tcp {
        Tcp {
            socket: Socket::Awake(stream),
            stranger: None,
            came: 0,
            is_read_up: false,
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
            Some(stranger) if !stranger.is_known() => stranger.poll_turn(context),
            Some(_) | None => Poll::Ready(()),
        }
    }

    /// What is read from and written to.
    fn awake(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let Socket::Asleep(_) = &self.socket
            && let Socket::Asleep(stream) = std::mem::replace(&mut self.socket, Socket::Gone)
        {
            self.socket = Socket::Awake(TcpStream::from_std(stream)?);
        }
        match &mut self.socket {
            Socket::Awake(stream) => Ok(Pin::new(stream)),
            Socket::Asleep(_) | Socket::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Lets what comes gather, until somebody reads or writes.
    fn rest(&mut self) -> io::Result<()> {
        if let Socket::Awake(_) = &self.socket
            && let Socket::Awake(stream) = std::mem::replace(&mut self.socket, Socket::Gone)
        {
            self.socket = Socket::Asleep(stream.into_std()?);
        }
        Ok(())
    }

    /// Counts what came of a stranger.
    fn count(&mut self, came: usize) -> io::Result<()> {
        let Some(stranger) = &mut self.stranger else {
            return Ok(());
        };
        if stranger.is_known() {
            self.stranger = None;
            return Ok(());
        }
        stranger.count(came)?;
        if stranger.pauses() {
            self.rest()?;
        }
        Ok(())
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
        let read = tcp.awake()?.poll_read(context, buffer);
        // A stranger is asked for its turn each time.
        tcp.is_read_up = read.is_pending() && tcp.stranger.is_none();
        ready!(read)?;
        let came = buffer.filled().len() - before;
        tcp.came += came;
        if came > 0 {
            tcp.count(came)?;
        }
        Poll::Ready(Ok(()))
    }
}

/// One record of TLS is sent by itself, for which the kernel does less than for a list of one, and several are sent
/// together.
impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().awake()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        records: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tcp = self.get_mut().awake()?;
        match records {
            [record] => tcp.poll_write(context, record),
            _ => tcp.poll_write_vectored(context, records),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().awake()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().awake()?.poll_shutdown(context)
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

    /// Nobody reads for a while, and nothing waits to be written.
    ///
    /// # Errors
    /// When the connection is lost by it.
    pub(crate) fn rest(&mut self) -> io::Result<()> {
        self.tcp().rest()
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
            Carrier::Tls(tls) => {
                // Most looks are those of a connection that was woken to write.
                let tcp = tls.get_mut().0;
                if tcp.is_read_up {
                    ready!(tcp.awake()?.poll_read_ready(context))?;
                }
                Pin::new(tls).poll_read(context, buffer)
            }
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
    use std::sync::Arc;
    use std::time::Duration;

    use machine::Rate;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::runtime::Handle;

    use super::*;
    use crate::System;
    use crate::addresses::{AddressLimits, Addresses, Limit};

    /// What is read without waiting; nothing when it is not read now.
    async fn poll_once(tcp: &mut Tcp) -> io::Result<Option<Vec<u8>>> {
        // Whatever was sent is here before it is tried.
        if let Socket::Awake(stream) = &tcp.socket {
            stream.readable().await?;
        }
        let mut room = [0; 32];
        let mut buffer = ReadBuf::new(&mut room);
        let read = poll_fn(|context| Poll::Ready(Pin::new(&mut *tcp).poll_read(context, &mut buffer)));
        match read.await {
            Poll::Ready(read) => read.map(|()| Some(buffer.filled().to_vec())),
            Poll::Pending => Ok(None),
        }
    }

    /// Two ends of a connection: one of a client, one of ours that may be read from twice.
    async fn connection() -> (TcpStream, Tcp, Acquaintance, Arc<Addresses>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let limits = AddressLimits {
            connections: 1,
            unauthenticated: 1,
            per_address: 1,
            unauthenticated_per_address: 1,
            unauthenticated_reads: Some(Rate {
                events: 2,
                per: Duration::from_secs(3600),
            }),
            arrivals: None,
            provoked: None,
            failed_logins: None,
            registrations: None,
            exempt: Vec::new(),
        };
        let addresses = Addresses::new("clients", limits);
        let acquaintance = Acquaintance::default();
        let system = System::start(&Handle::current(), 1);
        let tcp = addresses.tcp(accepted.unwrap().0, acquaintance.clone(), &system);
        (client.unwrap(), tcp, acquaintance, addresses)
    }

    #[tokio::test]
    async fn what_a_stranger_says_in_pieces_is_read_together_or_when_he_is_known() {
        let (mut client, mut tcp, acquaintance, addresses) = connection().await;
        for piece in [[b'a'; 20], [b'b'; 20]] {
            client.write_all(&piece).await.unwrap();
            assert_eq!(poll_once(&mut tcp).await.unwrap(), Some(piece.to_vec()));
        }
        for piece in [b"c", b"d"] {
            client.write_all(piece).await.unwrap();
            assert_eq!(poll_once(&mut tcp).await.unwrap(), None);
        }
        assert_eq!(addresses.rejected(Limit::Reads), 1, "counted once");
        // Nothing is kept from him meanwhile.
        assert!(
            matches!(tcp.socket, Socket::Asleep(_)),
            "nobody is woken by what he says"
        );
        tcp.write_all(b"e").await.unwrap();
        let mut heard = [0; 1];
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"e");
        acquaintance.made();
        assert_eq!(poll_once(&mut tcp).await.unwrap(), Some(b"cd".to_vec()));
    }

    #[tokio::test]
    async fn a_stranger_who_brings_single_octets_is_not_listened_to() {
        let (mut client, mut tcp, _acquaintance, addresses) = connection().await;
        client.write_all(b"<").await.unwrap();
        assert_eq!(poll_once(&mut tcp).await.unwrap(), Some(b"<".to_vec()));
        client.write_all(b"s").await.unwrap();
        assert!(poll_once(&mut tcp).await.is_err());
        assert_eq!(addresses.rejected(Limit::Reads), 1);
    }
}
