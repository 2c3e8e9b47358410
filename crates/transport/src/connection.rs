//! One client connection on its socket: bytes to the session, effects to the router, the mailbox to the socket.
//!
//! One task, no buffers while idle: what is read stands in a buffer of the thread until the session has taken it, and
//! what is written too, unless the socket takes only a part.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use account::End;
use c2s::{Effect, Ending, Input, LoginAttempt, Output, Session, Stage, Tls, Transport};
use features::Setback;
use machine::Random;
use router::{SessionHandle, Surroundings};
use sasl::{Lookup, Verdict};
use stanza::{StreamCondition, StreamError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tracing::{debug, info};

use crate::addresses::Admission;
use crate::clients::Clients;
use crate::tls::Listener;

/// Bytes that are read at once: all that a fast sender has ready.
const READ_BYTES: usize = 64 << 10;

/// Bytes that are joined into one write: one TLS record.
const WRITE_BYTES: usize = 16 << 10;

/// Stanzas that are drained at once, so that one busy mailbox does not hold its lock for long.
const DRAIN_STANZAS: usize = 256;

/// After the last word, the peer has this long to take it.
const CLOSING_TIME: Duration = Duration::from_secs(5);

thread_local! {
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
    static WRITE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(WRITE_BYTES * 2));
    static OUTPUT: RefCell<Output> = RefCell::new(Output::default());
}

/// What a connection runs on.
enum Socket {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Between two of them, and after the end.
    None,
}

/// An answer that the session waits for.
pub(crate) enum Answer {
    Credentials(Lookup),
    Password(Verdict),
    Registered(Result<(), Setback>),
}

/// What the task does next.
enum Step {
    /// Begin the TLS handshake.
    Secure,
    /// The connection is over.
    End,
}

/// One connection from its first byte to its last.
pub(crate) struct Connection {
    clients: Arc<Clients>,
    socket: Socket,
    session: Session,
    /// What the TLS handshake agrees to.
    listener: Listener,
    admission: Admission,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
    sent: usize,
    /// Whether rustls holds bytes that the socket has not taken.
    unflushed: bool,
    /// Stanzas that were drained and are not yet all written.
    drained: usize,
    handle: Option<SessionHandle>,
    answer: Option<oneshot::Receiver<Answer>>,
    /// The time for logging in; gone after it.
    deadline: Option<Pin<Box<Sleep>>>,
    wants: Wants,
}

/// What the session asked of its connection, to be done when everything is written.
#[derive(PartialEq)]
enum Wants {
    Nothing,
    Tls,
    Close(Ending),
}

impl Connection {
    pub(crate) fn new(
        clients: Arc<Clients>,
        socket: TcpStream,
        transport: Transport,
        admission: Admission,
    ) -> Connection {
        let settings = clients.settings();
        let session = Session::new(transport, &settings.session);
        Connection {
            deadline: Some(Box::pin(tokio::time::sleep(settings.unauthenticated_time))),
            clients,
            socket: Socket::Plain(socket),
            session,
            listener: match transport {
                Transport::Tcp => Listener::StartTls,
                Transport::DirectTls => Listener::DirectTls,
            },
            admission,
            unsent: Vec::new(),
            sent: 0,
            unflushed: false,
            drained: 0,
            handle: None,
            answer: None,
            wants: if transport == Transport::DirectTls {
                Wants::Tls
            } else {
                Wants::Nothing
            },
        }
    }

    /// Runs the connection to its end.
    pub(crate) async fn run(mut self) {
        while let Step::Secure = poll_fn(|context| self.poll_step(context)).await {
            if !self.secure().await {
                break;
            }
        }
        self.finish().await;
    }

    /// The TLS handshake (RFC 6120 §5.4.3). False when it fails: then nothing can be said any more.
    async fn secure(&mut self) -> bool {
        self.wants = Wants::Nothing;
        let Socket::Plain(tcp) = std::mem::replace(&mut self.socket, Socket::None) else {
            return false;
        };
        let certificates = Arc::clone(self.clients.certificates());
        let host = self.session.host();
        let handshake = certificates.accept(tcp, self.listener, host);
        let secured = match &mut self.deadline {
            Some(deadline) => tokio::select! {
                secured = handshake => secured,
                () = deadline => {
                    debug!(event = "tls_timeout", "the TLS handshake took too long");
                    return false;
                }
            },
            None => handshake.await,
        };
        match secured {
            Ok(secured) => {
                let bindings = secured.channel_bindings();
                let sni = secured.stream.get_ref().1.server_name().map(str::to_owned);
                self.socket = Socket::Tls(Box::new(secured.stream));
                self.input(Input::TlsEstablished(Tls { bindings, sni }));
                true
            }
            Err(error) => {
                debug!(event = "tls_failed", %error, "the TLS handshake failed");
                false
            }
        }
    }

