//! Authentication exchanges, seen from the server (SCRAM, PLAIN, EXTERNAL).
//!
//! [`Exchange`] is one exchange of RFC 4422 §3 under the profile of RFC 6120 §6: bytes of the peer go in, a [`Step`]
//! comes out. The crate knows nothing of XML and of base64 around messages: it takes and gives mechanism names and raw
//! bytes. It does not wait either. Where an exchange needs the stored [`Stored`] credentials or a slow password check, the
//! step says so, and the caller comes back with the [`Lookup`] or the [`Verdict`]. Random bytes are passed in.
//!
//! Which mechanisms stand in the offer, and in which order, is [`Offer::mechanisms`]. How passwords are kept is
//! [`PasswordPolicy`]; the functions that hash are slow and belong on a pool of blocking threads. [`client`] is the
//! other side, for tests, load and simulation.

#![cfg_attr(
    test,
    allow(
        clippy::wildcard_enum_match_arm,
        reason = "in a test, every other outcome is a failure"
    )
)]

mod channel_binding;
pub mod client;
mod credentials;
mod error;
mod exchange;
mod external;
#[cfg(test)]
mod fixtures;
mod hash_function;
mod identity;
mod mechanism;
mod password;
mod plain;
mod scram;
mod unknown_accounts;

pub use channel_binding::{BindingType, ChannelBindings};
pub use credentials::{
    HashingFailed, Lookup, PasswordCheck, PasswordPolicy, Salt, ScramKeys, Standing, Stored, check_password,
};
pub use error::{Condition, SaslError};
pub use exchange::{Exchange, MESSAGE_BYTES_MAX, Step, Verdict};
pub use hash_function::{HashFunction, HashFunctions};
pub use mechanism::{Channel, Mechanism, Offer};
pub use password::{PASSWORD_BYTES_MAX, Password, PasswordRefused};
pub use scram::Nonce;
pub use unknown_accounts::UnknownAccounts;
