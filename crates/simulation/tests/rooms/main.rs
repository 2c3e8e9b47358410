//! Random worlds with a room at one server, and guests at it and at others: nobody is lost, doubled or believed to be there
//! who is not.
//!
//! Guests enter, speak, say that they are away, leave, break their connections and come back or not; the ways between the
//! servers are cut, refused, dark and open again; servers are restarted or killed, that of the room too. One guest, the
//! scribe, is at the room's server and comes back at once: what it hears, in its order, is what happened in the room.
//! After every step:
//!
//! - nothing that a guest has heard since it entered came twice, and what was not given back after an outage came in order;
//! - whom a guest sees in the room without an annotation is there and can be reached, or has been so until a moment ago.
//!
//! Now and then everything comes to rest. Then whoever believes to be in the room is, nobody else is, all see the same
//! occupants, none of them doubtful, everybody has heard everything, and nobody waits to hear whether it is in. What its
//! server has acknowledged to a guest was heard, or came back. In a room that is kept, nothing that anybody heard is missing
//! from the history after a crash.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod course;
mod guests;
mod truth;

use crate::course::Course;

/// Worlds of an ordinary run.
const WORLDS: u64 = 40;
/// So many of them are run twice.
const TWICE: u64 = 20;

#[test]
fn a_room_knows_who_is_there_and_everybody_hears_everything() {
    let seen = simulation::try_seeds(WORLDS, Course::run);
    let worlds = seen.len();
    let heard: usize = seen.iter().map(|seen| seen.heard).sum();
    let late: usize = seen.iter().map(|seen| seen.late).sum();
    let marks: usize = seen.iter().map(|seen| seen.marks).sum();
    let entered: usize = seen.iter().map(|seen| seen.entered).sum();
    let removed: usize = seen.iter().map(|seen| seen.removed).sum();
    let together = simulation::together(seen.iter().map(|seen| seen.fingerprint));
    println!(
        "{worlds} worlds: entered {entered} times, {heard} messages heard, {late} of them late, {marks} annotations, \
         {removed} times somebody was told to be out; \
         together {together:016x}"
    );
    assert!(
        worlds < 20 || entered > 5 * worlds && heard > 50 * worlds && late > worlds && marks > 5 * worlds,
        "these worlds are too quiet"
    );
}

#[test]
fn the_same_seed_gives_the_same_world_word_by_word() {
    simulation::run_twice(0..TWICE, |seed, telling| {
        Course::run(seed, telling).map(|seen| seen.fingerprint)
    });
}
