//! `balcony run --dev`: a server on loopback with no set-up, to be tried at once.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stanza::Address;
use tokio::sync::oneshot;
use transport::tls::self_signed;

use super::administration::random_password;
use super::run::serve;
use super::start::Server;
use crate::config::{Configuration, Host, HostName, OrOff};
use crate::logging;
use crate::report::{Exit, Report};
use crate::system;
use crate::terminal::say;

/// The host of such a server.
const HOST: &str = "localhost";

/// Where its rooms are.
const ROOMS: &str = "rooms.localhost";

/// Its accounts.
const ACCOUNTS: [&str; 2] = ["romeo", "juliet"];

/// Runs such a server. Without `data` everything is gone when the system next cleans its temporary files.
///
/// # Errors
/// What keeps it from starting.
pub fn run_dev(data: Option<&Path>) -> Result<Exit, Report> {
    let data = match data {
        Some(data) => data.to_path_buf(),
        None => temporary()?,
    };
    let (configuration, certificate) = configuration(&data)?;
    let filter = std::env::var("BALCONY_LOG").ok();
    logging::start(&configuration.log, filter.as_deref())?;
    serve(&configuration, None, |server| {
        welcome(server, &data, &certificate)
    })
}

fn temporary() -> Result<PathBuf, Report> {
    Ok(std::env::temp_dir().join(format!("balcony-{}", std::process::id())))
}

/// What it is configured to, and the file of its certificate.
fn configuration(data: &Path) -> Result<(Configuration, PathBuf), Report> {
    system::make_data_directory(data)?;
    let now = rustls_pki_types::UnixTime::now();
    let files = self_signed(data, &[HOST, ROOMS], now)
        .map_err(|error| Report::failed(error.to_string(), "Name another directory with --data."))?;
    let name = HostName::new(HOST).map_err(|error| Report::failed(error, ""))?;
    let host = Host {
        certificate: Some(files.chain.clone()),
        key: Some(files.key),
        ..Host::default()
    };
    let mut configuration = Configuration {
        data_dir: data.to_path_buf(),
        ..Configuration::default()
    };
    configuration.hosts.insert(name, host);
    let rooms = HostName::new(ROOMS).map_err(|error| Report::failed(error, ""))?;
    configuration.muc.services = vec![rooms];
    // Any system allows that many open files.
    configuration.limits.connections = 500;
    configuration.c2s.listen = loopback(5222);
    configuration.c2s.listen_tls = loopback(5223);
    configuration.s2s.listen = Vec::new();
    configuration.s2s.listen_tls = Vec::new();
    configuration.http.listen = loopback(5280);
    configuration.http.listen_tls = loopback(5281);
    configuration.metrics.listen = OrOff::On(free_or_any(9568));
    Ok((configuration, files.chain))
}

/// This port of loopback, or any when somebody else has it: figures are no reason not to start.
fn free_or_any(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match std::net::TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

fn loopback(port: u16) -> Vec<SocketAddr> {
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
    // A machine without IPv6 is no reason not to start.
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        addresses.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    }
    addresses
}

/// Gives the two accounts new passwords, and says what to try.
fn welcome(server: &Server, data: &Path, certificate: &Path) {
    let router = Arc::clone(&server.router);
    let accounts: Vec<(String, String)> = ACCOUNTS
        .iter()
        .map(|name| (format!("{name}@{HOST}"), random_password(&server.system)))
        .collect();
    let data = data.display().to_string();
    // A program that is started elsewhere finds it too.
    let certificate = std::path::absolute(certificate)
        .unwrap_or_else(|_| certificate.to_path_buf())
        .display()
        .to_string();
    let metrics = server
        .metrics
        .map(|address| address.to_string())
        .unwrap_or_default();
    tokio::spawn(async move {
        for (account, password) in &accounts {
            let (Ok(address), Ok(password)) = (Address::parse(account), sasl::Password::new(password)) else {
                return;
            };
            let (tell, told) = oneshot::channel();
            let changing = Arc::clone(&router);
            let (again, secret) = (address.clone(), password.clone());
            let created = move |outcome: Result<bool, router::StoreError>| match outcome {
                Ok(true) | Err(_) => {
                    let _ = tell.send(outcome);
                }
                // It is there from an earlier run in the same directory.
                Ok(false) => changing.change_password(
                    again,
                    secret,
                    Box::new(move |outcome| {
                        let _ = tell.send(outcome);
                    }),
                ),
            };
            router.create_account(address, password, Box::new(created));
            if !matches!(told.await, Ok(Ok(true))) {
                say(format!(
                    "the account {account} could not be made; the log says why"
                ));
                return;
            }
        }
        say("Balcony runs on this machine, for you alone. Two accounts are ready:\n");
        for (account, password) in &accounts {
            say(format!("    {account:<18} password {password}"));
        }
        say(format!(
            "\nAny XMPP client will do: server localhost, port 5222 (STARTTLS) or 5223 (TLS); in a browser\n\
             wss://localhost:5281/xmpp-websocket. Let it trust this self-signed certificate:\n\n\
             \x20   {certificate}\n\n\
             docs/quick-start.md shows two that chat from a terminal.\n\n\
             Figures:  curl http://{metrics}/metrics\n\
             Stop:     Ctrl-C. Data: {data}\n"
        ));
    });
}
