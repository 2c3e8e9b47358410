//! Whether a certificate is the one that DNS names (DANE: RFC 6698, for XMPP RFC 7673). This server neither asks for these
//! records nor depends on them; other servers may, so that wrong ones are told to whoever checks a configuration.

use sha2::{Digest, Sha256, Sha512};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::Certificate;

/// A TLSA record (RFC 6698 §2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tlsa {
    /// Which certificate is meant: of an authority (0, 2) or of the server (1, 3).
    pub usage: u8,
    /// Whether all of it (0) or its public key (1).
    pub selector: u8,
    /// Whether as it is (0), or by its SHA-256 (1) or SHA-512 (2).
    pub matching: u8,
    /// That.
    pub data: Vec<u8>,
}

impl Certificate {
    /// Whether the record names this certificate, or for usage 2 one that is sent along. None where that is not known: a
    /// record that nobody can use (§4.1), or one that names an authority whose own certificate is not sent (usage 0).
    pub fn is_named_by(&self, record: &Tlsa) -> Option<bool> {
        let meant = match record.usage {
            1 | 3 => 1,
            2 => usize::MAX,
            _ => return None,
        };
        let mut known = None;
        for der in self.key().cert.iter().take(meant) {
            let is_it = matches(der, record)?;
            known = Some(known == Some(true) || is_it);
        }
        known
    }

    /// The record that names the public key of this certificate, as it stands behind `IN TLSA` in a zone. It stays true
    /// when the certificate is renewed with the same key.
    pub fn tlsa(&self) -> Option<String> {
        let hash = Sha256::digest(public_key(self.key().cert.first()?)?);
        let digits: String = hash.iter().map(|octet| format!("{octet:02x}")).collect();
        Some(format!("3 1 1 {digits}"))
    }
}

fn matches(der: &[u8], record: &Tlsa) -> Option<bool> {
    let selected = match record.selector {
        0 => der.to_vec(),
        1 => public_key(der)?,
        _ => return None,
    };
    Some(match record.matching {
        0 => selected == record.data,
        1 => Sha256::digest(&selected).as_slice() == record.data,
        2 => Sha512::digest(&selected).as_slice() == record.data,
        _ => return None,
    })
}

fn public_key(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.public_key().raw.to_vec())
}
