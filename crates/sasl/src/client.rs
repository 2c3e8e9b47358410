//! The client's side of PLAIN and SCRAM, for tests, simulation, conversations and load.
//!
//! ```text
//! ScramClient::new ── first() ──▶ server
//! server ── challenge ──▶ challenged() = Challenged { salt, iterations }
//! ClientKeys::derive (slow; cache it) ── Challenged::answer ──▶ server
//! server ── additional data with success ──▶ AwaitSignature::verify
//! ```

use crate::scram::message::{ServerFinal, ServerFirst, escape};
use crate::{BindingType, HashFunction, Nonce, Password, SaslError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::num::NonZeroU32;
use subtle::ConstantTimeEq;
use thiserror::Error;

/// The message of PLAIN (RFC 4616 §2), without authorization identity.
pub fn plain(username: &str, password: &str) -> Vec<u8> {
    format!("\0{username}\0{password}").into_bytes()
}

/// What the client does about channel binding (RFC 5802 §6).
#[derive(Clone, Debug)]
pub enum ClientBinding {
    /// `n`: it knows none.
    NotSupported,
    /// `y`: it saw no -PLUS mechanism.
    NotOffered,
    /// `p=`: for a -PLUS mechanism.
    Bound(BindingType, Vec<u8>),
}

/// Why the client gave up.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ClientError {
    /// The server's message does not follow the syntax.
    #[error(transparent)]
    Malformed(SaslError),
    /// RFC 5802 §5.1: the server's nonce does not begin with ours.
    #[error("the server's nonce does not continue the client's")]
    NonceMismatch,
    /// The server does not know the account's keys.
    #[error("the server's signature is wrong")]
    WrongSignature,
    /// The server sent `e=`.
    #[error("the server reported an error")]
    Refused,
}

/// A client of SCRAM that has not heard of the server yet.
#[derive(Debug)]
pub struct ScramClient {
    hash: HashFunction,
    gs2_header: String,
    binding_data: Vec<u8>,
    nonce: Nonce,
    bare: String,
}

impl ScramClient {
    /// `username` is the localpart (RFC 6120 §6.3.7), already prepared.
    pub fn new(hash: HashFunction, username: &str, binding: ClientBinding, nonce: Nonce) -> ScramClient {
        let (gs2_header, binding_data) = match binding {
            ClientBinding::NotSupported => (String::from("n,,"), Vec::new()),
            ClientBinding::NotOffered => (String::from("y,,"), Vec::new()),
            ClientBinding::Bound(binding_type, data) => (format!("p={},,", binding_type.name()), data),
        };
        let bare = format!("n={},r={}", escape(username), nonce.as_str());
        ScramClient {
            hash,
            gs2_header,
            binding_data,
            nonce,
            bare,
        }
    }

    /// `client-first-message`, the initial response.
    pub fn first(&self) -> Vec<u8> {
        format!("{}{}", self.gs2_header, self.bare).into_bytes()
    }

    /// Takes the `server-first-message`.
    pub fn challenged(self, message: &[u8]) -> Result<Challenged, ClientError> {
        let first = ServerFirst::parse(message).map_err(ClientError::Malformed)?;
        if first.nonce.len() <= self.nonce.as_str().len() || !first.nonce.starts_with(self.nonce.as_str()) {
            return Err(ClientError::NonceMismatch);
        }
        let mut binding_input = self.gs2_header.into_bytes();
        binding_input.extend_from_slice(&self.binding_data);
        let without_proof = format!("c={},r={}", STANDARD.encode(binding_input), first.nonce);
        Ok(Challenged {
            hash: self.hash,
            auth_message: format!("{},{},{without_proof}", self.bare, first.text),
            without_proof,
            salt: first.salt,
            iterations: first.iterations,
        })
    }
}

/// A client that knows with which salt and how often to hash its password.
#[derive(Debug)]
pub struct Challenged {
    hash: HashFunction,
    auth_message: String,
    without_proof: String,
    /// For [`ClientKeys::derive`].
    pub salt: Vec<u8>,
    /// For [`ClientKeys::derive`]. A server can ask for absurdly many: look before you derive.
    pub iterations: NonZeroU32,
}

