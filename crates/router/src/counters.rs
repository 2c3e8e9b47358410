//! Counting without contention: each thread counts for itself, and a scrape adds up.

use std::sync::atomic::{AtomicU64, Ordering};

use account::{DropReason, PresenceCount};
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

/// One thing that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// `xmpp_stanzas_total{direction, kind}`.
    Stanzas(Direction, Kind),
    /// The same from and to other domains (`scope="remote"`).
    Remote(Direction, Kind),
    /// `xmpp_stanza_errors_total{kind, condition}`: errors that this server answered with.
    Errors(Kind, Condition),
    /// `xmpp_router_dropped_total{reason}`.
    Dropped(DropReason),
    /// Something of the presence engine.
    Presence(PresenceCount),
}

const KINDS: usize = 3;
const DIRECTIONS: usize = 2;
const CONDITIONS: usize = Condition::ALL.len();
const REASONS: usize = 3;
const REMOTE_AT: usize = KINDS * DIRECTIONS;
const ERRORS_AT: usize = REMOTE_AT + KINDS * DIRECTIONS;
const DROPPED_AT: usize = ERRORS_AT + KINDS * CONDITIONS;
const PRESENCE_AT: usize = DROPPED_AT + REASONS;
const COUNTERS: usize = PRESENCE_AT + PresenceCount::ALL.len();

/// The counters of one server.
#[derive(Default)]
pub struct Counters {
    shards: ThreadLocal<Shard>,
}

struct Shard([AtomicU64; COUNTERS]);

impl Default for Shard {
    fn default() -> Self {
        Shard(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Counters {
    /// Adds to one counter.
    pub fn add(&self, counter: Counter, amount: u64) {
        if let Some(cell) = self.shards.get_or_default().0.get(index(counter)) {
            // Only this thread writes here, so that nothing is lost between reading and writing.
            cell.store(
                cell.load(Ordering::Relaxed).wrapping_add(amount),
                Ordering::Relaxed,
            );
        }
    }

    /// The sum over all threads.
    pub fn get(&self, counter: Counter) -> u64 {
        let index = index(counter);
        self.shards
            .iter()
            .filter_map(|shard| shard.0.get(index))
            .map(|cell| cell.load(Ordering::Relaxed))
            .sum()
    }
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
        Counter::Stanzas(Direction::In, kind) => kind_index(kind),
        Counter::Stanzas(Direction::Out, kind) => KINDS + kind_index(kind),
        Counter::Remote(Direction::In, kind) => REMOTE_AT + kind_index(kind),
        Counter::Remote(Direction::Out, kind) => REMOTE_AT + KINDS + kind_index(kind),
        Counter::Errors(kind, condition) => ERRORS_AT + kind_index(kind) * CONDITIONS + condition as usize,
        Counter::Dropped(DropReason::DeliveryRule) => DROPPED_AT,
        Counter::Dropped(DropReason::Privacy) => DROPPED_AT + 1,
        Counter::Dropped(DropReason::Strangers) => DROPPED_AT + 2,
        Counter::Presence(count) => PRESENCE_AT + count as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stanza::{IqType, MessageType, PresenceType};

    #[test]
    fn every_counter_has_a_place_of_its_own_and_threads_add_up() {
        let kinds = [
            Kind::Message(MessageType::Chat),
            Kind::Presence(PresenceType::Probe),
            Kind::Iq(IqType::Get),
        ];
        let mut all = vec![
            Counter::Dropped(DropReason::DeliveryRule),
            Counter::Dropped(DropReason::Privacy),
            Counter::Dropped(DropReason::Strangers),
        ];
        all.extend(PresenceCount::ALL.map(Counter::Presence));
        for kind in kinds {
            all.extend([
                Counter::Stanzas(Direction::In, kind),
                Counter::Stanzas(Direction::Out, kind),
                Counter::Remote(Direction::In, kind),
                Counter::Remote(Direction::Out, kind),
            ]);
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
}
