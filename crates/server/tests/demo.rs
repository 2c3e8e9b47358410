//! `balcony demo` does what it shows, within a bounded time.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "a process is waited for in real time")]

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// It takes ten seconds; a machine that is busy with other tests may need more.
const PATIENCE: Duration = Duration::from_secs(120);

/// What is told, in order: who is told it, and a part of it.
const SEEN: [(&str, &str); 7] = [
    ("romeo@montague.lit/orchard", "<status>Ay me!</status></presence>"),
    ("juliet@capulet.lit/balcony", "<poke "),
    ("romeo@montague.lit/orchard", "method='touch'"),
    (
        "romeo@montague.lit/orchard",
        "from='montague.lit'><server-unavailable/>",
    ),
    (
        "romeo@montague.lit/orchard",
        "<status>Ay me!</status><state-annotation xmlns='urn:xmpp:psa' from='montague.lit'/>",
    ),
    ("romeo@montague.lit/orchard", "<connection-paused/>"),
    (
        "romeo@montague.lit/orchard",
        "'><state-annotation xmlns='urn:xmpp:psa' from='montague.lit'/></presence>",
    ),
];

#[test]
fn two_servers_and_three_clients_show_what_each_client_sees() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_balcony"))
        .args(["demo", "--json"])
        .env_remove("BALCONY_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdout, mut stderr) = (demo.stdout.take().unwrap(), demo.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    let began = Instant::now();
    let status = loop {
        if let Some(status) = demo.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > PATIENCE {
            demo.kill().unwrap();
            demo.wait().unwrap();
            panic!("it does not come to an end: {}", reader.join().unwrap());
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let text = reader.join().unwrap();
    let mut trouble = String::new();
    stderr.read_to_string(&mut trouble).unwrap();
    assert!(status.success(), "{text}\n{trouble}");
    let events: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut sights = events.iter().filter(|event| event["event"] == "sees");
    for (client, part) in SEEN {
        let is_it = |sight: &&serde_json::Value| {
            sight["client"] == client && sight["stanza"].as_str().unwrap().contains(part)
        };
        assert!(
            sights.any(|sight| is_it(&sight)),
            "{client} does not see {part}:\n{text}"
        );
    }
    let directory = format!("balcony-demo-{}", demo.id());
    assert!(
        !std::env::temp_dir().join(directory).exists(),
        "nothing is left behind"
    );
}
