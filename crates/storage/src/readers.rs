//! The tasks that answer questions, each with a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use router::StoreError;
use tokio::time::{Instant, sleep, timeout_at};

use crate::connection::Connection;
use crate::database::{Shared, call};
use crate::failure::{Failure, Loss};
use crate::figures::Operation;
use crate::link::Place;
use crate::load::{self, Ask};
use crate::operation::Question;
use crate::queue::Limits;
use crate::rooms;

/// Questions are taken one by one, so that each goes to whoever is free.
const ONE: Limits = Limits {
    entries: 1,
    bytes: usize::MAX,
};

/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers until the queue is closed and empty.
pub(crate) async fn run(place: Place, shared: Arc<Shared>) {
    let mut connection = None;
    while let Some(taken) = shared.questions.take(ONE).await {
        for waiting in taken {
            let deadline = waiting.deadline(shared.patience);
            let reader = Reader {
                place: &place,
                connection: &mut connection,
                shared: &shared,
                since: waiting.since,
                deadline,
            };
            reader.answer(waiting.what).await;
        }
    }
}

struct Reader<'a> {
    place: &'a Place,
    connection: &'a mut Option<Connection>,
    shared: &'a Shared,
    since: Instant,
    deadline: Instant,
}

impl Reader<'_> {
    async fn answer(mut self, question: Question) {
        match question {
            Question::Account(address, done) => {
                let outcome = self.ask(&load::Account(address)).await;
                self.give(Operation::LoadAccount, outcome, done);
            }
            Question::Waiting(address, done) => {
                let outcome = self.ask(&load::Waiting(address)).await;
                self.give(Operation::LoadWaiting, outcome, done);
            }
            Question::Record(address, record, done) => {
                let outcome = self.ask(&load::Blob(address, record)).await;
                self.give(Operation::LoadRecord, outcome, done);
            }
            Question::Login(address, done) => {
                let outcome = self.ask(&load::Credentials(address)).await;
                self.give(Operation::Login, outcome, done);
            }
            Question::List(host, done) => {
                let outcome = self.ask(&load::Accounts(host)).await;
                self.give(Operation::ListAccounts, outcome, done);
            }
            Question::Held(done) => {
                let outcome = self.ask(&load::Held).await;
                self.give(Operation::ListAccounts, outcome, done);
            }
            Question::Capabilities(done) => {
                let outcome = self.ask(&load::Capabilities).await;
                self.give(Operation::LoadRecord, outcome, done);
            }
            Question::Room(address, history, done) => {
                let outcome = self.ask(&rooms::Room(address, history)).await;
                self.give(Operation::LoadRoom, outcome, done);
            }
            Question::Rooms(which, done) => {
                let outcome = self.ask(&rooms::Listed(which)).await;
                self.give(Operation::ListRooms, outcome, done);
            }
            Question::CountRooms(done) => {
                let outcome = self.ask(&rooms::Count).await;
                self.give(Operation::ListRooms, outcome, done);
            }
            Question::VanishedOccupants(done) => {
                let outcome = self.ask(&rooms::Vanished).await;
                self.give(Operation::ListRooms, outcome, done);
            }
        }
    }

    fn give<T>(
        self,
        operation: Operation,
        outcome: Result<T, StoreError>,
        done: router::Done<Result<T, StoreError>>,
    ) {
        self.shared
            .counters
            .record(operation, self.since.elapsed(), outcome.is_err());
        call(|| done(outcome));
    }

    async fn ask<A: Ask>(&mut self, question: &A) -> Result<A::Answer, StoreError> {
        let outcome = timeout_at(self.deadline, self.ask_until_answered(question)).await;
        let failure = match outcome {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(failure)) => failure,
            Err(_) => {
                // What it still does is nobody's concern.
                *self.connection = None;
                Failure::Lost(Loss::TimedOut)
            }
        };
        tracing::warn!(why = %failure, "a question was not answered by the database");
        Err(StoreError::Unavailable)
    }

    /// Asks again after a connection was lost.
    async fn ask_until_answered<A: Ask>(&mut self, question: &A) -> Result<A::Answer, Failure> {
        // What was asked for after a write must not be read before it is known whether that was made.
        let mut uncertain = self.shared.uncertain.subscribe();
        // An error means that the writer has ended, and with it all doubt.
        let _ = uncertain.wait_for(|uncertain| !uncertain).await;
        loop {
            let connection = match &mut *self.connection {
                Some(connection) => connection,
                none => match self.place.reader().await {
                    Ok(connection) => none.insert(connection),
                    Err(error) => {
                        tracing::debug!(%error, "the database cannot be reached");
                        sleep(PAUSE).await;
                        continue;
                    }
                },
            };
            match question.ask(connection).await {
                Err(Failure::Lost(loss)) => {
                    tracing::debug!(%loss, "a connection to the database is lost");
                    *self.connection = None;
                }
                outcome => return outcome,
            }
        }
    }
}
