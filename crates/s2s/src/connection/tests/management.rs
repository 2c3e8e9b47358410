//! Stream management between servers: counting, resuming on either side, refusals (XEP-0198).

use std::sync::Arc;

use stream_management::Signal;

use super::world::*;
use crate::{Ending, Errand, Input, Side, Suspended, Ways};

const ASK: &str = "<r xmlns='urn:xmpp:sm:3'/>";
const RESUME_OURS: &str = "<resume xmlns='urn:xmpp:sm:3' h='0' previd='s2s-1'/>";

fn enabled(rest: &str) -> String {
    format!("<enabled xmlns='urn:xmpp:sm:3'{rest}/>")
}

fn a(handled: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>")
}

fn failed(condition: &str) -> String {
    format!(
        "<failed xmlns='urn:xmpp:sm:3'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
    )
}

fn to_juliet(id: &str) -> stream_management::Entry {
    message("romeo@montague.lit", "juliet@capulet.lit", id)
}

fn from_juliet(id: u32) -> String {
    format!("<message from='juliet@capulet.lit' to='romeo@montague.lit' id='{id}'/>")
}

/// Our connection, counted and resumable.
fn counted() -> World {
    let mut world = World::accepted(errand(), settings(), SM);
    assert_eq!(world.heard(), ENABLE);
    world.send(&enabled(" id='s2s-1' resume='true'"));
    assert_eq!(world.noted(), ["managed s2s-1"]);
    world
}

#[test]
fn clauses_4_6_psa_31_whoever_speaks_before_it_is_clear_what_counts_is_known_to_be_there() {
    let mut world = World::accepted(errand(), settings(), SM);
    world.send(&from_juliet(1));
    assert_eq!(world.routed.len(), 1);
    assert_eq!(world.authenticated, []);
    let noted = world.noted();
    assert!(noted.len() == 1 && noted[0].starts_with("heard"), "{noted:?}");
    world.send(&enabled(""));
    world.noted();
    world.send(&from_juliet(2));
    assert_eq!(world.noted(), [] as [&str; 0]);
}

#[test]
fn xep0198_3_we_ask_to_be_counted_once_we_are_accepted() {
    let mut world = World::accepted(errand(), settings(), SM);
    assert_eq!(world.heard(), ENABLE);
    assert_eq!(
        world.authenticated,
        [],
        "nobody sends before it is clear what counts"
    );
    assert!(world.stream.mailbox().is_none());
    world.send(&enabled(""));
    assert_eq!(world.noted(), ["managed "]);
    assert_eq!(world.authenticated[0].1, Ways::Both);
    let mailbox = world.mailbox();
    for id in ["1", "2", "3"] {
        mailbox.push(to_juliet(id)).unwrap();
    }
    assert_eq!(world.drain(), 3);
    assert!(world.heard().ends_with(&format!("id='3' type='chat'/>{ASK}")));
    assert_eq!(mailbox.unacknowledged(), 3);
    world.send(&a(2));
    assert_eq!(mailbox.unacknowledged(), 1);
    assert_eq!(world.heard(), "");
    world.send(&a(4));
    assert!(
        world
            .heard()
            .contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='4' send-count='3'/>")
    );
}

#[test]
fn xep0198_6_a_peer_that_does_not_count_is_sent_stanzas_all_the_same() {
    let mut world = World::accepted(errand(), settings(), SM);
    world.heard();
    world.send(&failed("internal-server-error"));
    assert_eq!(world.authenticated.len(), 1);
    world.mailbox().push(to_juliet("1")).unwrap();
    assert_eq!(world.drain(), 1);
    assert!(!world.heard().contains("<r "));
    assert_eq!(world.mailbox().load().0, 0, "what is written is delivered");
    let mut world = World::accepted(errand(), settings(), "");
    assert_eq!(world.heard(), "");
    assert_eq!(world.authenticated.len(), 1);
}

#[test]
fn xep0198_3_a_peer_that_came_to_us_is_counted() {
    let mut world = World::logged_in(settings(), "");
    world.send(ENABLE);
    assert_eq!(
        world.heard(),
        enabled(&format!(" id='{TOKEN}' resume='true' max='120'"))
    );
    assert_eq!(world.noted(), [format!("managed {TOKEN}")]);
    world.send(&(from_juliet(1) + &from_juliet(2) + ASK));
    assert_eq!(world.heard(), a(0), "its fate is open");
    for (_, receipt) in world.routed.drain(..) {
        receipt.unwrap().settle();
    }
    let mailbox = world.mailbox();
    assert_eq!(mailbox.take_signal(), Some(Signal::AckDue));
    world.input(Input::Signal(Signal::AckDue));
    assert_eq!(world.heard(), a(2));
    // An unfit stanza meets its fate here, and counts.
    world.send("<iq from='juliet@capulet.lit' to='romeo@montague.lit' type='get' id='1'/>");
    world.send(ASK);
    assert_eq!(world.heard(), a(3));
    world.input(Input::Close);
    assert_eq!(world.heard(), a(3) + END);
}

