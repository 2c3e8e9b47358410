//! `balcony presence explain VIEWER CONTACT` and `balcony poke JID --as CONTACT`. Both ask the running server: what was
//! told is known to nobody else.

use super::{Output, ask, configuration_of_running, misunderstood, say_json};
use crate::admin::{Poked, PresencePath, PresenceTold, Reply, Request};
use crate::cli::{Arguments, PresenceCommand};
use crate::report::{Exit, Report};
use crate::terminal::say;

pub(super) fn presence(
    arguments: &Arguments,
    command: &PresenceCommand,
    output: Output,
) -> Result<Exit, Report> {
    let PresenceCommand::Explain { viewer, contact } = command;
    let request = Request::PresenceExplain {
        viewer: viewer.clone(),
        contact: contact.clone(),
    };
    let reply = ask(&configuration_of_running(arguments)?, &request)?;
    let Reply::PresenceExplained(explained) = &reply else {
        return Err(misunderstood(&reply));
    };
    match output {
        Output::Machines => say_json(&reply),
        Output::People => {
            say(&explained.verdict);
            explained.told.iter().map(line).for_each(say);
            explained
                .reasons
                .iter()
                .map(|reason| format!("  {reason}"))
                .for_each(say);
        }
    }
    Ok(Exit::Fine)
}

fn line(told: &PresenceTold) -> String {
    let path = match told.path {
        PresencePath::Link => "from the other domain",
        PresencePath::Broadcast => "by broadcast",
        PresencePath::Directed => "by directed presence",
    };
    let mut line = format!("  {} was told: {} is {}, {path}", told.to, told.of, told.show);
    if let Some(since) = &told.since {
        line.push_str(&format!(", since {since}"));
    }
    for annotation in &told.annotations {
        line.push_str(&format!(", annotated {annotation}"));
    }
    if let Some(paused) = &told.paused {
        line.push_str(&format!(", paused since {paused}"));
        line.push_str(&cause(told.pause_cause.as_deref()));
    }
    match told.asks_for_annotations {
        Some(true) => line.push_str(" (its client asks for annotations)"),
        Some(false) => line.push_str(" (its client asks for no annotations)"),
        None => {}
    }
    line
}

/// In brackets, what keeps a paused session for its client.
pub(super) fn cause(word: Option<&str>) -> String {
    word.map(|word| format!(" ({word})")).unwrap_or_default()
}

/// The exit code says whether the user was found.
pub(super) fn poke(arguments: &Arguments, user: &str, contact: &str, output: Output) -> Result<Exit, Report> {
    let request = Request::Poke {
        user: user.to_owned(),
        contact: contact.to_owned(),
    };
    let reply = ask(&configuration_of_running(arguments)?, &request)?;
    let Reply::Poked(poked) = &reply else {
        return Err(misunderstood(&reply));
    };
    match output {
        Output::Machines => say_json(&reply),
        Output::People => say(answer(poked, user, contact)),
    }
    Ok(if poked.found.is_some() {
        Exit::Fine
    } else {
        Exit::Failed
    })
}

fn answer(poked: &Poked, user: &str, contact: &str) -> String {
    match (&poked.found, &poked.error) {
        (Some(found), _) => match &poked.method {
            Some(method) => format!("found at {found}, by {method}"),
            None => format!("found at {found}"),
        },
        (None, Some(error)) => {
            let code = poked.code.map(|code| format!(" ({code})")).unwrap_or_default();
            let text = poked
                .text
                .as_ref()
                .map(|text| format!(": {text}"))
                .unwrap_or_default();
            format!("{contact} is answered {error}{code}{text}")
        }
        (None, None) => format!("{contact} gets no answer about {user}"),
    }
}
