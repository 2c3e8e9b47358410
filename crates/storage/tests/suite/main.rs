//! One suite for every store: in memory, on SQLite, and on PostgreSQL.
//!
//! PostgreSQL is tested when `BALCONY_TEST_POSTGRES` names a server on which databases may be made, as
//! `tests/postgres.sh` does; a wrong URL there fails every test that would have used it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod asking;
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
