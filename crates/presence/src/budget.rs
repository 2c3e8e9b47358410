//! How much presence an account remembers for its sessions (`psa.cache_bytes`), and what goes when that is too much.
//!
//! Sessions that were sent the same copy share its bytes, which count once. First go the oldest entries of people who are
//! no contacts, then those of occupants of rooms; contacts are not forgotten for anybody. What a client was told may not be
//! true stays, so that it can be told when it is again.

use std::collections::BTreeSet;

use crate::received::{ENTRY_BYTES, Held, Rank, Received};

/// Whether there is room for one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// There is, now that so many others were forgotten.
    Made(usize),
    /// There is none.
    None,
}

/// Makes room for a newcomer in what the sessions of one account hold.
pub fn make_room(sessions: &mut [&mut Received], newcomer: &Held, bytes_max: usize) -> Room {
    if fits(sessions, newcomer, bytes_max) {
        return Room::Made(0);
    }
    let mut candidates = Vec::new();
    for (session, received) in sessions.iter().enumerate() {
        for (from, held) in received.iter() {
            if held.rank <= newcomer.rank && held.rank != Rank::Contact && !held.is_annotated() {
                candidates.push((held.rank, held.number, session, from.clone(), held.bytes()));
            }
        }
    }
    candidates.sort();
    // More than is needed, so that a flood does not look for candidates each time.
    let mut wanted = bytes_max / 8 + newcomer.bytes();
    let mut forgotten = 0;
    for (_, _, session, from, bytes) in candidates {
        if wanted == 0 {
            break;
        }
        if let Some(received) = sessions.get_mut(session)
            && received.remove_one(&from).is_some()
        {
            wanted = wanted.saturating_sub(bytes);
            forgotten += 1;
        }
    }
    match fits(sessions, newcomer, bytes_max) {
        true => Room::Made(forgotten),
        false => Room::None,
    }
}

fn fits(sessions: &[&mut Received], newcomer: &Held, bytes_max: usize) -> bool {
    let at_most: usize = sessions.iter().map(|received| received.bytes()).sum();
    if at_most + newcomer.bytes() <= bytes_max {
        return true;
    }
    let mut shared = BTreeSet::new();
    let mut sum = 0;
    let all = sessions.iter().flat_map(|received| received.iter());
    for held in all.map(|(_, held)| held).chain([newcomer]) {
        let stanza = held.stanza.element().bytes().as_ptr() as usize;
        sum += match shared.insert(stanza) {
            true => held.bytes(),
            false => ENTRY_BYTES,
        };
    }
    sum <= bytes_max
}

#[cfg(test)]
mod tests {
    use stanza::{Address, Kind, PresenceType, Stanza};

    use super::*;

    fn presence() -> Stanza {
        let kind = Kind::Presence(PresenceType::Available);
        Stanza::build(kind, None, None, None, b"<status>x</status>")
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn held(rank: Rank, number: u64) -> Held {
        Held {
            rank,
            number,
            ..Held::plain(presence())
        }
    }

    fn of(entries: &[(&str, Rank)]) -> Received {
        let mut received = Received::default();
        for ((from, rank), number) in entries.iter().zip(1..) {
            received.put(address(from), held(*rank, number));
        }
        received
    }

    fn left(received: &Received) -> Vec<&str> {
        received.iter().map(|(from, _)| from.as_str()).collect()
    }

    #[test]
    fn first_go_strangers_then_occupants_and_contacts_stay() {
        let all = [
            ("a@x.lit/1", Rank::Contact),
            ("r@x.lit/2", Rank::Occupant),
            ("s@x.lit/3", Rank::Stranger),
            ("t@x.lit/4", Rank::Stranger),
        ];
        let one = held(Rank::Contact, 0).bytes();
        let mut received = of(&all);
        // Room for four, and a fifth comes: of the strangers the older goes.
        let room = make_room(&mut [&mut received], &held(Rank::Stranger, 9), 4 * one);
        assert_eq!(room, Room::Made(2), "an eighth more than is needed");
        assert_eq!(left(&received), ["a@x.lit/1", "r@x.lit/2"]);
        let mut received = of(&all[..2]);
        assert_eq!(
            make_room(&mut [&mut received], &held(Rank::Stranger, 9), 2 * one),
            Room::None,
            "no occupant goes for a stranger"
        );
        assert_eq!(
            make_room(&mut [&mut received], &held(Rank::Contact, 9), 2 * one),
            Room::Made(1)
        );
        assert_eq!(left(&received), ["a@x.lit/1"]);
        assert_eq!(
            make_room(&mut [&mut received], &held(Rank::Contact, 9), one),
            Room::None,
            "no contact goes for another"
        );
    }

    #[test]
    fn what_a_client_was_told_may_not_be_true_stays() {
        let mut received = of(&[("s@x.lit/1", Rank::Stranger), ("t@x.lit/2", Rank::Stranger)]);
        for (from, held) in received.iter_mut() {
            held.told = from.as_str() == "s@x.lit/1";
        }
        let one = held(Rank::Stranger, 0).bytes();
        make_room(&mut [&mut received], &held(Rank::Stranger, 9), 2 * one);
        assert_eq!(left(&received), ["s@x.lit/1"]);
    }

    #[test]
    fn the_bytes_of_one_copy_count_once_however_many_sessions_hold_it() {
        let copy = held(Rank::Contact, 1);
        let mut sessions: Vec<Received> = (0..4)
            .map(|_| {
                let mut received = Received::default();
                received.put(address("a@x.lit/1"), copy.clone());
                received
            })
            .collect();
        let mut all: Vec<&mut Received> = sessions.iter_mut().collect();
        let bytes = copy.bytes() + 4 * ENTRY_BYTES;
        assert_eq!(make_room(&mut all, &copy, bytes), Room::Made(0));
        assert_eq!(make_room(&mut all, &copy, bytes - 1), Room::None);
    }
}
