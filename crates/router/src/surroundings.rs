//! What the router asks of the world around it: clocks, dice, and to be called again.

use std::sync::Arc;
use std::time::Duration;

use machine::{Moment, Timestamp};
use s2s::Pair;
use s2s::link::{Cause, StateName};
use turns::Worker;

/// The world. In the server it is tokio and the system's clocks and dice; in the simulation, a seed.
pub trait Surroundings: Send + Sync + 'static {
    /// The clock for intervals.
    fn now(&self) -> Moment;

    /// The clock for people.
    fn wall(&self) -> Timestamp;

    /// Both clocks, for one input of a machine. They may stand still while what is at hand is done.
    fn times(&self) -> (Moment, Timestamp) {
        (self.now(), self.wall())
    }

    /// Unguessable bytes.
    fn fill_random(&self, bytes: &mut [u8]);

    /// Calls `alarm` once, at `at` or soon after, on any thread.
    fn call_at(&self, at: Moment, alarm: Arc<dyn Alarm>);

    /// Lends the worker of this thread to `task`, and then lets it take the turns that became ready. What a long chain
    /// leaves over goes on soon on some thread.
    fn with_worker(&self, task: &mut dyn FnMut(&mut Worker));

    /// Runs `work` where it may take its time: key derivation. Bounded in number by the implementation.
    fn run_slowly(&self, work: Box<dyn FnOnce() + Send>);

    /// The state of a link to another domain has changed, for the log of the operator. `lasted` is how long it has been
    /// lost.
    fn link_changed(&self, pair: &Pair, to: StateName, cause: Option<Cause>, lasted: Option<Duration>);
}

/// Something that wanted to be called at a moment.
pub trait Alarm: Send + Sync {
    /// The moment has come.
    fn ring(self: Arc<Self>);
}
