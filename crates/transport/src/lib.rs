//! Sockets, TLS, HTTP, DNS, timers: all of tokio.

mod addresses;
mod carrier;
mod clients;
mod connection;
mod http;
mod system;
pub mod tls;

pub use addresses::{AddressLimits, Range};
pub use clients::{Clients, Entrance, Listen, Listening, LoginLabels, Settings};
pub use http::{AllowedOrigins, HttpSettings};
pub use system::System;
