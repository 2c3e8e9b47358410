//! Cuts the bytes of one stream into frames, wherever the reads happen to end.

use std::{borrow::Cow, fmt};

use crate::{
    ContentNamespace, Element, LimitName, Limits, StreamHeader, XmlError,
    limits::check,
    markup::{self, is_space},
    namespace::Scope,
    reference::{Piece, Reading},
    scanner::Scan,
};

/// What a framer expects around the elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    /// `<stream:stream …>` first, `</stream:stream>` last (RFC 6120 §4.2, §4.4).
    Stream,
    /// Every top-level element is a frame of its own: WebSocket messages (RFC 7395), BOSH payloads, files.
    Elements,
}

/// How the bytes are judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    /// Everything through `rxml`: slow, written by others, the oracle for the scanner.
    Reference,
    /// One pass of our own over plain form; what is not plain goes through `rxml` afterwards.
    Scanner,
}

/// One piece of a stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// The stream header.
    Open(StreamHeader),
    /// A stanza or nonza.
    Element(Element),
    /// White space between elements, such as a keep-alive (RFC 6120 §4.6.1). How much of it makes one frame depends on
    /// the reads.
    Whitespace,
    /// The closing stream tag.
    Close,
}

/// Cuts one connection's input into frames. Between frames it holds nothing but what the stream header declared.
pub struct Framer {
    framing: Framing,
    content: ContentNamespace,
    backend: Backend,
    limits: Limits,
    phase: Phase,
    /// What the stream header opened, once it is there.
    stream: Option<Box<Stream>>,
    /// The front of an unfinished piece; empty between frames.
    held: Vec<u8>,
    unfinished: Option<Box<Reader>>,
    failure: Option<XmlError>,
    /// Whether the end of another stream may stand before this one.
    is_restarted: bool,
}

impl fmt::Debug for Framer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Framer")
            .field("framing", &self.framing)
            .field("phase", &self.phase)
            .field("held_bytes", &self.held_bytes())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// What lasts from a stream header on.
struct Stream {
    scope: Scope,
    /// The closing tag that ends it, without its `>`.
    closing_tag: Box<[u8]>,
}

/// What has judged the front of an unfinished piece.
enum Reader {
    Reference(Reading),
    Scanner(Scan),
}

impl Reader {
    fn memory(&self) -> usize {
        size_of::<Reader>()
            + match self {
                // Nobody can tell; it is not for production.
                Reader::Reference(_) => 0,
                Reader::Scanner(scan) => scan.memory(),
            }
    }
}

/// Where in the document the framer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Before the first byte, where an XML declaration may stand.
    Start,
    /// Before the stream header.
    Prolog,
    /// Where top-level elements stand.
    Elements,
    /// Behind a stream header that closed itself.
    EmptyStream,
    /// Behind the closing stream tag.
    Closed,
}

/// White space in the closing stream tag, which nobody sends.
const CLOSING_TAG_SPACE_MAX: usize = 64;

impl Framer {
    /// A framer with the backend for production: the scanner.
    pub fn new(framing: Framing, content: ContentNamespace, limits: Limits) -> Framer {
        Framer::with_backend(Backend::Scanner, framing, content, limits)
    }

    /// A framer with the backend of choice.
    pub fn with_backend(
        backend: Backend,
        framing: Framing,
        content: ContentNamespace,
        limits: Limits,
    ) -> Framer {
        Framer {
            framing,
            content,
            backend,
            limits: limits.clamped(),
            phase: Phase::Start,
            stream: None,
            held: Vec::new(),
            unfinished: None,
            failure: None,
            is_restarted: false,
        }
    }

