//! Silent peers: asked after thirty seconds, given up after forty-five (clauses.md §4.6).

use std::time::Duration;

use super::world::*;
use crate::{Ending, Input};

const ASK: &str = "<r xmlns='urn:xmpp:sm:3'/>";

#[test]
fn a_counted_stream_is_asked_by_request_and_dead_after_45_seconds() {
    let mut world = World::logged_in(settings(), "");
    world.send("<enable xmlns='urn:xmpp:sm:3'/>");
    world.heard();
    world.pass(29);
    assert_eq!(world.heard(), "");
    world.pass(1);
    assert_eq!(world.heard(), ASK);
    world.pass(14);
    assert!(world.closed.is_none());
    world.pass(1);
    assert_eq!(world.ending(), Some(&Ending::Silent));
    assert!(world.heard().contains("<connection-timeout "));
}

#[test]
fn anything_that_is_heard_is_life() {
    for sign in ["<a xmlns='urn:xmpp:sm:3' h='0'/>", " ", "<mess"] {
        let mut world = World::logged_in(settings(), "");
        world.send("<enable xmlns='urn:xmpp:sm:3'/>");
        world.pass(44);
        world.send(sign);
        world.pass(29);
        assert!(world.closed.is_none(), "{sign}");
        world.pass(45);
        assert_eq!(world.ending(), Some(&Ending::Silent));
    }
}

#[test]
fn what_can_be_resumed_is_left_without_a_word() {
    let mut world = World::logged_in(settings(), "");
    world.send(ENABLE);
    world.heard();
    world.pass(45);
    assert_eq!(world.heard(), ASK);
    assert!(world.closed.unwrap().suspended.is_some());
}

#[test]
fn a_stream_that_is_not_counted_asks_for_a_ping() {
    let mut world = World::accepted(errand(), settings(), "");
    world.pass(30);
    assert_eq!(world.noted(), [format!("silent {:?}", ours())]);
    world.pass(10);
    world.input(Input::Answered);
    world.pass(29);
    assert_eq!(world.noted(), Vec::<String>::new());
    world.pass(1);
    assert_eq!(world.noted().len(), 1);
    world.pass(15);
    assert_eq!(world.ending(), Some(&Ending::Silent));
}

#[test]
fn a_round_trip_ends_with_the_acknowledgement_or_the_answer_to_the_ping() {
    let mut world = World::logged_in(settings(), "");
    world.send("<enable xmlns='urn:xmpp:sm:3'/>");
    world.pass(30);
    assert_eq!(world.heard(), "<enabled xmlns='urn:xmpp:sm:3'/>".to_owned() + ASK);
    world.pass(4);
    world.send(" ");
    assert_eq!(world.round_trips, [], "a sign of life, not an answer");
    world.pass(3);
    world.send("<a xmlns='urn:xmpp:sm:3' h='0'/>");
    world.send("<a xmlns='urn:xmpp:sm:3' h='0'/>");
    assert_eq!(world.round_trips, [Duration::from_secs(7)]);

    let mut world = World::accepted(errand(), settings(), "");
    world.pass(30);
    world.input(Input::Check);
    world.pass(2);
    world.input(Input::Answered);
    world.input(Input::Answered);
    assert_eq!(world.round_trips, [Duration::from_secs(2)]);
}

#[test]
fn what_cannot_be_asked_is_left_to_the_transport() {
    let mut world = World::logged_in(settings(), "");
    world.pass(3600);
    assert!(world.closed.is_none());
    assert_eq!(world.noted(), Vec::<String>::new());
}

#[test]
fn somebody_who_wants_to_know_is_told_of_the_next_sign_of_life() {
    let mut world = World::logged_in(settings(), "");
    world.send("<enable xmlns='urn:xmpp:sm:3'/>");
    world.noted();
    world.heard();
    world.input(Input::Check);
    assert_eq!(world.heard(), ASK);
    world.send(" ");
    assert_eq!(world.noted(), ["alive"]);
    world.send(" ");
    assert_eq!(world.noted(), Vec::<String>::new());

    let mut world = World::logged_in(settings(), "");
    world.input(Input::Check);
    world.pass(600);
    world.send(" ");
    assert_eq!(world.noted(), ["alive"], "it could not be asked, and spoke");

    let mut world = World::accepted(errand(), settings(), "");
    world.input(Input::Check);
    assert_eq!(world.noted(), [format!("silent {:?}", ours())]);
    world.pass(15);
    assert_eq!(world.ending(), Some(&Ending::Silent));
}
