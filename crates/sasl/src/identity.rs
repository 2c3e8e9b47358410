//! From the names in a message to the address of an account (RFC 6120 §6.3.7, §6.3.8).

use crate::SaslError;
use stanza::Address;

/// The account of a simple user name (RFC 6120 §6.3.7). Preparing the localpart folds at least what SASLprep folds, as
/// RFC 5802 §5.1 and RFC 4616 §2 want it.
pub(crate) fn account(username: &str, host: &Address) -> Result<Address, SaslError> {
    // No localpart holds these (RFC 7622 §3.3.1), and they would move the borders of the address.
    if username.contains(['@', '/']) {
        return Err(SaslError::InvalidUsername);
    }
    Address::parse(&format!("{username}@{}", host.domainpart())).map_err(|_| SaslError::InvalidUsername)
}

/// RFC 6120 §6.3.8: an authorization identity is a bare address; nobody here may act for somebody else. It depends only
/// on what the client sent, so it can be judged before the credentials are.
pub(crate) fn authorize(authzid: Option<&str>, account: &Address) -> Result<(), SaslError> {
    match authzid {
        None => Ok(()),
        Some(authzid) if Address::parse(authzid).is_ok_and(|named| named == *account) => Ok(()),
        Some(_) => Err(SaslError::InvalidAuthzid),
    }
}
