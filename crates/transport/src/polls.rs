//! How long single polls of tasks take, by worker: so long nobody else has their turn there
//! (`xmpp_task_poll_seconds`).
//!
//! A clock is looked at after one go in some only: the look costs more than the count. What a worker counts nobody else
//! writes to.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

use machine::{Distribution, Observed};
use parking_lot::Mutex;

/// A poll that takes a millisecond delays others visibly; one that takes a tenth of a second has hung.
const BOUNDS: [f64; 5] = [0.000_1, 0.001, 0.01, 0.1, 1.0];

/// One go in so many is looked at.
const SAMPLED: u32 = 16;

/// Workers beyond these count together with the last.
const WORKERS_MAX: usize = 64;

type Times = Distribution<{ BOUNDS.len() }>;

thread_local! {
    /// How many goes until the next is looked at.
    static UNTIL_SAMPLE: Cell<u32> = const { Cell::new(0) };

    /// Where this thread counts, and for which system: its origin.
    static MINE: RefCell<Option<(Instant, Arc<Times>)>> = const { RefCell::new(None) };
}

/// What all workers have counted.
#[derive(Default)]
pub(crate) struct Polls {
    workers: Mutex<Vec<Arc<Times>>>,
}

/// A go whose time is taken; it ends when this is dropped.
pub(crate) struct Sample {
    began: Instant,
    times: Arc<Times>,
}

impl Polls {
    /// Whether the go that begins now on this thread is one to look at. Work outside of tasks is nobody's poll.
    pub(crate) fn begin(&self, origin: Instant, now: impl FnOnce() -> Instant) -> Option<Sample> {
        let until = UNTIL_SAMPLE.get();
        UNTIL_SAMPLE.set(until.checked_sub(1).unwrap_or(SAMPLED - 1));
        if until > 0 || tokio::task::try_id().is_none() {
            return None;
        }
        let times = MINE.with_borrow_mut(|mine| match mine {
            Some((of, times)) if *of == origin => Arc::clone(times),
            _ => {
                let times = self.enter();
                *mine = Some((origin, Arc::clone(&times)));
                times
            }
        });
        Some(Sample { began: now(), times })
    }

    /// What each worker has observed, in the order in which they began.
    pub(crate) fn observed(&self) -> Vec<Observed> {
        self.workers.lock().iter().map(|times| times.observed()).collect()
    }

    fn enter(&self) -> Arc<Times> {
        let mut workers = self.workers.lock();
        if workers.len() < WORKERS_MAX {
            workers.push(Arc::new(Distribution::of_times(&BOUNDS)));
        }
        workers
            .last()
            .map_or_else(|| Arc::new(Distribution::of_times(&BOUNDS)), Arc::clone)
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        self.times.took(self.began.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_go_in_some_is_looked_at_and_each_thread_counts_for_itself() {
        let polls = Arc::new(Polls::default());
        #[expect(clippy::disallowed_methods, reason = "a clock is what is tested")]
        let origin = Instant::now();
        let go = move |polls: &Polls, times: u32| {
            #[expect(clippy::disallowed_methods, reason = "a clock is what is tested")]
            (0..times).for_each(|_| drop(polls.begin(origin, Instant::now)));
        };
        assert!(
            std::thread::spawn({
                let polls = Arc::clone(&polls);
                move || (go(&polls, 40), polls.observed()).1.is_empty()
            })
            .join()
            .unwrap(),
            "a thread that runs no task is no worker"
        );
        for _ in 0..2 {
            let polls = Arc::clone(&polls);
            tokio::spawn(async move { go(&polls, 4 * SAMPLED) })
                .await
                .unwrap();
        }
        let observed = polls.observed();
        assert_eq!(observed.len(), 1, "both tasks ran on one thread");
        assert_eq!(observed[0].count(), 8);
        assert_eq!(observed[0].bounds, BOUNDS);
    }

    #[test]
    fn workers_beyond_the_named_ones_count_with_the_last() {
        let polls = Polls::default();
        let all: Vec<_> = (0..WORKERS_MAX + 3).map(|_| polls.enter()).collect();
        all.iter().for_each(|times| times.observe(50));
        let observed = polls.observed();
        assert_eq!(observed.len(), WORKERS_MAX);
        assert_eq!(observed.last().map(Observed::count), Some(4));
    }
}
