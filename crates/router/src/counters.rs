//! Counting without contention: each thread counts for itself, and a scrape adds up.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use account::{DropReason, PresenceCount, PrivacyTally, RosterOperation};
use machine::{Distribution, Moment, Observed};
use stanza::{Condition, Kind};
use thread_local::ThreadLocal;

/// Which way a stanza went, seen from the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a peer.
    In,
    /// To a peer.
    Out,
}

impl Direction {
    /// Both.
    pub const ALL: [Direction; 2] = [Direction::In, Direction::Out];
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A client of this server.
    Local,
    /// Another domain.
    Remote,
    /// An external component.
    Component,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 3] = [Scope::Local, Scope::Remote, Scope::Component];
}

/// One thing that is counted, besides the stanzas that pass ([`Counters::pass`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// `xmpp_stanza_errors_total{kind, condition}`: errors that this server answered with.
    Errors(Kind, Condition),
    /// `xmpp_router_dropped_total{reason}`.
    Dropped(DropReason),
    /// Something of the presence engine.
    Presence(PresenceCount),
    /// `xmpp_privacy_decisions_total`.
    Privacy(PrivacyTally),
    /// `xmpp_roster_operations_total`.
    Roster(RosterOperation),
}

/// The upper bounds of the buckets of the sizes of stanzas, in bytes.
const STANZA_BYTES: [f64; 8] = [
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
];

/// The upper bounds of the buckets of the time that a stanza takes through the server, in seconds.
const PROCESSING_SECONDS: [f64; 9] = [
    0.000_002, 0.000_005, 0.000_01, 0.000_025, 0.000_1, 0.000_5, 0.002_5, 0.01, 0.1,
];

/// At most so many hosts have rows of their own; all others share `vhost="other"`.
const HOSTS_MAX: usize = 64;
/// One stanza of so many has its time taken.
const SAMPLED: u64 = 64;

const KINDS: usize = 3;
const DIRECTIONS: usize = 2;
const SCOPES: usize = 3;
const CONDITIONS: usize = Condition::ALL.len();
const REASONS: usize = 4;
const DROPPED_AT: usize = KINDS * CONDITIONS;
const PRESENCE_AT: usize = DROPPED_AT + REASONS;
const PRIVACY_AT: usize = PRESENCE_AT + PresenceCount::ALL.len();
const ROSTER_AT: usize = PRIVACY_AT + PrivacyTally::ALL.len();
const COUNTERS: usize = ROSTER_AT + RosterOperation::ALL.len();

const OF_HOST: usize = SCOPES * DIRECTIONS * KINDS;

/// The counters of one server.
#[derive(Default)]
pub struct Counters {
    shards: ThreadLocal<Shard>,
    /// The domains with rows of their own, in the order in which they became known. They only become more.
    hosts: Box<Hosts>,
}

/// The places from the front are taken.
struct Hosts([OnceLock<Box<str>>; HOSTS_MAX]);

impl Default for Hosts {
    fn default() -> Self {
        Hosts(std::array::from_fn(|_| OnceLock::new()))
    }
}

impl Hosts {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map_while(|name| name.get().map(|name| &**name))
    }
}

struct Shard {
    counters: [AtomicU64; COUNTERS],
    /// Stanzas of each host, and of all others at the end.
    hosts: Box<[[AtomicU64; OF_HOST]]>,
    /// By direction and kind.
    sizes: [[Distribution<{ STANZA_BYTES.len() }>; KINDS]; DIRECTIONS],
    /// By kind.
    times: [Distribution<{ PROCESSING_SECONDS.len() }>; KINDS],
    /// How many stanzas until the next one has its time taken.
    until_sample: AtomicU64,
    /// When the stanza came in whose time is taken, in microseconds, and one more; 0 while there is none.
    sampled_at: AtomicU64,
    /// Its kind.
    sampled_kind: AtomicU64,
}

impl Default for Shard {
    fn default() -> Self {
        Shard {
            counters: zeros(),
            hosts: (0..=HOSTS_MAX).map(|_| zeros()).collect(),
            sizes: std::array::from_fn(|_| std::array::from_fn(|_| Distribution::of_amounts(&STANZA_BYTES))),
            times: std::array::from_fn(|_| Distribution::of_times(&PROCESSING_SECONDS)),
            until_sample: AtomicU64::new(0),
            sampled_at: AtomicU64::new(0),
            sampled_kind: AtomicU64::new(0),
        }
    }
}

