//! What can happen to a room, and what it wants to happen.

use machine::Rate;
use stanza::{Address, Parcel};
use stream_management::Receipt;

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
    /// An operator asks.
    Admin(AdminRequest),
}

/// What an operator may ask of a room. The answer goes through the given function, once.
pub enum AdminRequest {
    /// What it looks like; `None` when there is no such room.
    Show(Box<dyn FnOnce(Option<View>) + Send>),
    /// Destroy it for this reason (XEP-0045 §10.9). Gives whether there was a room.
    Destroy(Option<String>, Box<dyn FnOnce(bool) + Send>),
    /// The service shuts down: everybody is told (status 332).
    ShutDown,
}

impl std::fmt::Debug for AdminRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            AdminRequest::Show(_) => "Show",
            AdminRequest::Destroy(..) => "Destroy",
            AdminRequest::ShutDown => "ShutDown",
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
    /// Occupants.
    pub occupants: usize,
    /// Their clients, of which one occupant may have several.
    pub clients: usize,
}

/// What a room wants to happen.
#[derive(Debug)]
pub enum Effect {
    /// Carry this to where its `to` lives.
    Route(Parcel, Option<Receipt>),
    /// This promise is kept.
    Settle(Receipt),
    /// Call this once all before it has happened.
    Answer(Box<dyn AnswerOnce>),
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
    /// Occupants of one room.
    pub occupants_max: usize,
    /// Messages that one room remembers for newcomers.
    pub history_max: usize,
    /// Messages to all that one client may send.
    pub message_rate: Option<Rate>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            services: Vec::new(),
            occupants_max: 2_000,
            history_max: 50,
            message_rate: None,
        }
    }
}