#[test]
fn xep0198_3_counting_begins_once_and_only_for_who_is_authenticated() {
    let mut world = World::inbound_tls(settings(), certificate(&[]));
    world.send(&from_capulet());
    world.heard();
    world.send(ENABLE);
    assert_eq!(world.heard(), failed("unexpected-request"));
    world.send(RESUME_OURS);
    assert_eq!(world.heard(), failed("unexpected-request"));
    world.send(ASK);
    assert_eq!(world.heard(), failed("unexpected-request"));

    let mut world = World::logged_in(settings(), "");
    world.send("<enable xmlns='urn:xmpp:sm:3'/>");
    assert_eq!(world.heard(), enabled(""));
    world.send("<enable xmlns='urn:xmpp:sm:3'/>");
    assert!(world.heard().starts_with(&failed("unexpected-request")));
    assert!(world.closed.is_some());

    for nonsense in [
        "<enabled xmlns='urn:xmpp:sm:3'/>",
        "<resumed xmlns='urn:xmpp:sm:3' h='0' previd='x'/>",
        "<x xmlns='urn:xmpp:sm:3'/>",
    ] {
        for mut world in [World::logged_in(settings(), ""), counted()] {
            world.send(nonsense);
            assert!(world.heard().contains("<unsupported-stanza-type "), "{nonsense}");
        }
    }
}

#[test]
fn xep0198_5_a_broken_stream_of_ours_goes_on_where_it_broke() {
    let mut world = counted();
    let mailbox = world.mailbox();
    for id in ["1", "2", "3"] {
        mailbox.push(to_juliet(id)).unwrap();
    }
    world.drain();
    // Two of what the peer sent are taken, and one of them is settled.
    world.send(&(from_juliet(1) + &from_juliet(2)));
    let receipts: Vec<_> = world
        .routed
        .drain(..)
        .filter_map(|(_, receipt)| receipt)
        .collect();
    receipts[0].settle();
    mailbox.push(to_juliet("4")).unwrap();
    world.input(Input::PeerClosed);
    assert_eq!(world.ending(), Some(&Ending::Lost));
    let suspended = world.closed.take().unwrap().suspended.unwrap();
    assert_eq!((suspended.id.as_str(), suspended.side), ("s2s-1", Side::Outbound));
    assert_eq!(suspended.pairs, [(ours(), Ways::Both)]);

    let again = Errand {
        resume: Some(suspended),
        ..errand()
    };
    let mut world = World::accepted(again, settings(), SM);
    assert_eq!(world.heard(), "", "the count would not cover the second");
    assert!(Arc::ptr_eq(&mailbox, world.stream.settling().unwrap()));
    receipts[1].settle();
    world.input(Input::Signal(mailbox.take_signal().unwrap()));
    assert_eq!(
        world.heard(),
        "<resume xmlns='urn:xmpp:sm:3' h='2' previd='s2s-1'/>"
    );
    assert_eq!(world.authenticated, []);
    world.send("<resumed xmlns='urn:xmpp:sm:3' h='2' previd='s2s-1'/>");
    assert_eq!(world.noted(), ["resumed s2s-1"]);
    assert_eq!(world.authenticated.len(), 1);
    assert!(Arc::ptr_eq(&mailbox, world.stream.mailbox().unwrap()));
    world.drain();
    let heard = world.heard();
    assert!(
        heard.starts_with("<message from='romeo@montague.lit' to='juliet@capulet.lit' id='3'"),
        "{heard}"
    );
    assert!(heard.ends_with(&format!("id='4' type='chat'/>{ASK}")), "{heard}");
    // It knows that we have the second, so that what comes is new.
    world.send(&from_juliet(3));
    assert_eq!(world.routed.len(), 1);
    assert_eq!(world.routed[0].0.id().as_deref(), Some("3"));
    world.send(&a(4));
    assert_eq!(mailbox.load().0, 0);
}

