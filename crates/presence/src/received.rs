//! The presence that one session has been sent from other domains, and what it was told of its truth (clauses §4.1).
//!
//! What must be told is never queued: it is the difference between what the session was told last and what is known now.
//! So the newest state wins by itself, and nothing is told twice.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use stanza::{Address, Stanza};

/// Whether the session knows that an entry may not be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It takes the presence for true.
    Clear,
    /// It was told that the path is broken.
    Broken,
}

/// The last presence from one full address.
#[derive(Debug, Clone)]
pub struct Held {
    /// As the session received it, without annotations.
    pub stanza: Stanza,
    /// What the sender's own server says of it (PSA-19).
    pub foreign: Option<Arc<[u8]>>,
    /// What this server has said of it.
    pub told: Told,
}

/// What one session holds.
#[derive(Debug, Default)]
pub struct Received {
    held: BTreeMap<Address, Held>,
    bytes: usize,
}

/// About what an entry takes beside the stanza itself: two addresses, the tree's share, allocations.
const ENTRY_BYTES: usize = 160;

impl Received {
    /// A presence has come (PSA-22). Gives false when `bytes_max` is reached: then it is not kept, and will not be
    /// annotated.
    pub fn put(
        &mut self,
        from: Address,
        stanza: Stanza,
        foreign: Option<Arc<[u8]>>,
        bytes_max: usize,
    ) -> bool {
        let size = size(&stanza);
        let before = self.held.get(from.as_str()).map_or(0, |held| size_of_held(held));
        if self.bytes + size - before.min(self.bytes + size) > bytes_max {
            self.remove(&from);
            return false;
        }
        self.bytes = self.bytes + size - before;
        let held = Held {
            stanza,
            foreign,
            told: Told::Clear,
        };
        self.held.insert(from, held);
        true
    }

    /// No presence of this address is held any more. A bare address stands for all of its resources (PSA-25).
    pub fn remove(&mut self, from: &Address) {
        if from.is_bare() {
            let gone: Vec<Address> = self
                .held
                .range::<str, _>((Bound::Included(from.as_str()), Bound::Unbounded))
                .map(|(address, _)| address)
                .take_while(|address| address.as_str().starts_with(from.as_str()))
                .filter(|address| address.same_bare(from))
                .cloned()
                .collect();
            for address in gone {
                self.remove_one(&address);
            }
        } else {
            self.remove_one(from);
        }
    }

    fn remove_one(&mut self, from: &Address) {
        if let Some(held) = self.held.remove(from.as_str()) {
            self.bytes = self.bytes.saturating_sub(size_of_held(&held));
        }
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

fn size(stanza: &Stanza) -> usize {
    stanza.byte_len() + ENTRY_BYTES
}

fn size_of_held(held: &Held) -> usize {
    size(&held.stanza)
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

    fn put(received: &mut Received, from: &str) -> bool {
        received.put(address(from), presence("x"), None, 10_000)
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
            assert!(put(&mut received, from));
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
            held.told = Told::Broken;
        }
        put(&mut received, "juliet@capulet.lit/a");
        assert_eq!(received.bytes(), before);
        assert_eq!(received.get("juliet@capulet.lit/a").unwrap().told, Told::Clear);
    }

    #[test]
    fn the_cache_ends_at_its_limit_and_what_is_not_kept_is_not_annotated() {
        let mut received = Received::default();
        let kept = (0..100)
            .filter(|n| received.put(address(&format!("a{n}@x.lit/r")), presence("x"), None, 2_000))
            .count();
        assert!(kept > 5 && kept < 15, "{kept}");
        assert!(received.bytes() <= 2_000);
        assert!(
            received.put(address("a0@x.lit/r"), presence("y"), None, 2_000),
            "what is there can change"
        );
    }
}
