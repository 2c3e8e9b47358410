//! Sessions that go on with another connection (XEP-0198 §5).

use std::sync::Arc;
use std::time::Duration;

use stream_management::{Mailbox, NotResumed, Signal, TooHigh};

use super::World;
use super::world::{Ask, BIND_ORCHARD};
use crate::{Ending, Input, Stage};

const R: &str = "<r xmlns='urn:xmpp:sm:3'/>";
/// Dice that show nought make this of a name.
const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";
const MESSAGE: &str = "<message to='juliet@capulet.lit'><body>Hark</body></message>";

fn enabled(seconds: u64) -> String {
    format!("<enabled xmlns='urn:xmpp:sm:3' id='{ID}' resume='true' max='{seconds}'/>")
}

fn failed(inside: &str) -> String {
    format!("<failed xmlns='urn:xmpp:sm:3'{inside} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>")
}

fn resume(h: u32) -> String {
    format!("<resume xmlns='urn:xmpp:sm:3' h='{h}' previd='{ID}'/>")
}

/// A session that can be resumed.
fn resumable() -> World {
    let mut world = World::bound();
    assert_eq!(
        world.talk("<enable xmlns='urn:xmpp:sm:3' resume='true'/>"),
        enabled(300)
    );
    world
}

/// What the account does when another connection wants to go on.
fn hand_over(from: &Arc<Mailbox>, to: &mut World, handled: u32) -> Result<(), TooHigh> {
    let address = "romeo@montague.lit/orchard".parse().unwrap();
    let (resumption, _) = from.lend_again(address, handled)?;
    to.signal(Signal::Resumed(Box::new(resumption)));
    to.drain();
    Ok(())
}

#[test]
fn xep0198_5_resumption_is_promised_to_who_wants_it_for_as_long_as_both_want() {
    for (attributes, answer, promised) in [
        ("resume='true'", enabled(300), Some(300)),
        ("resume='1' max='60'", enabled(60), Some(60)),
        ("resume='true' max='3600'", enabled(300), Some(300)),
        ("resume='true' max='many'", enabled(300), Some(300)),
        (
            "resume='true' max='0'",
            "<enabled xmlns='urn:xmpp:sm:3'/>".to_owned(),
            None,
        ),
        (
            "resume='false'",
            "<enabled xmlns='urn:xmpp:sm:3'/>".to_owned(),
            None,
        ),
        ("max='60'", "<enabled xmlns='urn:xmpp:sm:3'/>".to_owned(), None),
    ] {
        let mut world = World::bound();
        assert_eq!(
            world.talk(&format!("<enable xmlns='urn:xmpp:sm:3' {attributes}/>")),
            answer
        );
        let promise = promised.map(|seconds| (ID.to_owned(), Duration::from_secs(seconds)));
        assert_eq!(world.promises, Vec::from_iter(promise), "{attributes}");
    }
}

#[test]
fn xep0198_5_what_the_client_has_not_handled_is_sent_again_and_counting_goes_on() {
    let mut old = resumable().settling();
    old.deliver("<message id='1'/>");
    old.deliver("<message id='2'/>");
    old.talk(&[MESSAGE, MESSAGE].concat());
    old.input(Input::PeerClosed);
    assert_eq!(old.ending, Some(Ending::Lost));

    let mut new = World::logged_in().by_hand();
    new.send(&resume(1));
    assert_eq!(
        new.asked.last(),
        Some(&Ask::Resume("romeo@montague.lit".into(), ID.into(), 1))
    );
    let mailbox = old.mailbox.unwrap();
    hand_over(&mailbox, &mut new, 1).unwrap();
    let resumed = format!("<resumed xmlns='urn:xmpp:sm:3' h='2' previd='{ID}'/>");
    assert_eq!(new.heard(), format!("{resumed}<message id='2'/>{R}"));
    assert_eq!(new.session.stage(), Stage::Bound);
    assert_eq!(
        new.session.address().unwrap().as_str(),
        "romeo@montague.lit/orchard"
    );
    new.deliver("<message id='3'/>");
    assert_eq!(new.heard(), "<message id='3'/>");
    assert_eq!(new.talk("<a xmlns='urn:xmpp:sm:3' h='3'/>"), "");
    assert_eq!(mailbox.load(), (0, 0));
    let enable = new.talk("<enable xmlns='urn:xmpp:sm:3'/>");
    assert!(enable.starts_with(&failed("><unexpected-request")), "{enable}");
}

