//! The presence that one session has been sent from other domains, and what it was told of its truth (clauses §4.1).
//!
//! What must be told is never queued: it is the difference between what the session was told last and what is known now.
//! So the newest state wins by itself, and nothing is told twice.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use stanza::{Address, Parcel, Stanza};

/// The last presence from one full address.
#[derive(Debug, Clone)]
pub struct Held {
    /// As the session received it.
    pub stanza: Stanza,
    /// The place in it of an annotation, which is no part of the presence.
    pub annotation: Option<u16>,
    /// What the sender's own server says of it (PSA-19).
    pub foreign: Option<Arc<[u8]>>,
    /// Whether the session was shown that.
    pub shown: bool,
    /// Whether this server has told the session that it may not be true.
    pub told: bool,
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
        }
    }

    /// Whether the session does not know what is known: `broken` says that the path to its sender is.
    pub fn is_behind(&self, broken: bool) -> bool {
        self.told != broken || (self.foreign.is_some() && !self.shown)
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
        if let Some(foreign) = &self.foreign {
            parcel = parcel.with_appended(foreign);
            self.shown = true;
        }
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
const ENTRY_BYTES: usize = 160;

impl Received {
    /// A presence has come (PSA-22). Gives false when `bytes_max` is reached: then it is not kept, and will not be
    /// annotated.
    pub fn put(&mut self, from: Address, held: Held, bytes_max: usize) -> bool {
        self.remove_one(&from);
        let size = size_of(&held);
        if self.bytes + size > bytes_max {
            return false;
        }
        self.bytes += size;
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

    /// Only what is held of exactly this address.
    pub fn remove_one(&mut self, from: &Address) -> Option<Held> {
        let held = self.held.remove(from.as_str())?;
        self.bytes = self.bytes.saturating_sub(size_of(&held));
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

fn size_of(held: &Held) -> usize {
    let foreign = held.foreign.as_ref().map_or(0, |foreign| foreign.len());
    held.stanza.byte_len() + foreign + ENTRY_BYTES
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
        received.put(address(from), Held::plain(presence("x")), 10_000)
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
            held.told = true;
        }
        put(&mut received, "juliet@capulet.lit/a");
        assert_eq!(received.bytes(), before);
        assert!(!received.get("juliet@capulet.lit/a").unwrap().told);
    }

    #[test]
    fn the_cache_ends_at_its_limit_and_what_is_not_kept_is_not_annotated() {
        let mut received = Received::default();
        let kept = (0..100)
            .filter(|n| {
                received.put(
                    address(&format!("a{n}@x.lit/r")),
                    Held::plain(presence("x")),
                    2_000,
                )
            })
            .count();
        assert!(kept > 5 && kept < 15, "{kept}");
        assert!(received.bytes() <= 2_000);
        assert!(
            received.put(address("a0@x.lit/r"), Held::plain(presence("y")), 2_000),
            "what is there can change"
        );
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
