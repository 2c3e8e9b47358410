//! Whether the workers keep up: how busy they are, what waits for them, and how late a timer is served.

use std::sync::Arc;
use std::time::Duration;

use machine::Distribution;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Registry;

/// How often a timer is set to see how late it is served.
const PROBE_EVERY: Duration = Duration::from_millis(250);

/// Timers of the runtime have a resolution of a millisecond.
const DELAY_SECONDS: [f64; 8] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];

/// Registers the rows of this runtime, and looks at its timers from now on.
pub fn watch(registry: &Registry, runtime: &Handle) {
    let delays = Arc::new(Distribution::of_times(&DELAY_SECONDS));
    let observed = Arc::clone(&delays);
    runtime.spawn(async move {
        loop {
            let due = Instant::now() + PROBE_EVERY;
            tokio::time::sleep_until(due).await;
            observed.took(due.elapsed());
        }
    });
    let metrics = runtime.metrics();
    registry.register(move |families| {
        families
            .histogram(
                "xmpp_runtime_delay_seconds",
                "How late a timer was served: what everybody waits for a worker.",
            )
            .observations(&[], &delays.observed());
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
