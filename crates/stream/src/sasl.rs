//! The elements that carry SASL messages, and the base64 around these (RFC 6120 §6.4).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use stanza::namespace::SASL;
use xml::{Element, escape_attribute, escape_text};

/// One element of a SASL exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sasl {
    /// The initiating entity begins (RFC 6120 §6.4.2).
    Auth {
        /// The name of the mechanism; empty when the peer gave none.
        mechanism: String,
        /// The initial response; `=` on the wire when it is there and empty.
        initial: Option<Vec<u8>>,
    },
    /// The receiving entity asks (RFC 6120 §6.4.3).
    Challenge(Vec<u8>),
    /// The initiating entity answers (RFC 6120 §6.4.3).
    Response(Vec<u8>),
    /// The initiating entity gives up (RFC 6120 §6.4.4).
    Abort,
    /// The exchange failed (RFC 6120 §6.4.5).
    Failure {
        /// The name of the condition's element (RFC 6120 §6.5).
        condition: Cow<'static, str>,
        /// Words for a human.
        text: Option<String>,
    },
    /// The exchange succeeded, with additional data or without (RFC 6120 §6.4.6).
    Success(Option<Vec<u8>>),
}

/// What stands in the element is not base64 as RFC 4648 §4 defines it (RFC 6120 §6.5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncorrectEncoding;

impl Sasl {
    /// Reads an element; `None` when it is none of these.
    pub fn read(element: &Element) -> Option<Result<Sasl, IncorrectEncoding>> {
        if element.namespace() != SASL {
            return None;
        }
        let message = || decode(&element.text());
        let read = match element.name() {
            "auth" => message().map(|initial| Sasl::Auth {
                mechanism: element.attribute("mechanism").unwrap_or_default().into_owned(),
                initial,
            }),
            "challenge" => message().map(|data| Sasl::Challenge(data.unwrap_or_default())),
            "response" => message().map(|data| Sasl::Response(data.unwrap_or_default())),
            "abort" => Ok(Sasl::Abort),
            "failure" => Ok(read_failure(element)),
            "success" => message().map(Sasl::Success),
            _ => return None,
        };
        Some(read)
    }

    /// Writes the element.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Sasl::Auth { mechanism, initial } => {
                out.extend_from_slice(format!("<auth xmlns='{SASL}' mechanism='").as_bytes());
                escape_attribute(out, mechanism);
                out.push(b'\'');
                write_rest(out, "auth", initial.as_deref());
            }
            Sasl::Challenge(data) => write_message(
                out,
                "challenge",
                Some(data.as_slice()).filter(|data| !data.is_empty()),
            ),
            Sasl::Response(data) => write_message(
                out,
                "response",
                Some(data.as_slice()).filter(|data| !data.is_empty()),
            ),
            Sasl::Abort => write_message(out, "abort", None),
            Sasl::Failure { condition, text } => {
                out.extend_from_slice(format!("<failure xmlns='{SASL}'><{condition}/>").as_bytes());
                if let Some(text) = text {
                    out.extend_from_slice(b"<text xml:lang='en'>");
                    escape_text(out, text);
                    out.extend_from_slice(b"</text>");
                }
                out.extend_from_slice(b"</failure>");
            }
            Sasl::Success(data) => write_message(out, "success", data.as_deref()),
        }
    }
}

fn write_message(out: &mut Vec<u8>, name: &str, data: Option<&[u8]>) {
    out.extend_from_slice(format!("<{name} xmlns='{SASL}'").as_bytes());
    write_rest(out, name, data);
}

fn write_rest(out: &mut Vec<u8>, name: &str, data: Option<&[u8]>) {
    let Some(data) = data else {
        out.extend_from_slice(b"/>");
        return;
    };
    // RFC 6120 §6.4.2, §6.4.6: data of length zero is written as an equals sign.
    let encoded = if data.is_empty() {
        String::from("=")
    } else {
        STANDARD.encode(data)
    };
    out.extend_from_slice(format!(">{encoded}</{name}>").as_bytes());
}

/// `None` for an empty element, an empty message for `=`. The padding must be there and its bits zero
/// (RFC 6120 §6.3.5 rule 2).
fn decode(text: &str) -> Result<Option<Vec<u8>>, IncorrectEncoding> {
    match text {
        "" => Ok(None),
        "=" => Ok(Some(Vec::new())),
        encoded => STANDARD.decode(encoded).map(Some).map_err(|_| IncorrectEncoding),
    }
}

