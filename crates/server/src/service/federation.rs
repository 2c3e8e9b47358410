//! What the parts that talk to other servers read of the configuration, and their start.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use router::{Federation, Router};
use s2s::link::QueueLimits;
use s2s::{Admission, ComponentSecret, Encryption, Policies, Policy, Transport};
use stanza::Address;
use transport::tls::{Certificates, Trust};
use transport::{AddressLimits, ResolverSettings, Route, ServerSettings, Servers, System};

use super::settings::{address, range, rate};
use super::start::read_secret;
use crate::config::{Authentication, Configuration, RouteTarget};
use crate::report::Report;

/// How often a domain that closed an idle link is looked at (clauses §4.6).
const IDLE_CHECK: Duration = Duration::from_secs(300);

/// One address of another server has this long to take a connection.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// The terms on which the router talks to other domains. `secret` is what the keys of dialback are made from.
pub(super) fn of_router(
    configuration: &Configuration,
    domains: BTreeSet<Address>,
    secret: [u8; 32],
) -> Result<Federation, Report> {
    let limits = &configuration.limits;
    let mut federation =
        Federation::new(domains, s2s::Secret::new(&secret)).with_policies(policies(configuration)?);
    let authenticated = xml::Limits {
        stanza_bytes: limits.stanza_bytes.0,
        depth: limits.depth,
        attributes: limits.attributes,
        name_bytes: limits.name_bytes.0,
        children: limits.children,
    };
    let stream = &mut federation.stream;
    for domain in configuration.components.domains.keys() {
        // Whatever DNS says: no other server speaks for a component.
        let policy = Policy {
            admission: Admission::Blocked,
            ..stream.policies.usual
        };
        stream.policies.by_domain.insert(address(domain)?, policy);
    }
    stream.certificates = match configuration
        .hosts
        .values()
        .any(|host| host.certificate.is_some())
    {
        true => s2s::Certificates::Available,
        false => s2s::Certificates::Missing,
    };
    stream.limits.unauthenticated = xml::Limits {
        stanza_bytes: limits.unauthenticated_stanza_bytes.0,
        ..authenticated.clone()
    };
    stream.limits.authenticated = authenticated;
    stream.limits.unauthenticated_bytes = limits.unauthenticated_bytes.0;
    stream.limits.login_attempts = limits.login_attempts;
    stream.limits.pairs = limits.s2s_pairs_per_stream;
    stream.limits.unacknowledged_stanzas = limits.unacknowledged_stanzas;
    stream.times.negotiation = limits.unauthenticated_time;
    stream.times.quiet = configuration.s2s.quiet_time;
    stream.times.answer = configuration.s2s.quiet_time / 2;
    federation.provoked = limits.s2s_provoked_connections.on().copied().map(rate);
    let link = &mut federation.link;
    link.answers_bytes = limits.s2s_answers_bytes.0;
    link.grace = configuration.psa.s2s_grace;
    link.idle_check = configuration.psa.idle_check.then_some(IDLE_CHECK);
    link.queue_timeout = configuration.s2s.queue_timeout;
    link.queue = QueueLimits {
        stanzas: limits.s2s_queue_stanzas,
        bytes: limits.s2s_queue_bytes.0,
    };
    Ok(federation)
}

/// What each external component must know, from the files that the configuration names.
///
/// # Errors
/// When one of them cannot be read, or is empty.
pub(super) fn components(
    configuration: &Configuration,
) -> Result<BTreeMap<Address, ComponentSecret>, Report> {
    let mut components = BTreeMap::new();
    for (domain, component) in &configuration.components.domains {
        let Some(file) = &component.secret_file else {
            continue;
        };
        let secret = read_secret(file)?;
        if secret.is_empty() {
            return Err(Report::failed(
                format!("{} is empty", file.display()),
                "Write the secret into it that the component is given, and nothing else.",
            ));
        }
        components.insert(address(domain)?, ComponentSecret::new(&secret));
    }
    Ok(components)
}

