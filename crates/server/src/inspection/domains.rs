//! Whether others find this server: what DNS tells of its domains, whether that leads to this machine, and what answers
//! there.
//!
//! All of it is advice. A machine behind a router that forwards ports looks like one whose records lead elsewhere, and
//! without a network nothing is known. It takes no longer than [`PATIENCE`].

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use s2s::Transport;
use s2s::explain::{Dns, DnsFault, Service};
use stanza::Address;
use tokio::task::JoinSet;
use transport::tls::{Certificate, Certificates};
use transport::{Asked, Greeting, Questions, greeting};

use super::{Server, routes, section_of_component};
use crate::config::{Configuration, section_of_host};
use crate::service::resolver_settings;

/// Everything about all domains.
const PATIENCE: Duration = Duration::from_secs(10);

/// What answers at one address.
pub(super) const GREETING_TIME: Duration = Duration::from_secs(3);

/// Domains that are looked at. Whoever serves more has made their records in the same way.
pub(super) const DOMAINS_MAX: usize = 32;

/// Names that DNS does not serve (RFC 6761, RFC 6762).
const NOT_IN_DNS: [&str; 4] = ["localhost", "local", "test", "invalid"];

/// Components need not be found by anybody but this server.
const ONLY_HERE: &str =
    " If only the people of this server shall reach the component, nothing is to be done.";

/// Something that an operator should look at.
pub(super) struct Finding {
    pub(super) key: String,
    pub(super) message: String,
    pub(super) advice: String,
}

/// A domain, and who should find it.
struct Question {
    key: String,
    domain: Address,
    asked: Asked,
    /// What others are shown.
    certificate: Option<Arc<Certificate>>,
    /// What an operator may do in place of making records.
    otherwise: &'static str,
    /// Where the server listens for them, without and with TLS from the first byte.
    plain: Vec<SocketAddr>,
    direct: Vec<SocketAddr>,
}

/// Looks at all domains at the same time.
pub(super) fn examine(
    configuration: &Configuration,
    certificates: &Certificates,
    server: Server,
) -> Vec<Finding> {
    let questions = questions(configuration, certificates);
    let routes = routes::all(configuration);
    let nothing = questions.is_empty() && routes.is_empty();
    let (Ok(settings), false) = (resolver_settings(configuration), nothing) else {
        return Vec::new();
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    runtime.block_on(async {
        let names = Arc::new(Questions::new(settings));
        let mut looking = JoinSet::new();
        let behind = questions.len();
        for (place, route) in routes.into_iter().enumerate() {
            let names = Arc::clone(&names);
            looking.spawn(async move { (behind + place, route.look(&names).await) });
        }
        for (place, question) in questions.into_iter().enumerate() {
            let names = Arc::clone(&names);
            looking.spawn(async move { (place, question.look(&names, server).await) });
        }
        let mut found = Vec::new();
        let whole = tokio::time::timeout(PATIENCE, async {
            while let Some(joined) = looking.join_next().await {
                found.extend(joined);
            }
        });
        if whole.await.is_err() {
            found.push((
                usize::MAX,
                vec![not_known("DNS, or what it names, did not answer in time")],
            ));
        }
        found.sort_by_key(|(place, _)| *place);
        let mut told = BTreeSet::new();
        let all = found.into_iter().flat_map(|(_, findings)| findings);
        // One silent name server is told of once.
        all.filter(|finding| told.insert((finding.key.clone(), finding.message.clone())))
            .collect()
    })
}

fn questions(configuration: &Configuration, certificates: &Certificates) -> Vec<Question> {
    let (c2s, s2s) = (&configuration.c2s, &configuration.s2s);
    let mut questions = Vec::new();
    let mut ask = |key: String, domain: &str, asked: Asked, otherwise: &'static str| {
        let (plain, direct) = match asked {
            Asked::Servers => (&s2s.listen, &s2s.listen_tls),
            Asked::Clients => (&c2s.listen, &c2s.listen_tls),
        };
        let is_served = !(plain.is_empty() && direct.is_empty());
        if is_served
            && is_in_dns(domain)
            && let Ok(domain) = Address::domain(domain)
        {
            questions.push(Question {
                key,
                certificate: certificates.best_for(domain.as_str()),
                asked,
                otherwise,
                plain: plain.clone(),
                direct: direct.clone(),
                domain,
            });
        }
    };
    for host in configuration.hosts.keys().take(DOMAINS_MAX) {
        ask(section_of_host(host), host.as_str(), Asked::Servers, "");
        ask(section_of_host(host), host.as_str(), Asked::Clients, "");
    }
    for service in configuration.muc.services.iter().take(DOMAINS_MAX) {
        ask("muc.services".to_owned(), service.as_str(), Asked::Servers, "");
    }
    for component in configuration.components.domains.keys().take(DOMAINS_MAX) {
        let key = section_of_component(component);
        ask(key, component.as_str(), Asked::Servers, ONLY_HERE);
    }
    questions
}