#[test]
fn xep0198_5_a_stream_that_the_peer_has_forgotten_begins_anew() {
    let mut world = counted();
    let mailbox = world.mailbox();
    for id in ["1", "2"] {
        mailbox.push(to_juliet(id)).unwrap();
    }
    world.drain();
    mailbox.push(to_juliet("3")).unwrap();
    world.input(Input::PeerClosed);
    let resume = world.closed.take().unwrap().suspended;
    let again = Errand { resume, ..errand() };
    let mut world = World::accepted(again.clone(), settings(), SM);
    world.heard();
    world.send(&failed("item-not-found").replace("sm:3'", "sm:3' h='1'"));
    assert_eq!(world.noted(), ["not resumed s2s-1"]);
    assert_eq!(world.heard(), ENABLE);
    let remains = mailbox.close_apart();
    assert_eq!(
        (remains.sent.len(), remains.unsent.len()),
        (1, 1),
        "it still knew that it had one"
    );
    world.send(&enabled(" id='s2s-2' resume='1'"));
    assert_eq!(world.noted(), ["managed s2s-2"]);
    assert!(!Arc::ptr_eq(&mailbox, world.stream.mailbox().unwrap()));

    // Or it does not offer it any more, or what it carried is gone.
    let mut world = World::accepted(again.clone(), settings(), "");
    assert_eq!(world.noted(), ["not resumed s2s-1"]);
    assert_eq!(world.authenticated.len(), 1);
    let mut world = World::accepted(again, settings(), SM);
    assert_eq!(world.noted(), ["not resumed s2s-1"]);
    assert_eq!(world.heard(), ENABLE);
}

#[test]
fn xep0198_5_an_answer_about_another_stream_is_none() {
    let mut world = counted();
    world.input(Input::PeerClosed);
    let resume = world.closed.take().unwrap().suspended;
    for answer in [
        "<resumed xmlns='urn:xmpp:sm:3' h='0' previd='s2s-2'/>",
        "<resumed xmlns='urn:xmpp:sm:3' h='1' previd='s2s-1'/>",
    ] {
        let resume = resume.clone();
        let mut world = World::accepted(Errand { resume, ..errand() }, settings(), SM);
        world.send(answer);
        assert_eq!(world.noted(), ["not resumed s2s-1"]);
        assert!(world.closed.is_some() && world.authenticated.is_empty());
    }
}

#[test]
fn xep0198_5_every_pair_of_a_resumed_stream_is_proven_anew() {
    let chats = pair("chats.montague.lit", "capulet.lit");
    let accept = "<db:result from='capulet.lit' to='chats.montague.lit' type='valid'/>";
    let mut world = World::accepted(errand(), settings(), &(SM.to_owned() + DIALBACK));
    world.send(&enabled(" id='s2s-1' resume='true'"));
    world.input(Input::Authorize(chats.clone()));
    world.send(accept);
    assert_eq!(world.authenticated.len(), 2);
    world.input(Input::PeerClosed);
    let resume = world.closed.take().unwrap().suspended;
    for (answer, resumed) in [(accept, true), (&*accept.replace("'valid'", "'error'"), false)] {
        let resume = resume.clone();
        let mut world = World::accepted(
            Errand { resume, ..errand() },
            settings(),
            &(SM.to_owned() + DIALBACK),
        );
        assert!(
            world
                .heard()
                .starts_with("<db:result from='chats.montague.lit' to='capulet.lit'>")
        );
        world.send(answer);
        assert_eq!(world.heard() == RESUME_OURS, resumed);
        assert_eq!(world.noted().is_empty(), resumed);
    }
}

/// capulet.lit, counted and broken.
fn broken() -> (
    Suspended,
    Arc<stream_management::Mailbox>,
    Vec<stream_management::Receipt>,
) {
    let mut world = World::logged_in(settings(), "<bidi xmlns='urn:xmpp:bidi'/>");
    world.send(ENABLE);
    let mailbox = world.mailbox();
    for id in ["1", "2"] {
        mailbox.push(to_juliet(id)).unwrap();
    }
    world.drain();
    world.send(&(from_juliet(1) + &from_juliet(2)));
    let receipts: Vec<_> = world
        .routed
        .drain(..)
        .filter_map(|(_, receipt)| receipt)
        .collect();
    receipts[0].settle();
    world.input(Input::PeerClosed);
    (world.closed.take().unwrap().suspended.unwrap(), mailbox, receipts)
}

