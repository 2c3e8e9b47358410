//! Verdicts and their sentences, from records of attempts that went wrong in all ways.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use machine::Timestamp;
use stanza::{Address, StreamCondition};

use super::*;
use crate::{CertificateFault, DialbackError, Ending, Method, Obstacle, Pair, Step, TlsVersion, Transport};

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
