//! The attributes of the messages (RFC 5802 §5.1) and their syntax (§7).

use crate::fixtures::*;
use crate::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;

#[test]
fn rfc5802_5_1_a_nonce_that_is_not_repeated_exactly_fails() {
    let (_, challenge) = challenged(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &offer(), &romeo());
    let nonce = challenge
        .split(',')
        .next()
        .unwrap()
        .strip_prefix("r=")
        .unwrap()
        .to_owned();
    assert_eq!(nonce, format!("abc{}", server_nonce().as_str()));
    let others = [
        "abc",
        &nonce[..nonce.len() - 1],
        &format!("{nonce}x"),
        &nonce.to_uppercase(),
        server_nonce().as_str(),
    ]
    .map(String::from);
    for other in others {
        let (mut exchange, _) = challenged(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &offer(), &romeo());
        let message = format!("c=biws,r={other},p={}", STANDARD.encode([0; 20]));
        assert_eq!(
            failure(exchange.response(message.as_bytes())),
            SaslError::NonceMismatch,
            "{other}"
        );
    }
}

#[test]
fn rfc5802_5_1_mandatory_extensions_fail_wherever_they_stand() {
    for first in [
        "n,,m=x,n=romeo,r=abc",
        "n,,n=romeo,r=abc,m=x",
        "n,,n=romeo,r=abc,x=y,m=x",
    ] {
        let (_, step) = start(Mechanism::ScramSha1, first, &offer());
        assert_eq!(failure(step), SaslError::UnsupportedExtension, "{first}");
    }
    let nonce = format!("abc{}", server_nonce().as_str());
    for last in [
        format!("m=x,c=biws,r={nonce},p=AAAA"),
        format!("c=biws,r={nonce},m=x,p=AAAA"),
    ] {
        let (mut exchange, _) = challenged(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &offer(), &romeo());
        assert_eq!(
            failure(exchange.response(last.as_bytes())),
            SaslError::UnsupportedExtension,
            "{last}"
        );
    }
}

#[test]
fn rfc5802_5_1_unknown_optional_extensions_are_ignored_but_covered_by_the_proof() {
    let romeo = romeo();
    let finish = |tampered: bool| {
        let (mut exchange, server_first) = challenged(
            Mechanism::ScramSha256,
            "n,,n=romeo,r=abc,x=hello,Z=1",
            &offer(),
            &romeo,
        );
        let mut attributes = server_first.split(',');
        let nonce = attributes.next().unwrap();
        let without_proof = format!("c=biws,{nonce},t=later");
        let Lookup::Account { stored, .. } = &romeo else {
            unreachable!()
        };
        let salt = &stored.scram_keys(HashFunction::Sha256).unwrap().salt;
        let salted = HashFunction::Sha256.salted_password(PASSWORD.as_bytes(), salt, ITERATIONS);
        let client_key = HashFunction::Sha256.hmac(&salted, &[b"Client Key"]);
        let extension = if tampered { "x=hullo" } else { "x=hello" };
        let auth_message = format!("n=romeo,r=abc,{extension},Z=1,{server_first},{without_proof}");
        let signature = HashFunction::Sha256.hmac(
            &HashFunction::Sha256.digest(&client_key),
            &[auth_message.as_bytes()],
        );
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        exchange.response(format!("{without_proof},p={}", STANDARD.encode(proof)).as_bytes())
    };
    assert!(matches!(finish(false), Step::Success { .. }));
    assert_eq!(failure(finish(true)), SaslError::WrongCredentials);
}

#[test]
fn rfc5802_7_malformed_first_messages() {
    let nul = "n,,n=ro\0meo,r=abc";
    for first in [
        "",
        "n",
        "n,",
        "n,,",
        "x,,n=romeo,r=abc",
        "N,,n=romeo,r=abc",
        "F,n,,n=romeo,r=abc",
        "p=,,n=romeo,r=abc",
        "p=tls_exporter,,n=romeo,r=abc",
        "n,romeo,n=romeo,r=abc",
        "n,a=,n=romeo,r=abc",
        "n,a=ro=meo,n=romeo,r=abc",
        "n,,n=,r=abc",
        "n,,n=ro=meo,r=abc",
        "n,,n=romeo=2,r=abc",
        "n,,n=romeo=2c,r=abc",
        "n,,romeo,r=abc",
        "n,,r=abc,n=romeo",
        "n,,n=romeo",
        "n,,n=romeo,",
        "n,,n=romeo,r=",
        "n,,n=romeo,r=a b",
        "n,,n=romeo,r=ä",
        "n,,n=romeo,r=abc,",
        "n,,n=romeo,r=abc,x",
        "n,,n=romeo,r=abc,x=",
        "n,,n=romeo,r=abc,1=a",
        nul,
    ] {
        let (_, step) = start(Mechanism::ScramSha1, first, &offer());
        assert_eq!(
            failure(step).condition(),
            Condition::MalformedRequest,
            "{first:?}"
        );
    }
    let (_, step) = start(Mechanism::ScramSha1, b"n,,n=rom\xffeo,r=abc", &offer());
    assert_eq!(failure(step).condition(), Condition::MalformedRequest);
}

