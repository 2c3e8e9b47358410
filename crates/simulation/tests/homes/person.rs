//! One client: what it has said about itself, and what it was told of others.

use std::collections::BTreeMap;

use simulation::{Client, ConnectionId, Login};

use crate::tables::User;

/// A roster item as clients see it: the subscription, and whether it is being asked for.
pub(crate) type Item = (String, bool);

/// One connection.
pub(crate) struct Person {
    pub(crate) id: ConnectionId,
    pub(crate) client: Client,
    pub(crate) user: User,
    /// The full address that it wants.
    pub(crate) wanted: String,
    /// Until a resource is bound.
    pub(crate) login: Option<Login>,
    /// The full address, once bound.
    pub(crate) address: Option<String>,
    /// The connection is over, or about to be.
    pub(crate) over: bool,
    /// What it said last of itself to all.
    pub(crate) available: bool,
    /// To whom it has shown itself: bare addresses.
    pub(crate) shown: Vec<String>,
    /// The same, and nothing is taken off this list.
    pub(crate) shown_ever: Vec<String>,
    /// What it was told last, by full address; a goodbye with the address that it was for.
    pub(crate) told: BTreeMap<String, Option<String>>,
    /// What it knows of the roster, once it has asked.
    pub(crate) roster: Option<BTreeMap<String, Item>>,
}

impl Person {
    pub(crate) fn is_there(&self) -> bool {
        self.address.is_some() && !self.over
    }

    pub(crate) fn wants(&self, address: &str) -> bool {
        self.wanted == address
    }

    /// Whether it is this resource, and available to all.
    pub(crate) fn is_available_as(&self, address: &str) -> bool {
        self.is_there() && self.available && self.address.as_deref() == Some(address)
    }
}
