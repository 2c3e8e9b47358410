//! One client connection on its socket: bytes to the session, effects to the router, the mailbox to the socket.
//!
//! One task, no buffers while idle: what is read stands in a buffer of the thread until the session has taken it, and
//! what is written too, unless the socket takes only a part.

mod bosh;
mod effects;
mod patience;
mod round;
mod rounds;
mod socket;
mod transfer;
mod web_socket;

use std::future::poll_fn;
use std::sync::Arc;

use account::End;
use c2s::{Ending, Input, Session, Tls, Transport};
use features::Setback;
use machine::Random;
use router::SessionHandle;
use sasl::{Lookup, Verdict};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tracing::{debug, info};

use crate::addresses::{Admission, WrongPort};
use crate::carrier::Carrier;
use crate::clients::Clients;
use crate::connection::patience::{CLOSING_TIME, Deadline, Patience};
use crate::connection::round::Round;
pub(crate) use crate::connection::round::with_read_buffer;
use crate::connection::socket::Socket;
use crate::refusals::limit_of;
use crate::tls::Listener;

pub(crate) use crate::connection::bosh::{Bosh, Pipe, Waiting};
pub(crate) use crate::connection::web_socket::WebSocket;

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

impl Connection {
    pub(crate) fn new(
        clients: Arc<Clients>,
        socket: TcpStream,
        transport: Transport,
        admission: Admission,
    ) -> Connection {
        let session = Session::new(transport, &clients.settings().session);
        let socket = admission.tcp(socket, clients.system());
        let mut connection =
            Connection::on(clients, Socket::Bytes(Carrier::Plain(socket)), session, admission);
        match transport {
            Transport::Tcp => {}
            Transport::DirectTls => {
                connection.listener = Listener::DirectTls;
                connection.wants = Wants::Tls;
                connection.admission.comes(connection.transport());
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
        let mut connection = Connection {
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
        };
        connection.admission.comes(connection.transport());
        connection
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
                    self.tell_of_wrong_port(WrongPort::NoTls);
                } else {
                    debug!(event = "tls_failed", %error, "the TLS handshake failed");
                }
                false
            }
        }
    }

    /// A hint for operators whose DNS or firewall leads to the wrong port. Some clients just try, at each login, and then do
    /// it right.
    fn tell_of_wrong_port(&self, wrong: WrongPort) {
        let what = match wrong {
            WrongPort::Tls => {
                "a client begins with TLS on a port where it must ask for it (c2s.listen, STARTTLS); direct TLS is spoken \
                 on c2s.listen_tls"
            }
            WrongPort::NoTls => {
                "a client speaks without TLS on a port where TLS begins with the first byte (c2s.listen_tls); STARTTLS is \
                 spoken on c2s.listen"
            }
        };
        let now = router::Surroundings::now(self.clients.system());
        if self.admission.is_worth_a_hint(wrong, now) {
            info!(event = "wrong_port", "{what}");
        } else {
            debug!(event = "wrong_port", "{what}");
        }
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
            self.admission.closes();
        }
        if let Ending::Error(error) = &ending {
            let text = error.text.as_deref().unwrap_or_default();
            info!(
                event = "stream_ended",
                condition = error.condition.as_str(),
                text,
                "a client's stream was ended"
            );
            if let Some(limit) = limit_of(error) {
                self.clients.addresses().reject(limit);
            }
        }
        let socket = std::mem::replace(&mut self.socket, Socket::None);
        // Whatever happens here, the session is over.
        let _ = tokio::time::timeout(CLOSING_TIME, socket.close(&ending)).await;
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
