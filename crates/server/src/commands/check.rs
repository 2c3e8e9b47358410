//! `balcony check`: finds what is wrong before anybody else does.

use serde::Serialize;

use super::{Output, say_json};
use crate::cli::Arguments;
use crate::config::{Configuration, Problems, Severity};
use crate::inspection::inspect;
use crate::report::{Exit, Report};
use crate::terminal::say;

#[derive(Serialize)]
struct Findings<'p> {
    fine: bool,
    #[serde(flatten)]
    problems: &'p Problems,
}

pub(super) fn check(arguments: &Arguments, output: Output) -> Result<Exit, Report> {
    let file = arguments.configuration_file()?;
    let problems = match Configuration::load(&file) {
        Ok(loaded) => {
            let mut problems = loaded.warnings.clone();
            problems.extend(inspect(&loaded));
            problems
        }
        Err(problems) => problems,
    };
    let fine = !problems.prevent_start();
    match output {
        Output::Machines => say_json(&Findings {
            fine,
            problems: &problems,
        }),
        Output::People if problems.is_empty() => say(format!("{}: nothing is wrong", file.display())),
        Output::People => {
            say(problems.to_string());
            say(summary(&problems));
        }
    }
    Ok(if fine { Exit::Fine } else { Exit::Failed })
}

fn summary(problems: &Problems) -> String {
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    let warnings = problems.iter().count() - errors;
    match (errors, warnings) {
        (0, _) => format!("The server can start; warnings: {warnings}."),
        (_, 0) => format!("The server cannot start like this; errors: {errors}."),
        (_, _) => format!("The server cannot start like this; errors: {errors}, warnings: {warnings}."),
    }
}
