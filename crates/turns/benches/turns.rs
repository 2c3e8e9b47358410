//! What a turn costs: `cargo bench -p balcony-turns`. The machines do nothing, so all of it is mechanism.
//!
//! A line is the best of five rounds, in nanoseconds for one input from its delivery to the end of its turn.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use parking_lot::RwLock;
use turns::{CommitId, Death, Limits, Priority, Refusal, Slot, Worker, World};

const ROUNDS: usize = 5;
const INPUTS: usize = 1_000_000;

fn main() {
    one_by_one("one machine, one input a turn", 1, Kind::Count);
    one_by_one("100,000 machines in random order", 100_000, Kind::Count);
    one_by_one(
        "one machine, each input with a commit answered at once",
        1,
        Kind::Keep,
    );
    one_by_one("two machines, half of the inputs from the other", 2, Kind::Pass);
    one_by_one(
        "100,000 machines, half of the inputs from another",
        100_000,
        Kind::Pass,
    );
    burst("one machine, 64 inputs a turn", 64);
    threads("two threads, 1,000 machines, half from another", 1000);
    threads("two threads, one machine", 1);
}

/// Of the size that inputs of accounts have.
struct Input {
    kind: Kind,
    _stanza: [u64; 12],
}

#[derive(Clone, Copy)]
enum Kind {
    Count,
    Keep,
    /// To the next machine, to count there.
    Pass,
}

fn input(kind: Kind) -> Input {
    Input {
        kind,
        _stanza: [0; 12],
    }
}

#[derive(Default)]
struct Counter {
    count: u64,
}

impl Machine for Counter {
    type Input = Input;
    type Change = u64;
    type Effect = Input;
    type Settings = ();

    fn handle(&mut self, context: &mut Context<'_, ()>, input: Input, out: &mut Decision<u64, Input>) {
        self.count += context.now.as_micros();
        match input.kind {
            Kind::Count => {}
            Kind::Keep => out.commit.push(self.count),
            Kind::Pass => out.effects.push(Input {
                kind: Kind::Count,
                ..input
            }),
        }
    }

    fn is_idle(&self) -> bool {
        self.count == 0
    }
}

type Place = Arc<Slot<Counter, Hall>>;

#[derive(Default)]
struct Hall {
    places: RwLock<Vec<Place>>,
}

struct NoDice;

impl Random for NoDice {
    fn fill(&mut self, _: &mut [u8]) {}
}

impl World<Counter> for Hall {
    type Key = usize;

    fn limits(&self) -> Limits {
        Limits {
            inbox_inputs_max: usize::MAX,
            inbox_bytes_max: usize::MAX,
            waiting_effects_max: 1000,
            waiting_bytes_max: 1 << 20,
        }
    }

    fn with_context<R>(&self, decide: impl FnOnce(&mut Context<'_, ()>) -> R) -> R {
        let now = Moment::from_micros(1);
        decide(&mut Context {
            now,
            wall: Timestamp::default(),
            random: &mut NoDice,
            settings: &(),
        })
    }

    fn commit(&self, place: &Place, id: CommitId, changes: Vec<u64>, worker: &mut Worker) {
        black_box(changes);
        place.committed(id, Ok(()), worker);
    }

    fn perform(&self, place: &Place, effect: Input, worker: &mut Worker) {
        let places = self.places.read();
        let next = &places[(place.key() + 1) % places.len()];
        let _ = next.deliver(effect, Priority::Stanza(100), worker);
    }

    fn refuse(&self, _: &Place, input: Input, _: Refusal, _: &mut Worker) {
        black_box(input);
    }

    fn died(&self, _: &Place, why: Death, _: &mut Worker) {
        black_box(why);
    }
}

fn hall(machines: usize) -> Arc<Hall> {
    let hall = Arc::new(Hall::default());
    let places = (0..machines)
        .map(|key| Slot::living(key, Arc::clone(&hall), Counter::default()))
        .collect();
    *hall.places.write() = places;
    hall
}

/// Numbers below `machines` in no order that a processor could guess.
fn order(machines: usize, seed: u64) -> impl Iterator<Item = usize> {
    let mut state = seed;
    std::iter::from_fn(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some((state >> 33) as usize % machines)
    })
}

fn report(what: &str, inputs: usize, round: impl Fn()) {
    let best = (0..ROUNDS).map(|_| time(&round)).fold(f64::INFINITY, f64::min);
    let nanoseconds = best * 1e9 / inputs as f64;
    println!("{nanoseconds:7.1} ns  {what}");
}

#[expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]
fn time(round: impl Fn()) -> f64 {
    let start = Instant::now();
    round();
    start.elapsed().as_secs_f64()
}

fn one_by_one(what: &str, machines: usize, kind: Kind) {
    let hall = hall(machines);
    let places = hall.places.read().clone();
    let inputs = match kind {
        Kind::Count | Kind::Keep => INPUTS,
        Kind::Pass => 2 * INPUTS,
    };
    report(what, inputs, || {
        let mut worker = Worker::new(drop);
        for key in order(machines, 1).take(INPUTS) {
            let _ = places[key].deliver(input(kind), Priority::Stanza(100), &mut worker);
            worker.run(usize::MAX);
        }
    });
}

fn burst(what: &str, size: usize) {
    let hall = hall(1);
    let places = hall.places.read().clone();
    report(what, INPUTS, || {
        let mut worker = Worker::new(drop);
        for _ in 0..INPUTS / size {
            for _ in 0..size {
                let _ = places[0].deliver(input(Kind::Count), Priority::Stanza(100), &mut worker);
            }
            worker.run(usize::MAX);
        }
    });
}

fn threads(what: &str, machines: usize) {
    let hall = hall(machines);
    let (kind, each) = if machines == 1 {
        (Kind::Count, 1)
    } else {
        (Kind::Pass, 2)
    };
    report(what, 2 * each * INPUTS, || {
        std::thread::scope(|scope| {
            for seed in [1, 2] {
                let places = hall.places.read().clone();
                scope.spawn(move || {
                    let mut worker = Worker::new(drop);
                    for key in order(machines, seed).take(INPUTS) {
                        let _ = places[key].deliver(input(kind), Priority::Stanza(100), &mut worker);
                        worker.run(usize::MAX);
                    }
                });
            }
        });
    });
}
