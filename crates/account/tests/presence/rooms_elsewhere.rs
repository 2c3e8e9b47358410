//! Sessions in rooms of other services: what they hold of occupants, and whether they are still in after an outage
//! (clauses PSA-28, PSA-29, PSA-67).

use std::time::Duration;

use account::{Flags, Path, SelfPing, Tally};
use presence::{PsaSettings, Settings, Words};

use crate::home::Home;

const LOST: Path = Path::Broken("timeout");
const DOWN: &str =
    "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'><server-unavailable/></state-annotation>";
const BACK: &str = "<state-annotation xmlns='urn:xmpp:psa' from='montague.lit'/>";

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

fn from_room(nick: &str, payload: &str) -> String {
    format!(
        "<presence xmlns='jabber:client' from='orchard@chats.lit/{nick}' to='romeo@montague.lit/lane'><x xmlns='http://jabber.org/protocol/muc#user'>{payload}</x></presence>"
    )
}

fn enters(home: &mut Home) {
    home.says("lane", "<presence xmlns='jabber:client' to='orchard@chats.lit/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    home.arrives(&from_room("juliet", ""));
    home.arrives(&from_room("romeo", "<status code='110'/>"));
}

/// Romeo, whose client asks for annotations, is in the orchard with Juliet.
fn in_the_room() -> Home {
    let mut home = Home::new(settings(), Flags::default());
    home.knows_the_hash();
    home.interested("lane");
    enters(&mut home);
    home
}

/// The lines that tell an occupant's presence anew.
fn repeat(nick: &str, payload: &str, annotation: &str) -> String {
    let presence = from_room(nick, payload).replace(" xmlns='jabber:client'", "");
    let x = match payload {
        "" => presence.replace("></x>", "/>"),
        _ => presence,
    };
    format!(
        "lane< {}",
        x.replace("</presence>", &format!("{annotation}</presence>"))
    )
}

/// The id of the self-ping among what was sent.
fn ping(seen: &[String]) -> Option<String> {
    let is_ping = |line: &&String| line.contains("<ping xmlns='urn:xmpp:ping'/>");
    let line = seen.iter().find(is_ping)?;
    assert!(
        line.starts_with("> <iq from='romeo@montague.lit/lane' to='orchard@chats.lit/romeo'"),
        "{line}"
    );
    Some(line.split("id='").nth(1)?.split('\'').next()?.to_owned())
}

fn normalized(seen: &[String]) -> Vec<String> {
    seen.iter()
        .map(|line| {
            line.replace(
                "<x xmlns='http://jabber.org/protocol/muc#user'></x>",
                "<x xmlns='http://jabber.org/protocol/muc#user'/>",
            )
        })
        .collect()
}

fn answer(id: &str, kind: &str, payload: &str) -> String {
    format!(
        "<iq xmlns='jabber:client' type='{kind}' id='{id}' from='orchard@chats.lit/romeo' to='romeo@montague.lit/lane'>{payload}</iq>"
    )
}

fn error(condition: &str) -> String {
    format!("<error type='cancel'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>")
}

/// What the client is told of a presence of its own to the room.
fn presence_error(resource: &str, id: &str) -> String {
    format!(
        "<presence xmlns='jabber:client' type='error' id='{id}' from='orchard@chats.lit/romeo' to='romeo@montague.lit/{resource}'>{}</presence>",
        error("resource-constraint")
    )
}

fn self_pings(home: &Home) -> Vec<&Tally> {
    let is_one = |tally: &&Tally| matches!(tally, Tally::SelfPing(_));
    home.tallies.iter().filter(is_one).collect()
}

#[test]
fn psa_28_psa_29_psa_67_occupants_are_annotated_and_cleared_once_the_room_says_that_the_user_is_still_in() {
    let mut home = in_the_room();
    assert_eq!(home.load().occupants, 2, "the own occupant included");
    assert_eq!(
        normalized(&home.path("chats.lit", LOST)),
        [
            repeat("juliet", "", DOWN),
            repeat("romeo", "<status code='110'/>", DOWN)
        ]
    );
    let seen = home.path("chats.lit", Path::Clear);
    let id = ping(&seen).unwrap();
    assert_eq!(seen.len(), 1, "nothing is told before the answer: {seen:?}");
    assert_eq!(
        normalized(&home.arrives(&answer(&id, "result", ""))),
        [
            repeat("juliet", "", BACK),
            repeat("romeo", "<status code='110'/>", BACK)
        ],
        "and the client does not see the answer"
    );
    assert_eq!(self_pings(&home), [&Tally::SelfPing(SelfPing::In)]);
    assert!(
        home.passes(Duration::from_secs(60))
            .iter()
            .all(|line| !line.contains("orchard@"))
    );
}

#[test]
fn psa_67_who_was_put_out_meanwhile_is_told_so_with_110_and_333_whatever_the_client() {
    for condition in ["not-acceptable", "item-not-found", "gone"] {
        // A client that asks for nothing.
        let mut home = Home::new(settings(), Flags::default());
        home.connects("lane");
        home.says("lane", "<presence xmlns='jabber:client'/>");
        enters(&mut home);
        let seen = home.path("chats.lit", LOST);
        assert!(
            seen.iter().all(|line| !line.contains("urn:xmpp:psa'")),
            "{seen:?}"
        );
        let id = ping(&home.path("chats.lit", Path::Clear)).unwrap();
        let seen = home.arrives(&answer(&id, "error", &error(condition)));
        assert_eq!(
            seen,
            [
                "lane< <presence from='orchard@chats.lit/romeo' to='romeo@montague.lit/lane' type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/><status code='110'/><status code='333'/></x></presence>",
                "unwatch chats.lit",
            ]
        );
        assert_eq!(self_pings(&home), [&Tally::SelfPing(SelfPing::Out)]);
        assert_eq!(home.load().occupants, 0);
        let seen = home.ends("lane");
        assert!(
            seen.iter().all(|line| !line.contains("orchard@")),
            "no goodbye to a room that the session is not in: {seen:?}"
        );
    }
}

#[test]
fn psa_29_a_room_that_does_not_answer_is_waited_for_fifteen_seconds() {
    let mut home = in_the_room();
    home.settings.presence.psa.reprobe = false;
    home.path("chats.lit", LOST);
    let id = ping(&home.path("chats.lit", Path::Clear)).unwrap();
    assert_eq!(home.passes(Duration::from_secs(14)), [""; 0]);
    assert_eq!(home.passes(Duration::from_secs(1)).len(), 2);
    assert_eq!(self_pings(&home), [&Tally::SelfPing(SelfPing::Unanswered)]);
    // A late answer is an answer to nothing, and goes where it is addressed to.
    let late = home.arrives(&answer(&id, "result", ""));
    assert_eq!(late.len(), 1, "{late:?}");
}

#[test]
fn psa_67_a_client_that_does_not_know_the_ping_is_in_all_the_same() {
    let mut home = in_the_room();
    home.path("chats.lit", LOST);
    let id = ping(&home.path("chats.lit", Path::Clear)).unwrap();
    let seen = home.arrives(&answer(&id, "error", &error("service-unavailable")));
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[test]
fn psa_67_an_answer_by_somebody_else_or_to_another_question_is_none() {
    let mut home = in_the_room();
    home.path("chats.lit", LOST);
    let id = ping(&home.path("chats.lit", Path::Clear)).unwrap();
    let other = answer(&id, "error", &error("not-acceptable"));
    for forged in [
        other.replace("orchard@chats.lit/romeo", "orchard@chats.lit/juliet"),
        other.replace(&id, "another"),
    ] {
        let seen = home.arrives(&forged);
        assert!(seen.iter().all(|line| !line.contains("333")), "{seen:?}");
    }
    assert_eq!(home.load().occupants, 2);
}

#[test]
fn psa_29_a_link_that_is_lost_again_while_the_room_is_asked_is_still_lost() {
    let mut home = in_the_room();
    home.path("chats.lit", LOST);
    let first = ping(&home.path("chats.lit", Path::Clear)).unwrap();
    assert_eq!(home.path("chats.lit", LOST), [""; 0], "they know");
    home.arrives(&answer(&first, "result", ""));
    assert_eq!(home.load().unavailable, 2);
    let second = ping(&home.path("chats.lit", Path::Clear)).unwrap();
    assert_eq!(home.arrives(&answer(&second, "result", "")).len(), 2);
}

/// A room that takes back its own annotation, which the client has not seen because this server's hid it, does not take
/// back what this server has said.
#[test]
fn psa_29_what_a_room_takes_back_while_it_is_asked_leaves_what_this_server_has_said_to_be_taken_back() {
    for is_paused in [false, true] {
        let mut home = in_the_room();
        home.path("chats.lit", LOST);
        if is_paused {
            home.loses("lane");
        }
        let id = ping(&home.path("chats.lit", Path::Clear)).unwrap();
        let theirs = "<state-annotation xmlns='urn:xmpp:psa' from='chats.lit'/></presence>";
        let seen = home.arrives(&from_room("juliet", "").replace("</presence>", theirs));
        assert_eq!(seen, [""; 0], "nothing is told before the answer");
        let mut seen = home.arrives(&answer(&id, "result", ""));
        if is_paused {
            assert_eq!(seen, [""; 0], "nobody is there to be told");
            seen = home.resumes("lane");
        }
        let told = normalized(&seen);
        assert!(told.contains(&repeat("juliet", "", BACK)), "{told:?}");
    }
}

#[test]
fn psa_28_after_a_change_of_status_or_name_the_session_is_still_in() {
    let mut home = in_the_room();
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='orchard@chats.lit/romeo'><show>away</show></presence>",
    );
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='orchard@chats.lit/montague'/>",
    );
    home.arrives(
        &from_room(
            "romeo",
            "<item nick='montague'/><status code='303'/><status code='110'/>",
        )
        .replace(" to=", " type='unavailable' to="),
    );
    assert_eq!(home.load().occupants, 1, "the others are still there");
    home.arrives(&from_room("montague", "<status code='110'/>"));
    home.path("chats.lit", LOST);
    let seen = home.path("chats.lit", Path::Clear);
    assert!(
        seen.iter()
            .any(|line| line.contains("to='orchard@chats.lit/montague'")),
        "{seen:?}"
    );
    let left = home.says(
        "lane",
        "<presence xmlns='jabber:client' type='unavailable' to='orchard@chats.lit/montague'/>",
    );
    assert!(left.contains(&"unwatch chats.lit".to_owned()), "{left:?}");
    assert_eq!(home.load().occupants, 0);
}

