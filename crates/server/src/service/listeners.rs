//! Where the server listens: for clients, other servers, components and those who fetch figures.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use transport::{Clients, Entrance, Listen, Listening, Servers};

use super::federation;
use crate::admin::ListenerStatus;
use crate::config::{Configuration, OrOff};
use crate::metrics::{self, Health, Registry};
use crate::report::Report;

/// All that listen, with what `status` and the log tell of them.
#[derive(Default)]
pub(super) struct Listeners {
    pub(super) listening: Vec<Listening>,
    pub(super) statuses: Vec<ListenerStatus>,
}

impl Listeners {
    /// Lets figures be fetched, unless that is off. Answers with where.
    ///
    /// # Errors
    /// When that place is taken.
    pub(super) async fn open_for_metrics(
        &mut self,
        configuration: &Configuration,
        registry: Registry,
        health: Health,
    ) -> Result<Option<SocketAddr>, Report> {
        let OrOff::On(wanted) = configuration.metrics.listen else {
            return Ok(None);
        };
        let listener = metrics::Listener::bind(wanted).await?;
        let address = listener.address().unwrap_or(wanted);
        self.note("metrics.listen", address);
        tokio::spawn(metrics::serve(listener, registry, health, std::future::pending()));
        Ok(Some(address))
    }

    /// Lets clients in.
    ///
    /// # Errors
    /// When one of their places is taken.
    pub(super) fn open_for_clients(
        &mut self,
        configuration: &Configuration,
        clients: &Arc<Clients>,
    ) -> Result<(), Report> {
        for (setting, address, entrance) in entrances(configuration) {
            let outcome = clients.listen(Listen { address, entrance });
            self.take(setting, address, outcome)?;
        }
        Ok(())
    }

    /// Lets other servers and components in.
    ///
    /// # Errors
    /// When one of their places is taken.
    pub(super) fn open_for_servers(
        &mut self,
        configuration: &Configuration,
        servers: &Arc<Servers>,
    ) -> Result<(), Report> {
        for (setting, address, transport) in federation::entrances(configuration) {
            self.take(setting, address, servers.listen(address, transport))?;
        }
        if configuration.components.domains.is_empty() {
            return Ok(());
        }
        for address in configuration.components.listen.iter().copied() {
            let outcome = servers.listen_for_components(address);
            self.take("components.listen", address, outcome)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        setting: &str,
        address: SocketAddr,
        outcome: io::Result<Listening>,
    ) -> Result<(), Report> {
        let listening = outcome.map_err(|error| cannot_listen(setting, address, &error))?;
        self.note(setting, listening.address());
        self.listening.push(listening);
        Ok(())
    }

    fn note(&mut self, setting: &str, address: SocketAddr) {
        self.statuses.push(ListenerStatus {
            setting: setting.to_owned(),
            address: address.to_string(),
        });
    }
}

/// Where clients come in, by the settings that say so.
fn entrances(configuration: &Configuration) -> impl Iterator<Item = (&'static str, SocketAddr, Entrance)> {
    let (c2s, http) = (&configuration.c2s, &configuration.http);
    let has_certificate = configuration
        .hosts
        .values()
        .any(|host| host.certificate.is_some());
    let https = if has_certificate {
        http.listen_tls.as_slice()
    } else {
        &[]
    };
    [
        ("c2s.listen", c2s.listen.as_slice(), Entrance::Tcp),
        ("c2s.listen_tls", &c2s.listen_tls, Entrance::DirectTls),
        ("http.listen", &http.listen, Entrance::Http),
        ("http.listen_tls", https, Entrance::Https),
    ]
    .into_iter()
    .flat_map(|(setting, addresses, entrance)| {
        addresses.iter().map(move |address| (setting, *address, entrance))
    })
}

fn cannot_listen(setting: &str, address: SocketAddr, error: &io::Error) -> Report {
    Report::failed(
        format!("cannot listen on {address} ({setting}): {error}"),
        "Is another server running there? Ports below 1024 need a privilege (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE).",
    )
}
