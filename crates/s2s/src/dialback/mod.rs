//! Dialback (XEP-0220): keys, and the two elements that carry questions and answers.
//!
//! Which answers are believed is decided by the connection that asked, in `connection`.

mod key;
mod word;

pub use key::{Key, Secret};
pub use word::DialbackError;
pub(crate) use word::{Content, Verb, Word};

use crate::Pair;

/// A key to be judged by the server that is authoritative for the other domain of the pair (XEP-0220 §2.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The domain here that was spoken to, and the domain in whose name.
    pub pair: Pair,
    /// The identifier of the stream on which that happened.
    pub stream: String,
    /// The key that was shown.
    pub key: Key,
}

/// What came of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The authoritative server made this key.
    Valid,
    /// It did not.
    Invalid,
    /// The authoritative server does not know the domain, or nobody does.
    NotFound,
    /// No connection to the authoritative server came about.
    Unreachable,
    /// The authoritative server did not answer, or went away.
    TimedOut,
}
