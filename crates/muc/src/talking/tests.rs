//! What one message to many costs, and what a promise to a sender goes with.

use machine::{Context, Machine, Moment};
use stanza::{Parcel, Stanza};
use stream_management::{Limits, Mailbox, Receipt};
use xml::{ContentNamespace, Element};

use super::*;
use crate::Input;
use crate::desk::{CRONE, Desk, HAG, WICCA, address, text};
use crate::room::Out;

/// What the room sends, and whether the promise goes with it. The promise is neither kept nor lost on the way.
fn routed(desk: &mut Desk, input: Input) -> Vec<(Parcel, bool)> {
    let mut out = Out::default();
    let mut context = Context {
        now: Moment::default(),
        wall: desk.wall,
        random: &mut desk.dice,
        settings: &desk.settings,
    };
    desk.room.handle(&mut context, input, &mut out);
    let routed = out.effects.into_iter().filter_map(|effect| match effect {
        Effect::Route(parcel, receipt) => Some((parcel, receipt.is_some())),
        Effect::Settle(_) | Effect::Kept(_, Some(_)) => panic!("{effect:?}"),
        Effect::Kept(_, None)
        | Effect::CountRooms(_)
        | Effect::Answer(_)
        | Effect::Watch(_)
        | Effect::Unwatch(_)
        | Effect::WakeAt(..)
        | Effect::Learn(..)
        | Effect::Count(_)
        | Effect::CountError(..) => None,
    });
    routed.collect()
}

fn receipt() -> Receipt {
    let limits = Limits {
        stanzas: 10,
        bytes: 10_000,
    };
    Mailbox::new(limits).count_received()
}

/// From crone1 to an occupant.
fn privately(nick: &str) -> Input {
    let message = format!(
        "<message type='chat' id='p' to='coven@chat.lit/{nick}'><body>By the pricking</body></message>"
    );
    let limits = xml::Limits::unlimited();
    let element = Element::parse(message.as_bytes(), ContentNamespace::Client, &limits).unwrap();
    let to = stanza::address_attribute(&element, "to").unwrap();
    Input::Inbound {
        parcel: Parcel::new(Stanza::new(element, Some(address(CRONE)), to, None).unwrap()),
        receipt: Some(receipt()),
    }
}

#[test]
fn xep0045_7_5_the_promise_goes_with_a_private_message_to_one_client_of_the_recipient_that_can_be_reached() {
    let mut desk = Desk::coven();
    let other = WICCA.replace("laptop", "phone");
    desk.join(WICCA, "second");
    desk.join(&other, "second");
    desk.join(HAG, "third");
    let to = |sent: &[(Parcel, bool)]| -> Vec<(String, bool)> {
        let address = |parcel: &Parcel| parcel.to().unwrap().to_string();
        sent.iter().map(|(parcel, has)| (address(parcel), *has)).collect()
    };
    let mut sent = to(&routed(&mut desk, privately("second")));
    sent.sort_by_key(|(_, has)| !has);
    assert_eq!(
        sent.iter().map(|(_, has)| *has).collect::<Vec<bool>>(),
        [true, false]
    );
    assert_ne!(sent[0].0, sent[1].0);
    let sent = routed(&mut desk, privately("third"));
    assert_eq!(to(&sent), [(HAG.to_owned(), true)]);
    let lost = Input::Undelivered {
        parcel: sent[0].0.clone(),
        error: StanzaError::new(Condition::RemoteServerTimeout),
        receipt: Some(receipt()),
    };
    let back = routed(&mut desk, lost);
    assert_eq!(to(&back), [(CRONE.to_owned(), true)], "it goes on with the error");
    let error = text(&back[0].0);
    assert!(
        error.contains("from='coven@chat.lit/third'") && error.contains("<remote-server-timeout"),
        "{error}"
    );
    let refused = routed(&mut desk, privately("nobody"));
    assert_eq!(to(&refused), [(CRONE.to_owned(), true)]);
    assert!(text(&refused[0].0).contains("<item-not-found"));
}

#[test]
fn one_message_to_a_thousand_shares_its_bytes_and_only_the_opening_tag_is_new() {
    let mut desk = Desk::coven();
    // Nobody is told of anybody, which would take long.
    desk.configure(&[("muc#roomconfig_presencebroadcast", "")]);
    for number in 1..1000 {
        let client = format!("user{number}@shakespeare.lit/x");
        let enter = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>";
        desk.send(
            &client,
            &format!("<presence to='coven@chat.lit/{number}'>{enter}</presence>"),
        );
    }
    let words = "w".repeat(5000);
    let message = format!("<message type='groupchat' to='coven@chat.lit'><body>{words}</body></message>");
    let limits = xml::Limits::unlimited();
    let element = Element::parse(message.as_bytes(), ContentNamespace::Client, &limits).unwrap();
    let stanza = Stanza::new(
        element,
        Some(address(CRONE)),
        Some(address("coven@chat.lit")),
        None,
    )
    .unwrap();
    let said = stanza.element().bytes().as_ptr();
    let mut out = Out::default();
    let mut context = Context {
        now: Moment::default(),
        wall: desk.wall,
        random: &mut desk.dice,
        settings: &desk.settings,
    };
    let input = Input::Inbound {
        parcel: Parcel::new(stanza),
        receipt: None,
    };
    desk.room.handle(&mut context, input, &mut out);
    let copies: Vec<&Parcel> = out
        .effects
        .iter()
        .filter_map(|effect| {
            if let Effect::Route(parcel, _) = effect {
                Some(parcel)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(copies.len(), 1000);
    let appended = copies[0].appended().unwrap().as_ptr();
    for copy in &copies {
        assert_eq!(
            copy.stanza().element().bytes().as_ptr(),
            said,
            "the bytes that came in"
        );
        assert_eq!(copy.appended().unwrap().as_ptr(), appended, "what the room adds");
    }
    let own = size_of::<Parcel>();
    assert!(own <= 256, "each copy itself is {own} bytes");
}
