//! The reference backend: `rxml` finds the end of an element, and what is permitted but not plain is written anew.
//!
//! It is the oracle for the scanner, which also sends everything here that is not plain.
//!
//! Positions are counted by the bytes that `rxml` has taken, which is exact at the end of every tag; the lengths that
//! it reports leave out empty CDATA sections.

mod builder;
mod plain;

use rxml::{Error, Parse, RawEvent, RawParser, WithOptions, error::EndOrError};

use crate::{
    ContentNamespace, LimitName, Limits, Tree, XmlError,
    limits::check,
    markup::{COMMENT, DOCUMENT_TYPE, PROCESSING_INSTRUCTION, is_space},
    namespace::Scope,
};
use builder::Builder;
pub(crate) use builder::Head;

/// What ends the piece that is being read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Piece {
    /// The closing tag of the first element.
    Element,
    /// The end of the first tag.
    Header,
}

/// One element or stream header on its way in.
pub(crate) struct Reading {
    parser: RawParser,
    piece: Piece,
    /// Bytes taken by the parser.
    taken: usize,
    /// Where the next carriage return stands, or the bytes ended when last looked at.
    line_end: usize,
    /// Where the last tag ended.
    tag_end: usize,
    builder: Builder,
    plain: bool,
    children: usize,
}

impl Reading {
    /// For a piece of that many bytes at most.
    pub(crate) fn new(piece: Piece, bytes_max: usize) -> Reading {
        let options = rxml::Options {
            // Our limits decide and not this one. The parser reserves so much while it is within a token.
            max_token_length: bytes_max.saturating_add(16),
            ..rxml::Options::default()
        };
        Reading {
            parser: RawParser::with_options(options),
            piece,
            taken: 0,
            line_end: 0,
            tag_end: 0,
            builder: Builder::default(),
            plain: true,
            children: 0,
        }
    }

    /// Reads on in `bytes`, which begins with the piece and has grown since the last call. Answers with the length of
    /// the piece once its end is there.
    pub(crate) fn advance(
        &mut self,
        bytes: &[u8],
        scope: &Scope,
        limits: &Limits,
    ) -> Result<Option<usize>, XmlError> {
        loop {
            let given = self.next_to_parse(bytes);
            let mut rest = given;
            let parsed = self.parser.parse(&mut rest, false);
            if rest.len() < given.len() {
                self.plain &= bytes[self.taken] != b'\r';
                self.taken += given.len() - rest.len();
            }
            match parsed {
                Ok(Some(event)) => {
                    if self.event(event, bytes, scope, limits)? {
                        return Ok(Some(self.taken));
                    }
                }
                Ok(None) => return Err(XmlError::NotWellFormed("end of document")),
                Err(EndOrError::NeedMoreData) if self.taken < bytes.len() => {}
                Err(EndOrError::NeedMoreData) => return Ok(None),
                Err(EndOrError::Error(error)) => return Err(translated(error, &bytes[..self.taken])),
            }
        }
    }

