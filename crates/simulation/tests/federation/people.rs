//! Romeo and Juliet, each at a server, and what they say and hear.

use std::time::Duration;

use c2s::Transport;
use s2s::link::StateName;
use simulation::{
    Client, ConnectionId, Dice, Heard, Login, Mechanism, Passwords, Say, Servers, Settings, TLS_EXPORTER,
};

pub(crate) const MONTAGUE: usize = 0;
pub(crate) const CAPULET: usize = 1;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// One client of one of the servers.
pub(crate) struct Person {
    pub(crate) server: usize,
    pub(crate) connection: ConnectionId,
    pub(crate) client: Client,
}

impl Person {
    /// Logs in.
    pub(crate) fn bound(servers: &mut Servers, server: usize, name: &str, host: &str) -> Person {
        let connection = servers.at(server).connect(Transport::DirectTls);
        let mut login = Login::new(name, host, "secret", Dice::new(1))
            .resource("home")
            .by(Mechanism::Plain, Some(TLS_EXPORTER));
        servers.at(server).say(connection, &login.open());
        let mut client = Client::default();
        let mut bound = false;
        while !bound {
            servers.settle();
            client.read(&servers.at(server).hear(connection));
            while let Some(word) = client.hear().unwrap() {
                match login.hear(&word) {
                    Say::Nothing => {}
                    Say::Bytes(bytes) => servers.at(server).say(connection, &bytes),
                    Say::Anew(bytes) => {
                        client.restart();
                        servers.at(server).say(connection, &bytes);
                    }
                    Say::Bound(_) => bound = true,
                    Say::Failed(why) => panic!("{why}"),
                }
            }
        }
        Person {
            server,
            connection,
            client,
        }
    }

    pub(crate) fn says(&self, servers: &mut Servers, xml: &str) {
        servers.at(self.server).say(self.connection, xml.as_bytes());
        servers.settle();
    }

    /// What came, without what the server asks of clients that do not say what they can (PSA-04).
    pub(crate) fn hears(&mut self, servers: &mut Servers) -> Vec<String> {
        let mut heard = self.hears_all(servers);
        heard.retain(|one| asked(one).is_none());
        heard
    }

    pub(crate) fn hears_all(&mut self, servers: &mut Servers) -> Vec<String> {
        self.client.read(&servers.at(self.server).hear(self.connection));
        let mut heard = Vec::new();
        while let Some(word) = self.client.hear().unwrap() {
            match word {
                Heard::Element(element) => heard.push(element.as_str().to_owned()),
                Heard::Opened(_) | Heard::Closed => heard.push(format!("{word:?}")),
            }
        }
        heard
    }

    /// What came, if it is one thing that has all of these in it.
    pub(crate) fn hears_one(&mut self, servers: &mut Servers, parts: &[&str]) {
        let heard = self.hears(servers);
        assert!(
            heard.len() == 1 && parts.iter().all(|part| heard[0].contains(part)),
            "{heard:?} is not one stanza with {parts:?}"
        );
    }

    pub(crate) fn hears_nothing(&mut self, servers: &mut Servers) {
        assert_eq!(self.hears(servers), Vec::<String>::new());
    }
}

/// Under which id a client is asked what it can.
pub(crate) fn asked(stanza: &str) -> Option<&str> {
    let is_question =
        stanza.starts_with("<iq ") && stanza.contains("type='get'") && stanza.contains("disco#info");
    is_question.then(|| {
        stanza
            .split_once("id='")
            .and_then(|(_, rest)| Some(rest.split_once('\'')?.0))
    })?
}

pub(crate) fn host(domain: &'static str) -> Settings {
    Settings {
        hosts: vec![(domain, Passwords::Scram)],
        open: Vec::new(),
        ..Settings::default()
    }
}

pub(crate) fn two(seed: u64) -> Servers {
    let mut servers = Servers::new(seed, [host("montague.lit"), host("capulet.lit")]);
    servers
        .at(MONTAGUE)
        .create_account("romeo@montague.lit", "secret");
    servers.at(CAPULET).create_account("juliet@capulet.lit", "secret");
    servers
}

/// Both are logged in and available.
pub(crate) fn both(servers: &mut Servers) -> (Person, Person) {
    let mut romeo = Person::bound(servers, MONTAGUE, "romeo", "montague.lit");
    let mut juliet = Person::bound(servers, CAPULET, "juliet", "capulet.lit");
    romeo.says(servers, "<presence/>");
    juliet.says(servers, "<presence/>");
    romeo.hears(servers);
    juliet.hears(servers);
    (romeo, juliet)
}

/// Both are logged in, and each is subscribed to the other.
pub(crate) fn friends(servers: &mut Servers) -> (Person, Person) {
    let (mut romeo, mut juliet) = both(servers);
    romeo.says(servers, "<presence to='juliet@capulet.lit' type='subscribe'/>");
    juliet.says(servers, "<presence to='romeo@montague.lit' type='subscribed'/>");
    juliet.says(servers, "<presence to='romeo@montague.lit' type='subscribe'/>");
    romeo.says(servers, "<presence to='juliet@capulet.lit' type='subscribed'/>");
    romeo.hears(servers);
    juliet.hears(servers);
    (romeo, juliet)
}

pub(crate) fn state(servers: &mut Servers) -> StateName {
    let links = servers.at(MONTAGUE).router().links();
    assert_eq!(links.len(), 1);
    links[0].state
}