fn is_in_dns(domain: &str) -> bool {
    let last = domain.rsplit('.').next().unwrap_or(domain);
    domain.parse::<IpAddr>().is_err() && !domain.starts_with('[') && !NOT_IN_DNS.contains(&last)
}

impl Question {
    async fn look(&self, names: &Questions, server: Server) -> Vec<Finding> {
        let dns = names.ask(&self.domain, self.asked).await;
        let mut findings = Vec::new();
        match &dns.fault {
            Some(DnsFault::Unavailable(why)) => {
                findings.push(not_known(&format!("DNS did not answer: {why}")));
                return findings;
            }
            Some(DnsFault::NoSuchDomain | DnsFault::NoService) if dns.services.is_empty() => {
                let message = format!("{} find nothing about {} in DNS", self.who(), self.domain);
                findings.push(self.finding(message, self.records()));
                return findings;
            }
            Some(DnsFault::NoSuchDomain | DnsFault::NoService) => {
                for service in &dns.services {
                    let message = format!(
                        "the record {} of {} names {}, which has no address",
                        self.name_of(service),
                        self.domain,
                        service.target
                    );
                    let advice = format!(
                        "Give {} an address in DNS, or correct the record.",
                        service.target
                    );
                    findings.push(self.finding(message, advice));
                }
                return findings;
            }
            None => {}
        }
        let is_declared = !dns.services.is_empty();
        let undeclared = [self.undeclared()];
        let services = match is_declared {
            true => dns.services.as_slice(),
            false => undeclared.as_slice(),
        };
        for service in services {
            self.service(service, is_declared, &dns, server, &mut findings)
                .await;
            findings.extend(self.certificate_in_dns(service, names).await);
        }
        findings
    }

    /// Others that look for the certificate in DNS refuse one that is not there, if the zone is signed (RFC 7673 §4).
    async fn certificate_in_dns(&self, service: &Service, names: &Questions) -> Option<Finding> {
        let certificate = self.certificate.as_ref()?;
        let records = names.certificates(&service.target, service.port).await;
        let known: Vec<bool> = records
            .iter()
            .filter_map(|record| certificate.is_named_by(record))
            .collect();
        if known.is_empty() || known.contains(&true) {
            return None;
        }
        let name = format!("_{}._tcp.{}.", service.port, service.target);
        let message = format!(
            "the TLSA records of {name} name another certificate than the one of {}: who believes them does not connect",
            self.domain
        );
        let record = certificate.tlsa()?;
        let advice = format!("Make in DNS: {name} IN TLSA {record}");
        Some(self.finding(message, advice))
    }

