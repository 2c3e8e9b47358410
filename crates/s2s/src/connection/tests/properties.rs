//! What holds for any input: splits, noise and floods.

use proptest::prelude::*;

use super::world::*;
use crate::{Ending, Errand, Input, Stage};

/// Everything that can be seen of a stream from outside.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    heard: String,
    routed: String,
    authenticated: String,
    asked: usize,
    notes: Vec<String>,
    ending: Option<Ending>,
    stage: Stage,
}

fn seen(mut world: World) -> Seen {
    Seen {
        heard: world.heard(),
        routed: format!("{:?}", world.routed),
        authenticated: format!("{:?} {:?}", world.authenticated, world.refused),
        asked: world.verify.len(),
        notes: world.noted(),
        ending: world.ending().cloned(),
        stage: world.stream.stage(),
    }
}

/// Who is spoken to.
#[derive(Clone, Copy, Debug)]
enum Side {
    Inbound,
    Outbound,
}

fn world(side: Side) -> World {
    match side {
        Side::Inbound => World::inbound_tls(settings(), certificate(&["capulet.lit"])),
        Side::Outbound => World::outbound_tls(errand(), settings(), certificate(&["capulet.lit"])),
    }
}

/// Whole lives of a connection, as one would send them without waiting for any answer.
fn transcripts() -> Vec<(Side, String)> {
    let login = from_capulet() + "<bidi xmlns='urn:xmpp:bidi'/>" + AUTH + &from_capulet();
    let hello = "<message from='juliet@capulet.lit' to='romeo@montague.lit' id='1'><body>h\u{e9} &amp;</body></message>";
    let asks = "<db:result from='verona.lit' to='montague.lit'>1</db:result>";
    let accepted = answer_of_capulet()
        + &features(&(EXTERNAL.to_owned() + BIDI))
        + SUCCESS
        + &answer_of_capulet()
        + &features(SM);
    vec![
        (Side::Inbound, login.clone() + hello + END),
        (
            Side::Inbound,
            login.clone() + ENABLE + hello + "<r xmlns='urn:xmpp:sm:3'/> " + hello + asks + END,
        ),
        (
            Side::Inbound,
            login.clone() + "<presence from='a@b@c' to='montague.lit'/>" + hello,
        ),
        (
            Side::Inbound,
            login + "<x:y xmlns:x='urn:x'><![CDATA[x]]>&#65;</x:y>" + hello,
        ),
        (Side::Inbound, from_capulet() + asks + hello),
        (
            Side::Inbound,
            from_capulet() + AUTH + &from_capulet().replace("montague", "verona"),
        ),
        (Side::Inbound, from_capulet() + &asks.repeat(300)),
        (
            Side::Inbound,
            from_capulet() + "<auth mechanism='" + &"A".repeat(5000),
        ),
        (
            Side::Outbound,
            accepted
                + "<enabled xmlns='urn:xmpp:sm:3' id='1' resume='true'/>"
                + hello
                + "<a xmlns='urn:xmpp:sm:3' h='9'/>",
        ),
        (
            Side::Outbound,
            answer_of_capulet()
                + &features(DIALBACK)
                + "<db:result from='verona.lit' to='montague.lit' type='valid'/>\
                   <db:result from='capulet.lit' to='montague.lit' type='valid'/>"
                + END,
        ),
        (
            Side::Outbound,
            answer_of_capulet() + &features(EXTERNAL) + "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        ),
    ]
}

/// Cuts `text` at the given places.
fn play(side: Side, text: &[u8], mut cuts: Vec<usize>) -> Seen {
    let mut world = world(side);
    cuts.retain(|cut| *cut < text.len());
    cuts.push(text.len());
    cuts.sort_unstable();
    let mut from = 0;
    for cut in cuts {
        world.input(Input::Received(&text[from..cut]));
        from = cut;
    }
    seen(world)
}

#[test]
fn every_single_cut_gives_the_same_outcome() {
    for (side, text) in transcripts().into_iter().filter(|(_, text)| text.len() < 2000) {
        let whole = play(side, text.as_bytes(), Vec::new());
        for cut in 0..text.len() {
            assert_eq!(
                play(side, text.as_bytes(), vec![cut]),
                whole,
                "cut at {cut} of {text}"
            );
        }
    }
}

#[test]
fn byte_by_byte_gives_the_same_outcome() {
    for (side, text) in transcripts() {
        let whole = play(side, text.as_bytes(), Vec::new());
        assert_eq!(
            play(side, text.as_bytes(), (0..text.len()).collect()),
            whole,
            "{text}"
        );
    }
}

/// Anything that a hostile peer may think of saying, and anything that may happen meanwhile.
fn fragment() -> impl Strategy<Value = String> {
    let domain = prop_oneof![
        Just("capulet.lit"),
        Just("montague.lit"),
        Just("chats.montague.lit"),
        Just("verona.lit"),
        Just("a@b@c"),
    ];
    let kind = prop_oneof![
        Just(""),
        Just(" type='valid'"),
        Just(" type='invalid'"),
        Just(" type='error'")
    ];
    let dialback =
        (domain.clone(), domain.clone(), kind, any::<bool>()).prop_map(|(from, to, kind, verify)| {
            let name = if verify {
                "db:verify id='D60000229F'"
            } else {
                "db:result"
            };
            let end = if verify { "db:verify" } else { "db:result" };
            format!("<{name} from='{from}' to='{to}'{kind}>1</{end}>")
        });
    let stanza =
        (domain.clone(), domain).prop_map(|(from, to)| format!("<message from='{from}' to='{to}'/>"));
    let fixed: Vec<String> = [
        EXTERNAL,
        DIALBACK,
        BIDI,
        SM,
        AUTH,
        SUCCESS,
        ENABLE,
        END,
        STARTTLS,
        " ",
        "<bidi xmlns='urn:xmpp:bidi'/>",
        "<r xmlns='urn:xmpp:sm:3'/>",
        "<a xmlns='urn:xmpp:sm:3' h='1'/>",
        "<enabled xmlns='urn:xmpp:sm:3' id='1'/>",
        "<resume xmlns='urn:xmpp:sm:3' h='0' previd='1'/>",
        "<resumed xmlns='urn:xmpp:sm:3' h='0' previd='1'/>",
        "<failed xmlns='urn:xmpp:sm:3'/>",
        "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        "<stream:features/>",
        "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain([
        from_capulet(),
        answer_of_capulet(),
        features(EXTERNAL),
        features(DIALBACK),
        features(SM),
    ])
    .collect();
    prop_oneof![2 => dialback, 2 => stanza, 4 => prop::sample::select(fixed)]
}

