//! Counters and times of operations, for the metrics `xmpp_storage_operation_seconds` and `…_errors_total`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use machine::{Distribution, Observed};

/// What took its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An account was loaded.
    LoadAccount,
    /// The waiting stanzas of an account were loaded.
    LoadWaiting,
    /// A blob was loaded.
    LoadRecord,
    /// Credentials were looked up.
    Login,
    /// Accounts were listed.
    ListAccounts,
    /// A room was loaded.
    LoadRoom,
    /// Rooms were listed or counted.
    ListRooms,
    /// Changes of an account or a room were committed.
    Commit,
    /// An account was made, changed, or deleted.
    ChangeAccount,
    /// A transaction was made for a group of commits and changes: without the time that they waited for it.
    Transaction,
}

impl Operation {
    /// All, in order.
    pub const ALL: [Operation; 10] = [
        Operation::LoadAccount,
        Operation::LoadWaiting,
        Operation::LoadRecord,
        Operation::Login,
        Operation::ListAccounts,
        Operation::LoadRoom,
        Operation::ListRooms,
        Operation::Commit,
        Operation::ChangeAccount,
        Operation::Transaction,
    ];

    /// The label `op`.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::LoadAccount => "load_account",
            Operation::LoadWaiting => "load_waiting",
            Operation::LoadRecord => "load_record",
            Operation::Login => "login",
            Operation::ListAccounts => "list_accounts",
            Operation::LoadRoom => "load_room",
            Operation::ListRooms => "list_rooms",
            Operation::Commit => "commit",
            Operation::ChangeAccount => "change_account",
            Operation::Transaction => "transaction",
        }
    }
}

/// Upper bounds of the buckets of `xmpp_storage_operation_seconds`.
const OPERATION_SECONDS: [f64; 12] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0,
];

/// What one kind of operation took.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    /// How long they took.
    pub took: Observed,
    /// How many of them failed.
    pub errors: u64,
}

/// What a store has done since it was opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// The label `backend`.
    pub backend: &'static str,
    /// By operation, in the order of [`Operation::ALL`].
    pub times: [Times; Operation::ALL.len()],
    /// Writes that wait for their transaction.
    pub queued: usize,
    /// Whether the last attempt to write reached the database.
    pub reachable: bool,
}

impl Figures {
    /// What this kind of operation took.
    pub fn times(&self, operation: Operation) -> Option<&Times> {
        self.times.get(operation as usize)
    }

    /// How many of this kind there were.
    pub fn count(&self, operation: Operation) -> u64 {
        self.times(operation).map_or(0, |times| times.took.count())
    }
}

/// Counts; shared by all who do.
#[derive(Debug, Default)]
pub(crate) struct Counters([Counter; Operation::ALL.len()]);

#[derive(Debug)]
struct Counter {
    took: Distribution<{ OPERATION_SECONDS.len() }>,
    errors: AtomicU64,
}

impl Default for Counter {
    fn default() -> Self {
        Counter {
            took: Distribution::of_times(&OPERATION_SECONDS),
            errors: AtomicU64::new(0),
        }
    }
}

impl Counters {
    pub(crate) fn record(&self, operation: Operation, took: Duration, failed: bool) {
        if let Some(counter) = self.0.get(operation as usize) {
            counter.took.took(took);
            counter.errors.fetch_add(u64::from(failed), Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> [Times; Operation::ALL.len()] {
        self.0.each_ref().map(|counter| Times {
            took: counter.took.observed(),
            errors: counter.errors.load(Ordering::Relaxed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_took_its_time_too() {
        let counters = Counters::default();
        for (micros, failed) in [(100, false), (101, true), (20_000_000, false)] {
            counters.record(Operation::Login, Duration::from_micros(micros), failed);
        }
        let [times, others] =
            [Operation::Login, Operation::Commit].map(|one| counters.read()[one as usize].clone());
        assert_eq!((times.took.count(), times.errors), (3, 1));
        assert_eq!((times.took.counts[0], times.took.counts[1]), (1, 1));
        assert_eq!(others.took.count(), 0);
    }

    #[test]
    fn operations_stand_in_their_own_order() {
        for (place, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, place);
        }
    }
}
