//! What the router asks of a store. The `storage` crate answers on SQLite, PostgreSQL, and in memory.

use std::collections::BTreeMap;

use account::{Change, Flags, Saved, WaitingRow};
use features::Record;
use presence::{KnownHash, Lesson};
use stanza::Address;

/// Called once with the answer, from any thread, never from inside the call that asked.
pub type Done<T> = Box<dyn FnOnce(T) + Send>;

/// Why a store did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, or was too slow; nothing was changed. Asking again later may help.
    #[error("the store cannot answer now")]
    Unavailable,
    /// It refused these changes for good.
    #[error("the store refused the changes")]
    Refused,
}

/// An account's entry for logging in.
#[derive(Debug, Clone)]
pub struct Login {
    /// What the password is checked against.
    pub credentials: sasl::Stored,
    /// What the operator said of the account.
    pub flags: Flags,
}

/// An account as a list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountView {
    /// Its bare address.
    pub address: Address,
    /// What the operator said of it.
    pub flags: Flags,
    /// Contacts on its roster.
    pub contacts: usize,
    /// Stanzas that wait for it.
    pub waiting: usize,
}

/// Which rooms are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichRooms {
    /// All that are kept.
    All,
    /// Those that this user has made.
    MadeBy(Address),
    /// Those that are in the list of a service, this many of them.
    Listed {
        /// The service.
        host: String,
        /// Not more.
        max: usize,
    },
}

/// Keeps what machines decide to keep.
///
/// A commit is one transaction: all of its changes are durable before the answer comes, or none of them is made.
/// Commits of one machine are made in the order in which they were asked for.
pub trait Store: Send + Sync + 'static {
    /// An account with everything that it needs in memory. An unknown one is no error.
    fn load_account(&self, address: Address, done: Done<Result<Saved, StoreError>>);

    /// Changes of one account.
    fn commit_account(&self, address: Address, changes: Vec<Change>, done: Done<Result<(), StoreError>>);

    /// The stanzas that wait for an account, oldest first.
    fn load_waiting(&self, address: Address, done: Done<Result<Vec<WaitingRow>, StoreError>>);

    /// A blob of an account.
    fn load_record(&self, address: Address, record: Record, done: Done<Result<Option<Vec<u8>>, StoreError>>);

    /// What is needed to log in; `None` when there is no such account.
    fn login(&self, address: Address, done: Done<Result<Option<Login>, StoreError>>);

    /// Makes an account. False: there is one already.
    fn create_account(
        &self,
        address: Address,
        credentials: sasl::Stored,
        done: Done<Result<bool, StoreError>>,
    );

    /// Replaces the credentials. False: there is no such account.
    fn set_credentials(
        &self,
        address: Address,
        credentials: sasl::Stored,
        done: Done<Result<bool, StoreError>>,
    );

    /// Replaces the flags. False: there is no such account.
    fn set_flags(&self, address: Address, flags: Flags, done: Done<Result<bool, StoreError>>);

    /// Deletes an account with all that belongs to it. False: there was none.
    fn delete_account(&self, address: Address, done: Done<Result<bool, StoreError>>);

    /// All accounts of a host, or of all hosts, in order of their addresses.
    fn list_accounts(&self, host: Option<String>, done: Done<Result<Vec<AccountView>, StoreError>>);

    /// The accounts of which sessions are kept whose presence somebody elsewhere holds, in order of their addresses.
    fn list_held(&self, done: Done<Result<Vec<Address>, StoreError>>);

    /// The hashes of capabilities that were learnt, in any order.
    fn load_capabilities(&self, done: Done<Result<Vec<KnownHash>, StoreError>>);

    /// A hash was learnt, from clients of this account or of its contacts, and another perhaps forgotten for it.
    fn keep_capabilities(&self, account: Address, lesson: Lesson, done: Done<Result<(), StoreError>>);

    /// A room with so many of the messages that were said last. One that is not there is no error.
    fn load_room(&self, address: Address, history: usize, done: Done<Result<muc::Saved, StoreError>>);

    /// Changes of one room.
    fn commit_room(&self, address: Address, changes: Vec<muc::Change>, done: Done<Result<(), StoreError>>);

    /// Rooms that are kept, in order of their addresses.
    fn list_rooms(&self, which: WhichRooms, done: Done<Result<Vec<(Address, muc::RoomRow)>, StoreError>>);

    /// How many rooms are kept, by the service that they are at.
    fn count_rooms(&self, done: Done<Result<BTreeMap<String, usize>, StoreError>>);

    /// The rooms that have rows of those who are in them, in order of their addresses.
    fn list_vanished_occupants(&self, done: Done<Result<Vec<Address>, StoreError>>);
}
