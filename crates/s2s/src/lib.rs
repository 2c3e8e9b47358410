//! Connections between servers, and the state of every link (RFC 6120, XEP-0220, XEP-0288, XEP-0198, XEP-0114).

mod certificate;
mod pair;

pub use certificate::{Certificate, CertificateFault, Identity};
pub use pair::{Pair, Ways};
