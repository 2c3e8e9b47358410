//! What is on disk is what the room is; what was on disk comes back; who is told what at the next start.

use std::time::Duration;

use machine::{Context, Machine, Moment, Timestamp};
use stanza::{Parcel, Stanza};
use xml::{ContentNamespace, Element};

use super::*;
use crate::desk::{CRONE, Desk, HAG, Shelf, WICCA, address, for_one, text};
use crate::room::Out;
use crate::{AdminRequest, Effect, Input};

#[test]
fn after_every_step_of_random_lives_what_is_on_disk_is_what_the_room_is() {
    let clients = [
        CRONE,
        WICCA,
        HAG,
        "hag66@verona.lit/laptop",
        "second@verona.lit/x",
    ];
    for seed in 0..150 {
        let mut desk = Desk::new(seed);
        desk.join(CRONE, "firstwitch");
        for number in 0..60 {
            let client = clients[usize::try_from(desk.dice.below(5)).unwrap()];
            let user = address(client).to_bare().to_string();
            let what = desk.dice.below(16);
            match what {
                0..3 => drop(desk.join(client, &format!("nick{}", desk.dice.0 % 4))),
                3 => drop(desk.leave(client)),
                4..7 => drop(desk.say(client, &format!("<body>{number} &amp; ☺</body>"))),
                7 => drop(desk.say(client, &format!("<subject>{number}</subject>"))),
                8 => {
                    let wanted = ["outcast", "none", "member", "admin"];
                    let wanted = wanted[usize::try_from(desk.dice.below(4)).unwrap()];
                    drop(desk.affiliate(&user, wanted));
                }
                9..11 => drop(desk.configure(&[("muc#roomconfig_persistentroom", "1")])),
                11 => {
                    let persists = ["0", "1"][usize::try_from(desk.dice.below(2)).unwrap()];
                    let name = format!("&lt;{number}&gt; ' é");
                    drop(desk.configure(&[
                        ("muc#roomconfig_roomname", &name),
                        ("muc#roomconfig_persistentroom", persists),
                        ("muc#roomconfig_publicroom", "0"),
                        ("muc#roomconfig_presencebroadcast", "moderator"),
                    ]));
                }
                12 => drop(desk.destroy()),
                13 => drop(desk.restart(&[])),
                14 if desk.room.is_idle() => desk.reload(),
                _ => drop(desk.configure(&[("muc#roomconfig_membersonly", "0")])),
            }
            desk.check(&format!("seed {seed}, step {number}, {what} by {client}"));
        }
    }
}

#[test]
fn xep0045_10_1_a_room_that_stays_is_there_when_nobody_is_in_it_and_is_fetched_with_all_it_had() {
    let mut desk = Desk::coven();
    desk.configure(&[("muc#roomconfig_roomname", "A dark cave")]);
    desk.affiliate("wiccarocks@shakespeare.lit", "admin");
    desk.say(CRONE, "<subject>Fire burn</subject>");
    for words in ["one", "two", "three"] {
        desk.say(CRONE, &format!("<body>{words}</body>"));
    }
    let id = desk.room.occupant_id(&address(CRONE));
    assert!(!desk.room.is_idle());
    desk.leave(CRONE);
    assert!(desk.room.is_idle(), "it costs no memory when nobody is in it");
    desk.reload();
    let seen = desk.join(WICCA, "secondwitch");
    assert!(
        seen[0].contains("affiliation='admin'") && !seen[0].contains("code='201'"),
        "{}",
        seen[0]
    );
    let said: Vec<bool> = ["one", "two", "three", "Fire burn"]
        .iter()
        .zip(&seen[1..])
        .map(|(words, copy)| copy.contains(words) && copy.contains("<delay"))
        .collect();
    assert_eq!(said, [true; 4], "{seen:?}");
    assert_eq!(desk.room.occupant_id(&address(CRONE)), id, "XEP-0421: stable");
    assert_eq!(desk.room.view().unwrap().name, "A dark cave");
}

