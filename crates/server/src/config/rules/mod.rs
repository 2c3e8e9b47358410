//! What a configuration must fulfil as a whole, beyond its single values.

mod amounts;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::problem::{Problem, Severity};
use super::schema::{Places, join};
use super::{
    AccountName, Configuration, DatabaseUrl, Host, HostName, PasswordStorage, Registration, key_of_host,
};

/// Everything in `configuration` that contradicts itself, a specification, or the operator's likely intention.
pub(super) fn check(configuration: &Configuration, places: &Places) -> Vec<Problem> {
    let mut findings = Findings {
        places,
        found: Vec::new(),
    };
    hosts(configuration, &mut findings);
    certificates(configuration, &mut findings);
    domains(configuration, &mut findings);
    listeners(configuration, &mut findings);
    exposure(configuration, &mut findings);
    storage(configuration, &mut findings);
    components(configuration, &mut findings);
    http(configuration, &mut findings);
    login(configuration, &mut findings);
    amounts::times(configuration, &mut findings);
    amounts::limits(configuration, &mut findings);
    findings.found
}

struct Findings<'p> {
    places: &'p Places,
    found: Vec<Problem>,
}

impl Findings<'_> {
    fn error(&mut self, key: &str, message: impl Into<String>, advice: impl Into<String>) {
        self.note(Severity::Error, key, message.into(), advice.into());
    }

    fn warning(&mut self, key: &str, message: impl Into<String>, advice: impl Into<String>) {
        self.note(Severity::Warning, key, message.into(), advice.into());
    }

    fn note(&mut self, severity: Severity, key: &str, message: String, advice: String) {
        let place = self.places.of(key);
        self.found.push(Problem {
            severity,
            key: key.to_owned(),
            place,
            message,
            advice,
        });
    }
}

fn hosts(configuration: &Configuration, findings: &mut Findings<'_>) {
    if configuration.hosts.is_empty() {
        findings.error(
            "hosts",
            "the server has no domain",
            "Add a section such as [hosts.\"montague.lit\"].",
        );
    }
    for (name, host) in &configuration.hosts {
        foreign_admins(name, host, &configuration.hosts, findings);
        if host.registration == Registration::Open && !only_loopback(&configuration.c2s.listen) {
            findings.warning(
                &key_of_host(name, "registration"),
                "anybody may create accounts, and spammers look for such servers",
                "Unless you want that, set it to \"closed\" and use: balcony account add.",
            );
        }
    }
}

fn foreign_admins(
    name: &HostName,
    host: &Host,
    hosts: &BTreeMap<HostName, Host>,
    findings: &mut Findings<'_>,
) {
    let foreign = |admin: &&AccountName| !hosts.contains_key(admin.host());
    for admin in host.admins.iter().filter(foreign) {
        findings.warning(
            &key_of_host(name, "admins"),
            format!("{admin} lives on another server, whose operator can act in that name"),
            "Name an account of a host of this server, unless this is intended.",
        );
    }
}

fn certificates(configuration: &Configuration, findings: &mut Findings<'_>) {
    let mut any = false;
    for (name, host) in &configuration.hosts {
        match (&host.certificate, &host.key) {
            (Some(_), Some(_)) => any = true,
            (Some(_), None) => findings.error(
                &key_of_host(name, "certificate"),
                "the private key of this certificate is not named",
                "Add key = \"FILE\" beside it.",
            ),
            (None, Some(_)) => findings.error(
                &key_of_host(name, "key"),
                "the certificate of this key is not named",
                "Add certificate = \"FILE\" beside it.",
            ),
            (None, None) => {}
        }
    }
    if any || configuration.hosts.is_empty() {
        return;
    }
    let none = "no host has a certificate";
    if configuration.c2s.require_tls {
        findings.error(
            "c2s.require_tls",
            format!("TLS is demanded, but {none}"),
            "Set certificate and key in one of the [hosts] sections, or for a test require_tls = false in [c2s].",
        );
    }
    if !configuration.c2s.listen_tls.is_empty() {
        findings.error(
            "c2s.listen_tls",
            format!("TLS is offered here, but {none}"),
            "Set certificate and key in one of the [hosts] sections, or listen_tls = [] in [c2s].",
        );
    }
    if !configuration.http.listen_tls.is_empty() {
        findings.warning(
            "http.listen_tls",
            format!("nothing is served here, because {none}"),
            "Set certificate and key in one of the [hosts] sections, or listen_tls = [] in [http].",
        );
    }
}

/// Each domain of this server is served by one part of it, and none of them is reached over the network.
fn domains(configuration: &Configuration, findings: &mut Findings<'_>) {
    let mut own: BTreeMap<&HostName, &str> =
        configuration.hosts.keys().map(|host| (host, "a host")).collect();
    let services = configuration
        .muc
        .services
        .iter()
        .map(|service| (service, "a room service", "muc.services".to_owned()));
    let components = configuration
        .components
        .domains
        .keys()
        .map(|domain| (domain, "a component", join("components.domains", domain.as_str())));
    for (domain, what, key) in services.chain(components) {
        if let Some(already) = own.insert(domain, what) {
            let advice = "Give each of them a domain of its own.";
            findings.error(
                &key,
                format!("\"{domain}\" cannot be {what}: it is already {already}"),
                advice,
            );
        }
    }
    let routes = configuration
        .s2s
        .routes
        .keys()
        .map(|domain| (domain, "s2s.routes"));
    let policies = configuration
        .s2s
        .policy
        .keys()
        .map(|domain| (domain, "s2s.policy"));
    for (domain, section) in routes.chain(policies) {
        if let Some(what) = own.get(domain) {
            findings.error(
                &join(section, domain.as_str()),
                format!("\"{domain}\" is {what} of this server and never reached over the network"),
                "Remove the entry.",
            );
        }
    }
}

