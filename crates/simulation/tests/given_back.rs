//! A world that is over gives its memory back, and so does a server in it that was killed or restarted: worlds are run by the ten
//! thousand in one process.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::{Arc, Weak};
use std::time::Duration;

use c2s::Transport;
use router::Router;
use simulation::{Client, Dice, Login, Mechanism, Passwords, Say, Servers, Settings};

const ROOM: &str = "ball@rooms.montague.lit";

fn servers() -> Servers {
    let settings = |domain, rooms: &[&'static str]| Settings {
        hosts: vec![(domain, Passwords::Scram)],
        open: Vec::new(),
        rooms: rooms.to_vec(),
        resume_timeout: Duration::from_secs(60),
        ..Settings::default()
    };
    let montague = settings("montague.lit", &["rooms.montague.lit"]);
    let capulet = settings("capulet.lit", &[]);
    let mut servers = Servers::new(7, [montague, capulet]);
    servers.at(0).create_account("romeo@montague.lit", "secret");
    servers.at(1).create_account("juliet@capulet.lit", "secret");
    servers
}

/// Somebody comes, shows itself, enters the room, and asks for acknowledgements.
fn live(servers: &mut Servers, server: usize, name: &str, domain: &str) {
    let connection = servers.at(server).connect(Transport::DirectTls);
    let mut login = Login::new(name, domain, "secret", Dice::new(1))
        .resource("one")
        .by(Mechanism::Plain, None);
    servers.at(server).say(connection, &login.open());
    let mut client = Client::default();
    let mut is_bound = false;
    while !is_bound {
        servers.settle();
        let bytes = servers.at(server).hear(connection);
        assert!(!bytes.is_empty(), "{name} cannot log in");
        client.read(&bytes);
        while let Some(heard) = client.hear().unwrap() {
            match login.hear(&heard) {
                Say::Nothing => {}
                Say::Bytes(bytes) => servers.at(server).say(connection, &bytes),
                Say::Anew(bytes) => {
                    client.restart();
                    servers.at(server).say(connection, &bytes);
                }
                Say::Bound(_) => is_bound = true,
                Say::Failed(why) => panic!("{why}"),
            }
        }
    }
    let life = format!(
        "<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>\
         <presence to='{ROOM}/{name}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    );
    servers.at(server).say(connection, life.as_bytes());
    servers.pass(Duration::from_secs(3));
    assert!(!servers.at(server).hear(connection).is_empty());
    assert_eq!(
        servers.at(0).router().rooms_in_memory().len(),
        1,
        "{name} is in the room"
    );
}

fn routers(servers: &mut Servers) -> [Weak<Router>; 2] {
    [0, 1].map(|server| Arc::downgrade(servers.at(server).router()))
}

fn all_live(servers: &mut Servers) {
    live(servers, 0, "romeo", "montague.lit");
    live(servers, 1, "juliet", "capulet.lit");
    assert!(servers.at(0).router().links().iter().len() > 0, "there is a link");
}

fn are_gone(routers: &[Weak<Router>]) -> bool {
    routers.iter().all(|router| router.strong_count() == 0)
}

#[test]
fn a_world_that_is_over_is_given_back() {
    let mut servers = servers();
    all_live(&mut servers);
    let routers = routers(&mut servers);
    assert!(!are_gone(&routers));
    drop(servers);
    assert!(are_gone(&routers));
}

#[test]
fn a_world_that_is_over_in_the_midst_of_something_is_given_back() {
    let mut servers = servers();
    all_live(&mut servers);
    let connection = servers.at(1).connect(Transport::DirectTls);
    let login = Login::new("juliet", "capulet.lit", "secret", Dice::new(1)).open();
    servers.at(1).say(connection, &login);
    servers.at(0).router().ask_room(
        &stanza::Address::parse("other@rooms.montague.lit").unwrap(),
        muc::AdminRequest::TellVanished,
    );
    for _ in 0..3 {
        servers.step();
    }
    let routers = routers(&mut servers);
    drop(servers);
    assert!(are_gone(&routers));
}

#[test]
fn a_server_that_was_killed_is_given_back() {
    let mut servers = servers();
    all_live(&mut servers);
    let [first, second] = routers(&mut servers);
    servers.crash(0);
    servers.crash(1);
    servers.pass(Duration::from_secs(5));
    assert!(are_gone(&[first, second]));
}

#[test]
fn a_server_that_was_restarted_is_given_back() {
    let mut servers = servers();
    all_live(&mut servers);
    let [first, second] = routers(&mut servers);
    servers.restart(0);
    servers.restart(1);
    servers.pass(Duration::from_secs(5));
    assert!(are_gone(&[first, second]));
}
