//! Other domains out of reach (XEP-0310 §4.1; clauses §4.4).

use std::time::Duration;

use account::{Flags, Path};
use presence::{PsaSettings, Settings, Words};

use crate::home::{Home, WANTS};

const LOST: Path = Path::Broken("timeout");

const S0: &str = "<presence xmlns='jabber:client' from='juliet@capulet.lit/orchard' to='romeo@montague.lit' id='j'><show>dnd</show><status>Available</status></presence>";

fn plain(to: &str) -> String {
    format!(
        "<presence from='juliet@capulet.lit/orchard' to='{to}' id='j'><show>dnd</show><status>Available</status></presence>"
    )
}

fn annotated(to: &str, annotation: &str) -> String {
    plain(to).replace("</presence>", &format!("{annotation}</presence>"))
}

const DOWN: &str =
    "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'><server-unavailable/></state-annotation>";
const BACK: &str = "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'/>";

fn home() -> Home {
    let psa = PsaSettings {
        words: Words::None,
        ..PsaSettings::default()
    };
    let settings = Settings {
        psa,
        ..Settings::default()
    };
    let mut home = Home::new(settings, Flags::default());
    home.knows_the_hash();
    home
}

fn lane(annotation: &str) -> String {
    format!("lane< {}", annotated("romeo@montague.lit/lane", annotation))
}

#[test]
fn psa_09_psa_11_psa_14_psa_21_psa_22_psa_29_the_last_presence_is_repeated_with_the_news() {
    let mut home = home();
    home.interested("lane");
    assert!(home.seen.contains(&"watch capulet.lit".to_owned()));
    assert_eq!(
        home.arrives(S0),
        [format!("lane< {}", plain("romeo@montague.lit"))]
    );
    assert_eq!(home.path("capulet.lit", LOST), [lane(DOWN)]);
    assert!(home.path("capulet.lit", LOST).is_empty(), "once");
    assert_eq!(home.path("capulet.lit", Path::Clear), [lane(BACK)]);
    assert!(home.path("capulet.lit", Path::Clear).is_empty(), "once");
}

#[test]
fn psa_13_words_for_people_are_a_setting() {
    let mut home = home();
    home.settings.presence.psa.words = Words::Some;
    home.interested("lane");
    home.arrives(S0);
    assert!(home.path("capulet.lit", LOST)[0].contains("<server-unavailable/><description xml:lang='en'>"));
    assert_eq!(
        home.path("capulet.lit", Path::Clear),
        [lane(BACK)],
        "PSA-14: never in an empty one"
    );
}

#[test]
fn psa_02_who_does_not_ask_is_told_nothing() {
    let mut home = home();
    home.connects("lane");
    home.says("lane", "<presence xmlns='jabber:client'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='unknown'/></presence>");
    home.arrives(S0);
    let asked = home.path("capulet.lit", LOST);
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("node='n#unknown'"), "{asked:?}");
    let id = asked[0]
        .split("id='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap()
        .to_owned();
    let lie = format!("<iq xmlns='jabber:client' type='result' id='{id}'>{WANTS}</iq>");
    assert!(
        home.says("lane", &lie).is_empty(),
        "PSA-03: the hash does not match"
    );
    assert!(home.path("capulet.lit", Path::Clear).is_empty());
}

#[test]
fn psa_01_psa_04_psa_05_an_answer_that_comes_while_the_path_is_broken_brings_the_news() {
    let mut home = home();
    home.connects("lane");
    home.says("lane", "<presence xmlns='jabber:client'/>");
    home.arrives(S0);
    let asked = home.path("capulet.lit", LOST);
    assert!(
        asked.len() == 1 && asked[0].contains("<query xmlns='http://jabber.org/protocol/disco#info'/>"),
        "{asked:?}"
    );
    let id = asked[0]
        .split("id='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap()
        .to_owned();
    let answer = format!("<iq xmlns='jabber:client' type='result' id='{id}'>{WANTS}</iq>");
    assert_eq!(home.says("lane", &answer), [lane(DOWN)]);
    assert_eq!(home.path("capulet.lit", Path::Clear), [lane(BACK)]);
}

#[test]
fn psa_03_psa_05_interest_follows_the_newest_presence() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.says("lane", "<presence xmlns='jabber:client'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='other'/></presence>");
    let asked = home.path("capulet.lit", LOST);
    assert!(
        asked.iter().all(|line| line.starts_with("lane< <iq")),
        "{asked:?}"
    );
    let hash = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='VER'/>";
    let ver = home.seen.iter().find(|line| line.contains("ver='")).unwrap();
    let ver = ver
        .split("ver='")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap()
        .to_owned();
    let seen = home.says(
        "lane",
        &format!(
            "<presence xmlns='jabber:client'>{}</presence>",
            hash.replace("VER", &ver)
        ),
    );
    assert!(seen.contains(&lane(DOWN)), "{seen:?}");
}

