//! One question: what is asked, where, by whom, and what is known there.

use machine::{Moment, Timestamp};
use stanza::{Address, IqType, Kind, Stanza};
use xml::Child;

use crate::{AccountFacts, Facts, HostFacts};

/// What a server answers itself: an IQ get or set.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The IQ, or a presence that asks for capabilities; its `from` is the full address of the asker, or nothing before login.
    pub stanza: &'a Stanza,
    /// Where it arrived.
    pub place: Place<'a>,
    /// Who asks.
    pub asker: Asker,
    /// What is known of the server.
    pub facts: &'a Facts,
    /// For intervals.
    pub now: Moment,
    /// For what people read.
    pub wall: Timestamp,
}

/// Where a question arrived.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// At the address of a host that is served here.
    Host(&'a HostFacts),
    /// At the bare address of an account; a question without `to` arrives at the asker's own (RFC 6120 §10.3.3).
    Account(&'a AccountFacts<'a>),
    /// At a bare address of a host that is served here, where there is no account.
    Nobody,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A stream that has not logged in (XEP-0077 §3.1.1). It asks hosts only.
    Unregistered,
    /// Somebody who may not see the account's presence; at a host, somebody who has no account on it.
    Stranger,
    /// Somebody who may see the account's presence: a subscription of "from" or "both" that privacy lists let through.
    Contact,
    /// A session of the account itself; at a host, a session of one of its accounts.
    Own,
}

impl Request<'_> {
    /// The one child of the IQ.
    pub(crate) fn payload(&self) -> Option<Child<'_>> {
        self.stanza.payload()
    }

    /// Whether something is to be changed.
    pub(crate) fn is_set(&self) -> bool {
        self.stanza.kind() == Kind::Iq(IqType::Set)
    }

    /// The bare address of the account that asks.
    pub(crate) fn asking_account(&self) -> Option<Address> {
        self.stanza
            .from()
            .filter(|from| from.localpart().is_some())
            .map(Address::to_bare)
    }

    /// Whether the asker may know what is understood here. Strangers may not: an account that explains its refusals
    /// would show that it exists.
    pub(crate) fn may_know_why(&self) -> bool {
        match self.place {
            Place::Host(_) => self.asker != Asker::Unregistered,
            Place::Account(_) => matches!(self.asker, Asker::Contact | Asker::Own),
            Place::Nobody => false,
        }
    }
}
