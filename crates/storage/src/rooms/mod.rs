//! Rooms in a store: in memory, as statements that change them, and as questions about them.

mod apply;
mod contents;
mod load;

pub(crate) use apply::{apply, size};
pub(crate) use contents::Rooms;
pub(crate) use load::{Count, Listed, Room, Vanished};
