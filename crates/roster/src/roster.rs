//! The contacts of one user, their requests, and the versions of all that.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use stanza::Address;

use crate::transition::State;
use crate::{Change, Item, Push, Relation, RemovalRow, RequestRow, Stored, Subscription};

/// The roster of one user (RFC 6121 §2).
#[derive(Debug, Clone)]
pub struct Roster {
    pub(crate) owner: Address,
    /// Ordered, so that results and broadcasts have the same order in every run.
    pub(crate) items: BTreeMap<Address, Item>,
    /// The subscription requests that wait, of contacts in the roster and of strangers. A contact is in a state with
    /// "pending in" exactly when it has one here.
    pub(crate) requests: BTreeMap<Address, Arc<[u8]>>,
    /// What was removed, oldest first.
    pub(crate) removals: VecDeque<RemovalRow>,
    pub(crate) version: u64,
    pub(crate) complete_since: u64,
}

impl Roster {
    /// The empty roster of a new account.
    ///
    /// `version` is higher than any that a former account of the same name can have had, so that a client that still
    /// remembers it gets the whole roster: the milliseconds of the wall clock serve.
    pub fn new(owner: &Address, version: u64) -> Roster {
        Self::load(
            owner,
            Stored {
                version,
                complete_since: version,
                ..Stored::default()
            },
        )
    }

    /// The roster that was kept in these rows.
    pub fn load(owner: &Address, stored: Stored) -> Roster {
        let requests: BTreeMap<Address, Arc<[u8]>> = stored
            .requests
            .into_iter()
            .map(|row| (row.contact, row.stanza))
            .collect();
        // Collected at once, the map is packed half again as tight as by single insertions.
        let items = stored
            .items
            .into_iter()
            .map(|row| {
                let contact_asks = requests.contains_key(&row.contact);
                (row.contact.clone(), Item::from_row(&row, contact_asks))
            })
            .collect();
        let mut removals = stored.removals;
        removals.sort_by_key(|row| row.version);
        Roster {
            owner: owner.to_bare(),
            items,
            requests,
            removals: removals.into(),
            version: stored.version,
            complete_since: stored.complete_since,
        }
    }

    /// All of it as rows.
    pub fn to_stored(&self) -> Stored {
        Stored {
            version: self.version,
            complete_since: self.complete_since,
            items: self
                .items
                .iter()
                .map(|(contact, item)| item.to_row(contact))
                .collect(),
            removals: self.removals.iter().cloned().collect(),
            requests: self
                .requests
                .iter()
                .map(|(contact, stanza)| RequestRow {
                    contact: contact.clone(),
                    stanza: stanza.clone(),
                })
                .collect(),
        }
    }

    /// How many contacts there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no contact.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The current version (RFC 6121 §2.6); as text it is decimal.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The item of the contact with this bare address.
    pub fn get(&self, bare: &str) -> Option<&Item> {
        self.items.get(bare)
    }

    /// Every contact in the order of the addresses.
    pub fn iter(&self) -> impl Iterator<Item = (&Address, &Item)> {
        self.items.iter()
    }

    /// The state of the contact with this bare address, in the roster or not (RFC 6121 A.1).
    pub fn subscription(&self, bare: &str) -> Subscription {
        self.state(bare).subscription
    }

    /// What the roster shows for this bare address; `none` for a stranger.
    pub fn relation(&self, bare: &str) -> Relation {
        self.items.get(bare).map_or(Relation::None, Item::relation)
    }

    /// Who receives the user's presence (RFC 6121 §4.2.2).
    pub fn subscribers(&self) -> impl Iterator<Item = &Address> {
        self.iter()
            .filter(|(_, item)| item.subscription().contact_is_subscribed())
            .map(|(contact, _)| contact)
    }

    /// Whose presence the user receives, so whom to probe (RFC 6121 §4.3.1).
    pub fn subscriptions(&self) -> impl Iterator<Item = &Address> {
        self.iter()
            .filter(|(_, item)| item.subscription().user_is_subscribed())
            .map(|(contact, _)| contact)
    }

    /// Whom the user has asked without an answer; the question may be repeated (RFC 6121 §3.1.2).
    pub fn unanswered(&self) -> impl Iterator<Item = &Address> {
        self.iter()
            .filter(|(_, item)| item.ask())
            .map(|(contact, _)| contact)
    }

    /// The requests that wait for the user, to be delivered to each resource that becomes available (RFC 6121 §3.1.3).
    pub fn requests(&self) -> impl Iterator<Item = (&Address, &Arc<[u8]>)> {
        self.requests.iter()
    }

    pub(crate) fn state(&self, bare: &str) -> State {
        match self.items.get(bare) {
            Some(item) => item.state,
            None => {
                let subscription =
                    Subscription::from_parts(Relation::None, false, self.requests.contains_key(bare));
                State {
                    subscription,
                    approved: false,
                }
            }
        }
    }

    /// Keeps `item` as the next version, and says so to all.
    pub(crate) fn put(&mut self, contact: &Address, mut item: Item, changes: &mut Vec<Change>) -> Push {
        self.version += 1;
        item.version = self.version;
        // Who named an older version is told of the newest state only (RFC 6121 §2.6.3).
        self.removals.retain(|row| row.contact != *contact);
        changes.push(Change::Item(item.to_row(contact)));
        changes.push(self.version_change());
        let push = Push::new(contact.clone(), Some(item.clone()), self.version);
        self.items.insert(contact.clone(), item);
        push
    }

    /// Removes the item as the next version, and says so to all.
    pub(crate) fn take_out(
        &mut self,
        contact: &Address,
        removals_max: usize,
        changes: &mut Vec<Change>,
    ) -> Push {
        self.version += 1;
        self.items.remove(contact);
        self.removals.push_back(RemovalRow {
            contact: contact.clone(),
            version: self.version,
        });
        changes.push(Change::Removed {
            contact: contact.clone(),
            version: self.version,
        });
        while self.removals.len() > removals_max {
            if let Some(oldest) = self.removals.pop_front() {
                self.complete_since = self.complete_since.max(oldest.version);
                changes.push(Change::RemovalForgotten {
                    contact: oldest.contact,
                });
            }
        }
        changes.push(self.version_change());
        Push::new(contact.clone(), None, self.version)
    }

    fn version_change(&self) -> Change {
        Change::Version {
            current: self.version,
            complete_since: self.complete_since,
        }
    }
}
