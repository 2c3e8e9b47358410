//! A self-signed certificate for `balcony run --dev` and the demonstration: made once, kept in a directory.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::UnixTime;

use super::certificate::{Certificate, CertificateFiles};

/// How long a self-signed certificate lasts; one that has less than [`RENEWED_BEFORE`] left is made anew.
const LIFETIME: Duration = Duration::from_secs(397 * 24 * 3600);
const RENEWED_BEFORE: Duration = Duration::from_secs(30 * 24 * 3600);
/// For clients whose clock is behind.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

/// The files of a self-signed certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfSigned {
    /// The certificate in PEM.
    pub chain: PathBuf,
    /// Its key in PEM, readable by its owner alone.
    pub key: PathBuf,
}

/// Why there is no self-signed certificate.
#[derive(Debug, thiserror::Error)]
pub enum SelfSignedError {
    /// No name was given.
    #[error("a self-signed certificate needs at least one name")]
    NoName,
    /// The names cannot stand in a certificate.
    #[error("cannot make a self-signed certificate for {names}: {source}")]
    Names {
        /// The names that were asked for.
        names: String,
        /// What is wrong with them.
        source: rcgen::Error,
    },
    /// The files cannot be written.
    #[error("cannot write the self-signed certificate to {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The files of a self-signed certificate for `names` in `directory`. What is there already is used again
/// while it is valid at `now` and covers all names: clients that trusted it once go on trusting it.
pub fn self_signed(directory: &Path, names: &[&str], now: UnixTime) -> Result<SelfSigned, SelfSignedError> {
    let first = *names.first().ok_or(SelfSignedError::NoName)?;
    let file_name: String = first
        .chars()
        .map(|c| {
            if c.is_alphanumeric() || "-._".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    let files = SelfSigned {
        chain: directory.join(format!("{file_name}.self-signed.pem")),
        key: directory.join(format!("{file_name}.self-signed.key")),
    };
    if serves_still(&files, names, now) {
        return Ok(files);
    }
    let (chain, key) = create(names, now).map_err(|source| SelfSignedError::Names {
        names: names.join(", "),
        source,
    })?;
    fs::create_dir_all(directory).map_err(|source| SelfSignedError::Write {
        path: directory.to_owned(),
        source,
    })?;
    write(&files.key, &key, 0o600)?;
    write(&files.chain, &chain, 0o644)?;
    Ok(files)
}

fn serves_still(files: &SelfSigned, names: &[&str], now: UnixTime) -> bool {
    let files = CertificateFiles {
        host: String::new(),
        chain: files.chain.clone(),
        key: files.key.clone(),
        required_names: Vec::new(),
    };
    let renewed_at = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + RENEWED_BEFORE);
    Certificate::load(&files, &Arc::new(aws_lc_rs::default_provider())).is_ok_and(|examined| {
        let certificate = examined.certificate;
        certificate.is_valid_at(now)
            && certificate.is_valid_at(renewed_at)
            && names.iter().all(|name| certificate.names().cover(name).is_some())
    })
}

fn create(names: &[&str], now: UnixTime) -> Result<(String, String), rcgen::Error> {
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.as_secs());
    let mut parameters =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters
        .distinguished_name
        .push(DnType::CommonName, "Balcony, self-signed");
    parameters.not_before = now - BACKDATED;
    parameters.not_after = now + LIFETIME;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Writes beside the file and renames, so that nobody ever reads half of it.
fn write(path: &Path, content: &str, mode: u32) -> Result<(), SelfSignedError> {
    let unfinished = path.with_extension("new");
    let attempt = || {
        // One that a killed process left behind may have other permissions.
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&unfinished)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    };
    attempt().map_err(|source| SelfSignedError::Write {
        path: path.to_owned(),
        source,
    })
}
