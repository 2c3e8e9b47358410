//! Other domains: links as machines, the connections that carry them, and what is asked of the transport.
//!
//! [`links`] is the world of the links, `streams` takes what connections report, `connections` remembers which
//! connection is for what, `network` is what the transport offers.

mod connections;
mod links;
mod network;
mod streams;

pub(crate) use connections::Connections;
pub(crate) use links::Links;
pub use links::{LinkFigures, LinkSlot};
pub(crate) use network::Attached;
pub use network::{Federation, Network, Order, StreamHandle, StreamOrders};
