//! Why a domain cannot be reached, and what its correspondents are told (RFC 6120 §10.4.3).

use stanza::{Condition, StanzaError, StreamCondition};

use crate::{CertificateFault, DialbackError, Ending, Obstacle};

/// Why a link is suspect or down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// DNS knows no such domain.
    NoSuchDomain,
    /// DNS knows the domain, and it has neither service records nor addresses.
    NoService,
    /// DNS did not answer.
    DnsUnavailable,
    /// Every server of the domain refused the connection at once.
    Refused,
    /// No server of the domain answered.
    Unreachable,
    /// TLS could not be agreed on.
    Tls,
    /// The certificate there proves nothing, or another domain.
    Certificate,
    /// The servers could not prove to each other who they are.
    Authentication,
    /// The server there does not serve the domain.
    HostUnknown,
    /// The other server did not answer any more.
    Timeout,
    /// The connection broke, or the other server ended it with an error.
    RemoteClosed,
    /// This server does not talk to the domain.
    Policy,
    /// A component that is not connected.
    ComponentAbsent,
    /// Other servers have made this one open too many connections; this one was not tried.
    Throttled,
}

impl Cause {
    /// The label `reason` of `xmpp_s2s_state_changes_total`.
    pub fn label(self) -> &'static str {
        match self {
            Cause::NoSuchDomain | Cause::NoService | Cause::DnsUnavailable => "dns",
            Cause::Refused | Cause::Unreachable => "tcp",
            Cause::Tls => "tls",
            Cause::Certificate => "certificate",
            Cause::Authentication | Cause::HostUnknown => "authentication",
            Cause::Timeout => "timeout",
            Cause::RemoteClosed | Cause::ComponentAbsent => "remote_closed",
            Cause::Policy | Cause::Throttled => "policy",
        }
    }

    /// What the sender of a stanza is told that cannot be delivered.
    pub fn error(self) -> StanzaError {
        StanzaError::new(self.condition()).text(self.sentence())
    }

    /// RFC 6120 §10.4.3: what cannot be resolved is not found, what cannot be negotiated timed out.
    pub fn condition(self) -> Condition {
        match self {
            Cause::NoSuchDomain | Cause::NoService | Cause::HostUnknown => Condition::RemoteServerNotFound,
            Cause::DnsUnavailable
            | Cause::Refused
            | Cause::Unreachable
            | Cause::Tls
            | Cause::Certificate
            | Cause::Authentication
            | Cause::Timeout
            | Cause::RemoteClosed
            | Cause::Throttled => Condition::RemoteServerTimeout,
            Cause::Policy => Condition::NotAllowed,
            Cause::ComponentAbsent => Condition::ServiceUnavailable,
        }
    }

    /// In words, which name the step that failed.
    pub fn sentence(self) -> &'static str {
        match self {
            Cause::NoSuchDomain => "There is no such domain.",
            Cause::NoService => "The domain has no server in DNS.",
            Cause::DnsUnavailable => "DNS did not answer about the domain.",
            Cause::Refused => "The server of the domain refuses connections.",
            Cause::Unreachable => "No server of the domain can be reached.",
            Cause::Tls => "No TLS could be agreed on with the server of the domain.",
            Cause::Certificate => "The certificate of the server does not prove the domain.",
            Cause::Authentication => "The servers could not prove to each other who they are.",
            Cause::HostUnknown => "The server that DNS names does not serve the domain.",
            Cause::Timeout => "The server of the domain does not answer.",
            Cause::RemoteClosed => "The connection to the server of the domain broke.",
            Cause::Policy => "This server does not talk to that domain.",
            Cause::ComponentAbsent => "The service is not connected.",
            Cause::Throttled => "This server opens no more connections for others just now.",
        }
    }
}

impl From<&Ending> for Cause {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "two conditions speak of the host; all others end a connection"
    )]
    fn from(ending: &Ending) -> Cause {
        match ending {
            Ending::Silent => Cause::Timeout,
            Ending::PeerError(error) => match error.condition {
                StreamCondition::HostUnknown | StreamCondition::HostGone => Cause::HostUnknown,
                _ => Cause::RemoteClosed,
            },
            Ending::Finished(_) | Ending::Lost | Ending::Superseded | Ending::Error(_) => Cause::RemoteClosed,
            Ending::Failed(obstacle) => obstacle.into(),
        }
    }
}

impl From<&Obstacle> for Cause {
    fn from(obstacle: &Obstacle) -> Cause {
        match obstacle {
            Obstacle::Blocked => Cause::Policy,
            Obstacle::TlsNotOffered | Obstacle::TlsRefused => Cause::Tls,
            Obstacle::Certificate(_) => Cause::Certificate,
            Obstacle::WrongHost(_) | Obstacle::DialbackRefused(DialbackError::ItemNotFound) => {
                Cause::HostUnknown
            }
            Obstacle::NoMechanism
            | Obstacle::LoginRefused(_)
            | Obstacle::DialbackRefused(_)
            | Obstacle::DialbackInvalid
            | Obstacle::OnePairOnly
            | Obstacle::TooManyPairs
            | Obstacle::OneWay => Cause::Authentication,
            Obstacle::DialbackTimedOut | Obstacle::TimedOut(_) => Cause::Timeout,
        }
    }
}

impl From<&CertificateFault> for Cause {
    fn from(_: &CertificateFault) -> Cause {
        Cause::Certificate
    }
}
