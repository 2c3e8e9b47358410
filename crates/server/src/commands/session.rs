//! `balcony session …`: who is connected, and ending sessions.

use super::{Output, ask, configuration_of_running, misunderstood, say_all, say_json};
use crate::admin::{Reply, Request, Session};
use crate::cli::{Arguments, SessionCommand};
use crate::report::{Exit, Report};
use crate::terminal::say;

pub(super) fn session(
    arguments: &Arguments,
    command: &SessionCommand,
    output: Output,
) -> Result<Exit, Report> {
    let request = match command {
        SessionCommand::List { account } => Request::SessionList {
            account: account.clone(),
        },
        SessionCommand::Kick { session } => Request::SessionKick {
            session: session.clone(),
        },
    };
    let reply = ask(&configuration_of_running(arguments)?, &request)?;
    match (&reply, output) {
        (Reply::Sessions { .. } | Reply::Ended { .. }, Output::Machines) => say_json(&reply),
        (Reply::Sessions { sessions }, Output::People) => say_all(sessions, line, "nobody is connected"),
        (Reply::Ended { sessions: 1 }, Output::People) => say("1 session was ended"),
        (Reply::Ended { sessions }, Output::People) => say(format!("{sessions} sessions were ended")),
        (
            Reply::Done
            | Reply::Status(_)
            | Reply::Accounts { .. }
            | Reply::Account(_)
            | Reply::PrivacyExplained { .. }
            | Reply::PresenceExplained(_)
            | Reply::Poked(_)
            | Reply::Rooms { .. }
            | Reply::Reloaded(_)
            | Reply::Links { .. },
            _,
        ) => {
            return Err(misunderstood(&reply));
        }
    }
    Ok(Exit::Fine)
}

/// One session on one line.
pub(super) fn line(session: &Session) -> String {
    let presence = match session.priority {
        Some(priority) => format!("priority {priority}"),
        None => String::from("not available"),
    };
    let waiting = match session.waiting {
        0 => String::new(),
        waiting => format!(", {waiting} stanzas wait"),
    };
    let paused = match &session.paused {
        Some(paused) => {
            let cause = super::presence::cause(session.pause_cause.as_deref());
            format!(", paused since {paused}{cause}")
        }
        None => String::new(),
    };
    format!(
        "{}  {presence}, since {}{paused}{waiting}",
        session.address, session.since
    )
}
