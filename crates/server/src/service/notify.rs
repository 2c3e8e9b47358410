//! What systemd is told (`sd_notify(3)`): that the server is ready, stops, and is alive.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// A systemd that does not read is not waited for: nobody else shall wait because of it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells systemd, if it asked to be told (`Type=notify`). Its socket takes a few words that were not read, and then blocks
/// whoever says more: that must be none of the threads that serve clients.
pub(super) async fn tell(state: NotifyState<'static>) {
    let saying = tokio::task::spawn_blocking(move || sd_notify::notify(&[state]));
    match tokio::time::timeout(PATIENCE, saying).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => debug!(event = "notify", %error, "systemd could not be told"),
        Ok(Err(_)) | Err(_) => debug!(event = "notify", "systemd does not listen"),
    }
}

/// Tells systemd that the server is alive, twice in each period that it set (`WatchdogSec=`). It runs as a task among
/// those of the connections: when these get no turn any more, neither does it, and systemd starts the server anew.
pub(super) fn watch() {
    let Some(period) = period() else { return };
    tokio::spawn(async move {
        loop {
            // One after the other, so that no more than one waits for systemd.
            let said = tokio::task::spawn_blocking(|| sd_notify::notify(&[NotifyState::Watchdog])).await;
            if let Ok(Err(error)) = said {
                debug!(event = "notify", %error, "systemd could not be told");
            }
            tokio::time::sleep(period / 2).await;
        }
    });
}

fn period() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
}
