//! How fast others are read from: all connections of one address together, so that a second one brings nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use machine::{Moment, Rate};

/// So many bytes of input count as one element more: large elements cost more than small ones.
const BYTES_COUNTED: usize = 4 << 10;

/// How much came, as the moment at which that would be as much as may.
#[derive(Debug, Default)]
pub(crate) struct Pace(AtomicU64);

impl Pace {
    /// What one read brought. A read costs something however little comes of it.
    pub(crate) fn count(&self, elements: u64, bytes: usize, rate: Rate, now: Moment) {
        let events = elements
            .saturating_add(1)
            .saturating_add((bytes / BYTES_COUNTED) as u64);
        let each = micros(rate.per) / u64::from(rate.events.max(1));
        let more = each.saturating_mul(events);
        let later = |due: u64| Some(due.max(now.as_micros()).saturating_add(more));
        // Nothing else depends on it, and whoever comes too late with his count loses nothing of it.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    }

    /// Until when nothing more is read: what came beyond the rate is made up for by waiting.
    pub(crate) fn held_until(&self, rate: Rate) -> Moment {
        Moment::from_micros(self.0.load(Ordering::Relaxed).saturating_sub(micros(rate.per)))
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
