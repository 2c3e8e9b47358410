//! What becomes of one message when the store refuses something, or the server stops: exactly one thing.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use c2s::Transport;
use simulation::{ConnectionId, Settings, Turns, World};
use stanza::Address;

const HEADER: &str = "<stream:stream to='example.com' version='1.0' xmlns='jabber:client' \
     xmlns:stream='http://etherx.jabber.org/streams'>";

/// Whoever has logged in, and not bound a resource yet.
fn unbound(world: &mut World, plain: &str) -> ConnectionId {
    let connection = world.connect(Transport::DirectTls);
    let auth =
        format!("{HEADER}<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{plain}</auth>");
    world.say(connection, auth.as_bytes());
    world.settle();
    world.say(connection, HEADER.as_bytes());
    world.settle();
    assert!(heard(world, connection).contains("urn:ietf:params:xml:ns:xmpp-bind"));
    connection
}

fn logged_in(world: &mut World, plain: &str, resource: &str, then: &str) -> ConnectionId {
    let connection = unbound(world, plain);
    let bind = format!(
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <resource>{resource}</resource></bind></iq>{then}"
    );
    world.say(connection, bind.as_bytes());
    world.settle();
    let heard = heard(world, connection);
    assert!(heard.contains(&format!("/{resource}</jid>")), "{heard}");
    connection
}

fn heard(world: &mut World, connection: ConnectionId) -> String {
    String::from_utf8(world.hear(connection)).unwrap()
}

fn home() -> World {
    let mut world = World::new(1, Settings::default(), Turns::InOrder);
    for name in ["romeo@example.com", "juliet@example.com"] {
        world.create_account(name, "secret");
    }
    world
}

fn romeo(world: &mut World) -> ConnectionId {
    logged_in(world, "AHJvbWVvAHNlY3JldA==", "orchard", "<presence/>")
}

fn juliet(world: &mut World, resource: &str) -> ConnectionId {
    let then = "<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>";
    logged_in(world, "AGp1bGlldABzZWNyZXQ=", resource, then)
}

const MESSAGE: &[u8] = b"<message to='juliet@example.com' type='chat' id='one'><body>hi</body></message>";

/// A message for sessions that are all away is to be durable before it goes into their mailboxes. When that fails, the
/// sender hears of it once, and nobody gets a copy later.
#[test]
fn xep0198_5_a_message_that_cannot_be_kept_for_paused_sessions_comes_back_once() {
    for sessions in 1..4 {
        let mut world = home();
        for resource in ["balcony", "chamber", "tomb"].iter().take(sessions) {
            let connection = juliet(&mut world, resource);
            world.hang_up(connection);
        }
        let romeo = romeo(&mut world);
        world.settle();
        let account = Address::parse("juliet@example.com").unwrap();
        world
            .store()
            .fail_writes(&account, router::StoreError::Refused, 1);
        world.say(romeo, MESSAGE);
        world.settle();
        let heard = String::from_utf8(world.hear(romeo)).unwrap();
        assert_eq!(
            heard.matches("<internal-server-error").count(),
            1,
            "{sessions} sessions: {heard}"
        );
        world.pass(Duration::from_secs(301));
        let juliet = juliet(&mut world, "balcony");
        world.pass(Duration::from_secs(1));
        let late = String::from_utf8(world.hear(juliet)).unwrap();
        assert!(!late.contains("<body>"), "{sessions} sessions: {late}");
        assert!(world.hear(romeo).is_empty());
    }
}

/// `limits.outstanding_stanzas`: what waits for a client that is away has a row each, and there are only so many. What a
/// client has that is there, and does not acknowledge, keeps its sender waiting instead.
#[test]
fn only_so_many_stanzas_in_mailboxes_have_a_durable_copy() {
    let mut settings = Settings {
        outstanding_max: 2,
        ..Settings::default()
    };
    settings.limits.offline_messages = 100;
    let mut world = World::new(1, settings, Turns::InOrder);
    for name in ["romeo@example.com", "juliet@example.com"] {
        world.create_account(name, "secret");
    }
    let message = String::from_utf8(MESSAGE.to_vec()).unwrap();
    let enable = "<enable xmlns='urn:xmpp:sm:3'/><presence/>";
    let romeo = logged_in(&mut world, "AHJvbWVvAHNlY3JldA==", "orchard", enable);
    let juliet = juliet(&mut world, "balcony");
    let told = |world: &mut World| {
        world.pass(Duration::from_secs(5));
        world.say(romeo, b"<r xmlns='urn:xmpp:sm:3'/>");
        world.settle();
        heard(world, romeo)
    };
    world.say(romeo, message.repeat(3).as_bytes());
    assert!(
        told(&mut world).ends_with("h='3'/>"),
        "the presence, and two with a row"
    );
    world.say(juliet, b"<a xmlns='urn:xmpp:sm:3' h='4'/>");
    assert!(told(&mut world).ends_with("h='4'/>"));

    world.hang_up(juliet);
    world.settle();
    world.say(romeo, message.repeat(3).as_bytes());
    let told = told(&mut world);
    assert_eq!(told.matches("<resource-constraint").count(), 1, "{told}");
    assert!(told.ends_with("h='7'/>"), "{told}");
}

