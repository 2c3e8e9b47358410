//! Random cuts, resumptions, expiries, restarts and acknowledgements against a model: every message arrives once and in
//! order; twice only what a client had got but not acknowledged when its session was given up (XEP-0198 §4, §5).

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use c2s::Transport;
use simulation::{ConnectionId, Dice, Settings, Turns, World, try_seeds};

const HEADER: &str = "<stream:stream to='example.com' version='1.0' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";

/// A client that counts, and remembers what it sent until that is acknowledged.
struct Person {
    name: &'static str,
    plain: &'static str,
    connection: ConnectionId,
    /// Everything that was read on this connection and not looked at.
    unread: String,
    resumption: String,
    /// Stanzas that were received while counting.
    handled: u32,
    /// What the other side is known to have handled, and what it is not known to.
    acknowledged: u32,
    unacknowledged: Vec<String>,
    /// Bodies in the order in which they came.
    heard: Vec<u32>,
    sessions: u32,
}

impl Person {
    fn new(world: &mut World, name: &'static str, plain: &'static str) -> Person {
        let mut person = Person {
            name,
            plain,
            connection: world.connect(Transport::DirectTls),
            unread: String::new(),
            resumption: String::new(),
            handled: 0,
            acknowledged: 0,
            unacknowledged: Vec::new(),
            heard: Vec::new(),
            sessions: 0,
        };
        person.log_in(world);
        person.bind(world);
        person
    }

    fn say(&self, world: &mut World, words: &str) {
        world.say(self.connection, words.as_bytes());
    }

    /// A fresh connection on which somebody has logged in.
    fn log_in(&mut self, world: &mut World) {
        let auth = format!(
            "{HEADER}<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>",
            self.plain
        );
        self.say(world, &auth);
        world.settle();
        self.say(world, HEADER);
        world.settle();
        let features = String::from_utf8(world.hear(self.connection)).unwrap();
        assert!(features.contains("urn:xmpp:sm:3"), "{}: {features}", self.name);
        self.unread.clear();
    }

    fn bind(&mut self, world: &mut World) {
        self.say(
            world,
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>home</resource></bind></iq>\
             <enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>",
        );
        world.settle();
        let heard = String::from_utf8(world.hear(self.connection)).unwrap();
        let (_, rest) = heard.split_once("<enabled").unwrap();
        self.resumption = attribute(rest, "id").to_owned();
        self.handled = 0;
        // The presence.
        self.acknowledged = 0;
        self.unacknowledged = vec!["<presence/>".to_owned()];
        self.sessions += 1;
        self.unread = rest.to_owned();
        self.look();
    }

    /// Comes back. False when the session is over, and another was begun.
    fn come_back(&mut self, world: &mut World) -> bool {
        self.connection = world.connect(Transport::DirectTls);
        self.log_in(world);
        let resume = format!(
            "<resume xmlns='urn:xmpp:sm:3' h='{}' previd='{}'/>",
            self.handled, self.resumption
        );
        self.say(world, &resume);
        world.settle();
        let mut heard = String::from_utf8(world.hear(self.connection)).unwrap();
        if heard.is_empty() {
            // Something that was sent before the cut is not settled yet.
            world.pass(Duration::from_secs(2));
            heard = String::from_utf8(world.hear(self.connection)).unwrap();
        }
        let Some((_, rest)) = heard.split_once("<resumed") else {
            assert!(heard.contains("<item-not-found"), "{heard}");
            self.bind(world);
            return false;
        };
        self.acknowledge(attribute(rest, "h").parse().unwrap());
        let again = self.unacknowledged.concat();
        self.say(world, &again);
        self.unread = rest.to_owned();
        self.look();
        true
    }

    fn send(&mut self, world: &mut World, stanza: String) {
        self.say(world, &stanza);
        self.unacknowledged.push(stanza);
    }

    fn read(&mut self, world: &mut World) {
        self.unread
            .push_str(&String::from_utf8(world.hear(self.connection)).unwrap());
        self.look();
    }

    /// Looks at whole elements; the wire is cut between them, because the server writes whole ones.
    fn look(&mut self) {
        let unread = std::mem::take(&mut self.unread);
        for piece in unread.split('<').skip(1) {
            let stanza = ["message", "presence", "iq"].iter().any(|name| {
                piece
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with([' ', '/', '>']))
            });
            self.handled += u32::from(stanza);
            if let Some(body) = piece.strip_prefix("body>") {
                self.heard.push(body.parse().unwrap());
            }
            if piece.starts_with("a xmlns") {
                self.acknowledge(attribute(piece, "h").parse().unwrap());
            }
        }
    }

    fn acknowledge(&mut self, h: u32) {
        let newly = (h - self.acknowledged) as usize;
        self.unacknowledged.drain(..newly);
        self.acknowledged = h;
    }
}

