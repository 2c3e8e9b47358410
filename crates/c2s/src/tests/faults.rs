//! Everything a client can do wrong to a stream, and the error that the RFC names.

use super::world::header_to;
use super::{HEADER, World, header};
use crate::{Encryption, Ending, Stage, Transport};

const XML_ERRORS: &str = " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>";

fn assert_ends_with(world: &World, answer: &str, condition: &str, sent: &str) {
    assert!(
        answer.contains(&format!("<stream:error><{condition}{XML_ERRORS}")),
        "{sent}: {answer}"
    );
    assert!(
        answer.ends_with("</stream:error></stream:stream>"),
        "{sent}: {answer}"
    );
    assert!(
        matches!(&world.ending, Some(Ending::Error(error)) if error.condition.as_str() == condition),
        "{sent}"
    );
    assert_eq!(world.session.stage(), Stage::Closed);
}

/// RFC 6120 §4.9.1.2: an error in the header is told on a stream that is opened for it.
#[test]
fn rfc6120_4_9_1_2_faulty_headers_are_answered_with_a_header_and_an_error() {
    let replaced = |from: &str, to: &str| HEADER.replace(from, to);
    for (sent, condition) in [
        (replaced("montague.lit", "verona.lit"), "host-unknown"),
        (replaced("montague.lit", ""), "host-unknown"),
        (replaced("montague.lit", "a b"), "host-unknown"),
        (replaced("montague.lit", "romeo@montague.lit"), "host-unknown"),
        (replaced(" to='montague.lit'", ""), "host-unknown"),
        (
            replaced("version='1.0' xmlns", "version='2.0' xmlns"),
            "unsupported-version",
        ),
        (
            replaced("version='1.0' xmlns", "version='0.9' xmlns"),
            "unsupported-version",
        ),
        (replaced("jabber:client", "jabber:server"), "invalid-namespace"),
        (
            replaced(
                "http://etherx.jabber.org/streams",
                "http://wrong.namespace.example.org/",
            ),
            "invalid-namespace",
        ),
        (replaced("stream:stream", "stream:river"), "bad-format"),
        (replaced("stream:stream", "brook:stream"), "bad-namespace-prefix"),
        (
            replaced(
                "<?xml version='1.0'?>",
                "<?xml version='1.0' encoding='ISO-8859-1'?>",
            ),
            "unsupported-encoding",
        ),
        (
            replaced("<?xml version='1.0'?>", "<!DOCTYPE x>"),
            "restricted-xml",
        ),
        (replaced("<?xml version='1.0'?>", "<?php ?>"), "restricted-xml"),
        (replaced("<?xml version='1.0'?>", "<!-- x -->"), "restricted-xml"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "not-well-formed"),
        ("\u{16}\u{3}\u{1}".to_owned(), "not-well-formed"),
        (
            HEADER.replace("to=", &format!("from='{}' to=", "x".repeat(5000))),
            "policy-violation",
        ),
    ] {
        let mut world = World::new(Transport::Tcp, Encryption::Required);
        let answer = world.talk(&sent);
        // The name is that of the host spoken to, or of the first one: it is authoritative in both cases.
        assert!(
            answer.starts_with(&header("montague.lit")) || answer.starts_with(&header("capulet.lit")),
            "{sent}: {answer}"
        );
        assert_ends_with(&world, &answer, condition, &sent);
    }
}

#[test]
fn rfc6120_4_7_5_a_header_without_version_is_answered_without_one() {
    let mut world = World::new(Transport::Tcp, Encryption::Required);
    let answer = world.talk(&HEADER.replace(" version='1.0' xmlns", " xmlns"));
    assert!(
        answer.starts_with(&header("montague.lit").replace(" version='1.0' xml:lang", " xml:lang")),
        "{answer}"
    );
    assert_ends_with(&world, &answer, "unsupported-version", "no version");
}

#[test]
fn rfc6120_4_9_1_3_an_unknown_host_is_answered_in_our_own_name() {
    let mut world = World::new(Transport::Tcp, Encryption::Required);
    let answer = world.talk(&HEADER.replace("to='montague.lit'", "from='romeo@verona.lit' to='verona.lit'"));
    assert!(
        answer.starts_with(&header_to("capulet.lit", " to='romeo@verona.lit'")),
        "{answer}"
    );

    world = World::new(Transport::Tcp, Encryption::Required);
    world.settings.hosts.clear();
    let answer = world.talk(HEADER);
    assert!(answer.starts_with(&header("")), "{answer}");
    assert_ends_with(&world, &answer, "host-unknown", "no hosts");
}

