//! A roster as rows.

use std::sync::Arc;

use stanza::Address;

use crate::Relation;

/// One contact of the roster as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemRow {
    /// The bare address; with the account, the key.
    pub contact: Address,
    /// The name, empty when none.
    pub name: String,
    /// The groups, in order; none of them is empty or holds U+0000.
    pub groups: Vec<String>,
    /// The `subscription` attribute; stored as [`Relation::code`].
    pub relation: Relation,
    /// Whether the user has asked for a subscription and waits.
    pub ask: bool,
    /// Whether the user has approved in advance.
    pub approved: bool,
    /// The version of the roster in which the item last changed.
    pub version: u64,
}

/// A removal that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalRow {
    /// Who was removed; with the account, the key.
    pub contact: Address,
    /// The version of the roster in which it was removed.
    pub version: u64,
}

/// A subscription request that waits for the user, whether or not the contact is in the roster (RFC 6121 §3.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRow {
    /// Who asks; with the account, the key.
    pub contact: Address,
    /// The whole stanza.
    pub stanza: Arc<[u8]>,
}

/// All rows of one roster, in any order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stored {
    /// The current version.
    pub version: u64,
    /// The oldest version from which every change since is known.
    pub complete_since: u64,
    /// The contacts.
    pub items: Vec<ItemRow>,
    /// The removals that are remembered.
    pub removals: Vec<RemovalRow>,
    /// The requests that wait.
    pub requests: Vec<RequestRow>,
}