#[test]
fn c_16_a_repeat_without_capabilities_changes_nothing() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.says(
        "lane",
        "<presence xmlns='jabber:client'><show>away</show></presence>",
    );
    assert_eq!(home.path("capulet.lit", LOST), [lane(DOWN)]);
}

#[test]
fn psa_23_psa_24_each_resource_once_to_the_sessions_that_got_it() {
    let mut home = home();
    home.interested("lane");
    home.interested("phone");
    home.arrives(S0);
    home.arrives(&S0.replace("orchard", "tower"));
    home.arrives(
        "<presence xmlns='jabber:client' from='friar@capulet.lit/cell' to='romeo@montague.lit/lane'/>",
    );
    let seen = home.path("capulet.lit", LOST);
    let count = |who: &str, from: &str| {
        seen.iter()
            .filter(|line| line.starts_with(who) && line.contains(from))
            .count()
    };
    assert_eq!(seen.len(), 5, "{seen:?}");
    for from in ["orchard", "tower"] {
        assert_eq!((count("lane", from), count("phone", from)), (1, 1));
    }
    assert_eq!((count("lane", "friar"), count("phone", "friar")), (1, 0));
}

#[test]
fn psa_25_psa_26_what_is_gone_or_no_presence_is_not_repeated() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.arrives("<presence xmlns='jabber:client' type='subscribe' from='juliet@capulet.lit' to='romeo@montague.lit'/>");
    home.arrives("<presence xmlns='jabber:client' type='subscribe' from='tybalt@capulet.lit' to='romeo@montague.lit'/>");
    assert_eq!(home.path("capulet.lit", LOST), [lane(DOWN)]);
    assert_eq!(home.path("capulet.lit", Path::Clear), [lane(BACK)]);
    home.arrives("<presence xmlns='jabber:client' type='unavailable' from='juliet@capulet.lit' to='romeo@montague.lit'/>");
    assert!(home.path("capulet.lit", LOST).is_empty());
}

#[test]
fn psa_27_c_06_errors_of_our_own_and_errors_about_pokes_do_not_count() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    let error = "<presence xmlns='jabber:client' type='error' from='juliet@capulet.lit/orchard' to='romeo@montague.lit/lane'>POKE<error type='wait'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>";
    home.arrives(&error.replace("POKE", "<poke xmlns='http://jabber.org/protocol/poke'/>"));
    assert_eq!(home.path("capulet.lit", LOST), [lane(DOWN)]);
    home.arrives(&error.replace("POKE", ""));
    assert_eq!(home.path("capulet.lit", Path::Clear), [lane(BACK)]);
}

#[test]
fn poke_28_who_was_found_has_not_changed() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.arrives("<presence xmlns='jabber:client' from='juliet@capulet.lit/orchard' to='romeo@montague.lit/lane' id='p'><poke xmlns='http://jabber.org/protocol/poke'/></presence>");
    assert_eq!(home.path("capulet.lit", LOST), [lane(DOWN)]);
}

#[test]
fn psa_28_occupants_of_a_room_are_annotated_until_the_session_leaves() {
    let mut home = home();
    home.interested("lane");
    home.says("lane", "<presence xmlns='jabber:client' to='orchard@chats.lit/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    for nick in ["romeo", "juliet", "nurse"] {
        home.arrives(&format!(
            "<presence xmlns='jabber:client' from='orchard@chats.lit/{nick}' to='romeo@montague.lit/lane'/>"
        ));
    }
    assert_eq!(home.path("chats.lit", LOST).len(), 3);
    let seen = home.path("chats.lit", Path::Clear);
    assert_eq!(
        seen.len(),
        1,
        "the room is asked whether the session is in: {seen:?}"
    );
    assert_eq!(home.passes(Duration::from_secs(15)).len(), 3);
    let left = home.says(
        "lane",
        "<presence xmlns='jabber:client' type='unavailable' to='orchard@chats.lit/romeo'/>",
    );
    assert!(left.contains(&"unwatch chats.lit".to_owned()), "{left:?}");
    assert!(home.path("chats.lit", LOST).is_empty());
}

