//! Every setting there is, changed in the file of a running server: in force at once, or named as what needs a restart.

use std::path::Path;

use machine::Moment;

use super::{federation, settings, start};
use crate::config::Configuration;

/// What the file says before.
const BEFORE: [(&str, &str); 7] = [
    ("hosts.\"verona.lit\".certificate", "\"verona.pem\""),
    ("hosts.\"verona.lit\".key", "\"verona.key\""),
    ("hosts.\"montague.lit\".password_storage", "\"scram\""),
    ("s2s.policy.\"capulet.lit\".allow", "true"),
    (
        "components.domains.\"bridge.montague.lit\".secret_file",
        "\"before.secret\"",
    ),
    ("muc.services", "[\"chats.montague.lit\"]"),
    ("storage.url", "\"sqlite:before.db\""),
];

/// The domains in place of which the descriptions say `DOMAIN`.
const DOMAINS: [(&str, &str); 3] = [
    ("hosts.", "montague.lit"),
    ("s2s.policy.", "capulet.lit"),
    ("components.domains.", "bridge.montague.lit"),
];

/// Another value for what has no default, or none that tells what others there are.
const OTHERWISE: &[(&str, &str)] = &[
    ("data_dir", "\"elsewhere\""),
    ("hosts.\"montague.lit\".certificate", "\"cert.pem\""),
    ("hosts.\"montague.lit\".key", "\"key.pem\""),
    ("hosts.\"montague.lit\".admins", "[\"romeo@montague.lit\"]"),
    ("hosts.\"montague.lit\".registration", "\"open\""),
    ("hosts.\"montague.lit\".password_storage", "\"argon2id\""),
    ("storage.url", "\"sqlite:after.db\""),
    ("storage.password_file", "\"postgres.secret\""),
    ("storage.sync", "\"normal\""),
    ("log.format", "\"json\""),
    ("log.level", "\"debug\""),
    ("s2s.authentication", "\"certificate\""),
    ("s2s.quiet_time", "\"20s\""),
    ("s2s.trusted_roots", "[\"roots.pem\"]"),
    ("s2s.private_addresses", "[\"10.0.0.0/8\"]"),
    ("s2s.routes", "{ \"mantua.lit\" = \"192.0.2.1:5269\" }"),
    ("s2s.policy.\"capulet.lit\".authentication", "\"certificate\""),
    ("s2s.policy.\"capulet.lit\".require_tls", "false"),
    ("dns.servers", "[\"192.0.2.1:53\"]"),
    (
        "components.domains.\"bridge.montague.lit\".secret_file",
        "\"after.secret\"",
    ),
    ("http.bosh", "\"off\""),
    ("http.websocket", "\"off\""),
    ("http.allowed_origins", "[\"https://montague.lit\"]"),
    ("http.trusted_proxies", "[\"192.0.2.0/24\"]"),
    ("http.public_url", "\"https://montague.lit\""),
    ("http.see_other_uri", "\"wss://capulet.lit/ws\""),
    ("muc.services", "[\"rooms.montague.lit\"]"),
    ("poke.mode", "\"refuse\""),
    ("poke.blocked", "\"silent\""),
    ("poke.reveal_unknown", "\"always\""),
    ("limits.login_attempts", "4"),
    ("limits.exempt", "[\"192.0.2.0/24\"]"),
    ("metrics.listen", "\"off\""),
    ("metrics.peers", "[\"capulet.lit\"]"),
];

/// Settings that cannot stand without another.
const TOGETHER: [(&str, (&str, &str)); 3] = [
    (
        "hosts.\"montague.lit\".certificate",
        ("hosts.\"montague.lit\".key", "\"key.pem\""),
    ),
    (
        "hosts.\"montague.lit\".key",
        ("hosts.\"montague.lit\".certificate", "\"cert.pem\""),
    ),
    (
        "storage.password_file",
        ("storage.url", "\"postgres://balcony@localhost/balcony\""),
    ),
];

/// A restart takes these over; the reference says so of none other.
const RESTART: &[&str] = &[
    "data_dir",
    "storage.url",
    "storage.password_file",
    "storage.sync",
    "runtime.workers",
    "log.format",
    "c2s.listen",
    "c2s.listen_tls",
    "s2s.listen",
    "s2s.listen_tls",
    "components.listen",
    "http.listen",
    "http.listen_tls",
    "muc.services",
    "metrics.listen",
    "metrics.peers",
];