#[test]
fn xep0198_5_a_peer_that_came_to_us_comes_back() {
    let (suspended, mailbox, receipts) = broken();
    assert_eq!(suspended.side, Side::Inbound);
    let mut world = World::logged_in(settings(), "<bidi xmlns='urn:xmpp:bidi'/>");
    world.send(&format!("<resume xmlns='urn:xmpp:sm:3' h='1' previd='{TOKEN}'/>"));
    assert_eq!(world.noted(), [format!("resume {TOKEN}")]);
    assert!(!world.stream.reads() && !world.stream.may_drain(&world.settings));
    world.send(&from_juliet(3));
    assert!(world.routed.is_empty(), "what comes meanwhile is kept");
    world.input(Input::Resumption(Some(suspended)));
    // The second is received, and not settled: the peer is told when it is, neither to send it again nor to lose it.
    assert_eq!(world.heard(), "");
    assert!(!world.stream.reads() && !world.stream.may_drain(&world.settings));
    receipts[1].settle();
    world.input(Input::Signal(mailbox.take_signal().unwrap()));
    assert_eq!(
        world.heard(),
        format!("<resumed xmlns='urn:xmpp:sm:3' h='2' previd='{TOKEN}'/>")
    );
    assert_eq!(world.noted(), [format!("resumed {TOKEN}")]);
    assert_eq!(world.routed.len(), 1);
    assert_eq!(world.routed[0].0.id().as_deref(), Some("3"));
    assert!(Arc::ptr_eq(&mailbox, world.stream.mailbox().unwrap()));
    world.drain();
    assert!(world.heard().contains("id='2' type='chat'/>"));
}

#[test]
fn xep0198_5_nobody_takes_over_what_is_not_theirs() {
    let (suspended, mailbox, _receipts) = broken();
    let resume = format!("<resume xmlns='urn:xmpp:sm:3' h='1' previd='{TOKEN}'/>");

    // Another domain, though it knows the identifier.
    let mut world = World::inbound_tls(settings(), certificate(&["verona.lit"]));
    let header = peer_header("from='verona.lit' to='montague.lit'");
    world.send(&(header.clone() + AUTH + &header));
    world.heard();
    world.send(&resume);
    world.input(Input::Resumption(Some(suspended.clone())));
    assert_eq!(world.heard(), failed("not-authorized"));
    assert!(!world.noted().iter().any(|note| note.starts_with("resumed")));

    // The same domain on a stream of one way.
    let mut world = World::logged_in(settings(), "");
    world.send(&resume);
    world.input(Input::Resumption(Some(suspended.clone())));
    assert_eq!(world.heard(), failed("not-authorized"));

    // What the world found is not what was asked for.
    for wrong in [
        Suspended {
            id: "another".into(),
            ..suspended.clone()
        },
        Suspended {
            side: Side::Outbound,
            ..suspended.clone()
        },
    ] {
        let mut world = World::logged_in(settings(), "<bidi xmlns='urn:xmpp:bidi'/>");
        world.send(&resume);
        world.input(Input::Resumption(Some(wrong)));
        assert_eq!(world.heard(), failed("item-not-found"));
        world.send(ENABLE);
        assert!(world.heard().starts_with("<enabled "), "it may begin anew");
    }
    assert_eq!(mailbox.load().0, 2, "nothing was lost by trying");
}

#[test]
fn xep0198_5_the_old_connection_makes_way() {
    let mut world = World::logged_in(settings(), "");
    world.send(ENABLE);
    world.heard();
    world.input(Input::Superseded);
    assert_eq!(
        world.heard(),
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
    );
    assert_eq!(world.ending(), Some(&Ending::Superseded));
    assert!(world.closed.unwrap().suspended.is_some());
}

#[test]
fn xep0198_7_what_was_closed_cannot_be_resumed() {
    for end in [
        Input::Received(END.as_bytes()),
        Input::Received(b"<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"),
        Input::Received(b"<message/>"),
        Input::End(stanza::StreamCondition::SystemShutdown.into()),
    ] {
        let mut world = World::logged_in(settings(), "");
        world.send(ENABLE);
        world.input(end);
        assert!(world.closed.unwrap().suspended.is_none());
    }
    let mut world = World::logged_in(settings(), "");
    world.send("<enable xmlns='urn:xmpp:sm:3'/>");
    world.input(Input::PeerClosed);
    assert!(world.closed.unwrap().suspended.is_none(), "it was not asked for");
}

#[test]
fn a_peer_that_acknowledges_nothing_is_sent_no_more_and_left() {
    let mut world = counted();
    let mailbox = world.mailbox();
    for id in 0..20 {
        mailbox.push(to_juliet(&id.to_string())).unwrap();
        world.drain();
    }
    assert_eq!(mailbox.unacknowledged(), 10);
    assert_eq!(world.heard().matches(ASK).count(), 1);
    for _ in 0..44 {
        world.pass(1);
        world.send(" ");
    }
    assert!(world.closed.is_none());
    world.pass(1);
    assert_eq!(world.ending(), Some(&Ending::Silent));
    assert!(world.closed.unwrap().suspended.is_some());
}
