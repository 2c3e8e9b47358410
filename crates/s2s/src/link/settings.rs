//! What links read of the configuration.

use std::collections::BTreeSet;
use std::time::Duration;

use stanza::Address;

/// The configuration as far as it concerns links.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Domains that we do not talk to.
    pub blocked: BTreeSet<Address>,
    /// How long a link may be suspect before it is down (`psa.s2s_grace`).
    pub grace: Duration,
    /// How often a domain that closed an idle link is looked at; `None`: never (`psa.idle_check`).
    pub idle_check: Option<Duration>,
    /// How long a message waits for the domain (`s2s.queue_timeout`).
    pub queue_timeout: Duration,
    /// How much waits for one domain; what is beyond is returned with `resource-constraint`.
    pub queue: QueueLimits,
    /// Bytes of answers and errors for one domain that wait for it; beyond it they are dropped, because who does not read
    /// answers does not miss them. Only an eighth may wait while no stream can carry them.
    pub answers_bytes: usize,
    /// How much waits on one stream before the link keeps what it has.
    pub mailbox: stream_management::Limits,
    /// The first pause between attempts while the link is down; it doubles.
    pub retry_first: Duration,
    /// The longest.
    pub retry_last: Duration,
    /// How long a verdict of unreachability is believed when nobody tries any more.
    pub verdict: Duration,
    /// The first pause between attempts while the link is suspect; it doubles.
    pub suspect_retry: Duration,
    /// How long a broken stream is waited for when another could carry what waits behind it.
    pub hold: Duration,
    /// So often may a link go down within [`flap_window`](Self::flap_window) before its return is doubted.
    pub flaps: usize,
    /// The time in which that is counted.
    pub flap_window: Duration,
    /// A return that is doubted is told only after the link was up for so long.
    pub flap_calm: Duration,
    /// So many watchers are told at once, and of very many at least a thousandth. What each makes of it comes in the same
    /// moment, and again in later ones: few at a time, so that nothing else has to wait for many of them.
    pub batch: usize,
    /// The pause between two batches.
    pub pace: Duration,
}

/// How much waits for one domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// Stanzas.
    pub stanzas: usize,
    /// Bytes of them.
    pub bytes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            blocked: BTreeSet::new(),
            grace: Duration::from_secs(10),
            idle_check: Some(Duration::from_secs(300)),
            queue_timeout: Duration::from_secs(120),
            queue: QueueLimits {
                stanzas: 10_000,
                bytes: 8 << 20,
            },
            answers_bytes: 256 << 10,
            mailbox: stream_management::Limits {
                stanzas: 2_000,
                bytes: 4 << 20,
            },
            retry_first: Duration::from_secs(5),
            retry_last: Duration::from_secs(60),
            verdict: Duration::from_secs(60),
            suspect_retry: Duration::from_secs(1),
            hold: Duration::from_secs(5),
            flaps: 5,
            flap_window: Duration::from_secs(600),
            flap_calm: Duration::from_secs(30),
            batch: 1,
            pace: Duration::from_millis(1),
        }
    }
}
