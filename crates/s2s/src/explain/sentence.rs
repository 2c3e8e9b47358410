//! A verdict in words: what is wrong, and who must mend it.

use stanza::{StreamCondition, StreamError};

use super::{Attempt, DialbackRefusal, Verdict};
use crate::{DialbackError, Obstacle, Side, Step};

impl Verdict {
    /// One sentence that says who must fix what.
    pub fn sentence(&self, attempt: &Attempt) -> String {
        let (local, remote) = (&attempt.pair.local, &attempt.pair.remote);
        match self {
            Verdict::Connected => format!("{local} and {remote} are connected."),
            Verdict::NoSuchDomain => format!(
                "There is no domain {remote} in DNS: check how it is written; if it is right, its owner must register it."
            ),
            Verdict::NoService => format!(
                "DNS names no server for {remote}: its owner must add an SRV record _xmpp-server._tcp.{remote}, or an address."
            ),
            Verdict::DnsUnavailable => format!(
                "DNS did not answer about {remote}: check your own resolver ([dns] servers); if other domains are found, \
                 the name servers of {remote} are at fault."
            ),
            Verdict::Refused => format!(
                "Every server of {remote} refuses connections: its operator must start it, or open the port that DNS names."
            ),
            Verdict::BlackHole => format!(
                "No server of {remote} answers: its operator must look at network and firewall; if no other domain \
                 answers either, look at your own."
            ),
            Verdict::TlsTooOld => {
                format!("The server of {remote} speaks no TLS as new as 1.2: its operator must update it.")
            }
            Verdict::TlsFailed(why) => format!(
                "TLS with the server of {remote} failed ({why}): its operator must look at its TLS settings."
            ),
            Verdict::NoCertificate => match attempt.side {
                Side::Outbound => format!(
                    "The server of {remote} offers no TLS: its operator must give it a certificate and switch TLS on."
                ),
                Side::Inbound => format!(
                    "The server of {remote} shows no certificate when it connects: its operator must configure one."
                ),
            },
            Verdict::Expired => {
                format!("The certificate of {remote} has expired: its operator must renew it.")
            }
            Verdict::WrongName => {
                let names = attempt.certificate_names().filter(|names| !names.is_empty());
                let names = names.unwrap_or_else(|| String::from("other domains"));
                format!(
                    "The certificate that {remote} shows is for {names}: its operator must get one for {remote}."
                )
            }
            Verdict::UnknownAuthority => format!(
                "No trusted authority vouches for the certificate of {remote}: its operator must get one from a public \
                 authority, or you add theirs to s2s.trusted_roots."
            ),
            Verdict::BadCertificate(fault) => {
                format!("With {remote}, {fault}: its operator must replace it.")
            }
            Verdict::DialbackRefused(refusal) => refused(refusal, attempt),
            Verdict::DialbackTimedOut => format!(
                "{remote} did not answer dialback: it may not reach this server, so check the SRV records of {local} and \
                 that port 5269 is open; otherwise its operator must look into its log."
            ),
            Verdict::LoginRefused(condition) => format!(
                "{remote} does not believe our certificate ({condition}): get one for {local} from an authority that it \
                 trusts."
            ),
            Verdict::NoMechanism => format!(
                "{remote} offers no way to authenticate that we know: its operator must switch on SASL EXTERNAL or dialback."
            ),
            Verdict::OurPolicy => our_policy(remote.as_str()),
            Verdict::TheirPolicy => {
                format!("{remote} refuses to talk to {local}: ask its operator why.")
            }
            Verdict::StreamError(error) => stream_error(error, attempt),
            Verdict::WrongHost(host) => format!(
                "The server that DNS names for {remote} says that it is {host}: the owner of {remote} must correct DNS, or \
                 its operator the server."
            ),
            Verdict::Interrupted(step) => format!(
                "The connection with {remote} ended while {}: its operator must look into its log.",
                match step {
                    Step::Connected => "the first answer was awaited",
                    Step::Header => "features were negotiated",
                    Step::Tls => "TLS was negotiated",
                    Step::Authentication => "the servers were proving who they are",
                    Step::Established => "it was in use",
                }
            ),
            Verdict::Unknown => format!("Nothing is known about {remote} yet: try to connect."),
        }
    }
}

