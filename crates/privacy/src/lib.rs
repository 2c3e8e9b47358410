//! One question, [`Lists::may_pass`], answered from privacy lists (XEP-0016) and blocking (XEP-0191), two views of one list.
//!
//! Pure: which list a session has made active, which resources are connected and who holds whose presence are facts that
//! the account brings; what is to be kept, pushed and shown comes back as an [`Outcome`].

mod blocking;
mod contacts;
mod editing;
mod explanation;
mod grammar;
mod item;
mod limits;
mod list;
mod lists;
mod outcome;
mod question;
mod stored;
mod tally;

#[cfg(test)]
mod tests;

pub use contacts::Contacts;
pub use explanation::Explanation;
pub use grammar::PRIVACY;
pub use item::{Action, Item, Scope, Subject};
pub use limits::Limits;
pub use list::{List, ListName};
pub use lists::Lists;
pub use outcome::{Audience, Change, Connected, Outcome, Push, SessionChange, Sessions, Shift, Turn};
pub use question::{Denial, Direction, Ground, Question, Verdict};
pub use stored::{BadRow, ItemRow, ListRow, Stored};
pub use tally::{ListKind, PrivacyTally};
