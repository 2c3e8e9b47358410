//! Sockets that are listened on, for clients and for servers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tracing::warn;

/// Connections that the kernel has made and that wait for us.
const BACKLOG: i32 = 4_096;

/// How long nobody is let in when the system has nothing left for another connection.
const PAUSE: Duration = Duration::from_millis(100);

/// A listener at work.
pub struct Listening {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listening {
    /// Hands over whoever comes.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) fn begin(
        address: SocketAddr,
        admit: impl Fn(TcpStream, SocketAddr) + Send + 'static,
    ) -> io::Result<Listening> {
        let listener = bind(address)?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(accept(listener, admit));
        Ok(Listening { address, task })
    }

    /// Where it listens; the port is known even if none was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections; those that are open stay.
    pub fn stop(&self) {
        self.task.abort();
    }
}

/// `[::]` takes IPv4 too.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn accept(listener: TcpListener, admit: impl Fn(TcpStream, SocketAddr)) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => admit(socket, peer),
            Err(error) => {
                // Out of descriptors, most likely: others must close before we can go on.
                warn!(event = "accept_failed", %error, "a connection could not be accepted; is the limit of open files too low?");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
