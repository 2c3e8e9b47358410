//! What holds for any input: splits, noise and floods.

use super::world::{BIND_ORCHARD, auth, plain};
use super::{HEADER, World};
use crate::{Encryption, Ending, Input, Stage, Transport};
use proptest::prelude::*;

/// Everything that can be seen of a session from outside.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    heard: String,
    routed: String,
    receipts: usize,
    attempts: usize,
    ending: Option<Ending>,
    stage: Stage,
}

fn seen(mut world: World) -> Seen {
    Seen {
        heard: world.heard(),
        receipts: world
            .routed
            .iter()
            .filter(|(_, receipt)| receipt.is_some())
            .count(),
        routed: world.routed(),
        attempts: world.attempts.len(),
        ending: world.ending.clone(),
        stage: world.session.stage(),
    }
}

/// Whole lives of a connection, as one would send them without waiting for any answer.
fn transcripts() -> Vec<String> {
    let plain = plain("romeo", "wherefore");
    let wrong = super::world::plain("romeo", "therefore");
    let scram = auth("SCRAM-SHA-256", b"n,,n=romeo,r=fyko+d2lbbFgONRv9qkxdawL");
    let to_bound = [HEADER, &plain, HEADER, BIND_ORCHARD].concat();
    let enable = "<enable xmlns='urn:xmpp:sm:3'/>";
    vec![
        to_bound.clone()
            + "<presence/><message to='juliet@capulet.lit' id='1'><body>h\u{e9} &amp; &lt;</body></message></stream:stream>",
        to_bound.clone()
            + enable
            + "<presence/><r xmlns='urn:xmpp:sm:3'/> <message/><a xmlns='urn:xmpp:sm:3' h='0'/></stream:stream>",
        to_bound.clone() + "<presence/><message to='a@b@c'/> <iq type='get'/></stream:stream>",
        to_bound.clone() + "<message from='tybalt@montague.lit'/><presence/>",
        to_bound.clone() + "<message><![CDATA[x]]><x:y xmlns:x='urn:x'/>&#65;</message><oops",
        to_bound + "<message><body>\u{feff}</message>",
        [
            HEADER,
            &wrong,
            &scram,
            "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
            &wrong,
            HEADER,
        ]
        .concat(),
        [
            HEADER,
            &plain,
            &HEADER.replace("montague", "capulet"),
            "<presence/>",
        ]
        .concat(),
        [HEADER, " ", &plain, "\n", HEADER, "<presence/>"].concat(),
        HEADER.replace("montague", "verona"),
        [HEADER, &"<enable xmlns='urn:xmpp:sm:3'/>".repeat(1000)].concat(),
        [
            HEADER,
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>",
            &"A".repeat(5000),
        ]
        .concat(),
    ]
}

/// Cuts `text` at the given places.
fn play(text: &[u8], mut cuts: Vec<usize>) -> Seen {
    let mut world = World::encrypted();
    cuts.retain(|cut| *cut < text.len());
    cuts.push(text.len());
    cuts.sort_unstable();
    let mut from = 0;
    for cut in cuts {
        world.input(Input::Received(&text[from..cut]));
        from = cut;
    }
    if world.session.stage() == Stage::Leaving {
        world.input(Input::Deadline);
    }
    seen(world)
}

#[test]
fn every_single_cut_gives_the_same_outcome() {
    for text in transcripts() {
        if text.len() > 2000 {
            continue;
        }
        let whole = play(text.as_bytes(), Vec::new());
        for cut in 0..text.len() {
            assert_eq!(play(text.as_bytes(), vec![cut]), whole, "cut at {cut} of {text}");
        }
    }
}

#[test]
fn byte_by_byte_gives_the_same_outcome() {
    for text in transcripts() {
        let whole = play(text.as_bytes(), Vec::new());
        assert_eq!(play(text.as_bytes(), (0..text.len()).collect()), whole, "{text}");
    }
}

proptest! {
    #[test]
    fn any_cuts_give_the_same_outcome(which in any::<prop::sample::Index>(), cuts in prop::collection::vec(0usize..3000, 0..12)) {
        let transcripts = transcripts();
        let text = which.get(&transcripts).as_bytes();
        prop_assert_eq!(play(text, cuts), play(text, Vec::new()));
    }

    /// Bytes of any kind, in any state: no panic, one end at most, nothing after it, and nothing routed by a stranger.
    #[test]
    fn noise_is_survived(state in 0usize..5, pieces in prop::collection::vec(noise(), 0..20)) {
        let mut world = match state {
            0 => World::new(Transport::Tcp, Encryption::Required),
            1 => World::new(Transport::Tcp, Encryption::Optional),
            2 => World::encrypted(),
            3 => World::logged_in(),
            _ => World::counted(),
        };
        for piece in pieces {
            world.input(Input::Received(&piece));
        }
        let stage = world.session.stage();
        prop_assert_eq!(stage == Stage::Closed, world.ending.is_some());
        for (stanza, _) in &world.routed {
            prop_assert_eq!(stanza.from().unwrap().bare_str(), "romeo@montague.lit");
        }
        if world.attempts.iter().all(|attempt| attempt.result.is_err()) && state < 3 {
            prop_assert!(world.routed.is_empty());
            prop_assert!(world.session.address().is_none());
        }
    }

    /// Whatever is sent before login, no more than the limits is held, and the end comes.
    #[test]
    fn floods_before_login_are_bounded(flood in flood(), chunk in 1usize..3000) {
        let mut world = World::encrypted().by_hand();
        world.send(HEADER);
        let mut sent = 0;
        while world.ending.is_none() {
            for piece in flood.as_bytes().chunks(chunk) {
                world.input(Input::Received(piece));
                sent += piece.len();
                prop_assert!(world.session.held_bytes() <= 2 * world.settings.limits.unauthenticated_bytes);
            }
            prop_assert!(sent <= 2 * world.settings.limits.unauthenticated_bytes + flood.len(), "no end after {sent} bytes");
        }
        prop_assert!(world.asked.len() <= world.settings.limits.login_attempts);
        let Some(Ending::Error(_)) = &world.ending else { panic!("{:?}", world.ending) };
    }
}

/// Bytes that come near to being a stream, or nowhere near.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        HEADER,
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHdoZXJlZm9yZQ==</auth>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'/>",
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>biwsbj1yb21lbyxyPWFhYWE=</response>",
        "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        BIND_ORCHARD,
        "<enable xmlns='urn:xmpp:sm:3'/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<a xmlns='urn:xmpp:sm:3' h='1'/>",
        "<presence/>",
        "<message to='juliet@capulet.lit'><body>hi</body></message>",
        "<iq type='get' id='1'/>",
        "</stream:stream>",
        "<",
        ">",
        "'",
        "/>",
        " ",
    ]);
    prop_oneof![
        4 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => "[<>/'=a-c :!?\\[\\]&;-]{0,20}".prop_map(String::into_bytes),
    ]
}

/// What somebody would send for ever. None of it ends a stream by itself.
fn flood() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        " ".to_owned(),
        "\n".repeat(700),
        "<enable xmlns='urn:xmpp:sm:3'/>".to_owned(),
        plain("romeo", "therefore"),
        auth("SCRAM-SHA-256", b"n,,n=romeo,r=fyko+d2lbbFgONRv9qkxdawL"),
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>".to_owned(),
        "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(),
        "<r xmlns='urn:xmpp:sm:3'>".to_owned() + &"x".repeat(3000) + "</r>",
    ])
}