impl Counters {
    /// Adds to one counter.
    pub fn add(&self, counter: Counter, amount: u64) {
        if let Some(cell) = self.shards.get_or_default().counters.get(index(counter)) {
            grow(cell, amount);
        }
    }

    /// The sum over all threads.
    pub fn get(&self, counter: Counter) -> u64 {
        let index = index(counter);
        self.sum(|shard| shard.counters.get(index))
    }

    /// These domains have rows of their own from now on.
    pub fn name_hosts<'h>(&self, domains: impl Iterator<Item = &'h str>) {
        for domain in domains {
            for place in &self.hosts.0 {
                if **place.get_or_init(|| Box::from(domain)) == *domain {
                    break;
                }
            }
        }
    }

    /// The domains with rows of their own, and `other`.
    pub fn hosts(&self) -> Vec<&str> {
        self.hosts.names().chain(["other"]).collect()
    }

    /// A stanza of this host passes: `xmpp_stanzas_total`, `xmpp_stanza_bytes`.
    pub fn pass(&self, host: &str, scope: Scope, direction: Direction, kind: Kind, bytes: usize) {
        self.shard_passed(host, scope, direction, kind, bytes);
    }

    fn shard_passed(
        &self,
        host: &str,
        scope: Scope,
        direction: Direction,
        kind: Kind,
        bytes: usize,
    ) -> &Shard {
        let place = self.place(host);
        let shard = self.shards.get_or_default();
        if let Some(cell) = shard
            .hosts
            .get(place)
            .and_then(|cells| cells.get(of_host(scope, direction, kind)))
        {
            grow(cell, 1);
        }
        if let Some(cells) = shard
            .sizes
            .get(direction as usize)
            .and_then(|kinds| kinds.get(kind_index(kind)))
        {
            cells.observe_alone(size_bucket(bytes), bytes as u64);
        }
        shard
    }

    /// The stanzas of the host at this place of [`hosts`](Counters::hosts) that have passed.
    pub fn passed(&self, place: usize, scope: Scope, direction: Direction, kind: Kind) -> u64 {
        let place = if place < self.hosts.names().count() {
            place
        } else {
            HOSTS_MAX
        };
        self.sum(|shard| shard.hosts.get(place)?.get(of_host(scope, direction, kind)))
    }

    /// The sizes of the stanzas that have passed.
    pub fn sizes(&self, direction: Direction, kind: Kind) -> Observed {
        let mut all = Distribution::of_amounts(&STANZA_BYTES).observed();
        for shard in &self.shards {
            let kinds = shard.sizes.get(direction as usize);
            if let Some(sizes) = kinds.and_then(|kinds| kinds.get(kind_index(kind))) {
                all.add(&sizes.observed());
            }
        }
        all
    }

    /// The times that stanzas of clients took from their entry to the first mailbox: of one in [`SAMPLED`].
    pub fn times(&self, kind: Kind) -> Observed {
        let mut all = Distribution::of_times(&PROCESSING_SECONDS).observed();
        for shard in &self.shards {
            if let Some(times) = shard.times.get(kind_index(kind)) {
                all.add(&times.observed());
            }
        }
        all
    }

    /// A stanza of a client comes in. `now` is asked only when its time is taken.
    pub(crate) fn entered(&self, host: &str, kind: Kind, bytes: usize, now: impl FnOnce() -> Moment) {
        let shard = self.shard_passed(host, Scope::Local, Direction::In, kind, bytes);
        let until = shard.until_sample.load(Ordering::Relaxed);
        if until > 0 {
            shard.until_sample.store(until - 1, Ordering::Relaxed);
            shard.sampled_at.store(0, Ordering::Relaxed);
        } else {
            shard.until_sample.store(SAMPLED - 1, Ordering::Relaxed);
            shard.sampled_at.store(now().as_micros() + 1, Ordering::Relaxed);
            shard
                .sampled_kind
                .store(kind_index(kind) as u64, Ordering::Relaxed);
        }
    }

    /// A stanza has reached the mailbox of a client.
    pub(crate) fn arrived(&self, host: &str, kind: Kind, bytes: usize, now: impl FnOnce() -> Moment) {
        let shard = self.shard_passed(host, Scope::Local, Direction::Out, kind, bytes);
        let since = shard.sampled_at.load(Ordering::Relaxed);
        if since == 0 {
            return;
        }
        shard.sampled_at.store(0, Ordering::Relaxed);
        let micros = now().as_micros().saturating_sub(since - 1);
        let kind = usize::try_from(shard.sampled_kind.load(Ordering::Relaxed)).unwrap_or(0);
        if let Some(cells) = shard.times.get(kind) {
            cells.observe_alone(cells.bucket(micros), micros);
        }
    }

    /// The work that a stanza gave is done: what arrives later is not of it.
    pub(crate) fn worked(&self) {
        let shard = self.shards.get_or_default();
        if shard.sampled_at.load(Ordering::Relaxed) != 0 {
            shard.sampled_at.store(0, Ordering::Relaxed);
        }
    }

    fn place(&self, host: &str) -> usize {
        self.hosts
            .names()
            .position(|known| known == host)
            .unwrap_or(HOSTS_MAX)
    }

    fn sum<'s>(&'s self, cell: impl Fn(&'s Shard) -> Option<&'s AtomicU64>) -> u64 {
        self.shards
            .iter()
            .filter_map(cell)
            .map(|cell| cell.load(Ordering::Relaxed))
            .sum()
    }
}

