//! What a session reads of the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use features::Registration;
use sasl::{PasswordPolicy, UnknownAccounts};
use stanza::Address;

/// The configuration as far as it concerns client connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hosts that are served, by their domains. Errors about unknown hosts come from the first.
    pub hosts: BTreeMap<Address, Host>,
    /// Whether clients must, may or cannot use STARTTLS.
    pub encryption: Encryption,
    /// How long a session whose connection broke can be resumed (XEP-0198 §5); no time at all: it cannot.
    pub resume_timeout: Duration,
    /// How much a client may send and leave waiting.
    pub limits: Limits,
}

/// One host that is served.
#[derive(Clone, Debug)]
pub struct Host {
    /// How it keeps passwords, which decides what mechanisms it offers.
    pub passwords: PasswordPolicy,
    /// Whether a client may create an account before it logs in (XEP-0077).
    pub registration: Registration,
    /// What accounts that do not exist answer.
    pub unknown_accounts: UnknownAccounts,
}

/// What becomes of a connection without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// STARTTLS is all it is offered (RFC 6120 §5.3.1).
    Required,
    /// STARTTLS is offered beside what is safe without.
    Optional,
    /// There is no certificate: STARTTLS is not offered.
    Unavailable,
}

/// Limits of one client connection, named as in the section `[limits]` of the configuration.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Of elements before login.
    pub unauthenticated: xml::Limits,
    /// Of elements after login.
    pub authenticated: xml::Limits,
    /// What a client may send in all before it has logged in; then the stream ends with `policy-violation`.
    pub unauthenticated_bytes: usize,
    /// Failed logins on one stream; then it ends with `policy-violation` (RFC 6120 §6.4.5).
    pub login_attempts: usize,
    /// What may wait for the client; beyond it the stream ends with `resource-constraint`.
    pub mailbox: stream_management::Limits,
    /// What the client may leave unacknowledged; beyond it the stream ends with `resource-constraint` (XEP-0198 §4).
    pub unacknowledged_stanzas: usize,
}
