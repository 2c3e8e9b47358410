//! One client connection on its socket: bytes to the session, effects to the router, the mailbox to the socket.
//!
//! One task, no buffers while idle: what is read stands in a buffer of the thread until the session has taken it, and
//! what is written too, unless the socket takes only a part.

mod bosh;
mod round;
mod socket;
mod web_socket;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use account::End;
use c2s::{Effect, Ending, Input, LoginAttempt, Session, Stage, Tls, Transport};
use features::Setback;
use machine::{Moment, Random};
use router::{Router, SessionHandle};
use sasl::{Lookup, Verdict};
use stanza::{StreamCondition, StreamError};
use tokio::net::TcpStream;
use tokio::sync::futures::OwnedNotified;
use tokio::sync::oneshot;
use tokio::time::Sleep;
use tracing::{debug, info};
use turns::Worker;

use crate::addresses::{Admission, Limit};
use crate::carrier::Carrier;
use crate::clients::{Clients, Settings};
use crate::connection::round::Round;
pub(crate) use crate::connection::round::with_read_buffer;
use crate::connection::socket::{Read, Socket, Wrong};
use crate::tls::Listener;

pub(crate) use crate::connection::bosh::{Bosh, Pipe, Waiting};
pub(crate) use crate::connection::web_socket::WebSocket;

/// The first byte of a client that begins with TLS (RFC 8446 §5.1). No XML begins with it.
const TLS_HANDSHAKE: u8 = 22;

/// Bytes that are joined into one write. A little less than the 16 KiB of a TLS record, because the last stanza goes over
/// it.
const WRITE_BYTES: usize = 15 << 10;

/// Stanzas that are drained at once, so that one busy mailbox does not hold its lock for long.
const DRAIN_STANZAS: usize = 256;

/// Things one connection may do before others on its thread have their turn.
const ROUNDS_MAX: usize = 64;

/// A client that has closed its stream is given answers that take no longer than this.
const ANSWERING_TIME: Duration = Duration::from_millis(500);

/// A client has this long to take what there is for it when its stream ends, and as long to end the connection then.
const CLOSING_TIME: Duration = Duration::from_secs(5);

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
    /// Whether the peer has said nothing yet.
    is_unheard: bool,
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
    deadline: Option<Deadline>,
    wants: Wants,
}

/// What the session asked of its connection, to be done when everything is written.
enum Wants {
    Nothing,
    Tls,
    Close(Box<Ending>),
}

/// A time that runs while the session stays as it is.
struct Deadline {
    patience: Patience,
    sleep: Pin<Box<Sleep>>,
    /// Comes when the server stops. Whoever is bound hears of that through the mailbox.
    stops: Pin<Box<OwnedNotified>>,
}

/// What is waited for no longer than a while.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// That the client logs in.
    Login,
    /// That answers come for a client that leaves.
    Answers,
    /// That the client takes what there is for it at the end.
    Taking,
}

/// What became of a time.
enum Time {
    Runs,
    /// It is over, and the session knows.
    Passed,
    /// It is over, and so is the connection.
    Ended,
}

/// What came of writing.
enum Write {
    /// There was nothing to be written.
    Nothing,
    /// Something was written, and nothing waits for the socket.
    Some,
    /// The socket takes no more for now.
    Waiting,
    Failed,
}

impl Connection {
    pub(crate) fn new(
        clients: Arc<Clients>,
        socket: TcpStream,
        transport: Transport,
        admission: Admission,
    ) -> Connection {
        let session = Session::new(transport, &clients.settings().session);
        let mut connection =
            Connection::on(clients, Socket::Bytes(Carrier::Plain(socket)), session, admission);
        match transport {
            Transport::Tcp => {}
            Transport::DirectTls => {
                connection.listener = Listener::DirectTls;
                connection.wants = Wants::Tls;
            }
        }
        connection
    }

    /// A client whose first words were HTTP's.
    pub(crate) fn on_web_socket(
        clients: Arc<Clients>,
        web_socket: WebSocket,
        session: Session,
        admission: Admission,
    ) -> Connection {
        Connection::on(
            clients,
            Socket::Messages(Box::new(web_socket)),
            session,
            admission,
        )
    }

