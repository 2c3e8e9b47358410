//! What a response says (XEP-0124 §4, §17).

use std::sync::Arc;

use xml::escape_attribute;

use crate::{HTTPBIND, XBOSH};

macro_rules! conditions {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// Why a session is over (XEP-0124 §17.2).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Condition {
            $($(#[$doc])* $variant,)*
        }

        impl Condition {
            /// As it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(Condition::$variant => $name,)* }
            }
        }
    };
}

conditions! {
    /// The request cannot be read.
    BadRequest "bad-request",
    /// The host is not served here.
    HostUnknown "host-unknown",
    /// Something is broken here.
    InternalServerError "internal-server-error",
    /// There is no such session, or the number or key of the request is wrong.
    ItemNotFound "item-not-found",
    /// Too many, too often, or too much.
    PolicyViolation "policy-violation",
    /// The XMPP stream ended with an error, which is in the body (XEP-0206 §6).
    RemoteStreamError "remote-stream-error",
    /// The server stops.
    SystemShutdown "system-shutdown",
}

/// How a body begins, or what it is in all.
pub(crate) enum Kind<'b> {
    /// One of many.
    Ordinary,
    /// The first of a session, with these attributes in front (XEP-0124 §7).
    Created(&'b str),
    /// The last of a session, with why it is.
    Terminate(Option<Condition>),
    /// The request has to be repeated (XEP-0124 §17.3).
    Recoverable,
}

/// Writes a body. `ack` is the highest request that was received (XEP-0124 §9.1).
pub(crate) fn body(kind: &Kind<'_>, ack: Option<u64>, payload: &[u8]) -> Arc<[u8]> {
    let mut out = Vec::with_capacity(payload.len() + 256);
    out.extend_from_slice(b"<body");
    write_attribute(&mut out, "xmlns", HTTPBIND);
    match kind {
        Kind::Ordinary => {}
        Kind::Created(attributes) => out.extend_from_slice(attributes.as_bytes()),
        Kind::Terminate(condition) => {
            write_attribute(&mut out, "type", "terminate");
            if let Some(condition) = condition {
                write_attribute(&mut out, "condition", condition.as_str());
            }
        }
        Kind::Recoverable => write_attribute(&mut out, "type", "error"),
    }
    if let Some(ack) = ack {
        write_attribute(&mut out, "ack", &ack.to_string());
    }
    if payload.is_empty() {
        out.extend_from_slice(b"/>");
    } else {
        out.push(b'>');
        out.extend_from_slice(payload);
        out.extend_from_slice(b"</body>");
    }
    out.into()
}

/// The response to a request that belongs to no session, or not to one that goes on.
pub fn terminated(condition: Condition) -> Arc<[u8]> {
    body(&Kind::Terminate(Some(condition)), None, b"")
}

/// The attributes of the first response (XEP-0124 §7, XEP-0206 §4).
pub(crate) fn created(values: &[(&str, String)]) -> String {
    let mut out = Vec::new();
    for (name, value) in values {
        write_attribute(&mut out, name, value);
    }
    write_attribute(&mut out, "xmlns:xmpp", XBOSH);
    write_attribute(&mut out, "xmpp:version", "1.0");
    write_attribute(&mut out, "xmpp:restartlogic", "true");
    String::from_utf8(out).unwrap_or_default()
}

fn write_attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"='");
    escape_attribute(out, value);
    out.push(b'\'');
}
