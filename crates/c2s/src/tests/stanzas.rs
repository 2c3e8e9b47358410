//! Stanzas of a bound client.

use super::{HEADER, World};
use crate::{Ending, Input};
use proptest::prelude::*;
use stanza::StreamCondition;
use stream_management::Drained;

const ME: &str = "romeo@montague.lit/orchard";

#[test]
fn rfc6120_8_1_2_1_from_is_stamped_and_to_is_prepared() {
    let mut world = World::bound();
    for (sent, routed) in [
        (
            "<message to='Juliet@CAPULET.lit/Balcony' id='1'><body>hi</body></message>",
            "<message from='ME' to='juliet@capulet.lit/Balcony' id='1'><body>hi</body></message>",
        ),
        // RFC 6120 §10.3.1
        (
            "<message><body>note</body></message>",
            "<message from='ME' to='romeo@montague.lit'><body>note</body></message>",
        ),
        // RFC 6121 §4.4.2, §4.2.2: broadcast, which the account does.
        ("<presence/>", "<presence from='ME'/>"),
        (
            "<presence to='juliet@capulet.lit' type='subscribe'/>",
            "<presence from='ME' to='juliet@capulet.lit' type='subscribe'/>",
        ),
        // RFC 6120 §10.3.3
        (
            "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>",
            "<iq from='ME' id='r' type='get'><query xmlns='jabber:iq:roster'/></iq>",
        ),
        (
            "<iq type='result' id='r' to='montague.lit'/>",
            "<iq from='ME' to='montague.lit' id='r' type='result'/>",
        ),
    ] {
        assert_eq!(world.talk(sent), "", "{sent}");
        assert_eq!(world.routed(), routed.replace("ME", ME), "{sent}");
    }
}

#[test]
fn rfc6120_8_1_2_1_the_own_addresses_may_stand_in_from() {
    for from in [
        ME,
        "romeo@montague.lit",
        "Romeo@Montague.lit/orchard",
        "romeo@montague.lit/&#x6f;rchard",
    ] {
        let mut world = World::bound();
        world.send(&format!("<presence from='{from}'/>"));
        assert_eq!(world.routed(), format!("<presence from='{ME}'/>"), "{from}");
    }
}

#[test]
fn rfc6120_4_9_3_9_a_lie_in_from_ends_the_stream() {
    for from in [
        "juliet@capulet.lit",
        "romeo@montague.lit/other",
        "romeo@montague.lit/Orchard",
        "montague.lit",
        "romeo@capulet.lit/orchard",
        "",
        "a@b@c",
    ] {
        for kind in ["message", "presence", "iq type='get' id='1'"] {
            let mut world = World::bound();
            let answer = world.talk(&format!("<{kind} from='{from}'/>"));
            assert!(
                answer.starts_with("<stream:error><invalid-from"),
                "{kind} {from}: {answer}"
            );
            assert!(world.routed.is_empty());
            assert!(
                matches!(&world.ending, Some(Ending::Error(error)) if error.condition == StreamCondition::InvalidFrom)
            );
        }
    }
}

