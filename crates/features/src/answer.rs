//! What the caller is told to do with a question.

use std::collections::BTreeMap;

use sasl::Password;
use stanza::{Address, StanzaError};

/// What to do with a question.
#[derive(Debug)]
pub enum Answer {
    /// Reply at once.
    Reply(Reply),
    /// Load a blob of the account, and reply with what [`Load::finish`] makes of it.
    Load(Load),
    /// Keep these blobs of the account in one commit, and reply with an empty result when they are durable.
    Store(Vec<Write>),
    /// Do this, and reply with an empty result, or with the error of the [`Setback`](crate::Setback).
    Act(Action),
}

/// The payload of a result (`Stanza::result`), or the error (`Stanza::error`).
pub type Reply = Result<Vec<u8>, StanzaError>;

/// A blob that an account keeps.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Record {
    /// The vCard (XEP-0054).
    VCard,
    /// Private data (XEP-0049), kept by the name of its root elements.
    Private {
        /// Their namespace.
        namespace: String,
        /// Their name.
        name: String,
    },
}

/// A blob to be replaced or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which.
    pub record: Record,
    /// The new content; `None` deletes.
    pub bytes: Option<Vec<u8>>,
}

/// A blob to be loaded, and what is made of it.
#[derive(Debug, Clone)]
pub struct Load {
    pub(crate) record: Record,
    /// Written around the blob.
    pub(crate) around: (&'static str, &'static str),
    /// The reply when there is no such blob.
    pub(crate) missing: Reply,
}

impl Load {
    /// Which blob.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The reply, once it is known what is kept.
    ///
    /// # Errors
    /// The error to be sent, when nothing is kept and that is an error.
    pub fn finish(self, stored: Option<&[u8]>) -> Reply {
        match stored {
            Some(stored) => Ok([self.around.0.as_bytes(), stored, self.around.1.as_bytes()].concat()),
            None => self.missing,
        }
    }
}

/// Which blobs an account keeps, and how large they are: what the limits need, and what spares a look into the store
/// when there is nothing to be found.
///
/// Loaded with the account; [`Stored::apply`] follows every [`Write`] that goes into a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored(BTreeMap<Record, usize>);

impl Stored {
    /// What is kept, with the number of bytes of each blob.
    pub fn new(sizes: impl IntoIterator<Item = (Record, usize)>) -> Stored {
        Stored(sizes.into_iter().collect())
    }

    /// Follows a write.
    pub fn apply(&mut self, write: &Write) {
        match &write.bytes {
            Some(bytes) => self.0.insert(write.record.clone(), bytes.len()),
            None => self.0.remove(&write.record),
        };
    }

    /// Whether there is such a blob.
    pub fn has(&self, record: &Record) -> bool {
        self.0.contains_key(record)
    }

    /// Everything that is kept, with the number of bytes of each blob.
    pub fn sizes(&self) -> impl Iterator<Item = (&Record, usize)> {
        self.0.iter().map(|(record, bytes)| (record, *bytes))
    }
}

/// What only the server itself can do.
#[derive(Debug, Clone)]
pub enum Action {
    /// Create an account (XEP-0077 §3.1).
    Register {
        /// Its bare address.
        account: Address,
        /// Its password.
        password: Password,
    },
    /// Give an account another password (XEP-0077 §3.3).
    ChangePassword {
        /// Its bare address: the asker's own.
        account: Address,
        /// The new password.
        password: Password,
    },
    /// Delete an account with all that belongs to it (XEP-0077 §3.2): its subscriptions are cancelled in both directions,
    /// the result is sent, and then all its streams are closed with `not-authorized`.
    RemoveAccount {
        /// Its bare address: the asker's own.
        account: Address,
    },
}
