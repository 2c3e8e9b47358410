//! A stanza as its bytes plus an index of its head and direct children; addresses; stanza and stream errors.
//!
//! Nothing here routes, decides or waits. A [`Stanza`] is made once, where it enters the server, and is shared from
//! then on: who sends it, to whom and of which type are fields; everything else stays the bytes that came in.

mod address;
mod error;
pub mod namespace;
mod parcel;
#[allow(clippy::module_inception, reason = "the crate is named for its main type")]
mod stanza;
mod stream_error;

pub use address::{Address, BadAddress};
pub use error::{Condition, ErrorKind, StanzaError};
pub use parcel::{Aside, Parcel, Target};
pub use stanza::{IqType, Kind, MessageType, PresenceType, Stanza, Unfit, address_attribute};
pub use stream_error::{StreamCondition, StreamError};
