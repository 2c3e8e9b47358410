//! Accounts that rest: nobody is at home, and nothing is under way. Some of them stay in memory.
//!
//! Whoever logs in asks all contacts for their presence and shows them the own. Of those who are away, most are asked
//! again at the next login of somebody whom they know, and would be fetched from the store each time.

use std::collections::{BTreeSet, VecDeque};

use parking_lot::Mutex;
use stanza::Address;

/// The accounts that came to rest and stayed in memory, as far as it is known: some may have left it since, or are awake.
#[derive(Default)]
pub(crate) struct Rest(Mutex<Resting>);

#[derive(Default)]
struct Resting {
    /// With the bytes that each counts for; who came first leaves first.
    order: VecDeque<(Address, usize)>,
    known: BTreeSet<Address>,
    bytes: usize,
}

impl Rest {
    /// An account of this size has come to rest. Gives those that are to leave memory now if they still rest, so that all
    /// of them together have no more than `bytes_max`.
    pub(crate) fn add(&self, account: &Address, bytes: usize, bytes_max: usize) -> Vec<Address> {
        if bytes > bytes_max {
            return vec![account.clone()];
        }
        let mut resting = self.0.lock();
        if resting.known.insert(account.clone()) {
            resting.order.push_back((account.clone(), bytes));
            resting.bytes += bytes;
        }
        let mut leaving = Vec::new();
        while resting.bytes > bytes_max
            && let Some((first, its)) = resting.order.pop_front()
        {
            resting.bytes -= its;
            resting.known.remove(&first);
            leaving.push(first);
        }
        leaving
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(rest: &Rest, account: &str, bytes: usize) -> Vec<String> {
        let account = Address::parse(account).unwrap();
        let leaving = rest.add(&account, bytes, 100);
        leaving.iter().map(|account| account.to_string()).collect()
    }

    #[test]
    fn who_has_rested_longest_makes_room() {
        let rest = Rest::default();
        assert!(add(&rest, "romeo@capulet.lit", 40).is_empty());
        assert!(add(&rest, "juliet@capulet.lit", 40).is_empty());
        // It is known, and counts once.
        assert!(add(&rest, "romeo@capulet.lit", 40).is_empty());
        assert!(add(&rest, "nurse@capulet.lit", 20).is_empty());
        assert_eq!(
            add(&rest, "tybalt@capulet.lit", 70),
            ["romeo@capulet.lit", "juliet@capulet.lit"]
        );
        assert_eq!(add(&rest, "romeo@capulet.lit", 20), ["nurse@capulet.lit"]);
    }

    #[test]
    fn who_alone_is_too_much_does_not_stay() {
        let rest = Rest::default();
        assert!(add(&rest, "romeo@capulet.lit", 40).is_empty());
        assert_eq!(add(&rest, "juliet@capulet.lit", 101), ["juliet@capulet.lit"]);
        assert!(add(&rest, "nurse@capulet.lit", 60).is_empty());
    }
}
