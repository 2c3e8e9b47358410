//! Opening, securing, restarting and closing a stream, either side (RFC 6120 §4–§6).
//!
//! What both ends of a stream say beside stanzas, as values that are written and read: the header ([`Opening`],
//! [`PeerHeader`]), [`Features`], [`StartTls`], [`Sasl`], errors and the end. Who says what when is decided elsewhere, in
//! the doors (`c2s`, `s2s`). How a stream is delimited on its transport is known to [`Framing`] alone.

mod error;
mod features;
mod framing;
mod header;
mod sasl;
mod starttls;

pub use error::{read_error, xml_fault};
pub use features::{DialbackOffer, Features, StartTlsOffer, StreamLimits};
pub use framing::{Framing, Opening};
pub use header::{PeerHeader, Version};
pub use sasl::{IncorrectEncoding, Sasl};
pub use starttls::StartTls;
