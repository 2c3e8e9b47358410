//! What all client connections share, and the listeners that bring them in.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use c2s::{LoginAttempt, Transport};
use features::Setback;
use parking_lot::Mutex;
use router::{Login, Router, Surroundings};
use sasl::{Lookup, Password, PasswordPolicy, Salt, Standing, Verdict};
use socket2::{SockRef, TcpKeepalive};
use stanza::Address;
use tokio::net::TcpStream;
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, oneshot};
use tracing::{debug, info};

use crate::System;
use crate::addresses::{AddressLimits, Addresses, Group, Limit};
use crate::connection::{Answer, Connection};
use crate::http::{self, BoshSessions, HttpSettings, Protection};
use crate::listening::Listening;
use crate::tls::Certificates;

/// What client connections read of the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the sessions read.
    pub session: c2s::Settings,
    /// A connection has this long to log in.
    pub unauthenticated_time: Duration,
    /// Limits by address.
    pub addresses: AddressLimits,
    /// Clients that come by HTTP.
    pub http: HttpSettings,
}

/// A socket to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub address: SocketAddr,
    /// What is spoken there.
    pub entrance: Entrance,
}

/// What is spoken at a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// XMPP, beginning without TLS.
    Tcp,
    /// XMPP on TLS (XEP-0368).
    DirectTls,
    /// HTTP without TLS.
    Http,
    /// HTTP on TLS.
    Https,
}

/// A connection that says nothing is asked by the kernel after so many seconds whether it is still there, then every so
/// often, and is over when that was asked so many times in vain.
const KEEPALIVE_AFTER_SECONDS: u64 = 180;
const KEEPALIVE_INTERVAL_SECONDS: u64 = 15;
const KEEPALIVE_QUESTIONS: u64 = 4;

/// Bytes that the peer does not acknowledge end the connection after this time.
///
/// Linux lets this time, counted from the last sign of life, decide about a silent connection too, in place of the number
/// of questions: were it shorter than all of them take, one lost question would end a connection that lives. Half an
/// interval less, so that the last one surely decides.
const UNACKNOWLEDGED_TIME: Duration = Duration::from_millis(
    1_000 * (KEEPALIVE_AFTER_SECONDS + KEEPALIVE_INTERVAL_SECONDS * KEEPALIVE_QUESTIONS)
        - 500 * KEEPALIVE_INTERVAL_SECONDS,
);

/// All client connections.
pub struct Clients {
    settings: ArcSwap<Settings>,
    certificates: Arc<Certificates>,
    router: Arc<Router>,
    system: System,
    addresses: Arc<Addresses>,
    bosh: BoshSessions,
    logins: Mutex<BTreeMap<LoginLabels, u64>>,
    /// Told when the server stops.
    stopping: Arc<Notify>,
}

/// Labels of `xmpp_auth_attempts_total`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoginLabels {
    /// The host that was spoken to.
    pub host: String,
    /// The mechanism, `none` when the client named none that we know.
    pub mechanism: &'static str,
    /// `ok`, or the condition of the failure (RFC 6120 §6.5).
    pub result: &'static str,
}

impl Clients {
    /// Nobody is connected.
    pub fn new(
        settings: Settings,
        certificates: Arc<Certificates>,
        router: Arc<Router>,
        system: System,
    ) -> Arc<Clients> {
        Arc::new(Clients {
            addresses: Addresses::new("clients", settings.addresses.clone()),
            settings: ArcSwap::from_pointee(settings),
            certificates,
            router,
            system,
            bosh: BoshSessions::default(),
            logins: Mutex::default(),
            stopping: Arc::default(),
        })
    }

    /// Listens; each connection gets a task of its own.
    ///
    /// # Errors
    /// When the address cannot be bound: it is taken, not ours, or needs privileges.
    pub fn listen(self: &Arc<Self>, listen: Listen) -> io::Result<Listening> {
        let (clients, entrance) = (Arc::clone(self), listen.entrance);
        Listening::begin(listen.address, move |socket, peer| {
            clients.admit(socket, peer, entrance);
        })
    }

