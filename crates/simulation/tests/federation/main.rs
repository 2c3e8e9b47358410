//! Two servers: what users of different domains can do with each other, and what they learn when the way is broken.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod crashes;
mod crossing;
mod people;
mod ways;
mod wishes;
