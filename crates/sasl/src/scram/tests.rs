//! SCRAM as a server meets it: the RFCs' examples and whole logins; in the modules, every way to fail.

mod binding;
mod messages;
mod unknown_accounts;

use crate::client::ClientBinding;
use crate::fixtures::*;
use crate::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const SCRAM: [(Mechanism, Mechanism, HashFunction); 3] = [
    (Mechanism::ScramSha1, Mechanism::ScramSha1Plus, HashFunction::Sha1),
    (
        Mechanism::ScramSha256,
        Mechanism::ScramSha256Plus,
        HashFunction::Sha256,
    ),
    (
        Mechanism::ScramSha512,
        Mechanism::ScramSha512Plus,
        HashFunction::Sha512,
    ),
];

/// Plays an example of an RFC, byte for byte: user "user", password "pencil", 4096 iterations.
fn example(mechanism: Mechanism, hash: HashFunction, salt: &str, server_nonce: &str, messages: [&str; 4]) {
    let [client_first, server_first, client_final, server_final] = messages;
    let keys = ScramKeys::derive(
        hash,
        &password("pencil"),
        &STANDARD.decode(salt).unwrap(),
        ITERATIONS,
    );
    let (sha1, sha256) = match hash {
        HashFunction::Sha1 => (Some(Box::new(keys)), None),
        HashFunction::Sha256 | HashFunction::Sha512 => (None, Some(Box::new(keys))),
    };
    let lookup = account(Stored::Scram {
        sha1,
        sha256,
        sha512: None,
    });

    let (mut exchange, step) = Exchange::start(
        mechanism,
        Some(client_first.as_bytes()),
        &offer(),
        &host(),
        Nonce::literal(server_nonce),
    );
    assert!(matches!(step, Step::NeedCredentials { account } if account == address("user@montague.lit")));
    assert_eq!(
        challenge(exchange.credentials(&lookup, &unknown_accounts())),
        server_first
    );
    match exchange.response(client_final.as_bytes()) {
        Step::Success {
            identity,
            additional_data,
        } => {
            assert_eq!(identity, address("user@montague.lit"));
            assert_eq!(additional_data.unwrap(), server_final.as_bytes());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rfc5802_5_example() {
    example(
        Mechanism::ScramSha1,
        HashFunction::Sha1,
        "QSXCR+Q6sek8bf92",
        "3rfcNHYJY1ZVvWVs7j",
        [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
    );
}

#[test]
fn rfc7677_3_example() {
    example(
        Mechanism::ScramSha256,
        HashFunction::Sha256,
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    );
}

#[test]
fn every_mechanism_lets_in_who_knows_the_password_and_nobody_else() {
    let romeo = romeo();
    for (unbound, plus, hash) in SCRAM {
        let ways = [
            (unbound, ClientBinding::NotSupported),
            (plus, ClientBinding::Bound(BindingType::TlsExporter, vec![7; 32])),
            (
                plus,
                ClientBinding::Bound(BindingType::TlsServerEndPoint, vec![9; 48]),
            ),
        ];
        for (mechanism, binding) in ways {
            assert_eq!(
                login(mechanism, hash, binding.clone(), PASSWORD, &offer(), &romeo),
                Ok(address("romeo@montague.lit")),
                "{mechanism:?}"
            );
            assert_eq!(
                login(mechanism, hash, binding, "guess", &offer(), &romeo),
                Err(SaslError::WrongCredentials),
                "{mechanism:?}"
            );
        }
    }
}

#[test]
fn a_password_beyond_ascii_is_the_same_however_it_was_typed() {
    // RFC 4013 §3: "I", soft hyphen, "X" and the Roman numeral are all "IX".
    let policy = PasswordPolicy::Scram {
        hashes: ALL_HASHES,
        iterations: ITERATIONS,
    };
    let lookup = account(policy.hash(&password("\u{2168} été"), Salt([5; 16])).unwrap());
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
    assert!(login("I\u{ad}X\u{a0}e\u{301}te\u{301}").is_ok());
    assert_eq!(login("ix été"), Err(SaslError::WrongCredentials));
}

/// Enough guesses to hit, if only the first octet of the key were compared.
#[test]
fn rfc5802_3_guessed_proofs_are_refused() {
    let romeo = romeo();
    for guess in 0..4096_u32 {
        let (mut exchange, _) = challenged(Mechanism::ScramSha1, "n,,n=romeo,r=abc", &offer(), &romeo);
        let proof = STANDARD.encode(HashFunction::Sha1.digest(&guess.to_be_bytes()));
        let message = format!("c=biws,r=abc{},p={proof}", server_nonce().as_str());
        assert_eq!(
            failure(exchange.response(message.as_bytes())),
            SaslError::WrongCredentials
        );
    }
}
