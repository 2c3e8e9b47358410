//! What the commands do.

mod account;
mod check;
mod life;
mod link;
mod presence;
mod privacy;
mod room;
mod session;
mod status;
mod trace;

use serde::Serialize;

use crate::admin::{Client, Reply, Request};
use crate::cli::{Arguments, Command};
use crate::config::Configuration;
use crate::report::{Exit, Report};
use crate::service;
use crate::terminal::{complain, say};

/// For whom a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    People,
    Machines,
}

/// Carries out a command and tells what came of it.
pub fn perform(arguments: &Arguments) -> Exit {
    let output = if arguments.json {
        Output::Machines
    } else {
        Output::People
    };
    let outcome = match &arguments.command {
        Command::Run(run) if run.dev => service::run_dev(run.data.as_deref()),
        Command::Run(_) => arguments
            .configuration_file()
            .and_then(|file| service::run(&file)),
        Command::Demo => service::demo(match output {
            Output::People => service::Show::Text,
            Output::Machines => service::Show::Json,
        }),
        Command::Check => check::check(arguments, output),
        Command::Reload => life::reload(arguments, output),
        Command::Trace { who } => trace::trace(arguments, who, output),
        Command::Drain { r#final } => life::drain(arguments, *r#final, output),
        Command::Status => status::status(arguments, output),
        Command::Account(command) => account::account(arguments, command, output),
        Command::Presence(command) => presence::presence(arguments, command, output),
        Command::Poke { user, contact } => presence::poke(arguments, user, contact, output),
        Command::Privacy(command) => privacy::privacy(arguments, command, output),
        Command::Session(command) => session::session(arguments, command, output),
        Command::Room(command) => room::room(arguments, command, output),
        Command::Link(command) => link::link(arguments, command, output),
    };
    outcome.unwrap_or_else(|report| {
        match output {
            Output::People => complain(format!("balcony: {report}")),
            Output::Machines => say_json(&Failure { error: &report }),
        }
        report.exit
    })
}

#[derive(Serialize)]
struct Failure<'r> {
    error: &'r Report,
}

/// Writes one JSON object on a line of its own.
fn say_json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => say(text),
        Err(error) => complain(format!("balcony: the answer cannot be written as JSON: {error}")),
    }
}

/// Tells what a list has, a line each. Whoever reads nothing wants to know that nothing is the answer; it goes to standard
/// error, so that a script that counts lines counts right.
fn say_all<T>(list: &[T], line: impl Fn(&T) -> String, empty: &str) {
    if list.is_empty() {
        complain(empty);
    }
    list.iter().map(line).for_each(say);
}

/// The configuration that the command is about. Warnings are for `check` and the log of the server.
fn configuration(arguments: &Arguments) -> Result<Configuration, Report> {
    let file = arguments.configuration_file()?;
    match Configuration::load(&file) {
        Ok(loaded) => Ok(loaded.configuration),
        Err(problems) => Err(Report::failed(problems.to_string(), "")),
    }
}

/// The configuration of a server that runs and shall be asked something: it was read before somebody made a mistake in the
/// file, and this is when its operator needs to see how it is.
fn configuration_of_running(arguments: &Arguments) -> Result<Configuration, Report> {
    configuration(arguments).or_else(|report| {
        let understood = Configuration::load_what_can_be_understood(&arguments.configuration_file()?);
        let Some(understood) = understood.filter(|understood| understood.admin_socket().exists()) else {
            return Err(report);
        };
        complain(format!(
            "{report}\nA running server goes on with what it has read before."
        ));
        Ok(understood)
    })
}

/// Has a request carried out by the running server.
fn ask(configuration: &Configuration, request: &Request) -> Result<Reply, Report> {
    let outcome = runtime()?.block_on(Client::new(&configuration.admin_socket()).ask(request))?;
    outcome.map_err(Report::from)
}

/// Has a request carried out by the running server or, when none runs, on the database itself.
fn ask_anyway(configuration: &Configuration, request: &Request, purpose: &str) -> Result<Reply, Report> {
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        match Client::new(&configuration.admin_socket())
            .ask(request)
            .await
            .map_err(Report::from)
        {
            Err(report) if report.exit == Exit::NotRunning => {
                service::without_server(configuration, request.clone(), purpose).await
            }
            Err(report) => Err(report),
            Ok(outcome) => outcome.map_err(Report::from),
        }
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    outcome
}

fn runtime() -> Result<tokio::runtime::Runtime, Report> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Report::failed(format!("cannot start: {error}"), ""))
}

/// What to say when a server answers another question than the one that was asked.
fn misunderstood(reply: &Reply) -> Report {
    let kind = match reply {
        Reply::Done => "done",
        Reply::Status(_) => "status",
        Reply::Accounts { .. } => "accounts",
        Reply::Account(_) => "account",
        Reply::Sessions { .. } => "sessions",
        Reply::Ended { .. } => "ended",
        Reply::PrivacyExplained { .. } => "privacy_explained",
        Reply::PresenceExplained(_) => "presence_explained",
        Reply::Poked(_) => "poked",
        Reply::Reloaded(_) => "reloaded",
        Reply::Rooms { .. } => "rooms",
        Reply::Links { .. } => "links",
    };
    Report::failed(
        format!("the server answered something else (\"{kind}\")"),
        "The command line and the server should be of the same version.",
    )
}
