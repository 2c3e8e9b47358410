//! What the certificate of another server proves: names and chain, nothing else of it (RFC 6120 §13.7.2).
//!
//! Which purposes a certificate names does not matter as long as TLS is among them: public authorities no longer issue
//! any for the initiating side of a connection.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use machine::Timestamp;
use rustls::CommonState;
use rustls::ProtocolVersion;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use s2s::explain::CertificateSummary;
use s2s::{Certificate, CertificateFault, TlsVersion};
use webpki::{
    EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext,
    anchor_from_trusted_cert,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::names::CertificateNames;

/// Certificates of a chain that are told of; longer ones are cut for people, and for nobody else.
const SUMMARIES_MAX: usize = 8;

/// The authorities that are believed.
pub struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    provider: Arc<CryptoProvider>,
}

/// A file with authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("no authorities can be read from {path}: {why}")]
pub struct RootsError {
    path: PathBuf,
    why: String,
}

/// What a peer showed in its handshake.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) version: TlsVersion,
    pub(crate) certificate: Certificate,
    /// For people.
    pub(crate) chain: Vec<CertificateSummary>,
}

/// Judges what the peer of a finished handshake showed.
pub(crate) fn shown(connection: &CommonState, trust: &Trust, now: UnixTime) -> Shown {
    let chain = connection.peer_certificates().unwrap_or_default();
    Shown {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
            // There are only two.
            Some(_) | None => TlsVersion::Tls12,
        },
        certificate: trust.judge(chain, now),
        chain: chain.iter().take(SUMMARIES_MAX).filter_map(summary).collect(),
    }
}

impl Trust {
    /// The authorities of the system, and those in these PEM files.
    ///
    /// # Errors
    /// When a file cannot be read or holds none. The system may have none.
    pub fn load(files: &[PathBuf]) -> Result<Trust, RootsError> {
        let mut anchors = Vec::new();
        let system = rustls_native_certs::load_native_certs();
        // One that cannot be used does not keep the others from being so.
        anchors.extend(system.certs.iter().filter_map(|root| anchor(root).ok()));
        for path in files {
            anchors.extend(read(path)?);
        }
        Ok(Trust {
            anchors,
            provider: Arc::new(aws_lc_rs::default_provider()),
        })
    }

    /// How many authorities there are.
    pub fn authorities(&self) -> usize {
        self.anchors.len()
    }

    /// What a chain proves, the peer's own certificate first.
    pub(crate) fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Certificate {
        let Some((own, others)) = chain.split_first() else {
            return Certificate::absent();
        };
        let identities = match X509Certificate::from_der(own) {
            Ok((_, parsed)) => CertificateNames::identities(&parsed),
            Err(error) => {
                return Certificate {
                    identities: Vec::new(),
                    fault: Some(CertificateFault::Unusable(error.to_string())),
                };
            }
        };
        let fault = self.verify(own, others, now).err().map(|error| fault(&error));
        Certificate { identities, fault }
    }

    fn verify(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let end_entity = EndEntityCert::try_from(own)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        end_entity.verify_for_usage(algorithms, &self.anchors, others, now, AnyTlsPurpose, None, None)?;
        Ok(())
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust")
            .field("anchors", &self.anchors.len())
            .finish()
    }
}

/// TLS at either end, or no purpose at all.
struct AnyTlsPurpose;

impl ExtendedKeyUsageValidator for AnyTlsPurpose {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        const SERVER: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 1];
        const CLIENT: &[usize] = &[1, 3, 6, 1, 5, 5, 7, 3, 2];
        const ANY: &[usize] = &[2, 5, 29, 37, 0];
        let mut present = Vec::new();
        for purpose in purposes {
            let named: Vec<usize> = purpose?.to_decoded_oid();
            if [SERVER, CLIENT, ANY].contains(&named.as_slice()) {
                return Ok(());
            }
            present.push(named);
        }
        if present.is_empty() {
            return Ok(());
        }
        Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext {
            required: KeyUsage::server_auth(),
            present,
        }))
    }
}

/// The words of the library in ours.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all others are told in the words of the library"
)]
fn fault(error: &Error) -> CertificateFault {
    match error {
        Error::CertExpired { .. } => CertificateFault::Expired,
        Error::CertNotValidYet { .. } => CertificateFault::NotYetValid,
        Error::CertRevoked => CertificateFault::Revoked,
        // Somebody who signs their own certificate as an authority is one that nobody knows.
        Error::UnknownIssuer | Error::CaUsedAsEndEntity | Error::InvalidSignatureForPublicKey => {
            CertificateFault::UnknownAuthority
        }
        other => CertificateFault::Unusable(other.to_string()),
    }
}

fn anchor(root: &CertificateDer<'_>) -> Result<TrustAnchor<'static>, Error> {
    anchor_from_trusted_cert(root).map(|anchor| anchor.to_owned())
}

fn read(path: &Path) -> Result<Vec<TrustAnchor<'static>>, RootsError> {
    let unusable = |why: String| RootsError {
        path: path.to_owned(),
        why,
    };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(error.to_string()))?;
    if certificates.is_empty() {
        return Err(unusable(String::from("there is no certificate in it")));
    }
    certificates
        .iter()
        .map(|root| anchor(root).map_err(|error| unusable(error.to_string())))
        .collect()
}

fn summary(certificate: &CertificateDer<'_>) -> Option<CertificateSummary> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(CertificateSummary {
        names: CertificateNames::of(&parsed).iter().map(str::to_owned).collect(),
        issuer: parsed.issuer().to_string(),
        not_after: Timestamp::from_unix_micros(
            parsed.validity().not_after.timestamp().saturating_mul(1_000_000),
        ),
    })
}
