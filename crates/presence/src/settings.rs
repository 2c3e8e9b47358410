//! What this crate reads of the configuration: `[psa]`, `[poke]`, `[attention]`, `[decloak]`.

use std::sync::Arc;
use std::time::Duration;

use machine::Rate;
use stanza::Address;

use crate::{Capabilities, InFlight, Words};

/// All of it. The default is the default of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[psa]`
    pub psa: PsaSettings,
    /// `[poke]`
    pub poke: PokeSettings,
    /// `attention.rate`, per sender and recipient (ATT-13).
    pub attention_rate: Option<Rate>,
    /// `[decloak]`
    pub decloak: DecloakSettings,
    /// What is known of clients, shared by all accounts.
    pub capabilities: Arc<Capabilities>,
    /// `limits.capabilities`: how much of it.
    pub capabilities_max: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            psa: PsaSettings::default(),
            poke: PokeSettings::default(),
            attention_rate: None,
            decloak: DecloakSettings::default(),
            capabilities: Arc::default(),
            capabilities_max: 10_000,
        }
    }
}

/// `[psa]`
#[derive(Debug, Clone)]
pub struct PsaSettings {
    /// `psa.enabled`
    pub enabled: bool,
    /// `psa.description` (PSA-13).
    pub words: Words,
    /// `psa.reprobe` (PSA-30).
    pub reprobe: bool,
    /// `psa.pause_delay` (PSA-38).
    pub pause_delay: Duration,
    /// `psa.cache_bytes`, for all sessions of an account.
    pub cache_bytes: usize,
    /// `limits.annotations`: how many one session is told at once, and after which time the next.
    pub annotations: Rate,
}

impl Default for PsaSettings {
    fn default() -> PsaSettings {
        PsaSettings {
            enabled: true,
            words: Words::Some,
            reprobe: true,
            pause_delay: Duration::ZERO,
            cache_bytes: 1 << 20,
            annotations: Rate {
                events: 200,
                per: Duration::from_secs(1),
            },
        }
    }
}

/// `[poke]`
#[derive(Debug, Clone)]
pub struct PokeSettings {
    /// `poke.mode`
    pub mode: PokeMode,
    /// `poke.timeout` (POKE-18).
    pub timeout: Duration,
    /// `poke.blocked`
    pub blocked: PokeBlocked,
    /// `poke.reveal_unknown`
    pub reveal_unknown: RevealUnknown,
    /// `poke.rate`, per requester and user (POKE-45).
    pub rate: Option<Rate>,
    /// Pokes that wait for an answer, shared by all accounts.
    pub in_flight: Arc<InFlight>,
    /// `limits.pokes_in_flight`: how many may be.
    pub in_flight_max: usize,
    /// Whom the operator trusts: bare addresses of administrators, domains of components (POKE-22).
    pub trusted: Vec<Address>,
}

/// What a server does with pokes (POKE-07, POKE-08).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PokeMode {
    /// Answers them.
    On,
    /// Takes them for plain probes.
    Ignore,
    /// Says that it does not do this.
    Refuse,
}

/// What a blocked requester hears (POKE-48).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PokeBlocked {
    /// The error that strangers get.
    Forbidden,
    /// Nothing.
    Silent,
}

/// Who learns that an account does not exist (POKE-22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevealUnknown {
    /// Nobody.
    Never,
    /// Administrators and components.
    Trusted,
    /// Everybody.
    Always,
}

/// `[decloak]`
#[derive(Debug, Clone)]
pub struct DecloakSettings {
    /// `decloak.services`: whether hosts and services show themselves to whoever wishes it (DCL-20).
    pub services: bool,
    /// `decloak.rate`: how often one account may ask people who are not its contacts (DCL-28).
    pub rate: Option<Rate>,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Default for PokeSettings {
    fn default() -> PokeSettings {
        PokeSettings {
            mode: PokeMode::On,
            timeout: 2 * MINUTE,
            blocked: PokeBlocked::Forbidden,
            reveal_unknown: RevealUnknown::Trusted,
            rate: Some(Rate {
                events: 6,
                per: MINUTE,
            }),
            in_flight: Arc::default(),
            in_flight_max: 10_000,
            trusted: Vec::new(),
        }
    }
}

impl Default for DecloakSettings {
    fn default() -> DecloakSettings {
        DecloakSettings {
            services: true,
            rate: Some(Rate {
                events: 30,
                per: MINUTE,
            }),
        }
    }
}

impl PokeSettings {
    /// Whether this requester is told that an account does not exist (POKE-22).
    pub fn reveals_unknown_to(&self, requester: &Address) -> bool {
        match self.reveal_unknown {
            RevealUnknown::Never => false,
            RevealUnknown::Trusted => self.trusted.iter().any(|trusted| {
                trusted.as_str() == requester.bare_str() || trusted.as_str() == requester.domainpart()
            }),
            RevealUnknown::Always => true,
        }
    }
}
