//! Streams within HTTP: one element per message (RFC 7395), or words read by the shell (XEP-0206).

use stanza::StreamCondition;
use xml::StreamHeader;

use super::world::{BIND_ORCHARD, World};
use crate::{Encryption, Ending, HttpBinding, Input, Stage, Tls};

const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='montague.lit' version='1.0'/>";
const CLOSE: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";

fn web_socket() -> World {
    World::within_http(HttpBinding::WebSocket, Some(Tls::default()), Encryption::Required)
}

fn bosh() -> World {
    World::within_http(HttpBinding::Bosh, Some(Tls::default()), Encryption::Required)
}

fn header() -> StreamHeader {
    StreamHeader {
        to: Some("montague.lit".to_owned()),
        version: Some("1.0".to_owned()),
        ..StreamHeader::default()
    }
}

#[track_caller]
fn assert_ended(world: &mut World, condition: StreamCondition) {
    match &world.ending {
        Some(Ending::Error(error)) => assert_eq!(error.condition, condition),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rfc7395_3_4_and_3_7_a_stream_is_opened_and_opened_anew_by_open() {
    let mut world = web_socket();
    let answer = world.talk(OPEN);
    assert!(
        answer.starts_with("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='"),
        "{answer}"
    );
    assert!(
        answer.contains(" from='montague.lit' version='1.0' xml:lang='en'/>"),
        "{answer}"
    );
    assert!(answer.contains("<stream:features xmlns:stream='http://etherx.jabber.org/streams'>"));
    assert!(
        !answer.contains("starttls") && !answer.contains("-PLUS"),
        "{answer}"
    );
    world.log_in();
    world.heard();
    assert!(world.talk(OPEN).contains("<bind "));
    assert!(world.talk(BIND_ORCHARD).starts_with("<iq xmlns='jabber:client' "));
    assert_eq!(world.session.stage(), Stage::Bound);
}

#[test]
fn rfc7395_3_6_close_is_answered_by_close() {
    let mut world = web_socket();
    world.talk(OPEN);
    assert_eq!(world.talk(CLOSE), CLOSE);
    assert_eq!(world.ending, Some(Ending::Finished));
}

#[test]
fn rfc7395_3_3_what_is_no_message_of_one_element_ends_the_stream() {
    use StreamCondition::{BadFormat, InvalidNamespace, NotWellFormed, RestrictedXml};
    for (message, condition) in [
        ("", BadFormat),
        (" <a/>", BadFormat),
        ("<a/><b/>", BadFormat),
        ("<a/>b", BadFormat),
        ("<a>", NotWellFormed),
        ("<stream:stream>", NotWellFormed),
        ("<open xmlns='urn:other'/>", InvalidNamespace),
        ("<close/>", InvalidNamespace),
        ("<!DOCTYPE a><a/>", RestrictedXml),
    ] {
        for opened in [true, false] {
            let mut world = web_socket();
            if opened {
                world.talk(OPEN);
            }
            let heard = world.talk(message);
            assert_ended(&mut world, condition);
            // RFC 7395 §3.5: an error stands on a stream.
            assert_eq!(heard.starts_with("<open "), !opened, "{message:?}: {heard}");
            assert!(
                heard.ends_with(&format!("</stream:error>{CLOSE}")),
                "{message:?}: {heard}"
            );
        }
    }
}

#[test]
fn rfc7395_3_3_3_a_declaration_and_white_space_behind_the_element_may_stand_in_each_message() {
    let mut world = web_socket();
    for _ in 0..2 {
        let answer = world.talk(&format!("<?xml version='1.0'?>{OPEN}\n"));
        assert!(answer.contains("<stream:features "), "{answer}");
        if world.session.stage() == Stage::Unauthenticated {
            world.log_in();
            world.heard();
        }
    }
}

#[test]
fn rfc7395_3_4_the_first_message_is_open_and_there_is_no_second_in_a_stream() {
    let mut world = web_socket();
    world.talk("<presence/>");
    assert_ended(&mut world, StreamCondition::BadFormat);
    let mut world = web_socket();
    world.talk(OPEN);
    world.talk(OPEN);
    assert_ended(&mut world, StreamCondition::BadFormat);
}

#[test]
fn rfc7395_3_9_without_tls_nobody_logs_in_where_it_is_demanded() {
    for binding in [HttpBinding::WebSocket, HttpBinding::Bosh] {
        let mut world = World::within_http(binding, None, Encryption::Required);
        world.input(Input::Opened(header()));
        assert_ended(&mut world, StreamCondition::PolicyViolation);
        let mut world = World::within_http(binding, None, Encryption::Optional);
        world.input(Input::Opened(header()));
        let heard = world.heard();
        assert!(
            heard.contains("SCRAM-SHA-1") && !heard.contains("starttls"),
            "{heard}"
        );
    }
}

#[test]
fn xep0206_4_and_5_the_shell_opens_restarts_and_closes_and_hears_only_elements() {
    let mut world = bosh();
    world.input(Input::Opened(header()));
    assert!(world.heard().starts_with("<stream:features "));
    world.log_in();
    world.heard();
    world.input(Input::Opened(header()));
    assert!(world.heard().contains("<bind "));
    world.send(&format!("{BIND_ORCHARD}<presence xmlns='jabber:client'/>"));
    assert!(world.heard().contains("montague.lit/orchard</jid>"));
    assert_eq!(world.routed.len(), 1);
    world.input(Input::Closed);
    assert_eq!(world.heard(), "");
    assert_eq!(world.ending, Some(Ending::Finished));
}

#[test]
fn xep0206_6_an_error_is_said_and_what_is_cut_short_is_one() {
    let mut world = bosh();
    world.input(Input::Opened(header()));
    world.heard();
    let heard = world.talk("<iq>");
    assert!(heard.starts_with("<stream:error xmlns:stream="), "{heard}");
    assert!(heard.ends_with("</stream:error>"), "{heard}");
    assert_ended(&mut world, StreamCondition::NotWellFormed);
}
