//! XMPP over HTTP: the frames of WebSocket (RFC 6455, RFC 7395) and the requests of BOSH (XEP-0124, XEP-0206).
//!
//! Both take what the rest of the generator writes for a TCP stream, whole elements, and give back what it reads there.
use crate::net::{bad, Tcp};
use crate::xml::{self, Cut};
use std::io::{self, ErrorKind, Write as _};

pub const CONTENT: &[u8] = b" xmlns='jabber:client'";

/// Each first-level element of `d` in a form that stands for itself.
fn elements(d: &[u8], domain: &str, mut each: impl FnMut(Part<'_>)) {
    let mut pos = 0;
    loop {
        match xml::cut(d, pos) {
            Cut::Header(_, end) => {
                each(Part::Open(domain));
                pos = end;
            }
            Cut::Stanza(a, b) => {
                each(Part::Element(&d[a..b]));
                pos = b;
            }
            Cut::Close => return each(Part::Close),
            Cut::More => return,
        }
    }
}

enum Part<'a> {
    Open(&'a str),
    Element(&'a [u8]),
    Close,
}

/// Writes an element with its namespace.
fn alone(e: &[u8], out: &mut Vec<u8>) {
    let name = e
        .iter()
        .position(|c| matches!(c, b' ' | b'/' | b'>'))
        .unwrap_or(e.len());
    out.extend_from_slice(&e[..name]);
    if xml::attr(e, b"xmlns").is_none() && name > 1 {
        out.extend_from_slice(CONTENT);
    }
    out.extend_from_slice(&e[name..]);
}

pub struct WebSocket {
    tcp: Tcp,
    domain: String,
    raw: Vec<u8>,
    out: Vec<u8>,
}

impl WebSocket {
    pub async fn open(mut tcp: Tcp, domain: &str) -> io::Result<WebSocket> {
        let ask = format!(
            "GET /xmpp-websocket HTTP/1.1\r\nHost: {domain}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        tcp.send(ask.as_bytes()).await?;
        let mut raw = Vec::new();
        loop {
            if let Some(end) = memchr::memmem::find(&raw, b"\r\n\r\n") {
                if !raw.starts_with(b"HTTP/1.1 101") {
                    return Err(bad("websocket", &raw));
                }
                raw.drain(..end + 4);
                break;
            }
            tcp.read_into(&mut raw).await?;
        }
        Ok(WebSocket {
            tcp,
            domain: domain.into(),
            raw,
            out: Vec::new(),
        })
    }

    pub async fn send(&mut self, d: &[u8]) -> io::Result<()> {
        let (out, domain) = (&mut self.out, &self.domain);
        let mut text = Vec::new();
        elements(d, domain, |part| {
            text.clear();
            match part {
                Part::Open(to) => {
                    let _ = write!(
                        text,
                        "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='{to}' version='1.0'/>"
                    );
                }
                Part::Element(e) => alone(e, &mut text),
                Part::Close => {
                    text.extend_from_slice(b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>")
                }
            }
            frame(0x81, &text, out);
        });
        self.tcp.send(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// Appends the texts of the messages that have come.
    pub async fn read_into(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let before = buf.len();
        loop {
            // Pongs that a cancelled read has left.
            if !self.out.is_empty() {
                self.tcp.send(&self.out).await?;
                self.out.clear();
            }
            while let Some((op, a, b)) = next_frame(&self.raw) {
                match op & 15 {
                    0 | 1 => buf.extend_from_slice(&self.raw[a..b]),
                    8 => return Err(ErrorKind::UnexpectedEof.into()),
                    9 => {
                        let ping = self.raw[a..b].to_vec();
                        frame(0x8a, &ping, &mut self.out);
                    }
                    _ => {}
                }
                self.raw.drain(..b);
            }
            if buf.len() > before {
                return Ok(buf.len() - before);
            }
            if self.out.is_empty() {
                self.tcp.read_into(&mut self.raw).await?;
            }
        }
    }
}

/// A masked frame, as clients write them. The mask costs the server what any mask does.
fn frame(first: u8, text: &[u8], out: &mut Vec<u8>) {
    const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    out.push(first);
    match text.len() {
        n @ 0..=125 => out.push(0x80 | n as u8),
        n @ 126..=65535 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(text.iter().zip(MASK.iter().cycle()).map(|(t, m)| t ^ m));
}

/// The first whole frame: its first byte, and where its payload is.
fn next_frame(raw: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*raw.first()?, *raw.get(1)?);
    let (len, at) = match second & 127 {
        126 => (u16::from_be_bytes(raw.get(2..4)?.try_into().ok()?) as usize, 4),
        127 => (u64::from_be_bytes(raw.get(2..10)?.try_into().ok()?) as usize, 10),
        n => (n as usize, 2),
    };
    (raw.len() >= at + len).then_some((first, at, at + len))
}

/// A connection that carries one request after the other.
struct Slot {
    tcp: Tcp,
    raw: Vec<u8>,
    is_waiting: bool,
}

/// A BOSH session: a request is always with the server, and a second one when there is something to say meanwhile.
pub struct Bosh {
    slots: [Slot; 2],
    domain: String,
    sid: String,
    rid: u64,
    /// What waits for a connection.
    pending: Vec<u8>,
    has_opened: bool,
}

impl Bosh {
    pub fn new(one: Tcp, other: Tcp, domain: &str, idx: usize) -> Bosh {
        let slot = |tcp| Slot {
            tcp,
            raw: Vec::new(),
            is_waiting: false,
        };
        Bosh {
            slots: [slot(one), slot(other)],
            domain: domain.into(),
            sid: String::new(),
            rid: 1_000_000 + idx as u64,
            pending: Vec::new(),
            has_opened: false,
        }
    }

    pub async fn send(&mut self, d: &[u8]) -> io::Result<()> {
        let mut attributes = String::new();
        let pending = &mut self.pending;
        let has_opened = &mut self.has_opened;
        elements(d, &self.domain, |part| match part {
            Part::Open(to) if !*has_opened => {
                *has_opened = true;
                attributes = format!(
                    " to='{to}' wait='60' hold='1' ver='1.6' content='text/xml; charset=utf-8' xml:lang='en' \
                     xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'"
                );
            }
            Part::Open(to) => {
                attributes = format!(" to='{to}' xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'");
            }
            Part::Element(e) => alone(e, pending),
            Part::Close => attributes = " type='terminate'".into(),
        });
        if attributes.is_empty() {
            self.post_pending().await
        } else {
            // Nobody waits for anything when a stream is opened.
            self.post(&attributes).await
        }
    }

    async fn post_pending(&mut self) -> io::Result<()> {
        if self.pending.is_empty() || self.slots.iter().all(|s| s.is_waiting) {
            return Ok(());
        }
        self.post("").await
    }

    async fn post(&mut self, attributes: &str) -> io::Result<()> {
        self.rid += 1;
        let mut body = Vec::with_capacity(200 + self.pending.len());
        let _ = write!(
            body,
            "<body xmlns='http://jabber.org/protocol/httpbind' rid='{}'",
            self.rid
        );
        if !self.sid.is_empty() {
            let _ = write!(body, " sid='{}'", self.sid);
        }
        let _ = write!(body, "{attributes}>");
        body.append(&mut self.pending);
        body.extend_from_slice(b"</body>");
        let mut request = Vec::with_capacity(body.len() + 200);
        let _ = write!(
            request,
            "POST /http-bind HTTP/1.1\r\nHost: {}\r\nContent-Type: text/xml; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
            self.domain,
            body.len()
        );
        request.extend_from_slice(&body);
        let Some(slot) = self.slots.iter_mut().find(|s| !s.is_waiting) else {
            return Err(ErrorKind::WouldBlock.into());
        };
        slot.is_waiting = true;
        slot.tcp.send(&request).await
    }

    /// Appends what the next response brings.
    pub async fn read_into(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let before = buf.len();
        loop {
            for at in 0..2 {
                let slot = &mut self.slots[at];
                let Some((a, b, end)) = response(&slot.raw)? else {
                    continue;
                };
                let body = slot.raw[a..b].to_vec();
                slot.raw.drain(..end);
                slot.is_waiting = false;
                self.take(&body, buf)?;
            }
            self.post_pending().await?;
            if buf.len() > before {
                return Ok(buf.len() - before);
            }
            let idle = self.slots.iter().all(|s| !s.is_waiting);
            if idle && !self.sid.is_empty() {
                self.post("").await?;
            }
            let [one, other] = &mut self.slots;
            tokio::select! {
                r = one.tcp.read_into(&mut one.raw), if one.is_waiting => r?,
                r = other.tcp.read_into(&mut other.raw), if other.is_waiting => r?,
            };
        }
    }

    /// The payload of a `<body/>`.
    fn take(&mut self, body: &[u8], buf: &mut Vec<u8>) -> io::Result<()> {
        if xml::attr(body, b"type") == Some(b"terminate") {
            return Err(bad("bosh", body));
        }
        if self.sid.is_empty() {
            let sid = xml::attr(body, b"sid").ok_or_else(|| bad("bosh", body))?;
            self.sid = String::from_utf8_lossy(sid).into_owned();
        }
        let start = body.iter().position(|c| *c == b'<').unwrap_or(0);
        let inside = xml::tag_end(body, start).ok_or_else(|| bad("bosh", body))?;
        if body[inside - 2] != b'/' {
            let close = memchr::memmem::rfind(body, b"</body").ok_or_else(|| bad("bosh", body))?;
            buf.extend_from_slice(&body[inside..close]);
        }
        Ok(())
    }
}

/// The first whole response: where its body is, and where it ends. Servers here announce the length.
fn response(raw: &[u8]) -> io::Result<Option<(usize, usize, usize)>> {
    let Some(head) = memchr::memmem::find(raw, b"\r\n\r\n") else {
        return Ok(None);
    };
    if !raw.starts_with(b"HTTP/1.1 200") {
        return Err(bad("bosh", raw));
    }
    let mut length = None;
    for line in raw[..head].split(|c| *c == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        if line[..colon].eq_ignore_ascii_case(b"content-length") {
            length = std::str::from_utf8(&line[colon + 1..])
                .ok()
                .and_then(|v| v.trim().parse::<usize>().ok());
        }
    }
    let start = head + 4;
    let end = start + length.ok_or_else(|| bad("bosh: no length", &raw[..head]))?;
    Ok((raw.len() >= end).then_some((start, end, end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn frames() {
        for n in [0, 1, 125, 126, 65535, 65536] {
            let mut out = Vec::new();
            frame(0x81, &vec![b'x'; n], &mut out);
            assert_eq!(out[1] & 0x80, 0x80);
            // Without the mask it is what servers write.
            let at = out.len() - n - 4;
            let mut raw = out[..at].to_vec();
            raw[1] &= 0x7f;
            raw.extend(
                out[at + 4..]
                    .iter()
                    .zip([0x12, 0x34, 0x56, 0x78].iter().cycle())
                    .map(|(t, m)| t ^ m),
            );
            assert!(next_frame(&raw[..raw.len() - 1]).is_none());
            let (op, a, b) = next_frame(&raw).unwrap();
            assert_eq!((op, b - a), (0x81, n));
            assert!(raw[a..b].iter().all(|c| *c == b'x'));
        }
    }
    #[test]
    fn elements_stand_for_themselves() {
        let mut out = Vec::new();
        alone(b"<presence/>", &mut out);
        alone(b"<iq id='a'><q xmlns='b'/></iq>", &mut out);
        alone(b"<r xmlns='urn:xmpp:sm:3'/>", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "<presence xmlns='jabber:client'/><iq xmlns='jabber:client' id='a'><q xmlns='b'/></iq><r xmlns='urn:xmpp:sm:3'/>"
        );
    }
    #[test]
    fn responses() {
        let raw = b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nX: y\r\n\r\n<body/>HTTP";
        for n in 0..raw.len() - 4 {
            assert!(response(&raw[..n]).unwrap().is_none());
        }
        let (a, b, end) = response(raw).unwrap().unwrap();
        assert_eq!((&raw[a..b], &raw[end..]), (&b"<body/>"[..], &b"HTTP"[..]));
    }
}
