//! The world of the router on tokio: the system's clocks and dice, wake-ups, and turns on the threads of the runtime.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use machine::{Moment, Observed, Timestamp};
use parking_lot::Mutex;
use router::{Alarm, Surroundings};
use rustls::crypto::SecureRandom;
use s2s::Pair;
use s2s::link::{Cause, StateName};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore};
use turns::{Ready, Worker};

use crate::polls::{Polls, Sample};

/// Inputs that one chain of turns may take before a connection goes back to its socket; the rest goes on in a task of
/// its own.
const CHAIN_INPUTS_MAX: usize = 4_096;

/// The system that the server runs on. Cheap to clone.
#[derive(Clone)]
pub struct System(Arc<Inner>);

struct Inner {
    origin: Instant,
    runtime: Handle,
    dice: &'static dyn SecureRandom,
    alarms: Mutex<Alarms>,
    /// The moment at which alarms were last found to be due: no machine is told an earlier one, or it would not know why
    /// it was woken.
    rung: AtomicU64,
    /// Told when a new alarm is the first.
    earlier: Notify,
    /// At most this many slow tasks run at a time: key derivation is hungry for CPU and memory.
    slow: Arc<Semaphore>,
    /// How long workers have been at one thing.
    polls: Polls,
}

#[derive(Default)]
struct Alarms {
    /// Ordered by moment, and by the order in which they were asked for.
    waiting: BTreeMap<(Moment, u64), Arc<dyn Alarm>>,
    next: u64,
}

thread_local! {
    /// Each thread of the runtime takes turns with a worker of its own, which keeps its buffers from turn to turn.
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };

    /// The times that hold on this thread for now, and the origin by which they count.
    static TIMES: Cell<Option<(Instant, Moment, Timestamp)>> = const { Cell::new(None) };
}

/// As long as this lives, time stands still for the machines that have their turns on this thread: to look at a clock is
/// not much, but would be done for each of their inputs.
pub(crate) struct StandStill {
    /// Whether time moves on when this ends.
    is_outermost: bool,
    pub(crate) now: Moment,
    pub(crate) wall: Timestamp,
    /// Takes the time of this go, if it is one to look at.
    _sample: Option<Sample>,
    /// It must not go to another thread, and so is kept over no `await`.
    of_this_thread: PhantomData<*const ()>,
}

impl Drop for StandStill {
    fn drop(&mut self) {
        if self.is_outermost {
            TIMES.set(None);
        }
    }
}

impl System {
    /// The system of the given runtime. `slow_tasks` bounds key derivations at the same time.
    pub fn start(runtime: &Handle, slow_tasks: usize) -> System {
        let system = System(Arc::new(Inner {
            #[expect(clippy::disallowed_methods, reason = "this is where the clock comes in")]
            origin: Instant::now(),
            runtime: runtime.clone(),
            dice: rustls::crypto::aws_lc_rs::default_provider().secure_random,
            alarms: Mutex::default(),
            rung: AtomicU64::new(0),
            earlier: Notify::new(),
            slow: Arc::new(Semaphore::new(slow_tasks)),
            polls: Polls::default(),
        }));
        runtime.spawn(system.clone().ring_alarms());
        system
    }

    /// Stops the clocks for machines on this thread.
    pub(crate) fn stand_still(&self) -> StandStill {
        let held = self.held_times();
        let (now, wall) = held.unwrap_or_else(|| (self.now(), self.wall()));
        let mut sample = None;
        if held.is_none() {
            TIMES.set(Some((self.0.origin, now, wall)));
            let origin = self.0.origin;
            sample = self
                .0
                .polls
                .begin(origin, || origin + Duration::from_micros(now.as_micros()));
        }
        StandStill {
            is_outermost: held.is_none(),
            now,
            wall,
            _sample: sample,
            of_this_thread: PhantomData,
        }
    }

    /// How long each worker was at one thing, of one go in 16: `xmpp_task_poll_seconds`.
    pub fn polls(&self) -> Vec<Observed> {
        self.0.polls.observed()
    }

    fn held_times(&self) -> Option<(Moment, Timestamp)> {
        let (origin, now, wall) = TIMES.get()?;
        (origin == self.0.origin).then_some((now, wall))
    }