#[test]
fn rfc5802_7_malformed_last_messages() {
    let nonce = format!("abc{}", server_nonce().as_str());
    let proof = STANDARD.encode([0; 20]);
    for last in [
        String::new(),
        String::from("p="),
        format!("c=biws,r={nonce}"),
        format!("c=biws,r={nonce},p={proof},x=y"),
        format!("c=biws,r={nonce},x,p={proof}"),
        format!("r={nonce},c=biws,p={proof}"),
        format!("c=biws,p={proof}"),
        format!("c=biws,r={nonce},p="),
        format!("c=biws,r={nonce},p={}", proof.trim_end_matches('=')),
        format!("c=biws,r={nonce},p={}", STANDARD.encode([0; 19])),
        format!("c=biws,r={nonce},p={}", STANDARD.encode([0; 32])),
        format!("c=biws,r={nonce},p=***"),
    ] {
        let (mut exchange, _) = challenged(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &offer(), &romeo());
        let error = failure(exchange.response(last.as_bytes()));
        assert_eq!(error.condition(), Condition::MalformedRequest, "{last:?}");
    }
}

#[test]
fn rfc5802_5_1_a_user_name_with_comma_and_equals_sign_is_unescaped() {
    let (_, step) = start(Mechanism::ScramSha1, "n,,n=ro=2Cme=3Do,r=abc", &offer());
    assert!(matches!(step, Step::NeedCredentials { account } if account == address("ro,me=o@montague.lit")));
}

#[test]
fn rfc5802_5_1_user_names_are_prepared_and_those_that_cannot_be_are_refused_like_wrong_passwords() {
    // RFC 4013 §3: the soft hyphen goes, the Roman numeral and the case are folded.
    let (_, step) = start(Mechanism::ScramSha1, "n,,n=Ro\u{ad}meo\u{2168},r=abc", &offer());
    assert!(matches!(step, Step::NeedCredentials { account } if account == address("romeoix@montague.lit")));
    let long = "a".repeat(1024);
    for name in [
        "ro meo",
        "romeo@montague.lit",
        "capulet.lit/x",
        "ro\"meo",
        "\u{ad}",
        "ro\u{7}meo",
        long.as_str(),
    ] {
        let (_, step) = start(Mechanism::ScramSha1, format!("n,,n={name},r=abc"), &offer());
        let error = failure(step);
        assert_eq!(error, SaslError::InvalidUsername, "{name:?}");
        assert_eq!(error.condition(), Condition::NotAuthorized);
    }
}

#[test]
fn rfc6120_6_3_8_only_the_accounts_own_bare_address_may_be_the_authorization_identity() {
    for own in ["romeo@montague.lit", "Romeo@Montague.LIT"] {
        let (_, step) = start(Mechanism::ScramSha1, format!("n,a={own},n=romeo,r=abc"), &offer());
        assert!(matches!(step, Step::NeedCredentials { .. }), "{own}");
    }
    for other in [
        "juliet@montague.lit",
        "romeo@capulet.lit",
        "romeo@montague.lit/orchard",
        "romeo",
        "montague.lit",
        "@",
    ] {
        let (_, step) = start(
            Mechanism::ScramSha1,
            format!("n,a={other},n=romeo,r=abc"),
            &offer(),
        );
        assert_eq!(failure(step), SaslError::InvalidAuthzid, "{other}");
    }
}

#[test]
fn rfc5802_5_1_the_challenge_carries_the_accounts_own_salt_and_iterations() {
    for iterations in [1, 4096, 1_000_000] {
        let keys = ScramKeys {
            salt: vec![0, 1, 2],
            iterations: NonZeroU32::new(iterations).unwrap(),
            stored_key: vec![0; 20],
            server_key: vec![0; 20],
        };
        let lookup = account(Stored::Scram {
            sha1: Some(Box::new(keys)),
            sha256: None,
            sha512: None,
        });
        let (_, challenge) = challenged(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &offer(), &lookup);
        assert_eq!(
            challenge,
            format!("r=abc{},s=AAEC,i={iterations}", server_nonce().as_str())
        );
    }
}
