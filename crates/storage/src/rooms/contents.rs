//! What a store in memory holds of rooms, and how changes alter it. The databases must do the same, row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use muc::{AffiliationRow, Change, OccupantRow, RoomRow, SaidRow, Saved, Tombstone};
use router::{StoreError, WhichRooms};
use stanza::Address;

/// All rooms.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rooms {
    rooms: BTreeMap<Address, Arc<Rows>>,
    tombstones: BTreeMap<Address, Tombstone>,
    occupants: BTreeMap<Address, BTreeMap<Address, String>>,
}

/// All rows of one room.
#[derive(Debug, Clone)]
struct Rows {
    room: RoomRow,
    subject: Option<Vec<u8>>,
    card: Option<Vec<u8>>,
    affiliations: BTreeMap<Address, AffiliationRow>,
    history: BTreeMap<i64, SaidRow>,
}

impl Rooms {
    /// Makes these changes; what was done before an error is of no use.
    pub(crate) fn apply(&mut self, address: &Address, changes: &[Change]) -> Result<(), StoreError> {
        changes.iter().try_for_each(|change| self.make(address, change))
    }

    fn make(&mut self, address: &Address, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Room(row) => {
                self.tombstones.remove(address);
                let room = (**row).clone();
                match self.rooms.get_mut(address) {
                    Some(rows) => Arc::make_mut(rows).room = room,
                    None => {
                        self.rooms.insert(address.clone(), Arc::new(Rows::new(room)));
                    }
                }
            }
            Change::Removed => {
                self.rooms.remove(address);
            }
            Change::Destroyed { tombstone, forget } => {
                self.rooms.remove(address);
                self.tombstones.retain(|_, known| known.at >= *forget);
                self.tombstones.insert(address.clone(), tombstone.clone());
            }
            Change::Subject(subject) => self.rows(address)?.subject.clone_from(subject),
            Change::Card(card) => self.rows(address)?.card.clone_from(card),
            Change::Affiliation(row) => {
                self.rows(address)?
                    .affiliations
                    .insert(row.user.clone(), row.clone());
            }
            Change::NoAffiliation(user) => {
                self.rows(address)?.affiliations.remove(user);
            }
            Change::Said(row) => {
                if self.rows(address)?.history.insert(row.id, row.clone()).is_some() {
                    return Err(StoreError::Refused);
                }
            }
            Change::Forgotten(up_to) => self.rows(address)?.history.retain(|id, _| id > up_to),
            Change::Entered(row) => {
                self.occupants
                    .entry(address.clone())
                    .or_default()
                    .insert(row.client.clone(), row.nick.clone());
            }
            Change::Left(client) => {
                if let Some(occupants) = self.occupants.get_mut(address) {
                    occupants.remove(client);
                    if occupants.is_empty() {
                        self.occupants.remove(address);
                    }
                }
            }
        }
        Ok(())
    }

    fn rows(&mut self, address: &Address) -> Result<&mut Rows, StoreError> {
        self.rooms
            .get_mut(address)
            .map(Arc::make_mut)
            .ok_or(StoreError::Refused)
    }

    pub(crate) fn room(&self, address: &Address, history: usize) -> Saved {
        let occupants = self.occupants.get(address).into_iter().flatten();
        let mut saved = Saved {
            tombstone: self.tombstones.get(address).cloned(),
            occupants: occupants
                .map(|(client, nick)| OccupantRow {
                    client: client.clone(),
                    nick: nick.clone(),
                })
                .collect(),
            ..Saved::default()
        };
        if let Some(rows) = self.rooms.get(address) {
            let skipped = rows.history.len().saturating_sub(history);
            saved.room = Some(rows.room.clone());
            saved.subject.clone_from(&rows.subject);
            saved.card.clone_from(&rows.card);
            saved.affiliations = rows.affiliations.values().cloned().collect();
            saved.history = rows.history.values().skip(skipped).cloned().collect();
        }
        saved
    }

    pub(crate) fn list(&self, which: &WhichRooms) -> Vec<(Address, RoomRow)> {
        let all = self
            .rooms
            .iter()
            .map(|(address, rows)| (address.clone(), rows.room.clone()));
        match which {
            WhichRooms::All => all.collect(),
            WhichRooms::MadeBy(creator) => all.filter(|(_, row)| row.creator == *creator).collect(),
            WhichRooms::Listed { host, max } => all
                .filter(|(address, row)| row.listed && address.domainpart() == host)
                .take(*max)
                .collect(),
        }
    }

    pub(crate) fn count(&self) -> BTreeMap<String, usize> {
        let mut services = BTreeMap::new();
        for room in self.rooms.keys() {
            *services.entry(room.domainpart().to_owned()).or_default() += 1;
        }
        services
    }

    pub(crate) fn with_occupants(&self) -> Vec<Address> {
        self.occupants.keys().cloned().collect()
    }
}

impl Rows {
    fn new(room: RoomRow) -> Rows {
        Rows {
            room,
            subject: None,
            card: None,
            affiliations: BTreeMap::new(),
            history: BTreeMap::new(),
        }
    }
}
