//! What can be negotiated next (RFC 6120 §4.3.2).

use std::borrow::Cow;

use stanza::namespace::{
    BIDI_FEATURE, BIND, DIALBACK_FEATURE, PRE_APPROVAL, REGISTER_FEATURE, ROSTER_VERSIONING, SASL,
    SASL_CHANNEL_BINDING, SESSION, STREAM_LIMITS, STREAM_MANAGEMENT, STREAMS, TLS,
};
use xml::{Child, Element, Tree, escape_attribute, escape_text};

/// The features of one stream. What is not known is not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// STARTTLS (RFC 6120 §5.4.1).
    pub starttls: Option<StartTlsOffer>,
    /// The mechanisms in the order of the receiving entity's preference (RFC 6120 §6.4.1); empty: no SASL.
    pub mechanisms: Vec<Cow<'static, str>>,
    /// Channel binding types (XEP-0440 §2).
    pub channel_bindings: Vec<Cow<'static, str>>,
    /// In-band registration before login (XEP-0077 §8).
    pub registration: bool,
    /// Resource binding (RFC 6120 §7.4).
    pub bind: bool,
    /// The session of RFC 3921 §3, announced as optional: a no-op for old clients.
    pub session: bool,
    /// Stream management (XEP-0198 §2).
    pub stream_management: bool,
    /// Roster versioning (RFC 6121 §2.6.1).
    pub roster_versioning: bool,
    /// Subscription pre-approval (RFC 6121 §3.4.1).
    pub pre_approval: bool,
    /// Dialback between servers (XEP-0220 §2.4.2).
    pub dialback: Option<DialbackOffer>,
    /// Stanzas both ways on one connection between servers (XEP-0288 §2.1).
    pub bidirectional: bool,
    /// Limits of what the receiving entity takes (XEP-0478 §3.1).
    pub limits: Option<StreamLimits>,
}

/// How dialback is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialbackOffer {
    /// A pair of domains that is refused may end the stream, so one stream is for one pair (XEP-0220 §2.6.2).
    Fatal,
    /// A pair that is refused leaves the others alone (XEP-0220 §2.4.2).
    WithErrors,
}

/// How STARTTLS is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartTlsOffer {
    /// It may be used.
    Optional,
    /// Nothing else can be negotiated before (RFC 6120 §5.3.1).
    Required,
}

/// Limits of a stream (XEP-0478 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamLimits {
    /// The largest first-level element.
    pub max_bytes: Option<u32>,
    /// Silence after which a stream counts as idle.
    pub idle_seconds: Option<u32>,
}

impl Features {
    /// Writes what stands inside `<stream:features/>`.
    pub(crate) fn write_children(&self, out: &mut Vec<u8>) {
        match self.starttls {
            None => {}
            Some(StartTlsOffer::Optional) => write_empty(out, "starttls", TLS),
            Some(StartTlsOffer::Required) => {
                out.extend_from_slice(format!("<starttls xmlns='{TLS}'><required/></starttls>").as_bytes());
            }
        }
        if !self.channel_bindings.is_empty() {
            out.extend_from_slice(
                format!("<sasl-channel-binding xmlns='{SASL_CHANNEL_BINDING}'>").as_bytes(),
            );
            for binding in &self.channel_bindings {
                out.extend_from_slice(b"<channel-binding type='");
                escape_attribute(out, binding);
                out.extend_from_slice(b"'/>");
            }
            out.extend_from_slice(b"</sasl-channel-binding>");
        }
        if !self.mechanisms.is_empty() {
            out.extend_from_slice(format!("<mechanisms xmlns='{SASL}'>").as_bytes());
            for mechanism in &self.mechanisms {
                out.extend_from_slice(b"<mechanism>");
                escape_text(out, mechanism);
                out.extend_from_slice(b"</mechanism>");
            }
            out.extend_from_slice(b"</mechanisms>");
        }
        if self.registration {
            write_empty(out, "register", REGISTER_FEATURE);
        }
        if self.bind {
            write_empty(out, "bind", BIND);
        }
        if self.session {
            out.extend_from_slice(format!("<session xmlns='{SESSION}'><optional/></session>").as_bytes());
        }
        if self.stream_management {
            write_empty(out, "sm", STREAM_MANAGEMENT);
        }
        if self.roster_versioning {
            write_empty(out, "ver", ROSTER_VERSIONING);
        }
        if self.pre_approval {
            write_empty(out, "sub", PRE_APPROVAL);
        }
        match self.dialback {
            None => {}
            Some(DialbackOffer::Fatal) => write_empty(out, "dialback", DIALBACK_FEATURE),
            Some(DialbackOffer::WithErrors) => {
                let offer = format!("<dialback xmlns='{DIALBACK_FEATURE}'><errors/></dialback>");
                out.extend_from_slice(offer.as_bytes());
            }
        }
        if self.bidirectional {
            write_empty(out, "bidi", BIDI_FEATURE);
        }
        if let Some(limits) = self.limits {
            limits.write(out);
        }
    }

    /// Reads `<stream:features/>`; `None` when the element is something else.
    pub fn read(element: &Element) -> Option<Features> {
        if !element.is(STREAMS, "features") {
            return None;
        }
        let mut features = Features::default();
        for child in element.children() {
            features.read_child(child);
        }
        Some(features)
    }

