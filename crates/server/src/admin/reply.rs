//! What comes back, or why not. The same types on both sides of the socket, so that these cannot disagree.

use serde::{Deserialize, Serialize};

use super::links::Link;
use super::request::AccountSetting;
use crate::config::AccountName;
use crate::metrics::State;
use crate::report::Report;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// It is done, and will stay done.
    Done,
    /// How the server is.
    Status(Status),
    /// One account.
    Account(AccountDetails),
    /// Sessions, by account.
    Sessions {
        /// All that were asked for.
        sessions: Vec<Session>,
    },
    /// What came of reading the configuration anew.
    Reloaded(Reloaded),
    /// So many sessions were ended.
    Ended {
        /// How many.
        sessions: usize,
    },
    /// What the lists of the sender, and then of the recipient, say to a stanza.
    PrivacyExplained {
        /// One for each side that has its lists here.
        verdicts: Vec<PrivacyVerdict>,
    },
    /// What a viewer was told of a contact.
    PresenceExplained(PresenceExplained),
    /// What came of a poke.
    Poked(Poked),
    /// Rooms, in the order of their addresses.
    Rooms {
        /// All that were asked for.
        rooms: Vec<Room>,
    },
    /// Links, in the order of their domains.
    Links {
        /// All that were asked for.
        links: Vec<Link>,
    },
    /// Accounts, in the order of their addresses.
    Accounts {
        /// All that were asked for.
        accounts: Vec<Account>,
    },
}

/// Why a request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which kind of reason.
    pub kind: RefusalKind,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do, as a sentence; may be empty.
    pub advice: String,
}

impl Refusal {
    /// A refusal of this kind.
    pub fn new(kind: RefusalKind, message: impl Into<String>, advice: impl Into<String>) -> Refusal {
        Refusal {
            kind,
            message: message.into(),
            advice: advice.into(),
        }
    }
}

impl From<Refusal> for Report {
    fn from(refusal: Refusal) -> Report {
        match refusal.kind {
            RefusalKind::BadRequest => Report::wrong_use(refusal.message, refusal.advice),
            RefusalKind::NotFound | RefusalKind::Exists | RefusalKind::Failed => {
                Report::failed(refusal.message, refusal.advice)
            }
        }
    }
}

/// Kinds of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The request makes no sense.
    BadRequest,
    /// What it is about does not exist.
    NotFound,
    /// What it would make exists already.
    Exists,
    /// The server cannot do it now.
    Failed,
}

/// What one side of a stanza's way says to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivacyVerdict {
    /// Whose lists were asked.
    pub account: AccountName,
    /// Which way the stanza goes, seen from there.
    pub direction: Way,
    /// Whether it passes.
    pub passes: bool,
    /// The list that applies.
    pub list: Option<String>,
    /// Whether that list is active in the session, rather than the default.
    pub active: bool,
    /// The order of the rule that decides.
    pub order: Option<u32>,
    /// All of it, in words.
    pub explanation: String,
}

/// What a viewer was told of a contact, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceExplained {
    /// The whole of it in one sentence.
    pub verdict: String,
    /// What subscriptions, privacy lists and paths say to it.
    pub reasons: Vec<String>,
    /// What each session of the viewer's was told of each of the contact's.
    pub told: Vec<PresenceTold>,
}

/// What one client was told of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceTold {
    /// Who was told: a session of the viewer's, or the viewer where that is somewhere else.
    pub to: String,
    /// Of which session.
    pub of: String,
    /// `available`, `away`, `chat`, `dnd` or `xa`.
    pub show: String,
    /// The way it came.
    pub path: PresencePath,
    /// When it was said, or came from the other domain (UTC), if that is known.
    #[serde(default)]
    pub since: Option<String>,
    /// Annotations that were told with it: `server-unavailable`, `connection-paused`.
    pub annotations: Vec<String>,
    /// Since when the other side is paused (UTC), if that is known.
    pub paused: Option<String>,
    /// What keeps the other side's session for its client: `stream-management`, `bosh`.
    #[serde(default)]
    pub pause_cause: Option<String>,
    /// Whether the client asks for annotations, if that is known.
    pub asks_for_annotations: Option<bool>,
}

/// The way a presence came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresencePath {
    /// From another domain.
    Link,
    /// By the broadcast to subscribers.
    Broadcast,
    /// Directed at the viewer.
    Directed,
}

