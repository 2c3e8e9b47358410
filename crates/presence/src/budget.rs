//! How much presence an account remembers for its sessions (`psa.cache_bytes`), and what goes when that is too much.
//!
//! Sessions that were sent the same copy share its bytes, which count once. First go the oldest entries of people who are
//! no contacts, then those of occupants of rooms; contacts are not forgotten for anybody. What a client was told may not be
//! true stays, so that it can be told when it is again.

use std::collections::BTreeSet;

use crate::held::{ENTRY_BYTES, Held, Rank};
use crate::received::{COMMON_BYTES, Received};

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
    let common = |held: &Held| held.common().map_or(0, |common| common.len() + COMMON_BYTES);
    if at_most + newcomer.bytes() + common(newcomer) <= bytes_max {
        return true;
    }
    let mut seen = BTreeSet::new();
    let mut sum = 0;
    let all = sessions.iter().flat_map(|received| received.iter());
    for held in all.map(|(_, held)| held).chain([newcomer]) {
        sum += match seen.insert(held.identity()) {
            true => held.bytes(),
            false => ENTRY_BYTES,
        };
        if let Some(text) = held.common()
            && seen.insert(text.as_ptr() as usize)
        {
            sum += common(held);
        }
    }
    sum <= bytes_max
}

#[cfg(test)]
mod tests {
    use stanza::{Address, Kind, PresenceType, Stanza};

    use super::*;
    use crate::News;

    fn presence() -> Stanza {
        let kind = Kind::Presence(PresenceType::Available);
        Stanza::build(kind, None, None, None, b"<status>x</status>")
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn held(from: &str, rank: Rank, number: u64) -> Held {
        let (from, presence) = (address(from), presence());
        let mut held = Held::new(News::plain(&from, &presence), std::iter::empty());
        (held.rank, held.number) = (rank, number);
        held
    }

    fn newcomer(rank: Rank) -> Held {
        held("z@x.lit/9", rank, 9)
    }

    fn of(entries: &[(&str, Rank)]) -> Received {
        let mut received = Received::default();
        for ((from, rank), number) in entries.iter().zip(1..) {
            received.put(held(from, *rank, number));
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
        let one = newcomer(Rank::Contact).bytes();
        let mut received = of(&all);
        // Room for four, and a fifth comes: of the strangers the older goes.
        let room = make_room(&mut [&mut received], &newcomer(Rank::Stranger), 4 * one);
        assert_eq!(room, Room::Made(2), "an eighth more than is needed");
        assert_eq!(left(&received), ["a@x.lit/1", "r@x.lit/2"]);
        let mut received = of(&all[..2]);
        assert_eq!(
            make_room(&mut [&mut received], &newcomer(Rank::Stranger), 2 * one),
            Room::None,
            "no occupant goes for a stranger"
        );
        assert_eq!(
            make_room(&mut [&mut received], &newcomer(Rank::Contact), 2 * one),
            Room::Made(1)
        );
        assert_eq!(left(&received), ["a@x.lit/1"]);
        assert_eq!(
            make_room(&mut [&mut received], &newcomer(Rank::Contact), one),
            Room::None,
            "no contact goes for another"
        );
    }

    #[test]
    fn what_a_client_was_told_may_not_be_true_stays() {
        let mut received = of(&[("s@x.lit/1", Rank::Stranger), ("t@x.lit/2", Rank::Stranger)]);
        for held in received.iter_mut() {
            held.told = held.from().as_str() == "s@x.lit/1";
        }
        let one = newcomer(Rank::Stranger).bytes();
        make_room(&mut [&mut received], &newcomer(Rank::Stranger), 2 * one);
        assert_eq!(left(&received), ["s@x.lit/1"]);
    }

    #[test]
    fn the_bytes_of_one_copy_count_once_however_many_sessions_hold_it() {
        let copy = held("a@x.lit/1", Rank::Contact, 1);
        let mut sessions: Vec<Received> = (0..4)
            .map(|_| {
                let mut received = Received::default();
                received.put(copy.clone());
                received
            })
            .collect();
        let mut all: Vec<&mut Received> = sessions.iter_mut().collect();
        let bytes = copy.bytes() + 4 * ENTRY_BYTES;
        assert_eq!(make_room(&mut all, &copy, bytes), Room::Made(0));
        assert_eq!(make_room(&mut all, &copy, bytes - 1), Room::None);
    }
}
