//! The configuration file: its settings, how they are read, and what is said when something is wrong with them.
//!
//! `sections` and `limits` declare what there is; `schema` turns a declaration into a type, a reader and documentation;
//! `value` knows the single kinds of values; `rules` looks at the whole; `document` writes the example and the reference.

mod amount;
mod document;
mod limits;
mod location;
mod name;
mod problem;
mod rules;
mod schema;
mod sections;
mod value;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use schema::{Places, Reader, Setting};

pub use amount::{ByteSize, Rate};
pub use document::{example, reference};
pub use limits::Limits;
pub use location::{DatabaseUrl, DnsServer, HttpPath, Network, Origin, RouteTarget, WebEndpoint, WebSite};
pub use name::{AccountName, HostName};
pub use problem::{Place, Problem, Problems, Severity};
pub use sections::{
    Attention, Authentication, Bosh, C2s, Component, Components, Configuration, Decloak, Dns, Host, Http,
    Log, LogFormat, LogLevel, Metrics, Muc, PasswordStorage, Poke, PokeBlocked, PokeMode, Policy, Psa,
    Registration, RevealUnknown, Runtime, S2s, Sasl, Sm, Storage, Sync,
};
pub use value::OrOff;

/// A configuration that can be used, and what its operator should know nevertheless.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub configuration: Configuration,
    /// Nothing in it keeps the server from starting.
    pub warnings: Problems,
    places: Places,
}

impl Loaded {
    /// A problem with the setting `key` that a look at the world outside the file has shown.
    pub fn problem(&self, severity: Severity, key: &str, message: String, advice: &str) -> Problem {
        let place = self.places.of(key);
        Problem {
            severity,
            key: key.to_owned(),
            place,
            message,
            advice: advice.to_owned(),
        }
    }
}

impl Configuration {
    /// Reads `file`.
    ///
    /// # Errors
    /// Everything that is wrong with it, all at once.
    pub fn load(file: &Path) -> Result<Loaded, Problems> {
        let text = std::fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
        let base = std::path::absolute(file).map_err(|error| unreadable(file, &error))?;
        Configuration::parse(&text, file, base.parent().unwrap_or(Path::new("/")))
    }

    /// As much of a file with mistakes as can be understood: where the data of a running server are, most likely.
    pub fn load_what_can_be_understood(file: &Path) -> Option<Configuration> {
        let text = std::fs::read_to_string(file).ok()?;
        let base = std::path::absolute(file).ok()?;
        let (configuration, _, _) = Configuration::understand(&text, base.parent().unwrap_or(Path::new("/")));
        Some(configuration)
    }

    /// Reads the text of `file`; relative paths in it start at `base`.
    ///
    /// # Errors
    /// Everything that is wrong with it, all at once.
    pub fn parse(text: &str, file: &Path, base: &Path) -> Result<Loaded, Problems> {
        let (_, mistakes) = DeTable::parse_recoverable(text);
        if !mistakes.is_empty() {
            return Err(Problems::new(
                file,
                mistakes.iter().map(|mistake| syntax(text, mistake)).collect(),
            ));
        }
        let (configuration, places, mut found) = Configuration::understand(text, base);
        found.extend(rules::check(&configuration, &places));
        let problems = Problems::new(file, found);
        if problems.prevent_start() {
            Err(problems)
        } else {
            Ok(Loaded {
                configuration,
                warnings: problems,
                places,
            })
        }
    }

    /// The settings of a text that is TOML as far as possible, where they stand, and what is wrong with single ones.
    fn understand(text: &str, base: &Path) -> (Configuration, Places, Vec<Problem>) {
        let (table, _) = DeTable::parse_recoverable(text);
        let span = table.span();
        let root = toml::Spanned::new(span, DeValue::Table(table.into_inner()));
        let mut reader = Reader::new(text, base, &Configuration::describe());
        let read = Configuration::read(&root, "", &mut reader);
        let (places, found) = reader.finish();
        let mut configuration = read.unwrap_or_default();
        if !places.is_written("data_dir") {
            configuration.data_dir = base.join(configuration.data_dir);
        }
        (configuration, places, found)
    }

    /// The full names of the settings that are not the same in `other`, in the order of the reference.
    pub fn differences(&self, other: &Configuration) -> Vec<String> {
        let mut keys = Vec::new();
        Setting::differences(self, other, "", &mut keys);
        keys
    }

