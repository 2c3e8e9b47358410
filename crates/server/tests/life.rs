//! The life of a server as its operator and systemd see it: ready, alive, reloaded, drained.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a process is waited for in real time")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sasl::client::{ClientBinding, ClientKeys, ScramClient};
use sasl::{HashFunction, Nonce, Password};

/// Nothing here takes longer than this unless it is broken.
const PATIENCE: Duration = Duration::from_secs(20);

struct Machine {
    directory: PathBuf,
    server: Option<Child>,
    systemd: UnixDatagram,
}

impl Machine {
    /// A server that runs, and has said so.
    fn started(name: &str, configuration: &str) -> Machine {
        let directory = std::env::temp_dir().join(format!("balcony-life-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        let socket = directory.join("notify");
        let systemd = UnixDatagram::bind(&socket).unwrap();
        systemd.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut machine = Machine {
            directory,
            server: None,
            systemd,
        };
        machine.write(configuration);
        let server = machine
            .balcony("run")
            .env("NOTIFY_SOCKET", &socket)
            .env("WATCHDOG_USEC", "200000")
            .env_remove("WATCHDOG_PID")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        machine.server = Some(server);
        machine.hears("READY=1");
        machine
    }

    fn write(&self, configuration: &str) {
        let clients = match configuration.contains("[c2s]") {
            true => "",
            false => "[c2s]\nlisten = []\nlisten_tls = []\nrequire_tls = false\n",
        };
        let always = "[s2s]\nlisten = []\nlisten_tls = []\n[components]\nlisten = []\n[http]\nlisten = []\nlisten_tls = []\n";
        std::fs::write(
            self.directory.join("balcony.toml"),
            format!("{clients}{always}{configuration}"),
        )
        .unwrap();
    }

    fn balcony(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_balcony"));
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .env_remove("BALCONY_CONFIG")
            .env_remove("BALCONY_LOG");
        command
    }

    fn run(&self, arguments: &str) -> (Option<i32>, String) {
        let Output {
            status,
            stdout,
            stderr,
        } = self.balcony(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout) + &text(stderr))
    }

    /// Waits until systemd is told this; other words may come before.
    fn hears(&self, word: &str) {
        let began = Instant::now();
        let mut datagram = [0; 1024];
        while began.elapsed() < PATIENCE {
            let length = self.systemd.recv(&mut datagram).unwrap();
            let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
            if text.lines().any(|line| line == word) {
                return;
            }
        }
        panic!("systemd was not told {word}");
    }

    fn ends(&mut self) -> Option<i32> {
        let server = self.server.as_mut().unwrap();
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(status) = server.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server did not end");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

const ONE_HOST: &str = "[hosts.\"montague.lit\"]\n[metrics]\nlisten = \"off\"\n";

#[test]
fn systemd_hears_that_the_server_is_ready_lives_and_stops() {
    let mut machine = Machine::started("systemd", ONE_HOST);
    machine.hears("WATCHDOG=1");
    machine.hears("WATCHDOG=1");
    let process = machine.server.as_ref().unwrap().id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &process])
            .status()
            .unwrap()
            .success()
    );
    machine.hears("STOPPING=1");
    assert_eq!(machine.ends(), Some(0));
}

#[test]
fn a_systemd_that_does_not_listen_keeps_nobody_from_working_and_from_stopping() {
    let mut machine = Machine::started("deaf", ONE_HOST);
    // The kernel keeps a few words for a socket that nobody reads; then whoever says more is blocked.
    let chatterer = UnixDatagram::unbound().unwrap();
    chatterer.set_nonblocking(true).unwrap();
    while chatterer
        .send_to(b"STATUS=", machine.directory.join("notify"))
        .is_ok()
    {}
    assert_eq!(machine.run("status").0, Some(0));
    let (code, told) = machine.run("drain");
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(machine.ends(), Some(0));
}

#[test]
fn reload_takes_over_what_it_can_and_says_what_needs_a_restart() {
    let machine = Machine::started("reload", ONE_HOST);
    let account = "account add juliet@capulet.lit";
    let (code, told) = machine.run(account);
    assert_eq!(code, Some(2), "{told}");

    machine.write(&format!(
        "{ONE_HOST}[hosts.\"capulet.lit\"]\n[limits]\nroster_items = 77\n[runtime]\nworkers = 3\n[decloak]\nservices = false\n"
    ));
    assert_eq!(
        machine.run("reload"),
        (
            Some(0),
            "In force now:\n    hosts.\"capulet.lit\"\n    decloak.services\n    limits.roster_items\n\
             Changed in the file, but only a restart takes it over:\n    runtime.workers\n\
             Restart when it suits: sessions that can be resumed go on (systemctl restart balcony).\n"
                .to_owned()
        )
    );
    // The host is served now; what is missing is only the password.
    let (_, told) = machine.run(account);
    assert!(told.contains("no terminal"), "{told}");
    let (code, told) = machine.run("status --json");
    assert_eq!(code, Some(0));
    assert!(told.contains("capulet.lit"), "{told}");

    assert_eq!(
        machine.run("reload").1.lines().next(),
        Some("No setting has changed; certificates were read anew.")
    );
}

