//! Where the servers of a domain are: configured routes, else DNS (RFC 6120 §3.2, XEP-0368 §3, RFC 2782).
//!
//! Every question and answer stands in the [`Dns`] of the result, for whoever asks why federation fails.

mod order;
mod own;
mod reach;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver as Hickory, TokioResolver};
use s2s::Transport;
use s2s::explain::{Dns, DnsFault, Service};
use stanza::Address;
use tokio::time::Instant;
use tracing::warn;

use crate::Range;
use crate::tls::Tlsa;

pub(crate) use order::Dice;
pub use own::{Asked, Greeting, Questions, greeting};

/// One server is given this long to answer one question, twice; all questions about a domain take no longer than
/// [`LOOKUP_TIME`].
const QUESTION_TIME: Duration = Duration::from_secs(3);
const LOOKUP_TIME: Duration = Duration::from_secs(10);

/// Servers of one domain that are tried; a domain that names more is tried no longer than others.
const TARGETS_MAX: usize = 8;

/// Addresses of one server that are tried.
const ADDRESSES_MAX: usize = 8;

/// An answer that is not there is believed for no longer than this, whatever its lifetime says.
const NEGATIVE_TIME: Duration = Duration::from_secs(60);

/// What the resolver reads of the configuration.
#[derive(Debug, Clone, Default)]
pub struct ResolverSettings {
    /// Name servers to ask; none: those of the system.
    pub servers: Vec<SocketAddr>,
    /// Domains that are reached at a fixed place.
    pub routes: BTreeMap<Address, Route>,
    /// Blocks of private addresses that DNS may lead to all the same.
    pub private_addresses: Vec<Range>,
}

/// A fixed place for a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// An address; no DNS at all.
    Address(SocketAddr),
    /// A name whose addresses DNS tells, private ones too.
    Host(String, u16),
}

/// Finds servers.
pub(crate) struct Resolver {
    settings: ResolverSettings,
    /// Without settings of the system there is nobody to ask, which is what everybody is told who wants to know.
    hickory: Result<TokioResolver, String>,
}

/// What came of looking for a domain.
#[derive(Debug)]
pub(crate) struct Found {
    /// What was asked and answered.
    pub(crate) dns: Dns,
    /// Where to connect to, in this order. Empty when [`Dns::fault`] says why.
    pub(crate) targets: Vec<Target>,
}

/// One server of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its name, or the address of a route.
    pub(crate) name: String,
    /// How TLS begins there.
    pub(crate) transport: Transport,
    /// Where it is, in the order in which to try.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Addresses that must not be tried, because they are private.
    pub(crate) forbidden: Vec<SocketAddr>,
}

/// What DNS said to one question.
enum Answer<T> {
    Some(T),
    /// The name exists, without such records.
    Nothing,
    NoSuchName,
    Failed(String),
}

/// Why DNS has no record. What weighs more comes later.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Nothing {
    NoSuchName,
    NoRecord,
    Failed(String),
}

impl Nothing {
    fn of<T>(self) -> Answer<T> {
        match self {
            Nothing::NoSuchName => Answer::NoSuchName,
            Nothing::NoRecord => Answer::Nothing,
            Nothing::Failed(why) => Answer::Failed(why),
        }
    }
}

impl Resolver {
    /// A resolver with an empty memory.
    pub(crate) fn new(settings: ResolverSettings) -> Resolver {
        let hickory = hickory(&settings).map_err(|error| error.to_string());
        if let Err(error) = &hickory {
            warn!(
                event = "no_resolver",
                error, "the name servers of the system are not known; set [dns] servers"
            );
        }
        Resolver { settings, hickory }
    }

    /// The servers of `domain`.
    pub(crate) async fn find(&self, domain: &Address, dice: &mut Dice<'_>) -> Found {
        let started = Instant::now();
        let mut dns = Dns::default();
        let targets = match self.settings.routes.get(domain) {
            Some(Route::Address(address)) => vec![Target::fixed(*address)],
            Some(Route::Host(name, port)) => {
                let search = self.find_host(name, *port, &mut dns);
                in_time(search).await.unwrap_or_else(too_late).store(&mut dns)
            }
            None => {
                dns.asked = true;
                let search = self.find_domain(domain, Asked::Servers, dice, &mut dns);
                in_time(search).await.unwrap_or_else(too_late).store(&mut dns)
            }
        };
        dns.took = started.elapsed();
        Found { dns, targets }
    }

    async fn find_host(&self, name: &str, port: u16, dns: &mut Dns) -> Outcome {
        dns.asked = true;
        let Some(dns_name) = dns_name(name) else {
            return Outcome::Fault(DnsFault::NoSuchDomain);
        };
        let service = Service {
            transport: Transport::Tcp,
            priority: 0,
            weight: 0,
            target: name.to_owned(),
            port,
        };
        match self.addresses(&dns_name).await {
            Answer::Some(addresses) => {
                dns.addresses.push((name.to_owned(), addresses.clone()));
                Outcome::Targets(vec![Target::of(&service, &addresses, |_| true)])
            }
            Answer::Nothing => Outcome::Fault(DnsFault::NoService),
            Answer::NoSuchName => Outcome::Fault(DnsFault::NoSuchDomain),
            Answer::Failed(why) => Outcome::Fault(DnsFault::Unavailable(why)),
        }
    }