    /// A client that speaks in many requests.
    pub(crate) fn on_bosh(
        clients: Arc<Clients>,
        bosh: Bosh,
        session: Session,
        admission: Admission,
    ) -> Connection {
        Connection::on(clients, Socket::Requests(Box::new(bosh)), session, admission)
    }

    fn on(clients: Arc<Clients>, socket: Socket, session: Session, admission: Admission) -> Connection {
        let time = clients.settings().unauthenticated_time;
        Connection {
            deadline: Some(Deadline::begin(Patience::Login, time, &clients)),
            clients,
            socket,
            session,
            listener: Listener::StartTls,
            is_unheard: true,
            admission,
            unsent: Vec::new(),
            sent: 0,
            unflushed: false,
            drained: 0,
            handle: None,
            answer: None,
            wants: Wants::Nothing,
        }
    }

    /// Runs the connection to its end. What happens once in its life is boxed: the task of an idle connection keeps no
    /// room for it. It stays where the task has it, too: an `async fn` would keep room for it once as its argument, and
    /// once more for itself.
    pub(crate) fn run(self) -> impl Future<Output = ()> + Send {
        let mut connection = self;
        async move {
            while let Step::Secure = poll_fn(|context| connection.poll_step(context)).await {
                if !Box::pin(connection.secure()).await {
                    break;
                }
            }
            Box::pin(connection.part()).await;
        }
    }

    /// The TLS handshake (RFC 6120 §5.4.3). False when it fails: then nothing can be said any more.
    async fn secure(&mut self) -> bool {
        self.wants = Wants::Nothing;
        let Socket::Bytes(Carrier::Plain(tcp)) = std::mem::replace(&mut self.socket, Socket::None) else {
            return false;
        };
        let certificates = Arc::clone(self.clients.certificates());
        let handshake = certificates.accept(tcp, self.listener, self.session.host());
        let secured = match &mut self.deadline {
            Some(deadline) => tokio::select! {
                secured = handshake => secured,
                () = &mut deadline.sleep => {
                    debug!(event = "tls_timeout", "the TLS handshake took too long");
                    return false;
                }
                () = &mut deadline.stops => return false,
            },
            None => handshake.await,
        };
        match secured {
            Ok(secured) => {
                let bindings = secured.channel_bindings();
                let sni = secured.stream.get_ref().1.server_name().map(str::to_owned);
                self.socket = Socket::Bytes(Carrier::Tls(Box::new(secured.stream.into())));
                let mut round = Round::begin(&self.clients);
                self.input(&mut round, Input::TlsEstablished(Tls { bindings, sni }));
                self.keep(&round);
                true
            }
            Err(error) => {
                if self.listener == Listener::DirectTls && error.is_no_tls() {
                    info!(
                        event = "wrong_port",
                        "a client speaks without TLS on a port where TLS begins with the first byte (c2s.listen_tls); \
                         STARTTLS is spoken on c2s.listen"
                    );
                } else {
                    debug!(event = "tls_failed", %error, "the TLS handshake failed");
                }
                false
            }
        }
    }

