//! The end of a world: everything comes to rest, and is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use simulation::Faults;

use crate::course::{Course, Seen};
use crate::crowd::{Acknowledges, Connected, Place};
use crate::ledger::Ends;
use crate::nature::ACCOUNTS;

impl Course {
    /// Everything comes to rest, everybody acknowledges, and what waits is fetched. Then it is counted.
    pub(crate) fn finish(mut self) -> Result<Seen, String> {
        self.tell(|_| "all is made good".to_owned());
        self.world.set_faults(Faults::default());
        self.rest()?;
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
        let senders = self.senders();
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
        for (place, connection) in self.connections.iter().enumerate() {
            let surely = connection.acknowledged(self.world.taken(connection.id));
            readers.insert(place, (surely, connection.acknowledged(connection.said)));
            if let Some(since) = connection.available_since {
                available.insert(place, since);
            }
        }
        let lives = self
            .connections
            .iter()
            .map(|connection| (connection.account, connection.ended_at, connection.is_resumable))
            .collect();
        self.ledger.check(&Ends {
            lives,
            senders: &senders,
            readers: &readers,
            available: &available,
            crashes: &self.crashes,
            store_failed: self.nature.store_fails(),
            is_tight: self.nature.is_tight,
        })?;
        let seen = Seen {
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

    /// How many bytes of each sender the server has surely taken, and whether its connection lives.
    pub(crate) fn senders(&self) -> BTreeMap<Place, (u64, bool)> {
        let connections = self.connections.iter().enumerate();
        connections
            .map(|(place, connection)| (place, (self.world.taken(connection.id), connection.is_bound())))
            .collect()
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
                .flatten()
                .find(|number| !self.ledger.entries[**number].acknowledged);
            if let Some(number) = open {
                return Err(format!(
                    "{number} is never acknowledged to {place}: {:?}",
                    self.ledger.entries[*number]
                ));
            }
        }
        Ok(())
    }
}
