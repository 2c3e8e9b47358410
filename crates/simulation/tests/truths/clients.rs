//! How clients come and come back, listen and answer.

use std::collections::BTreeMap;

use simulation::{Device, Line, Login, Mechanism, News};
use xml::Element;

use crate::people::{Answers, Caps, DOMAINS, Person, USERS, User, bare, server_of, user_of};
use crate::voyage::Voyage;

/// Clients at the same time.
const PEOPLE_MAX: usize = 7;

const DISCO: &str = "http://jabber.org/protocol/disco#info";
const ROSTER: &str = "jabber:iq:roster";

impl Voyage {
    pub(crate) fn has_room(&self) -> bool {
        self.people.len() < PEOPLE_MAX
    }

    pub(crate) fn connect(&mut self, user: User, resource: &str) {
        let full = format!("{}/{resource}", bare(user));
        if self.people.iter().any(|person| person.full == full) {
            return;
        }
        let caps = match self.dice.below(100) {
            ..60 => Caps::Wants(self.dice.below(3)),
            60..72 => Caps::Plain(self.dice.below(3)),
            72..84 => Caps::Silent,
            84..88 => Caps::SilentPlain,
            88..94 => Caps::Boasts,
            94.. => Caps::Denies,
        };
        let answers = match self.dice.below(100) {
            ..75 => Answers::AtOnce,
            75..92 => Answers::Late,
            92.. => Answers::Never,
        };
        let (name, server) = USERS[user];
        let login = Login::new(name, DOMAINS[server], "secret", self.dice.fork())
            .resource(resource)
            .by(Mechanism::Plain, None);
        let mut device = Device::new(server);
        device.connect(&mut self.servers, login);
        device.is_resumable = self.dice.percent(70);
        let is_resumable = device.is_resumable;
        self.tell(|| format!("{full} connects: {caps:?}, answers {answers:?}, resumable: {is_resumable}"));
        self.people.push(Person {
            user,
            full,
            device,
            caps,
            answers,
            questions: Vec::new(),
            available: None,
            lately: Vec::new(),
            shown: BTreeMap::new(),
            told: BTreeMap::new(),
            dismissed: BTreeMap::new(),
            merged: 0,
            is_new: true,
            roster: None,
        });
    }

    /// A client whose connection broke comes back.
    pub(crate) fn come_back(&mut self, place: usize) {
        let person = &mut self.people[place];
        let (name, server) = USERS[person.user];
        let login = Login::new(name, DOMAINS[server], "secret", self.dice.fork()).by(Mechanism::Plain, None);
        person.device.connect(&mut self.servers, login);
        person.is_new = true;
        let full = person.full.clone();
        self.tell(|| format!("{full} comes back"));
    }

    pub(crate) fn say(&mut self, place: usize, stanza: &str) {
        let person = &self.people[place];
        self.tell(|| format!("{} says {stanza}", person.full));
        person.device.say(&mut self.servers, stanza);
    }

    pub(crate) fn listen(&mut self, place: usize) -> Result<bool, String> {
        if self.people[place].device.line() != Line::On {
            return Ok(false);
        }
        let has_come = self.people[place].device.read(&mut self.servers);
        self.hear_all(place)
            .map_err(|why| format!("{} {why}", self.people[place].full))?;
        self.people[place].merged = self.merged_by(server_of(self.people[place].user));
        Ok(has_come)
    }

    fn hear_all(&mut self, place: usize) -> Result<(), String> {
        while let Some(news) = self.people[place].device.next(&mut self.servers)? {
            match news {
                News::Bound => {
                    self.people[place].is_new = true;
                    let is_shown = self.dice.percent(85);
                    if is_shown {
                        self.show(place);
                    }
                }
                News::Stanza(element) => {
                    self.tell(|| format!("    {} hears {}", self.people[place].full, element.as_str()));
                    match element.name() {
                        "presence" => self.hear_presence(place, &element)?,
                        "iq" => self.hear_iq(place, &element),
                        _ => {}
                    }
                }
                News::Word(element) => {
                    self.tell(|| format!("    {} hears {}", self.people[place].full, element.as_str()));
                    match element.name() {
                        "enabled" | "r" | "a" | "resumed" => {}
                        name => return Err(format!("hears <{name}/>")),
                    }
                }
            }
        }
        Ok(())
    }

    fn hear_iq(&mut self, place: usize, element: &Element) {
        let tree = element.to_tree();
        let attribute = |name: &str| tree.attribute(name).unwrap_or_default().to_owned();
        if let Some(query) = tree.find(ROSTER, "query") {
            if attribute("type") == "result" {
                let items = query.children().map(|item| {
                    let of = |name: &str| item.attribute(name).unwrap_or_default().to_owned();
                    (of("jid"), of("subscription"))
                });
                self.people[place].roster = Some(items.collect());
            }
            return;
        }
        if attribute("type") == "result" && attribute("id") == "block" {
            // Whoever is blocked from now on may have been heard before the server knew.
            let user = self.people[place].user;
            let blocks = &self.blocks;
            let told = &mut self.people[place].told;
            told.retain(|from, _| user_of(from).is_none_or(|other| !blocks.contains_key(&(user, other))));
        }
        if attribute("type") != "get" {
            return;
        }
        if let Some(query) = tree.find(DISCO, "query") {
            let node = query.attribute("node").unwrap_or_default().to_owned();
            self.people[place]
                .questions
                .push((attribute("id"), node, attribute("from")));
            if self.people[place].answers == Answers::AtOnce {
                self.answer(place);
            }
        }
    }

    /// Answers all questions that wait.
    pub(crate) fn answer(&mut self, place: usize) {
        for (id, node, to) in std::mem::take(&mut self.people[place].questions) {
            let features = self.people[place].caps.answer();
            let node = if node.is_empty() {
                String::new()
            } else {
                format!(" node='{node}'")
            };
            let answer = format!(
                "<iq type='result' id='{id}' to='{to}'><query xmlns='{DISCO}'{node}>{features}</query></iq>"
            );
            self.say(place, &answer);
        }
    }

    pub(crate) fn ask_for_roster(&mut self, place: usize) {
        self.say(
            place,
            "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>",
        );
    }
}
