//! Contacts and the subscription tables (RFC 6121 §2, §3, appendix A).
//!
//! Pure: a [`Roster`] takes a request and answers with an [`Outcome`]: what is to be kept, and what is to be sent in
//! which order. Who holds a session, what may pass ([privacy]) and where a contact lives is decided elsewhere.
//!
//! [privacy]: https://xmpp.org/extensions/xep-0016.html

mod item;
mod limits;
mod outcome;
mod presence;
mod retrieval;
#[allow(clippy::module_inception, reason = "the crate is named for its main type")]
mod roster;
mod set;
mod stored;
mod subscription;
mod transition;

#[cfg(test)]
mod tests;

pub use item::Item;
pub use limits::Limits;
pub use outcome::{Change, Outcome, Push, Send};
pub use retrieval::Retrieved;
pub use roster::Roster;
pub use stored::{ItemRow, RemovalRow, RequestRow, Stored};
pub use subscription::{Relation, Subscription};
pub use transition::{Reply, State, Step, SubscriptionStanza, inbound, outbound};
