//! The server's end of one connection, as `transport` has it, on a wire in memory.

use std::sync::Arc;
use std::time::Duration;

use account::End;
use c2s::{Effect, Ending, Input, LoginAttempt, Output, Session, Stage, Tls, Transport};
use features::Setback;
use machine::{Moment, Random};
use parking_lot::Mutex;
use router::{Login, Router, SessionHandle, Store, StoreError, Surroundings};
use sasl::{ChannelBindings, Lookup, Salt, Standing, Verdict};
use stanza::{StreamCondition, StreamError};
use turns::Worker;

use crate::surroundings::Simulated;

/// As in `transport`: how long a client that leaves waits for answers, and then may take to hear what is there.
const LEAVING_TIME: Duration = Duration::from_millis(500);

/// What the network takes from the server before the client reads.
const WINDOW_BYTES: usize = 64 << 10;

/// As in `transport`: what is joined into one write.
const WRITE_BYTES: usize = 16 << 10;

/// The keying material of every simulated TLS connection (RFC 9266).
pub const TLS_EXPORTER: [u8; 32] = [7; 32];

/// What a connection works with.
pub(crate) struct Hall<'a> {
    pub(crate) settings: &'a c2s::Settings,
    pub(crate) router: &'a Arc<Router>,
    pub(crate) surroundings: &'a Arc<Simulated>,
}

/// One connection, seen from the server.
pub(crate) struct Connection {
    session: Session,
    handle: Option<SessionHandle>,
    /// On the way to the server.
    sent: Vec<u8>,
    /// Bytes that the session has taken and survived.
    taken: u64,
    /// On the way to the client.
    wire: Vec<u8>,
    /// What the session waits for.
    answer: Arc<Mutex<Option<Answer>>>,
    /// The time for logging in, or for leaving.
    deadline: Option<Moment>,
    /// The stage that the deadline is for.
    watched: Stage,
    pub(crate) attempts: Vec<LoginAttempt>,
    awaits_tls: bool,
    /// The client will send nothing more.
    hung_up: bool,
    ending: Option<Ending>,
}

enum Answer {
    Credentials(Lookup),
    Password(Verdict),
    Registered(Result<(), Setback>),
}

impl Connection {
    pub(crate) fn new(transport: Transport, settings: &c2s::Settings, deadline: Moment) -> Connection {
        Connection {
            session: Session::new(transport, settings),
            handle: None,
            sent: Vec::new(),
            taken: 0,
            wire: Vec::new(),
            answer: Arc::default(),
            deadline: Some(deadline),
            watched: Stage::Unauthenticated,
            attempts: Vec::new(),
            awaits_tls: transport == Transport::DirectTls,
            hung_up: false,
            ending: None,
        }
    }

