//! Stanzas of authenticated domains, and of others (RFC 6120 §8.1).

use stanza::{IqType, Kind, MessageType};

use super::world::*;
use crate::{Ending, Input, Verdict, Ways};

const HELLO: &str = "<message from='juliet@capulet.lit/balcony' to='romeo@montague.lit' type='chat' id='1'>\
                     <body>Wherefore?</body></message>";

#[test]
fn rfc6120_9_2_3_stanzas_of_an_authenticated_domain_are_routed() {
    let mut world = World::logged_in(settings(), "");
    world.send(HELLO);
    let (stanza, receipt) = world.routed.remove(0);
    assert_eq!(stanza.kind(), Kind::Message(MessageType::Chat));
    assert_eq!(stanza.from().unwrap().as_str(), "juliet@capulet.lit/balcony");
    assert_eq!(stanza.to().unwrap().as_str(), "romeo@montague.lit");
    assert!(receipt.is_none());
    // A domain of ours that was not spoken of before is a domain of ours all the same.
    world.send("<presence from='juliet@capulet.lit' to='room@chats.montague.lit/juliet'/>");
    assert_eq!(world.routed.len(), 1);
    assert_eq!(world.heard(), "");
}

#[test]
fn rfc6120_8_1_5_a_stanza_without_language_has_that_of_its_stream() {
    let mut world = World::inbound_tls(settings(), certificate(&["capulet.lit"]));
    let header = peer_header("from='capulet.lit' to='montague.lit' xml:lang='it'");
    world.send(&(header.clone() + AUTH + &header + HELLO));
    assert_eq!(world.routed[0].0.stream_lang(), Some("it"));
}

#[test]
fn rfc6120_8_1_2_2_the_sender_must_be_of_a_domain_authenticated_on_this_stream() {
    for from in [
        "verona.lit",
        "romeo@montague.lit",
        "chats.capulet.lit",
        "juliet@chats.capulet.lit/x",
        "evilcapulet.lit",
        "lit",
        "capulet.lit.evil.lit",
    ] {
        let mut world = World::logged_in(settings(), "");
        world.send(&format!("<message from='{from}' to='romeo@montague.lit'/>"));
        let text = "The domain of the 'from' is not authenticated on this stream.";
        assert_eq!(world.heard(), error("invalid-from", text), "{from}");
        assert!(world.routed.is_empty());
    }
    for from in [
        "capulet.lit",
        "CAPULET.lit",
        "juliet@capulet.lit/<&amp;>".trim_end_matches('>'),
    ] {
        let mut world = World::logged_in(settings(), "");
        let from = from.replace('<', "");
        world.send(&format!("<message from='{from}' to='romeo@montague.lit'/>"));
        assert_eq!(world.routed.len(), 1, "{from}");
    }
}

#[test]
fn rfc6120_8_1_1_2_addresses_must_be_there_and_right() {
    for (stanza, condition) in [
        ("<message from='juliet@capulet.lit'/>", "improper-addressing"),
        ("<message to='romeo@montague.lit'/>", "improper-addressing"),
        (
            "<message from='' to='romeo@montague.lit'/>",
            "improper-addressing",
        ),
        (
            "<message from='juliet@capulet.lit' to=''/>",
            "improper-addressing",
        ),
        (
            "<message from='a@b@c' to='romeo@montague.lit'/>",
            "improper-addressing",
        ),
        (
            "<message from='juliet@capulet.lit' to='@montague.lit'/>",
            "improper-addressing",
        ),
        (
            "<message from='juliet@capulet.lit' to='romeo@verona.lit'/>",
            "host-unknown",
        ),
        (
            "<message from='juliet@capulet.lit' to='nurse@capulet.lit'/>",
            "host-unknown",
        ),
        (
            "<x from='juliet@capulet.lit' to='romeo@montague.lit'/>",
            "unsupported-stanza-type",
        ),
        (
            "<message xmlns='urn:x' from='juliet@capulet.lit' to='romeo@montague.lit'/>",
            "unsupported-stanza-type",
        ),
    ] {
        let mut world = World::logged_in(settings(), "");
        world.send(stanza);
        assert!(world.heard().contains(&format!("<{condition} ")), "{stanza}");
        assert!(matches!(world.ending(), Some(Ending::Error(_))));
        assert!(world.routed.is_empty());
    }
}

