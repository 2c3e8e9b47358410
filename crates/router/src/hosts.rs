//! The domains that are served here.

use std::collections::BTreeMap;

use features::HostFacts;
use stanza::Address;

/// One served domain.
#[derive(Debug, Clone)]
pub struct Host {
    /// What small features tell of it.
    pub facts: HostFacts,
    /// How passwords of its accounts are kept.
    pub passwords: sasl::PasswordPolicy,
}

/// All served domains.
#[derive(Debug, Clone, Default)]
pub struct Hosts(BTreeMap<String, Host>);

impl Hosts {
    /// These domains, each under its prepared name.
    pub fn new(hosts: impl IntoIterator<Item = Host>) -> Hosts {
        Hosts(
            hosts
                .into_iter()
                .map(|host| (host.facts.address.as_str().to_owned(), host))
                .collect(),
        )
    }

    /// The host of this domain.
    pub fn get(&self, domain: &str) -> Option<&Host> {
        self.0.get(domain)
    }

    /// Whether the domain of an address is served here.
    pub fn serves(&self, address: &Address) -> bool {
        self.0.contains_key(address.domainpart())
    }

    /// All domains, in order.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}
