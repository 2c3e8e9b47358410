//! A server as an operator runs it: `balcony run` with a configuration of its own, in a process of its own.
//!
//! The program is this one: started with `BALCONY_CONVERSATIONS_SERVER` it is `balcony`, so that it is never older than
//! the scripts.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use clap::Parser;
use rustix::process::{Pid, Signal};
use server::admin::{Client, Reply, Request};

use crate::script::Dial;

/// Set for a process that is to be the server.
const IS_SERVER: &str = "BALCONY_CONVERSATIONS_SERVER";

/// Starting and stopping take no longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lines of its log that are kept.
const LOG_LINES: usize = 40;

/// The limits of the stage in memory, under the names that they have in a file.
const CONFIGURATION: &str = r#"
data_dir = "data"
[hosts."example.com"]
certificate = "CHAIN"
key = "KEY"
[hosts."example.net"]
certificate = "CHAIN"
key = "KEY"
registration = "open"
[runtime]
workers = 1
[storage]
sync = "normal"
[muc]
services = ["rooms.example.com"]
[sasl]
iterations = 4096
[c2s]
listen = ["127.0.0.1:0"]
listen_tls = ["127.0.0.1:0"]
[s2s]
listen = []
listen_tls = []
[components]
listen = []
[http]
listen = []
listen_tls = []
[metrics]
listen = "off"
[limits]
stanza_bytes = "16KiB"
depth = 16
attributes = 32
name_bytes = "128B"
children = 64
unauthenticated_time = "10m"
unauthenticated_stanza_bytes = "10KiB"
unauthenticated_bytes = "32KiB"
login_attempts = 3
mailbox_bytes = "256KiB"
mailbox_stanzas = 200
unacknowledged_stanzas = 50
roster_items = 20
resources_per_account = 4
offline_messages = 5
offline_bytes = "64KiB"
vcard_bytes = "4KiB"
private_bytes = "4KiB"
privacy_lists = 4
privacy_items = 10
directed_presences = 8
stranger_subscriptions = "off"
stranger_messages = "off"
subscriptions_from_strangers = "off"
messages_from_strangers = "off"
exempt = ["127.0.0.0/8"]
"#;

/// If this process is to be the server, it is. It ends with the one that started it.
pub(crate) fn be_the_server() -> Option<ExitCode> {
    std::env::var_os(IS_SERVER)?;
    std::thread::spawn(|| {
        // Nothing is ever written there: this returns when the other process is gone.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    let exit = server::commands::perform(&server::cli::Arguments::parse());
    Some(std::process::Termination::report(exit))
}

/// A server, its directory and its log.
pub(super) struct Process {
    directory: PathBuf,
    child: Child,
    log: Arc<Mutex<VecDeque<String>>>,
    plain: SocketAddr,
    direct: SocketAddr,
    runtime: tokio::runtime::Runtime,
}

impl Process {
    pub(super) fn start() -> Result<Process, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory =
            std::env::temp_dir().join(format!("balcony-conversations-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
        let now = rustls_pki_types::UnixTime::now();
        let files = transport::tls::self_signed(&directory, &["example.com", "example.net"], now)
            .map_err(|error| error.to_string())?;
        let configuration = CONFIGURATION
            .replace("CHAIN", &files.chain.display().to_string())
            .replace("KEY", &files.key.display().to_string());
        std::fs::write(directory.join("balcony.toml"), configuration).map_err(|error| error.to_string())?;
        let log = Arc::new(Mutex::default());
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Process {
            child: spawn(&directory, &log)?,
            directory,
            log,
            plain: nowhere,
            direct: nowhere,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?,
        };
        process.find_addresses()?;
        Ok(process)
    }

    /// Its log, as far as it is kept.
    pub(super) fn log(&self) -> String {
        told(&self.log)
    }

    pub(super) fn address(&self, dial: Dial) -> SocketAddr {
        match dial {
            Dial::Tcp => self.plain,
            Dial::Tls => self.direct,
        }
    }

    pub(super) fn ports(&self) -> [u16; 2] {
        [self.plain.port(), self.direct.port()]
    }

    /// Has its operator do something.
    pub(super) fn ask(&self, request: &Request) -> Result<Reply, String> {
        let client = Client::new(&self.directory.join("data/admin.sock"));
        let outcome = self.runtime.block_on(client.ask(request));
        outcome
            .map_err(|error| error.to_string())?
            .map_err(|error| server::report::Report::from(error).to_string())
    }

    /// Asks it to stop. Until it does, `meanwhile` is called.
    pub(super) fn stop(&mut self, mut meanwhile: impl FnMut()) -> Result<(), String> {
        let id = Pid::from_child(&self.child);
        rustix::process::kill_process(id, Signal::TERM).map_err(|error| error.to_string())?;
        let begun = super::queues::now();
        loop {
            meanwhile();
            match self.child.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("the server ended with {status}")),
                None if begun.elapsed() > PATIENCE => return Err("the server does not stop".to_owned()),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// As `kill -9`.
    pub(super) fn kill(&mut self) -> Result<(), String> {
        self.child.kill().map_err(|error| error.to_string())?;
        self.child.wait().map(drop).map_err(|error| error.to_string())
    }

    /// Starts it again, on the same data.
    pub(super) fn start_again(&mut self) -> Result<(), String> {
        self.child = spawn(&self.directory, &self.log)?;
        self.find_addresses()
    }

    fn find_addresses(&mut self) -> Result<(), String> {
        let Reply::Status(status) = self.ask(&Request::Status)? else {
            return Err("the server does not tell its addresses".to_owned());
        };
        let address = |setting: &str| {
            let listener = status
                .listeners
                .iter()
                .find(|listener| listener.setting == setting);
            listener.and_then(|listener| listener.address.parse().ok())
        };
        self.plain = address("c2s.listen").ok_or("the server does not listen")?;
        self.direct = address("c2s.listen_tls").ok_or("the server does not listen with TLS")?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; and what is left in a temporary directory does no harm.
        let _ = self.kill();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Starts a server and waits until it says that it is ready.
fn spawn(directory: &Path, log: &Arc<Mutex<VecDeque<String>>>) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let (reader, writer) = std::io::pipe().map_err(|error| error.to_string())?;
    let child = Command::new(program)
        .args(["run", "--config", "balcony.toml"])
        .env(IS_SERVER, "yes")
        .env_remove("BALCONY_LOG")
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(writer.try_clone().map_err(|error| error.to_string())?)
        .stderr(writer)
        .spawn()
        .map_err(|error| format!("cannot start the server: {error}"))?;
    let (tell, ready) = mpsc::channel();
    let kept = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(reader).lines().map_while(Result::ok) {
            if line.contains("the server is ready") {
                // Whoever waited may have given up.
                let _ = tell.send(());
            }
            let mut log = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if log.len() == LOG_LINES {
                log.pop_front();
            }
            log.push_back(line);
        }
    });
    let mut child = child;
    match ready.recv_timeout(PATIENCE) {
        Ok(()) => Ok(child),
        Err(_) => {
            // It may have ended by itself.
            let _ = child.kill();
            Err(format!("the server does not start:\n{}", told(log)))
        }
    }
}

fn told(log: &Mutex<VecDeque<String>>) -> String {
    let log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.iter().map(|line| format!("      {line}\n")).collect()
}
