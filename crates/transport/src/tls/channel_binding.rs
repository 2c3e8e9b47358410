//! What ties a login to the TLS connection that it runs over: `tls-exporter` (RFC 9266) and
//! `tls-server-end-point` (RFC 5929 §4).

use rustls::ServerConnection;
use sasl::ChannelBindings;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Oid, oid};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::AlgorithmIdentifier;

/// Reads the binding data of a connection whose handshake is finished; `certificate_hash` is that of the
/// certificate which this connection showed.
pub(super) fn channel_bindings(
    connection: &ServerConnection,
    certificate_hash: Option<&[u8]>,
) -> ChannelBindings {
    // RFC 9266 §2: the context is the empty string, which on TLS 1.2 is not the same as none. The binding is
    // defined on TLS 1.2 only with the extended master secret, without which our handshakes fail.
    let exported = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""));
    ChannelBindings {
        tls_exporter: exported.ok(),
        tls_server_end_point: certificate_hash.map(<[u8]>::to_vec),
    }
}

/// Hashes a certificate, given parsed and as the bytes that the Certificate message carries (RFC 5929 §4.1).
/// None when its signature algorithm leaves the hash undefined (Ed25519).
pub(super) fn end_point_hash(certificate: &X509Certificate<'_>, der: &[u8]) -> Option<Box<[u8]>> {
    Some(match hash_of_signature(&certificate.signature_algorithm)? {
        Hash::Sha224 => Sha224::digest(der).as_slice().into(),
        Hash::Sha256 => Sha256::digest(der).as_slice().into(),
        Hash::Sha384 => Sha384::digest(der).as_slice().into(),
        Hash::Sha512 => Sha512::digest(der).as_slice().into(),
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// RFC 5929 §4.1: the single hash function of the signature algorithm, where MD5 and SHA-1 count as SHA-256.
fn hash_of_signature(algorithm: &AlgorithmIdentifier<'_>) -> Option<Hash> {
    const RSASSA_PSS: Oid<'static> = oid!(1.2.840.113549.1.1.10);
    const SIGNATURES: [(Oid<'static>, Hash); 14] = [
        (oid!(1.2.840.113549.1.1.4), Hash::Sha256),   // md5WithRSAEncryption
        (oid!(1.2.840.113549.1.1.5), Hash::Sha256),   // sha1WithRSAEncryption
        (oid!(1.2.840.113549.1.1.14), Hash::Sha224),  // sha224WithRSAEncryption
        (oid!(1.2.840.113549.1.1.11), Hash::Sha256),  // sha256WithRSAEncryption
        (oid!(1.2.840.113549.1.1.12), Hash::Sha384),  // sha384WithRSAEncryption
        (oid!(1.2.840.113549.1.1.13), Hash::Sha512),  // sha512WithRSAEncryption
        (oid!(1.2.840.10045.4.1), Hash::Sha256),      // ecdsa-with-SHA1
        (oid!(1.2.840.10045.4.3.1), Hash::Sha224),    // ecdsa-with-SHA224
        (oid!(1.2.840.10045.4.3.2), Hash::Sha256),    // ecdsa-with-SHA256
        (oid!(1.2.840.10045.4.3.3), Hash::Sha384),    // ecdsa-with-SHA384
        (oid!(1.2.840.10045.4.3.4), Hash::Sha512),    // ecdsa-with-SHA512
        (oid!(1.2.840.10040.4.3), Hash::Sha256),      // dsa-with-SHA1
        (oid!(2.16.840.1.101.3.4.3.1), Hash::Sha224), // dsa-with-SHA224
        (oid!(2.16.840.1.101.3.4.3.2), Hash::Sha256), // dsa-with-SHA256
    ];
    if algorithm.algorithm == RSASSA_PSS {
        return hash_of_pss(algorithm);
    }
    SIGNATURES
        .iter()
        .find(|(signature, _)| *signature == algorithm.algorithm)
        .map(|(_, hash)| *hash)
}

/// RSASSA-PSS names its hash in the parameters, and a second one for the mask: only when both are the same is
/// there "a single hash function".
fn hash_of_pss(algorithm: &AlgorithmIdentifier<'_>) -> Option<Hash> {
    const DIGESTS: [(Oid<'static>, Hash); 5] = [
        (oid!(1.3.14.3.2.26), Hash::Sha256), // SHA-1
        (oid!(2.16.840.1.101.3.4.2.4), Hash::Sha224),
        (oid!(2.16.840.1.101.3.4.2.1), Hash::Sha256),
        (oid!(2.16.840.1.101.3.4.2.2), Hash::Sha384),
        (oid!(2.16.840.1.101.3.4.2.3), Hash::Sha512),
    ];
    let parameters = RsaSsaPssParams::try_from(algorithm.parameters.as_ref()?).ok()?;
    let message_hash = parameters.hash_algorithm_oid();
    if parameters.mask_gen_algorithm().ok()?.hash != *message_hash {
        return None;
    }
    DIGESTS
        .iter()
        .find(|(digest, _)| digest == message_hash)
        .map(|(_, hash)| *hash)
}
