//! Single situations, as XEP-0124 and XEP-0206 tell them.

use xml::Limits;

use super::world::{World, request};
use crate::{Condition, Exchange, Input, Purpose, Request};

const WAITING: &str = "wait='60' hold='1' ver='1.6' xmpp:version='1.0'";
const POLLING: &str = "wait='0' hold='0'";
const NOT_FOUND: &str = "<body type='terminate' condition='item-not-found'/>";
const VIOLATION: &str = "<body type='terminate' condition='policy-violation'/>";

#[test]
fn xep0124_7_2_a_session_is_made_when_its_stream_has_something_to_say() {
    let mut world = World::new(WAITING);
    world.expect(&["opened montague.lit"]);
    world.say("<f/>", 0);
    world.expect(&[
        "1 <body sid='sid' wait='60' requests='2' ver='1.6' polling='2' inactivity='60' hold='1' maxpause='120' \
         ack='100' from='montague.lit' xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' xmpp:restartlogic='true'>\
         <f/></body>",
    ]);
}

#[test]
fn xep0124_7_2_wishes_are_cut_down_and_even_one_who_polls_gets_the_first_features() {
    let mut world = World::new("wait='3600' hold='9' ver='2.0'");
    world.say("<f/>", 0);
    let done = world.done();
    assert!(
        done[1].contains("wait='60' requests='3' ver='1.11' polling='2' "),
        "{done:?}"
    );
    let mut world = World::new(POLLING);
    world.expect(&["opened montague.lit"]);
    world.say("<f/>", 0);
    assert!(world.done()[0].contains("hold='0'"));
}

#[test]
fn xep0124_8_a_request_waits_for_something_to_say_and_no_longer_than_agreed() {
    let mut world = World::open(WAITING);
    world.ask(101, "", "");
    world.pass(59);
    world.expect(&[]);
    world.say("<m/>", 1);
    world.expect(&["2 <body><m/></body>"]);
    world.ask(102, "", "");
    world.pass(60);
    world.expect(&["delivered 1", "3 <body/>"]);
}

#[test]
fn xep0124_8_no_more_requests_wait_than_agreed_and_the_older_one_is_told_of_the_newer() {
    let mut world = World::open(WAITING);
    world.ask(101, "", "");
    world.ask(102, "", "<m/>");
    world.expect(&["said <m/>", "2 <body ack='102'/>"]);
}

#[test]
fn xep0124_14_2_requests_that_overtake_wait_for_those_before() {
    let mut world = World::open(WAITING);
    world.ask(102, "", "<b/>");
    world.expect(&[]);
    world.ask(101, "", "<a/>");
    world.expect(&["said <a/>", "said <b/>", "3 <body ack='102'/>"]);
}

#[test]
fn xep0124_14_2_a_number_beyond_the_window_or_before_the_buffer_ends_the_session() {
    for rid in [104, 1] {
        let mut world = World::open(WAITING);
        world.ask(101, "", "");
        world.ask(rid, "", "");
        world.expect(&[&format!("2 {NOT_FOUND}"), &format!("3 {NOT_FOUND}"), "lost"]);
        world.ask(102, "", "");
        world.expect(&[&format!("4 {NOT_FOUND}")]);
    }
}

#[test]
fn xep0124_14_3_a_lost_response_is_given_again_and_what_it_answers_is_not_done_again() {
    let mut world = World::open(WAITING);
    world.ask(101, "", "<a/>");
    world.say("<m/>", 1);
    world.expect(&["said <a/>", "2 <body><m/></body>"]);
    world.ask(101, "", "<a/>");
    world.expect(&["3 <body><m/></body>"]);
}

#[test]
fn xep0124_14_3_a_repeated_request_takes_the_place_of_the_one_that_waits() {
    let mut world = World::open(WAITING);
    let first = world.ask(101, "", "<a/>");
    world.ask(101, "", "<a/>");
    world.expect(&["said <a/>", "2 <body type='error'/>"]);
    world.input(Input::Gone(first));
    world.say("<m/>", 1);
    world.expect(&["3 <body><m/></body>"]);
}

