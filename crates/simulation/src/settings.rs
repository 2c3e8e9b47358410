//! A small server: few hosts, low limits, and passwords that cost nothing.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use c2s::Encryption;
use features::Registration;
use sasl::{HashFunctions, PasswordPolicy, UnknownAccounts};
use stanza::Address;

/// The configuration of a simulated server, under the names that it has in `config/balcony.toml`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The domains, and how each keeps its passwords.
    pub hosts: Vec<(&'static str, Passwords)>,
    /// The domains whose addresses are rooms.
    pub rooms: Vec<&'static str>,
    /// Those of them that are open for registration.
    pub open: Vec<&'static str>,
    /// `c2s.require_tls`.
    pub encryption: Encryption,
    /// `sasl.iterations`.
    pub iterations: NonZeroU32,
    /// `sm.settle_after`.
    pub settle_after: Duration,
    /// `limits.outstanding_stanzas`.
    pub outstanding_max: usize,
    /// `psa`, `poke`, `attention`, `decloak`.
    pub presence: presence::Settings,
    /// `sm.resume_timeout`.
    pub resume_timeout: Duration,
    /// `sm.delay_stamp_after`.
    pub delay_stamp_after: Duration,
    /// `muc.ghost_grace`.
    pub ghost_grace: Duration,
    /// `limits`.
    pub limits: Limits,
}

/// `password_storage` of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passwords {
    /// Keys of SCRAM.
    Scram,
    /// Hashes of argon2id.
    Argon2id,
}

/// The section `[limits]`, as far as it concerns more than addresses of the Internet.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "config/balcony.toml says what each of them is")]
pub struct Limits {
    pub stanza_bytes: usize,
    pub depth: usize,
    pub attributes: usize,
    pub name_bytes: usize,
    pub children: usize,
    pub unauthenticated_time: Duration,
    pub unauthenticated_stanza_bytes: usize,
    pub unauthenticated_bytes: usize,
    pub login_attempts: usize,
    pub mailbox_bytes: usize,
    pub mailbox_stanzas: usize,
    pub unacknowledged_stanzas: usize,
    pub inbox_stanzas: usize,
    pub inbox_bytes: usize,
    pub uncommitted_bytes: usize,
    pub resting_bytes: usize,
    pub roster_items: usize,
    pub resources_per_account: usize,
    pub offline_messages: usize,
    pub offline_bytes: usize,
    pub vcard_bytes: usize,
    pub private_bytes: usize,
    pub privacy_lists: usize,
    pub privacy_items: usize,
    pub directed_presences: usize,
    pub rooms_per_account: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            hosts: vec![
                ("example.com", Passwords::Scram),
                ("example.net", Passwords::Scram),
            ],
            rooms: vec!["rooms.example.com"],
            open: vec!["example.net"],
            encryption: Encryption::Required,
            iterations: NonZeroU32::MIN,
            settle_after: Duration::from_secs(1),
            outstanding_max: 10_000,
            presence: presence::Settings::default(),
            resume_timeout: Duration::from_secs(300),
            delay_stamp_after: Duration::from_secs(10),
            ghost_grace: Duration::from_secs(300),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    /// Low enough to be reached in a test, high enough for what a client does in one.
    fn default() -> Limits {
        Limits {
            stanza_bytes: 16 << 10,
            depth: 16,
            attributes: 32,
            name_bytes: 128,
            children: 64,
            unauthenticated_time: Duration::from_secs(5),
            unauthenticated_stanza_bytes: 10 << 10,
            unauthenticated_bytes: 32 << 10,
            login_attempts: 3,
            mailbox_bytes: 256 << 10,
            mailbox_stanzas: 200,
            unacknowledged_stanzas: 50,
            inbox_stanzas: 2_000,
            inbox_bytes: 4 << 20,
            uncommitted_bytes: 1 << 20,
            // Two accounts, so that some are always fetched anew.
            resting_bytes: 6_000,
            roster_items: 20,
            resources_per_account: 4,
            offline_messages: 5,
            offline_bytes: 64 << 10,
            vcard_bytes: 4 << 10,
            private_bytes: 4 << 10,
            privacy_lists: 4,
            privacy_items: 10,
            directed_presences: 8,
            rooms_per_account: 20,
        }
    }
}

impl Settings {
    /// For the door.
    pub(crate) fn session(&self) -> c2s::Settings {
        let limits = &self.limits;
        let unauthenticated = xml::Limits {
            stanza_bytes: limits.unauthenticated_stanza_bytes,
            depth: limits.depth,
            attributes: limits.attributes,
            name_bytes: limits.name_bytes,
            children: limits.children,
        };
        c2s::Settings {
            hosts: self
                .hosts
                .iter()
                .filter_map(|(domain, passwords)| self.door(domain, *passwords))
                .collect(),
            encryption: self.encryption,
            resume_timeout: self.resume_timeout,
            limits: c2s::Limits {
                authenticated: xml::Limits {
                    stanza_bytes: limits.stanza_bytes,
                    ..unauthenticated.clone()
                },
                unauthenticated,
                unauthenticated_bytes: limits.unauthenticated_bytes,
                login_attempts: limits.login_attempts,
                mailbox: stream_management::Limits {
                    stanzas: limits.mailbox_stanzas,
                    bytes: limits.mailbox_bytes,
                },
                unacknowledged_stanzas: limits.unacknowledged_stanzas,
            },
        }
    }

