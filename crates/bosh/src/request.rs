//! What a request says (XEP-0124 §7, §8, §10, §13; XEP-0206 §3, §5).

use std::time::Duration;

use xml::{ContentNamespace, Element, Limits, StreamHeader};

use crate::{HTTPBIND, XBOSH};

/// One request, read.
#[derive(Clone, Debug)]
pub struct Request {
    /// The session it belongs to; `None`: it wants a new one.
    pub sid: Option<String>,
    /// Its number (XEP-0124 §14).
    pub rid: u64,
    /// What it is for.
    pub purpose: Purpose,
    /// The elements in it, one behind the other.
    pub payload: Vec<u8>,
    pub(crate) ack: Option<u64>,
    pub(crate) key: Option<String>,
    pub(crate) new_key: Option<String>,
}

/// What a request is for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// It begins a session.
    Create(Creation),
    /// It carries what it carries, and waits for a response.
    Exchange,
    /// The client will be silent for so long (XEP-0124 §10).
    Pause(Duration),
    /// The stream begins anew (XEP-0206 §5).
    Restart(StreamHeader),
    /// The session is to end (XEP-0124 §13).
    Terminate,
}

/// The wishes of a client for its session (XEP-0124 §7).
#[derive(Clone, Debug)]
pub struct Creation {
    /// The stream that it wants.
    pub header: StreamHeader,
    pub(crate) wait: Duration,
    pub(crate) hold: usize,
    pub(crate) version: Option<(u32, u32)>,
    /// Whether it will say which responses it has (XEP-0124 §9.2).
    pub(crate) acknowledges: bool,
}

/// Why a request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
    /// It is no XML that XMPP allows, or beyond the limits.
    Xml(xml::XmlError),
    /// It is no `<body/>`, or lacks what it must have.
    Body,
}

/// The largest number of a request (XEP-0124 §14.1).
const RID_MAX: u64 = (1 << 53) - 1;

impl Request {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Request, BadRequest> {
        let body = Element::parse(bytes, ContentNamespace::Client, limits).map_err(BadRequest::Xml)?;
        if !body.is(HTTPBIND, "body") {
            return Err(BadRequest::Body);
        }
        let text = |name| body.attribute(name).map(|value| value.into_owned());
        let rid = number(&body, "rid")?
            .filter(|rid| (1..=RID_MAX).contains(rid))
            .ok_or(BadRequest::Body)?;
        let sid = text("sid").filter(|sid| !sid.is_empty());
        let (purpose, payload) = if sid.is_none() {
            (Purpose::Create(creation(&body)?), Vec::new())
        } else if text("type").as_deref() == Some("terminate") {
            (Purpose::Terminate, payload(&body))
        } else if xmpp_attribute(&body, "restart").is_some_and(|value| is_true(&value)) {
            // XEP-0206 §5: what stands in a restart counts for nothing.
            (Purpose::Restart(header(&body)), Vec::new())
        } else if let Some(seconds) = number(&body, "pause")? {
            (Purpose::Pause(Duration::from_secs(seconds)), payload(&body))
        } else {
            (Purpose::Exchange, payload(&body))
        };
        Ok(Request {
            sid,
            rid,
            purpose,
            payload,
            ack: number(&body, "ack")?,
            key: text("key"),
            new_key: text("newkey"),
        })
    }

    /// Whether it says nothing at all and only waits.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.purpose, Purpose::Exchange) && self.payload.is_empty()
    }
}

fn creation(body: &Element) -> Result<Creation, BadRequest> {
    let version = body.attribute("ver").and_then(|version| {
        let (major, minor) = version.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    });
    Ok(Creation {
        header: header(body),
        wait: Duration::from_secs(number(body, "wait")?.unwrap_or(0)),
        hold: usize::try_from(number(body, "hold")?.unwrap_or(0)).unwrap_or(usize::MAX),
        version,
        acknowledges: body.attribute("ack").is_some(),
    })
}

/// What the stream header would say (XEP-0206 §3, §5).
fn header(body: &Element) -> StreamHeader {
    let text = |name| body.attribute(name).map(|value| value.into_owned());
    StreamHeader {
        to: text("to"),
        from: text("from"),
        // XEP-0206 §3: a client without the attribute speaks of the time before XMPP 1.0 had one here.
        version: Some(xmpp_attribute(body, "version").unwrap_or_else(|| "1.0".to_owned())),
        lang: text("xml:lang"),
        ..StreamHeader::default()
    }
}

fn payload(body: &Element) -> Vec<u8> {
    body.children().flat_map(|child| child.bytes()).copied().collect()
}

/// A number, where there is the attribute.
fn number(body: &Element, name: &str) -> Result<Option<u64>, BadRequest> {
    body.attribute(name)
        .map(|value| value.parse().map_err(|_| BadRequest::Body))
        .transpose()
}

/// An attribute qualified by the namespace of XEP-0206, whatever its prefix.
fn xmpp_attribute(body: &Element, name: &str) -> Option<String> {
    body.attributes()
        .filter_map(|declaration| {
            declaration
                .name
                .strip_prefix("xmlns:")
                .map(|prefix| (prefix, declaration.value()))
        })
        .filter(|(_, namespace)| namespace == XBOSH)
        .find_map(|(prefix, _)| body.attribute(&format!("{prefix}:{name}")))
        .map(|value| value.into_owned())
}

/// XML Schema 1.0 part 2 §3.2.2.1
fn is_true(value: &str) -> bool {
    matches!(value, "true" | "1")
}
