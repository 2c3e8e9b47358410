//! HTTP requests in, one ordered stream out, and back (XEP-0124, XEP-0206).
//!
//! A [`Session`] is what lasts while HTTP requests come and go. It takes [`Input`]s and gives [`Effect`]s: requests are
//! put into the order of their numbers, each exactly once, and what they say becomes [`Event`]s for the XMPP stream
//! behind; what that stream says goes into responses, in order, and a response that was lost on its way is given again.
//! Who carries requests and responses, and who speaks XMPP, is elsewhere.

mod body;
mod key;
mod request;
mod session;
mod settings;
#[cfg(test)]
mod tests;

pub use body::{Condition, terminated};
pub use request::{BadRequest, Creation, Purpose, Request};
pub use session::{Effect, Event, Exchange, Input, Session};
pub use settings::Settings;

/// What a request or response consists of (XEP-0124 §4).
pub const HTTPBIND: &str = "http://jabber.org/protocol/httpbind";

/// What XMPP adds to it (XEP-0206 §10.1).
pub const XBOSH: &str = "urn:xmpp:xbosh";