fn attribute<'t>(text: &'t str, name: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("{name}='")).unwrap();
    rest.split_once('\'').unwrap().0
}

/// One course of things. Gives how often somebody lost the connection.
fn play(seed: u64) -> usize {
    let mut dice = Dice::new(seed);
    let mut settings = Settings::default();
    settings.limits.offline_messages = 1_000;
    settings.limits.offline_bytes = 1 << 20;
    let turns = if seed.is_multiple_of(2) {
        Turns::ByDice
    } else {
        Turns::InOrder
    };
    let mut world = World::new(seed, settings, turns);
    for name in ["romeo@example.com", "juliet@example.com"] {
        world.create_account(name, "secret");
    }
    let mut romeo = Person::new(&mut world, "romeo", "AHJvbWVvAHNlY3JldA==");
    let mut juliet = Person::new(&mut world, "juliet", "AGp1bGlldABzZWNyZXQ=");
    let (mut sent, mut cuts) = (0, 0);
    // What juliet had got without saying so when a session was given up may come again.
    let mut twice: Vec<u32> = Vec::new();
    let mut juliet_is_there = true;
    for _ in 0..60 {
        match dice.below(12) {
            0..=3 => {
                let stanza =
                    format!("<message to='juliet@example.com' type='chat'><body>{sent}</body></message>");
                romeo.send(&mut world, stanza);
                sent += 1;
            }
            4 => romeo.say(&mut world, "<r xmlns='urn:xmpp:sm:3'/>"),
            5 if juliet_is_there => {
                juliet.read(&mut world);
                let h = juliet.handled;
                // Once more, and late: neither changes anything.
                for h in [h, h, h.saturating_sub(1)] {
                    juliet.say(&mut world, &format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"));
                }
            }
            6 if juliet_is_there => juliet.read(&mut world),
            7 if juliet_is_there => {
                // What is on the wire is lost with it.
                world.hang_up(juliet.connection);
                juliet_is_there = false;
                cuts += 1;
            }
            8 => {
                if !juliet_is_there || dice.below(2) == 0 {
                    // The old connection may still seem alive.
                    if !juliet.come_back(&mut world) {
                        twice.extend_from_slice(&juliet.heard);
                    }
                    juliet_is_there = true;
                    cuts += 1;
                }
            }
            9 => {
                world.hang_up(romeo.connection);
                world.settle();
                assert!(romeo.come_back(&mut world), "romeo is never away for long");
                cuts += 1;
            }
            10 => {
                let long = !juliet_is_there && dice.below(2) == 0;
                world.pass(Duration::from_secs(if long { 301 } else { 2 }));
            }
            11 if dice.below(4) == 0 => {
                romeo.read(&mut world);
                if juliet_is_there {
                    juliet.read(&mut world);
                }
                world.restart();
                romeo.read(&mut world);
                assert!(romeo.come_back(&mut world), "a restart keeps the session");
                juliet_is_there = false;
                cuts += 2;
            }
            _ => {
                for _ in 0..dice.below(20) {
                    world.step();
                }
            }
        }
    }
    world.settle();
    if !juliet.come_back(&mut world) {
        twice.extend_from_slice(&juliet.heard);
    }
    world.pass(Duration::from_secs(5));
    juliet.read(&mut world);
    juliet.say(
        &mut world,
        &format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", juliet.handled),
    );
    romeo.say(&mut world, "<r xmlns='urn:xmpp:sm:3'/>");
    world.pass(Duration::from_secs(5));
    romeo.read(&mut world);
    assert_eq!(
        romeo.unacknowledged,
        Vec::<String>::new(),
        "seed {seed}: all is settled"
    );

    let mut first = Vec::new();
    for body in &juliet.heard {
        if !first.contains(body) {
            first.push(*body);
        } else {
            assert!(
                twice.contains(body),
                "seed {seed}: {body} came twice in {:?}",
                juliet.heard
            );
        }
    }
    assert_eq!(
        first,
        (0..sent).collect::<Vec<u32>>(),
        "seed {seed}: {:?}",
        juliet.heard
    );

    // Nothing is left that would come at the next login.
    world.hang_up(juliet.connection);
    world.pass(Duration::from_secs(301));
    let before = juliet.heard.len();
    assert!(!juliet.come_back(&mut world));
    world.pass(Duration::from_secs(5));
    juliet.read(&mut world);
    assert_eq!(juliet.heard.len(), before, "seed {seed}: {:?}", juliet.heard);
    cuts
}

#[test]
fn xep0198_4_5_every_message_arrives_once_and_in_order_whatever_is_cut() {
    let cuts = try_seeds(300, |seed, _| Ok(play(seed)));
    let (courses, cuts) = (cuts.len(), cuts.iter().sum::<usize>());
    println!("{courses} courses with {cuts} cuts");
    assert!(cuts > 3 * courses, "{cuts} cuts are too few to tell anything");
}
