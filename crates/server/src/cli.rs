//! The command line: what can be typed. What it does stands in `commands`.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::admin::{AccountSetting, StanzaKind};
use crate::config::{AccountName, HostName};
use crate::report::Report;
use crate::terminal::PasswordSource;

/// Balcony, an XMPP server.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "balcony", version = VERSION, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The configuration [default: $BALCONY_CONFIG, else ./balcony.toml, else /etc/balcony/balcony.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Output for machines
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the server in the foreground
    Run(RunArguments),
    /// See what it is about: two servers and three clients in this process, a link that is cut and mended, a session that
    /// is paused and resumed, a poke that is answered
    Demo,
    /// Find what is wrong before anybody else does, and say what to do
    Check,
    /// Show how the running server is
    Status,
    /// Read configuration and certificates anew without a restart, and say what needs one
    Reload,
    /// Show stanzas as they pass, without what is in them, until Ctrl-C
    Trace {
        /// Whose: romeo@montague.lit/orchard, romeo@montague.lit, or a domain, local or not
        #[arg(value_name = "JID-or-DOMAIN")]
        who: String,
    },
    /// Stop the server gracefully; it is done when the server has ended
    Drain {
        /// End all sessions for good; without it what can be resumed is kept for the next start
        #[arg(long)]
        r#final: bool,
    },
    /// Make, list and remove accounts
    #[command(subcommand)]
    Account(AccountCommand),
    /// See who is connected, and end sessions
    #[command(subcommand)]
    Session(SessionCommand),
    /// See what somebody was told of somebody else's presence
    #[command(subcommand)]
    Presence(PresenceCommand),
    /// Ask whether a user is really there (XEP-0132), as one of the contacts and with its rights
    Poke {
        /// Who is looked for: juliet@capulet.lit, or one session of hers
        #[arg(value_name = "JID")]
        user: String,
        /// As whom: what this contact may not know is not told
        #[arg(long = "as", value_name = "CONTACT")]
        contact: String,
    },
    /// See what privacy lists and blocking do
    #[command(subcommand)]
    Privacy(PrivacyCommand),
    /// See which rooms there are, and end them
    #[command(subcommand)]
    Room(RoomCommand),
    /// See how other domains are reached, and why not
    #[command(subcommand)]
    Link(LinkCommand),
}

/// What can be asked of presence.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum PresenceCommand {
    /// Tell what VIEWER was told of CONTACT, by which way, and why: subscriptions, privacy lists, annotations
    Explain {
        /// Who sees: romeo@montague.lit
        #[arg(value_name = "VIEWER")]
        viewer: String,
        /// Who is seen: juliet@capulet.lit; one of the two lives here
        #[arg(value_name = "CONTACT")]
        contact: String,
    },
}

/// What can be asked of privacy lists.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum PrivacyCommand {
    /// Say whether a stanza would pass, and which rule decides, at the sender and at the recipient
    Explain {
        /// Who would send it: romeo@montague.lit, or one session of his
        #[arg(value_name = "FROM")]
        from: String,
        /// Who would get it
        #[arg(value_name = "TO")]
        to: String,
        /// What it would be
        #[arg(value_name = "KIND")]
        kind: StanzaKind,
    },
}

/// What can be done with links to other domains.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum LinkCommand {
    /// List all links and how they are
    List,
    /// Tell step by step why a domain can be reached or not, and who must fix what; tries, if nothing is known
    Explain {
        /// Which domain
        #[arg(value_name = "DOMAIN")]
        domain: HostName,
    },
    /// Connect to a domain now, whatever was found before
    Connect {
        /// Which domain
        #[arg(value_name = "DOMAIN")]
        domain: HostName,
    },
    /// Close the streams to and from a domain; they come back when somebody needs them
    Drop {
        /// Which domain
        #[arg(value_name = "DOMAIN")]
        domain: HostName,
    },
}

/// What can be done with rooms.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum RoomCommand {
    /// List all rooms
    List,
    /// Show one room: what it is called, who may enter, how many are in it
    Show {
        /// Which: garden@rooms.montague.lit
        #[arg(value_name = "ROOM")]
        room: String,
    },
    /// End a room; everybody in it is told and put out
    Destroy {
        /// Which: garden@rooms.montague.lit
        #[arg(value_name = "ROOM")]
        room: String,
        /// What those in it are told
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

/// What can be done with sessions.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum SessionCommand {
    /// List the sessions of one account, or all
    List {
        /// Whose sessions
        #[arg(value_name = "JID")]
        account: Option<AccountName>,
    },
    /// End one session, or all of an account; the client may come back
    Kick {
        /// Which: romeo@montague.lit/orchard, or romeo@montague.lit for all
        #[arg(value_name = "JID")]
        session: String,
    },
}

