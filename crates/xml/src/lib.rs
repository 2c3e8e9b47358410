//! Bytes to whole stanzas and back, incrementally and with limits; only the XML that XMPP allows (RFC 6120 §11).
//!
//! [`Framer`] cuts a stream into [`Frame`]s, [`Element`] is one stanza as its bytes with an index, [`Tree`] is the
//! small owned form that logic reads and writes on the cold path.
//!
//! # Plain form
//! An [`Element`] always holds *plain form*: XML that every reader, however sloppy, reads in the same way. Input that
//! is plain already is copied byte for byte; other permitted input is parsed and written anew, so that nothing behind
//! this crate meets it. In plain form
//! - no element name has a prefix; attributes have none but `xml:`, or one that their own element declares because
//!   the attribute cannot be written without it (such elements are always written anew);
//! - an element that differs in namespace from its parent says so with `xmlns` on itself, and no element in the scope
//!   of the head's namespace repeats it. `jabber:client`, `jabber:server` and `jabber:component:accept` are one and
//!   the same there, so that a stanza means the same after it was moved to another kind of stream (RFC 6120 §4.8.3);
//! - there is no CDATA section, comment or carriage return, and no reference but `&lt;` `&gt;` `&amp;` `&apos;`
//!   `&quot;`; only where no other spelling exists, `&#xD;` in text and `&#x9;` `&#xA;` `&#xD;` in attributes;
//! - between the quotes of an attribute stands none of `<` `>` `'` `"`, tab and line feed: a raw value may be pasted
//!   between quotes of either kind, and `>` always ends a tag;
//! - nothing stands around `=`, and nothing but the name in a closing tag. Between attributes any run of space, tab
//!   and line feed may stand, and quotes may be of either kind.

mod child;
mod element;
mod error;
mod escape;
mod framer;
mod header;
mod limits;
mod markup;
mod namespace;
mod reference;
mod scanner;
mod tree;
mod walk;

pub use child::Child;
pub use element::{Attribute, Element};
pub use error::{LimitName, XmlError};
pub use escape::{escape_attribute, escape_text};
pub use framer::{Backend, Frame, Framer, Framing};
pub use header::StreamHeader;
pub use limits::Limits;
pub use namespace::{ContentNamespace, Namespace, STREAM_NAMESPACE};
pub use tree::{Node, Tree};
pub use walk::split_plain;
