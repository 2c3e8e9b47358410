//! What another domain can make a link do and keep, and where that ends.

use stanza::{IqType, Kind as StanzaKind, Stanza};

use super::world::*;
use crate::Ways;
use crate::link::{Cause, Input, Occasion, StateName};

const RESULT: StanzaKind = StanzaKind::Iq(IqType::Result);

#[test]
fn who_does_not_read_answers_does_not_get_more_of_them_and_others_are_not_touched() {
    let (mut world, stream) = World::up();
    let size = parcel(RESULT, "r0").byte_len();
    world.settings.answers_bytes = 10 * size;
    for number in 0..100 {
        world.send(RESULT, &format!("r{number}"));
    }
    assert_eq!(world.returned().len(), 90);
    // What people here have to say has its own room.
    world.send(CHAT, "chat");
    world.send(PRESENCE, "presence");
    assert_eq!(world.returned(), fates(&[]));
    assert_eq!(world.written(stream).len(), 12);
    world.send(RESULT, "later");
    assert_eq!(
        world.written(stream),
        ["later"],
        "who reads again is answered again"
    );
}

#[test]
fn answers_wait_in_a_small_room_for_a_way_out() {
    let mut world = World::new();
    world.carried(Ways::In);
    let size = parcel(RESULT, "r0").byte_len();
    world.settings.answers_bytes = 8 * 5 * size;
    for number in 0..100 {
        world.send(RESULT, &format!("r{number}"));
    }
    assert_eq!(world.returned().len(), 95);
}

#[test]
fn an_answer_alone_is_no_reason_of_ours_to_connect() {
    for (kind, occasion) in [
        (RESULT, Occasion::Theirs),
        (StanzaKind::Iq(IqType::Error), Occasion::Theirs),
        (CHAT, Occasion::Ours),
        (IQ, Occasion::Ours),
        (PRESENCE, Occasion::Ours),
    ] {
        let mut world = World::new();
        world.carried(Ways::In);
        world.send(kind, "1");
        assert_eq!(world.occasions, [occasion], "{kind:?}");
    }
}

#[test]
fn a_question_that_no_client_asked_is_provoked() {
    let mut world = World::new();
    world.carried(Ways::In);
    let (from, to) = (
        address("romeo@montague.lit"),
        address("juliet@capulet.lit/balcony"),
    );
    let payload = b"<query xmlns='http://jabber.org/protocol/disco#info'/>";
    let parcel = Stanza::build(IQ, Some(&from), Some(&to), Some("caps"), payload).into();
    world.input(Input::Send {
        parcel,
        receipt: None,
    });
    assert_eq!(world.occasions, [Occasion::Theirs]);
}

#[test]
fn a_connection_that_was_not_tried_says_nothing_of_the_domain() {
    let mut world = World::new();
    world.carried(Ways::In);
    world.send(RESULT, "1");
    world.fail(Cause::Throttled);
    assert_eq!(world.returned(), fates(&[("1", "dropped")]));
    assert_eq!(world.state(), StateName::Up);
    // Somebody here is not made to wait for what strangers did.
    world.send(CHAT, "2");
    assert_eq!(world.occasions, [Occasion::Theirs, Occasion::Ours]);

    let mut idle = World::new();
    idle.send(RESULT, "1");
    idle.fail(Cause::Throttled);
    assert_eq!(idle.state(), StateName::Idle);
    assert_eq!(idle.connects, []);
}