    /// Does what can be done now. Ready when the task must go on outside.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        let mut round = Round::begin(&self.clients);
        let step = self.poll_rounds(context, &mut round);
        self.keep(&round);
        step
    }

    /// Every round that did something is followed by another, so that in the last one each source was found empty, and
    /// the task is woken by all of them.
    fn poll_rounds(&mut self, context: &mut Context<'_>, round: &mut Round) -> Poll<Step> {
        let mut nothing_to_read = false;
        for _ in 0..ROUNDS_MAX {
            if let Socket::Requests(bosh) = &mut self.socket {
                bosh.watch(context);
                if self.session.stage() != Stage::Unauthenticated {
                    bosh.authenticated();
                }
                self.take_delivered();
            }
            let mut busy = self.poll_answer(context, round);
            match self.poll_deadline(context, round) {
                Time::Runs => {}
                Time::Passed => busy = true,
                Time::Ended => {
                    // What the socket takes at once is still said.
                    self.poll_write(context, round, Mailbox::Silent);
                    return Poll::Ready(Step::End);
                }
            }
            let mailbox = self.poll_mailbox(context);
            if mailbox == Mailbox::Calls {
                busy |= self.take_signals(round);
            }
            match self.poll_write(context, round, mailbox) {
                Write::Nothing | Write::Waiting => {}
                Write::Some => busy = true,
                Write::Failed => return self.lost(round),
            }
            if self.is_written(round) {
                match self.wants {
                    Wants::Nothing => {}
                    Wants::Tls => return Poll::Ready(Step::Secure),
                    Wants::Close(_) => return Poll::Ready(Step::End),
                }
                // A slow reader is not read from.
                if !nothing_to_read && self.session.reads() {
                    match self.poll_read(context, round) {
                        Read::Some => busy = true,
                        Read::Nothing => nothing_to_read = true,
                        Read::Ended => {
                            self.input(round, Input::PeerClosed);
                            busy = true;
                        }
                        Read::Paused => {
                            self.tell_account(Router::paused);
                            busy = true;
                        }
                        Read::Continued => {
                            self.tell_account(Router::continued);
                            busy = true;
                        }
                        Read::Wrong(wrong) => {
                            self.input(round, Input::End(fault(wrong)));
                            busy = true;
                        }
                        Read::Failed => return self.lost(round),
                    }
                }
            }
            if !busy {
                return Poll::Pending;
            }
        }
        // Others are waiting for this thread too.
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_written(&self, round: &Round) -> bool {
        self.sent == self.unsent.len() && !self.unflushed && round.output.bytes.is_empty()
    }

    fn lost(&mut self, round: &mut Round) -> Poll<Step> {
        self.input(round, Input::PeerClosed);
        round.output.bytes.clear();
        self.unsent = Vec::new();
        self.sent = 0;
        self.unflushed = false;
        Poll::Ready(Step::End)
    }

    fn poll_answer(&mut self, context: &mut Context<'_>, round: &mut Round) -> bool {
        let Some(answer) = &mut self.answer else {
            return false;
        };
        let Poll::Ready(answer) = Pin::new(answer).poll(context) else {
            return false;
        };
        self.answer = None;
        let input = match answer {
            Ok(Answer::Credentials(lookup)) => Input::Credentials(lookup),
            Ok(Answer::Password(verdict)) => Input::PasswordChecked(verdict),
            Ok(Answer::Registered(outcome)) => {
                if let Err(Setback::NameTaken | Setback::Unavailable) = outcome {
                    self.admission.registration_failed();
                }
                Input::Registered(outcome)
            }
            // Whoever was asked is gone without a word.
            Err(_) => Input::End(StreamError::new(StreamCondition::InternalServerError)),
        };
        self.input(round, input);
        true
    }

    fn poll_deadline(&mut self, context: &mut Context<'_>, round: &mut Round) -> Time {
        let patience = self.patience();
        if self.deadline.as_ref().map(|deadline| deadline.patience) != patience {
            self.deadline = patience.map(|patience| {
                let time = patience.time(&round.settings);
                Deadline::begin(patience, time, &self.clients)
            });
        }
        let Some(Deadline {
            patience,
            sleep,
            stops,
        }) = &mut self.deadline
        else {
            return Time::Runs;
        };
        if *patience == Patience::Login && stops.as_mut().poll(context).is_ready() {
            self.deadline = None;
            self.input(
                round,
                Input::End(StreamError::new(StreamCondition::SystemShutdown)),
            );
            return Time::Passed;
        }
        if sleep.as_mut().poll(context).is_pending() {
            return Time::Runs;
        }
        let patience = *patience;
        self.deadline = None;
        self.input(round, Input::Deadline);
        match patience {
            Patience::Login | Patience::Answers => Time::Passed,
            Patience::Taking => Time::Ended,
        }
    }

    /// What is waited for now.
    fn patience(&self) -> Option<Patience> {
        match self.session.stage() {
            Stage::Unauthenticated | Stage::Authenticated => Some(Patience::Login),
            Stage::Bound => None,
            Stage::Leaving if self.session.awaits_answers() => Some(Patience::Answers),
            Stage::Leaving | Stage::Closed => Some(Patience::Taking),
        }
    }

    /// Whether the mailbox has something; otherwise it will wake this task.
    fn poll_mailbox(&self, context: &mut Context<'_>) -> Mailbox {
        let Some(mailbox) = self.session.mailbox() else {
            return Mailbox::Silent;
        };
        let call = if self.session.may_drain() {
            mailbox.poll_work(context)
        } else {
            mailbox.poll_signal(context)
        };
        match call {
            Poll::Ready(()) => Mailbox::Calls,
            Poll::Pending => Mailbox::Silent,
        }
    }

    fn take_signals(&mut self, round: &mut Round) -> bool {
        let mut some = false;
        while let Some(signal) = self.session.mailbox().and_then(|mailbox| mailbox.take_signal()) {
            self.input(round, Input::Signal(signal));
            some = true;
        }
        some
    }

    /// Writes what the socket did not take before, then what the session said and what the mailbox holds, joined.
    fn poll_write(&mut self, context: &mut Context<'_>, round: &mut Round, mailbox: Mailbox) -> Write {
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match self.socket.poll_write(context, rest) {
                Poll::Ready(Ok(0) | Err(_)) => return Write::Failed,
                Poll::Ready(Ok(written)) => {
                    self.sent += written;
                    self.unflushed = true;
                }
                Poll::Pending => return Write::Waiting,
            }
        }
        if !self.unsent.is_empty() {
            // An idle connection keeps no buffer.
            self.unsent = Vec::new();
            self.sent = 0;
        }
        self.drain(round, mailbox);
        let mut bytes = round.output.bytes.as_slice();
        while !bytes.is_empty() {
            match self.socket.poll_write(context, bytes) {
                Poll::Ready(Ok(0) | Err(_)) => return Write::Failed,
                Poll::Ready(Ok(written)) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    self.unflushed = true;
                }
                Poll::Pending => {
                    // Only now is it worth keeping: the socket is full.
                    self.unsent = bytes.to_vec();
                    round.output.bytes.clear();
                    return Write::Waiting;
                }
            }
        }
        round.output.bytes.clear();
        if !self.unflushed {
            return Write::Nothing;
        }
        match self.socket.poll_flush(context) {
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                self.all_written();
                Write::Some
            }
            Poll::Ready(Err(_)) => Write::Failed,
            Poll::Pending => Write::Waiting,
        }
    }

    /// Puts what waits in the mailbox behind what the session said.
    fn drain(&mut self, round: &mut Round, calls: Mailbox) {
        let is_leaving = self.session.stage() == Stage::Leaving;
        if (calls == Mailbox::Silent && !is_leaving) || !self.session.may_drain() {
            return;
        }
        let Some(mailbox) = self.session.mailbox() else {
            return;
        };
        let target = self.session.target();
        let drained = mailbox.drain(&mut round.output.bytes, target, WRITE_BYTES, DRAIN_STANZAS);
        self.drained += drained.stanzas;
        if drained.stanzas > 0 || is_leaving {
            self.input(round, Input::Drained(drained));
        }
    }

    /// Everything that was drained is with the client now; in requests, it is on its way.
    fn all_written(&mut self) {
        let drained = std::mem::take(&mut self.drained);
        match &self.socket {
            Socket::Requests(bosh) => bosh.flush(drained),
            Socket::Bytes(_) | Socket::Messages(_) | Socket::None => self.delivered(drained),
        }
    }

    /// What a client that speaks in requests is known to have.
    fn take_delivered(&mut self) {
        if let Socket::Requests(bosh) = &self.socket {
            self.delivered(bosh.take_delivered());
        }
    }

    /// The client has the next stanzas of those that were drained.
    fn delivered(&self, stanzas: usize) {
        if stanzas > 0
            && let (Some(mailbox), Some(handle)) = (self.session.mailbox(), &self.handle)
        {
            let released = mailbox.written(stanzas);
            if !released.stored.is_empty() {
                let router = self.clients.router();
                router.work(|worker| router.released(handle, released, worker));
            }
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>, round: &mut Round) -> Read {
        // Out of the connection for a moment, so that what is read can be given to it.
        let mut socket = std::mem::replace(&mut self.socket, Socket::None);
        let is_first = std::mem::replace(&mut self.is_unheard, false)
            && matches!(socket, Socket::Bytes(Carrier::Plain(_)));
        let mut is_lost = false;
        let read = round::with_read_buffer(|buffer| {
            socket.poll_read(context, buffer, |input| {
                if is_first && matches!(input, Input::Received([TLS_HANDSHAKE, ..])) {
                    is_lost = true;
                } else {
                    self.input(round, input);
                }
            })
        });
        self.socket = socket;
        match read {
            Read::Some if is_lost => {
                info!(
                    event = "wrong_port",
                    "a client begins with TLS on a port where it must ask for it (c2s.listen, STARTTLS); direct TLS is \
                     spoken on c2s.listen_tls"
                );
                Read::Failed
            }
            Read::Nothing => {
                self.is_unheard = is_first;
                read
            }
            Read::Some | Read::Paused | Read::Continued | Read::Ended | Read::Failed | Read::Wrong(_) => read,
        }
    }

    fn tell_account(&self, tell: fn(&Router, &SessionHandle, &mut Worker)) {
        if let Some(handle) = &self.handle {
            let router = self.clients.router();
            router.work(|worker| tell(router, handle, worker));
        }
    }

    /// What could not be written in this round waits for the socket.
    fn keep(&mut self, round: &Round) {
        self.unsent.extend_from_slice(&round.output.bytes);
    }

    /// Gives the session one input and performs its effects.
    fn input(&mut self, round: &mut Round, input: Input<'_>) {
        self.handle(round, input);
        if !round.output.effects.is_empty() {
            self.perform(round);
        }
        if self.session.owes_acknowledgement() {
            self.handle(round, Input::Performed);
        }
    }

    fn handle(&mut self, round: &mut Round, input: Input<'_>) {
        let mut dice = Dice(self.clients.system());
        let mut context = machine::Context {
            now: round.now,
            wall: round.wall,
            random: &mut dice,
            settings: &round.settings.session,
        };
        self.session.handle(&mut context, input, &mut round.output);
    }

    /// The way that the client came; a label of `xmpp_c2s_connections`.
    fn transport(&self) -> &'static str {
        match (&self.socket, self.listener) {
            (Socket::Messages(_), _) => "ws",
            (Socket::Requests(_), _) => "bosh",
            (Socket::Bytes(_) | Socket::None, Listener::DirectTls) => "tls",
            (
                Socket::Bytes(_) | Socket::None,
                Listener::StartTls | Listener::Https | Listener::ServersStartTls | Listener::ServersDirectTls,
            ) => "tcp",
        }
    }

    fn perform(&mut self, round: &mut Round) {
        let transport = self.transport();
        let Connection {
            clients,
            admission,
            handle,
            answer,
            wants,
            ..
        } = self;
        let (router, now) = (clients.router(), round.now);
        router.work(|worker| {
            for effect in round.output.effects.drain(..) {
                match effect {
                    Effect::Route { stanza, receipt } => {
                        if let Some(handle) = &*handle {
                            router.send(handle, stanza, receipt, worker);
                        }
                    }
                    Effect::Released(released) => {
                        if let Some(handle) = &*handle {
                            router.released(handle, released, worker);
                        }
                    }
                    Effect::Bind {
                        account,
                        resource,
                        mailbox,
                    } => *handle = Some(router.bind(&account, resource, mailbox, worker)),
                    Effect::Resumable { id, time } => {
                        if let Some(handle) = &*handle {
                            router.resumable(handle, id, time, worker);
                        }
                    }
                    Effect::Resume {
                        account,
                        id,
                        handled,
                        mailbox,
                    } => *handle = Some(router.resume(&account, &id, handled, mailbox, worker)),
                    Effect::Resumed(mailbox) => {
                        if let Some(handle) = &mut *handle {
                            handle.takes(mailbox);
                        }
                    }
                    Effect::LookUp { account } => *answer = Some(clients.look_up(account)),
                    Effect::CheckPassword {
                        account,
                        password,
                        passwords,
                    } => *answer = Some(clients.check_password(account, password, passwords)),
                    Effect::Register { account, password } => {
                        *answer = Some(if admission.may_register(now) {
                            clients.register(account, password)
                        } else {
                            refused(Setback::TooMany)
                        });
                    }
                    Effect::LoginAttempt(attempt) => note(&attempt, clients, admission, transport, now),
                    Effect::StartTls => *wants = Wants::Tls,
                    Effect::Close(ending) => *wants = Wants::Close(Box::new(ending)),
                }
            }
        });
    }

    /// Tells the account, and gives the peer a moment to take the last word.
    async fn part(mut self) {
        let ending = match std::mem::replace(&mut self.wants, Wants::Nothing) {
            Wants::Close(ending) => *ending,
            Wants::Nothing | Wants::Tls => Ending::Lost,
        };
        self.take_delivered();
        if let Some(handle) = self.handle.take() {
            // XEP-0198 §7: a stream that was closed, by whomever, is not resumed.
            let end = match ending {
                Ending::Lost => End::Lost,
                Ending::Finished | Ending::Error(_) | Ending::PeerError(_) => End::Closed,
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
            let limits = [
                (StreamCondition::PolicyViolation, Limit::Stream),
                (StreamCondition::ResourceConstraint, Limit::Queue),
            ];
            for (condition, limit) in limits {
                if error.condition == condition {
                    self.clients.addresses().reject(limit);
                }
            }
        }
        let socket = std::mem::replace(&mut self.socket, Socket::None);
        // Whatever happens here, the session is over.
        let _ = tokio::time::timeout(CLOSING_TIME, socket.close(&ending)).await;
    }
}

