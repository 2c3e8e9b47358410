//! Who wants to know of the path to a domain, what each was told last, and whether the return of a flapping link is
//! believed.

use std::collections::{BTreeMap, VecDeque};

use machine::Moment;
use stanza::Address;

use super::{Cause, Settings};

/// The path to a domain, as watchers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// What is known of the domain's presence is true, as far as we know.
    Clear,
    /// It may not be.
    Broken(Cause),
}

impl Path {
    fn is_clear(self) -> bool {
        self == Path::Clear
    }
}

/// All who watch one domain.
#[derive(Default)]
pub(crate) struct Watchers {
    /// Whether each was told last that the path is clear. Ordered, so that two runs with one seed tell in one order.
    told: BTreeMap<Address, bool>,
    /// Who may have to be told something else.
    pending: VecDeque<Address>,
    /// Who is to be told that something may have been lost.
    doubtful: VecDeque<Address>,
}

impl Watchers {
    /// Somebody watches, and is told the path now.
    pub(crate) fn add(&mut self, watcher: Address, path: Path) {
        self.told.insert(watcher, path.is_clear());
    }

    pub(crate) fn remove(&mut self, watcher: &Address) {
        self.told.remove(watcher);
        if self.told.is_empty() {
            self.pending = VecDeque::new();
            self.doubtful = VecDeque::new();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.told.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// The path is another now: whoever does not know is told. What was still to be told of the path before is not.
    pub(crate) fn changed(&mut self, path: Path) {
        let ignorant = self.told.iter().filter(|(_, clear)| **clear != path.is_clear());
        let pending = ignorant.map(|(watcher, _)| watcher.clone()).collect();
        let unaware = std::mem::replace(&mut self.pending, pending);
        // Whoever has heard of the break asks anew when it is over. Who has not must be told to.
        self.doubtful = if path.is_clear() { unaware } else { VecDeque::new() };
    }

    /// The path is as it was, but something may have been lost on it.
    pub(crate) fn renewed(&mut self) {
        let informed = self.told.iter().filter(|(_, clear)| **clear);
        self.doubtful = informed.map(|(watcher, _)| watcher.clone()).collect();
    }

    /// The next who are to be told that.
    pub(crate) fn doubtful(&mut self, most: usize) -> Vec<Address> {
        let most = most.min(self.doubtful.len());
        let batch = self.doubtful.drain(..most);
        batch.filter(|watcher| self.told.contains_key(watcher)).collect()
    }

    /// The next who are to be told.
    pub(crate) fn batch(&mut self, most: usize, path: Path) -> Vec<Address> {
        let mut batch = Vec::new();
        while batch.len() < most
            && let Some(watcher) = self.pending.pop_front()
        {
            if let Some(clear) = self.told.get_mut(&watcher)
                && *clear != path.is_clear()
            {
                *clear = path.is_clear();
                batch.push(watcher);
            }
        }
        batch
    }

    /// How many are still to be told something.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len() + self.doubtful.len()
    }
}

/// How often a link went down lately.
#[derive(Default)]
pub(crate) struct Flaps {
    downs: VecDeque<Moment>,
}

impl Flaps {
    /// It went down.
    pub(crate) fn down(&mut self, now: Moment, settings: &Settings) {
        self.forget(now, settings);
        if self.downs.len() > settings.flaps {
            self.downs.pop_front();
        }
        self.downs.push_back(now);
    }

    /// Whether its return should be doubted: it went down too often.
    pub(crate) fn is_doubted(&mut self, now: Moment, settings: &Settings) -> bool {
        self.forget(now, settings);
        self.downs.len() > settings.flaps
    }

    fn forget(&mut self, now: Moment, settings: &Settings) {
        self.downs.retain(|down| now.since(*down) < settings.flap_window);
    }
}