/// Why nothing is tried.
pub fn our_policy(remote: &str) -> String {
    format!("This server is told not to talk to {remote}: change [s2s.policy.\"{remote}\"] if it should.")
}

/// An obstacle as it stands in a list of steps.
pub fn obstacle_in_words(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Blocked => String::from("this server is told not to talk to it"),
        Obstacle::TlsNotOffered => String::from("it offers no TLS"),
        Obstacle::TlsRefused => String::from("it offered TLS and refused it"),
        Obstacle::Certificate(fault) => fault.to_string(),
        Obstacle::WrongHost(host) => format!("it says that it is {host}"),
        Obstacle::NoMechanism => String::from("no way to authenticate that both know"),
        Obstacle::LoginRefused(condition) => format!("it does not believe our certificate ({condition})"),
        Obstacle::DialbackRefused(error) => format!("dialback: {}", error.as_str()),
        Obstacle::DialbackInvalid => String::from("dialback: our key was found to be forged"),
        Obstacle::DialbackTimedOut => String::from("dialback: no answer"),
        Obstacle::OnePairOnly => String::from("it takes one pair of domains on a connection"),
        Obstacle::TooManyPairs => String::from("too many pairs of domains on this connection"),
        Obstacle::OneWay => String::from("this connection goes one way only"),
        Obstacle::TimedOut(_) => String::from("it took too long"),
    }
}

fn refused(refusal: &DialbackRefusal, attempt: &Attempt) -> String {
    let (local, remote) = (&attempt.pair.local, &attempt.pair.remote);
    match (refusal, attempt.side) {
        (DialbackRefusal::Invalid, Side::Inbound) => format!(
            "The server of {remote} did not make the key that was shown to us in its name: its operator must check that \
             all its servers share one dialback secret; or somebody else tried to speak for {remote}."
        ),
        (DialbackRefusal::Invalid, Side::Outbound) => format!(
            "{remote} asked the server that DNS names for {local}, which did not know our key: correct the SRV records of \
             {local}, so that they lead here."
        ),
        (DialbackRefusal::Error(DialbackError::NotAuthorized), _) => {
            format!("{remote} demands a certificate that proves {local}: get one from a public authority.")
        }
        (DialbackRefusal::Error(DialbackError::ItemNotFound), _) => format!(
            "The server that DNS names for {remote} does not serve it: the owner of {remote} must correct DNS, or its \
             operator the server."
        ),
        (
            DialbackRefusal::Error(
                error @ (DialbackError::RemoteConnectionFailed
                | DialbackError::RemoteServerNotFound
                | DialbackError::RemoteServerTimeout
                | DialbackError::Forbidden),
            ),
            _,
        ) => format!(
            "{remote} could not ask this server about {local} ({}): check the SRV records of {local} and that port 5269 \
             is open.",
            error.as_str()
        ),
        (
            DialbackRefusal::Error(
                error @ (DialbackError::PolicyViolation
                | DialbackError::NotAcceptable
                | DialbackError::ResourceConstraint
                | DialbackError::Other(_)),
            ),
            _,
        ) => format!(
            "{remote} refuses dialback ({}): ask its operator why.",
            error.as_str()
        ),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "three conditions name what is wrong; all others only its log explains"
)]
fn stream_error(error: &StreamError, attempt: &Attempt) -> String {
    let remote = &attempt.pair.remote;
    let condition = error.condition.as_str();
    match error.condition {
        StreamCondition::HostUnknown | StreamCondition::HostGone => format!(
            "The server that DNS names for {remote} does not serve it ({condition}): the owner of {remote} must correct \
             DNS, or its operator the server."
        ),
        StreamCondition::SystemShutdown => {
            format!("The server of {remote} is shutting down: try again when it is back.")
        }
        _ => format!(
            "The server of {remote} ended the stream ({condition}): its operator must look into its log."
        ),
    }
}
