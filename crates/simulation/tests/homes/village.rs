//! A village, its rounds, and what must be so after each of them.

use std::collections::BTreeSet;
use std::time::Duration;

use simulation::{Dice, Faults, Heard, Say, Settings, Telling, Turns, World};
use xml::Element;

use crate::person::{Item, Person};
use crate::tables::{Tables, User};

pub(crate) const USERS: [&str; 4] = ["romeo", "juliet", "tybalt", "nurse"];
pub(crate) const RESOURCES: [&str; 2] = ["one", "two"];
/// Connections at the same time.
pub(crate) const PERSONS_MAX: usize = 6;

const CLIENT: &str = "jabber:client";
const ROSTER: &str = "jabber:iq:roster";

/// What a village has seen when all was well.
#[derive(Default)]
pub(crate) struct Seen {
    /// How often somebody was told of somebody's presence.
    pub(crate) told: usize,
    /// How often what a client was told was compared with what is so.
    pub(crate) compared: usize,
}

pub(crate) struct Village {
    pub(crate) world: World,
    pub(crate) dice: Dice,
    pub(crate) persons: Vec<Person>,
    pub(crate) tables: Tables,
    /// Who blocks whom.
    pub(crate) blocks: BTreeSet<(User, User)>,
    /// As it was when the round began.
    before: (Tables, BTreeSet<(User, User)>),
    /// Full addresses that somebody got or gave up in this round.
    pub(crate) names_of_the_round: BTreeSet<String>,
    /// Users who have done something to each other in this round.
    pub(crate) pairs_of_the_round: BTreeSet<(User, User)>,
    seen: Seen,
    telling: Telling,
}

/// The address of a user.
pub(crate) fn bare(user: User) -> String {
    format!("{}@example.com", USERS[user])
}

fn user_of(address: &str) -> Option<User> {
    let name = address.split('@').next()?;
    USERS.iter().position(|user| *user == name)
}

impl Village {
    /// Runs the village of a seed to its end.
    ///
    /// # Errors
    /// What is not so.
    pub(crate) fn run(seed: u64, telling: Telling) -> Result<Seen, String> {
        let mut dice = Dice::new(seed);
        let mut settings = Settings::default();
        settings.limits.resources_per_account = 20;
        settings.limits.unauthenticated_time = Duration::from_secs(60);
        settings.limits.directed_presences = 100;
        let mut world = World::new(dice.next(), settings, Turns::ByDice);
        for user in 0..USERS.len() {
            world.create_account(&bare(user), "secret");
        }
        if dice.percent(50) {
            world.set_faults(Faults {
                delay: Duration::ZERO..=Duration::from_millis(200),
                ..Faults::default()
            });
        }
        let mut village = Village {
            world,
            dice,
            persons: Vec::new(),
            tables: Tables::default(),
            blocks: BTreeSet::new(),
            before: Default::default(),
            names_of_the_round: BTreeSet::new(),
            pairs_of_the_round: BTreeSet::new(),
            seen: Seen::default(),
            telling,
        };
        for _ in 0..12 + village.dice.below(12) {
            village.round()?;
        }
        Ok(village.seen)
    }

    pub(crate) fn tell(&self, what: impl FnOnce() -> String) {
        if self.telling == Telling::Aloud {
            println!("{}", what());
        }
    }

    pub(crate) fn persons(&self, wanted: impl Fn(&Person) -> bool) -> Vec<usize> {
        (0..self.persons.len())
            .filter(|place| wanted(&self.persons[*place]))
            .collect()
    }

    pub(crate) fn is_blocked(&self, user: User, other: User) -> bool {
        self.blocks.contains(&(user, other)) || self.blocks.contains(&(other, user))
    }

    /// Several things at once, then rest, then all is compared.
    fn round(&mut self) -> Result<(), String> {
        self.before = (self.tables.clone(), self.blocks.clone());
        self.names_of_the_round.clear();
        self.pairs_of_the_round.clear();
        for _ in 0..1 + self.dice.below(10) {
            self.act();
            for _ in 0..self.dice.below(20) {
                self.world.step();
            }
            if self.dice.percent(30) {
                self.world.pass_to_next_within(Duration::from_millis(100));
            }
            self.listen_all()?;
        }
        self.rest()?;
        if self.dice.percent(10) {
            self.crash();
            self.rest()?;
        }
        self.check_presence()?;
        if self.dice.percent(40) {
            self.check_rosters()?;
        }
        self.tell(|| "-- all is so".to_owned());
        Ok(())
    }

