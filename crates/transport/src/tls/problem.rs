//! What can be wrong with a certificate or its key, said so that an operator knows what, where and what to
//! do.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustls_pki_types::UnixTime;
use x509_parser::time::ASN1Time;

/// One thing that is wrong with the files of one host. Its `Display` is two lines: what, and what to do.
#[derive(Debug)]
pub struct Problem {
    /// The host whose configuration names the file.
    pub host: String,
    /// Which of its two files.
    pub item: Item,
    /// The file as configured.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// One of the two files of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// `[hosts."…"] certificate`: the chain, leaf first.
    Certificate,
    /// `[hosts."…"] key`: the private key of the leaf.
    Key,
}

/// Whether the files can serve at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It serves, and should be looked at.
    Warning,
    /// Clients of this host cannot connect, or could not after a restart.
    Error,
}

/// The kinds of faults; each says its part of a sentence that begins with the file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// No such file, or a link that leads nowhere.
    #[error("does not exist")]
    Missing {
        /// Where the last link on the way points to, when the path is a link.
        link_to: Option<PathBuf>,
    },
    /// It is there and cannot be read.
    #[error("cannot be read: {source}")]
    Unreadable {
        /// What the system said.
        source: io::Error,
        /// Who the server runs as.
        user: String,
        /// A directory on the way that this user may not enter.
        closed_directory: Option<PathBuf>,
    },
    /// No PEM section of the kind that belongs here.
    #[error("holds {found}")]
    WrongContent {
        /// What it holds instead.
        found: Found,
    },
    /// PEM with a fault in it.
    #[error("is damaged PEM: {detail}")]
    DamagedPem {
        /// What the reader stumbled over.
        detail: String,
    },
    /// PEM of a certificate that is none.
    #[error("cannot be understood: {detail}")]
    DamagedCertificate {
        /// What the parser stumbled over.
        detail: String,
    },
    /// A key of a kind that TLS here cannot use.
    #[error("cannot be used: {detail}")]
    UnusableKey {
        /// What the crypto provider said.
        detail: String,
    },
    /// The key is not the certificate's.
    #[error("does not belong to the certificate")]
    KeyMismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The place in the chain of a certificate that the key does belong to, counted from one.
        belongs_to: Option<usize>,
    },
    /// The time is over.
    #[error("expired on {}", Moment(*.at))]
    Expired {
        /// `notAfter`.
        at: UnixTime,
    },
    /// The time has not come.
    #[error("is not valid before {}", Moment(*.from))]
    NotYetValid {
        /// `notBefore`.
        from: UnixTime,
        /// What this machine takes for now.
        now: UnixTime,
    },
    /// The time is nearly over.
    #[error("expires on {}", Moment(*.at))]
    ExpiresSoon {
        /// `notAfter`.
        at: UnixTime,
    },
    /// A domain that has to be served is not among the names of any certificate that is valid now.
    #[error("does not cover {name}")]
    NotCovered {
        /// The domain.
        name: String,
        /// The names that this certificate does cover.
        covered: Vec<String>,
    },
    /// A certificate in the chain was not issued by the one after it.
    #[error("is out of order: number {position} in it was not issued by the one that follows")]
    ChainOutOfOrder {
        /// Counted from one.
        position: usize,
    },
    /// Only the leaf is there, and it was issued by somebody else.
    #[error("comes without the certificate of its issuer")]
    IssuerMissing {
        /// The issuer's name.
        issuer: String,
    },
    /// Its extended key usage excludes TLS servers.
    #[error("is not meant for TLS servers")]
    NotForServers,
    /// Everybody on the machine can read the key.
    #[error("can be read by every user of this machine")]
    KeyReadableByAll {
        /// The permission bits.
        mode: u32,
    },
}

