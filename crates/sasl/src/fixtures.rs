//! Romeo, Juliet, their host, and a client that goes through a whole login.

use crate::client::{ClientBinding, ClientKeys, ScramClient};
use crate::*;
use stanza::Address;
use std::num::NonZeroU32;

/// As few as RFC 5802 §5.1 wants.
pub(crate) const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
pub(crate) const PASSWORD: &str = "wherefore art thou";
pub(crate) const ALL_HASHES: HashFunctions = HashFunctions::of(&HashFunction::STRONGEST_FIRST);

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn host() -> Address {
    address("montague.lit")
}

pub(crate) fn password(typed: &str) -> Password {
    Password::new(typed).unwrap()
}

pub(crate) fn scram_policy() -> PasswordPolicy {
    PasswordPolicy::Scram {
        hashes: ALL_HASHES,
        iterations: ITERATIONS,
    }
}

pub(crate) fn bindings() -> ChannelBindings {
    ChannelBindings {
        tls_exporter: Some([7; 32]),
        tls_server_end_point: Some(vec![9; 48]),
    }
}

/// A host with SCRAM, over TLS with both bindings.
pub(crate) fn offer() -> Offer {
    Offer {
        channel: Channel::Tls(bindings()),
        passwords: Some(scram_policy()),
        certificate: Vec::new(),
    }
}

/// The same without any channel binding.
pub(crate) fn offer_unbound() -> Offer {
    Offer {
        channel: Channel::Tls(ChannelBindings::default()),
        ..offer()
    }
}

pub(crate) fn client_nonce() -> Nonce {
    Nonce::from_random([1; 24])
}

pub(crate) fn server_nonce() -> Nonce {
    Nonce::from_random([2; 24])
}

pub(crate) fn unknown_accounts() -> UnknownAccounts {
    UnknownAccounts::new([3; 32], ITERATIONS)
}

pub(crate) fn account(stored: Stored) -> Lookup {
    Lookup::Account {
        stored,
        standing: Standing::Active,
    }
}

/// An account with keys for all hash functions.
pub(crate) fn romeo() -> Lookup {
    account(
        scram_policy()
            .hash(&password(PASSWORD), Salt([5; Salt::BYTES]))
            .unwrap(),
    )
}

pub(crate) fn start(mechanism: Mechanism, message: impl AsRef<[u8]>, offer: &Offer) -> (Exchange, Step) {
    Exchange::start(mechanism, Some(message.as_ref()), offer, &host(), server_nonce())
}

pub(crate) fn failure(step: Step) -> SaslError {
    match step {
        Step::Failure(error) => error,
        other => panic!("a failure was expected: {other:?}"),
    }
}

pub(crate) fn challenge(step: Step) -> String {
    match step {
        Step::Challenge(challenge) => String::from_utf8(challenge).unwrap(),
        other => panic!("a challenge was expected: {other:?}"),
    }
}

/// Up to the challenge; the lookup is answered with `lookup`.
pub(crate) fn challenged(
    mechanism: Mechanism,
    first: impl AsRef<[u8]>,
    offer: &Offer,
    lookup: &Lookup,
) -> (Exchange, String) {
    let (mut exchange, step) = start(mechanism, first, offer);
    assert!(matches!(step, Step::NeedCredentials { .. }), "{step:?}");
    let challenge = challenge(exchange.credentials(lookup, &unknown_accounts()));
    (exchange, challenge)
}

/// How a whole login with SCRAM ends; a success includes that the client believes the server.
pub(crate) fn login(
    mechanism: Mechanism,
    hash: HashFunction,
    binding: ClientBinding,
    typed: &str,
    offer: &Offer,
    lookup: &Lookup,
) -> Result<Address, SaslError> {
    let client = ScramClient::new(hash, "romeo", binding, client_nonce());
    let (mut exchange, step) = start(mechanism, client.first(), offer);
    match step {
        Step::NeedCredentials { account } => assert_eq!(account, address("romeo@montague.lit")),
        other => return Err(failure(other)),
    }
    let challenge = match exchange.credentials(lookup, &unknown_accounts()) {
        Step::Challenge(challenge) => challenge,
        other => return Err(failure(other)),
    };
    let challenged = client.challenged(&challenge).unwrap();
    let keys = ClientKeys::derive(hash, &password(typed), &challenged.salt, challenged.iterations);
    let (answer, awaiting) = challenged.answer(&keys);
    match exchange.response(&answer) {
        Step::Success {
            identity,
            additional_data,
        } => {
            awaiting.verify(&additional_data.unwrap()).unwrap();
            Ok(identity)
        }
        other => Err(failure(other)),
    }
}
