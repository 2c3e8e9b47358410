//! The hashes that were verified, shared by all accounts and kept over restarts.
//!
//! Bounded: when there is no room, a hash is forgotten that nobody has used since it was last considered, the oldest first.
//! Whoever makes up hashes flushes out only what nobody uses.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::Hash;
use crate::capabilities::Form;

/// Hashes that are forgotten for a new one, where the limit has been lowered: it is reached step by step.
const FORGOTTEN_AT_ONCE: usize = 2;

type Key = (Form, Box<str>);

/// The verified hashes. Machines look; only the router adds.
#[derive(Debug, Default)]
pub struct Capabilities(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    meanings: BTreeMap<Key, Meaning>,
    /// In the order in which they will be considered for being forgotten.
    order: VecDeque<Key>,
    /// Above the numbers of all.
    next: i64,
}

#[derive(Debug)]
struct Meaning {
    wants_annotations: bool,
    /// Whether somebody has asked since it was considered.
    used: AtomicBool,
}

/// A verified hash, as it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHash {
    /// How the hash is made.
    pub form: String,
    /// The hash.
    pub value: String,
    /// Whether clients with this hash want annotations.
    pub wants_annotations: bool,
    /// Its place in the order in which hashes were learnt.
    pub number: i64,
}

/// What changes when a hash is learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// What is known from now on.
    pub learnt: KnownHash,
    /// Form and value of the hashes that were forgotten for it.
    pub forgotten: Vec<(String, String)>,
}

impl Capabilities {
    /// Whether clients with this hash want annotations, if it is known.
    pub fn wants_annotations(&self, hash: &Hash) -> Option<bool> {
        let known = self.0.read();
        let meaning = known.meanings.get(&hash.key())?;
        if !meaning.used.load(Ordering::Relaxed) {
            meaning.used.store(true, Ordering::Relaxed);
        }
        Some(meaning.wants_annotations)
    }

    /// Remembers a hash that was verified, as one of at most so many (`limits.capabilities`). Gives what is to be written
    /// down, where that is news.
    pub fn learn(&self, hash: &Hash, wants_annotations: bool, most: usize) -> Option<Lesson> {
        let mut known = self.0.write();
        let key = hash.key();
        if known.meanings.contains_key(&key) {
            // A hash says one thing: see `capabilities`.
            return None;
        }
        let forgotten = known.make_room(most);
        let number = known.next;
        let (form, value) = key.clone();
        known.add(key, wants_annotations, number);
        Some(Lesson {
            learnt: KnownHash {
                form: form.name().to_owned(),
                value: value.into(),
                wants_annotations,
                number,
            },
            forgotten: forgotten
                .into_iter()
                .map(|(form, value)| (form.name().to_owned(), value.into()))
                .collect(),
        })
    }

    /// What an earlier process has learnt. Forms that this one does not know are left out.
    pub fn restore(&self, mut hashes: Vec<KnownHash>) {
        hashes.sort_by_key(|hash| hash.number);
        let mut known = self.0.write();
        for hash in hashes {
            let Some(form) = Form::of(&hash.form) else {
                continue;
            };
            let key = (form, hash.value.into());
            if !known.meanings.contains_key(&key) {
                known.add(key, hash.wants_annotations, hash.number);
            }
        }
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.0.read().meanings.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.read().meanings.is_empty()
    }
}

impl Known {
    fn add(&mut self, key: Key, wants_annotations: bool, number: i64) {
        self.next = self.next.max(number.saturating_add(1));
        self.order.push_back(key.clone());
        let used = AtomicBool::new(false);
        self.meanings.insert(
            key,
            Meaning {
                wants_annotations,
                used,
            },
        );
    }