    /// What the parser is given next: all bytes as they are, but for line ends.
    ///
    /// Those become line feeds before anything else is done (XML 1.0 §2.11). The parser would do it too, but it refuses
    /// or loses a carriage return in an attribute that no line feed follows.
    fn next_to_parse<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if self.taken < self.line_end {
            return &bytes[self.taken..self.line_end];
        }
        if self.taken > 0 && bytes[self.taken - 1] == b'\r' && bytes.get(self.taken) == Some(&b'\n') {
            self.taken += 1;
        }
        let rest = &bytes[self.taken..];
        let length = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
        self.line_end = self.taken + length;
        if length == 0 && !rest.is_empty() {
            b"\n"
        } else {
            &rest[..length]
        }
    }

    /// Whether the piece is plain form, after `advance` has found its end.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain
    }

    /// What was read written anew in plain form, after `advance` has found its end.
    pub(crate) fn take_plain(
        &mut self,
        content: ContentNamespace,
        limits: &Limits,
    ) -> Result<Box<str>, XmlError> {
        let mut tree = self.take_head().root;
        if tree.namespace.is_empty() {
            return Err(XmlError::InvalidNamespace);
        }
        tree.unify_content_namespaces();
        let mut out = Vec::new();
        tree.write_within(&mut out, content.as_str(), limits.stanza_bytes);
        check(out.len(), limits.stanza_bytes, LimitName::StanzaBytes)?;
        Ok(String::from_utf8(out).map_err(|_| XmlError::BadUtf8)?.into())
    }

    /// What was read, after `advance` has found its end.
    pub(crate) fn take_head(&mut self) -> Head {
        self.builder.finish()
    }

    /// Takes one event in; true when it ends the piece.
    fn event(
        &mut self,
        event: RawEvent,
        bytes: &[u8],
        scope: &Scope,
        limits: &Limits,
    ) -> Result<bool, XmlError> {
        // Behind a carriage return the lengths are no longer those of the input; nothing is plain then.
        let between = |start: usize, end: usize| bytes.get(start..end).unwrap_or_default();
        let raw = |length: usize, end: usize| between(end.saturating_sub(length), end);
        match event {
            RawEvent::XmlDeclaration(..) => Err(PROCESSING_INSTRUCTION),
            RawEvent::ElementHeadOpen(metrics, (prefix, name)) => {
                let prefix = prefix.as_ref().map(|prefix| prefix.as_str());
                // The byte behind the name was taken to find its end.
                let end = self.taken.saturating_sub(1);
                let start = end.saturating_sub(metrics.len());
                check(
                    raw_name_length(prefix, &name),
                    limits.name_bytes,
                    LimitName::NameBytes,
                )?;
                check(self.builder.depth() + 1, limits.depth, LimitName::Depth)?;
                if self.builder.depth() == 1 {
                    self.children += 1;
                    check(self.children, limits.children, LimitName::Children)?;
                }
                self.plain &= prefix.is_none() && plain::text(between(self.tag_end, start));
                self.builder.open(prefix, &name);
                Ok(false)
            }
            RawEvent::Attribute(metrics, (prefix, name), value) => {
                let prefix = prefix.as_ref().map(|prefix| prefix.as_str());
                check(
                    raw_name_length(prefix, &name),
                    limits.name_bytes,
                    LimitName::NameBytes,
                )?;
                check(
                    self.builder.attribute_count() + 1,
                    limits.attributes,
                    LimitName::Attributes,
                )?;
                self.plain &= prefix.is_none_or(|prefix| prefix == "xml")
                    && plain::attribute(raw(metrics.len(), self.taken));
                self.builder.attribute(prefix, &name, value);
                Ok(false)
            }
            RawEvent::ElementHeadClose(metrics) => {
                self.plain &= plain::head_close(raw(metrics.len(), self.taken));
                self.tag_end = self.taken;
                self.plain &= self.builder.head_complete(scope, limits)?;
                Ok(self.piece == Piece::Header)
            }
            RawEvent::ElementFoot(metrics) => {
                if !metrics.is_empty() {
                    let start = self.taken.saturating_sub(metrics.len());
                    self.plain &= plain::text(between(self.tag_end, start));
                    self.plain &= !between(start, self.taken).iter().any(|byte| is_space(*byte));
                    self.tag_end = self.taken;
                }
                self.builder.close();
                Ok(self.builder.depth() == 0)
            }
            RawEvent::Text(_, text) => {
                self.builder.text(&text);
                Ok(false)
            }
        }
    }
}

/// Reads exactly one element with white space around it at most.
pub(crate) fn parse_tree(bytes: &[u8], inherited: &str, limits: &Limits) -> Result<Tree, XmlError> {
    let spaces = bytes.iter().take_while(|byte| is_space(**byte)).count();
    let bytes = &bytes[spaces..];
    let limits = &limits.clone().clamped();
    let within = &bytes[..bytes.len().min(limits.stanza_bytes)];
    let mut reading = Reading::new(Piece::Element, within.len());
    let Some(end) = reading.advance(within, &Scope::inheriting(inherited), limits)? else {
        check(bytes.len(), limits.stanza_bytes, LimitName::StanzaBytes)?;
        return Err(XmlError::NotWellFormed("unexpected end"));
    };
    if bytes[end..].iter().any(|byte| !is_space(*byte)) {
        return Err(XmlError::NotWellFormed("more than one element"));
    }
    Ok(reading.take_head().root)
}

fn raw_name_length(prefix: Option<&str>, name: &str) -> usize {
    prefix.map_or(0, |prefix| prefix.len() + 1) + name.len()
}

/// What `rxml` found wrong behind `taken`, in our words.
fn translated(error: Error, taken: &[u8]) -> XmlError {
    match error {
        Error::InvalidUtf8Byte(_) => XmlError::BadUtf8,
        Error::UndeclaredEntity => XmlError::Restricted("entity reference"),
        Error::RestrictedXml(_) if taken.ends_with(b"--") => COMMENT,
        Error::RestrictedXml(_) => PROCESSING_INSTRUCTION,
        Error::InvalidSyntax(_) if matches!(taken, [.., b'<', b'!', b'A'..=b'Z']) => DOCUMENT_TYPE,
        Error::InvalidSyntax(what) => XmlError::NotWellFormed(what),
        Error::InvalidEof(_) => XmlError::NotWellFormed("unexpected end"),
        Error::InvalidChar(..) => XmlError::NotWellFormed("no XML character"),
        Error::UnexpectedChar(..) | Error::UnexpectedByte(..) => {
            XmlError::NotWellFormed("unexpected character")
        }
        Error::UnexpectedToken(..) => XmlError::NotWellFormed("unexpected markup"),
        Error::DuplicateAttribute => XmlError::NotWellFormed("duplicate attribute"),
        Error::ElementMismatch => XmlError::NotWellFormed("closing tag does not match"),
        Error::MultiColonName(_) | Error::EmptyNamePart(_) | Error::InvalidLocalName(_) => {
            XmlError::NotWellFormed("qualified name")
        }
        Error::UndeclaredNamespacePrefix(_) => XmlError::BadNamespacePrefix,
        Error::ReservedNamespacePrefix | Error::ReservedNamespaceName => {
            XmlError::NotWellFormed("reserved prefix or namespace")
        }
        Error::EmptyNamespaceUri => XmlError::NotWellFormed("prefix without a namespace"),
    }
}
