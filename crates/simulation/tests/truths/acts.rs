//! What happens in a world.

use simulation::Reach;

use crate::people::{Answers, Caps, RESOURCES, User, bare, server_of, user_of};
use crate::voyage::Voyage;

impl Voyage {
    pub(crate) fn act(&mut self) {
        let there = self.people(|person| person.is_there());
        let Some(place) = self.dice.pick(&there).copied() else {
            return self.somebody_comes();
        };
        match self.dice.below(100) {
            ..12 => self.somebody_comes(),
            12..26 => self.show(place),
            26..30 => self.hide(place),
            30..34 => self.leave(place),
            34..45 => self.lose(place),
            45..55 => self.somebody_returns(),
            55..61 => self.show_directly(place),
            61..70 => self.change_subscription(),
            70..74 => self.block(place),
            74..78 => self.answer(place),
            78..95 => self.change_way(),
            95..97 => self.crash(),
            97.. => self.change_caps(place),
        }
    }

    fn somebody_comes(&mut self) {
        let users: Vec<User> = self.users().collect();
        if let (Some(user), Some(resource), true) = (
            self.dice.pick(&users).copied(),
            self.dice.pick(&RESOURCES).copied(),
            self.has_room(),
        ) {
            self.connect(user, resource);
        }
    }

    fn somebody_returns(&mut self) {
        let paused = self.people(|person| person.is_paused());
        if let Some(place) = self.dice.pick(&paused).copied() {
            self.come_back(place);
        }
    }

    /// Presence to all.
    pub(crate) fn show(&mut self, place: usize) {
        let number = self.number();
        let person = &mut self.people[place];
        person.is_new |= person.available.is_none();
        person.available = Some(number);
        person.lately.push(number);
        let caps = person.caps.child();
        // What a subscriber holds from now on is this.
        let (user, mut shown) = (person.user, std::mem::take(&mut person.shown));
        shown.retain(|to, _| user_of(to).is_none_or(|other| !self.lets_see(user, other)));
        self.people[place].shown = shown;
        self.say(
            place,
            &format!("<presence><status>{number}</status>{caps}</presence>"),
        );
        self.permit();
    }

    fn hide(&mut self, place: usize) {
        let (from, user) = (self.people[place].full.clone(), self.people[place].user);
        for other in self.users().filter(|other| *other != user) {
            let is_shown = |to: &String| user_of(to) == Some(other);
            if self.lets_see(user, other) || self.people[place].shown.keys().any(is_shown) {
                self.dismiss(&from, other, |_| true);
            }
        }
        let person = &mut self.people[place];
        person.available = None;
        person.shown.clear();
        person.told.clear();
        self.say(place, "<presence type='unavailable'/>");
    }

    fn leave(&mut self, place: usize) {
        self.say(place, "</stream:stream>");
        self.people[place].device.end();
    }

    /// The connection breaks.
    fn lose(&mut self, place: usize) {
        let now = self.now();
        let person = &mut self.people[place];
        person.device.hang_up(&mut self.servers);
        person.device.lose(now);
        let (full, line) = (person.full.clone(), person.device.line());
        self.tell(|| format!("{full} loses the connection: {line:?}"));
    }

    /// Directed presence, and its end.
    fn show_directly(&mut self, place: usize) {
        let user = self.people[place].user;
        let viewers = self.people(|other| other.user != user && other.device.is_bound());
        let Some(viewer) = self.dice.pick(&viewers).copied() else {
            return;
        };
        let other = self.people[viewer].user;
        if self.is_blocked(user, other) || self.lets_see(user, other) {
            return;
        }
        let to = if self.dice.percent(50) {
            bare(other)
        } else {
            self.people[viewer].full.clone()
        };
        if self.people[place]
            .shown
            .keys()
            .any(|shown| *shown != to && user_of(shown) == Some(other))
        {
            return;
        }
        if self.people[place].shown.contains_key(&to) && self.dice.percent(60) {
            self.people[place].shown.remove(&to);
            let from = self.people[place].full.clone();
            self.dismiss(&from, other, |client| client == to || bare(other) == to);
            return self.say(place, &format!("<presence to='{to}' type='unavailable'/>"));
        }
        let number = self.number();
        self.directed.insert(number);
        let person = &mut self.people[place];
        person.shown.insert(to.clone(), number);
        let caps = person.caps.child();
        self.say(
            place,
            &format!("<presence to='{to}'><status>{number}</status>{caps}</presence>"),
        );
    }

