//! Signs of life on connections between servers: when something came last, and how long the last round trip took.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use machine::Timestamp;
use parking_lot::Mutex;
use s2s::Pair;

/// Of one connection. Every stanza that comes is noted here, so nothing is locked for it.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// When a stanza or an answer came last, in microseconds since 1970; 0: never.
    heard: AtomicU64,
    /// The last round trip in microseconds, and 1; 0: none was measured.
    round_trip: AtomicU64,
}

/// What is known of one link.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// When a stanza, an acknowledgement or the answer to a ping came last.
    pub heard: Option<Timestamp>,
    /// How long it took last until something was acknowledged, or a ping was answered.
    pub round_trip: Option<Duration>,
}

/// What connections that are over have left behind, by link.
#[derive(Default)]
pub(crate) struct Past(Mutex<BTreeMap<Pair, Exchange>>);

impl Pulse {
    /// Something came.
    pub(crate) fn heard(&self, now: Timestamp) {
        let micros = u64::try_from(now.as_unix_micros()).unwrap_or_default();
        self.heard.store(micros, Ordering::Relaxed);
    }

    /// An answer came after this time.
    pub(crate) fn answered(&self, took: Duration, now: Timestamp) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.round_trip.store(micros.saturating_add(1), Ordering::Relaxed);
        self.heard(now);
    }

    /// As it is now.
    pub(crate) fn look(&self) -> Exchange {
        let known = |micros: &AtomicU64| Some(micros.load(Ordering::Relaxed)).filter(|micros| *micros > 0);
        let heard = known(&self.heard).and_then(|micros| i64::try_from(micros).ok());
        Exchange {
            heard: heard.map(Timestamp::from_unix_micros),
            round_trip: known(&self.round_trip).map(|micros| Duration::from_micros(micros - 1)),
        }
    }
}

impl Exchange {
    /// The same with what another connection knows.
    pub(crate) fn join(&mut self, other: Exchange) {
        if other.round_trip.is_some() && (self.round_trip.is_none() || other.heard >= self.heard) {
            self.round_trip = other.round_trip;
        }
        self.heard = self.heard.max(other.heard);
    }
}

impl Past {
    /// A connection that carried the link is over.
    pub(crate) fn keep(&self, pair: &Pair, exchange: Exchange) {
        self.0.lock().entry(pair.clone()).or_default().join(exchange);
    }

    /// The link is forgotten.
    pub(crate) fn forget(&self, pair: &Pair) {
        self.0.lock().remove(pair);
    }

    /// Of all links.
    pub(crate) fn all(&self) -> BTreeMap<Pair, Exchange> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000)
    }

    #[test]
    fn what_came_last_counts_whichever_connection_brought_it() {
        let (early, late) = (Pulse::default(), Pulse::default());
        assert_eq!(early.look(), Exchange::default());
        early.answered(Duration::ZERO, at(10));
        late.heard(at(20));
        let mut both = late.look();
        both.join(early.look());
        let expected = Exchange {
            heard: Some(at(20)),
            round_trip: Some(Duration::ZERO),
        };
        assert_eq!(both, expected);
        late.answered(Duration::from_millis(7), at(30));
        both.join(late.look());
        both.join(early.look());
        assert_eq!(both.heard, Some(at(30)));
        assert_eq!(both.round_trip, Some(Duration::from_millis(7)));
    }
}
