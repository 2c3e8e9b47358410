//! The world itself: clients log in, and what is stored outlives the server.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use c2s::Transport;
use simulation::{
    Client, ConnectionId, Dice, Heard, Login, Mechanism, Say, Settings, TLS_EXPORTER, Turns, World,
};

/// One client, as far as these tests need it.
struct Person {
    connection: ConnectionId,
    client: Client,
    heard: Vec<String>,
}

impl Person {
    /// Logs in, by hand over fist.
    fn bound(world: &mut World, name: &str, mechanism: Mechanism) -> Person {
        let connection = world.connect(Transport::DirectTls);
        let mut login = Login::new(name, "example.com", "secret", Dice::new(1))
            .resource("home")
            .by(mechanism, Some(TLS_EXPORTER));
        world.say(connection, &login.open());
        let mut client = Client::default();
        let mut bound = false;
        while !bound {
            world.settle();
            let bytes = world.hear(connection);
            assert!(!bytes.is_empty(), "the server says nothing");
            client.read(&bytes);
            while let Some(word) = client.hear().unwrap() {
                match login.hear(&word) {
                    Say::Nothing => {}
                    Say::Bytes(bytes) => world.say(connection, &bytes),
                    Say::Anew(bytes) => {
                        client.restart();
                        world.say(connection, &bytes);
                    }
                    Say::Bound(address) => bound = address == format!("{name}@example.com/home"),
                    Say::Failed(why) => panic!("{why}"),
                }
            }
        }
        Person {
            connection,
            client,
            heard: Vec::new(),
        }
    }

    fn heard(&mut self, world: &mut World) -> Vec<String> {
        self.client.read(&world.hear(self.connection));
        while let Some(word) = self.client.hear().unwrap() {
            match word {
                Heard::Element(element) => self.heard.push(element.as_str().to_owned()),
                Heard::Opened(_) | Heard::Closed => self.heard.push(format!("{word:?}")),
            }
        }
        std::mem::take(&mut self.heard)
    }
}

fn two() -> World {
    let mut world = World::new(1, Settings::default(), Turns::ByDice);
    for name in ["romeo@example.com", "juliet@example.com"] {
        world.create_account(name, "secret");
    }
    world
}

#[test]
fn every_mechanism_logs_in() {
    use sasl::HashFunction::{Sha1, Sha256};
    for mechanism in [
        Mechanism::Plain,
        Mechanism::Scram(Sha1),
        Mechanism::Scram(Sha256),
        Mechanism::ScramPlus(Sha1),
        Mechanism::ScramPlus(Sha256),
    ] {
        Person::bound(&mut two(), "romeo", mechanism);
    }
}

#[test]
fn a_message_finds_its_way_and_waits_over_a_crash() {
    let mut world = two();
    let romeo = Person::bound(&mut world, "romeo", Mechanism::Plain);
    world.say(
        romeo.connection,
        b"<message to='juliet@example.com' type='chat'><body>Neither, fair maid</body></message>",
    );
    world.settle();
    world.crash();
    assert!(world.is_closed(romeo.connection));
    let mut juliet = Person::bound(&mut world, "juliet", Mechanism::Plain);
    world.say(juliet.connection, b"<presence/>");
    world.settle();
    let heard = juliet.heard(&mut world);
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(
        heard[1].contains("Neither, fair maid") && heard[1].contains("urn:xmpp:delay"),
        "{heard:?}"
    );
}

/// What is asked about an address goes on taking no more time where there is no account than where there is one.
#[test]
fn poke_22_poke_41_who_is_not_there_stays_in_memory_like_who_is() {
    let mut settings = Settings::default();
    settings.limits.resting_bytes = 8 * 3 * 2_600;
    let mut world = World::new(1, settings, Turns::ByDice);
    world.create_account("romeo@example.com", "secret");
    world.create_account("juliet@example.com", "secret");
    let mut romeo = Person::bound(&mut world, "romeo", Mechanism::Plain);
    let ask = |world: &mut World, who: &str| {
        let poke = "<poke xmlns='http://jabber.org/protocol/poke'/>";
        let probe = format!("<presence type='probe' to='{who}@example.com'>{poke}</presence>");
        world.say(romeo.connection, probe.as_bytes());
        world.settle();
    };
    let rests = |world: &World, who: &str| {
        let all = world.router().addresses_in_memory();
        all.iter().any(|address| address.localpart() == Some(who))
    };
    for who in ["juliet", "paris"] {
        ask(&mut world, who);
        assert!(rests(&world, who), "{who}");
    }
    // The names that nobody has leave each other room for three, and take none from accounts.
    for n in 0..10 {
        ask(&mut world, &format!("nobody{n}"));
    }
    assert!(rests(&world, "juliet") && rests(&world, "nobody9") && !rests(&world, "paris"));
    assert_eq!(world.router().accounts_in_memory(), 2 + 3);
    // Who is made meanwhile is there.
    world.create_account("nobody9@example.com", "secret");
    world.settle();
    assert!(!rests(&world, "nobody9"));
    let heard = romeo.heard(&mut world);
    assert!(heard.iter().all(|one| one.contains("<forbidden ")), "{heard:?}");
    Person::bound(&mut world, "nobody9", Mechanism::Plain);
}

#[test]
fn xep0077_3_2_the_removal_of_an_account_is_answered_before_its_streams_end() {
    for seed in 0..50 {
        let mut world = World::new(seed, Settings::default(), Turns::ByDice);
        world.create_account("romeo@example.com", "secret");
        let mut romeo = Person::bound(&mut world, "romeo", Mechanism::Plain);
        world.say(
            romeo.connection,
            b"<iq type='set' id='bye'><query xmlns='jabber:iq:register'><remove/></query></iq>",
        );
        world.settle();
        let heard = romeo.heard(&mut world);
        assert!(
            heard.len() == 3
                && heard[0].contains("type='result'")
                && heard[1].contains("not-authorized")
                && heard[2] == "Closed",
            "seed {seed}: {heard:?}"
        );
        world.settle();
        assert_eq!(world.router().accounts_in_memory(), 0, "seed {seed}");
    }
}
