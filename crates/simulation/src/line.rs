//! One connection between two simulated servers: a stream at each end, and the bytes on their way.

use std::collections::VecDeque;
use std::sync::Arc;

use machine::{Context, Moment};
use parking_lot::Mutex;
use router::{Order, Router, StreamHandle, StreamOrders, Surroundings};
use s2s::{
    Certificate, CertificateFault, Effect, Errand, Identity, Input, Output, Side, Stream, Tls, TlsVersion,
    Transport,
};

use stream_management::Mailbox;

use crate::connection::{Dealt, shutdown};
use crate::surroundings::Simulated;

/// What the network takes from one end before the other reads.
const WINDOW_BYTES: usize = 64 << 10;

/// What an end works with.
#[derive(Clone, Copy)]
pub(crate) struct Office<'a> {
    pub(crate) router: &'a Arc<Router>,
    pub(crate) surroundings: &'a Arc<Simulated>,
}

/// One end of a line.
pub(crate) struct End {
    stream: Stream,
    handle: Option<StreamHandle>,
    orders: Arc<Orders>,
    /// What our end of a line was made for, until the router hears of it.
    errand: Option<Errand>,
    /// On the way to this end.
    inbox: Vec<u8>,
    /// On the way to the other end.
    outbox: Vec<u8>,
    /// The other end will send nothing more.
    hung_up: bool,
    closed: bool,
}

/// How an end fared that was not told of.
pub(crate) struct Failure {
    pub(crate) errand: Errand,
    pub(crate) cause: s2s::link::Cause,
}

#[derive(Default)]
struct Orders(Mutex<VecDeque<Order>>);

impl StreamOrders for Orders {
    fn give(&self, order: Order) {
        self.0.lock().push_back(order);
    }
}

impl End {
    /// The end of whoever took the call.
    pub(crate) fn inbound(office: Office<'_>) -> End {
        let settings = office.router.settings();
        let stream = Stream::inbound(Transport::DirectTls, &settings.federation.stream);
        let mut end = End::new(stream, None);
        end.handle = Some(
            office
                .router
                .stream_opened(Side::Inbound, Arc::clone(&end.orders) as Arc<dyn StreamOrders>),
        );
        end
    }

    /// The end of whoever called.
    pub(crate) fn outbound(office: Office<'_>, errand: Errand) -> End {
        let settings = office.router.settings();
        let stream = Stream::outbound(Transport::DirectTls, errand.clone(), &settings.federation.stream);
        End::new(stream, Some(errand))
    }

    fn new(stream: Stream, errand: Option<Errand>) -> End {
        End {
            stream,
            handle: None,
            orders: Arc::default(),
            errand,
            inbox: Vec::new(),
            outbox: Vec::new(),
            hung_up: false,
            closed: false,
        }
    }

    /// The TLS handshake succeeds, and the other end shows a certificate for these domains with this fault.
    pub(crate) fn secure(
        &mut self,
        office: Office<'_>,
        names: &[&str],
        sni: Option<String>,
        fault: Option<CertificateFault>,
    ) -> Option<Failure> {
        let certificate = Certificate {
            identities: names.iter().filter_map(|name| Identity::dns_name(name)).collect(),
            fault,
        };
        self.input(office, Input::Connected);
        self.input(
            office,
            Input::TlsEstablished(Tls {
                version: TlsVersion::Tls13,
                certificate,
                sni,
            }),
        )
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The other end is gone: what is on its way still arrives.
    pub(crate) fn hang_up(&mut self) {
        self.hung_up = true;
    }

    /// The connection breaks: what is on its way is lost.
    pub(crate) fn cut(&mut self) {
        self.inbox.clear();
        self.outbox.clear();
        self.hung_up = true;
    }

    /// The server stops.
    pub(crate) fn dismiss(&mut self) {
        self.orders.give(Order::End(shutdown()));
    }

    /// This end is gone without a word.
    pub(crate) fn kill(&mut self) {
        self.closed = true;
        self.inbox.clear();
        self.outbox.clear();
    }

    pub(crate) fn take_outbox(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outbox)
    }