    /// The server is killed at rest: everything is stored, and everybody has to come again.
    fn crash(&mut self) {
        self.tell(|| "the server is killed".to_owned());
        self.world.crash();
        for person in &mut self.persons {
            person.over = true;
        }
    }

    fn rest(&mut self) -> Result<(), String> {
        loop {
            self.world.settle();
            let is_busy = self.listen_all()?;
            if !is_busy && !self.world.pass_to_next_within(Duration::from_millis(700)) {
                return Ok(());
            }
        }
    }

    fn listen_all(&mut self) -> Result<bool, String> {
        let mut is_busy = false;
        for place in 0..self.persons.len() {
            is_busy |= self.listen(place)?;
        }
        Ok(is_busy)
    }

    fn listen(&mut self, place: usize) -> Result<bool, String> {
        let person = &mut self.persons[place];
        let bytes = self.world.hear(person.id);
        person.client.read(&bytes);
        if self.world.is_closed(person.id) {
            person.over = true;
        }
        while let Some(heard) = self.persons[place]
            .client
            .hear()
            .map_err(|error| format!("{place} cannot read: {error}"))?
        {
            self.hear(place, &heard)
                .map_err(|why| format!("{place} {}: {why}", self.persons[place].wanted))?;
        }
        Ok(!bytes.is_empty())
    }

    fn hear(&mut self, place: usize, heard: &Heard) -> Result<(), String> {
        let person = &mut self.persons[place];
        if let Some(login) = &mut person.login {
            let id = person.id;
            match login.hear(heard) {
                Say::Nothing => {}
                Say::Bytes(bytes) => self.world.say(id, &bytes),
                Say::Anew(bytes) => {
                    person.client.restart();
                    self.world.say(id, &bytes);
                }
                Say::Bound(address) => {
                    person.login = None;
                    person.address = Some(address);
                    if self.dice.percent(50) {
                        self.ask_for_roster(place);
                    }
                    if self.dice.percent(60) {
                        self.come(place);
                    }
                }
                Say::Failed(why) => return Err(format!("cannot log in: {why}")),
            }
            return Ok(());
        }
        let Heard::Element(element) = heard else {
            return Ok(());
        };
        self.tell(|| format!("    {place} hears {}", element.as_str()));
        if element.is(CLIENT, "presence") {
            return self.hear_presence(place, element);
        }
        if element.is(CLIENT, "iq") {
            self.hear_roster(place, element);
        }
        Ok(())
    }

