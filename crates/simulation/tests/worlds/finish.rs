//! The end of a world: everything comes to rest, and is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use simulation::Faults;

use crate::course::{Course, Seen};
use crate::crowd::{Acknowledges, Connected, Place};
use crate::ledger::{Ends, Life};
use crate::nature::{ACCOUNTS, LOGIN_TIME};

impl Course {
    /// Everything comes to rest, everybody acknowledges, and what waits is fetched. Then it is counted.
    pub(crate) fn finish(mut self) -> Result<Seen, String> {
        self.tell(|_| "all is made good".to_owned());
        self.world.set_faults(Faults::default());
        for place in self.places(|connection| connection.resumption.is_some() && !connection.is_bound()) {
            if self.dice.percent(50) {
                self.come_back(place);
            }
        }
        // The network finds out which connections nobody looks at any more.
        for place in self.places(|connection| connection.hung_up) {
            self.world.hang_up(self.connections[place].id);
        }
        self.rest()?;
        // A promise that was lost with its account lets a resumption wait until its time is over.
        if self
            .connections
            .iter()
            .any(|connection| connection.attempt.of().is_some())
        {
            self.world.pass(LOGIN_TIME);
            self.rest()?;
        }
        for place in self.places(Connected::is_bound) {
            self.say(place, b"");
            self.acknowledge(place);
            self.say(place, b"");
        }
        self.rest()?;
        for place in self.places(Connected::is_bound) {
            self.acknowledge(place);
            self.ask_whether_handled(place);
            self.say(place, b"");
        }
        self.rest()?;
        self.check_liveness()?;
        let (taken, living) = (self.taken(), self.living());
        for account in 0..ACCOUNTS.len() {
            let place = self.dial(account, "the end", Acknowledges::Never);
            self.rest()?;
            if self.connections[place].is_bound() {
                self.clock += 1;
                self.connections[place].available_since = Some(self.clock);
                self.send(place, "<presence/>");
                self.say(place, b"");
                self.rest()?;
            } else {
                return Err(format!("{place} cannot log in though all is well"));
            }
        }
        for place in self.places(Connected::is_bound) {
            self.acknowledge(place);
            self.say(place, b"");
        }
        self.rest()?;
        let mut readers = BTreeMap::new();
        let mut available = BTreeMap::new();
        for connection in &self.connections {
            let surely = connection.acknowledged(self.world.taken(connection.id));
            let perhaps = connection.acknowledged(connection.said).max(connection.claimed);
            let known: &mut (u32, u32) = readers.entry(connection.session).or_default();
            *known = (known.0.max(surely), known.1.max(perhaps));
            if let Some(since) = connection.available_since {
                available.insert(connection.session, since);
            }
        }
        self.ledger.check(&Ends {
            taken: &taken,
            living: &living,
            lives: self.lives(),
            readers: &readers,
            available: &available,
            crashes: &self.crashes,
            store_failed: self.nature.store_fails(),
            is_tight: self.nature.is_tight,
        })?;
        let seen = Seen {
            resumptions: self.resumptions,
            stanzas: self.ledger.entries.len() as u64,
            acknowledged: self
                .ledger
                .entries
                .iter()
                .filter(|entry| entry.acknowledged)
                .count() as u64,
        };
        for place in 0..self.connections.len() {
            self.world.hang_up(self.connections[place].id);
        }
        self.world.settle();
        Ok(seen)
    }

    /// How many bytes of each connection the server has surely taken.
    fn taken(&self) -> BTreeMap<Place, u64> {
        let connections = self.connections.iter().enumerate();
        connections
            .map(|(place, connection)| (place, self.world.taken(connection.id)))
            .collect()
    }

    /// Sessions whose last connection lives.
    fn living(&self) -> BTreeSet<Place> {
        let living = self.connections.iter().filter(|connection| connection.is_bound());
        living.map(|connection| connection.session).collect()
    }

    /// Of each session the life of its last connection.
    fn lives(&self) -> BTreeMap<Place, Life> {
        let life = |connection: &Connected| {
            let life = Life {
                account: connection.account,
                ended_at: connection.ended_at,
                closed_at: connection.closed_at,
                goes_on: connection.is_resumable,
            };
            (connection.session, life)
        };
        self.connections.iter().map(life).collect()
    }

    /// Until nothing happens any more, and nothing will.
    pub(crate) fn rest(&mut self) -> Result<(), String> {
        for _ in 0..3 {
            let mut busy = true;
            while busy {
                self.world.settle();
                self.note_ends();
                busy = false;
                for place in 0..self.connections.len() {
                    busy |= self.listen(place)?;
                }
            }
            self.world.pass(Duration::from_millis(1_100));
        }
        Ok(())
    }

    /// Without faults, everything that was sent is acknowledged in the end.
    pub(crate) fn check_liveness(&self) -> Result<(), String> {
        if self.nature.store_fails() {
            return Ok(());
        }
        for place in self.places(Connected::is_bound) {
            let counted = self.connections[place].counted.as_deref().unwrap_or_default();
            let open = counted
                .iter()
                .filter_map(|counted| counted.number)
                .find(|number| !self.ledger.entries[*number].acknowledged);
            if let Some(number) = open {
                return Err(format!(
                    "{number} is never acknowledged to {place}: {:?}",
                    self.ledger.entries[number]
                ));
            }
        }
        Ok(())
    }
}
