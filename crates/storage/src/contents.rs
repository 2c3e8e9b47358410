//! What a store in memory holds, and how changes alter it. The databases must do the same, row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use account::{Change, Flags, HeldRow, Saved, Standing, WaitingRow};
use features::{LastSeen, Record};
use machine::Timestamp;
use presence::KnownHash;
use privacy::ListRow;
use roster::{RemovalRow, RequestRow};
use router::{AccountView, Login, StoreError};
use stanza::Address;
use stream_management::StoredId;

use crate::operation::{Outcome, Write};
use crate::rooms::Rooms;

/// All accounts and rooms, and what belongs to none of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    accounts: BTreeMap<Address, Rows>,
    /// By form and value: what it means, and its number.
    capabilities: BTreeMap<(String, String), (bool, i64)>,
    pub(crate) rooms: Rooms,
}

/// All rows of one account.
#[derive(Debug, Clone)]
struct Rows {
    credentials: sasl::Stored,
    flags: Flags,
    roster_version: u64,
    roster_complete_since: u64,
    items: BTreeMap<Address, roster::ItemRow>,
    removals: BTreeMap<Address, u64>,
    requests: BTreeMap<Address, Arc<[u8]>>,
    lists: BTreeMap<String, BTreeMap<u32, privacy::ItemRow>>,
    default_list: Option<String>,
    waiting: BTreeMap<StoredId, (Timestamp, Vec<u8>)>,
    blobs: BTreeMap<Record, Vec<u8>>,
    left: Option<LastSeen>,
    held: BTreeMap<String, HeldRow>,
}

impl Contents {
    /// Makes a change, or none of it.
    pub(crate) fn write(&mut self, address: &Address, write: &Write) -> Outcome {
        match write {
            Write::Commit(changes) => {
                let Some(rows) = self.accounts.get_mut(address) else {
                    return Err(StoreError::Refused);
                };
                let mut changed = rows.clone();
                for change in changes {
                    changed.apply(change)?;
                }
                *rows = changed;
                Ok(true)
            }
            Write::Room(changes) => {
                let mut changed = self.rooms.clone();
                changed.apply(address, changes)?;
                self.rooms = changed;
                Ok(true)
            }
            Write::Create(credentials) => {
                if address.localpart().is_none() || !address.is_bare() {
                    return Err(StoreError::Refused);
                }
                if self.accounts.contains_key(address) {
                    return Ok(false);
                }
                self.accounts
                    .insert(address.clone(), Rows::new(credentials.clone()));
                Ok(true)
            }
            Write::SetCredentials(credentials) => Ok(self
                .accounts
                .get_mut(address)
                .map(|rows| rows.credentials = credentials.clone())
                .is_some()),
            Write::SetFlags(flags) => Ok(self
                .accounts
                .get_mut(address)
                .map(|rows| rows.flags = *flags)
                .is_some()),
            Write::Delete => Ok(self.accounts.remove(address).is_some()),
            Write::Learn(lesson) => {
                for forgotten in &lesson.forgotten {
                    self.capabilities.remove(forgotten);
                }
                let KnownHash {
                    form,
                    value,
                    wants_annotations,
                    number,
                } = lesson.learnt.clone();
                self.capabilities
                    .insert((form, value), (wants_annotations, number));
                Ok(true)
            }
        }
    }

    pub(crate) fn account(&self, address: &Address) -> Saved {
        self.accounts.get(address).map(Rows::saved).unwrap_or_default()
    }

    pub(crate) fn waiting(&self, address: &Address) -> Vec<WaitingRow> {
        let rows = self.accounts.get(address).map(|rows| &rows.waiting);
        rows.into_iter()
            .flatten()
            .map(|(&id, (at, bytes))| WaitingRow {
                id,
                at: *at,
                bytes: bytes.clone(),
            })
            .collect()
    }

    pub(crate) fn record(&self, address: &Address, record: &Record) -> Option<Vec<u8>> {
        self.accounts.get(address)?.blobs.get(record).cloned()
    }

    pub(crate) fn login(&self, address: &Address) -> Option<Login> {
        self.accounts.get(address).map(|rows| Login {
            credentials: rows.credentials.clone(),
            flags: rows.flags,
        })
    }

    pub(crate) fn held(&self) -> Vec<Address> {
        let held = self.accounts.iter().filter(|(_, rows)| !rows.held.is_empty());
        held.map(|(address, _)| address.clone()).collect()
    }

    pub(crate) fn capabilities(&self) -> Vec<KnownHash> {
        let hashes = self.capabilities.iter();
        hashes
            .map(|((form, value), (wants_annotations, number))| KnownHash {
                form: form.clone(),
                value: value.clone(),
                wants_annotations: *wants_annotations,
                number: *number,
            })
            .collect()
    }

    pub(crate) fn list(&self, host: Option<&str>) -> Vec<AccountView> {
        self.accounts
            .iter()
            .filter(|(address, _)| host.is_none_or(|host| address.domainpart() == host))
            .map(|(address, rows)| AccountView {
                address: address.clone(),
                flags: rows.flags,
                contacts: rows.items.len(),
                waiting: rows.waiting.len(),
            })
            .collect()
    }
}

