//! Stream management (XEP-0198).

use super::world::BIND_ORCHARD;
use super::{HEADER, World};
use crate::{Ending, Input};
use stanza::{Kind, MessageType, Parcel, Stanza};

const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3'/>";

const RESUME: &str = "<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>";

fn a(h: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
}

fn failed(condition: &str) -> String {
    format!(
        "<failed xmlns='urn:xmpp:sm:3'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
    )
}

#[test]
fn xep0198_3_enabling_before_binding_fails_and_the_stream_lives() {
    let mut opened = World::encrypted();
    opened.talk(HEADER);
    for mut world in [opened, World::logged_in()] {
        assert_eq!(world.talk(ENABLE), failed("unexpected-request"));
        assert_eq!(world.talk(R), failed("unexpected-request"));
        assert_eq!(world.ending, None);
    }
    let mut opened = World::encrypted();
    opened.talk(HEADER);
    assert_eq!(opened.talk(RESUME), failed("unexpected-request"));
}

#[test]
fn xep0198_3_enabling_twice_ends_the_stream() {
    let mut world = World::counted();
    let answer = world.talk(ENABLE);
    assert!(answer.starts_with(&failed("unexpected-request")), "{answer}");
    assert!(answer.contains("<stream:error><policy-violation"), "{answer}");
}

#[test]
fn xep0198_4_asking_before_enabling_fails() {
    let mut world = World::bound();
    assert_eq!(world.talk(R), failed("unexpected-request"));
    assert_eq!(world.talk(&a(0)), failed("unexpected-request"));
    assert_eq!(world.ending, None);
}

