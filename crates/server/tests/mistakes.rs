//! What an operator hears about a wrong configuration: every mistake, where it is, and what to do.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use server::config::{Configuration, Severity};

/// A host that has all it needs, on lines 1 to 3.
const HOST: &str = "[hosts.\"montague.lit\"]\ncertificate = \"a.pem\"\nkey = \"a.key\"\n";

fn told(text: &str) -> String {
    match Configuration::parse(text, Path::new("b.toml"), Path::new("/etc/balcony")) {
        Ok(loaded) => loaded.warnings.to_string(),
        Err(problems) => problems.to_string(),
    }
}

#[track_caller]
fn check(rest: &str, expected: &[&str]) {
    assert_eq!(told(&format!("{HOST}{rest}")), expected.join("\n"));
}

#[test]
fn a_slip_of_the_pen_gets_the_nearest_name() {
    check(
        "[c2s]\nrequire_tsl = true\n",
        &[
            "b.toml:5:1: c2s.require_tsl: there is no such setting",
            "    Did you mean \"require_tls\"?",
        ],
    );
    check(
        "[limit]\n",
        &[
            "b.toml:4:2: limit: there is no such setting",
            "    Did you mean \"limits\"?",
        ],
    );
    check(
        "admin = []\n",
        &[
            "b.toml:4:1: hosts.\"montague.lit\".admin: there is no such setting",
            "    Did you mean \"admins\"?",
        ],
    );
    check(
        "[c2s]\nrequire-tls = true\n",
        &[
            "b.toml:5:1: c2s.require-tls: there is no such setting",
            "    Did you mean \"require_tls\"?",
        ],
    );
}

#[test]
fn a_setting_in_the_wrong_section_is_sent_to_the_right_one() {
    check(
        "[c2s]\niterations = 10\n",
        &[
            "b.toml:5:1: c2s.iterations: there is no such setting",
            "    \"iterations\" belongs to [sasl].",
        ],
    );
    check(
        "data_dir = \"x\"\n",
        &[
            "b.toml:4:1: hosts.\"montague.lit\".data_dir: there is no such setting",
            "    \"data_dir\" belongs at the top of the file, before any section.",
        ],
    );
    check(
        "[runtime]\nunheard_of = 1\n",
        &[
            "b.toml:5:1: runtime.unheard_of: there is no such setting",
            "    [runtime] may contain: workers.",
        ],
    );
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    check(
        "[c2s]\nlisten = [\"5222\", \"localhost:5222\", \"127.0.0.1:5222\"]\nrequire_tls = \"yes\"\n[sasl]\niterations = 5\n[log]\nformat = \"jsn\"\n",
        &[
            "b.toml:5:11: c2s.listen: \"5222\" is no IP address with a port",
            "    Write an IP address and a port such as \"[::]:5222\" or \"127.0.0.1:5222\".",
            "b.toml:5:19: c2s.listen: \"localhost:5222\" is no IP address with a port",
            "    Write an IP address and a port such as \"[::]:5222\" or \"127.0.0.1:5222\".",
            "b.toml:6:15: c2s.require_tls: cannot be a text",
            "    Write true or false, without quotes.",
            "b.toml:8:1: sasl.iterations: 5 rounds are too few: RFC 5802 §5.1 and RFC 7677 §4 want at least 4096",
            "    Leave the setting out for 10000.",
            "b.toml:10:10: log.format: cannot be \"jsn\"",
            "    Did you mean \"json\"? It is \"text\" or \"json\".",
        ],
    );
}

#[test]
fn what_is_not_toml_is_told_with_its_place() {
    let told = told(&format!("{HOST}[c2s\nlisten = []\n"));
    assert!(told.starts_with("b.toml:4:5: not TOML: "), "{told}");
}