/// A room that is being loaded takes in only so much, and whoever leaves it meanwhile has left: nobody would tell it again.
#[test]
fn xep0045_7_14_who_leaves_a_room_that_has_no_time_for_others_is_not_in_it() {
    const ROOM: &str = "ball@rooms.example.com";
    let mut settings = Settings::default();
    settings.limits.inbox_stanzas = 3;
    let mut world = World::new(1, settings, Turns::InOrder);
    for name in ["romeo@example.com", "juliet@example.com"] {
        world.create_account(name, "secret");
    }
    let juliet = logged_in(&mut world, "AGp1bGlldABzZWNyZXQ=", "balcony", "<presence/>");
    let romeo = romeo(&mut world);
    world.set_faults(simulation::Faults {
        delay: Duration::from_millis(100)..=Duration::from_millis(100),
        ..simulation::Faults::default()
    });
    let enter = |nick: &str| {
        format!("<presence to='{ROOM}/{nick}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    };
    let words = format!("<message to='{ROOM}' type='groupchat'><body>Who is that?</body></message>");
    let leave = format!("<presence type='unavailable' to='{ROOM}/juliet'/>");
    for stanza in [&enter("juliet"), &words, &words, &words, &words, &leave] {
        world.say(juliet, stanza.as_bytes());
        world.settle();
    }
    world.pass(Duration::from_secs(1));
    let told = heard(&mut world, juliet);
    assert_eq!(
        told.matches("<resource-constraint").count(),
        2,
        "what there was no room for: {told}"
    );
    assert!(
        !told.contains("<presence type='error'") && told.contains("code='110'"),
        "{told}"
    );
    world.say(romeo, enter("romeo").as_bytes());
    world.pass(Duration::from_secs(1));
    let told = heard(&mut world, romeo);
    assert!(
        told.contains("code='201'") && !told.contains("/juliet'"),
        "she is not in it: {told}"
    );
}

/// A private message in a room is acknowledged when its recipient has acknowledged it, or when it has a durable copy, as one
/// between users is: the server can be killed at any moment.
#[test]
fn xep0045_7_5_a_private_message_that_was_acknowledged_outlives_the_server() {
    const ROOM: &str = "ball@rooms.example.com";
    let muc = "http://jabber.org/protocol/muc";
    let mut world = home();
    let enable = "<enable xmlns='urn:xmpp:sm:3'/><presence/>";
    let romeo = logged_in(&mut world, "AHJvbWVvAHNlY3JldA==", "orchard", enable);
    let make = format!(
        "<presence to='{ROOM}/romeo'><x xmlns='{muc}'/></presence>\
         <iq type='set' id='m' to='{ROOM}'><query xmlns='{muc}#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>"
    );
    world.say(romeo, make.as_bytes());
    world.settle();
    let at_home = juliet(&mut world, "balcony");
    let enter = format!("<presence to='{ROOM}/juliet'><x xmlns='{muc}'/></presence>");
    world.say(at_home, enter.as_bytes());
    world.settle();
    heard(&mut world, romeo);
    let message = format!(
        "<message to='{ROOM}/juliet' type='chat' id='p'><body>But soft</body></message><r xmlns='urn:xmpp:sm:3'/>"
    );
    world.say(romeo, message.as_bytes());
    world.settle();
    assert!(heard(&mut world, at_home).contains("<body>But soft</body>"));
    let told = heard(&mut world, romeo);
    assert!(
        told.contains("h='3'/>") && !told.contains("h='4'"),
        "she has not acknowledged it: {told}"
    );
    world.pass(Duration::from_secs(60));
    assert!(heard(&mut world, romeo).contains("h='4'/>"));
    world.crash();
    world.settle();
    let again = logged_in(&mut world, "AGp1bGlldABzZWNyZXQ=", "chamber", "");
    world.say(again, b"<presence/>");
    world.pass(Duration::from_secs(1));
    let late = heard(&mut world, again);
    assert!(late.contains("<body>But soft</body>"), "{late}");
}

/// Whatever the order in which accounts and connections have their turns: a client that reads `<a h=…/>` has read before
/// it what came back of those messages, so that a crash behind the acknowledgement loses nothing.
#[test]
fn xep0198_4_what_comes_back_comes_before_its_acknowledgement() {
    let message = String::from_utf8(MESSAGE.to_vec()).unwrap();
    let request = "<r xmlns='urn:xmpp:sm:3'/>";
    for seed in 0..40 {
        let mut settings = Settings::default();
        settings.limits.offline_messages = 2;
        let mut world = World::new(seed, settings, Turns::ByDice);
        for name in ["romeo@example.com", "juliet@example.com"] {
            world.create_account(name, "secret");
        }
        let enable = "<enable xmlns='urn:xmpp:sm:3'/><presence/>";
        let romeo = logged_in(&mut world, "AHJvbWVvAHNlY3JldA==", "orchard", enable);
        world.set_faults(simulation::Faults {
            delay: Duration::from_millis(1)..=Duration::from_millis(30),
            ..simulation::Faults::default()
        });
        world.hear(romeo);
        world.say(romeo, (message.repeat(6) + request).as_bytes());
        world.pass(Duration::from_secs(1));
        let heard = heard(&mut world, romeo);
        let mut returned = 0;
        for part in heard
            .split("<a xmlns='urn:xmpp:sm:3' h='")
            .collect::<Vec<_>>()
            .windows(2)
        {
            returned += part[0].matches("type='error'").count();
            let handled: usize = part[1].split('\'').next().unwrap().parse().unwrap();
            // Its presence, and two that are kept.
            assert!(handled <= 1 + 2 + returned, "seed {seed}: {heard}");
        }
        assert_eq!(heard.matches("type='error'").count(), 4, "seed {seed}: {heard}");
        assert!(heard.contains("h='7'/>"), "seed {seed}: {heard}");
    }
}

/// A message that is on its way to a client from the store is there still when the account is lost meanwhile: that it
/// did not arrive yet is no news for its sender.
#[test]
fn xep0160_3_a_kept_message_does_not_come_back_because_something_else_was_refused() {
    let mut world = home();
    let romeo = romeo(&mut world);
    world.say(romeo, MESSAGE);
    world.settle();
    let account = Address::parse("juliet@example.com").unwrap();
    let first = logged_in(&mut world, "AGp1bGlldABzZWNyZXQ=", "balcony", "");
    world.hear(first);
    // The store answers only when it is asked to, so that the rows come while a change that will be refused waits.
    world.set_faults(simulation::Faults {
        delay: Duration::from_millis(100)..=Duration::from_millis(100),
        ..simulation::Faults::default()
    });
    world.say(first, b"<presence/>");
    world.settle();
    world.pass(Duration::from_millis(50));
    world
        .store()
        .fail_writes(&account, router::StoreError::Refused, 1);
    world.say(
        first,
        b"<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='nurse@example.com'/></query></iq>",
    );
    world.pass(Duration::from_secs(1));
    let heard = String::from_utf8(world.hear(first)).unwrap();
    assert!(
        heard.contains("internal-server-error"),
        "the account was lost: {heard}"
    );
    assert!(!heard.contains("<body>"), "{heard}");
    let heard = String::from_utf8(world.hear(romeo)).unwrap();
    assert!(!heard.contains("type='error'"), "{heard}");
    world.set_faults(simulation::Faults::default());
    let again = logged_in(&mut world, "AGp1bGlldABzZWNyZXQ=", "balcony", "");
    world.say(again, b"<presence/>");
    world.pass(Duration::from_secs(1));
    let heard = String::from_utf8(world.hear(again)).unwrap();
    assert_eq!(heard.matches("<body>hi</body>").count(), 1, "{heard}");
}

/// Another connection goes on with a session in the very moment in which the account is lost: the client is told that it
/// cannot, and what it has not acknowledged waits for the next login.
#[test]
fn xep0198_5_what_waits_in_a_session_that_is_lost_while_it_is_resumed_is_kept() {
    let mut world = home();
    let romeo = romeo(&mut world);
    let then = "<enable xmlns='urn:xmpp:sm:3' resume='true'/><presence/>";
    let plain = "AGp1bGlldABzZWNyZXQ=";
    let old = unbound(&mut world, plain);
    let bind = format!(
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>balcony</resource></bind></iq>{then}"
    );
    world.say(old, bind.as_bytes());
    world.settle();
    let bound = heard(&mut world, old);
    let (_, rest) = bound.split_once("<enabled").unwrap();
    let name = rest
        .split_once(" id='")
        .unwrap()
        .1
        .split_once('\'')
        .unwrap()
        .0
        .to_owned();
    let new = unbound(&mut world, plain);
    world.say(romeo, MESSAGE);
    world.settle();
    assert!(heard(&mut world, old).contains("<body>hi</body>"));
    heard(&mut world, romeo);

    world.set_faults(simulation::Faults {
        delay: Duration::from_millis(100)..=Duration::from_millis(100),
        ..simulation::Faults::default()
    });
    let account = Address::parse("juliet@example.com").unwrap();
    world
        .store()
        .fail_writes(&account, router::StoreError::Refused, 1);
    world.say(
        old,
        b"<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='nurse@example.com'/></query></iq>",
    );
    world.settle();
    let resume = format!("<resume xmlns='urn:xmpp:sm:3' h='0' previd='{name}'/>");
    world.say(new, resume.as_bytes());
    world.settle();
    assert_eq!(heard(&mut world, new), "", "the answer waits for the store");
    world.pass(Duration::from_secs(1));
    let answer = heard(&mut world, new);
    assert!(
        answer.contains("<failed") && answer.contains("<item-not-found"),
        "{answer}"
    );
    world.set_faults(simulation::Faults::default());
    let again = logged_in(&mut world, plain, "balcony", "");
    world.say(again, b"<presence/>");
    world.pass(Duration::from_secs(1));
    let late = heard(&mut world, again);
    assert_eq!(late.matches("<body>hi</body>").count(), 1, "{late}");
    assert_eq!(heard(&mut world, romeo).matches("type='error'").count(), 0);
}

/// A client that counts and one that does not have got the same message. That the first did not acknowledge it before the
/// server stopped, and never comes back, is no reason to deliver it once more.
#[test]
fn xep0198_5_over_a_restart_it_is_known_which_message_has_arrived_elsewhere() {
    let mut world = home();
    juliet(&mut world, "balcony");
    let chamber = logged_in(&mut world, "AGp1bGlldABzZWNyZXQ=", "chamber", "<presence/>");
    let romeo = romeo(&mut world);
    world.say(romeo, MESSAGE);
    world.settle();
    assert!(heard(&mut world, chamber).contains("<body>hi</body>"));
    world.restart();
    world.pass(Duration::from_secs(301));
    let again = logged_in(&mut world, "AGp1bGlldABzZWNyZXQ=", "balcony", "");
    world.say(again, b"<presence/>");
    world.pass(Duration::from_secs(1));
    let late = heard(&mut world, again);
    assert!(!late.contains("<body>"), "{late}");
}

/// Whatever the order of turns: what a room returns has arrived in the mailbox of its sender before it is acknowledged.
#[test]
fn xep0198_4_what_a_room_returns_comes_before_its_acknowledgement() {
    let message = "<message to='none@rooms.example.com' type='groupchat'><body>hi</body></message>";
    for seed in 0..40 {
        let mut world = World::new(seed, Settings::default(), Turns::ByDice);
        world.create_account("romeo@example.com", "secret");
        let enable = "<enable xmlns='urn:xmpp:sm:3'/><presence/>";
        let romeo = logged_in(&mut world, "AHJvbWVvAHNlY3JldA==", "orchard", enable);
        world.hear(romeo);
        let all = message.repeat(6) + "<r xmlns='urn:xmpp:sm:3'/>";
        world.say(romeo, all.as_bytes());
        world.pass(Duration::from_secs(1));
        let heard = heard(&mut world, romeo);
        let mut returned = 0;
        for part in heard
            .split("<a xmlns='urn:xmpp:sm:3' h='")
            .collect::<Vec<_>>()
            .windows(2)
        {
            returned += part[0].matches("type='error'").count();
            let handled: usize = part[1].split('\'').next().unwrap().parse().unwrap();
            assert!(handled <= 1 + returned, "seed {seed}: {heard}");
        }
        assert_eq!(
            heard.matches("<item-not-found").count(),
            6,
            "seed {seed}: {heard}"
        );
    }
}

/// Rooms that somebody makes at the same time are counted like those that it made before.
#[test]
fn xep0045_10_1_1_whoever_makes_many_rooms_at_once_gets_no_more_than_one_after_another() {
    let join = |room: usize| {
        format!(
            "<presence to='room{room}@rooms.example.com/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )
    };
    for seed in 0..20 {
        let mut settings = Settings::default();
        settings.limits.rooms_per_account = 3;
        let mut world = World::new(seed, settings, Turns::ByDice);
        world.create_account("romeo@example.com", "secret");
        let romeo = logged_in(&mut world, "AHJvbWVvAHNlY3JldA==", "orchard", "<presence/>");
        world.set_faults(simulation::Faults {
            delay: Duration::from_millis(1)..=Duration::from_millis(30),
            ..simulation::Faults::default()
        });
        let many: String = (0..8).map(join).collect();
        world.say(romeo, many.as_bytes());
        world.pass(Duration::from_secs(1));
        let heard = heard(&mut world, romeo);
        assert_eq!(
            heard.matches("<status code='201'/>").count(),
            3,
            "seed {seed}: {heard}"
        );
        assert_eq!(heard.matches("<not-allowed").count(), 5, "seed {seed}: {heard}");
    }
}

/// A room that was fetched from the store and is not to stay any longer still counts for whoever made it.
#[test]
fn limits_rooms_per_account_holds_for_rooms_that_leave_the_store_while_somebody_is_in_them() {
    let mut settings = Settings::default();
    settings.limits.rooms_per_account = 1;
    let mut world = World::new(1, settings, Turns::InOrder);
    world.create_account("romeo@example.com", "secret");
    let romeo = romeo(&mut world);
    let mut say = |what: String| {
        world.say(romeo, what.as_bytes());
        world.pass(Duration::from_secs(1));
        heard(&mut world, romeo)
    };
    let enter = |room: &str| {
        format!(
            "<presence to='{room}@rooms.example.com/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )
    };
    let stays = |stays: u8| {
        format!(
            "<iq type='set' id='c' to='one@rooms.example.com'>\
             <query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>\
             <field var='muc#roomconfig_persistentroom'><value>{stays}</value></field></x></query></iq>"
        )
    };
    assert!(say(enter("one")).contains("<status code='201'/>"));
    assert!(say(stays(1)).contains("type='result'"));
    say("<presence type='unavailable' to='one@rooms.example.com/romeo'/>".to_owned());
    let again = say(enter("one"));
    assert!(
        again.contains("<status code='110'/>") && !again.contains("'201'"),
        "{again}"
    );
    assert!(say(stays(0)).contains("type='result'"));
    let second = say(enter("two"));
    assert!(second.contains("<not-allowed"), "{second}");
}

/// Two clients have got the same message, neither has acknowledged it, and neither comes back after the restart: it is
/// kept once.
#[test]
fn xep0198_5_over_a_restart_copies_of_one_message_stay_copies() {
    let mut world = home();
    for resource in ["balcony", "chamber"] {
        juliet(&mut world, resource);
    }
    let romeo = romeo(&mut world);
    world.say(romeo, MESSAGE);
    world.settle();
    world.restart();
    world.pass(Duration::from_secs(301));
    let again = logged_in(&mut world, "AGp1bGlldABzZWNyZXQ=", "balcony", "");
    world.say(again, b"<presence/>");
    world.pass(Duration::from_secs(1));
    let late = heard(&mut world, again);
    assert_eq!(late.matches("<body>hi</body>").count(), 1, "{late}");
}

/// A room that is kept takes no memory while nobody is in it, and is counted all the same.
#[test]
fn xep0045_10_1_a_room_that_nobody_is_in_is_not_in_memory() {
    let mut settings = Settings::default();
    settings.limits.rooms_per_account = 30;
    settings.limits.directed_presences = 30;
    let mut world = World::new(1, settings, Turns::InOrder);
    world.create_account("romeo@example.com", "secret");
    let romeo = romeo(&mut world);
    let say = |world: &mut World, what: &dyn Fn(usize) -> String| {
        for room in 0..30 {
            world.say(romeo, what(room).as_bytes());
            world.pass(Duration::from_secs(1));
            world.hear(romeo);
        }
    };
    let presence = |room: usize, kind: &str, inside: &str| {
        format!("<presence{kind} to='room{room}@rooms.example.com/romeo'>{inside}</presence>")
    };
    say(&mut world, &|room| {
        presence(room, "", "<x xmlns='http://jabber.org/protocol/muc'/>")
    });
    say(&mut world, &|room| {
        format!(
            "<iq type='set' id='{room}' to='room{room}@rooms.example.com'>\
             <query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>\
             <field var='muc#roomconfig_persistentroom'><value>1</value></field></x></query></iq>"
        )
    });
    let stored = |world: &World| world.router().stored_rooms().values().sum::<usize>();
    assert_eq!(world.router().rooms_in_memory().len(), 30);
    assert_eq!(stored(&world), 30);
    say(&mut world, &|room| presence(room, " type='unavailable'", ""));
    assert!(world.router().rooms_in_memory().is_empty());
    assert_eq!(stored(&world), 30);
}