#[test]
fn psa_28_a_session_that_was_put_out_of_a_room_holds_no_occupants() {
    let mut home = home();
    home.interested("lane");
    for nick in ["romeo", "juliet"] {
        home.arrives(&format!(
            "<presence xmlns='jabber:client' from='orchard@chats.lit/{nick}' to='romeo@montague.lit/lane'/>"
        ));
    }
    home.arrives("<presence xmlns='jabber:client' type='unavailable' from='orchard@chats.lit/romeo' to='romeo@montague.lit/lane'><x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x></presence>");
    assert!(home.path("chats.lit", LOST).is_empty());
}

#[test]
fn psa_30_afterwards_the_contacts_there_are_asked_within_five_seconds() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.path("capulet.lit", LOST);
    home.path("capulet.lit", Path::Clear);
    let probes = home.passes(Duration::from_secs(5));
    assert_eq!(
        probes,
        [
            "> <presence from='romeo@montague.lit' to='juliet@capulet.lit' type='probe'/>",
            "> <presence from='romeo@montague.lit' to='nurse@capulet.lit' type='probe'/>"
        ]
    );
    home.arrives(S0);
    assert!(home.passes(Duration::from_secs(60)).is_empty());
}

#[test]
fn psa_27_what_says_that_the_way_is_broken_before_the_link_does_is_our_own() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.arrives(
        "<presence xmlns='jabber:client' type='error' from='juliet@capulet.lit' to='romeo@montague.lit/lane'>\
         <error type='wait'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
    );
    assert_eq!(home.path("capulet.lit", LOST), [lane(DOWN)]);
}

const GONE: &str =
    "lane< <presence from='juliet@capulet.lit/orchard' to='romeo@montague.lit/lane' type='unavailable'/>";

#[test]
fn psa_30_a_resource_that_the_answer_does_not_name_is_gone() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.arrives(&S0.replace("orchard", "tower"));
    home.path("capulet.lit", LOST);
    home.path("capulet.lit", Path::Clear);
    home.passes(Duration::from_secs(5));
    home.arrives(&S0.replace("orchard", "tower"));
    assert_eq!(home.passes(Duration::from_secs(10)), [GONE]);
    assert_eq!(home.path("capulet.lit", LOST).len(), 1, "the tower");
}

#[test]
fn psa_30_nothing_is_concluded_while_the_path_is_broken_again() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.path("capulet.lit", LOST);
    home.path("capulet.lit", Path::Clear);
    home.passes(Duration::from_secs(5));
    home.path("capulet.lit", LOST);
    assert!(home.passes(Duration::from_secs(60)).is_empty());
}

#[test]
fn psa_30_who_comes_during_an_outage_learns_of_contacts_when_it_is_over() {
    let mut home = home();
    home.interested("lane");
    assert!(
        home.seen.contains(&"watch capulet.lit".to_owned()),
        "{:?}",
        home.seen
    );
    home.path("capulet.lit", LOST);
    home.path("capulet.lit", Path::Clear);
    assert_eq!(home.passes(Duration::from_secs(5)).len(), 2);
}

#[test]
fn psa_30_psa_48_after_a_short_break_contacts_are_asked_and_nobody_is_told_anything() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    assert!(home.path("capulet.lit", Path::Renewed).is_empty());
    assert_eq!(home.passes(Duration::from_secs(5)).len(), 2);
    home.arrives(S0);
    assert!(home.passes(Duration::from_secs(60)).is_empty());
}

#[test]
fn rfc6121_3_2_3_who_may_see_a_contact_no_longer_does_not_whatever_became_of_the_goodbye() {
    for (says, arrives) in [(None, Some("unsubscribed")), (Some("unsubscribe"), None)] {
        let mut home = home();
        home.interested("lane");
        home.arrives(S0);
        home.path("capulet.lit", LOST);
        home.seen.clear();
        if let Some(kind) = arrives {
            home.arrives(&format!("<presence xmlns='jabber:client' type='{kind}' from='juliet@capulet.lit' to='romeo@montague.lit'/>"));
        }
        if let Some(kind) = says {
            home.says(
                "lane",
                &format!("<presence xmlns='jabber:client' type='{kind}' to='juliet@capulet.lit'/>"),
            );
        }
        assert!(home.seen.contains(&GONE.to_owned()), "{:?}", home.seen);
        assert!(home.path("capulet.lit", Path::Clear).is_empty());
    }
}

