//! What can happen to a room, and what it wants to happen.

use std::time::Duration;

use machine::{Moment, Rate};
use presence::{Hash, State};
use stanza::{Address, Condition, Kind, Parcel, StanzaError};
use stream_management::Receipt;

use crate::stored::{KeptRoom, TOMBSTONES};

/// What can happen to a room.
#[derive(Debug)]
pub enum Input {
    /// A stanza arrives for the room or one of its occupants.
    Inbound {
        /// What arrives; always has `from` and `to`.
        parcel: Parcel,
        /// The sender's promise, if it is still open.
        receipt: Option<Receipt>,
    },
    /// This server could not deliver what the room sent to another domain: nobody there has said anything (PSA-62).
    Undelivered {
        /// What.
        parcel: Parcel,
        /// What a sender would have been told.
        error: StanzaError,
        /// The sender's promise, if it went with that.
        receipt: Option<Receipt>,
    },
    /// How the path to a domain is that was asked for by [`Effect::Watch`].
    Path {
        /// The domain.
        domain: Address,
        /// Whether what is known of its users may not be true any more.
        is_broken: bool,
    },
    /// The way to a domain was lost and found again before anybody had to be told: what was on it may be lost.
    Renewed(Address),
    /// A moment has come that [`Effect::WakeAt`] asked for.
    Wake(Key),
    /// So many rooms whoever wants to make this one has made already; `None` when nobody can say.
    Counted(Option<usize>),
    /// An operator asks.
    Admin(AdminRequest),
}

/// Moments a room can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// More can be told of who is out of reach.
    Annotate,
    /// Somebody may have been out of reach for too long.
    Grace,
    /// What could not be delivered, though the path is clear, is tried again.
    Again,
}

/// What an operator may ask of a room. The answer goes through the given function, once.
pub enum AdminRequest {
    /// What it looks like; `None` when there is no such room.
    Show(Box<dyn FnOnce(Option<View>) + Send>),
    /// Destroy it for this reason (XEP-0045 §10.9). Gives whether there was a room.
    Destroy(Option<String>, Box<dyn FnOnce(bool) + Send>),
    /// The service shuts down: everybody is told (status 332).
    ShutDown,
    /// Those who were in it when an earlier process ended without a goodbye are told.
    TellVanished,
    /// The server stops for a while: what of the room is not in the store goes through the function.
    Keep(Box<dyn FnOnce(Option<KeptRoom>) + Send>),
    /// The room goes on with those who were in it.
    GoOn {
        /// What an earlier process has kept.
        kept: Box<KeptRoom>,
        /// Clients of this server whose sessions are gone meanwhile.
        lost: Vec<Address>,
    },
}

impl std::fmt::Debug for AdminRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AdminRequest::Show(_) => "Show",
            AdminRequest::Destroy(..) => "Destroy",
            AdminRequest::ShutDown => "ShutDown",
            AdminRequest::TellVanished => "TellVanished",
            AdminRequest::Keep(_) => "Keep",
            AdminRequest::GoOn { .. } => "GoOn",
        })
    }
}

/// A room as an operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its address.
    pub address: Address,
    /// What people call it; may be empty.
    pub name: String,
    /// Whether it is listed.
    pub public: bool,
    /// Whether only members may enter.
    pub members_only: bool,
    /// Whether newcomers cannot speak.
    pub moderated: bool,
    /// Whether a password is needed.
    pub protected: bool,
    /// Whether it stays when nobody is in it.
    pub persistent: bool,
    /// Who made it.
    pub creator: Option<Address>,
    /// Occupants.
    pub occupants: usize,
    /// Their clients, of which one occupant may have several.
    pub clients: usize,
    /// Occupants whose servers cannot be reached.
    pub unreachable: usize,
    /// Occupants whose clients have no connection for now.
    pub paused: usize,
}