/// What a file holds in place of what belongs there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A directory.
    Directory,
    /// No PEM at all.
    NoPem,
    /// Binary DER or PKCS#12.
    Binary,
    /// A certificate where a key belongs.
    Certificate,
    /// A key where a certificate belongs.
    Key,
    /// A key under a passphrase.
    EncryptedKey,
    /// The request for a certificate.
    Request,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n        {}", self.what(), self.advice())
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // The fault is in the words already; what it comes from (an I/O error) is not.
        self.fault.source()
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Found::Nothing => "nothing",
            Found::Directory => "other files: it is a directory",
            Found::NoPem => "no PEM",
            Found::Binary => "binary data, not PEM",
            Found::Certificate => "a certificate, and no key",
            Found::Key => "a private key, and no certificate",
            Found::EncryptedKey => "a key that is encrypted with a passphrase",
            Found::Request => "a request for a certificate, not the certificate",
        })
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Item::Certificate => "certificate",
            Item::Key => "key",
        })
    }
}

impl Problem {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self.fault {
            Fault::ExpiresSoon { .. }
            | Fault::ChainOutOfOrder { .. }
            | Fault::IssuerMissing { .. }
            | Fault::NotForServers
            | Fault::KeyReadableByAll { .. } => Severity::Warning,
            Fault::Missing { .. }
            | Fault::Unreadable { .. }
            | Fault::WrongContent { .. }
            | Fault::DamagedPem { .. }
            | Fault::DamagedCertificate { .. }
            | Fault::UnusableKey { .. }
            | Fault::KeyMismatch { .. }
            | Fault::Expired { .. }
            | Fault::NotYetValid { .. }
            | Fault::NotCovered { .. } => Severity::Error,
        }
    }

    /// What is wrong, and where: one line.
    pub fn what(&self) -> String {
        let Problem {
            host,
            item,
            path,
            fault,
        } = self;
        let path = path.display();
        match fault {
            Fault::Missing { link_to: None } => {
                format!("cannot find the {item} for {host}: there is no {path}")
            }
            Fault::Missing {
                link_to: Some(target),
            } => {
                format!(
                    "cannot find the {item} for {host}: {path} is a link to {}, which does not exist",
                    target.display()
                )
            }
            Fault::Unreadable { source, .. } => {
                format!("cannot read the {item} for {host} at {path}: {}", reason(source))
            }
            Fault::KeyMismatch { certificate, .. } => {
                format!(
                    "the key for {host} at {path} does not belong to the certificate at {}",
                    certificate.display()
                )
            }
            Fault::WrongContent { .. }
            | Fault::DamagedPem { .. }
            | Fault::DamagedCertificate { .. }
            | Fault::UnusableKey { .. }
            | Fault::Expired { .. }
            | Fault::NotYetValid { .. }
            | Fault::ExpiresSoon { .. }
            | Fault::NotCovered { .. }
            | Fault::ChainOutOfOrder { .. }
            | Fault::IssuerMissing { .. }
            | Fault::NotForServers
            | Fault::KeyReadableByAll { .. } => format!("the {item} for {host} at {path} {fault}"),
        }
    }

    /// What to do about it: one line.
    pub fn advice(&self) -> String {
        let Problem {
            host,
            item,
            path,
            fault,
        } = self;
        let path = path.display();
        let setting = format!("[hosts.\"{host}\"] {item}");
        match fault {
            Fault::Missing { .. } => format!("Put it there in PEM, or set {setting} to where it is."),
            Fault::Unreadable {
                source,
                user,
                closed_directory,
            } => {
                let denied = source.kind() == io::ErrorKind::PermissionDenied;
                unreadable_advice(denied.then_some(user), closed_directory.as_deref(), &setting)
            }
            Fault::WrongContent { found } => wrong_content_advice(*found, *item, &setting, &path.to_string()),
            Fault::DamagedPem { .. } | Fault::DamagedCertificate { .. } => {
                format!(
                    "It may be cut short: copy it anew from where it was issued, or set {setting} to \
                     another file."
                )
            }
            Fault::UnusableKey { .. } => {
                "Use an ECDSA key (P-256, P-384), an Ed25519 key, or an RSA key of 2048 to 8192 bits, and \
                 a certificate for it."
                    .to_owned()
            }
            Fault::KeyMismatch {
                belongs_to: Some(place),
                ..
            } => format!(
                "It belongs to certificate {place} of that file: put that one first, the issuers after it."
            ),
            Fault::KeyMismatch { belongs_to: None, .. } => format!(
                "One of the two is older than the other, or another host's: set certificate and key of \
                 [hosts.\"{host}\"] to files that were issued together."
            ),
            Fault::Expired { .. } | Fault::ExpiresSoon { .. } => {
                format!("Renew it; the server takes the new {path} by itself, without a restart.")
            }
            Fault::NotYetValid { now, .. } => format!(
                "If the clock of this machine is right ({}), wait until then, or use an older certificate; \
                 else set the clock.",
                Moment(*now)
            ),
            Fault::NotCovered { name, covered } if covered.is_empty() => format!(
                "It has no subject alternative name of use (its common name does not count): have it \
                 issued with the DNS name {name}."
            ),
            Fault::NotCovered { name, covered } => format!(
                "It covers {}: have it issued for {name} too, or set {setting} to one that covers it.",
                shown(covered)
            ),
            Fault::ChainOutOfOrder { .. } => {
                "Put the host's own certificate first, then its issuer, then the issuer of that one."
                    .to_owned()
            }
            Fault::IssuerMissing { issuer } => format!(
                "It was issued by {issuer}. Unless clients trust that name directly, append its certificate \
                 (with certbot: use fullchain.pem, not cert.pem)."
            ),
            Fault::NotForServers => {
                "Have it issued with the purpose \"TLS server authentication\".".to_owned()
            }
            Fault::KeyReadableByAll { mode } => {
                format!(
                    "Its mode is {mode:04o}: run `chmod o-rwx {path}`, and renew the certificate if \
                     strangers use this machine."
                )
            }
        }
    }
}

