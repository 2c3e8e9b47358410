//! The message of PLAIN (RFC 4616 §2).

use crate::{Password, SaslError, identity};
use stanza::Address;

/// Whom the message names, and the password it brings.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) account: Address,
    pub(crate) password: Password,
}

/// `[authzid] NUL authcid NUL passwd`
pub(crate) fn parse(message: &[u8], host: &Address) -> Result<Claim, SaslError> {
    let text = std::str::from_utf8(message).map_err(|_| SaslError::Malformed("PLAIN is not UTF-8"))?;
    let mut parts = text.split('\0');
    let (Some(authzid), Some(username), Some(typed), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(SaslError::Malformed("PLAIN has not exactly two NUL"));
    };
    if username.is_empty() || typed.is_empty() {
        return Err(SaslError::Malformed("PLAIN without user name or password"));
    }
    let account = identity::account(username, host)?;
    identity::authorize(Some(authzid).filter(|authzid| !authzid.is_empty()), &account)?;
    // What cannot be prepared was never stored (RFC 4616 §2: then verification fails).
    let password = Password::new(typed).map_err(|_| SaslError::WrongCredentials)?;
    Ok(Claim { account, password })
}
