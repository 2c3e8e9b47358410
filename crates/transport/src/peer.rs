//! One connection with another server on its socket: bytes to the stream, effects to the router, the mailbox to the socket.
//!
//! The stream is owned here by value and called directly. The router hears of it through its effects and answers with
//! orders; links put stanzas into the stream's mailbox, which this task empties. A peer that does not read is noticed by
//! its silence; until then its mailbox fills, and nobody else waits.

mod conversation;
mod report;
mod round;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use machine::{Moment, Rate};
use parking_lot::Mutex;
use router::{Order, StreamHandle, StreamOrders, Surroundings};
use s2s::explain::{CertificateSummary, TlsFault};
use s2s::{Close, Component, Effect, Ending, Errand, Input, Side, Stage, Stream, Tls, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tracing::{debug, info};

use crate::addresses::Admission;
use crate::carrier::Carrier;
use crate::connection::{Dice, with_read_buffer};
use crate::servers::{Presence, Servers};
use crate::tls::{self, Listener, Shown};

use conversation::Conversation;
pub(crate) use report::Report;
use round::Round;

/// Bytes that are joined into one write. A little less than the 16 KiB of a TLS record, because the last stanza goes over
/// it.
const WRITE_BYTES: usize = 15 << 10;

/// Stanzas that are drained at once, so that one busy mailbox does not hold its lock for long.
const DRAIN_STANZAS: usize = 256;

/// Things one connection may do before others on its thread have their turn.
const ROUNDS_MAX: usize = 64;

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

/// What came of reading.
enum Read {
    Some,
    /// Nothing has come; the task is woken when something does.
    Nothing,
    /// The peer will send nothing any more.
    Ended,
    Failed,
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
    /// When the stanzas that have come would be as many as may.
    stanzas_due: Moment,
    wants: Wants,
    /// How it ended, and until when the peer may take the last word.
    ending: Option<(Ending, Moment)>,
    /// What somebody may ask for, until it is told.
    report: Option<Report>,
    tls_fault: Option<TlsFault>,
    chain: Vec<CertificateSummary>,
}

/// What the router knows of the connection. However its task ends, the router hears of the end.
struct Told {
    servers: Arc<Servers>,
    handle: Option<StreamHandle>,
}

/// Orders that wait for the task.
#[derive(Default)]
pub(crate) struct Orders(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    orders: VecDeque<Order>,
    waker: Option<Waker>,
}

impl StreamOrders for Orders {
    fn give(&self, order: Order) {
        let mut waiting = self.0.lock();
        waiting.orders.push_back(order);
        let waker = waiting.waker.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Orders {
    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Order> {
        let mut waiting = self.0.lock();
        match waiting.orders.pop_front() {
            Some(order) => Poll::Ready(order),
            None => {
                waiting.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            let lost = Close {
                ending: Ending::Lost,
                suspended: None,
                authorize: Vec::new(),
                verify: Vec::new(),
            };
            let router = self.servers.router();
            router.work(|worker| router.stream_effect(&handle, Effect::Close(Box::new(lost)), None, worker));
        }
    }
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
        let mut peer = Peer::new(servers, tcp, stream, transport, Some(report));
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
        let mut peer = Peer::new(servers, tcp, stream, Transport::Tcp, None);
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
        let mut peer = Peer::new(servers, tcp, stream, transport, Some(report));
        peer.names = Some(names);
        peer
    }

    fn new(
        servers: Arc<Servers>,
        tcp: TcpStream,
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
            orders,
            unsent: Vec::new(),
            sent: 0,
            unflushed: false,
            drained: 0,
            sleep: None,
            stanzas_due: Moment::default(),
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

    async fn handshake(&self, tcp: TcpStream) -> Result<(Carrier, Shown, Option<String>), TlsFault> {
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

    /// Does what can be done now. Ready when the task must go on outside.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        let mut round = Round::begin(&self.servers);
        let step = self.poll_rounds(context, &mut round);
        self.keep(&round);
        step
    }

    /// Every round that did something is followed by another, so that in the last one each source was found empty, and
    /// the task is woken by all of them.
    fn poll_rounds(&mut self, context: &mut Context<'_>, round: &mut Round) -> Poll<Step> {
        let mut nothing_to_read = false;
        for _ in 0..ROUNDS_MAX {
            let mut busy = self.take_orders(context, round);
            if self.poll_time(context, round) {
                if self.ending.is_some() {
                    return Poll::Ready(Step::End);
                }
                busy = true;
            }
            let calls = self.poll_mailbox(context);
            if calls {
                busy |= self.take_signals(round);
            }
            match self.poll_write(context, round, calls) {
                Write::Nothing | Write::Waiting => {}
                Write::Some => busy = true,
                Write::Failed => return self.lost(round),
            }
            if self.is_written(round) {
                match self.wants {
                    Wants::Nothing => {}
                    Wants::Tls => return Poll::Ready(Step::Secure),
                    Wants::Close => return Poll::Ready(Step::End),
                }
            }
            if !nothing_to_read && self.reads(round) {
                match self.poll_read(context, round) {
                    Read::Some => busy = true,
                    Read::Nothing => nothing_to_read = true,
                    Read::Ended => {
                        self.input(round, Input::PeerClosed);
                        busy = true;
                    }
                    Read::Failed => return self.lost(round),
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

    /// Whether the peer is read from: not in a handshake, not when it sent too many stanzas, and not when it has left too
    /// much of what we answered unread.
    fn reads(&self, round: &Round) -> bool {
        let waiting = self.unsent.len() - self.sent + round.output.bytes.len();
        matches!(self.wants, Wants::Nothing)
            && self.stream.reads()
            && waiting <= UNREAD_ANSWERS
            && !self.is_throttled(round)
    }

    /// What the peer has sent beyond its rate is made up for by waiting.
    fn is_throttled(&self, round: &Round) -> bool {
        self.throttled_until(self.servers.settings().stanzas)
            .is_some_and(|until| until > round.now)
    }

    fn throttled_until(&self, rate: Option<Rate>) -> Option<Moment> {
        let micros = |moment: Moment| moment.as_micros();
        let rate = rate?;
        let per = u64::try_from(rate.per.as_micros()).unwrap_or(u64::MAX);
        Some(Moment::from_micros(micros(self.stanzas_due).saturating_sub(per)))
    }

    fn count_stanza(&mut self, now: Moment) {
        if let Some(rate) = self.servers.settings().stanzas {
            self.stanzas_due = self.stanzas_due.max(now) + rate.per / rate.events.max(1);
        }
    }

    fn lost(&mut self, round: &mut Round) -> Poll<Step> {
        self.input(round, Input::PeerClosed);
        round.output.bytes.clear();
        self.unsent = Vec::new();
        self.sent = 0;
        self.unflushed = false;
        self.carrier = None;
        Poll::Ready(Step::End)
    }

    fn take_orders(&mut self, context: &mut Context<'_>, round: &mut Round) -> bool {
        let orders = Arc::clone(&self.orders);
        let mut some = false;
        while let Poll::Ready(order) = orders.poll_next(context) {
            let input = match order {
                Order::Authorize(pair) => Input::Authorize(pair),
                Order::Verify(verification) => Input::Verify(verification),
                Order::Verified {
                    verification,
                    verdict,
                } => Input::Verified {
                    verification,
                    verdict,
                },
                Order::Resumption(found) => Input::Resumption(found),
                Order::Superseded => Input::Superseded,
                Order::Check => Input::Check,
                Order::Answered => Input::Answered,
                Order::Close => Input::Close,
                Order::End(error) => Input::End(error),
            };
            self.input(round, input);
            some = true;
        }
        some
    }

    /// True when a moment has come that was waited for.
    fn poll_time(&mut self, context: &mut Context<'_>, round: &mut Round) -> bool {
        let Some(wake) = self.next_wake(round) else {
            self.sleep = None;
            return false;
        };
        // A sleep that ends too early does no harm, and most moments are put off again and again.
        let armed = self.sleep.take().filter(|(until, _)| *until <= wake);
        let (until, mut sleep) = armed.unwrap_or_else(|| {
            let pause = wake.since(round.now);
            (wake, Box::pin(tokio::time::sleep(pause)))
        });
        if sleep.as_mut().poll(context).is_pending() {
            self.sleep = Some((until, sleep));
            return false;
        }
        if self.ending.as_ref().is_some_and(|(_, until)| *until > round.now) {
            // It slept for something that does not matter any more.
            return self.poll_time(context, round);
        }
        if self.ending.is_none() {
            self.input(round, Input::Wake);
        }
        true
    }

    fn next_wake(&self, round: &Round) -> Option<Moment> {
        if let Some((_, until)) = &self.ending {
            return Some(*until);
        }
        let throttled = self.throttled_until(self.servers.settings().stanzas);
        let throttled = throttled.filter(|until| *until > round.now);
        let of_stream = self.stream.next_wake(&round.settings.federation.stream);
        throttled.into_iter().chain(of_stream).min()
    }

    /// Whether the mailbox has something; otherwise it will wake this task.
    fn poll_mailbox(&self, context: &mut Context<'_>) -> bool {
        self.stream
            .mailbox()
            .is_some_and(|mailbox| mailbox.poll_work(context).is_ready())
    }

    fn take_signals(&mut self, round: &mut Round) -> bool {
        let mut some = false;
        while let Some(signal) = self.stream.mailbox().and_then(|mailbox| mailbox.take_signal()) {
            self.input(round, Input::Signal(signal));
            some = true;
        }
        some
    }

    /// Writes what the socket did not take before, then what the stream said and what the mailbox holds, joined.
    fn poll_write(&mut self, context: &mut Context<'_>, round: &mut Round, calls: bool) -> Write {
        while let Some(rest) = self.unsent.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match poll_write(&mut self.carrier, context, rest) {
                Poll::Ready(Ok(0) | Err(_)) => return Write::Failed,
                Poll::Ready(Ok(written)) => {
                    self.sent += written;
                    self.unflushed = true;
                }
                Poll::Pending => {
                    // What was answered since goes behind it.
                    self.unsent.append(&mut round.output.bytes);
                    return Write::Waiting;
                }
            }
        }
        if !self.unsent.is_empty() {
            // An idle connection keeps no buffer.
            self.unsent = Vec::new();
            self.sent = 0;
        }
        if calls {
            self.drain(round);
        }
        let mut bytes = round.output.bytes.as_slice();
        while !bytes.is_empty() {
            match poll_write(&mut self.carrier, context, bytes) {
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
        match poll_flush(&mut self.carrier, context) {
            Poll::Ready(Ok(())) => {
                self.unflushed = false;
                self.all_written();
                Write::Some
            }
            Poll::Ready(Err(_)) => Write::Failed,
            Poll::Pending => Write::Waiting,
        }
    }

    /// Puts what waits in the mailbox behind what the stream said.
    fn drain(&mut self, round: &mut Round) {
        if !self.stream.may_drain(&round.settings.federation.stream) {
            return;
        }
        let Some(mailbox) = self.stream.mailbox() else {
            return;
        };
        let target = self.stream.target();
        let drained = mailbox.drain(&mut round.output.bytes, target, WRITE_BYTES, DRAIN_STANZAS);
        self.drained += drained.stanzas;
        if drained.stanzas > 0 {
            let (stanzas, more) = (drained.stanzas, drained.more);
            self.input(round, Input::Drained { stanzas, more });
        }
    }

    /// Everything that was drained is with the peer now, as far as a connection can tell.
    fn all_written(&mut self) {
        let drained = std::mem::take(&mut self.drained);
        if drained > 0
            && let Some(mailbox) = self.stream.mailbox()
        {
            // Links keep no rows of what they send.
            drop(mailbox.written(drained));
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>, round: &mut Round) -> Read {
        with_read_buffer(|buffer| {
            let Some(carrier) = &mut self.carrier else {
                return Read::Ended;
            };
            let mut into = ReadBuf::new(buffer);
            match Pin::new(carrier).poll_read(context, &mut into) {
                Poll::Pending => Read::Nothing,
                Poll::Ready(Err(_)) => Read::Failed,
                Poll::Ready(Ok(())) if into.filled().is_empty() => Read::Ended,
                Poll::Ready(Ok(())) => {
                    self.input(round, Input::Received(into.filled()));
                    Read::Some
                }
            }
        })
    }

    /// What could not be written in this round waits for the socket.
    fn keep(&mut self, round: &Round) {
        self.unsent.extend_from_slice(&round.output.bytes);
    }

    /// Gives the stream one input and performs its effects.
    fn input(&mut self, round: &mut Round, input: Input<'_>) {
        let mut dice = Dice(self.servers.system());
        let mut context = machine::Context {
            now: round.now,
            wall: round.wall,
            random: &mut dice,
            settings: &round.settings.federation.stream,
        };
        self.stream.handle(&mut context, input, &mut round.output);
        if !round.output.effects.is_empty() {
            self.perform(round);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the router decides about all others"
    )]
    fn perform(&mut self, round: &mut Round) {
        let mailbox = self.stream.mailbox().cloned();
        let effects = std::mem::take(&mut round.output.effects);
        let servers = Arc::clone(&self.servers);
        let router = servers.router();
        router.work(|worker| {
            for effect in effects {
                match effect {
                    Effect::StartTls => self.wants = Wants::Tls,
                    Effect::Close(close) => {
                        self.wants = Wants::Close;
                        self.ending = Some((close.ending.clone(), round.now + CLOSING_TIME));
                        if let Some(handle) = self.told.handle.take() {
                            router.stream_effect(&handle, Effect::Close(close), mailbox.as_ref(), worker);
                        }
                    }
                    effect => {
                        self.note(&effect, round.now);
                        let handle = self.open();
                        router.stream_effect(&handle, effect, mailbox.as_ref(), worker);
                    }
                }
            }
        });
        self.tell_attempt(round);
    }

    /// What is counted of an effect here.
    #[expect(clippy::wildcard_enum_match_arm, reason = "only these are counted")]
    fn note(&mut self, effect: &Effect, now: Moment) {
        match effect {
            Effect::Route { .. } | Effect::Reply(_) => self.count_stanza(now),
            Effect::Authenticated { pair, .. } => {
                if let Conversation::Component(_) = &self.stream {
                    self.servers.component_arrived(&pair.remote, &self.orders);
                }
                if let Some(admission) = &mut self.admission {
                    admission.authenticated();
                }
            }
            _ => {}
        }
    }

    /// Tells the router that this connection exists, if it does not know.
    fn open(&mut self) -> StreamHandle {
        if let Some(handle) = &self.told.handle {
            return *handle;
        }
        let orders = Arc::clone(&self.orders) as Arc<dyn StreamOrders>;
        let handle = self.servers.router().stream_opened(self.stream.side(), orders);
        self.told.handle = Some(handle);
        handle
    }

    /// Tells what was tried, as soon as it is known what came of it.
    fn tell_attempt(&mut self, round: &Round) {
        let is_known = match self.stream.side() {
            Side::Outbound => self.told.handle.is_some(),
            Side::Inbound => self.stream.stage() == Stage::Authenticated || self.ending.is_some(),
        };
        if is_known && let Some(report) = self.report.take() {
            let pair = match &self.names {
                Some(names) => Some(names.clone()),
                None => self.pair(),
            };
            let report = self.finished(report);
            if let Some(attempt) = pair.map(|pair| report.attempt(pair, round.now)) {
                let router = self.servers.router();
                router.work(|worker| router.attempted(attempt, worker));
            }
        }
    }

    /// Whom a connection that came to us was about, as far as is known.
    fn pair(&self) -> Option<s2s::Pair> {
        if let Some(pair) = self.stream.first_pair() {
            return Some(pair.clone());
        }
        let record = self.stream.record();
        let domain = |name: &Option<String>| stanza::Address::domain(name.as_deref()?).ok();
        Some(s2s::Pair {
            local: domain(&record.header_to)?,
            remote: domain(&record.header_from)?,
        })
    }

    fn finished(&mut self, mut report: Report) -> Report {
        let chain = std::mem::take(&mut self.chain);
        let fault = self.tls_fault.clone();
        report.end_try(
            self.servers.system().now(),
            fault,
            chain,
            self.stream.record().clone(),
        );
        report
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

fn poll_write(
    carrier: &mut Option<Carrier>,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match carrier {
        Some(carrier) => Pin::new(carrier).poll_write(context, bytes),
        None => Poll::Ready(Ok(0)),
    }
}

fn poll_flush(carrier: &mut Option<Carrier>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    match carrier {
        Some(carrier) => Pin::new(carrier).poll_flush(context),
        None => Poll::Ready(Ok(())),
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
