//! What is told of links to other domains.

use serde::{Deserialize, Serialize};

/// The link between a domain here and another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Ours.
    pub local: String,
    /// The other.
    pub remote: String,
    /// `up`, `idle`, `suspect` or `down`.
    pub state: String,
    /// Why, when it is bad.
    pub cause: Option<String>,
    /// For how long it has been in this state.
    pub seconds: u64,
    /// Whether an attempt is under way.
    pub connecting: bool,
    /// When the next attempt is due.
    pub retry_in_seconds: Option<u64>,
    /// Stanzas that wait for the domain.
    pub waiting: usize,
    /// Bytes of them.
    pub waiting_bytes: usize,
    /// How long ago something came from the domain.
    #[serde(default)]
    pub last_exchange_seconds: Option<u64>,
    /// How long it took last until the domain's server acknowledged what it was sent, or answered a ping.
    #[serde(default)]
    pub rtt_microseconds: Option<u64>,
    /// How many accounts and rooms want to know of its state.
    pub watchers: usize,
    /// Whether they have been told that the domain may not be reached.
    pub announced: bool,
    /// What carries it.
    pub streams: Vec<LinkStream>,
    /// The last attempts in both directions, oldest first; only when asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

/// A stream that carries a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStream {
    /// `out`, `in` or `both`.
    pub ways: String,
    /// It broke, and may be resumed.
    pub broken: bool,
}

/// One attempt to come together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// `out` when we tried, `in` when the other server did.
    pub direction: String,
    /// When it began (UTC).
    pub started: String,
    /// How long it took.
    pub milliseconds: u64,
    /// What came of it, in one word.
    pub verdict: String,
    /// What came of it, and who must fix what.
    pub sentence: String,
    /// What DNS said, if it was asked.
    pub lookup: Option<Lookup>,
    /// The connections that were tried, in order.
    pub tries: Vec<Try>,
}

/// What DNS said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Service records, in the order in which they are tried.
    pub services: Vec<String>,
    /// Names with their addresses.
    pub addresses: Vec<String>,
    /// Why there was nothing to try.
    pub fault: Option<String>,
    /// How long it took.
    pub milliseconds: u64,
}

/// One connection that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// The server, and its address if it has one.
    pub target: String,
    /// `starttls` or `tls`.
    pub encryption: String,
    /// What happened, step by step.
    pub steps: Vec<String>,
    /// How long it took.
    pub milliseconds: u64,
}
