//! What others are told when they look for a domain of ours: for whoever checks a configuration.

use std::net::SocketAddr;
use std::time::Duration;

use s2s::Transport;
use s2s::explain::{Dns, TcpFault};
use stanza::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Found, Resolver, ResolverSettings, in_time, too_late};
use crate::dial::race;
use crate::tls::Tlsa;

/// A greeting is not longer than this.
const GREETING_BYTES: usize = 4 << 10;

/// Who looks for a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Other servers (RFC 6120 §3.2.1, XEP-0368).
    Servers,
    /// Clients.
    Clients,
}

impl Asked {
    /// The service that leads to STARTTLS.
    pub fn service(self) -> &'static str {
        match self {
            Asked::Servers => "_xmpp-server._tcp",
            Asked::Clients => "_xmpp-client._tcp",
        }
    }

    /// The service that leads to direct TLS.
    pub fn direct_service(self) -> &'static str {
        match self {
            Asked::Servers => "_xmpps-server._tcp",
            Asked::Clients => "_xmpps-client._tcp",
        }
    }

    /// The port where no service records are (RFC 6120 §14.7).
    pub fn port(self) -> u16 {
        match self {
            Asked::Servers => 5269,
            Asked::Clients => 5222,
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Asked::Servers => stanza::namespace::SERVER,
            Asked::Clients => stanza::namespace::CLIENT,
        }
    }
}

/// Somebody who looks for domains: ours as others do, for whom our routes do not count, and those of others as we do.
pub struct Questions(Resolver);

/// What answers at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Greeting {
    /// Nobody takes the connection.
    Unreachable(TcpFault),
    /// The connection is taken, and nothing is said, or nothing that could be looked at: direct TLS is not begun.
    Silence,
    /// Something that is no stream of XMPP.
    Stranger,
    /// A server that does not serve the domain.
    HostUnknown,
    /// A server that serves the domain.
    Serves,
}

impl Questions {
    /// Asks the servers of these settings.
    pub fn new(settings: ResolverSettings) -> Questions {
        Questions(Resolver::new(settings))
    }

    /// What DNS tells others of `domain`: without service records, the addresses of the domain itself.
    pub async fn ask(&self, domain: &Address, asked: Asked) -> Dns {
        let started = Instant::now();
        let mut dns = Dns {
            asked: true,
            ..Dns::default()
        };
        // Nobody connects, so that the order does not matter.
        let mut first = |_| 0;
        let search = self.0.find_domain(domain, asked, &mut first, &mut dns);
        // What is forbidden to be reached is told all the same.
        let _targets = in_time(search).await.unwrap_or_else(too_late).store(&mut dns);
        dns.took = started.elapsed();
        dns
    }

    /// The certificates that DNS names for a server (RFC 7673 §4), none where it does not answer.
    pub async fn certificates(&self, target: &str, port: u16) -> Vec<Tlsa> {
        in_time(self.0.certificates(target, port))
            .await
            .unwrap_or_default()
    }

    /// Where this server would go to reach `domain`: by a route, if there is one.
    pub async fn way(&self, domain: &Address) -> (Dns, Vec<SocketAddr>) {
        // Nobody connects, so that the order does not matter.
        let Found { dns, targets } = self.0.find(domain, &mut |_| 0).await;
        let addresses = targets.into_iter().flat_map(|target| target.addresses);
        (dns, addresses.collect())
    }
}

/// Goes to an address as somebody who looks for `domain` would, and listens to the first words.
pub async fn greeting(
    address: SocketAddr,
    transport: Transport,
    domain: &Address,
    asked: Asked,
    patience: Duration,
) -> Greeting {
    let mut race = race(&[address], patience).await;
    let Some((_, mut socket)) = race.winner.take() else {
        let fault = race.failed.pop().map(|(_, fault, _)| fault);
        return Greeting::Unreachable(fault.unwrap_or(TcpFault::TimedOut));
    };
    match transport {
        Transport::Tcp => tokio::time::timeout(patience, greet(&mut socket, domain, asked))
            .await
            .unwrap_or(Greeting::Silence),
        Transport::DirectTls => Greeting::Silence,
    }
}

async fn greet(socket: &mut TcpStream, domain: &Address, asked: Asked) -> Greeting {
    let header = format!(
        "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xmlns='{}' xmlns:stream='{}'>",
        domain.as_str(),
        asked.namespace(),
        stanza::namespace::STREAMS,
    );
    if socket.write_all(header.as_bytes()).await.is_err() {
        return Greeting::Silence;
    }
    let mut heard = Vec::new();
    let mut buffer = [0; 1024];
    while heard.len() < GREETING_BYTES {
        match socket.read(&mut buffer).await {
            Ok(read @ 1..) => heard.extend_from_slice(buffer.get(..read).unwrap_or_default()),
            Ok(0) | Err(_) => break,
        }
        let text = String::from_utf8_lossy(&heard);
        if text.contains("<host-unknown") {
            return Greeting::HostUnknown;
        }
        if text.contains("features") {
            return Greeting::Serves;
        }
    }
    match (
        heard.is_empty(),
        String::from_utf8_lossy(&heard).contains(stanza::namespace::STREAMS),
    ) {
        (true, _) => Greeting::Silence,
        (false, true) => Greeting::Serves,
        (false, false) => Greeting::Stranger,
    }
}
