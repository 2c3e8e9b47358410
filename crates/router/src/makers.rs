//! Who has made the rooms that are in memory, or wants to: several that somebody makes at the same time are counted too
//! (`limits.rooms_per_account`).

use std::collections::{BTreeMap, BTreeSet};

use muc::KeptRoom;
use stanza::Address;

/// The rooms in memory, by who made them.
#[derive(Default)]
pub(crate) struct Makers {
    rooms: BTreeMap<Address, BTreeSet<Address>>,
    makers: BTreeMap<Address, Address>,
}

impl Makers {
    /// Somebody makes a room. Gives the others that it made before.
    pub(crate) fn note(&mut self, room: &Address, maker: Address) -> BTreeSet<Address> {
        self.forget(room);
        let rooms = self.rooms.entry(maker.clone()).or_default();
        let others = rooms.clone();
        rooms.insert(room.clone());
        self.makers.insert(room.clone(), maker);
        others
    }

    /// A room that is not in the store goes on after a restart.
    pub(crate) fn note_kept(&mut self, kept: &KeptRoom) {
        let row = kept.room.as_ref().and_then(|saved| saved.room.as_ref());
        if let Some(row) = row {
            self.note(&kept.address, row.creator.clone());
        }
    }

    /// The room has left memory: it is in the store now, or is no more.
    pub(crate) fn forget(&mut self, room: &Address) {
        let Some(maker) = self.makers.remove(room) else {
            return;
        };
        if let Some(rooms) = self.rooms.get_mut(&maker) {
            rooms.remove(room);
            if rooms.is_empty() {
                self.rooms.remove(&maker);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn each_room_counts_for_whoever_wanted_it_last_as_long_as_it_is_in_memory() {
        let mut makers = Makers::default();
        let mut note = |room: &str, maker: &str| makers.note(&address(room), address(maker)).len();
        assert_eq!(note("one@chat.lit", "crone1@shakespeare.lit"), 0);
        assert_eq!(note("two@chat.lit", "crone1@shakespeare.lit"), 1);
        assert_eq!(
            note("two@chat.lit", "crone1@shakespeare.lit"),
            1,
            "the same again"
        );
        assert_eq!(note("one@chat.lit", "hag66@shakespeare.lit"), 0, "another's now");
        assert_eq!(note("three@chat.lit", "crone1@shakespeare.lit"), 1);
        for room in ["one@chat.lit", "two@chat.lit", "three@chat.lit"] {
            makers.forget(&address(room));
        }
        assert!(makers.rooms.is_empty() && makers.makers.is_empty());
    }
}
