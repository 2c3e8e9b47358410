//! In-band registration before login (XEP-0077 §3.1.1, §8).

use features::{Registration, Setback};

use super::world::{BIND_ORCHARD, plain};
use super::{Ask, HEADER, World};
use crate::{Encryption, Ending, Input, Transport};

const FIELDS: &str = "<iq type='get' id='reg1'><query xmlns='jabber:iq:register'/></iq>";
const BILL: &str = "<iq type='set' id='reg2'><query xmlns='jabber:iq:register'><username>bill</username>\
     <password>Calliope</password></query></iq>";
const ROMEO: &str = "<iq type='set' id='reg3'><query xmlns='jabber:iq:register'><username>romeo</username>\
     <password>Calliope</password></query></iq>";
const OFFER: &str = "<register xmlns='http://jabber.org/features/iq-register'/>";

fn open(mut world: World) -> World {
    for host in world.settings.hosts.values_mut() {
        host.registration = Registration::Open;
    }
    world
}

/// A stream that is open on TLS, at a host where anybody may register.
fn opened() -> World {
    let mut world = open(World::encrypted());
    let features = world.talk(HEADER);
    assert!(features.contains(OFFER), "{features}");
    world
}

fn error(id: &str, code: u16, kind: &str, condition: &str) -> String {
    format!(
        "<iq id='{id}' type='error'><error code='{code}' type='{kind}'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
    )
}

#[test]
fn xep0077_3_1_1_an_account_is_made_and_logged_in_to_on_the_same_stream() {
    let mut world = opened();
    let fields = world.talk(FIELDS);
    assert!(
        fields.starts_with("<iq id='reg1' type='result'><query xmlns='jabber:iq:register'><instructions>"),
        "{fields}"
    );
    assert!(
        fields.ends_with("<username/><password/></query></iq>"),
        "{fields}"
    );
    assert_eq!(world.talk(BILL), "<iq id='reg2' type='result'/>");
    assert_eq!(world.asked, [Ask::Register("bill@montague.lit".into())]);
    world.log_in();
    assert_eq!(world.ending, None);
}

#[test]
fn xep0077_3_1_a_request_may_name_the_host_and_no_other() {
    let mut world = opened();
    let answer = world.talk(&BILL.replace("id=", "to='Montague.lit' id="));
    assert_eq!(answer, "<iq from='montague.lit' id='reg2' type='result'/>");
    for other in ["capulet.lit", "romeo@montague.lit", "montague.lit/x", "@", ""] {
        let mut world = opened();
        let answer = world.talk(&FIELDS.replace("id=", &format!("to='{other}' id=")));
        assert!(
            answer.contains("<stream:error><not-authorized"),
            "{other}: {answer}"
        );
    }
}

#[test]
fn xep0077_3_1_a_closed_host_offers_nothing_and_is_unavailable() {
    let mut world = World::encrypted();
    assert!(!world.talk(HEADER).contains(OFFER));
    for request in [FIELDS, BILL] {
        let answer = world.talk(request);
        assert!(
            answer.contains(" code='503' type='cancel'><service-unavailable"),
            "{answer}"
        );
    }
    assert!(world.asked.is_empty());
    assert_eq!(world.ending, None);
}

#[test]
fn xep0077_8_nothing_is_offered_or_taken_before_required_tls() {
    let mut world = open(World::new(Transport::Tcp, Encryption::Required));
    assert!(!world.talk(HEADER).contains(OFFER));
    assert!(world.talk(BILL).contains("<stream:error><not-authorized"));
    assert!(world.asked.is_empty());

    let mut world = open(World::new(Transport::Tcp, Encryption::Optional));
    assert!(world.talk(HEADER).contains(OFFER), "without being asked for TLS");
}

#[test]
fn xep0077_8_nothing_is_offered_to_those_who_have_logged_in() {
    let mut world = opened();
    world.log_in();
    world.heard();
    assert!(!world.talk(HEADER).contains(OFFER));
    assert!(world.talk(BILL).contains("<stream:error><not-authorized"));
}

#[test]
fn xep0077_3_1_a_name_that_is_taken_is_a_conflict() {
    let mut world = opened();
    let answer = world.talk(ROMEO);
    assert!(
        answer.starts_with(&error("reg3", 409, "cancel", "conflict")),
        "{answer}"
    );
    assert!(!answer.contains("Calliope"));
    assert_eq!(world.talk(BILL), "<iq id='reg2' type='result'/>");
}

#[test]
fn xep0077_3_1_1_who_tries_name_after_name_is_disconnected() {
    let mut world = opened();
    world.talk(ROMEO);
    world.talk(&plain("romeo", "wrong"));
    assert_eq!(world.ending, None);
    assert!(world.talk(ROMEO).contains("<stream:error><policy-violation"));
}

#[test]
fn xep0077_9_setbacks_are_told() {
    for (setback, expected) in [
        (Setback::TooMany, error("reg2", 406, "wait", "not-acceptable")),
        (
            Setback::Unavailable,
            error("reg2", 500, "wait", "internal-server-error"),
        ),
    ] {
        let mut world = opened().by_hand();
        assert_eq!(world.talk(BILL), "");
        world.input(Input::Registered(Err(setback)));
        let answer = world.heard();
        assert!(answer.starts_with(&expected), "{answer}");
        assert_eq!(world.ending, None);
    }
}

#[test]
fn what_is_sent_while_an_account_is_made_waits() {
    let mut world = opened().by_hand();
    world.send(&[BILL, FIELDS, BILL].concat());
    world.send("</stream:stream>");
    assert_eq!(world.heard(), "");
    assert!(!world.session.reads());
    assert_eq!(world.asked.len(), 1);
    world.input(Input::Registered(Ok(())));
    let heard = world.heard();
    assert!(
        heard.starts_with("<iq id='reg2' type='result'/><iq id='reg1' type='result'><query"),
        "{heard}"
    );
    assert_eq!(world.asked.len(), 2);
    world.input(Input::Registered(Err(Setback::NameTaken)));
    assert!(world.heard().ends_with("</iq></stream:stream>"));
    assert_eq!(world.ending, Some(Ending::Finished));
}

#[test]
fn registration_is_no_part_of_a_login() {
    let mut world = opened().by_hand();
    world.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>");
    world.heard();
    assert!(world.talk(BILL).contains("<stream:error><not-authorized"));
}

#[test]
fn rfc6120_4_9_3_12_other_requests_still_have_to_wait() {
    for request in [
        "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq type='result' id='1'><query xmlns='jabber:iq:register'/></iq>",
        "<iq type='get'><query xmlns='jabber:iq:register'/></iq>",
        "<iq type='get' id='1'><query xmlns='jabber:iq:register'/><x/></iq>",
        "<message><query xmlns='jabber:iq:register'/></message>",
        BIND_ORCHARD,
    ] {
        let answer = opened().talk(request);
        assert!(
            answer.contains("<stream:error><not-authorized"),
            "{request}: {answer}"
        );
    }
}

#[test]
fn a_host_that_has_gone_from_the_configuration_takes_nobody() {
    let mut world = opened();
    world.settings.hosts.clear();
    assert!(world.talk(BILL).contains("<service-unavailable"));
    assert!(world.asked.is_empty());
}