    /// Service records of both kinds together, else the addresses of the domain itself (RFC 6120 §3.2.2).
    async fn find_domain(
        &self,
        domain: &Address,
        asked: Asked,
        dice: &mut Dice<'_>,
        dns: &mut Dns,
    ) -> Outcome {
        let Some(name) = dns_name(domain.as_str()) else {
            return Outcome::Fault(DnsFault::NoSuchDomain);
        };
        let (direct, plain) = tokio::join!(
            self.services(&name, asked.direct_service(), Transport::DirectTls),
            self.services(&name, asked.service(), Transport::Tcp),
        );
        let mut services = Vec::new();
        let mut failed = None;
        let mut is_declared = false;
        for answer in [direct, plain] {
            match answer {
                Answer::Some(found) => {
                    is_declared = true;
                    services.extend(found);
                }
                Answer::Nothing | Answer::NoSuchName => {}
                Answer::Failed(why) => failed = Some(why),
            }
        }
        if !is_declared {
            if let Some(why) = failed {
                // Somebody who can suppress one answer must not decide where we go.
                return Outcome::Fault(DnsFault::Unavailable(why));
            }
            services.push(Service {
                transport: Transport::Tcp,
                priority: 0,
                weight: 0,
                target: domain.as_str().to_owned(),
                port: asked.port(),
            });
            return self.find_addresses(services, Declared::No, dns).await;
        }
        // RFC 2782: a target of "." says that there is no such service.
        services.retain(|service| !service.target.is_empty());
        if services.is_empty() {
            return Outcome::Fault(DnsFault::NoService);
        }
        let services = order::in_order(services, dice);
        dns.services.clone_from(&services);
        self.find_addresses(services, Declared::Yes, dns).await
    }

    async fn find_addresses(&self, services: Vec<Service>, declared: Declared, dns: &mut Dns) -> Outcome {
        let mut targets = Vec::new();
        let mut failed = None;
        let mut is_unknown = false;
        for service in services.into_iter().take(TARGETS_MAX) {
            let answer = match dns_name(&service.target) {
                Some(name) => self.addresses(&name).await,
                None => Answer::NoSuchName,
            };
            let addresses = match answer {
                Answer::Some(addresses) => addresses,
                Answer::Nothing => Vec::new(),
                Answer::NoSuchName => {
                    is_unknown = true;
                    Vec::new()
                }
                Answer::Failed(why) => {
                    failed = Some(why);
                    Vec::new()
                }
            };
            if !dns.addresses.iter().any(|(name, _)| *name == service.target) {
                dns.addresses.push((service.target.clone(), addresses.clone()));
            }
            if !addresses.is_empty() {
                targets.push(Target::of(&service, &addresses, |address| {
                    self.may_reach(address)
                }));
            }
        }
        if !targets.is_empty() {
            return Outcome::Targets(targets);
        }
        Outcome::Fault(match (failed, declared) {
            (Some(why), _) => DnsFault::Unavailable(why),
            (None, Declared::No) if is_unknown => DnsFault::NoSuchDomain,
            (None, Declared::No | Declared::Yes) => DnsFault::NoService,
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other records of an answer are aliases on the way"
    )]
    async fn services(&self, domain: &Name, service: &str, transport: Transport) -> Answer<Vec<Service>> {
        let Ok(name) = Name::from_ascii(service).and_then(|service| service.append_domain(domain)) else {
            return Answer::NoSuchName;
        };
        let is_declared = |found: Vec<Service>| match found.is_empty() {
            true => Answer::Nothing,
            false => Answer::Some(found),
        };
        match self.lookup(name, RecordType::SRV).await {
            Ok(lookup) => is_declared(
                lookup
                    .answers()
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::SRV(srv) => Some(Service {
                            transport,
                            priority: srv.priority,
                            weight: srv.weight,
                            target: srv.target.to_ascii().trim_end_matches('.').to_ascii_lowercase(),
                            port: srv.port,
                        }),
                        _ => None,
                    })
                    .collect(),
            ),
            Err(nothing) => nothing.of(),
        }
    }

    /// The records that name the certificates of a server (RFC 6698 §3).
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other records of an answer are aliases on the way"
    )]
    async fn certificates(&self, target: &str, port: u16) -> Vec<Tlsa> {
        let name = Name::from_ascii(format!("_{port}._tcp.{}.", target.trim_end_matches('.')));
        let found = match name {
            Ok(name) => self.lookup(name, RecordType::TLSA).await.ok(),
            Err(_) => None,
        };
        let records = found.iter().flat_map(|lookup| lookup.answers());
        records
            .filter_map(|record| match &record.data {
                RData::TLSA(tlsa) => Some(Tlsa {
                    usage: tlsa.cert_usage.into(),
                    selector: tlsa.selector.into(),
                    matching: tlsa.matching.into(),
                    data: tlsa.cert_data.clone(),
                }),
                _ => None,
            })
            .collect()
    }

    async fn lookup(&self, name: Name, kind: RecordType) -> Result<Lookup, Nothing> {
        match &self.hickory {
            Ok(hickory) => hickory.lookup(name, kind).await.map_err(|error| nothing(&error)),
            Err(why) => Err(Nothing::Failed(why.clone())),
        }
    }

    /// The addresses of a server, of both families (RFC 8305 §3).
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other records of an answer are aliases on the way"
    )]
    async fn addresses(&self, name: &Name) -> Answer<Vec<IpAddr>> {
        let (six, four) = tokio::join!(
            self.lookup(name.clone(), RecordType::AAAA),
            self.lookup(name.clone(), RecordType::A),
        );
        let mut addresses = Vec::new();
        let mut failures = Vec::new();
        for outcome in [six, four] {
            match outcome {
                Ok(lookup) => {
                    addresses.extend(lookup.answers().iter().filter_map(|record| match &record.data {
                        RData::AAAA(six) => Some(IpAddr::V6(six.0)),
                        RData::A(four) => Some(IpAddr::V4(four.0)),
                        _ => None,
                    }))
                }
                Err(nothing) => failures.push(nothing),
            }
        }
        if !addresses.is_empty() {
            return Answer::Some(addresses);
        }
        // What failed tells more than what is not there.
        failures.into_iter().max().map_or(Answer::Nothing, Nothing::of)
    }

    fn may_reach(&self, address: IpAddr) -> bool {
        reach::is_public(address)
            || self
                .settings
                .private_addresses
                .iter()
                .any(|range| range.contains(address))
    }
}

