//! A world that writes down what happens, for tests that read like a conversation.

use std::collections::BTreeMap;
use std::sync::Arc;

use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use parking_lot::Mutex;
use turns::{CommitFailed, CommitId, Death, Gone, Limits, Priority, Ready, Refusal, Slot, Worker, World};

pub(crate) type Log = Arc<Mutex<Vec<String>>>;
pub(crate) type Place = Arc<Slot<Actor, Stage>>;

/// What an actor can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// Say this number.
    Say(u32),
    /// Say this number when it is kept.
    Keep(u32),
    /// Tell another, by name.
    Tell(&'static str, Box<Line>),
    /// Panic while deciding.
    Stumble,
    /// Decide to say 1, to make the world panic, and to say 2.
    Curse,
    /// Decide to say 1 and to make the world panic, when it is kept.
    KeepCurse,
    /// Be busy from now on.
    Stay,
}

#[derive(Debug)]
pub(crate) enum Deed {
    Say(u32),
    Tell(&'static str, Line),
    Curse,
}

/// A machine that does as it is told.
#[derive(Default)]
pub(crate) struct Actor {
    busy: bool,
}

impl Machine for Actor {
    type Input = Line;
    type Change = u32;
    type Effect = Deed;
    type Settings = Log;

    fn handle(&mut self, context: &mut Context<'_, Log>, line: Line, out: &mut Decision<u32, Deed>) {
        assert!(
            out.commit.is_empty() && out.effects.is_empty(),
            "the last decision was not taken"
        );
        context.settings.lock().push(format!("decide {line:?}"));
        match line {
            Line::Say(number) => out.effects.push(Deed::Say(number)),
            Line::Keep(number) => {
                out.commit.push(number);
                out.effects.push(Deed::Say(number));
            }
            Line::Tell(to, line) => out.effects.push(Deed::Tell(to, *line)),
            Line::Stumble => {
                out.effects.push(Deed::Say(0));
                stumble();
            }
            Line::Curse => out.effects.extend([Deed::Say(1), Deed::Curse, Deed::Say(2)]),
            Line::KeepCurse => {
                out.commit.push(0);
                out.effects.extend([Deed::Say(1), Deed::Curse]);
            }
            Line::Stay => self.busy = true,
        }
    }

    fn is_idle(&self) -> bool {
        !self.busy
    }
}

/// A panic that prints nothing.
pub(crate) fn stumble() {
    std::panic::resume_unwind(Box::new("stumbled"));
}

struct NoDice;

impl Random for NoDice {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(4);
    }
}

pub(crate) const LIMITS: Limits = Limits {
    inbox_inputs_max: 4,
    inbox_bytes_max: 100,
    waiting_effects_max: 4,
    waiting_bytes_max: 100,
};

/// Slots by name, and everything that was asked of the world.
pub(crate) struct Stage {
    log: Log,
    places: Mutex<BTreeMap<&'static str, Place>>,
    commits: Mutex<Vec<(Place, CommitId)>>,
    /// Answer commits within the call, as a store in memory does.
    keeps_at_once: bool,
    /// Take idle actors out of memory as soon as they are.
    retires: bool,
    left: Arc<Mutex<Vec<Ready>>>,
}

impl Stage {
    pub(crate) fn new() -> Arc<Stage> {
        Arc::new(Stage::plain())
    }

    pub(crate) fn keeping_at_once() -> Arc<Stage> {
        Arc::new(Stage {
            keeps_at_once: true,
            ..Stage::plain()
        })
    }

    pub(crate) fn retiring() -> Arc<Stage> {
        Arc::new(Stage {
            retires: true,
            ..Stage::plain()
        })
    }

    fn plain() -> Stage {
        Stage {
            log: Log::default(),
            places: Mutex::default(),
            commits: Mutex::default(),
            keeps_at_once: false,
            retires: false,
            left: Arc::default(),
        }
    }

    pub(crate) fn worker(&self) -> Worker {
        let left = Arc::clone(&self.left);
        Worker::new(move |ready| left.lock().push(ready))
    }

    /// An actor who is there.
    pub(crate) fn enter(self: &Arc<Self>, name: &'static str) -> Place {
        let place = Slot::living(name, Arc::clone(self), Actor::default());
        self.places.lock().insert(name, Arc::clone(&place));
        place
    }

    /// A place for an actor who is on the way.
    pub(crate) fn expect(self: &Arc<Self>, name: &'static str) -> Place {
        let place = Slot::loading(name, Arc::clone(self));
        self.places.lock().insert(name, Arc::clone(&place));
        place
    }

    /// What happened since this was asked last.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock())
    }

    /// What workers handed over since this was asked last.
    pub(crate) fn left(&self) -> Vec<Ready> {
        std::mem::take(&mut *self.left.lock())
    }

    /// Answers the oldest open commit but so many.
    pub(crate) fn answer(&self, but: usize, answer: Result<(), CommitFailed>, worker: &mut Worker) {
        let (place, id) = self.commits.lock().remove(but);
        place.committed(id, answer, worker);
    }

    fn note(&self, place: &Place, what: &str) {
        self.log.lock().push(format!("{} {what}", place.key()));
    }
}

impl World<Actor> for Stage {
    type Key = &'static str;

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn with_context<R>(&self, decide: impl FnOnce(&mut Context<'_, Log>) -> R) -> R {
        decide(&mut Context {
            now: Moment::default(),
            wall: Timestamp::default(),
            random: &mut NoDice,
            settings: &self.log,
        })
    }

    fn commit(&self, place: &Place, id: CommitId, changes: Vec<u32>, worker: &mut Worker) {
        self.note(place, &format!("commits {changes:?}"));
        if self.keeps_at_once {
            place.committed(id, Ok(()), worker);
        } else {
            self.commits.lock().push((Arc::clone(place), id));
        }
    }

    fn perform(&self, place: &Place, deed: Deed, worker: &mut Worker) {
        match deed {
            Deed::Say(number) => self.note(place, &format!("says {number}")),
            Deed::Tell(to, line) => {
                let to = self.places.lock().get(to).map(Arc::clone);
                if let Some(to) = to
                    && let Err(Gone(line)) = to.deliver(line, Priority::Stanza(1), worker)
                {
                    self.note(&to, &format!("is gone for {line:?}"));
                }
            }
            Deed::Curse => stumble(),
        }
    }

    fn abandon(&self, place: &Place, deed: Deed, _: &mut Worker) {
        self.note(place, &format!("never does {deed:?}"));
    }

    fn refuse(&self, place: &Place, line: Line, why: Refusal, _: &mut Worker) {
        self.note(place, &format!("refuses {line:?}: {why:?}"));
    }

    fn bury(&self, place: &Place, actor: Box<Actor>, _: &mut Worker) {
        if actor.busy {
            self.note(place, "leaves something behind");
        }
    }

    fn died(&self, place: &Place, why: Death, _: &mut Worker) {
        self.note(place, &format!("died: {why:?}"));
    }

    fn idle(&self, place: &Place, _: &mut Worker) {
        if self.retires {
            assert!(place.retire_if_idle());
            self.note(place, "retires");
        }
    }
}