#[test]
fn a_mistake_in_the_file_changes_nothing() {
    let machine = Machine::started("mistake", ONE_HOST);
    machine.write(&format!(
        "{ONE_HOST}[hosts.\"capulet.lit\"]\n[limits]\nroster_itmes = 77\n"
    ));
    let (code, told) = machine.run("reload --config other.toml");
    assert_eq!(code, Some(1), "{told}");
    // The command line reads the file too, to know where the server is; the server itself is asked by its socket.
    let (code, told) = machine.run("reload");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("roster_items"), "{told}");
    // How the server is can be seen all the same; the mistake is told besides.
    for written in [String::new(), "[limits\n".to_owned()] {
        machine.write(&format!("{ONE_HOST}[limits]\nroster_itmes = 77\n{written}"));
        let (code, told) = machine.run("status");
        assert_eq!(code, Some(0), "{told}");
        assert!(
            told.contains("serving") && told.contains("goes on with what it has read"),
            "{told}"
        );
        assert!(
            told.contains("roster_items") || told.contains("not TOML"),
            "{told}"
        );
    }
    machine.write(ONE_HOST);
    let (_, told) = machine.run("status --json");
    assert!(!told.contains("capulet.lit"), "{told}");
}

#[test]
fn a_certificate_that_cannot_be_read_is_told_by_reload() {
    let machine = Machine::started("certificate", ONE_HOST);
    machine.write(
        "[hosts.\"montague.lit\"]\ncertificate = \"gone.pem\"\nkey = \"gone.key\"\n[metrics]\nlisten = \"off\"\n",
    );
    let (code, told) = machine.run("reload");
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("gone.pem"), "{told}");
}

#[test]
fn a_drained_server_has_ended_when_the_command_says_so() {
    for arguments in ["drain", "drain --final"] {
        let mut machine = Machine::started(&arguments.replace(' ', ""), ONE_HOST);
        let (code, told) = machine.run(arguments);
        assert_eq!(code, Some(0), "{told}");
        assert!(told.starts_with("The server has stopped ("), "{told}");
        assert_eq!(machine.ends(), Some(0));
        assert_eq!(machine.run(arguments).0, Some(3));
    }
}

/// Romeo, on a connection without TLS.
struct Romeo(TcpStream);