    fn hear_presence(&mut self, place: usize, element: &Element) -> Result<(), String> {
        let from = element.attribute("from").unwrap_or_default().into_owned();
        let is_available = match element.attribute("type").as_deref() {
            None => true,
            Some("unavailable") => false,
            Some(_) => return Ok(()),
        };
        let Some(sender) = user_of(&from) else {
            return Ok(());
        };
        self.seen.told += 1;
        let user = self.persons[place].user;
        if is_available && sender != user && !self.may_be_told(user, sender, &from) {
            return Err(format!("was told of the presence of {from}, which is not for it"));
        }
        let person = &mut self.persons[place];
        if !from.contains('/') {
            // The server's answer to a probe: nobody is there.
            person.told.retain(|address, _| user_of(address) != Some(sender));
            return Ok(());
        }
        if !is_available && person.address.as_deref() == Some(from.as_str()) {
            // From here on it is told nothing; what it knows is over.
            person.told.clear();
            return Ok(());
        }
        // Directed presence ends under the address that it had (DCL-11), a subscription under the bare one: one goodbye each.
        let to = element.attribute("to").unwrap_or_default().into_owned();
        let goodbye = (!is_available).then_some(to);
        match person.told.insert(from.clone(), goodbye.clone()) {
            Some(before) if before.is_some() && before == goodbye => {
                Err(format!("was told twice that {from} is unavailable"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the user may see this resource now, or could when the round began.
    fn may_be_told(&self, user: User, sender: User, from: &str) -> bool {
        let (tables, blocks) = &self.before;
        let was_blocked = blocks.contains(&(user, sender)) || blocks.contains(&(sender, user));
        let is_open = !self.is_blocked(user, sender) || !was_blocked;
        let is_subscribed = self.tables.side(sender, user).from || tables.side(sender, user).from;
        let is_shown = || {
            let senders = self.persons.iter().filter(|person| person.wants(from));
            senders
                .flat_map(|person| &person.shown_ever)
                .any(|to| *to == bare(user))
        };
        is_open && (is_subscribed || is_shown())
    }

    fn hear_roster(&mut self, place: usize, element: &Element) {
        let Some(query) = element.to_tree().find(ROSTER, "query").cloned() else {
            return;
        };
        let items = query.children().filter_map(|item| {
            let contact = item.attribute("jid")?.to_owned();
            let subscription = item.attribute("subscription").unwrap_or("none").to_owned();
            let ask = item.attribute("ask").is_some();
            Some((contact, (subscription, ask)))
        });
        let items: Vec<(String, Item)> = items.collect();
        let person = &mut self.persons[place];
        if element.raw_attribute("type") == Some("result") {
            person.roster = Some(items.into_iter().collect());
        } else if let Some(roster) = &mut person.roster {
            for (contact, item) in items {
                if item.0 == "remove" {
                    roster.remove(&contact);
                } else {
                    roster.insert(contact, item);
                }
            }
        }
    }

    // ---- what must be so ----

    fn check_presence(&mut self) -> Result<(), String> {
        for place in self.persons(Person::is_there) {
            let user = self.persons[place].user;
            let blocks = self.blocks.clone();
            let person = &mut self.persons[place];
            if !person.available {
                person.told.clear();
                continue;
            }
            // Who blocks somebody does not want to know.
            person
                .told
                .retain(|address, _| user_of(address).is_none_or(|other| !blocks.contains(&(user, other))));
            for other in (0..USERS.len()).filter(|other| !blocks.contains(&(user, *other))) {
                for resource in RESOURCES {
                    let address = format!("{}/{resource}", bare(other));
                    self.compare(place, user, other, &address)?;
                }
            }
        }
        Ok(())
    }

    fn compare(&mut self, place: usize, user: User, other: User, address: &str) -> Result<(), String> {
        self.seen.compared += 1;
        let person = &self.persons[place];
        let told = person.told.get(address).is_some_and(Option::is_none);
        let mut others = self.persons.iter().filter(|other| other.wants(address));
        let is_subscribed = user == other || self.tables.side(other, user).from;
        let sees = is_subscribed && !self.is_blocked(user, other);
        let is_available = others.clone().any(|other| other.is_available_as(address));
        let is_shown = others.any(|other| other.is_there() && other.shown.contains(&bare(user)));
        if sees {
            return match (told, is_available) {
                (true, true) | (false, false) => Ok(()),
                (true, false) if is_shown => Ok(()),
                (true, false) => Err(format!("{place} still believes that {address} is available")),
                (false, true) if person.address.as_deref() == Some(address) => Ok(()),
                (false, true) => Err(format!("{place} was not told that {address} is available")),
            };
        }
        if told && !is_shown {
            return Err(format!(
                "{place} still believes that {address} is available, which it may not see"
            ));
        }
        Ok(())
    }

    /// Somebody of each house asks for the roster; it must be what the tables say, and what the others were pushed.
    fn check_rosters(&mut self) -> Result<(), String> {
        for user in 0..USERS.len() {
            let residents = self.persons(|person| person.is_there() && person.user == user);
            let Some(place) = self.dice.pick(&residents).copied() else {
                continue;
            };
            let pushed = self.persons[place].roster.clone();
            self.ask_for_roster(place);
            self.rest()?;
            let fresh = self.persons[place].roster.clone().unwrap_or_default();
            if pushed.is_some_and(|pushed| pushed != fresh) {
                return Err(format!(
                    "{place} has a roster, {fresh:?}, of which it was pushed less"
                ));
            }
            for other in (0..USERS.len()).filter(|other| *other != user) {
                let side = self.tables.side(user, other);
                let subscription = match (side.to, side.from) {
                    (false, false) => "none",
                    (true, false) => "to",
                    (false, true) => "from",
                    (true, true) => "both",
                };
                let wanted: Item = (subscription.to_owned(), side.ask);
                let none: Item = ("none".to_owned(), false);
                let found = fresh.get(&bare(other)).unwrap_or(&none);
                if *found != wanted {
                    return Err(format!(
                        "{} has {} as {found:?}, and should have {wanted:?}",
                        bare(user),
                        bare(other)
                    ));
                }
            }
            for other in residents {
                if let Some(roster) = &self.persons[other].roster
                    && *roster != fresh
                {
                    return Err(format!("{other} has {roster:?}, and the roster is {fresh:?}"));
                }
            }
        }
        Ok(())
    }
}
