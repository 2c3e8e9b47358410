//! What can happen to an account, what it wants to be kept, and what it wants to happen.

use std::sync::Arc;
use std::time::Duration;

use features::{Action, Facts, LastSeen, Record, Setback, Write};
use machine::{Moment, Rate, Timestamp};
use stanza::{Address, Condition, Kind, Parcel, Stanza, StreamError};
use stream_management::{Entry, EntryId, Mailbox, Receipt, Released, Signal, StoredId};

use crate::figures::{IqPoke, Origin, SelfPing, Suppression, Wish};
use crate::{HeldRow, KeptSession, Passed, PresenceCount, PresenceView, PrivacyTally, RosterOperation};

/// Names one session of the server for as long as the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// What can happen to an account.
#[derive(Debug)]
pub enum Input {
    /// A client has logged in and wants a resource (RFC 6120 §7). Answered by a signal to the mailbox.
    Bind {
        /// The new session.
        session: SessionId,
        /// The resource that the client asks for; the server makes one up otherwise.
        resource: Option<String>,
        /// The session's mailbox.
        mailbox: Arc<Mailbox>,
    },
    /// A session sends a stanza. Its `from` is the session's full address.
    Outbound {
        /// The sending session.
        session: SessionId,
        /// What it sends; no `to` means the account itself, or for presence a broadcast.
        stanza: Stanza,
        /// The promise to be kept, if the session counts.
        receipt: Option<Receipt>,
    },
    /// A stanza arrives for this account or one of its resources.
    Inbound {
        /// What arrives; always has `from` and `to`.
        parcel: Parcel,
        /// The sender's promise, if it is still open.
        receipt: Option<Receipt>,
    },
    /// Entries have left a mailbox: their rows are no longer needed.
    Released(Released),
    /// An entry could not be put in a mailbox.
    Undelivered(Box<Entry>),
    /// A mailbox has gone beyond its limits.
    Overflowed(SessionId),
    /// A session's connection is gone.
    Ended {
        /// The session.
        session: SessionId,
        /// Its mailbox, for whoever has to empty it when the account is gone too.
        mailbox: Arc<Mailbox>,
        /// How it ended.
        end: End,
    },
    /// From now on the session can be resumed (XEP-0198 §5).
    Resumable {
        /// The session.
        session: SessionId,
        /// The unguessable name under which it can.
        id: String,
        /// For how long after its connection broke.
        time: Duration,
    },
    /// Another connection wants to go on with a session (XEP-0198 §5). Answered by a signal to its mailbox.
    Resume {
        /// Of the new connection: the session is known by it from now on.
        session: SessionId,
        /// Under which name it can be resumed.
        id: String,
        /// So many stanzas has the client handled.
        handled: u32,
        /// Where the answer is put.
        mailbox: Arc<Mailbox>,
    },
    /// A session's client said that it will not be there for a while, and its connection remains (BOSH).
    Paused {
        /// The session.
        session: SessionId,
        /// Why.
        cause: PauseCause,
    },
    /// A session that was paused so is back.
    Continued(SessionId),
    /// What [`Effect::LoadWaiting`] asked for.
    Waiting(Result<Vec<WaitingRow>, Unavailable>),
    /// What [`Effect::Load`] or [`Effect::Act`] asked for.
    Loaded(Loaded),
    /// A moment has come that [`Effect::WakeAt`] asked for.
    Wake(Key),
    /// The path to another domain that [`Effect::Watch`] asked about: as it is now, and at every change.
    Path {
        /// Which domain.
        domain: Address,
        /// How it is.
        path: Path,
    },
    /// An operator asks.
    Admin(AdminRequest),
}

/// The path to another domain (PSA-22, PSA-29).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// What is known of the domain's presence is true, as far as this server knows.
    Clear,
    /// It is, but a connection broke before that, and what was on its way may be lost.
    Renewed,
    /// It may not be, for this reason; a word from the label `reason` of `xmpp_s2s_state_changes_total`.
    Broken(&'static str),
}

/// The store cannot answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unavailable;

/// What [`Effect::Load`] or [`Effect::Act`] led to.
#[derive(Debug)]
pub struct Loaded {
    /// As given with the effect.
    pub ticket: u64,
    /// The blob, if one was asked for and there is one.
    pub outcome: Result<Option<Vec<u8>>, Setback>,
}

/// Why a session is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PauseCause {
    /// The connection broke, and the session can be resumed (XEP-0198 §5).
    #[default]
    ConnectionLost,
    /// The client asked for it (XEP-0124 §10).
    Asked,
}

impl PauseCause {
    /// The word by which operators know it: what keeps the session for its client.
    pub fn word(self) -> &'static str {
        match self {
            PauseCause::ConnectionLost => "stream-management",
            PauseCause::Asked => "bosh",
        }
    }
}