impl Romeo {
    fn enters(machine: &Machine, port: u16) -> Romeo {
        let mut add = machine
            .balcony("account add romeo@montague.lit --password-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        add.stdin.take().unwrap().write_all(b"secret\n").unwrap();
        assert!(add.wait().unwrap().success());

        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut romeo = Romeo(socket);
        let open = "<stream:stream to='montague.lit' version='1.0' xmlns='jabber:client' \
                    xmlns:stream='http://etherx.jabber.org/streams'>";
        romeo.says(open, "</stream:features>");
        romeo.logs_in();
        romeo.says(open, "</stream:features>");
        romeo.says(
            "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
            "</iq>",
        );
        romeo.joins();
        romeo
    }

    fn logs_in(&mut self) {
        let nonce = Nonce::from_random([9; 24]);
        let client = ScramClient::new(HashFunction::Sha1, "romeo", ClientBinding::NotSupported, nonce);
        let first = STANDARD.encode(client.first());
        let heard = self.says(
            &format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>{first}</auth>"),
            "</challenge>",
        );
        let (_, challenge) = heard.trim_end_matches("</challenge>").rsplit_once('>').unwrap();
        let challenged = client.challenged(&STANDARD.decode(challenge).unwrap()).unwrap();
        let password = Password::new("secret").unwrap();
        let keys = ClientKeys::derive(
            HashFunction::Sha1,
            &password,
            &challenged.salt,
            challenged.iterations,
        );
        let proof = STANDARD.encode(challenged.answer(&keys).0);
        self.says(
            &format!("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{proof}</response>"),
            "</success>",
        );
    }

    fn joins(&mut self) {
        let join = "<presence to='garden@rooms.montague.lit/Romeo'>\
                    <x xmlns='http://jabber.org/protocol/muc'/></presence>";
        // The subject comes last (XEP-0045 §7.1).
        self.says(join, "</message>");
    }

    fn says(&mut self, text: &str, awaited: &str) -> String {
        self.0.write_all(text.as_bytes()).unwrap();
        self.hears(awaited)
    }

    /// All that comes until this has come.
    fn hears(&mut self, awaited: &str) -> String {
        let mut heard = String::new();
        let mut piece = [0; 4096];
        while !heard.contains(awaited) {
            let length = self.0.read(&mut piece).unwrap();
            assert_ne!(length, 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
        heard
    }
}

fn with_rooms() -> (u16, String) {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let configuration = format!(
        "[c2s]\nlisten = [\"127.0.0.1:{port}\"]\nlisten_tls = []\nrequire_tls = false\n{ONE_HOST}\
         [muc]\nservices = [\"rooms.montague.lit\"]\n"
    );
    (port, configuration)
}

#[test]
fn an_operator_sees_rooms_and_destroys_one() {
    let (port, configuration) = with_rooms();
    let machine = Machine::started("rooms", &configuration);
    let nothing = (Some(0), "there are no rooms\n".to_owned());
    assert_eq!(machine.run("room list"), nothing);
    let (code, told) = machine.run("room show garden@rooms.montague.lit");
    assert_eq!(code, Some(1));
    assert!(
        told.contains("there is no room garden@rooms.montague.lit"),
        "{told}"
    );
    for wrong in [
        "garden@montague.lit",
        "rooms.montague.lit",
        "garden@rooms.montague.lit/Romeo",
    ] {
        assert_eq!(
            machine.run(&format!("room destroy {wrong}")).0,
            Some(2),
            "{wrong}"
        );
    }

    let mut romeo = Romeo::enters(&machine, port);
    let (code, told) = machine.run("room list");
    assert_eq!(code, Some(0));
    assert!(
        told.starts_with("garden@rooms.montague.lit  1 occupant"),
        "{told}"
    );
    let (code, told) = machine.run("room show garden@rooms.montague.lit --json");
    assert_eq!(code, Some(0));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let room = told.pointer("/rooms/0").unwrap();
    assert_eq!(room.pointer("/room").unwrap(), "garden@rooms.montague.lit");
    assert_eq!(room.pointer("/clients").unwrap(), 1);

    let destroy = "room destroy garden@rooms.montague.lit --reason winter";
    assert_eq!(
        machine.run(destroy),
        (Some(0), "garden@rooms.montague.lit is destroyed\n".to_owned())
    );
    let heard = romeo.hears("</presence>");
    assert!(heard.contains("<destroy") && heard.contains("winter"), "{heard}");
    assert_eq!(machine.run(destroy).0, Some(1));
    assert_eq!(machine.run("room list"), nothing);
}

#[test]
fn xep0045_15_6_2_a_server_that_ends_for_good_tells_those_in_rooms() {
    let (port, configuration) = with_rooms();
    let mut machine = Machine::started("ends", &configuration);
    let mut romeo = Romeo::enters(&machine, port);
    let mut drain = machine
        .balcony("drain --final")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let heard = romeo.hears("</stream:stream>");
    drop(romeo);
    assert_eq!(drain.wait().unwrap().code(), Some(0));
    assert!(
        heard.contains("code='332'") || heard.contains("code=\"332\""),
        "{heard}"
    );
    assert_eq!(machine.ends(), Some(0));
}

#[test]
fn a_room_that_stays_is_listed_and_destroyed_while_nobody_is_in_it_and_no_server_runs() {
    let (port, configuration) = with_rooms();
    let mut machine = Machine::started("stays", &configuration);
    let mut romeo = Romeo::enters(&machine, port);
    romeo.says(
        "<iq type='set' id='c' to='garden@rooms.montague.lit'>\
         <query xmlns='http://jabber.org/protocol/muc#owner'><x xmlns='jabber:x:data' type='submit'>\
         <field var='muc#roomconfig_persistentroom'><value>1</value></field>\
         <field var='muc#roomconfig_membersonly'><value>1</value></field></x></query></iq>",
        "type='result'",
    );
    romeo.says(
        "<presence type='unavailable' to='garden@rooms.montague.lit/Romeo'/>",
        "type='unavailable'",
    );
    let listed = "garden@rooms.montague.lit  0 occupants, members only\n";
    assert_eq!(machine.run("room list"), (Some(0), listed.to_owned()), "unloaded");
    let mut drain = machine.balcony("drain").stdout(Stdio::null()).spawn().unwrap();
    romeo.hears("</stream:stream>");
    drop(romeo);
    assert_eq!(drain.wait().unwrap().code(), Some(0));
    assert_eq!(machine.ends(), Some(0));

    assert_eq!(machine.run("room list"), (Some(0), listed.to_owned()), "stopped");
    let (code, told) = machine.run("room show garden@rooms.montague.lit");
    assert_eq!(code, Some(0));
    assert!(
        told.contains("stays when nobody is in it") && told.contains("made by: romeo@montague.lit"),
        "{told}"
    );
    let destroy = "room destroy garden@rooms.montague.lit";
    assert_eq!(machine.run(destroy).0, Some(0));
    let nothing = (Some(0), "there are no rooms\n".to_owned());
    assert_eq!(machine.run("room list"), nothing);
    let nothing = (Some(0), "{\"reply\":\"rooms\",\"rooms\":[]}\n".to_owned());
    assert_eq!(
        machine.run("room list --json"),
        nothing,
        "machines count for themselves"
    );
    assert_eq!(machine.run(destroy).0, Some(1), "there is none");
}