    /// Other settings, for connections to come and for what existing ones do next.
    pub fn replace_settings(&self, settings: Settings) {
        self.addresses.replace_limits(settings.addresses.clone());
        self.settings.store(Arc::new(settings));
    }

    /// Ends the streams of those who have no resource yet (`system-shutdown`, RFC 6120 §4.9.3.20), and HTTP connections
    /// once they are at no request. Sessions are ended by the router, which knows them.
    pub fn stop(&self) {
        self.stopping.notify_waiters();
    }

    /// Comes when the server stops.
    pub(crate) fn stops(&self) -> OwnedNotified {
        Arc::clone(&self.stopping).notified_owned()
    }

    /// Connections that are open, and those of them that have not logged in.
    pub fn connections(&self) -> (usize, usize) {
        self.addresses.connections()
    }

    /// Connections by host and transport.
    pub fn groups(&self) -> Vec<Group> {
        self.addresses.groups()
    }

    /// Logins so far.
    pub fn logins(&self) -> Vec<(LoginLabels, u64)> {
        self.logins
            .lock()
            .iter()
            .map(|(labels, count)| (labels.clone(), *count))
            .collect()
    }

    /// BOSH sessions, and those of them that are paused.
    pub fn bosh_sessions(&self) -> (usize, usize) {
        self.bosh.count()
    }

    /// Requests of BOSH by what became of them.
    pub fn bosh_requests(&self) -> Vec<(&'static str, u64)> {
        self.bosh.results()
    }

    /// Bytes of bodies of HTTP requests that are being read, as far as they count (`limits.http_bodies_bytes`).
    pub fn http_body_bytes(&self) -> usize {
        self.bosh.bodies().bytes()
    }

    pub(crate) fn bosh(&self) -> &BoshSessions {
        &self.bosh
    }

    pub(crate) fn settings(&self) -> arc_swap::Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// How often a limit has refused somebody.
    pub fn rejected(&self, limit: Limit) -> u64 {
        self.addresses.rejected(limit)
    }

    pub(crate) fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    pub(crate) fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    pub(crate) fn router(&self) -> &Arc<Router> {
        &self.router
    }

    pub(crate) fn system(&self) -> &System {
        &self.system
    }

    pub(crate) fn count_login(&self, attempt: &LoginAttempt) {
        let labels = LoginLabels {
            host: attempt.host.as_str().to_owned(),
            mechanism: attempt.mechanism.map_or("none", |mechanism| mechanism.name()),
            result: attempt
                .result
                .as_ref()
                .map_or_else(|error| error.condition().name(), |()| "ok"),
        };
        *self.logins.lock().entry(labels).or_default() += 1;
    }

    /// What the store knows of an account that wants to log in.
    pub(crate) fn look_up(&self, account: Address) -> oneshot::Receiver<Answer> {
        let (tell, answer) = oneshot::channel();
        self.router.store().login(
            account,
            Box::new(move |login| {
                // The connection may be gone.
                let _ = tell.send(Answer::Credentials(lookup(login)));
            }),
        );
        answer
    }

    /// Compares a password with what is stored, on a slow thread; what is stored otherwise than the host wants today is
    /// replaced while the password is known.
    pub(crate) fn check_password(
        &self,
        account: Address,
        password: Password,
        passwords: PasswordPolicy,
    ) -> oneshot::Receiver<Answer> {
        let (tell, answer) = oneshot::channel();
        let mut salt = [0; Salt::BYTES];
        self.system.fill_random(&mut salt);
        let system = self.system.clone();
        let store = Arc::clone(self.router.store());
        self.router.store().login(
            account.clone(),
            Box::new(move |login| {
                let lookup = lookup(login);
                system.run_slowly(Box::new(move || {
                    let check = sasl::check_password(&lookup, &password, &passwords, Salt(salt));
                    if let (Verdict::Accepted, Some(stored)) = (check.verdict, check.rehashed) {
                        // The login does not wait for it, and the next one will try again if it fails.
                        store.set_credentials(account, stored, Box::new(|_| {}));
                    }
                    let _ = tell.send(Answer::Password(check.verdict));
                }));
            }),
        );
        answer
    }

