//! What an attempt can come to.

use stanza::StreamError;

use crate::{CertificateFault, DialbackError, Step};

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The pair was authenticated.
    Connected,
    /// DNS knows no such domain.
    NoSuchDomain,
    /// DNS knows neither a service nor an address of it.
    NoService,
    /// DNS did not answer.
    DnsUnavailable,
    /// Every server refuses connections.
    Refused,
    /// No server answers a connection.
    BlackHole,
    /// TLS 1.2 is too new for it.
    TlsTooOld,
    /// TLS failed in another way.
    TlsFailed(String),
    /// There is no TLS, or no certificate in it.
    NoCertificate,
    /// The certificate has expired, or another that it depends on.
    Expired,
    /// The certificate is for other domains.
    WrongName,
    /// Nobody who is trusted vouches for the certificate.
    UnknownAuthority,
    /// The certificate is not good in another way.
    BadCertificate(CertificateFault),
    /// Dialback came to nothing, because of this.
    DialbackRefused(DialbackRefusal),
    /// Nobody answered dialback.
    DialbackTimedOut,
    /// Our certificate was not believed, and there is no dialback; the condition of SASL.
    LoginRefused(String),
    /// There is no way to authenticate that both know.
    NoMechanism,
    /// We do not talk to the domain.
    OurPolicy,
    /// The domain does not talk to us.
    TheirPolicy,
    /// The stream was ended with an error.
    StreamError(StreamError),
    /// The server says that it is another domain.
    WrongHost(String),
    /// The connection broke, or the peer fell silent, after coming so far.
    Interrupted(Step),
    /// Nothing came of it that would tell.
    Unknown,
}

/// How dialback was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialbackRefusal {
    /// The key was found to be forged.
    Invalid,
    /// With this error.
    Error(DialbackError),
}

impl Verdict {
    /// One word for machines.
    pub fn as_str(&self) -> &'static str {
        match self {
            Verdict::Connected => "connected",
            Verdict::NoSuchDomain => "no_such_domain",
            Verdict::NoService => "no_service",
            Verdict::DnsUnavailable => "dns_unavailable",
            Verdict::Refused => "refused",
            Verdict::BlackHole => "black_hole",
            Verdict::TlsTooOld => "tls_too_old",
            Verdict::TlsFailed(_) => "tls_failed",
            Verdict::NoCertificate => "no_certificate",
            Verdict::Expired => "expired",
            Verdict::WrongName => "wrong_name",
            Verdict::UnknownAuthority => "unknown_authority",
            Verdict::BadCertificate(_) => "bad_certificate",
            Verdict::DialbackRefused(_) => "dialback_refused",
            Verdict::DialbackTimedOut => "dialback_timed_out",
            Verdict::LoginRefused(_) => "login_refused",
            Verdict::NoMechanism => "no_mechanism",
            Verdict::OurPolicy => "our_policy",
            Verdict::TheirPolicy => "their_policy",
            Verdict::StreamError(_) => "stream_error",
            Verdict::WrongHost(_) => "wrong_host",
            Verdict::Interrupted(_) => "interrupted",
            Verdict::Unknown => "unknown",
        }
    }
}