impl Challenged {
    /// `client-final-message`, and what waits for the outcome.
    pub fn answer(self, keys: &ClientKeys) -> (Vec<u8>, AwaitSignature) {
        let signature = self.hash.hmac(
            &self.hash.digest(&keys.client_key),
            &[self.auth_message.as_bytes()],
        );
        let proof: Vec<u8> = keys
            .client_key
            .iter()
            .zip(&signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let message = format!("{},p={}", self.without_proof, STANDARD.encode(proof));
        let expected = self.hash.hmac(&keys.server_key, &[self.auth_message.as_bytes()]);
        (message.into_bytes(), AwaitSignature { expected })
    }
}

/// What a client derives from a password; good for every login with the same salt and iterations.
#[derive(Clone)]
pub struct ClientKeys {
    client_key: Vec<u8>,
    server_key: Vec<u8>,
}

impl ClientKeys {
    /// RFC 5802 §3. Slow.
    pub fn derive(
        hash: HashFunction,
        password: &Password,
        salt: &[u8],
        iterations: NonZeroU32,
    ) -> ClientKeys {
        let salted = hash.salted_password(password.octets(), salt, iterations);
        ClientKeys {
            client_key: hash.hmac(&salted, &[b"Client Key"]),
            server_key: hash.hmac(&salted, &[b"Server Key"]),
        }
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKeys(…)")
    }
}

/// A client that has proved itself, and waits for the server to do so.
#[derive(Debug)]
pub struct AwaitSignature {
    expected: Vec<u8>,
}

impl AwaitSignature {
    /// Takes the `server-final-message`, which came as additional data with success.
    pub fn verify(self, message: &[u8]) -> Result<(), ClientError> {
        match ServerFinal::parse(message).map_err(ClientError::Malformed)? {
            ServerFinal::Verifier(signature) if bool::from(signature.ct_eq(&self.expected)) => Ok(()),
            ServerFinal::Verifier(_) => Err(ClientError::WrongSignature),
            ServerFinal::Error => Err(ClientError::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::*;

    fn romeo() -> ScramClient {
        ScramClient::new(
            HashFunction::Sha1,
            "romeo",
            ClientBinding::NotSupported,
            Nonce::literal("abc"),
        )
    }

    #[test]
    fn rfc5802_5_the_clients_messages_of_the_example() {
        let nonce = Nonce::literal("fyko+d2lbbFgONRv9qkxdawL");
        let client = ScramClient::new(HashFunction::Sha1, "user", ClientBinding::NotSupported, nonce);
        assert_eq!(client.first(), b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        let challenged = client
            .challenged(b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096")
            .unwrap();
        assert_eq!(challenged.iterations, ITERATIONS);
        let keys = ClientKeys::derive(
            HashFunction::Sha1,
            &password("pencil"),
            &challenged.salt,
            ITERATIONS,
        );
        let (answer, awaiting) = challenged.answer(&keys);
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
        );
        assert_eq!(awaiting.verify(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="), Ok(()));
    }

    #[test]
    fn rfc5802_5_1_a_server_nonce_must_continue_the_clients() {
        for nonce in ["abc", "abd123", "xabc123"] {
            let message = format!("r={nonce},s=AAAA,i=4096");
            assert_eq!(
                romeo().challenged(message.as_bytes()).unwrap_err(),
                ClientError::NonceMismatch,
                "{nonce}"
            );
        }
    }

    #[test]
    fn rfc5802_7_malformed_challenges() {
        for message in [
            "",
            "r=abc1",
            "r=abc1,s=AAAA",
            "r=abc1,s=*,i=1",
            "r=abc1,s=AAAA,i=0",
            "r=abc1,s=AAAA,i=-1",
            "r=abc1,s=AAAA,i=+1",
            "r=abc1,s=AAAA,i=01",
            "r=abc1,s=AAAA,i=4294967296",
            "r=abc1,s=AAAA,i=1,x",
            "s=AAAA,r=abc1,i=1",
        ] {
            let error = romeo().challenged(message.as_bytes()).unwrap_err();
            assert!(
                matches!(error, ClientError::Malformed(SaslError::Malformed(_))),
                "{message} {error:?}"
            );
        }
        for message in ["m=x,r=abc1,s=AAAA,i=1", "r=abc1,s=AAAA,i=1,m=x"] {
            let error = romeo().challenged(message.as_bytes()).unwrap_err();
            assert_eq!(
                error,
                ClientError::Malformed(SaslError::UnsupportedExtension),
                "{message}"
            );
        }
    }

    #[test]
    fn rfc5802_5_a_server_that_does_not_know_the_keys_is_found_out() {
        let awaiting = || AwaitSignature {
            expected: vec![1; 20],
        };
        let signature = |octets: [u8; 20]| format!("v={}", STANDARD.encode(octets)).into_bytes();
        assert_eq!(awaiting().verify(&signature([1; 20])), Ok(()));
        assert_eq!(
            awaiting().verify(&signature([2; 20])),
            Err(ClientError::WrongSignature)
        );
        assert_eq!(awaiting().verify(b"v="), Err(ClientError::WrongSignature));
        assert_eq!(awaiting().verify(b"e=invalid-proof"), Err(ClientError::Refused));
        assert!(matches!(awaiting().verify(b""), Err(ClientError::Malformed(_))));
    }

    #[test]
    fn rfc5802_5_1_a_name_is_escaped() {
        let client = ScramClient::new(
            HashFunction::Sha1,
            "a,b=c",
            ClientBinding::NotOffered,
            Nonce::literal("abc"),
        );
        assert_eq!(client.first(), b"y,,n=a=2Cb=3Dc,r=abc");
    }
}