/// `denied_to` is the user that lacks the permission, when that is the reason.
fn unreadable_advice(denied_to: Option<&String>, closed_directory: Option<&Path>, setting: &str) -> String {
    let Some(user) = denied_to else {
        return format!("Make sure that the file can be read, or set {setting} to another one.");
    };
    let (obstacle, it) = match closed_directory {
        Some(directory) => (
            format!(" and may not enter {}; let it in", directory.display()),
            "the file",
        ),
        None => ("; make the file readable for it".to_owned(), "it"),
    };
    format!(
        "The server runs as \"{user}\"{obstacle} (or copy {it}, say in a deploy hook, with \
         `install -o {user} -m 0600`), or set {setting} to another file."
    )
}

fn wrong_content_advice(found: Found, item: Item, setting: &str, path: &str) -> String {
    match found {
        Found::Nothing | Found::NoPem => {
            format!("Put the {item} there in PEM, or set {setting} to where it is.")
        }
        Found::Directory => format!("Set {setting} to a file in it."),
        Found::Binary => format!(
            "Convert it to PEM (`openssl x509 -inform DER`, `openssl pkey -inform DER` or \
             `openssl pkcs12 -nodes`), or set {setting} to a file in PEM."
        ),
        Found::Certificate | Found::Key => {
            "Were certificate and key exchanged in the configuration?".to_owned()
        }
        Found::EncryptedKey => {
            format!(
                "The server cannot ask for the passphrase: `openssl pkey -in {path} -out NEW`, and set \
                 {setting} to NEW."
            )
        }
        Found::Request => format!("Send it to the authority, and set {setting} to what comes back."),
    }
}

/// The words for an I/O error without the number that the system gives it.
fn reason(error: &io::Error) -> String {
    match error.kind() == io::ErrorKind::PermissionDenied {
        true => "permission denied".to_owned(),
        false => error.to_string(),
    }
}

/// Some names for people: a certificate may carry a hundred.
fn shown(names: &[String]) -> String {
    /// More names than this are counted, not listed.
    const NAMES_SHOWN_MAX: usize = 8;
    let listed = names
        .iter()
        .take(NAMES_SHOWN_MAX)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

/// A moment as people read it: `2026-11-20 03:04 UTC`.
pub(super) struct Moment(pub(super) UnixTime);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let Some(moment) = i64::try_from(seconds)
            .ok()
            .and_then(|s| ASN1Time::from_timestamp(s).ok())
        else {
            return write!(f, "{seconds} s after 1970");
        };
        let moment = moment.to_datetime();
        let (date, hour, minute) = (moment.date(), moment.hour(), moment.minute());
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
    }
}
