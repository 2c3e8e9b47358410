//! What the account does for the presence engine, stanza by stanza: pokes in all modes, attention, decloaking, annotations.

#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod explained;
mod figures;
#[path = "../ground/mod.rs"]
mod ground;
mod held;
mod home;
mod limits;
mod links;
mod lossy;
mod paused;
mod policies;
mod restart;
mod rooms;
mod rooms_elsewhere;
mod services;
