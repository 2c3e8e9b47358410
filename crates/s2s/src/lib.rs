//! Connections between servers, and the state of every link (RFC 6120, XEP-0220, XEP-0288, XEP-0198, XEP-0114).

mod certificate;
mod component;
mod connection;
mod dialback;
pub mod explain;
pub mod link;
mod pair;
mod settings;

pub use certificate::{Certificate, CertificateFault, Identity};
pub use component::{Component, ComponentSecret};
pub use connection::{
    By, Close, Effect, Ending, Errand, Input, Method, Obstacle, Output, Record, Side, Stage, Step, Stream,
    Suspended, Tls, TlsVersion, Transport,
};
pub use dialback::{DialbackError, Key, Secret, Verdict, Verification};
pub use pair::{Pair, Ways};
pub use settings::{
    Admission, Authentication, Certificates, Encryption, Limits, Policies, Policy, Settings, Times,
};