/// What can be done with accounts.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum AccountCommand {
    /// Make an account
    Add(NewPassword),
    /// Change the password of an account
    Passwd(NewPassword),
    /// List all accounts, or those of one host
    List {
        /// Whose accounts
        #[arg(value_name = "HOST")]
        host: Option<HostName>,
    },
    /// Show one account: its settings, contacts, waiting messages, sessions
    Show {
        /// Which account
        #[arg(value_name = "JID")]
        account: AccountName,
    },
    /// Change a setting of an account: disabled, deceased, next_of_kin_notified, poke, attention_from_strangers
    Set {
        /// Which account
        #[arg(value_name = "JID")]
        account: AccountName,
        /// Which setting and its value, such as poke=off
        #[arg(value_name = "FLAG=VALUE")]
        setting: AccountSetting,
    },
    /// Let nobody log in as this account, and end its sessions; `set JID disabled=off` undoes it
    Disable {
        /// Which account
        #[arg(value_name = "JID")]
        account: AccountName,
    },
    /// Remove an account with all it has: contacts, waiting messages, private data
    Delete {
        /// Which account
        #[arg(value_name = "JID")]
        account: AccountName,
    },
}

/// An account and where its new password comes from.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct NewPassword {
    /// Which account, such as romeo@montague.lit
    #[arg(value_name = "JID")]
    pub account: AccountName,
    /// Read the password from standard input (its first line) instead of asking for it
    #[arg(long)]
    pub password_stdin: bool,
}

/// How the server is started.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct RunArguments {
    /// Run on loopback with no set-up: host localhost, accounts romeo and juliet, a certificate of its own
    #[arg(long, conflicts_with = "config")]
    pub dev: bool,
    /// Where such a server keeps its data [default: a new temporary directory]
    #[arg(long, value_name = "DIR", requires = "dev")]
    pub data: Option<PathBuf>,
}

impl NewPassword {
    /// Where the password comes from.
    pub fn source(&self) -> PasswordSource {
        if self.password_stdin {
            PasswordSource::StandardInput
        } else {
            PasswordSource::Terminal
        }
    }
}

impl Arguments {
    /// The configuration file: the one that was named here or in the environment, else the first that is there.
    ///
    /// # Errors
    /// When none is there.
    pub fn configuration_file(&self) -> Result<PathBuf, Report> {
        let named = self
            .config
            .clone()
            .or_else(|| std::env::var_os("BALCONY_CONFIG").map(PathBuf::from));
        if let Some(named) = named.filter(|named| !named.as_os_str().is_empty()) {
            return Ok(named);
        }
        let usual = USUAL_PLACES.iter().map(Path::new).find(|place| place.exists());
        usual.map(Path::to_path_buf).ok_or_else(|| {
            Report::failed(
                format!(
                    "there is no configuration: neither {}",
                    USUAL_PLACES.join(" nor ")
                ),
                "Name it with --config FILE, or begin with a copy of config/balcony.toml.",
            )
        })
    }
}

const USUAL_PLACES: [&str; 2] = ["balcony.toml", "/etc/balcony/balcony.toml"];

const EXIT_CODES: &str = "Exit codes: 0 fine, 1 it failed, 2 wrong use, 3 the server is not running.";

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BALCONY_COMMIT"), ")");

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::try_parse_from(line.split(' ')).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_table_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn common_options_stand_before_or_behind_the_command() {
        let expected = Arguments {
            config: Some("b.toml".into()),
            json: true,
            command: Command::Check,
        };
        for line in [
            "balcony --config b.toml --json check",
            "balcony check --json --config b.toml",
        ] {
            assert_eq!(parse(line), Ok(expected.clone()));
        }
    }

    #[test]
    fn accounts_are_prepared() {
        let Ok(Arguments {
            command: Command::Account(AccountCommand::Add(add)),
            ..
        }) = parse("balcony account add Romeo@Montague.LIT --password-stdin")
        else {
            panic!("not taken");
        };
        assert_eq!(add.account.to_string(), "romeo@montague.lit");
        assert_eq!(add.source(), PasswordSource::StandardInput);
    }

    #[test]
    fn an_address_that_is_no_account_is_told_why() {
        for (address, reason) in [
            ("montague.lit", "\"montague.lit\" is a domain, not an account"),
            (
                "romeo@montague.lit/orchard",
                "names one connected client, not an account",
            ),
            ("romeo@", "\"romeo@\" is no address: "),
            ("romeo@192.0.2.1", "\"192.0.2.1\" is an IP address"),
        ] {
            let told = parse(&format!("balcony account delete {address}")).unwrap_err();
            assert!(told.contains(reason), "{told}");
        }
    }

    /// As it will stand in the table of commands.
    #[derive(Debug, Parser)]
    struct Run {
        #[arg(long)]
        config: Option<PathBuf>,
        #[command(flatten)]
        run: RunArguments,
    }

    #[test]
    fn a_data_directory_is_for_dev_servers_which_need_no_configuration() {
        let run = Run::try_parse_from(["run", "--dev", "--data", "d"]).unwrap();
        assert_eq!(
            run.run,
            RunArguments {
                dev: true,
                data: Some("d".into())
            }
        );
        assert!(run.config.is_none());
        assert!(Run::try_parse_from(["run", "--data", "d"]).is_err());
        assert!(Run::try_parse_from(["run", "--dev", "--config", "b.toml"]).is_err());
    }
}
