//! The presence that one session has been sent from other domains, and what it was told of its truth (clauses §4.1).
//!
//! What must be told is never queued: it is the difference between what the session was told last and what is known now.
//! So the newest state wins by itself, and nothing is told twice.

use std::sync::Arc;

use stanza::{Address, Stanza};

use crate::held::{COUNTS_BYTES, Held, Rank};

/// What one session holds; a pointer, because most sessions here hold nothing.
#[derive(Debug, Default)]
pub struct Received(Option<Box<All>>);

#[derive(Debug, Default)]
struct All {
    /// In the order of addresses.
    held: Vec<Held>,
    /// In the order of texts.
    common: Vec<Common>,
    bytes: usize,
}

/// What several of them have in common.
#[derive(Debug)]
struct Common {
    text: Arc<str>,
    /// How many have it.
    holders: u32,
}

/// About what it takes beside its text.
pub(crate) const COMMON_BYTES: usize = size_of::<Common>() + COUNTS_BYTES;

impl Received {
    /// A presence has come (PSA-22).
    pub fn put(&mut self, held: Held) {
        let all = self.0.get_or_insert_default();
        all.remove(held.from().as_str());
        all.add(held);
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

    /// Only what is held of exactly this address.
    pub fn remove_one(&mut self, from: &Address) -> Option<Held> {
        let all = self.0.as_mut()?;
        let held = all.remove(from.as_str());
        if all.held.is_empty() {
            self.0 = None;
        }
        held
    }

    /// What is held of an address whose owner was asked whether that is still so, if this is the answer that one resource
    /// gives to who has no right to more. `question` is the identifier of such questions: what came while one was under way is
    /// newer than the answer, and is confirmed by it too.
    pub fn confirmed_by(&mut self, from: &Address, answer: &Stanza, question: &str) -> Option<&mut Held> {
        let is_bare_answer = answer.children().next().is_none();
        let is_ours = answer.id().is_some_and(|id| id == question);
        let held = self.get_mut(from.as_str());
        held.filter(|held| (held.asked || is_ours) && held.rank == Rank::Stranger && is_bare_answer)
    }

    /// Full addresses of which something is held, and which a bare or full address stands for.
    pub fn held_of(&self, from: &Address) -> Vec<Address> {
        if !from.is_bare() {
            let held = self.get(from.as_str());
            return held.map(|held| held.from().clone()).into_iter().collect();
        }
        let all = self.0.as_deref();
        let begin = all.map_or(0, |all| all.place(from.as_str()).unwrap_or_else(|place| place));
        let near = self.iter().skip(begin).map(|(address, _)| address);
        near.take_while(|address| address.as_str().starts_with(from.as_str()))
            .filter(|address| address.same_bare(from))
            .cloned()
            .collect()
    }

    /// The server of this contact is asked whether what is held is still so; what it confirms is put anew.
    pub fn ask(&mut self, contact: &Address) {
        for address in self.held_of(contact) {
            if let Some(held) = self.get_mut(address.as_str()) {
                held.asked = true;
            }
        }
    }

    /// What is held of one full address.
    pub fn get(&self, from: &str) -> Option<&Held> {
        let all = self.0.as_ref()?;
        all.held.get(all.place(from).ok()?)
    }

    fn get_mut(&mut self, from: &str) -> Option<&mut Held> {
        let all = self.0.as_mut()?;
        let place = all.place(from).ok()?;
        all.held.get_mut(place)
    }

    /// This text, if some of them have it in common.
    pub(crate) fn common(&self, text: &str) -> Option<Arc<str>> {
        let all = self.0.as_ref()?;
        let common = all.common.get(all.place_of_common(text).ok()?)?;
        Some(Arc::clone(&common.text))
    }

    /// All of it, in the order of addresses.
    pub fn iter(&self) -> impl Iterator<Item = (&Address, &Held)> {
        let held = self.0.as_ref().map_or([].as_slice(), |all| all.held.as_slice());
        held.iter().map(|held| (held.from(), held))
    }

    /// All of it, to note what was told.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Held> {
        let held = self.0.as_mut().map(|all| all.held.iter_mut());
        held.into_iter().flatten()
    }

    /// Whether anything of this domain is held.
    pub fn holds_domain(&self, domain: &str) -> bool {
        self.iter().any(|(address, _)| address.domainpart() == domain)
    }

    /// How many addresses.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |all| all.held.len())
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory it takes, as if other sessions shared nothing of it.
    pub fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |all| all.bytes)
    }
}

