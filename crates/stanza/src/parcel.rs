//! A stanza on its way: the shared bytes, and what differs for this recipient.

use std::sync::Arc;

use smallvec::SmallVec;
use xml::ContentNamespace;

use crate::{Address, Stanza};

/// Where a stanza is written to, which decides whether its opening tag declares the content namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A stream whose header declared it (TCP).
    Stream,
    /// A place of its own: a WebSocket frame, a BOSH body, a row of a table.
    Alone(ContentNamespace),
}

/// What is known here of a copy of presence and not written into it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aside {
    /// Nothing.
    #[default]
    Nothing,
    /// The pause that it tells of was asked for by the client (XEP-0124 §10).
    PauseAskedFor,
}

/// One copy of a stanza: the addresses of this copy, children left out, and bytes put in before the end.
///
/// All copies of one stanza share its bytes.
#[derive(Debug)]
pub struct Parcel {
    stanza: Stanza,
    from: Option<Address>,
    to: Option<Address>,
    drop: SmallVec<[u16; 2]>,
    append: Option<Arc<[u8]>>,
    aside: Aside,
}

impl Parcel {
    /// The stanza as it is.
    pub fn new(stanza: Stanza) -> Parcel {
        Parcel {
            from: stanza.from().cloned(),
            to: stanza.to().cloned(),
            stanza,
            drop: SmallVec::new(),
            append: None,
            aside: Aside::Nothing,
        }
    }

    /// The stanza with other addresses.
    pub fn readdressed(stanza: Stanza, from: Option<Address>, to: Option<Address>) -> Parcel {
        Parcel {
            stanza,
            from,
            to,
            drop: SmallVec::new(),
            append: None,
            aside: Aside::Nothing,
        }
    }

    /// The same with another recipient.
    #[must_use]
    pub fn to_address(mut self, to: Address) -> Parcel {
        self.to = Some(to);
        self
    }

    /// The same without the direct child at `index` of the stanza.
    #[must_use]
    pub fn without_child(mut self, index: u16) -> Parcel {
        if let Err(place) = self.drop.binary_search(&index) {
            self.drop.insert(place, index);
        }
        self
    }

    /// The same with `bytes` (whole elements) put in after the last child.
    #[must_use]
    pub fn with_appended(mut self, bytes: &[u8]) -> Parcel {
        let mut all = self.append.as_deref().unwrap_or_default().to_vec();
        all.extend_from_slice(bytes);
        self.append = Some(all.into());
        self
    }

    /// The same with this known of it.
    #[must_use]
    pub fn with_aside(mut self, aside: Aside) -> Parcel {
        self.aside = aside;
        self
    }

    /// What is known of it and not written.
    pub fn aside(&self) -> Aside {
        self.aside
    }

    /// What is put in after the last child.
    pub fn appended(&self) -> Option<&Arc<[u8]>> {
        self.append.as_ref()
    }

    /// The same with nothing put in.
    #[must_use]
    pub fn without_appended(mut self) -> Parcel {
        self.append = None;
        self
    }

    /// The shared stanza. Its addresses may differ from this copy's.
    pub fn stanza(&self) -> &Stanza {
        &self.stanza
    }

    /// Who sent this copy.
    pub fn from(&self) -> Option<&Address> {
        self.from.as_ref()
    }

    /// To whom this copy goes.
    pub fn to(&self) -> Option<&Address> {
        self.to.as_ref()
    }

    /// About how many bytes this copy takes, for limits.
    pub fn byte_len(&self) -> usize {
        self.stanza.byte_len() + self.append.as_ref().map_or(0, |bytes| bytes.len())
    }

    /// Writes this copy: a fresh opening tag, then the untouched rest without the dropped children, then what is appended.
    pub fn emit(&self, out: &mut Vec<u8>, target: Target) {
        let drop = self.drop.as_slice();
        self.stanza.element().emit(
            out,
            |out| self.write_head(out, target),
            drop,
            self.append.as_deref().unwrap_or_default(),
        );
    }

    /// This copy as a stanza of its own, for logic that looks into it after edits, and for storage.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.byte_len() + 128);
        self.emit(&mut out, Target::Alone(ContentNamespace::Client));
        out
    }

    /// The error that answers this copy, from its addressee; `None` where no answer is allowed (RFC 6120 §8.3.1).
    pub fn error(&self, error: impl Into<crate::StanzaError>) -> Option<Stanza> {
        self.stanza
            .error_between(self.to.as_ref(), self.from.as_ref(), error, b"")
    }

    fn write_head(&self, out: &mut Vec<u8>, target: Target) {
        let element = self.stanza.element();
        let kind = self.stanza.kind();
        out.push(b'<');
        out.extend_from_slice(kind.name().as_bytes());
        if let Target::Alone(namespace) = target {
            attribute(out, b" xmlns='", namespace.as_str());
        }
        if let Some(from) = &self.from {
            address_attribute(out, b" from='", from);
        }
        if let Some(to) = &self.to {
            address_attribute(out, b" to='", to);
        }
        // One look at the attributes: every copy of every stanza is written here.
        let (mut id, mut lang) = (None, None);
        for attribute in element.attributes() {
            match attribute.name {
                "id" => id = Some(attribute.raw_value),
                "xml:lang" => lang = Some(attribute.raw_value),
                _ => {}
            }
        }
        if let Some(id) = id {
            raw_attribute(out, b" id=", id);
        }
        if let Some(value) = kind.type_attribute() {
            attribute(out, b" type='", value);
        }
        if let Some(lang) = lang {
            raw_attribute(out, b" xml:lang=", lang);
        } else if let Some(lang) = self.stanza.stream_lang() {
            out.extend_from_slice(b" xml:lang='");
            xml::escape_attribute(out, lang);
            out.push(b'\'');
        }
    }
}

// Not derived for the sake of one field: a broadcast clones a parcel for each recipient, and the clone of a `SmallVec` has
// to walk to find out that it is empty, as `drop` nearly always is.
impl Clone for Parcel {
    fn clone(&self) -> Parcel {
        Parcel {
            stanza: self.stanza.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            drop: if self.drop.is_empty() {
                SmallVec::new()
            } else {
                self.drop.clone()
            },
            append: self.append.clone(),
            aside: self.aside,
        }
    }
}

impl From<Stanza> for Parcel {
    fn from(stanza: Stanza) -> Self {
        Parcel::new(stanza)
    }
}

/// A value that needs no escaping.
fn attribute(out: &mut Vec<u8>, opening: &[u8], value: &str) {
    out.extend_from_slice(opening);
    out.extend_from_slice(value.as_bytes());
    out.push(b'\'');
}

/// Resourceparts, and localparts in the older profile, may hold characters that need escaping.
fn address_attribute(out: &mut Vec<u8>, opening: &[u8], address: &Address) {
    out.extend_from_slice(opening);
    if address.is_plain() {
        out.extend_from_slice(address.as_str().as_bytes());
    } else {
        xml::escape_attribute(out, address.as_str());
    }
    out.push(b'\'');
}

/// A value as it was written. It holds at most one kind of quote, so the other kind goes around it.
fn raw_attribute(out: &mut Vec<u8>, opening: &[u8], raw: &str) {
    let quote = if raw.as_bytes().contains(&b'\'') {
        b'"'
    } else {
        b'\''
    };
    out.extend_from_slice(opening);
    out.push(quote);
    out.extend_from_slice(raw.as_bytes());
    out.push(quote);
}
