//! Conversations in memory: a client that is written here, the session, and a world that answers at once.

mod binding;
mod faults;
mod http;
mod leaving;
mod login;
mod management;
mod opening;
mod properties;
mod registration;
mod resumption;
mod stanzas;
mod world;

use world::{Ask, HEADER, World, header};
