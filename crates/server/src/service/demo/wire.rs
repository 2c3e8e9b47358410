//! The wire between the two servers of the demonstration, which can be cut: a relay on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// One direction of connecting.
pub(super) struct Wire {
    /// Where it begins.
    pub(super) address: SocketAddr,
    listener: Option<TcpListener>,
    intact: watch::Sender<bool>,
}

impl Wire {
    /// A wire that leads nowhere yet.
    pub(super) async fn lay() -> io::Result<Wire> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Wire {
            address: listener.local_addr()?,
            listener: Some(listener),
            intact: watch::Sender::new(true),
        })
    }

    /// From now on it leads there.
    pub(super) fn lead_to(&mut self, target: SocketAddr) {
        if let Some(listener) = self.listener.take() {
            tokio::spawn(carry(listener, target, self.intact.subscribe()));
        }
    }

    /// Connections break, and new ones are refused.
    pub(super) fn cut(&self) {
        self.intact.send_replace(false);
    }

    /// It is as before.
    pub(super) fn mend(&self) {
        self.intact.send_replace(true);
    }
}

async fn carry(mut listener: TcpListener, target: SocketAddr, mut intact: watch::Receiver<bool>) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let mut cut = intact.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((near, _)) = accepted {
                    tokio::spawn(join(near, target, intact.clone()));
                }
                continue;
            }
            is_cut = cut.wait_for(|intact| !intact) => {
                if is_cut.is_err() {
                    return;
                }
            }
        }
        drop(listener);
        if intact.wait_for(|intact| *intact).await.is_err() {
            return;
        }
        listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(_) => return,
        };
    }
}

async fn join(mut near: TcpStream, target: SocketAddr, mut intact: watch::Receiver<bool>) {
    let Ok(mut far) = TcpStream::connect(target).await else {
        return;
    };
    tokio::select! {
        // However it ends, it has ended.
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
        _ = intact.wait_for(|intact| !intact) => {}
    }
}
