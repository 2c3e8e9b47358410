//! What turns ask of their surroundings.

use std::sync::Arc;

use machine::{Context, Machine};

use crate::{CommitId, Slot, Worker};

/// A machine whose turns may be taken on any thread.
pub trait Portable:
    Machine<Input: Send + 'static, Change: Send + 'static, Effect: Send + 'static> + Send + 'static
{
}

impl<M> Portable for M where
    M: Machine<Input: Send + 'static, Change: Send + 'static, Effect: Send + 'static> + Send + 'static
{
}

/// The surroundings of all machines of one kind. One type may be the world of several kinds.
///
/// All methods are called without a lock held. They may deliver to any slot, also to the one at hand; whoever becomes
/// ready goes into the run queue of `worker` and has its turn later. They must not block, and cannot run a turn.
pub trait World<M: Portable>: Sized + Send + Sync + 'static {
    /// What the router calls this machine, usually an address.
    type Key: Send + Sync + 'static;

    /// What a machine may have waiting. Asked at every delivery and turn, so that it may change while the server runs.
    fn limits(&self) -> Limits;

    /// Lends the clock, the dice and the settings for one input.
    fn with_context<R>(&self, decide: impl FnOnce(&mut Context<'_, M::Settings>) -> R) -> R;

    /// Keeps `changes`, and answers exactly once with [`Slot::committed`], from any thread, also at once.
    ///
    /// Commits of one slot come in the order of their ids and must be kept in that order. After one that failed, none
    /// that follows it may be kept, since it was decided by a machine that believed in the lost one
    /// ([`Slot::is_doomed`] tells, once the failure was answered).
    fn commit(&self, slot: &Arc<Slot<M, Self>>, id: CommitId, changes: Vec<M::Change>, worker: &mut Worker);

    /// Hands an effect over: to another slot, a mailbox, a timer.
    fn perform(&self, slot: &Arc<Slot<M, Self>>, effect: M::Effect, worker: &mut Worker);

    /// Takes back an effect that will never be performed, since the commit before it failed. A world may bounce what
    /// it carries; by default it is dropped.
    fn abandon(&self, slot: &Arc<Slot<M, Self>>, effect: M::Effect, worker: &mut Worker) {
        let _ = (slot, worker);
        drop(effect);
    }

    /// Takes back an input that will not be handled. It must be answered or dropped, not delivered again: inputs that
    /// its sender sent later may already be with the next machine of the same key.
    fn refuse(&self, slot: &Arc<Slot<M, Self>>, input: M::Input, why: Refusal, worker: &mut Worker);

    /// Takes a machine that is lost, to give back what it holds for others. By default it is dropped.
    fn bury(&self, slot: &Arc<Slot<M, Self>>, machine: Box<M>, worker: &mut Worker) {
        let _ = (slot, worker);
        drop(machine);
    }

    /// The machine is lost: forget this slot (and only this one, another may already have its key) and end the streams
    /// that depend on it. All its commits are answered, so that it can be loaded anew. What is left in its inbox is
    /// refused after this.
    fn died(&self, slot: &Arc<Slot<M, Self>>, why: Death, worker: &mut Worker);

    /// After a turn, the machine is idle and nothing waits: [`Slot::retire_if_idle`] may take it out of memory, now or
    /// later. By default it stays.
    fn idle(&self, slot: &Arc<Slot<M, Self>>, worker: &mut Worker) {
        let _ = (slot, worker);
    }
}

/// Whether an input may be refused because too much is waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// A stanza and its size in memory, in bytes: refused when the inbox is full, and the sender is told.
    Stanza(usize),
    /// A stanza without which the machine would believe for ever in somebody who has gone, and its size in memory:
    /// refused only when the inbox is [`Priority::GOODBYES`] times as full.
    Goodbye(usize),
    /// Wake-ups, replies, changes of sessions and paths: few, and never refused by a living machine.
    Control,
}

impl Priority {
    /// How much farther than others goodbyes get. Whoever could fill that too has filled everything else before.
    pub const GOODBYES: usize = 8;
}

/// What one machine may have waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Inputs in the inbox; stanzas beyond are refused.
    pub inbox_inputs_max: usize,
    /// Bytes of the stanzas in the inbox; stanzas beyond are refused, but an empty inbox takes one of any size.
    pub inbox_bytes_max: usize,
    /// Commits without an answer, and effects that wait for them. From there on the machine gets no turn.
    pub waiting_effects_max: usize,
    /// Bytes of the stanzas whose effects wait for a commit. From there on the machine gets no turn.
    pub waiting_bytes_max: usize,
}

/// Why an input comes back unhandled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The inbox holds as much as [`Limits`] allows: `resource-constraint` for the sender of a stanza.
    Full,
    /// The machine could not be loaded.
    NotLoaded(LoadFailure),
    /// The machine died before this input's turn.
    Died(Death),
}

/// Why there is no machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadFailure {
    /// Nothing is stored under this key: no such account, room or link.
    Absent,
    /// The store did not answer as it should.
    Unavailable,
}

/// Why a machine was dropped from memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Death {
    /// Its turn panicked. The message of the panic is not kept here: it may quote what people wrote.
    Panicked,
    /// A commit failed for good, so that the machine no longer is what is stored.
    CommitFailed,
}

/// The answer to a commit that will never be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what the machine decided to keep was not kept")]
pub struct CommitFailed;
