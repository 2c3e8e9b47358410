//! What a connection works with while it is awake: the time, the settings, and buffers of the thread.

use std::cell::RefCell;
use std::sync::Arc;

use arc_swap::Guard;
use c2s::Output;
use machine::{Moment, Timestamp};

use crate::clients::{Clients, Settings};
use crate::system::StandStill;

/// Bytes that are read at once: all that a fast sender has ready.
const READ_BYTES: usize = 64 << 10;

/// A buffer for output that has grown beyond this is not kept.
const OUTPUT_BYTES_KEPT: usize = 256 << 10;

thread_local! {
    static READ: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static OUTPUT: RefCell<Output> = RefCell::new(Output::default());
}

/// One wake of a connection. Time stands still in it, and the settings do not change.
pub(super) struct Round {
    pub(super) settings: Guard<Arc<Settings>>,
    pub(super) now: Moment,
    pub(super) wall: Timestamp,
    _times: StandStill,
    /// What the session says and wants. Its buffers belong to the thread.
    pub(super) output: Output,
}

impl Round {
    pub(super) fn begin(clients: &Clients) -> Round {
        let times = clients.system().stand_still();
        Round {
            settings: clients.settings(),
            now: times.now,
            wall: times.wall,
            _times: times,
            output: OUTPUT.take(),
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        let mut output = std::mem::take(&mut self.output);
        if output.bytes.capacity() <= OUTPUT_BYTES_KEPT {
            output.clear();
            OUTPUT.replace(output);
        }
    }
}

/// Lends the buffer of this thread that is read into.
pub(crate) fn with_read_buffer<R>(read: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = READ.take();
    // A thread's first, or the one after a panic.
    if buffer.is_empty() {
        buffer = vec![0; READ_BYTES];
    }
    let outcome = read(&mut buffer);
    READ.replace(buffer);
    outcome
}
