//! One turn of one machine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use machine::Decision;

use crate::inbox::Buffer;
use crate::slot::{Answer, Phase, State};
use crate::waiting::{Released, Waiting};
use crate::worker::Turn;
use crate::{CommitId, Death, Limits, Portable, Refusal, Slot, Worker, World};

/// What a turn takes out of its slot, and brings back. Nobody else touches it meanwhile.
struct Shift<M: Portable> {
    machine: Option<Box<M>>,
    waiting: Option<Box<Waiting<M::Effect>>>,
    answers: Vec<Answer>,
    batch: Buffer<M::Input>,
    next_commit: CommitId,
    death: Option<Death>,
    handled: usize,
    /// Nothing is left to do, and nothing would be lost without the machine.
    idle: bool,
}

impl<M: Portable, W: World<M>> Turn for Slot<M, W> {
    fn take_turn(self: Arc<Self>, inputs_max: usize, worker: &mut Worker) -> usize {
        let mut shift = Shift::begin(&mut self.state.lock());
        let mut decision = worker.spares.lend_decision::<M>();
        // What a panic leaves half done is either dropped at once (the machine, the decision) or was whole before (the
        // rest of the batch, what waits).
        let went_well = isolate(|| {
            self.settle(&mut shift, worker);
            self.handle_batch(&mut shift, &mut decision, inputs_max, worker);
        });
        if !went_well {
            shift.death.get_or_insert(Death::Panicked);
            // Each panic costs what was being handed over, so this ends.
            while !isolate(|| self.settle(&mut shift, worker)) {}
        }
        worker.spares.keep_decision::<M>(decision);
        let handled = shift.handled;
        match shift.death {
            None => self.end(shift, worker),
            Some(why) => self.end_dying(shift, why, worker),
        }
        handled
    }
}

impl<M: Portable> Shift<M> {
    fn begin(state: &mut State<M>) -> Shift<M> {
        Shift {
            machine: state.machine.take(),
            waiting: state.waiting.take(),
            answers: std::mem::take(&mut state.answers),
            batch: state.inbox.take(),
            next_commit: state.next_commit,
            death: match state.phase {
                Phase::Dying(why) => Some(why),
                Phase::Loading | Phase::Living | Phase::Gone => None,
            },
            handled: 0,
            idle: false,
        }
    }

    /// Whether too much waits for commits. Nearly always nothing does, and nobody asks for the limits then.
    fn is_blocked(&self, limits: impl FnOnce() -> Limits) -> bool {
        self.waiting
            .as_ref()
            .is_some_and(|waiting| waiting.exceeds(limits()))
    }

    fn take_commit_id(&mut self) -> CommitId {
        let id = self.next_commit;
        self.next_commit = CommitId(id.0 + 1);
        id
    }
}

impl<M: Portable, W: World<M>> Slot<M, W> {
    /// Hands over what waited for commits that are answered now.
    fn settle(self: &Arc<Self>, shift: &mut Shift<M>, worker: &mut Worker) {
        let Some(waiting) = &mut shift.waiting else { return };
        for (id, answer) in shift.answers.drain(..) {
            if answer.is_err() {
                shift.death.get_or_insert(Death::CommitFailed);
            }
            waiting.answer(id, answer);
        }
        while let Some(released) = waiting.release() {
            match released {
                Released::Durable(effects) => {
                    effects
                        .into_iter()
                        .for_each(|effect| self.world().perform(self, effect, worker));
                }
                Released::Lost(effects) => {
                    effects
                        .into_iter()
                        .for_each(|effect| self.world().abandon(self, effect, worker));
                }
            }
        }
        if waiting.is_empty() {
            shift.waiting = None;
        }
    }

    /// Lets the machine decide on one input after the other.
    fn handle_batch(
        self: &Arc<Self>,
        shift: &mut Shift<M>,
        decision: &mut Decision<M::Change, M::Effect>,
        inputs_max: usize,
        worker: &mut Worker,
    ) {
        if shift.death.is_some() {
            return;
        }
        while shift.handled < inputs_max && !shift.is_blocked(|| self.world().limits()) {
            let Some(machine) = &mut shift.machine else { return };
            let Some(queued) = shift.batch.pop_front() else {
                break;
            };
            shift.handled += 1;
            self.world()
                .with_context(|context| machine.handle(context, queued.input, decision));
            if !decision.commit.is_empty() {
                let (id, changes) = (shift.take_commit_id(), std::mem::take(&mut decision.commit));
                self.world().commit(self, id, changes, worker);
                let waiting = shift.waiting.get_or_insert_with(|| Box::new(Waiting::new()));
                waiting.begin(id, std::mem::take(&mut decision.effects), queued.bytes);
            } else if let Some(waiting) = &mut shift.waiting {
                waiting.follow(&mut decision.effects, queued.bytes);
            } else {
                for effect in decision.effects.drain(..) {
                    self.world().perform(self, effect, worker);
                }
            }
        }
        shift.idle = shift.batch.is_empty()
            && shift.waiting.is_none()
            && shift.machine.as_ref().is_some_and(|machine| machine.is_idle());
    }

    /// The turn is over: everything goes back to its place, and whoever came meanwhile makes the slot ready again.
    fn end(self: Arc<Self>, shift: Shift<M>, worker: &mut Worker) {
        let blocked = shift.is_blocked(|| self.world().limits());
        let mut state = self.state.lock();
        state.machine = shift.machine;
        state.waiting = shift.waiting;
        state.next_commit = shift.next_commit;
        state.blocked = blocked;
        let spare = state.inbox.put_back(shift.batch);
        let ready = !state.answers.is_empty() || (!blocked && !state.inbox.is_empty());
        state.scheduled = ready;
        drop(state);
        worker.spares.keep_buffer::<M>(spare);
        if ready {
            worker.enqueue(self);
        } else if shift.idle {
            isolate(|| self.world().idle(&self, worker));
        }
    }

    /// The machine is lost. As long as a commit has no answer, the slot waits for it: what was decided before is still
    /// handed over when it is durable, and a new machine must not be loaded from a store that is about to change.
    fn end_dying(self: Arc<Self>, shift: Shift<M>, why: Death, worker: &mut Worker) {
        if let Some(machine) = shift.machine {
            isolate(|| self.world().bury(&self, machine, worker));
        }
        let awaits = shift.waiting.is_some();
        let mut state = self.state.lock();
        state.phase = Phase::Dying(why);
        state.waiting = shift.waiting;
        state.inbox.put_back(shift.batch);
        if awaits {
            let ready = !state.answers.is_empty();
            state.scheduled = ready;
            drop(state);
            if ready {
                worker.enqueue(self);
            }
            return;
        }
        drop(state);
        isolate(|| self.world().died(&self, why, worker));
        let mut state = self.state.lock();
        state.phase = Phase::Gone;
        let inputs = state.inbox.take();
        drop(state);
        for queued in inputs {
            isolate(|| {
                self.world()
                    .refuse(&self, queued.input, Refusal::Died(why), worker)
            });
        }
    }
}

/// Runs foreign code so that a panic costs this one step only. True if there was none.
fn isolate(step: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(step)).is_ok()
}
