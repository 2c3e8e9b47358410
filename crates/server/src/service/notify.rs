//! What systemd is told (`sd_notify(3)`): that the server is ready, reloads, stops, and is alive.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// Tells systemd, if it asked to be told (`Type=notify`).
pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(event = "notify", %error, "systemd could not be told");
    }
}

/// Tells systemd that the server is alive, twice in each period that it set (`WatchdogSec=`). It runs as a task among
/// those of the connections: when these get no turn any more, neither does it, and systemd starts the server anew.
pub(super) fn watch() {
    let Some(period) = period() else { return };
    tokio::spawn(async move {
        loop {
            tell(&[NotifyState::Watchdog]);
            tokio::time::sleep(period / 2).await;
        }
    });
}

fn period() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
}
