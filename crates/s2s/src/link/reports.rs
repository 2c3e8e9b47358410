//! A link as an operator sees it (`balcony link list`).

use std::sync::Arc;

use machine::Moment;

use super::streams::Standing;
use super::{Cause, Link, Path, StreamId};
use crate::explain::Attempt;
use crate::{Pair, Ways};

/// The states of a link; the label `state` of `xmpp_s2s_links`, which also knows `connecting`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateName {
    /// A stream in either direction is authenticated.
    Up,
    /// Nobody needs a stream.
    Idle,
    /// A stream broke, and it is not known yet what that means.
    Suspect,
    /// The domain cannot be reached.
    Down,
}

impl StateName {
    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            StateName::Up => "up",
            StateName::Idle => "idle",
            StateName::Suspect => "suspect",
            StateName::Down => "down",
        }
    }
}

/// One link at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// Whose.
    pub pair: Pair,
    /// How it is.
    pub state: StateName,
    /// Why, when it is bad.
    pub cause: Option<Cause>,
    /// Since when.
    pub since: Moment,
    /// What its watchers are told.
    pub path: Path,
    /// Whether an attempt is under way.
    pub connecting: bool,
    /// When the next one is due.
    pub retry_at: Option<Moment>,
    /// Stanzas that wait, and their bytes.
    pub waiting: (usize, usize),
    /// How many watch it.
    pub watchers: usize,
    /// What carries it.
    pub streams: Vec<StreamView>,
    /// The last attempts in both directions, oldest first.
    pub attempts: Vec<Arc<Attempt>>,
}

/// One stream that carries a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamView {
    /// Which.
    pub stream: StreamId,
    /// In which ways.
    pub ways: Ways,
    /// Whether it broke, and may be resumed.
    pub is_broken: bool,
}

impl Link {
    /// The link as it is now.
    pub fn view(&self) -> View {
        let streams = self.streams.iter().map(|(stream, held)| StreamView {
            stream,
            ways: held.ways,
            is_broken: held.standing != Standing::Live,
        });
        View {
            pair: self.pair.clone(),
            state: self.state.name(),
            cause: self.state.cause(),
            since: self.since,
            path: self.announced,
            connecting: self.attempt.is_some(),
            retry_at: self.retry_at,
            waiting: self.queue.load(),
            watchers: self.watchers.len(),
            streams: streams.collect(),
            attempts: self.attempts.iter().cloned().collect(),
        }
    }
}