#[test]
fn each_kind_of_value_says_how_it_is_written() {
    for (setting, complaint, advice) in [
        (
            "[poke]\ntimeout = 120",
            "cannot be a whole number",
            "Write a time such as \"500ms\"",
        ),
        (
            "[poke]\ntimeout = \"120\"",
            "\"120\" is no time",
            "Write a time such as \"500ms\"",
        ),
        (
            "[poke]\ntimeout = \"2w\"",
            "\"2w\" is no time",
            "Write a time such as \"500ms\"",
        ),
        (
            "[poke]\nrate = \"6\"",
            "\"6\" is no rate",
            "Write how many in how much time, such as \"6/1m\"",
        ),
        (
            "[poke]\nrate = \"0/1m\"",
            "\"0/1m\" would allow nothing at all",
            "Write how many",
        ),
        ("[poke]\nrate = \"6/0s\"", "\"6/0s\" is no rate", "Write how many"),
        (
            "[psa]\ncache_bytes = \"256KB\"",
            "\"KB\" is no unit of bytes",
            "Write a number of bytes with its unit",
        ),
        (
            "[psa]\ncache_bytes = \"256\"",
            "\"256\" lacks a unit",
            "Write a number of bytes with its unit",
        ),
        (
            "[psa]\ncache_bytes = -1",
            "-1 is no number of bytes",
            "Write a number of bytes with its unit",
        ),
        (
            "[limits]\ndepth = \"64\"",
            "cannot be a text",
            "Write a whole number from 0",
        ),
        (
            "[limits]\ndepth = -64",
            "-64 is out of range",
            "Write a whole number from 0",
        ),
        (
            "[limits]\ndepth = 6.5",
            "cannot be a number with a fraction",
            "Write a whole number from 0",
        ),
        (
            "[limits]\nexempt = [\"10.0.0.0/33\"]",
            "\"10.0.0.0/33\" is no block of addresses",
            "Write an address or a block",
        ),
        (
            "[limits]\nexempt = \"10.0.0.0/8\"",
            "is a list and cannot be a text",
            "Write the entries in brackets",
        ),
        (
            "[http]\nbosh = \"http-bind\"",
            "\"http-bind\" is no path",
            "Write a path such as \"/http-bind\"",
        ),
        (
            "[http]\nallowed_origins = [\"https://a.lit/\"]",
            "\"https://a.lit/\" is no origin",
            "Write an origin",
        ),
        (
            "[dns]\nservers = [\"dns.lit\"]",
            "\"dns.lit\" is no IP address",
            "Write an IP address, with a port",
        ),
        (
            "[c2s]\nlisten = [\"::1:5222\"]",
            "\"::1:5222\" lacks a port, or the brackets",
            "Write an IP address and a port",
        ),
        (
            "[muc]\nservices = [\"192.0.2.1\"]",
            "\"192.0.2.1\" is an IP address",
            "Write a domain such as",
        ),
        (
            "[muc]\nservices = [\"a b.lit\"]",
            "\"a b.lit\" is no domain",
            "Write a domain such as",
        ),
        (
            "[s2s.routes]\n\"a.lit\" = \"b.lit\"",
            "\"b.lit\" lacks a port",
            "Write an address or a host, with a port",
        ),
        (
            "[s2s.policy]\n\"a.lit\" = true",
            "is a section and cannot be true or false",
            "Write [s2s.policy.\"a.lit\"]",
        ),
        (
            "[storage]\nurl = \"mysql://x\"",
            "is no database that Balcony knows",
            "Write \"sqlite:FILE\" or",
        ),
        (
            "[storage]\nurl = \"sqlite::memory:\"",
            "is no database that Balcony knows",
            "Write \"sqlite:FILE\" or",
        ),
    ] {
        let text = format!("{HOST}{setting}\n");
        let problems = Configuration::parse(&text, Path::new("b.toml"), Path::new("/")).unwrap_err();
        let told: Vec<_> = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .collect();
        assert_eq!(told.len(), 1, "{setting}: {problems}");
        assert!(told[0].message.contains(complaint), "{setting}: {problems}");
        assert!(told[0].advice.starts_with(advice), "{setting}: {problems}");
        assert_eq!(told[0].place.map(|place| place.line), Some(5), "{setting}");
    }
}

#[test]
fn a_password_in_the_database_url_is_refused_and_not_repeated() {
    for url in [
        "postgres://balcony:verona@db/balcony",
        "postgres://db/balcony?user=b&password=verona",
    ] {
        let told = told(&format!("{HOST}[storage]\nurl = \"{url}\"\n"));
        assert!(
            told.contains("holds a password") && told.contains("storage.password_file"),
            "{told}"
        );
        assert!(!told.contains("verona"), "{told}");
    }
    check("[storage]\nurl = \"postgres://balcony@db/balcony\"\n", &[]);
}

#[test]
fn domains_are_compared_as_the_protocol_compares_them() {
    check(
        "[hosts.\"Montague.LIT\"]\n",
        &[
            "b.toml:1:8: hosts.\"montague.lit\": this domain is here twice",
            "    Keep one of them: upper and lower case, and a final dot, make no difference.",
        ],
    );
    check(
        "[muc]\nservices = [\"MONTAGUE.lit\"]\n",
        &[
            "b.toml:5:1: muc.services: \"montague.lit\" cannot be a room service: it is already a host",
            "    Give each of them a domain of its own.",
        ],
    );
}