#[test]
fn xep0045_10_1_a_room_that_does_not_stay_leaves_nothing() {
    let mut desk = Desk::coven();
    desk.configure(&[("muc#roomconfig_persistentroom", "0")]);
    assert_eq!(desk.shelf, Shelf::default());
    desk.join(HAG, "thirdwitch");
    assert_eq!(
        desk.shelf.0.occupants.len(),
        1,
        "a client of another server has a row"
    );
    desk.leave(HAG);
    desk.leave(CRONE);
    assert_eq!(desk.shelf, Shelf::default());
    assert!(desk.join(WICCA, "secondwitch")[0].contains("code='201'"));
}

#[test]
fn xep0045_10_9_a_destroyed_room_is_gone_for_its_time_and_tells_where_to_go() {
    let mut desk = Desk::coven();
    desk.destroy();
    for round in ["at once", "after it was fetched"] {
        let refused = desk.join(HAG, "thirdwitch");
        assert_eq!(refused.len(), 1, "{round}");
        for part in [
            "type='error'",
            "<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:darkcave@chat.lit?join</gone>",
            "Macbeth doth come.",
        ] {
            assert!(refused[0].contains(part), "{round}: {}", refused[0]);
        }
        let asked = desk.send(
            HAG,
            "<iq id='i' type='get' to='coven@chat.lit'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
        );
        assert!(asked[0].contains("<gone"), "{round}: {}", asked[0]);
        assert!(desk.room.is_idle());
        desk.reload();
    }
    desk.wall = Timestamp::from_unix_micros(1_000_000 + 31 * 24 * 3600 * 1_000_000);
    assert!(
        desk.join(HAG, "thirdwitch")[0].contains("code='201'"),
        "the name is free again"
    );
}

#[test]
fn after_a_crash_clients_elsewhere_learn_with_333_that_they_are_out_and_rows_go() {
    let mut desk = Desk::coven();
    desk.join(HAG, "thirdwitch");
    desk.join(WICCA, "secondwitch");
    desk.reload();
    let seen = desk.tell(Input::Admin(AdminRequest::TellVanished));
    assert_eq!(seen.len(), 1, "{seen:?}");
    let told = for_one(&seen, HAG)[0];
    for part in [
        "type='unavailable'",
        "from='coven@chat.lit/thirdwitch'",
        "code='110'",
        "code='333'",
    ] {
        assert!(told.contains(part), "{told}");
    }
    assert!(desk.shelf.0.occupants.is_empty());
    assert!(
        desk.tell(Input::Admin(AdminRequest::TellVanished)).is_empty(),
        "once"
    );
}

#[test]
fn a_restart_keeps_who_is_in_the_room_and_tells_nobody() {
    for persists in ["1", "0"] {
        let mut desk = Desk::coven();
        desk.configure(&[
            ("muc#roomconfig_persistentroom", persists),
            ("muc#roomconfig_moderatedroom", "1"),
        ]);
        desk.say(CRONE, "<subject>Fire burn</subject>");
        desk.join(HAG, "thirdwitch");
        desk.join(WICCA, "secondwitch");
        let seen = desk.restart(&[]);
        let is_question =
            |copy: &String| copy.contains("type='probe'") && copy.contains(&format!("to='{HAG}'"));
        assert!(seen.iter().all(is_question), "nobody hears of it: {seen:?}");
        assert_eq!(seen.len(), 1, "who is elsewhere is asked (PSA-64)");
        desk.check("after the restart");
        let roles: Vec<_> = desk
            .room
            .occupants
            .iter()
            .map(|one| (one.nick().to_owned(), one.role, one.affiliation))
            .collect();
        assert_eq!(
            roles,
            [
                ("firstwitch".to_owned(), Role::Moderator, Affiliation::Owner),
                ("secondwitch".to_owned(), Role::Visitor, Affiliation::None),
                ("thirdwitch".to_owned(), Role::Visitor, Affiliation::None),
            ]
        );
        let said = desk.say(CRONE, "<body>Double, double</body>");
        assert_eq!(said.len(), 3, "all hear it: {said:?}");
        let seen = desk.join("friar@verona.lit/cell", "friar");
        assert!(seen.last().unwrap().contains("Fire burn"), "{seen:?}");
    }
}

