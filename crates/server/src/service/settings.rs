//! What each part of the server reads of the configuration.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use c2s::Encryption;
use features::{Facts, HostFacts, Software};
use machine::{Moment, Rate};
use sasl::{HashFunctions, PasswordPolicy, UnknownAccounts};
use stanza::{Address, namespace};
use transport::{AddressLimits, AllowedOrigins, HttpSettings, Range};

use super::federation;
use crate::build;
use crate::config::{
    self, Configuration, HostName, Origin, PasswordStorage, PokeBlocked, PokeMode, Registration,
    RevealUnknown,
};
use crate::report::Report;

/// The settings of the router and of its accounts.
///
/// `secret` is what the keys of dialback are made from.
pub(super) fn of_router(
    configuration: &Configuration,
    started: Moment,
    secret: [u8; 32],
) -> Result<router::Settings, Report> {
    let limits = &configuration.limits;
    let mut hosts = Vec::new();
    for (name, host) in &configuration.hosts {
        let mut facts = HostFacts::new(address(name)?);
        facts.registration = registration(host.registration);
        facts.features = account::HOST_FEATURES.to_vec();
        facts.features.extend(presence_features(configuration));
        hosts.push(router::Host {
            facts,
            passwords: passwords(configuration, host.password_storage)?,
        });
    }
    let services = configuration
        .muc
        .services
        .iter()
        .map(address)
        .collect::<Result<Vec<_>, _>>()?;
    for host in &mut hosts {
        host.facts
            .items
            .extend(services.iter().map(|service| features::Item {
                address: service.clone(),
                name: Some("Chat rooms".to_owned()),
            }));
    }
    let facts = Facts {
        software: Software {
            name: "Balcony".to_owned(),
            version: build::VERSION.to_owned(),
            os: None,
        },
        started,
        account_features: presence_features(configuration),
        limits: features::Limits {
            vcard_bytes: limits.vcard_bytes.0,
            private_bytes: limits.private_bytes.0,
        },
    };
    let account = account::Settings {
        facts,
        local_domains: configuration
            .hosts
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect(),
        local_services: services
            .iter()
            .map(|service| service.as_str().to_owned())
            .collect(),
        resources_max: limits.resources_per_account,
        waiting_max: (limits.offline_messages, limits.offline_bytes.0),
        outstanding_max: limits.outstanding_stanzas,
        directed_max: limits.directed_presences,
        settle_after: configuration.sm.settle_after,
        delay_stamp_after: configuration.sm.delay_stamp_after,
        mailbox: mailbox(limits),
        stranger_subscriptions: limits.stranger_subscriptions.on().copied().map(rate),
        stranger_messages: limits.stranger_messages.on().copied().map(rate),
        subscriptions_from_strangers: limits.subscriptions_from_strangers.on().copied().map(rate),
        messages_from_strangers: limits.messages_from_strangers.on().copied().map(rate),
        presence: of_presence(configuration)?,
        roster: roster::Limits {
            items: limits.roster_items,
            ..roster::Limits::default()
        },
        privacy: privacy::Limits {
            lists: limits.privacy_lists,
            items: limits.privacy_items,
            ..privacy::Limits::default()
        },
    };
    let muc = muc::Settings {
        services: services
            .iter()
            .map(|service| service.as_str().to_owned())
            .collect(),
        local_domains: configuration
            .hosts
            .keys()
            .map(|name| name.as_str().to_owned())
            .collect(),
        occupants_max: limits.room_occupants,
        rooms_per_user: Some(limits.rooms_per_account),
        listed_max: limits.rooms_listed,
        tombstones: configuration.muc.tombstones,
        card_bytes: limits.vcard_bytes.0,
        history_max: limits.room_history,
        message_rate: limits.room_messages.on().copied().map(rate),
        ghost_grace: configuration.muc.ghost_grace,
        // The router shares what accounts have.
        presence: presence::Settings::default(),
    };
    let resting_bytes_max = limits.resting_bytes.0;
    let limits = turns::Limits {
        inbox_inputs_max: limits.inbox_stanzas,
        inbox_bytes_max: limits.inbox_bytes.0,
        waiting_effects_max: limits.inbox_stanzas,
        waiting_bytes_max: limits.uncommitted_bytes.0,
    };
    let domains = configuration
        .hosts
        .keys()
        .chain(&configuration.muc.services)
        .map(address)
        .collect::<Result<_, _>>()?;
    Ok(router::Settings {
        hosts: router::Hosts::new(hosts),
        account,
        limits,
        resting_bytes_max,
        muc,
        federation: federation::of_router(configuration, domains, secret)?,
    })
}