/// A pause as an operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PauseView {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub cause: PauseCause,
}

/// How many sessions an account has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionCount {
    /// With a connection at work.
    pub active: usize,
    /// Without a connection, waiting for their clients.
    pub paused_management: usize,
    /// Whose clients said that they will be silent for a while.
    pub paused_bosh: usize,
}

impl SessionCount {
    /// All of them.
    pub fn all(self) -> usize {
        self.active + self.paused_management + self.paused_bosh
    }
}

/// How the pause of a session ended; a label of `xmpp_sm_pause_seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseEnd {
    /// The client came back.
    Resumed,
    /// The client did not come back in time, or too much waited for it.
    Expired,
    /// Another session has its resource, or somebody has ended it.
    Replaced,
}

/// Where what a client did not acknowledge has gone; a label of `xmpp_sm_redelivered_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redelivered {
    /// To the client, once more or to another of the user's.
    Client,
    /// To the store.
    Offline,
    /// Back to its sender.
    Bounced,
}

/// Something that is only counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tally {
    /// A session is paused.
    Paused,
    /// It is no longer.
    PauseEnded(PauseEnd, Duration),
    /// A session goes on with another connection.
    Resumed,
    /// Something of the presence engine.
    Presence(PresenceCount),
    /// The account has answered a stanza with an error of this kind.
    Error(Kind, Condition),
    /// So many annotations were not sent.
    Suppressed(Suppression, usize),
    /// The first client of this account was told that this domain cannot be reached.
    LinkAnnotated(Address),
    /// A pause was told, so long after it began.
    PauseAnnotated(PauseCause, Duration),
    /// Presence of a user, or for one, has changed.
    Update(Origin),
    /// A change was sent to so many.
    Broadcast(usize),
    /// So many clients were asked because of one poke.
    PokeAsked(usize),
    /// A poke was answered so, and took so long.
    PokeAnswered(PresenceCount, Duration),
    /// A poke between clients was answered.
    PokeByIq(IqPoke),
    /// What became of a wish to see the user's presence.
    Decloak(presence::Decloak, Wish),
    /// A room elsewhere was asked whether a session is still in.
    SelfPing(SelfPing),
    /// The door has decided so, so often.
    Privacy(PrivacyTally, u32),
    /// A client wanted something of its roster.
    Roster(RosterOperation),
    /// So many stanzas that a client did not acknowledge have gone there.
    Redelivered(Redelivered, usize),
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client closed its stream.
    Closed,
    /// The connection broke: the session may be resumed, if that was agreed upon.
    Lost,
}

/// What an operator may ask of an account. The answer goes through the given function, once.
pub enum AdminRequest {
    /// Its sessions.
    Sessions(Box<dyn FnOnce(Vec<SessionView>) + Send>),
    /// Why its privacy lists let a stanza pass, or not.
    ExplainPrivacy(PrivacyQuestion, Box<dyn FnOnce(privacy::Explanation) + Send>),
    /// What it knows of the presence between the user and somebody else.
    ExplainPresence(Address, Box<dyn FnOnce(PresenceView) + Send>),
    /// Ask whether the user is there, in the name of the first address and with its rights: the user, or one session of
    /// the user's, by the second. Gives what would have been answered; nothing where the server stays silent.
    Poke(Address, Address, Box<dyn FnOnce(Option<Parcel>) + Send>),
    /// End the session with this resource, or all, with this error: gives how many.
    End(Option<String>, StreamError, Box<dyn FnOnce(usize) + Send>),
    /// The account is about to be removed: end all its subscriptions, in both directions (XEP-0077 §3.2).
    CancelSubscriptions(Box<dyn FnOnce() + Send>),
    /// The account was deleted or disabled: end all sessions with this error, and forget it.
    Expel(StreamError, Box<dyn FnOnce(usize) + Send>),
    /// An account was made where there was none: what comes next is for the one in the store.
    Made,
    /// Its flags were changed in the store.
    SetFlags(Flags),
    /// The server stops for a while: sessions that can be resumed lose their connections, the others end.
    Suspend,
    /// The server stops: what its sessions have not acknowledged gets durable copies.
    Settle(Box<dyn FnOnce() + Send>),
    /// The server stops: gives what is to be kept of the sessions that wait to be resumed, which are forgotten here.
    Keep(Box<dyn FnOnce(Vec<KeptSession>) + Send>),
    /// The server has started: sessions that were kept wait again to be resumed.
    Restore(Vec<(SessionId, KeptSession)>),
    /// The server has started: whoever elsewhere holds the presence of sessions that are gone is told.
    TellVanished,
}