#[test]
fn what_is_kept_for_components_is_free_where_there_are_none() {
    check("[metrics]\nlisten = \"127.0.0.1:5347\"\n", &[]);
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (text, complaint) in [
        ("", "hosts: the server has no domain"),
        (
            "[hosts.\"a.lit\"]\n",
            "c2s.require_tls: TLS is demanded, but no host has a certificate",
        ),
        (
            "[hosts.\"a.lit\"]\n",
            "c2s.listen_tls: TLS is offered here, but no host has a certificate",
        ),
        (
            "[hosts.\"a.lit\"]\nkey = \"k\"\n",
            "hosts.\"a.lit\".key: the certificate of this key is not named",
        ),
        (
            "[hosts.\"a.lit\"]\ncertificate = \"k\"\n",
            "hosts.\"a.lit\".certificate: the private key of this certificate is not named",
        ),
        (
            "[s2s.routes]\n\"montague.lit\" = \"b.lit:5269\"",
            "s2s.routes.\"montague.lit\": \"montague.lit\" is a host of this server",
        ),
        (
            "[s2s]\nlisten = [\"127.0.0.1:5222\"]",
            "s2s.listen: 127.0.0.1:5222 is already taken by c2s.listen ([::]:5222)",
        ),
        (
            "[components.domains.\"b.lit\"]\nsecret_file = \"s\"\n[metrics]\nlisten = \"127.0.0.1:5347\"",
            "metrics.listen: 127.0.0.1:5347 is already taken by components.listen",
        ),
        (
            "[components.domains.\"b.lit\"]",
            "components.domains.\"b.lit\": this component has no secret",
        ),
        (
            "[components]\nlisten = []\n[components.domains.\"b.lit\"]\nsecret_file = \"s\"",
            "components.listen: components cannot connect anywhere",
        ),
        (
            "[http]\nwebsocket = \"/http-bind\"",
            "http.websocket: \"/http-bind\" is already the path of http.bosh",
        ),
        (
            "[limits]\nstanza_bytes = \"4KiB\"",
            "limits.stanza_bytes: is too small: RFC 6120 §13.12",
        ),
        (
            "[limits]\nmailbox_bytes = \"1KiB\"",
            "limits.mailbox_bytes: is smaller than one stanza may be",
        ),
        (
            "[limits]\nvcard_bytes = \"1MiB\"",
            "limits.vcard_bytes: is larger than limits.stanza_bytes ever lets through",
        ),
        (
            "[limits]\nunauthenticated_bytes = \"8KiB\"",
            "limits.unauthenticated_stanza_bytes: is larger than limits.unauthenticated_bytes",
        ),
        (
            "[limits]\nlogin_attempts = 50",
            "limits.login_attempts: RFC 6120 §6.4.5",
        ),
        (
            "[limits]\nunauthenticated_time = \"0s\"",
            "limits.unauthenticated_time: leaves no time at all",
        ),
        (
            "[s2s]\nquiet_time = \"31s\"",
            "s2s.quiet_time: is shorter than a second or longer than half a minute",
        ),
        (
            "[psa]\npause_delay = \"1m\"",
            "psa.pause_delay: is longer than ten seconds",
        ),
        (
            "[sasl]\niterations = 100000000",
            "sasl.iterations: 100000000 rounds keep a phone busy",
        ),
    ] {
        let with_host = format!("{HOST}{text}");
        let text = if text.is_empty() || text.starts_with("[hosts") {
            text
        } else {
            &with_host
        };
        let problems = Configuration::parse(text, Path::new("b.toml"), Path::new("/")).unwrap_err();
        assert!(problems.to_string().contains(complaint), "{text}: {problems}");
    }
}

#[test]
fn what_is_risky_is_told_and_allowed() {
    for (rest, warning) in [
        (
            "registration = \"open\"",
            "hosts.\"montague.lit\".registration: anybody may create accounts",
        ),
        (
            "admins = [\"a@b.lit\"]",
            "hosts.\"montague.lit\".admins: a@b.lit lives on another server",
        ),
        (
            "[c2s]\nrequire_tls = false",
            "c2s.require_tls: passwords and messages may cross the network in the clear",
        ),
        (
            "[metrics]\nlisten = \"0.0.0.0:9568\"",
            "metrics.listen: everybody who reaches 0.0.0.0:9568",
        ),
        (
            "[http]\ntrusted_proxies = [\"0.0.0.0/0\"]",
            "http.trusted_proxies: 0.0.0.0/0 lets every client choose",
        ),
        (
            "[storage]\npassword_file = \"p\"",
            "storage.password_file: an SQLite database has no password",
        ),
        (
            "password_storage = \"argon2id\"\n[c2s]\nrequire_tls = false",
            "hosts.\"montague.lit\".password_storage: nobody can log in",
        ),
    ] {
        let loaded =
            Configuration::parse(&format!("{HOST}{rest}\n"), Path::new("b.toml"), Path::new("/")).unwrap();
        let told = loaded.warnings.to_string();
        assert!(told.contains(&format!("warning: {warning}")), "{rest}: {told}");
    }
}

#[test]
fn https_without_any_certificate_is_left_out_and_told() {
    let text = "[hosts.\"a.lit\"]\n[c2s]\nrequire_tls = false\nlisten = []\nlisten_tls = []\n";
    let loaded = Configuration::parse(text, Path::new("b.toml"), Path::new("/")).unwrap();
    let told = loaded.warnings.to_string();
    assert!(
        told.contains("warning: http.listen_tls: nothing is served here"),
        "{told}"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let problems = Configuration::load(Path::new("/nonexistent/balcony.toml")).unwrap_err();
    let told = problems.to_string();
    assert!(
        told.starts_with("/nonexistent/balcony.toml: cannot be read: "),
        "{told}"
    );
    assert!(told.contains("--config FILE"), "{told}");
}
