//! The names that a certificate stands for, and whether they cover a domain (RFC 6120 §13.7.1.2, RFC 6125
//! §6.4).
//!
//! Only the subject alternative name is read. The subject's common name never counts (RFC 6125 §6.4.4 allows
//! it as a last resort; no public authority has issued for it in years, and it is a source of confusion).

use std::borrow::Cow;

use s2s::Identity;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::asn1_rs::{Any, FromDer, Oid, oid};
use x509_parser::extensions::GeneralName;

/// `id-on-xmppAddr` (RFC 6120 §13.7.1.4).
const XMPP_ADDRESS: Oid<'static> = oid!(1.3.6.1.5.5.7.8.5);
/// `id-on-dnsSRV` (RFC 4985 §2).
const SERVICE_NAME: Oid<'static> = oid!(1.3.6.1.5.5.7.8.7);
/// The services that speak XMPP (RFC 6120 §3.2.1, XEP-0368 §3).
const XMPP_SERVICES: [&str; 4] = [
    "_xmpp-client.",
    "_xmpp-server.",
    "_xmpps-client.",
    "_xmpps-server.",
];

/// The names in a certificate's subject alternative name that can mean an XMPP domain, all as A-labels in
/// lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// `dNSName` entries, wildcards (`*.montague.lit`) among them.
    dns: Vec<Box<str>>,
    /// Domains from `SRVName` entries of XMPP services and from `XmppAddr` entries.
    xmpp: Vec<Box<str>>,
}

/// How a certificate covers a domain; the greater, the better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Coverage {
    /// By an `SRVName` or `XmppAddr` entry: lawful, but many clients look at `dNSName` alone.
    XmppName,
    /// By a wildcard that stands for the leftmost label (RFC 6125 §6.4.3).
    Wildcard,
    /// By its own name in a `dNSName`.
    Exact,
}

impl CertificateNames {
    /// Reads the names of a certificate; one without a readable subject alternative name has none.
    pub fn of(certificate: &X509Certificate<'_>) -> CertificateNames {
        let mut names = CertificateNames::default();
        let Ok(Some(alternative)) = certificate.subject_alternative_name() else {
            return names;
        };
        for name in &alternative.value.general_names {
            // The other kinds of names cannot mean an XMPP domain.
            if let GeneralName::DNSName(dns) = name {
                names.dns.extend(dns_pattern(dns));
            } else if let GeneralName::OtherName(kind, value) = name {
                names.xmpp.extend(xmpp_domain(kind, value));
            }
        }
        names
    }

    /// The names as they count between servers (RFC 6120 §13.7.1.2): service names of servers only.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other kinds of names cannot mean an XMPP domain"
    )]
    pub fn identities(certificate: &X509Certificate<'_>) -> Vec<Identity> {
        let Ok(Some(alternative)) = certificate.subject_alternative_name() else {
            return Vec::new();
        };
        let identity = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(dns) => Identity::dns_name(dns),
            GeneralName::OtherName(kind, value) if *kind == XMPP_ADDRESS => {
                Identity::xmpp_address(text_of(value)?)
            }
            GeneralName::OtherName(kind, value) if *kind == SERVICE_NAME => {
                Identity::srv_name(text_of(value)?)
            }
            _ => None,
        };
        alternative
            .value
            .general_names
            .iter()
            .filter_map(identity)
            .collect()
    }

    /// How these names cover `domain`, if they do. `domain` may be internationalized and in any case.
    pub fn cover(&self, domain: &str) -> Option<Coverage> {
        self.cover_ascii(&ascii_domain(domain)?)
    }

    /// The same for a domain that [`ascii_domain`] returned.
    pub(super) fn cover_ascii(&self, domain: &str) -> Option<Coverage> {
        let wildcard = domain.split_once('.').map(|(_, parent)| parent);
        if self.dns.iter().any(|name| **name == *domain) {
            Some(Coverage::Exact)
        } else if self
            .dns
            .iter()
            .any(|name| name.strip_prefix("*.").is_some_and(|base| Some(base) == wildcard))
        {
            Some(Coverage::Wildcard)
        } else if self.xmpp.iter().any(|name| **name == *domain) {
            Some(Coverage::XmppName)
        } else {
            None
        }
    }

    /// All names, `dNSName` entries first, for people to read.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let more = self.xmpp.iter().filter(|name| !self.dns.contains(name));
        self.dns.iter().chain(more).map(|name| &**name)
    }
}

/// A domain as the A-labels in lower case that certificates carry; `None` when it is no domain name.
pub(super) fn ascii_domain(domain: &str) -> Option<Cow<'_, str>> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_');
    let ascii = match domain.bytes().all(is_plain) {
        true => Cow::Borrowed(domain),
        false => idna::domain_to_ascii_cow(domain.as_bytes(), idna::AsciiDenyList::STD3).ok()?,
    };
    (!ascii.split('.').any(str::is_empty)).then_some(ascii)
}

/// A `dNSName` as it is compared. A `*` is lawful only as the whole leftmost label, with something to stand
/// before.
fn dns_pattern(name: &str) -> Option<Box<str>> {
    let (star, rest) = match name.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", name),
    };
    ascii_domain(rest).map(|rest| format!("{star}{rest}").into_boxed_str())
}

/// The domain in an `otherName`, if it is one of the two kinds that XMPP knows.
fn xmpp_domain(kind: &Oid<'_>, value: &[u8]) -> Option<Box<str>> {
    let text = text_of(value)?;
    if *kind == XMPP_ADDRESS {
        ascii_domain(text).map(boxed)
    } else if *kind == SERVICE_NAME {
        domain_of_service(text)
    } else {
        None
    }
}

/// The domain of an `SRVName` such as `_xmpp-client.montague.lit`.
fn domain_of_service(name: &str) -> Option<Box<str>> {
    let name = name.to_ascii_lowercase();
    let domain = XMPP_SERVICES
        .iter()
        .find_map(|service| name.strip_prefix(service))?;
    ascii_domain(domain).map(boxed)
}

/// The string inside `[0] EXPLICIT`, as `otherName` wraps its value.
fn text_of(value: &[u8]) -> Option<&str> {
    let (_, wrapper) = Any::from_der(value).ok()?;
    let (_, inner) = Any::from_der(wrapper.data).ok()?;
    std::str::from_utf8(inner.data).ok()
}

fn boxed(name: Cow<'_, str>) -> Box<str> {
    name.into_owned().into_boxed_str()
}
