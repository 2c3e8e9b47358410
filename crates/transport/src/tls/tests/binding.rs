//! The channel binding data: equal at both ends, and what the RFCs say.

use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, PKCS_RSA_SHA384,
    PKCS_RSA_SHA512, SignatureAlgorithm,
};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::super::Listener;
use super::super::channel_binding::end_point_hash;
use super::{Folder, authority_with, client, leaf, order, store};

#[tokio::test]
async fn rfc9266_2_both_ends_export_the_same_and_every_connection_another() {
    let folder = Folder::new();
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue()),
    ]);
    let mut seen = Vec::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for _ in 0..2 {
            let (server, client) = client()
                .only(version)
                .connect(&store, Listener::DirectTls, None)
                .await;
            let exported = server.channel_bindings().tls_exporter.unwrap();
            let label = b"EXPORTER-Channel-Binding";
            let of_client = client
                .get_ref()
                .1
                .export_keying_material([0u8; 32], label, Some(b""))
                .unwrap();
            assert_eq!(exported, of_client);
            assert!(!seen.contains(&exported));
            seen.push(exported);
        }
    }
}

/// The end-point data that the server has for a certificate which an authority with such a key signed, and
/// what the client was shown.
async fn end_point(signed_with: &'static SignatureAlgorithm) -> (Option<Vec<u8>>, Vec<u8>) {
    let folder = Folder::new();
    let issuer = authority_with(KeyPair::generate_for(signed_with).unwrap());
    let store = store(vec![
        folder.put("montague.lit", &order(&["montague.lit"]).issue_by(&issuer)),
    ]);
    let (server, client) = client().connect(&store, Listener::StartTls, None).await;
    (
        server.channel_bindings().tls_server_end_point,
        leaf(&client).to_vec(),
    )
}

#[tokio::test]
async fn rfc5929_4_1_the_certificate_is_hashed_as_its_signature_is() {
    let (hash, shown) = end_point(&PKCS_ECDSA_P256_SHA256).await;
    assert_eq!(hash.unwrap(), Sha256::digest(&shown).as_slice());
    let (hash, shown) = end_point(&PKCS_ECDSA_P384_SHA384).await;
    assert_eq!(hash.unwrap(), Sha384::digest(&shown).as_slice());
    let (hash, shown) = end_point(&PKCS_RSA_SHA256).await;
    assert_eq!(hash.unwrap(), Sha256::digest(&shown).as_slice());
    let (hash, shown) = end_point(&PKCS_RSA_SHA384).await;
    assert_eq!(hash.unwrap(), Sha384::digest(&shown).as_slice());
    let (hash, shown) = end_point(&PKCS_RSA_SHA512).await;
    assert_eq!(hash.unwrap(), Sha512::digest(&shown).as_slice());
}

#[tokio::test]
async fn rfc5929_4_1_without_a_hash_in_the_signature_there_is_no_binding() {
    let (hash, _) = end_point(&PKCS_ED25519).await;
    assert_eq!(hash, None);
}

/// A certificate of openssl(1), whose signature algorithm its name tells.
fn hashed(pem: &str) -> (Option<Box<[u8]>>, Vec<u8>) {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
    (end_point_hash(&certificate, &der), der.to_vec())
}

#[test]
fn rfc5929_4_1_sha_1_and_md5_count_as_sha_256() {
    for pem in [
        include_str!("fixtures/rsa-sha1.pem"),
        include_str!("fixtures/rsa-md5.pem"),
    ] {
        let (hash, der) = hashed(pem);
        assert_eq!(&*hash.unwrap(), Sha256::digest(&der).as_slice());
    }
}

#[test]
fn rfc5929_4_1_rsassa_pss_has_the_hash_of_its_parameters_when_it_is_a_single_one() {
    let (hash, der) = hashed(include_str!("fixtures/rsa-pss-sha384.pem"));
    assert_eq!(&*hash.unwrap(), Sha384::digest(&der).as_slice());
    // Signed over SHA-256, masked with SHA-1.
    let (hash, _) = hashed(include_str!("fixtures/rsa-pss-sha256-mgf1-sha1.pem"));
    assert_eq!(hash, None);
}
