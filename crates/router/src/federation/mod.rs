//! Other domains: links as machines, the connections that carry them, and what is asked of the transport.
//!
//! [`links`] is the world of the links, `streams` takes what connections report, `connections` remembers which
//! connection is for what, `network` is what the transport offers.

mod connections;
mod figures;
mod links;
mod network;
mod streams;

pub(crate) use connections::Connections;
pub use figures::{HANDSHAKE_SECONDS, HandshakeTimes, LinkFigures, PeerFigures};
pub use links::LinkSlot;
pub(crate) use links::Links;
pub(crate) use network::Attached;
pub use network::{Federation, Network, Order, StreamHandle, StreamOrders};
