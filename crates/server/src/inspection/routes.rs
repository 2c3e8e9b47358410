//! Whether the routes of the configuration (`[s2s.routes]`) lead to servers of their domains.

use s2s::Transport;
use s2s::explain::{DnsFault, TcpFault};
use stanza::Address;
use transport::{Asked, Greeting, Questions, greeting};

use super::domains::{DOMAINS_MAX, Finding, GREETING_TIME};
use crate::config::{Configuration, RouteTarget};

/// A route that is to be looked at.
pub(super) struct Way {
    key: String,
    domain: Address,
    /// Where it leads, as it is written.
    target: String,
}

/// Routes of the configuration.
pub(super) fn all(configuration: &Configuration) -> Vec<Way> {
    let routes = configuration.s2s.routes.iter().take(DOMAINS_MAX);
    let ways = routes.filter_map(|(domain, target)| {
        Some(Way {
            key: format!("s2s.routes.\"{domain}\""),
            domain: Address::domain(domain.as_str()).ok()?,
            target: match target {
                RouteTarget::Address(address) => address.to_string(),
                RouteTarget::Host(name, _) => name.as_str().to_owned(),
            },
        })
    });
    ways.collect()
}

impl Way {
    pub(super) async fn look(&self, names: &Questions) -> Vec<Finding> {
        let (dns, addresses) = names.way(&self.domain).await;
        let mut findings = Vec::new();
        if addresses.is_empty() {
            let message = match &dns.fault {
                Some(DnsFault::Unavailable(why)) => format!(
                    "where {} is cannot be found, to which the route to {} leads: {why}",
                    self.target, self.domain
                ),
                Some(DnsFault::NoSuchDomain | DnsFault::NoService) | None => format!(
                    "the route to {} leads to {}, which has no address",
                    self.domain, self.target
                ),
            };
            findings.push(self.finding(
                message,
                "Name another host, or an address, or see why DNS does not know it.",
            ));
        }
        for address in addresses {
            let answer = greeting(
                address,
                Transport::Tcp,
                &self.domain,
                Asked::Servers,
                GREETING_TIME,
            )
            .await;
            let (what, advice) = match answer {
                Greeting::Serves => continue,
                Greeting::Unreachable(TcpFault::Refused) => (
                    "where connections are refused",
                    "Start the server there, or correct the route.",
                ),
                Greeting::Unreachable(TcpFault::TimedOut | TcpFault::Unreachable(_)) => (
                    "where nobody answers",
                    "Look at the network and at firewalls on the way, or correct the route.",
                ),
                Greeting::Silence => (
                    "where a connection is taken and nothing is said",
                    "A route leads to where STARTTLS is spoken: correct its port, or look at the server there.",
                ),
                Greeting::Stranger => (
                    "where something answers that does not speak XMPP",
                    "Correct the route.",
                ),
                Greeting::HostUnknown => (
                    "where a server answers that does not serve the domain",
                    "Correct the route, or let that server serve the domain.",
                ),
            };
            let message = format!("the route to {} leads to {address}, {what}", self.domain);
            findings.push(self.finding(message, advice));
        }
        findings
    }

    fn finding(&self, message: String, advice: &str) -> Finding {
        Finding {
            key: self.key.clone(),
            message,
            advice: advice.to_owned(),
        }
    }
}
