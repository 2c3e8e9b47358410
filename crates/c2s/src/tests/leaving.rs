//! The end of a bound client's stream (RFC 6120 §4.4).

use stanza::{Condition, StanzaError, StreamCondition};
use stream_management::Signal;

use super::{HEADER, World};
use crate::{Ending, Input, Stage};

const CLOSE: &str = "</stream:stream>";
const PING: &str = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
const PONG: &str = "<iq id='p' type='result'/>";
const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";

fn a(h: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>")
}

fn message(id: usize) -> String {
    format!("<message id='{id}'/>")
}

/// Puts a message into the mailbox, which nobody looks into.
fn leave_waiting(world: &World, text: &str) {
    let element = xml::Element::parse(
        text.as_bytes(),
        xml::ContentNamespace::Client,
        &xml::Limits::unlimited(),
    );
    let stanza = stanza::Stanza::new(element.unwrap(), None, None, None).unwrap();
    world.push(stanza.into());
}

#[test]
fn rfc6120_4_4_what_waits_is_written_before_the_closing_tag() {
    let system_shutdown = || StreamCondition::SystemShutdown.into();
    type Ends = [(&'static str, fn(&mut World)); 4];
    let ends: Ends = [
        ("", |world| world.send(CLOSE)),
        ("<system-shutdown", |world| {
            world.input(Input::End(StreamCondition::SystemShutdown.into()));
        }),
        ("<conflict", |world| {
            world.signal(Signal::Close(StreamCondition::Conflict.into()));
        }),
        ("<invalid-from", |world| {
            world.send("<message from='tybalt@montague.lit'/>")
        }),
    ];
    for (condition, end) in ends {
        let mut world = World::bound();
        let waiting: String = (0..9).map(message).collect();
        (0..9).for_each(|id| leave_waiting(&world, &message(id)));
        end(&mut world);
        let heard = world.heard();
        let rest = heard
            .strip_prefix(&waiting)
            .unwrap_or_else(|| panic!("{condition}: {heard}"));
        assert!(
            rest.contains(condition) && rest.ends_with(CLOSE),
            "{condition}: {heard}"
        );
        assert_eq!(world.session.stage(), Stage::Closed);
    }
    let mut unbound = World::logged_in();
    unbound.input(Input::End(system_shutdown()));
    assert_eq!(unbound.session.stage(), Stage::Closed, "nothing can wait for it");
}

#[test]
fn rfc6120_4_4_an_answer_comes_before_the_closing_tag_also_when_the_client_has_closed() {
    let mut world = World::bound();
    assert_eq!(world.talk(&[PING, CLOSE].concat()), "");
    assert_eq!(world.session.stage(), Stage::Leaving);
    assert!(world.session.awaits_answers() && !world.session.reads());
    world.deliver(&message(1));
    assert_eq!(world.heard(), message(1), "what comes meanwhile is written too");
    world.deliver(PONG);
    assert_eq!(world.heard(), PONG.to_owned() + CLOSE);
    assert_eq!(world.ending, Some(Ending::Finished));
}

#[test]
fn rfc6120_4_4_a_client_that_asked_nothing_leaves_at_once() {
    let mut world = World::bound();
    world.send(PING);
    world.deliver(PONG);
    world.heard();
    assert_eq!(
        world.talk(&["<presence/><message/>", CLOSE].concat()),
        CLOSE,
        "who does not count is not told what was handled"
    );
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for_for_long() {
    let mut world = World::bound();
    world.send(&[PING, PING, CLOSE].concat());
    world.deliver(PONG);
    assert_eq!(world.heard(), PONG);
    world.input(Input::Deadline);
    assert_eq!(world.heard(), CLOSE);
    assert_eq!(world.ending, Some(Ending::Finished));
}

#[test]
fn a_client_that_does_not_take_what_is_there_is_not_waited_for_for_long() {
    let mut world = World::bound();
    world.end_unseen(StreamCondition::Conflict.into());
    leave_waiting(&world, &message(1));
    assert!(!world.session.awaits_answers());
    world.pass_deadline();
    assert!(world.heard().ends_with("</stream:error></stream:stream>"));
    assert_eq!(world.session.stage(), Stage::Closed);
}

#[test]
fn the_end_comes_after_what_was_drained_is_known_to_be_written() {
    let mut world = World::bound();
    world.end_unseen(StreamCondition::Conflict.into());
    let drained = |stanzas| stream_management::Drained {
        stanzas,
        answers: 0,
        more: false,
        handled: None,
    };
    world.input_alone(Input::Drained(drained(1)));
    assert_eq!(world.session.stage(), Stage::Leaving);
    assert!(
        world.session.mailbox().is_some(),
        "which has to be told what was written"
    );
    world.input_alone(Input::Drained(drained(0)));
    assert_eq!(world.session.stage(), Stage::Closed);
}

#[test]
fn xep0198_4_the_last_acknowledgement_waits_until_all_is_settled() {
    let mut world = World::counted();
    world.send(&["<message/><message/>", CLOSE].concat());
    assert!(world.session.awaits_answers());
    world.routed[1].1.as_ref().unwrap().settle();
    world.drain();
    assert_eq!(world.heard(), "");
    world.routed[0].1.as_ref().unwrap().settle();
    assert!(
        world.mailbox_calls(),
        "the mailbox calls when there is something to tell"
    );
    world.drain();
    assert_eq!(world.heard(), a(2) + CLOSE);
}

#[test]
fn xep0198_4_each_request_of_a_client_that_leaves_is_answered_and_none_is_made() {
    let mut world = World::counted();
    leave_waiting(&world, &message(1));
    let heard = world.talk(&["<message/>", R, CLOSE].concat());
    assert_eq!(heard, message(1), "nothing is asked of who has closed its stream");
    world.routed[0].1.as_ref().unwrap().settle();
    world.drain();
    assert_eq!(world.heard(), a(1) + &a(1) + CLOSE);
}

#[test]
fn what_the_session_answers_itself_is_written_before_the_closing_tag() {
    for mut world in [World::bound(), World::counted()] {
        let session = "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
        let heard = world.talk(&[session, "<iq type='get' id='e'/>", CLOSE].concat());
        assert_eq!(heard.matches(" type='result'").count(), 1, "{heard}");
        assert_eq!(heard.matches(" type='error'").count(), 1, "{heard}");
        assert!(heard.ends_with(CLOSE), "{heard}");
        assert_eq!(world.session.stage(), Stage::Closed);
    }
}

#[test]
fn nothing_is_read_behind_the_end() {
    let mut world = World::bound();
    world.send(&[PING, CLOSE, "<message/>", HEADER].concat());
    world.send("<message/>");
    assert_eq!(world.routed.len(), 1);
    world.input(Input::Deadline);
    assert_eq!(world.heard(), CLOSE);
}

#[test]
fn who_leaves_is_not_kept_by_what_happens_to_the_account_or_the_server() {
    let ends: [fn(&mut World); 2] = [
        |world| world.signal(Signal::Close(StreamCondition::Conflict.into())),
        |world| world.input(Input::End(StreamCondition::SystemShutdown.into())),
    ];
    for end in ends {
        let mut world = World::bound();
        world.send(&[PING, CLOSE].concat());
        world.signal(Signal::NotBound(StanzaError::new(Condition::Conflict)));
        world.signal(Signal::AckDue);
        assert_eq!(world.session.stage(), Stage::Leaving);
        end(&mut world);
        assert_eq!(world.heard(), CLOSE, "it has closed the stream itself");
        assert_eq!(world.ending, Some(Ending::Finished));
    }
}

#[test]
fn a_connection_that_breaks_meanwhile_ends_as_it_was_about_to() {
    let mut world = World::bound();
    world.send(&[PING, CLOSE].concat());
    world.input(Input::PeerClosed);
    assert_eq!(world.ending, Some(Ending::Finished));
    let mut world = World::bound();
    world.end_unseen(StreamCondition::Conflict.into());
    world.input(Input::PeerClosed);
    assert_eq!(
        world.ending,
        Some(Ending::Error(StreamCondition::Conflict.into()))
    );
    for mut world in [World::bound(), World::logged_in(), World::encrypted()] {
        world.input(Input::PeerClosed);
        assert_eq!(world.ending, Some(Ending::Lost));
        assert_eq!(world.heard(), "");
    }
}
