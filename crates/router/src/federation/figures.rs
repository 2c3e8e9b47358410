//! What is counted of links and of the attempts to reach other domains, for metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use machine::{Distribution, Moment, Timestamp};
use s2s::explain::{Attempt, DnsFault};
use s2s::link::StateName;
use s2s::{Ending, Method, Side, Step};
use stanza::Address;

/// Domains that are counted apart. Only such become some that a link was up with, so that strangers who only knock take no
/// place; all others are counted together.
const PEERS_MAX: usize = 500;

/// Upper bounds of the buckets in which the time from a connection to an authenticated pair is counted, in seconds.
const HANDSHAKE_SECONDS: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

/// The same for the time from a question between servers to its answer.
const ROUND_TRIP_SECONDS: [f64; 8] = [0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];

/// What was counted of all links since the start.
#[derive(Debug, Clone, Default)]
pub struct LinkFigures {
    /// `xmpp_s2s_state_changes_total{to, reason}`. Changes for the better have no reason.
    pub changes: BTreeMap<(&'static str, &'static str), u64>,
    /// `xmpp_s2s_bounced_total{condition}`.
    pub bounced: BTreeMap<&'static str, u64>,
    /// Of each domain that a link was up with, and of all others together.
    pub peers: BTreeMap<Option<Address>, PeerFigures>,
    /// `xmpp_s2s_handshake_seconds{direction, auth}`.
    pub handshakes: BTreeMap<(&'static str, &'static str), Distribution<{ HANDSHAKE_SECONDS.len() }>>,
}

/// What was counted of one domain.
#[derive(Debug, Clone)]
pub struct PeerFigures {
    /// `xmpp_s2s_connect_attempts_total{result, step}`: connections that we tried to open, and how far they came.
    pub attempts: BTreeMap<(&'static str, &'static str), u64>,
    /// `xmpp_s2s_unavailable_seconds_total`: outages of all our domains with it, from the loss to the return.
    pub unavailable: Duration,
    /// `xmpp_s2s_rtt_seconds`: from what is sent to its acknowledgement, from a ping to its answer.
    pub round_trips: Distribution<{ ROUND_TRIP_SECONDS.len() }>,
    /// `xmpp_s2s_last_exchange_timestamp_seconds`.
    pub heard: Option<Timestamp>,
}

impl Default for PeerFigures {
    fn default() -> Self {
        PeerFigures {
            attempts: BTreeMap::new(),
            unavailable: Duration::ZERO,
            round_trips: Distribution::of_times(&ROUND_TRIP_SECONDS),
            heard: None,
        }
    }
}

impl LinkFigures {
    /// A link is in another state. From now on its domain may be counted apart.
    pub(crate) fn changed(&mut self, remote: &Address, to: StateName, reason: &'static str) {
        *self.changes.entry((to.as_str(), reason)).or_default() += 1;
        if to == StateName::Up
            && self.peers.len() < PEERS_MAX
            && !self.peers.contains_key(&Some(remote.clone()))
        {
            self.peers.insert(Some(remote.clone()), PeerFigures::default());
        }
    }

    /// A link is back that had been lost for so long, or is still lost.
    pub(crate) fn lost(&mut self, remote: &Address, lasted: Duration) {
        self.peer(remote).unavailable += lasted;
    }

    /// An attempt in either direction is over.
    pub(crate) fn attempted(&mut self, attempt: &Attempt) {
        let last = attempt.tries.last();
        let record = last.and_then(|last| last.stream.as_ref());
        if let (Some(last), Some(method)) = (last, record.and_then(|record| record.method)) {
            let direction = match attempt.side {
                Side::Inbound => "in",
                Side::Outbound => "out",
            };
            self.handshakes
                .entry((direction, auth(method)))
                .or_insert_with(|| Distribution::of_times(&HANDSHAKE_SECONDS))
                .took(last.took);
        }
        // What came to us is an attempt of theirs; and a connection that only asked for a key says nothing of a way.
        let only_asked = record.is_some_and(|record| {
            let is_fine = record.method.is_none() && record.obstacle.is_none();
            is_fine && matches!(record.ending, Some(Ending::Finished(_)))
        });
        if attempt.side == Side::Outbound && !only_asked {
            let label = result_and_step(attempt);
            *self.peer(&attempt.pair.remote).attempts.entry(label).or_default() += 1;
        }
    }

