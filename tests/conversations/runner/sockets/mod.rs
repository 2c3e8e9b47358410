//! The stage with real sockets: a server in a process of its own, and connections to it over TCP and TLS.
//!
//! "Nothing more comes" is known by a barrier, not by waiting: the server has read all that was said to it (`queues`), and
//! then, several times, a stagehand has asked every account of the script for something that none of them knows, and got
//! its answers, which come after everything that was decided before.

mod line;
mod process;
mod queues;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use server::admin::{Password, Reply, Request};
use server::config::AccountName;
use simulation::{Client, Dice, Heard, Login, Mechanism, Say};

use crate::script::{Dial, Store};
use crate::stage::{Came, LineId, Stage};

use self::line::Line;
use self::process::Process;
pub(crate) use self::process::be_the_server;

/// An account that no script knows.
const STAGEHAND: &str = "stagehand";
const STAGEHAND_HOST: &str = "example.com";

/// What is said to one account may make it say something to another, which answers, and so on: as far as this.
const ROUNDS: usize = 4;

/// What is awaited comes sooner.
const PATIENCE: Duration = Duration::from_secs(5);

/// Servers that nobody plays with at the moment.
#[derive(Clone, Default)]
pub(crate) struct Servers(Arc<Mutex<Vec<Process>>>);

impl Servers {
    fn take(&self) -> Result<Process, String> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(Process::start, Ok)
    }

    fn give_back(&self, process: Process) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(process);
    }

    /// Ends all of them.
    pub(crate) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A server with the accounts of one conversation.
pub(crate) struct Sockets {
    process: Process,
    accounts: Vec<String>,
    tls: Arc<ClientConfig>,
    lines: BTreeMap<LineId, Line>,
    dialled: u64,
    stagehand: Option<Stagehand>,
    /// When something last came, or was said.
    stirred: Instant,
    /// Whether something was said that the server may not have read.
    said: bool,
}

/// A client that asks everybody something.
struct Stagehand {
    line: Line,
    client: Client,
    asked: u64,
}

impl Sockets {
    pub(crate) fn new(servers: &Servers, accounts: &[String]) -> Result<Sockets, String> {
        let stage = Sockets {
            process: servers.take()?,
            accounts: accounts.to_vec(),
            tls: Arc::new(tls()?),
            lines: BTreeMap::new(),
            dialled: 0,
            stagehand: None,
            stirred: queues::now(),
            said: false,
        };
        for account in accounts {
            stage.create_account(account)?;
        }
        stage.create_account(&format!("{STAGEHAND}@{STAGEHAND_HOST}"))?;
        Ok(stage)
    }

    /// Leaves the server as it was before, for the next conversation.
    pub(crate) fn finish(mut self, servers: &Servers) -> Result<(), String> {
        self.lines.clear();
        if self.stagehand.is_none() {
            self.stagehand = Some(self.call_stagehand()?);
        }
        queues::wait_until_closed(&self.process.ports(), 1)?;
        let Reply::Accounts { accounts } = self.process.ask(&Request::AccountList { host: None })? else {
            return Err("the server does not list its accounts".to_owned());
        };
        let stagehand = format!("{STAGEHAND}@{STAGEHAND_HOST}");
        for account in accounts {
            let account = account.account;
            if account.to_string() != stagehand {
                self.process.ask(&Request::AccountDelete { account })?;
            }
        }
        self.barrier()?;
        let account = name(&stagehand)?;
        self.process.ask(&Request::AccountDelete { account })?;
        self.stagehand = None;
        queues::wait_until_closed(&self.process.ports(), 0)?;
        servers.give_back(self.process);
        Ok(())
    }

    /// The last lines of the server's log.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    fn create_account(&self, account: &str) -> Result<(), String> {
        let password = Password::new("secret".to_owned()).map_err(|report| report.to_string())?;
        let account = name(account)?;
        self.process
            .ask(&Request::AccountAdd { account, password })
            .map(drop)
    }

    fn line(&mut self, line: LineId) -> Result<&mut Line, String> {
        self.lines
            .get_mut(&line)
            .ok_or_else(|| "there is no such line".to_owned())
    }

    fn call_stagehand(&self) -> Result<Stagehand, String> {
        let mut line = Line::dial(self.process.address(Dial::Tls))?;
        line.secure(&self.tls)?;
        let mut stagehand = Stagehand {
            line,
            client: Client::default(),
            asked: 0,
        };
        stagehand.log_in()?;
        Ok(stagehand)
    }

    /// Everything that was said until now has had its effects, and these have come to whom they concern.
    fn barrier(&mut self) -> Result<(), String> {
        let mut stagehand = match self.stagehand.take() {
            Some(stagehand) => stagehand,
            None => self.call_stagehand()?,
        };
        if std::mem::take(&mut self.said) {
            // Whoever has its answer to this has given the server time to read: one look, which is dear, is enough then.
            stagehand.ask(&self.accounts)?;
            queues::wait_until_read(&self.process.ports())?;
        }
        for _ in 0..ROUNDS {
            stagehand.ask(&self.accounts)?;
        }
        self.stagehand = Some(stagehand);
        Ok(())
    }
}

