//! Counting what the peer sent, and which of it is settled (XEP-0198 §4; the settle rule of `docs/kept.md`).

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use crate::Mailbox;

/// A promise to be kept: one counted stanza of a peer that uses stream management.
///
/// Whoever decides the fate of the stanza settles the receipt: when it was bounced or dropped by a rule, is durable, is
/// acknowledged or written to its recipient, or, if it cannot be stored, was handed over. A receipt that is lost without
/// being settled stops the acknowledgements for good, so that a bug can never acknowledge what was lost.
#[derive(Clone)]
pub struct Receipt {
    mailbox: Arc<Mailbox>,
    /// Place in the peer's count, without the wrap at 2³².
    place: u64,
}

impl Receipt {
    pub(crate) fn new(mailbox: Arc<Mailbox>, place: u64) -> Receipt {
        Receipt { mailbox, place }
    }

    /// Whether the stanza's fate is not decided yet.
    pub(crate) fn is_open(&self) -> bool {
        self.mailbox.is_open(self.place)
    }

    /// The stanza's fate is decided. Doing so twice changes nothing.
    pub fn settle(&self) {
        self.mailbox.settle(self.place);
    }
}

impl PartialEq for Receipt {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place && Arc::ptr_eq(&self.mailbox, &other.mailbox)
    }
}

impl Eq for Receipt {}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receipt({})", self.place)
    }
}

/// The inward count of one session.
#[derive(Default)]
pub(crate) struct Inward {
    /// Stanzas counted since stream management was enabled.
    received: u64,
    /// Length of the settled prefix.
    settled: u64,
    /// Whether each stanza after the prefix is settled; the first is not, or there is none.
    later: VecDeque<bool>,
    /// The peer asked when this many were received, and has not been told that all of them are settled.
    owed: Option<u64>,
}

impl Inward {
    /// Goes on where an earlier count stopped: so much was received, modulo 2³², and all of it settled.
    pub(crate) fn going_on(handled: u32) -> Inward {
        Inward {
            received: u64::from(handled),
            settled: u64::from(handled),
            ..Inward::default()
        }
    }

    /// Counts one stanza and gives its place.
    pub(crate) fn count(&mut self) -> u64 {
        self.received += 1;
        self.later.push_back(false);
        self.received - 1
    }

    /// Settles one place. True when an answer that is still owed can now be given.
    pub(crate) fn settle(&mut self, place: u64) -> bool {
        let Some(offset) = place.checked_sub(self.settled) else {
            return false;
        };
        let Some(flag) = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.later.get_mut(offset))
        else {
            return false;
        };
        *flag = true;
        while self.later.front() == Some(&true) {
            self.later.pop_front();
            self.settled += 1;
        }
        if self.later.is_empty() && self.later.capacity() > 64 {
            self.later = VecDeque::new();
        }
        self.owed.is_some_and(|owed| self.settled >= owed)
    }

    /// The peer asks (`<r/>`): remembers what is owed beyond what can be told now.
    pub(crate) fn asked(&mut self) {
        self.owed = (self.settled < self.received).then_some(self.received);
    }

    /// Nobody waits for an answer: who goes on with a session is told the count by that.
    pub(crate) fn not_asked(&mut self) {
        self.owed = None;
    }

    /// Whether an answer owed since an earlier `<r/>` is due; asking clears it.
    pub(crate) fn take_due(&mut self) -> bool {
        let due = self.owed.is_some_and(|owed| self.settled >= owed);
        if due {
            self.owed = None;
        }
        due
    }

    /// The `h` to tell the peer: the settled prefix, modulo 2³² (XEP-0198 §4).
    pub(crate) fn handled(&self) -> u32 {
        self.settled as u32
    }

    /// Whether the fate of the stanza at this place is open.
    pub(crate) fn is_open(&self, place: u64) -> bool {
        let offset = place.checked_sub(self.settled);
        let later = offset.and_then(|offset| usize::try_from(offset).ok());
        later.and_then(|later| self.later.get(later)) == Some(&false)
    }

    /// Stanzas whose fate is open.
    pub(crate) fn open(&self) -> usize {
        self.later.iter().filter(|settled| !**settled).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever the order of settling: the told count is the length of the longest settled prefix.
        #[test]
        fn xep0198_4_h_is_the_longest_settled_prefix(order in Just((0u64..40).collect::<Vec<_>>()).prop_shuffle(), cut in 0usize..40) {
            let mut inward = Inward::default();
            for _ in 0..40 { inward.count(); }
            let mut settled = [false; 40];
            for place in &order[..cut] {
                inward.settle(*place);
                inward.settle(*place);
                settled[*place as usize] = true;
                let prefix = settled.iter().take_while(|s| **s).count();
                prop_assert_eq!(inward.handled() as usize, prefix);
            }
            prop_assert_eq!(inward.open(), 40 - cut);
        }
    }

    #[test]
    fn an_answer_is_owed_until_all_that_was_asked_for_is_settled() {
        let mut inward = Inward::default();
        inward.count();
        inward.count();
        inward.asked();
        assert!(!inward.settle(1));
        assert!(!inward.take_due());
        assert!(inward.settle(0));
        assert!(inward.take_due());
        assert!(!inward.take_due());
    }
}
