//! The mechanisms there are, and which of them stand in the offer of one stream (RFC 6120 §6.3.3, §6.3.4).

use crate::{BindingType, ChannelBindings, HashFunction, PasswordPolicy, SaslError};
use stanza::Address;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// RFC 5802.
    ScramSha1,
    /// RFC 5802 with channel binding.
    ScramSha1Plus,
    /// RFC 7677.
    ScramSha256,
    /// RFC 7677 with channel binding.
    ScramSha256Plus,
    /// The family of RFC 5802 with SHA-512.
    ScramSha512,
    /// The family of RFC 5802 with SHA-512 and channel binding.
    ScramSha512Plus,
    /// RFC 4616.
    Plain,
    /// RFC 4422 appendix A.
    External,
}

impl Mechanism {
    /// All mechanisms in order of preference. EXTERNAL first: where it is offered, the certificate has said it all.
    /// A binding to the channel is worth more than a stronger hash.
    pub const BY_PREFERENCE: [Mechanism; 8] = [
        Mechanism::External,
        Mechanism::ScramSha512Plus,
        Mechanism::ScramSha256Plus,
        Mechanism::ScramSha1Plus,
        Mechanism::ScramSha512,
        Mechanism::ScramSha256,
        Mechanism::ScramSha1,
        Mechanism::Plain,
    ];

    /// The registered name.
    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::ScramSha1 => "SCRAM-SHA-1",
            Mechanism::ScramSha1Plus => "SCRAM-SHA-1-PLUS",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha256Plus => "SCRAM-SHA-256-PLUS",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
            Mechanism::ScramSha512Plus => "SCRAM-SHA-512-PLUS",
            Mechanism::Plain => "PLAIN",
            Mechanism::External => "EXTERNAL",
        }
    }

    /// The mechanism of this name; names are upper case (RFC 4422 §3.1). An unknown name is `invalid-mechanism`
    /// (RFC 6120 §6.5.7).
    pub fn parse(name: &str) -> Result<Mechanism, SaslError> {
        Mechanism::BY_PREFERENCE
            .into_iter()
            .find(|mechanism| mechanism.name() == name)
            .ok_or(SaslError::InvalidMechanism)
    }

    /// What kind of exchange it is.
    pub(crate) const fn family(self) -> Family {
        use {Binding::*, Family::*, HashFunction::*};
        match self {
            Mechanism::ScramSha1 => Scram(Sha1, Unbound),
            Mechanism::ScramSha1Plus => Scram(Sha1, Plus),
            Mechanism::ScramSha256 => Scram(Sha256, Unbound),
            Mechanism::ScramSha256Plus => Scram(Sha256, Plus),
            Mechanism::ScramSha512 => Scram(Sha512, Unbound),
            Mechanism::ScramSha512Plus => Scram(Sha512, Plus),
            Mechanism::Plain => Family::Plain,
            Mechanism::External => Family::External,
        }
    }
}

/// The kinds of exchange behind the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Scram(HashFunction, Binding),
    Plain,
    External,
}

/// Whether the name of a SCRAM mechanism ends in `-PLUS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binding {
    Unbound,
    Plus,
}

/// What lies below the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Nothing that keeps secrets.
    Plaintext,
    /// TLS with its channel bindings.
    Tls(ChannelBindings),
}

/// What one stream may offer.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What lies below the stream.
    pub channel: Channel,
    /// How the host keeps passwords; `None` where nobody logs in with one (server-to-server streams).
    pub passwords: Option<PasswordPolicy>,
    /// The identities that the peer's certificate proves, as the TLS layer verified them. Empty: no EXTERNAL.
    /// On a server-to-server stream the domain of its `from` (XEP-0178 §3).
    pub certificate: Vec<Address>,
}

impl Offer {
    /// The mechanisms to offer, in order of preference (RFC 6120 §6.3.3).
    pub fn mechanisms(&self) -> Vec<Mechanism> {
        Mechanism::BY_PREFERENCE
            .into_iter()
            .filter(|mechanism| self.admits(*mechanism).is_ok())
            .collect()
    }

    /// The channel binding types to announce beside the mechanisms (XEP-0440 §2); none without a -PLUS mechanism, as
    /// a client must take such an announcement for an attack (XEP-0440 §3 rule 5).
    pub fn binding_types(&self) -> Vec<BindingType> {
        match &self.passwords {
            Some(PasswordPolicy::Scram { .. }) => self
                .bindings()
                .into_iter()
                .flat_map(ChannelBindings::types)
                .collect(),
            Some(PasswordPolicy::Argon2id) | None => Vec::new(),
        }
    }

    /// Whether the mechanism stands in the offer, and what to tell who asked for it in vain.
    pub(crate) fn admits(&self, mechanism: Mechanism) -> Result<(), SaslError> {
        match (mechanism.family(), &self.passwords) {
            (Family::External, _) if self.certificate.is_empty() => Err(SaslError::InvalidMechanism),
            (Family::External, _) => Ok(()),
            (Family::Plain | Family::Scram(..), None) => Err(SaslError::InvalidMechanism),
            // RFC 4616 §5: not without protection by TLS.
            (Family::Plain, Some(_)) => match self.channel {
                Channel::Plaintext => Err(SaslError::EncryptionRequired),
                Channel::Tls(_) => Ok(()),
            },
            (Family::Scram(..), Some(PasswordPolicy::Argon2id)) => Err(SaslError::InvalidMechanism),
            (Family::Scram(hash, binding), Some(PasswordPolicy::Scram { hashes, .. })) => {
                if !hashes.contains(hash) {
                    // RFC 6120 §6.5.9: weaker than all that policy permits.
                    let weakest = hashes.strongest_first().last();
                    return Err(match weakest {
                        Some(weakest) if hash < weakest => SaslError::MechanismTooWeak,
                        Some(_) | None => SaslError::InvalidMechanism,
                    });
                }
                match binding {
                    Binding::Unbound => Ok(()),
                    Binding::Plus if self.binding_types().is_empty() => Err(SaslError::InvalidMechanism),
                    Binding::Plus => Ok(()),
                }
            }
        }
    }