impl All {
    fn place(&self, from: &str) -> Result<usize, usize> {
        self.held.binary_search_by(|held| held.from().as_str().cmp(from))
    }

    fn place_of_common(&self, text: &str) -> Result<usize, usize> {
        self.common.binary_search_by(|common| (*common.text).cmp(text))
    }

    /// Of its sender nothing is held.
    fn add(&mut self, held: Held) {
        if let Some(text) = held.common() {
            match self.place_of_common(text) {
                Ok(place) => {
                    if let Some(common) = self.common.get_mut(place) {
                        common.holders += 1;
                    }
                }
                Err(place) => {
                    self.bytes += text.len() + COMMON_BYTES;
                    let text = Arc::clone(text);
                    insert(&mut self.common, place, Common { text, holders: 1 });
                }
            }
        }
        self.bytes += held.bytes();
        let place = self.place(held.from().as_str()).unwrap_or_else(|place| place);
        insert(&mut self.held, place, held);
    }

    fn remove(&mut self, from: &str) -> Option<Held> {
        let place = self.place(from).ok()?;
        let held = take_out(&mut self.held, place);
        self.bytes = self.bytes.saturating_sub(held.bytes());
        if let Some(text) = held.common()
            && let Ok(place) = self.place_of_common(text)
            && let Some(common) = self.common.get_mut(place)
        {
            common.holders -= 1;
            if common.holders == 0 {
                let common = take_out(&mut self.common, place);
                self.bytes = self.bytes.saturating_sub(common.text.len() + COMMON_BYTES);
            }
        }
        Some(held)
    }
}

/// Room is made for few more at a time: most of these lists stay as long as they are.
fn insert<T>(all: &mut Vec<T>, place: usize, one: T) {
    if all.len() == all.capacity() {
        all.reserve_exact(all.len() / 8 + 1);
    }
    all.insert(place, one);
}

/// Memory that is not needed any more is given back, so that a full address book that empties costs nothing.
fn take_out<T>(all: &mut Vec<T>, place: usize) -> T {
    let one = all.remove(place);
    if all.len() < all.capacity() / 2 {
        all.shrink_to(all.len() + all.len() / 8);
    }
    one
}

#[cfg(test)]
mod tests {
    use stanza::{Kind, PresenceType};

    use super::*;
    use crate::News;

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
        received.put(Held::new(
            News::plain(&address(from), &presence("x")),
            std::iter::empty(),
        ));
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
    fn when_most_have_gone_their_memory_is_given_back() {
        let mut received = Received::default();
        for n in 0..200 {
            put(&mut received, &format!("contact{n}@capulet.lit/a"));
        }
        for n in 0..190 {
            received.remove(&address(&format!("contact{n}@capulet.lit")));
        }
        assert!(received.0.as_ref().unwrap().held.capacity() <= 20);
        for n in 190..200 {
            received.remove(&address(&format!("contact{n}@capulet.lit")));
        }
        assert!(received.0.is_none() && received.bytes() == 0);
    }

    #[test]
    fn psa_22_the_newest_presence_replaces_what_was_held_and_what_was_told_of_it() {
        let mut received = Received::default();
        put(&mut received, "juliet@capulet.lit/a");
        let before = received.bytes();
        for held in received.iter_mut() {
            held.told = true;
        }
        put(&mut received, "juliet@capulet.lit/a");
        assert_eq!(received.bytes(), before);
        assert!(!received.get("juliet@capulet.lit/a").unwrap().told);
    }

    #[test]
    fn psa_19_what_the_other_server_says_stands_beside_what_this_one_says() {
        let (from, presence) = (address("a@b.lit/c"), presence("x"));
        let news = News {
            foreign: Some(b"<theirs/>"),
            ..News::plain(&from, &presence)
        };
        let mut held = Held::new(news, std::iter::empty());
        held.shown = true;
        let mut told = |broken: bool| {
            assert!(held.is_behind(broken));
            let ours = |broken| {
                if broken {
                    b"<ours/>".to_vec()
                } else {
                    b"<empty/>".to_vec()
                }
            };
            let parcel = held.repeat(&address("d@e.lit/f"), ours, broken);
            assert!(!held.is_behind(broken));
            String::from_utf8(parcel.to_bytes()).unwrap()
        };
        assert!(told(true).ends_with("<status>x</status><theirs/><ours/></presence>"));
        assert!(told(false).ends_with("<status>x</status><theirs/><empty/></presence>"));
    }
}