    fn door(&self, domain: &str, passwords: Passwords) -> Option<(Address, c2s::Host)> {
        let host = c2s::Host {
            passwords: self.policy(passwords),
            registration: self.registration(domain),
            unknown_accounts: UnknownAccounts::new([17; 32], self.iterations),
        };
        Some((Address::domain(domain).ok()?, host))
    }

    /// For the hall and the rooms.
    pub(crate) fn router(&self) -> router::Settings {
        let limits = &self.limits;
        router::Settings {
            hosts: router::Hosts::new(self.hosts.iter().filter_map(|(domain, passwords)| {
                Some(router::Host {
                    facts: features::HostFacts {
                        registration: self.registration(domain),
                        features: account::HOST_FEATURES.to_vec(),
                        items: self
                            .rooms
                            .iter()
                            .filter_map(|domain| {
                                let name = Some("Chat rooms".to_owned());
                                let address = Address::domain(domain).ok()?;
                                Some(features::Item { address, name })
                            })
                            .collect(),
                        ..features::HostFacts::new(Address::domain(domain).ok()?)
                    },
                    passwords: self.policy(*passwords),
                })
            })),
            account: account::Settings {
                facts: features::Facts {
                    software: features::Software {
                        name: "Balcony".to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                        os: None,
                    },
                    limits: features::Limits {
                        vcard_bytes: limits.vcard_bytes,
                        private_bytes: limits.private_bytes,
                    },
                    ..features::Facts::default()
                },
                local_domains: self
                    .hosts
                    .iter()
                    .map(|(domain, _)| (*domain).to_owned())
                    .collect(),
                local_services: self.rooms.iter().map(|&domain| domain.to_owned()).collect(),
                resources_max: limits.resources_per_account,
                waiting_max: (limits.offline_messages, limits.offline_bytes),
                outstanding_max: self.outstanding_max,
                directed_max: limits.directed_presences,
                settle_after: self.settle_after,
                delay_stamp_after: self.delay_stamp_after,
                mailbox: stream_management::Limits {
                    stanzas: limits.mailbox_stanzas,
                    bytes: limits.mailbox_bytes,
                },
                stranger_subscriptions: None,
                stranger_messages: None,
                subscriptions_from_strangers: None,
                messages_from_strangers: None,
                presence: self.presence.clone(),
                roster: roster::Limits {
                    items: limits.roster_items,
                    ..roster::Limits::default()
                },
                privacy: privacy::Limits {
                    lists: limits.privacy_lists,
                    items: limits.privacy_items,
                    ..privacy::Limits::default()
                },
            },
            limits: turns::Limits {
                inbox_inputs_max: limits.inbox_stanzas,
                inbox_bytes_max: limits.inbox_bytes,
                waiting_effects_max: limits.inbox_stanzas,
                waiting_bytes_max: limits.uncommitted_bytes,
            },
            resting_bytes_max: limits.resting_bytes,
            muc: muc::Settings {
                services: self.rooms.iter().map(|&domain| domain.to_owned()).collect(),
                local_domains: self
                    .hosts
                    .iter()
                    .map(|(domain, _)| (*domain).to_owned())
                    .collect(),
                ghost_grace: self.ghost_grace,
                rooms_per_user: Some(self.limits.rooms_per_account),
                ..muc::Settings::default()
            },
            federation: self.federation(),
        }
    }

    /// For other servers.
    pub(crate) fn federation(&self) -> router::Federation {
        let hosts = self.hosts.iter();
        let mut domains: BTreeSet<Address> = hosts
            .filter_map(|(domain, _)| Address::domain(domain).ok())
            .collect();
        // Every simulated server has a secret of its own.
        let secret = s2s::Secret::new(format!("{domains:?}").as_bytes());
        let services = self.rooms.iter();
        domains.extend(services.filter_map(|domain| Address::domain(domain).ok()));
        router::Federation::new(domains, secret)
    }

    fn registration(&self, domain: &str) -> Registration {
        if self.open.contains(&domain) {
            Registration::Open
        } else {
            Registration::Closed
        }
    }

    /// How a host keeps passwords.
    pub(crate) fn policy(&self, passwords: Passwords) -> PasswordPolicy {
        match passwords {
            Passwords::Scram => PasswordPolicy::Scram {
                hashes: HashFunctions::default(),
                iterations: self.iterations,
            },
            Passwords::Argon2id => PasswordPolicy::Argon2id,
        }
    }
}