    /// Does what can be done now. Ready when the task must go on outside.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        // Every round that did something is followed by another, so that each source is polled until it is pending and
        // the task is woken by all of them.
        for _ in 0..64 {
            let mut busy = false;
            busy |= self.poll_answer(context);
            busy |= self.poll_deadline(context);
            busy |= self.poll_signals(context);
            match self.poll_write(context) {
                Write::Failed => return self.lost(),
                Write::Done | Write::Waiting => {}
            }
            if self.is_written() {
                match std::mem::replace(&mut self.wants, Wants::Nothing) {
                    Wants::Nothing => {}
                    Wants::Tls => return Poll::Ready(Step::Secure),
                    Wants::Close(ending) => {
                        self.wants = Wants::Close(ending);
                        return Poll::Ready(Step::End);
                    }
                }
            }
            if self.reads() {
                match self.poll_read(context) {
                    Read::Some => busy = true,
                    Read::Waiting => {}
                    Read::Ended => {
                        self.input(Input::PeerClosed);
                        busy = true;
                    }
                    Read::Failed => return self.lost(),
                }
            }
            if !busy && !self.has_output(context) {
                return Poll::Pending;
            }
        }
        // Others are waiting for this thread too.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// A slow reader is not read from.
    fn reads(&self) -> bool {
        self.session.reads() && self.is_written() && self.wants == Wants::Nothing
    }

    fn is_written(&self) -> bool {
        self.sent == self.unsent.len() && !self.unflushed
    }

    /// Whether something has come up for writing since the last write; otherwise the mailbox will wake this task.
    fn has_output(&mut self, context: &mut Context<'_>) -> bool {
        if !self.is_written() {
            return false;
        }
        match self.session.mailbox() {
            Some(mailbox) => mailbox.poll_work(context).is_ready(),
            None => false,
        }
    }

    fn lost(&mut self) -> Poll<Step> {
        self.input(Input::PeerClosed);
        self.wants = Wants::Close(Ending::Lost);
        self.unsent = Vec::new();
        self.sent = 0;
        self.unflushed = false;
        Poll::Ready(Step::End)
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> bool {
        let Some(answer) = &mut self.answer else {
            return false;
        };
        let Poll::Ready(answer) = Pin::new(answer).poll(context) else {
            return false;
        };
        self.answer = None;
        match answer {
            Ok(Answer::Credentials(lookup)) => self.input(Input::Credentials(lookup)),
            Ok(Answer::Password(verdict)) => self.input(Input::PasswordChecked(verdict)),
            Ok(Answer::Registered(outcome)) => {
                if let Err(Setback::NameTaken | Setback::Unavailable) = outcome {
                    self.admission.registration_failed();
                }
                self.input(Input::Registered(outcome));
            }
            // Whoever was asked is gone without a word.
            Err(_) => self.input(Input::End(StreamError::new(StreamCondition::InternalServerError))),
        }
        true
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>) -> bool {
        if self.session.stage() == Stage::Bound {
            self.deadline = None;
        }
        let Some(deadline) = &mut self.deadline else {
            return false;
        };
        if deadline.as_mut().poll(context).is_pending() {
            return false;
        }
        self.deadline = None;
        self.input(Input::Deadline);
        true
    }

    fn poll_signals(&mut self, _context: &mut Context<'_>) -> bool {
        let mut busy = false;
        while let Some(signal) = self.session.mailbox().and_then(|mailbox| mailbox.take_signal()) {
            self.input(Input::Signal(signal));
            busy = true;
        }
        busy
    }

    /// Writes what waits, and what the mailbox holds, until the socket takes no more.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Write {
        loop {
            if self.sent < self.unsent.len() {
                let rest = self.unsent.get(self.sent..).unwrap_or_default();
                match self.socket.poll_write(context, rest) {
                    Poll::Ready(Ok(0) | Err(_)) => return Write::Failed,
                    Poll::Ready(Ok(written)) => {
                        self.sent += written;
                        self.unflushed = true;
                    }
                    Poll::Pending => return Write::Waiting,
                }
                continue;
            }
            if self.unflushed {
                match self.socket.poll_flush(context) {
                    Poll::Ready(Ok(())) => self.unflushed = false,
                    Poll::Ready(Err(_)) => return Write::Failed,
                    Poll::Pending => return Write::Waiting,
                }
                // An idle connection keeps no buffer.
                self.unsent = Vec::new();
                self.sent = 0;
                self.all_written();
            }
            match self.write_mailbox(context) {
                Some(outcome) => return outcome,
                None => continue,
            }
        }
    }

