//! Whether the server is alive, and whether clients should be sent to it.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use serde::{Deserialize, Serialize};

/// Where the server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not listening yet.
    #[default]
    Starting,
    /// Serving.
    Serving,
    /// About to stop: takes no new connections.
    Draining,
}

/// A handle that parts of the server tell their state to. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Health {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    state: State,
    troubles: BTreeMap<&'static str, String>,
}

impl Health {
    /// Starting, without troubles.
    pub fn new() -> Health {
        Health::default()
    }

    /// The server as a whole is now in this state.
    pub fn set(&self, state: State) {
        self.write().state = state;
    }

    /// `part`, such as `storage`, cannot do its work: no clients should be sent here until it recovers.
    pub fn trouble(&self, part: &'static str, what: impl Into<String>) {
        self.write().troubles.insert(part, what.into());
    }

    /// `part` works again.
    pub fn recovered(&self, part: &'static str) {
        self.write().troubles.remove(part);
    }

    /// Where the server is in its life.
    pub fn state(&self) -> State {
        self.read().state
    }

    /// What keeps clients away, in words: empty when the server is ready for them.
    pub fn obstacles(&self) -> Vec<String> {
        let inner = self.read();
        let state = match inner.state {
            State::Starting => Some("the server is starting".to_owned()),
            State::Serving => None,
            State::Draining => Some("the server is about to stop".to_owned()),
        };
        state
            .into_iter()
            .chain(
                inner
                    .troubles
                    .iter()
                    .map(|(part, what)| format!("{part}: {what}")),
            )
            .collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        self.inner
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.inner
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_ready_when_it_serves_and_nothing_is_in_trouble() {
        let health = Health::new();
        assert_eq!(health.obstacles(), ["the server is starting"]);
        health.set(State::Serving);
        assert!(health.obstacles().is_empty());
        health.clone().trouble("storage", "the disk is full");
        assert_eq!(health.obstacles(), ["storage: the disk is full"]);
        health.recovered("storage");
        assert!(health.obstacles().is_empty());
        health.set(State::Draining);
        assert_eq!(health.obstacles(), ["the server is about to stop"]);
    }
}
