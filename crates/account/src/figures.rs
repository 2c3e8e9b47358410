//! What is counted of the presence engine: `xmpp_psa_*`, `xmpp_poke_*`, `xmpp_decloak_*`, `xmpp_attention_*`.

use presence::{Capabilities, Rank};
use stanza::{Address, Aside};

use crate::account::Account;

/// One thing that has happened, and is only counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresenceCount {
    /// A client here was told that the way to a contact's server is broken.
    Unavailable,
    /// It was told that this is over.
    Available,
    /// A client here was told that a contact's session is paused because its connection was lost.
    Paused,
    /// It was told that this is over.
    Resumed,
    /// A client here was told that a contact's session is paused because its client asked for it (BOSH).
    Asked,
    /// It was told that this is over.
    Back,
    /// A client elsewhere was told that a session here is paused.
    PausedElsewhere,
    /// It was told that this is over.
    ResumedElsewhere,
    /// A client elsewhere was told that a session here is paused because its client asked for it (BOSH).
    AskedElsewhere,
    /// It was told that this is over.
    BackElsewhere,
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
    /// A call for attention has gone on to the user.
    AttentionDelivered,
    /// A call of a stranger was taken out.
    AttentionBlocked,
    /// A call was taken out because there were too many.
    AttentionRateLimited,
}

impl PresenceCount {
    /// All of them, in the order of their places.
    pub const ALL: [PresenceCount; 20] = [
        PresenceCount::Unavailable,
        PresenceCount::Available,
        PresenceCount::Paused,
        PresenceCount::Resumed,
        PresenceCount::Asked,
        PresenceCount::Back,
        PresenceCount::PausedElsewhere,
        PresenceCount::ResumedElsewhere,
        PresenceCount::AskedElsewhere,
        PresenceCount::BackElsewhere,
        PresenceCount::PokePresent,
        PresenceCount::PokeTimeout,
        PresenceCount::PokeForbidden,
        PresenceCount::PokeNoResource,
        PresenceCount::PokeUnsupported,
        PresenceCount::PokeRateLimited,
        PresenceCount::PokeError,
        PresenceCount::AttentionDelivered,
        PresenceCount::AttentionBlocked,
        PresenceCount::AttentionRateLimited,
    ];
}

/// Why an annotation was not sent; a label of `xmpp_psa_annotations_suppressed_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suppression {
    /// The client does not ask for annotations.
    NoSupport,
    /// What it would have said was no longer true, or a later one said it.
    Coalesced,
    /// There was no room to remember the presence (`psa.cache_bytes`).
    Budget,
    /// The link or the session was back before anybody was told.
    RecoveredInGrace,
    /// Plain `unavailable` said more.
    UnavailableSent,
}

/// Where a change of presence comes from; a label of `xmpp_presence_updates_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client here.
    Local,
    /// Somebody at another domain.
    Remote,
    /// A room, here or elsewhere.
    Room,
    /// This server, for a client that is gone or was put out.
    Synthetic,
}

/// How a poke between two clients was answered; the label `outcome` of `xmpp_poke_requests_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IqPoke {
    /// The client has found its user.
    Present,
    /// It has waited in vain.
    Timeout,
    /// The requester may not know.
    Forbidden,
    /// There is no such client, or it does not show itself to the requester.
    NoResource,
    /// The client does not do this, or not in this way.
    Unsupported,
    /// Another error.
    Error,
}

/// What became of a wish to see the user's presence; the label `decision` of `xmpp_decloak_requests_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A client has answered by directed presence.
    Answered,
    /// Nobody did.
    Ignored,
    /// The lists of the user do not let it pass.
    Denied,
    /// The requester asks strangers too often.
    RateLimited,
}

/// What a room elsewhere said of a session after an outage; the label `result` of `xmpp_muc_selfping_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SelfPing {
    /// It is still in.
    In,
    /// It is not.
    Out,
    /// Nothing.
    Unanswered,
}

/// What the sessions of an account hold of others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PresenceLoad {
    /// Presence of contacts who live here, which is remembered while it is annotated.
    pub local: usize,
    /// Presence from other domains, without rooms.
    pub remote: usize,
    /// Presence of occupants of rooms at other domains.
    pub occupants: usize,
    /// What interested clients have not been told yet.
    pub deferred: usize,
    /// Clients here that are known to ask for annotations.
    pub asking: usize,
    /// Clients elsewhere that are, once for each session that holds their presence.
    pub asking_elsewhere: usize,
    /// Pokes that wait for an answer.
    pub pokes: usize,
    /// Directed presence to people who are not subscribed, and not taken back.
    pub directed: usize,
    /// Presence of which a client was told that its server cannot be reached, and not yet that this is over.
    pub unavailable: usize,
    /// Presence of which a client was told that the contact's connection is paused, and not yet that this is over.
    pub paused: usize,
    /// The same where the contact's client has asked for the pause.
    pub paused_by_request: usize,
}

impl Account {
    /// What its sessions hold; `is_local` says which addresses live here.
    pub fn presence_load(
        &self,
        capabilities: &Capabilities,
        is_local: impl Fn(&Address) -> bool,
    ) -> PresenceLoad {
        let mut load = PresenceLoad {
            pokes: self.pokes.in_flight(),
            ..PresenceLoad::default()
        };
        for session in &self.sessions {
            let asks = session.interest.would_ask(capabilities) == Some(true);
            load.asking += usize::from(asks);
            for (from, held) in session.received.iter() {
                match (is_local(from), held.rank) {
                    (true, _) => load.local += 1,
                    (false, Rank::Occupant) => load.occupants += 1,
                    (false, Rank::Contact | Rank::Stranger) => load.remote += 1,
                }
                load.unavailable += usize::from(held.told);
                let is_told = usize::from(held.foreign().is_some() && held.shown);
                match held.aside {
                    Aside::Nothing => load.paused += is_told,
                    Aside::PauseAskedFor => load.paused_by_request += is_told,
                }
                load.deferred += usize::from(asks && self.is_behind(session, from, held));
                load.asking_elsewhere += usize::from(held.asks && !is_local(from));
            }
            let is_leak =
                |to: &&Address| !session.rooms.contains_key(to.bare_str()) && !self.shows_presence_to(to);
            load.directed += session.directed.keys().filter(is_leak).count();
        }
        load
    }
}