    /// Takes bytes from the front of `input` until one frame is complete (what follows stays in `input`), or until
    /// `input` is empty (`None`). After an error the framer answers with that error until it is restarted.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, XmlError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let mut frame = None;
        if let Err(failure) = self.advance(input, &mut frame) {
            self.failure = Some(failure);
            self.held = Vec::new();
            self.unfinished = None;
            return Err(failure);
        }
        Ok(frame)
    }

    /// Forgets the stream (RFC 6120 §5.4.3.3 after STARTTLS, §6.4.6 after SASL): the next bytes begin a new one. White
    /// space before them is the end of the old one: some clients (go-xmpp) close each element with a line feed.
    pub fn restart(&mut self) {
        let limits = std::mem::take(&mut self.limits);
        *self = Framer::with_backend(self.backend, self.framing, self.content, limits);
        self.is_restarted = true;
    }

    /// Other limits from the next byte on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits.clamped();
    }

    /// True when no byte of an unfinished element, tag or header is held.
    pub fn is_between_frames(&self) -> bool {
        self.held.is_empty()
    }

    /// Bytes of memory that unfinished input holds: its front, and what is known about it. At most the limit for one
    /// stanza, and what the other limits allow for.
    pub fn held_bytes(&self) -> usize {
        self.held.capacity() + self.unfinished.as_deref().map_or(0, Reader::memory)
    }

    /// The frame is written where it stays, because it is large.
    fn advance(&mut self, input: &mut &[u8], frame: &mut Option<Frame>) -> Result<(), XmlError> {
        while frame.is_none() {
            if self.phase == Phase::EmptyStream {
                self.phase = Phase::Closed;
                *frame = Some(Frame::Close);
                break;
            }
            if self.held.is_empty() {
                let spaces = self.skip_spaces(input);
                if spaces > 0 && self.phase == Phase::Elements {
                    *frame = Some(Frame::Whitespace);
                    break;
                }
                match input.first() {
                    None => break,
                    Some(b'<') if self.phase != Phase::Closed => {}
                    Some(byte) => return Err(self.stray(*byte)),
                }
            } else if input.is_empty() {
                break;
            }
            self.take_markup(input, frame)?;
        }
        Ok(())
    }

    /// White space where no markup has begun.
    fn skip_spaces(&mut self, input: &mut &[u8]) -> usize {
        let spaces = input.iter().take_while(|byte| is_space(**byte)).count();
        *input = &input[spaces..];
        if spaces > 0 && !self.is_restarted {
            self.leave_start();
        }
        spaces
    }

    /// No XML declaration may follow.
    fn leave_start(&mut self) {
        if self.phase == Phase::Start {
            self.phase = match self.framing {
                Framing::Stream => Phase::Prolog,
                Framing::Elements => Phase::Elements,
            };
        }
    }

    /// What is wrong with a byte that begins no markup.
    fn stray(&self, byte: u8) -> XmlError {
        match (self.phase, self.framing) {
            // The byte order marks of UTF-16.
            (Phase::Start, _) if matches!(byte, 0xfe | 0xff) => XmlError::UnsupportedEncoding,
            (Phase::Elements, Framing::Stream) => XmlError::BadFormat("character data between elements"),
            _ => XmlError::NotWellFormed("character data outside the root element"),
        }
    }

    /// Takes a tag, element or declaration that begins in what is held or at the front of `input`; all of `input` when
    /// its end is missing.
    fn take_markup(&mut self, input: &mut &[u8], frame: &mut Option<Frame>) -> Result<(), XmlError> {
        if self.held.is_empty() {
            let bytes = *input;
            match self.judge(bytes, frame)? {
                Some(end) => *input = &bytes[end..],
                None => {
                    self.held = bytes.to_vec();
                    *input = &[];
                }
            }
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.held);
        while !input.is_empty() {
            // Only what may belong to the piece is copied: blocks as large as what is held already, within the limit.
            let before = held.len();
            let room = (self.limits.stanza_bytes + 1).saturating_sub(before).max(1);
            let block = input.len().min(before.max(HELD_BLOCK_BYTES)).min(room);
            if before + block > held.capacity() {
                held.reserve_exact(block.max(before.min(room)));
            }
            held.extend_from_slice(&input[..block]);
            if let Some(end) = self.judge(&held, frame)? {
                *input = &input[end - before..];
                return Ok(());
            }
            *input = &input[block..];
        }
        self.held = held;
        Ok(())
    }

    /// Judges bytes that begin with `<`. Answers with the end of the piece, or `None` while that is missing; the XML
    /// declaration makes no frame.
    fn judge(&mut self, bytes: &[u8], frame: &mut Option<Frame>) -> Result<Option<usize>, XmlError> {
        match bytes.get(1) {
            None => Ok(None),
            Some(b'/') => self.judge_closing_tag(bytes, frame),
            Some(b'?') if self.phase == Phase::Start => {
                let end = markup::declaration(bytes)?;
                if end.is_some() {
                    self.leave_start();
                }
                Ok(end)
            }
            Some(b'?') => Err(markup::PROCESSING_INSTRUCTION),
            Some(b'!') => match markup::exclamation(bytes) {
                Some(XmlError::BadFormat(what)) if self.stream.is_none() => {
                    Err(XmlError::NotWellFormed(what))
                }
                Some(error) => Err(error),
                None => Ok(None),
            },
            // `<` in UTF-16.
            Some(0) if self.phase == Phase::Start => Err(XmlError::UnsupportedEncoding),
            Some(_) => self.judge_element(bytes, frame),
        }
    }

    fn judge_closing_tag(
        &mut self,
        bytes: &[u8],
        frame: &mut Option<Frame>,
    ) -> Result<Option<usize>, XmlError> {
        const MISMATCH: XmlError = XmlError::NotWellFormed("closing tag does not match");
        let expected = &*self.stream.as_ref().ok_or(MISMATCH)?.closing_tag;
        let known = bytes.len().min(expected.len());
        if bytes[..known] != expected[..known] {
            return Err(MISMATCH);
        }
        let rest = &bytes[known..];
        let spaces = rest.iter().take_while(|byte| is_space(**byte)).count();
        check(spaces, CLOSING_TAG_SPACE_MAX, LimitName::StanzaBytes)?;
        match rest.get(spaces) {
            None => Ok(None),
            Some(b'>') => {
                self.phase = Phase::Closed;
                *frame = Some(Frame::Close);
                Ok(Some(known + spaces + 1))
            }
            Some(_) => Err(MISMATCH),
        }
    }

    fn judge_element(&mut self, bytes: &[u8], frame: &mut Option<Frame>) -> Result<Option<usize>, XmlError> {
        let is_header = self.framing == Framing::Stream && self.phase != Phase::Elements;
        let within = &bytes[..bytes.len().min(self.limits.stanza_bytes)];
        // On the heap only if it must wait for more bytes.
        let mut kept = self.unfinished.take();
        let mut fresh = None;
        let reader = match kept.as_deref_mut() {
            Some(reader) => reader,
            None => {
                let piece = if is_header { Piece::Header } else { Piece::Element };
                fresh.insert(match self.backend {
                    Backend::Reference => Reader::Reference(Reading::new(piece, self.limits.stanza_bytes)),
                    Backend::Scanner => Reader::Scanner(Scan::new(piece, self.content)),
                })
            }
        };
        let end = match reader {
            Reader::Reference(reading) => {
                reading.advance(within, &scope_of(&self.stream, self.content), &self.limits)?
            }
            Reader::Scanner(scan) => {
                let is_default_content = self
                    .stream
                    .as_ref()
                    .is_none_or(|stream| stream.scope.is_default_content);
                scan.advance(within, is_default_content, &self.limits)?
            }
        };
        let Some(end) = end else {
            check(bytes.len(), within.len(), LimitName::StanzaBytes)?;
            self.unfinished = match kept {
                Some(kept) => Some(kept),
                None => fresh.map(Box::new),
            };
            return Ok(None);
        };
        if is_header {
            let header = self.open(&bytes[..end], reader)?;
            *frame = Some(Frame::Open(header));
        } else {
            self.leave_start();
            *frame = Some(Frame::Element(self.element(&bytes[..end], reader)?));
        }
        Ok(Some(end))
    }

    /// The stream is open; its elements inherit what the header declares.
    fn open(&mut self, bytes: &[u8], reader: &mut Reader) -> Result<StreamHeader, XmlError> {
        let head = match reader {
            Reader::Reference(reading) => reading.take_head(),
            Reader::Scanner(_) => self.reread(Piece::Header, bytes)?.take_head(),
        };
        let header = StreamHeader::of(&head)?;
        let name_end = bytes
            .iter()
            .position(|byte| is_space(*byte) || matches!(byte, b'/' | b'>'));
        self.stream = Some(Box::new(Stream {
            scope: Scope::of_stream(&head.declarations, self.content),
            closing_tag: [b"</", &bytes[1..name_end.unwrap_or(1)]].concat().into(),
        }));
        self.phase = if bytes.ends_with(b"/>") {
            Phase::EmptyStream
        } else {
            Phase::Elements
        };
        Ok(header)
    }

    #[inline(always)]
    fn element(&self, bytes: &[u8], reader: &mut Reader) -> Result<Element, XmlError> {
        match reader {
            Reader::Scanner(scan) if scan.is_plain() => {
                let text = std::str::from_utf8(bytes).map_err(|_| XmlError::BadUtf8)?;
                Ok(Element::indexed(text.into(), scan.take_index()))
            }
            Reader::Scanner(_) => self.element_by(&mut self.reread(Piece::Element, bytes)?, bytes),
            Reader::Reference(reading) => self.element_by(reading, bytes),
        }
    }

    fn element_by(&self, reading: &mut Reading, bytes: &[u8]) -> Result<Element, XmlError> {
        let text = if reading.is_plain() {
            std::str::from_utf8(bytes).map_err(|_| XmlError::BadUtf8)?.into()
        } else {
            reading.take_plain(self.content, &self.limits)?
        };
        Element::from_plain(text, self.content).ok_or(XmlError::NotWellFormed("element"))
    }

    /// Has the reference backend judge a whole piece that is not plain form.
    fn reread(&self, piece: Piece, bytes: &[u8]) -> Result<Reading, XmlError> {
        let mut reading = Reading::new(piece, bytes.len());
        match reading.advance(bytes, &scope_of(&self.stream, self.content), &self.limits)? {
            Some(end) if end == bytes.len() => Ok(reading),
            // Neither can be believed then.
            Some(_) | None => Err(XmlError::NotWellFormed("two parsers disagree about the end")),
        }
    }
}

/// What top-level elements inherit.
fn scope_of(stream: &Option<Box<Stream>>, content: ContentNamespace) -> Cow<'_, Scope> {
    match stream {
        Some(stream) => Cow::Borrowed(&stream.scope),
        None => Cow::Owned(Scope::inheriting(content.as_str())),
    }
}

/// At least so much is copied at once behind the front of an unfinished piece.
const HELD_BLOCK_BYTES: usize = 1_024;
