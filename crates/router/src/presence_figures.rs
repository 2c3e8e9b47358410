//! What is observed of the presence engine beyond mere counts: why annotations were not sent, how long things took, how
//! many were concerned. Rows of `/metrics` follow in the program.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use account::{IqPoke, Origin, PresenceCount, SelfPing, Suppression, Wish};
use machine::{Distribution, Observed};
use papaya::HashMap;
use presence::Decloak;

/// Upper bounds of the buckets of `xmpp_psa_event_to_send_seconds`.
const ANNOTATION_SECONDS: [f64; 10] = [0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Upper bounds of the buckets of `xmpp_poke_duration_seconds`.
const POKE_SECONDS: [f64; 8] = [0.05, 0.25, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0];

/// Upper bounds of the buckets of `xmpp_poke_fanout_resources`.
const POKED_CLIENTS: [f64; 5] = [1.0, 2.0, 3.0, 5.0, 10.0];

/// Upper bounds of the buckets of `xmpp_presence_broadcast_fanout`.
pub const AUDIENCE: [f64; 8] = [0.0, 1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1_000.0];

/// Why presence may not be true; a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A link to another domain is lost.
    Link,
    /// A session waits to be resumed.
    StreamManagement,
    /// A client asked for a pause.
    Bosh,
}

/// What happened at one host.
#[derive(Debug)]
struct AtHost {
    updates: [AtomicU64; 4],
    audience: Distribution<{ AUDIENCE.len() }>,
}

/// All of it, since the start.
#[derive(Debug)]
pub struct PresenceFigures {
    suppressed: [AtomicU64; 5],
    annotated: [Distribution<{ ANNOTATION_SECONDS.len() }>; 3],
    poked: Distribution<{ POKED_CLIENTS.len() }>,
    pokes: [Distribution<{ POKE_SECONDS.len() }>; PresenceCount::ALL.len()],
    pokes_between_clients: [AtomicU64; 6],
    decloak: [[AtomicU64; 4]; 5],
    self_pings: [AtomicU64; 3],
    hosts: HashMap<String, Arc<AtHost>>,
}

impl Default for PresenceFigures {
    fn default() -> Self {
        fn zeros<const N: usize>() -> [AtomicU64; N] {
            std::array::from_fn(|_| AtomicU64::new(0))
        }
        PresenceFigures {
            suppressed: zeros(),
            annotated: std::array::from_fn(|_| Distribution::of_times(&ANNOTATION_SECONDS)),
            poked: Distribution::of_amounts(&POKED_CLIENTS),
            pokes: std::array::from_fn(|_| Distribution::of_times(&POKE_SECONDS)),
            pokes_between_clients: zeros(),
            decloak: std::array::from_fn(|_| zeros()),
            self_pings: zeros(),
            hosts: HashMap::new(),
        }
    }
}

impl PresenceFigures {
    /// Presence of a user of this host, or for one, has changed.
    pub(crate) fn updated(&self, host: &str, origin: Origin) {
        grow(self.host(host).updates.get(origin as usize), 1);
    }

    /// A change of a user of this host was sent to so many.
    pub(crate) fn broadcast(&self, host: &str, contacts: usize) {
        self.host(host).audience.observe(contacts as u64);
    }

    /// So many clients were asked because of one poke.
    pub(crate) fn poke_asked(&self, clients: usize) {
        self.poked.observe(clients as u64);
    }

    pub(crate) fn poke_answered(&self, outcome: PresenceCount, lasted: Duration) {
        if let Some(lengths) = self.pokes.get(outcome as usize) {
            lengths.took(lasted);
        }
    }

    pub(crate) fn poke_between_clients(&self, outcome: IqPoke) {
        grow(self.pokes_between_clients.get(outcome as usize), 1);
    }

    pub(crate) fn wished(&self, decloak: Decloak, wish: Wish) {
        let counts = self.decloak.get(decloak as usize);
        grow(counts.and_then(|counts| counts.get(wish as usize)), 1);
    }

    pub(crate) fn self_pinged(&self, result: SelfPing) {
        grow(self.self_pings.get(result as usize), 1);
    }