/// Rooms here are no exception: whoever blocks one leaves it, and takes leave of those in it (XEP-0191 §3.3).
#[test]
fn psa_20_whoever_blocks_a_room_here_sees_its_occupants_go_and_no_link_is_watched() {
    let mut home = Home::new(settings(), Flags::default());
    home.settings.local_services = vec!["chats.lit".to_owned()];
    home.connects("lane");
    enters(&mut home);
    assert!(
        home.seen.iter().all(|line| !line.starts_with("watch")),
        "{:?}",
        home.seen
    );
    let seen = home.says(
        "lane",
        "<iq xmlns='jabber:client' type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='orchard@chats.lit'/></block></iq>",
    );
    for nick in ["juliet", "romeo"] {
        let gone = format!(
            "lane< <presence from='orchard@chats.lit/{nick}' to='romeo@montague.lit/lane' type='unavailable'/>"
        );
        assert!(seen.contains(&gone), "{seen:?}");
    }
    assert_eq!(home.load().occupants, 0);
}

#[test]
fn psa_28_who_could_not_enter_is_in_no_room() {
    let mut home = Home::new(settings(), Flags::default());
    home.connects("lane");
    home.says("lane", "<presence xmlns='jabber:client' to='orchard@chats.lit/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    home.arrives("<presence xmlns='jabber:client' type='error' from='orchard@chats.lit/romeo' to='romeo@montague.lit/lane'><error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>");
    home.path("chats.lit", LOST);
    assert_eq!(home.path("chats.lit", Path::Clear), [""; 0]);
}

#[test]
fn psa_67_a_session_that_was_kept_over_a_restart_asks_whether_it_is_still_in() {
    let mut before = in_the_room();
    before.loses("lane");
    let (mut after, seen) = before.restarts(Home::new(settings(), Flags::default()));
    let id = ping(&seen).unwrap();
    assert!(seen.contains(&"watch chats.lit".to_owned()), "{seen:?}");
    let seen = after.arrives(&answer(&id, "error", &error("not-acceptable")));
    assert!(seen[0].contains("<status code='333'/>"), "{seen:?}");
}

#[test]
fn psa_28_whom_a_room_does_not_show_anew_to_who_enters_again_is_told_of_no_more() {
    let mut home = in_the_room();
    home.says("lane", "<presence xmlns='jabber:client' to='orchard@chats.lit/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    assert_eq!(home.load().occupants, 2, "nothing is known yet");
    home.arrives(&from_room("nurse", ""));
    home.arrives(&from_room("romeo", "<status code='110'/>"));
    let told = home.path("chats.lit", LOST).join("\n");
    assert!(told.contains("/nurse'") && !told.contains("/juliet'"), "{told}");
    assert_eq!(home.load().occupants, 2);
}

#[test]
fn psa_28_what_ends_an_earlier_stay_does_not_end_the_next_one() {
    let enter = "<presence xmlns='jabber:client' to='orchard@chats.lit/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>";
    let leave = "<presence xmlns='jabber:client' type='unavailable' to='orchard@chats.lit/romeo'/>";
    for said in [vec![leave, enter], vec![enter]] {
        let mut home = in_the_room();
        for stanza in said {
            home.says("lane", stanza);
        }
        let out = from_room("romeo", "<status code='110'/>").replace(" from=", " type='unavailable' from=");
        home.arrives(&out);
        assert_eq!(home.load().occupants, 0);
        home.arrives(&from_room("juliet", ""));
        home.arrives(&from_room("romeo", "<status code='110'/>"));
        home.path("chats.lit", LOST);
        assert!(ping(&home.path("chats.lit", Path::Clear)).is_some(), "it is in");
        let seen = home.ends("lane");
        let goodbye =
            |line: &String| line.contains("to='orchard@chats.lit/romeo'") && line.contains("unavailable");
        assert!(
            seen.iter().any(goodbye),
            "the room hears that it is gone: {seen:?}"
        );
    }
}

#[test]
fn psa_67_whoever_waits_for_a_room_over_a_restart_is_told_that_it_is_not_in_and_so_is_the_room() {
    let mut before = Home::new(settings(), Flags::default());
    before.interested("lane");
    before.says("lane", "<presence xmlns='jabber:client' to='orchard@chats.lit/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    before.loses("lane");
    let (mut after, seen) = before.restarts(Home::new(settings(), Flags::default()));
    let refused = |line: &String| line.starts_with("lane< ") && line.contains("type='error'");
    assert!(seen.iter().any(refused), "{seen:?}");
    let goodbye = |line: &String| {
        line.starts_with("> <presence from='romeo@montague.lit/lane' to='orchard@chats.lit/romeo' id=")
            && line.ends_with(" type='unavailable'/>")
    };
    assert!(seen.iter().any(goodbye), "{seen:?}");
    // The question was not lost, and the answer comes: the room learns once more that nobody is there.
    let seen = after.arrives(&from_room("romeo", "<status code='110'/>"));
    assert!(seen.iter().any(goodbye), "{seen:?}");
}

#[test]
fn xep0045_7_14_a_room_that_believes_in_a_client_is_corrected_whether_there_is_such_a_client_or_not() {
    let mut home = Home::new(settings(), Flags::default());
    home.connects("lane");
    home.says("lane", "<presence xmlns='jabber:client'/>");
    let own = from_room("romeo", "<status code='110'/>");
    for resource in ["lane", "balcony"] {
        let seen = home.arrives(&own.replace("/lane", &format!("/{resource}")));
        let goodbye = seen.iter().find(|line| {
            let way =
                format!("> <presence from='romeo@montague.lit/{resource}' to='orchard@chats.lit/romeo' id=");
            line.starts_with(&way) && line.ends_with(" type='unavailable'/>")
        });
        let goodbye = goodbye.unwrap_or_else(|| panic!("{seen:?}"));
        let id = goodbye.split("id='").nth(1).unwrap().split('\'').next().unwrap();
        let seen = home.arrives(&presence_error(resource, id));
        assert_eq!(seen, [""; 0], "the client has said nothing that could come back");
    }
    let seen = home.arrives(&from_room("juliet", ""));
    assert!(
        seen.iter().all(|line| !line.starts_with("> ")),
        "others are nothing to it: {seen:?}"
    );
    enters(&mut home);
    let seen = home.arrives(&own);
    assert!(
        seen.iter().all(|line| !line.starts_with("> ")),
        "it is there: {seen:?}"
    );
}

#[test]
fn psa_67_what_a_room_answers_to_what_does_not_count_any_more_is_for_nobody() {
    let mut home = in_the_room();
    home.path("chats.lit", LOST);
    let id = ping(&home.path("chats.lit", Path::Clear)).unwrap();
    home.says("lane", "<presence xmlns='jabber:client' to='orchard@chats.lit/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    let seen = home.arrives(&answer(&id, "error", &error("not-acceptable")));
    assert_eq!(seen, [""; 0], "it has asked to enter since");
    let mut home = in_the_room();
    home.path("chats.lit", LOST);
    let id = ping(&home.path("chats.lit", Path::Clear)).unwrap();
    home.path("chats.lit", LOST);
    let seen = home.arrives(&answer(&id, "error", &error("remote-server-timeout")));
    assert_eq!(seen, [""; 0], "the way is broken once more");
    assert_eq!(home.load().occupants, 2);
}

#[test]
fn psa_67_a_room_that_has_not_answered_is_asked_too_when_it_is_back() {
    let mut home = Home::new(settings(), Flags::default());
    home.interested("lane");
    home.says("lane", "<presence xmlns='jabber:client' to='orchard@chats.lit/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>");
    home.path("chats.lit", LOST);
    let id = ping(&home.path("chats.lit", Path::Clear)).unwrap();
    let seen = home.arrives(&answer(&id, "error", &error("not-acceptable")));
    assert!(
        seen[0].starts_with("lane< ") && seen[0].contains("type='error'"),
        "{seen:?}"
    );
    assert!(seen.contains(&"unwatch chats.lit".to_owned()), "{seen:?}");
    let seen = home.ends("lane");
    assert!(seen.iter().all(|line| !line.contains("orchard@")), "{seen:?}");
}

#[test]
fn psa_67_who_is_in_and_waits_for_an_answer_that_was_lost_asks_once_more() {
    const WISH: &str = "<presence xmlns='jabber:client' to='orchard@chats.lit/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>";
    let mut home = in_the_room();
    home.says(
        "lane",
        "<presence xmlns='jabber:client' to='orchard@chats.lit/romeo' type='unavailable'/>",
    );
    home.says("lane", WISH);
    home.path("chats.lit", LOST);
    let id = ping(&home.path("chats.lit", Path::Clear)).unwrap();
    // The room has heard of neither.
    let seen = home.arrives(&answer(&id, "result", ""));
    let again = "> <presence from='romeo@montague.lit/lane' to='orchard@chats.lit/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>";
    assert_eq!(seen, [again]);
    home.arrives(&from_room("romeo", "<status code='110'/>"));
    home.path("chats.lit", LOST);
    let id = ping(&home.path("chats.lit", Path::Clear)).unwrap();
    let seen = home.arrives(&answer(&id, "result", ""));
    assert!(!seen.contains(&again.to_owned()), "it has its answer: {seen:?}");
}

#[test]
fn rfc6121_4_6_6_the_answer_to_a_rooms_probe_that_comes_back_is_nothing_to_the_client() {
    let mut home = in_the_room();
    let probe = "<presence xmlns='jabber:client' type='probe' id='mark.1' from='orchard@chats.lit/romeo' to='romeo@montague.lit/lane'/>";
    let seen = home.arrives(probe);
    assert_eq!(
        seen,
        ["> <presence from='romeo@montague.lit/lane' to='orchard@chats.lit/romeo' id='mark.1'/>"]
    );
    assert_eq!(home.arrives(&presence_error("lane", "mark.1")), [""; 0]);
    assert_eq!(home.load().occupants, 2, "it says nothing of who is in the room");
    let seen = home.arrives(&presence_error("lane", "mark.1"));
    assert!(
        seen.iter().any(|line| line.starts_with("lane< ")),
        "what the client itself may have said comes back to it: {seen:?}"
    );
}
