//! One chat room: occupants, roles, affiliations, history (XEP-0045).
//!
//! A [`Room`] is a machine: it takes one [`Input`] at a time and answers with [`Effect`]s. What comes from a person goes
//! through `entering`, `talking`, `administration` and `ownership`, each for one part of the protocol; who may do what is
//! asked of the table in `privilege`. A room lives as long as somebody is in it, or for ever, if it is configured so: then
//! `keeping` says what is written, and how it comes back.

mod administration;
mod affiliations;
mod annotating;
mod config;
mod creating;
mod discovery;
mod entering;
mod form;
mod grade;
mod history;
mod input;
mod interest;
mod inviting;
mod keeping;
mod missed;
mod names;
mod nicks;
mod occupant;
mod ownership;
mod picture;
mod presence;
mod private;
mod privilege;
mod reach;
mod registering;
mod room;
mod service;
mod stored;
mod talking;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod desk;
#[cfg(test)]
mod outages;
#[cfg(test)]
mod tests;

pub use config::{AllowPrivate, Config, Whois};
pub use grade::{Affiliation, Role};
pub use input::{
    AdminRequest, AnswerOnce, DegradedEnd, Effect, Input, Key, Removal, Settings, Tally, View, Whereabouts,
};
pub use keeping::Unreadable;
pub use privilege::{Action, may};
pub use room::Room;
pub use service::{RoomItem, about_service, answer_for_service, asks_for_rooms, list_of_rooms};
pub use stored::{
    AffiliationRow, Change, KeptClient, KeptMissed, KeptOccupant, KeptRoom, OccupantRow, RoomRow, SaidRow,
    Saved, Tombstone,
};