    pub(crate) fn suppressed(&self, why: Suppression, annotations: usize) {
        grow(self.suppressed.get(why as usize), annotations as u64);
    }

    /// Somebody was told, so long after it began.
    pub(crate) fn annotated(&self, trigger: Trigger, waited: Duration) {
        if let Some(lengths) = self.annotated.get(trigger as usize) {
            lengths.took(waited);
        }
    }

    /// Annotations that were not sent for this reason.
    pub fn suppressions(&self, why: Suppression) -> u64 {
        get(self.suppressed.get(why as usize))
    }

    /// How long it took from the event to the first annotation.
    pub fn event_to_send(&self, trigger: Trigger) -> Option<Observed> {
        self.annotated.get(trigger as usize).map(Distribution::observed)
    }

    /// How many clients were asked for one poke.
    pub fn poke_fanout(&self) -> Observed {
        self.poked.observed()
    }

    /// How long pokes took that ended so.
    pub fn poke_duration(&self, outcome: PresenceCount) -> Option<Observed> {
        self.pokes.get(outcome as usize).map(Distribution::observed)
    }

    /// Pokes between two clients that ended so.
    pub fn pokes_between_clients(&self, outcome: IqPoke) -> u64 {
        get(self.pokes_between_clients.get(outcome as usize))
    }

    /// Wishes to see a user's presence, for this reason, of which this has become.
    pub fn wishes(&self, decloak: Decloak, wish: Wish) -> u64 {
        let counts = self.decloak.get(decloak as usize);
        get(counts.and_then(|counts| counts.get(wish as usize)))
    }

    /// Answers of rooms elsewhere to the question whether a session is still in.
    pub fn self_pings(&self, result: SelfPing) -> u64 {
        get(self.self_pings.get(result as usize))
    }

    /// Changes of presence for users of this host.
    pub fn updates(&self, host: &str, origin: Origin) -> u64 {
        let hosts = self.hosts.pin();
        get(hosts.get(host).and_then(|host| host.updates.get(origin as usize)))
    }

    /// To how many contacts a change went, of users of each host.
    pub fn audiences(&self) -> BTreeMap<String, Observed> {
        let hosts = self.hosts.pin();
        let all = hosts.iter();
        all.map(|(host, figures)| (host.clone(), figures.audience.observed()))
            .collect()
    }

    fn host(&self, host: &str) -> Arc<AtHost> {
        let hosts = self.hosts.pin();
        let figures = match hosts.get(host) {
            Some(figures) => figures,
            None => hosts.get_or_insert_with(host.to_owned(), || {
                Arc::new(AtHost {
                    updates: std::array::from_fn(|_| AtomicU64::new(0)),
                    audience: Distribution::of_amounts(&AUDIENCE),
                })
            }),
        };
        Arc::clone(figures)
    }
}

fn grow(count: Option<&AtomicU64>, amount: u64) {
    if let Some(count) = count {
        count.fetch_add(amount, Ordering::Relaxed);
    }
}

fn get(count: Option<&AtomicU64>) -> u64 {
    count.map_or(0, |count| count.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_a_place_of_its_own() {
        let figures = PresenceFigures::default();
        let reasons = [
            Suppression::NoSupport,
            Suppression::Coalesced,
            Suppression::Budget,
            Suppression::RecoveredInGrace,
            Suppression::UnavailableSent,
        ];
        for (times, why) in reasons.into_iter().enumerate() {
            figures.suppressed(why, times + 1);
        }
        for (times, why) in reasons.into_iter().enumerate() {
            assert_eq!(figures.suppressions(why), times as u64 + 1);
        }
        for origin in [Origin::Local, Origin::Remote, Origin::Room, Origin::Synthetic] {
            figures.updated("montague.lit", origin);
            assert_eq!(figures.updates("montague.lit", origin), 1);
        }
        figures.broadcast("montague.lit", 3);
        assert_eq!(figures.updates("capulet.lit", Origin::Local), 0);
        assert!((figures.audiences()["montague.lit"].sum - 3.0).abs() < 1e-9);
    }
}
