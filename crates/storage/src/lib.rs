//! Keeps what machines decide to keep: repositories over sqlx and the migrations; the only crate that knows SQL.
//!
//! [`Database`] answers on SQLite and PostgreSQL, [`Memory`] for tests and the simulation, both as a [`router::Store`].

mod apply;
mod connection;
mod contents;
mod database;
mod doomed;
mod examine;
mod failure;
mod faults;
mod figures;
mod ids;
mod link;
mod load;
mod memory;
mod migrations;
mod operation;
mod postgres;
mod queue;
mod readers;
mod rooms;
mod secrets;
mod sql;
mod sqlite;
mod url;
mod waiting;
mod writer;

pub use database::{Database, Durability, OpenError, Settings};
pub use examine::examine;
pub use faults::Faults;
pub use figures::{Figures, Operation, Times};
pub use memory::{Executor, Memory};
pub use migrations::SchemaError;
pub use secrets::Secret;
pub use url::{BadUrl, Url};