/// What a room wants to happen.
#[derive(Debug)]
pub enum Effect {
    /// Carry this to where its `to` lives.
    Route(Parcel, Option<Receipt>),
    /// This promise is kept.
    Settle(Receipt),
    /// What came of this stanza is on disk, and with it the promise is kept. If it cannot be, its sender is told.
    Kept(Parcel, Option<Receipt>),
    /// Count the rooms that this user has made, and say it ([`Input::Counted`]).
    CountRooms(Address),
    /// Call this once all before it has happened.
    Answer(Box<dyn AnswerOnce>),
    /// Tell how the path to this domain is, now and at every change. For a domain that lives here nothing is told.
    Watch(Address),
    /// Nobody of that domain is in the room any more.
    Unwatch(Address),
    /// Come back at this moment.
    WakeAt(Key, Moment),
    /// Clients with this hash ask for annotations, or do not.
    Learn(Hash, bool),
    /// For the figures.
    Count(Tally),
    /// The room answered with this error, for the figures.
    CountError(Kind, Condition),
}

/// What is counted of rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tally {
    /// An occupant is out of the room.
    Removed(Removal),
    /// An occupant that was out of reach is so no longer.
    Degraded(DegradedEnd),
    /// A copy of an occupant's presence says this of it, to somebody who is here or elsewhere.
    Annotated(Option<State>, Whereabouts),
    /// Somebody asked whether it is in the room (XEP-0410), and was told that it is, or is not.
    SelfPing(bool),
    /// The room is in the store from now on, or is so no longer.
    Stored(bool),
}

/// Where a client has its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whereabouts {
    /// At a host of this server.
    Here,
    /// At another server, or behind a component.
    Elsewhere,
}

/// Why somebody is no longer in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removal {
    /// Of its own will, or with the room.
    Leave,
    /// By a moderator, or because only members may stay.
    Kick,
    /// By an administrator, for good.
    Ban,
    /// It cannot be reached (status 333).
    Error,
    /// The service shuts down (status 332).
    Shutdown,
}

/// How it ended that somebody was out of reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DegradedEnd {
    /// It is back.
    Returned,
    /// It was away for too long, or had missed too much.
    Expired,
    /// It left, or was removed.
    Left,
}

/// An answer to an operator.
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

/// What rooms read of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Domains whose addresses are rooms.
    pub services: Vec<String>,
    /// Domains whose users are at home here.
    pub local_domains: Vec<String>,
    /// Occupants of one room.
    pub occupants_max: usize,
    /// Rooms that one user may have made.
    pub rooms_per_user: Option<usize>,
    /// Rooms that the list of a service shows.
    pub listed_max: usize,
    /// Bytes of the visiting card of a room, picture included.
    pub card_bytes: usize,
    /// Messages that one room remembers for newcomers.
    pub history_max: usize,
    /// Messages to all that one client may send.
    pub message_rate: Option<Rate>,
    /// How long an occupant out of reach keeps its place (`muc.ghost_grace`, PSA-55).
    pub ghost_grace: Duration,
    /// What the presence engine reads of the configuration, and what is known of clients.
    pub presence: presence::Settings,
    /// How long whoever comes to a destroyed room is told so, and where to go instead.
    pub tombstones: Duration,
}

impl Settings {
    /// Whether this client is a session here.
    pub(crate) fn is_local(&self, client: &Address) -> bool {
        self.local_domains
            .iter()
            .any(|domain| domain == client.domainpart())
    }

    /// Where this client has its session.
    pub(crate) fn whereabouts(&self, client: &Address) -> Whereabouts {
        if self.is_local(client) {
            Whereabouts::Here
        } else {
            Whereabouts::Elsewhere
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            services: Vec::new(),
            local_domains: Vec::new(),
            occupants_max: 2_000,
            rooms_per_user: None,
            listed_max: 1_000,
            card_bytes: 128 << 10,
            history_max: 50,
            message_rate: None,
            ghost_grace: Duration::from_secs(300),
            presence: presence::Settings::default(),
            tombstones: TOMBSTONES,
        }
    }
}
