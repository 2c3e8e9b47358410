//! The task that writes: takes what has queued, makes it in one transaction, and answers once that is durable.

use std::sync::Arc;

use account::Change;
use router::StoreError;
use stanza::Address;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::database::Shared;
use crate::failure::Failure;
use crate::figures::Operation;
use crate::link::Link;
use crate::operation::{Order, Outcome, Write};
use crate::queue::{Limits, Waiting};

/// What goes into one transaction at most.
const GROUP: Limits = Limits {
    entries: 1000,
    bytes: 8 << 20,
};

/// Writes that are asked for and have not been answered.
struct Running {
    address: Address,
    operation: Operation,
    since: Instant,
    /// Taken when it was answered.
    answer: Option<router::Done<Outcome>>,
}

/// An answer to be given.
pub(crate) type Answer = (router::Done<Outcome>, Outcome);

/// Writes until the queue is closed and empty.
///
/// A batching timer would only add its time: while one group is being made durable, the next one gathers.
pub(crate) async fn run(mut link: Link, shared: Arc<Shared>, answers: mpsc::UnboundedSender<Answer>) {
    while let Some(group) = shared.writes.take(GROUP).await {
        let (mut running, writes): (Vec<_>, Vec<_>) = group.into_iter().map(split).unzip();
        // Whoever is told that it took too long must not find it made.
        let deadline = next_deadline(&running, &shared);
        let addresses: Vec<Address> = running.iter().map(|running| running.address.clone()).collect();
        let outcomes = {
            let work = make(&mut link, &addresses, &writes, deadline, &shared);
            tokio::pin!(work);
            loop {
                let deadline = next_deadline(&running, &shared);
                tokio::select! {
                    biased;
                    outcomes = &mut work => break outcomes,
                    () = sleep_until(deadline) => give_up(&mut running, &shared, &answers),
                }
            }
        };
        for (running, outcome) in running.iter_mut().zip(outcomes) {
            running.finish(outcome, &shared, &answers);
        }
        shared.uncertain.send_if_modified(std::mem::take);
    }
    link.close().await;
}

fn split(waiting: Waiting<Order>) -> (Running, Write) {
    let Order {
        address,
        write,
        answer,
    } = waiting.what;
    let operation = match write {
        Write::Commit(_) | Write::Room(_) => Operation::Commit,
        Write::Create(_)
        | Write::SetCredentials(_)
        | Write::SetFlags(_)
        | Write::Delete
        | Write::Learn(_) => Operation::ChangeAccount,
    };
    let running = Running {
        address,
        operation,
        since: waiting.since,
        answer: Some(answer),
    };
    (running, write)
}

/// When the next one, in the group or in the queue, will have waited for too long.
fn next_deadline(running: &[Running], shared: &Shared) -> Instant {
    let first = running
        .iter()
        .find(|running| running.answer.is_some())
        .map(|running| running.since + shared.patience);
    let queued = shared.writes.next_deadline(shared.patience);
    // Nobody waits: look again when somebody may.
    first
        .into_iter()
        .chain(queued)
        .min()
        .unwrap_or_else(|| Instant::now() + shared.patience)
}

/// Answers those who have waited for too long. Those of the group that is being made are told that it is not known to
/// be made; nothing is read until it is.
fn give_up(running: &mut [Running], shared: &Shared, answers: &mpsc::UnboundedSender<Answer>) {
    let now = Instant::now();
    let late = running
        .iter_mut()
        .filter(|running| running.answer.is_some() && running.since + shared.patience <= now);
    for running in late {
        shared
            .uncertain
            .send_if_modified(|uncertain| !std::mem::replace(uncertain, true));
        running.finish(Err(StoreError::Unavailable), shared, answers);
    }
    for waiting in shared.writes.take_late(shared.patience) {
        let (mut running, _) = split(waiting);
        running.finish(Err(StoreError::Unavailable), shared, answers);
    }
}

impl Running {
    fn finish(&mut self, outcome: Outcome, shared: &Shared, answers: &mpsc::UnboundedSender<Answer>) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        // Before the next group is looked at, and before the answer is seen.
        if outcome.is_err() && self.operation == Operation::Commit {
            shared.doomed.lock().add(&self.address);
        }
        shared
            .counters
            .record(self.operation, self.since.elapsed(), outcome.is_err());
        if let Err(mpsc::error::SendError((answer, outcome))) = answers.send((answer, outcome)) {
            answer(outcome);
        }
    }
}