/// Starts what connects to other servers.
///
/// # Errors
/// When a file of authorities cannot be read.
pub(super) fn start(
    configuration: &Configuration,
    certificates: &Arc<Certificates>,
    router: &Arc<Router>,
    system: &System,
) -> Result<Arc<Servers>, Report> {
    let trust = trust(configuration)?;
    Ok(Servers::start(
        of_servers(configuration)?,
        trust,
        Arc::clone(certificates),
        Arc::clone(router),
        system.clone(),
    ))
}

/// Whom to believe.
///
/// # Errors
/// When a file of authorities cannot be read.
pub(super) fn trust(configuration: &Configuration) -> Result<Trust, Report> {
    Trust::load(&configuration.s2s.trusted_roots).map_err(|error| {
        Report::failed(
            error.to_string(),
            "s2s.trusted_roots names PEM files that the server can read.",
        )
    })
}

/// Where other servers connect.
pub(super) fn entrances(
    configuration: &Configuration,
) -> impl Iterator<Item = (&'static str, SocketAddr, Transport)> {
    let s2s = &configuration.s2s;
    let plain = s2s
        .listen
        .iter()
        .map(|address| ("s2s.listen", *address, Transport::Tcp));
    let direct = s2s
        .listen_tls
        .iter()
        .map(|address| ("s2s.listen_tls", *address, Transport::DirectTls));
    plain.chain(direct)
}

/// How domains are found.
///
/// # Errors
/// When a route is for no domain.
pub(crate) fn resolver_settings(configuration: &Configuration) -> Result<ResolverSettings, Report> {
    let mut resolver = ResolverSettings {
        servers: configuration.dns.servers.iter().map(|server| server.0).collect(),
        private_addresses: configuration.s2s.private_addresses.iter().map(range).collect(),
        ..ResolverSettings::default()
    };
    for (domain, target) in &configuration.s2s.routes {
        let route = match target {
            RouteTarget::Address(address) => Route::Address(*address),
            RouteTarget::Host(name, port) => Route::Host(name.as_str().to_owned(), *port),
        };
        resolver.routes.insert(address(domain)?, route);
    }
    Ok(resolver)
}

/// What is read of the configuration about connections.
pub(super) fn of_servers(configuration: &Configuration) -> Result<ServerSettings, Report> {
    let limits = &configuration.limits;
    Ok(ServerSettings {
        resolver: resolver_settings(configuration)?,
        addresses: AddressLimits {
            connections: limits.s2s_connections,
            unauthenticated: limits.s2s_unauthenticated_connections,
            per_address: limits.s2s_connections_per_address,
            unauthenticated_per_address: limits.s2s_unauthenticated_per_address,
            unauthenticated_reads: limits.unauthenticated_reads.on().copied().map(rate),
            arrivals: limits.s2s_arrivals_per_address.on().copied().map(rate),
            provoked: limits.s2s_provoked_per_address.on().copied().map(rate),
            failed_logins: limits.s2s_failures_per_address.on().copied().map(rate),
            registrations: None,
            exempt: limits.exempt.iter().map(range).collect(),
        },
        connect_time: CONNECT_TIME,
        stanzas: limits.s2s_stanzas.on().copied().map(rate),
        unfinished_bytes: limits.s2s_unfinished_bytes.0,
    })
}

fn policies(configuration: &Configuration) -> Result<Policies, Report> {
    let s2s = &configuration.s2s;
    let usual = Policy {
        admission: Admission::Allowed,
        authentication: authentication(s2s.authentication),
        encryption: encryption(s2s.require_tls),
    };
    let mut policies = Policies {
        usual,
        ..Policies::default()
    };
    for (domain, written) in &s2s.policy {
        let policy = Policy {
            admission: match written.allow {
                true => Admission::Allowed,
                false => Admission::Blocked,
            },
            authentication: authentication(written.authentication.unwrap_or(s2s.authentication)),
            encryption: encryption(written.require_tls.unwrap_or(s2s.require_tls)),
        };
        policies.by_domain.insert(address(domain)?, policy);
    }
    Ok(policies)
}

fn authentication(written: Authentication) -> s2s::Authentication {
    match written {
        Authentication::CertificateOrDialback => s2s::Authentication::CertificateOrDialback,
        Authentication::Certificate => s2s::Authentication::Certificate,
    }
}

fn encryption(required: bool) -> Encryption {
    match required {
        true => Encryption::Required,
        false => Encryption::Optional,
    }
}
