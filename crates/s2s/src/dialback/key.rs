//! Keys of dialback (XEP-0185 §2).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::Pair;

/// What only the servers of our domains know. Long and random, or anybody could speak in our name.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

/// A key as it is shown to another server.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Secret {
    /// Takes what was made by the dice once and is kept with the server's data.
    pub fn new(octets: &[u8]) -> Secret {
        // XEP-0185 §2 note 2; note 4 wants it in hexadecimal.
        Secret(Zeroizing::new(hexadecimal(&Sha256::digest(octets))))
    }

    /// The key that proves to the other domain, on the stream of this identifier, that we speak for ours.
    pub(crate) fn key(&self, pair: &Pair, stream: &str) -> Key {
        // HMAC takes a key of any length (RFC 2104 §2), so there is nothing that could be refused.
        let Ok(mut code) = <Hmac<Sha256> as KeyInit>::new_from_slice(self.0.as_bytes()) else {
            return Key(String::new());
        };
        for part in [pair.remote.as_str(), " ", pair.local.as_str(), " ", stream] {
            code.update(part.as_bytes());
        }
        Key(hexadecimal(&code.finalize().into_bytes()))
    }

    /// Whether we made this key. Takes the same time whatever is wrong with it.
    pub(crate) fn made(&self, key: &Key, pair: &Pair, stream: &str) -> bool {
        let right = self.key(pair, stream);
        !right.0.is_empty() && bool::from(right.0.as_bytes().ct_eq(key.0.as_bytes()))
    }
}

impl Key {
    /// Takes what stood in an element.
    pub(crate) fn new(text: &str) -> Key {
        Key(text.trim().to_owned())
    }

    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A key lets whoever reads it speak in our name on one stream: it stays out of logs.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

fn hexadecimal(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use stanza::Address;

    fn pair(local: &str, remote: &str) -> Pair {
        let address = |domain| Address::domain(domain).unwrap();
        Pair {
            local: address(local),
            remote: address(remote),
        }
    }

    #[test]
    fn xep0185_3_the_keys_of_the_examples_come_out() {
        for (secret, local, remote, stream, key) in [
            (
                "s3cr3tf0rd14lb4ck",
                "example.org",
                "xmpp.example.com",
                "D60000229F",
                "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643",
            ),
            (
                "s3cr3tf0rd14lb4ck",
                "capulet.example",
                "montague.example",
                "D60000229F",
                "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3",
            ),
            (
                "d14lb4ck43v3r",
                "montague.example",
                "capulet.example",
                "417GAF25",
                "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d",
            ),
        ] {
            let secret = Secret::new(secret.as_bytes());
            let pair = pair(local, remote);
            assert_eq!(secret.key(&pair, stream).as_str(), key);
            assert!(secret.made(&Key::new(&format!("\n  {key} ")), &pair, stream));
        }
    }

    #[test]
    fn a_key_is_worth_nothing_elsewhere() {
        let secret = Secret::new(b"s3cr3tf0rd14lb4ck");
        let key = secret.key(&pair("a.lit", "b.lit"), "1");
        assert!(secret.made(&key, &pair("a.lit", "b.lit"), "1"));
        for (local, remote, stream) in [
            ("b.lit", "a.lit", "1"),
            ("a.lit", "b.lit", "2"),
            ("a.lit", "c.lit", "1"),
        ] {
            assert!(!secret.made(&key, &pair(local, remote), stream));
        }
        assert!(!Secret::new(b"another").made(&key, &pair("a.lit", "b.lit"), "1"));
        for other in ["", "0", &"0".repeat(64)] {
            assert!(!secret.made(&Key::new(other), &pair("a.lit", "b.lit"), "1"));
        }
    }

    proptest! {
        /// The parts of what is hashed cannot be shifted against each other.
        #[test]
        fn xep0185_2_note_5_other_names_give_other_keys(
            one in ("[ab]{1,3}(\\.[ab]{1,3})?", "[ab]{1,3}(\\.[ab]{1,3})?", "[ab ]{0,4}"),
            other in ("[ab]{1,3}(\\.[ab]{1,3})?", "[ab]{1,3}(\\.[ab]{1,3})?", "[ab ]{0,4}"),
        ) {
            let secret = Secret::new(b"secret");
            let key = |(local, remote, stream): &(String, String, String)| secret.key(&pair(local, remote), stream);
            prop_assert_eq!(key(&one) == key(&other), one == other);
        }
    }
}
