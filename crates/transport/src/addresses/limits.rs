//! The limits by the address of the peer, and the names of those that refuse somebody.

use machine::Rate;

use super::Range;

/// How many connections there may be. IPv6 addresses count by their /64: that is what one subscriber has.
#[derive(Debug, Clone)]
pub struct AddressLimits {
    /// Connections from everywhere.
    pub connections: usize,
    /// Connections from everywhere that have not logged in.
    pub unauthenticated: usize,
    /// Connections from one address.
    pub per_address: usize,
    /// Connections from one address that have not logged in.
    pub unauthenticated_per_address: usize,
    /// How often one connection is read from on which nobody has logged in; `None`: as often as anything comes.
    pub unauthenticated_reads: Option<Rate>,
    /// New connections from one address; `None`: any number.
    pub arrivals: Option<Rate>,
    /// Connections elsewhere that one address may make us open; `None`: any number.
    pub provoked: Option<Rate>,
    /// Failed logins from one address; `None`: any number.
    pub failed_logins: Option<Rate>,
    /// New accounts by in-band registration from one address; `None`: any number.
    pub registrations: Option<Rate>,
    /// Ranges without limits per address.
    pub exempt: Vec<Range>,
}

/// A limit that has refused somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Connections from everywhere.
    Connections,
    /// Connections from everywhere that have not logged in.
    Unauthenticated,
    /// Connections from one address.
    Address,
    /// Reads of one connection on which nobody has logged in; counted once for each.
    Reads,
    /// New connections from one address.
    Arrivals,
    /// Connections elsewhere that one address makes us open.
    Provoked,
    /// Failed logins from one address.
    FailedLogins,
    /// New accounts from one address.
    Registrations,
    /// Bytes of one stanza.
    StanzaSize,
    /// Elements inside each other.
    Depth,
    /// What else a stream may send: attributes, names, what comes before the login, attempts.
    Stream,
    /// What may wait for a client that does not read or acknowledge.
    Queue,
    /// Bodies of HTTP requests in memory.
    HttpBodies,
}

impl Limit {
    /// All of them, by the names that operators read.
    pub const ALL: [(&'static str, Limit); 13] = [
        ("connections", Limit::Connections),
        ("preauth", Limit::Unauthenticated),
        ("ip", Limit::Address),
        ("reads", Limit::Reads),
        ("rate", Limit::Arrivals),
        ("provoked", Limit::Provoked),
        ("failed_logins", Limit::FailedLogins),
        ("registrations", Limit::Registrations),
        ("stanza_size", Limit::StanzaSize),
        ("depth", Limit::Depth),
        ("stream", Limit::Stream),
        ("queue", Limit::Queue),
        ("http_bodies", Limit::HttpBodies),
    ];
}
