//! Links: the state of each pair of domains at every moment, what waits for it, and who wants to know
//! (`specs/clauses.md` §4.6 of the presence work: when is a link unavailable).
//!
//! A [`Link`] is a machine. Streams come and go beneath it, each may carry several pairs; the link of a pair is told
//! when one carries it, breaks, is resumed or ends. Up means that a stream in either direction is authenticated; idle
//! that nobody needs one; suspect that one broke and nobody knows yet; down that the domain cannot be reached.

mod attempts;
mod carrying;
mod cause;
mod input;
#[allow(clippy::module_inception, reason = "the module is named for its main type")]
mod link;
mod pursuit;
mod queue;
mod reports;
mod settings;
mod streams;
#[cfg(test)]
mod tests;
mod watchers;

pub use cause::Cause;
pub use input::{AttemptId, Effect, End, Fate, Input, Key, Occasion, StreamId};
pub use link::{Kind, Link};
pub use reports::{StateName, StreamView, View};
pub use settings::{QueueLimits, Settings};
pub use watchers::Path;
