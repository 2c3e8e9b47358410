//! How long a connection waits for what: a login, answers, a client that takes its leave.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use c2s::{Input, Stage};
use stanza::{StreamCondition, StreamError};
use tokio::sync::futures::OwnedNotified;
use tokio::time::Sleep;

use super::Connection;
use super::round::Round;
use crate::clients::{Clients, Settings};

/// A client that has closed its stream is given answers that take no longer than this.
const ANSWERING_TIME: Duration = Duration::from_millis(500);

/// A client has this long to take what there is for it when its stream ends, and as long to end the connection then.
pub(super) const CLOSING_TIME: Duration = Duration::from_secs(5);

/// A time that runs while the session stays as it is.
pub(super) struct Deadline {
    patience: Patience,
    pub(super) sleep: Pin<Box<Sleep>>,
    /// Comes when the server stops. Whoever is bound hears of that through the mailbox.
    pub(super) stops: Pin<Box<OwnedNotified>>,
}

/// What is waited for no longer than a while.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// That the client logs in.
    Login,
    /// That answers come for a client that leaves.
    Answers,
    /// That the client takes what there is for it at the end.
    Taking,
}

/// What became of a time.
pub(super) enum Time {
    Runs,
    /// It is over, and the session knows.
    Passed,
    /// It is over, and so is the connection.
    Ended,
}

impl Connection {
    pub(super) fn poll_deadline(&mut self, context: &mut Context<'_>, round: &mut Round) -> Time {
        let patience = self.patience();
        if patience == Some(Patience::Login)
            && let Some(host) = self.session.host()
        {
            self.admission.names(host);
        }
        if self.deadline.as_ref().map(|deadline| deadline.patience) != patience {
            self.deadline = patience.map(|patience| {
                let time = patience.time(&round.settings);
                Deadline::begin(patience, time, &self.clients)
            });
        }
        let Some(Deadline {
            patience,
            sleep,
            stops,
        }) = &mut self.deadline
        else {
            return Time::Runs;
        };
        if *patience == Patience::Login && stops.as_mut().poll(context).is_ready() {
            self.deadline = None;
            self.input(
                round,
                Input::End(StreamError::new(StreamCondition::SystemShutdown)),
            );
            return Time::Passed;
        }
        if sleep.as_mut().poll(context).is_pending() {
            return Time::Runs;
        }
        let patience = *patience;
        self.deadline = None;
        self.input(round, Input::Deadline);
        match patience {
            Patience::Login | Patience::Answers => Time::Passed,
            Patience::Taking => Time::Ended,
        }
    }

    /// What is waited for now.
    fn patience(&self) -> Option<Patience> {
        match self.session.stage() {
            Stage::Unauthenticated | Stage::Authenticated => Some(Patience::Login),
            Stage::Bound => None,
            Stage::Leaving if self.session.awaits_answers() => Some(Patience::Answers),
            Stage::Leaving | Stage::Closed => Some(Patience::Taking),
        }
    }
}

impl Patience {
    fn time(self, settings: &Settings) -> Duration {
        match self {
            Patience::Login => settings.unauthenticated_time,
            Patience::Answers => ANSWERING_TIME,
            Patience::Taking => CLOSING_TIME,
        }
    }
}

impl Deadline {
    pub(super) fn begin(patience: Patience, time: Duration, clients: &Clients) -> Deadline {
        Deadline {
            patience,
            sleep: Box::pin(tokio::time::sleep(time)),
            stops: Box::pin(clients.stops()),
        }
    }
}
