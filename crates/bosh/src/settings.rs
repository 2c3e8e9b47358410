//! What a session reads of the configuration, and the limits that are fixed.

use std::time::Duration;

/// The configuration as far as it concerns BOSH.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest pause that a client may ask for (XEP-0124 §10).
    pub max_pause: Duration,
    /// A session from which no request comes for this long is over.
    pub inactivity: Duration,
}

/// A request is answered after this time even if there is nothing to say; proxies in between give up later.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);

/// Requests that are kept waiting for something to say.
pub(crate) const HOLD_MAX: usize = 2;

/// The shortest time between two requests that say nothing (XEP-0124 §12).
pub(crate) const POLLING: Duration = Duration::from_secs(2);

/// A stream that is opened is waited for by a client that does not want to wait otherwise.
pub(crate) const OPENING_WAIT: Duration = Duration::from_secs(10);

/// How often one request may be repeated (XEP-0124 §14.3).
pub(crate) const REPEATS_MAX: u32 = 20;

/// Bytes that are collected for the next response. Beyond it the stream waits.
pub(crate) const OUTBOX_BYTES: usize = 32 << 10;
