//! What a world is like, and what can go wrong in it.

use std::time::Duration;

use simulation::{Dice, Faults};

pub(crate) const ACCOUNTS: [&str; 3] = ["romeo", "juliet", "tybalt"];
pub(crate) const RESOURCES: [&str; 2] = ["one", "two"];
/// Connections at the same time.
pub(crate) const CONNECTIONS_MAX: usize = 6;

/// How long a connection may take to log in.
pub(crate) const LOGIN_TIME: Duration = Duration::from_secs(60);

pub(crate) const MANAGEMENT: &str = "urn:xmpp:sm:3";

/// What can go wrong in a world.
#[derive(Debug, Clone)]
pub(crate) struct Nature {
    pub(crate) faults: Faults,
    /// Of a thousand actions, so many are a crash.
    pub(crate) crashes_per_mille: usize,
    pub(crate) is_tight: bool,
    pub(crate) actions: usize,
}

impl Nature {
    pub(crate) fn of(dice: &mut Dice) -> Nature {
        let mut faults = Faults::default();
        if dice.percent(60) {
            faults.delay = Duration::ZERO..=Duration::from_millis(300);
        }
        if dice.percent(25) {
            faults.unavailable_per_mille = 40;
        }
        if dice.percent(25) {
            faults.refused_per_mille = 40;
        }
        Nature {
            faults,
            crashes_per_mille: if dice.percent(30) { 10 } else { 0 },
            is_tight: dice.percent(20),
            actions: 30 + dice.below(100),
        }
    }

    pub(crate) fn store_fails(&self) -> bool {
        self.faults.unavailable_per_mille + self.faults.refused_per_mille > 0
    }
}
