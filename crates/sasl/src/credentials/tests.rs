//! Keys against figures of another implementation, and what happens when policy changes.

use super::*;
use crate::fixtures::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const SALT: Salt = Salt([5; Salt::BYTES]);

/// Computed with Python's hashlib for password "pencil" and the salt of RFC 7677 §3.
#[test]
fn rfc5802_3_keys_agree_with_another_implementation() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    for (hash, stored_key, server_key) in [
        (
            HashFunction::Sha1,
            "g2pEzX2tMaoibxTD4YfBJkq1y8w=",
            "ZGkNjsmKwVX5C5z80vGxHZ02jOI=",
        ),
        (
            HashFunction::Sha256,
            "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
            "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        ),
        (
            HashFunction::Sha512,
            "6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBqzu8QaCXNc1FwpnX9NhH2hK/60dzj9DoO5DvVkOHbvg==",
            "jZHbYjC1aHh0/hKbxyBuGFjDrgjgKTT1esA7awWiKcRZ0o/0b1yWEebBeSVkkCFewf91nLDfKF24mvD5nmE6rA==",
        ),
    ] {
        let keys = ScramKeys::derive(hash, &password("pencil"), &salt, ITERATIONS);
        assert_eq!(STANDARD.encode(&keys.stored_key), stored_key);
        assert_eq!(STANDARD.encode(&keys.server_key), server_key);
        assert_eq!((keys.salt, keys.iterations), (salt.clone(), ITERATIONS));
    }
}

fn policies() -> [PasswordPolicy; 5] {
    let scram = |hashes: &[HashFunction], iterations| PasswordPolicy::Scram {
        hashes: HashFunctions::of(hashes),
        iterations: NonZeroU32::new(iterations).unwrap(),
    };
    [
        scram(&[HashFunction::Sha1], 4096),
        scram(&[HashFunction::Sha256], 4096),
        scram(&HashFunction::STRONGEST_FIRST, 4096),
        scram(&HashFunction::STRONGEST_FIRST, 5000),
        PasswordPolicy::Argon2id,
    ]
}

#[test]
fn a_host_keeps_what_its_policy_says_and_only_that() {
    for policy in policies() {
        match (&policy, policy.hash(&password(PASSWORD), SALT).unwrap()) {
            (PasswordPolicy::Scram { hashes, iterations }, stored @ Stored::Scram { .. }) => {
                for hash in HashFunction::STRONGEST_FIRST {
                    let keys = stored.scram_keys(hash);
                    assert_eq!(keys.is_some(), hashes.contains(hash));
                    assert!(keys.is_none_or(|keys| keys.iterations == *iterations && keys.salt == SALT.0));
                }
            }
            (PasswordPolicy::Argon2id, Stored::Argon2id(phc)) => {
                assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
            }
            (policy, stored) => panic!("{policy:?} made {stored:?}"),
        }
    }
}

#[test]
fn another_salt_gives_other_keys() {
    for policy in policies() {
        let stored = policy.hash(&password(PASSWORD), SALT).unwrap();
        assert_eq!(policy.hash(&password(PASSWORD), SALT).unwrap(), stored);
        assert_ne!(
            policy.hash(&password(PASSWORD), Salt([6; Salt::BYTES])).unwrap(),
            stored
        );
    }
}

#[test]
fn a_login_hashes_anew_exactly_when_policy_has_changed() {
    for kept in policies() {
        let lookup = account(kept.hash(&password(PASSWORD), SALT).unwrap());
        for policy in policies() {
            let check = check_password(&lookup, &password(PASSWORD), &policy, Salt([6; Salt::BYTES]));
            assert_eq!(check.verdict, Verdict::Accepted);
            assert_eq!(
                check.rehashed.is_some(),
                kept != policy,
                "kept as {kept:?}, wanted {policy:?}"
            );
            if let Some(stored) = check.rehashed {
                assert_eq!(
                    stored,
                    policy.hash(&password(PASSWORD), Salt([6; Salt::BYTES])).unwrap()
                );
                assert!(!policy.wants_rehash(&stored));
            }
            let check = check_password(&lookup, &password("guess"), &policy, SALT);
            assert_eq!((check.verdict, check.rehashed), (Verdict::Rejected, None));
        }
    }
}

#[test]
fn argon2id_with_other_parameters_is_checked_with_those_and_hashed_anew() {
    let params = Params::new(64, 1, 1, None).unwrap();
    let weak: PasswordHash = Argon2::from(params)
        .hash_password_with_salt(PASSWORD.as_bytes(), &SALT.0)
        .unwrap();
    let check = check_password(
        &account(Stored::Argon2id(weak.to_string())),
        &password(PASSWORD),
        &PasswordPolicy::Argon2id,
        SALT,
    );
    assert_eq!(check.verdict, Verdict::Accepted);
    assert!(check.rehashed.is_some());
}

#[test]
fn rfc6120_6_5_10_an_unknown_account_costs_the_same_check_and_is_rejected() {
    for policy in policies() {
        // The decoy goes the way of every account, and it is kept as policy says: so the work is the same.
        assert!(!policy.wants_rehash(&policy.decoy()), "{policy:?}");
        let check = check_password(&Lookup::NoAccount, &password(PASSWORD), &policy, SALT);
        assert_eq!((check.verdict, check.rehashed), (Verdict::Rejected, None));
    }
}

#[test]
fn rfc6120_6_5_2_a_disabled_account_is_told_so_only_with_the_right_password() {
    for (standing, verdict) in [
        (Standing::Disabled, Verdict::AccountDisabled),
        (Standing::Expired, Verdict::CredentialsExpired),
    ] {
        let stored = scram_policy().hash(&password(PASSWORD), SALT).unwrap();
        let lookup = Lookup::Account { stored, standing };
        let check = |typed| check_password(&lookup, &password(typed), &PasswordPolicy::Argon2id, SALT);
        assert_eq!(check("guess").verdict, Verdict::Rejected);
        let right = check(PASSWORD);
        assert_eq!((right.verdict, right.rehashed), (verdict, None));
    }
}

#[test]
fn what_cannot_be_checked_is_unavailable_and_what_has_no_keys_rejected() {
    let check = |lookup: &Lookup| check_password(lookup, &password(PASSWORD), &scram_policy(), SALT).verdict;
    assert_eq!(check(&Lookup::Unavailable), Verdict::Unavailable);
    assert_eq!(
        check(&account(Stored::Argon2id(String::from("$argon2id$broken")))),
        Verdict::Unavailable
    );
    assert_eq!(
        check(&account(Stored::Scram {
            sha1: None,
            sha256: None,
            sha512: None
        })),
        Verdict::Rejected
    );
}

#[test]
fn a_key_of_a_wrong_length_fits_no_password() {
    for length in [0, 19, 21, 32] {
        let mut keys = ScramKeys::derive(HashFunction::Sha1, &password(PASSWORD), &SALT.0, ITERATIONS);
        keys.stored_key.resize(length, 0);
        let lookup = account(Stored::Scram {
            sha1: Some(Box::new(keys)),
            sha256: None,
            sha512: None,
        });
        let check = check_password(&lookup, &password(PASSWORD), &scram_policy(), SALT);
        assert_eq!(check.verdict, Verdict::Rejected);
    }
}
