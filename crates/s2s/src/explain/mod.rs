//! Why federation with a domain fails: the record of one attempt, and the verdict that it leads to.
//!
//! The transport fills in what it saw of DNS, TCP and TLS; each stream brings its own [`Record`](crate::Record). What an
//! operator reads is the [`Verdict`]: one sentence that says who must fix what.

mod judgement;
mod sentence;
#[cfg(test)]
mod tests;
mod verdict;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use machine::Timestamp;

use crate::{CertificateFault, Pair, Record, Side, Transport};

pub use sentence::{obstacle_in_words, our_policy};
pub use verdict::{DialbackRefusal, Verdict};

/// One attempt to come together, in one direction: all that was tried, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Who and whom.
    pub pair: Pair,
    /// Who tried.
    pub side: Side,
    /// When it began.
    pub started: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What DNS said.
    pub dns: Dns,
    /// The connections that were tried.
    pub tries: Vec<Try>,
}

/// What DNS said about a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Who was asked for; nobody was when a route is configured, or the other server came to us.
    pub asked: bool,
    /// The service records, in the order in which they are tried (XEP-0368 §3).
    pub services: Vec<Service>,
    /// The addresses of each name.
    pub addresses: Vec<(String, Vec<IpAddr>)>,
    /// Why there was nothing to try.
    pub fault: Option<DnsFault>,
    /// How long it took.
    pub took: Duration,
}

/// One service record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `_xmpp-server` leads to TCP, `_xmpps-server` to direct TLS.
    pub transport: Transport,
    /// The lowest is tried first.
    pub priority: u16,
    /// The share among those of the same priority.
    pub weight: u16,
    /// The name of the server.
    pub target: String,
    /// Its port.
    pub port: u16,
}

/// Why DNS led nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsFault {
    /// There is no such domain.
    NoSuchDomain,
    /// It has neither service records nor addresses, or says that it offers no such service.
    NoService,
    /// It did not answer, or not as it should.
    Unavailable(String),
}

/// One connection that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// The name of the server, or the address itself.
    pub target: String,
    /// Where it is; nothing when the name has no address.
    pub address: Option<SocketAddr>,
    /// How TLS begins.
    pub transport: Transport,
    /// Why there was no connection.
    pub tcp: Option<TcpFault>,
    /// Why there was no TLS.
    pub tls: Option<TlsFault>,
    /// The certificates that were shown, the server's own first.
    pub chain: Vec<CertificateSummary>,
    /// What the stream came to know.
    pub stream: Option<Record>,
    /// How long it took.
    pub took: Duration,
}

/// Why a connection did not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpFault {
    /// It was refused at once.
    Refused,
    /// Nobody answered.
    TimedOut,
    /// It cannot be reached from here, in the words of the system.
    Unreachable(String),
}

/// Why TLS did not come about. What is wrong with a certificate is in the stream's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The peer speaks none of our versions.
    TooOld,
    /// Anything else, in the words of the TLS layer.
    Failed(String),
}

/// One certificate, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSummary {
    /// Whom it names.
    pub names: Vec<String>,
    /// Who issued it.
    pub issuer: String,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

impl Attempt {
    /// What it came to.
    pub fn verdict(&self) -> Verdict {
        Verdict::of(self)
    }

    /// What came of it, and who must fix what.
    pub fn sentence(&self) -> String {
        self.verdict().sentence(self)
    }

    /// What the own certificate of the peer names, in the last connection that showed one.
    fn certificate_names(&self) -> Option<String> {
        let shown = self.tries.iter().rev().find_map(|one| one.chain.first())?;
        Some(shown.names.join(", "))
    }
}

impl Try {
    /// A connection to be tried.
    pub fn new(target: impl Into<String>, address: Option<SocketAddr>, transport: Transport) -> Try {
        Try {
            target: target.into(),
            address,
            transport,
            tcp: None,
            tls: None,
            chain: Vec::new(),
            stream: None,
            took: Duration::ZERO,
        }
    }

    /// What TLS said of the certificate.
    fn certificate(&self) -> Option<&CertificateFault> {
        let (_, proof) = self.stream.as_ref()?.tls.as_ref()?;
        proof.as_ref().err()
    }
}

impl Dns {
    /// Nobody was asked.
    pub fn not_asked() -> Dns {
        Dns::default()
    }
}