/// Whether a domain names its servers itself.
#[derive(Clone, Copy)]
enum Declared {
    Yes,
    No,
}

enum Outcome {
    Targets(Vec<Target>),
    Fault(DnsFault),
}

impl Outcome {
    fn store(self, dns: &mut Dns) -> Vec<Target> {
        match self {
            Outcome::Targets(targets) => targets,
            Outcome::Fault(fault) => {
                dns.fault = Some(fault);
                Vec::new()
            }
        }
    }
}

impl Target {
    fn fixed(address: SocketAddr) -> Target {
        Target {
            name: address.to_string(),
            transport: Transport::Tcp,
            addresses: vec![address],
            forbidden: Vec::new(),
        }
    }

    fn of(service: &Service, addresses: &[IpAddr], may_reach: impl Fn(IpAddr) -> bool) -> Target {
        let at_port = |address: &IpAddr| SocketAddr::new(*address, service.port);
        let (allowed, forbidden): (Vec<IpAddr>, Vec<IpAddr>) =
            addresses.iter().partition(|address| may_reach(**address));
        Target {
            name: service.target.clone(),
            transport: service.transport,
            addresses: order::families_in_turn(&allowed)
                .iter()
                .take(ADDRESSES_MAX)
                .map(at_port)
                .collect(),
            forbidden: forbidden.iter().take(ADDRESSES_MAX).map(at_port).collect(),
        }
    }
}

async fn in_time<T>(search: impl Future<Output = T>) -> Option<T> {
    // Boxed: whoever waits for a connection keeps no room for this.
    tokio::time::timeout(LOOKUP_TIME, Box::pin(search)).await.ok()
}

fn too_late() -> Outcome {
    Outcome::Fault(DnsFault::Unavailable(String::from("no answer in time")))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "all others are told in the words of DNS"
)]
fn nothing(error: &NetError) -> Nothing {
    if let NetError::Dns(DnsError::NoRecordsFound(none)) = error {
        return match none.response_code {
            ResponseCode::NXDomain => Nothing::NoSuchName,
            ResponseCode::NoError => Nothing::NoRecord,
            code => Nothing::Failed(code.to_string()),
        };
    }
    Nothing::Failed(error.to_string())
}

fn hickory(settings: &ResolverSettings) -> Result<TokioResolver, NetError> {
    let mut builder = if settings.servers.is_empty() {
        Hickory::builder_tokio()?
    } else {
        let servers = settings.servers.iter().map(name_server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        Hickory::builder_with_config(config, TokioRuntimeProvider::default())
    };
    limit(builder.options_mut());
    builder.build()
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.to_vec())
}

fn limit(options: &mut ResolverOpts) {
    options.timeout = QUESTION_TIME;
    options.attempts = 2;
    options.negative_max_ttl = Some(NEGATIVE_TIME);
    // RFC 2782 and RFC 6120 know domains, no local nicknames: names are asked for as they are.
    options.ndots = 0;
}

/// A name as DNS has it, from the root.
fn dns_name(domain: &str) -> Option<Name> {
    let ascii = idna::domain_to_ascii(domain).ok()?;
    let mut name = Name::from_ascii(&ascii).ok()?;
    name.set_fqdn(true);
    Some(name)
}
