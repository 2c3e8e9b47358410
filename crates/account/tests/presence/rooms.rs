//! Rooms that the user is in: what they are told of the user's sessions, and what they tell of their occupants.

use std::time::Duration;

use account::Flags;
use machine::Rate;
use presence::{PsaSettings, Settings, Words};

use crate::home::{Home, WANTS};

const PAUSED: &str =
    "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'><connection-paused/></state-annotation>";
const BACK: &str = "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'/>";
const JOIN: &str = "<x xmlns='http://jabber.org/protocol/muc'/>";
const SELF: &str = "<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x>";
const LOST_THERE: &str = "<state-annotation xmlns='urn:xmpp:psa' from='rooms.montague.lit'>\
    <server-unavailable/></state-annotation>";
const BACK_THERE: &str = "<state-annotation xmlns='urn:xmpp:psa' from='rooms.montague.lit'/>";

fn settings() -> Settings {
    let psa = PsaSettings {
        words: Words::None,
        ..PsaSettings::default()
    };
    Settings {
        psa,
        ..Settings::default()
    }
}

/// Romeo in a room of this service, as it has told him.
fn in_room(service: &str) -> Home {
    let mut home = Home::new(settings(), Flags::default());
    home.settings.local_services = vec!["rooms.montague.lit".to_owned()];
    home.connects("lane");
    home.says(
        "lane",
        &format!("<presence xmlns='jabber:client' to='orchard@{service}/romeo'>{JOIN}</presence>"),
    );
    home.arrives(&format!(
        "<presence xmlns='jabber:client' from='orchard@{service}/romeo' to='romeo@montague.lit/lane'>{SELF}</presence>"
    ));
    home
}

fn told(service: &str, annotation: &str) -> String {
    format!(
        "> <presence from='romeo@montague.lit/lane' to='orchard@{service}/romeo'>{JOIN}{annotation}</presence>"
    )
}

#[test]
fn psa_33_psa_39_psa_56_c_21_a_room_here_is_told_of_the_pause_as_another_server_would_tell_it() {
    let mut home = in_room("rooms.montague.lit");
    assert_eq!(home.loses("lane"), [told("rooms.montague.lit", PAUSED)]);
    assert_eq!(home.resumes("lane"), [told("rooms.montague.lit", BACK)]);
}

#[test]
fn psa_33_a_room_elsewhere_is_told_once_its_service_says_that_it_asks() {
    let mut home = in_room("chats.lit");
    let question = home.loses("lane");
    assert_eq!(question.len(), 1, "{question:?}");
    assert!(
        question[0].contains(" to='chats.lit'") && question[0].contains("disco#info'/>"),
        "{question:?}"
    );
    let id = question[0]
        .split("id='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    let answer = format!(
        "<iq xmlns='jabber:client' type='result' id='{id}' from='chats.lit' to='romeo@montague.lit'>{WANTS}</iq>"
    );
    assert_eq!(home.arrives(&answer), [told("chats.lit", PAUSED)]);
    assert_eq!(home.resumes("lane"), [told("chats.lit", BACK)]);
    assert_eq!(
        home.loses("lane"),
        [told("chats.lit", PAUSED)],
        "it is not asked again"
    );
}