    /// Runs a task on the runtime, from whatever thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.runtime.spawn(task);
    }

    /// A number below `below`.
    pub(crate) fn number_below(&self, below: u32) -> u32 {
        let mut bytes = [0; 8];
        self.fill_random(&mut bytes);
        // Of 64 bits the remainder is as good as even.
        u32::try_from(u64::from_le_bytes(bytes) % u64::from(below.max(1))).unwrap_or(0)
    }

    /// Rings each alarm at its moment, as long as the runtime lives.
    async fn ring_alarms(self) {
        loop {
            let (due, next) = self.take_due();
            for alarm in due {
                alarm.ring();
            }
            match next {
                Some(moment) => {
                    let pause = moment.since(self.now());
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.0.earlier.notified() => {}
                    }
                }
                None => self.0.earlier.notified().await,
            }
        }
    }

    fn take_due(&self) -> (Vec<Arc<dyn Alarm>>, Option<Moment>) {
        let now = self.now();
        self.0.rung.fetch_max(now.as_micros(), Ordering::Release);
        let mut alarms = self.0.alarms.lock();
        let mut due = Vec::new();
        while let Some(first) = alarms.waiting.first_entry() {
            if first.key().0 > now {
                return (due, Some(first.key().0));
            }
            due.push(first.remove());
        }
        (due, None)
    }

    fn resume(&self, ready: Ready) {
        let system = self.clone();
        self.0.runtime.spawn(async move {
            let mut ready = Some(ready);
            system.with_worker(&mut |worker| {
                if let Some(ready) = ready.take() {
                    worker.resume(ready);
                }
            });
        });
    }

    fn fresh_worker(&self) -> Worker {
        let system = self.clone();
        Worker::new(move |ready| system.resume(ready))
    }
}

impl Surroundings for System {
    fn now(&self) -> Moment {
        Moment::from_micros(u64::try_from(self.0.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is where the clock comes in")]
        let now = SystemTime::now();
        let micros = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros());
        Timestamp::from_unix_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn times(&self) -> (Moment, Timestamp) {
        match self.held_times() {
            Some((now, wall)) => {
                let rung = Moment::from_micros(self.0.rung.load(Ordering::Acquire));
                (now.max(rung), wall)
            }
            None => (self.now(), self.wall()),
        }
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        if self.0.dice.fill(bytes).is_err() {
            // Guessable ids and nonces would be worse than none: nothing that needs them can go on.
            panic!("the system gives no random bytes");
        }
    }

    fn call_at(&self, at: Moment, alarm: Arc<dyn Alarm>) {
        let mut alarms = self.0.alarms.lock();
        let is_first = alarms
            .waiting
            .first_key_value()
            .is_none_or(|((first, _), _)| at < *first);
        let number = alarms.next;
        alarms.next += 1;
        alarms.waiting.insert((at, number), alarm);
        drop(alarms);
        if is_first {
            self.0.earlier.notify_one();
        }
    }

    fn with_worker(&self, task: &mut dyn FnMut(&mut Worker)) {
        // A task that is given while this thread is at work (an answer that comes at once) takes a worker of its own.
        let mut worker = WORKER
            .with_borrow_mut(Option::take)
            .unwrap_or_else(|| self.fresh_worker());
        let _times = self.stand_still();
        task(&mut worker);
        worker.run(CHAIN_INPUTS_MAX);
        WORKER.with_borrow_mut(|place| *place = Some(worker));
    }

    fn run_slowly(&self, work: Box<dyn FnOnce() + Send>) {
        let slow = Arc::clone(&self.0.slow);
        let runtime = self.0.runtime.clone();
        self.0.runtime.spawn(async move {
            // The semaphore is never closed.
            let permit = slow.acquire_owned().await;
            runtime.spawn_blocking(move || {
                work();
                drop(permit);
            });
        });
    }

    fn link_changed(&self, pair: &Pair, to: StateName, cause: Option<Cause>, lasted: Option<Duration>) {
        let (local, remote) = (pair.local.as_str(), pair.remote.as_str());
        match (to, lasted) {
            (StateName::Down, _) => tracing::info!(
                event = "link",
                local,
                remote,
                state = "down",
                why = cause.map_or("", Cause::sentence),
                "a domain is out of reach; `balcony link explain {remote}` tells more"
            ),
            (StateName::Up, Some(lasted)) => tracing::info!(
                event = "link",
                local,
                remote,
                state = "up",
                after_seconds = lasted.as_secs(),
                "a domain is in reach again"
            ),
            (StateName::Up | StateName::Idle | StateName::Suspect, _) => tracing::debug!(
                event = "link",
                local,
                remote,
                state = to.as_str(),
                why = cause.map_or("", Cause::sentence),
                "the state of a link has changed"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_time_of_machines_stands_still_until_the_outermost_says_otherwise() {
        let system = System::start(&Handle::current(), 1);
        let other = System::start(&Handle::current(), 1);
        let outer = system.stand_still();
        let held = (outer.now, outer.wall);
        while system.now() == held.0 {}
        assert_eq!(system.times(), held);
        drop(system.stand_still());
        assert_eq!(system.times(), held);
        assert!(other.held_times().is_none(), "its clock began at another time");
        drop(outer);
        assert!(system.held_times().is_none());
        assert!(system.times().0 > held.0);
    }
}
