//! What a store is asked for, as values that can wait in a queue.

use std::collections::BTreeMap;

use account::{Change, Flags, Saved, WaitingRow};
use features::Record;
use presence::{KnownHash, Lesson};
use router::{AccountView, Done, Login, StoreError, WhichRooms};
use stanza::Address;

/// A change of one account or room, and whom to tell.
pub(crate) struct Order {
    pub(crate) address: Address,
    pub(crate) write: Write,
    pub(crate) answer: Done<Outcome>,
}

/// True: it was done. False: there is no such account, or for [`Write::Create`], there is one already.
pub(crate) type Outcome = Result<bool, StoreError>;

/// A change of one account, or of one room.
pub(crate) enum Write {
    /// What its machine decided.
    Commit(Vec<Change>),
    /// What the machine of a room decided.
    Room(Vec<muc::Change>),
    Create(sasl::Stored),
    SetCredentials(sasl::Stored),
    SetFlags(Flags),
    Delete,
    /// A hash of capabilities that was learnt from it.
    Learn(Lesson),
}

impl Write {
    /// Whether a machine decided it, which is wrong about all that follows when it is not made.
    pub(crate) fn is_commit(&self) -> bool {
        match self {
            Write::Commit(_) | Write::Room(_) => true,
            Write::Create(_)
            | Write::SetCredentials(_)
            | Write::SetFlags(_)
            | Write::Delete
            | Write::Learn(_) => false,
        }
    }
}

impl Order {
    pub(crate) fn room(
        address: Address,
        changes: Vec<muc::Change>,
        done: Done<Result<(), StoreError>>,
    ) -> Order {
        Order {
            address,
            write: Write::Room(changes),
            answer: Box::new(move |outcome| done(outcome.map(|_| ()))),
        }
    }

    pub(crate) fn commit(
        address: Address,
        changes: Vec<Change>,
        done: Done<Result<(), StoreError>>,
    ) -> Order {
        Order {
            address,
            write: Write::Commit(changes),
            answer: Box::new(move |outcome| done(outcome.map(|_| ()))),
        }
    }
}

/// A question, and whom to tell.
pub(crate) enum Question {
    Account(Address, Done<Result<Saved, StoreError>>),
    Waiting(Address, Done<Result<Vec<WaitingRow>, StoreError>>),
    Record(Address, Record, Done<Result<Option<Vec<u8>>, StoreError>>),
    Login(Address, Done<Result<Option<Login>, StoreError>>),
    List(Option<String>, Done<Result<Vec<AccountView>, StoreError>>),
    Held(Done<Result<Vec<Address>, StoreError>>),
    Capabilities(Done<Result<Vec<KnownHash>, StoreError>>),
    /// With so many of the messages that were said last.
    Room(Address, usize, Done<Result<muc::Saved, StoreError>>),
    Rooms(WhichRooms, Done<Result<Vec<(Address, muc::RoomRow)>, StoreError>>),
    CountRooms(Done<Result<BTreeMap<String, usize>, StoreError>>),
    VanishedOccupants(Done<Result<Vec<Address>, StoreError>>),
}

impl Question {
    /// Answers with an error.
    pub(crate) fn fail(self, error: StoreError) {
        match self {
            Question::Account(_, done) => done(Err(error)),
            Question::Waiting(_, done) => done(Err(error)),
            Question::Record(_, _, done) => done(Err(error)),
            Question::Login(_, done) => done(Err(error)),
            Question::List(_, done) => done(Err(error)),
            Question::Held(done) | Question::VanishedOccupants(done) => done(Err(error)),
            Question::Room(_, _, done) => done(Err(error)),
            Question::Rooms(_, done) => done(Err(error)),
            Question::CountRooms(done) => done(Err(error)),
            Question::Capabilities(done) => done(Err(error)),
        }
    }
}

