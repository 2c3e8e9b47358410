//! Memory that a worker lends to slots and turns, so that the hot path allocates nothing and idle slots own nothing.

use std::any::Any;

use machine::Decision;

use crate::Portable;
use crate::inbox::Buffer;

/// At most this many empty inboxes are kept per kind of machine; a broadcast fills about as many before their turns.
const BUFFERS_MAX: usize = 128;
/// An inbox that once held more than this many is not kept, so that a burst does not stay in memory.
const CAPACITY_MAX: usize = 64;
/// The same of a decision, of which a worker keeps one for each kind of machine. What is said in a large room is as many
/// effects as there are occupants.
const DECISION_MAX: usize = 2_048;

/// Spare memory for each kind of machine that this worker met. There are few kinds, so they are searched in a row.
#[derive(Default)]
pub(crate) struct Spares {
    kinds: Vec<Box<dyn Any + Send>>,
}

/// For machines of one kind.
struct Spare<M: Portable> {
    decision: Decision<M::Change, M::Effect>,
    buffers: Vec<Buffer<M::Input>>,
}

impl Spares {
    /// An empty inbox, with memory if there is any to spare.
    pub(crate) fn lend_buffer<M: Portable>(&mut self) -> Buffer<M::Input> {
        self.kind::<M>()
            .and_then(|spare| spare.buffers.pop())
            .unwrap_or_default()
    }

    /// Keeps the memory of an empty inbox.
    pub(crate) fn keep_buffer<M: Portable>(&mut self, buffer: Buffer<M::Input>) {
        if (1..=CAPACITY_MAX).contains(&buffer.capacity())
            && let Some(spare) = self.kind::<M>()
            && spare.buffers.len() < BUFFERS_MAX
        {
            debug_assert!(buffer.is_empty(), "an input would be lost");
            spare.buffers.push(buffer);
        }
    }

    /// An empty decision.
    pub(crate) fn lend_decision<M: Portable>(&mut self) -> Decision<M::Change, M::Effect> {
        if let Some(spare) = self.kind::<M>() {
            return std::mem::take(&mut spare.decision);
        }
        self.kinds.push(Box::new(Spare::<M> {
            decision: Decision::default(),
            buffers: Vec::new(),
        }));
        Decision::default()
    }

    /// Keeps the memory of a decision.
    pub(crate) fn keep_decision<M: Portable>(&mut self, mut decision: Decision<M::Change, M::Effect>) {
        if decision.effects.capacity() <= DECISION_MAX && decision.commit.capacity() <= CAPACITY_MAX {
            decision.commit.clear();
            decision.effects.clear();
            if let Some(spare) = self.kind::<M>() {
                spare.decision = decision;
            }
        }
    }

    fn kind<M: Portable>(&mut self) -> Option<&mut Spare<M>> {
        self.kinds.iter_mut().find_map(|kind| kind.downcast_mut())
    }
}
