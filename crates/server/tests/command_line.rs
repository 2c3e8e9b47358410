//! The program as it is typed: what it tells, to whom, and how it ends.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

struct Machine(PathBuf);

impl Machine {
    /// A directory with a configuration that needs no certificate and no port.
    fn new(name: &str) -> Machine {
        let directory = std::env::temp_dir().join(format!("balcony-cli-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let machine = Machine(directory);
        machine.write(
            "balcony.toml",
            "[hosts.\"montague.lit\"]\n\n[c2s]\nlisten = []\nlisten_tls = []\nrequire_tls = false\n\n[s2s]\nlisten = []\nlisten_tls = []\n\n[http]\nlisten = []\nlisten_tls = []\n\n[metrics]\nlisten = \"off\"\n\n\
             [limits]\nconnections = 10\nunauthenticated_connections = 10\n",
        );
        machine
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn balcony(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_balcony"));
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.0)
            .stdin(Stdio::null());
        command.env_remove("BALCONY_CONFIG").env_remove("BALCONY_LOG");
        command
    }

    fn run(&self, arguments: &str) -> Ended {
        Ended::from(self.balcony(arguments).output().unwrap())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

#[test]
fn wrong_use_ends_with_2_and_says_what_is_right() {
    let machine = Machine::new("use");
    for (arguments, told) in [
        ("", "Usage: balcony [OPTIONS] <COMMAND>"),
        ("chekc", "a similar subcommand exists: 'check'"),
        ("check --verbose", "unexpected argument '--verbose'"),
        ("account add", "<JID>"),
        ("account add montague.lit", "is a domain, not an account"),
        (
            "account delete romeo@montague.lit/orchard",
            "names one connected client",
        ),
        (
            "account add romeo@capulet.lit --password-stdin",
            "capulet.lit is no host of this server",
        ),
        (
            "account add romeo@montague.lit",
            "there is no terminal on which a password could be typed",
        ),
        (
            "account add romeo@montague.lit --password-stdin",
            "the password is empty",
        ),
    ] {
        let ended = machine.run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments}: {ended:?}");
        assert!(ended.err.contains(told), "{arguments}: {ended:?}");
        assert_eq!(ended.out, "", "{arguments}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    let machine = Machine::new("help");
    let help = machine.run("--help");
    assert_eq!(help.code, Some(0));
    assert!(help.out.contains("3 the server is not running"), "{help:?}");
    let version = machine.run("--version");
    assert!(
        version
            .out
            .starts_with(concat!("balcony ", env!("CARGO_PKG_VERSION"))),
        "{version:?}"
    );
}

#[test]
fn without_a_server_commands_that_need_one_end_with_3() {
    let machine = Machine::new("stopped");
    let status = machine.run("status");
    assert_eq!(status.code, Some(3), "{status:?}");
    assert!(
        status.err.starts_with("balcony: no server is running ("),
        "{status:?}"
    );
    assert!(
        status
            .err
            .ends_with("data/admin.sock)\n    Start it with: balcony run\n"),
        "{status:?}"
    );

    let status = machine.run("status --json");
    assert_eq!((status.code, status.err.as_str()), (Some(3), ""));
    let told: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert!(
        told["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("no server is running"),
        "{told}"
    );
    assert_eq!(told["error"]["advice"], "Start it with: balcony run");
}

#[test]
fn check_ends_with_0_when_nothing_prevents_a_start() {
    let machine = Machine::new("check");
    let check = machine.run("check");
    assert_eq!(
        (check.code, check.out.as_str()),
        (Some(0), "balcony.toml: nothing is wrong\n"),
        "{check:?}"
    );
    machine.write("risky.toml", "[hosts.\"montague.test\"]\n[c2s]\nrequire_tls = false\nlisten_tls = []\nlisten = [\"0.0.0.0:0\"]\n[http]\nlisten = []\nlisten_tls = []\n[metrics]\nlisten = \"off\"\n[limits]\nconnections = 10\nunauthenticated_connections = 10\n[s2s]\nlisten = []\nlisten_tls = []\n");
    let check = machine.run("check --config risky.toml");
    assert_eq!(check.code, Some(0), "{check:?}");
    assert!(
        check
            .out
            .starts_with("risky.toml:3:1: warning: c2s.require_tls: "),
        "{check:?}"
    );
}

#[test]
fn check_tells_everything_that_is_wrong_and_ends_with_1() {
    let machine = Machine::new("wrong");
    machine.write(
        "wrong.toml",
        "[hosts.\"montague.lit\"]\n[c2s]\nlisten = [\"5222\"]\nlisten_tls = []\nrequire_tsl = false\n[http]\nlisten_tls = []\n",
    );
    let check = machine.run("check --config wrong.toml");
    assert_eq!(check.code, Some(1), "{check:?}");
    let lines: Vec<&str> = check
        .out
        .lines()
        .filter(|line| line.starts_with("wrong.toml"))
        .collect();
    assert_eq!(
        lines,
        [
            "wrong.toml:2:2: c2s.require_tls: TLS is demanded, but no host has a certificate",
            "wrong.toml:3:11: c2s.listen: \"5222\" is no IP address with a port",
            "wrong.toml:5:1: c2s.require_tsl: there is no such setting",
        ]
    );

    let check = machine.run("check --json --config wrong.toml");
    let told: serde_json::Value = serde_json::from_str(&check.out).unwrap();
    assert_eq!(
        (told["fine"].as_bool(), told["file"].as_str()),
        (Some(false), Some("wrong.toml"))
    );
    assert_eq!(told["problems"][2]["place"]["line"], 5);
    assert_eq!(told["problems"][2]["advice"], "Did you mean \"require_tls\"?");

    machine.write("files.toml", "[hosts.\"montague.lit\"]\ncertificate = \"no.pem\"\nkey = \"no.key\"\n[metrics]\nlisten = \"off\"\n[c2s]\nlisten = []\nlisten_tls = []\n[http]\nlisten = []\nlisten_tls = []\n[limits]\nconnections = 10\nunauthenticated_connections = 10\n");
    let check = machine.run("check --config files.toml");
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(
        check
            .out
            .contains("files.toml:2:1: hosts.\"montague.lit\".certificate: "),
        "{check:?}"
    );
    assert!(
        check.out.contains("files.toml:3:1: hosts.\"montague.lit\".key: "),
        "{check:?}"
    );
}

#[test]
fn the_configuration_is_looked_for_where_the_documentation_says() {
    let machine = Machine::new("places");
    let elsewhere = Machine::new("elsewhere");
    std::fs::remove_file(elsewhere.0.join("balcony.toml")).unwrap();
    let named = machine.0.join("balcony.toml");

    let mut command = elsewhere.balcony("check");
    let ended = Ended::from(command.env("BALCONY_CONFIG", &named).output().unwrap());
    assert_eq!(ended.out, format!("{}: nothing is wrong\n", named.display()));

    let mut command = machine.balcony("check --config not-there.toml");
    let ended = Ended::from(command.env("BALCONY_CONFIG", &named).output().unwrap());
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.out.starts_with("not-there.toml: cannot be read: "),
        "{ended:?}"
    );

    if !Path::new("/etc/balcony/balcony.toml").exists() {
        let ended = elsewhere.run("check");
        assert_eq!(ended.code, Some(1));
        assert!(
            ended
                .err
                .contains("neither balcony.toml nor /etc/balcony/balcony.toml"),
            "{ended:?}"
        );
    }
}
