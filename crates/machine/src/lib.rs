//! What every machine is given and gives back: time, dice, settings; commits and effects.
//!
//! Accounts, rooms and links are *machines*: passive values that take one input at a time and answer with a
//! [`Decision`]. They never look at a clock, roll dice or wait: all of that is in the [`Context`] or comes back as a
//! later input. That is why a whole server can be simulated from one seed.

mod context;
mod decision;
mod distribution;
mod rate;
mod time;

pub use context::{Context, Random, random_token};
pub use decision::{Decision, Machine};
pub use distribution::{Distribution, Observed};
pub use rate::{Bucket, Rate};
pub use time::{Moment, Timestamp};
