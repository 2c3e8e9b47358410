//! A server is killed or restarted: who was seen by others, or in a room with them.

use simulation::{Servers, Settings};

use crate::people::*;

#[test]
fn who_was_seen_from_elsewhere_before_a_crash_is_said_to_be_gone_after_the_start() {
    for seed in 0..20 {
        let mut servers = two(seed);
        let (_romeo, mut juliet) = friends(&mut servers);
        servers.pass(2 * SECOND);
        juliet.hears(&mut servers);
        servers.crash(MONTAGUE);
        servers.pass(2 * SECOND);
        let heard = juliet.hears(&mut servers);
        let gone =
            |one: &String| one.contains("type='unavailable'") && one.contains("romeo@montague.lit/home'");
        assert_eq!(
            heard.iter().filter(|one| gone(one)).count(),
            1,
            "seed {seed}: {heard:?}"
        );

        // Once: the rows are gone.
        servers.crash(MONTAGUE);
        servers.pass(2 * SECOND);
        let heard = juliet.hears(&mut servers);
        assert!(!heard.iter().any(gone), "seed {seed}: {heard:?}");
    }
}

/// Romeo's room at his server, configured, with juliet in it.
fn orchard(servers: &mut Servers, fields: &str) -> (Person, Person) {
    let (mut romeo, mut juliet) = both(servers);
    let enter = "<x xmlns='http://jabber.org/protocol/muc'/>";
    let room = "orchard@rooms.montague.lit";
    romeo.says(
        servers,
        &format!("<presence to='{room}/romeo'>{enter}</presence>"),
    );
    romeo.says(
        servers,
        &format!(
            "<iq type='set' id='c' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>\
             <x xmlns='jabber:x:data' type='submit'>{fields}</x></query></iq>"
        ),
    );
    juliet.says(
        servers,
        &format!("<presence to='{room}/juliet'>{enter}</presence>"),
    );
    romeo.hears(servers);
    juliet.hears(servers);
    romeo.says(
        servers,
        &format!("<message type='groupchat' to='{room}'><body>Soft!</body></message>"),
    );
    juliet.hears_one(servers, &["<body>Soft!</body>"]);
    (romeo, juliet)
}

fn two_with_rooms(seed: u64) -> Servers {
    let montague = Settings {
        rooms: vec!["rooms.montague.lit"],
        ..host("montague.lit")
    };
    let capulet = Settings {
        rooms: Vec::new(),
        ..host("capulet.lit")
    };
    let mut servers = Servers::new(seed, [montague, capulet]);
    let at_montague = servers.at(MONTAGUE);
    at_montague.create_account("romeo@montague.lit", "secret");
    servers.at(CAPULET).create_account("juliet@capulet.lit", "secret");
    servers
}

const STAYS: &str = "<field var='muc#roomconfig_persistentroom'><value>1</value></field>";

#[test]
fn xep0045_after_a_crash_who_was_in_a_room_from_elsewhere_hears_once_that_it_is_out() {
    for (seed, fields) in (0..10).zip(["", STAYS].into_iter().cycle()) {
        let mut servers = two_with_rooms(seed);
        let (_romeo, mut juliet) = orchard(&mut servers, fields);
        let out = |one: &String| {
            let from = one.contains("from='orchard@rooms.montague.lit/juliet'");
            from && one.contains("type='unavailable'") && one.contains("code='333'")
        };
        for times in [1, 0] {
            servers.crash(MONTAGUE);
            servers.pass(2 * SECOND);
            let heard = juliet.hears(&mut servers);
            assert_eq!(
                heard.iter().filter(|one| out(one)).count(),
                times,
                "seed {seed}: {heard:?}"
            );
        }
        juliet.says(
            &mut servers,
            "<presence to='orchard@rooms.montague.lit/juliet'><x xmlns='http://jabber.org/protocol/muc'/></presence>",
        );
        servers.pass(2 * SECOND);
        let heard = juliet.hears(&mut servers);
        let has = |part: &str| heard.iter().any(|one| one.contains(part));
        let stays = !fields.is_empty();
        assert_eq!(has("<body>Soft!</body>"), stays, "seed {seed}: {heard:?}");
        assert_eq!(has("code='201'"), !stays, "seed {seed}: {heard:?}");
    }
}

#[test]
fn xep0045_over_a_restart_who_is_in_a_room_from_elsewhere_stays_and_hears_nothing_of_it() {
    for (seed, fields) in (0..10).zip(["", STAYS].into_iter().cycle()) {
        let mut servers = two_with_rooms(seed);
        let (_romeo, mut juliet) = orchard(&mut servers, fields);
        servers.restart(MONTAGUE);
        servers.pass(2 * SECOND);
        let heard = juliet.hears(&mut servers);
        let own = |one: &&String| one.contains("from='orchard@rooms.montague.lit/juliet'");
        assert_eq!(heard.iter().filter(own).count(), 0, "seed {seed}: {heard:?}");
        juliet.says(
            &mut servers,
            "<message type='groupchat' to='orchard@rooms.montague.lit'><body>Ay me</body></message>",
        );
        servers.pass(2 * SECOND);
        juliet.hears_one(
            &mut servers,
            &["orchard@rooms.montague.lit/juliet", "<body>Ay me</body>"],
        );
    }
}
