//! A world, its steps, and how its clients listen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use account::Suppression;
use machine::Moment;
use simulation::{Dice, Line, Passwords, Reach, Servers, Settings, Telling};

use crate::people::{DOMAINS, Person, RESOURCES, USERS, User, bare, server_of, user_of};

/// How long a session waits for its client.
pub(crate) const RESUME: Duration = Duration::from_secs(60);

/// What a world has seen when all was well.
#[derive(Default)]
pub(crate) struct Seen {
    /// Annotations that clients heard, empty ones too.
    pub(crate) annotations: usize,
    /// How often what a client was told was compared with what is so.
    pub(crate) compared: usize,
    /// How many of these were marked as doubtful.
    pub(crate) doubtful: usize,
    /// What [`Servers::fingerprint`] says at the end.
    pub(crate) fingerprint: u64,
}

/// How two servers reach each other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    pub(crate) reach: Reach,
    /// When anything of it changed last.
    pub(crate) troubled: Option<Moment>,
    /// When it was last so that nothing passed and nobody said so.
    pub(crate) dark: Option<Moment>,
}

pub(crate) struct Voyage {
    pub(crate) servers: Servers,
    /// How many servers there are.
    pub(crate) count: usize,
    pub(crate) dice: Dice,
    pub(crate) people: Vec<Person>,
    next_number: u64,
    /// Who lets whom see presence, and since when it is so.
    pub(crate) grants: BTreeMap<(User, User), (bool, Moment)>,
    /// Who might see whose presence and does not want to any more: the user, and who said so.
    pub(crate) renounced: BTreeSet<(User, User)>,
    /// Whose subscriptions have changed in this step.
    pub(crate) changed: BTreeSet<(User, User)>,
    /// Between whom the two rosters may differ.
    pub(crate) unsure: BTreeSet<(User, User)>,
    /// Who blocks whom, and since when.
    pub(crate) blocks: BTreeMap<(User, User), Moment>,
    /// Numbers of directed presence.
    pub(crate) directed: BTreeSet<u64>,
    /// Who may ever be told of the presence with this number.
    permits: BTreeSet<(u64, User)>,
    pub(crate) ways: BTreeMap<(usize, usize), Way>,
    /// Views that are not so and do not say so, and since when.
    pub(crate) wrong: BTreeMap<(String, String), Moment>,
    /// Views that say that they may not be so while all is well, and since when.
    pub(crate) alarms: BTreeMap<(String, String), Moment>,
    pub(crate) step_began: Moment,
    pub(crate) seen: Seen,
    telling: Telling,
}

impl Voyage {
    /// Runs the world of a seed to its end.
    ///
    /// # Errors
    /// What is not so.
    pub(crate) fn run(seed: u64, telling: Telling) -> Result<Seen, String> {
        let mut dice = Dice::new(seed);
        let count = if dice.percent(30) { 3 } else { 2 };
        let hosts = DOMAINS.iter().take(count).map(|domain| {
            let mut settings = Settings {
                hosts: vec![(*domain, Passwords::Scram)],
                open: Vec::new(),
                rooms: Vec::new(),
                resume_timeout: RESUME,
                ..Settings::default()
            };
            settings.limits.unauthenticated_time = Duration::from_secs(3_600);
            settings.limits.mailbox_stanzas = 5_000;
            settings.limits.unacknowledged_stanzas = 5_000;
            settings.limits.resources_per_account = 20;
            settings.limits.directed_presences = 100;
            settings
        });
        let mut servers = Servers::new(dice.next(), hosts);
        let users: Vec<User> = (0..USERS.len()).filter(|user| server_of(*user) < count).collect();
        for user in &users {
            servers
                .at(server_of(*user))
                .create_account(&bare(*user), "secret");
        }
        let mut ways = BTreeMap::new();
        for one in 0..count {
            for other in one + 1..count {
                let open = Way {
                    reach: Reach::Open,
                    troubled: None,
                    dark: None,
                };
                ways.insert((one, other), open);
            }
        }
        let mut voyage = Voyage {
            servers,
            count,
            dice,
            people: Vec::new(),
            next_number: 0,
            grants: BTreeMap::new(),
            renounced: BTreeSet::new(),
            changed: BTreeSet::new(),
            unsure: BTreeSet::new(),
            blocks: BTreeMap::new(),
            directed: BTreeSet::new(),
            permits: BTreeSet::new(),
            ways,
            wrong: BTreeMap::new(),
            alarms: BTreeMap::new(),
            step_began: Moment::default(),
            seen: Seen::default(),
            telling,
        };
        voyage.begin(&users)?;
        for _ in 0..1 + voyage.dice.below(2) {
            for _ in 0..8 + voyage.dice.below(16) {
                voyage.step()?;
            }
            voyage.calm()?;
        }
        Ok(Seen {
            fingerprint: voyage.servers.fingerprint(),
            ..voyage.seen
        })
    }

    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        if self.telling == Telling::Aloud {
            println!("{:8.2} {}", self.now().as_micros() as f64 / 1e6, what());
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.servers.now()
    }

