//! Counters and times of operations, for the metrics `xmpp_storage_operation_seconds` and `…_errors_total`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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

/// Upper ends of the buckets in microseconds; one more bucket has no end.
pub const BUCKET_MICROS: [u64; 12] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000,
];

/// What one kind of operation took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// How many took at most as long as the bucket of the same place says, and longer than the one before; the last one
    /// counts those beyond all ends.
    pub buckets: [u64; BUCKET_MICROS.len() + 1],
    /// All of them together, in microseconds.
    pub sum_micros: u64,
    /// How many of them failed.
    pub errors: u64,
}

impl Times {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// What a store has done since it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub fn times(&self, operation: Operation) -> Times {
        self.times.get(operation as usize).copied().unwrap_or_default()
    }
}

/// Counts; shared by all who do.
#[derive(Debug, Default)]
pub(crate) struct Counters([Counter; Operation::ALL.len()]);

#[derive(Debug, Default)]
struct Counter {
    buckets: [AtomicU64; BUCKET_MICROS.len() + 1],
    sum_micros: AtomicU64,
    errors: AtomicU64,
}

impl Counters {
    pub(crate) fn record(&self, operation: Operation, took: Duration, failed: bool) {
        let Some(counter) = self.0.get(operation as usize) else {
            return;
        };
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKET_MICROS.partition_point(|&end| end < micros);
        if let Some(bucket) = counter.buckets.get(bucket) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        counter.sum_micros.fetch_add(micros, Ordering::Relaxed);
        counter.errors.fetch_add(u64::from(failed), Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> [Times; Operation::ALL.len()] {
        self.0.each_ref().map(|counter| Times {
            buckets: counter
                .buckets
                .each_ref()
                .map(|bucket| bucket.load(Ordering::Relaxed)),
            sum_micros: counter.sum_micros.load(Ordering::Relaxed),
            errors: counter.errors.load(Ordering::Relaxed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_in_the_first_bucket_that_is_not_too_short() {
        let counters = Counters::default();
        for (micros, failed) in [(0, false), (100, false), (101, true), (20_000_000, false)] {
            counters.record(Operation::Login, Duration::from_micros(micros), failed);
        }
        let times = counters.read()[Operation::Login as usize];
        assert_eq!(
            (
                times.buckets[0],
                times.buckets[1],
                times.buckets[BUCKET_MICROS.len()]
            ),
            (2, 1, 1)
        );
        assert_eq!(
            (times.count(), times.sum_micros, times.errors),
            (4, 20_000_201, 1)
        );
    }

    #[test]
    fn operations_stand_in_their_own_order() {
        for (place, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, place);
        }
    }
}
