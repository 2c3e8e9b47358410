//! What one message to many costs.

use machine::{Context, Machine, Moment};
use stanza::{Parcel, Stanza};
use xml::{ContentNamespace, Element};

use super::*;
use crate::Input;
use crate::desk::{CRONE, Desk, address};
use crate::room::Out;

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
        .filter_map(|effect| match effect {
            Effect::Route(parcel, _) => Some(parcel),
            Effect::Settle(_)
            | Effect::Kept(..)
            | Effect::CountRooms(_)
            | Effect::Answer(_)
            | Effect::Watch(_)
            | Effect::Unwatch(_)
            | Effect::WakeAt(..)
            | Effect::Learn(..)
            | Effect::Count(_)
            | Effect::CountError(..) => None,
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
