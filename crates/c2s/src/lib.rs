//! One client connection from first byte to bound resource (RFC 6120 §4 to §8, XEP-0198).
//!
//! A [`Session`] takes [`Input`]s and answers with an [`Output`]: bytes for the client and [`Effect`]s for the world. It
//! opens no socket, reads no clock and waits for nothing: what takes time is asked for by an effect and comes back as
//! an input. The way of a connection, each step with the only next ones:
//!
//! ```text
//! header ── STARTTLS ──▶ TLS ──▶ header ── SASL ──▶ header ── bind ──▶ bound ──▶ leaving ──▶ closed
//! ```
//!
//! Each step is a state of its own that carries its data (`phase`), so that there is no way around one: only a state
//! that was made from a finished login can bind, only one that holds an offer can log in. Stanzas of a bound client are
//! judged in `bound`; where they go is decided elsewhere. How the shell takes part in the end is told at
//! [`Session::stage`] and [`Stage::Leaving`].

mod bind;
mod bound;
mod input;
mod leaving;
mod login;
mod opening;
mod output;
mod phase;
mod recipients;
mod registration;
mod requests;
mod session;
mod settings;
#[cfg(test)]
mod tests;

pub use input::{HttpBinding, Input, Tls, Transport};
pub use output::{Effect, Ending, LoginAttempt, Output};
pub use session::{Session, Stage};
pub use settings::{Encryption, Host, Limits, Settings};
