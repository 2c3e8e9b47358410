//! The place of one machine: its inbox, and whether it is loaded, at work, or gone.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::inbox::{Inbox, Queued};
use crate::waiting::Waiting;
use crate::worker::Turn;
use crate::{CommitFailed, CommitId, Death, LoadFailure, Portable, Priority, Refusal, Worker, World};

/// The place of one machine. Shared by all who deliver to it; the machine itself is touched by one turn at a time.
pub struct Slot<M: Portable, W: World<M>> {
    key: W::Key,
    world: Arc<W>,
    /// A leaf: nothing else is locked while it is held, and of foreign code only `limits`, `is_idle` and `look` run.
    pub(crate) state: Mutex<State<M>>,
}

/// The input of a delivery that came too late: the machine has left memory, and so should this slot. The router takes
/// it out of its map and delivers to another; nothing was queued behind it, so order holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the machine has left memory")]
pub struct Gone<I>(pub I);

/// What the threads share. Small, because most slots are idle most of the time.
pub(crate) struct State<M: Portable> {
    pub(crate) phase: Phase,
    /// The slot is in the queue of a worker, or has its turn.
    pub(crate) scheduled: bool,
    /// Too much waits for commits: inputs do not make it ready, only answers do.
    pub(crate) blocked: bool,
    /// A commit failed, so that no later one may be kept.
    pub(crate) doomed: bool,
    pub(crate) inbox: Inbox<M::Input>,
    /// Away during a turn.
    pub(crate) machine: Option<Box<M>>,
    /// Away during a turn. `None` when nothing waits.
    pub(crate) waiting: Option<Box<Waiting<M::Effect>>>,
    /// Answers to commits since the last turn began.
    pub(crate) answers: Vec<Answer>,
    pub(crate) next_commit: CommitId,
}

/// What became of a commit.
pub(crate) type Answer = (CommitId, Result<(), CommitFailed>);

/// The life of a slot. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The machine is being fetched; inputs queue.
    Loading,
    /// The machine is there.
    Living,
    /// The machine is lost; its last commits are awaited, so that a new one is loaded from a store at rest. Inputs
    /// queue, and will be refused.
    Dying(Death),
    /// Nothing is or will be here.
    Gone,
}

impl<M: Portable, W: World<M>> Slot<M, W> {
    /// A slot whose machine is being fetched: [`Slot::loaded`] or [`Slot::load_failed`] must follow.
    pub fn loading(key: W::Key, world: Arc<W>) -> Arc<Slot<M, W>> {
        Slot::with(key, world, Phase::Loading, None)
    }

    /// A slot whose machine is there.
    pub fn living(key: W::Key, world: Arc<W>, machine: M) -> Arc<Slot<M, W>> {
        Slot::with(key, world, Phase::Living, Some(Box::new(machine)))
    }

    fn with(key: W::Key, world: Arc<W>, phase: Phase, machine: Option<Box<M>>) -> Arc<Slot<M, W>> {
        let state = State {
            phase,
            scheduled: false,
            blocked: false,
            doomed: false,
            inbox: Inbox::new(),
            machine,
            waiting: None,
            answers: Vec::new(),
            next_commit: CommitId(0),
        };
        Arc::new(Slot {
            key,
            world,
            state: Mutex::new(state),
        })
    }

    /// What the router calls this machine.
    pub fn key(&self) -> &W::Key {
        &self.key
    }

    /// The surroundings of the machine.
    pub fn world(&self) -> &Arc<W> {
        &self.world
    }

