//! What a connection works with while it is awake: the time, the settings, and what the stream wants.

use std::cell::RefCell;
use std::sync::Arc;

use machine::{Moment, Timestamp};
use s2s::Output;

use crate::servers::Servers;
use crate::system::StandStill;

/// A buffer for output that has grown beyond this is not kept.
const OUTPUT_BYTES_KEPT: usize = 256 << 10;

thread_local! {
    static OUTPUT: RefCell<Output> = RefCell::new(Output::default());
}

/// One wake of a connection. Time stands still in it, and the settings do not change.
pub(super) struct Round {
    pub(super) settings: Arc<router::Settings>,
    pub(super) now: Moment,
    pub(super) wall: Timestamp,
    _times: StandStill,
    /// What the stream says and wants. Its buffers belong to the thread.
    pub(super) output: Output,
}

impl Round {
    pub(super) fn begin(servers: &Servers) -> Round {
        let times = servers.system().stand_still();
        Round {
            settings: servers.router().settings(),
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
