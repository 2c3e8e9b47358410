//! What users are to the room for long: affiliations (XEP-0045 §5.2) and reserved nicks (§7.10).

use std::collections::BTreeMap;

use stanza::Address;

use crate::Affiliation;

/// What the room keeps of one user, or of a domain that is banned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) affiliation: Affiliation,
    /// The nick that is reserved for the user.
    pub(crate) nick: Option<String>,
}

/// All entries, by bare address; who has none is nothing to the room. Remembers which have changed, so that they are
/// written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Affiliations {
    entries: BTreeMap<Address, Entry>,
    changed: Vec<Address>,
}

impl Affiliations {
    /// Entries that were kept.
    pub(crate) fn restored(entries: impl Iterator<Item = (Address, Entry)>) -> Affiliations {
        Affiliations {
            entries: entries.collect(),
            changed: Vec::new(),
        }
    }

    /// What an address itself is to the room; nothing is looked up beside.
    pub(crate) fn get(&self, user: &str) -> Option<Affiliation> {
        self.entries.get(user).map(|entry| entry.affiliation)
    }

    /// The nick that is reserved for this user.
    pub(crate) fn nick_of(&self, user: &str) -> Option<&str> {
        self.entries.get(user)?.nick.as_deref()
    }

    /// Who has reserved this nick.
    pub(crate) fn owner_of(&self, nick: &str) -> Option<&Address> {
        self.entries
            .iter()
            .find(|(_, entry)| entry.nick.as_deref() == Some(nick))
            .map(|(user, _)| user)
    }

    /// Makes the user this; who is nothing, or banned, has no nick reserved either.
    pub(crate) fn set(&mut self, user: Address, affiliation: Affiliation) {
        self.changed.push(user.clone());
        match affiliation {
            Affiliation::None => {
                self.entries.remove(&user);
            }
            Affiliation::Outcast => {
                let nick = None;
                self.entries.insert(user, Entry { affiliation, nick });
            }
            Affiliation::Member | Affiliation::Admin | Affiliation::Owner => {
                let nick = self.entries.remove(&user).and_then(|entry| entry.nick);
                self.entries.insert(user, Entry { affiliation, nick });
            }
        }
    }

    /// Reserves a nick for a user who is something to the room, or none.
    pub(crate) fn reserve(&mut self, user: &Address, nick: Option<String>) {
        if let Some(entry) = self.entries.get_mut(user) {
            entry.nick = nick;
            self.changed.push(user.clone());
        }
    }

    /// How many have an entry.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Users and what they are, in order of their addresses.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Address, Affiliation)> {
        self.entries.iter().map(|(user, entry)| (user, entry.affiliation))
    }

    /// All that is kept.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&Address, &Entry)> {
        self.entries.iter()
    }

    /// The users whose entry may have changed since this was asked, and what it is now.
    pub(crate) fn take_changed(&mut self) -> impl Iterator<Item = (Address, Option<&Entry>)> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort();
        changed.dedup();
        changed.into_iter().map(|user| {
            let entry = self.entries.get(&user);
            (user, entry)
        })
    }
}
