//! Sockets, TLS, HTTP, DNS, timers: all of tokio.

mod addresses;
mod carrier;
mod clients;
mod connection;
mod dial;
mod http;
mod listening;
mod peer;
mod polls;
mod refusals;
mod resolve;
mod servers;
mod strangers;
mod system;
pub mod tls;

pub use addresses::{AddressLimits, Group, Limit, Range};
pub use clients::{Clients, Entrance, Listen, LoginLabels, Settings};
pub use http::{AllowedOrigins, HttpSettings};
pub use listening::Listening;
pub use resolve::{Asked, Greeting, Questions, ResolverSettings, Route, greeting};
pub use servers::{ServerSettings, Servers};
pub use system::System;
