//! The run queue of one thread.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::spare::Spares;

/// One machine has at most this many inputs handled before others get their turn.
const TURN_INPUTS_MAX: usize = 64;

/// A slot of any kind that can have a turn.
pub(crate) trait Turn: Send + Sync {
    /// Handles at most so many inputs and tells how many. If more is to be done, the slot is in the queue again.
    fn take_turn(self: Arc<Self>, inputs_max: usize, worker: &mut Worker) -> usize;
}

/// The slots that became ready on one thread, and whose turn is next.
///
/// A slot that waits in one worker is in no other. Whoever delivers, loads or answers a commit with a worker must run
/// it afterwards, or drop it: then what is ready is handed over as after [`Worker::run`].
pub struct Worker {
    queue: VecDeque<Arc<dyn Turn>>,
    choose: Option<Box<dyn FnMut(usize) -> usize + Send>>,
    hand_over: Box<dyn FnMut(Ready) + Send>,
    pub(crate) spares: Spares,
}

/// Slots that are ready and have no worker: somebody must [`Worker::resume`] them, or they never have a turn again.
#[must_use]
pub struct Ready(VecDeque<Arc<dyn Turn>>);

impl Ready {
    /// How many slots wait. Never 0 when handed over.
    pub fn slots(&self) -> usize {
        self.0.len()
    }
}

impl Worker {
    /// A worker that takes turns first come, first served. `hand_over` gets what is left when a budget is used up.
    pub fn new(hand_over: impl FnMut(Ready) + Send + 'static) -> Worker {
        Worker {
            queue: VecDeque::new(),
            choose: None,
            hand_over: Box::new(hand_over),
            spares: Spares::default(),
        }
    }

    /// Lets `choose` say which of so many ready slots is next, counted from 0 in the order they became ready: a
    /// simulation chooses with its seed. What is too high counts as the last.
    #[must_use]
    pub fn choosing(mut self, choose: impl FnMut(usize) -> usize + Send + 'static) -> Worker {
        self.choose = Some(Box::new(choose));
        self
    }

    /// How many slots are ready.
    pub fn ready(&self) -> usize {
        self.queue.len()
    }

    /// Takes turns until no slot is ready or `budget` inputs were handled; then what is left is handed over, so that no
    /// connection is kept from its socket by a long chain. Tells how much of the budget was used.
    pub fn run(&mut self, budget: usize) -> usize {
        let mut used = 0;
        while used < budget
            && let Some(cost) = self.turn(TURN_INPUTS_MAX.min(budget - used))
        {
            used += cost;
        }
        self.leave();
        used
    }

    /// Takes one turn of at most `inputs_max` inputs (at least one) and tells what it costs of a budget. `None` if
    /// nobody is ready.
    pub fn turn(&mut self, inputs_max: usize) -> Option<usize> {
        let slot = self.next()?;
        Some(slot.take_turn(inputs_max.max(1), self).max(1))
    }

    /// Takes over what another worker left.
    pub fn resume(&mut self, ready: Ready) {
        self.queue.extend(ready.0);
    }

    pub(crate) fn enqueue(&mut self, slot: Arc<dyn Turn>) {
        self.queue.push_back(slot);
    }

    fn next(&mut self) -> Option<Arc<dyn Turn>> {
        match &mut self.choose {
            Some(choose) if self.queue.len() > 1 => {
                let last = self.queue.len() - 1;
                let chosen = choose(self.queue.len()).min(last);
                self.queue.remove(chosen)
            }
            Some(_) | None => self.queue.pop_front(),
        }
    }

    fn leave(&mut self) {
        if !self.queue.is_empty() {
            (self.hand_over)(Ready(std::mem::take(&mut self.queue)));
        }
    }
}

impl Drop for Worker {
    /// A slot in a forgotten queue would never have a turn again.
    fn drop(&mut self) {
        self.leave();
    }
}