/// What hosts and accounts list in disco#info for the presence engine (POKE-43, PSA-06).
fn presence_features(configuration: &Configuration) -> Vec<&'static str> {
    let mut features = match configuration.poke.mode {
        PokeMode::On => vec![namespace::POKE],
        PokeMode::Ignore | PokeMode::Refuse => Vec::new(),
    };
    if configuration.psa.enabled {
        features.push(namespace::ANNOTATION);
    }
    features
}

/// The settings of client connections. `secret` makes up what unknown accounts answer.
pub(super) fn of_clients(
    configuration: &Configuration,
    secret: [u8; 32],
) -> Result<transport::Settings, Report> {
    let limits = &configuration.limits;
    let mut hosts = BTreeMap::new();
    let mut has_certificate = false;
    for (name, host) in &configuration.hosts {
        has_certificate |= host.certificate.is_some();
        let unknown_accounts = UnknownAccounts::new(secret, iterations(configuration)?);
        let passwords = passwords(configuration, host.password_storage)?;
        hosts.insert(
            address(name)?,
            c2s::Host {
                passwords,
                registration: registration(host.registration),
                unknown_accounts,
            },
        );
    }
    let encryption = match (configuration.c2s.require_tls, has_certificate) {
        (true, _) => Encryption::Required,
        (false, true) => Encryption::Optional,
        (false, false) => Encryption::Unavailable,
    };
    let authenticated = xml::Limits {
        stanza_bytes: limits.stanza_bytes.0,
        depth: limits.depth,
        attributes: limits.attributes,
        name_bytes: limits.name_bytes.0,
        children: limits.children,
    };
    let unauthenticated = xml::Limits {
        stanza_bytes: limits.unauthenticated_stanza_bytes.0,
        ..authenticated.clone()
    };
    let session = c2s::Settings {
        hosts,
        encryption,
        resume_timeout: configuration.sm.resume_timeout,
        limits: c2s::Limits {
            unauthenticated,
            authenticated,
            unauthenticated_bytes: limits.unauthenticated_bytes.0,
            login_attempts: limits.login_attempts,
            mailbox: mailbox(limits),
            unacknowledged_stanzas: limits.unacknowledged_stanzas,
        },
    };
    let addresses = AddressLimits {
        connections: limits.connections,
        unauthenticated: limits.unauthenticated_connections,
        per_address: limits.connections_per_address,
        unauthenticated_per_address: limits.connections_per_address,
        unauthenticated_reads: limits.unauthenticated_reads.on().copied().map(rate),
        arrivals: None,
        provoked: None,
        failed_logins: limits.login_attempts_per_address.on().copied().map(rate),
        registrations: limits.registrations_per_address.on().copied().map(rate),
        exempt: limits.exempt.iter().map(range).collect(),
    };
    Ok(transport::Settings {
        session,
        unauthenticated_time: limits.unauthenticated_time,
        addresses,
        http: http(configuration),
    })
}

fn http(configuration: &Configuration) -> HttpSettings {
    let http = &configuration.http;
    let origins = http.allowed_origins.iter().map(|origin| match origin {
        Origin::Any => None,
        Origin::Exactly(origin) => Some(origin.clone()),
    });
    HttpSettings {
        bosh: http.bosh.on().map(|path| path.as_str().to_owned()),
        bosh_session: bosh::Settings {
            max_pause: configuration.bosh.max_pause,
            inactivity: configuration.bosh.inactivity,
        },
        body_bytes: configuration.limits.bosh_body_bytes.0,
        bodies_bytes: configuration.limits.http_bodies_bytes.0,
        bodies_bytes_per_address: configuration.limits.http_bodies_bytes_per_address.0,
        public_url: http.public_url.on().map(|site| site.as_str().to_owned()),
        web_socket: http.websocket.on().map(|path| path.as_str().to_owned()),
        allowed_origins: origins
            .collect::<Option<_>>()
            .map_or(AllowedOrigins::Any, AllowedOrigins::These),
        trusted_proxies: http.trusted_proxies.iter().map(range).collect(),
        see_other_uri: http.see_other_uri.on().map(|uri| uri.as_str().to_owned()),
        ping_interval: http.ping_interval,
    }
}

