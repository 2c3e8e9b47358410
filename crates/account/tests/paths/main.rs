//! Every path on which something passes between a user and somebody else, walked with one who is blocked and with one who
//! is not, wherever that one lives (XEP-0191 §3.3, XEP-0016 §2.2 rule 4).
//!
//! A new path cannot be forgotten here: `origins` names the paths behind each input, wake-up and request that an account
//! can get, and `outcome` what each effect carries, both without a wildcard, so that a new one of them does not compile
//! before it is thought of; `sites` knows each place in the sources that lets a stanza pass unasked, or that takes one
//! to a mailbox, a machine, a link or a room.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "../ground/mod.rs"]
mod ground;
mod house;
mod origins;
mod outcome;
mod sites;
mod walks;

use crate::outcome::Outcome;
use crate::walks::{Guest, Path, walk};

#[test]
fn nothing_passes_between_the_user_and_who_is_blocked_on_any_path() {
    let mut walked = 0;
    for path in Path::ALL.iter().copied() {
        for guest in Guest::ALL {
            let Some(outcome) = walk(path, guest, true) else {
                continue;
            };
            walked += 1;
            assert_eq!(
                outcome.given,
                Vec::<String>::new(),
                "{path:?} {guest:?}: shown to the user"
            );
            assert_eq!(
                outcome.kept,
                Vec::<String>::new(),
                "{path:?} {guest:?}: kept for the user"
            );
            let unlawful: Vec<&String> = outcome.sent.iter().filter(|sent| !is_lawful(sent)).collect();
            assert_eq!(
                unlawful,
                Vec::<&String>::new(),
                "{path:?} {guest:?}: sent to the blocked"
            );
        }
    }
    println!("{} paths, {walked} walks", Path::ALL.len());
}

/// What is blocked above passes here: each of these walks could fail.
#[test]
fn everything_passes_between_the_user_and_who_is_not_blocked() {
    let mut barred = Vec::new();
    for path in Path::ALL.iter().copied() {
        for guest in Guest::ALL {
            let Some(Outcome {
                given, kept, sent, ..
            }) = walk(path, guest, false)
            else {
                continue;
            };
            if given.is_empty() && kept.is_empty() && sent.iter().all(|sent| is_lawful(sent)) {
                barred.push(format!("{path:?} {guest:?}: {sent:?}"));
            }
        }
    }
    assert_eq!(barred, Vec::<String>::new(), "nothing happens here");
}

/// XEP-0191 §3.3, POKE-48: what is said to the blocked is what nobody at home would say.
fn is_lawful(sent: &str) -> bool {
    sent.contains(" type='error'") && (sent.contains("<service-unavailable") || sent.contains("<forbidden"))
}

#[test]
fn every_path_begins_somewhere() {
    let named = origins::all();
    for path in Path::ALL {
        assert!(named.contains(path), "{path:?} is behind no input");
    }
}
