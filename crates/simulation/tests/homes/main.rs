//! Random villages: users log in and out, subscribe to each other, refuse, remove, block, show themselves to one or to all.
//!
//! Things happen in rounds, several at once; when the village has come to rest, what everybody was told is compared with
//! what is so:
//!
//! - a client was told last that a contact's resource is available if it is and the user may see it, and only then;
//! - who was told available is told unavailable exactly once;
//! - nobody is told of a presence that was never his to see;
//! - both rosters agree with the tables of RFC 6121, and clients that want pushes know what is in the roster.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod acts;
mod person;
mod tables;
mod village;

use crate::village::Village;

/// Villages of an ordinary run.
const VILLAGES: u64 = 300;

#[test]
fn everybody_is_told_what_is_so() {
    let seen = simulation::try_seeds(VILLAGES, Village::run);
    let villages = seen.len();
    let told: usize = seen.iter().map(|seen| seen.told).sum();
    let compared: usize = seen.iter().map(|seen| seen.compared).sum();
    println!("{villages} villages, told of presence {told} times, {compared} views compared with what is so");
    assert!(
        villages == 1 || told > 15 * villages && compared > 20 * villages,
        "these villages are too quiet"
    );
}