    /// Puts an input into the inbox; the slot becomes ready in `worker` if its machine is there and nobody has it.
    ///
    /// A stanza that is too much goes to [`World::refuse`] at once. An error gives the input back: this slot is gone.
    pub fn deliver(
        self: &Arc<Self>,
        input: M::Input,
        priority: Priority,
        worker: &mut Worker,
    ) -> Result<(), Gone<M::Input>> {
        let mut state = self.state.lock();
        if state.phase == Phase::Gone {
            return Err(Gone(input));
        }
        if state.inbox.refuses(priority, || self.world.limits()) {
            drop(state);
            self.world.refuse(self, input, Refusal::Full, worker);
            return Ok(());
        }
        state
            .inbox
            .push(Queued::new(input, priority), || worker.spares.lend_buffer::<M>());
        let wakes = state.phase == Phase::Living && !state.blocked;
        self.wake_if(wakes, state, worker);
        Ok(())
    }

    /// The answer to [`World::commit`].
    pub fn committed(self: &Arc<Self>, id: CommitId, answer: Result<(), CommitFailed>, worker: &mut Worker) {
        let mut state = self.state.lock();
        let awaited = match state.phase {
            Phase::Living | Phase::Dying(_) => true,
            Phase::Loading | Phase::Gone => false,
        };
        if awaited {
            state.doomed |= answer.is_err();
            state.answers.push((id, answer));
            self.wake_if(true, state, worker);
        }
    }

    /// The machine is there and takes what came meanwhile. A slot that does not wait for one gives it back.
    pub fn loaded(self: &Arc<Self>, machine: M, worker: &mut Worker) -> Result<(), M> {
        let mut state = self.state.lock();
        if state.phase != Phase::Loading {
            return Err(machine);
        }
        state.phase = Phase::Living;
        state.machine = Some(Box::new(machine));
        let wakes = !state.inbox.is_empty();
        self.wake_if(wakes, state, worker);
        Ok(())
    }

    /// There is no machine: what came meanwhile is refused and the slot is gone. The router forgets it before or after;
    /// a slot that does not wait for a machine stays as it is.
    pub fn load_failed(self: &Arc<Self>, why: LoadFailure, worker: &mut Worker) {
        let mut state = self.state.lock();
        if state.phase != Phase::Loading {
            return;
        }
        state.phase = Phase::Gone;
        let inputs = state.inbox.take();
        drop(state);
        for queued in inputs {
            self.world
                .refuse(self, queued.input, Refusal::NotLoaded(why), worker);
        }
    }

    /// Takes an idle machine out of memory, unless an input or a commit waits: all in one step, so that nothing
    /// delivered meanwhile is lost. True if it happened; then the router takes this very slot out of its map.
    pub fn retire_if_idle(&self) -> bool {
        let mut state = self.state.lock();
        let rests = state.phase == Phase::Living
            && state.inbox.is_empty()
            && state.waiting.is_none()
            && state.machine.as_ref().is_some_and(|machine| machine.is_idle());
        if rests {
            state.phase = Phase::Gone;
            let machine = state.machine.take();
            drop(state);
            drop(machine);
        }
        rests
    }

    /// Whether the machine left memory: delivering here gives the input back.
    pub fn is_gone(&self) -> bool {
        self.state.lock().phase == Phase::Gone
    }

    /// Whether a commit of this slot was answered as failed: no later commit of this slot may be kept. What a machine
    /// decided before it panicked is not concerned.
    pub fn is_doomed(&self) -> bool {
        self.state.lock().doomed
    }

    /// Looks at the machine between turns, for reports and checkers. `None` if there is none or it has its turn. What
    /// `look` does holds up every delivery, so it should be quick and must not deliver itself.
    pub fn look<R>(&self, look: impl FnOnce(&M) -> R) -> Option<R> {
        self.state.lock().machine.as_deref().map(look)
    }

    fn wake_if(
        self: &Arc<Self>,
        wakes: bool,
        mut state: parking_lot::MutexGuard<'_, State<M>>,
        worker: &mut Worker,
    ) {
        if wakes && !state.scheduled {
            state.scheduled = true;
            drop(state);
            worker.enqueue(Arc::clone(self) as Arc<dyn Turn>);
        }
    }
}
