//! What a component must know (XEP-0114 §3).

use std::fmt;

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The secret that is shared with one component.
#[derive(Clone)]
pub struct ComponentSecret(Zeroizing<String>);

impl ComponentSecret {
    /// Takes what the operator gave to both sides.
    pub fn new(secret: &str) -> ComponentSecret {
        ComponentSecret(Zeroizing::new(secret.to_owned()))
    }

    /// Whether this is the SHA-1 of the stream's identifier and the secret, in lower-case hexadecimal. Takes the same time
    /// whatever is wrong with it.
    pub(crate) fn is_proven_by(&self, proof: &str, stream: &str) -> bool {
        let digest = Sha1::new()
            .chain_update(stream.as_bytes())
            .chain_update(self.0.as_bytes())
            .finalize();
        let right: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        bool::from(right.as_bytes().ct_eq(proof.as_bytes()))
    }
}

impl fmt::Debug for ComponentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ComponentSecret(…)")
    }
}
