//! `balcony account …`: making, listing and removing accounts.

use super::{Output, ask_anyway, configuration, misunderstood, say_json};
use crate::admin::{Reply, Request};
use crate::cli::{AccountCommand, Arguments};
use crate::config::{AccountName, Configuration};
use crate::report::{Exit, Report};
use crate::terminal::{new_password, say};

pub(super) fn account(
    arguments: &Arguments,
    command: &AccountCommand,
    output: Output,
) -> Result<Exit, Report> {
    let configuration = configuration(arguments)?;
    let (request, done) = match command {
        AccountCommand::Add(add) => {
            local(&configuration, &add.account)?;
            let password = new_password(add.source())?;
            (
                Request::AccountAdd {
                    account: add.account.clone(),
                    password,
                },
                format!("{} can log in", add.account),
            )
        }
        AccountCommand::Passwd(change) => {
            local(&configuration, &change.account)?;
            let password = new_password(change.source())?;
            let done = format!("{} has a new password", change.account);
            (
                Request::AccountPassword {
                    account: change.account.clone(),
                    password,
                },
                done,
            )
        }
        AccountCommand::List { host } => (Request::AccountList { host: host.clone() }, String::new()),
        AccountCommand::Delete { account } => {
            local(&configuration, account)?;
            (
                Request::AccountDelete {
                    account: account.clone(),
                },
                format!("{account} is gone"),
            )
        }
    };
    let reply = ask_anyway(&configuration, &request, "account")?;
    match (&reply, output) {
        (Reply::Done | Reply::Accounts { .. }, Output::Machines) => say_json(&reply),
        (Reply::Done, Output::People) => say(done),
        (Reply::Accounts { accounts }, Output::People) => {
            for account in accounts {
                say(account.account.to_string());
            }
        }
        (Reply::Status(_), _) => return Err(misunderstood(&reply)),
    }
    Ok(Exit::Fine)
}

/// Accounts live on the hosts of the configuration: a slip in the domain is told before a password is asked for.
fn local(configuration: &Configuration, account: &AccountName) -> Result<(), Report> {
    if configuration.hosts.contains_key(account.host()) {
        return Ok(());
    }
    let hosts: Vec<&str> = configuration.hosts.keys().map(|host| host.as_str()).collect();
    Err(Report::wrong_use(
        format!("{} is no host of this server", account.host()),
        format!("Its hosts are: {}.", hosts.join(", ")),
    ))
}