    /// What a running server can take over of `new` without a restart: its settings of now, and of the new ones those
    /// that every part reads at each use. Hosts can be added; one that is gone stays until the restart.
    #[must_use]
    pub fn with_live_settings_of(&self, new: &Configuration) -> Configuration {
        let mut live = self.clone();
        for (name, host) in &new.hosts {
            live.hosts.insert(name.clone(), host.clone());
        }
        live.c2s.require_tls = new.c2s.require_tls;
        live.sasl = new.sasl.clone();
        live.sm = new.sm.clone();
        live.psa = new.psa.clone();
        live.poke = new.poke.clone();
        live.attention = new.attention.clone();
        live.decloak = new.decloak.clone();
        live.s2s = S2s {
            listen: self.s2s.listen.clone(),
            listen_tls: self.s2s.listen_tls.clone(),
            ..new.s2s.clone()
        };
        live.dns = new.dns.clone();
        live.http = Http {
            listen: self.http.listen.clone(),
            listen_tls: self.http.listen_tls.clone(),
            ..new.http.clone()
        };
        live.bosh = new.bosh.clone();
        live.muc = Muc {
            services: self.muc.services.clone(),
            ..new.muc.clone()
        };
        live.log.level = new.log.level;
        // Without components at the start nobody listens for them.
        if !self.components.domains.is_empty() {
            live.components.domains = new.components.domains.clone();
        }
        live.limits = new.limits.clone();
        live
    }

    /// All settings by their full names, and their defaults as TOML.
    #[cfg(test)]
    pub(crate) fn settings() -> Vec<(String, Option<String>)> {
        let mut settings = Vec::new();
        schema::visit(&Configuration::describe(), "", &mut |key, field| {
            settings.push((key.to_owned(), field.default.clone()));
        });
        settings
    }

    /// Where the database is: `storage.url`, or a file in the data directory.
    pub fn database(&self) -> DatabaseUrl {
        self.storage
            .url
            .clone()
            .unwrap_or_else(|| DatabaseUrl::Sqlite(self.data_dir.join("balcony.db")))
    }

    /// Where the server listens, by the settings that say so. Nobody listens for components where there are none.
    pub fn listeners(&self) -> Vec<(&'static str, SocketAddr)> {
        let for_components: &[SocketAddr] = match self.components.domains.is_empty() {
            true => &[],
            false => &self.components.listen,
        };
        let lists = [
            ("c2s.listen", self.c2s.listen.as_slice()),
            ("c2s.listen_tls", &self.c2s.listen_tls),
            ("s2s.listen", &self.s2s.listen),
            ("s2s.listen_tls", &self.s2s.listen_tls),
            ("components.listen", for_components),
            ("http.listen", &self.http.listen),
            ("http.listen_tls", &self.http.listen_tls),
            (
                "metrics.listen",
                self.metrics.listen.on().map_or(&[], std::slice::from_ref),
            ),
        ];
        let listed = lists.into_iter();
        listed
            .flat_map(|(key, list)| list.iter().map(move |address| (key, *address)))
            .collect()
    }

    /// The socket on which the running server takes commands.
    pub fn admin_socket(&self) -> PathBuf {
        self.data_dir.join("admin.sock")
    }

    /// The file that keeps sessions over a restart.
    pub fn sessions_file(&self) -> PathBuf {
        self.data_dir.join("sessions")
    }

    /// The file that keeps who is in rooms over a restart.
    pub fn rooms_file(&self) -> PathBuf {
        self.data_dir.join("rooms")
    }

    /// The file whose lock keeps a second server out.
    pub fn lock_file(&self) -> PathBuf {
        self.data_dir.join("lock")
    }
}

/// The full name of a setting of a host: `hosts."montague.lit".key`.
pub(crate) fn key_of_host(host: &HostName, setting: &str) -> String {
    schema::join(&section_of_host(host), setting)
}

/// Everything about a host.
pub(crate) fn section_of_host(host: &HostName) -> String {
    schema::join("hosts", host.as_str())
}

fn syntax(text: &str, mistake: &toml::de::Error) -> Problem {
    Problem {
        severity: Severity::Error,
        key: String::new(),
        place: mistake.span().map(|span| schema::place_of(text, span.start)),
        message: format!("not TOML: {}", mistake.message()),
        advice: "Texts stand in double quotes, lists in brackets, each setting on a line of its own."
            .to_owned(),
    }
}

fn unreadable(file: &Path, error: &std::io::Error) -> Problems {
    let advice = if error.kind() == std::io::ErrorKind::NotFound {
        "Name the right one with --config FILE; config/balcony.toml shows all there is."
    } else if error.kind() == std::io::ErrorKind::PermissionDenied {
        "Make it readable for the user who runs balcony."
    } else {
        ""
    };
    let problem = Problem {
        severity: Severity::Error,
        key: String::new(),
        place: None,
        message: format!("cannot be read: {error}"),
        advice: advice.to_owned(),
    };
    Problems::new(file, vec![problem])
}