/// The methods of [`router::Store`] as operations handed to `self.write` and `self.ask`.
macro_rules! store_by_operations {
    ($store:ty) => {
        impl router::Store for $store {
            fn load_account(
                &self,
                address: stanza::Address,
                done: router::Done<Result<account::Saved, router::StoreError>>,
            ) {
                self.ask($crate::operation::Question::Account(address, done));
            }

            fn commit_account(
                &self,
                address: stanza::Address,
                changes: Vec<account::Change>,
                done: router::Done<Result<(), router::StoreError>>,
            ) {
                self.write($crate::operation::Order::commit(address, changes, done));
            }

            fn load_waiting(
                &self,
                address: stanza::Address,
                done: router::Done<Result<Vec<account::WaitingRow>, router::StoreError>>,
            ) {
                self.ask($crate::operation::Question::Waiting(address, done));
            }

            fn load_record(
                &self,
                address: stanza::Address,
                record: features::Record,
                done: router::Done<Result<Option<Vec<u8>>, router::StoreError>>,
            ) {
                self.ask($crate::operation::Question::Record(address, record, done));
            }

            fn login(
                &self,
                address: stanza::Address,
                done: router::Done<Result<Option<router::Login>, router::StoreError>>,
            ) {
                self.ask($crate::operation::Question::Login(address, done));
            }

            fn create_account(
                &self,
                address: stanza::Address,
                credentials: sasl::Stored,
                answer: router::Done<Result<bool, router::StoreError>>,
            ) {
                let write = $crate::operation::Write::Create(credentials);
                self.write($crate::operation::Order {
                    address,
                    write,
                    answer,
                });
            }

            fn set_credentials(
                &self,
                address: stanza::Address,
                credentials: sasl::Stored,
                answer: router::Done<Result<bool, router::StoreError>>,
            ) {
                let write = $crate::operation::Write::SetCredentials(credentials);
                self.write($crate::operation::Order {
                    address,
                    write,
                    answer,
                });
            }

            fn set_flags(
                &self,
                address: stanza::Address,
                flags: account::Flags,
                answer: router::Done<Result<bool, router::StoreError>>,
            ) {
                let write = $crate::operation::Write::SetFlags(flags);
                self.write($crate::operation::Order {
                    address,
                    write,
                    answer,
                });
            }

            fn delete_account(
                &self,
                address: stanza::Address,
                answer: router::Done<Result<bool, router::StoreError>>,
            ) {
                let write = $crate::operation::Write::Delete;
                self.write($crate::operation::Order {
                    address,
                    write,
                    answer,
                });
            }

            fn list_accounts(
                &self,
                host: Option<String>,
                done: router::Done<Result<Vec<router::AccountView>, router::StoreError>>,
            ) {
                self.ask($crate::operation::Question::List(host, done));
            }

            fn list_held(&self, done: router::Done<Result<Vec<stanza::Address>, router::StoreError>>) {
                self.ask($crate::operation::Question::Held(done));
            }

            fn load_capabilities(
                &self,
                done: router::Done<Result<Vec<presence::KnownHash>, router::StoreError>>,
            ) {
                self.ask($crate::operation::Question::Capabilities(done));
            }

            fn keep_capabilities(
                &self,
                address: stanza::Address,
                lesson: presence::Lesson,
                done: router::Done<Result<(), router::StoreError>>,
            ) {
                self.write($crate::operation::Order {
                    address,
                    write: $crate::operation::Write::Learn(lesson),
                    answer: Box::new(move |outcome| done(outcome.map(|_| ()))),
                });
            }

            fn load_room(
                &self,
                address: stanza::Address,
                history: usize,
                done: router::Done<Result<muc::Saved, router::StoreError>>,
            ) {
                self.ask($crate::operation::Question::Room(address, history, done));
            }

            fn commit_room(
                &self,
                address: stanza::Address,
                changes: Vec<muc::Change>,
                done: router::Done<Result<(), router::StoreError>>,
            ) {
                self.write($crate::operation::Order::room(address, changes, done));
            }

            fn list_rooms(
                &self,
                which: router::WhichRooms,
                done: router::Done<Result<Vec<(stanza::Address, muc::RoomRow)>, router::StoreError>>,
            ) {
                self.ask($crate::operation::Question::Rooms(which, done));
            }

            fn count_rooms(
                &self,
                done: router::Done<Result<std::collections::BTreeMap<String, usize>, router::StoreError>>,
            ) {
                self.ask($crate::operation::Question::CountRooms(done));
            }

            fn list_vanished_occupants(
                &self,
                done: router::Done<Result<Vec<stanza::Address>, router::StoreError>>,
            ) {
                self.ask($crate::operation::Question::VanishedOccupants(done));
            }
        }
    };
}

pub(crate) use store_by_operations;
