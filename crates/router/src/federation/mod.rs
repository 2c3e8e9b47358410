//! Other domains: links as machines, the connections that carry them, and what is asked of the transport.
//!
//! [`links`] is the world of the links, `streams` takes what connections report, `connections` remembers which
//! connection is for what, `network` is what the transport offers, `figures` and `pulse` keep what is told of all this.

mod connections;
mod figures;
mod links;
mod network;
mod pulse;
mod streams;

pub(crate) use connections::Connections;
pub use figures::{LinkFigures, PeerFigures};
pub use links::LinkSlot;
pub(crate) use links::Links;
pub(crate) use network::Attached;
pub use network::{Federation, Network, Order, StreamHandle, StreamOrders};
pub use pulse::Exchange;
