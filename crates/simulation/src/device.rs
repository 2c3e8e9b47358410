//! A client over all the connections of its session: it logs in, comes back to its session, counts what it hears and answers
//! for it (XEP-0198). What it has to say, and what it believes, is up to the world that it lives in.

use c2s::Transport;
use machine::Moment;
use xml::{Element, STREAM_NAMESPACE};

use crate::{Client, ConnectionId, Heard, Login, Say, Servers};

const MANAGEMENT: &str = "urn:xmpp:sm:3";

/// How the session of a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It is connected, or about to be.
    On,
    /// The connection broke, and the session waits for its client.
    Paused(Moment),
    /// There is none, and nobody will hear of it again.
    Over,
}

/// What a device has heard.
#[derive(Debug)]
pub enum News {
    /// It has a session, and may speak.
    Bound,
    /// A stanza, which is counted.
    Stanza(Box<Element>),
    /// A word of stream management. What it asks is answered.
    Word(Box<Element>),
}

/// One client.
pub struct Device {
    /// Where its user lives.
    server: usize,
    /// Whether its next session outlives its connection.
    pub is_resumable: bool,
    connection: Option<ConnectionId>,
    client: Client,
    login: Option<Login>,
    line: Line,
    is_bound: bool,
    /// Under which name its session can be resumed, once it was told.
    resumption: Option<String>,
    /// On its next features it resumes instead of binding, and it says nothing until it has.
    resumes: bool,
    /// Stanzas heard since it counts.
    handled: u32,
    /// Whether the server had closed the connection when it was read last.
    is_closed: bool,
}

impl Device {
    /// One of a user of this server, without a session.
    pub fn new(server: usize) -> Device {
        Device {
            server,
            is_resumable: true,
            connection: None,
            client: Client::default(),
            login: None,
            line: Line::Over,
            is_bound: false,
            resumption: None,
            resumes: false,
            handled: 0,
            is_closed: false,
        }
    }

    /// How its session is.
    pub fn line(&self) -> Line {
        self.line
    }

    /// Its last connection.
    pub fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    /// Whether it can say something.
    pub fn is_there(&self) -> bool {
        self.line == Line::On && self.is_bound && self.login.is_none() && !self.resumes
    }

    /// Whether its session waits for it.
    pub fn is_paused(&self) -> bool {
        matches!(self.line, Line::Paused(_))
    }

    /// Whether its last session had an address.
    pub fn is_bound(&self) -> bool {
        self.is_bound
    }

    /// Whether it was told that it can come back.
    pub fn can_resume(&self) -> bool {
        self.resumption.is_some()
    }

    /// A new connection. The session that waits is resumed on it, if one does.
    pub fn connect(&mut self, servers: &mut Servers, login: Login) {
        self.resumes = self.is_paused();
        let world = servers.at(self.server);
        let connection = world.connect(Transport::DirectTls);
        world.say(connection, &login.open());
        self.connection = Some(connection);
        self.client = Client::default();
        self.login = Some(login);
        self.line = Line::On;
        if !self.resumes {
            self.is_bound = false;
            self.resumption = None;
        }
    }

    /// Its socket is closed; what it knows of that, [`Device::lose`] says.
    pub fn hang_up(&self, servers: &mut Servers) {
        if let Some(connection) = self.connection {
            servers.at(self.server).hang_up(connection);
        }
    }

    /// Its connection is no more, and it knows. Its session waits for it, if it was told so.
    pub fn lose(&mut self, now: Moment) {
        match self.resumption {
            Some(_) => self.line = Line::Paused(now),
            None => self.end(),
        }
    }

    /// Its session is no more, and it knows.
    pub fn end(&mut self) {
        self.line = Line::Over;
        self.resumption = None;
    }

    /// It says something.
    pub fn say(&self, servers: &mut Servers, words: &str) {
        if let Some(connection) = self.connection {
            servers.at(self.server).say(connection, words.as_bytes());
        }
    }

    /// Takes what has come, for [`Device::next`]. False: there was nothing.
    pub fn read(&mut self, servers: &mut Servers) -> bool {
        let Some(connection) = self.connection.filter(|_| self.line == Line::On) else {
            return false;
        };
        let world = servers.at(self.server);
        let bytes = world.hear(connection);
        self.is_closed = world.is_closed(connection);
        self.client.read(&bytes);
        !bytes.is_empty()
    }

    /// What it has heard next that concerns anybody else; `None` until more is read.
    ///
    /// # Errors
    /// When the server has ended the connection, writes what it would not read, or does not let it in.
    pub fn next(&mut self, servers: &mut Servers) -> Result<Option<News>, String> {
        while self.line == Line::On {
            let Some(heard) = self.client.hear().map_err(|error| error.to_string())? else {
                return match self.is_closed {
                    true => Err("was thrown out".to_owned()),
                    false => Ok(None),
                };
            };
            if self.login.is_some() {
                if self.log_in(servers, &heard)? {
                    return Ok(Some(News::Bound));
                }
                continue;
            }
            match heard {
                Heard::Element(element) => return Ok(Some(self.sort(servers, element))),
                Heard::Opened(_) => {}
                Heard::Closed => return Err("was thrown out".to_owned()),
            }
        }
        Ok(None)
    }

    fn sort(&mut self, servers: &mut Servers, element: Box<Element>) -> News {
        match element.name() {
            "presence" | "message" | "iq" => {
                self.handled = self.handled.wrapping_add(1);
                return News::Stanza(element);
            }
            "enabled" => {
                self.resumption = element.attribute("id").map(std::borrow::Cow::into_owned);
                self.handled = 0;
            }
            "resumed" | "failed" => self.resumes = false,
            "r" => {
                let word = format!("<a xmlns='{MANAGEMENT}' h='{}'/>", self.handled);
                self.say(servers, &word);
            }
            _ => {}
        }
        News::Word(element)
    }

    /// One step on the way to a session. True: there it is.
    fn log_in(&mut self, servers: &mut Servers, heard: &Heard) -> Result<bool, String> {
        if self.resumes
            && let Heard::Element(element) = heard
            && element.is(STREAM_NAMESPACE, "features")
            && element
                .child("urn:ietf:params:xml:ns:xmpp-bind", "bind")
                .is_some()
        {
            self.login = None;
            let name = self.resumption.clone().unwrap_or_default();
            let resume = format!(
                "<resume xmlns='{MANAGEMENT}' h='{}' previd='{name}'/>",
                self.handled
            );
            self.say(servers, &resume);
            return Ok(false);
        }
        let (Some(login), Some(connection)) = (&mut self.login, self.connection) else {
            return Ok(false);
        };
        let world = servers.at(self.server);
        match login.hear(heard) {
            Say::Nothing => {}
            Say::Bytes(bytes) => world.say(connection, &bytes),
            Say::Anew(bytes) => {
                self.client.restart();
                world.say(connection, &bytes);
            }
            Say::Bound(_) => {
                self.login = None;
                self.is_bound = true;
                if self.is_resumable {
                    let enable = format!("<enable xmlns='{MANAGEMENT}' resume='true'/>");
                    world.say(connection, enable.as_bytes());
                }
                return Ok(true);
            }
            Say::Failed(why) => return Err(format!("cannot log in: {why}")),
        }
        Ok(false)
    }
}
