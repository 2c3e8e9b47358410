//! Instructions of one routed chat message, from the element to the bytes in front of the socket, counted by callgrind:
//! `cargo bench -p balcony-router`.
//!
//! The program runs itself under valgrind with two numbers of rounds; the difference is free of start-up costs. Framing
//! is counted in `balcony-xml`, the session in `balcony-c2s`; the socket and TLS are not here at all.

use std::env;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use machine::{Moment, Timestamp};
use parking_lot::Mutex;
use router::{Alarm, Host, Hosts, Router, SessionHandle, Settings, Store, Surroundings};
use sasl::{HashFunctions, Password, PasswordPolicy};
use stanza::{Address, Stanza, Target};
use storage::Memory;
use stream_management::{Mailbox, Signal};
use turns::Worker;
use xml::{ContentNamespace, Element};

const ROUNDS: [u64; 2] = [1_000, 3_000];

/// As large as the chat message of `balcony-xml`'s count.
const MESSAGE: &[u8] = b"<message to='juliet@capulet.lit/balcony' type='chat' id='ktx72v49' xml:lang='en'>\
    <body>Art thou not Romeo, and a Montague? Neither, fair saint, if either thee dislike.</body>\
    <active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [what, rounds] = &arguments[..]
        && let Ok(rounds) = rounds.parse()
    {
        run(what, rounds);
        return ExitCode::SUCCESS;
    }
    println!("{:42}{:>14}", "instructions per chat message", MESSAGE.len());
    for (what, name) in [
        ("element", "element to stanza (parsed anew each time)"),
        ("route", "the same, two turns, mailbox, emission"),
    ] {
        match instructions(what) {
            Some(count) => println!("{name:42}{count:>14}"),
            None => {
                eprintln!("valgrind is needed to count instructions");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn instructions(what: &str) -> Option<u64> {
    let [few, many] = ROUNDS.map(|rounds| {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env::current_exe().ok()?)
            .args([what, &rounds.to_string()])
            .output()
            .ok()?;
        let report = String::from_utf8(output.stderr).ok()?;
        let count = report.lines().find_map(|line| line.split_once("Collected : "))?.1;
        count.trim().parse::<u64>().ok()
    });
    Some((many? - few?) / (ROUNDS[1] - ROUNDS[0]))
}

fn run(what: &str, rounds: u64) {
    let home = Home::new();
    let romeo = home.session("romeo@capulet.lit", "orchard");
    let juliet = home.session("juliet@capulet.lit", "balcony");
    let from = Address::parse("romeo@capulet.lit/orchard").ok();
    let to = Address::parse("juliet@capulet.lit/balcony").ok();
    let mut out = Vec::with_capacity(4096);
    for _ in 0..rounds {
        let Ok(element) = Element::parse(MESSAGE, ContentNamespace::Client, &xml::Limits::default()) else {
            return;
        };
        let Ok(stanza) = Stanza::new(element, from.clone(), to.clone(), None) else {
            return;
        };
        if what == "route" {
            home.router
                .work(|worker| home.router.send(&romeo.0, stanza, None, worker));
            out.clear();
            let drained = juliet.1.drain(&mut out, Target::Stream, 16 << 10, 256);
            assert_eq!(drained.stanzas, 1);
            juliet.1.written(1);
            black_box(&out);
        } else {
            black_box(stanza);
        }
    }
}

/// A server without sockets.
struct Home {
    router: Arc<Router>,
    jobs: Jobs,
}

type Job = Box<dyn FnOnce() + Send>;
type Jobs = Arc<Mutex<Vec<Job>>>;

impl Home {
    fn new() -> Home {
        let jobs = Jobs::default();
        let queue = Arc::clone(&jobs);
        let store = Memory::on(Box::new(move |job| queue.lock().push(job)));
        let host = Host {
            facts: features::HostFacts::new(
                Address::domain("capulet.lit").unwrap_or_else(|_| unreachable!()),
            ),
            passwords: PasswordPolicy::Scram {
                hashes: HashFunctions::default(),
                iterations: std::num::NonZeroU32::MIN,
            },
        };
        let account = account::Settings {
            facts: features::Facts::default(),
            local_services: Vec::new(),
            local_domains: vec!["capulet.lit".to_owned()],
            resources_max: 10,
            waiting_max: (10, 10_000),
            outstanding_max: 10_000,
            directed_max: 10,
            settle_after: Duration::from_secs(1),
            delay_stamp_after: Duration::from_secs(10),
            mailbox: stream_management::Limits {
                stanzas: 1_000,
                bytes: 1 << 20,
            },
            stranger_subscriptions: None,
            stranger_messages: None,
            subscriptions_from_strangers: None,
            messages_from_strangers: None,
            presence: presence::Settings::default(),
            roster: roster::Limits::default(),
            privacy: privacy::Limits::default(),
        };
        let limits = turns::Limits {
            inbox_inputs_max: 1_000,
            inbox_bytes_max: 1 << 20,
            waiting_effects_max: 1_000,
            waiting_bytes_max: 1 << 20,
        };
        let settings = Settings {
            hosts: Hosts::new([host]),
            account,
            limits,
            resting_bytes_max: 0,
            muc: muc::Settings::default(),
            federation: router::Federation::new(Default::default(), s2s::Secret::new(b"d14lb4ck")),
        };
        let world = Arc::new(World {
            worker: Mutex::new(Worker::new(|_| {})),
            jobs: Arc::clone(&jobs),
        });
        Home {
            router: Router::new(settings, Arc::new(store) as Arc<dyn Store>, world),
            jobs,
        }
    }

    /// A bound session of a new account.
    fn session(&self, account: &str, resource: &str) -> (SessionHandle, Arc<Mailbox>) {
        let Ok(address) = Address::parse(account) else {
            unreachable!()
        };
        let Ok(password) = Password::new("secret") else {
            unreachable!()
        };
        self.router
            .create_account(address.clone(), password, Box::new(|_| {}));
        self.work_off();
        let mailbox = Mailbox::new(stream_management::Limits {
            stanzas: 100,
            bytes: 100_000,
        });
        let mut handle = None;
        let bound = Arc::clone(&mailbox);
        self.router.work(|worker| {
            handle = Some(
                self.router
                    .bind(&address, Some(resource.to_owned()), bound, worker),
            )
        });
        self.work_off();
        assert!(
            matches!(mailbox.take_signal(), Some(Signal::Bound(_))),
            "{account} has no resource"
        );
        match handle {
            Some(handle) => (handle, mailbox),
            None => unreachable!(),
        }
    }

    fn work_off(&self) {
        loop {
            let jobs = std::mem::take(&mut *self.jobs.lock());
            if jobs.is_empty() {
                return;
            }
            jobs.into_iter().for_each(|job| job());
        }
    }
}

/// One thread, and a clock that stands still.
struct World {
    worker: Mutex<Worker>,
    jobs: Jobs,
}

impl Surroundings for World {
    fn now(&self) -> Moment {
        Moment::default()
    }

    fn wall(&self) -> Timestamp {
        Timestamp::default()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }

    fn call_at(&self, _at: Moment, _alarm: Arc<dyn Alarm>) {}

    fn with_worker(&self, task: &mut dyn FnMut(&mut Worker)) {
        let mut worker = self.worker.lock();
        task(&mut worker);
        worker.run(1_000);
    }

    fn run_slowly(&self, work: Job) {
        self.jobs.lock().push(work);
    }

    /// Nobody reads a log here.
    fn link_changed(
        &self,
        _: &s2s::Pair,
        _: s2s::link::StateName,
        _: Option<s2s::link::Cause>,
        _: Option<Duration>,
    ) {
    }
}