impl Stage for Sockets {
    fn dial(&mut self, dial: Dial) -> Result<LineId, String> {
        let mut line = Line::dial(self.process.address(dial))?;
        if dial == Dial::Tls {
            line.secure(&self.tls)?;
        }
        self.dialled += 1;
        let id = LineId(self.dialled);
        self.lines.insert(id, line);
        Ok(id)
    }

    fn secure(&mut self, line: LineId) -> Result<(), String> {
        let tls = Arc::clone(&self.tls);
        self.line(line)?.secure(&tls)
    }

    fn exporter(&self, line: LineId) -> Option<[u8; 32]> {
        self.lines.get(&line).and_then(Line::exporter)
    }

    fn say(&mut self, line: LineId, bytes: &[u8]) -> Result<(), String> {
        self.stirred = queues::now();
        self.said = true;
        self.line(line)?.say(bytes)
    }

    fn hear(&mut self, line: LineId) -> Result<Came, String> {
        let (bytes, ended) = self.line(line)?.hear();
        if !bytes.is_empty() || ended {
            self.stirred = queues::now();
        }
        Ok(Came { bytes, ended })
    }

    fn hang_up(&mut self, line: LineId) {
        self.said = true;
        self.lines.remove(&line);
    }

    fn wait(&mut self) -> bool {
        while self.stirred.elapsed() < PATIENCE {
            if self.lines.values_mut().any(Line::listen) {
                return true;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        false
    }

    fn settle(&mut self) -> Result<(), String> {
        self.barrier()
    }

    fn pass(&mut self, _: Duration) -> Result<(), String> {
        Err("nobody can wind this clock".to_owned())
    }

    fn restart(&mut self) -> Result<(), String> {
        self.stagehand = None;
        let lines = &mut self.lines;
        self.process.stop(|| {
            for line in lines.values_mut() {
                line.listen();
            }
        })?;
        self.process.start_again()
    }

    fn kill(&mut self) -> Result<(), String> {
        self.stagehand = None;
        self.process.kill()?;
        self.lines.clear();
        self.process.start_again()
    }

    fn store(&mut self, _: Store) -> Result<(), String> {
        Err("nobody can break this store".to_owned())
    }
}

impl Stagehand {
    fn log_in(&mut self) -> Result<(), String> {
        let mut login =
            Login::new(STAGEHAND, STAGEHAND_HOST, "secret", Dice::new(1)).by(Mechanism::Plain, None);
        self.line.say(&login.open())?;
        loop {
            match login.hear(&self.next()?) {
                Say::Nothing => {}
                Say::Bytes(bytes) => self.line.say(&bytes)?,
                Say::Anew(bytes) => {
                    self.client.restart();
                    self.line.say(&bytes)?;
                }
                Say::Bound(_) => return Ok(()),
                Say::Failed(why) => return Err(why),
            }
        }
    }

    /// Asks each of these accounts something, and waits for the answers.
    fn ask(&mut self, accounts: &[String]) -> Result<(), String> {
        let mut awaited = BTreeSet::new();
        let mut questions = String::new();
        for account in accounts {
            self.asked += 1;
            let id = format!("q{}", self.asked);
            questions.push_str(&format!(
                "<iq type='get' id='{id}' to='{account}'><query xmlns='urn:example:barrier'/></iq>"
            ));
            awaited.insert(id);
        }
        self.line.say(questions.as_bytes())?;
        while !awaited.is_empty() {
            if let Heard::Element(element) = self.next()?
                && let Some(id) = element.to_tree().attribute("id")
            {
                awaited.remove(id);
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Heard, String> {
        let begun = queues::now();
        loop {
            let (bytes, ended) = self.line.hear();
            self.client.read(&bytes);
            match self.client.hear().map_err(|error| error.to_string())? {
                Some(Heard::Closed) => return Err("the server has ended the stagehand's stream".to_owned()),
                Some(heard) => return Ok(heard),
                None if ended => return Err("the server has hung up on the stagehand".to_owned()),
                None if begun.elapsed() > PATIENCE => {
                    return Err("the server does not answer the stagehand".to_owned());
                }
                None => std::thread::sleep(Duration::from_micros(100)),
            }
        }
    }
}

fn name(account: &str) -> Result<AccountName, String> {
    AccountName::new(account)
}

/// What certificates are worth is tested elsewhere.
fn tls() -> Result<ClientConfig, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = config
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"xmpp-client".to_vec()];
    Ok(config)
}

#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
