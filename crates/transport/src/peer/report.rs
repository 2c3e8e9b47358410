//! What one attempt to come together has shown so far, for whoever asks why federation fails.

use std::net::SocketAddr;
use std::time::Duration;

use machine::{Moment, Timestamp};
use router::Surroundings;
use s2s::explain::{Attempt, CertificateSummary, Dns, TcpFault, TlsFault, Try};
use s2s::{Pair, Record, Side, Step, Transport};

use crate::System;

/// An attempt that is not over.
#[derive(Debug)]
pub(crate) struct Report {
    side: Side,
    wall: Timestamp,
    started: Moment,
    try_started: Moment,
    dns: Dns,
    tries: Vec<Try>,
}

impl Report {
    pub(crate) fn inbound(system: &System, from: SocketAddr, transport: Transport) -> Report {
        let mut report = Report::new(system, Side::Inbound, Dns::default());
        report.begin_try(system.now(), from.ip().to_string(), Some(from), transport);
        report
    }

    pub(crate) fn outbound(system: &System, dns: Dns) -> Report {
        Report::new(system, Side::Outbound, dns)
    }

    fn new(system: &System, side: Side, dns: Dns) -> Report {
        let now = system.now();
        Report {
            side,
            wall: system.wall(),
            started: now,
            try_started: now,
            dns,
            tries: Vec::new(),
        }
    }

    /// A connection that did not come about.
    pub(crate) fn no_connection(
        &mut self,
        target: &str,
        address: SocketAddr,
        transport: Transport,
        fault: TcpFault,
        took: Duration,
    ) {
        let mut failed = Try::new(target, Some(address), transport);
        failed.tcp = Some(fault);
        failed.took = took;
        self.tries.push(failed);
    }

    /// A connection that came about, and on which a stream begins.
    pub(crate) fn begin_try(
        &mut self,
        now: Moment,
        target: impl Into<String>,
        address: Option<SocketAddr>,
        transport: Transport,
    ) {
        self.try_started = now;
        self.tries.push(Try::new(target, address, transport));
    }

    /// What came of the last one.
    pub(crate) fn end_try(
        &mut self,
        now: Moment,
        tls: Option<TlsFault>,
        chain: Vec<CertificateSummary>,
        record: Record,
    ) {
        if let Some(last) = self.tries.last_mut() {
            last.tls = tls;
            last.chain = chain;
            last.stream = Some(record);
            last.took = now.since(self.try_started);
        }
    }

    /// How far the last stream came.
    pub(crate) fn last_step(&self) -> Option<Step> {
        self.tries.last()?.stream.as_ref().map(|record| record.step)
    }

    pub(crate) fn attempt(self, pair: Pair, now: Moment) -> Attempt {
        Attempt {
            pair,
            side: self.side,
            started: self.wall,
            took: now.since(self.started),
            dns: self.dns,
            tries: self.tries,
        }
    }
}
