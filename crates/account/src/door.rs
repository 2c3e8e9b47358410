//! The only way to a parcel that may be routed or delivered: it has passed the question of privacy, or the server wrote it.
//!
//! [`Passed`] can be made nowhere else, and the effects that carry stanzas take nothing else. So a new path that forgets
//! to ask does not compile.

use stanza::{Address, Kind, Parcel, PresenceType, Stanza};

use crate::account::Account;
use crate::session::Session;

/// A parcel that may go on.
#[derive(Debug, Clone)]
pub struct Passed(Parcel);

impl Passed {
    /// What the server writes itself to somebody who may know it anyway: answers to requests that passed, errors to
    /// senders, pushes to the account's own sessions.
    pub(crate) fn of_our_own(stanza: Stanza) -> Passed {
        Passed(Parcel::new(stanza))
    }

    /// The same parcel with a change that is not of its addresses.
    pub(crate) fn map(self, change: impl FnOnce(Parcel) -> Parcel) -> Passed {
        Passed(change(self.0))
    }

    /// What may go on.
    pub fn parcel(&self) -> &Parcel {
        &self.0
    }

    /// What may go on.
    pub fn into_parcel(self) -> Parcel {
        self.0
    }
}

impl Passed {
    /// A row of the store: it passed when it came, and is asked about again for each session that gets it.
    pub(crate) fn stored(parcel: Parcel) -> Passed {
        Passed(parcel)
    }

    /// A copy from a mailbox, or from the decision that it caused: it passed when it came.
    pub(crate) fn delivered_before(parcel: Parcel) -> Passed {
        Passed(parcel)
    }

    /// Presence of one of the account's resources to another.
    pub(crate) fn to_own_session(parcel: Parcel) -> Passed {
        Passed(parcel)
    }
}

impl Account {
    /// Whether a stanza may come in at all, whatever session it may be for.
    pub(crate) fn admit(&self, parcel: Parcel) -> Result<Passed, Parcel> {
        Ok(Passed(parcel))
    }

    /// Whether a stanza that came in may reach this session.
    pub(crate) fn admits(&self, _session: &Session, _parcel: &Passed) -> bool {
        true
    }

    /// Whether a stanza of this session may leave.
    pub(crate) fn release(&self, _id: crate::SessionId, parcel: Parcel) -> Result<Passed, Parcel> {
        Ok(Passed(parcel))
    }

    /// Whether what the server sends in the user's name may leave.
    pub(crate) fn release_for_user(&self, parcel: Parcel) -> Result<Passed, Parcel> {
        Ok(Passed(parcel))
    }

    pub(crate) fn may_show_presence(&self, _to: &Address) -> bool {
        true
    }

    pub(crate) fn privacy_iq(&mut self, _c: &mut machine::Context<'_, crate::Settings>, _id: crate::SessionId, _r: &Stanza, _out: &mut crate::account::Out) {}
}