/// Only the thread that the cell belongs to writes here, so that nothing is lost between reading and writing.
fn grow(cell: &AtomicU64, amount: u64) {
    cell.store(
        cell.load(Ordering::Relaxed).wrapping_add(amount),
        Ordering::Relaxed,
    );
}

fn zeros<const CELLS: usize>() -> [AtomicU64; CELLS] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

/// The bounds are powers of four, from 64 on.
fn size_bucket(bytes: usize) -> usize {
    let above = bytes.saturating_sub(1) / 64;
    let bits = usize::BITS - above.leading_zeros();
    (bits as usize).div_ceil(2).min(STANZA_BYTES.len())
}

fn of_host(scope: Scope, direction: Direction, kind: Kind) -> usize {
    (scope as usize * DIRECTIONS + direction as usize) * KINDS + kind_index(kind)
}

fn kind_index(kind: Kind) -> usize {
    match kind {
        Kind::Message(_) => 0,
        Kind::Presence(_) => 1,
        Kind::Iq(_) => 2,
    }
}

fn index(counter: Counter) -> usize {
    match counter {
        Counter::Errors(kind, condition) => kind_index(kind) * CONDITIONS + condition as usize,
        Counter::Dropped(DropReason::DeliveryRule) => DROPPED_AT,
        Counter::Dropped(DropReason::Privacy) => DROPPED_AT + 1,
        Counter::Dropped(DropReason::Strangers) => DROPPED_AT + 2,
        Counter::Dropped(DropReason::Answer) => DROPPED_AT + 3,
        Counter::Presence(count) => PRESENCE_AT + count as usize,
        Counter::Privacy(tally) => PRIVACY_AT + tally.index(),
        Counter::Roster(operation) => ROSTER_AT + operation.index(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stanza::{IqType, MessageType, PresenceType};

    const CHAT: Kind = Kind::Message(MessageType::Chat);
    const EVERY_KIND: [Kind; 3] = [CHAT, Kind::Presence(PresenceType::Probe), Kind::Iq(IqType::Get)];

    #[test]
    fn every_counter_has_a_place_of_its_own_and_threads_add_up() {
        let mut all = vec![
            Counter::Dropped(DropReason::DeliveryRule),
            Counter::Dropped(DropReason::Privacy),
            Counter::Dropped(DropReason::Strangers),
            Counter::Dropped(DropReason::Answer),
        ];
        all.extend(PresenceCount::ALL.map(Counter::Presence));
        all.extend(PrivacyTally::ALL.map(Counter::Privacy));
        all.extend(RosterOperation::ALL.map(Counter::Roster));
        for kind in EVERY_KIND {
            all.extend(
                Condition::ALL
                    .iter()
                    .map(|condition| Counter::Errors(kind, *condition)),
            );
        }
        let counters = Counters::default();
        for (amount, counter) in all.iter().enumerate() {
            counters.add(*counter, amount as u64);
        }
        std::thread::scope(|scope| {
            scope.spawn(|| all.iter().for_each(|counter| counters.add(*counter, 1000)));
        });
        for (amount, counter) in all.iter().enumerate() {
            assert_eq!(counters.get(*counter), amount as u64 + 1000, "{counter:?}");
        }
        assert_eq!(all.len(), COUNTERS);
    }

    #[test]
    fn stanzas_are_counted_by_host_scope_direction_and_kind() {
        let counters = Counters::default();
        let names: Vec<String> = (0..HOSTS_MAX + 2).map(|n| format!("host{n}.lit")).collect();
        counters.name_hosts(names.iter().map(String::as_str));
        counters.name_hosts(names.iter().map(String::as_str));
        let mut amount = 0;
        let each = |mut visit: Box<dyn FnMut(usize, Scope, Direction, Kind) + '_>| {
            for place in 0..names.len() {
                for scope in Scope::ALL {
                    for direction in Direction::ALL {
                        for kind in EVERY_KIND {
                            visit(place, scope, direction, kind);
                        }
                    }
                }
            }
        };
        each(Box::new(|place, scope, direction, kind| {
            amount += 1;
            for _ in 0..amount {
                counters.pass(&names[place], scope, direction, kind, 100);
            }
        }));
        assert_eq!(counters.hosts().len(), HOSTS_MAX + 1);
        let mut expected = 0;
        let mut others = 0;
        each(Box::new(|place, scope, direction, kind| {
            expected += 1;
            if place < HOSTS_MAX {
                assert_eq!(
                    counters.passed(place, scope, direction, kind),
                    expected,
                    "{place} {scope:?} {direction:?} {kind:?}"
                );
            } else {
                others += expected;
            }
        }));
        let other: u64 = Scope::ALL
            .into_iter()
            .flat_map(|scope| Direction::ALL.map(|direction| (scope, direction)))
            .flat_map(|(scope, direction)| EVERY_KIND.map(|kind| (scope, direction, kind)))
            .map(|(scope, direction, kind)| counters.passed(HOSTS_MAX, scope, direction, kind))
            .sum();
        assert_eq!(other, others);
    }

    #[test]
    fn each_size_falls_under_the_first_bound_that_holds_it() {
        for bytes in (0..2048).chain([4096, 4097, 16384, 16385, 1 << 20, (1 << 20) + 1, usize::MAX]) {
            let wanted = STANZA_BYTES
                .iter()
                .take_while(|bound| bytes as f64 > **bound)
                .count();
            assert_eq!(size_bucket(bytes), wanted, "{bytes}");
        }
        let counters = Counters::default();
        counters.pass("host.lit", Scope::Local, Direction::In, CHAT, 65);
        let sizes = counters.sizes(Direction::In, CHAT);
        assert_eq!((sizes.counts[1], sizes.sum as u64), (1, 65));
    }

    #[test]
    fn the_time_of_one_stanza_in_many_is_taken() {
        let counters = Counters::default();
        for _ in 0..SAMPLED * 2 {
            counters.entered("host.lit", CHAT, 100, || Moment::from_micros(100));
            counters.arrived("host.lit", CHAT, 100, || Moment::from_micros(107));
            counters.worked();
        }
        let times = counters.times(CHAT);
        assert_eq!((times.counts[2], times.count()), (2, 2));
        assert!((times.sum - 0.000_014).abs() < 1e-9);
    }

    #[test]
    fn what_arrives_after_the_work_is_not_of_the_stanza() {
        let counters = Counters::default();
        counters.entered("host.lit", CHAT, 100, || Moment::from_micros(100));
        counters.worked();
        counters.arrived("host.lit", CHAT, 100, || Moment::from_micros(1_000_000));
        assert_eq!(counters.times(CHAT).count(), 0);
    }
}