    /// Forgets hashes if there are so many. Each that was used since it was last considered gets another round.
    fn make_room(&mut self, most: usize) -> Vec<Key> {
        let mut forgotten = Vec::new();
        while self.meanings.len() >= most && forgotten.len() < FORGOTTEN_AT_ONCE {
            let Some(key) = self.order.pop_front() else {
                break;
            };
            match self.meanings.get(&key) {
                Some(meaning) if meaning.used.swap(false, Ordering::Relaxed) => self.order.push_back(key),
                Some(_) | None => {
                    self.meanings.remove(&key);
                    forgotten.push(key);
                }
            }
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use stanza::{Kind, PresenceType, Stanza};

    use super::*;
    use crate::{Answer, Claim};

    const MOST: usize = 1_000;

    /// The hash of an answer with one feature, verified.
    fn hash(feature: &str) -> Hash {
        use base64::Engine;
        use sha1::Digest;
        let made =
            base64::engine::general_purpose::STANDARD.encode(sha1::Sha1::digest(format!("{feature}<")));
        let caps = format!("<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{made}'/>");
        let kind = Kind::Presence(PresenceType::Available);
        let claim = Claim::of(&Stanza::build(kind, None, None, None, caps.as_bytes())).unwrap();
        let answer = format!(
            "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='{feature}'/></query>"
        );
        let answer = xml::Tree::parse(answer.as_bytes(), "", &xml::Limits::unlimited()).unwrap();
        match claim.answered(&answer) {
            Answer::Verified(hash, _) => hash,
            Answer::ForThisSession(_) => panic!("not verified"),
        }
    }

    #[test]
    fn psa_01_what_was_verified_is_known_to_all_and_told_once() {
        let known = Capabilities::default();
        assert_eq!(known.wants_annotations(&hash("a")), None);
        let lesson = known.learn(&hash("a"), false, MOST).unwrap();
        assert_eq!((lesson.learnt.number, lesson.forgotten), (0, Vec::new()));
        assert_eq!(known.wants_annotations(&hash("a")), Some(false));
        assert_eq!(known.learn(&hash("a"), true, MOST), None, "it stays what it is");
        assert_eq!(known.wants_annotations(&hash("a")), Some(false));
        assert_eq!(known.len(), 1);
    }

    #[test]
    fn what_was_learnt_can_be_restored_and_what_is_not_understood_is_left_out() {
        let first = Capabilities::default();
        let mut kept: Vec<KnownHash> = ["a", "urn:xmpp:psa"]
            .map(|feature| {
                first
                    .learn(&hash(feature), feature == "urn:xmpp:psa", MOST)
                    .unwrap()
                    .learnt
            })
            .into();
        kept.push(KnownHash {
            form: "of later times".to_owned(),
            value: "x".to_owned(),
            wants_annotations: true,
            number: 7,
        });
        let second = Capabilities::default();
        second.restore(kept);
        assert_eq!(second.wants_annotations(&hash("a")), Some(false));
        assert_eq!(second.wants_annotations(&hash("urn:xmpp:psa")), Some(true));
        assert_eq!(second.len(), 2);
        assert_eq!(
            second.learn(&hash("b"), false, MOST).unwrap().learnt.number,
            2,
            "the order goes on"
        );
    }

    #[test]
    fn beyond_the_limit_what_nobody_uses_is_forgotten_first() {
        let known = Capabilities::default();
        let honest = hash("honest");
        known.learn(&honest, true, MOST);
        let mut forgotten = 0;
        for n in 0..MOST + 100 {
            assert_eq!(known.wants_annotations(&honest), Some(true), "{n}");
            let made_up = Hash::made_up(n);
            forgotten += known.learn(&made_up, false, MOST).unwrap().forgotten.len();
        }
        assert_eq!((known.len(), forgotten), (MOST, 101));
    }

    #[test]
    fn a_limit_that_was_lowered_is_reached_step_by_step() {
        let known = Capabilities::default();
        for n in 0..10 {
            known.learn(&Hash::made_up(n), false, 10);
        }
        for n in 10..20 {
            known.learn(&Hash::made_up(n), false, 5);
        }
        assert_eq!(known.len(), 5);
        assert_eq!(known.wants_annotations(&Hash::made_up(19)), Some(false));
    }
}
