//! What can be asked. The same types on both sides of the socket, so that these cannot disagree.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{AccountName, HostName};
use crate::report::Report;

/// A command for a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// How is it?
    Status,
    /// A new account.
    AccountAdd {
        /// Its address; the host is one of the server's.
        account: AccountName,
        /// Its first password.
        password: Password,
    },
    /// A new password for an account. Its sessions stay.
    AccountPassword {
        /// Whose.
        account: AccountName,
        /// The new one.
        password: Password,
    },
    /// All accounts, or those of one host.
    AccountList {
        /// Whose accounts; of all hosts without it.
        host: Option<HostName>,
    },
    /// An account is removed with all it has; its sessions end.
    AccountDelete {
        /// Which.
        account: AccountName,
    },
    /// One account.
    AccountShow {
        /// Which.
        account: AccountName,
    },
    /// A setting of an account. One that is disabled loses its sessions.
    AccountSet {
        /// Which.
        account: AccountName,
        /// The setting.
        setting: AccountSetting,
    },
    /// Read the configuration and the certificates anew.
    Reload,
    /// Stop, gracefully.
    Drain {
        /// Whether sessions end for good instead of being kept for the next start.
        r#final: bool,
    },
    /// Sessions of an account, or all.
    SessionList {
        /// Whose.
        account: Option<AccountName>,
    },
    /// Would this stanza pass the privacy lists of both sides?
    PrivacyExplain {
        /// Who sends it.
        from: String,
        /// Who is to get it.
        to: String,
        /// What it is.
        kind: StanzaKind,
    },
    /// What was VIEWER told of CONTACT, and why?
    PresenceExplain {
        /// Who sees.
        viewer: String,
        /// Who is seen.
        contact: String,
    },
    /// Is a user there (XEP-0132)? Asked as a contact, with its rights.
    Poke {
        /// Who is looked for; a user of this server, or one session.
        user: String,
        /// As whom.
        contact: String,
    },
    /// One session ends, or all of an account.
    SessionKick {
        /// A full address, or a bare one for all.
        session: String,
    },
    /// All rooms: those that somebody is in, and those that stay.
    RoomList,
    /// One room.
    RoomShow {
        /// Its address.
        room: String,
    },
    /// A room ends (XEP-0045 §10.9).
    RoomDestroy {
        /// Its address.
        room: String,
        /// What those in it are told.
        reason: Option<String>,
    },
    /// Links to a domain, or all.
    LinkList {
        /// To which.
        domain: Option<HostName>,
    },
    /// Links to a domain with their last attempts. A domain that nothing is known of is tried first.
    LinkExplain {
        /// Which.
        domain: HostName,
    },
    /// Connect to a domain now.
    LinkConnect {
        /// Which.
        domain: HostName,
    },
    /// Close the streams to and from a domain.
    LinkDrop {
        /// Which.
        domain: HostName,
    },
}

/// What privacy lists tell apart (XEP-0016 §2.1), and requests, which they see as neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum StanzaKind {
    /// A message.
    Message,
    /// A question.
    Iq,
    /// That somebody is there, or not.
    Presence,
    /// A wish to see somebody's presence.
    Subscribe,
}

/// A setting of one account and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSetting {
    /// Which.
    pub flag: AccountFlag,
    /// Whether it is on.
    pub on: bool,
}

impl std::str::FromStr for AccountSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<AccountSetting, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or("write it as FLAG=VALUE, such as poke=off")?;
        let known = || AccountFlag::ALL.map(|(name, _)| name).join(", ");
        let flag = AccountFlag::ALL.iter().find(|(known, _)| *known == name);
        let (_, flag) = flag.ok_or_else(|| format!("there is no flag {name:?}; there are {}", known()))?;
        let on = match value {
            "on" | "true" | "yes" => true,
            "off" | "false" | "no" => false,
            _ => return Err(format!("{value:?} is neither on nor off")),
        };
        Ok(AccountSetting { flag: *flag, on })
    }
}

/// What an operator can say of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountFlag {
    /// Nobody can log in as it.
    Disabled,
    /// Its user has died.
    Deceased,
    /// The next of kin know.
    NextOfKinNotified,
    /// Its clients may be asked whether the user is there.
    Poke,
    /// Strangers may ask for attention.
    AttentionFromStrangers,
}

impl AccountFlag {
    /// All of them, by the names that operators type.
    pub const ALL: [(&'static str, AccountFlag); 5] = [
        ("disabled", AccountFlag::Disabled),
        ("deceased", AccountFlag::Deceased),
        ("next_of_kin_notified", AccountFlag::NextOfKinNotified),
        ("poke", AccountFlag::Poke),
        ("attention_from_strangers", AccountFlag::AttentionFromStrangers),
    ];
}

/// A password on its way. It is never shown, not even in a log of requests.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// Takes a password as it was typed.
    ///
    /// # Errors
    /// When there is none, or it cannot have been meant.
    pub fn new(text: String) -> Result<Password, Report> {
        let advice = "Give it on one line of standard input with --password-stdin, or type it when asked.";
        if text.is_empty() {
            return Err(Report::wrong_use("the password is empty", advice));
        }
        if text.contains(['\0', '\n', '\r']) {
            return Err(Report::wrong_use(
                "the password holds a line break or another character that cannot be typed",
                advice,
            ));
        }
        Ok(Password(text))
    }

    /// The password, for the one who turns it into a key.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(…)")
    }
}

/// Whose stanzas are to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceRequest {
    /// A full address, an account, or a domain.
    pub who: String,
}