    fn read_child(&mut self, child: Child<'_>) {
        match (child.namespace(), child.name()) {
            (TLS, "starttls") => {
                let required = child.to_tree().find(TLS, "required").is_some();
                self.starttls = Some(if required {
                    StartTlsOffer::Required
                } else {
                    StartTlsOffer::Optional
                });
            }
            (SASL_CHANNEL_BINDING, "sasl-channel-binding") => {
                let tree = child.to_tree();
                let types = named(&tree, SASL_CHANNEL_BINDING, "channel-binding")
                    .filter_map(|one| one.attribute("type"));
                self.channel_bindings = types.map(|one| Cow::Owned(one.to_owned())).collect();
            }
            (SASL, "mechanisms") => {
                let tree = child.to_tree();
                let names = named(&tree, SASL, "mechanism").map(|one| Cow::Owned(one.content().into_owned()));
                self.mechanisms = names.collect();
            }
            (REGISTER_FEATURE, "register") => self.registration = true,
            (BIND, "bind") => self.bind = true,
            (SESSION, "session") => self.session = true,
            (STREAM_MANAGEMENT, "sm") => self.stream_management = true,
            (ROSTER_VERSIONING, "ver") => self.roster_versioning = true,
            (PRE_APPROVAL, "sub") => self.pre_approval = true,
            (DIALBACK_FEATURE, "dialback") => {
                let errors = child.to_tree().find(DIALBACK_FEATURE, "errors").is_some();
                self.dialback = Some(if errors {
                    DialbackOffer::WithErrors
                } else {
                    DialbackOffer::Fatal
                });
            }
            (BIDI_FEATURE, "bidi") => self.bidirectional = true,
            (STREAM_LIMITS, "limits") => self.limits = Some(StreamLimits::read(&child.to_tree())),
            _ => {}
        }
    }
}

impl StreamLimits {
    fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("<limits xmlns='{STREAM_LIMITS}'>").as_bytes());
        if let Some(bytes) = self.max_bytes {
            out.extend_from_slice(format!("<max-bytes>{bytes}</max-bytes>").as_bytes());
        }
        if let Some(seconds) = self.idle_seconds {
            out.extend_from_slice(format!("<idle-seconds>{seconds}</idle-seconds>").as_bytes());
        }
        out.extend_from_slice(b"</limits>");
    }

    fn read(tree: &Tree) -> StreamLimits {
        let number = |name| {
            tree.find(STREAM_LIMITS, name)
                .and_then(|one| one.content().trim().parse().ok())
        };
        StreamLimits {
            max_bytes: number("max-bytes"),
            idle_seconds: number("idle-seconds"),
        }
    }
}

fn named<'t>(tree: &'t Tree, namespace: &'static str, name: &'static str) -> impl Iterator<Item = &'t Tree> {
    tree.children().filter(move |child| child.is(namespace, name))
}

fn write_empty(out: &mut Vec<u8>, name: &str, namespace: &str) {
    out.extend_from_slice(format!("<{name} xmlns='{namespace}'/>").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use xml::{ContentNamespace, Limits};

    fn read(children: &str) -> Features {
        let text = format!("<features xmlns='{STREAMS}'>{children}</features>");
        let element = Element::parse(text.as_bytes(), ContentNamespace::Client, &Limits::default()).unwrap();
        Features::read(&element).unwrap()
    }

    #[test]
    fn rfc6120_5_4_1_required_is_told_from_optional() {
        assert_eq!(
            read(&format!("<starttls xmlns='{TLS}'/>")).starttls,
            Some(StartTlsOffer::Optional)
        );
        let required = read(&format!("<starttls xmlns='{TLS}'><required/></starttls>"));
        assert_eq!(required.starttls, Some(StartTlsOffer::Required));
    }

    #[test]
    fn xep0220_2_4_2_dialback_with_errors_is_told_from_dialback_without() {
        let offer = |inside: &str| {
            read(&format!(
                "<dialback xmlns='{DIALBACK_FEATURE}'>{inside}</dialback>"
            ))
            .dialback
        };
        assert_eq!(offer("<errors/>"), Some(DialbackOffer::WithErrors));
        assert_eq!(offer(""), Some(DialbackOffer::Fatal));
    }

    #[test]
    fn rfc6120_4_3_2_unknown_features_are_passed_over() {
        let features = read(&format!(
            "<new xmlns='urn:new'><required/></new><bind xmlns='{BIND}'/><bind xmlns='urn:x'/>"
        ));
        assert_eq!(
            features,
            Features {
                bind: true,
                ..Features::default()
            }
        );
        let other = Element::parse(b"<features/>", ContentNamespace::Client, &Limits::default()).unwrap();
        assert_eq!(Features::read(&other), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            starttls in proptest::option::of(prop_oneof![Just(StartTlsOffer::Optional), Just(StartTlsOffer::Required)]),
            mechanisms in proptest::collection::vec("[A-Z0-9-]{1,20}", 0..4),
            bindings in proptest::collection::vec("[a-z-]{1,20}", 0..3),
            flags in proptest::array::uniform7(any::<bool>()),
            dialback in proptest::option::of(prop_oneof![Just(DialbackOffer::Fatal), Just(DialbackOffer::WithErrors)]),
            limits in proptest::option::of((proptest::option::of(any::<u32>()), proptest::option::of(any::<u32>()))),
        ) {
            let [registration, bind, session, stream_management, roster_versioning, pre_approval, bidirectional] = flags;
            let features = Features {
                starttls,
                mechanisms: mechanisms.into_iter().map(Cow::Owned).collect(),
                channel_bindings: bindings.into_iter().map(Cow::Owned).collect(),
                registration,
                bind,
                session,
                stream_management,
                roster_versioning,
                pre_approval,
                dialback,
                bidirectional,
                limits: limits.map(|(max_bytes, idle_seconds)| StreamLimits { max_bytes, idle_seconds }),
            };
            let mut out = Vec::new();
            features.write_children(&mut out);
            prop_assert_eq!(read(&String::from_utf8(out).unwrap()), features);
        }
    }
}