fn parsed(changed: &[(&str, &str)]) -> Configuration {
    let is_changed = |key| changed.iter().any(|(other, _)| *other == key);
    let kept = BEFORE.iter().filter(|(key, _)| !is_changed(*key));
    let lines = kept
        .chain(changed)
        .map(|(key, value)| format!("{key} = {value}\n"));
    let text: String = lines.collect();
    let loaded = Configuration::parse(&text, Path::new("balcony.toml"), Path::new("/etc/balcony"));
    loaded
        .unwrap_or_else(|problems| panic!("{changed:?}: {problems}"))
        .configuration
}

/// Another value than the default: the next number, the other of two.
fn other_than(default: &str) -> Option<String> {
    match default {
        "true" => return Some("false".to_owned()),
        "false" => return Some("true".to_owned()),
        "\"off\"" => return Some("\"7/1m\"".to_owned()),
        list if list.starts_with('[') && list.contains(':') => return Some("[\"127.0.0.1:7\"]".to_owned()),
        _ => {}
    }
    let begin = default.find(|c: char| c.is_ascii_digit())?;
    let digits = default[begin..].find(|c: char| !c.is_ascii_digit() && c != '_');
    let end = digits.map_or(default.len(), |length| begin + length);
    let number: u64 = default[begin..end].replace('_', "").parse().ok()?;
    Some(format!("{}{}{}", &default[..begin], number + 1, &default[end..]))
}

/// All that the parts of a running server read, as they would be given it.
fn in_force(configuration: &Configuration) -> String {
    let router = settings::of_router(configuration, Moment::default(), [7; 32]).unwrap();
    let clients = settings::of_clients(configuration, [7; 32]).unwrap();
    let servers = federation::of_servers(configuration).unwrap();
    let certificates = start::certificate_files(configuration);
    // Files that are read at a reload, and that this test has not got.
    let (roots, components) = (
        &configuration.s2s.trusted_roots,
        &configuration.components.domains,
    );
    let level = configuration.log.level;
    format!("{router:?}{clients:?}{servers:?}{certificates:?}{roots:?}{components:?}{level:?}")
}

#[test]
fn every_setting_is_in_force_at_once_or_named_as_what_needs_a_restart() {
    let mut wrong = Vec::new();
    let mut waiting = Vec::new();
    let all = Configuration::settings();
    for (key, default) in &all {
        let key = DOMAINS.iter().fold(key.clone(), |key, (table, domain)| {
            key.replace(&format!("{table}\"DOMAIN\""), &format!("{table}\"{domain}\""))
        });
        let known = OTHERWISE.iter().find(|(other, _)| *other == key);
        let value = known.map(|(_, value)| (*value).to_owned());
        let Some(value) = value.or_else(|| other_than(default.as_deref()?)) else {
            wrong.push(format!("{key}: this test knows no other value than {default:?}"));
            continue;
        };
        let together = TOGETHER.iter().find(|(other, _)| *other == key);
        let mut changed = vec![(key.as_str(), value.as_str())];
        changed.extend(together.map(|(_, line)| *line));
        let (before, after) = (parsed(&[]), parsed(&changed));
        let live = before.with_live_settings_of(&after);
        let (taken, left) = (before.differences(&live), live.differences(&after));
        let is_told = |keys: &[String]| {
            keys.iter()
                .any(|told| *told == key || key.starts_with("s2s.routes") && told.starts_with(&key))
        };
        match (is_told(&taken), is_told(&left)) {
            (true, false) if in_force(&before) == in_force(&live) => {
                wrong.push(format!("{key}: said to be in force, but nobody reads it"));
            }
            (true, false) => {}
            (false, true) => waiting.push(key),
            _ => wrong.push(format!("{key}: taken {taken:?}, left {left:?}")),
        }
    }
    assert_eq!(wrong, [""; 0], "{wrong:#?}");
    assert!(all.len() > 100, "{} settings", all.len());
    waiting.sort();
    let mut expected = RESTART.to_vec();
    expected.sort();
    assert_eq!(waiting, expected);
}

#[test]
fn a_host_is_added_at_once_and_taken_away_by_a_restart() {
    let one = parsed(&[]);
    let two = parsed(&[("hosts.\"mantua.lit\".registration", "\"closed\"")]);
    let added = one.with_live_settings_of(&two);
    assert_eq!(
        (added.differences(&two), one.differences(&added)),
        (vec![], vec!["hosts.\"mantua.lit\"".to_owned()])
    );
    let gone = two.with_live_settings_of(&one);
    assert_eq!(
        (gone.differences(&one), two.differences(&gone)),
        (vec!["hosts.\"mantua.lit\"".to_owned()], vec![])
    );
}