/// Each row is a stanza and its answer; the stream lives, and nothing is routed.
#[test]
fn rfc6120_8_3_what_cannot_be_routed_is_answered_once_or_not_at_all() {
    let error = |stanza: &str, kind: &str, condition: &str| {
        format!(
            "<{stanza} type='error'><error type='{kind}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             </error></{}>",
            stanza.split(' ').next().unwrap()
        )
    };
    let me = format!("to='{ME}'");
    let malformed = |stanza: &str| error(&format!("{stanza} {me} id='1'"), "modify", "jid-malformed");
    let bad = |stanza: &str| error(stanza, "modify", "bad-request");
    for (sent, answer) in [
        (
            "<message to='a@b@c' id='1'><body>hi</body></message>",
            malformed("message"),
        ),
        ("<message to='' id='1'/>", malformed("message")),
        ("<presence to='@capulet.lit' id='1'/>", malformed("presence")),
        (
            "<iq to='juliet@' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
            malformed("iq"),
        ),
        ("<iq to='juliet@' type='result' id='1'/>", String::new()),
        ("<message to='a@b@c' type='error' id='1'/>", String::new()),
        ("<presence to='a@b@c' type='error' id='1'/>", String::new()),
        // RFC 6120 §8.2.3 rules 1, 2 and 5
        (
            "<iq type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
            bad(&format!("iq {me}")),
        ),
        (
            "<iq type='get' id=''><ping xmlns='urn:xmpp:ping'/></iq>",
            bad(&format!("iq {me} id=''")),
        ),
        ("<iq type='get' id='1'/>", bad(&format!("iq {me} id='1'"))),
        (
            "<iq type='set' id='1'><a xmlns='urn:a'/><b xmlns='urn:b'/></iq>",
            bad(&format!("iq {me} id='1'")),
        ),
        ("<iq type='subscribe' id='1'/>", bad(&format!("iq {me} id='1'"))),
        (
            "<iq id='1' to='juliet@capulet.lit'/>",
            bad(&format!("iq from='juliet@capulet.lit' {me} id='1'")),
        ),
        ("<iq type='result'/>", String::new()),
        ("<iq type='error'/>", String::new()),
        // RFC 6121 §4.7.1
        (
            "<presence type='available' id='1'/>",
            bad(&format!("presence {me} id='1'")),
        ),
        (
            "<presence type='x' to='juliet@capulet.lit'/>",
            bad(&format!("presence from='juliet@capulet.lit' {me}")),
        ),
    ] {
        let mut world = World::bound();
        assert_eq!(world.talk(sent), answer, "{sent}");
        assert!(world.routed.is_empty(), "{sent}");
        assert_eq!(world.ending, None, "{sent}");
    }
}

#[test]
fn rfc6120_8_1_5_the_language_of_the_stream_is_put_on_stanzas_without_one() {
    let mut world = World::encrypted();
    world.send(HEADER);
    world.log_in();
    world.send(&HEADER.replace("to=", "xml:lang='de-CH' to="));
    world.send(super::world::BIND_ORCHARD);
    world.heard();
    world.send("<message to='juliet@capulet.lit'><body>hoi</body></message>");
    assert_eq!(
        world.routed(),
        format!("<message from='{ME}' to='juliet@capulet.lit' xml:lang='de-CH'><body>hoi</body></message>")
    );
    world.send("<message to='juliet@capulet.lit' xml:lang='fr'><body>salut</body></message>");
    assert_eq!(
        world.routed(),
        format!("<message from='{ME}' to='juliet@capulet.lit' xml:lang='fr'><body>salut</body></message>")
    );
}

#[test]
fn recipients_that_repeat_share_one_address() {
    let mut world = World::bound();
    for _ in 0..3 {
        for contact in ["juliet@capulet.lit", "nurse@capulet.lit", "tybalt@capulet.lit"] {
            world.send(&format!("<message to='{contact}'/>"));
        }
    }
    let to = |place: usize| world.routed[place].0.to().unwrap().as_str();
    for place in 3..9 {
        assert_eq!(to(place), to(place - 3));
        assert!(std::ptr::eq(to(place), to(place - 3)));
    }
    assert!(!std::ptr::eq(to(0), to(1)));
}

#[test]
fn rfc6120_13_12_after_login_stanzas_may_be_larger() {
    let large = |element: &str| format!("<{element}>{}</{element}>", "x".repeat(10_000));
    let mut world = World::bound();
    world.send(&large("message"));
    assert_eq!(world.routed.len(), 1);
    let mut world = World::encrypted();
    world.send(HEADER);
    let auth = "auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'";
    assert!(world.talk(&large(auth)).contains("<policy-violation"));
}

