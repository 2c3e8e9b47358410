//! Many machines on many threads: whatever the processor does, order between any two holds, and each input has one
//! fate, while commits end late, out of order, and sometimes badly.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use crate::village::{Dice, Fate, HOUSES, MESSENGERS, Odds, Village};

const LETTERS_PER_THREAD: usize = 10_000;
const NUMBERS_MAX: usize = 1_000_000;

#[test]
fn order_holds_on_many_threads_with_late_commits() {
    let fates = on_many_threads(
        Odds {
            commit: 4,
            panic: usize::MAX,
        },
        usize::MAX,
    )
    .0;
    assert_eq!(fates[Fate::RefusedPanicked as usize], 0);
    assert_eq!(fates[Fate::Abandoned as usize], 0);
    assert!(fates[Fate::Handled as usize] > LETTERS_PER_THREAD, "{fates:?}");
}

#[test]
fn order_holds_on_many_threads_with_failing_commits_and_panics() {
    let (fates, village) = on_many_threads(
        Odds {
            commit: 6,
            panic: 100,
        },
        20,
    );
    assert!(fates.iter().all(|fate| *fate > 0), "{fates:?}");
    assert!(village.deaths() > 0 && village.retired.load(SeqCst) > 0);
}

fn on_many_threads(odds: Odds, fails: usize) -> ([usize; 7], Arc<Village>) {
    let village = Village::new(1, NUMBERS_MAX, odds);
    let start = Barrier::new(MESSENGERS);
    let working = AtomicUsize::new(MESSENGERS);
    thread::scope(|scope| {
        for messenger in 0..MESSENGERS {
            let (village, start, working) = (&village, &start, &working);
            scope.spawn(move || {
                let mut dice = Dice(messenger as u64);
                let mut worker = village.worker();
                start.wait();
                for _ in 0..LETTERS_PER_THREAD {
                    village.inject(messenger, dice.below(HOUSES), 3, &mut worker);
                    step(village, &mut dice, fails, &mut worker);
                    if dice.below(8) == 0 {
                        village.retire(dice.below(HOUSES));
                    }
                }
                working.fetch_sub(1, Ordering::SeqCst);
                // What one thread leaves may become work for another, so all stay until all have nothing left.
                while working.load(Ordering::SeqCst) > 0 || !village.is_quiet() {
                    step(village, &mut dice, fails, &mut worker);
                }
            });
        }
    });
    // The last runs may have left something after the others looked.
    let mut dice = Dice(99);
    let mut worker = village.worker();
    while !village.is_quiet() {
        step(&village, &mut dice, fails, &mut worker);
    }
    (village.fates(), village)
}

/// What a thread does between two letters: answers, loads, turns in small pieces.
fn step(village: &Arc<Village>, dice: &mut Dice, fails: usize, worker: &mut turns::Worker) {
    village.answer(dice, fails, worker);
    village.load(dice, usize::max(fails, 10), worker);
    village.resume(worker);
    worker.run(dice.below(12));
}
