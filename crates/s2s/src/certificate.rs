//! What the peer's certificate proves (RFC 6120 §13.7.2, RFC 6125 §6.4): names and chain, nothing else of it.
//!
//! The TLS layer takes the certificate apart and builds the chain; which domain of a stream is meant is known here. Only
//! subject alternative names count, never a common name. Which purposes a certificate names does not matter: public
//! authorities no longer issue any for the initiating side of a connection.

use std::fmt;

use stanza::Address;

/// The certificate that the peer showed in the TLS handshake, judged by the TLS layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The names in it. Without a valid chain they are for the operator only.
    pub identities: Vec<Identity>,
    /// What is wrong with it, apart from its names; `None` when a trusted authority vouches for it.
    pub fault: Option<CertificateFault>,
}

/// Why a certificate proves nothing, or not the domain in question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// The peer showed none.
    Absent,
    /// It, or one it depends on, is no longer valid.
    Expired,
    /// It, or one it depends on, is not valid yet.
    NotYetValid,
    /// No trusted authority vouches for it; that includes self-signed ones.
    UnknownAuthority,
    /// It names other domains.
    WrongName,
    /// Its authority has taken it back.
    Revoked,
    /// Anything else, in the words of the TLS layer.
    Unusable(String),
}

/// One name in a certificate.
#[derive(Clone, PartialEq, Eq)]
pub enum Identity {
    /// A domain.
    Domain(Address),
    /// Every domain with exactly one label more than this one (RFC 6125 §6.4.3).
    AnyBelow(Address),
}

impl Certificate {
    /// No certificate at all.
    pub fn absent() -> Certificate {
        Certificate {
            identities: Vec::new(),
            fault: Some(CertificateFault::Absent),
        }
    }

    /// Whether the peer may speak for `domain` by this certificate alone.
    ///
    /// # Errors
    /// Why it may not.
    pub fn proves(&self, domain: &Address) -> Result<(), CertificateFault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if self.identities.iter().any(|identity| identity.covers(domain)) {
            Ok(())
        } else {
            Err(CertificateFault::WrongName)
        }
    }
}

impl Identity {
    /// A `dNSName` (RFC 6125 §6.4.1); `None` when it is no domain, or has a wildcard anywhere but as its first label.
    pub fn dns_name(name: &str) -> Option<Identity> {
        match name.strip_prefix("*.") {
            // A wildcard for a whole top-level domain is nobody's to have.
            Some(parent) if !parent.trim_end_matches('.').contains('.') => None,
            Some(parent) => domain(parent).map(Identity::AnyBelow),
            None => domain(name).map(Identity::Domain),
        }
    }

    /// An `SRVName` (RFC 4985), which names the service too: only that of servers counts (RFC 6120 §13.7.1.2.1).
    pub fn srv_name(name: &str) -> Option<Identity> {
        Identity::dns_name(name.strip_prefix("_xmpp-server.")?)
    }

    /// An `xmppAddr` (RFC 6120 §13.7.1.4), which names a server when it has no localpart.
    pub fn xmpp_address(name: &str) -> Option<Identity> {
        domain(name).map(Identity::Domain)
    }

    fn covers(&self, domain: &Address) -> bool {
        match self {
            Identity::Domain(name) => name == domain,
            Identity::AnyBelow(parent) => {
                let labels = domain.as_str().split_once('.');
                labels.is_some_and(|(first, rest)| !first.is_empty() && rest == parent.as_str())
            }
        }
    }
}

fn domain(name: &str) -> Option<Address> {
    if name.contains('*') {
        return None;
    }
    // Certificates spell internationalised names in ASCII, addresses do not (RFC 7622 §3.2.1).
    let (name, validity) = idna::domain_to_unicode(name.trim_end_matches('.'));
    validity.ok()?;
    Address::domain(&name).ok()
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Domain(name) => write!(f, "{name}"),
            Identity::AnyBelow(parent) => write!(f, "*.{parent}"),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CertificateFault::Absent => "no certificate was shown",
            CertificateFault::Expired => "the certificate has expired",
            CertificateFault::NotYetValid => "the certificate is not valid yet",
            CertificateFault::UnknownAuthority => "no trusted authority vouches for the certificate",
            CertificateFault::WrongName => "the certificate names other domains",
            CertificateFault::Revoked => "the certificate was taken back by its authority",
            CertificateFault::Unusable(why) => why,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(domain: &str) -> Address {
        Address::domain(domain).unwrap()
    }

    fn certificate(names: &[&str]) -> Certificate {
        Certificate {
            identities: names.iter().filter_map(|name| Identity::dns_name(name)).collect(),
            fault: None,
        }
    }

    #[test]
    fn rfc6125_6_4_names_are_matched_label_by_label() {
        for (name, domain, proves) in [
            ("capulet.lit", "capulet.lit", true),
            ("CAPULET.lit", "capulet.lit", true),
            ("capulet.lit.", "capulet.lit", true),
            ("capulet.lit", "chats.capulet.lit", false),
            ("*.capulet.lit", "chats.capulet.lit", true),
            ("*.capulet.lit", "capulet.lit", false),
            ("*.capulet.lit", "a.chats.capulet.lit", false),
            ("*.capulet.lit", "evilcapulet.lit", false),
            ("c*.capulet.lit", "chats.capulet.lit", false),
            ("chats.*.lit", "chats.capulet.lit", false),
            ("*", "capulet.lit", false),
            ("*.lit", "capulet.lit", false),
            ("*.lit.", "capulet.lit", false),
            ("xn--mnchen-3ya.lit", "münchen.lit", true),
            ("*.xn--mnchen-3ya.lit", "chats.münchen.lit", true),
            ("romeo@capulet.lit", "capulet.lit", false),
        ] {
            let outcome = certificate(&[name]).proves(&address(domain));
            assert_eq!(outcome.is_ok(), proves, "{name} for {domain}");
        }
    }

    #[test]
    fn rfc6120_13_7_1_service_names_count_for_the_service_of_servers_only() {
        let capulet = Some(Identity::Domain(address("capulet.lit")));
        assert_eq!(Identity::srv_name("_xmpp-server.capulet.lit"), capulet);
        assert_eq!(Identity::srv_name("_xmpp-client.capulet.lit"), None);
        assert_eq!(Identity::srv_name("capulet.lit"), None);
        assert_eq!(Identity::xmpp_address("capulet.lit"), capulet);
        assert_eq!(Identity::xmpp_address("juliet@capulet.lit"), None);
        assert_eq!(Identity::xmpp_address("*.capulet.lit"), None);
    }

    #[test]
    fn a_name_proves_nothing_without_a_valid_chain() {
        let expired = Certificate {
            fault: Some(CertificateFault::Expired),
            ..certificate(&["capulet.lit"])
        };
        assert_eq!(
            expired.proves(&address("capulet.lit")),
            Err(CertificateFault::Expired)
        );
        assert_eq!(
            Certificate::absent().proves(&address("capulet.lit")),
            Err(CertificateFault::Absent)
        );
        assert_eq!(
            certificate(&[]).proves(&address("capulet.lit")),
            Err(CertificateFault::WrongName)
        );
    }
}
