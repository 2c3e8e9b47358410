//! The world of the router without a runtime: a clock that is wound by hand, dice of a seed, one worker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use machine::{Moment, Timestamp};
use parking_lot::Mutex;
use router::{Alarm, Surroundings};
use turns::{Ready, Worker};

use crate::Dice;

/// 2026-01-01T00:00:00Z: what people's clocks show when a simulation begins.
const WALL_AT_ORIGIN: i64 = 1_767_225_600_000_000;

/// Who has the next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// First come, first served.
    InOrder,
    /// Anybody who is ready, by the dice.
    ByDice,
}

/// Surroundings in which nothing happens by itself.
pub(crate) struct Simulated {
    turns: Turns,
    state: Mutex<State>,
    worker: Mutex<Option<Worker>>,
    /// Slots that became ready while the worker was away.
    ready: Arc<Mutex<Vec<Ready>>>,
}

struct State {
    now: Moment,
    dice: Dice,
    /// By moment, then in the order in which they were asked for.
    alarms: BTreeMap<(Moment, u64), Arc<dyn Alarm>>,
    alarms_asked: u64,
    slow: VecDeque<Box<dyn FnOnce() + Send>>,
}

impl Simulated {
    pub(crate) fn new(mut dice: Dice, turns: Turns) -> Arc<Simulated> {
        let ready = Arc::new(Mutex::new(Vec::new()));
        let worker = worker(turns, &mut dice, &ready);
        Arc::new(Simulated {
            turns,
            state: Mutex::new(State {
                now: Moment::default(),
                dice,
                alarms: BTreeMap::new(),
                alarms_asked: 0,
                slow: VecDeque::new(),
            }),
            worker: Mutex::new(Some(worker)),
            ready,
        })
    }

    /// Lets one machine have a turn of at most so many inputs. False: none is ready.
    pub(crate) fn turn(&self, inputs_max: usize) -> bool {
        let Some(mut worker) = self.worker.lock().take() else {
            return false;
        };
        for ready in self.ready.lock().drain(..) {
            worker.resume(ready);
        }
        let somebody = worker.turn(inputs_max).is_some();
        *self.worker.lock() = Some(worker);
        somebody
    }

    /// Whether a machine is ready for a turn.
    pub(crate) fn has_turns(&self) -> bool {
        !self.ready.lock().is_empty()
            || self
                .worker
                .lock()
                .as_ref()
                .is_some_and(|worker| worker.ready() > 0)
    }

    /// Does one piece of slow work. False: there is none.
    pub(crate) fn work_slowly(&self) -> bool {
        let work = self.state.lock().slow.pop_front();
        work.map(|work| work()).is_some()
    }

    /// Whether slow work waits.
    pub(crate) fn has_slow_work(&self) -> bool {
        !self.state.lock().slow.is_empty()
    }

    /// When the next alarm is to ring.
    pub(crate) fn next_alarm(&self) -> Option<Moment> {
        self.state.lock().alarms.first_key_value().map(|((at, _), _)| *at)
    }

    /// Winds the clock to `now` and rings what is due.
    pub(crate) fn wind_to(&self, now: Moment) {
        let due: Vec<_> = {
            let mut state = self.state.lock();
            state.now = state.now.max(now);
            let later = state
                .alarms
                .split_off(&(now + std::time::Duration::from_micros(1), 0));
            std::mem::replace(&mut state.alarms, later)
                .into_values()
                .collect()
        };
        for alarm in due {
            alarm.ring();
        }
    }

    /// Whatever was asked for is forgotten, as by a process that was killed. The clocks go on.
    pub(crate) fn forget(&self) {
        let (alarms, slow, fresh) = {
            let mut state = self.state.lock();
            let fresh = worker(self.turns, &mut state.dice, &self.ready);
            (
                std::mem::take(&mut state.alarms),
                std::mem::take(&mut state.slow),
                fresh,
            )
        };
        drop((alarms, slow));
        let old = self.worker.lock().replace(fresh);
        // It hands over what it had, to be forgotten too.
        drop(old);
        self.ready.lock().clear();
    }
}

/// A worker that leaves what it does not do to the next turn.
fn worker(turns: Turns, dice: &mut Dice, ready: &Arc<Mutex<Vec<Ready>>>) -> Worker {
    let worker = collecting(ready);
    match turns {
        Turns::InOrder => worker,
        Turns::ByDice => {
            let mut choice = dice.fork();
            worker.choosing(move |slots| choice.below(slots))
        }
    }
}

fn collecting(ready: &Arc<Mutex<Vec<Ready>>>) -> Worker {
    let ready = Arc::clone(ready);
    Worker::new(move |left| ready.lock().push(left))
}

impl Surroundings for Simulated {
    fn now(&self) -> Moment {
        self.state.lock().now
    }

    fn wall(&self) -> Timestamp {
        let since = i64::try_from(self.now().as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_unix_micros(WALL_AT_ORIGIN.saturating_add(since))
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.state.lock().dice.fill(bytes);
    }

    fn call_at(&self, at: Moment, alarm: Arc<dyn Alarm>) {
        let mut state = self.state.lock();
        state.alarms_asked += 1;
        let number = state.alarms_asked;
        state.alarms.insert((at, number), alarm);
    }

    /// Turns are taken later, when the world says so.
    fn with_worker(&self, task: &mut dyn FnMut(&mut Worker)) {
        let lent = self.worker.lock().take();
        match lent {
            Some(mut worker) => {
                task(&mut worker);
                *self.worker.lock() = Some(worker);
            }
            // In the middle of a turn: what becomes ready waits for the next.
            None => task(&mut collecting(&self.ready)),
        }
    }

    fn run_slowly(&self, work: Box<dyn FnOnce() + Send>) {
        self.state.lock().slow.push_back(work);
    }

    /// Nobody reads a log here.
    fn link_changed(
        &self,
        _: &s2s::Pair,
        _: s2s::link::StateName,
        _: Option<s2s::link::Cause>,
        _: Option<Duration>,
    ) {
    }
}