    fn change_subscription(&mut self) {
        let users: Vec<User> = self.users().collect();
        let (one, other) = (self.dice.below(users.len()), self.dice.below(users.len()));
        if one == other || self.is_blocked(one, other) {
            return;
        }
        if self.lets_see(one, other) {
            self.revoke(one, other);
        } else {
            self.grant(one, other);
        }
    }

    /// `user` lets `viewer` see its presence, who asks for it.
    pub(crate) fn grant(&mut self, user: User, viewer: User) {
        let now = self.now();
        let (Some(first), Some(second)) = (self.client_of(user), self.client_of(viewer)) else {
            return;
        };
        self.grants.insert((user, viewer), (true, now));
        self.renounced.remove(&(user, viewer));
        self.note_doubt(user, viewer);
        // Who is not available has nothing else to show, and goes on showing that.
        for person in self
            .people
            .iter_mut()
            .filter(|person| person.user == user && person.available.is_some())
        {
            person.shown.retain(|to, _| user_of(to) != Some(viewer));
        }
        self.say(
            first,
            &format!("<presence to='{}' type='subscribed'/>", bare(viewer)),
        );
        self.say(
            second,
            &format!("<presence to='{}' type='subscribe'/>", bare(user)),
        );
        self.permit();
    }

    fn revoke(&mut self, user: User, viewer: User) {
        let now = self.now();
        let renounces = self.dice.percent(30);
        let by = if renounces { viewer } else { user };
        let Some(place) = self.client_of(by) else { return };
        let gone = self.people(|person| {
            let is_shown = person.shown.keys().any(|to| user_of(to) == Some(viewer));
            person.user == user && (person.available.is_some() || is_shown)
        });
        for place in gone {
            let from = self.people[place].full.clone();
            self.dismiss(&from, viewer, |_| true);
        }
        if renounces {
            self.renounced.insert((user, viewer));
            self.note_doubt(user, viewer);
            return self.say(
                place,
                &format!("<presence to='{}' type='unsubscribe'/>", bare(user)),
            );
        }
        self.grants.insert((user, viewer), (false, now));
        self.note_doubt(user, viewer);
        for person in self.people.iter_mut().filter(|person| person.user == user) {
            person.shown.retain(|to, _| user_of(to) != Some(viewer));
        }
        self.say(
            place,
            &format!("<presence to='{}' type='unsubscribed'/>", bare(viewer)),
        );
    }

    /// This address says goodbye to clients of a user: they no longer show themselves to it in particular, and it is not told
    /// how they go on (RFC 6121 §4.6.1, DCL-10).
    fn dismiss(&mut self, from: &str, other: User, is_meant: impl Fn(&str) -> bool) {
        let mut dismissed = Vec::new();
        for client in self.people.iter_mut().filter(|client| client.user == other) {
            if is_meant(&client.full)
                && let Some(number) = client.shown.remove(from)
            {
                dismissed.push((client.full.clone(), number));
            }
        }
        if let Some(person) = self.people.iter_mut().find(|person| person.full == from) {
            person.dismissed.extend(dismissed);
        }
    }

    /// A change of a subscription may not arrive while the way is in trouble: then the rosters say different things, and no
    /// server knows. The same when one who asks and one who refuses do so at the same time.
    fn note_doubt(&mut self, user: User, viewer: User) {
        let crosses = !self.changed.insert((user, viewer)) && server_of(user) != server_of(viewer);
        if crosses || self.is_troubled(server_of(user), server_of(viewer)) {
            self.unsure.insert((user, viewer));
        } else if self.lets_see(user, viewer) && !self.renounced.contains(&(user, viewer)) {
            self.unsure.remove(&(user, viewer));
        }
    }