    pub(crate) fn users(&self) -> impl Iterator<Item = User> + use<> {
        let count = self.count;
        (0..USERS.len()).filter(move |user| server_of(*user) < count)
    }

    pub(crate) fn people(&self, wanted: impl Fn(&Person) -> bool) -> Vec<usize> {
        (0..self.people.len())
            .filter(|place| wanted(&self.people[*place]))
            .collect()
    }

    /// Everybody is there once, and most know each other.
    fn begin(&mut self, users: &[User]) -> Result<(), String> {
        for user in users {
            self.connect(*user, RESOURCES[0]);
        }
        self.rest()?;
        for place in 0..self.people.len() {
            self.show(place);
        }
        for one in users {
            for other in users.iter().filter(|other| *other != one) {
                if self.dice.percent(65) {
                    self.grant(*one, *other);
                }
            }
        }
        self.rest()?;
        self.pass(Duration::from_secs(2))
    }

    fn step(&mut self) -> Result<(), String> {
        self.step_began = self.now();
        self.changed.clear();
        for person in &mut self.people {
            person.is_new = false;
            person.lately = person.available.into_iter().collect();
        }
        for _ in 0..1 + self.dice.below(2) {
            self.act();
            self.permit();
        }
        self.rest()?;
        self.check()?;
        let millis = match self.dice.below(100) {
            ..45 => return Ok(()),
            45..70 => self.dice.below(2_500),
            70..88 => 3_000 + self.dice.below(12_000),
            88.. => 20_000 + self.dice.below(60_000),
        };
        self.pass(Duration::from_millis(millis as u64))?;
        self.check()
    }

    pub(crate) fn pass(&mut self, time: Duration) -> Result<(), String> {
        self.tell(|| format!("-- {time:?} pass"));
        self.servers.pass(time);
        let now = self.now();
        for way in self.ways.values_mut().filter(|way| way.reach == Reach::BlackHole) {
            way.dark = Some(now);
        }
        for person in &mut self.people {
            if let Line::Paused(since) = person.device.line()
                && now.since(since) >= RESUME
            {
                person.device.end();
            }
        }
        self.rest()
    }

    /// Everything happens that can happen without time passing.
    pub(crate) fn rest(&mut self) -> Result<(), String> {
        loop {
            self.servers.settle();
            let mut is_busy = false;
            for place in 0..self.people.len() {
                is_busy |= self.listen(place)?;
            }
            if !is_busy {
                self.people.retain(|person| person.device.line() != Line::Over);
                return Ok(());
            }
        }
    }

    /// Notes who may be told of what is so now.
    pub(crate) fn permit(&mut self) {
        let users: Vec<User> = self.users().collect();
        let mut permits = Vec::new();
        for person in &self.people {
            for viewer in &users {
                // What another resource of the same user says in the same step may come first.
                let block = self.blocks.get(&(person.user, *viewer));
                if block.is_some_and(|since| *since < self.step_began) {
                    continue;
                }
                // What another resource says may come before what takes the right away.
                let was_seen = self.changed.contains(&(person.user, *viewer));
                if was_seen || self.lets_see(person.user, *viewer) {
                    // What it was a moment ago may still be said when somebody is unblocked.
                    permits.extend(person.lately.iter().map(|number| (*number, *viewer)));
                }
                let shown = person.shown.iter().filter(|(to, _)| user_of(to) == Some(*viewer));
                permits.extend(shown.map(|(_, number)| (*number, *viewer)));
            }
        }
        self.permits.extend(permits);
    }

    /// How many annotations a server has not sent because a newer one says all that they say.
    pub(crate) fn merged_by(&mut self, server: usize) -> u64 {
        let router = self.servers.at(server).router();
        router.presence_figures().suppressions(Suppression::Coalesced)
    }

    pub(crate) fn may_ever_see(&self, viewer: User, number: u64) -> bool {
        self.permits.contains(&(number, viewer))
    }

    pub(crate) fn was_shown_to_one(&self, number: u64) -> bool {
        self.directed.contains(&number)
    }

    /// Whether a user lets another see all presence.
    pub(crate) fn lets_see(&self, user: User, viewer: User) -> bool {
        user == viewer
            || self
                .grants
                .get(&(user, viewer))
                .is_some_and(|(grants, _)| *grants)
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }
}
