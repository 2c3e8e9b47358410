//! What a room and its occupants take on the heap (docs/benchmarks.md): the figures, and that they do not grow unnoticed.
//!
//! They are those of the allocator's callers; an allocator rounds up. `cargo test -p balcony-muc --test memory` prints them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use libtest_mimic::{Arguments, Trial};
use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use muc::{Input, Room, Settings};
use stanza::{Address, Parcel, Stanza};
use xml::{ContentNamespace, Element};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const ROOMS: usize = 20;
const OCCUPANTS: usize = 20;

// A little more than measured (4,710 and 3,192).
const ROOM_MAX: usize = 5_000;
const OCCUPANT_MAX: usize = 3_500;

struct Zeros;

impl Random for Zeros {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn stanza(from: &str, text: &str) -> Stanza {
    let element = Element::parse(
        text.as_bytes(),
        ContentNamespace::Client,
        &xml::Limits::unlimited(),
    )
    .unwrap();
    let to = stanza::address_attribute(&element, "to").unwrap();
    Stanza::new(element, Some(Address::parse(from).unwrap()), to, None).unwrap()
}

/// What the room wants to happen is nobody's business here.
fn tell(room: &mut Room, settings: &Settings, from: &str, text: &str) {
    let mut out = Decision::default();
    let mut context = Context {
        now: Moment::default(),
        wall: Timestamp::from_unix_micros(0),
        random: &mut Zeros,
        settings,
    };
    let input = Input::Inbound {
        parcel: Parcel::new(stanza(from, text)),
        receipt: None,
    };
    room.handle(&mut context, input, &mut out);
}

fn enter(room: &mut Room, settings: &Settings, number: usize, place: usize) {
    let from = format!("user{place}.of{number}@montague.lit/phone");
    let text = format!(
        "<presence xmlns='jabber:client' to='room{number}@chat.montague.lit/nick{place}'><show>away</show>\
         <status>Somewhere {place}</status><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
         node='https://example.org/client' ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/>\
         <x xmlns='http://jabber.org/protocol/muc'/></presence>"
    );
    tell(room, settings, &from, &text);
}

fn leave(room: &mut Room, settings: &Settings, number: usize, place: usize) {
    let from = format!("user{place}.of{number}@montague.lit/phone");
    let text = format!(
        "<presence xmlns='jabber:client' type='unavailable' to='room{number}@chat.montague.lit/nick{place}'/>"
    );
    tell(room, settings, &from, &text);
}

/// Bytes that are in use now.
fn now() -> usize {
    dhat::HeapStats::get().curr_bytes
}

/// Says and checks what one of so many takes that have come since then.
fn takes(what: &str, since: usize, many: usize, most: usize) {
    let each = (now() - since) / many;
    println!("{each:>6} {what}");
    assert!(each <= most, "{what}: {each} bytes, at most {most}");
}

fn main() {
    let mut arguments = Arguments::from_args();
    // On this thread: what another one asks for would be counted too.
    arguments.test_threads = Some(1);
    let test = Trial::test("a_room_and_its_occupants_take_little", || {
        rooms();
        Ok(())
    });
    libtest_mimic::run(&arguments, vec![test]).exit();
}

fn rooms() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let settings = Settings::default();
    let before = now();
    let mut rooms: Vec<Room> = Vec::with_capacity(ROOMS);
    for number in 0..ROOMS {
        let address = format!("room{number}@chat.montague.lit");
        let mut room = Room::new(Address::parse(&address).unwrap());
        enter(&mut room, &settings, number, 0);
        let configured = format!(
            "<iq xmlns='jabber:client' id='1' type='set' to='{address}'>\
             <query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'/></query></iq>"
        );
        let owner = format!("user0.of{number}@montague.lit/phone");
        tell(&mut room, &settings, &owner, &configured);
        rooms.push(room);
    }
    takes(
        "a room with its owner in it, where nobody speaks",
        before,
        ROOMS,
        ROOM_MAX,
    );
    // What newcomers are told of the owner is made once.
    for (number, room) in rooms.iter_mut().enumerate() {
        enter(room, &settings, number, 1);
        leave(room, &settings, number, 1);
    }
    let before = now();
    for (number, room) in rooms.iter_mut().enumerate() {
        (1..=OCCUPANTS).for_each(|place| enter(room, &settings, number, place));
    }
    let there = rooms.iter().map(|room| room.view().unwrap().occupants);
    assert_eq!(
        there.sum::<usize>(),
        ROOMS * (OCCUPANTS + 1),
        "all of them have entered"
    );
    takes("an occupant", before, ROOMS * OCCUPANTS, OCCUPANT_MAX);
    for (number, room) in rooms.iter_mut().enumerate() {
        (1..=OCCUPANTS).for_each(|place| leave(room, &settings, number, place));
    }
    assert_eq!(now(), before, "nothing is kept of those who have gone");
}
