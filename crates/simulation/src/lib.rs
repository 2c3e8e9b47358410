//! The whole server without `transport`: seeded clients, links, faults and clock; checkers. Nothing depends on it.
//!
//! A [`World`] is a router with all its machines, a store in memory, a clock that is wound by hand, and connections whose
//! bytes are put in and taken out. Nothing happens until somebody says so, and whatever is up to chance follows from the
//! seed. [`Servers`] are several worlds on one clock, with lines between them. A [`Client`] reads what comes off a wire, and [`Login`] says what is to be said until a resource is bound. A [`Device`] does both, and comes back to its session.

mod client;
mod connection;
mod device;
mod dice;
mod line;
mod login;
mod panics;
mod seeds;
mod servers;
mod settings;
mod surroundings;
mod world;

pub use client::{Client, Heard};
pub use connection::TLS_EXPORTER;
pub use device::{Device, Line, News};
pub use dice::Dice;
pub use login::{Login, Mechanism, Say};
pub use seeds::{Telling, run_twice, together, try_seeds};
pub use servers::{Reach, Servers};
pub use settings::{Limits, Passwords, Settings};
pub use storage::Faults;
pub use surroundings::Turns;
pub use world::{ConnectionId, World};
