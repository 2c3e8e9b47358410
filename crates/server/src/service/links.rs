//! What an operator asks about other domains, answered by the running server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use machine::Timestamp;
use router::{Exchange, Router};
use s2s::explain::{self, DnsFault, TcpFault, TlsFault};
use s2s::link::{Cause, Path, StateName, View};
use s2s::{Method, Pair, Record, Side, Step, TlsVersion, Transport, Ways};
use stanza::Address;

use crate::admin::{self, Outcome, Refusal, RefusalKind, Reply};
use crate::config::HostName;

/// How long an attempt that was begun to explain something is waited for. Longer than any of its steps may take.
const EXPLAIN_PATIENCE: Duration = Duration::from_secs(40);

/// How long it is waited for an attempt to begin, or to be told of.
const EXPLAIN_IDLE: Duration = Duration::from_secs(1);

/// How often it is looked at.
const EXPLAIN_PAUSE: Duration = Duration::from_millis(50);

/// Links to a domain, or all.
pub(super) fn list(router: &Arc<Router>, domain: Option<&HostName>) -> Outcome {
    let exchanges = router.exchanges();
    let links = views(router, domain)
        .into_iter()
        .map(|view| link(router, &view, &exchanges))
        .map(|link| admin::Link {
            attempts: Vec::new(),
            ..link
        })
        .collect();
    Ok(Reply::Links { links })
}

/// Links to a domain with all that is known. Where nothing was tried yet, or the domain is not connected, an attempt is
/// made first: what is told is how things are now.
pub(super) async fn explain(router: &Arc<Router>, domain: &HostName) -> Outcome {
    let mut views = views(router, Some(domain));
    if views.is_empty() {
        reachable(router, domain)?;
    }
    let before = last_attempt(&views);
    let is_up = views.iter().any(|view| view.state == StateName::Up);
    if before.is_none() || !is_up {
        let pair = match views.first() {
            Some(view) => view.pair.clone(),
            None => usual_pair(router, domain)?,
        };
        router.work(|worker| router.connect(&pair, worker));
        let (mut waited, mut idle) = (Duration::ZERO, Duration::ZERO);
        // Nothing is tried where a policy forbids it, where a component is awaited, or where the other server's connection
        // carries both directions.
        while last_attempt(&views) == before && waited < EXPLAIN_PATIENCE && idle < EXPLAIN_IDLE {
            tokio::time::sleep(EXPLAIN_PAUSE).await;
            waited += EXPLAIN_PAUSE;
            views = self::views(router, Some(domain));
            idle = match views.iter().any(|view| view.connecting) {
                true => Duration::ZERO,
                false => idle + EXPLAIN_PAUSE,
            };
        }
    }
    let exchanges = router.exchanges();
    Ok(Reply::Links {
        links: views.iter().map(|view| link(router, view, &exchanges)).collect(),
    })
}

/// When the last attempt of ours began.
fn last_attempt(views: &[View]) -> Option<Timestamp> {
    let all = views.iter().flat_map(|view| &view.attempts);
    let ours = all.filter(|attempt| attempt.side == Side::Outbound);
    ours.map(|attempt| attempt.started).max()
}

/// Whether it is for us to connect to a domain.
fn reachable(router: &Router, domain: &HostName) -> Result<(), Refusal> {
    let settings = router.settings();
    let components = &settings.federation.stream.components;
    if components.contains_key(domain.as_str()) {
        return Err(Refusal::new(
            RefusalKind::BadRequest,
            format!(
                "{} is an external component, and it is not connected",
                domain.as_str()
            ),
            "It connects to this server, at [components] listen: its own log tells why it does not.",
        ));
    }
    Ok(())
}

/// Connects every link to the domain, or makes one.
pub(super) fn connect(router: &Arc<Router>, domain: &HostName) -> Outcome {
    reachable(router, domain)?;
    let mut pairs = pairs(router, domain);
    if pairs.is_empty() {
        pairs.push(usual_pair(router, domain)?);
    }
    router.work(|worker| {
        for pair in &pairs {
            router.connect(pair, worker);
        }
    });
    Ok(Reply::Done)
}

