//! One connection between servers, from its first byte to authenticated pairs of domains and their stanzas.

mod addresses;
mod authorization;
mod ending;
mod frames;
mod inbound;
mod input;
mod liveness;
mod management;
mod open;
mod outbound;
mod output;
mod phase;
mod requests;
mod silence;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use self::addresses::Addresses;
pub(crate) use self::open::refusal;
pub(crate) use self::phase::Stop;
pub use self::stream::{Stage, Stream};
pub use input::{Errand, Input, Side, Suspended, Tls, TlsVersion, Transport};
pub use output::{By, Close, Effect, Ending, Method, Obstacle, Output, Record, Step};
