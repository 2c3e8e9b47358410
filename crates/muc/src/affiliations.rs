//! What users are to the room for long: affiliations (XEP-0045 §5.2) and reserved nicks (§7.10).

use std::collections::BTreeMap;

use stanza::Address;

use crate::Affiliation;
use crate::nicks::look;

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
    /// Who has reserved which nick, by what it looks like.
    reserved: BTreeMap<String, Address>,
    changed: Vec<Address>,
}

impl Affiliations {
    /// Entries that were kept.
    pub(crate) fn restored(entries: impl Iterator<Item = (Address, Entry)>) -> Affiliations {
        let entries: BTreeMap<Address, Entry> = entries.collect();
        let reserved = entries
            .iter()
            .filter_map(|(user, entry)| Some((look(entry.nick.as_deref()?), user.clone())));
        Affiliations {
            reserved: reserved.collect(),
            entries,
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

    /// Who has reserved this nick, or one that looks the same.
    pub(crate) fn owner_of(&self, nick: &str) -> Option<&Address> {
        self.reserved.get(&look(nick))
    }

    /// Makes the user this; who is nothing, or banned, has no nick reserved either.
    pub(crate) fn set(&mut self, user: Address, affiliation: Affiliation) {
        self.changed.push(user.clone());
        let nick = self.entries.remove(&user).and_then(|entry| entry.nick);
        let nick = match affiliation {
            Affiliation::None | Affiliation::Outcast => {
                nick.map(|nick| self.reserved.remove(&look(&nick)));
                None
            }
            Affiliation::Member | Affiliation::Admin | Affiliation::Owner => nick,
        };
        if affiliation != Affiliation::None {
            self.entries.insert(user, Entry { affiliation, nick });
        }
    }

    /// Reserves a nick for a user who is something to the room, or none.
    pub(crate) fn reserve(&mut self, user: &Address, nick: Option<String>) {
        if let Some(entry) = self.entries.get_mut(user) {
            if let Some(before) = std::mem::replace(&mut entry.nick, nick.clone()) {
                self.reserved.remove(&look(&before));
            }
            if let Some(nick) = nick {
                self.reserved.insert(look(&nick), user.clone());
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What is looked up is what the entries say, whatever happened to them.
    #[test]
    fn xep0045_7_10_a_nick_is_reserved_as_long_as_its_user_is_a_member() {
        let user = |name: &str| format!("{name}@montague.lit").parse::<Address>().unwrap();
        let (romeo, juliet) = (user("romeo"), user("juliet"));
        let mut all = Affiliations::default();
        all.set(romeo.clone(), Affiliation::Member);
        all.reserve(&romeo, Some("rome".to_owned()));
        assert_eq!(all.owner_of("rome"), Some(&romeo));
        all.reserve(&romeo, Some("mantua".to_owned()));
        assert_eq!(
            (all.owner_of("rome"), all.owner_of("mantua")),
            (None, Some(&romeo))
        );
        all.set(romeo.clone(), Affiliation::Admin);
        assert_eq!(all.owner_of("mantua"), Some(&romeo));
        // Who is nothing to the room reserves nothing.
        all.reserve(&juliet, Some("verona".to_owned()));
        assert_eq!(all.owner_of("verona"), None);
        let kept: Vec<_> = all
            .entries()
            .map(|(user, entry)| (user.clone(), entry.clone()))
            .collect();
        assert_eq!(
            Affiliations::restored(kept.into_iter()).owner_of("mantua"),
            Some(&romeo)
        );
        all.set(romeo.clone(), Affiliation::Outcast);
        assert_eq!(
            (all.owner_of("mantua"), all.nick_of(romeo.as_str())),
            (None, None)
        );
        all.set(romeo.clone(), Affiliation::None);
        assert_eq!(all.len(), 0);
    }
}