/// Closes the streams of every link to the domain.
pub(super) fn drop_streams(router: &Arc<Router>, domain: &HostName) -> Outcome {
    let pairs = pairs(router, domain);
    if pairs.is_empty() {
        return Err(Refusal::new(
            RefusalKind::NotFound,
            format!("there is no link to {}", domain.as_str()),
            "balcony link list shows all of them.",
        ));
    }
    router.work(|worker| {
        for pair in &pairs {
            router.disconnect(pair, worker);
        }
    });
    Ok(Reply::Done)
}

fn pairs(router: &Router, domain: &HostName) -> Vec<Pair> {
    views(router, Some(domain))
        .into_iter()
        .map(|view| view.pair)
        .collect()
}

fn views(router: &Router, domain: Option<&HostName>) -> Vec<View> {
    let is_meant = |view: &View| domain.is_none_or(|domain| view.pair.remote.as_str() == domain.as_str());
    router.links().into_iter().filter(is_meant).collect()
}

/// From the first host of the server.
fn usual_pair(router: &Router, domain: &HostName) -> Result<Pair, Refusal> {
    let bad = |why: String| Refusal::new(RefusalKind::BadRequest, why, "");
    let remote = Address::domain(domain.as_str()).map_err(|error| bad(error.to_string()))?;
    let settings = router.settings();
    if settings.hosts.serves(&remote) {
        return Err(bad(format!("{remote} is a host of this server")));
    }
    let first = settings.hosts.domains().next().unwrap_or_default();
    let local = Address::domain(first).map_err(|error| bad(error.to_string()))?;
    Ok(Pair { local, remote })
}

fn link(router: &Router, view: &View, exchanges: &BTreeMap<Pair, Exchange>) -> admin::Link {
    let now = router.now();
    let exchange = exchanges.get(&view.pair).copied().unwrap_or_default();
    admin::Link {
        local: view.pair.local.to_string(),
        remote: view.pair.remote.to_string(),
        state: view.state.as_str().to_owned(),
        cause: view.cause.map(|cause| match cause == Cause::Policy {
            true => explain::our_policy(view.pair.remote.as_str()),
            false => cause.sentence().to_owned(),
        }),
        seconds: now.since(view.since).as_secs(),
        connecting: view.connecting,
        // A moment that has passed is of an attempt that nobody wants any more.
        retry_in_seconds: view
            .retry_at
            .filter(|at| *at > now)
            .map(|at| at.since(now).as_secs()),
        waiting: view.waiting.0,
        waiting_bytes: view.waiting.1,
        last_exchange_seconds: exchange.heard.map(|heard| router.wall().since(heard).as_secs()),
        rtt_microseconds: exchange
            .round_trip
            .map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
        watchers: view.watchers,
        announced: view.path != Path::Clear,
        streams: view
            .streams
            .iter()
            .map(|stream| admin::LinkStream {
                ways: ways(stream.ways).to_owned(),
                broken: stream.is_broken,
            })
            .collect(),
        attempts: view.attempts.iter().map(|attempt| told(attempt)).collect(),
    }
}

fn ways(ways: Ways) -> &'static str {
    match ways {
        Ways::Out => "out",
        Ways::In => "in",
        Ways::Both => "both",
    }
}

fn told(attempt: &explain::Attempt) -> admin::Attempt {
    let direction = match attempt.side {
        Side::Outbound => "out",
        Side::Inbound => "in",
    };
    admin::Attempt {
        direction: direction.to_owned(),
        started: attempt.started.to_xmpp(),
        milliseconds: milliseconds(attempt.took),
        verdict: attempt.verdict().as_str().to_owned(),
        sentence: attempt.sentence(),
        lookup: attempt.dns.asked.then(|| lookup(&attempt.dns)),
        tries: attempt.tries.iter().map(one_try).collect(),
    }
}