#[test]
fn xep0124_14_3_what_nobody_waits_for_is_kept_until_the_request_comes_again() {
    let mut world = World::open(WAITING);
    let first = world.ask(101, "", "");
    world.input(Input::Gone(first));
    world.say("<m/>", 1);
    world.expect(&[]);
    world.ask(101, "", "");
    world.say("", 0);
    world.expect(&["3 <body><m/></body>"]);
}

#[test]
fn xep0124_14_3_one_request_is_not_repeated_for_ever() {
    let mut world = World::open(WAITING);
    world.ask(101, "", "<a/>");
    for _ in 0..20 {
        world.ask(101, "", "<a/>");
    }
    world.done();
    world.ask(101, "", "<a/>");
    let done = world.done();
    assert_eq!(done.last().unwrap(), "lost");
    assert!(done[1].ends_with(VIOLATION), "{done:?}");
}

#[test]
fn xep0124_9_2_what_a_client_acknowledges_it_has_and_so_has_one_that_asks_for_more() {
    let mut world = World::open("wait='60' hold='1' ack='1'");
    for rid in 101..103 {
        world.ask(rid, "ack='100'", "<a/>");
        world.say("<m/>", 1);
    }
    world.done();
    world.ask(103, "ack='101'", "<a/>");
    world.expect(&["delivered 1", "said <a/>"]);
    let mut world = World::open(WAITING);
    world.ask(101, "", "<a/>");
    world.say("<m/>", 1);
    world.ask(102, "", "<a/>");
    world.say("<m/>", 1);
    world.done();
    world.ask(103, "", "<a/>");
    world.expect(&["delivered 1", "said <a/>"]);
    world.say("<m/>", 1);
    world.pass(2);
    world.done();
    world.ask(104, "", "");
    world.expect(&["delivered 2"]);
}

#[test]
fn xep0124_10_a_silent_client_is_lost() {
    let mut world = World::open(WAITING);
    world.ask(101, "", "");
    world.pass(60);
    world.expect(&["2 <body/>"]);
    world.pass(59);
    world.expect(&[]);
    world.pass(1);
    world.expect(&["lost"]);
}

#[test]
fn xep0124_10_the_gap_that_is_never_filled_ends_the_session() {
    let mut world = World::open(WAITING);
    world.ask(102, "", "<b/>");
    world.pass(60);
    world.expect(&[&format!("2 {NOT_FOUND}"), "lost"]);
}

#[test]
fn xep0124_10_a_pause_is_answered_at_once_without_payload_and_holds_longer() {
    let mut world = World::open(WAITING);
    world.ask(101, "", "");
    world.ask(102, "pause='120'", "");
    world.expect(&["2 <body ack='102'/>", "3 <body/>", "paused 120"]);
    world.say("<m/>", 1);
    world.pass(119);
    world.expect(&[]);
    world.ask(103, "", "");
    world.say("", 0);
    world.expect(&["resumed", "4 <body><m/></body>"]);
    world.pass(60);
    world.expect(&["lost"]);
}

#[test]
fn xep0124_10_what_waits_when_a_pause_begins_goes_to_an_older_request_or_waits() {
    let mut world = World::open(WAITING);
    world.say("<m/>", 1);
    world.ask(101, "pause='60'", "<a/>");
    world.expect(&["said <a/>", "2 <body/>", "paused 60"]);
    world.ask(102, "", "");
    assert!(world.done().contains(&"3 <body><m/></body>".to_owned()));
}

#[test]
fn psa_36_a_pause_that_is_too_long_or_none_is_no_pause() {
    for pause in ["121", "0"] {
        let mut world = World::open(WAITING);
        world.ask(101, &format!("pause='{pause}'"), "");
        world.expect(&[]);
    }
}

#[test]
fn xep0124_12_who_polls_too_often_is_sent_away_unless_there_was_something() {
    let mut world = World::open(POLLING);
    world.ask(101, "", "");
    world.expect(&["2 <body/>"]);
    world.ask(102, "", "");
    world.expect(&[&format!("3 {VIOLATION}"), "lost"]);
    let mut world = World::open(POLLING);
    world.say("<m/>", 1);
    world.ask(101, "", "");
    world.ask(102, "", "");
    world.expect(&["2 <body><m/></body>", "delivered 1", "3 <body/>"]);
    world.pass(2);
    world.ask(103, "", "");
    world.expect(&["4 <body/>"]);
}