    /// One record, or what holds without any.
    async fn service(
        &self,
        service: &Service,
        is_declared: bool,
        dns: &Dns,
        server: Server,
        findings: &mut Vec<Finding>,
    ) {
        let addresses = dns.addresses.iter().find(|(name, _)| *name == service.target);
        for address in addresses.into_iter().flat_map(|(_, addresses)| addresses) {
            let place = SocketAddr::new(*address, service.port);
            let where_to = match is_declared {
                true => format!(
                    "the record {} of {} leads {} to {} ({place})",
                    self.name_of(service),
                    self.domain,
                    self.who(),
                    service.target
                ),
                false => format!(
                    "{} has no record {}, so that {} go to {place}",
                    self.domain,
                    self.asked.service(),
                    self.who()
                ),
            };
            if is_ours(*address) {
                if !self.listens(service.transport, place) {
                    let message = format!("{where_to}, where this server does not listen");
                    findings.push(self.finding(message, self.records()));
                }
                continue;
            }
            let answer = greeting(place, service.transport, &self.domain, self.asked, GREETING_TIME).await;
            let (message, advice) = match (answer, server) {
                // Through a router that forwards the port to us, as it should be.
                (Greeting::Serves | Greeting::Silence, Server::Running) => continue,
                (Greeting::Serves, Server::Stopped) => (
                    format!("{where_to}, where another server answers for {}", self.domain),
                    format!("Stop that one, or correct the records. {}", self.records()),
                ),
                (Greeting::HostUnknown, _) => (
                    format!(
                        "{where_to}, where a server answers that does not serve {}",
                        self.domain
                    ),
                    self.records(),
                ),
                (Greeting::Stranger, _) => (
                    format!("{where_to}, where something answers that does not speak XMPP"),
                    self.records(),
                ),
                (Greeting::Unreachable(_) | Greeting::Silence, Server::Stopped) => (
                    format!("{where_to}, which is no address of this machine"),
                    format!(
                        "If a router forwards port {} to this machine, all is well. If not: {}",
                        service.port,
                        self.records()
                    ),
                ),
                (Greeting::Unreachable(_), Server::Running) => (
                    format!("{where_to}, which is no address of this machine, and nobody answers there"),
                    format!(
                        "Forward port {} to this machine if that is its router (some do not forward what comes from inside, \
                         so look from elsewhere too). If not: {}",
                        service.port,
                        self.records()
                    ),
                ),
            };
            findings.push(self.finding(message, advice));
        }
    }

    fn finding(&self, message: String, advice: String) -> Finding {
        Finding {
            key: self.key.clone(),
            message,
            advice,
        }
    }

    fn who(&self) -> &'static str {
        match self.asked {
            Asked::Servers => "other servers",
            Asked::Clients => "clients",
        }
    }

    fn name_of(&self, service: &Service) -> &'static str {
        match service.transport {
            Transport::Tcp => self.asked.service(),
            Transport::DirectTls => self.asked.direct_service(),
        }
    }

    /// Where others go without a record (RFC 6120 §3.2.2).
    fn undeclared(&self) -> Service {
        Service {
            transport: Transport::Tcp,
            priority: 0,
            weight: 0,
            target: self.domain.as_str().to_owned(),
            port: self.asked.port(),
        }
    }

    fn listens(&self, transport: Transport, place: SocketAddr) -> bool {
        let list = match transport {
            Transport::Tcp => &self.plain,
            Transport::DirectTls => &self.direct,
        };
        list.iter().any(|listens| {
            listens.port() == place.port() && (listens.ip().is_unspecified() || listens.ip() == place.ip())
        })
    }

    /// The records to be made, as they stand in a zone.
    fn records(&self) -> String {
        let of = |service: &str, port: u16| {
            format!(
                "{service}.{}. IN SRV 0 5 {port} NAME-OF-THIS-MACHINE.",
                self.domain
            )
        };
        let plain = self
            .plain
            .first()
            .map(|listens| of(self.asked.service(), listens.port()));
        let direct = self
            .direct
            .first()
            .map(|listens| of(self.asked.direct_service(), listens.port()));
        let records: Vec<String> = plain.into_iter().chain(direct).collect();
        format!("Make in DNS: {}{}", records.join("  and  "), self.otherwise)
    }
}

fn not_known(why: &str) -> Finding {
    Finding {
        key: "dns.servers".to_owned(),
        message: format!("it is not known whether others find this server: {why}"),
        advice: "Check again with a network, and see whether the name servers of [dns] or of the system are right.".to_owned(),
    }
}

/// Whether this machine has the address: only then can it be bound.
fn is_ours(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}