impl std::fmt::Debug for AdminRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AdminRequest::Sessions(_) => "Sessions",
            AdminRequest::ExplainPrivacy(..) => "ExplainPrivacy",
            AdminRequest::ExplainPresence(..) => "ExplainPresence",
            AdminRequest::Poke(..) => "Poke",
            AdminRequest::End(..) => "End",
            AdminRequest::CancelSubscriptions(_) => "CancelSubscriptions",
            AdminRequest::Expel(..) => "Expel",
            AdminRequest::Made => "Made",
            AdminRequest::SetFlags(_) => "SetFlags",
            AdminRequest::Suspend => "Suspend",
            AdminRequest::Settle(_) => "Settle",
            AdminRequest::Keep(_) => "Keep",
            AdminRequest::Restore(_) => "Restore",
            AdminRequest::TellVanished => "TellVanished",
        })
    }
}

/// What an operator wants to have explained: a stanza between a user and somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivacyQuestion {
    /// The user's session that sends it or is to get it, whose active list applies.
    pub resource: Option<String>,
    /// Which way it goes.
    pub direction: privacy::Direction,
    /// What it is.
    pub kind: stanza::Kind,
    /// The other side.
    pub other: Address,
}

/// One session as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Its full address.
    pub address: Address,
    /// Its priority, when it is available.
    pub priority: Option<i8>,
    /// Stanzas that wait for it or are not acknowledged.
    pub waiting: usize,
    /// When it was bound.
    pub since: Timestamp,
    /// Its pause, if it is paused.
    pub paused: Option<PauseView>,
}

/// Moments an account can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Stanzas that are still unsettled get a durable copy.
    Settle,
    /// Nobody has answered a poke in time.
    Pokes,
    /// A pause has lasted long enough to be told.
    Paused,
    /// More annotations may be told.
    Annotate,
    /// Contacts of domains that are back are asked for their presence.
    Reprobe,
    /// What they have not answered is concluded from.
    Unanswered,
    /// Sessions that were not resumed end.
    Expire,
    /// Who elsewhere holds presence is written down.
    Held,
    /// Rooms that have not answered.
    SelfPing,
    /// Wishes to see the user's presence that nobody has answered.
    Wishes,
}

/// What an account wants to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A change of the roster.
    Roster(roster::Change),
    /// A change of the privacy lists or the blocklist.
    Privacy(privacy::Change),
    /// A stanza waits for the user.
    Wait(WaitingRow),
    /// Stanzas no longer wait.
    Unwait(Vec<StoredId>),
    /// A blob is replaced, or deleted.
    Write(Write),
    /// The user has left (RFC 6121 §4.3.2 rule 3, XEP-0012 §4).
    Left(LastSeen),
    /// Somebody elsewhere holds the presence of a session; replaces what was kept of it.
    Held(HeldRow),
    /// Nobody elsewhere holds the presence of the session with this resource any more.
    NotHeld(String),
}

/// A stanza that waits for the user in the store: sent to nobody at home, or not yet acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingRow {
    /// Its place in the order; unique within the account.
    pub id: StoredId,
    /// When it came.
    pub at: Timestamp,
    /// The stanza, in the namespace of clients.
    pub bytes: Vec<u8>,
}

/// Settings that an operator gives one account (`balcony account set`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// The user may not log in.
    pub disabled: bool,
    /// The user has died (POKE-23).
    pub deceased: bool,
    /// The next of kin know (POKE-24).
    pub next_of_kin_notified: bool,
    /// Pokes are never asked of this user's clients (POKE-40).
    pub poke_disabled: bool,
    /// Attention from strangers is taken out (ATT-15).
    pub attention_from_strangers_off: bool,
}

/// An account as the store has it.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// Whether there is such an account at all.
    pub standing: Standing,
    /// The roster.
    pub roster: roster::Stored,
    /// Privacy lists and blocklist.
    pub privacy: privacy::Stored,
    /// What the operator said of it.
    pub flags: Flags,
    /// How many stanzas wait, and their bytes.
    pub waiting: (usize, usize),
    /// The greatest id of a waiting stanza.
    pub last_waiting: Option<StoredId>,
    /// When the user left last, and with which status.
    pub left: Option<LastSeen>,
    /// Which blobs it keeps.
    pub blobs: features::Stored,
    /// Sessions whose presence somebody elsewhere holds, if the account did not leave memory in peace.
    pub held: Vec<HeldRow>,
}

/// Whether there is such an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// There is none (RFC 6121 §8.5.1).
    #[default]
    Unknown,
    /// There is one.
    Known,
    /// There is none any more, or one was made meanwhile: the store knows better.
    Outdated,
}