    /// Makes an account for a client without one.
    pub(crate) fn register(&self, account: Address, password: Password) -> oneshot::Receiver<Answer> {
        let (tell, answer) = oneshot::channel();
        let host = account.domainpart().to_owned();
        let done = move |outcome: Result<(), Setback>| {
            if outcome.is_ok() {
                info!(event = "account_registered", host, "a client has made an account");
            }
            // The connection may be gone.
            let _ = tell.send(Answer::Registered(outcome));
        };
        self.router.register(account, password, Box::new(done));
        answer
    }

    fn admit(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr, entrance: Entrance) {
        if let Err(error) = tune(&socket) {
            debug!(event = "socket_options", %error, "a socket does not take its options");
        }
        let clients = Arc::clone(self);
        match entrance {
            Entrance::Tcp => self.connect(socket, peer, Transport::Tcp),
            Entrance::DirectTls => self.connect(socket, peer, Transport::DirectTls),
            Entrance::Http => {
                tokio::spawn(http::serve(clients, socket, peer, Protection::None));
            }
            Entrance::Https => {
                tokio::spawn(http::serve(clients, socket, peer, Protection::Tls));
            }
        }
    }

    fn connect(self: &Arc<Self>, socket: TcpStream, peer: SocketAddr, transport: Transport) {
        let Some(admission) = self.addresses.admit(peer.ip()) else {
            debug!(
                event = "too_many_connections",
                "an address has too many connections"
            );
            return;
        };
        if admission.has_failed_too_often(self.system.now()) {
            debug!(
                event = "too_many_failed_logins",
                "an address has failed to log in too often"
            );
            return;
        }
        let connection = Connection::new(Arc::clone(self), socket, transport, admission);
        tokio::spawn(connection.run());
    }
}

fn lookup(login: Result<Option<Login>, router::StoreError>) -> Lookup {
    match login {
        Ok(Some(login)) => {
            let standing = if login.flags.disabled {
                Standing::Disabled
            } else {
                Standing::Active
            };
            Lookup::Account {
                stored: login.credentials,
                standing,
            }
        }
        Ok(None) => Lookup::NoAccount,
        Err(_) => Lookup::Unavailable,
    }
}

fn tune(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let options = SockRef::from(socket);
    options.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(Duration::from_secs(KEEPALIVE_AFTER_SECONDS))
            .with_interval(Duration::from_secs(KEEPALIVE_INTERVAL_SECONDS))
            .with_retries(KEEPALIVE_QUESTIONS as u32),
    )?;
    options.set_tcp_user_timeout(Some(UNACKNOWLEDGED_TIME))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listening::bind;

    /// As `tcp_keepalive_timer` of Linux decides: a silent connection ends at the first question that is due when the
    /// time for unacknowledged bytes is over, if one was asked before.
    #[tokio::test]
    async fn rfc1122_4_2_3_6_a_silent_connection_is_asked_several_times_before_it_is_given_up() {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (_client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (socket, _) = accepted.unwrap();
        tune(&socket).unwrap();
        let options = SockRef::from(&socket);
        assert!(options.keepalive().unwrap() && socket.nodelay().unwrap());
        let (after, interval) = (
            options.tcp_keepalive_time().unwrap(),
            options.tcp_keepalive_interval().unwrap(),
        );
        let unacknowledged = options.tcp_user_timeout().unwrap().unwrap();
        let mut questions = 1;
        while after + interval * questions < unacknowledged {
            questions += 1;
        }
        assert_eq!(questions, options.tcp_keepalive_retries().unwrap());
        assert_eq!(u64::from(questions), KEEPALIVE_QUESTIONS);
    }
}