#[test]
fn a_restart_lets_those_go_whose_sessions_it_did_not_keep() {
    let mut desk = Desk::coven();
    desk.join(HAG, "thirdwitch");
    desk.join(WICCA, "secondwitch");
    let mut seen = desk.restart(&[WICCA]);
    seen.retain(|copy| !copy.contains("type='probe'"));
    for other in [CRONE, HAG] {
        let told = for_one(&seen, other);
        assert_eq!(told.len(), 1, "{seen:?}");
        assert!(
            told[0].contains("type='unavailable'") && told[0].contains("code='333'"),
            "{}",
            told[0]
        );
    }
    assert_eq!(desk.room.occupants.len(), 2);
}

#[test]
fn whoever_is_in_a_room_that_is_lost_is_told_so() {
    let mut desk = Desk::coven();
    desk.join(HAG, "thirdwitch");
    let told: Vec<String> = desk.room.farewell().iter().map(text).collect();
    assert_eq!(told.len(), 2);
    for client in [CRONE, HAG] {
        let told = for_one(&told, client);
        assert!(
            told[0].contains("code='333'") && told[0].contains("code='110'"),
            "{told:?}"
        );
    }
}

#[test]
fn what_was_decided_with_a_message_settles_it_only_when_it_is_on_disk() {
    let mut desk = Desk::coven();
    let limits = xml::Limits::unlimited();
    let message = "<message type='groupchat' id='m' to='coven@chat.lit'><body>Hail</body></message>";
    let element = Element::parse(message.as_bytes(), ContentNamespace::Client, &limits).unwrap();
    let stanza = Stanza::new(
        element,
        Some(address(CRONE)),
        Some(address("coven@chat.lit")),
        None,
    )
    .unwrap();
    let mut out = Out::default();
    let mut context = Context {
        now: Moment::default(),
        wall: desk.wall,
        random: &mut desk.dice,
        settings: &desk.settings,
    };
    let input = Input::Inbound {
        parcel: Parcel::new(stanza),
        receipt: None,
    };
    desk.room.handle(&mut context, input, &mut out);
    assert!(matches!(out.commit[..], [Change::Said(_)]), "{:?}", out.commit);
    assert!(
        matches!(out.effects.last(), Some(Effect::Kept(..))),
        "{:?}",
        out.effects.last()
    );
}

#[test]
fn a_tombstone_of_no_time_is_none() {
    let mut desk = Desk::coven();
    desk.settings.tombstones = Duration::ZERO;
    desk.destroy();
    assert!(desk.join(HAG, "thirdwitch")[0].contains("code='201'"));
}

#[test]
fn psa_66_what_was_given_back_after_a_restart_and_did_not_arrive_is_given_back_again() {
    for persists in ["1", "0"] {
        let mut desk = Desk::coven();
        desk.configure(&[("muc#roomconfig_persistentroom", persists)]);
        desk.join(HAG, "thirdwitch");
        let path = |desk: &mut Desk, is_broken| {
            let domain = address("verona.lit");
            let seen = desk.tell(Input::Path { domain, is_broken });
            seen.into_iter().find(|copy| copy.contains("<body>Hail</body>"))
        };
        path(&mut desk, true);
        desk.say(CRONE, "<body>Hail</body>");
        desk.restart(&[]);
        let given = path(&mut desk, false).unwrap();
        path(&mut desk, true);
        desk.tell(Input::Undelivered {
            parcel: Parcel::new(parse(given.as_bytes()).unwrap()),
            error: StanzaError::new(Condition::RemoteServerTimeout),
            receipt: None,
        });
        assert!(path(&mut desk, false).is_some());
    }
}

#[test]
fn a_room_that_cannot_go_on_says_so_to_those_who_were_in_it() {
    let mut desk = Desk::coven();
    desk.join(WICCA, "second");
    desk.join(HAG, "third");
    let (tell, told) = std::sync::mpsc::channel();
    let keep = AdminRequest::Keep(Box::new(move |kept| tell.send(kept).unwrap()));
    desk.tell(Input::Admin(keep));
    let seen: Vec<String> = told
        .recv()
        .unwrap()
        .unwrap()
        .farewell()
        .iter()
        .map(text)
        .collect();
    assert_eq!(seen.len(), 3);
    for client in [CRONE, WICCA, HAG] {
        let gone = for_one(&seen, client);
        assert!(
            gone.len() == 1 && gone[0].contains("type='unavailable'") && gone[0].contains("code='333'"),
            "{gone:?}"
        );
    }
}