/// What an account wants to happen.
#[derive(Debug)]
pub enum Effect {
    /// Carry this to where its `to` lives.
    Route {
        /// What, having passed the door.
        parcel: Passed,
        /// The promise, if its fate is decided there.
        receipt: Option<Receipt>,
    },
    /// Put this into a session's mailbox.
    Push {
        /// The session.
        session: SessionId,
        /// Its mailbox.
        mailbox: Arc<Mailbox>,
        /// What, having passed the door.
        entry: Entry,
    },
    /// Tell a session's connection something.
    Signal {
        /// The session's mailbox.
        mailbox: Arc<Mailbox>,
        /// What.
        signal: Signal,
    },
    /// This promise is kept.
    Settle(Receipt),
    /// These entries have durable copies now.
    MarkStored {
        /// The mailbox that holds them.
        mailbox: Arc<Mailbox>,
        /// Entry and row.
        rows: Vec<(EntryId, StoredId)>,
    },
    /// Come back at this moment.
    WakeAt(Key, Moment),
    /// Bring all stanzas that wait; comes back as [`Input::Waiting`].
    LoadWaiting,
    /// Bring a blob; comes back as [`Input::Loaded`].
    Load {
        /// Comes back with the answer.
        ticket: u64,
        /// Which.
        record: Record,
    },
    /// Do what only the server can; comes back as [`Input::Loaded`] without a blob.
    Act {
        /// Comes back with the answer.
        ticket: u64,
        /// What.
        action: Action,
    },
    /// A message was kept for later, and with it the promise. Should the store fail after all, its sender is told.
    Kept {
        /// The message.
        parcel: Passed,
        /// The promise.
        receipt: Option<Receipt>,
    },
    /// What clients with this hash want has been verified.
    Learn(presence::Hash, bool),
    /// A session that could be resumed is over: who asks for it learns for a while what was handled (XEP-0198 §5).
    Former {
        /// The name under which it could be resumed.
        id: String,
        /// Its mailbox, closed, which still knows.
        mailbox: Arc<Mailbox>,
    },
    /// No session here is known by this name: answer what is known of a former one.
    NotHere {
        /// The name.
        id: String,
        /// Where the answer is put.
        mailbox: Arc<Mailbox>,
    },
    /// To be counted.
    Count(Tally),
    /// A stanza ended here without anybody being told.
    Dropped(DropReason),
    /// Call this once all before it has happened.
    Answer(Box<dyn AnswerOnce>),
    /// From now on the path to this domain is of interest: comes back as [`Input::Path`].
    Watch(Address),
    /// No longer.
    Unwatch(Address),
}

/// Why a stanza lawfully ended in silence; a label of `xmpp_router_dropped_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropReason {
    /// A rule of RFC 6121 §8.5 says so.
    DeliveryRule,
    /// The recipient blocks the sender (XEP-0191, XEP-0016).
    Privacy,
    /// Strangers have asked too often (`limits.subscriptions_from_strangers`).
    Strangers,
    /// An answer or an error for another domain, which cannot be reached or does not read them (`limits.s2s_answers_bytes`).
    Answer,
}

/// An answer to an operator, given when everything before it is durable.
pub trait AnswerOnce: Send {
    /// Gives it.
    fn give(self: Box<Self>);
}

impl<F: FnOnce() + Send> AnswerOnce for F {
    fn give(self: Box<Self>) {
        self();
    }
}

impl std::fmt::Debug for dyn AnswerOnce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an answer")
    }
}

/// What accounts read of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What small features say of the server.
    pub facts: Facts,
    /// Domains whose accounts live here; their owners answer probes of single sessions.
    pub local_domains: Vec<String>,
    /// Domains of services that are part of this server, and end with it.
    pub local_services: Vec<String>,
    /// Sessions of one account at the same time.
    pub resources_max: usize,
    /// Stanzas that may wait for an absent user, and their bytes.
    pub waiting_max: (usize, usize),
    /// Stanzas in mailboxes that have a durable copy.
    pub outstanding_max: usize,
    /// Addresses one session may have sent directed presence to.
    pub directed_max: usize,
    /// How long a stanza may stay unsettled before it gets a durable copy (`sm.settle_after`).
    pub settle_after: Duration,
    /// A session that was away for longer gets what it missed with the time of its arrival (`sm.delay_stamp_after`).
    pub delay_stamp_after: Duration,
    /// What may wait for one session.
    pub mailbox: stream_management::Limits,
    /// Subscription requests that one user may send to people who are not subscribed to anything of the user's.
    pub stranger_subscriptions: Option<Rate>,
    /// Messages that one user may send to people who are no contacts.
    pub stranger_messages: Option<Rate>,
    /// Subscription requests that people who are no contacts, all together, may send to one user.
    pub subscriptions_from_strangers: Option<Rate>,
    /// Messages that they may send to one user.
    pub messages_from_strangers: Option<Rate>,
    /// Pokes, attention, decloaking, annotations.
    pub presence: presence::Settings,
    /// Limits of rosters.
    pub roster: roster::Limits,
    /// Limits of privacy lists and blocklists.
    pub privacy: privacy::Limits,
}