impl Rows {
    fn new(credentials: sasl::Stored) -> Rows {
        Rows {
            credentials,
            flags: Flags::default(),
            roster_version: 0,
            roster_complete_since: 0,
            items: BTreeMap::new(),
            removals: BTreeMap::new(),
            requests: BTreeMap::new(),
            lists: BTreeMap::new(),
            default_list: None,
            waiting: BTreeMap::new(),
            blobs: BTreeMap::new(),
            left: None,
            held: BTreeMap::new(),
        }
    }

    fn apply(&mut self, change: &Change) -> Result<(), StoreError> {
        match change {
            Change::Roster(change) => self.apply_roster(change),
            Change::Privacy(change) => return self.apply_privacy(change),
            Change::Wait(row) => {
                let kept = (row.at, row.bytes.clone());
                if self.waiting.insert(row.id, kept).is_some() {
                    return Err(StoreError::Refused);
                }
            }
            Change::Unwait(ids) => {
                for id in ids {
                    self.waiting.remove(id);
                }
            }
            Change::Write(write) => {
                match &write.bytes {
                    Some(bytes) => self.blobs.insert(write.record.clone(), bytes.clone()),
                    None => self.blobs.remove(&write.record),
                };
            }
            Change::Left(left) => self.left = Some(left.clone()),
            Change::Held(row) => {
                self.held.insert(row.resource.clone(), row.clone());
            }
            Change::NotHeld(resource) => {
                self.held.remove(resource);
            }
        }
        Ok(())
    }

    fn apply_roster(&mut self, change: &roster::Change) {
        match change {
            roster::Change::Item(item) => {
                self.removals.remove(&item.contact);
                self.items.insert(item.contact.clone(), item.clone());
            }
            roster::Change::Removed { contact, version } => {
                self.items.remove(contact);
                self.removals.insert(contact.clone(), *version);
            }
            roster::Change::RemovalForgotten { contact } => {
                self.removals.remove(contact);
            }
            roster::Change::Request { contact, stanza } => {
                self.requests.insert(contact.clone(), Arc::clone(stanza));
            }
            roster::Change::RequestSettled { contact } => {
                self.requests.remove(contact);
            }
            roster::Change::Version {
                current,
                complete_since,
            } => {
                self.roster_version = *current;
                self.roster_complete_since = *complete_since;
            }
        }
    }

    fn apply_privacy(&mut self, change: &privacy::Change) -> Result<(), StoreError> {
        match change {
            privacy::Change::List { name, items } => {
                let mut list = BTreeMap::new();
                add(&mut list, items)?;
                self.lists.insert(name.as_str().to_owned(), list);
            }
            privacy::Change::Items { name, removed, added } => match self.lists.get_mut(name.as_str()) {
                Some(list) => {
                    for order in removed {
                        list.remove(order);
                    }
                    add(list, added)?;
                }
                None if added.is_empty() => {}
                None => return Err(StoreError::Refused),
            },
            privacy::Change::Removed { name } => {
                self.lists.remove(name.as_str());
            }
            privacy::Change::Default { name } => {
                self.default_list = name.as_ref().map(|name| name.as_str().to_owned());
            }
        }
        Ok(())
    }

    fn saved(&self) -> Saved {
        Saved {
            standing: Standing::Known,
            roster: roster::Stored {
                version: self.roster_version,
                complete_since: self.roster_complete_since,
                items: self.items.values().cloned().collect(),
                removals: self
                    .removals
                    .iter()
                    .map(|(contact, &version)| RemovalRow {
                        contact: contact.clone(),
                        version,
                    })
                    .collect(),
                requests: self
                    .requests
                    .iter()
                    .map(|(contact, stanza)| RequestRow {
                        contact: contact.clone(),
                        stanza: Arc::clone(stanza),
                    })
                    .collect(),
            },
            privacy: privacy::Stored {
                lists: self
                    .lists
                    .iter()
                    .map(|(name, items)| ListRow {
                        name: name.clone(),
                        items: items.values().cloned().collect(),
                    })
                    .collect(),
                default: self.default_list.clone(),
            },
            flags: self.flags,
            waiting: (
                self.waiting.len(),
                self.waiting.values().map(|(_, bytes)| bytes.len()).sum(),
            ),
            last_waiting: self.waiting.keys().next_back().copied(),
            left: self.left.clone(),
            held: self.held.values().cloned().collect(),
            blobs: features::Stored::new(
                self.blobs
                    .iter()
                    .map(|(record, bytes)| (record.clone(), bytes.len())),
            ),
        }
    }
}

/// Adds items whose orders must be new.
fn add(list: &mut BTreeMap<u32, privacy::ItemRow>, items: &[privacy::ItemRow]) -> Result<(), StoreError> {
    for item in items {
        if list.insert(item.order, item.clone()).is_some() {
            return Err(StoreError::Refused);
        }
    }
    Ok(())
}