    /// The client sends something.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        if self.ending.is_none() && !self.hung_up {
            self.sent.extend_from_slice(bytes);
        }
    }

    /// The client reads everything that has come.
    pub(crate) fn hear(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.wire)
    }

    /// The client's socket is closed.
    pub(crate) fn hang_up(&mut self) {
        self.hung_up = true;
    }

    /// The server is gone without a word.
    pub(crate) fn cut(&mut self) {
        self.handle = None;
        self.sent.clear();
        self.ending.get_or_insert(Ending::Lost);
    }

    /// Whether the server has closed it.
    pub(crate) fn is_closed(&self) -> bool {
        self.ending.is_some()
    }

    /// Bytes of the client that the session has taken without ending over them.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// How the server saw it end.
    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Whether the next word is TLS.
    pub(crate) fn awaits_tls(&self) -> bool {
        self.awaits_tls
    }

    pub(crate) fn stage(&self) -> Stage {
        self.session.stage()
    }

    /// When the time for logging in, or for leaving, is over.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.deadline
    }

    /// The handshake succeeds.
    pub(crate) fn secure(&mut self, hall: &Hall<'_>, sni: Option<String>) {
        if std::mem::take(&mut self.awaits_tls) {
            let bindings = ChannelBindings {
                tls_exporter: Some(TLS_EXPORTER),
                tls_server_end_point: Some(vec![8; 32]),
            };
            self.input(hall, Input::TlsEstablished(Tls { bindings, sni }));
        }
    }

    /// The server is told to end it.
    pub(crate) fn end(&mut self, hall: &Hall<'_>, error: StreamError) {
        self.input(hall, Input::End(error));
    }

    /// Does what can be done now; false when there was nothing. As in `transport`: answers, the deadline, words from the
    /// mailbox, stanzas for the client, and only then what the client sent.
    pub(crate) fn work(&mut self, hall: &Hall<'_>) -> bool {
        if self.ending.is_some() {
            return false;
        }
        let mut busy = false;
        let answer = self.answer.lock().take();
        match answer {
            Some(Answer::Credentials(lookup)) => {
                self.input(hall, Input::Credentials(lookup));
                busy = true;
            }
            Some(Answer::Password(verdict)) => {
                self.input(hall, Input::PasswordChecked(verdict));
                busy = true;
            }
            Some(Answer::Registered(outcome)) => {
                self.input(hall, Input::Registered(outcome));
                busy = true;
            }
            None => {}
        }
        if self.deadline.is_some_and(|at| at <= hall.surroundings.now()) {
            self.deadline = None;
            self.input(hall, Input::Deadline);
            self.watch_the_clock(hall);
            busy = true;
        }
        while let Some(signal) = self.session.mailbox().and_then(|mailbox| mailbox.take_signal()) {
            self.input(hall, Input::Signal(signal));
            busy = true;
        }
        busy |= self.drain(hall);
        busy |= self.read(hall);
        self.watch_the_clock(hall);
        busy
    }

    /// A client that is bound has time; one that leaves has a little.
    fn watch_the_clock(&mut self, hall: &Hall<'_>) {
        let stage = self.session.stage();
        if stage != self.watched {
            self.watched = stage;
            match stage {
                Stage::Unauthenticated | Stage::Authenticated => {}
                Stage::Bound | Stage::Closed => self.deadline = None,
                Stage::Leaving => self.deadline = Some(hall.surroundings.now() + LEAVING_TIME),
            }
        } else if stage == Stage::Leaving && self.deadline.is_none() {
            self.deadline = Some(hall.surroundings.now() + LEAVING_TIME);
        }
    }

    /// Whether [`work`](Self::work) would do anything.
    pub(crate) fn has_work(&self) -> bool {
        if self.ending.is_some() {
            return false;
        }
        let mailbox_calls = self.session.mailbox().is_some_and(|mailbox| {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let call = if self.session.may_drain() {
                mailbox.poll_work(&mut context)
            } else {
                mailbox.poll_signal(&mut context)
            };
            call.is_ready() && self.wire.len() < WINDOW_BYTES
        });
        let reads = self.session.reads() && self.wire.len() < WINDOW_BYTES;
        let leaves = self.session.stage() == Stage::Leaving
            && !self.session.awaits_answers()
            && self.wire.len() < WINDOW_BYTES;
        self.answer.lock().is_some()
            || mailbox_calls
            || leaves
            || (reads && (!self.sent.is_empty() || self.hung_up))
            || (self.hung_up && !self.session.reads())
    }

    fn drain(&mut self, hall: &Hall<'_>) -> bool {
        if !self.session.may_drain() || self.wire.len() >= WINDOW_BYTES {
            return false;
        }
        let Some(mailbox) = self.session.mailbox().cloned() else {
            return false;
        };
        let bytes_max = self.wire.len() + WRITE_BYTES;
        let drained = mailbox.drain(&mut self.wire, self.session.target(), bytes_max, 256);
        if drained.stanzas > 0 || self.session.stage() == Stage::Leaving {
            self.input(hall, Input::Drained(drained));
        }
        if drained.stanzas == 0 {
            return self.ending.is_some();
        }
        let released = mailbox.written(drained.stanzas);
        if let Some(handle) = self.handle.clone()
            && !released.stored.is_empty()
        {
            hall.router
                .work(|worker| hall.router.released(&handle, released, worker));
        }
        true
    }

    fn read(&mut self, hall: &Hall<'_>) -> bool {
        // A slow reader is not read from.
        if !self.session.reads() && !self.hung_up || self.wire.len() >= WINDOW_BYTES {
            return false;
        }
        if !self.sent.is_empty() && self.session.reads() {
            let bytes = std::mem::take(&mut self.sent);
            self.input(hall, Input::Received(&bytes));
            if self.ending.is_none() && self.session.stage() != Stage::Leaving {
                self.taken += bytes.len() as u64;
            }
            return true;
        }
        if self.hung_up {
            self.input(hall, Input::PeerClosed);
            return true;
        }
        false
    }

    fn input(&mut self, hall: &Hall<'_>, input: Input<'_>) {
        let mut output = Output::default();
        let mut dice = Dealt(hall.surroundings);
        let mut context = machine::Context {
            now: hall.surroundings.now(),
            wall: hall.surroundings.wall(),
            random: &mut dice,
            settings: hall.settings,
        };
        self.session.handle(&mut context, input, &mut output);
        self.wire.extend_from_slice(&output.bytes);
        hall.router.work(|worker| {
            for effect in output.effects.drain(..) {
                self.perform(hall, effect, worker);
            }
        });
        if self.session.owes_acknowledgement() {
            self.input(hall, Input::Performed);
        }
    }

    fn perform(&mut self, hall: &Hall<'_>, effect: Effect, worker: &mut Worker) {
        match effect {
            Effect::Route { stanza, receipt } => {
                if let Some(handle) = &self.handle {
                    hall.router.send(handle, stanza, receipt, worker);
                }
            }
            Effect::Released(released) => {
                if let Some(handle) = &self.handle {
                    hall.router.released(handle, released, worker);
                }
            }
            Effect::Bind {
                account,
                resource,
                mailbox,
            } => {
                self.handle = Some(hall.router.bind(&account, resource, mailbox, worker));
            }
            Effect::Resumable { id, time } => {
                if let Some(handle) = &self.handle {
                    hall.router.resumable(handle, id, time, worker);
                }
            }
            Effect::Resume {
                account,
                id,
                handled,
                mailbox,
            } => {
                self.handle = Some(hall.router.resume(&account, &id, handled, mailbox, worker));
            }
            Effect::Resumed(mailbox) => {
                if let Some(handle) = &mut self.handle {
                    handle.takes(mailbox);
                }
            }
            Effect::LookUp { account } => {
                let answer = Arc::clone(&self.answer);
                let done = move |login| *answer.lock() = Some(Answer::Credentials(lookup(login)));
                hall.router.store().login(account, Box::new(done));
            }
            Effect::CheckPassword {
                account,
                password,
                passwords,
            } => {
                let answer = Arc::clone(&self.answer);
                let surroundings = Arc::clone(hall.surroundings);
                let store: Arc<dyn Store> = Arc::clone(hall.router.store());
                let mut salt = [0; Salt::BYTES];
                surroundings.fill_random(&mut salt);
                let asked = account.clone();
                let done = move |login| {
                    let lookup = lookup(login);
                    surroundings.run_slowly(Box::new(move || {
                        let check = sasl::check_password(&lookup, &password, &passwords, Salt(salt));
                        if let Some(stored) = check.rehashed {
                            store.set_credentials(account, stored, Box::new(|_| {}));
                        }
                        *answer.lock() = Some(Answer::Password(check.verdict));
                    }));
                };
                hall.router.store().login(asked, Box::new(done));
            }
            Effect::Register { account, password } => {
                let answer = Arc::clone(&self.answer);
                let done = move |outcome| *answer.lock() = Some(Answer::Registered(outcome));
                hall.router.register(account, password, Box::new(done));
            }
            Effect::LoginAttempt(attempt) => self.attempts.push(attempt),
            Effect::StartTls => self.awaits_tls = true,
            Effect::Close(ending) => {
                if let Some(handle) = self.handle.take() {
                    let end = match ending {
                        Ending::Lost => End::Lost,
                        Ending::Finished | Ending::Error(_) | Ending::PeerError(_) => End::Closed,
                    };
                    hall.router.end(&handle, end, worker);
                }
                self.ending = Some(ending);
                self.sent.clear();
            }
        }
    }
}

fn lookup(login: Result<Option<Login>, StoreError>) -> Lookup {
    match login {
        Ok(Some(login)) => Lookup::Account {
            stored: login.credentials,
            standing: if login.flags.disabled {
                Standing::Disabled
            } else {
                Standing::Active
            },
        },
        Ok(None) => Lookup::NoAccount,
        Err(_) => Lookup::Unavailable,
    }
}

/// What a stopping server says to everybody (RFC 6120 §4.9.3.20).
pub(crate) fn shutdown() -> StreamError {
    StreamError::new(StreamCondition::SystemShutdown)
}

/// The dice of the surroundings.
pub(crate) struct Dealt<'a>(pub(crate) &'a Arc<Simulated>);

impl Random for Dealt<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_random(bytes);
    }
}