    pub(crate) fn arrive(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
    }

    /// When this end does something by itself.
    pub(crate) fn next_wake(&self, router: &Router) -> Option<Moment> {
        if self.closed {
            return None;
        }
        self.stream.next_wake(&router.settings().federation.stream)
    }

    /// Does what can be done now. False: there was nothing.
    pub(crate) fn work(&mut self, office: Office<'_>, failures: &mut Vec<Failure>) -> bool {
        if self.closed {
            return false;
        }
        let mut busy = false;
        while let Some(order) = self.next_order() {
            failures.extend(self.input(office, order.into()));
            busy = true;
        }
        if self
            .next_wake(office.router)
            .is_some_and(|at| at <= office.surroundings.now())
        {
            failures.extend(self.input(office, Input::Wake));
            busy = true;
        }
        while let Some(signal) = self.signals().and_then(|mailbox| mailbox.take_signal()) {
            failures.extend(self.input(office, Input::Signal(signal)));
            busy = true;
        }
        busy |= self.drain(office, failures);
        if !self.inbox.is_empty() && self.stream.reads() {
            let bytes = std::mem::take(&mut self.inbox);
            failures.extend(self.input(office, Input::Received(&bytes)));
            busy = true;
        } else if self.hung_up && !self.closed {
            failures.extend(self.input(office, Input::PeerClosed));
            busy = true;
        }
        busy
    }

    /// Those of a stream that is about to be resumed here come first.
    fn signals(&self) -> Option<&Arc<Mailbox>> {
        self.stream.settling().or_else(|| self.stream.mailbox())
    }

    fn next_order(&self) -> Option<Order> {
        self.orders.0.lock().pop_front()
    }

    fn drain(&mut self, office: Office<'_>, failures: &mut Vec<Failure>) -> bool {
        let settings = office.router.settings();
        if self.outbox.len() >= WINDOW_BYTES || !self.stream.may_drain(&settings.federation.stream) {
            return false;
        }
        let Some(mailbox) = self.stream.mailbox().map(Arc::clone) else {
            return false;
        };
        let drained = mailbox.drain(&mut self.outbox, self.stream.target(), WINDOW_BYTES, 64);
        if drained.stanzas == 0 {
            return false;
        }
        failures.extend(self.input(
            office,
            Input::Drained {
                stanzas: drained.stanzas,
                more: drained.more,
            },
        ));
        // Of nobody's concern but the links', who keep no rows.
        drop(mailbox.written(drained.stanzas));
        true
    }

    fn input(&mut self, office: Office<'_>, input: Input<'_>) -> Option<Failure> {
        let settings = office.router.settings();
        let mut output = Output::default();
        let mut dice = Dealt(office.surroundings);
        let mut context = Context {
            now: office.surroundings.now(),
            wall: office.surroundings.wall(),
            random: &mut dice,
            settings: &settings.federation.stream,
        };
        self.stream.handle(&mut context, input, &mut output);
        self.outbox.extend_from_slice(&output.bytes);
        let mut failure = None;
        let mailbox = self.stream.mailbox().map(Arc::clone);
        office.router.work(|worker| {
            for effect in output.effects.drain(..) {
                if let Effect::Close(close) = &effect {
                    self.closed = true;
                    // A call that came to nothing is told as such, once all servers were tried; here there is one.
                    if self.handle.is_none()
                        && let Some(errand) = self.errand.take()
                    {
                        let cause = (&close.ending).into();
                        failure = Some(Failure { errand, cause });
                        continue;
                    }
                }
                if matches!(effect, Effect::StartTls) {
                    continue;
                }
                let handle = self.handle.get_or_insert_with(|| {
                    let orders = Arc::clone(&self.orders) as Arc<dyn StreamOrders>;
                    office.router.stream_opened(Side::Outbound, orders)
                });
                office
                    .router
                    .stream_effect(handle, effect, mailbox.as_ref(), worker);
            }
        });
        failure
    }
}
