//! What a look at the machine shows about a configuration that is sound in itself: files, the data directory, ports,
//! open files, DNS. `balcony check` tells it.

mod domains;
mod routes;

use std::fs::Metadata;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::UnixTime;
use transport::tls::{self, CertificateFiles, Certificates};

use storage::OpenError;

use crate::config::{DatabaseUrl, HostName, Loaded, Problem, Severity, key_of_host};
use crate::service::database_url;
use crate::system;

/// A database that does not answer within this time would not answer at a start either.
const DATABASE_PATIENCE: Duration = Duration::from_secs(5);

/// Everything that is wrong outside the file.
pub fn inspect(loaded: &Loaded) -> Vec<Problem> {
    let mut inspection = Inspection {
        loaded,
        found: Vec::new(),
    };
    let certificates = inspection.certificates();
    inspection.secrets();
    inspection.database();
    let server = inspection.data_directory();
    if server == Server::Stopped {
        inspection.ports();
    }
    inspection.open_files();
    inspection.domains(&certificates, server);
    inspection.found
}

struct Inspection<'l> {
    loaded: &'l Loaded,
    found: Vec<Problem>,
}

/// Whether a server uses the data directory, and with it the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Running,
    Stopped,
}

impl Inspection<'_> {
    fn error(&mut self, key: &str, message: String, advice: &str) {
        self.found
            .push(self.loaded.problem(Severity::Error, key, message, advice));
    }

    fn warning(&mut self, key: &str, message: String, advice: &str) {
        self.found
            .push(self.loaded.problem(Severity::Warning, key, message, advice));
    }

    /// Gives those that can be used.
    fn certificates(&mut self) -> Arc<Certificates> {
        let configuration = &self.loaded.configuration;
        let mut files = Vec::new();
        for (name, host) in &configuration.hosts {
            if let (Some(chain), Some(key)) = (host.certificate.clone(), host.key.clone()) {
                let host = name.as_str().to_owned();
                let required_names = vec![host.clone()];
                files.push(CertificateFiles {
                    host,
                    chain,
                    key,
                    required_names,
                });
            }
        }
        let (certificates, _) = Certificates::load(files.clone());
        if !files.is_empty() {
            self.services(&certificates);
        }
        for problem in tls::examine(files, UnixTime::now()) {
            let setting = match problem.item {
                tls::Item::Certificate => "certificate",
                tls::Item::Key => "key",
            };
            let host = configuration
                .hosts
                .keys()
                .find(|name| name.as_str() == problem.host);
            let key = host.map(|name| key_of_host(name, setting)).unwrap_or_default();
            match problem.severity() {
                tls::Severity::Error => self.error(&key, problem.what(), &problem.advice()),
                tls::Severity::Warning => self.warning(&key, problem.what(), &problem.advice()),
            }
        }
        certificates
    }

    /// Room services and components are domains of their own for other servers, which want to see them in a certificate.
    fn services(&mut self, certificates: &Certificates) {
        let configuration = &self.loaded.configuration;
        let services = configuration.muc.services.iter();
        let services = services.map(|service| (String::from("muc.services"), service));
        let components = configuration.components.domains.keys();
        let components = components.map(|domain| (section_of_component(domain), domain));
        for (key, domain) in services.chain(components) {
            if certificates.best_for(domain.as_str()).is_none() {
                let message = format!("no certificate names {domain}: other servers cannot trust it");
                let advice = format!(
                    "Ask your authority for a certificate with {domain} beside the name of the host."
                );
                self.warning(&key, message, &advice);
            }
        }
    }

    /// Whether the database can be reached and is not newer than this program. Nothing is changed in it.
    fn database(&mut self) {
        let url = match database_url(&self.loaded.configuration) {
            Ok(url) => url,
            Err(report) => return self.error("storage.url", report.message, &report.advice),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = match runtime {
            Ok(runtime) => runtime.block_on(storage::examine(&url, DATABASE_PATIENCE)),
            Err(error) => {
                return self.error("storage.url", format!("cannot look at the database: {error}"), "");
            }
        };
        if let Err(error) = outcome {
            let is_remote = matches!(self.loaded.configuration.database(), DatabaseUrl::Postgres(_));
            let advice = match &error {
                OpenError::Unreachable { .. } if is_remote => {
                    "Start PostgreSQL, or mend host, port, user or database in storage.url; \
                     `psql` with the same address says more."
                }
                OpenError::Unreachable { .. } => {
                    "What lies there is no database, or a damaged one: name another file, or restore a copy of it."
                }
                // The message itself says what to do.
                OpenError::File { .. }
                | OpenError::InUse { .. }
                | OpenError::Schema { .. }
                | OpenError::Unfit { .. } => "The server cannot start without it.",
            };
            self.error("storage.url", error.to_string(), advice);
        }
    }

    fn secrets(&mut self) {
        let key = "storage.password_file";
        let configuration = &self.loaded.configuration;
        if let (DatabaseUrl::Postgres(_), Some(file)) =
            (configuration.database(), &configuration.storage.password_file)
            && let Some((text, metadata)) = self.read(key, file)
        {
            if text.trim_ascii().is_empty() {
                self.error(
                    key,
                    format!("{} is empty", file.display()),
                    "Write the password into it, and nothing else.",
                );
            }
            self.only_for_its_owner(key, file, &metadata);
        }
        for (domain, component) in &configuration.components.domains {
            let key = format!("{}.secret_file", section_of_component(domain));
            let Some(file) = &component.secret_file else {
                continue;
            };
            if let Some((text, metadata)) = self.read(&key, file) {
                if text.trim_ascii().is_empty() {
                    let advice = "Write the secret into it that the component is given, and nothing else.";
                    self.error(&key, format!("{} is empty", file.display()), advice);
                }
                self.only_for_its_owner(&key, file, &metadata);
            }
        }
    }

    fn only_for_its_owner(&mut self, key: &str, file: &Path, metadata: &Metadata) {
        if metadata.permissions().mode() & 0o007 != 0 {
            let advice = format!("Take the rights of others away: chmod o= {}", file.display());
            self.warning(
                key,
                format!("everybody on this machine can read {}", file.display()),
                &advice,
            );
        }
    }

    fn read(&mut self, key: &str, file: &Path) -> Option<(Vec<u8>, Metadata)> {
        let read = std::fs::read(file).and_then(|text| Ok((text, std::fs::metadata(file)?)));
        read.map_err(|error| {
            let advice = if error.kind() == io::ErrorKind::PermissionDenied {
                "Make it, and every directory above it, readable for the user who runs balcony."
            } else {
                "A relative path starts where the configuration file is."
            };
            self.error(key, format!("{} cannot be read: {error}", file.display()), advice);
        })
        .ok()
    }

    fn data_directory(&mut self) -> Server {
        let configuration = &self.loaded.configuration;
        let directory = &configuration.data_dir;
        if !directory.exists() {
            // It is made at the first start, if it can be made.
            if let Some(parent) = first_that_exists(directory)
                && let Err(error) = try_to_write(&parent)
            {
                let message = format!("{} is not there and cannot be made: {error}", directory.display());
                self.error("data_dir", message, "Make it for the user who runs balcony.");
            }
            return Server::Stopped;
        }
        if let Err(error) = try_to_write(directory) {
            let message = format!("{} cannot be written to: {error}", directory.display());
            self.error("data_dir", message, "It belongs to the user who runs balcony.");
            return Server::Stopped;
        }
        // Not by the lock: to try it is to hold it for a moment, and a server that starts just then would be refused.
        match UnixStream::connect(configuration.admin_socket()) {
            Ok(_) => Server::Running,
            Err(_) => Server::Stopped,
        }
    }

    fn ports(&mut self) {
        for (key, address) in self.loaded.configuration.listeners() {
            self.port(key, address);
        }
    }

    fn port(&mut self, key: &str, address: SocketAddr) {
        let Err(error) = TcpListener::bind(address) else {
            return;
        };
        let advice = if error.kind() == io::ErrorKind::AddrInUse {
            format!(
                "Another program has it; see which: ss -ltnp 'sport = :{}'",
                address.port()
            )
        } else if error.kind() == io::ErrorKind::AddrNotAvailable {
            "It is no address of this machine; see which are: ip address".to_owned()
        } else {
            "Choose an address of this machine, and a port from 1024 on.".to_owned()
        };
        self.error(key, format!("cannot listen on {address}: {error}"), &advice);
    }

    /// Whether others find this server.
    fn domains(&mut self, certificates: &Certificates, server: Server) {
        for finding in domains::examine(&self.loaded.configuration, certificates, server) {
            self.warning(&finding.key, finding.message, &finding.advice);
        }
    }

    fn open_files(&mut self) {
        let Ok(allowed) = system::raise_open_files() else {
            return;
        };
        if let Some(message) =
            system::too_few_open_files(allowed, self.loaded.configuration.limits.connections)
        {
            self.warning("limits.connections", message, "");
        }
    }
}

