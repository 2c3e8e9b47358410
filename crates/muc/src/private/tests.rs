//! Messages to one occupant that come back.

use machine::{Context, Machine, Moment};
use stanza::Stanza;
use stream_management::{Limits, Mailbox};
use xml::{ContentNamespace, Element};

use super::*;
use crate::Input;
use crate::desk::{CRONE, Desk, HAG, WICCA, address, for_one, text};
use crate::room::Out;

/// crone1 and wiccarocks of this server, and hag66 of another.
fn coven() -> Desk {
    let mut desk = Desk::coven();
    desk.join(WICCA, "second");
    desk.join(HAG, "third");
    desk
}

fn whisper(desk: &mut Desk, from: &str, to: &str, id: &str) -> Vec<String> {
    let message =
        format!("<message type='chat' id='{id}' to='coven@chat.lit/{to}'><body>Hist</body></message>");
    desk.send(from, &message)
}

fn error(desk: &mut Desk, from: &str, to: &str, id: &str, condition: &str) -> Vec<String> {
    desk.send(
        from,
        &error_with(to, id, &format!("<{condition} xmlns='{ERRORS}'/>")),
    )
}

const ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

fn error_with(to: &str, id: &str, inside: &str) -> String {
    format!(
        "<message type='error' id='{id}' to='coven@chat.lit/{to}'><body>Hist</body>\
         <error type='cancel'>{inside}</error></message>"
    )
}

#[test]
fn xep0045_7_5_who_wrote_a_private_message_learns_that_it_was_refused_and_nothing_else() {
    let mut desk = coven();
    whisper(&mut desk, WICCA, "third", "p");
    let words = format!(
        "<redirect xmlns='{ERRORS}'>xmpp:hag66@verona.lit</redirect>\
         <text xmlns='{ERRORS}'>hag66@verona.lit does not hear you</text>"
    );
    // Semi-anonymous: `redirect` shows who is gone, and where.
    let seen = desk.send(HAG, &error_with("second", "p", &words));
    let told: Vec<&str> = for_one(&seen, WICCA)
        .into_iter()
        .filter(|one| one.starts_with("<message"))
        .collect();
    assert_eq!(
        told,
        [format!(
            "<message from='coven@chat.lit/third' to='{WICCA}' id='p' type='error'>\
             <error type='modify'><redirect xmlns='{ERRORS}'/></error></message>"
        )]
    );
    assert!(
        seen.iter()
            .any(|copy| copy.contains("code='333'") && copy.contains("coven@chat.lit/third")),
        "whoever cannot be reached is out: {seen:?}"
    );
}

#[test]
fn xep0045_7_5_an_error_that_says_nothing_of_the_way_removes_nobody_and_is_passed_on_once() {
    let mut desk = coven();
    whisper(&mut desk, WICCA, "third", "p");
    let seen = error(&mut desk, HAG, "second", "p", "policy-violation");
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(
        seen[0].contains("type='error'") && seen[0].contains("<policy-violation"),
        "{seen:?}"
    );
    assert_eq!(
        error(&mut desk, HAG, "second", "p", "policy-violation"),
        [] as [String; 0]
    );
    assert_eq!(desk.room.view().unwrap().occupants, 3);
}

#[test]
fn an_error_for_what_was_never_written_to_its_sender_goes_to_nobody() {
    let mut desk = coven();
    // What is said to all bears its id for all to see.
    desk.send(
        WICCA,
        "<message type='groupchat' id='g' to='coven@chat.lit'><body>All</body></message>",
    );
    whisper(&mut desk, WICCA, "firstwitch", "p");
    for id in ["g", "p"] {
        let seen = error(&mut desk, HAG, "second", id, "policy-violation");
        assert_eq!(seen, [] as [String; 0], "{id}");
    }
}

#[test]
fn xep0045_7_5_it_has_not_come_back_as_long_as_one_client_of_the_recipient_has_it() {
    let mut desk = coven();
    let other = HAG.replace("pda", "laptop");
    desk.join(&other, "third");
    whisper(&mut desk, WICCA, "third", "p");
    let seen = error(&mut desk, HAG, "second", "p", "recipient-unavailable");
    assert!(
        !seen
            .iter()
            .any(|copy| copy.starts_with("<message") && copy.contains("type='error'")),
        "{seen:?}"
    );
    let seen = error(&mut desk, &other, "second", "p", "recipient-unavailable");
    assert_eq!(
        seen.iter()
            .filter(|copy| copy.contains("type='error'") && copy.contains(WICCA))
            .count(),
        1,
        "{seen:?}"
    );
}

#[test]
fn the_promise_goes_with_the_error_to_who_wrote_the_message() {
    let mut desk = coven();
    whisper(&mut desk, WICCA, "third", "p");
    let limits = xml::Limits::unlimited();
    let xml = error_with("second", "p", &format!("<service-unavailable xmlns='{ERRORS}'/>"));
    let element = Element::parse(xml.as_bytes(), ContentNamespace::Client, &limits).unwrap();
    let to = stanza::address_attribute(&element, "to").unwrap();
    let mailbox = Mailbox::new(Limits {
        stanzas: 10,
        bytes: 10_000,
    });
    let input = Input::Inbound {
        parcel: Parcel::new(Stanza::new(element, Some(address(HAG)), to, None).unwrap()),
        receipt: Some(mailbox.count_received()),
    };
    let mut out = Out::default();
    let mut context = Context {
        now: Moment::default(),
        wall: desk.wall,
        random: &mut desk.dice,
        settings: &desk.settings,
    };
    desk.room.handle(&mut context, input, &mut out);
    let mut bearers = Vec::new();
    for effect in &out.effects {
        if let Effect::Route(parcel, Some(_)) = effect {
            bearers.push(text(parcel));
        } else if matches!(effect, Effect::Settle(_) | Effect::Kept(_, Some(_))) {
            bearers.push("nobody".to_owned());
        }
    }
    assert_eq!(bearers.len(), 1, "{bearers:?}");
    assert!(
        bearers[0].contains("type='error'") && bearers[0].contains(WICCA),
        "{bearers:?}"
    );
}

#[test]
fn what_is_remembered_of_messages_to_single_occupants_is_bounded() {
    let mut desk = coven();
    for number in 0..=REMEMBERED {
        whisper(&mut desk, WICCA, "third", &format!("p{number}"));
    }
    assert_eq!(desk.room.whispers.0.len(), REMEMBERED);
    assert_eq!(
        error(&mut desk, HAG, "second", "p0", "policy-violation"),
        [] as [String; 0]
    );
    let seen = error(&mut desk, HAG, "second", "p1", "policy-violation");
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(for_one(&seen, CRONE), [] as [&str; 0]);
}