#[test]
fn stanzas_before_anybody_is_authenticated_end_the_stream() {
    let mut world = World::inbound_tls(settings(), certificate(&["capulet.lit"]));
    world.send(&(from_capulet() + HELLO));
    assert!(
        world
            .heard()
            .ends_with(&error("not-authorized", "No domain is authenticated."))
    );

    // A key that is still being judged is nothing yet.
    let mut world = World::inbound_tls(settings(), certificate(&[]));
    world.send(&(from_capulet() + "<db:result from='capulet.lit' to='montague.lit'>1</db:result>" + HELLO));
    assert!(
        world
            .heard()
            .ends_with(&error("not-authorized", "No domain is authenticated."))
    );

    // We were accepted by the peer, which does not make the peer anybody.
    let mut world = World::outbound_tls(errand(), settings(), certificate(&["capulet.lit"]));
    world.send(&(answer_of_capulet() + &features(EXTERNAL) + SUCCESS + &answer_of_capulet() + &features("")));
    assert_eq!(world.authenticated[0].1, Ways::Out);
    world.send(HELLO);
    assert!(
        world
            .heard()
            .ends_with(&error("not-authorized", "No domain is authenticated."))
    );
    assert!(world.routed.is_empty());
}

#[test]
fn xep0288_2_stanzas_come_on_connections_of_ours_once_both_ways_are_agreed_on() {
    let mut world = World::accepted(errand(), settings(), "");
    world.send(HELLO);
    assert_eq!(world.routed.len(), 1);
    world.send("<message from='verona.lit' to='romeo@montague.lit'/>");
    assert!(world.heard().contains("<invalid-from "));
}

#[test]
fn rfc6120_8_2_3_what_breaks_the_rules_of_its_kind_is_answered_and_the_stream_lives() {
    let mut world = World::logged_in(settings(), "");
    for (stanza, answered) in [
        ("<iq type='get' id='1'/>", true),
        ("<iq type='get' id='1'><a/><b/></iq>", true),
        ("<iq type='set'><a/></iq>", true),
        ("<iq id='1'><a/></iq>", true),
        ("<iq type='got' id='1'><a/></iq>", true),
        ("<presence type='gone'/>", true),
        ("<iq type='result'/>", false),
        ("<iq type='error'/>", false),
    ] {
        let stanza = stanza.replacen(' ', " from='juliet@capulet.lit' to='romeo@montague.lit' ", 1);
        world.send(&stanza);
        assert_eq!(world.replies.pop().is_some(), answered, "{stanza}");
    }
    assert!(world.routed.is_empty() && world.closed.is_none());
    world.send("<iq from='juliet@capulet.lit' to='romeo@montague.lit' type='get' id='7'/>");
    let reply = world.replies.remove(0);
    assert_eq!(reply.kind(), Kind::Iq(IqType::Error));
    assert_eq!(reply.to().unwrap().as_str(), "juliet@capulet.lit");
    assert_eq!(reply.from().unwrap().as_str(), "romeo@montague.lit");
    assert_eq!(reply.id().as_deref(), Some("7"));
    assert_eq!(reply.error_condition().as_deref(), Some("bad-request"));
}

#[test]
fn every_pair_of_a_stream_may_send_and_no_other() {
    let mut world = World::logged_in(settings(), "");
    world.send("<db:result from='chats.capulet.lit' to='montague.lit'>1</db:result>");
    let verification = world.verify.remove(0);
    let from_chats = "<message from='room@chats.capulet.lit' to='romeo@montague.lit'/>";
    world.input(Input::Verified {
        verification,
        verdict: Verdict::Valid,
    });
    world.send(from_chats);
    world.send(HELLO);
    assert_eq!(world.routed.len(), 2);
    assert_eq!(world.stream.pairs().count(), 2);
}

#[test]
fn rfc6120_4_4_what_comes_between_our_closing_tag_and_the_peers_is_taken() {
    let mut world = World::logged_in(settings(), "");
    world.input(Input::Close);
    assert_eq!(world.heard(), END);
    assert!(world.closed.is_none() && world.stream.mailbox().is_none());
    world.send(&(HELLO.to_owned() + "<db:result from='a.lit' to='montague.lit'>1</db:result>" + END));
    assert_eq!(world.routed.len(), 1);
    assert!(world.verify.is_empty());
    assert_eq!(world.ending(), Some(&Ending::Finished(crate::By::Us)));
    assert_eq!(world.heard(), "");

    for end in [Input::PeerClosed, Input::Close] {
        let mut world = World::logged_in(settings(), "");
        world.input(Input::Close);
        world.input(end);
        world.pass(5);
        assert_eq!(world.ending(), Some(&Ending::Finished(crate::By::Us)));
    }
    let mut world = World::logged_in(settings(), "");
    world.input(Input::Close);
    world.send("<message from='verona.lit' to='romeo@montague.lit'/>");
    assert!(world.routed.is_empty() && world.closed.is_some());
}
