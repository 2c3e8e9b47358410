//! The three words of STARTTLS (RFC 6120 §5.4.2).

use stanza::namespace::TLS;
use xml::Element;

/// One element of the STARTTLS negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTls {
    /// The initiating entity asks (RFC 6120 §5.4.2.1).
    Request,
    /// The receiving entity agrees: TLS begins with the next byte (RFC 6120 §5.4.2.3).
    Proceed,
    /// The receiving entity refuses, and both close (RFC 6120 §5.4.2.2).
    Failure,
}

impl StartTls {
    /// Reads an element; `None` when it is none of the three.
    pub fn read(element: &Element) -> Option<StartTls> {
        if element.namespace() != TLS {
            return None;
        }
        match element.name() {
            "starttls" => Some(StartTls::Request),
            "proceed" => Some(StartTls::Proceed),
            "failure" => Some(StartTls::Failure),
            _ => None,
        }
    }

    /// Writes the element.
    pub fn write(self, out: &mut Vec<u8>) {
        let name = match self {
            StartTls::Request => "starttls",
            StartTls::Proceed => "proceed",
            StartTls::Failure => "failure",
        };
        out.extend_from_slice(format!("<{name} xmlns='{TLS}'/>").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xml::{ContentNamespace, Limits};

    #[test]
    fn rfc6120_5_4_2_the_three_elements_are_read_as_written() {
        for word in [StartTls::Request, StartTls::Proceed, StartTls::Failure] {
            let mut out = Vec::new();
            word.write(&mut out);
            let element = Element::parse(&out, ContentNamespace::Client, &Limits::default()).unwrap();
            assert_eq!(StartTls::read(&element), Some(word));
        }
        let foreign = Element::parse(b"<starttls/>", ContentNamespace::Client, &Limits::default()).unwrap();
        assert_eq!(StartTls::read(&foreign), None);
    }
}