#[test]
fn psa_02_psa_33_a_room_elsewhere_that_does_not_ask_is_told_nothing() {
    let mut home = in_room("chats.lit");
    let question = home.loses("lane");
    let id = question[0]
        .split("id='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    let answer = "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='http://jabber.org/protocol/muc'/></query>";
    let answer = format!(
        "<iq xmlns='jabber:client' type='result' id='{id}' from='chats.lit' to='romeo@montague.lit'>{answer}</iq>"
    );
    assert_eq!(home.arrives(&answer), [] as [String; 0]);
    assert_eq!(home.resumes("lane"), [] as [String; 0]);
    assert_eq!(home.loses("lane"), [] as [String; 0]);
}

#[test]
fn psa_34_a_room_that_was_left_is_told_nothing() {
    let mut home = in_room("rooms.montague.lit");
    home.says(
        "lane",
        "<presence xmlns='jabber:client' type='unavailable' to='orchard@rooms.montague.lit/romeo'/>",
    );
    assert_eq!(home.loses("lane"), [] as [String; 0]);
}

/// What romeo gets of juliet in a room here.
fn of_juliet(home: &mut Home, inside: &str) -> Vec<String> {
    home.arrives(&format!(
        "<presence xmlns='jabber:client' from='orchard@rooms.montague.lit/juliet' to='romeo@montague.lit/lane'>{inside}</presence>"
    ))
}

#[test]
fn psa_51_what_a_room_here_tells_of_an_occupant_reaches_the_client_and_its_domain_is_no_link() {
    let mut home = Home::new(settings(), Flags::default());
    home.settings.local_services = vec!["rooms.montague.lit".to_owned()];
    home.knows_the_hash();
    home.interested("lane");
    let plain = of_juliet(&mut home, "");
    assert_eq!(plain.len(), 1, "nothing is watched: {plain:?}");
    assert!(of_juliet(&mut home, LOST_THERE)[0].contains(LOST_THERE));
    assert!(of_juliet(&mut home, BACK_THERE)[0].contains(BACK_THERE));
    assert_eq!(home.load().remote, 0);
}

#[test]
fn psa_02_a_client_that_does_not_ask_sees_neither_what_the_room_says_nor_that_it_is_over() {
    let mut home = Home::new(settings(), Flags::default());
    home.settings.local_services = vec!["rooms.montague.lit".to_owned()];
    home.connects("lane");
    of_juliet(&mut home, "");
    assert_eq!(of_juliet(&mut home, LOST_THERE), [] as [String; 0]);
    assert_eq!(of_juliet(&mut home, BACK_THERE), [] as [String; 0]);
}

#[test]
fn xep0045_7_5_occupants_of_a_room_that_the_session_is_in_are_no_strangers_to_it() {
    let mut home = in_room("chats.lit");
    home.settings.stranger_messages = Some(Rate {
        events: 1,
        per: Duration::from_secs(3600),
    });
    let write = |home: &mut Home, to: &str| {
        home.says(
            "lane",
            &format!("<message xmlns='jabber:client' type='chat' to='{to}'><body>Hist</body></message>"),
        )
    };
    for _ in 0..5 {
        assert!(write(&mut home, "orchard@chats.lit/juliet")[0].starts_with("> <message"));
    }
    assert!(write(&mut home, "tybalt@verona.lit")[0].starts_with("> <message"));
    assert!(write(&mut home, "tybalt@verona.lit")[0].contains("policy-violation"));
}

#[test]
fn psa_59_xep0045_17_4_a_room_and_its_occupants_may_ask_a_client_that_is_in_it() {
    let mut home = in_room("rooms.montague.lit");
    let ask = |home: &mut Home, from: &str| {
        home.arrives(&format!(
            "<iq xmlns='jabber:client' type='get' id='q' from='{from}' to='romeo@montague.lit/lane'><query xmlns='jabber:iq:version'/></iq>"
        ))
    };
    // What is said there later is no less of a stay.
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='orchard@rooms.montague.lit/romeo'><show>away</show></presence>",
    );
    for from in ["orchard@rooms.montague.lit", "orchard@rooms.montague.lit/juliet"] {
        assert!(ask(&mut home, from)[0].starts_with("lane< <iq"), "{from}");
    }
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='paris@verona.lit/hall'/>",
    );
    for from in [
        "paris@verona.lit/cell",
        "garden@rooms.montague.lit",
        "tybalt@verona.lit/street",
    ] {
        assert!(ask(&mut home, from)[0].contains("service-unavailable"), "{from}");
    }
}
