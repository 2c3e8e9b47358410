//! Stream errors: the last word on a stream before it is closed (RFC 6120 §4.9).

use crate::namespace::STREAM_ERRORS;

macro_rules! conditions {
    ($($variant:ident $name:literal $section:literal,)*) => {
        /// The defined conditions (RFC 6120 §4.9.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum StreamCondition {
            $(#[doc = concat!("`", $name, "` (RFC 6120 §", $section, ").")] $variant,)*
        }

        impl StreamCondition {
            /// Every condition, in the order of the RFC.
            pub const ALL: &[StreamCondition] = &[$(StreamCondition::$variant,)*];

            /// The element's name.
            pub fn as_str(self) -> &'static str {
                match self { $(StreamCondition::$variant => $name,)* }
            }
        }
    };
}

conditions! {
    BadFormat "bad-format" "4.9.3.1",
    BadNamespacePrefix "bad-namespace-prefix" "4.9.3.2",
    Conflict "conflict" "4.9.3.3",
    ConnectionTimeout "connection-timeout" "4.9.3.4",
    HostGone "host-gone" "4.9.3.5",
    HostUnknown "host-unknown" "4.9.3.6",
    ImproperAddressing "improper-addressing" "4.9.3.7",
    InternalServerError "internal-server-error" "4.9.3.8",
    InvalidFrom "invalid-from" "4.9.3.9",
    InvalidNamespace "invalid-namespace" "4.9.3.10",
    InvalidXml "invalid-xml" "4.9.3.11",
    NotAuthorized "not-authorized" "4.9.3.12",
    NotWellFormed "not-well-formed" "4.9.3.13",
    PolicyViolation "policy-violation" "4.9.3.14",
    RemoteConnectionFailed "remote-connection-failed" "4.9.3.15",
    Reset "reset" "4.9.3.16",
    ResourceConstraint "resource-constraint" "4.9.3.17",
    RestrictedXml "restricted-xml" "4.9.3.18",
    SeeOtherHost "see-other-host" "4.9.3.19",
    SystemShutdown "system-shutdown" "4.9.3.20",
    UndefinedCondition "undefined-condition" "4.9.3.21",
    UnsupportedEncoding "unsupported-encoding" "4.9.3.22",
    UnsupportedFeature "unsupported-feature" "4.9.3.23",
    UnsupportedStanzaType "unsupported-stanza-type" "4.9.3.24",
    UnsupportedVersion "unsupported-version" "4.9.3.25",
}

/// One `<stream:error/>` to be sent, after which the stream is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamError {
    /// What went wrong.
    pub condition: StreamCondition,
    /// Words for a human, in English.
    pub text: Option<String>,
    /// An application-specific condition: one whole element with its namespace declared.
    pub application: Option<String>,
    /// The limit that the peer has gone beyond, for the figures: it is not told.
    pub exceeded: Option<xml::LimitName>,
}

impl StreamError {
    /// The condition and nothing else.
    pub fn new(condition: StreamCondition) -> StreamError {
        StreamError {
            condition,
            text: None,
            application: None,
            exceeded: None,
        }
    }

    /// The same with words for a human.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> StreamError {
        self.text = Some(text.into());
        self
    }

    /// The same with an application-specific condition.
    #[must_use]
    pub fn application(mut self, element: impl Into<String>) -> StreamError {
        self.application = Some(element.into());
        self
    }

    /// Writes the `<stream:error/>` element with the usual prefix of streams.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<stream:error>");
        self.write_children(out);
        out.extend_from_slice(b"</stream:error>");
    }

    /// Writes what stands inside, for framings that name the element themselves (RFC 7395 §3.4, XEP-0206 §6).
    pub fn write_children(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("<{} xmlns='{STREAM_ERRORS}'/>", self.condition.as_str()).as_bytes());
        if let Some(text) = &self.text {
            out.extend_from_slice(format!("<text xmlns='{STREAM_ERRORS}' xml:lang='en'>").as_bytes());
            xml::escape_text(out, text);
            out.extend_from_slice(b"</text>");
        }
        if let Some(application) = &self.application {
            out.extend_from_slice(application.as_bytes());
        }
    }
}

impl From<StreamCondition> for StreamError {
    fn from(condition: StreamCondition) -> Self {
        StreamError::new(condition)
    }
}
