//! What users do in a village.

use c2s::Transport;
use simulation::{Client, Login, Mechanism};

use crate::person::Person;
use crate::tables::{Side, User};
use crate::village::{PERSONS_MAX, RESOURCES, USERS, Village, bare};

const BLOCKING: &str = "urn:xmpp:blocking";

impl Village {
    /// Somebody does something; the tables say what must come of it.
    pub(crate) fn act(&mut self) {
        let there = self.persons(Person::is_there);
        let open = self.persons(|person| !person.over).len();
        if there.is_empty() || self.dice.percent(20) {
            if open < PERSONS_MAX {
                self.connect();
            }
            return;
        }
        let Some(place) = self.dice.pick(&there).copied() else {
            return;
        };
        let user = self.persons[place].user;
        let other = (user + 1 + self.dice.below(USERS.len() - 1)) % USERS.len();
        match self.dice.below(100) {
            ..18 => self.come(place),
            18..24 => self.go(place),
            24..30 => self.ask_for_roster(place),
            30..34 => self.end(place, "closes its stream", |village, id| {
                village.world.say(id, b"</stream:stream>");
            }),
            34..38 => self.end(place, "loses the connection", |village, id| {
                village.world.hang_up(id);
            }),
            38..72 => self.subscription(place, other),
            72..77 => self.roster_set(place, other),
            77..84 => self.show_directly(place, other),
            84..92 => self.block(place, other),
            _ => {}
        }
    }

    fn connect(&mut self) {
        let user = self.dice.below(USERS.len());
        let resource = self.dice.pick(&RESOURCES).copied().unwrap_or_default();
        let full = format!("{}/{resource}", bare(user));
        // Who takes a resource over is followed elsewhere: here a name is one client for a whole round.
        if self.names_of_the_round.contains(&full)
            || self
                .persons
                .iter()
                .any(|person| !person.over && person.wants(&full))
        {
            return;
        }
        self.names_of_the_round.insert(full.clone());
        let id = self.world.connect(Transport::DirectTls);
        let login = Login::new(USERS[user], "example.com", "secret", self.dice.fork())
            .resource(resource)
            .by(Mechanism::Plain, None);
        self.tell(|| format!("{} connects as {full}", self.persons.len()));
        self.world.say(id, &login.open());
        self.persons.push(Person {
            id,
            client: Client::default(),
            user,
            wanted: full,
            login: Some(login),
            address: None,
            over: false,
            available: false,
            shown: Vec::new(),
            shown_ever: Vec::new(),
            told: std::collections::BTreeMap::new(),
            roster: None,
        });
    }

    fn end(&mut self, place: usize, how: &str, end: impl FnOnce(&mut Village, simulation::ConnectionId)) {
        self.tell(|| format!("{place} {how}"));
        let person = &mut self.persons[place];
        person.over = true;
        let (id, name) = (person.id, person.wanted.clone());
        self.names_of_the_round.insert(name);
        end(self, id);
    }

    /// Initial presence, or another.
    pub(crate) fn come(&mut self, place: usize) {
        let priority = self.dice.below(3) as i8 - 1;
        self.persons[place].available = true;
        self.say(
            place,
            &format!("<presence><priority>{priority}</priority></presence>"),
        );
    }

    fn go(&mut self, place: usize) {
        let person = &mut self.persons[place];
        person.available = false;
        person.shown.clear();
        self.say(place, "<presence type='unavailable'/>");
    }

    pub(crate) fn ask_for_roster(&mut self, place: usize) {
        self.say(
            place,
            "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>",
        );
    }

