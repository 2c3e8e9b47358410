//! One connection with another server on its socket: bytes to the stream, effects to the router, the mailbox to the socket.
//!
//! The stream is owned here by value and called directly. The router hears of it through its effects and answers with
//! orders; links put stanzas into the stream's mailbox, which this task empties. A peer that does not read is noticed by
//! its silence; until then its mailbox fills, and nobody else waits.

mod conversation;
mod orders;
mod pace;
mod report;
mod round;
mod rounds;
mod socket;
mod telling;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use machine::Moment;
use router::Surroundings;
use s2s::explain::{CertificateSummary, TlsFault};
use s2s::{Component, Ending, Errand, Input, Side, Stream, Tls, Transport};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tracing::{debug, info};

use crate::addresses::{Admission, Limit};
use crate::carrier::{Carrier, Tcp};
use crate::refusals::limit_of;
use crate::servers::{Presence, Servers};
use crate::strangers::Acquaintance;
use crate::tls::{self, Listener, Shown};

use conversation::Conversation;
pub(crate) use orders::Orders;
pub(crate) use pace::Pace;
use pace::Share;
pub(crate) use report::Report;
use round::Round;
use telling::Told;

/// Bytes that are joined into one write. A little less than the 16 KiB of a TLS record, because the last stanza goes over
/// it.
const WRITE_BYTES: usize = 15 << 10;

/// Stanzas that are drained at once, so that one busy mailbox does not hold its lock for long.
const DRAIN_STANZAS: usize = 256;

/// Things one connection may do before others on its thread have their turn.
const ROUNDS_MAX: usize = 64;

/// Elements one connection may bring before others on its thread have their turn; one read more may go beyond it.
const ELEMENTS_MAX: u64 = 64;

/// A peer that does not read is read from until so much of what we answer waits for it. Not at once: two servers that both
/// have much to say would wait for each other for ever.
const UNREAD_ANSWERS: usize = 64 << 10;

/// A peer has this long to take the last word, and as long to end the connection then.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// What the task does next.
enum Step {
    /// Begin the TLS handshake.
    Secure,
    /// The connection is over.
    End,
}

/// What the stream asked of its connection, to be done when everything is written.
enum Wants {
    Nothing,
    Tls,
    Close,
}

/// How a connection that was opened for an errand ended.
pub(crate) enum Outcome {
    /// The router was told of it, and of its end.
    Told,
    /// It came to nothing that the router would have to know: another server may be tried.
    Nothing {
        /// How far it came.
        ending: Ending,
        /// What was tried, with this at its end.
        report: Box<Report>,
        /// Whether TLS was what failed.
        is_tls: bool,
    },
}

/// One connection from its first byte to its last.
pub(crate) struct Peer {
    servers: Arc<Servers>,
    /// Nothing in a handshake, and after the end.
    carrier: Option<Carrier>,
    stream: Conversation,
    transport: Transport,
    /// The domains of the header, on connections that we opened.
    names: Option<s2s::Pair>,
    /// What limits count, on connections that came to us.
    admission: Option<Admission>,
    /// Told of the first login, on connections that we opened.
    acquaintance: Option<Acquaintance>,
    told: Told,
    orders: Arc<Orders>,
    _presence: Presence,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
    sent: usize,
    /// Whether rustls holds bytes that the socket has not taken.
    unflushed: bool,
    /// Stanzas that were drained and are not yet all written.
    drained: usize,
    sleep: Option<(Moment, Pin<Box<Sleep>>)>,
    /// How much came, here and on other connections of the same address.
    share: Share,
    /// Elements that came since others had their turn.
    taken: u64,
    wants: Wants,
    /// How it ended, and until when the peer may take the last word.
    ending: Option<(Ending, Moment)>,
    /// What somebody may ask for, until it is told.
    report: Option<Report>,
    tls_fault: Option<TlsFault>,
    chain: Vec<CertificateSummary>,
}