fn section_of_component(domain: &HostName) -> String {
    format!("components.domains.\"{domain}\"")
}

fn first_that_exists(directory: &Path) -> Option<PathBuf> {
    directory
        .ancestors()
        .find(|ancestor| ancestor.exists())
        .map(Path::to_path_buf)
}

fn try_to_write(directory: &Path) -> io::Result<()> {
    let file = directory.join(format!(".balcony-check-{}", std::process::id()));
    std::fs::File::create_new(&file)?;
    std::fs::remove_file(&file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Configuration;
    use crate::system::TemporaryDirectory;

    struct Machine(TemporaryDirectory);

    impl Machine {
        /// A directory with a certificate and its key.
        fn new(name: &str) -> Machine {
            let machine = Machine(TemporaryDirectory::new(name));
            let made = tls::self_signed(machine.0.path(), &["montague.lit"], UnixTime::now()).unwrap();
            for (from, to) in [(made.chain, "a.pem"), (made.key, "a.key")] {
                std::fs::rename(from, machine.0.path().join(to)).unwrap();
            }
            machine
        }

        fn read(&self, name: &str) -> String {
            std::fs::read_to_string(self.0.path().join(name)).unwrap()
        }

        fn write(&self, name: &str, text: &str) {
            let path = self.0.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }

        /// What `inspect` tells of a configuration without listeners, and `rest` behind it.
        fn told(&self, rest: &str) -> Vec<String> {
            let text = format!(
                "[c2s]\nlisten = []\nlisten_tls = []\n[s2s]\nlisten = []\nlisten_tls = []\n[http]\nlisten = []\nlisten_tls = []\n[limits]\nconnections = 1\nunauthenticated_connections = 1\n\
                 [hosts.\"montague.lit\"]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n{rest}\n"
            );
            let rest_has_metrics = rest.contains("[metrics]");
            let text = if rest_has_metrics {
                text
            } else {
                format!("{text}[metrics]\nlisten = \"off\"\n")
            };
            let loaded = Configuration::parse(&text, Path::new("b.toml"), self.0.path()).unwrap();
            inspect(&loaded)
                .into_iter()
                .map(|problem| format!("{}: {} {}", problem.key, problem.message, problem.advice))
                .collect()
        }
    }

    #[track_caller]
    fn assert_told(told: &[String], expected: &[&str]) {
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.contains(expected), "{told:?} lacks {expected:?}");
        }
    }

    #[test]
    fn a_sound_machine_has_no_problems_and_keeps_no_traces() {
        let machine = Machine::new("inspect-sound");
        assert_told(&machine.told(""), &[]);
        std::fs::create_dir(machine.0.path().join("data")).unwrap();
        assert_told(&machine.told(""), &[]);
        let left: Vec<_> = std::fs::read_dir(machine.0.path().join("data"))
            .unwrap()
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }

    #[test]
    fn certificates_and_keys_are_looked_into_as_the_server_would() {
        let machine = Machine::new("inspect-certificates");
        let (certificate, key) = (machine.read("a.pem"), machine.read("a.key"));
        machine.write("a.pem", &key);
        machine.write("a.key", &certificate);
        let told = machine.told("");
        assert!(
            told.iter()
                .any(|told| told.contains("Were certificate and key exchanged")),
            "{told:?}"
        );

        let other = Machine::new("inspect-certificates-other");
        machine.write("a.pem", &certificate);
        machine.write("a.key", &other.read("a.key"));
        assert_eq!(
            machine.told("").len(),
            1,
            "a key that belongs to another certificate"
        );

        std::fs::remove_file(machine.0.path().join("a.pem")).unwrap();
        machine.write("a.key", &key);
        assert_told(&machine.told(""), &["hosts.\"montague.lit\".certificate: "]);
    }

    #[test]
    fn a_database_of_a_newer_version_and_one_out_of_reach_are_told() {
        let machine = Machine::new("inspect-database");
        machine.write("other.db", "this is no database, whatever its name says");
        let told = machine.told("[storage]\nurl = \"sqlite:other.db\"");
        assert_told(&told, &["storage.url: cannot reach the database"]);
        let told = machine.told("[storage]\nurl = \"postgres://b@127.0.0.1:1/b\"");
        assert_told(&told, &["storage.url: cannot reach the database"]);
    }

    #[test]
    fn secrets_that_all_can_read_are_told() {
        let machine = Machine::new("inspect-secrets");
        let secret = "[storage]\nurl = \"postgres://b@127.0.0.1:1/b\"\npassword_file = \"secret\"";
        machine.write("secret", " \n");
        for name in ["secret", "a.key"] {
            let path = machine.0.path().join(name);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
        assert_told(
            &machine.told(secret),
            &[
                "a.key",
                "secret is empty",
                "everybody on this machine can read",
                "storage.url: cannot reach the database",
            ],
        );
    }

    #[test]
    fn a_taken_port_is_told_unless_the_server_itself_has_it() {
        let machine = Machine::new("inspect-ports");
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let metrics = format!("[metrics]\nlisten = \"{address}\"");
        assert_told(
            &machine.told(&metrics),
            &["Another program has it; see which: ss -ltnp"],
        );
        assert_told(
            &machine.told("[metrics]\nlisten = \"192.0.2.1:9568\""),
            &["cannot listen on 192.0.2.1:9568"],
        );
        std::fs::create_dir(machine.0.path().join("data")).unwrap();
        let _running =
            std::os::unix::net::UnixListener::bind(machine.0.path().join("data/admin.sock")).unwrap();
        assert_told(&machine.told(&metrics), &[]);
    }

    #[test]
    fn a_data_directory_that_cannot_be_is_told() {
        let machine = Machine::new("inspect-data");
        machine.write("data", "a file");
        assert_told(&machine.told(""), &["data_dir: "]);
    }
}