/// The same faults in every state that reads elements.
#[test]
fn rfc6120_4_9_3_faulty_xml_ends_the_stream_in_every_state() {
    let insecure = || {
        let mut world = World::new(Transport::Tcp, Encryption::Required);
        world.talk(HEADER);
        world
    };
    let opened = || {
        let mut world = World::encrypted();
        world.talk(HEADER);
        world
    };
    let states: [&dyn Fn() -> World; 5] = [
        &insecure,
        &opened,
        &World::logged_in,
        &World::bound,
        &World::counted,
    ];
    let deep = "<a xmlns='urn:a'>".to_owned() + &"<b>".repeat(8);
    let attributes = format!(
        "<a xmlns='urn:a' {}/>",
        (0..9).map(|n| format!("a{n}='' ")).collect::<String>()
    );
    let children = format!("<a xmlns='urn:a'>{}</a>", "<b/>".repeat(65));
    let long_name = format!("<{} xmlns='urn:a'/>", "n".repeat(65));
    let large = format!("<message><body>{}</body></message>", "x".repeat(17_000));
    for state in states {
        for (sent, condition) in [
            ("<a><b></a>", "not-well-formed"),
            ("</message>", "not-well-formed"),
            ("<a b=c/>", "not-well-formed"),
            ("<a>&bogus;</a>", "restricted-xml"),
            ("<a b='1' b='2'/>", "not-well-formed"),
            ("<a>\u{0}</a>", "not-well-formed"),
            ("<p:a/>", "bad-namespace-prefix"),
            ("text", "bad-format"),
            ("<!-- a comment -->", "restricted-xml"),
            ("<?pi?>", "restricted-xml"),
            ("<!DOCTYPE a>", "restricted-xml"),
            (&deep, "policy-violation"),
            (&attributes, "policy-violation"),
            (&children, "policy-violation"),
            (&long_name, "policy-violation"),
            (&large, "policy-violation"),
            // RFC 6120 §4.9.3.24
            ("<pubsub xmlns='jabber:client'/>", "unsupported-stanza-type"),
            ("<pubsub/>", "unsupported-stanza-type"),
            ("<message xmlns='urn:other'/>", "unsupported-stanza-type"),
            ("<message xmlns='jabber:server'/>", "unsupported-stanza-type"),
            (
                "<compress xmlns='http://jabber.org/protocol/compress'/>",
                "unsupported-stanza-type",
            ),
            (
                "<features xmlns='http://etherx.jabber.org/streams'/>",
                "unsupported-stanza-type",
            ),
            (
                "<stream:stream to='montague.lit' version='1.0'/>",
                "unsupported-stanza-type",
            ),
            (
                "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
                "unsupported-stanza-type",
            ),
        ] {
            let mut world = state();
            let answer = world.talk(sent);
            assert_ends_with(&world, &answer, condition, sent);
            assert!(world.routed.is_empty(), "{sent}");
        }
        let mut world = state();
        world.input(crate::Input::Received(b"<a>\xc3\x28</a>"));
        let answer = world.heard();
        assert_ends_with(&world, &answer, "not-well-formed", "bad UTF-8");
    }
}

#[test]
fn rfc6120_4_9_3_14_a_stanza_that_is_too_big_is_called_so() {
    let mut world = World::bound();
    let answer = world.talk(&format!("<message><body>{}</body></message>", "x".repeat(17_000)));
    assert!(
        answer.contains("<stanza-too-big xmlns='urn:xmpp:errors'/></stream:error>"),
        "{answer}"
    );
}

#[test]
fn rfc6120_4_9_3_12_stanzas_before_login_end_the_stream() {
    for stanza in [
        "<message/>",
        "<presence/>",
        "<iq type='set' id='1'><query xmlns='jabber:iq:auth'/></iq>",
    ] {
        for encryption in [
            Encryption::Required,
            Encryption::Optional,
            Encryption::Unavailable,
        ] {
            let mut world = World::new(Transport::Tcp, encryption);
            world.talk(HEADER);
            let answer = world.talk(stanza);
            assert_ends_with(&world, &answer, "not-authorized", stanza);
        }
    }
}

#[test]
fn rfc6120_4_9_an_error_of_the_client_is_taken_as_its_end() {
    for mut world in [World::logged_in(), World::bound()] {
        let answer = world.talk(
            "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
        );
        assert_eq!(answer, "</stream:stream>");
        assert!(matches!(
            &world.ending,
            Some(Ending::PeerError(error)) if error.condition == stanza::StreamCondition::PolicyViolation
        ));
    }
}
