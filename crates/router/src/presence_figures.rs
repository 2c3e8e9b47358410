//! What is observed of the presence engine beyond mere counts: why annotations were not sent, how long things took, how
//! many were concerned. Rows of `/metrics` follow in the program.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use account::{IqPoke, Origin, PauseCause, PresenceCount, SelfPing, Suppression, Tally, Wish};
use papaya::HashMap;
use presence::Decloak;
use stanza::Address;

/// Upper bounds of the buckets of `xmpp_psa_event_to_send_seconds`.
pub const ANNOTATION_SECONDS: [f64; 10] = [0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Upper bounds of the buckets of `xmpp_poke_duration_seconds`.
pub const POKE_SECONDS: [f64; 8] = [0.05, 0.25, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0];

/// Upper bounds of the buckets of `xmpp_poke_fanout_resources`.
pub const POKED_CLIENTS: [f64; 5] = [1.0, 2.0, 3.0, 5.0, 10.0];

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

/// What was observed of one thing.
#[derive(Debug)]
pub struct Distribution<const BOUNDS: usize> {
    bounds: &'static [f64; BOUNDS],
    counts: [AtomicU64; BOUNDS],
    beyond: AtomicU64,
    /// In millionths.
    sum: AtomicU64,
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

impl<const BOUNDS: usize> Distribution<BOUNDS> {
    fn new(bounds: &'static [f64; BOUNDS]) -> Distribution<BOUNDS> {
        Distribution {
            bounds,
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    fn observe(&self, value: f64) {
        let bucket = self.bounds.iter().take_while(|bound| value > **bound).count();
        add(self.counts.get(bucket).unwrap_or(&self.beyond), 1);
        // Sizes and durations are not negative, and far from the largest number.
        add(&self.sum, (value * 1e6) as u64);
    }

    /// The upper bounds of the buckets.
    pub fn bounds(&self) -> &'static [f64] {
        self.bounds
    }

    /// How often in each bucket, and beyond.
    pub fn counts(&self) -> Vec<u64> {
        let all = self.counts.iter().chain([&self.beyond]);
        all.map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// The sum of all that was observed.
    pub fn sum(&self) -> f64 {
        self.sum.load(Ordering::Relaxed) as f64 / 1e6
    }
}

impl Default for PresenceFigures {
    fn default() -> Self {
        fn zeros<const N: usize>() -> [AtomicU64; N] {
            std::array::from_fn(|_| AtomicU64::new(0))
        }
        PresenceFigures {
            suppressed: zeros(),
            annotated: std::array::from_fn(|_| Distribution::new(&ANNOTATION_SECONDS)),
            poked: Distribution::new(&POKED_CLIENTS),
            pokes: std::array::from_fn(|_| Distribution::new(&POKE_SECONDS)),
            pokes_between_clients: zeros(),
            decloak: std::array::from_fn(|_| zeros()),
            self_pings: zeros(),
            hosts: HashMap::new(),
        }
    }
}

impl PresenceFigures {
    pub(crate) fn count(&self, account: &Address, tally: &Tally) {
        match tally {
            Tally::Suppressed(why, annotations) => self.suppressed(*why, *annotations),
            Tally::PauseAnnotated(cause, waited) => {
                let trigger = match cause {
                    PauseCause::ConnectionLost => Trigger::StreamManagement,
                    PauseCause::Asked => Trigger::Bosh,
                };
                self.annotated(trigger, *waited);
            }
            Tally::Update(origin) => {
                let host = self.host(account.domainpart());
                if let Some(count) = host.updates.get(*origin as usize) {
                    add(count, 1);
                }
            }
            Tally::Broadcast(contacts) => {
                let host = self.host(account.domainpart());
                host.audience.observe(*contacts as f64);
            }
            Tally::PokeAsked(clients) => self.poked.observe(*clients as f64),
            Tally::PokeAnswered(outcome, lasted) => {
                if let Some(lengths) = self.pokes.get(*outcome as usize) {
                    lengths.observe(lasted.as_secs_f64());
                }
            }
            Tally::PokeByIq(outcome) => {
                if let Some(count) = self.pokes_between_clients.get(*outcome as usize) {
                    add(count, 1);
                }
            }
            Tally::Decloak(decloak, wish) => {
                let counts = self.decloak.get(*decloak as usize);
                if let Some(count) = counts.and_then(|counts| counts.get(*wish as usize)) {
                    add(count, 1);
                }
            }
            Tally::SelfPing(result) => {
                if let Some(count) = self.self_pings.get(*result as usize) {
                    add(count, 1);
                }
            }
            // Others count these.
            Tally::Paused
            | Tally::PauseEnded(..)
            | Tally::Resumed
            | Tally::Presence(_)
            | Tally::Error(..)
            | Tally::Redelivered(..)
            | Tally::LinkAnnotated(_)
            | Tally::Privacy(..)
            | Tally::Roster(_) => {}
        }
    }

    pub(crate) fn suppressed(&self, why: Suppression, annotations: usize) {
        if let Some(count) = self.suppressed.get(why as usize) {
            add(count, annotations as u64);
        }
    }

    /// Somebody was told, so long after it began.
    pub(crate) fn annotated(&self, trigger: Trigger, waited: Duration) {
        if let Some(lengths) = self.annotated.get(trigger as usize) {
            lengths.observe(waited.as_secs_f64());
        }
    }

    /// Annotations that were not sent for this reason.
    pub fn suppressions(&self, why: Suppression) -> u64 {
        get(self.suppressed.get(why as usize))
    }

    /// How long it took from the event to the first annotation.
    pub fn event_to_send(&self, trigger: Trigger) -> Option<&Distribution<{ ANNOTATION_SECONDS.len() }>> {
        self.annotated.get(trigger as usize)
    }

    /// How many clients were asked for one poke.
    pub fn poke_fanout(&self) -> &Distribution<{ POKED_CLIENTS.len() }> {
        &self.poked
    }

    /// How long pokes took that ended so.
    pub fn poke_duration(&self, outcome: PresenceCount) -> Option<&Distribution<{ POKE_SECONDS.len() }>> {
        self.pokes.get(outcome as usize)
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
    pub fn audiences(&self) -> BTreeMap<String, (Vec<u64>, f64)> {
        let hosts = self.hosts.pin();
        let all = hosts.iter();
        all.map(|(host, figures)| (host.clone(), (figures.audience.counts(), figures.audience.sum())))
            .collect()
    }

    fn host(&self, host: &str) -> Arc<AtHost> {
        let hosts = self.hosts.pin();
        let figures = match hosts.get(host) {
            Some(figures) => figures,
            None => hosts.get_or_insert_with(host.to_owned(), || {
                Arc::new(AtHost {
                    updates: std::array::from_fn(|_| AtomicU64::new(0)),
                    audience: Distribution::new(&AUDIENCE),
                })
            }),
        };
        Arc::clone(figures)
    }
}

fn add(count: &AtomicU64, amount: u64) {
    count.fetch_add(amount, Ordering::Relaxed);
}

fn get(count: Option<&AtomicU64>) -> u64 {
    count.map_or(0, |count| count.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_observed_falls_into_its_bucket() {
        let lengths = Distribution::new(&POKED_CLIENTS);
        for clients in [1.0, 2.0, 2.0, 7.0, 100.0] {
            lengths.observe(clients);
        }
        assert_eq!(lengths.counts(), [1, 2, 0, 0, 1, 1]);
        assert!((lengths.sum() - 112.0).abs() < 1e-9);
    }

    #[test]
    fn every_tally_has_a_place_of_its_own() {
        let figures = PresenceFigures::default();
        let romeo = Address::parse("romeo@montague.lit").unwrap();
        let mut tallies = vec![Tally::PokeAsked(2), Tally::Broadcast(3)];
        for why in [
            Suppression::NoSupport,
            Suppression::Coalesced,
            Suppression::Budget,
            Suppression::RecoveredInGrace,
            Suppression::UnavailableSent,
        ] {
            tallies.push(Tally::Suppressed(why, 1));
        }
        for origin in [Origin::Local, Origin::Remote, Origin::Room, Origin::Synthetic] {
            tallies.push(Tally::Update(origin));
        }
        for tally in &tallies {
            figures.count(&romeo, tally);
        }
        for why in [
            Suppression::NoSupport,
            Suppression::UnavailableSent,
            Suppression::Budget,
        ] {
            assert_eq!(figures.suppressions(why), 1);
        }
        assert_eq!(figures.updates("montague.lit", Origin::Synthetic), 1);
        assert_eq!(figures.updates("capulet.lit", Origin::Local), 0);
        assert!((figures.audiences()["montague.lit"].1 - 3.0).abs() < 1e-9);
    }
}