/// Shapes of IQs; whether each asks for an answer.
const IQS: [(&str, bool); 12] = [
    ("<iq type='get' id='ID'><ping xmlns='urn:xmpp:ping'/></iq>", true),
    (
        "<iq type='get' id='ID' to='juliet@capulet.lit'><ping xmlns='urn:xmpp:ping'/></iq>",
        true,
    ),
    (
        "<iq type='set' id='ID'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
        true,
    ),
    (
        "<iq type='set' id='ID' to='montague.lit'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>",
        true,
    ),
    (
        "<iq type='set' id='ID'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
        true,
    ),
    ("<iq type='get' id='ID'/>", true),
    (
        "<iq type='get' id='ID' to='a@b@c'><ping xmlns='urn:xmpp:ping'/></iq>",
        true,
    ),
    ("<iq id='ID'/>", true),
    ("<iq type='shout' id='ID'/>", true),
    ("<iq type='result' id='ID' to='juliet@capulet.lit'/>", false),
    ("<iq type='error' id='ID' to='a@b@c'/>", false),
    ("<iq type='result' id='ID' to='a@b@c'/>", false),
];

#[test]
fn who_asks_much_is_given_what_waits_before_more_is_asked() {
    let mut world = World::bound();
    let ask = "<iq type='get' id='a' to='montague.lit'><ping xmlns='urn:xmpp:ping'/></iq>";
    for _ in 0..64 {
        world.send(ask);
    }
    assert!(!world.session.asks_too_fast(), "nothing waits to be written");
    let drained = |stanzas, more| Drained {
        stanzas,
        answers: stanzas,
        more,
        handled: None,
    };
    world.input_alone(Input::Drained(drained(0, true)));
    assert!(world.session.asks_too_fast() && world.session.reads());
    world.input_alone(Input::Drained(drained(0, false)));
    assert!(!world.session.asks_too_fast(), "it has all that there is");
    world.input_alone(Input::Drained(drained(1, true)));
    assert!(!world.session.asks_too_fast(), "it has not asked much");
}

proptest! {
    /// Every request is routed or answered, once; nothing else is answered.
    #[test]
    fn rfc6120_8_2_3_each_request_meets_one_fate(
        counted in any::<bool>(),
        which in prop::collection::vec(0..IQS.len(), 1..30),
        together in any::<bool>(),
    ) {
        let mut world = if counted { World::counted() } else { World::bound() };
        // Nothing is acknowledged here.
        world.settings.limits.unacknowledged_stanzas = 1000;
        let sent: Vec<_> = which.iter().enumerate().map(|(id, which)| IQS[*which].0.replace("ID", &format!("n{id}"))).collect();
        let mut heard = String::new();
        if together {
            heard += &world.talk(&sent.concat());
        } else {
            for iq in &sent {
                heard += &world.talk(iq);
            }
        }
        prop_assert_eq!(&world.ending, &None);
        let routed = world.routed();
        for (id, which) in which.iter().enumerate() {
            let id = format!(" id='n{id}' ");
            let (answers, routes) = (heard.matches(&id).count(), routed.matches(&id).count());
            if IQS[*which].1 {
                prop_assert_eq!(answers + routes, 1, "{}: {} {}", IQS[*which].0, heard, routed);
            } else {
                prop_assert_eq!(answers, 0, "{}: {}", IQS[*which].0, heard);
            }
        }
    }
}

#[test]
fn whitespace_keeps_alive_and_says_nothing() {
    let mut world = World::bound();
    assert_eq!(world.talk(" \n\t"), "");
    world.send("<presence/> <presence/>\n");
    assert_eq!(world.routed.len(), 2);
    assert_eq!(world.ending, None);
}

#[test]
fn what_follows_the_end_of_the_stream_is_not_looked_at() {
    let mut world = World::bound();
    world.send("<presence/></stream:stream><presence/><oops");
    assert_eq!(world.routed.len(), 1);
    assert_eq!(world.heard(), "</stream:stream>");
    assert_eq!(world.ending, Some(Ending::Finished));
}

#[test]
fn a_client_that_reads_nothing_of_many_answers_is_disconnected() {
    let mut world = World::counted();
    // The mailbox is not drained while one read is handled.
    let many = "<message to='a@b@c'/>".repeat(500);
    let answer = world.talk(&many);
    assert!(answer.contains("<resource-constraint"), "{answer}");
    let (stanzas, _) = world.mailbox.as_ref().unwrap().load();
    assert!(stanzas <= world.settings.limits.mailbox.stanzas + 1);
}
