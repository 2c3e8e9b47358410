//! Where scripts are played: a server, and lines to it.

use std::time::Duration;

use crate::script::{Dial, Store};

/// Names a connection of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LineId(pub(crate) u64);

/// What came over a line.
#[derive(Debug, Default)]
pub(crate) struct Came {
    pub(crate) bytes: Vec<u8>,
    /// The server has closed it, and everything before that was heard.
    pub(crate) ended: bool,
}

/// A server with some accounts, whose password is `secret`, and lines to it.
pub(crate) trait Stage {
    /// A client connects.
    fn dial(&mut self, dial: Dial) -> Result<LineId, String>;

    /// The client negotiates TLS.
    fn secure(&mut self, line: LineId) -> Result<(), String>;

    /// The keying material of a line with TLS (RFC 9266).
    fn exporter(&self, line: LineId) -> Option<[u8; 32]>;

    /// The client sends.
    fn say(&mut self, line: LineId, bytes: &[u8]) -> Result<(), String>;

    /// What has come.
    fn hear(&mut self, line: LineId) -> Result<Came, String>;

    /// The client is gone without a word.
    fn hang_up(&mut self, line: LineId);

    /// Something may still be on its way: gives it time. False: everything has come that will come by itself.
    fn wait(&mut self) -> bool;

    /// All that was done so far has had its effects, as far as can be known.
    fn settle(&mut self) -> Result<(), String>;

    /// Time passes.
    fn pass(&mut self, time: Duration) -> Result<(), String>;

    /// The server is stopped and started.
    fn restart(&mut self) -> Result<(), String>;

    /// The server is killed and started.
    fn kill(&mut self) -> Result<(), String>;

    /// The store misbehaves or works again.
    fn store(&mut self, store: Store) -> Result<(), String>;
}