    /// What was changed in this step may not have arrived.
    fn lose_changes(&mut self, is_between: impl Fn(usize, usize) -> bool) {
        let lost = self.changed.iter().copied();
        self.unsure
            .extend(lost.filter(|(one, other)| is_between(server_of(*one), server_of(*other))));
    }

    pub(crate) fn client_of(&self, user: User) -> Option<usize> {
        self.people(|person| person.is_there() && person.user == user)
            .first()
            .copied()
    }

    pub(crate) fn is_blocked(&self, one: User, other: User) -> bool {
        self.blocks.contains_key(&(one, other)) || self.blocks.contains_key(&(other, one))
    }

    fn block(&mut self, place: usize) {
        let users: Vec<User> = self.users().collect();
        let (user, now) = (self.people[place].user, self.now());
        let Some(other) = self.dice.pick(&users).copied().filter(|other| *other != user) else {
            return;
        };
        let word = if self.blocks.remove(&(user, other)).is_some() {
            // The answers to the questions that this causes may repeat what has come meanwhile.
            for person in self.people.iter_mut().filter(|person| person.user == user) {
                person.is_new = true;
            }
            "unblock"
        } else {
            self.blocks.insert((user, other), now);
            for person in self.people.iter_mut().filter(|person| person.user == user) {
                person.shown.retain(|to, _| user_of(to) != Some(other));
                // Who blocks somebody does not want to know.
                person.told.retain(|from, _| user_of(from) != Some(other));
            }
            "block"
        };
        self.say(
            place,
            &format!(
                "<iq type='set' id='block'><{word} xmlns='urn:xmpp:blocking'><item jid='{}'/></{word}></iq>",
                bare(other)
            ),
        );
    }

    fn change_caps(&mut self, place: usize) {
        let caps = match self.dice.below(3) {
            0 => Caps::Plain(self.dice.below(3)),
            1 => Caps::Boasts,
            _ => Caps::Wants(self.dice.below(3)),
        };
        let person = &mut self.people[place];
        if person.caps.child() == caps.child() {
            // Nobody would ask again.
            return;
        }
        person.caps = caps;
        person.is_new = true;
        if person.answers == Answers::Never {
            person.answers = Answers::AtOnce;
        }
        person.questions.clear();
        self.show(place);
    }

    fn change_way(&mut self) {
        let pairs: Vec<(usize, usize)> = self.ways.keys().copied().collect();
        let Some(pair) = self.dice.pick(&pairs).copied() else {
            return;
        };
        let now = self.now();
        let way = self.ways[&pair];
        let (reach, cuts) = match (way.reach, self.dice.below(10)) {
            (Reach::Open, ..3) => (Reach::Open, true),
            (Reach::Open, 3..7) => (Reach::Refused, true),
            (Reach::Open, 7..) => (Reach::BlackHole, self.dice.percent(20)),
            (Reach::Refused | Reach::BlackHole, ..7) => (Reach::Open, false),
            (Reach::Refused, 7..) => (Reach::BlackHole, false),
            (Reach::BlackHole, 7..) => (Reach::Refused, true),
        };
        self.tell(|| format!("the way {pair:?} is {reach:?}, cut: {cuts}"));
        self.lose_changes(|here, there| (here.min(there), here.max(there)) == pair);
        self.servers.set_way(pair.0, pair.1, reach);
        if cuts {
            self.servers.cut_between(pair.0, pair.1);
        }
        if let Some(way) = self.ways.get_mut(&pair) {
            if way.reach == Reach::BlackHole || reach == Reach::BlackHole {
                way.dark = Some(now);
            }
            way.reach = reach;
            way.troubled = Some(now);
        }
    }

    fn crash(&mut self) {
        // What was said is done: what was lost with the server would be lost by its clients.
        self.servers.settle();
        let (server, now) = (self.dice.below(self.count), self.now());
        self.tell(|| format!("server {server} is killed and started"));
        self.servers.crash(server);
        self.lose_changes(|here, there| here != there && (here == server || there == server));
        for person in self
            .people
            .iter_mut()
            .filter(|person| server_of(person.user) == server)
        {
            person.device.end();
        }
        for (pair, way) in &mut self.ways {
            if pair.0 == server || pair.1 == server {
                way.troubled = Some(now);
            }
        }
    }
}