impl Peer {
    /// A connection that came to us.
    pub(crate) fn inbound(
        servers: Arc<Servers>,
        tcp: TcpStream,
        from: SocketAddr,
        transport: Transport,
        admission: Admission,
    ) -> Peer {
        let settings = servers.router().settings();
        let stream = Stream::inbound(transport, &settings.federation.stream);
        let report = Report::inbound(servers.system(), from, transport);
        let stream = Conversation::Server(Box::new(stream));
        let tcp = admission.tcp(tcp, servers.system());
        let mut peer = Peer::new(servers, tcp, stream, transport, Some(report));
        peer.share = Share::of(admission.pace());
        peer.admission = Some(admission);
        peer.open();
        peer
    }

    /// A connection of an external component. Links to components tell nothing of attempts: it is the component's side that
    /// sees why they fail.
    pub(crate) fn component(servers: Arc<Servers>, tcp: TcpStream, admission: Admission) -> Peer {
        let settings = servers.router().settings();
        let component = Component::new(&settings.federation.stream);
        let stream = Conversation::Component(Box::new(component));
        let tcp = admission.tcp(tcp, servers.system());
        let mut peer = Peer::new(servers, tcp, stream, Transport::Tcp, None);
        peer.share = Share::of(admission.pace());
        peer.admission = Some(admission);
        peer.open();
        peer
    }

    /// A connection that we opened for an errand, as the last try of `report`.
    pub(crate) fn outbound(
        servers: Arc<Servers>,
        tcp: TcpStream,
        transport: Transport,
        errand: Errand,
        report: Report,
    ) -> Peer {
        let settings = servers.router().settings();
        let names = errand.header.clone();
        let stream = Stream::outbound(transport, errand, &settings.federation.stream);
        let stream = Conversation::Server(Box::new(stream));
        let acquaintance = Acquaintance::default();
        let tcp = servers
            .addresses()
            .tcp(tcp, acquaintance.clone(), servers.system());
        let mut peer = Peer::new(servers, tcp, stream, transport, Some(report));
        peer.names = Some(names);
        peer.acquaintance = Some(acquaintance);
        peer
    }

    fn new(
        servers: Arc<Servers>,
        tcp: Tcp,
        stream: Conversation,
        transport: Transport,
        report: Option<Report>,
    ) -> Peer {
        let orders = Arc::<Orders>::default();
        Peer {
            _presence: servers.enter(&orders),
            told: Told {
                servers: Arc::clone(&servers),
                handle: None,
            },
            servers,
            carrier: Some(Carrier::Plain(tcp)),
            stream,
            transport,
            names: None,
            admission: None,
            acquaintance: None,
            orders,
            unsent: Vec::new(),
            sent: 0,
            unflushed: false,
            drained: 0,
            sleep: None,
            share: Share::default(),
            taken: 0,
            wants: match transport {
                Transport::Tcp => Wants::Nothing,
                Transport::DirectTls => Wants::Tls,
            },
            ending: None,
            report,
            tls_fault: None,
            chain: Vec::new(),
        }
    }

    /// Runs the connection to its end. What happens once in its life is boxed: the task of an idle connection keeps no
    /// room for it.
    pub(crate) async fn run(mut self) -> Outcome {
        {
            let mut round = Round::begin(&self.servers);
            self.input(&mut round, Input::Connected);
            self.keep(&round);
        }
        while let Step::Secure = poll_fn(|context| self.poll_step(context)).await {
            if !Box::pin(self.secure()).await {
                break;
            }
        }
        Box::pin(self.part()).await
    }

    /// The TLS handshake. False when it fails: then nothing can be said any more.
    async fn secure(&mut self) -> bool {
        self.wants = Wants::Nothing;
        let Some(Carrier::Plain(tcp)) = self.carrier.take() else {
            return false;
        };
        let patience = {
            let round = Round::begin(&self.servers);
            let wake = self.stream.next_wake(&round.settings.federation.stream);
            wake.map_or(CLOSING_TIME, |wake| wake.since(round.now))
        };
        let handshake = tokio::time::timeout(patience, Box::pin(self.handshake(tcp)));
        let outcome = handshake.await;
        let mut round = Round::begin(&self.servers);
        let goes_on = match outcome {
            Ok(Ok((carrier, shown, sni))) => {
                self.carrier = Some(carrier);
                self.chain = shown.chain;
                let tls = Tls {
                    version: shown.version,
                    certificate: shown.certificate,
                    sni,
                };
                self.input(&mut round, Input::TlsEstablished(tls));
                true
            }
            Ok(Err(fault)) => {
                debug!(
                    event = "s2s_tls_failed",
                    ?fault,
                    "a TLS handshake with another server failed"
                );
                self.tls_fault = Some(fault);
                self.input(&mut round, Input::PeerClosed);
                false
            }
            Err(_) => {
                self.tls_fault = Some(TlsFault::Failed(String::from("no answer in time")));
                self.input(&mut round, Input::Wake);
                self.input(&mut round, Input::PeerClosed);
                false
            }
        };
        self.keep(&round);
        goes_on
    }

