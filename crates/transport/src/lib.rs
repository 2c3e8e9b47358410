//! Sockets, TLS, HTTP, DNS, timers: all of tokio.

pub mod tls;
