//! The files about the configuration agree with the program: the example, the reference, the file for load runs.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use server::config::{Configuration, OrOff, PasswordStorage, Registration, Severity, example, reference};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Compares a file with what the program would write; with `BALCONY_BLESS=1` writes it.
fn assert_current(file: &str, text: &str) {
    let path = repository().join(file);
    if std::env::var_os("BALCONY_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "{file} is not what the program says; run the tests with BALCONY_BLESS=1"
    );
}

#[test]
fn the_example_is_what_the_program_says() {
    assert_current("config/balcony.toml", &example());
}

#[test]
fn the_reference_is_what_the_program_says() {
    assert_current("docs/configuration.md", &reference());
}

fn example_read() -> server::config::Loaded {
    Configuration::parse(&example(), Path::new("balcony.toml"), Path::new("/etc/balcony")).unwrap()
}

#[test]
fn the_example_can_be_used() {
    let loaded = example_read();
    assert_eq!(loaded.configuration.hosts.len(), 1);
    for warning in loaded.warnings.iter() {
        let expected = warning.key == "storage.password_file";
        assert!(expected, "unexpected: {}: {}", warning.key, warning.message);
    }
}

/// Every setting of the contract stands in the example as a setting, not only as a comment.
#[test]
fn the_example_holds_every_setting() {
    let table: toml::Table = example().parse().unwrap();
    let mut written = BTreeSet::new();
    keys("", &table, &mut written);
    for setting in [
        "data_dir",
        "hosts.montague.lit.certificate",
        "hosts.montague.lit.password_storage",
        "storage.sync",
        "s2s.policy.capulet.lit.require_tls",
        "components.domains.bridge.montague.lit.secret_file",
        "poke.reveal_unknown",
        "limits.exempt",
        "metrics.peers",
    ] {
        assert!(written.contains(setting), "{setting} is missing");
    }
    let documented = reference()
        .lines()
        .filter(|line| line.starts_with("### `"))
        .count();
    // The one route of the example is a key without a heading of its own.
    assert_eq!(written.len() - 1, documented);
}

fn keys(section: &str, table: &toml::Table, found: &mut BTreeSet<String>) {
    for (name, value) in table {
        let key = if section.is_empty() {
            name.clone()
        } else {
            format!("{section}.{name}")
        };
        if let toml::Value::Table(table) = value {
            keys(&key, table, found);
        } else {
            found.insert(key);
        }
    }
}

/// What the example shows as the default is the default.
#[test]
fn the_example_shows_the_defaults() {
    let shown = Configuration::load(&repository().join("config/balcony.toml"))
        .unwrap()
        .configuration;
    let default = Configuration::default();
    assert_eq!(shown.limits, default.limits);
    assert_eq!(shown.c2s, default.c2s);
    assert_eq!(shown.http, default.http);
    assert_eq!(shown.psa, default.psa);
    assert_eq!(shown.poke, default.poke);
    assert_eq!(shown.decloak, default.decloak);
    assert_eq!(shown.attention, default.attention);
    assert_eq!(shown.sm, default.sm);
    assert_eq!(shown.bosh, default.bosh);
    assert_eq!(shown.sasl, default.sasl);
    assert_eq!(shown.runtime, default.runtime);
    assert_eq!(shown.log, default.log);
    assert_eq!(shown.metrics, default.metrics);
    assert_eq!(shown.dns, default.dns);
    let without_examples = server::config::S2s {
        routes: BTreeMap::new(),
        policy: BTreeMap::new(),
        ..shown.s2s
    };
    assert_eq!(without_examples, default.s2s);
}

#[test]
fn the_file_for_load_runs_is_open_and_unlimited_on_loopback() {
    let loaded = Configuration::load(&repository().join("config/bench.toml")).unwrap();
    let configuration = loaded.configuration;
    assert!(!configuration.c2s.require_tls);
    for host in configuration.hosts.values() {
        assert_eq!(host.registration, Registration::Open);
        assert_eq!(host.password_storage, PasswordStorage::Scram);
    }
    let exempt = |address: &str| {
        configuration
            .limits
            .exempt
            .iter()
            .any(|net| net.contains(address.parse().unwrap()))
    };
    assert!(exempt("127.0.0.1") && exempt("127.9.9.9") && exempt("::1") && !exempt("192.0.2.1"));
    assert_ne!(configuration.metrics.listen, OrOff::Off);
    assert!(
        loaded
            .warnings
            .iter()
            .all(|warning| warning.severity == Severity::Warning)
    );
}

#[test]
fn a_file_of_two_lines_is_enough() {
    let text = "[hosts.\"montague.lit\"]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n";
    let loaded = Configuration::parse(text, Path::new("balcony.toml"), Path::new("/etc/balcony")).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.configuration.data_dir, Path::new("/etc/balcony/data"));
    assert_eq!(
        loaded.configuration.admin_socket(),
        Path::new("/etc/balcony/data/admin.sock")
    );
    let host = loaded.configuration.hosts.values().next().unwrap();
    assert_eq!(host.key.as_deref(), Some(Path::new("/etc/balcony/a.key")));
}