    /// One of the four stanzas. Two users do one such thing in a round: what comes of two at once is up to chance.
    fn subscription(&mut self, place: usize, other: User) {
        let user = self.persons[place].user;
        if self.is_blocked(user, other) || !self.takes_turn(user, other) {
            return;
        }
        let (mine, theirs) = (self.tables.side(user, other), self.tables.side(other, user));
        let kind = match self.dice.below(10) {
            0..4 => {
                self.tables.subscribe(user, other);
                "subscribe"
            }
            4..7 => {
                self.tables.subscribed(user, other);
                "subscribed"
            }
            7 | 8 => {
                self.tables.unsubscribe(user, other);
                "unsubscribe"
            }
            _ => {
                self.tables.unsubscribed(user, other);
                "unsubscribed"
            }
        };
        self.forget_shown(user, other, mine);
        self.forget_shown(other, user, theirs);
        self.say(place, &format!("<presence to='{}' type='{kind}'/>", bare(other)));
    }

    fn roster_set(&mut self, place: usize, other: User) {
        let user = self.persons[place].user;
        if self.is_blocked(user, other) || !self.takes_turn(user, other) {
            return;
        }
        let (mine, theirs) = (self.tables.side(user, other), self.tables.side(other, user));
        let item = if self.dice.percent(50) {
            self.tables.set(user, other);
            format!("jid='{}' name='somebody'", bare(other))
        } else {
            self.tables.remove(user, other);
            format!("jid='{}' subscription='remove'", bare(other))
        };
        self.forget_shown(user, other, mine);
        self.forget_shown(other, user, theirs);
        self.say(
            place,
            &format!("<iq type='set' id='set'><query xmlns='jabber:iq:roster'><item {item}/></query></iq>"),
        );
    }

    /// RFC 6121 §4.6.1: directed presence does not outlive a subscription that ends.
    fn forget_shown(&mut self, user: User, other: User, before: Side) {
        if before.from && !self.tables.side(user, other).from {
            for person in self.persons.iter_mut().filter(|person| person.user == user) {
                person.shown.retain(|shown| *shown != bare(other));
            }
        }
    }

    /// Directed presence, to somebody who does not see the user anyway.
    fn show_directly(&mut self, place: usize, other: User) {
        let user = self.persons[place].user;
        if self.is_blocked(user, other) || self.tables.side(user, other).from || !self.takes_turn(user, other)
        {
            return;
        }
        // Always under the same address: to be told goodbye under each would be right.
        let to = if (place + other).is_multiple_of(2) {
            bare(other)
        } else {
            format!("{}/{}", bare(other), RESOURCES[place % RESOURCES.len()])
        };
        let person = &mut self.persons[place];
        let kind = if let Some(shown) = person.shown.iter().position(|shown| *shown == bare(other)) {
            person.shown.remove(shown);
            // Who ends it is not told how the other goes on (DCL-10).
            if !self.tables.side(other, user).from {
                person
                    .told
                    .retain(|address, _| !address.starts_with(USERS[other]));
            }
            " type='unavailable'"
        } else {
            person.shown.push(bare(other));
            person.shown_ever.push(bare(other));
            ""
        };
        self.say(place, &format!("<presence to='{to}'{kind}/>"));
    }

    fn block(&mut self, place: usize, other: User) {
        let user = self.persons[place].user;
        if !self.takes_turn(user, other) {
            return;
        }
        let (word, item) = if self.blocks.remove(&(user, other)) {
            ("unblock", bare(other))
        } else {
            self.blocks.insert((user, other));
            for person in self.persons.iter_mut().filter(|person| person.user == user) {
                person.shown.retain(|shown| *shown != bare(other));
            }
            ("block", bare(other))
        };
        self.say(
            place,
            &format!(
                "<iq type='set' id='block'><{word} xmlns='{BLOCKING}'><item jid='{item}'/></{word}></iq>"
            ),
        );
    }

    /// Whether these two have done nothing to each other yet in this round.
    fn takes_turn(&mut self, user: User, other: User) -> bool {
        self.pairs_of_the_round.insert((user.min(other), user.max(other)))
    }

    pub(crate) fn say(&mut self, place: usize, stanza: &str) {
        self.tell(|| format!("{place} says {stanza}"));
        let id = self.persons[place].id;
        self.world.say(id, stanza.as_bytes());
    }
}
