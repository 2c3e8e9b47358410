//! The hash functions of the SCRAM family: RFC 5802 (SHA-1), RFC 7677 (SHA-256), and SHA-512.

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// A hash function of the SCRAM family, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashFunction {
    /// SHA-1, which RFC 5802 §4 makes mandatory to implement.
    Sha1,
    /// SHA-256 (RFC 7677).
    Sha256,
    /// SHA-512.
    Sha512,
}

impl HashFunction {
    /// All of them, strongest first.
    pub const STRONGEST_FIRST: [HashFunction; 3] =
        [HashFunction::Sha512, HashFunction::Sha256, HashFunction::Sha1];

    /// Octets of one output.
    pub const fn output_bytes(self) -> usize {
        match self {
            HashFunction::Sha1 => 20,
            HashFunction::Sha256 => 32,
            HashFunction::Sha512 => 64,
        }
    }

    /// H(str) of RFC 5802 §2.2.
    pub(crate) fn digest(self, octets: &[u8]) -> Vec<u8> {
        match self {
            HashFunction::Sha1 => Sha1::digest(octets).to_vec(),
            HashFunction::Sha256 => Sha256::digest(octets).to_vec(),
            HashFunction::Sha512 => Sha512::digest(octets).to_vec(),
        }
    }

    /// HMAC(key, str) of RFC 5802 §2.2, over the concatenation of `parts`.
    pub(crate) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        match self {
            HashFunction::Sha1 => authentication_code::<Hmac<Sha1>>(key, parts),
            HashFunction::Sha256 => authentication_code::<Hmac<Sha256>>(key, parts),
            HashFunction::Sha512 => authentication_code::<Hmac<Sha512>>(key, parts),
        }
    }

    /// Hi(str, salt, i) of RFC 5802 §2.2, which is PBKDF2 with one block of output. Slow on purpose.
    pub(crate) fn salted_password(
        self,
        password: &[u8],
        salt: &[u8],
        iterations: NonZeroU32,
    ) -> Zeroizing<Vec<u8>> {
        let mut output = Zeroizing::new(vec![0; self.output_bytes()]);
        match self {
            HashFunction::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations.get(), &mut output),
            HashFunction::Sha256 => {
                pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations.get(), &mut output)
            }
            HashFunction::Sha512 => {
                pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations.get(), &mut output)
            }
        }
        output
    }

    const fn bit(self) -> u8 {
        match self {
            HashFunction::Sha1 => 1,
            HashFunction::Sha256 => 2,
            HashFunction::Sha512 => 4,
        }
    }
}

fn authentication_code<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // HMAC takes a key of any length (RFC 2104 §2), so there is nothing that could be refused.
    let Ok(mut code) = <M as KeyInit>::new_from_slice(key) else {
        return Vec::new();
    };
    for part in parts {
        code.update(part);
    }
    code.finalize().into_bytes().to_vec()
}

/// A set of hash functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashFunctions(u8);

impl HashFunctions {
    /// The set of these.
    pub const fn of(functions: &[HashFunction]) -> HashFunctions {
        let mut bits = 0;
        let mut i = 0;
        while i < functions.len() {
            bits |= functions[i].bit();
            i += 1;
        }
        HashFunctions(bits)
    }

    /// Whether `function` belongs to the set.
    pub const fn contains(self, function: HashFunction) -> bool {
        self.0 & function.bit() != 0
    }

    /// The members, strongest first.
    pub fn strongest_first(self) -> impl Iterator<Item = HashFunction> {
        HashFunction::STRONGEST_FIRST
            .into_iter()
            .filter(move |function| self.contains(*function))
    }
}

/// SHA-1, because every client has it, and SHA-256.
impl Default for HashFunctions {
    fn default() -> HashFunctions {
        HashFunctions::of(&[HashFunction::Sha1, HashFunction::Sha256])
    }
}
