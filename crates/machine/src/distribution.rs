//! What is observed of sizes and durations, for histograms: how often a value fell under each of some bounds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A distribution of durations or of amounts. It is counted in whole units (microseconds, bytes, pieces); bounds and sums are
/// told in base units (seconds, bytes, pieces). Each value counts in the first bucket whose upper bound holds it.
#[derive(Debug)]
pub struct Distribution<const BOUNDS: usize> {
    bounds: &'static [f64; BOUNDS],
    /// How many units make a base unit.
    units: f64,
    counts: [AtomicU64; BOUNDS],
    beyond: AtomicU64,
    sum: AtomicU64,
}

/// A distribution as it is at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The upper bounds of the buckets, growing.
    pub bounds: &'static [f64],
    /// How often in each bucket, for itself alone, and beyond the last bound.
    pub counts: Vec<u64>,
    /// The sum of all that was observed.
    pub sum: f64,
}

impl<const BOUNDS: usize> Distribution<BOUNDS> {
    /// Of durations, with bounds in seconds.
    pub fn of_times(bounds: &'static [f64; BOUNDS]) -> Distribution<BOUNDS> {
        Distribution::new(bounds, 1e6)
    }

    /// Of bytes or pieces.
    pub fn of_amounts(bounds: &'static [f64; BOUNDS]) -> Distribution<BOUNDS> {
        Distribution::new(bounds, 1.0)
    }

    fn new(bounds: &'static [f64; BOUNDS], units: f64) -> Distribution<BOUNDS> {
        Distribution {
            bounds,
            units,
            counts: std::array::from_fn(|_| AtomicU64::new(0)),
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// It took so long.
    pub fn took(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// There were so many units.
    pub fn observe(&self, units: u64) {
        self.cell(self.bucket(units)).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(units, Ordering::Relaxed);
    }

    /// The same for a distribution that only one thread ever writes, which spares the bus; `bucket` is what
    /// [`bucket`](Self::bucket) answers, if the caller knows it by a shorter way.
    pub fn observe_alone(&self, bucket: usize, units: u64) {
        for (cell, more) in [(self.cell(bucket), 1), (&self.sum, units)] {
            cell.store(cell.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        }
    }

    /// The bucket of so many units.
    pub fn bucket(&self, units: u64) -> usize {
        let value = units as f64 / self.units;
        self.bounds.iter().take_while(|bound| value > **bound).count()
    }

    /// What was observed until now.
    pub fn observed(&self) -> Observed {
        let all = self.counts.iter().chain([&self.beyond]);
        Observed {
            bounds: self.bounds,
            counts: all.map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.sum.load(Ordering::Relaxed) as f64 / self.units,
        }
    }

    fn cell(&self, bucket: usize) -> &AtomicU64 {
        self.counts.get(bucket).unwrap_or(&self.beyond)
    }
}

impl<const BOUNDS: usize> Clone for Distribution<BOUNDS> {
    fn clone(&self) -> Self {
        let copy = |cell: &AtomicU64| AtomicU64::new(cell.load(Ordering::Relaxed));
        Distribution {
            bounds: self.bounds,
            units: self.units,
            counts: self.counts.each_ref().map(copy),
            beyond: copy(&self.beyond),
            sum: copy(&self.sum),
        }
    }
}

impl Observed {
    /// How many values were observed.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Takes what another thread has observed of the same.
    pub fn add(&mut self, other: &Observed) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_under_the_first_bound_that_holds_it() {
        let times = Distribution::of_times(&[0.0001, 0.01]);
        for micros in [0, 100, 101, 10_000, 20_000_000] {
            times.took(Duration::from_micros(micros));
        }
        let observed = times.observed();
        assert_eq!(observed.counts, [2, 2, 1]);
        assert_eq!((observed.count(), observed.bounds), (5, &[0.0001, 0.01][..]));
        assert!((observed.sum - 20.010_201).abs() < 1e-9);
    }

    #[test]
    fn what_threads_have_observed_is_added_up() {
        let (one, other) = (
            Distribution::of_amounts(&[1.0, 2.0, 5.0]),
            Distribution::of_amounts(&[1.0, 2.0, 5.0]),
        );
        one.observe(2);
        other.observe_alone(other.bucket(7), 7);
        other.observe_alone(other.bucket(1), 1);
        let mut all = one.observed();
        all.add(&other.observed());
        assert_eq!(all.counts, [1, 1, 0, 1]);
        assert!((all.sum - 10.0).abs() < 1e-9);
    }
}