    /// Everything that was drained is with the client now.
    fn all_written(&mut self) {
        let drained = std::mem::take(&mut self.drained);
        if drained > 0
            && let (Some(mailbox), Some(handle)) = (self.session.mailbox(), &self.handle)
        {
            let released = mailbox.written(drained);
            if !released.stored.is_empty() {
                let router = self.clients.router();
                router.work(|worker| router.released(handle, released, worker));
            }
        }
    }

    /// Drains the mailbox into the buffer of this thread and writes it. `None`: there may be more to do.
    fn write_mailbox(&mut self, context: &mut Context<'_>) -> Option<Write> {
        if !self.session.may_drain() || self.wants != Wants::Nothing {
            return Some(Write::Done);
        }
        let mailbox = Arc::clone(self.session.mailbox()?);
        let mut buffer = WRITE.take();
        buffer.clear();
        let drained = mailbox.drain(&mut buffer, self.session.target(), WRITE_BYTES, DRAIN_STANZAS);
        if drained.stanzas == 0 && self.session.stage() != Stage::Leaving {
            WRITE.replace(buffer);
            return Some(Write::Done);
        }
        self.drained += drained.stanzas;
        let extra = self.session_output(Input::Drained(drained));
        buffer.extend_from_slice(&extra);
        if buffer.is_empty() {
            WRITE.replace(buffer);
            return Some(Write::Done);
        }
        let mut outcome = None;
        let mut taken = 0;
        while taken < buffer.len() {
            match self
                .socket
                .poll_write(context, buffer.get(taken..).unwrap_or_default())
            {
                Poll::Ready(Ok(0) | Err(_)) => {
                    outcome = Some(Write::Failed);
                    break;
                }
                Poll::Ready(Ok(written)) => {
                    taken += written;
                    self.unflushed = true;
                }
                Poll::Pending => {
                    // Only now is it worth keeping: the socket is full.
                    self.unsent = buffer.get(taken..).unwrap_or_default().to_vec();
                    self.sent = 0;
                    outcome = Some(Write::Waiting);
                    break;
                }
            }
        }
        WRITE.replace(buffer);
        outcome
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Read {
        let mut buffer = READ.take();
        if buffer.is_empty() {
            buffer = vec![0; READ_BYTES];
        }
        let mut into = ReadBuf::new(&mut buffer);
        let outcome = match self.socket.poll_read(context, &mut into) {
            Poll::Pending => Read::Waiting,
            Poll::Ready(Err(_)) => Read::Failed,
            Poll::Ready(Ok(())) => {
                let bytes = into.filled().len();
                if bytes == 0 {
                    Read::Ended
                } else {
                    self.input(Input::Received(buffer.get(..bytes).unwrap_or_default()));
                    Read::Some
                }
            }
        };
        READ.replace(buffer);
        outcome
    }

    /// Gives the session one input, puts its bytes behind what waits, and performs its effects.
    fn input(&mut self, input: Input<'_>) {
        let bytes = self.session_output(input);
        if !bytes.is_empty() {
            if self.sent > 0 {
                self.unsent.drain(..self.sent);
                self.sent = 0;
            }
            self.unsent.extend_from_slice(&bytes);
        }
    }

    /// Gives the session one input and performs its effects. The bytes are for the caller to write.
    fn session_output(&mut self, input: Input<'_>) -> Vec<u8> {
        let settings = self.clients.settings();
        let clients = Arc::clone(&self.clients);
        let system = clients.system();
        let mut output = OUTPUT.take();
        let mut dice = Dice(system);
        let mut context = machine::Context {
            now: system.now(),
            wall: system.wall(),
            random: &mut dice,
            settings: &settings.session,
        };
        self.session.handle(&mut context, input, &mut output);
        if !output.effects.is_empty() {
            let router = clients.router();
            router.work(|worker| {
                for effect in output.effects.drain(..) {
                    self.perform(effect, worker);
                }
            });
        }
        if self.session.owes_acknowledgement() {
            self.session.handle(&mut context, Input::Performed, &mut output);
        }
        let bytes = std::mem::take(&mut output.bytes);
        OUTPUT.replace(output);
        bytes
    }

    fn perform(&mut self, effect: Effect, worker: &mut turns::Worker) {
        let router = Arc::clone(self.clients.router());
        match effect {
            Effect::Route { stanza, receipt } => {
                if let Some(handle) = &self.handle {
                    router.send(handle, stanza, receipt, worker);
                }
            }
            Effect::Released(released) => {
                if let Some(handle) = &self.handle {
                    router.released(handle, released, worker);
                }
            }
            Effect::Bind {
                account,
                resource,
                mailbox,
            } => {
                self.handle = Some(router.bind(&account, resource, mailbox, worker));
            }
            Effect::LookUp { account } => self.answer = Some(self.clients.look_up(account)),
            Effect::CheckPassword {
                account,
                password,
                passwords,
            } => {
                self.answer = Some(self.clients.check_password(account, password, passwords));
            }
            Effect::Register { account, password } => {
                self.answer = Some(if self.admission.may_register(self.clients.system().now()) {
                    self.clients.register(account, password)
                } else {
                    let (tell, answer) = oneshot::channel();
                    // It was just made.
                    let _ = tell.send(Answer::Registered(Err(Setback::TooMany)));
                    answer
                });
            }
            Effect::LoginAttempt(attempt) => self.note(&attempt),
            Effect::StartTls => self.wants = Wants::Tls,
            Effect::Close(ending) => self.wants = Wants::Close(ending),
        }
    }

    fn note(&mut self, attempt: &LoginAttempt) {
        self.clients.count_login(attempt);
        match &attempt.result {
            Ok(()) => self.admission.authenticated(),
            Err(_) => self.admission.login_failed(self.clients.system().now()),
        }
    }

    /// Tells the account, and gives the peer a moment to take the last word.
    async fn finish(mut self) {
        let ending = match std::mem::replace(&mut self.wants, Wants::Nothing) {
            Wants::Close(ending) => ending,
            Wants::Nothing | Wants::Tls => Ending::Lost,
        };
        if let Some(handle) = self.handle.take() {
            let end = if ending == Ending::Finished {
                End::Closed
            } else {
                End::Lost
            };
            let router = self.clients.router();
            router.work(|worker| router.end(&handle, end, worker));
        }
        if let Ending::Error(error) = &ending {
            let text = error.text.as_deref().unwrap_or_default();
            info!(
                event = "stream_ended",
                condition = error.condition.as_str(),
                text,
                "a client's stream was ended"
            );
        }
        let socket = std::mem::replace(&mut self.socket, Socket::None);
        // Whatever happens here, the session is over.
        let _ = tokio::time::timeout(CLOSING_TIME, socket.close()).await;
    }
}

enum Write {
    Done,
    Waiting,
    Failed,
}

enum Read {
    Some,
    Waiting,
    Ended,
    Failed,
}

impl Socket {
    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self {
            Socket::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Socket::Tls(tls) => Pin::new(tls).poll_read(context, buffer),
            Socket::None => Poll::Ready(Ok(())),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        match self {
            Socket::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Socket::Tls(tls) => Pin::new(tls).poll_write(context, bytes),
            Socket::None => Poll::Ready(Ok(0)),
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self {
            // TCP has nothing to flush.
            Socket::Plain(_) | Socket::None => Poll::Ready(Ok(())),
            Socket::Tls(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    /// Says goodbye as the protocol below has it, and waits for the peer to do so: a socket that is closed with unread
    /// bytes would take the last word back (TCP reset).
    async fn close(mut self) {
        let _ = poll_fn(|context| match &mut self {
            Socket::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Socket::Tls(tls) => Pin::new(tls).poll_shutdown(context),
            Socket::None => Poll::Ready(Ok(())),
        })
        .await;
        let mut sink = [0; 1024];
        loop {
            let read = poll_fn(|context| {
                let mut buffer = ReadBuf::new(&mut sink);
                ready!(self.poll_read(context, &mut buffer))?;
                Poll::Ready(std::io::Result::Ok(buffer.filled().len()))
            });
            match read.await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}

struct Dice<'a>(&'a crate::System);

impl Random for Dice<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_random(bytes);
    }
}
