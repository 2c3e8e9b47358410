//! The presence that one session has been sent from other domains, and what it was told of its truth (clauses §4.1).
//!
//! What must be told is never queued: it is the difference between what the session was told last and what is known now.
//! So the newest state wins by itself, and nothing is told twice.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use stanza::{Address, Parcel, Stanza};

use crate::{Words, annotation};

/// Who is remembered before whom, when there is no room for all; see [`make_room`](crate::make_room).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Somebody who sent directed presence.
    Stranger,
    /// An occupant of a room.
    Occupant,
    /// Somebody whose presence the user is subscribed to.
    Contact,
}

/// The last presence from one full address.
#[derive(Debug, Clone)]
pub struct Held {
    /// As the session received it.
    pub stanza: Stanza,
    /// The place in it of an annotation, which is no part of the presence.
    pub annotation: Option<u16>,
    /// What the sender's own server says of it (PSA-19).
    pub foreign: Option<Arc<[u8]>>,
    /// Whether the session was told last that the sender's own server says something.
    pub shown: bool,
    /// Whether this server has told the session that it may not be true.
    pub told: bool,
    /// Whether the sender's server was asked if it is still so, and has not answered.
    pub asked: bool,
    /// Who that is.
    pub rank: Rank,
    /// The later it came, the higher.
    pub number: u64,
    /// Whether its sender's client is known to ask for annotations, by the hash in it.
    pub asks: bool,
}

impl Held {
    /// Presence about which nobody has said anything.
    pub fn plain(stanza: Stanza) -> Held {
        Held {
            stanza,
            annotation: None,
            foreign: None,
            shown: false,
            told: false,
            asked: false,
            rank: Rank::Contact,
            number: 0,
            asks: false,
        }
    }

    /// Whether the session was told that it may not be true, and not yet that it is again.
    pub fn is_annotated(&self) -> bool {
        self.told || (self.foreign.is_some() && self.shown)
    }

    /// About how much memory it takes, as if the stanza were not shared.
    pub fn bytes(&self) -> usize {
        let foreign = self.foreign.as_ref().map_or(0, |foreign| foreign.len());
        self.stanza.byte_len() + foreign + ENTRY_BYTES
    }

    /// Whether the session does not know what is known: `broken` says that the path to its sender is.
    pub fn is_behind(&self, broken: bool) -> bool {
        self.told != broken || self.foreign.is_some() != self.shown
    }

    /// The repeat that brings the session up to date, for an interested one (PSA-09, PSA-19): the presence, what its own
    /// server says, and what this server says, which is nothing where it has not said anything.
    pub fn repeat(
        &mut self,
        from: &Address,
        to: &Address,
        ours: impl FnOnce(bool) -> Vec<u8>,
        broken: bool,
    ) -> Parcel {
        let mut parcel = self.stanza.readdressed(Some(from.clone()), Some(to.clone()));
        if let Some(place) = self.annotation {
            parcel = parcel.without_child(place);
        }
        match &self.foreign {
            Some(foreign) => parcel = parcel.with_appended(foreign),
            None if self.shown => {
                parcel = parcel.with_appended(&annotation(from.domainpart(), None, Words::None));
            }
            None => {}
        }
        self.shown = self.foreign.is_some();
        if self.told || broken {
            parcel = parcel.with_appended(&ours(broken));
        }
        self.told = broken;
        parcel
    }
}

/// What one session holds.
#[derive(Debug, Default)]
pub struct Received {
    held: BTreeMap<Address, Held>,
    bytes: usize,
}

/// About what an entry takes beside the stanza itself: two addresses, the tree's share, allocations.
pub(crate) const ENTRY_BYTES: usize = 160;

impl Received {
    /// A presence has come (PSA-22).
    pub fn put(&mut self, from: Address, held: Held) {
        self.remove_one(&from);
        self.bytes += held.bytes();
        self.held.insert(from, held);
    }

    /// No presence of this address is held any more. A bare address stands for all of its resources (PSA-25).
    /// Gives of how many of them the session was told that it may not be true.
    pub fn remove(&mut self, from: &Address) -> usize {
        let mut annotated = 0;
        for address in self.held_of(from) {
            let held = self.remove_one(&address);
            annotated += usize::from(held.is_some_and(|held| held.is_annotated()));
        }
        annotated
    }

    /// What is held of an address whose owner was asked whether that is still so, if this is the answer that one resource
    /// gives to who has no right to more.
    pub fn confirmed_by(&mut self, from: &Address, answer: &Stanza) -> Option<&mut Held> {
        let is_bare_answer = answer.children().next().is_none();
        let held = self.held.get_mut(from.as_str());
        held.filter(|held| held.asked && held.rank == Rank::Stranger && is_bare_answer)
    }

