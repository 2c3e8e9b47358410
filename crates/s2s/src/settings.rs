//! What connections between servers read of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stanza::Address;

use crate::{ComponentSecret, Secret};

/// The configuration as far as it concerns connections between servers.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The domains that are served here, services too. Errors about unknown hosts come from the first.
    pub hosts: BTreeSet<Address>,
    /// The domains that external components may serve, and what each of them must prove.
    pub components: BTreeMap<Address, ComponentSecret>,
    /// From which the keys of dialback are made.
    pub secret: Secret,
    /// Whether STARTTLS can be agreed to.
    pub certificates: Certificates,
    /// With whom we talk, and on which terms.
    pub policies: Policies,
    /// How much a peer may send and leave waiting.
    pub limits: Limits,
    /// How long things may take.
    pub times: Times,
}

/// Whether there is a certificate to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// There is.
    Available,
    /// There is none: STARTTLS is not offered.
    Missing,
}

/// The policy for every domain.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// For most of them.
    pub usual: Policy,
    /// For single ones.
    pub by_domain: BTreeMap<Address, Policy>,
}

/// The terms on which we talk to a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether we talk to it at all.
    pub admission: Admission,
    /// How it proves that it is who it says.
    pub authentication: Authentication,
    /// Whether that happens under the protection of TLS.
    pub encryption: Encryption,
}

/// Whether we talk to a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// We do.
    Allowed,
    /// Nothing is sent there, and nothing accepted from there.
    Blocked,
}

/// How another server proves for which domain it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// By a valid certificate.
    Certificate,
    /// By a valid certificate, or by dialback (XEP-0220).
    CertificateOrDialback,
}

/// Whether stanzas may travel without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Never.
    Required,
    /// When the other server knows no better.
    Optional,
}

/// Limits of one connection, named as in the section `[limits]` of the configuration.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of elements before anybody is authenticated.
    pub unauthenticated: xml::Limits,
    /// Of elements afterwards.
    pub authenticated: xml::Limits,
    /// What a peer may send in all before it is authenticated; then the stream ends with `policy-violation`.
    pub unauthenticated_bytes: usize,
    /// Pairs of domains on one stream, verified and to be verified; more are refused with `resource-constraint`
    /// (XEP-0220 §2.5).
    pub pairs: usize,
    /// Failed logins on one stream; then it ends with `policy-violation` (RFC 6120 §6.4.5).
    pub login_attempts: usize,
    /// What may wait on one stream. Beyond it, links keep what they have.
    pub mailbox: stream_management::Limits,
    /// What the peer may leave unacknowledged; beyond it the stream ends with `resource-constraint` (XEP-0198 §4).
    pub unacknowledged_stanzas: usize,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// From the connection to the first authenticated pair.
    pub negotiation: Duration,
    /// One question of dialback.
    pub dialback: Duration,
    /// Silence, after which the peer is asked whether it is still there.
    pub quiet: Duration,
    /// Its answer to that.
    pub answer: Duration,
    /// The peer's closing tag after ours.
    pub closing: Duration,
    /// A broken stream may be resumed (XEP-0198 §5).
    pub resumption: Duration,
}

impl Settings {
    /// Whether other servers find this domain here: one of ours, or of an external component.
    pub fn serves(&self, domain: &str) -> bool {
        self.hosts.contains(domain) || self.components.contains_key(domain)
    }
}

impl Policies {
    /// The terms for this domain.
    pub fn of(&self, remote: &Address) -> Policy {
        self.by_domain.get(remote).copied().unwrap_or(self.usual)
    }
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            admission: Admission::Allowed,
            authentication: Authentication::CertificateOrDialback,
            encryption: Encryption::Required,
        }
    }
}

/// A silently dead link is known within 45 seconds.
impl Default for Times {
    fn default() -> Times {
        Times {
            negotiation: Duration::from_secs(30),
            dialback: Duration::from_secs(20),
            quiet: Duration::from_secs(30),
            answer: Duration::from_secs(15),
            closing: Duration::from_secs(5),
            resumption: Duration::from_secs(120),
        }
    }
}
