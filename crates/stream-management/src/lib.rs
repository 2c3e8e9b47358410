//! The mailbox of one resource or link: ordered, counted, acknowledged, outliving its socket (XEP-0198).
//!
//! A [`Mailbox`] has two sides. *Outwards* it holds what waits for the peer, in order, until it is written (without
//! stream management) or acknowledged (with it). *Inwards* it counts what the peer sent, and knows the longest prefix
//! of it that is settled: only that is ever acknowledged. Both are leaf locks: whoever holds one takes no other, and
//! pushing, draining and acknowledging need no turn of the account.

mod elements;
mod inward;
mod loan;
mod mailbox;
mod outward;
mod restored;

pub use elements::{
    write_acknowledgement, write_enable, write_enabled, write_failed, write_request, write_resume,
    write_resumed,
};
pub use inward::Receipt;
pub use loan::{Loan, NotResumed, Resumption};
pub use mailbox::{Limits, Mailbox, Signal};
pub use outward::{Copies, Drained, Entry, EntryId, PushError, Released, Remains, StoredId, TooHigh};
pub use restored::{Kept, KeptEntry};
