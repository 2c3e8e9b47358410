//! One certificate with its key: read from PEM files, examined, and made ready to serve.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use super::accept::{Listener, ServerConfigs};
use super::channel_binding::end_point_hash;
use super::files::{closed_directory, key_exposure, process_user};
use super::names::CertificateNames;
use super::problem::{Fault, Found, Item, Problem};

/// The files of one host, as its configuration names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The host whose configuration this is.
    pub host: String,
    /// The chain in PEM, leaf first.
    pub chain: PathBuf,
    /// The leaf's private key in PEM; may be the same file.
    pub key: PathBuf,
    /// The domains that have to be covered: the host, and the services that lean on it.
    pub required_names: Vec<String>,
}

/// A loaded certificate with its key, ready to serve on every kind of listener.
#[derive(Debug)]
pub struct Certificate {
    names: CertificateNames,
    not_before: UnixTime,
    not_after: UnixTime,
    chain_path: PathBuf,
    end_point: Option<Box<[u8]>>,
    key: Arc<CertifiedKey>,
    configs: ServerConfigs,
}

/// A certificate that can serve, and what is to be said about it nevertheless.
pub(super) struct Examined {
    pub(super) certificate: Certificate,
    pub(super) warnings: Vec<Problem>,
}

impl Certificate {
    /// The names that it stands for.
    pub fn names(&self) -> &CertificateNames {
        &self.names
    }

    /// The first moment at which it is valid.
    pub fn not_before(&self) -> UnixTime {
        self.not_before
    }

    /// The last moment at which it is valid.
    pub fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// The file of its chain.
    pub fn chain_path(&self) -> &Path {
        &self.chain_path
    }

    /// Its hash for `tls-server-end-point`, when its signature algorithm defines one (RFC 5929 §4.1).
    pub fn end_point(&self) -> Option<&[u8]> {
        self.end_point.as_deref()
    }

    pub(super) fn is_valid_at(&self, now: UnixTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// Whether it can sign in one of the ways that a client knows.
    pub(super) fn can_sign(&self, schemes: &[rustls::SignatureScheme]) -> bool {
        self.key.key.choose_scheme(schemes).is_some()
    }

    pub(super) fn is_same_chain(&self, other: &Certificate) -> bool {
        self.key.cert == other.key.cert
    }

    /// The certificate with its key, for connections that we open.
    pub(super) fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    pub(super) fn config(&self, listener: Listener) -> Arc<ServerConfig> {
        self.configs.of(listener)
    }

    /// Reads and examines the two files of a host. Whether the time is right and the names are the wanted
    /// ones is for the caller to judge, who sees the other hosts' certificates too.
    pub(super) fn load(
        files: &CertificateFiles,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Examined, Vec<Problem>> {
        let chain = read(&files.chain).and_then(|pem| chain_in(&pem));
        let key = read(&files.key).and_then(|pem| key_in(&pem)).and_then(|key| {
            let unusable = |error: rustls::Error| Fault::UnusableKey {
                detail: error.to_string(),
            };
            provider.key_provider.load_private_key(key).map_err(unusable)
        });
        match (chain, key) {
            (Ok(chain), Ok(key)) => Certificate::assemble(files, CertifiedKey::new(chain, key), provider)
                .map_err(|(item, fault)| vec![files.problem(item, fault)]),
            (chain, key) => {
                let faults = chain.err().map(|fault| (Item::Certificate, fault)).into_iter();
                let faults = faults.chain(key.err().map(|fault| (Item::Key, fault)));
                Err(faults.map(|(item, fault)| files.problem(item, fault)).collect())
            }
        }
    }

    fn assemble(
        files: &CertificateFiles,
        key: CertifiedKey,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Examined, (Item, Fault)> {
        let of_certificate = |fault| (Item::Certificate, fault);
        match key.keys_match() {
            // A key that cannot say what its public half is has to be believed.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(rustls::Error::InconsistentKeys(_)) => {
                let certificate = files.chain.clone();
                return Err((
                    Item::Key,
                    Fault::KeyMismatch {
                        certificate,
                        belongs_to: place_of_key(&key),
                    },
                ));
            }
            Err(error) => {
                return Err(of_certificate(Fault::DamagedCertificate {
                    detail: error.to_string(),
                }));
            }
        }
        let Some(leaf_der) = key.cert.first().cloned() else {
            return Err(of_certificate(Fault::WrongContent {
                found: Found::Nothing,
            }));
        };
        let leaf = parse(&leaf_der).map_err(of_certificate)?;
        let of_certificate = chain_faults(&leaf, &key.cert).into_iter().map(of_certificate);
        let warnings = of_certificate.chain(key_exposure(&files.key).map(|fault| (Item::Key, fault)));
        let warnings = warnings.map(|(item, fault)| files.problem(item, fault)).collect();

        let key = Arc::new(key);
        let configs = ServerConfigs::new(provider, &key).map_err(|error| {
            (
                Item::Key,
                Fault::UnusableKey {
                    detail: error.to_string(),
                },
            )
        })?;
        let certificate = Certificate {
            names: CertificateNames::of(&leaf),
            not_before: unix(&leaf.validity().not_before),
            not_after: unix(&leaf.validity().not_after),
            chain_path: files.chain.clone(),
            end_point: end_point_hash(&leaf, &leaf_der),
            key,
            configs,
        };
        Ok(Examined {
            certificate,
            warnings,
        })
    }
}

impl CertificateFiles {
    pub(super) fn problem(&self, item: Item, fault: Fault) -> Problem {
        let path = match item {
            Item::Certificate => self.chain.clone(),
            Item::Key => self.key.clone(),
        };
        Problem {
            host: self.host.clone(),
            item,
            path,
            fault,
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    fs::read(path).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            Fault::Missing {
                link_to: fs::read_link(path).ok(),
            }
        } else if source.kind() == io::ErrorKind::IsADirectory {
            Fault::WrongContent {
                found: Found::Directory,
            }
        } else {
            Fault::Unreadable {
                source,
                user: process_user(),
                closed_directory: closed_directory(path),
            }
        }
    })
}

fn chain_in(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(damaged)?;
    match chain.is_empty() {
        false => Ok(chain),
        true => Err(Fault::WrongContent { found: found_in(pem) }),
    }
}

fn key_in(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Fault> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) {
            Fault::WrongContent { found: found_in(pem) }
        } else {
            damaged(error)
        }
    })
}

