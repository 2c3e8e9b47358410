//! `balcony account …`: making, listing and removing accounts.

use super::{Output, ask_anyway, configuration, misunderstood, say_all, say_json};
use crate::admin::{AccountDetails, AccountFlag, AccountSetting, Reply, Request};
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
        AccountCommand::Show { account } => {
            local(&configuration, account)?;
            (
                Request::AccountShow {
                    account: account.clone(),
                },
                String::new(),
            )
        }
        AccountCommand::Set { account, setting } => {
            local(&configuration, account)?;
            (
                Request::AccountSet {
                    account: account.clone(),
                    setting: *setting,
                },
                format!("{account} is changed"),
            )
        }
        AccountCommand::Disable { account } => {
            local(&configuration, account)?;
            (
                Request::AccountSet {
                    account: account.clone(),
                    setting: AccountSetting {
                        flag: AccountFlag::Disabled,
                        on: true,
                    },
                },
                format!("nobody can log in as {account} any more"),
            )
        }
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
        (Reply::Done | Reply::Accounts { .. } | Reply::Account(_), Output::Machines) => say_json(&reply),
        (Reply::Account(details), Output::People) => say(page(details)),
        (Reply::Done, Output::People) => say(done),
        (Reply::Accounts { accounts }, Output::People) => say_all(
            accounts,
            |account| account.account.to_string(),
            "there are no accounts; `balcony account add JID` makes one",
        ),
        (
            Reply::Status(_)
            | Reply::Sessions { .. }
            | Reply::Ended { .. }
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

fn page(details: &AccountDetails) -> String {
    let mut lines = vec![format!(
        "{}: {} contacts, {} messages wait",
        details.account, details.contacts, details.waiting
    )];
    for (name, flag) in AccountFlag::ALL {
        let is_on = details
            .flags
            .iter()
            .any(|setting| setting.flag == flag && setting.on);
        lines.push(format!("  {name} = {}", if is_on { "on" } else { "off" }));
    }
    lines.extend(
        details
            .sessions
            .iter()
            .map(|session| format!("  {}", super::session::line(session))),
    );
    lines.join("\n")
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
