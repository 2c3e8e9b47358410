//! TLS as a server: which certificate is shown to whom, and what a finished handshake binds a login to.
//!
//! [`Certificates`] keeps the files of all hosts loaded, watched and ready to serve; [`Certificates::accept`]
//! runs one handshake (STARTTLS of RFC 6120 §5, direct TLS of XEP-0368, HTTPS) with the best of them;
//! [`Secured`] is the result, with its channel binding data (RFC 9266, RFC 5929). What is wrong with a file
//! is a [`Problem`], in words for the operator. TLS as a client, and the authentication of other servers, are
//! elsewhere.

mod accept;
mod certificate;
mod channel_binding;
mod connect;
mod dane;
mod development;
mod files;
mod names;
mod peer;
mod problem;
mod store;
#[cfg(test)]
mod tests;

pub use accept::{AcceptError, Listener, Secured};
pub use certificate::{Certificate, CertificateFiles};
pub use dane::Tlsa;
pub use development::{SelfSigned, SelfSignedError, self_signed};
pub use names::{CertificateNames, Coverage};
pub use peer::{RootsError, Trust};
pub(crate) use peer::{Shown, shown};
pub use problem::{Fault, Found, Item, Problem, Severity};
pub use store::{Certificates, Clock, Expiry, Reloaded, WATCH_INTERVAL, examine};
