//! Random interleavings on one thread: several workers, one step at a time, with late, overtaking and failing commits,
//! failing loads, panics and retirements. The same numbers give the same run.

use std::sync::atomic::Ordering::SeqCst;

use proptest::prelude::*;
use turns::Worker;

use crate::village::{Dice, Fate, HOUSES, Odds, Village};

const WORKERS: usize = 3;
const ODDS: Odds = Odds { commit: 3, panic: 25 };

/// One step of somebody, with a number to choose whom it concerns.
#[derive(Debug, Clone, Copy)]
enum Step {
    Inject(u8),
    Turn(u8),
    Run(u8),
    Answer,
    Load,
    Retire(u8),
    Resume,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Inject),
        6 => any::<u8>().prop_map(Step::Turn),
        1 => any::<u8>().prop_map(Step::Run),
        3 => Just(Step::Answer),
        1 => Just(Step::Load),
        1 => any::<u8>().prop_map(Step::Retire),
        1 => Just(Step::Resume),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_holds_and_each_input_has_one_fate(seed in any::<u64>(), steps in prop::collection::vec(step(), 0..400)) {
        play(seed, &steps);
    }
}

/// What the property above needs to mean anything: every fate happens, and each kind of leaving.
#[test]
fn the_interleavings_reach_every_fate() {
    let mut fates = [0; 7];
    let (mut deaths, mut retired, mut returned) = (0, 0, 0);
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let steps: Vec<Step> = (0..400).map(|_| throw(&mut dice)).collect();
        let (more, village) = play(seed, &steps);
        for (fate, more) in fates.iter_mut().zip(more) {
            *fate += more;
        }
        deaths += village.deaths();
        retired += village.retired.load(SeqCst);
        returned += village.returned.load(SeqCst);
    }
    assert!(fates.iter().all(|fate| *fate > 20), "{fates:?}");
    assert!(
        deaths > 20 && retired > 20 && returned > 20,
        "{deaths} deaths, {retired} retired, {returned} returned"
    );
    assert!(fates[Fate::Handled as usize] > 1000);
}

#[test]
fn a_seed_repeats_its_run() {
    let mut dice = Dice(7);
    let steps: Vec<Step> = (0..400).map(|_| throw(&mut dice)).collect();
    assert_eq!(play(7, &steps).0, play(7, &steps).0);
}

fn throw(dice: &mut Dice) -> Step {
    let number = dice.below(256) as u8;
    match dice.below(17) {
        0..4 => Step::Inject(number),
        4..10 => Step::Turn(number),
        10 => Step::Run(number),
        11..14 => Step::Answer,
        14 => Step::Load,
        15 => Step::Retire(number),
        _ => Step::Resume,
    }
}

/// Plays the steps, then brings everything to an end and counts.
fn play(seed: u64, steps: &[Step]) -> ([usize; 7], std::sync::Arc<Village>) {
    let village = Village::new(seed, 20_000, ODDS);
    let mut dice = Dice(seed ^ 0xabcd);
    let mut workers: Vec<Worker> = (0..WORKERS as u64)
        .map(|which| {
            let mut choice = Dice(seed ^ which);
            village.worker().choosing(move |ready| choice.below(ready))
        })
        .collect();
    for step in steps {
        let worker = dice.below(WORKERS);
        let worker = &mut workers[worker];
        match *step {
            Step::Inject(to) => village.inject(0, usize::from(to) % HOUSES, 4, worker),
            Step::Turn(inputs) => drop(worker.turn(usize::from(inputs % 5))),
            Step::Run(budget) => drop(worker.run(usize::from(budget % 16))),
            Step::Answer => village.answer(&mut dice, 6, worker),
            Step::Load => village.load(&mut dice, 6, worker),
            Step::Retire(who) => village.retire(usize::from(who) % HOUSES),
            Step::Resume => village.resume(worker),
        }
    }
    let mut last = village.worker();
    drop(workers);
    while !village.is_quiet() || last.ready() > 0 {
        village.resume(&mut last);
        village.load(&mut dice, 6, &mut last);
        village.answer(&mut dice, 6, &mut last);
        last.run(1000);
    }
    (village.fates(), village)
}