/// Pokes, attention, decloaking, annotations.
fn of_presence(configuration: &Configuration) -> Result<presence::Settings, Report> {
    let poke = &configuration.poke;
    let mut trusted = Vec::new();
    for host in configuration.hosts.values() {
        for admin in &host.admins {
            trusted.push(Address::parse(&admin.to_string()).map_err(|error| {
                Report::failed(format!("the administrator {admin} cannot be used: {error}"), "")
            })?);
        }
    }
    for component in configuration.components.domains.keys() {
        trusted.push(address(component)?);
    }
    let psa = &configuration.psa;
    let unlimited = machine::Rate {
        events: u32::MAX,
        per: std::time::Duration::from_secs(1),
    };
    Ok(presence::Settings {
        psa: presence::PsaSettings {
            enabled: psa.enabled,
            words: if psa.description {
                presence::Words::Some
            } else {
                presence::Words::None
            },
            reprobe: psa.reprobe,
            pause_delay: psa.pause_delay,
            cache_bytes: psa.cache_bytes.0,
            annotations: configuration
                .limits
                .annotations
                .on()
                .copied()
                .map_or(unlimited, |pace| in_steps(rate(pace))),
        },
        capabilities: std::sync::Arc::default(),
        capabilities_max: configuration.limits.capabilities,
        poke: presence::PokeSettings {
            mode: match poke.mode {
                PokeMode::On => presence::PokeMode::On,
                PokeMode::Ignore => presence::PokeMode::Ignore,
                PokeMode::Refuse => presence::PokeMode::Refuse,
            },
            timeout: poke.timeout,
            blocked: match poke.blocked {
                PokeBlocked::Forbidden => presence::PokeBlocked::Forbidden,
                PokeBlocked::Silent => presence::PokeBlocked::Silent,
            },
            reveal_unknown: match poke.reveal_unknown {
                RevealUnknown::Never => presence::RevealUnknown::Never,
                RevealUnknown::Trusted => presence::RevealUnknown::Trusted,
                RevealUnknown::Always => presence::RevealUnknown::Always,
            },
            rate: poke.rate.on().copied().map(rate),
            in_flight: std::sync::Arc::default(),
            in_flight_max: configuration.limits.pokes_in_flight,
            trusted,
        },
        attention_rate: configuration.attention.rate.on().copied().map(rate),
        decloak: presence::DecloakSettings {
            services: configuration.decloak.services,
            rate: configuration.decloak.rate.on().copied().map(rate),
        },
    })
}

/// What may wait for one session.
fn mailbox(limits: &config::Limits) -> stream_management::Limits {
    stream_management::Limits {
        stanzas: limits.mailbox_stanzas,
        bytes: limits.mailbox_bytes.0,
    }
}

/// Whether clients may make accounts at a host.
fn registration(registration: Registration) -> features::Registration {
    match registration {
        Registration::Closed => features::Registration::Closed,
        Registration::Open => features::Registration::Open,
    }
}

/// How a host keeps passwords.
fn passwords(configuration: &Configuration, storage: PasswordStorage) -> Result<PasswordPolicy, Report> {
    Ok(match storage {
        PasswordStorage::Scram => PasswordPolicy::Scram {
            hashes: HashFunctions::default(),
            iterations: iterations(configuration)?,
        },
        PasswordStorage::Argon2id => PasswordPolicy::Argon2id,
    })
}

fn iterations(configuration: &Configuration) -> Result<NonZeroU32, Report> {
    NonZeroU32::new(configuration.sasl.iterations).ok_or_else(|| {
        Report::failed(
            "sasl.iterations is 0",
            "Leave it out, or set it to at least 4096.",
        )
    })
}

/// A domain as an address. The configuration has prepared it already.
pub(super) fn address(name: &HostName) -> Result<Address, Report> {
    Address::domain(name.as_str())
        .map_err(|error| Report::failed(format!("the host {name} cannot be used: {error}"), ""))
}

/// The same pace in ten steps: many clients are told of a lost domain in the same moments, and whoever talks meanwhile waits
/// for no more than one step of each.
fn in_steps(rate: Rate) -> Rate {
    let events = rate.events.div_ceil(10).max(1);
    Rate {
        events,
        per: rate.per * events / rate.events.max(1),
    }
}

pub(super) fn rate(rate: config::Rate) -> Rate {
    Rate {
        events: rate.count,
        per: rate.period,
    }
}

pub(super) fn range(network: &config::Network) -> Range {
    Range {
        address: network.address(),
        prefix: network.prefix(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_keep_the_pace() {
        let rate = |events, millis| Rate {
            events,
            per: std::time::Duration::from_millis(millis),
        };
        assert_eq!(in_steps(rate(200, 1_000)), rate(20, 100));
        assert_eq!(in_steps(rate(25, 1_000)), rate(3, 120));
        assert_eq!(in_steps(rate(1, 1_000)), rate(1, 1_000));
    }
}
