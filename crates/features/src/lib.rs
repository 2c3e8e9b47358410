//! Small questions to a server or an account: disco, ping, version, time, last activity, vCard, private storage,
//! registration. One file each, and one [`TABLE`] that lists them with who may ask.
//!
//! [`answer`] takes a [`Request`] (an IQ get or set, where it arrived, who asks, and what is known there) and gives an
//! [`Answer`]: a reply at once, or one thing that the caller does first (load a blob, keep a blob, change a password).
//! Nothing here waits, reads a clock or keeps anything.
//!
//! **No oracle.** Whoever may not see an account's presence gets the same answers from it as from an address without
//! an account ([`Place::Nobody`]); a vCard that somebody published is the one exception (XEP-0054 §3.3). Privacy lists
//! are asked before, in `account`; rosters, blocking and privacy lists are answered there too.

mod answer;
mod contacts;
mod disco_info;
mod disco_items;
mod dispatch;
mod facts;
mod last_activity;
mod ping;
mod private;
mod register;
mod request;
mod table;
mod time;
mod vcard;
mod version;

#[cfg(test)]
mod tests;

pub use answer::{Action, Answer, Load, Record, Reply, Stored, Write};
pub use contacts::{BadUri, Contacts, Uri};
pub use disco_info::about_host;
pub use dispatch::answer;
pub use facts::{AccountFacts, Facts, HostFacts, Item, LastSeen, Limits, Registration, Software};
pub use last_activity::withheld;
pub use private::PRIVATE_RECORDS_MAX;
pub use register::Setback;
pub use request::{Asker, Place, Request};
pub use table::{AccountHandle, Audience, Feature, HostHandle, Listed, Otherwise, Rule, Rules, TABLE};