    pub(crate) fn bindings(&self) -> Option<&ChannelBindings> {
        match &self.channel {
            Channel::Plaintext => None,
            Channel::Tls(bindings) => Some(bindings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::*;
    use crate::{Condition, HashFunctions};

    fn names(offer: &Offer) -> String {
        offer
            .mechanisms()
            .into_iter()
            .map(Mechanism::name)
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn rfc6120_6_3_3_offers_by_channel_and_password_storage() {
        let sha1_and_sha256 = Some(PasswordPolicy::Scram {
            hashes: HashFunctions::default(),
            iterations: ITERATIONS,
        });
        let argon2id = Some(PasswordPolicy::Argon2id);
        let unbound = Channel::Tls(ChannelBindings::default());
        let bound = Channel::Tls(bindings());
        for (channel, passwords, offered) in [
            (
                bound.clone(),
                sha1_and_sha256.clone(),
                "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 PLAIN",
            ),
            (
                bound.clone(),
                Some(scram_policy()),
                "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN",
            ),
            (
                unbound.clone(),
                sha1_and_sha256.clone(),
                "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN",
            ),
            (Channel::Plaintext, sha1_and_sha256, "SCRAM-SHA-256 SCRAM-SHA-1"),
            (bound.clone(), argon2id.clone(), "PLAIN"),
            (unbound, argon2id.clone(), "PLAIN"),
            (Channel::Plaintext, argon2id, ""),
            (bound, None, ""),
        ] {
            let offer = Offer {
                channel,
                passwords,
                certificate: Vec::new(),
            };
            assert_eq!(names(&offer), offered, "{offer:?}");
        }
    }

    #[test]
    fn xep0178_external_is_offered_to_who_has_a_certificate() {
        let server = Offer {
            passwords: None,
            certificate: vec![address("capulet.lit")],
            ..offer()
        };
        assert_eq!(names(&server), "EXTERNAL");
        let client = Offer {
            certificate: vec![address("romeo@montague.lit")],
            ..offer_unbound()
        };
        assert!(names(&client).starts_with("EXTERNAL SCRAM-SHA-512 "));
    }

    #[test]
    fn xep0440_2_binding_types_are_announced_only_beside_plus_mechanisms() {
        assert_eq!(
            offer().binding_types(),
            [BindingType::TlsExporter, BindingType::TlsServerEndPoint]
        );
        let end_point = Channel::Tls(ChannelBindings {
            tls_exporter: None,
            ..bindings()
        });
        assert_eq!(
            Offer {
                channel: end_point,
                ..offer()
            }
            .binding_types(),
            [BindingType::TlsServerEndPoint]
        );
        for none in [
            offer_unbound(),
            Offer {
                channel: Channel::Plaintext,
                ..offer()
            },
            Offer {
                passwords: Some(PasswordPolicy::Argon2id),
                ..offer()
            },
            Offer {
                passwords: None,
                ..offer()
            },
        ] {
            assert_eq!(none.binding_types(), []);
            assert!(!names(&none).contains("-PLUS"));
        }
    }

    #[test]
    fn rfc6120_6_5_9_a_hash_weaker_than_all_offered_is_too_weak_others_are_just_not_there() {
        let only = |hash| Offer {
            passwords: Some(PasswordPolicy::Scram {
                hashes: HashFunctions::of(&[hash]),
                iterations: ITERATIONS,
            }),
            ..offer()
        };
        let refused = |offer: Offer, mechanism| offer.admits(mechanism).map_err(SaslError::condition);
        let sha256 = || only(HashFunction::Sha256);
        assert_eq!(
            refused(sha256(), Mechanism::ScramSha1),
            Err(Condition::MechanismTooWeak)
        );
        assert_eq!(
            refused(sha256(), Mechanism::ScramSha1Plus),
            Err(Condition::MechanismTooWeak)
        );
        assert_eq!(refused(sha256(), Mechanism::ScramSha256), Ok(()));
        assert_eq!(
            refused(sha256(), Mechanism::ScramSha512),
            Err(Condition::InvalidMechanism)
        );
    }

    #[test]
    fn rfc4422_3_1_names_are_read_as_they_are_written() {
        for mechanism in Mechanism::BY_PREFERENCE {
            assert_eq!(Mechanism::parse(mechanism.name()), Ok(mechanism));
        }
        for unknown in [
            "",
            "plain",
            "SCRAM-SHA-1-plus",
            "DIGEST-MD5",
            "ANONYMOUS",
            "SCRAM-SHA-224",
        ] {
            assert_eq!(Mechanism::parse(unknown), Err(SaslError::InvalidMechanism));
        }
    }
}