#[test]
fn xep0198_5_the_old_connection_is_told_of_the_conflict_and_can_do_nothing_any_more() {
    let mut old = resumable().settling();
    old.deliver("<message id='1'/>");
    old.heard();
    let mailbox = old.mailbox.clone().unwrap();
    let mut new = World::logged_in().by_hand();
    new.send(&resume(0));
    hand_over(&mailbox, &mut new, 0).unwrap();
    new.heard();

    // What the old one still reads is not taken: it comes once more.
    old.input_alone(Input::Received(
        [MESSAGE, "<a xmlns='urn:xmpp:sm:3' h='1'/>"].concat().as_bytes(),
    ));
    assert!(old.routed.is_empty());
    assert_eq!(mailbox.unacknowledged(), 1);
    old.drain();
    assert!(old.heard().ends_with(
        "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
    ));
    new.settles();
    new.talk(MESSAGE);
    assert_eq!(new.routed.len(), 1);
    assert_eq!(new.talk(R), "<a xmlns='urn:xmpp:sm:3' h='1'/>");
}

/// A client need not send again what the count does not cover (XEP-0198 §5), so that a count which is too small would
/// leave open whether the next stanza is an old one or a new one.
#[test]
fn xep0198_5_a_client_is_told_of_the_resumption_when_all_that_it_had_sent_is_settled() {
    let mut old = resumable();
    old.send(&[MESSAGE, MESSAGE].concat());
    old.input(Input::PeerClosed);
    let receipts: Vec<_> = old
        .routed
        .drain(..)
        .map(|(_, receipt)| receipt.unwrap())
        .collect();
    let mut new = World::logged_in().by_hand();
    new.send(&resume(0));
    receipts[0].settle();
    let mailbox = old.mailbox.unwrap();
    hand_over(&mailbox, &mut new, 0).unwrap();
    // What the client already sends waits with it.
    new.send(MESSAGE);
    assert_eq!(new.heard(), "");
    assert!(new.routed.is_empty());
    new.settles();
    receipts[1].settle();
    new.signal(mailbox.take_signal().unwrap());
    assert!(new.heard().starts_with("<resumed xmlns='urn:xmpp:sm:3' h='2'"));
    assert_eq!(new.routed.len(), 1, "a new stanza, not one that comes once more");
    assert_eq!(new.talk(R), "<a xmlns='urn:xmpp:sm:3' h='3'/>");
}

#[test]
fn xep0198_5_who_cannot_resume_may_bind_a_resource() {
    let mut world = World::logged_in().by_hand();
    world.send(&resume(0));
    world.signal(Signal::NotResumed(NotResumed::Unknown(Some(7))));
    assert_eq!(world.heard(), failed(" h='7'><item-not-found"));
    world.send(&resume(0));
    world.signal(Signal::NotResumed(NotResumed::Unknown(None)));
    assert_eq!(world.heard(), failed("><item-not-found"));
    world.send(BIND_ORCHARD);
    world.signal(Signal::Bound("romeo@montague.lit/orchard".parse().unwrap()));
    assert!(world.heard().starts_with("<iq type='result'") || world.session.stage() == Stage::Bound);
    assert_eq!(world.ending, None);
}

#[test]
fn xep0198_5_a_client_that_keeps_asking_for_sessions_is_sent_away() {
    let mut world = World::logged_in().by_hand();
    for _ in 0..5 {
        world.send(&resume(0));
        world.signal(Signal::NotResumed(NotResumed::Unknown(None)));
    }
    assert!(world.heard().contains("<policy-violation"));
}

#[test]
fn xep0198_6_resuming_with_a_count_that_cannot_be_ends_the_stream_and_not_the_session() {
    let mut old = resumable();
    old.deliver("<message id='1'/>");
    old.input(Input::PeerClosed);
    let mailbox = old.mailbox.unwrap();
    let mut new = World::logged_in().by_hand();
    new.send(&resume(2));
    let fault = hand_over(&mailbox, &mut new, 2).unwrap_err();
    new.signal(Signal::NotResumed(NotResumed::TooHigh(fault)));
    assert!(
        new.heard()
            .contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='2' send-count='1'/>")
    );
    assert_eq!(mailbox.load().0, 1);
}

#[test]
fn xep0198_5_resuming_needs_a_name_and_a_number_and_an_unbound_client() {
    for attributes in [
        "h='0'",
        "previd='x'",
        "h='x' previd='x'",
        "h='4294967296' previd='x'",
    ] {
        let mut world = World::logged_in();
        let answer = world.talk(&format!("<resume xmlns='urn:xmpp:sm:3' {attributes}/>"));
        assert_eq!(answer, failed("><bad-request"), "{attributes}");
    }
    let mut bound = World::bound();
    assert_eq!(bound.talk(&resume(0)), failed("><unexpected-request"));
}

#[test]
fn a_server_that_stops_leaves_the_stream_unfinished() {
    let mut world = resumable().settling();
    world.send(MESSAGE);
    world.deliver("<message id='1'/>");
    world.heard();
    world.signal(Signal::Suspend);
    world.drain();
    assert_eq!(world.heard(), "<a xmlns='urn:xmpp:sm:3' h='1'/>");
    assert_eq!(world.ending, Some(Ending::Lost));
}
