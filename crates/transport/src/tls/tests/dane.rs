//! Certificates that DNS names (RFC 6698).

use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256, Sha512};

use super::*;
use crate::tls::Tlsa;

fn record(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Tlsa {
    Tlsa {
        usage,
        selector,
        matching,
        data: data.to_vec(),
    }
}

#[test]
fn rfc6698_2_1_a_record_names_a_certificate_or_its_key_as_it_is_or_by_a_hash() {
    let folder = Folder::new();
    let issued = order(&["montague.lit"]).issue();
    let chain: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(issued.chain.as_bytes())
        .map(Result::unwrap)
        .collect();
    let (_, parsed) = x509_parser::parse_x509_certificate(&chain[0]).unwrap();
    let (leaf, key, authority) = (&*chain[0], parsed.public_key().raw, &*chain[1]);
    let certificates = store(vec![folder.put("montague.lit", &issued)]);
    let certificate = certificates.best_for("montague.lit").unwrap();
    for (usage, selector, matching, data, expected) in [
        (3, 0, 0, leaf, Some(true)),
        (3, 1, 0, key, Some(true)),
        (1, 0, 1, Sha256::digest(leaf).as_slice(), Some(true)),
        (3, 1, 1, Sha256::digest(key).as_slice(), Some(true)),
        (3, 1, 2, Sha512::digest(key).as_slice(), Some(true)),
        (3, 1, 1, Sha256::digest(leaf).as_slice(), Some(false)),
        (3, 0, 0, authority, Some(false)),
        (2, 0, 0, authority, Some(true)),
        (2, 0, 1, Sha256::digest(b"another").as_slice(), Some(false)),
        (0, 0, 0, authority, None),
        (255, 0, 0, leaf, None),
        (3, 2, 0, leaf, None),
        (3, 0, 3, leaf, None),
    ] {
        let found = certificate.is_named_by(&record(usage, selector, matching, data));
        assert_eq!(found, expected, "{usage} {selector} {matching}");
    }
    let digits: String = Sha256::digest(key)
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    assert_eq!(certificate.tlsa(), Some(format!("3 1 1 {digits}")));
}
