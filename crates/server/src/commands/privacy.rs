//! `balcony privacy explain FROM TO KIND`: the deciding rule, in both directions.

use super::{Output, ask_anyway, configuration, misunderstood, say_json};
use crate::admin::{PrivacyVerdict, Reply, Request, Way};
use crate::cli::{Arguments, PrivacyCommand};
use crate::report::{Exit, Report};
use crate::terminal::say;

pub(super) fn privacy(
    arguments: &Arguments,
    command: &PrivacyCommand,
    output: Output,
) -> Result<Exit, Report> {
    let PrivacyCommand::Explain { from, to, kind } = command;
    let request = Request::PrivacyExplain {
        from: from.clone(),
        to: to.clone(),
        kind: *kind,
    };
    let reply = ask_anyway(&configuration(arguments)?, &request, "privacy explain")?;
    let Reply::PrivacyExplained { verdicts } = &reply else {
        return Err(misunderstood(&reply));
    };
    match output {
        Output::Machines => say_json(&reply),
        Output::People => verdicts.iter().map(line).for_each(say),
    }
    Ok(Exit::Fine)
}

fn line(verdict: &PrivacyVerdict) -> String {
    let way = match verdict.direction {
        Way::Out => "out of",
        Way::In => "into",
    };
    format!("{way} {}: {}", verdict.account, verdict.explanation)
}