/// No two listeners want the same place.
fn listeners(configuration: &Configuration, findings: &mut Findings<'_>) {
    let mut taken: Vec<(&str, SocketAddr)> = Vec::new();
    for (key, address) in configuration.listeners() {
        if let Some((earlier, other)) = taken.iter().find(|(_, other)| overlap(*other, address)) {
            let advice = "Choose another port for one of them.";
            findings.error(
                key,
                format!("{address} is already taken by {earlier} ({other})"),
                advice,
            );
        }
        taken.push((key, address));
    }
}

/// True when the system refuses the second of two listeners. Port 0 is a new port each time; `[::]` takes IPv4 as well.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| match wide {
        IpAddr::V4(wide) => wide.is_unspecified() && narrow.is_ipv4(),
        IpAddr::V6(wide) => wide.is_unspecified(),
    };
    let (one_ip, other_ip) = (one.ip(), other.ip());
    one.port() == other.port()
        && one.port() != 0
        && (one_ip == other_ip || covers(one_ip, other_ip) || covers(other_ip, one_ip))
}

/// What is served without protection to whoever can reach it.
fn exposure(configuration: &Configuration, findings: &mut Findings<'_>) {
    if !configuration.c2s.require_tls && !only_loopback(&configuration.c2s.listen) {
        findings.warning(
            "c2s.require_tls",
            "passwords and messages may cross the network in the clear",
            "Keep it on for anything but tests.",
        );
    }
    if let Some(address) = configuration
        .metrics
        .listen
        .on()
        .filter(|address| address.ip().is_unspecified())
    {
        findings.warning(
            "metrics.listen",
            format!("everybody who reaches {address} can read the figures of this server"),
            "Listen on loopback or on an address of an internal network.",
        );
    }
    if !only_loopback(&configuration.components.listen) && !configuration.components.domains.is_empty() {
        findings.warning(
            "components.listen",
            "components talk without TLS, and this address can be reached from elsewhere",
            "Listen on loopback or on an address of an internal network.",
        );
    }
    for network in configuration
        .http
        .trusted_proxies
        .iter()
        .filter(|network| network.is_everything())
    {
        findings.warning(
            "http.trusted_proxies",
            format!("{network} lets every client choose the address that limits look at"),
            "Name the addresses of your proxies.",
        );
    }
}

fn only_loopback(listeners: &[SocketAddr]) -> bool {
    listeners.iter().all(|address| address.ip().is_loopback())
}

fn storage(configuration: &Configuration, findings: &mut Findings<'_>) {
    if let (DatabaseUrl::Sqlite(_), Some(_)) =
        (configuration.database(), &configuration.storage.password_file)
    {
        findings.warning(
            "storage.password_file",
            "an SQLite database has no password",
            "Remove the setting.",
        );
    }
}

fn components(configuration: &Configuration, findings: &mut Findings<'_>) {
    let domains = &configuration.components.domains;
    for (domain, component) in domains {
        if component.secret_file.is_none() {
            findings.error(
                &join("components.domains", domain.as_str()),
                "this component has no secret",
                "Add secret_file = \"FILE\"; the file holds a long random text and nothing else.",
            );
        }
    }
    if configuration.components.listen.is_empty() && !domains.is_empty() {
        findings.error(
            "components.listen",
            "components cannot connect anywhere",
            "Add an address, or remove the domains.",
        );
    }
}

fn http(configuration: &Configuration, findings: &mut Findings<'_>) {
    let http = &configuration.http;
    if let (Some(bosh), Some(websocket)) = (http.bosh.on(), http.websocket.on())
        && bosh == websocket
    {
        let taken = format!("\"{}\" is already the path of http.bosh", bosh.as_str());
        findings.error("http.websocket", taken, "Give each of them a path of its own.");
    }
}

fn login(configuration: &Configuration, findings: &mut Findings<'_>) {
    let iterations = configuration.sasl.iterations;
    if iterations < 4096 {
        findings.error(
            "sasl.iterations",
            format!("{iterations} rounds are too few: RFC 5802 §5.1 and RFC 7677 §4 want at least 4096"),
            "Leave the setting out for 10000.",
        );
    }
    if iterations > 10_000_000 {
        let advice = "Leave the setting out for 10000.";
        findings.error(
            "sasl.iterations",
            format!("{iterations} rounds keep a phone busy for minutes"),
            advice,
        );
    }
    if configuration.c2s.require_tls {
        return;
    }
    for (name, host) in &configuration.hosts {
        if host.password_storage == PasswordStorage::Argon2id {
            findings.warning(
                &key_of_host(name, "password_storage"),
                "nobody can log in here without TLS, although c2s.require_tls is off: argon2id needs PLAIN, and PLAIN needs TLS",
                "Set c2s.require_tls = true, or password_storage = \"scram\".",
            );
        }
    }
}
