//! Keeps what machines decide to keep: repositories over sqlx and the migrations; the only crate that knows SQL.
//!
//! [`Database`] answers on SQLite and PostgreSQL, [`Memory`] for tests and the simulation, both as a [`router::Store`].

mod contents;
mod doomed;
mod faults;
mod memory;
mod operation;

pub use faults::Faults;
pub use memory::{Executor, Memory};
