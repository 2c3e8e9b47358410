//! From the record of an attempt to a verdict.

use stanza::StreamCondition;

use super::{Attempt, DialbackRefusal, DnsFault, TcpFault, TlsFault, Try, Verdict};
use crate::{CertificateFault, DialbackError, Ending, Obstacle, Record, Side, Step};

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
