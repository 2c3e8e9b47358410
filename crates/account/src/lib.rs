//! One user at home: roster, privacy, presence, resources with their mailboxes; the delivery rules of RFC 6121 §8.5.
//!
//! An [`Account`] is a machine: it takes one [`Input`] at a time and answers with [`Change`]s to be kept and
//! [`Effect`]s to happen. What its own sessions send goes through `outbound`, what others send to it through
//! `inbound`; both ask `door` first, which is the only way to a parcel that may be routed or delivered.

mod account;
mod annotations;
mod answers;
mod arriving;
mod attention;
mod confirmations;
mod delivery;
mod door;
mod explained;
mod figures;
mod held;
mod inbound;
mod input;
mod interest;
mod kept;
mod lists;
mod occupancies;
mod outbound;
mod pause;
mod paused;
mod poke;
mod presence;
mod probes;
mod questions;
mod refresh;
mod rooms;
mod session;
mod subscriptions;
mod tallies;
mod turning;
mod waiting;
mod wishes;

pub use account::{Account, Resting};
pub use answers::HOST_FEATURES;
pub use door::Passed;
pub use explained::{PresenceSession, PresenceView, Sharing};
pub use figures::{IqPoke, Origin, PresenceCount, PresenceLoad, SelfPing, Suppression, Wish};
pub use held::HeldRow;
pub use input::{
    AdminRequest, AnswerOnce, Change, DropReason, Effect, End, Flags, Input, Key, Loaded, Path, PauseCause,
    PauseEnd, PauseView, PrivacyQuestion, Redelivered, Saved, SessionCount, SessionId, SessionView, Settings,
    Standing, Tally, Unavailable, WaitingRow,
};
pub use kept::{KeptPresence, KeptSession, KeptStanza};
pub use tallies::{PrivacyTally, RosterOperation, RosterVerb};