/// Whether there is something in the mailbox.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mailbox {
    Calls,
    Silent,
}

impl Patience {
    fn time(self, settings: &Settings) -> Duration {
        match self {
            Patience::Login => settings.unauthenticated_time,
            Patience::Answers => ANSWERING_TIME,
            Patience::Taking => CLOSING_TIME,
        }
    }
}

impl Deadline {
    fn begin(patience: Patience, time: Duration, clients: &Clients) -> Deadline {
        Deadline {
            patience,
            sleep: Box::pin(tokio::time::sleep(time)),
            stops: Box::pin(clients.stops()),
        }
    }
}

/// What a peer is told of what has no place in its connection.
fn fault(wrong: Wrong) -> StreamError {
    match wrong {
        Wrong::Binary => {
            StreamError::new(StreamCondition::BadFormat).text("Messages are text here (RFC 7395 §3.2).")
        }
        Wrong::TooLong => StreamError::new(StreamCondition::PolicyViolation).text("A message was too long."),
    }
}

/// The answer to a registration that is not tried.
fn refused(setback: Setback) -> oneshot::Receiver<Answer> {
    let (tell, answer) = oneshot::channel();
    // It is there as long as the other end.
    let _ = tell.send(Answer::Registered(Err(setback)));
    answer
}

fn note(
    attempt: &LoginAttempt,
    clients: &Clients,
    admission: &mut Admission,
    transport: &'static str,
    now: Moment,
) {
    clients.count_login(attempt);
    match &attempt.result {
        Ok(()) => admission.logged_in(attempt.host.as_str(), transport),
        Err(_) => admission.login_failed(now),
    }
}

/// The system's dice.
pub(crate) struct Dice<'a>(pub(crate) &'a crate::System);

impl Random for Dice<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        router::Surroundings::fill_random(self.0, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::Connection;

    fn size_of_future<F: Future>(_: fn(Connection) -> F) -> usize {
        size_of::<F>()
    }

    /// Idle connections are many. What happens once in their lives is boxed, and what is rare too.
    #[test]
    fn the_task_of_a_connection_is_little_more_than_the_connection() {
        let (connection, future) = (size_of::<Connection>(), size_of_future(Connection::run));
        assert!(connection <= 440, "{connection} bytes");
        assert!(future <= connection + 64, "{future} bytes");
    }
}
