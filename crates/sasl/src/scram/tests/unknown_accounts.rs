//! What a login attempt tells about an account (RFC 6120 §6.5.10): nothing.

use super::SCRAM;
use crate::client::{ClientBinding, ClientKeys, ScramClient};
use crate::fixtures::*;
use crate::mechanism::Binding;
use crate::scram::{AwaitCredentials, Owner};
use crate::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[test]
fn rfc6120_6_5_10_an_unknown_account_looks_like_a_known_one() {
    let no_keys = account(Stored::Scram {
        sha1: None,
        sha256: None,
        sha512: None,
    });
    let argon2id = account(Stored::Argon2id(String::from("$argon2id$")));
    for (mechanism, _, hash) in SCRAM {
        let shape = |lookup: &Lookup| {
            let (mut exchange, challenge) = challenged(mechanism, "n,,n=romeo,r=abc", &offer(), lookup);
            let last = format!(
                "c=biws,r=abc{},p={}",
                server_nonce().as_str(),
                STANDARD.encode(vec![0; hash.output_bytes()])
            );
            let error = failure(exchange.response(last.as_bytes()));
            let salt = challenge.split(',').nth(1).unwrap().to_owned();
            (challenge.replace(&salt, "salt"), salt.len(), error)
        };
        let known = shape(&romeo());
        assert_eq!(known.2, SaslError::WrongCredentials);
        for lookup in [&Lookup::NoAccount, &no_keys, &argon2id] {
            assert_eq!(shape(lookup), known, "{mechanism:?}");
        }
    }
}

#[test]
fn rfc6120_6_5_10_the_made_up_salt_depends_on_the_account_and_the_secret_alone() {
    let salt = |mechanism, name: &str, secret: [u8; 32]| {
        let (mut exchange, _) = start(mechanism, format!("n,,n={name},r=abc"), &offer());
        let unknown_accounts = UnknownAccounts::new(secret, ITERATIONS);
        let challenge = challenge(exchange.credentials(&Lookup::NoAccount, &unknown_accounts));
        challenge.split(',').nth(1).unwrap().to_owned()
    };
    let tybalt = salt(Mechanism::ScramSha1, "tybalt", [1; 32]);
    assert_eq!(salt(Mechanism::ScramSha1, "tybalt", [1; 32]), tybalt);
    // Real keys share a salt too, and do not care how the name was spelled.
    assert_eq!(salt(Mechanism::ScramSha256, "tybalt", [1; 32]), tybalt);
    assert_eq!(salt(Mechanism::ScramSha1, "Tybalt", [1; 32]), tybalt);
    assert_ne!(salt(Mechanism::ScramSha1, "paris", [1; 32]), tybalt);
    assert_ne!(salt(Mechanism::ScramSha1, "tybalt", [2; 32]), tybalt);
}

#[test]
fn rfc6120_6_5_10_an_account_without_keys_for_one_hash_has_one_salt_for_all_like_an_unknown_one() {
    let policy = PasswordPolicy::Scram {
        hashes: HashFunctions::of(&[HashFunction::Sha1]),
        iterations: ITERATIONS,
    };
    let only_sha1 = account(policy.hash(&password(PASSWORD), Salt([5; Salt::BYTES])).unwrap());
    for lookup in [&only_sha1, &Lookup::NoAccount] {
        let [sha1, sha256, sha512] =
            SCRAM.map(|(mechanism, ..)| challenged(mechanism, "n,,n=romeo,r=abc", &offer(), lookup).1);
        assert_eq!((&sha256, &sha512), (&sha1, &sha1));
    }
    let outcome = login(
        Mechanism::ScramSha256,
        HashFunction::Sha256,
        ClientBinding::NotSupported,
        PASSWORD,
        &offer(),
        &only_sha1,
    );
    assert_eq!(outcome, Err(SaslError::WrongCredentials));
}

#[test]
fn a_right_proof_over_keys_of_nobody_is_refused() {
    let client = ScramClient::new(
        HashFunction::Sha256,
        "romeo",
        ClientBinding::NotSupported,
        client_nonce(),
    );
    let awaiting = AwaitCredentials::begin(
        HashFunction::Sha256,
        Binding::Unbound,
        &client.first(),
        &offer(),
        &host(),
        &server_nonce(),
    );
    let (mut awaiting, server_first) = awaiting
        .unwrap()
        .credentials(&romeo(), &unknown_accounts())
        .unwrap();
    awaiting.owner = Owner::Nobody;
    let challenged = client.challenged(&server_first).unwrap();
    let keys = ClientKeys::derive(
        HashFunction::Sha256,
        &password(PASSWORD),
        &challenged.salt,
        challenged.iterations,
    );
    let (answer, _) = challenged.answer(&keys);
    assert_eq!(
        awaiting.response(&answer).unwrap_err(),
        SaslError::WrongCredentials
    );
}

#[test]
fn rfc6120_6_5_2_the_standing_is_told_only_to_who_knows_the_password() {
    for (standing, told) in [
        (Standing::Disabled, SaslError::AccountDisabled),
        (Standing::Expired, SaslError::CredentialsExpired),
    ] {
        let Lookup::Account { stored, .. } = romeo() else {
            unreachable!()
        };
        let lookup = Lookup::Account { stored, standing };
        let login = |typed| {
            login(
                Mechanism::ScramSha1,
                HashFunction::Sha1,
                ClientBinding::NotSupported,
                typed,
                &offer(),
                &lookup,
            )
        };
        assert_eq!(login(PASSWORD), Err(told));
        assert_eq!(login("guess"), Err(SaslError::WrongCredentials));
    }
}

#[test]
fn rfc6120_6_5_11_a_store_that_does_not_answer_is_a_temporary_failure() {
    let (mut exchange, _) = start(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &offer());
    let error = failure(exchange.credentials(&Lookup::Unavailable, &unknown_accounts()));
    assert_eq!(error.condition(), Condition::TemporaryAuthFailure);
}