fn lookup(dns: &explain::Dns) -> admin::Lookup {
    let service = |service: &explain::Service| {
        let name = match service.transport {
            Transport::Tcp => "_xmpp-server",
            Transport::DirectTls => "_xmpps-server",
        };
        let explain::Service {
            priority,
            weight,
            target,
            port,
            ..
        } = service;
        format!("{name} {priority} {weight} {target}:{port}")
    };
    let addresses = |(name, addresses): &(String, Vec<std::net::IpAddr>)| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        match addresses.is_empty() {
            true => format!("{name}: none"),
            false => format!("{name}: {}", addresses.join(", ")),
        }
    };
    admin::Lookup {
        services: dns.services.iter().map(service).collect(),
        addresses: dns.addresses.iter().map(addresses).collect(),
        fault: dns.fault.as_ref().map(|fault| match fault {
            DnsFault::NoSuchDomain => String::from("there is no such domain"),
            DnsFault::NoService => String::from("it names no server"),
            DnsFault::Unavailable(why) => format!("no answer: {why}"),
        }),
        milliseconds: milliseconds(dns.took),
    }
}

fn one_try(one: &explain::Try) -> admin::Try {
    let target = match one.address {
        Some(address) if address.to_string() == one.target => one.target.clone(),
        Some(address) => format!("{} ({address})", one.target),
        None => format!("{} (no address)", one.target),
    };
    let encryption = match one.transport {
        Transport::Tcp => "starttls",
        Transport::DirectTls => "tls",
    };
    admin::Try {
        target,
        encryption: encryption.to_owned(),
        steps: steps(one),
        milliseconds: milliseconds(one.took),
    }
}

/// What happened on one connection, as far as it came.
fn steps(one: &explain::Try) -> Vec<String> {
    let mut steps = Vec::new();
    if one.address.is_none() {
        return steps;
    }
    steps.push(match &one.tcp {
        None => String::from("TCP: connected"),
        Some(TcpFault::Refused) => String::from("TCP: refused"),
        Some(TcpFault::TimedOut) => String::from("TCP: no answer"),
        Some(TcpFault::Unreachable(why)) => format!("TCP: {why}"),
    });
    // In the order in which it happened.
    match one.transport {
        Transport::Tcp => {
            of_header(one, &mut steps);
            of_tls(one, &mut steps);
        }
        Transport::DirectTls => {
            of_tls(one, &mut steps);
            of_header(one, &mut steps);
        }
    }
    if let Some(record) = &one.stream {
        of_authentication(record, &mut steps);
    }
    steps
}

fn of_header(one: &explain::Try, steps: &mut Vec<String>) {
    if let Some(record) = one.stream.as_ref().filter(|record| record.step >= Step::Header) {
        let from = record.header_from.as_deref().unwrap_or("nobody");
        steps.push(format!("stream: opened by {from}"));
    }
}

fn of_tls(one: &explain::Try, steps: &mut Vec<String>) {
    if let Some(fault) = &one.tls {
        steps.push(match fault {
            TlsFault::TooOld => String::from("TLS: no version in common, 1.2 is the oldest here"),
            TlsFault::Failed(why) => format!("TLS: {why}"),
        });
    }
    if let Some((version, proof)) = one.stream.as_ref().and_then(|record| record.tls.as_ref()) {
        let version = match version {
            TlsVersion::Tls12 => "1.2",
            TlsVersion::Tls13 => "1.3",
        };
        steps.push(format!("TLS: version {version}"));
        steps.push(match proof {
            Ok(()) => String::from("certificate: proves the domain"),
            Err(fault) => format!("certificate: {fault}"),
        });
    }
    for certificate in &one.chain {
        steps.push(format!(
            "certificate: for {}, issued by {}, valid until {}",
            certificate.names.join(", "),
            certificate.issuer,
            certificate.not_after.to_xmpp()
        ));
    }
}

fn of_authentication(record: &Record, steps: &mut Vec<String>) {
    let mut offers = record.mechanisms.clone();
    if record.dialback {
        offers.push(String::from("dialback"));
    }
    if !offers.is_empty() {
        steps.push(format!("authentication: {} offered", offers.join(", ")));
    }
    match record.method {
        Some(Method::External) => steps.push(String::from("authentication: by certificate (SASL EXTERNAL)")),
        Some(Method::Dialback) => steps.push(String::from("authentication: by dialback")),
        Some(Method::CertificateByDialback) => {
            steps.push(String::from(
                "authentication: by certificate, in the words of dialback",
            ));
        }
        Some(Method::ComponentSecret) => {
            steps.push(String::from("authentication: by the secret of a component"));
        }
        None => {}
    }
    if let Some(obstacle) = &record.obstacle {
        steps.push(format!("refused: {}", explain::obstacle_in_words(obstacle)));
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