#[derive(Clone, Debug)]
enum Happening {
    Said(String),
    Authorize(usize),
    Verdict(bool),
    Check,
    Pass(u64),
    Resumption,
    Push,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        12 => fragment().prop_map(Happening::Said),
        1 => (0usize..3).prop_map(Happening::Authorize),
        1 => any::<bool>().prop_map(Happening::Verdict),
        1 => Just(Happening::Check),
        1 => (0u64..50).prop_map(Happening::Pass),
        1 => Just(Happening::Resumption),
        1 => Just(Happening::Push),
    ]
}

proptest! {
    #[test]
    fn any_cuts_give_the_same_outcome(which in any::<prop::sample::Index>(), cuts in prop::collection::vec(0usize..3000, 0..12)) {
        let transcripts = transcripts();
        let (side, text) = which.get(&transcripts);
        prop_assert_eq!(play(*side, text.as_bytes(), cuts), play(*side, text.as_bytes(), Vec::new()));
    }

    #[test]
    fn noise_ends_a_stream_at_most_once(noise in prop::collection::vec(any::<u8>(), 0..200), inbound in any::<bool>()) {
        let mut world = world(if inbound { Side::Inbound } else { Side::Outbound });
        world.input(Input::Received(&noise));
        world.input(Input::PeerClosed);
        prop_assert!(world.closed.is_some());
        prop_assert!(world.routed.is_empty() && world.authenticated.is_empty());
    }

    /// Whatever is said in whatever order: a stanza is routed only for a domain that was authenticated on this very
    /// stream by its certificate, or by a verdict that this stream had asked for; nothing is answered twice; and the
    /// stream ends once.
    #[test]
    fn field_11_only_what_was_proven_here_counts(
        happenings in prop::collection::vec(happening(), 0..40),
        inbound in any::<bool>(),
        begun in any::<bool>(),
        names in prop_oneof![Just(vec!["capulet.lit"]), Just(Vec::new())],
    ) {
        let two = vec![ours(), pair("chats.montague.lit", "capulet.lit")];
        let errand = Errand { authorize: two.clone(), ..errand() };
        let mut world = match (inbound, begun) {
            (true, false) => World::inbound_tls(settings(), certificate(&names)),
            (true, true) => World::logged_in(settings(), ""),
            (false, false) => World::outbound_tls(errand, settings(), certificate(&names)),
            (false, true) => World::accepted(errand, settings(), DIALBACK),
        };
        let names = if begun { vec!["capulet.lit"] } else { names };
        let mut asked_for = if inbound { 0 } else { 2 };
        let mut proven: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut routed = 0;
        for happening in happenings {
            match happening {
                Happening::Said(text) => world.send(&text),
                Happening::Authorize(which) => {
                    let pair = [ours(), pair("chats.montague.lit", "capulet.lit"), pair("montague.lit", "verona.lit")][which].clone();
                    if world.closed.is_none() {
                        asked_for += 1;
                    }
                    world.input(Input::Authorize(pair));
                }
                Happening::Verdict(valid) => if let Some(verification) = world.verify.pop() {
                    if valid {
                        proven.push(verification.pair.remote.to_string());
                    }
                    let verdict = if valid { crate::Verdict::Valid } else { crate::Verdict::Invalid };
                    world.input(Input::Verified { verification, verdict });
                },
                Happening::Check => world.input(Input::Check),
                Happening::Pass(seconds) => world.pass(seconds),
                Happening::Resumption => world.input(Input::Resumption(None)),
                Happening::Push => {
                    if world.stream.mailbox().is_some() {
                        let entry = message("romeo@montague.lit", "juliet@capulet.lit", "1");
                        drop(world.mailbox().push(entry));
                        world.drain();
                    }
                }
            }
            for (stanza, _) in &world.routed[routed..] {
                let from = stanza.from().unwrap().domainpart().to_owned();
                let bidi_peer = !inbound && from == "capulet.lit";
                prop_assert!(bidi_peer || proven.contains(&from), "{from}");
                prop_assert!(["montague.lit", "chats.montague.lit"].contains(&stanza.to().unwrap().domainpart()));
            }
            routed = world.routed.len();
            for (pair, ways, _) in &world.authenticated {
                prop_assert!(pair.local.as_str().ends_with("montague.lit"));
                if ways.receives() && inbound {
                    prop_assert!(proven.contains(&pair.remote.to_string()));
                }
            }
        }
        world.input(Input::PeerClosed);
        let left = world.closed.as_ref().unwrap().authorize.len();
        let answered = world.authenticated.iter().filter(|(_, ways, _)| ways.sends()).count() + world.refused.len();
        prop_assert!(answered + left >= usize::from(asked_for > 0));
        prop_assert!(world.refused.len() + left <= asked_for);
        prop_assert!(world.stream.held_bytes() < 40_000);
    }
}