    async fn handshake(&self, tcp: Tcp) -> Result<(Carrier, Shown, Option<String>), TlsFault> {
        let certificates = self.servers.certificates();
        let trust = self.servers.trust();
        let (socket, sni) = match &self.names {
            Some(names) => {
                let (local, remote) = (names.local.as_str(), names.remote.as_str());
                let secured = certificates.connect(tcp, self.transport, local, remote).await;
                (secured.map_err(|error| error.fault())?.into(), None)
            }
            None => {
                let listener = match self.transport {
                    Transport::Tcp => Listener::ServersStartTls,
                    Transport::DirectTls => Listener::ServersDirectTls,
                };
                let secured = certificates
                    .accept(tcp, listener, self.stream.record().header_to.as_deref())
                    .await;
                let secured = secured.map_err(|error| error.fault())?.stream;
                let sni = secured.get_ref().1.server_name().map(str::to_owned);
                (tokio_rustls::TlsStream::from(secured), sni)
            }
        };
        let shown = tls::shown(socket.get_ref().1, &trust, certificates.now());
        Ok((Carrier::Tls(Box::new(socket)), shown, sni))
    }

    /// Gives the peer a moment to take the last word.
    async fn part(mut self) -> Outcome {
        let ending = match self.ending.take() {
            Some((ending, _)) => ending,
            None => Ending::Lost,
        };
        if self.stream.side() == Side::Inbound
            && let Some(admission) = &self.admission
        {
            admission.ended_unauthenticated(self.servers.system().now());
        }
        // A policy that a server violates may also be that its domain is kept out.
        if let Ending::Error(error) = &ending
            && let Some(limit) = limit_of(error).filter(|limit| *limit != Limit::Stream)
        {
            self.servers.reject(limit);
        }
        log(&ending);
        let report = self.report.take().map(|report| self.finished(report));
        if let Some(carrier) = self.carrier.take()
            && !matches!(ending, Ending::Lost | Ending::Silent)
        {
            let closing = async move {
                // Whatever happens here, the stream is over.
                let _ = tokio::time::timeout(CLOSING_TIME, carrier.close()).await;
            };
            match self.stream.side() {
                Side::Inbound => closing.await,
                // The next server need not wait for this one.
                Side::Outbound => self.servers.system().spawn(closing),
            }
        }
        match report {
            Some(report) if self.stream.side() == Side::Outbound => Outcome::Nothing {
                is_tls: self.tls_fault.is_some(),
                ending,
                report: Box::new(report),
            },
            Some(_) | None => Outcome::Told,
        }
    }
}

/// No address of a person appears in it; domains do from `debug` on.
fn log(ending: &Ending) {
    match ending {
        Ending::Error(error) => info!(
            event = "s2s_stream_ended",
            condition = error.condition.as_str(),
            text = error.text.as_deref().unwrap_or_default(),
            "a stream with another server was ended"
        ),
        Ending::PeerError(error) => info!(
            event = "s2s_stream_ended_by_peer",
            condition = error.condition.as_str(),
            text = error.text.as_deref().unwrap_or_default(),
            "another server ended a stream"
        ),
        Ending::Finished(_) | Ending::Lost | Ending::Silent | Ending::Superseded | Ending::Failed(_) => {
            debug!(
                event = "s2s_stream_ended",
                ?ending,
                "a stream with another server is over"
            )
        }
    }
}
