//! The order of an exchange, PLAIN, EXTERNAL, and whatever bytes a peer may send.

use super::*;
use crate::client::{self, ClientBinding, ClientKeys, ScramClient};
use crate::fixtures::*;
use crate::{Channel, Condition, HashFunction, PasswordPolicy, Salt, check_password};
use proptest::prelude::*;

/// What the message of PLAIN claims.
fn claim(message: impl AsRef<[u8]>) -> Result<(Address, Password), SaslError> {
    match start(Mechanism::Plain, message, &offer()).1 {
        Step::NeedPasswordCheck { account, password } => Ok((account, password)),
        other => Err(failure(other)),
    }
}

#[test]
fn rfc4616_2_plain_from_the_message_to_success() {
    for message in [
        "\0romeo\0wherefore art thou",
        "romeo@montague.lit\0romeo\0wherefore art thou",
        "\0ROMEO\0wherefore art thou",
    ] {
        let (mut exchange, step) = start(Mechanism::Plain, message, &offer());
        let Step::NeedPasswordCheck { account, password } = step else {
            panic!("{step:?}")
        };
        assert_eq!(account, address("romeo@montague.lit"));
        let check = check_password(&romeo(), &password, &scram_policy(), Salt([0; Salt::BYTES]));
        match exchange.password_checked(check.verdict) {
            Step::Success {
                identity,
                additional_data,
            } => {
                assert_eq!((identity, additional_data), (address("romeo@montague.lit"), None));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(client::plain("romeo", PASSWORD), b"\0romeo\0wherefore art thou");
}

#[test]
fn rfc6120_6_5_every_verdict_has_its_condition() {
    for (verdict, condition) in [
        (Verdict::Rejected, Condition::NotAuthorized),
        (Verdict::AccountDisabled, Condition::AccountDisabled),
        (Verdict::CredentialsExpired, Condition::CredentialsExpired),
        (Verdict::Unavailable, Condition::TemporaryAuthFailure),
    ] {
        let (mut exchange, _) = start(Mechanism::Plain, "\0romeo\0x", &offer());
        assert_eq!(failure(exchange.password_checked(verdict)).condition(), condition);
    }
}

#[test]
fn rfc4616_2_malformed_messages() {
    for message in [
        "",
        "\0",
        "\0\0",
        "romeo",
        "\0romeo",
        "\0romeo\0",
        "\0\0x",
        "romeo\0x",
        "\0romeo\0x\0",
        "a\0romeo\0x\0y",
    ] {
        assert_eq!(
            claim(message).unwrap_err().condition(),
            Condition::MalformedRequest,
            "{message:?}"
        );
    }
    assert_eq!(
        claim(b"\0romeo\0\xff").unwrap_err().condition(),
        Condition::MalformedRequest
    );
}

#[test]
fn rfc4616_2_names_and_passwords_of_255_octets_are_accepted() {
    let long = "a".repeat(255);
    let (account, password) = claim(format!("{long}@montague.lit\0{long}\0{long}")).unwrap();
    assert_eq!(account, address(&format!("{long}@montague.lit")));
    assert_eq!(password.octets(), long.as_bytes());
}

#[test]
fn rfc4616_2_what_cannot_be_prepared_is_refused_like_a_wrong_password() {
    for message in [
        "\0ro meo\0x",
        "\0romeo@montague.lit\0x",
        "\0romeo\0\u{ad}",
        "\0romeo\0\u{e000}",
    ] {
        assert_eq!(
            claim(message).unwrap_err().condition(),
            Condition::NotAuthorized,
            "{message:?}"
        );
    }
    let too_long = "a".repeat(crate::PASSWORD_BYTES_MAX + 1);
    assert_eq!(
        claim(format!("\0romeo\0{too_long}")).unwrap_err(),
        SaslError::WrongCredentials
    );
}

#[test]
fn rfc6120_6_3_8_nobody_acts_for_somebody_else_with_plain() {
    for authzid in [
        "juliet@montague.lit",
        "romeo@capulet.lit",
        "romeo",
        "romeo@montague.lit/orchard",
        " ",
    ] {
        assert_eq!(
            claim(format!("{authzid}\0romeo\0x")).unwrap_err(),
            SaslError::InvalidAuthzid,
            "{authzid}"
        );
    }
}

#[test]
fn rfc4616_5_plain_needs_tls() {
    for passwords in [scram_policy(), PasswordPolicy::Argon2id] {
        let offer = Offer {
            channel: Channel::Plaintext,
            passwords: Some(passwords),
            certificate: Vec::new(),
        };
        let (_, step) = start(Mechanism::Plain, "\0romeo\0x", &offer);
        assert_eq!(failure(step).condition(), Condition::EncryptionRequired);
    }
}

#[test]
fn rfc6120_6_5_7_what_is_not_offered_is_refused() {
    let (_, step) = start(Mechanism::External, "", &offer());
    assert_eq!(failure(step), SaslError::InvalidMechanism);
    let (_, step) = start(
        Mechanism::ScramSha1Plus,
        "p=tls-exporter,,n=romeo,r=abc",
        &offer_unbound(),
    );
    assert_eq!(failure(step), SaslError::InvalidMechanism);
    let argon2id = Offer {
        passwords: Some(PasswordPolicy::Argon2id),
        ..offer()
    };
    let (_, step) = start(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &argon2id);
    assert_eq!(failure(step), SaslError::InvalidMechanism);
}

#[test]
fn rfc6120_6_3_10_without_an_initial_response_an_empty_challenge_asks_for_it() {
    let begin = |mechanism, offer: &Offer| {
        let (exchange, step) = Exchange::start(mechanism, None, offer, &host(), server_nonce());
        assert_eq!(challenge(step), "");
        exchange
    };
    let step = begin(Mechanism::Plain, &offer()).response(b"\0romeo\0x");
    assert!(matches!(step, Step::NeedPasswordCheck { .. }));

    let s2s = Offer {
        passwords: None,
        certificate: vec![address("capulet.lit")],
        ..offer()
    };
    let step = begin(Mechanism::External, &s2s).response(b"");
    assert!(matches!(step, Step::Success { identity, .. } if identity == address("capulet.lit")));

    let client = ScramClient::new(
        HashFunction::Sha1,
        "romeo",
        ClientBinding::NotSupported,
        client_nonce(),
    );
    let mut exchange = begin(Mechanism::ScramSha1, &offer());
    assert!(matches!(
        exchange.response(&client.first()),
        Step::NeedCredentials { .. }
    ));
    let server_first = challenge(exchange.credentials(&romeo(), &unknown_accounts()));
    let challenged = client.challenged(server_first.as_bytes()).unwrap();
    let keys = ClientKeys::derive(
        HashFunction::Sha1,
        &password(PASSWORD),
        &challenged.salt,
        challenged.iterations,
    );
    let (answer, _) = challenged.answer(&keys);
    assert!(matches!(exchange.response(&answer), Step::Success { .. }));
}

#[test]
fn rfc6120_6_4_2_an_empty_initial_response_is_not_an_absent_one() {
    let (_, step) = start(Mechanism::Plain, "", &offer());
    assert_eq!(failure(step).condition(), Condition::MalformedRequest);
}

#[test]
fn an_input_that_is_not_awaited_ends_the_exchange_for_good() {
    let scram = || start(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &offer()).0;
    let plain = || start(Mechanism::Plain, "\0romeo\0x", &offer()).0;
    let proof = || challenged(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &offer(), &romeo()).0;
    type Wrong = (Exchange, fn(&mut Exchange) -> Step);
    let wrong: [Wrong; 6] = [
        (scram(), |exchange| exchange.response(b"")),
        (scram(), |exchange| exchange.password_checked(Verdict::Accepted)),
        (plain(), |exchange| exchange.response(b"")),
        (plain(), |exchange| {
            exchange.credentials(&Lookup::NoAccount, &unknown_accounts())
        }),
        (proof(), |exchange| exchange.password_checked(Verdict::Accepted)),
        (proof(), |exchange| {
            exchange.credentials(&Lookup::NoAccount, &unknown_accounts())
        }),
    ];
    for (mut exchange, input) in wrong {
        assert_eq!(failure(input(&mut exchange)), SaslError::OutOfOrder);
        assert_eq!(
            failure(exchange.password_checked(Verdict::Accepted)),
            SaslError::OutOfOrder
        );
        assert_eq!(
            failure(exchange.credentials(&romeo(), &unknown_accounts())),
            SaslError::OutOfOrder
        );
        assert_eq!(failure(exchange.response(b"")), SaslError::OutOfOrder);
    }
}

#[test]
fn a_proof_cannot_be_sent_twice() {
    let client = ScramClient::new(
        HashFunction::Sha1,
        "romeo",
        ClientBinding::NotSupported,
        client_nonce(),
    );
    let (mut exchange, server_first) = challenged(Mechanism::ScramSha1, client.first(), &offer(), &romeo());
    let wrong = format!(
        "c=biws,{},p=AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        server_first.split(',').next().unwrap()
    );
    let challenged = client.challenged(server_first.as_bytes()).unwrap();
    let keys = ClientKeys::derive(
        HashFunction::Sha1,
        &password(PASSWORD),
        &challenged.salt,
        challenged.iterations,
    );
    let (right, _) = challenged.answer(&keys);
    assert_eq!(
        failure(exchange.response(wrong.as_bytes())),
        SaslError::WrongCredentials
    );
    assert_eq!(failure(exchange.response(&right)), SaslError::OutOfOrder);
}

#[test]
fn messages_beyond_the_limit_are_refused_in_every_state() {
    let long = format!("n,,n=romeo,r={}", "a".repeat(MESSAGE_BYTES_MAX));
    let (_, step) = start(Mechanism::ScramSha1, &long, &offer());
    assert_eq!(failure(step), SaslError::Malformed("too long"));
    let (mut exchange, _) = Exchange::start(Mechanism::ScramSha1, None, &offer(), &host(), server_nonce());
    assert_eq!(
        failure(exchange.response(long.as_bytes())),
        SaslError::Malformed("too long")
    );
    let (mut exchange, _) = challenged(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &offer(), &romeo());
    assert_eq!(
        failure(exchange.response(long.as_bytes())),
        SaslError::Malformed("too long")
    );
}

#[test]
fn xep0178_3_external_gives_the_identity_that_the_certificate_proves() {
    let one = [address("capulet.lit")];
    let two = [address("juliet@capulet.lit"), address("nurse@capulet.lit")];
    let external = |certificate: &[Address], authzid: &[u8]| {
        let offer = Offer {
            passwords: None,
            certificate: certificate.to_vec(),
            ..offer()
        };
        match start(Mechanism::External, authzid, &offer).1 {
            Step::Success { identity, .. } => Ok(identity.as_str().to_owned()),
            other => Err(failure(other).condition()),
        }
    };
    for (certificate, authzid, outcome) in [
        (&one[..], &b""[..], Ok("capulet.lit")),
        (&one, b"capulet.lit", Ok("capulet.lit")),
        (&one, b"CAPULET.lit", Ok("capulet.lit")),
        (&one, b"montague.lit", Err(Condition::InvalidAuthzid)),
        (&one, b"romeo@capulet.lit", Err(Condition::InvalidAuthzid)),
        (&one, b"capulet.lit/x", Err(Condition::InvalidAuthzid)),
        (&one, b"@", Err(Condition::InvalidAuthzid)),
        (&one, b"\xff", Err(Condition::MalformedRequest)),
        (&two, b"", Err(Condition::InvalidAuthzid)),
        (&two, b"nurse@capulet.lit", Ok("nurse@capulet.lit")),
        (&[], b"", Err(Condition::InvalidMechanism)),
    ] {
        assert_eq!(
            external(certificate, authzid),
            outcome.map(String::from),
            "{authzid:?}"
        );
    }
}

#[test]
fn secrets_do_not_show() {
    let (exchange, step) = start(Mechanism::Plain, "\0romeo\0sesame", &offer());
    let (scram, _) = challenged(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &offer(), &romeo());
    let argon2id = PasswordPolicy::Argon2id
        .hash(&password("sesame"), Salt([0; Salt::BYTES]))
        .unwrap();
    let shown = format!(
        "{exchange:?}{step:?}{scram:?}{:?}{argon2id:?}{:?}",
        romeo(),
        unknown_accounts()
    );
    let keys = match romeo() {
        Lookup::Account { stored, .. } => stored.scram_keys(HashFunction::Sha1).unwrap().clone(),
        Lookup::NoAccount | Lookup::Unavailable => unreachable!(),
    };
    for secret in [
        String::from("sesame"),
        format!("{:?}", keys.stored_key),
        format!("{:?}", keys.server_key),
        String::from("$argon2id$"),
        String::from("3, 3, 3"),
    ] {
        assert!(!shown.contains(&secret), "{secret} in {shown}");
    }
}

/// Something like a message of SCRAM or PLAIN.
fn near_misses() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[nyp,=a-z0-9\\-]{0,8},[a=,@.]{0,6},[nmr=,]{0,4}[\\PC,=]{0,20}".prop_map(String::into_bytes),
        "(n|y|p=tls-exporter),(a=romeo@montague.lit)?,n=[\\PC=,]{1,12},r=[!-~]{1,12}(,[a-z]=.{0,4})?"
            .prop_map(String::into_bytes),
        "c=[A-Za-z0-9+/=]{0,12},r=[!-~]{0,60},p=[A-Za-z0-9+/]{0,90}={0,2}".prop_map(String::into_bytes),
        "[\\PC\0]{0,12}\0[\\PC]{0,12}\0[\\PC]{0,12}".prop_map(String::into_bytes),
    ]
}

proptest! {
    /// No bytes in any state panic, and none but the right ones let anybody in.
    #[test]
    fn whatever_a_peer_sends_is_refused_or_asked_about(
        mechanism in prop::sample::select(&Mechanism::BY_PREFERENCE[1..]),
        first in near_misses(),
        second in near_misses(),
        asked in any::<bool>(),
        known in any::<bool>(),
    ) {
        let initial = (!asked).then_some(&first[..]);
        let (mut exchange, mut step) = Exchange::start(mechanism, initial, &offer(), &host(), server_nonce());
        if asked {
            step = exchange.response(&first);
        }
        let lookup = if known { cheap_account() } else { Lookup::NoAccount };
        let last = match step {
            Step::NeedCredentials { account } => {
                prop_assert!(account.localpart().is_some() && account.is_bare());
                prop_assert_eq!(account.domainpart(), "montague.lit");
                let challenge = challenge(exchange.credentials(&lookup, &unknown_accounts()));
                prop_assert!(challenge.contains(server_nonce().as_str()));
                exchange.response(&second)
            }
            Step::NeedPasswordCheck { account, .. } => {
                prop_assert_eq!(account.domainpart(), "montague.lit");
                exchange.password_checked(Verdict::Rejected)
            }
            other => other,
        };
        prop_assert!(matches!(last, Step::Failure(_)), "{last:?}");
    }

    #[test]
    fn whatever_a_server_sends_the_client_does_not_panic(challenge in near_misses(), end in near_misses()) {
        let nonce = client_nonce();
        let begun = [b"r=".as_slice(), nonce.as_str().as_bytes(), b"x,s=AAAA,i=1"].concat();
        for message in [challenge, begun] {
            let client = ScramClient::new(HashFunction::Sha1, "romeo", ClientBinding::NotSupported, nonce.clone());
            if let Ok(challenged) = client.challenged(&message) {
                let keys = ClientKeys::derive(HashFunction::Sha1, &password("x"), &challenged.salt, std::num::NonZeroU32::MIN);
                let (_, awaiting) = challenged.answer(&keys);
                prop_assert!(awaiting.verify(&end).is_err());
            }
        }
    }
}

/// An account whose keys no password fits; the derivation of real ones takes too long for so many cases.
fn cheap_account() -> Lookup {
    let keys = |hash: HashFunction| {
        Some(Box::new(crate::ScramKeys {
            salt: vec![5; 16],
            iterations: ITERATIONS,
            stored_key: vec![6; hash.output_bytes()],
            server_key: vec![6; hash.output_bytes()],
        }))
    };
    account(crate::Stored::Scram {
        sha1: keys(HashFunction::Sha1),
        sha256: keys(HashFunction::Sha256),
        sha512: keys(HashFunction::Sha512),
    })
}