#[test]
fn psa_45_who_is_away_is_told_what_is_so_when_he_is_back() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.loses("lane");
    assert!(home.path("capulet.lit", LOST).is_empty());
    assert!(home.path("capulet.lit", Path::Clear).is_empty());
    assert!(home.path("capulet.lit", LOST).is_empty());
    let seen = home.resumes("lane");
    let told: Vec<&String> = seen.iter().filter(|line| line.contains("juliet")).collect();
    assert_eq!(told, [&lane(DOWN)]);
}

#[test]
fn psa_22_a_client_that_reads_slowly_is_told_later_and_not_ended() {
    let mut home = home();
    home.settings.mailbox.stanzas = 40;
    home.interested("lane");
    home.arrives(S0);
    for _ in 0..20 {
        home.fills("lane");
    }
    assert!(home.path("capulet.lit", LOST).is_empty());
    home.empties("lane");
    assert_eq!(home.passes(Duration::from_secs(2)), [lane(DOWN)]);
}

#[test]
fn psa_03_who_was_told_and_could_not_be_told_the_end_is_told_once_it_asks_again() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    assert_eq!(home.arrives(&theirs(THEIRS)).len(), 1);
    home.says("lane", "<presence xmlns='jabber:client'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='other'/></presence>");
    let over = theirs("<state-annotation xmlns='urn:xmpp:psa' from='capulet.lit'/>");
    assert!(home.arrives(&over).iter().all(|line| !line.contains("<presence")));
    let seen = home.says_hash("lane");
    assert_eq!(
        seen.iter()
            .filter(|line| line.contains("from='capulet.lit'/>"))
            .count(),
        1,
        "{seen:?}"
    );
}

#[test]
fn psa_32_who_comes_while_the_path_is_broken_gets_the_presence_with_the_news() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.path("capulet.lit", LOST);
    home.interested("phone");
    let to_phone: Vec<&String> = home
        .seen
        .iter()
        .filter(|line| line.starts_with("phone<") && line.contains("juliet"))
        .collect();
    assert_eq!(
        to_phone,
        [&format!("phone< {}", annotated("romeo@montague.lit/phone", DOWN))]
    );
    assert_eq!(home.path("capulet.lit", Path::Clear).len(), 2);
}

#[test]
fn psa_16_clients_never_annotate() {
    let mut home = home();
    home.connects("lane");
    let forged = format!("<presence xmlns='jabber:client'><status>x</status>{DOWN}</presence>");
    for text in [
        forged.clone(),
        forged.replace("<presence", "<presence to='orchard@chats.lit/romeo'"),
    ] {
        let seen = home.says("lane", &text);
        assert!(
            !seen.is_empty() && seen.iter().all(|line| !line.contains("state-annotation")),
            "{seen:?}"
        );
    }
}

const THEIRS: &str =
    "<state-annotation xmlns='urn:xmpp:psa' from='capulet.lit'><connection-paused/></state-annotation>";

fn theirs(annotation: &str) -> String {
    S0.replace("<show>", &format!("{annotation}<show>"))
}

#[test]
fn psa_15_psa_17_an_annotation_by_somebody_else_is_taken_out() {
    let mut home = home();
    home.interested("lane");
    let seen = home.arrives(&theirs(&THEIRS.replace("capulet.lit", "evil.lit")));
    assert_eq!(seen[0], format!("lane< {}", plain("romeo@montague.lit")));
}

