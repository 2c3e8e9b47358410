//! EXTERNAL (RFC 4422 appendix A): the TLS layer has verified who the peer is; left is which of its identities it means.

use crate::SaslError;
use stanza::Address;

/// Which identity the peer is given. `proven` is what its certificate proves, `message` the authorization identity.
pub(crate) fn check(message: &[u8], proven: &[Address]) -> Result<Address, SaslError> {
    let authzid = std::str::from_utf8(message).map_err(|_| SaslError::Malformed("EXTERNAL is not UTF-8"))?;
    match (authzid, proven) {
        (_, []) => Err(SaslError::WrongCredentials),
        ("", [only]) => Ok(only.clone()),
        // XEP-0178 §2: several identities and no word about which.
        ("", [_, _, ..]) => Err(SaslError::InvalidAuthzid),
        (authzid, proven) => {
            // RFC 6120 §6.3.8: a bare address, on server-to-server streams a domain only.
            let named = Address::parse(authzid).map_err(|_| SaslError::InvalidAuthzid)?;
            match proven.contains(&named) {
                true => Ok(named),
                false => Err(SaslError::InvalidAuthzid),
            }
        }
    }
}
