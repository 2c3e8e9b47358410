//! Where an address lives, and carrying each effect there.
//!
//! The [`Router`] is the world of all machines: it finds or fetches them, hands their effects over, and answers for the
//! hosts themselves. [`Router::destination`] alone knows where an address lives.

mod at_host;
mod capabilities;
mod counters;
mod federation;
mod hosts;
mod makers;
mod passwords;
mod presence_figures;
mod rest;
mod resumption;
mod rooms;
mod router;
mod sessions;
mod store;
mod surroundings;
mod tallies;
mod trace;
mod vanished;
mod world;

pub use counters::{Counter, Counters, Direction, Scope};
pub use federation::{
    Exchange, Federation, LinkFigures, LinkSlot, Network, Order, PeerFigures, StreamHandle, StreamOrders,
};
pub use hosts::{Host, Hosts};
pub use passwords::PasswordWork;
pub use presence_figures::{AUDIENCE, PresenceFigures, Trigger};
pub use resumption::{ResumeResult, Resumptions};
pub use rooms::{RoomFigures, RoomSlot};
pub use router::{AccountSlot, Destination, HostSessions, Router, Settings};
pub use sessions::SessionHandle;
pub use store::{AccountView, Done, Login, Store, StoreError, WhichRooms};
pub use surroundings::{Alarm, Surroundings};
pub use trace::{Border, Sight, Sink};