#[test]
fn xep0124_11_empty_requests_on_top_of_one_that_waits_are_too_many() {
    let mut world = World::open(WAITING);
    world.ask(101, "", "");
    world.ask(102, "", "");
    world.expect(&[&format!("2 {VIOLATION}"), &format!("3 {VIOLATION}"), "lost"]);
}

#[test]
fn xep0124_13_the_end_is_told_to_the_oldest_request_when_the_stream_has_ended() {
    let mut world = World::open(WAITING);
    world.ask(101, "", "");
    world.ask(102, "type='terminate'", "<p/>");
    world.expect(&["said <p/>", "closed"]);
    world.end(None);
    world.expect(&["2 <body type='terminate'/>", "3 <body/>", "over"]);
}

#[test]
fn xep0206_6_an_error_of_the_stream_waits_for_somebody_to_tell() {
    let mut world = World::open(WAITING);
    world.say("<stream:error/>", 0);
    world.end(Some(Condition::RemoteStreamError));
    world.expect(&[]);
    world.ask(101, "", "<m/>");
    world.expect(&[
        "2 <body type='terminate' condition='remote-stream-error'><stream:error/></body>",
        "over",
    ]);
}

#[test]
fn xep0206_5_a_restart_opens_the_stream_anew_and_carries_nothing() {
    for attributes in [WAITING, POLLING] {
        let mut world = World::open(attributes);
        world.ask(101, "to='montague.lit' xmpp:restart='true'", "<m/>");
        world.expect(&["opened montague.lit"]);
        world.say("<f/>", 0);
        world.expect(&["2 <body><f/></body>"]);
    }
}

#[test]
fn xep0124_15_4_a_wrong_key_ends_the_session_and_does_nothing() {
    let new = "newkey='ca393b51b682f61f98e7877d61146407f3d0a770'";
    let key = "key='bfb06a6f113cd6fd3838ab9d300fdb4fe3da2f7d'";
    for (wrong, again) in [("", false), ("key='ab'", false), ("", true)] {
        let mut world = World::open(&format!("{WAITING} {new}"));
        if again {
            world.ask(101, key, "<a/>");
            world.expect(&["said <a/>"]);
        }
        world.ask(101, wrong, "<a/>");
        let done = world.done();
        assert!(done[0].ends_with(NOT_FOUND), "{done:?}");
        assert_eq!(done.last().unwrap(), "lost");
    }
}

#[test]
fn a_full_outbox_is_told_and_emptied_by_a_request() {
    let mut world = World::open(WAITING);
    world.input(Input::Say(&[b'x'; 40_000]));
    assert!(!world.session.takes_more());
    world.ask(101, "", "");
    assert!(world.session.takes_more());
    world.done();
}

#[test]
fn xep0124_4_what_is_no_body_is_refused() {
    let read = |text: &str| Request::read(text.as_bytes(), &Limits::default()).map(|_| ());
    for text in [
        "",
        "<body/>",
        "<body xmlns='http://jabber.org/protocol/httpbind'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='0'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='-1'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='9007199254740992'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' sid='s' pause='x'/>",
        "<other xmlns='http://jabber.org/protocol/httpbind' rid='1'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='1'><!-- --></body>",
        "<!DOCTYPE b><body xmlns='http://jabber.org/protocol/httpbind' rid='1'/>",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn payload_is_taken_element_by_element_as_it_stands() {
    let read = request(
        "sid='s' rid='1'",
        " <message xmlns='jabber:client'><body>1</body></message> <iq xmlns='jabber:client'/>",
    );
    assert_eq!(
        String::from_utf8(read.payload).unwrap(),
        "<message xmlns='jabber:client'><body>1</body></message><iq xmlns='jabber:client'/>"
    );
    let restart = request("sid='s' rid='1' xmpp:restart='1'", "");
    assert!(matches!(restart.purpose, Purpose::Restart(_)));
    let unknown = request("sid='s' rid='1' restart='true'", "");
    assert!(matches!(unknown.purpose, Purpose::Exchange));
    assert!(Exchange(1) < Exchange(2));
}
