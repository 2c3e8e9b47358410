//! Stanza errors: what a sender is told when a stanza cannot be processed (RFC 6120 §8.3).

use crate::namespace::STANZA_ERRORS;

/// What the sender may do about an error (RFC 6120 §8.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Retry after providing credentials.
    Auth,
    /// Do not retry: the error cannot be remedied.
    Cancel,
    /// Proceed: the condition was only a warning.
    Continue,
    /// Retry after changing the data sent.
    Modify,
    /// Retry after waiting: the error is temporary.
    Wait,
}

impl ErrorKind {
    /// The value of the `type` attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Auth => "auth",
            ErrorKind::Cancel => "cancel",
            ErrorKind::Continue => "continue",
            ErrorKind::Modify => "modify",
            ErrorKind::Wait => "wait",
        }
    }
}

macro_rules! conditions {
    ($($variant:ident $name:literal $kind:ident $section:literal,)*) => {
        /// The defined conditions (RFC 6120 §8.3.3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Condition {
            $(#[doc = concat!("`", $name, "` (RFC 6120 §", $section, ").")] $variant,)*
        }

        impl Condition {
            /// Every condition, in the order of the RFC.
            pub const ALL: &[Condition] = &[$(Condition::$variant,)*];

            /// The element's name.
            pub fn as_str(self) -> &'static str {
                match self { $(Condition::$variant => $name,)* }
            }

            /// The condition with this name.
            pub fn named(name: &str) -> Option<Condition> {
                Condition::ALL.iter().copied().find(|condition| condition.as_str() == name)
            }

            /// The kind that the RFC associates with the condition.
            pub fn usual_kind(self) -> ErrorKind {
                match self { $(Condition::$variant => ErrorKind::$kind,)* }
            }
        }
    };
}

conditions! {
    BadRequest "bad-request" Modify "8.3.3.1",
    Conflict "conflict" Cancel "8.3.3.2",
    FeatureNotImplemented "feature-not-implemented" Cancel "8.3.3.3",
    Forbidden "forbidden" Auth "8.3.3.4",
    Gone "gone" Cancel "8.3.3.5",
    InternalServerError "internal-server-error" Cancel "8.3.3.6",
    ItemNotFound "item-not-found" Cancel "8.3.3.7",
    JidMalformed "jid-malformed" Modify "8.3.3.8",
    NotAcceptable "not-acceptable" Modify "8.3.3.9",
    NotAllowed "not-allowed" Cancel "8.3.3.10",
    NotAuthorized "not-authorized" Auth "8.3.3.11",
    PolicyViolation "policy-violation" Modify "8.3.3.12",
    RecipientUnavailable "recipient-unavailable" Wait "8.3.3.13",
    Redirect "redirect" Modify "8.3.3.14",
    RegistrationRequired "registration-required" Auth "8.3.3.15",
    RemoteServerNotFound "remote-server-not-found" Cancel "8.3.3.16",
    RemoteServerTimeout "remote-server-timeout" Wait "8.3.3.17",
    ResourceConstraint "resource-constraint" Wait "8.3.3.18",
    ServiceUnavailable "service-unavailable" Cancel "8.3.3.19",
    SubscriptionRequired "subscription-required" Auth "8.3.3.20",
    UndefinedCondition "undefined-condition" Cancel "8.3.3.21",
    UnexpectedRequest "unexpected-request" Wait "8.3.3.22",
}

/// One `<error/>` to be sent (RFC 6120 §8.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StanzaError {
    /// What went wrong.
    pub condition: Condition,
    /// What the sender may do.
    pub kind: ErrorKind,
    /// Words for a human, in English.
    pub text: Option<String>,
    /// An application-specific condition: one whole element with its namespace declared.
    pub application: Option<String>,
    /// Where to go instead, as a URI: what `gone` and `redirect` may hold.
    pub address: Option<String>,
    /// The legacy code of XEP-0086, which only POKE still needs (XEP-0132 §3.1).
    pub code: Option<u16>,
}

impl StanzaError {
    /// The condition with its usual kind and nothing else.
    pub fn new(condition: Condition) -> StanzaError {
        StanzaError {
            condition,
            kind: condition.usual_kind(),
            text: None,
            application: None,
            address: None,
            code: None,
        }
    }

    /// The same with another kind.
    #[must_use]
    pub fn kind(mut self, kind: ErrorKind) -> StanzaError {
        self.kind = kind;
        self
    }

    /// The same with words for a human.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> StanzaError {
        self.text = Some(text.into());
        self
    }

    /// The same with an application-specific condition.
    #[must_use]
    pub fn application(mut self, element: impl Into<String>) -> StanzaError {
        self.application = Some(element.into());
        self
    }

    /// The same with the URI of where to go instead (RFC 6120 §8.3.3.5, §8.3.3.14).
    #[must_use]
    pub fn address(mut self, uri: impl Into<String>) -> StanzaError {
        self.address = Some(uri.into());
        self
    }

    /// Writes the `<error/>` element.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"<error");
        if let Some(code) = self.code {
            out.extend_from_slice(format!(" code='{code}'").as_bytes());
        }
        out.extend_from_slice(
            format!(
                " type='{}'><{} xmlns='{STANZA_ERRORS}'",
                self.kind.as_str(),
                self.condition.as_str()
            )
            .as_bytes(),
        );
        match &self.address {
            None => out.extend_from_slice(b"/>"),
            Some(address) => {
                out.push(b'>');
                xml::escape_text(out, address);
                out.extend_from_slice(format!("</{}>", self.condition.as_str()).as_bytes());
            }
        }
        if let Some(text) = &self.text {
            out.extend_from_slice(format!("<text xmlns='{STANZA_ERRORS}' xml:lang='en'>").as_bytes());
            xml::escape_text(out, text);
            out.extend_from_slice(b"</text>");
        }
        if let Some(application) = &self.application {
            out.extend_from_slice(application.as_bytes());
        }
        out.extend_from_slice(b"</error>");
    }
}

impl From<Condition> for StanzaError {
    fn from(condition: Condition) -> Self {
        StanzaError::new(condition)
    }
}