#[test]
fn psa_08_psa_18_c_18_c_25_an_annotation_of_their_server_is_for_who_asks() {
    let mut home = home();
    home.interested("lane");
    home.connects("phone");
    home.says("phone", "<presence xmlns='jabber:client'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='plain'/></presence>");
    home.arrives(S0);
    let seen = home.arrives(&theirs(THEIRS));
    let lanes: Vec<&String> = seen.iter().filter(|line| line.contains("presence")).collect();
    assert_eq!(lanes.len(), 1, "{seen:?}");
    assert!(
        lanes[0]
            .starts_with("lane< <presence from='juliet@capulet.lit/orchard' to='romeo@montague.lit/lane'"),
        "{seen:?}"
    );
    let seen = home.arrives(&theirs(
        "<state-annotation xmlns='urn:xmpp:psa' from='capulet.lit'/>",
    ));
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn psa_18_the_first_presence_of_a_contact_is_news_to_everybody() {
    let mut home = home();
    home.connects("phone");
    home.says("phone", "<presence xmlns='jabber:client'/>");
    let seen = home.arrives(&theirs(THEIRS));
    assert!(
        seen.contains(&format!("phone< {}", plain("romeo@montague.lit"))),
        "{seen:?}"
    );
}

#[test]
fn psa_19_two_annotators_stand_side_by_side() {
    let mut home = home();
    home.interested("lane");
    home.arrives(&theirs(THEIRS));
    assert_eq!(home.path("capulet.lit", LOST), [lane(&format!("{THEIRS}{DOWN}"))]);
    assert_eq!(
        home.path("capulet.lit", Path::Clear),
        [lane(&format!("{THEIRS}{BACK}"))]
    );
}

#[test]
fn psa_20_c_22_whom_the_user_blocks_is_not_repeated() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.says("lane", "<iq xmlns='jabber:client' type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='juliet@capulet.lit'/></block></iq>");
    assert!(home.path("capulet.lit", LOST).is_empty());
}

#[test]
fn psa_21_fresh_presence_is_not_followed_by_a_stale_repeat() {
    let mut home = home();
    home.interested("lane");
    home.arrives(S0);
    home.path("capulet.lit", LOST);
    home.arrives(&S0.replace("Available", "again"));
    // It was told with the fresh presence that the old one is over: nothing more to say once the path is clear.
    let seen = home.path("capulet.lit", Path::Clear);
    assert!(seen.iter().all(|line| !line.contains("Available<")), "{seen:?}");
}

#[test]
fn psa_22_a_storm_is_told_in_portions_and_the_newest_state_wins() {
    let mut home = home();
    home.settings.presence.psa.cache_bytes = 10_000_000;
    home.interested("lane");
    for n in 0..1_000 {
        home.arrives(&format!(
            "<presence xmlns='jabber:client' from='u{n}@capulet.lit/r' to='romeo@montague.lit'/>"
        ));
    }
    assert_eq!(home.path("capulet.lit", LOST).len(), 200);
    assert_eq!(home.passes(Duration::from_secs(1)).len(), 200);
    assert!(
        home.path("capulet.lit", Path::Clear).is_empty(),
        "the pace is the same for what is over"
    );
    for _ in 0..2 {
        let seen = home.passes(Duration::from_secs(1));
        let annotations = seen.iter().filter(|line| line.contains("annotation"));
        assert_eq!(annotations.count(), 200, "who was not told needs no correction");
    }
    assert!(
        home.passes(Duration::from_secs(60))
            .iter()
            .all(|line| !line.contains("annotation"))
    );
}

#[test]
fn psa_22_a_storm_of_a_thousand_is_told_within_ten_seconds() {
    let mut home = home();
    home.settings.presence.psa.cache_bytes = 10_000_000;
    home.interested("lane");
    for n in 0..1_000 {
        home.arrives(&format!(
            "<presence xmlns='jabber:client' from='u{n}@capulet.lit/r' to='romeo@montague.lit'/>"
        ));
    }
    let first = home.path("capulet.lit", LOST).len();
    assert_eq!(first + home.passes(Duration::from_secs(10)).len(), 1_000);
}

#[test]
fn dcl_31_an_answer_to_a_wish_is_presence_like_any_other() {
    let mut home = home();
    home.interested("lane");
    home.arrives("<presence xmlns='jabber:client' from='tybalt@capulet.lit/library' to='romeo@montague.lit/lane'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/></presence>");
    let seen = home.path("capulet.lit", LOST);
    assert!(
        seen.len() == 1 && seen[0].contains("tybalt@capulet.lit/library"),
        "{seen:?}"
    );
}

#[test]
fn all_of_it_can_be_switched_off() {
    let mut home = home();
    home.settings.presence.psa.enabled = false;
    home.interested("lane");
    assert_eq!(
        home.arrives(S0),
        [format!("lane< {}", plain("romeo@montague.lit"))]
    );
    assert!(home.path("capulet.lit", LOST).is_empty());
}