/// What came of a poke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poked {
    /// Where the user was found.
    pub found: Option<String>,
    /// The way in which the client has asked its user, if it says so.
    pub method: Option<String>,
    /// The condition of the error otherwise; without one either, the server stays silent towards such a contact.
    pub error: Option<String>,
    /// The legacy code of the error.
    pub code: Option<u16>,
    /// What the error says to people.
    pub text: Option<String>,
}

/// Which way a stanza goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From the user.
    Out,
    /// To the user.
    In,
}

/// One stanza on its way, without what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// When (UTC).
    pub time: String,
    /// Where it passes: `from client`, `to client`, `from server`, `to server`.
    pub border: String,
    /// `message`, `presence` or `iq`.
    pub stanza: String,
    /// Its `type`, if it has one.
    pub r#type: Option<String>,
    /// From whom.
    pub from: Option<String>,
    /// To whom.
    pub to: Option<String>,
    /// Its `id`.
    pub id: Option<String>,
    /// The condition, if it is an error.
    pub error: Option<String>,
    /// Its children: `body (jabber:client)`.
    pub children: Vec<String>,
    /// Its size.
    pub bytes: usize,
    /// How many before it could not be shown, because they passed too fast.
    pub missed: u64,
}

/// What came of reading the configuration anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Settings that are in force now, by their full names.
    pub changed: Vec<String>,
    /// Settings that were changed in the file and wait for a restart.
    pub waiting_for_restart: Vec<String>,
    /// What is wrong with certificates, each with what to do.
    pub problems: Vec<String>,
}

/// One page of health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the running server.
    pub version: String,
    /// The number of its process.
    pub process: u32,
    /// For how long it has been running.
    pub uptime_seconds: u64,
    /// Where it is in its life.
    pub state: State,
    /// What keeps clients away; empty when it is ready for them.
    pub obstacles: Vec<String>,
    /// Where it listens.
    pub listeners: Vec<ListenerStatus>,
    /// Its domains.
    pub hosts: Vec<HostStatus>,
    /// What keeps its data, such as `SQLite, /var/lib/balcony/balcony.db`.
    pub database: String,
    /// Other domains that cannot be reached now.
    #[serde(default)]
    pub unreachable: Vec<String>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerStatus {
    /// What for, by the name of the setting: `c2s.listen`.
    pub setting: String,
    /// Where.
    pub address: String,
}

/// One domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostStatus {
    /// Its name.
    pub host: String,
    /// How many accounts it has.
    pub accounts: u64,
    /// How many sessions it has.
    pub sessions: u64,
    /// Those of them that wait for their clients to come back.
    #[serde(default)]
    pub paused: u64,
}

/// One account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its address.
    pub account: AccountName,
}

/// All that is told of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountDetails {
    /// Its address.
    pub account: AccountName,
    /// Each flag, and whether it is on.
    pub flags: Vec<AccountSetting>,
    /// Contacts on its roster.
    pub contacts: usize,
    /// Messages that wait for it.
    pub waiting: usize,
    /// Its sessions.
    pub sessions: Vec<Session>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its full address.
    pub address: String,
    /// Its priority, when it is available.
    pub priority: Option<i8>,
    /// Stanzas that wait for its client, or are not acknowledged.
    pub waiting: usize,
    /// Since when (UTC).
    pub since: String,
    /// Since when its client is away and may come back to it (UTC), if it is.
    #[serde(default)]
    pub paused: Option<String>,
    /// What keeps it for its client: `stream-management`, `bosh`.
    #[serde(default)]
    pub pause_cause: Option<String>,
}

/// One room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Its address.
    pub room: String,
    /// What people call it; may be empty.
    pub name: String,
    /// Whether it is in the list of rooms.
    pub public: bool,
    /// Whether only members may enter.
    pub members_only: bool,
    /// Whether newcomers cannot speak.
    pub moderated: bool,
    /// Whether a password is needed.
    pub password_protected: bool,
    /// Whether it stays when nobody is in it.
    #[serde(default)]
    pub persistent: bool,
    /// Who made it.
    #[serde(default)]
    pub creator: Option<String>,
    /// How many are in it.
    pub occupants: usize,
    /// How many clients they have there; one occupant may have several.
    pub clients: usize,
    /// Occupants whose servers cannot be reached.
    #[serde(default)]
    pub unreachable: usize,
    /// Occupants whose clients have no connection for now.
    #[serde(default)]
    pub paused: usize,
}
