//! Channel binding (RFC 5802 §6), and what a man in the middle can do.

use crate::client::{ClientBinding, ClientKeys, ScramClient};
use crate::fixtures::*;
use crate::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

#[test]
fn rfc5802_6_y_is_a_downgrade_where_plus_was_offered_and_fine_where_not() {
    let romeo = romeo();
    let login = |offer: &Offer| {
        login(
            Mechanism::ScramSha256,
            HashFunction::Sha256,
            ClientBinding::NotOffered,
            PASSWORD,
            offer,
            &romeo,
        )
    };
    assert_eq!(login(&offer()), Err(SaslError::Downgraded));
    assert!(login(&offer_unbound()).is_ok());
    assert!(
        login(&Offer {
            channel: Channel::Plaintext,
            ..offer()
        })
        .is_ok()
    );
}

#[test]
fn rfc5802_6_a_binding_type_that_the_connection_does_not_have_fails() {
    let only_end_point = Offer {
        channel: Channel::Tls(ChannelBindings {
            tls_exporter: None,
            ..bindings()
        }),
        ..offer()
    };
    let (_, step) = start(
        Mechanism::ScramSha1Plus,
        "p=tls-exporter,,n=romeo,r=abc",
        &only_end_point,
    );
    assert_eq!(failure(step), SaslError::UnsupportedBindingType);
    let (_, step) = start(Mechanism::ScramSha1Plus, "p=tls-unique,,n=romeo,r=abc", &offer());
    assert_eq!(failure(step), SaslError::UnsupportedBindingType);
    let (_, step) = start(
        Mechanism::ScramSha1Plus,
        "p=tls-server-end-point,,n=romeo,r=abc",
        &only_end_point,
    );
    assert!(matches!(step, Step::NeedCredentials { .. }));
}

#[test]
fn rfc5802_6_plus_demands_a_binding_and_without_plus_there_is_none() {
    for flag in ["n", "y"] {
        let (_, step) = start(
            Mechanism::ScramSha1Plus,
            format!("{flag},,n=romeo,r=abc"),
            &offer(),
        );
        assert_eq!(failure(step).condition(), Condition::MalformedRequest);
    }
    let (_, step) = start(Mechanism::ScramSha1, "p=tls-exporter,,n=romeo,r=abc", &offer());
    assert_eq!(failure(step), SaslError::BindingNotNegotiated);
}

#[test]
fn rfc5802_6_the_binding_of_another_channel_fails_even_with_the_right_password() {
    let other_channels = [
        ClientBinding::Bound(BindingType::TlsExporter, vec![8; 32]),
        ClientBinding::Bound(BindingType::TlsExporter, vec![7; 31]),
        ClientBinding::Bound(BindingType::TlsExporter, vec![]),
        // The data of one type under the name of the other.
        ClientBinding::Bound(BindingType::TlsServerEndPoint, vec![7; 32]),
    ];
    for binding in other_channels {
        let outcome = login(
            Mechanism::ScramSha256Plus,
            HashFunction::Sha256,
            binding,
            PASSWORD,
            &offer(),
            &romeo(),
        );
        assert_eq!(outcome, Err(SaslError::BindingMismatch));
    }
}

#[test]
fn rfc5802_6_another_gs2_header_in_the_last_message_fails() {
    let (exchange, challenge) = challenged(
        Mechanism::ScramSha1,
        "n,,n=romeo,r=abc",
        &offer_unbound(),
        &romeo(),
    );
    let nonce = challenge.split(',').next().unwrap().to_owned();
    drop(exchange);
    // "n,," is the only header that repeats the first one.
    for header in ["y,,", "p=tls-exporter,,", "n,a=romeo@montague.lit,", "n,", ""] {
        let (mut exchange, _) = challenged(
            Mechanism::ScramSha1,
            "n,,n=romeo,r=abc",
            &offer_unbound(),
            &romeo(),
        );
        let message = format!(
            "c={},{nonce},p={}",
            STANDARD.encode(header),
            STANDARD.encode([0; 20])
        );
        assert_eq!(
            failure(exchange.response(message.as_bytes())),
            SaslError::BindingMismatch,
            "{header}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A man in the middle who changes anything in the client's messages gains nothing.
    #[test]
    fn no_changed_octet_leads_to_a_success(message in 0..2usize, place in 0..400usize, flip in 1..=255u8) {
        let hash = HashFunction::Sha256;
        let binding = ClientBinding::Bound(BindingType::TlsExporter, vec![7; 32]);
        let client = ScramClient::new(hash, "romeo", binding, client_nonce());
        let mut first = client.first();
        if message == 0 {
            let place = place % first.len();
            first[place] ^= flip;
        }
        let keys = ScramKeys { salt: vec![5; 16], ..keys_of_romeo().1 };
        let lookup = account(Stored::Scram { sha1: None, sha256: Some(Box::new(keys)), sha512: None });
        let (mut exchange, step) = start(Mechanism::ScramSha256Plus, &first, &offer());
        if let Step::NeedCredentials { .. } = step {
            let server_first = challenge(exchange.credentials(&lookup, &unknown_accounts()));
            // A changed nonce is noticed by the client, who then gives up.
            let Ok(challenged) = client.challenged(server_first.as_bytes()) else { return Ok(()) };
            let (mut answer, _) = challenged.answer(&keys_of_romeo().0);
            if message == 1 {
                let place = place % answer.len();
                answer[place] ^= flip;
            }
            let step = exchange.response(&answer);
            prop_assert!(matches!(step, Step::Failure(_)), "{step:?}");
        } else {
            prop_assert!(matches!(step, Step::Failure(_)), "{step:?}");
        }
    }
}

/// Derived once: the key derivation is all that takes time here.
fn keys_of_romeo() -> (ClientKeys, ScramKeys) {
    static KEYS: std::sync::OnceLock<(ClientKeys, ScramKeys)> = std::sync::OnceLock::new();
    KEYS.get_or_init(|| {
        let (hash, password) = (HashFunction::Sha256, password(PASSWORD));
        (
            ClientKeys::derive(hash, &password, &[5; 16], ITERATIONS),
            ScramKeys::derive(hash, &password, &[5; 16], ITERATIONS),
        )
    })
    .clone()
}
