//! How often something may happen.

use std::time::Duration;

use crate::Moment;

/// A number of events in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Events, at least one.
    pub events: u32,
    /// In this time.
    pub per: Duration,
}

/// What is left of a rate for one source of events: a bucket that holds `events` and is refilled evenly.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    /// The moment at which the bucket will be full again.
    full_at: Moment,
}

impl Bucket {
    /// Takes one event out. False when the bucket is empty: the event is one too many.
    pub fn take(&mut self, rate: Rate, now: Moment) -> bool {
        let each = rate.per / rate.events.max(1);
        let full_at = self.full_at.max(now) + each;
        let allowed = full_at.since(now) <= rate.per;
        if allowed {
            self.full_at = full_at;
        }
        allowed
    }

    /// Whether nothing is missing, so that the bucket need not be remembered.
    pub fn is_full(&self, now: Moment) -> bool {
        self.full_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_burst_takes_what_is_there_and_time_brings_it_back() {
        let rate = Rate {
            events: 3,
            per: Duration::from_secs(30),
        };
        let mut bucket = Bucket::default();
        let taken: Vec<bool> = (0..5).map(|_| bucket.take(rate, at(100))).collect();
        assert_eq!(taken, [true, true, true, false, false]);
        assert!(!bucket.take(rate, at(109)));
        assert!(bucket.take(rate, at(110)));
        assert!(!bucket.take(rate, at(110)));
        assert!(!bucket.is_full(at(139)));
        assert!(bucket.is_full(at(140)));
    }
}
