//! Instructions of the whole server per chat message, from one socket to the other, and bytes of a connection that does
//! nothing, counted by valgrind: `cargo bench -p balcony-transport`.
//!
//! The program runs itself under valgrind as the server and without it as the clients; two numbers of rounds are
//! compared, so that start-up and logins count for nothing. What the kernel does is not here.

#[path = "../tests/ground/mod.rs"]
mod ground;

use std::env;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitCode, Stdio};

use c2s::Encryption;
use ground::{HOSTS, Line, Server, settings};

/// About what people write.
const MESSAGE: &str = "<message to='juliet0@montague.lit/balcony' id='ktx72v49' type='chat' xml:lang='en'>\
     <body>Art thou not Romeo, and a Montague? Neither, fair saint, if either thee dislike.</body>\
     <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>";

/// Messages in one write of a busy sender.
const BURST: usize = 16;

const ROUNDS: [usize; 2] = [100, 300];

/// What is done in a round.
#[derive(Clone, Copy, PartialEq)]
enum Work {
    /// One message, and the next when it has arrived.
    Single,
    /// The same between clients that count (XEP-0198).
    Counted,
    /// Many in one write.
    Burst,
    /// A ping to the own server.
    Ping,
    /// One more client that does nothing.
    Idle,
}

const CASES: [(&str, Wire, Work); 9] = [
    ("message, plain", Wire::Plain, Work::Single),
    ("message, plain, counted", Wire::Plain, Work::Counted),
    ("message of a burst, plain", Wire::Plain, Work::Burst),
    ("ping, plain", Wire::Plain, Work::Ping),
    ("message, TLS", Wire::Tls, Work::Single),
    ("message of a burst, TLS", Wire::Tls, Work::Burst),
    ("ping, TLS", Wire::Tls, Work::Ping),
    ("bytes of an idle session, plain", Wire::Plain, Work::Idle),
    ("bytes of an idle session, TLS", Wire::Tls, Work::Idle),
];

#[derive(Clone, Copy, PartialEq)]
enum Wire {
    Plain,
    Tls,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &texts[..] {
        ["server", case, rounds] => serve(case, rounds),
        ["clients", case, rounds, address] => visit(case, rounds, address),
        wanted => {
            for (name, _, work) in CASES {
                if !wanted.iter().all(|word| name.contains(word)) {
                    continue;
                }
                let Some(count) = difference(name, work) else {
                    eprintln!("valgrind is needed to count");
                    return ExitCode::FAILURE;
                };
                println!("{name:34}{count:>10}");
            }
        }
    }
    ExitCode::SUCCESS
}

/// What one round more costs.
fn difference(name: &str, work: Work) -> Option<usize> {
    let (tool, label) = match work {
        Work::Idle => ("memcheck", "in use at exit: "),
        Work::Single | Work::Counted | Work::Burst | Work::Ping => ("callgrind", "Collected : "),
    };
    let [few, many] = ROUNDS.map(|rounds| {
        let output = Command::new("valgrind")
            .arg(format!("--tool={tool}"))
            .args((tool == "callgrind").then_some("--callgrind-out-file=/dev/null"))
            .arg(env::current_exe().ok()?)
            .args(["server", name, &rounds.to_string()])
            .output()
            .ok()?;
        let report = String::from_utf8(output.stderr).ok()?;
        let count = report.lines().find_map(|line| line.split_once(label))?.1;
        let digits = count.trim().split(' ').next()?.replace(',', "");
        digits.parse::<usize>().ok()
    });
    let each = if work == Work::Burst { BURST } else { 1 };
    Some((many? - few?) / (ROUNDS[1] - ROUNDS[0]) / each)
}

fn case(name: &str, rounds: &str) -> (Wire, Work, usize) {
    let known = CASES.iter().find(|(known, ..)| *known == name);
    let &(_, wire, work) = known.unwrap_or_else(|| panic!("no case {name}"));
    (
        wire,
        work,
        rounds.parse().unwrap_or_else(|error| panic!("{error}")),
    )
}

/// Counts of clients.
fn sessions(work: Work, rounds: usize) -> usize {
    if work == Work::Idle { rounds } else { 1 }
}

/// The server: runs the clients, and ends when they are done.
fn serve(name: &str, rounds: &str) {
    let (_, work, count) = case(name, rounds);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    let mut clients = runtime.block_on(async {
        let server = Server::start(settings(Encryption::Optional));
        server.account("romeo@montague.lit").await;
        for number in 0..sessions(work, count) {
            server.account(&format!("juliet{number}@montague.lit")).await;
        }
        let mut clients = spawn_clients(name, rounds, server.address);
        let output = clients.stdout.take();
        let finished = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            output.map(|output| BufReader::new(output).read_line(&mut line))
        });
        drop(finished.await);
        clients
    });
    let _ = clients.kill();
    let _ = clients.wait();
    // With all connections as they are: this is what is counted.
    std::process::exit(0);
}

fn spawn_clients(name: &str, rounds: &str, address: SocketAddr) -> Child {
    let this = env::current_exe().unwrap_or_else(|error| panic!("{error}"));
    Command::new(this)
        .args(["clients", name, rounds, &address.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The clients: say when they are done, and wait for their end.
fn visit(name: &str, rounds: &str, address: &str) {
    let (wire, work, rounds) = case(name, rounds);
    let address = address.parse().unwrap_or_else(|error| panic!("{error}"));
    let mut juliets: Vec<Line> = (0..sessions(work, rounds))
        .map(|number| client(address, wire, &format!("juliet{number}"), "balcony"))
        .collect();
    if work != Work::Idle {
        let mut romeo = client(address, wire, "romeo", "orchard");
        let juliet = juliets.first_mut().unwrap_or_else(|| panic!("nobody is there"));
        converse(work, rounds, &mut romeo, juliet);
    }
    println!("done");
    loop {
        std::thread::park();
    }
}

fn client(address: SocketAddr, wire: Wire, name: &str, resource: &str) -> Line {
    let mut line = Line::dial(address);
    line.open(HOSTS[0]);
    if wire == Wire::Tls {
        line.talk("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "/>");
        line.secure(HOSTS[0]);
        line.open(HOSTS[0]);
    }
    line.log_in(&format!("{name}@montague.lit"), resource);
    line
}

fn converse(work: Work, rounds: usize, romeo: &mut Line, juliet: &mut Line) {
    juliet.appear();
    if work == Work::Counted {
        for line in [&mut *romeo, &mut *juliet] {
            line.talk("<enable xmlns='urn:xmpp:sm:3'/>", "/>");
        }
    }
    romeo.say(MESSAGE);
    let length = juliet.hear("</message>").len();
    let burst = MESSAGE.repeat(BURST);
    for round in 0..rounds {
        match work {
            Work::Single => {
                romeo.say(MESSAGE);
                juliet.skip(length);
            }
            Work::Counted => {
                juliet.hear("<r xmlns='urn:xmpp:sm:3'/>");
                juliet.say(&format!("<a xmlns='urn:xmpp:sm:3' h='{}'/>", round + 1));
                romeo.say(&format!("{MESSAGE}<r xmlns='urn:xmpp:sm:3'/>"));
                juliet.hear("</message>");
            }
            Work::Burst => {
                romeo.say(&burst);
                juliet.skip(length * BURST);
            }
            Work::Ping => {
                romeo.talk(
                    "<iq type='get' id='p' to='montague.lit'><ping xmlns='urn:xmpp:ping'/></iq>",
                    "/>",
                );
            }
            Work::Idle => {}
        }
    }
}
