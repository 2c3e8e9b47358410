//! What is stored instead of a password, and how it is made and checked (RFC 5802 §3, argon2id).
//!
//! A host keeps SCRAM keys or argon2id hashes, never both of one password: who steals them would attack the weaker.
//! Everything here that takes a [`Password`] is slow on purpose.

use crate::{HashFunction, HashFunctions, Password, Verdict};
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use std::fmt;
use std::num::NonZeroU32;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// Random octets beside a password; the caller rolls the dice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Salt(pub [u8; Salt::BYTES]);

impl Salt {
    /// Octets of the salts that we make.
    pub const BYTES: usize = 16;
}

/// What the store keeps of one account's password.
#[derive(Clone, PartialEq, Eq)]
pub enum Stored {
    /// Keys for SCRAM (RFC 5802 §3), of one password, by hash function.
    Scram {
        /// For SCRAM-SHA-1.
        sha1: Option<Box<ScramKeys>>,
        /// For SCRAM-SHA-256.
        sha256: Option<Box<ScramKeys>>,
        /// For SCRAM-SHA-512.
        sha512: Option<Box<ScramKeys>>,
    },
    /// A hash in PHC string format (`$argon2id$…`).
    Argon2id(String),
}

/// What SCRAM needs to know of a password (RFC 5802 §3). It does not suffice to log in, but it does to check guesses
/// and to pretend to be the server: it is kept from logs.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKeys {
    /// Of any length: imported accounts bring their own.
    pub salt: Vec<u8>,
    /// How often the hash was applied.
    pub iterations: NonZeroU32,
    /// `StoredKey`, as long as the output of the hash function.
    pub stored_key: Vec<u8>,
    /// `ServerKey`, as long as the output of the hash function.
    pub server_key: Vec<u8>,
}

impl ScramKeys {
    /// RFC 5802 §3. Slow.
    pub fn derive(hash: HashFunction, password: &Password, salt: &[u8], iterations: NonZeroU32) -> ScramKeys {
        let salted = hash.salted_password(password.octets(), salt, iterations);
        ScramKeys {
            salt: salt.to_vec(),
            iterations,
            stored_key: hash.digest(&hash.hmac(&salted, &[b"Client Key"])),
            server_key: hash.hmac(&salted, &[b"Server Key"]),
        }
    }
}

impl Stored {
    /// The keys for one hash function, if there are any.
    pub fn scram_keys(&self, hash: HashFunction) -> Option<&ScramKeys> {
        match (self, hash) {
            (Stored::Scram { sha1, .. }, HashFunction::Sha1) => sha1.as_deref(),
            (Stored::Scram { sha256, .. }, HashFunction::Sha256) => sha256.as_deref(),
            (Stored::Scram { sha512, .. }, HashFunction::Sha512) => sha512.as_deref(),
            (Stored::Argon2id(_), _) => None,
        }
    }

    /// The keys for the strongest hash function that has some.
    pub(crate) fn strongest_scram_keys(&self) -> Option<(HashFunction, &ScramKeys)> {
        HashFunction::STRONGEST_FIRST
            .into_iter()
            .find_map(|hash| Some((hash, self.scram_keys(hash)?)))
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stored::Scram { sha1, sha256, sha512 } => f
                .debug_struct("Scram")
                .field("sha1", sha1)
                .field("sha256", sha256)
                .field("sha512", sha512)
                .finish(),
            Stored::Argon2id(_) => f.write_str("Argon2id(…)"),
        }
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys")
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// How a host keeps passwords (`password_storage`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordPolicy {
    /// SCRAM keys.
    Scram {
        /// For these hash functions.
        hashes: HashFunctions,
        /// RFC 5802 §5.1: at least 4096.
        iterations: NonZeroU32,
    },
    /// argon2id with the default parameters of the `argon2` crate; only PLAIN over TLS is offered.
    Argon2id,
}

/// argon2id could not run, most likely for lack of memory.
#[derive(Clone, Debug, Error)]
#[error("cannot hash a password with argon2id: {0}")]
pub struct HashingFailed(argon2::password_hash::Error);

impl PasswordPolicy {
    /// What the store shall keep of this password. `salt` is random and new. Slow.
    pub fn hash(&self, password: &Password, salt: Salt) -> Result<Stored, HashingFailed> {
        match self {
            PasswordPolicy::Scram { hashes, iterations } => {
                let keys = |hash| {
                    hashes
                        .contains(hash)
                        .then(|| Box::new(ScramKeys::derive(hash, password, &salt.0, *iterations)))
                };
                Ok(Stored::Scram {
                    sha1: keys(HashFunction::Sha1),
                    sha256: keys(HashFunction::Sha256),
                    sha512: keys(HashFunction::Sha512),
                })
            }
            PasswordPolicy::Argon2id => {
                let hash: PasswordHash = Argon2::default()
                    .hash_password_with_salt(password.octets(), &salt.0)
                    .map_err(HashingFailed)?;
                Ok(Stored::Argon2id(hash.to_string()))
            }
        }
    }

