//! One errand to another server: DNS, then one server of the domain after the other until a stream comes of it.

use std::sync::Arc;

use router::Surroundings;
use s2s::explain::{DnsFault, TcpFault};
use s2s::link::Cause;
use s2s::{Ending, Errand, Pair};

use super::{Servers, tune};
use crate::dial::race;
use crate::peer::{Outcome, Peer, Report};
use crate::resolve::Found;

/// Does an errand: ends in a stream that the router knows, or in its failure.
pub(super) async fn dial(servers: Arc<Servers>, errand: Errand) {
    // The semaphore is never closed.
    let permit = Arc::clone(&servers.dials).acquire_owned().await;
    let Found { dns, targets } = find(&servers, &errand.header).await;
    let mut worst = Worst::new(dns.fault.as_ref());
    let mut report = Report::outbound(servers.system(), dns);
    let mut permit = permit.ok();
    for target in targets {
        for address in &target.forbidden {
            let fault = private();
            worst.unconnected(&fault);
            report.no_connection(
                &target.name,
                *address,
                target.transport,
                fault,
                std::time::Duration::ZERO,
            );
        }
        let outcome = race(&target.addresses, servers.settings().connect_time).await;
        for (address, fault, took) in outcome.failed {
            worst.unconnected(&fault);
            report.no_connection(&target.name, address, target.transport, fault, took);
        }
        let Some((address, socket)) = outcome.winner else {
            continue;
        };
        tune(&socket);
        let now = servers.system().now();
        report.begin_try(now, target.name, Some(address), target.transport);
        let on_its_way = Peer::outbound(
            Arc::clone(&servers),
            socket,
            target.transport,
            errand.clone(),
            report,
        );
        // A stream that lives on does not keep others from being opened; its negotiation has a time of its own.
        drop(permit.take());
        match on_its_way.run().await {
            Outcome::Told => return,
            Outcome::Nothing {
                ending,
                report: told,
                is_tls,
            } => {
                worst.ended(&ending, is_tls, &told);
                report = *told;
            }
        }
    }
    let router = Arc::clone(servers.router());
    let now = servers.system().now();
    let attempt = report.attempt(errand.header.clone(), now);
    router.work(|worker| {
        router.attempted(attempt, worker);
        router.dial_failed(errand, worst.cause(), worker);
    });
}

/// Looks whether any server of a domain takes connections.
pub(super) async fn look(servers: Arc<Servers>, pair: Pair) {
    let permit = Arc::clone(&servers.dials).acquire_owned().await;
    let Found { dns, targets } = find(&servers, &pair).await;
    let mut worst = Worst::new(dns.fault.as_ref());
    let mut outcome = None;
    for target in &targets {
        if !target.forbidden.is_empty() {
            worst.unconnected(&private());
        }
        let race = race(&target.addresses, servers.settings().connect_time).await;
        race.failed
            .iter()
            .for_each(|(_, fault, _)| worst.unconnected(fault));
        if race.winner.is_some() {
            outcome = Some(());
            break;
        }
    }
    drop(permit);
    let router = Arc::clone(servers.router());
    let outcome = outcome.ok_or(worst.cause());
    router.work(|worker| router.looked(pair, outcome, worker));
}

async fn find(servers: &Servers, pair: &Pair) -> Found {
    let resolver = servers.resolver.load_full();
    let system = servers.system().clone();
    resolver
        .find(&pair.remote, &mut move |below| system.number_below(below))
        .await
}

fn private() -> TcpFault {
    TcpFault::Unreachable(String::from(
        "DNS names an address of a private network; if it is right, set a route in [s2s.routes]",
    ))
}

/// The cause of whoever came furthest.
struct Worst {
    furthest: Option<(u8, Cause)>,
    some_unreachable: bool,
    some_refused: bool,
}

impl Worst {
    fn new(fault: Option<&DnsFault>) -> Worst {
        let cause = fault.map(|fault| match fault {
            DnsFault::NoSuchDomain => Cause::NoSuchDomain,
            DnsFault::NoService => Cause::NoService,
            DnsFault::Unavailable(_) => Cause::DnsUnavailable,
        });
        Worst {
            furthest: cause.map(|cause| (0, cause)),
            some_unreachable: false,
            some_refused: false,
        }
    }

    fn unconnected(&mut self, fault: &TcpFault) {
        match fault {
            TcpFault::Refused => self.some_refused = true,
            TcpFault::TimedOut | TcpFault::Unreachable(_) => self.some_unreachable = true,
        }
    }

    fn ended(&mut self, ending: &Ending, is_tls: bool, report: &Report) {
        let step = report.last_step().map_or(0, |step| step as u8) + 1;
        let cause = if is_tls { Cause::Tls } else { Cause::from(ending) };
        if self.furthest.is_none_or(|(furthest, _)| step > furthest) {
            self.furthest = Some((step, cause));
        }
    }

    fn cause(&self) -> Cause {
        match self.furthest {
            Some((_, cause)) => cause,
            None if self.some_refused && !self.some_unreachable => Cause::Refused,
            None => Cause::Unreachable,
        }
    }
}
