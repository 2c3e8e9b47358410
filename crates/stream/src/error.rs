//! Stream errors between the words of the peer and ours (RFC 6120 §4.9).

use stanza::namespace::{STREAM_ERRORS, STREAMS};
use stanza::{StreamCondition, StreamError};
use xml::{Element, LimitName, XmlError};

/// The stream error that answers faulty XML, with words that help whoever wrote the client.
pub fn xml_fault(fault: &XmlError) -> StreamError {
    let mut error = StreamError::new(condition(fault.condition())).text(fault.to_string());
    if let XmlError::Limit(limit) = fault {
        error.exceeded = Some(*limit);
    }
    match fault {
        // RFC 6120 §4.9.3.14 shows this as the application-specific condition.
        XmlError::Limit(LimitName::StanzaBytes) => {
            error.application("<stanza-too-big xmlns='urn:xmpp:errors'/>")
        }
        XmlError::Limit(
            LimitName::Depth | LimitName::Attributes | LimitName::NameBytes | LimitName::Children,
        )
        | XmlError::NotWellFormed(_)
        | XmlError::BadUtf8
        | XmlError::Restricted(_)
        | XmlError::BadNamespacePrefix
        | XmlError::InvalidNamespace
        | XmlError::BadFormat(_)
        | XmlError::UnsupportedEncoding => error,
    }
}

/// Reads the peer's `<stream:error/>`; `None` when the element is something else.
pub fn read_error(element: &Element) -> Option<StreamError> {
    if !element.is(STREAMS, "error") {
        return None;
    }
    let mut error = StreamError::new(StreamCondition::UndefinedCondition);
    for child in element.children() {
        if child.is(STREAM_ERRORS, "text") {
            error.text = Some(child.text().into_owned());
        } else if child.namespace() == STREAM_ERRORS {
            error.condition = condition(child.name());
        } else {
            error.application = Some(child.as_str().to_owned());
        }
    }
    Some(error)
}

/// An unknown condition is treated as undefined (RFC 6120 §4.9.2).
fn condition(name: &str) -> StreamCondition {
    let known = StreamCondition::ALL
        .iter()
        .find(|condition| condition.as_str() == name);
    known.copied().unwrap_or(StreamCondition::UndefinedCondition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xml::{ContentNamespace, Limits};

    #[test]
    fn rfc6120_4_9_3_every_fault_of_xml_has_its_condition() {
        for (fault, condition) in [
            (XmlError::NotWellFormed("x"), StreamCondition::NotWellFormed),
            (XmlError::BadUtf8, StreamCondition::NotWellFormed),
            (XmlError::Restricted("x"), StreamCondition::RestrictedXml),
            (XmlError::BadNamespacePrefix, StreamCondition::BadNamespacePrefix),
            (XmlError::InvalidNamespace, StreamCondition::InvalidNamespace),
            (XmlError::BadFormat("x"), StreamCondition::BadFormat),
            (
                XmlError::UnsupportedEncoding,
                StreamCondition::UnsupportedEncoding,
            ),
            (
                XmlError::Limit(LimitName::Depth),
                StreamCondition::PolicyViolation,
            ),
            (
                XmlError::Limit(LimitName::StanzaBytes),
                StreamCondition::PolicyViolation,
            ),
        ] {
            let error = xml_fault(&fault);
            assert_eq!(error.condition, condition, "{fault:?}");
            assert_eq!(
                error.exceeded.is_some(),
                matches!(fault, XmlError::Limit(_)),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn rfc6120_4_9_2_errors_are_read_as_written() {
        let error = StreamError::new(StreamCondition::SystemShutdown)
            .text("a < b")
            .application("<x xmlns='urn:x'/>");
        let mut out = format!("<error xmlns='{STREAMS}'>").into_bytes();
        error.write_children(&mut out);
        out.extend_from_slice(b"</error>");
        let element = Element::parse(&out, ContentNamespace::Client, &Limits::default()).unwrap();
        assert_eq!(read_error(&element), Some(error));
    }

    #[test]
    fn rfc6120_4_9_2_an_unknown_condition_is_undefined() {
        let text = format!("<error xmlns='{STREAMS}'><oops xmlns='{STREAM_ERRORS}'/></error>");
        let element = Element::parse(text.as_bytes(), ContentNamespace::Client, &Limits::default()).unwrap();
        assert_eq!(
            read_error(&element),
            Some(StreamError::new(StreamCondition::UndefinedCondition))
        );
        let other = Element::parse(b"<error/>", ContentNamespace::Client, &Limits::default()).unwrap();
        assert_eq!(read_error(&other), None);
    }
}
