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

mod comeback;
mod course;
mod crowd;
mod finish;
mod ledger;
mod nature;
mod talk;
mod wires;

use crate::course::Course;

/// Worlds of an ordinary run.
const WORLDS: u64 = 1_600;

#[test]
fn every_stanza_has_one_fate_and_what_was_acknowledged_is_kept() {
    let seen = simulation::try_seeds(WORLDS, Course::run);
    let worlds = seen.len() as u64;
    let stanzas: u64 = seen.iter().map(|seen| seen.stanzas).sum();
    let acknowledged: u64 = seen.iter().map(|seen| seen.acknowledged).sum();
    let resumptions: u64 = seen.iter().map(|seen| seen.resumptions).sum();
    println!(
        "{worlds} worlds, {stanzas} stanzas followed, {acknowledged} of them acknowledged, {resumptions} sessions resumed"
    );
    // A checker that looks at nothing finds nothing.
    assert!(
        worlds == 1 || stanzas > 10 * worlds && acknowledged > worlds && resumptions > worlds / 4,
        "these worlds are too quiet"
    );
}
