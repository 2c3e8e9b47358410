//! Names by which whoever knows them takes over a session: over real sockets, from the dice of the system.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod ground;

use std::collections::BTreeSet;

use c2s::Encryption;
use ground::{Line, Server, settings};

/// Names that are looked at.
const NAMES: usize = 64;

/// Each letter of a name is one of 32: five bits.
const LETTERS: usize = 24;

fn serve() -> (tokio::runtime::Runtime, Server) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut settings = settings(Encryption::Optional);
    settings.http.trusted_proxies = vec![ground::loopback()];
    let server = runtime.block_on(async {
        let server = Server::start(settings);
        server.account("romeo@montague.lit").await;
        server
    });
    (runtime, server)
}

fn value<'t>(text: &'t str, before: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once('\'').unwrap().0
}

/// 120 bits each, none twice, and no place in them that is fixed or counts: of 64 throws with a die of 32 sides, fewer than
/// 16 sides in one place come up once in many million years of tests.
fn assert_unguessable(names: &BTreeSet<String>) {
    assert_eq!(names.len(), NAMES, "none is given twice");
    for name in names {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
        assert!(name.len() == LETTERS && name.bytes().all(is_plain), "{name}");
    }
    for place in 0..LETTERS {
        let letters: BTreeSet<u8> = names.iter().map(|name| name.as_bytes()[place]).collect();
        assert!(letters.len() >= 16, "place {place} takes only {letters:?}");
    }
    let neighbours: Vec<&String> = names.iter().collect();
    for pair in neighbours.windows(2) {
        assert_ne!(pair[0][..8], pair[1][..8], "40 bits are the same");
    }
}

#[test]
fn xep0198_10_the_name_of_a_session_that_can_be_resumed_cannot_be_guessed() {
    let (_runtime, server) = serve();
    let names = (0..NAMES).map(|_| {
        let mut line = Line::dial(server.address);
        line.open("montague.lit");
        // The same client, again and again: nothing of it is in the name.
        line.log_in("romeo@montague.lit", "orchard");
        let enabled = line.talk("<enable xmlns='urn:xmpp:sm:3' resume='true'/>", "/>");
        value(&enabled, " id='").to_owned()
    });
    assert_unguessable(&names.collect());
}

#[test]
fn xep0124_19_3_the_name_of_a_session_over_bosh_cannot_be_guessed() {
    let (_runtime, server) = serve();
    let body = "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' rid='1000' \
                to='montague.lit' wait='20' hold='1' ver='1.6' xmpp:version='1.0'/>";
    let names = (0..NAMES).map(|_| {
        let mut line = Line::dial(server.http);
        line.say(&format!(
            "POST /http-bind HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        value(&line.hear_all(), " sid='").to_owned()
    });
    assert_unguessable(&names.collect());
}
