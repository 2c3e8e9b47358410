//! The messages of SCRAM as RFC 5802 §7 writes them, parsed strictly. Both sides read with these functions.

use crate::SaslError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::num::NonZeroU32;

/// What the gs2 header says about channel binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindingFlag<'a> {
    /// `n`: the client does not support it.
    NotSupported,
    /// `y`: the client supports it, and believes that the server does not.
    NotOffered,
    /// `p=…`: required, with this type.
    Required(&'a str),
}

/// `client-first-message`
#[derive(Debug)]
pub(crate) struct ClientFirst<'a> {
    pub(crate) flag: BindingFlag<'a>,
    pub(crate) authzid: Option<String>,
    pub(crate) username: String,
    pub(crate) nonce: &'a str,
    /// The gs2 header as it came, both commas included.
    pub(crate) gs2_header: &'a str,
    /// What follows the gs2 header, as it came.
    pub(crate) bare: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<ClientFirst<'a>, SaslError> {
        let text = utf8(message)?;
        let malformed = SaslError::Malformed("gs2 header");
        let (flag, rest) = text.split_once(',').ok_or(malformed)?;
        let (authzid, bare) = rest.split_once(',').ok_or(malformed)?;
        let gs2_header = &text[..text.len() - bare.len()];
        let flag = match flag {
            "n" => BindingFlag::NotSupported,
            "y" => BindingFlag::NotOffered,
            other => match other.strip_prefix("p=") {
                Some(name) if is_binding_name(name) => BindingFlag::Required(name),
                Some(_) | None => return Err(malformed),
            },
        };
        let authzid = match authzid {
            "" => None,
            given => Some(unescape(given.strip_prefix("a=").ok_or(malformed)?).ok_or(malformed)?),
        };

        // RFC 5802 §5.1: `m` must fail the exchange, wherever it stands.
        let mut attributes = bare.split(',');
        let first = attributes.next().unwrap_or_default();
        if first.starts_with("m=") {
            return Err(SaslError::UnsupportedExtension);
        }
        let username = first
            .strip_prefix("n=")
            .and_then(unescape)
            .ok_or(SaslError::Malformed("user name"))?;
        let nonce = attributes
            .next()
            .and_then(nonce_value)
            .ok_or(SaslError::Malformed("client nonce"))?;
        extensions(attributes)?;
        Ok(ClientFirst {
            flag,
            authzid,
            username,
            nonce,
            gs2_header,
            bare,
        })
    }
}

/// `server-first-message`
#[derive(Debug)]
pub(crate) struct ServerFirst<'a> {
    /// The message as it came.
    pub(crate) text: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) salt: Vec<u8>,
    pub(crate) iterations: NonZeroU32,
}

impl<'a> ServerFirst<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<ServerFirst<'a>, SaslError> {
        let text = utf8(message)?;
        let mut attributes = text.split(',');
        let first = attributes.next().unwrap_or_default();
        if first.starts_with("m=") {
            return Err(SaslError::UnsupportedExtension);
        }
        let nonce = nonce_value(first).ok_or(SaslError::Malformed("nonce"))?;
        let salt = attributes
            .next()
            .and_then(|salt| base64_value("s=", salt))
            .ok_or(SaslError::Malformed("salt"))?;
        let iterations = attributes
            .next()
            .and_then(iteration_count)
            .ok_or(SaslError::Malformed("iteration count"))?;
        extensions(attributes)?;
        Ok(ServerFirst {
            text,
            nonce,
            salt,
            iterations,
        })
    }
}

/// `client-final-message`
#[derive(Debug)]
pub(crate) struct ClientFinal<'a> {
    /// The value of `c=`, still in base64.
    pub(crate) channel_binding: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) proof: Vec<u8>,
    /// All before the proof, as it came.
    pub(crate) without_proof: &'a str,
}

