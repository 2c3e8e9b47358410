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
use crate::config::Configuration;
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

/// What such a server runs with.
struct Development {
    configuration: Configuration,
    file: PathBuf,
    certificate: PathBuf,
}

/// Runs such a server. Without `data` everything is gone when the system next cleans its temporary files.
///
/// # Errors
/// What keeps it from starting.
pub fn run_dev(data: Option<&Path>) -> Result<Exit, Report> {
    let data = match data {
        // As a whole path, so that a program that is started elsewhere finds what is in it.
        Some(data) => std::path::absolute(data).unwrap_or_else(|_| data.to_path_buf()),
        None => std::env::temp_dir().join(format!("balcony-{}", std::process::id())),
    };
    let development = configuration(&data)?;
    let filter = std::env::var("BALCONY_LOG").ok();
    logging::start(&development.configuration.log, filter.as_deref())?;
    serve(&development.configuration, Some(&development.file), |server| {
        welcome(server, &data, &development)
    })
}

/// What it is configured to, as a file for the commands that look at it, and the file of its certificate.
fn configuration(data: &Path) -> Result<Development, Report> {
    system::make_data_directory(data)?;
    let now = rustls_pki_types::UnixTime::now();
    let certificate = self_signed(data, &[HOST, ROOMS], now)
        .map_err(|error| Report::failed(error.to_string(), "Name another directory with --data."))?;
    let name = |file: &Path| {
        file.file_name()
            .map(|name| name.display().to_string())
            .unwrap_or_default()
    };
    let directory = data.to_str().ok_or_else(|| {
        Report::failed(
            format!(
                "{} cannot be written into a configuration: it is not UTF-8",
                data.display()
            ),
            "Name another directory with --data.",
        )
    })?;
    let directory = toml::Value::from(directory);
    // Any system allows so many open files.
    let text = format!(
        "\
# Made by `balcony run --dev` at each start.
data_dir = {directory}

[hosts.\"{HOST}\"]
certificate = {:?}
key = {:?}

[c2s]
listen = {}
listen_tls = {}

[s2s]
listen = []
listen_tls = []

[http]
listen = {}
listen_tls = {}

[muc]
services = [\"{ROOMS}\"]

[limits]
connections = 500
unauthenticated_connections = 500

[metrics]
listen = \"{}\"
",
        name(&certificate.chain),
        name(&certificate.key),
        loopback(5222),
        loopback(5223),
        loopback(5280),
        loopback(5281),
        free_or_any(9568),
    );
    let file = data.join("balcony.toml");
    std::fs::write(&file, text).map_err(|error| {
        Report::failed(
            format!("{} cannot be written: {error}", file.display()),
            "Name another directory with --data.",
        )
    })?;
    let loaded = Configuration::load(&file).map_err(|problems| Report::failed(problems.to_string(), ""))?;
    Ok(Development {
        configuration: loaded.configuration,
        file,
        certificate: certificate.chain,
    })
}

/// This port of loopback, or any when somebody else has it: figures are no reason not to start.
fn free_or_any(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match std::net::TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

/// This port of loopback, as a list of addresses in the file.
fn loopback(port: u16) -> String {
    // A machine without IPv6 is no reason not to start.
    match std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => format!("[\"127.0.0.1:{port}\", \"[::1]:{port}\"]"),
        Err(_) => format!("[\"127.0.0.1:{port}\"]"),
    }
}

/// Gives the two accounts new passwords, and says what to try.
fn welcome(server: &Server, data: &Path, development: &Development) {
    let router = Arc::clone(&server.router);
    let accounts: Vec<(String, String)> = ACCOUNTS
        .iter()
        .map(|name| (format!("{name}@{HOST}"), random_password(&server.system)))
        .collect();
    let shown = |path: &Path| path.display().to_string();
    let (data, file) = (shown(data), shown(&development.file));
    let certificate = shown(&development.certificate);
    let program = std::env::current_exe().map_or_else(|_| "balcony".to_owned(), |program| shown(&program));
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
             Commands: {program} status --config {file}\n\
             Stop:     Ctrl-C. Data: {data}\n"
        ));
    });
}
