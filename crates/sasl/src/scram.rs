//! The server's side of SCRAM (RFC 5802), with channel binding.
//!
//! Two states: the client's first message has come, and the challenge has been sent. Each is consumed by what comes
//! next. Messages are read in `message`; unknown accounts are played by [`UnknownAccounts`].

pub(crate) mod message;

use crate::mechanism::Binding;
use crate::{
    BindingType, HashFunction, Lookup, Offer, SaslError, ScramKeys, Standing, UnknownAccounts, identity,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use message::{BindingFlag, ClientFinal, ClientFirst};
use stanza::Address;
use subtle::{Choice, ConstantTimeEq};

/// The random part of a nonce, printable and without commas (RFC 5802 §5.1).
#[derive(Clone, Debug)]
pub struct Nonce(String);

impl Nonce {
    /// From random octets that were never used before.
    pub fn from_random(octets: [u8; 24]) -> Nonce {
        Nonce(STANDARD.encode(octets))
    }

    /// A nonce of the RFCs' examples.
    #[cfg(test)]
    pub(crate) fn literal(text: &str) -> Nonce {
        Nonce(text.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The client has named an account; its keys are wanted.
#[derive(Debug)]
pub(crate) struct AwaitCredentials {
    hash: HashFunction,
    account: Address,
    /// The value that `c=` must have.
    channel_binding: String,
    client_first_bare: String,
    nonce: String,
}

/// The challenge is out; the proof is wanted.
#[derive(Debug)]
pub(crate) struct AwaitProof {
    hash: HashFunction,
    account: Address,
    channel_binding: String,
    nonce: String,
    /// `client-first-message-bare "," server-first-message ","`, the beginning of the AuthMessage.
    auth_message: String,
    keys: ScramKeys,
    owner: Owner,
}

/// Whose keys an exchange goes on with.
#[derive(Clone, Copy, Debug)]
enum Owner {
    Account(Standing),
    Nobody,
}

/// The proof was right.
#[derive(Debug)]
pub(crate) struct Proven {
    pub(crate) account: Address,
    pub(crate) standing: Standing,
    /// `server-final-message` with the signature by which the client knows us.
    pub(crate) server_final: Vec<u8>,
}

impl AwaitCredentials {
    /// Takes the `client-first-message`.
    pub(crate) fn begin(
        hash: HashFunction,
        binding: Binding,
        message: &[u8],
        offer: &Offer,
        host: &Address,
        nonce: &Nonce,
    ) -> Result<AwaitCredentials, SaslError> {
        let first = ClientFirst::parse(message)?;
        let binding_data = binding_data(binding, first.flag, offer)?;
        let account = identity::account(&first.username, host)?;
        identity::authorize(first.authzid.as_deref(), &account)?;

        let mut binding_input = first.gs2_header.as_bytes().to_vec();
        binding_input.extend_from_slice(binding_data);
        Ok(AwaitCredentials {
            hash,
            account,
            channel_binding: STANDARD.encode(binding_input),
            client_first_bare: first.bare.to_owned(),
            nonce: format!("{}{}", first.nonce, nonce.as_str()),
        })
    }

    pub(crate) fn account(&self) -> &Address {
        &self.account
    }

    /// Gives the `server-first-message`. Without an account, or without keys for this hash function, it goes on as if
    /// there were some.
    pub(crate) fn credentials(
        self,
        lookup: &Lookup,
        unknown_accounts: &UnknownAccounts,
    ) -> Result<(AwaitProof, Vec<u8>), SaslError> {
        // Made up in any case, so that both cases take the same time.
        let made_up = unknown_accounts.keys(self.hash, &self.account);
        let (keys, owner) = match lookup {
            Lookup::Account { stored, standing } => match stored.scram_keys(self.hash) {
                Some(keys) => (keys.clone(), Owner::Account(*standing)),
                // Made-up salts are the same for all hash functions: beside a real one, another would stand out.
                None => match stored.strongest_scram_keys() {
                    Some((_, ScramKeys { salt, iterations, .. })) => {
                        let keys = ScramKeys {
                            salt: salt.clone(),
                            iterations: *iterations,
                            ..made_up
                        };
                        (keys, Owner::Nobody)
                    }
                    None => (made_up, Owner::Nobody),
                },
            },
            Lookup::NoAccount => (made_up, Owner::Nobody),
            Lookup::Unavailable => return Err(SaslError::Unavailable),
        };
        let server_first = format!(
            "r={},s={},i={}",
            self.nonce,
            STANDARD.encode(&keys.salt),
            keys.iterations
        );
        let proof_awaited = AwaitProof {
            hash: self.hash,
            account: self.account,
            channel_binding: self.channel_binding,
            nonce: self.nonce,
            auth_message: format!("{},{server_first},", self.client_first_bare),
            keys,
            owner,
        };
        Ok((proof_awaited, server_first.into_bytes()))
    }
}

impl AwaitProof {
    /// Takes the `client-final-message`.
    pub(crate) fn response(mut self, message: &[u8]) -> Result<Proven, SaslError> {
        let last = ClientFinal::parse(message)?;
        if last.nonce != self.nonce {
            return Err(SaslError::NonceMismatch);
        }
        // RFC 5802 §6: built here and compared, so that the gs2 header is covered with the binding data.
        if !bool::from(
            last.channel_binding
                .as_bytes()
                .ct_eq(self.channel_binding.as_bytes()),
        ) {
            return Err(SaslError::BindingMismatch);
        }
        if last.proof.len() != self.hash.output_bytes() {
            return Err(SaslError::Malformed("length of the proof"));
        }
        self.auth_message.push_str(last.without_proof);
        let right = self.proof_is_right(&last.proof);
        let signature = self
            .hash
            .hmac(&self.keys.server_key, &[self.auth_message.as_bytes()]);
        match (bool::from(right), self.owner) {
            (true, Owner::Account(standing)) => Ok(Proven {
                account: self.account,
                standing,
                server_final: format!("v={}", STANDARD.encode(signature)).into_bytes(),
            }),
            (true | false, Owner::Nobody) | (false, Owner::Account(_)) => Err(SaslError::WrongCredentials),
        }
    }

    /// RFC 5802 §3: the proof hides the ClientKey, whose hash is the StoredKey.
    fn proof_is_right(&self, proof: &[u8]) -> Choice {
        let signature = self
            .hash
            .hmac(&self.keys.stored_key, &[self.auth_message.as_bytes()]);
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        self.hash.digest(&client_key).ct_eq(&self.keys.stored_key)
    }
}

/// The data that the client must prove to see, by RFC 5802 §6. None for a client without channel binding.
fn binding_data<'a>(
    binding: Binding,
    flag: BindingFlag<'_>,
    offer: &'a Offer,
) -> Result<&'a [u8], SaslError> {
    match (binding, flag) {
        (Binding::Plus, BindingFlag::Required(name)) => BindingType::parse(name)
            .and_then(|binding_type| offer.bindings()?.data(binding_type))
            .ok_or(SaslError::UnsupportedBindingType),
        (Binding::Plus, BindingFlag::NotSupported | BindingFlag::NotOffered) => {
            Err(SaslError::Malformed("-PLUS without channel binding"))
        }
        (Binding::Unbound, BindingFlag::Required(_)) => Err(SaslError::BindingNotNegotiated),
        (Binding::Unbound, BindingFlag::NotOffered) if !offer.binding_types().is_empty() => {
            Err(SaslError::Downgraded)
        }
        (Binding::Unbound, BindingFlag::NotOffered | BindingFlag::NotSupported) => Ok(&[]),
    }
}

#[cfg(test)]
mod tests;
