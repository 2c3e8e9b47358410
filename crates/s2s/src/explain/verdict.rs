//! From the record of an attempt to one sentence.

use stanza::{StreamCondition, StreamError};

use super::{Attempt, Dns, DnsFault, TcpFault, TlsFault, Try};
use crate::{CertificateFault, DialbackError, Ending, Obstacle, Record, Side, Step};

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
    /// Judges by the connection that came furthest.
    pub(crate) fn of(attempt: &Attempt) -> Verdict {
        if let Some(fault) = &attempt.dns.fault {
            return of_dns(fault);
        }
        let verdicts = attempt.tries.iter().map(|one| of_try(one, attempt.side));
        // Of two that came equally far, the first was preferred by the domain.
        let furthest = verdicts.rev().max_by_key(Verdict::distance);
        furthest.unwrap_or(if attempt.dns.asked {
            Verdict::NoService
        } else {
            Verdict::Unknown
        })
    }

    /// How far a connection came that ended like this.
    fn distance(&self) -> u8 {
        match self {
            Verdict::Unknown | Verdict::NoSuchDomain | Verdict::NoService | Verdict::DnsUnavailable => 0,
            Verdict::BlackHole => 1,
            Verdict::Refused => 2,
            Verdict::Interrupted(Step::Connected) => 3,
            Verdict::Interrupted(Step::Header | Step::Tls) => 4,
            Verdict::TlsTooOld | Verdict::TlsFailed(_) => 5,
            Verdict::StreamError(_) | Verdict::WrongHost(_) | Verdict::NoCertificate => 6,
            Verdict::Expired
            | Verdict::WrongName
            | Verdict::UnknownAuthority
            | Verdict::BadCertificate(_)
            | Verdict::NoMechanism => 7,
            Verdict::Interrupted(Step::Authentication) | Verdict::DialbackTimedOut => 8,
            Verdict::LoginRefused(_)
            | Verdict::DialbackRefused(_)
            | Verdict::OurPolicy
            | Verdict::TheirPolicy => 9,
            Verdict::Interrupted(Step::Established) => 10,
            Verdict::Connected => 11,
        }
    }

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

fn of_dns(fault: &DnsFault) -> Verdict {
    match fault {
        DnsFault::NoSuchDomain => Verdict::NoSuchDomain,
        DnsFault::NoService => Verdict::NoService,
        DnsFault::Unavailable(_) => Verdict::DnsUnavailable,
    }
}

fn of_try(one: &Try, side: Side) -> Verdict {
    match (&one.tcp, &one.tls, &one.stream) {
        (Some(TcpFault::Refused), _, _) => Verdict::Refused,
        (Some(TcpFault::TimedOut | TcpFault::Unreachable(_)), _, _) => Verdict::BlackHole,
        (None, Some(TlsFault::TooOld), _) => Verdict::TlsTooOld,
        (None, Some(TlsFault::Failed(why)), _) => Verdict::TlsFailed(why.clone()),
        (None, None, Some(record)) => of_record(record, one, side),
        (None, None, None) => match one.address {
            Some(_) => Verdict::Interrupted(Step::Connected),
            None => Verdict::NoService,
        },
    }
}

fn of_record(record: &Record, one: &Try, side: Side) -> Verdict {
    if record.method.is_some() {
        return Verdict::Connected;
    }
    if let Some(obstacle) = &record.obstacle {
        return of_obstacle(obstacle, record);
    }
    match &record.ending {
        Some(Ending::PeerError(error)) => {
            let refuses = [StreamCondition::PolicyViolation, StreamCondition::NotAuthorized];
            if refuses.contains(&error.condition) {
                Verdict::TheirPolicy
            } else {
                Verdict::StreamError(error.clone())
            }
        }
        // A peer that came to us, and could not prove who it is.
        _ if side == Side::Inbound && one.certificate().is_some() => {
            one.certificate().map_or(Verdict::Unknown, of_certificate)
        }
        Some(Ending::Error(error))
            if side == Side::Inbound && error.condition == StreamCondition::PolicyViolation =>
        {
            Verdict::OurPolicy
        }
        Some(Ending::Error(error)) => Verdict::StreamError(error.clone()),
        Some(Ending::Failed(obstacle)) => of_obstacle(obstacle, record),
        Some(Ending::Finished(_) | Ending::Lost | Ending::Silent | Ending::Superseded) | None => {
            Verdict::Interrupted(record.step)
        }
    }
}

