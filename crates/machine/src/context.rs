//! What a machine may know of the world while it decides.

use crate::{Moment, Timestamp};

/// Dice. Unguessable in the server, seeded in the simulation.
pub trait Random {
    /// Fills `bytes` with random ones.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The world as a machine sees it during one input.
pub struct Context<'a, S> {
    /// For intervals and wake-ups.
    pub now: Moment,
    /// For what people read: delay stamps, last activity.
    pub wall: Timestamp,
    /// Unguessable bytes.
    pub random: &'a mut dyn Random,
    /// A snapshot of the configuration, as far as it concerns this kind of machine.
    pub settings: &'a S,
}

/// An unguessable token of 120 bits, written in 24 characters that need no escaping anywhere.
pub fn random_token(random: &mut dyn Random) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = [0; 24];
    random.fill(&mut bytes);
    bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
        .collect()
}

impl<S> Context<'_, S> {
    /// An unguessable token, see [`random_token`].
    pub fn token(&mut self) -> String {
        random_token(self.random)
    }
}
