//! The stage in memory: a simulated world.

use std::collections::BTreeMap;
use std::time::Duration;

use c2s::Transport;
use simulation::{ConnectionId, Faults, Settings, TLS_EXPORTER, Turns, World};

use crate::script::{Dial, Store};
use crate::stage::{Came, LineId, Stage};

/// A simulated server.
pub(crate) struct Memory {
    world: World,
    lines: BTreeMap<LineId, ConnectionId>,
    secure: Vec<LineId>,
}

impl Memory {
    pub(crate) fn new(seed: u64, accounts: &[String]) -> Memory {
        let turns = if seed == 0 { Turns::InOrder } else { Turns::ByDice };
        let mut world = World::new(seed, Settings::default(), turns);
        for account in accounts {
            world.create_account(account, "secret");
        }
        Memory {
            world,
            lines: BTreeMap::new(),
            secure: Vec::new(),
        }
    }

    fn connection(&self, line: LineId) -> Result<ConnectionId, String> {
        self.lines
            .get(&line)
            .copied()
            .ok_or_else(|| "there is no such line".to_owned())
    }
}

impl Stage for Memory {
    fn dial(&mut self, dial: Dial) -> Result<LineId, String> {
        let transport = match dial {
            Dial::Tcp => Transport::Tcp,
            Dial::Tls => Transport::DirectTls,
        };
        let line = LineId(self.lines.len() as u64);
        self.lines.insert(line, self.world.connect(transport));
        if dial == Dial::Tls {
            self.secure.push(line);
        }
        Ok(line)
    }

    fn secure(&mut self, line: LineId) -> Result<(), String> {
        let connection = self.connection(line)?;
        if !self.world.awaits_tls(connection) {
            return Err("the server does not expect TLS now".to_owned());
        }
        self.world.secure(connection);
        self.secure.push(line);
        Ok(())
    }

    fn exporter(&self, line: LineId) -> Option<[u8; 32]> {
        self.secure.contains(&line).then_some(TLS_EXPORTER)
    }

    fn say(&mut self, line: LineId, bytes: &[u8]) -> Result<(), String> {
        let connection = self.connection(line)?;
        self.world.say(connection, bytes);
        Ok(())
    }

    fn hear(&mut self, line: LineId) -> Result<Came, String> {
        let connection = self.connection(line)?;
        let bytes = self.world.hear(connection);
        Ok(Came {
            bytes,
            ended: self.world.is_closed(connection),
        })
    }

    fn hang_up(&mut self, line: LineId) {
        if let Ok(connection) = self.connection(line) {
            self.world.hang_up(connection);
        }
    }

    fn wait(&mut self) -> bool {
        self.world.step()
    }

    fn settle(&mut self) -> Result<(), String> {
        self.world.settle();
        Ok(())
    }

    fn pass(&mut self, time: Duration) -> Result<(), String> {
        self.world.pass(time);
        Ok(())
    }

    fn restart(&mut self) -> Result<(), String> {
        self.world.restart();
        Ok(())
    }

    fn kill(&mut self) -> Result<(), String> {
        self.world.crash();
        Ok(())
    }

    fn store(&mut self, store: Store) -> Result<(), String> {
        let always = 1_000;
        self.world.set_faults(match store {
            Store::Fails => Faults {
                unavailable_per_mille: always,
                ..Faults::default()
            },
            Store::Refuses => Faults {
                refused_per_mille: always,
                ..Faults::default()
            },
            Store::Works => Faults::default(),
        });
        Ok(())
    }
}