    /// The other server has answered.
    pub(crate) fn round_trip(&mut self, remote: &Address, took: Duration) {
        self.peer(remote).round_trips.took(took);
    }

    /// Something came from a domain.
    pub(crate) fn heard(&mut self, remote: &Address, at: Option<Timestamp>) {
        let peer = self.peer(remote);
        peer.heard = peer.heard.max(at);
    }

    fn peer(&mut self, remote: &Address) -> &mut PeerFigures {
        let key = Some(remote.clone());
        let key = key.filter(|_| self.peers.contains_key(&Some(remote.clone())));
        self.peers.entry(key).or_default()
    }
}

fn auth(method: Method) -> &'static str {
    match method {
        Method::External => "external",
        Method::Dialback | Method::CertificateByDialback => "dialback",
        Method::ComponentSecret => "component",
    }
}

/// How far the last try came.
fn result_and_step(attempt: &Attempt) -> (&'static str, &'static str) {
    let Some(last) = attempt.tries.last() else {
        return match &attempt.dns.fault {
            Some(DnsFault::NoSuchDomain | DnsFault::NoService | DnsFault::Unavailable(_)) | None => {
                ("failed", "dns")
            }
        };
    };
    match &last.stream {
        _ if last.tcp.is_some() => ("failed", "tcp"),
        _ if last.tls.is_some() => ("failed", "tls"),
        None => ("failed", "tcp"),
        Some(record) if record.method.is_some() => ("ok", "established"),
        Some(record) => match record.step {
            Step::Connected | Step::Header => ("failed", "header"),
            Step::Tls => ("failed", "tls"),
            Step::Authentication => ("failed", "authentication"),
            Step::Established => ("failed", "established"),
        },
    }
}

/// Since when a link is lost, and whether anybody was told.
pub(crate) type Loss = (Moment, bool);

#[cfg(test)]
mod tests {
    use s2s::explain::{Dns, TcpFault, Try};
    use s2s::{Pair, Record, Transport};

    use super::*;

    fn attempt(domain: &str, side: Side, record: Option<Record>) -> Attempt {
        let mut one = Try::new("xmpp.lit", None, Transport::Tcp);
        one.tcp = record.is_none().then_some(TcpFault::Refused);
        one.stream = record;
        one.took = Duration::from_millis(300);
        Attempt {
            pair: Pair {
                local: Address::domain("montague.lit").unwrap(),
                remote: Address::domain(domain).unwrap(),
            },
            side,
            started: Timestamp::default(),
            took: Duration::from_secs(1),
            dns: Dns::default(),
            tries: vec![one],
        }
    }

    fn accepted() -> Option<Record> {
        Some(Record {
            method: Some(Method::External),
            step: Step::Established,
            ..Record::default()
        })
    }

    #[test]
    fn attempts_are_counted_by_how_far_they_came_and_apart_only_where_a_link_was_up() {
        let mut figures = LinkFigures::default();
        let capulet = Address::domain("capulet.lit").unwrap();
        figures.changed(&capulet, StateName::Up, "");
        figures.attempted(&attempt("capulet.lit", Side::Outbound, accepted()));
        figures.attempted(&attempt("capulet.lit", Side::Outbound, None));
        figures.attempted(&attempt("capulet.lit", Side::Inbound, accepted()));
        for number in 0..1000 {
            figures.attempted(&attempt(&format!("d{number}.lit"), Side::Outbound, None));
        }
        assert_eq!(figures.peers.len(), 2);
        let of_capulet = &figures.peers[&Some(capulet.clone())].attempts;
        assert_eq!(of_capulet[&("ok", "established")], 1);
        assert_eq!(of_capulet[&("failed", "tcp")], 1);
        assert_eq!(figures.peers[&None].attempts[&("failed", "tcp")], 1000);
        assert_eq!(figures.handshakes[&("out", "external")].observed().counts[3], 1);
        assert_eq!(figures.handshakes[&("in", "external")].observed().counts[3], 1);
        figures.lost(&capulet, Duration::from_secs(20));
        assert_eq!(figures.peers[&Some(capulet)].unavailable, Duration::from_secs(20));
    }
}
