//! One input batch at a time per machine: the only concurrency code we have.
//!
//! A [`Slot`] is the place of one machine: its inbox, and whose turn it is. Whoever delivers an input and finds nobody
//! running the machine puts the slot into the run queue of its [`Worker`]; the worker takes turns. In a turn the
//! machine handles the inputs that are there, one by one, and what it wants is handed to its [`World`] before the next
//! input, or, where something must be kept first, when that is durable.
//!
//! What holds, whatever the threads do:
//! - **Order.** What one machine sends to another arrives in the order in which it was decided: a machine has at most
//!   one turn at a time, a turn hands over in order and before it ends, and an inbox is a queue.
//! - **Nothing is lost.** An input that was taken is handled, or refused with a reason. An effect is performed, or
//!   abandoned because what it waits for was not kept. Only a panic loses anything: the input at which it happened, and
//!   what that turn had in its hands.
//! - **Nobody waits.** No lock is held while a machine decides or its world acts; the lock of a slot is a leaf. No call
//!   blocks, and none runs a turn but those of [`Worker`].
//! - **Bounds.** An inbox, and what waits for commits, are bounded by [`Limits`]. Beyond the first, stanzas are
//!   refused; beyond the second, the machine gets no turn.
//!
//! There is no runtime, clock or storage here, and one worker with a seeded choice ([`Worker::choosing`]) replays any
//! interleaving.

mod inbox;
mod slot;
mod spare;
mod turn;
mod waiting;
mod worker;
mod world;

pub use slot::{Gone, Slot};
pub use waiting::CommitId;
pub use worker::{Ready, Worker};
pub use world::{CommitFailed, Death, Limits, LoadFailure, Portable, Priority, Refusal, World};
