//! Whether the workers keep up: how busy they are, what waits for them, and how late a timer is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::{Bounds, Families, Histogram, Registry};

/// How often a timer is set to see how late it is served.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// Timers of the runtime have a resolution of a millisecond.
const BOUNDS: Bounds = &[0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];
const BUCKETS: usize = BOUNDS.len() + 1;

#[derive(Default)]
struct Delays {
    counts: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl Delays {
    fn observe(&self, late: Duration) {
        let bucket = BOUNDS
            .iter()
            .take_while(|bound| late.as_secs_f64() > **bound)
            .count();
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn rows(&self, families: &mut Families) {
        let counts: Vec<u64> = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        families
            .histogram(
                "xmpp_runtime_delay_seconds",
                "How late a timer was served: what everybody waits for a worker.",
            )
            .observations(
                &[],
                Histogram {
                    bounds: BOUNDS,
                    counts: &counts,
                    sum: self.micros.load(Ordering::Relaxed) as f64 / 1e6,
                },
            );
    }
}

/// Registers the rows of this runtime, and looks at its timers from now on.
pub fn watch(registry: &Registry, runtime: &Handle) {
    let delays = Arc::new(Delays::default());
    let observed = Arc::clone(&delays);
    runtime.spawn(async move {
        loop {
            let due = Instant::now() + PROBE_EVERY;
            tokio::time::sleep_until(due).await;
            observed.observe(due.elapsed());
        }
    });
    let metrics = runtime.metrics();
    registry.register(move |families| {
        delays.rows(families);
        families
            .gauge(
                "xmpp_runtime_queue_depth",
                "Tasks that are ready and that no worker has taken yet.",
            )
            .row(&[("worker", "any")], metrics.global_queue_depth());
        families
            .gauge("xmpp_runtime_tasks", "Tasks that have not ended.")
            .row(&[], metrics.num_alive_tasks());
        let mut rows = families.counter(
            "xmpp_runtime_busy_seconds_total",
            "The time that a worker was not waiting for something to do.",
        );
        for worker in 0..metrics.num_workers() {
            rows.row(
                &[("worker", &worker.to_string())],
                metrics.worker_total_busy_duration(worker).as_secs_f64(),
            );
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_falls_under_the_first_bound_that_holds_it() {
        let delays = Delays::default();
        for millis in [0, 1, 3, 5000] {
            delays.observe(Duration::from_millis(millis));
        }
        let mut families = Families::default();
        delays.rows(&mut families);
        let text = families.write();
        for row in [
            "_bucket{le=\"0.001\"} 2\n",
            "_bucket{le=\"0.005\"} 3\n",
            "_bucket{le=\"2.5\"} 3\n",
            "_count 4\n",
            "_sum 5.004\n",
        ] {
            assert!(text.contains(row), "{row} is not in\n{text}");
        }
    }

    #[tokio::test]
    async fn workers_and_what_waits_for_them_are_told() {
        let registry = Registry::default();
        watch(&registry, &Handle::current());
        let told = registry.scrape();
        for row in [
            "xmpp_runtime_delay_seconds_count 0\n",
            "xmpp_runtime_busy_seconds_total{worker=\"0\"} ",
            "xmpp_runtime_tasks 1\n",
        ] {
            assert!(told.contains(row), "{row} is not in\n{told}");
        }
    }
}
