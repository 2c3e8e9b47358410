//! The two servers of the demonstration, each with its configuration, database and certificate, and the wires between them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use sasl::Password;
use stanza::Address;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use transport::tls::self_signed;

use super::client::Trouble;
use super::wire::Wire;
use crate::config::{Configuration, Host, HostName, OrOff, RouteTarget};
use crate::service::run::{Ending, stop};
use crate::service::start::{Server, start};
use crate::system;

/// The fewest rounds that RFC 7677 allows: nobody waits for a password that lives for a minute.
const ITERATIONS: u32 = 4_096;

/// One of the servers.
pub(super) struct House {
    server: Server,
    /// Where its clients connect.
    pub(super) clients: SocketAddr,
}

/// Both, and what is between them.
pub(super) struct Stage {
    pub(super) montague: House,
    pub(super) capulet: House,
    wires: [Wire; 2],
}

impl Stage {
    /// Builds it in an empty directory.
    pub(super) async fn build(directory: &Path) -> Result<Stage, Trouble> {
        let mut to_capulet = Wire::lay().await?;
        let mut to_montague = Wire::lay().await?;
        let montague = House::build(directory, "montague.lit", "capulet.lit", to_capulet.address).await?;
        let capulet = House::build(directory, "capulet.lit", "montague.lit", to_montague.address).await?;
        to_capulet.lead_to(capulet.servers()?);
        to_montague.lead_to(montague.servers()?);
        Ok(Stage {
            montague,
            capulet,
            wires: [to_capulet, to_montague],
        })
    }

    /// Neither reaches the other any more.
    pub(super) fn cut(&self) {
        self.wires.iter().for_each(Wire::cut);
    }

    /// They can reach each other again.
    pub(super) fn mend(&self) {
        self.wires.iter().for_each(Wire::mend);
    }

    /// The play is over.
    pub(super) async fn clear(self) {
        tokio::join!(
            stop(self.montague.server, Ending::Final),
            stop(self.capulet.server, Ending::Final)
        );
    }
}

impl House {
    async fn build(directory: &Path, domain: &str, other: &str, way: SocketAddr) -> Result<House, Trouble> {
        let configuration = configuration(&directory.join(domain), domain, other, way)?;
        let server = start(&configuration, None, &Handle::current())
            .await
            .map_err(|report| report.to_string())?;
        let clients = listening(&server, 0)?;
        Ok(House { server, clients })
    }

    fn servers(&self) -> Result<SocketAddr, Trouble> {
        listening(&self.server, 1)
    }

    /// Makes an account.
    pub(super) async fn account(&self, address: &Address, password: &Password) -> Result<(), Trouble> {
        let (tell, told) = oneshot::channel();
        let done = move |outcome| {
            // Whoever asked may be gone.
            let _ = tell.send(outcome);
        };
        let (address, password) = (address.to_bare(), password.clone());
        self.server
            .router
            .create_account(address.clone(), password, Box::new(done));
        match told.await?? {
            true => Ok(()),
            false => Err(format!("there is an account {address} already").into()),
        }
    }
}

/// Clients have the first entrance, servers the second.
fn listening(server: &Server, place: usize) -> Result<SocketAddr, Trouble> {
    let entrance = server.listening.get(place).ok_or("the server does not listen")?;
    Ok(entrance.address())
}

fn configuration(
    directory: &Path,
    domain: &str,
    other: &str,
    way: SocketAddr,
) -> Result<Configuration, Trouble> {
    system::make_data_directory(directory).map_err(|report| report.to_string())?;
    let now = rustls_pki_types::UnixTime::now();
    let files = self_signed(directory, &[domain], now)?;
    let host = Host {
        certificate: Some(files.chain),
        key: Some(files.key),
        ..Host::default()
    };
    let mut configuration = Configuration {
        data_dir: directory.to_path_buf(),
        ..Configuration::default()
    };
    configuration.hosts.insert(HostName::new(domain)?, host);
    let anywhere = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    configuration.c2s.listen = anywhere.clone();
    configuration.c2s.listen_tls = Vec::new();
    // The clients are in this very process.
    configuration.c2s.require_tls = false;
    configuration.s2s.listen = anywhere;
    configuration.s2s.listen_tls = Vec::new();
    let route = RouteTarget::Address(way);
    configuration.s2s.routes.insert(HostName::new(other)?, route);
    configuration.http.listen = Vec::new();
    configuration.http.listen_tls = Vec::new();
    configuration.metrics.listen = OrOff::Off;
    configuration.sasl.iterations = ITERATIONS;
    Ok(configuration)
}
