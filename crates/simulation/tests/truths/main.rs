//! Random worlds of several servers, in which presence must be true or say that it may not be (XEP-0310, clauses §4).
//!
//! Users of two or three servers log in and out, show themselves to all or to one, subscribe, revoke, block and unblock; their
//! connections break and are resumed or not; the ways between the servers are cut, refused, dark and open again; servers
//! are killed. Clients say at once, late, never or wrongly what they can. After every step:
//!
//! - what a client that asks for annotations was told last of somebody is so, or is marked as doubtful, or became untrue no
//!   longer ago than the server needs to notice (clauses §4.6);
//! - nobody is told what is not for them, and nobody is annotated who does not ask;
//! - an annotation repeats what was told last, is made by who may make it, and is taken back once.
//!
//! Now and then everything comes to rest: then what everybody was told is what is so, and nothing is marked that is fine.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod acts;
mod clients;
mod people;
mod truth;
mod voyage;

use crate::voyage::Voyage;

/// Worlds of an ordinary run.
const WORLDS: u64 = 100;
/// So many of them are run twice.
const TWICE: u64 = 10;

#[test]
fn presence_is_true_or_says_that_it_may_not_be() {
    let seen = simulation::try_seeds(WORLDS, Voyage::run);
    let worlds = seen.len();
    let annotations: usize = seen.iter().map(|seen| seen.annotations).sum();
    let compared: usize = seen.iter().map(|seen| seen.compared).sum();
    let doubtful: usize = seen.iter().map(|seen| seen.doubtful).sum();
    let together = simulation::together(seen.iter().map(|seen| seen.fingerprint));
    println!(
        "{worlds} worlds: {annotations} annotations heard, {compared} views compared with what \
         is so, {doubtful} of them marked as doubtful; together {together:016x}"
    );
    assert!(
        worlds < 20 || annotations > 3 * worlds && doubtful > 5 * worlds && compared > 100 * worlds,
        "these worlds are too quiet"
    );
}

#[test]
fn the_same_seed_gives_the_same_world_word_by_word() {
    simulation::run_twice(0..TWICE, |seed, telling| {
        Voyage::run(seed, telling).map(|seen| seen.fingerprint)
    });
}
