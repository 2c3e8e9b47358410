//! Sockets, TLS, HTTP, DNS, timers: all of tokio.

mod addresses;
mod clients;
mod connection;
mod system;
pub mod tls;

pub use addresses::{AddressLimits, Range};
pub use clients::{Clients, Listen, Listening, LoginLabels, Settings};
pub use system::System;