/// Makes a group. When one of it is refused, halves are tried, down to the single one, so that the others are made.
async fn make(
    link: &mut Link,
    addresses: &[Address],
    writes: &[Write],
    deadline: Instant,
    shared: &Shared,
) -> Vec<Outcome> {
    let mut outcomes: Vec<Option<Outcome>> = vec![None; writes.len()];
    let mut open: Vec<_> = std::iter::once(0..writes.len()).collect();
    while let Some(range) = open.pop() {
        let places: Vec<usize> = range
            .clone()
            .filter(|&place| !is_doomed(place, addresses, writes, &outcomes, shared))
            .collect();
        for place in range.clone().filter(|place| !places.contains(place)) {
            set(&mut outcomes, place, Err(StoreError::Refused));
        }
        let chosen: Vec<(&Address, &Write)> = places
            .iter()
            .filter_map(|&place| addresses.get(place).zip(writes.get(place)))
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let started = Instant::now();
        let made = link.transact(&chosen, deadline, &shared.reachable).await;
        shared
            .counters
            .record(Operation::Transaction, started.elapsed(), made.is_err());
        match made {
            Ok(made) => {
                for (place, outcome) in places.into_iter().zip(made) {
                    set(&mut outcomes, place, Ok(outcome));
                }
            }
            Err(Failure::Refused(why)) if chosen.len() == 1 => {
                tracing::error!(%why, "a change was refused by the database, and its account will be loaded anew");
                for place in places {
                    set(&mut outcomes, place, Err(StoreError::Refused));
                }
            }
            Err(Failure::Refused(_)) => {
                let middle = range.start + range.len() / 2;
                // The later half is looked at after the earlier one, so that the order of each account is kept.
                open.push(middle..range.end);
                open.push(range.start..middle);
            }
            Err(failure) => {
                tracing::warn!(why = %failure, writes = places.len(), "changes could not be stored");
                for place in places {
                    set(&mut outcomes, place, Err(failure.for_asker()));
                }
            }
        }
    }
    outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or(Err(StoreError::Unavailable)))
        .collect()
}

fn set(outcomes: &mut [Option<Outcome>], place: usize, outcome: Outcome) {
    if let Some(slot) = outcomes.get_mut(place) {
        *slot = Some(outcome);
    }
}

/// Whether this is a commit of a machine that lost one before, in an earlier group or in this one.
fn is_doomed(
    place: usize,
    addresses: &[Address],
    writes: &[Write],
    outcomes: &[Option<Outcome>],
    shared: &Shared,
) -> bool {
    let (Some(address), Some(true)) = (addresses.get(place), writes.get(place).map(Write::is_commit)) else {
        return false;
    };
    let lost_in_this_group =
        outcomes
            .iter()
            .zip(addresses)
            .zip(writes)
            .take(place)
            .any(|((outcome, other), write)| {
                matches!(outcome, Some(Err(_))) && write.is_commit() && other == address
            });
    lost_in_this_group || shared.doomed.lock().contains(address)
}

/// Gives answers, in order.
pub(crate) async fn give_answers(mut answers: mpsc::UnboundedReceiver<Answer>) {
    while let Some((answer, outcome)) = answers.recv().await {
        crate::database::call(|| answer(outcome));
    }
}

/// About how many bytes a write takes in memory and in the database.
pub(crate) fn size(write: &Write) -> usize {
    const ROW: usize = 100;
    let changes = match write {
        Write::Commit(changes) => changes,
        Write::Create(_)
        | Write::SetCredentials(_)
        | Write::SetFlags(_)
        | Write::Delete
        | Write::Learn(_) => {
            return ROW;
        }
        Write::Room(changes) => return crate::rooms::size(changes),
    };
    let of = |change: &Change| match change {
        Change::Roster(roster::Change::Item(item)) => {
            item.name.len() + item.groups.iter().map(String::len).sum::<usize>()
        }
        Change::Roster(roster::Change::Request { stanza, .. }) => stanza.len(),
        Change::Roster(
            roster::Change::Removed { .. }
            | roster::Change::RemovalForgotten { .. }
            | roster::Change::RequestSettled { .. }
            | roster::Change::Version { .. },
        ) => 0,
        Change::Privacy(
            privacy::Change::List { items, .. } | privacy::Change::Items { added: items, .. },
        ) => ROW * items.len(),
        Change::Privacy(privacy::Change::Removed { .. } | privacy::Change::Default { .. }) => 0,
        Change::Wait(row) => row.bytes.len(),
        Change::Unwait(ids) => 8 * ids.len(),
        Change::Write(write) => write.bytes.as_ref().map_or(0, Vec::len),
        Change::Left(_) | Change::NotHeld(_) => 0,
        Change::Held(row) => row.directed.iter().map(|to| to.as_str().len()).sum(),
    };
    changes.iter().map(|change| ROW + of(change)).sum::<usize>() + ROW
}