    /// What an account would have that does not exist: as costly to check as a real one.
    fn decoy(&self) -> Stored {
        match self {
            PasswordPolicy::Scram { hashes, iterations } => {
                let keys = |hash: HashFunction| {
                    hashes.contains(hash).then(|| {
                        Box::new(ScramKeys {
                            salt: vec![0; Salt::BYTES],
                            iterations: *iterations,
                            stored_key: vec![0; hash.output_bytes()],
                            server_key: vec![0; hash.output_bytes()],
                        })
                    })
                };
                Stored::Scram {
                    sha1: keys(HashFunction::Sha1),
                    sha256: keys(HashFunction::Sha256),
                    sha512: keys(HashFunction::Sha512),
                }
            }
            PasswordPolicy::Argon2id => Stored::Argon2id(String::from(ARGON2ID_DECOY)),
        }
    }

    /// Whether [`hash`](PasswordPolicy::hash) would keep another kind of thing now. The password is known only while
    /// somebody logs in with PLAIN: that is when to hash anew.
    pub fn wants_rehash(&self, stored: &Stored) -> bool {
        match (self, stored) {
            (PasswordPolicy::Scram { hashes, iterations }, Stored::Scram { .. }) => {
                HashFunction::STRONGEST_FIRST
                    .into_iter()
                    .any(|hash| match stored.scram_keys(hash) {
                        Some(keys) => !hashes.contains(hash) || keys.iterations != *iterations,
                        None => hashes.contains(hash),
                    })
            }
            (PasswordPolicy::Argon2id, Stored::Argon2id(phc)) => !has_default_parameters(phc),
            (PasswordPolicy::Scram { .. }, Stored::Argon2id(_))
            | (PasswordPolicy::Argon2id, Stored::Scram { .. }) => true,
        }
    }
}

/// As [`PasswordPolicy::hash`] writes it, with a salt and a hash of zeros.
const ARGON2ID_DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn has_default_parameters(phc: &str) -> bool {
    PasswordHash::new(phc)
        .ok()
        .and_then(|hash| Params::try_from(&hash).ok())
        .is_some_and(|params| {
            (params.m_cost(), params.t_cost(), params.p_cost())
                == (
                    Params::DEFAULT_M_COST,
                    Params::DEFAULT_T_COST,
                    Params::DEFAULT_P_COST,
                )
        })
}

/// What the store says about an account.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// It exists.
    Account {
        /// What is kept of its password.
        stored: Stored,
        /// Whether it may log in at all.
        standing: Standing,
    },
    /// There is none.
    NoAccount,
    /// The store did not answer.
    Unavailable,
}

/// Whether an account may log in. It is told only to who proved to know the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Active,
    /// RFC 6120 §6.5.2
    Disabled,
    /// RFC 6120 §6.5.3
    Expired,
}

impl Standing {
    /// The verdict about who knows the password of such an account.
    pub(crate) const fn verdict(self) -> Verdict {
        match self {
            Standing::Active => Verdict::Accepted,
            Standing::Disabled => Verdict::AccountDisabled,
            Standing::Expired => Verdict::CredentialsExpired,
        }
    }
}

/// What came of [`check_password`].
#[derive(Debug)]
pub struct PasswordCheck {
    /// For [`Exchange::password_checked`](crate::Exchange::password_checked).
    pub verdict: Verdict,
    /// What to store from now on, when the password was right and was kept otherwise than `policy` wants.
    pub rehashed: Option<Stored>,
}

/// Checks a password that came by PLAIN, and hashes it anew where policy has changed (`salt` is for that). Slow, and as
/// slow for an account that does not exist as for one that is kept as `policy` says.
pub fn check_password(
    lookup: &Lookup,
    password: &Password,
    policy: &PasswordPolicy,
    salt: Salt,
) -> PasswordCheck {
    let decoy = policy.decoy();
    let (stored, standing) = match lookup {
        Lookup::Account { stored, standing } => (stored, Some(*standing)),
        Lookup::NoAccount => (&decoy, None),
        Lookup::Unavailable => {
            return PasswordCheck {
                verdict: Verdict::Unavailable,
                rehashed: None,
            };
        }
    };
    let verdict = match (compare(stored, password), standing) {
        (Comparison::Equal, Some(standing)) => standing.verdict(),
        (Comparison::Equal, None) | (Comparison::Different, _) => Verdict::Rejected,
        (Comparison::Failed, _) => Verdict::Unavailable,
    };
    let rehashed = match verdict {
        // A failure is no reason to refuse the login: the next one will try again.
        Verdict::Accepted if policy.wants_rehash(stored) => policy.hash(password, salt).ok(),
        Verdict::Accepted
        | Verdict::Rejected
        | Verdict::AccountDisabled
        | Verdict::CredentialsExpired
        | Verdict::Unavailable => None,
    };
    PasswordCheck { verdict, rehashed }
}

enum Comparison {
    Equal,
    Different,
    Failed,
}

fn compare(stored: &Stored, password: &Password) -> Comparison {
    match stored {
        Stored::Scram { .. } => {
            let Some((hash, keys)) = stored.strongest_scram_keys() else {
                return Comparison::Different;
            };
            let derived = ScramKeys::derive(hash, password, &keys.salt, keys.iterations);
            match bool::from(derived.stored_key.ct_eq(&keys.stored_key)) {
                true => Comparison::Equal,
                false => Comparison::Different,
            }
        }
        // The comparison inside is constant-time.
        Stored::Argon2id(phc) => match Argon2::default().verify_password(password.octets(), phc.as_str()) {
            Ok(()) => Comparison::Equal,
            Err(argon2::password_hash::Error::PasswordInvalid) => Comparison::Different,
            Err(_) => Comparison::Failed,
        },
    }
}

#[cfg(test)]
mod tests;
