//! The store in memory as the simulation drives it: by a seed, without threads, failing on demand.

use std::sync::Arc;
use std::time::Duration;

use machine::Moment;
use parking_lot::Mutex;
use router::{Store, StoreError};
use storage::{Faults, Memory};

use crate::asking::{address, argon2id, ids, wait};

/// What was answered, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note<T: std::fmt::Debug>(&self, what: impl Into<String>) -> Box<dyn FnOnce(T) + Send> {
        let (log, what) = (self.clone(), what.into());
        Box::new(move |outcome| log.0.lock().push(format!("{what}: {outcome:?}")))
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock())
    }
}

fn seconds(seconds: u64) -> Moment {
    Moment::from_micros(seconds * 1_000_000)
}

fn slow() -> Faults {
    Faults {
        delay: Duration::from_millis(10)..=Duration::from_millis(900),
        ..Faults::default()
    }
}

/// Three accounts whose commits and questions are asked for all at once.
fn busy(memory: &Memory) -> Log {
    let log = Log::default();
    for name in ["a@x", "b@x", "c@x"] {
        memory.create_account(address(name), argon2id(""), log.note(format!("{name} created")));
        for id in 1..=5 {
            let done = log.note(format!("{name} {id}"));
            memory.commit_account(address(name), vec![wait(id)], done);
        }
        memory.list_accounts(None, log.note(format!("{name} listed")));
    }
    log
}

#[test]
fn nothing_happens_until_time_passes() {
    let memory = Memory::new(1, slow());
    let log = busy(&memory);
    assert_eq!((memory.pending(), log.take().len()), (21, 0));
    assert_eq!(memory.advance(Moment::from_micros(9_000)), 0);
    let due = memory.next_due().unwrap();
    assert!(due >= Moment::from_micros(10_000));
    assert!(memory.advance(due) >= 1);
    memory.advance(seconds(1));
    assert_eq!(
        (memory.pending(), memory.next_due(), log.take().len()),
        (0, None, 21)
    );
}

#[test]
fn one_seed_is_one_history() {
    let faults = Faults {
        unavailable_per_mille: 200,
        refused_per_mille: 200,
        ..slow()
    };
    let history = |seed| {
        let memory = Memory::new(seed, faults.clone());
        let log = busy(&memory);
        memory.advance(seconds(1));
        log.take()
    };
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}

#[test]
fn writes_of_one_account_keep_their_order_whatever_the_delay() {
    for seed in 0..50 {
        let memory = Memory::new(seed, slow());
        let log = busy(&memory);
        memory.advance(seconds(1));
        let log = log.take();
        for name in ["a@x", "b@x", "c@x"] {
            let writes: Vec<_> = log
                .iter()
                .filter(|line| line.starts_with(name) && !line.contains("listed"))
                .map(|line| line.trim_start_matches(name).trim())
                .collect();
            assert_eq!(
                writes,
                [
                    "created: Ok(true)",
                    "1: Ok(())",
                    "2: Ok(())",
                    "3: Ok(())",
                    "4: Ok(())",
                    "5: Ok(())"
                ]
            );
        }
    }
}

#[test]
fn a_failure_on_demand_dooms_what_follows_until_the_account_is_loaded() {
    let (memory, log, romeo) = (
        Memory::new(1, Faults::default()),
        Log::default(),
        address("romeo@montague.lit"),
    );
    memory.create_account(romeo.clone(), argon2id(""), log.note("created"));
    memory.run_pending();
    memory.fail_writes(&romeo, StoreError::Unavailable, 1);
    for id in 1..=2 {
        memory.commit_account(romeo.clone(), vec![wait(id)], log.note(id.to_string()));
    }
    memory.run_pending();
    memory.load_account(romeo.clone(), Box::new(|_| {}));
    memory.commit_account(romeo.clone(), vec![wait(3)], log.note("3"));
    assert!(memory.step() && memory.step() && !memory.step());
    assert_eq!(
        log.take(),
        [
            "created: Ok(true)",
            "1: Err(Unavailable)",
            "2: Err(Refused)",
            "3: Ok(())"
        ]
    );
}

#[test]
fn a_crash_keeps_what_was_answered_and_some_first_part_of_the_rest() {
    let mut kept = Vec::new();
    for seed in 0..50 {
        let (memory, log, romeo) = (
            Memory::new(seed, slow()),
            Log::default(),
            address("romeo@montague.lit"),
        );
        memory.create_account(romeo.clone(), argon2id(""), log.note("created"));
        memory.commit_account(romeo.clone(), vec![wait(1)], log.note("1"));
        memory.run_pending();
        log.take();
        for id in 2..=6 {
            memory.commit_account(romeo.clone(), vec![wait(id)], log.note(id.to_string()));
        }
        memory.crash();
        assert_eq!(
            (memory.run_pending(), log.take()),
            (0, Vec::new()),
            "nobody is answered"
        );

        let rows = Arc::new(Mutex::new(Vec::new()));
        let found = Arc::clone(&rows);
        memory.load_waiting(
            romeo,
            Box::new(move |outcome| *found.lock() = ids(&outcome.unwrap())),
        );
        memory.run_pending();
        let rows = rows.lock();
        assert_eq!(*rows, (1..=rows.len() as i64).collect::<Vec<_>>());
        kept.push(rows.len());
    }
    assert!(kept.contains(&1) && kept.contains(&6), "{kept:?}");
}
