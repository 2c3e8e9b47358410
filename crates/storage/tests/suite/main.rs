//! One suite for every store: in memory, on SQLite, and on PostgreSQL.
//!
//! What needs PostgreSQL has that word in its name, and is run by `tests/run postgres`, with `BALCONY_TEST_POSTGRES` naming
//! a server on which databases may be made. Elsewhere it counts as ignored, never as passed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod accounts;
mod asking;
mod commits;
mod contents;
mod groups;
mod kill;
mod memory;
mod outages;
mod places;
mod properties;
mod relay;
mod rooms;
mod schema;
mod speed;
