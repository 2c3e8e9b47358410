//! What is counted of the presence engine: `xmpp_psa_*`, `xmpp_poke_*`, `xmpp_decloak_*`, `xmpp_attention_*`.

use stanza::Address;

use crate::account::Account;

/// One thing that has happened, and is only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceCount {
    /// A client here was told that the way to a contact's server is broken.
    Unavailable,
    /// It was told that this is over.
    Available,
    /// A client here was told that a contact's session is paused.
    Paused,
    /// It was told that this is over.
    Resumed,
    /// A client elsewhere was told that a session here is paused.
    PausedElsewhere,
    /// It was told that this is over.
    ResumedElsewhere,
    /// A poke found the user.
    PokePresent,
    /// Nobody answered a poke in time, or everybody declined.
    PokeTimeout,
    /// The requester may not know.
    PokeForbidden,
    /// There was nobody to ask.
    PokeNoResource,
    /// The server does not do this.
    PokeUnsupported,
    /// The requester asks too often, or too much at once.
    PokeRateLimited,
    /// Another error: no such user, or a user who has died.
    PokeError,
    /// The lists of the user do not let a wish to see the user's presence pass.
    DecloakDenied,
    /// The requester asks strangers too often.
    DecloakRateLimited,
    /// A call for attention has gone on to the user.
    AttentionDelivered,
    /// A call of a stranger was taken out.
    AttentionBlocked,
    /// A call was taken out because there were too many.
    AttentionRateLimited,
}

impl PresenceCount {
    /// All of them, in the order of their places.
    pub const ALL: [PresenceCount; 18] = [
        PresenceCount::Unavailable,
        PresenceCount::Available,
        PresenceCount::Paused,
        PresenceCount::Resumed,
        PresenceCount::PausedElsewhere,
        PresenceCount::ResumedElsewhere,
        PresenceCount::PokePresent,
        PresenceCount::PokeTimeout,
        PresenceCount::PokeForbidden,
        PresenceCount::PokeNoResource,
        PresenceCount::PokeUnsupported,
        PresenceCount::PokeRateLimited,
        PresenceCount::PokeError,
        PresenceCount::DecloakDenied,
        PresenceCount::DecloakRateLimited,
        PresenceCount::AttentionDelivered,
        PresenceCount::AttentionBlocked,
        PresenceCount::AttentionRateLimited,
    ];
}

/// What the sessions of an account hold of others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PresenceLoad {
    /// Presence of contacts who live here, which is remembered while it is annotated.
    pub local: usize,
    /// Presence from other domains.
    pub remote: usize,
    /// Presence of which a client was told that its server cannot be reached, and not yet that this is over.
    pub unavailable: usize,
    /// Presence of which a client was told that the contact's connection is paused, and not yet that this is over.
    pub paused: usize,
}

impl Account {
    /// What its sessions hold; `is_local` says which addresses live here.
    pub fn presence_load(&self, is_local: impl Fn(&Address) -> bool) -> PresenceLoad {
        let mut load = PresenceLoad::default();
        for (from, held) in self.sessions.iter().flat_map(|session| session.received.iter()) {
            if is_local(from) {
                load.local += 1;
            } else {
                load.remote += 1;
            }
            load.unavailable += usize::from(held.told);
            load.paused += usize::from(held.foreign.is_some() && held.shown);
        }
        load
    }
}
