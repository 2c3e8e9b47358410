//! What an account that does not exist answers, so that a login attempt does not tell who has an account
//! (RFC 6120 §6.5.10, the security warning).

use crate::{HashFunction, Salt, ScramKeys};
use stanza::Address;
use std::fmt;
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// Makes up SCRAM keys: for one name always the same salt, with the iterations that a real account would have.
///
/// The secret belongs to the server and outlives restarts: a salt that changed would betray the account that is none.
#[derive(Clone)]
pub struct UnknownAccounts {
    secret: Zeroizing<[u8; 32]>,
    iterations: NonZeroU32,
}

impl UnknownAccounts {
    /// `iterations` are those of the host's [`PasswordPolicy`](crate::PasswordPolicy).
    pub fn new(secret: [u8; 32], iterations: NonZeroU32) -> UnknownAccounts {
        UnknownAccounts {
            secret: Zeroizing::new(secret),
            iterations,
        }
    }

    /// Keys that no password fits. The salt does not depend on the hash function, as real ones do not either.
    pub(crate) fn keys(&self, hash: HashFunction, account: &Address) -> ScramKeys {
        let derived = |label: &[u8], octets: usize| {
            let mut octets_all =
                HashFunction::Sha512.hmac(&self.secret[..], &[label, account.as_str().as_bytes()]);
            octets_all.truncate(octets);
            octets_all
        };
        ScramKeys {
            salt: derived(b"salt\0", Salt::BYTES),
            iterations: self.iterations,
            stored_key: derived(b"stored key\0", hash.output_bytes()),
            server_key: derived(b"server key\0", hash.output_bytes()),
        }
    }
}

impl fmt::Debug for UnknownAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownAccounts")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}
