//! What is kept of a room: the changes that a store makes, and what comes back when a room is loaded.
//!
//! A room whose configuration says that it persists has rows, written as it changes. Of any room, those who are in it from
//! elsewhere have one row each: after a crash they are told that they are out (`docs/kept.md`, restart).

use std::time::Duration;

use machine::Timestamp;
use stanza::Address;

/// The row of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRow {
    /// Who made it.
    pub creator: Address,
    /// What people call it; may be empty.
    pub title: String,
    /// Whether it is in the list of rooms.
    pub listed: bool,
    /// The fields of its configuration that are not as usual, as a submitted form (XEP-0045 §10.2).
    pub configuration: String,
    /// What the ids of its occupants are made from (XEP-0421 §4.1).
    pub secret: String,
}

/// What one user is to a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AffiliationRow {
    /// A bare address, or a domain.
    pub user: Address,
    /// [`crate::Affiliation::code`].
    pub affiliation: i64,
    /// The nick that is reserved (XEP-0045 §7.10).
    pub nick: Option<String>,
}

/// A message that was said to all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidRow {
    /// Its place in the history: later ones have greater ones.
    pub id: i64,
    /// When it was said.
    pub at: Timestamp,
    /// As newcomers get it, without `to`.
    pub stanza: Vec<u8>,
}

/// Somebody from elsewhere who is in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OccupantRow {
    /// The full address.
    pub client: Address,
    /// The nick in the room.
    pub nick: String,
}

/// What is left of a room that was destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// When that was.
    pub at: Timestamp,
    /// Where to go instead.
    pub alternative: Option<Address>,
    /// Why.
    pub reason: Option<String>,
}

/// What a room wants to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// There is this room, or it is this now. Takes a tombstone away.
    Room(Box<RoomRow>),
    /// There is no such room any more; all of its rows but those of occupants go with it.
    Removed,
    /// The same, and this is what is told of it. Tombstones from before `forget` are forgotten, of any room.
    Destroyed {
        /// What is left.
        tombstone: Tombstone,
        /// Older ones are of no use.
        forget: Timestamp,
    },
    /// The last change of the subject, as newcomers get it.
    Subject(Option<Vec<u8>>),
    /// The visiting card of the room (XEP-0486).
    Card(Option<Vec<u8>>),
    /// A user is this to the room.
    Affiliation(AffiliationRow),
    /// A user is nothing to the room.
    NoAffiliation(Address),
    /// Something was said to all.
    Said(SaidRow),
    /// What was said up to this place is forgotten.
    Forgotten(i64),
    /// Somebody from elsewhere is in the room, under this nick.
    Entered(OccupantRow),
    /// That client is not, any more.
    Left(Address),
}

/// A room as it was kept. All empty: there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Saved {
    /// The room; without, nothing is known of it but what follows from the others.
    pub room: Option<RoomRow>,
    /// The subject.
    pub subject: Option<Vec<u8>>,
    /// The visiting card.
    pub card: Option<Vec<u8>>,
    /// What users are to it.
    pub affiliations: Vec<AffiliationRow>,
    /// What was said, oldest first.
    pub history: Vec<SaidRow>,
    /// Those who were in it when the last process ended, from elsewhere.
    pub occupants: Vec<OccupantRow>,
    /// What is left of a room that was here.
    pub tombstone: Option<Tombstone>,
}

/// A room that outlives the process, with those who are in it (`docs/kept.md`, restart).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRoom {
    /// Its address.
    pub address: Address,
    /// Created, but not yet configured.
    pub locked: bool,
    /// Itself, if no store keeps it: the room ends with its last occupant.
    pub room: Option<Box<Saved>>,
    /// Who is in it.
    pub occupants: Vec<KeptOccupant>,
}

/// An occupant of such a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOccupant {
    /// The nick.
    pub nick: String,
    /// [`crate::Role::as_str`].
    pub role: String,
    /// Its clients; the others see what the last one says of itself.
    pub clients: Vec<KeptClient>,
}

/// A client of such an occupant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptClient {
    /// Its full address.
    pub address: Address,
    /// What it last said of itself, in the namespace of clients.
    pub presence: Vec<u8>,
    /// Whether its session was paused (PSA-56).
    pub paused: bool,
    /// What could not be sent to it, when its server could not be reached (PSA-66).
    pub missed: Option<KeptMissed>,
}

/// What a client has missed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptMissed {
    /// The room's ids of messages.
    pub messages: Vec<String>,
    /// Of whom it has an old presence, or none, or one too many.
    pub nicks: Vec<String>,
    /// Whether the subject is another.
    pub subject: bool,
    /// Whether it was more than can be given back.
    pub is_too_much: bool,
}

/// How long a tombstone is shown when nothing else is said.
pub(crate) const TOMBSTONES: Duration = Duration::from_secs(31 * 24 * 3600);