fn damaged(error: pem::Error) -> Fault {
    let detail = if let pem::Error::MissingSectionEnd { end_marker } = &error {
        format!(
            "the line -----END {}----- is missing",
            String::from_utf8_lossy(end_marker)
        )
    } else if matches!(error, pem::Error::IllegalSectionStart { .. }) {
        // The library quotes the line, which may be part of a key.
        "a line that begins with ----- is malformed".to_owned()
    } else if matches!(error, pem::Error::Base64Decode(_)) {
        "its base64 cannot be decoded".to_owned()
    } else {
        error.to_string()
    };
    Fault::DamagedPem { detail }
}

/// What a file holds that lacks what belongs there.
fn found_in(content: &[u8]) -> Found {
    let has = |label: &str| {
        content
            .windows(label.len())
            .any(|window| window == label.as_bytes())
    };
    if content.iter().all(u8::is_ascii_whitespace) {
        Found::Nothing
    } else if has("BEGIN ENCRYPTED PRIVATE KEY") {
        Found::EncryptedKey
    } else if has("PRIVATE KEY-----") {
        Found::Key
    } else if has("CERTIFICATE REQUEST-----") {
        Found::Request
    } else if has("BEGIN CERTIFICATE-----") {
        Found::Certificate
    } else if content.contains(&0) {
        Found::Binary
    } else {
        Found::NoPem
    }
}

fn parse<'c>(der: &'c CertificateDer<'_>) -> Result<X509Certificate<'c>, Fault> {
    match X509Certificate::from_der(der) {
        Ok((_, certificate)) => Ok(certificate),
        Err(error) => Err(Fault::DamagedCertificate {
            detail: error.to_string(),
        }),
    }
}

/// Where in the chain the key does belong, counted from one: the chain may be the wrong way round.
fn place_of_key(key: &CertifiedKey) -> Option<usize> {
    let belongs = |certificate: &CertificateDer<'static>| {
        CertifiedKey::new(vec![certificate.clone()], Arc::clone(&key.key))
            .keys_match()
            .is_ok()
    };
    key.cert.iter().position(belongs).map(|index| index + 1)
}

/// What clients may stumble over in a chain that TLS itself can serve.
fn chain_faults(leaf: &X509Certificate<'_>, chain: &[CertificateDer<'static>]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let Ok(Some(purposes)) = leaf.extended_key_usage()
        && !(purposes.value.server_auth || purposes.value.any)
    {
        faults.push(Fault::NotForServers);
    }
    if chain.len() == 1 && leaf.issuer().as_raw() != leaf.subject().as_raw() {
        faults.push(Fault::IssuerMissing {
            issuer: leaf.issuer().to_string(),
        });
    }
    for (index, pair) in chain.windows(2).enumerate() {
        if let [lower, upper] = pair
            && let (Ok(lower), Ok(upper)) = (parse(lower), parse(upper))
            && lower.issuer().as_raw() != upper.subject().as_raw()
        {
            faults.push(Fault::ChainOutOfOrder { position: index + 1 });
            break;
        }
    }
    faults
}

/// A moment of a certificate; what lies before 1970 counts as 1970.
fn unix(time: &ASN1Time) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0)))
}
