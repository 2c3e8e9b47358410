//! The house stands as `docs/architecture.md` draws it: each crate uses only those before it, and only three know a runtime.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// In dependency order, as in the architecture.
const ORDER: &[&str] = &[
    "xml",
    "stanza",
    "machine",
    "sasl",
    "stream",
    "stream-management",
    "roster",
    "privacy",
    "presence",
    "features",
    "c2s",
    "bosh",
    "s2s",
    "account",
    "muc",
    "turns",
    "router",
    "storage",
    "transport",
    "server",
    "simulation",
];

/// Nothing else may wait, read a clock or open a socket.
const MAY_WAIT: &[&str] = &["storage", "transport", "server"];

/// Crates that bring a runtime, sockets or a database.
const RUNTIMES: &[&str] = &[
    "tokio",
    "tokio-rustls",
    "sqlx",
    "axum",
    "hyper",
    "socket2",
    "notify",
];

/// The normal dependencies of each crate of the house, both under their short names.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().trim_start_matches("balcony-").to_owned();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| dependency["kind"].is_null())
            .map(|dependency| text(&dependency["name"]))
            .collect()
    };
    let in_house = |package: &&Value| package["manifest_path"].as_str().unwrap().contains("/crates/");
    let packages = metadata["packages"].as_array().unwrap().iter().filter(in_house);
    packages
        .map(|package| (text(&package["name"]), of(package)))
        .collect()
}

#[test]
fn every_crate_uses_only_those_before_it() {
    let dependencies = dependencies();
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    for (name, uses) in &dependencies {
        let own = place(name).unwrap_or_else(|| panic!("{name} has no place in the order"));
        for used in uses.iter().filter(|used| dependencies.contains_key(*used)) {
            assert!(
                place(used).unwrap() < own,
                "{name} uses {used}, which comes after it"
            );
        }
    }
    assert_eq!(
        dependencies.len(),
        ORDER.len(),
        "the order names crates that are not there"
    );
}

#[test]
fn only_three_crates_know_a_runtime() {
    for (name, uses) in dependencies() {
        let forbidden = uses.iter().find(|used| RUNTIMES.contains(&used.as_str()));
        if let Some(used) = forbidden {
            assert!(MAY_WAIT.contains(&name.as_str()), "{name} uses {used}");
        }
    }
}

#[test]
fn the_architecture_names_the_crates_in_their_order() {
    let page = include_str!("../../../docs/architecture.md");
    let places: Vec<usize> = ORDER
        .iter()
        .map(|name| {
            page.find(&format!("| `{name}` |"))
                .unwrap_or_else(|| panic!("{name} is missing"))
        })
        .collect();
    assert!(
        places.is_sorted(),
        "docs/architecture.md names the crates in another order"
    );
}
