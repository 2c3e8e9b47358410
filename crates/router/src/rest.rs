//! Accounts that rest: nobody is at home, and nothing is under way. Some of them stay in memory.
//!
//! Whoever logs in asks all contacts for their presence and shows them the own. Of those who are away, most are asked
//! again at the next login of somebody whom they know, and would be fetched from the store each time.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use stanza::Address;

/// The accounts that came to rest and stayed in memory, as far as it is known: some may have left it since, or are awake.
#[derive(Default)]
pub(crate) struct Rest(Mutex<Resting>);

#[derive(Default)]
struct Resting {
    /// Who came first leaves first.
    order: VecDeque<Address>,
    /// The bytes that each counts for.
    known: BTreeMap<Address, usize>,
    bytes: usize,
}

impl Rest {
    /// An account of this size has come to rest. Gives those that are to leave memory now if they still rest, so that all
    /// of them together have no more than `bytes_max`.
    pub(crate) fn add(&self, account: &Address, bytes: usize, bytes_max: usize) -> Vec<Address> {
        let mut resting = self.0.lock();
        let mut leaving = Vec::new();
        if bytes > bytes_max {
            // Nobody else has to go for it.
            leaving.push(account.clone());
        } else {
            match resting.known.insert(account.clone(), bytes) {
                Some(before) => resting.bytes -= before,
                None => resting.order.push_back(account.clone()),
            }
            resting.bytes += bytes;
        }
        while resting.bytes > bytes_max
            && let Some(first) = resting.order.pop_front()
        {
            resting.bytes -= resting.known.remove(&first).unwrap_or_default();
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
        // It is known, and counts once, for what it takes now.
        assert!(add(&rest, "romeo@capulet.lit", 20).is_empty());
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

    #[test]
    fn when_less_is_permitted_the_first_leave_with_the_next_who_comes() {
        let rest = Rest::default();
        assert!(add(&rest, "romeo@capulet.lit", 40).is_empty());
        let juliet = Address::parse("juliet@capulet.lit").unwrap();
        let leaving = rest.add(&juliet, 40, 0);
        let leaving: Vec<_> = leaving.iter().map(|account| account.to_string()).collect();
        assert_eq!(leaving, ["juliet@capulet.lit", "romeo@capulet.lit"]);
    }
}
