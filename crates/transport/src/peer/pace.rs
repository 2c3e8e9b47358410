//! How fast others are read from, and how much of what they have not finished is held: all connections of one address
//! together, so that a second one brings nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use machine::{Moment, Rate};

/// So many bytes of input count as one element more: large elements cost more than small ones.
const BYTES_COUNTED: usize = 4 << 10;

/// A read that ends no element and brings fewer bytes than this was next to nothing: who sends octets one by one makes work
/// with each of them.
const FEW_BYTES: usize = 256;

/// Such a read counts for so many elements.
const IN_VAIN: u64 = 20;

/// What is counted of one address.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// How much came, as the moment at which that would be as much as may.
    due: AtomicU64,
    /// Bytes of unfinished elements.
    held: AtomicUsize,
}

/// The part of one connection in what its address holds.
#[derive(Debug, Default)]
pub(crate) struct Share {
    pace: Arc<Pace>,
    held: usize,
}

impl Share {
    pub(crate) fn of(pace: Arc<Pace>) -> Share {
        Share { pace, held: 0 }
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// This connection holds so much now. False when it grew and its address holds too much.
    pub(crate) fn hold(&mut self, bytes: usize, most: usize) -> bool {
        let before = std::mem::replace(&mut self.held, bytes);
        if bytes <= before {
            self.pace.held.fetch_sub(before - bytes, Ordering::Relaxed);
            return true;
        }
        let more = bytes - before;
        self.pace.held.fetch_add(more, Ordering::Relaxed) + more <= most
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.pace.held.fetch_sub(self.held, Ordering::Relaxed);
    }
}

impl Pace {
    /// What one read brought. A read costs something however little comes of it.
    pub(crate) fn count(&self, elements: u64, bytes: usize, rate: Rate, now: Moment) {
        let events = match elements == 0 && bytes < FEW_BYTES {
            true => IN_VAIN,
            false => elements
                .saturating_add(1)
                .saturating_add((bytes / BYTES_COUNTED) as u64),
        };
        let each = micros(rate.per) / u64::from(rate.events.max(1));
        let more = each.saturating_mul(events);
        let later = |due: u64| Some(due.max(now.as_micros()).saturating_add(more));
        // Nothing else depends on it, and whoever comes too late with his count loses nothing of it.
        let _ = self.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    }

    /// Until when nothing more is read: what came beyond the rate is made up for by waiting.
    pub(crate) fn held_until(&self, rate: Rate) -> Moment {
        Moment::from_micros(self.due.load(Ordering::Relaxed).saturating_sub(micros(rate.per)))
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn what_one_address_holds_is_held_together() {
        let pace = Arc::<Pace>::default();
        let (mut one, mut other) = (Share::of(Arc::clone(&pace)), Share::of(Arc::clone(&pace)));
        assert!(one.hold(60, 100) && other.hold(40, 100));
        assert!(!other.hold(41, 100));
        assert!(other.hold(41, 100), "only growing is refused");
        drop(one);
        assert!(other.hold(100, 100));
        drop(other);
        assert_eq!(pace.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn octets_that_come_one_by_one_are_read_more_slowly_than_elements() {
        let rate = Rate {
            events: 2_000,
            per: Duration::from_secs(1),
        };
        let reads_within_ten_seconds = |elements, bytes| {
            let (pace, mut now, mut reads) = (Pace::default(), at(100), 0);
            while now < at(110) {
                pace.count(elements, bytes, rate, now);
                now = now.max(pace.held_until(rate));
                reads += 1;
            }
            reads
        };
        assert_eq!(reads_within_ten_seconds(0, 1), 1_100);
        assert_eq!(reads_within_ten_seconds(1, 1), 11_000);
        assert!(
            reads_within_ten_seconds(0, 536) > 20_000,
            "parts of something large"
        );
    }

    #[test]
    fn what_came_beyond_the_rate_is_made_up_for_by_waiting() {
        let rate = Rate {
            events: 10,
            per: Duration::from_secs(1),
        };
        let pace = Pace::default();
        pace.count(9, 0, rate, at(100));
        assert!(pace.held_until(rate) <= at(100), "a burst may come at once");
        pace.count(19, 0, rate, at(100));
        assert_eq!(pace.held_until(rate), at(102));
        pace.count(0, BYTES_COUNTED * 9, rate, at(102));
        assert_eq!(pace.held_until(rate), at(103), "large elements count for more");
        assert!(pace.held_until(rate) < at(200), "and it is forgotten");
    }
}
