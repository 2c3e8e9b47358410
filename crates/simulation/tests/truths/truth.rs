//! What must be so.

use std::collections::BTreeMap;
use std::time::Duration;

use simulation::{Line, Reach};
use xml::Element;

use crate::people::{DOMAINS, Interest, Person, Told, User, View, bare, server_of, user_of};
use crate::voyage::Voyage;

const SECOND: Duration = Duration::from_secs(1);

/// How long what changed on a way may still matter: an attempt that hangs, the longest pause between attempts, the time for
/// which a flapping link is doubted, the question for fresh presence, and what is concluded from its answer.
const AFTERMATH: Duration = Duration::from_secs(130);

impl Voyage {
    /// What a client hears of somebody's presence.
    pub(crate) fn hear_presence(&mut self, place: usize, element: &Element) -> Result<(), String> {
        let Some(told) = Told::of(element) else {
            return Ok(());
        };
        let Some(sender) = user_of(&told.from) else {
            return Ok(());
        };
        let person = &mut self.people[place];
        if told.from == person.full {
            if told.kind.as_deref() == Some("unavailable") {
                // What came before that was said to who was still there.
                person.told.clear();
            }
            return Ok(());
        }
        let person = &self.people[place];
        let heard = || format!("hears {}", element.as_str());
        if let Some(since) = self.blocks.get(&(person.user, sender))
            && *since < self.step_began
            && !person.is_new
            && !matches!(told.kind.as_deref(), Some("error"))
        {
            return Err(format!("{}, whom the user blocks", heard()));
        }
        match told.kind.as_deref() {
            None => self
                .hear_available(place, sender, told)
                .map_err(|why| format!("{}: {why}", heard())),
            Some("unavailable") => {
                if !told.marks.is_empty() {
                    return Err(format!("{}: the end is never annotated (PSA-41)", heard()));
                }
                self.forget(place, &told.from);
                Ok(())
            }
            Some("unsubscribed") => {
                self.forget(place, &told.from);
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    fn forget(&mut self, place: usize, from: &str) {
        self.people[place].dismissed.remove(from);
        let told = &mut self.people[place].told;
        match from.contains('/') {
            true => drop(told.remove(from)),
            false => told.retain(|full, _| user_of(full) != user_of(from)),
        }
    }

    fn hear_available(&mut self, place: usize, sender: User, told: Told) -> Result<(), String> {
        let is_last_word = self.is_last_word(place);
        let person = &self.people[place];
        let before = person.told.get(&told.from);
        // An answer to a probe of one resource says only that it is there.
        let Some(number) = told.number.or(before.map(|view| view.number)) else {
            return Ok(());
        };
        if person.user != sender && !self.may_ever_see(person.user, number) {
            return Err("that is not for this user".to_owned());
        }
        for (by, state) in &told.marks {
            self.check_mark(person, sender, &told, by, state, is_last_word)?;
        }
        let is_marked = !told.marks.is_empty();
        let content = match (told.number, before) {
            (None, Some(view)) => view.content.clone(),
            (Some(_), _) | (None, None) => told.content,
        };
        let marks: BTreeMap<String, String> = told
            .marks
            .into_iter()
            .filter(|(_, state)| !state.is_empty())
            .collect();
        let view = View {
            number,
            content,
            marks,
        };
        if is_marked && before == Some(&view) && !person.is_new && person.is_watching() && !is_last_word {
            return Err("that was told before".to_owned());
        }
        self.seen.annotations += usize::from(is_marked);
        let from = told.from;
        let dismissed = &mut self.people[place].dismissed;
        dismissed.retain(|whom, before| *whom != from || *before == number);
        self.people[place].told.insert(from, view);
        Ok(())
    }

    /// What is told, taken back and told again before the client could take it is told by its last word (PSA-45), which may be
    /// what the client was told before. So it is only where the client's server has merged annotations since it listened.
    fn is_last_word(&mut self, place: usize) -> bool {
        let (server, before) = (server_of(self.people[place].user), self.people[place].merged);
        self.merged_by(server) > before
    }

    fn check_mark(
        &self,
        person: &Person,
        sender: User,
        told: &Told,
        by: &str,
        state: &str,
        is_last_word: bool,
    ) -> Result<(), String> {
        let (ours, theirs) = (DOMAINS[server_of(person.user)], DOMAINS[server_of(sender)]);
        let fits = match state {
            "" => by == ours || by == theirs,
            "connection-paused" => by == theirs,
            "server-unavailable" => by == ours && ours != theirs,
            _ => false,
        };
        if !fits {
            return Err(format!("{by} cannot say {state:?} (PSA-10, PSA-17)"));
        }
        if person.interest() == Interest::MustNot {
            return Err("nobody asked for annotations (PSA-02, PSA-03)".to_owned());
        }
        if told.to != person.full {
            return Err("an annotation goes to one client (PSA-08)".to_owned());
        }
        let before = person.told.get(&told.from);
        if state.is_empty() && !person.is_new {
            let was_marked = before.is_some_and(|view| view.marks.contains_key(by));
            if !was_marked && !is_last_word {
                return Err(format!("{by} takes back what it has not said (PSA-14, PSA-39)"));
            }
        }
        if let Some(view) = before
            && (state.is_empty() || by == ours && ours != theirs)
            && !person.is_new
            && (told.number != Some(view.number) || told.content != view.content)
        {
            return Err(format!("the earlier presence was {} (PSA-09)", view.content));
        }
        Ok(())
    }

    /// After a step: what everybody was told is so, or says that it may not be, or became wrong a moment ago.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        let now = self.now();
        let (mut wrong, mut alarms) = (BTreeMap::new(), BTreeMap::new());
        for viewer in self.people.iter().filter(|person| person.is_watching()) {
            for (from, view) in &viewer.told {
                let Some(sender) = user_of(from).filter(|_| !viewer.dismissed.contains_key(from)) else {
                    continue;
                };
                self.seen.compared += 1;
                self.seen.doubtful += usize::from(!view.marks.is_empty());
                let key = (viewer.full.clone(), from.clone());
                let (here, there) = (server_of(viewer.user), server_of(sender));
                if let Some(why) = self.what_is_wrong(viewer, sender, from, view) {
                    if !viewer.asks() {
                        // Of those who ask for annotations it must be told from then on.
                        continue;
                    }
                    let since = *self.wrong.get(&key).unwrap_or(&now);
                    let grace = self.grace(here, there);
                    if viewer.interest() == Interest::Must && now.since(since) > grace {
                        return Err(format!(
                            "{} believes since {since:?} that {from} is {view:?}, but {why}",
                            viewer.full
                        ));
                    }
                    wrong.insert(key, since);
                } else if let Some(why) = self
                    .what_is_needless(here, there, from, view)
                    .filter(|_| viewer.looks())
                {
                    let since = *self.alarms.get(&key).unwrap_or(&now);
                    if now.since(since) > self.patience(here, there) {
                        return Err(format!(
                            "{} doubts since {since:?} that {from} is {view:?}, but {why}",
                            viewer.full
                        ));
                    }
                    alarms.insert(key, since);
                }
            }
        }
        (self.wrong, self.alarms) = (wrong, alarms);
        Ok(())
    }

    /// Why a view is untrue without saying so.
    fn what_is_wrong(&self, viewer: &Person, sender: User, from: &str, view: &View) -> Option<String> {
        if !view.marks.is_empty() {
            return None;
        }
        if self.was_shown_to_one(view.number) && server_of(sender) != server_of(viewer.user) {
            // When the end of directed presence is lost with the path, nobody can be asked about it.
            return None;
        }
        if self.unsure.contains(&(sender, viewer.user)) {
            return None;
        }
        let Some(contact) = self
            .people
            .iter()
            .find(|person| person.full == from && person.lives())
        else {
            return Some("nobody is there".to_owned());
        };
        let sees = self.lets_see(sender, viewer.user);
        let is_blocked = self.blocks.contains_key(&(sender, viewer.user));
        let numbers = contact.number_for(viewer, sees);
        if is_blocked || !numbers.contains(&view.number) {
            return Some(format!(
                "{from} is {numbers:?}, seen: {sees}, blocked: {is_blocked}"
            ));
        }
        let is_told_of_pauses = server_of(sender) == server_of(viewer.user)
            || sees
                && self.lets_see(viewer.user, sender)
                && !self.renounced.contains(&(viewer.user, sender))
                && !self.unsure.contains(&(viewer.user, sender))
                && !self.is_blocked(viewer.user, sender);
        (contact.is_paused() && is_told_of_pauses).then(|| "is paused".to_owned())
    }

    /// Why a doubt is needless.
    fn what_is_needless(&self, here: usize, there: usize, from: &str, view: &View) -> Option<String> {
        let contact = self.people.iter().find(|person| person.full == from)?;
        let states: Vec<&str> = view.marks.values().map(String::as_str).collect();
        let is_open = here == there || self.way(here, there).reach == Reach::Open;
        if states.contains(&"server-unavailable") && !is_open {
            // Nobody can be asked about the rest.
            return None;
        }
        if states.contains(&"connection-paused") && contact.is_there() {
            return Some("is there".to_owned());
        }
        (states.contains(&"server-unavailable") && is_open).then(|| "the way is open".to_owned())
    }

    pub(crate) fn way(&self, one: usize, other: usize) -> crate::voyage::Way {
        self.ways[&(one.min(other), one.max(other))]
    }

    pub(crate) fn is_troubled(&self, one: usize, other: usize) -> bool {
        if one == other {
            return false;
        }
        let (way, now) = (self.way(one, other), self.now());
        let recently = |at: Option<_>| at.is_some_and(|at| now.since(at) < AFTERMATH);
        way.reach != Reach::Open || recently(way.troubled) || recently(way.dark)
    }

    /// How long something may be untrue (clauses §4.6).
    fn grace(&self, here: usize, there: usize) -> Duration {
        if here == there {
            return Duration::ZERO;
        }
        let (way, now) = (self.way(here, there), self.now());
        if way.dark.is_some_and(|at| now.since(at) < AFTERMATH) {
            // 30 s of silence, 15 s for an answer, 10 s of grace.
            60 * SECOND
        } else if way.troubled.is_some_and(|at| now.since(at) < AFTERMATH) {
            // 10 s of grace; or 5 s until fresh presence is asked for, and 10 until it is known who did not answer.
            16 * SECOND
        } else {
            SECOND
        }
    }

    /// How long a doubt may last when there is no reason for it any more (PSA-49).
    fn patience(&self, here: usize, there: usize) -> Duration {
        if here == there {
            return Duration::ZERO;
        }
        let (way, now) = (self.way(here, there), self.now());
        if way.troubled.is_some_and(|at| now.since(at) < AFTERMATH) {
            AFTERMATH
        } else {
            SECOND
        }
    }

    /// All ways are open for long enough: everybody knows everything.
    pub(crate) fn calm(&mut self) -> Result<(), String> {
        self.step_began = self.now();
        let pairs: Vec<(usize, usize)> = self.ways.keys().copied().collect();
        let now = self.now();
        for pair in pairs {
            self.servers.set_way(pair.0, pair.1, Reach::Open);
            if let Some(way) = self.ways.get_mut(&pair).filter(|way| way.reach != Reach::Open) {
                if way.reach == Reach::BlackHole {
                    way.dark = Some(now);
                }
                way.reach = Reach::Open;
                way.troubled = Some(now);
            }
        }
        self.tell(|| "-- all ways are open".to_owned());
        for _ in 0..4 {
            self.pass(35 * SECOND)?;
            self.check()?;
            for person in &mut self.people {
                person.is_new = false;
            }
        }
        for place in self.people(Person::is_there) {
            self.ask_for_roster(place);
        }
        self.rest()?;
        self.check_all()?;
        self.tell(|| "-- all is so".to_owned());
        Ok(())
    }

    fn check_all(&mut self) -> Result<(), String> {
        for viewer in self.people.iter().filter(|person| person.is_watching()) {
            for (from, view) in viewer
                .told
                .iter()
                .filter(|(from, _)| !viewer.dismissed.contains_key(*from))
            {
                if let Some(why) =
                    user_of(from).and_then(|sender| self.what_is_wrong(viewer, sender, from, view))
                {
                    return Err(format!(
                        "{} believes at rest that {from} is {view:?}, but {why}",
                        viewer.full
                    ));
                }
                if viewer.looks()
                    && !view.marks.is_empty()
                    && self.people.iter().all(|person| !person.is_paused())
                {
                    return Err(format!("{} doubts at rest that {from} is {view:?}", viewer.full));
                }
            }
            for contact in self
                .people
                .iter()
                .filter(|person| person.device.line() == Line::On && person.full != viewer.full)
            {
                self.seen.compared += 1;
                let (Some(number), true) = (contact.available, self.is_seen(contact, viewer)) else {
                    continue;
                };
                let view = viewer.told.get(&contact.full);
                if view.is_none_or(|view| view.number != number) {
                    return Err(format!(
                        "{} believes at rest that {} is {view:?}, but it is {number}",
                        viewer.full, contact.full
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether both rosters say that one sees the other, and nobody blocks.
    fn is_seen(&self, contact: &Person, viewer: &Person) -> bool {
        if contact.user == viewer.user {
            return true;
        }
        let has = |person: &Person, other: User, wanted: [&str; 2]| {
            let item = person.roster.as_ref().and_then(|roster| roster.get(&bare(other)));
            item.is_some_and(|item| wanted.contains(&item.as_str()))
        };
        has(contact, viewer.user, ["from", "both"])
            && has(viewer, contact.user, ["to", "both"])
            && !self.is_blocked(contact.user, viewer.user)
    }
}
