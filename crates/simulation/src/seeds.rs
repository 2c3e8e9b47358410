//! Many worlds, one after the other on all cores, and how one of them is run again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// Whether a world is told while it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// It is not.
    Silent,
    /// Step by step, to the standard output.
    Aloud,
}

/// Worlds that went wrong of which it is told why.
const TOLD: usize = 12;

/// Runs worlds with the seeds from 0 on, and gives what each has seen. The environment can ask for others: `WORLD=n` for
/// one, told aloud, `WORLDS=n` for so many, `FIRST=n` for those from there on, `TOLD=n` to hear of so many that went wrong.
///
/// # Panics
/// When a world went wrong: with the first seeds, or as many as were asked for, and why.
pub fn try_seeds<S: Send>(count: u64, run: impl Fn(u64, Telling) -> Result<S, String> + Sync) -> Vec<S> {
    let failed = |seed: u64, why: &str| format!("seed {seed}: {why}");
    if let Some(seed) = number("WORLD") {
        return match run(seed, Telling::Aloud) {
            Ok(seen) => vec![seen],
            Err(why) => panic!("{}", failed(seed, &why)),
        };
    }
    let first = number("FIRST").unwrap_or(0);
    let end = first + number("WORLDS").unwrap_or(count);
    let next = AtomicU64::new(first);
    let run_some = || {
        let (mut all_seen, mut wrong) = (Vec::new(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return (all_seen, wrong);
            }
            // A panic says where; only here is known in which world.
            match catch_unwind(AssertUnwindSafe(|| run(seed, Telling::Silent))) {
                Ok(Ok(seen)) => all_seen.push(seen),
                Ok(Err(why)) => wrong.push((seed, why)),
                Err(_) => wrong.push((seed, "a panic".to_owned())),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut all_seen, mut wrong) = (Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|_| scope.spawn(run_some)).collect();
        for run in runs {
            match run.join() {
                Ok((seen, why)) => {
                    all_seen.extend(seen);
                    wrong.extend(why);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    wrong.sort();
    let told = number("TOLD").map_or(TOLD, |told| usize::try_from(told).unwrap_or(usize::MAX));
    let told: Vec<String> = wrong
        .iter()
        .take(told)
        .map(|(seed, why)| failed(*seed, why))
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} worlds went wrong; the first:\n{}",
        wrong.len(),
        end - first,
        told.join("\n")
    );
    all_seen
}

/// The fingerprints of many worlds as one, in whichever order they were run: what two processes are compared by.
pub fn together(fingerprints: impl Iterator<Item = u64>) -> u64 {
    fingerprints.fold(0, u64::wrapping_add)
}

/// Runs worlds twice each.
///
/// # Panics
/// When a world was not the same again: `run` gives its fingerprint, or why it went wrong.
pub fn run_twice(seeds: std::ops::Range<u64>, run: impl Fn(u64, Telling) -> Result<u64, String>) {
    for seed in seeds {
        let (first, again) = (run(seed, Telling::Silent), run(seed, Telling::Silent));
        assert_eq!(first, again, "world {seed} is not the same again");
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