    /// Full addresses of which something is held, and which a bare or full address stands for.
    pub fn held_of(&self, from: &Address) -> Vec<Address> {
        if !from.is_bare() {
            let held = self.held.get_key_value(from.as_str());
            return held.map(|(address, _)| address.clone()).into_iter().collect();
        }
        let begin = (Bound::Included(from.as_str()), Bound::Unbounded);
        let near = self.held.range::<str, _>(begin).map(|(address, _)| address);
        near.take_while(|address| address.as_str().starts_with(from.as_str()))
            .filter(|address| address.same_bare(from))
            .cloned()
            .collect()
    }

    /// The server of this contact is asked whether what is held is still so; what it confirms is put anew.
    pub fn ask(&mut self, contact: &Address) {
        for address in self.held_of(contact) {
            if let Some(held) = self.held.get_mut(address.as_str()) {
                held.asked = true;
            }
        }
    }

    /// Only what is held of exactly this address.
    pub fn remove_one(&mut self, from: &Address) -> Option<Held> {
        let held = self.held.remove(from.as_str())?;
        self.bytes = self.bytes.saturating_sub(held.bytes());
        Some(held)
    }

    /// What is held of one full address.
    pub fn get(&self, from: &str) -> Option<&Held> {
        self.held.get(from)
    }

    /// All of it, in the order of addresses.
    pub fn iter(&self) -> impl Iterator<Item = (&Address, &Held)> {
        self.held.iter()
    }

    /// All of it, to note what was told.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Address, &mut Held)> {
        self.held.iter_mut()
    }

    /// Whether anything of this domain is held.
    pub fn holds_domain(&self, domain: &str) -> bool {
        self.held.keys().any(|address| address.domainpart() == domain)
    }

    /// How many addresses.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// About how much memory it takes, stanzas counted as if they were not shared.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use stanza::{Kind, PresenceType};

    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn presence(status: &str) -> Stanza {
        let payload = format!("<status>{status}</status>");
        Stanza::build(
            Kind::Presence(PresenceType::Available),
            None,
            None,
            None,
            payload.as_bytes(),
        )
    }

    fn put(received: &mut Received, from: &str) {
        received.put(address(from), Held::plain(presence("x")));
    }

    #[test]
    fn psa_25_unavailable_from_the_bare_address_covers_all_resources_and_nobody_else() {
        let mut received = Received::default();
        for from in [
            "juliet@capulet.lit/a",
            "juliet@capulet.lit/b",
            "juliet@capulet.lit.org/a",
            "juliet@capulet.li/a",
        ] {
            put(&mut received, from);
        }
        received.remove(&address("juliet@capulet.lit"));
        let left: Vec<&str> = received.iter().map(|(address, _)| address.as_str()).collect();
        assert_eq!(left, ["juliet@capulet.li/a", "juliet@capulet.lit.org/a"]);
        received.remove(&address("juliet@capulet.li/a"));
        received.remove(&address("juliet@capulet.lit.org/a"));
        assert_eq!((received.len(), received.bytes()), (0, 0));
    }

    #[test]
    fn psa_22_the_newest_presence_replaces_what_was_held_and_what_was_told_of_it() {
        let mut received = Received::default();
        put(&mut received, "juliet@capulet.lit/a");
        let before = received.bytes();
        for (_, held) in received.iter_mut() {
            held.told = true;
        }
        put(&mut received, "juliet@capulet.lit/a");
        assert_eq!(received.bytes(), before);
        assert!(!received.get("juliet@capulet.lit/a").unwrap().told);
    }

    #[test]
    fn psa_19_what_the_other_server_says_stands_beside_what_this_one_says() {
        let theirs: Arc<[u8]> = Arc::from(b"<theirs/>".as_slice());
        let mut held = Held {
            foreign: Some(theirs),
            shown: true,
            ..Held::plain(presence("x"))
        };
        let mut told = |broken: bool| {
            assert!(held.is_behind(broken));
            let ours = |broken| {
                if broken {
                    b"<ours/>".to_vec()
                } else {
                    b"<empty/>".to_vec()
                }
            };
            let parcel = held.repeat(&address("a@b.lit/c"), &address("d@e.lit/f"), ours, broken);
            assert!(!held.is_behind(broken));
            String::from_utf8(parcel.to_bytes()).unwrap()
        };
        assert!(told(true).ends_with("<status>x</status><theirs/><ours/></presence>"));
        assert!(told(false).ends_with("<status>x</status><theirs/><empty/></presence>"));
    }
}
