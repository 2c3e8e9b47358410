//! The channel binding data of `tls-server-end-point` (RFC 5929 §4): a hash of the server's certificate.
//!
//! Which hash is a matter of the certificate's own signature, so just enough DER (RFC 5280 §4.1) is read to find it.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The binding data of the certificate that the server shows, in DER. `None` where RFC 5929 §4.1 leaves it undefined:
/// signatures with no hash function (Ed25519) or with several, and such as we do not know.
pub fn tls_server_end_point(leaf: &[u8]) -> Option<Vec<u8>> {
    Some(match signature_hash(leaf)? {
        SignatureHash::Sha256 => Sha256::digest(leaf).to_vec(),
        SignatureHash::Sha384 => Sha384::digest(leaf).to_vec(),
        SignatureHash::Sha512 => Sha512::digest(leaf).to_vec(),
    })
}

/// The hash function to use, where RFC 5929 §4.1 has already put SHA-256 for MD5 and SHA-1.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SignatureHash {
    Sha256,
    Sha384,
    Sha512,
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0]` and `[1]`, constructed, as RSASSA-PSS-params tags its fields.
const PSS_HASH: u8 = 0xa0;
const PSS_MASK: u8 = 0xa1;

fn signature_hash(certificate: &[u8]) -> Option<SignatureHash> {
    use SignatureHash::*;
    let (certificate, []) = expect(SEQUENCE, certificate)? else {
        return None;
    };
    let (_signed, rest) = expect(SEQUENCE, certificate)?;
    let (algorithm, _signature) = expect(SEQUENCE, rest)?;
    let (identifier, parameters) = expect(OBJECT_IDENTIFIER, algorithm)?;
    match identifier {
        // 1.2.840.113549.1.1: RSA with MD5 (4), SHA-1 (5), PSS (10), SHA-256 (11), SHA-384 (12), SHA-512 (13).
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, rsa] => match rsa {
            4 | 5 | 11 => Some(Sha256),
            12 => Some(Sha384),
            13 => Some(Sha512),
            10 => pss_hash(parameters),
            _ => None,
        },
        // 1.2.840.10045.4: ECDSA with SHA-1 (1), SHA-256 (3.2), SHA-384 (3.3), SHA-512 (3.4).
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, ecdsa @ ..] => match ecdsa {
            [1] | [3, 2] => Some(Sha256),
            [3, 3] => Some(Sha384),
            [3, 4] => Some(Sha512),
            _ => None,
        },
        _ => None,
    }
}

/// RFC 4055 §3.1: one hash function for the message, one for the mask, each SHA-1 if not named.
fn pss_hash(parameters: &[u8]) -> Option<SignatureHash> {
    let (fields, _) = expect(SEQUENCE, parameters)?;
    let (message_hash, fields) = match expect(PSS_HASH, fields) {
        Some((field, rest)) => (algorithm_hash(field)?, rest),
        None => (SignatureHash::Sha256, fields),
    };
    let mask_hash = match expect(PSS_MASK, fields) {
        Some((field, _)) => {
            let (mask, _) = expect(SEQUENCE, field)?;
            let (_mgf1, hash) = expect(OBJECT_IDENTIFIER, mask)?;
            algorithm_hash(hash)?
        }
        None => SignatureHash::Sha256,
    };
    (message_hash == mask_hash).then_some(message_hash)
}

fn algorithm_hash(algorithm: &[u8]) -> Option<SignatureHash> {
    let (algorithm, _) = expect(SEQUENCE, algorithm)?;
    match expect(OBJECT_IDENTIFIER, algorithm)?.0 {
        // 1.3.14.3.2.26, and 2.16.840.1.101.3.4.2 with SHA-256 (1), SHA-384 (2), SHA-512 (3).
        [0x2b, 0x0e, 0x03, 0x02, 0x1a] | [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 1] => {
            Some(SignatureHash::Sha256)
        }
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 2] => Some(SignatureHash::Sha384),
        [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 3] => Some(SignatureHash::Sha512),
        _ => None,
    }
}

/// The content of the DER element at the front, if it has this tag, and what follows it.
fn expect(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, der) = der.split_first()?;
    if *found != tag {
        return None;
    }
    let (first, der) = der.split_first()?;
    let (length, der) = match usize::from(*first) {
        short @ 0..=0x7f => (short, der),
        long => {
            // X.690 §8.1.3.5: that many octets of length follow. Certificates need no more than three.
            let (octets, der) = der
                .split_at_checked(long - 0x80)
                .filter(|(octets, _)| matches!(octets.len(), 1..=3))?;
            (
                octets
                    .iter()
                    .fold(0, |length, octet| length << 8 | usize::from(*octet)),
                der,
            )
        }
    };
    der.split_at_checked(length)
}
