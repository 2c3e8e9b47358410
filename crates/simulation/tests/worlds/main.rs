//! Random worlds: clients of a few accounts come and go, talk, count or not, lose their connections; the store is slow or
//! fails; the server is killed. Every world follows from its seed.
//!
//! What is checked is in `ledger`: a stanza that entered was delivered, stored, bounced or lawfully dropped, exactly once;
//! and what was acknowledged to its sender (XEP-0198) is still there after a crash.
//!
//! ```text
//! cargo test -p balcony-simulation --test worlds          # some thousand worlds
//! WORLDS=50000 cargo test …                               # more of them
//! WORLD=1234 cargo test … -- --nocapture                  # this one, told step by step
//! ```

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod course;
mod crowd;
mod finish;
mod ledger;
mod nature;
mod talk;
mod wires;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::course::Course;

/// Worlds of an ordinary run.
const WORLDS: u64 = 2_000;

#[test]
fn every_stanza_has_one_fate_and_what_was_acknowledged_is_kept() {
    if let Some(seed) = number("WORLD") {
        let outcome = Course::run(seed, course::Telling::Aloud);
        assert_eq!(outcome.err(), None, "seed {seed}");
        return;
    }
    let worlds = number("WORLDS").unwrap_or(WORLDS);
    let first = number("FIRST").unwrap_or(0);
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let outcomes: Vec<(u64, u64, Vec<String>)> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| run_some(&next, first + worlds)))
            .collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let stanzas: u64 = outcomes.iter().map(|(stanzas, _, _)| stanzas).sum();
    let acknowledged: u64 = outcomes.iter().map(|(_, acknowledged, _)| acknowledged).sum();
    let wrong: Vec<&String> = outcomes.iter().flat_map(|(_, _, wrong)| wrong).collect();
    println!("{worlds} worlds, {stanzas} stanzas followed, {acknowledged} of them acknowledged");
    assert!(
        wrong.is_empty(),
        "{} worlds went wrong; the first:\n{}",
        wrong.len(),
        wrong
            .iter()
            .take(3)
            .map(|wrong| wrong.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    );
    // A checker that looks at nothing finds nothing.
    assert!(
        stanzas > 10 * worlds && acknowledged > worlds,
        "these worlds are too quiet"
    );
}

/// Runs worlds until none is left: stanzas followed, those acknowledged, and what went wrong.
fn run_some(next: &AtomicU64, end: u64) -> (u64, u64, Vec<String>) {
    let (mut stanzas, mut acknowledged, mut wrong) = (0, 0, Vec::new());
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return (stanzas, acknowledged, wrong);
        }
        match Course::run(seed, course::Telling::Silent) {
            Ok(seen) => {
                stanzas += seen.stanzas;
                acknowledged += seen.acknowledged;
            }
            Err(why) => wrong.push(format!("seed {seed}: {why}")),
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