fn of_obstacle(obstacle: &Obstacle, record: &Record) -> Verdict {
    match obstacle {
        Obstacle::Blocked => Verdict::OurPolicy,
        Obstacle::TlsNotOffered | Obstacle::TlsRefused => Verdict::NoCertificate,
        Obstacle::Certificate(fault) => of_certificate(fault),
        Obstacle::WrongHost(host) => Verdict::WrongHost(host.clone()),
        Obstacle::NoMechanism | Obstacle::OnePairOnly | Obstacle::TooManyPairs | Obstacle::OneWay => {
            Verdict::NoMechanism
        }
        Obstacle::LoginRefused(condition) => Verdict::LoginRefused(condition.clone()),
        Obstacle::DialbackRefused(DialbackError::PolicyViolation) => Verdict::TheirPolicy,
        Obstacle::DialbackRefused(error) => Verdict::DialbackRefused(DialbackRefusal::Error(error.clone())),
        Obstacle::DialbackInvalid => Verdict::DialbackRefused(DialbackRefusal::Invalid),
        Obstacle::DialbackTimedOut => Verdict::DialbackTimedOut,
        Obstacle::TimedOut(_) => Verdict::Interrupted(record.step),
    }
}

fn of_certificate(fault: &CertificateFault) -> Verdict {
    match fault {
        CertificateFault::Absent => Verdict::NoCertificate,
        CertificateFault::Expired => Verdict::Expired,
        CertificateFault::WrongName => Verdict::WrongName,
        CertificateFault::UnknownAuthority => Verdict::UnknownAuthority,
        CertificateFault::NotYetValid | CertificateFault::Revoked | CertificateFault::Unusable(_) => {
            Verdict::BadCertificate(fault.clone())
        }
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

impl Dns {
    /// Nobody was asked.
    pub fn not_asked() -> Dns {
        Dns::default()
    }
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use machine::Timestamp;
    use stanza::Address;

    use super::*;
    use crate::explain::CertificateSummary;
    use crate::{Method, Pair, TlsVersion, Transport};

    fn attempt() -> Attempt {
        Attempt {
            pair: Pair {
                local: Address::domain("montague.lit").unwrap(),
                remote: Address::domain("capulet.lit").unwrap(),
            },
            side: Side::Outbound,
            started: Timestamp::default(),
            took: Duration::ZERO,
            dns: Dns {
                asked: true,
                ..Dns::default()
            },
            tries: Vec::new(),
        }
    }

    fn with_dns(fault: DnsFault) -> Attempt {
        let mut attempt = attempt();
        attempt.dns.fault = Some(fault);
        attempt
    }

    fn one_try() -> Try {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 5269));
        Try::new("xmpp.capulet.lit", Some(address), Transport::Tcp)
    }

    fn with_tries(tries: impl IntoIterator<Item = Try>) -> Attempt {
        Attempt {
            tries: tries.into_iter().collect(),
            ..attempt()
        }
    }

    fn tcp(fault: TcpFault) -> Try {
        Try {
            tcp: Some(fault),
            ..one_try()
        }
    }

    fn tls(fault: TlsFault) -> Try {
        Try {
            tls: Some(fault),
            ..one_try()
        }
    }

    fn stopped(obstacle: Obstacle) -> Try {
        let record = Record {
            step: Step::Authentication,
            obstacle: Some(obstacle.clone()),
            ending: Some(Ending::Failed(obstacle)),
            ..Record::default()
        };
        Try {
            stream: Some(record),
            ..one_try()
        }
    }

    fn certificate(fault: CertificateFault) -> Try {
        let summary = CertificateSummary {
            names: vec!["verona.lit".into(), "*.verona.lit".into()],
            issuer: "Escalus".into(),
            not_after: Timestamp::default(),
        };
        Try {
            chain: vec![summary],
            ..stopped(Obstacle::Certificate(fault))
        }
    }

    fn peer_error(condition: StreamCondition) -> Try {
        let record = Record {
            step: Step::Header,
            ending: Some(Ending::PeerError(condition.into())),
            ..Record::default()
        };
        Try {
            stream: Some(record),
            ..one_try()
        }
    }

    /// The fourteen broken peers of the verdict table, and the sentence that each is met with.
    #[test]
    fn fourteen_broken_peers_get_fourteen_verdicts() {
        let unknown = StreamCondition::InternalServerError;
        let table = [
            (
                with_dns(DnsFault::NoSuchDomain),
                Verdict::NoSuchDomain,
                "There is no domain capulet.lit in DNS: check how it is written; if it is right, its owner must register it.",
            ),
            (
                with_dns(DnsFault::NoService),
                Verdict::NoService,
                "DNS names no server for capulet.lit: its owner must add an SRV record _xmpp-server._tcp.capulet.lit, or an \
                 address.",
            ),
            (
                with_tries([tcp(TcpFault::Refused), tcp(TcpFault::Refused)]),
                Verdict::Refused,
                "Every server of capulet.lit refuses connections: its operator must start it, or open the port that DNS names.",
            ),
            (
                with_tries([tcp(TcpFault::TimedOut)]),
                Verdict::BlackHole,
                "No server of capulet.lit answers: its operator must look at network and firewall; if no other domain \
                 answers either, look at your own.",
            ),
            (
                with_tries([tls(TlsFault::TooOld)]),
                Verdict::TlsTooOld,
                "The server of capulet.lit speaks no TLS as new as 1.2: its operator must update it.",
            ),
            (
                with_tries([certificate(CertificateFault::Expired)]),
                Verdict::Expired,
                "The certificate of capulet.lit has expired: its operator must renew it.",
            ),
            (
                with_tries([certificate(CertificateFault::WrongName)]),
                Verdict::WrongName,
                "The certificate that capulet.lit shows is for verona.lit, *.verona.lit: its operator must get one for \
                 capulet.lit.",
            ),
            (
                with_tries([certificate(CertificateFault::UnknownAuthority)]),
                Verdict::UnknownAuthority,
                "No trusted authority vouches for the certificate of capulet.lit: its operator must get one from a public \
                 authority, or you add theirs to s2s.trusted_roots.",
            ),
            (
                with_tries([stopped(Obstacle::TlsNotOffered)]),
                Verdict::NoCertificate,
                "The server of capulet.lit offers no TLS: its operator must give it a certificate and switch TLS on.",
            ),
            (
                with_tries([stopped(Obstacle::DialbackInvalid)]),
                Verdict::DialbackRefused(DialbackRefusal::Invalid),
                "capulet.lit asked the server that DNS names for montague.lit, which did not know our key: correct the SRV \
                 records of montague.lit, so that they lead here.",
            ),
            (
                with_tries([stopped(Obstacle::DialbackTimedOut)]),
                Verdict::DialbackTimedOut,
                "capulet.lit did not answer dialback: it may not reach this server, so check the SRV records of \
                 montague.lit and that port 5269 is open; otherwise its operator must look into its log.",
            ),
            (
                with_tries([peer_error(StreamCondition::PolicyViolation)]),
                Verdict::TheirPolicy,
                "capulet.lit refuses to talk to montague.lit: ask its operator why.",
            ),
            (
                with_tries([peer_error(unknown)]),
                Verdict::StreamError(unknown.into()),
                "The server of capulet.lit ended the stream (internal-server-error): its operator must look into its log.",
            ),
            (
                with_tries([stopped(Obstacle::WrongHost("verona.lit".into()))]),
                Verdict::WrongHost("verona.lit".into()),
                "The server that DNS names for capulet.lit says that it is verona.lit: the owner of capulet.lit must \
                 correct DNS, or its operator the server.",
            ),
        ];
        assert_eq!(table.len(), 14);
        let mut sentences: Vec<String> = Vec::new();
        for (attempt, verdict, sentence) in table {
            assert_eq!(attempt.verdict(), verdict);
            assert_eq!(attempt.sentence(), sentence);
            sentences.push(attempt.sentence());
        }
        sentences.sort();
        sentences.dedup();
        assert_eq!(sentences.len(), 14);
    }

    #[test]
    fn the_connection_that_came_furthest_decides() {
        let connected = Try {
            stream: Some(Record {
                method: Some(Method::External),
                step: Step::Established,
                ending: Some(Ending::Lost),
                ..Record::default()
            }),
            ..one_try()
        };
        let expired = || certificate(CertificateFault::Expired);
        for (tries, verdict) in [
            (
                vec![tcp(TcpFault::TimedOut), tcp(TcpFault::Refused)],
                Verdict::Refused,
            ),
            (
                vec![
                    tcp(TcpFault::Refused),
                    tls(TlsFault::TooOld),
                    tcp(TcpFault::TimedOut),
                ],
                Verdict::TlsTooOld,
            ),
            (vec![expired(), tcp(TcpFault::Refused)], Verdict::Expired),
            (
                vec![certificate(CertificateFault::WrongName), expired()],
                Verdict::WrongName,
            ),
            (
                vec![expired(), stopped(Obstacle::DialbackTimedOut)],
                Verdict::DialbackTimedOut,
            ),
            (vec![expired(), connected], Verdict::Connected),
            (vec![Try::new("x", None, Transport::Tcp)], Verdict::NoService),
            (vec![one_try()], Verdict::Interrupted(Step::Connected)),
            (vec![], Verdict::NoService),
        ] {
            assert_eq!(with_tries(tries).verdict(), verdict);
        }
        let unasked = Attempt {
            dns: Dns::not_asked(),
            ..attempt()
        };
        assert_eq!(unasked.verdict(), Verdict::Unknown);
    }

    #[test]
    fn every_other_way_to_fail_has_its_words_too() {
        let error = |error| stopped(Obstacle::DialbackRefused(error));
        for (attempt, words) in [
            (
                with_dns(DnsFault::Unavailable("SERVFAIL".into())),
                "check your own resolver",
            ),
            (
                with_tries([tcp(TcpFault::Unreachable("no route".into()))]),
                "No server of capulet.lit answers",
            ),
            (
                with_tries([tls(TlsFault::Failed("no common cipher".into()))]),
                "(no common cipher)",
            ),
            (
                with_tries([certificate(CertificateFault::NotYetValid)]),
                "not valid yet",
            ),
            (
                with_tries([certificate(CertificateFault::Absent)]),
                "offers no TLS",
            ),
            (
                with_tries([error(DialbackError::NotAuthorized)]),
                "demands a certificate that proves montague.lit",
            ),
            (
                with_tries([error(DialbackError::ItemNotFound)]),
                "does not serve it",
            ),
            (
                with_tries([error(DialbackError::RemoteConnectionFailed)]),
                "check the SRV records of montague.lit",
            ),
            (
                with_tries([error(DialbackError::ResourceConstraint)]),
                "refuses dialback (resource-constraint)",
            ),
            (
                with_tries([error(DialbackError::PolicyViolation)]),
                "refuses to talk to montague.lit",
            ),
            (
                with_tries([stopped(Obstacle::LoginRefused("not-authorized".into()))]),
                "get one for montague.lit",
            ),
            (
                with_tries([stopped(Obstacle::NoMechanism)]),
                "SASL EXTERNAL or dialback",
            ),
            (
                with_tries([stopped(Obstacle::Blocked)]),
                "[s2s.policy.\"capulet.lit\"]",
            ),
            (
                with_tries([stopped(Obstacle::TimedOut(Step::Header))]),
                "were proving who they are",
            ),
            (
                with_tries([peer_error(StreamCondition::HostUnknown)]),
                "does not serve it (host-unknown)",
            ),
            (
                with_tries([peer_error(StreamCondition::SystemShutdown)]),
                "is shutting down",
            ),
        ] {
            let sentence = attempt.sentence();
            assert!(sentence.contains(words), "{sentence}");
            assert!(sentence.ends_with('.') && !sentence.contains("  "), "{sentence}");
        }
    }

    #[test]
    fn who_came_to_us_is_judged_by_what_it_could_not_prove() {
        let inbound = |record: Record| Attempt {
            side: Side::Inbound,
            dns: Dns::not_asked(),
            ..with_tries([Try {
                stream: Some(record),
                ..one_try()
            }])
        };
        let record = |fault, ending| Record {
            step: Step::Authentication,
            tls: Some((TlsVersion::Tls13, fault)),
            ending,
            ..Record::default()
        };
        let timeout = || Some(Ending::Error(StreamCondition::ConnectionTimeout.into()));
        for (fault, verdict) in [
            (CertificateFault::Absent, Verdict::NoCertificate),
            (CertificateFault::Expired, Verdict::Expired),
            (CertificateFault::UnknownAuthority, Verdict::UnknownAuthority),
            (CertificateFault::WrongName, Verdict::WrongName),
        ] {
            assert_eq!(inbound(record(Err(fault), timeout())).verdict(), verdict);
        }
        assert!(
            inbound(record(Err(CertificateFault::Absent), None))
                .sentence()
                .contains("when it connects")
        );
        let policy = Some(Ending::Error(StreamCondition::PolicyViolation.into()));
        assert_eq!(inbound(record(Ok(()), policy)).verdict(), Verdict::OurPolicy);
        assert_eq!(
            inbound(record(Ok(()), Some(Ending::Lost))).verdict(),
            Verdict::Interrupted(Step::Authentication)
        );
        let forged = Record {
            obstacle: Some(Obstacle::DialbackInvalid),
            ..record(Err(CertificateFault::UnknownAuthority), None)
        };
        assert!(inbound(forged).sentence().contains("share one dialback secret"));
    }
}
