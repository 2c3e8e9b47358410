//! How clients connect, log in, resume, listen and answer.

use std::collections::BTreeMap;

use c2s::Transport;
use simulation::{Client, Heard, Login, Mechanism, Say};
use xml::Element;

use crate::people::{Answers, Caps, DOMAINS, Line, Person, USERS, User, bare, server_of, user_of};
use crate::voyage::Voyage;

/// Clients at the same time.
const PEOPLE_MAX: usize = 7;

const CLIENT: &str = "jabber:client";
const STREAM: &str = "http://etherx.jabber.org/streams";
const MANAGEMENT: &str = "urn:xmpp:sm:3";
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
        let world = self.servers.at(server_of(user));
        let connection = world.connect(Transport::DirectTls);
        let (name, server) = USERS[user];
        let login = Login::new(name, DOMAINS[server], "secret", self.dice.fork())
            .resource(resource)
            .by(Mechanism::Plain, None);
        world.say(connection, &login.open());
        let is_resumable = self.dice.percent(70);
        self.tell(|| format!("{full} connects: {caps:?}, answers {answers:?}, resumable: {is_resumable}"));
        self.people.push(Person {
            user,
            full,
            connection,
            client: Client::default(),
            login: Some(login),
            bound: false,
            line: Line::On,
            is_resumable,
            resumption: None,
            resumes: false,
            handled: 0,
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
        let person = &self.people[place];
        let (name, server) = USERS[person.user];
        let world = self.servers.at(server);
        let connection = world.connect(Transport::DirectTls);
        let login = Login::new(name, DOMAINS[server], "secret", self.dice.fork()).by(Mechanism::Plain, None);
        world.say(connection, &login.open());
        let person = &mut self.people[place];
        person.connection = connection;
        person.client = Client::default();
        person.login = Some(login);
        person.resumes = true;
        person.line = Line::On;
        person.is_new = true;
        let full = person.full.clone();
        self.tell(|| format!("{full} comes back"));
    }

    pub(crate) fn say(&mut self, place: usize, stanza: &str) {
        let person = &self.people[place];
        self.tell(|| format!("{} says {stanza}", person.full));
        self.servers
            .at(server_of(person.user))
            .say(person.connection, stanza.as_bytes());
    }

    pub(crate) fn listen(&mut self, place: usize) -> Result<bool, String> {
        let person = &mut self.people[place];
        if person.line != Line::On {
            return Ok(false);
        }
        let world = self.servers.at(server_of(person.user));
        let bytes = world.hear(person.connection);
        let is_closed = world.is_closed(person.connection);
        person.client.read(&bytes);
        while let Some(heard) = self.people[place]
            .client
            .hear()
            .map_err(|error| format!("{error}"))?
        {
            self.hear(place, &heard)
                .map_err(|why| format!("{} {why}", self.people[place].full))?;
        }
        if is_closed && self.people[place].line == Line::On {
            return Err(format!("{} was thrown out", self.people[place].full));
        }
        self.people[place].merged = self.merged_by(server_of(self.people[place].user));
        Ok(!bytes.is_empty())
    }

    fn hear(&mut self, place: usize, heard: &Heard) -> Result<(), String> {
        if self.people[place].login.is_some() {
            return self.log_in(place, heard);
        }
        let element = match heard {
            Heard::Element(element) => element,
            Heard::Opened(_) => return Ok(()),
            Heard::Closed => return Err("was thrown out".to_owned()),
        };
        self.tell(|| format!("    {} hears {}", self.people[place].full, element.as_str()));
        let is_stanza = ["presence", "iq", "message"]
            .iter()
            .any(|name| element.is(CLIENT, name));
        if !is_stanza {
            return self.manage(place, element);
        }
        self.people[place].handled = self.people[place].handled.wrapping_add(1);
        if element.is(CLIENT, "presence") {
            return self.hear_presence(place, element);
        }
        if element.is(CLIENT, "iq") {
            self.hear_iq(place, element);
        }
        Ok(())
    }

    /// Words of stream management (XEP-0198).
    fn manage(&mut self, place: usize, element: &Element) -> Result<(), String> {
        let person = &mut self.people[place];
        match element.name() {
            "enabled" => {
                person.resumption = element.attribute("id").map(std::borrow::Cow::into_owned);
                person.handled = 0;
            }
            "r" => {
                let word = format!("<a xmlns='{MANAGEMENT}' h='{}'/>", person.handled);
                let (server, connection) = (server_of(person.user), person.connection);
                self.servers.at(server).say(connection, word.as_bytes());
            }
            "a" | "resumed" => {}
            name => return Err(format!("hears <{name}/>")),
        }
        Ok(())
    }

    fn log_in(&mut self, place: usize, heard: &Heard) -> Result<(), String> {
        let person = &mut self.people[place];
        let (connection, server) = (person.connection, server_of(person.user));
        let world = self.servers.at(server);
        if person.resumes
            && let Heard::Element(element) = heard
            && element.is(STREAM, "features")
            && element
                .child("urn:ietf:params:xml:ns:xmpp-bind", "bind")
                .is_some()
        {
            person.resumes = false;
            person.login = None;
            let name = person.resumption.clone().unwrap_or_default();
            let resume = format!(
                "<resume xmlns='{MANAGEMENT}' h='{}' previd='{name}'/>",
                person.handled
            );
            world.say(connection, resume.as_bytes());
            return Ok(());
        }
        let Some(login) = &mut person.login else {
            return Ok(());
        };
        match login.hear(heard) {
            Say::Nothing => {}
            Say::Bytes(bytes) => world.say(connection, &bytes),
            Say::Anew(bytes) => {
                person.client.restart();
                world.say(connection, &bytes);
            }
            Say::Bound(_) => {
                person.login = None;
                person.bound = true;
                person.is_new = true;
                if person.is_resumable {
                    let enable = format!("<enable xmlns='{MANAGEMENT}' resume='true'/>");
                    world.say(connection, enable.as_bytes());
                }
                let is_shown = self.dice.percent(85);
                if is_shown {
                    self.show(place);
                }
            }
            Say::Failed(why) => return Err(format!("cannot log in: {why}")),
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
