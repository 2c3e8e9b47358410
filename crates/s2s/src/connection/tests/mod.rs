//! Streams as conversations: what the peer says, what we say, and what came of it.

mod dialback;
mod inbound;
mod liveness;
mod management;
mod outbound;
mod properties;
mod stanzas;
mod together;
pub(crate) mod world;