fn read_failure(element: &Element) -> Sasl {
    let of_sasl = || element.children().filter(|child| child.namespace() == SASL);
    let condition = of_sasl().find(|child| child.name() != "text");
    Sasl::Failure {
        // RFC 6120 §6.5: an unknown condition counts as not-authorized, and so does none at all.
        condition: condition.map_or(Cow::Borrowed("not-authorized"), |child| {
            Cow::Owned(child.name().to_owned())
        }),
        text: of_sasl()
            .find(|child| child.name() == "text")
            .map(|child| child.text().into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use xml::{ContentNamespace, Limits};

    fn read(bytes: &[u8]) -> Option<Result<Sasl, IncorrectEncoding>> {
        Sasl::read(&Element::parse(bytes, ContentNamespace::Client, &Limits::default()).unwrap())
    }

    fn written(element: &Sasl) -> String {
        let mut out = Vec::new();
        element.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn rfc6120_6_3_10_an_empty_message_and_no_message_are_told_apart() {
        let auth = |content: &str| {
            read(format!("<auth xmlns='{SASL}' mechanism='EXTERNAL'>{content}</auth>").as_bytes())
        };
        let expected = |initial| {
            Some(Ok(Sasl::Auth {
                mechanism: "EXTERNAL".into(),
                initial,
            }))
        };
        assert_eq!(auth(""), expected(None));
        assert_eq!(auth("="), expected(Some(Vec::new())));
        assert_eq!(
            auth("AGp1bGlldAByMG0zMG15cjBtMzA="),
            expected(Some(b"\0juliet\0r0m30myr0m30".to_vec()))
        );
        assert_eq!(
            written(&Sasl::Success(Some(Vec::new()))),
            format!("<success xmlns='{SASL}'>=</success>")
        );
        assert_eq!(
            written(&Sasl::Success(None)),
            format!("<success xmlns='{SASL}'/>")
        );
        assert_eq!(
            written(&Sasl::Challenge(Vec::new())),
            format!("<challenge xmlns='{SASL}'/>")
        );
    }

    #[test]
    fn rfc6120_6_5_5_anything_but_strict_base64_is_an_incorrect_encoding() {
        for content in [
            "a", "ab", "abc", "ab==c", "YQ", "YQ=", "YR==", "Y Q==", "YQ==\n", "====", "==", "%%%%", "YQ-_",
        ] {
            let response = read(format!("<response xmlns='{SASL}'>{content}</response>").as_bytes());
            assert_eq!(response, Some(Err(IncorrectEncoding)), "{content:?}");
        }
    }

    #[test]
    fn rfc6120_6_5_a_failure_names_its_condition() {
        assert_eq!(
            read(
                format!("<failure xmlns='{SASL}'><text xml:lang='en'>no</text><aborted/></failure>")
                    .as_bytes()
            ),
            Some(Ok(Sasl::Failure {
                condition: "aborted".into(),
                text: Some("no".into())
            }))
        );
        assert_eq!(
            read(format!("<failure xmlns='{SASL}'/>").as_bytes()),
            Some(Ok(Sasl::Failure {
                condition: "not-authorized".into(),
                text: None
            }))
        );
    }

    #[test]
    fn elements_of_other_names_and_namespaces_are_none_of_these() {
        assert_eq!(read(format!("<authenticate xmlns='{SASL}'/>").as_bytes()), None);
        assert_eq!(read(b"<auth mechanism='PLAIN'/>"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(data in proptest::collection::vec(any::<u8>(), 0..80), mechanism in "[A-Z0-9-]{0,20}", text in "\\PC{0,20}") {
            let some = Some(data.clone());
            for element in [
                Sasl::Auth { mechanism: mechanism.clone(), initial: None },
                Sasl::Auth { mechanism, initial: some.clone() },
                Sasl::Challenge(data.clone()),
                Sasl::Response(data),
                Sasl::Abort,
                Sasl::Failure { condition: "aborted".into(), text: Some(text) },
                Sasl::Success(some),
                Sasl::Success(None),
            ] {
                prop_assert_eq!(read(written(&element).as_bytes()), Some(Ok(element)));
            }
        }
    }
}