impl<'a> ClientFinal<'a> {
    pub(crate) fn parse(message: &'a [u8]) -> Result<ClientFinal<'a>, SaslError> {
        let text = utf8(message)?;
        let (without_proof, proof) = text.rsplit_once(',').ok_or(SaslError::Malformed("proof"))?;
        let proof = base64_value("p=", proof).ok_or(SaslError::Malformed("proof"))?;
        let mut attributes = without_proof.split(',');
        let first = attributes.next().unwrap_or_default();
        if first.starts_with("m=") {
            return Err(SaslError::UnsupportedExtension);
        }
        let channel_binding = first
            .strip_prefix("c=")
            .ok_or(SaslError::Malformed("channel binding"))?;
        let nonce = attributes
            .next()
            .and_then(nonce_value)
            .ok_or(SaslError::Malformed("nonce"))?;
        extensions(attributes)?;
        Ok(ClientFinal {
            channel_binding,
            nonce,
            proof,
            without_proof,
        })
    }
}

/// `server-final-message`
#[derive(Debug)]
pub(crate) enum ServerFinal {
    Verifier(Vec<u8>),
    Error,
}

impl ServerFinal {
    pub(crate) fn parse(message: &[u8]) -> Result<ServerFinal, SaslError> {
        let mut attributes = utf8(message)?.split(',');
        let first = attributes.next().unwrap_or_default();
        let outcome = match first.starts_with("e=") {
            true => ServerFinal::Error,
            false => {
                ServerFinal::Verifier(base64_value("v=", first).ok_or(SaslError::Malformed("verifier"))?)
            }
        };
        extensions(attributes)?;
        Ok(outcome)
    }
}

/// `saslname` as it is written: `=` and `,` have other spellings.
pub(crate) fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// `saslname` as it is meant, unless it is malformed.
fn unescape(written: &str) -> Option<String> {
    let mut pieces = written.split('=');
    let mut name = String::from(pieces.next()?);
    for piece in pieces {
        let (character, rest) = match (piece.strip_prefix("2C"), piece.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (None, Some(rest)) => ('=', rest),
            // RFC 5802 §5.1: anything else after `=` fails.
            (None, None) => return None,
        };
        name.push(character);
        name.push_str(rest);
    }
    (!name.is_empty()).then_some(name)
}

/// `cb-name`
fn is_binding_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'.' || octet == b'-')
}

/// The value of `r=`: printable ASCII without the comma.
fn nonce_value(attribute: &str) -> Option<&str> {
    let nonce = attribute.strip_prefix("r=")?;
    (!nonce.is_empty() && nonce.bytes().all(|octet| octet.is_ascii_graphic())).then_some(nonce)
}

/// The value of `i=`, a `posit-number`: no sign, no leading zero.
fn iteration_count(attribute: &str) -> Option<NonZeroU32> {
    let digits = attribute.strip_prefix("i=")?;
    digits
        .starts_with(|first: char| first.is_ascii_digit() && first != '0')
        .then(|| digits.parse().ok())?
}

fn base64_value(name: &str, attribute: &str) -> Option<Vec<u8>> {
    STANDARD.decode(attribute.strip_prefix(name)?).ok()
}

/// `extensions`: unknown ones are ignored (RFC 5802 §5.1), if they are well-formed, and none is mandatory.
fn extensions<'a>(attributes: impl Iterator<Item = &'a str>) -> Result<(), SaslError> {
    for attribute in attributes {
        match attribute.as_bytes() {
            [b'm', b'=', ..] => return Err(SaslError::UnsupportedExtension),
            [name, b'=', _, ..] if name.is_ascii_alphabetic() => {}
            _ => return Err(SaslError::Malformed("extension")),
        }
    }
    Ok(())
}

/// `value-char` is UTF-8 without NUL.
fn utf8(message: &[u8]) -> Result<&str, SaslError> {
    match std::str::from_utf8(message) {
        Ok(text) if !text.contains('\0') => Ok(text),
        Ok(_) | Err(_) => Err(SaslError::Malformed("SCRAM is not UTF-8 without NUL")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rfc5802_5_1_a_name_survives_being_written_and_read(name in "[\\PC,=23CD]{1,20}") {
            let written = escape(&name);
            prop_assert!(!written.contains(','));
            prop_assert_eq!(unescape(&written), Some(name));
        }

        #[test]
        fn rfc5802_5_1_what_is_read_is_written_the_same_way(written in "[a=23CD]{1,10}") {
            if let Some(name) = unescape(&written) {
                prop_assert_eq!(escape(&name), written);
            }
        }
    }
}