#[test]
fn xep0198_4_h_is_what_is_settled_and_the_rest_is_told_when_it_is() {
    let mut world = World::counted();
    assert_eq!(world.talk(R), a(0));
    world.send("<message to='juliet@capulet.lit'/><presence/><iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert_eq!(world.talk(R), a(0));
    let receipts: Vec<_> = world
        .routed
        .drain(..)
        .map(|(_, receipt)| receipt.unwrap())
        .collect();
    receipts[1].settle();
    world.drain();
    assert_eq!(world.heard(), "");
    receipts[0].settle();
    assert_eq!(world.talk(R), a(2));
    receipts[2].settle();
    world.drain();
    assert_eq!(world.heard(), a(3));
}

#[test]
fn xep0198_4_a_request_is_answered_when_what_came_before_it_was_performed() {
    let mut world = World::counted().settling();
    let message = "<message to='juliet@capulet.lit'/>";
    assert_eq!(world.talk(&[message, message, R].concat()), a(2));
    assert_eq!(world.talk(&[R, message, R].concat()), a(2) + &a(3));
    assert_eq!(
        world.talk(&[message, R, R].concat()),
        a(4) + &a(4),
        "each is answered"
    );
    assert!(!world.mailbox_calls(), "nothing is owed");

    // What is not settled by then is told as far as it is, and the rest follows.
    let mut world = World::counted();
    assert_eq!(world.talk(&[message, R].concat()), a(0));
    world.routed[0].1.as_ref().unwrap().settle();
    world.drain();
    assert_eq!(world.heard(), a(1));
}

#[test]
fn xep0198_4_a_request_behind_something_that_is_answered_by_the_server_itself() {
    let mut world = World::counted().settling();
    let heard = world.talk(&["<message to='a@b@c'/>", R].concat());
    assert!(
        heard.starts_with("<message ") && heard.ends_with(&(a(1) + R)),
        "{heard}"
    );
}

/// A crash between the two would lose the message with its sender believing that it was taken.
#[test]
fn xep0198_4_what_was_returned_is_on_the_stream_before_its_acknowledgement() {
    let mut world = World::counted();
    // More than is drained at once, and every request is answered.
    let sent = "<message to='a@b@c'/>".repeat(6) + R + R;
    world.input_alone(Input::Received(sent.as_bytes()));
    world.drain();
    let heard = world.heard();
    let (errors, rest) = heard.split_at(heard.find(&a(6)).unwrap());
    assert_eq!(errors.matches("<message ").count(), 6, "{heard}");
    assert_eq!(rest.matches(&a(6)).count(), 2, "{heard}");

    // What is settled later is behind what was returned by then too.
    let mut world = World::counted();
    world.send("<message to='juliet@capulet.lit'/>");
    assert_eq!(world.talk(R), a(0));
    let error = Stanza::build(Kind::Message(MessageType::Error), None, None, None, b"");
    world.push(Parcel::new(error));
    world.routed[0].1.as_ref().unwrap().settle();
    world.drain();
    let heard = world.heard();
    assert!(heard.starts_with("<message "), "{heard}");
    assert!(heard.contains(&a(1)), "{heard}");
}

#[test]
fn xep0198_4_nonzas_and_what_was_sent_before_enabling_do_not_count() {
    let mut world = World::bound();
    world.send("<presence/><presence/>");
    assert!(world.routed.drain(..).all(|(_, receipt)| receipt.is_none()));
    world.send(ENABLE);
    world.heard();
    world.send(&format!("{R} {}", a(0)));
    assert_eq!(world.heard(), a(0));
}

#[test]
fn what_the_session_answers_itself_is_settled_and_its_answer_is_counted() {
    let mut world = World::counted();
    let session = "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
    let sent = [
        "<message to='a@b@c'/>",
        "<iq type='get'/>",
        "<message to='a@b@c' type='error'/>",
        session,
    ]
    .concat();
    let heard = world.talk(&sent);
    assert_eq!(heard.matches(" type='error'").count(), 2, "{heard}");
    assert_eq!(heard.matches(" type='result'").count(), 1, "{heard}");
    assert!(heard.ends_with(R), "{heard}");
    assert_eq!(world.talk(R), a(4));
    assert_eq!(world.talk(&a(3)), "");
    assert_eq!(world.mailbox.as_ref().unwrap().load(), (0, 0));
}

#[test]
fn xep0198_4_deliveries_are_asked_for_once_per_round_trip() {
    let mut world = World::counted();
    world.deliver("<message id='1'/>");
    assert_eq!(world.heard(), format!("<message id='1'/>{R}"));
    world.deliver("<message id='2'/>");
    world.deliver("<message id='3'/>");
    assert_eq!(world.heard(), "<message id='2'/><message id='3'/>");
    assert_eq!(world.talk(&a(1)), R);
    assert_eq!(world.talk(&a(3)), "");
    assert_eq!(world.mailbox.as_ref().unwrap().unacknowledged(), 0);
}

#[test]
fn xep0198_6_acknowledging_too_much_ends_the_stream() {
    let mut world = World::counted();
    world.deliver("<message id='1'/>");
    world.heard();
    assert_eq!(
        world.talk(&a(2)),
        a(0) + "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>You acknowledged 2 stanzas, but were sent 1.</text>\
         <handled-count-too-high xmlns='urn:xmpp:sm:3' h='2' send-count='1'/></stream:error></stream:stream>"
    );
}

#[test]
fn xep0198_4_an_acknowledgement_needs_a_number() {
    for h in ["", " h=''", " h='x'", " h='-1'", " h='4294967296'"] {
        let mut world = World::counted();
        let answer = world.talk(&format!("<a xmlns='urn:xmpp:sm:3'{h}/>"));
        assert!(answer.contains("<stream:error><invalid-xml"), "{h}: {answer}");
    }
}

#[test]
fn a_client_that_acknowledges_nothing_is_disconnected() {
    let mut world = World::counted();
    for _ in 0..10 {
        world.deliver("<message/>");
        assert_eq!(world.ending, None);
    }
    world.deliver("<message/>");
    assert!(world.heard().contains("<stream:error><resource-constraint"));
}

#[test]
fn xep0198_4_the_last_acknowledgement_comes_before_the_end() {
    let mut world = World::counted();
    world.send("<presence/><message/>");
    world.routed[0].1.as_ref().unwrap().settle();
    assert_eq!(world.talk("</stream:stream>"), "");
    assert!(world.session.awaits_answers(), "the message is under way");
    world.input(Input::Deadline);
    assert_eq!(world.heard(), a(1) + "</stream:stream>");

    let mut world = World::counted();
    world.input(Input::End(stanza::StreamCondition::SystemShutdown.into()));
    assert!(world.heard().starts_with(&(a(0) + "<stream:error>")));

    let mut world = World::counted();
    world.send("<not-xml");
    world.send("<");
    assert!(
        world
            .heard()
            .starts_with(&(a(0) + "<stream:error><not-well-formed"))
    );

    // A lost connection hears nothing.
    let mut world = World::counted();
    world.input(Input::PeerClosed);
    assert_eq!(world.heard(), "");
    assert_eq!(world.ending, Some(Ending::Lost));
}

#[test]
fn xep0198_3_enabling_can_be_pipelined_with_binding() {
    let mut world = World::logged_in().by_hand();
    world.send(&[BIND_ORCHARD, ENABLE, "<presence/>", R].concat());
    assert_eq!(world.heard(), "");
    world.signal(stream_management::Signal::Bound(
        "romeo@montague.lit/orchard".parse().unwrap(),
    ));
    let heard = world.heard();
    assert!(
        heard.ends_with(&format!("</iq><enabled xmlns='urn:xmpp:sm:3'/>{}", a(0))),
        "{heard}"
    );
    assert!(world.routed[0].1.is_some());
}

#[test]
fn what_was_drained_before_counting_is_not_to_be_acknowledged() {
    let mut world = World::bound();
    world.deliver("<message id='early'/>");
    assert_eq!(world.heard(), "<message id='early'/>");
    world.send(ENABLE);
    world.heard();
    world.deliver("<message id='counted'/>");
    assert_eq!(world.heard(), format!("<message id='counted'/>{R}"));
    assert_eq!(world.talk(&a(1)), "");
    assert_eq!(world.ending, None);
}

#[test]
fn other_elements_of_stream_management_are_not_known() {
    let mut world = World::counted();
    let answer = world.talk("<resume xmlns='urn:xmpp:sm:3' h='0' previd='x'/>");
    assert_eq!(answer, failed("unexpected-request"));
    assert!(
        world
            .talk("<x xmlns='urn:xmpp:sm:3'/>")
            .contains("<unsupported-stanza-type")
    );
}
