//! A BOSH session as a connection reads and writes it, and as HTTP requests come to it (XEP-0124).
//!
//! The two meet in a [`Pipe`]: requests wait there for their responses, the connection finds there what they said.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bosh::{Condition, Effect, Event, Exchange, Request, Session};
use c2s::{Ending, Input};
use machine::Moment;
use parking_lot::Mutex;
use stanza::StreamCondition;
use tokio::sync::{Notify, oneshot};
use tokio::time::Sleep;

use super::socket::Read;
use crate::System;

/// Things that were said and not yet heard by the connection; a request behind them has to wait.
const EVENTS_MAX: usize = 16;

/// Where requests and the connection of one session meet.
pub(crate) struct Pipe {
    state: Mutex<State>,
    system: System,
    /// Told when the connection has heard something.
    room: Notify,
    is_secure: bool,
    is_authenticated: AtomicBool,
}

struct State {
    session: Session,
    /// Those who wait for a response.
    waiting: BTreeMap<Exchange, oneshot::Sender<Arc<[u8]>>>,
    next_exchange: u64,
    events: VecDeque<Event>,
    /// Stanzas that are with the client, and of which the mailbox does not know.
    delivered: usize,
    is_paused: bool,
    is_lost: bool,
    waker: Option<Waker>,
    effects: Vec<Effect>,
}

/// The response to a request that came into a pipe. When nobody waits for it any more, the session is told.
pub(crate) struct Waiting {
    pipe: Arc<Pipe>,
    exchange: Exchange,
    response: oneshot::Receiver<Arc<[u8]>>,
}

impl Pipe {
    /// Begins a session by its first request; `None` when that does not ask for one.
    pub(crate) fn open(
        sid: &str,
        request: Request,
        settings: bosh::Settings,
        system: &System,
        is_secure: bool,
    ) -> Option<(Arc<Pipe>, Waiting)> {
        let (exchange, mut effects) = (Exchange(0), Vec::new());
        let now = router::Surroundings::now(system);
        let session = Session::create(sid, request, exchange, settings, now, &mut effects)?;
        let (tell, response) = oneshot::channel();
        let mut state = State {
            session,
            waiting: BTreeMap::from([(exchange, tell)]),
            next_exchange: 1,
            events: VecDeque::new(),
            delivered: 0,
            is_paused: false,
            is_lost: false,
            waker: None,
            effects,
        };
        state.perform();
        let pipe = Arc::new(Pipe {
            state: Mutex::new(state),
            system: system.clone(),
            room: Notify::new(),
            is_secure,
            is_authenticated: AtomicBool::new(false),
        });
        let waiting = Waiting {
            pipe: Arc::clone(&pipe),
            exchange,
            response,
        };
        Some((pipe, waiting))
    }

    /// Gives a request to the session, as soon as what came before it was heard.
    pub(crate) async fn request(self: Arc<Pipe>, request: Request) -> Waiting {
        loop {
            let room = self.room.notified();
            {
                let state = self.state.lock();
                if state.events.len() < EVENTS_MAX || state.session.is_over() {
                    break;
                }
            }
            room.await;
        }
        let (tell, response) = oneshot::channel();
        let exchange = {
            let mut state = self.state.lock();
            let exchange = Exchange(state.next_exchange);
            state.next_exchange += 1;
            state.waiting.insert(exchange, tell);
            exchange
        };
        self.handle(bosh::Input::Request(Box::new(request), exchange));
        Waiting {
            pipe: self,
            exchange,
            response,
        }
    }

    /// Whether all requests must be as protected as the first was (XEP-0124 §15.1).
    pub(crate) fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Whether the client has logged in.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.is_authenticated.load(Ordering::Relaxed)
    }

    /// Whether the client has said that it would be silent.
    pub(crate) fn is_paused(&self) -> bool {
        self.state.lock().is_paused
    }

    fn handle(&self, input: bosh::Input<'_>) {
        let now = router::Surroundings::now(&self.system);
        let mut state = self.state.lock();
        state.handle(now, input);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl State {
    fn handle(&mut self, now: Moment, input: bosh::Input<'_>) {
        self.session.handle(now, input, &mut self.effects);
        self.perform();
    }

    fn perform(&mut self) {
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Respond(exchange, body) => {
                    if let Some(waiting) = self.waiting.remove(&exchange) {
                        // Whoever waited may just have gone; the session keeps the response for who comes again.
                        let _ = waiting.send(body);
                    }
                }
                Effect::Tell(event) => self.events.push_back(event),
                Effect::Delivered(stanzas) => self.delivered += stanzas,
                Effect::Lost => self.is_lost = true,
                Effect::Over => {}
            }
        }
    }
}

impl Waiting {
    /// The response; `None` when the server gave the session up.
    pub(crate) async fn response(mut self) -> Option<Arc<[u8]>> {
        (&mut self.response).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let is_waiting = self.pipe.state.lock().waiting.remove(&self.exchange).is_some();
        if is_waiting {
            self.pipe.handle(bosh::Input::Gone(self.exchange));
        }
    }
}

/// The side of the connection.
pub(crate) struct Bosh {
    pipe: Arc<Pipe>,
    /// Until when the session has nothing to do by itself.
    deadline: Option<(Moment, Pin<Box<Sleep>>)>,
    /// Taken away when the connection is over.
    forget: Option<Box<dyn FnOnce() + Send>>,
}

impl Bosh {
    /// The connection's side of a pipe; `forget` is called when it is over.
    pub(crate) fn new(pipe: Arc<Pipe>, forget: impl FnOnce() + Send + 'static) -> Bosh {
        Bosh {
            pipe,
            deadline: None,
            forget: Some(Box::new(forget)),
        }
    }

    /// The client has logged in.
    pub(super) fn authenticated(&self) {
        self.pipe.is_authenticated.store(true, Ordering::Relaxed);
    }

    /// Stanzas that the client is newly known to have.
    pub(super) fn take_delivered(&self) -> usize {
        std::mem::take(&mut self.pipe.state.lock().delivered)
    }

    /// Has the task woken by whatever happens to the session.
    pub(super) fn watch(&mut self, context: &mut Context<'_>) {
        loop {
            let now = router::Surroundings::now(&self.pipe.system);
            let mut state = self.pipe.state.lock();
            state.waker = Some(context.waker().clone());
            let Some(at) = state.session.deadline() else {
                self.deadline = None;
                return;
            };
            if at <= now {
                state.handle(now, bosh::Input::Wake);
                self.deadline = None;
                continue;
            }
            drop(state);
            let sleep = match &mut self.deadline {
                Some((known, sleep)) if *known == at => sleep,
                place => {
                    let sleep = Box::pin(tokio::time::sleep(at.since(now)));
                    &mut place.insert((at, sleep)).1
                }
            };
            if sleep.as_mut().poll(context).is_pending() {
                return;
            }
            self.deadline = None;
        }
    }

    /// What the client has said next.
    pub(super) fn read(&mut self, take: impl FnOnce(Input<'_>)) -> Read {
        let mut state = self.pipe.state.lock();
        let Some(event) = state.events.pop_front() else {
            return if state.is_lost {
                Read::Failed
            } else {
                Read::Nothing
            };
        };
        match event {
            Event::Paused(_) => state.is_paused = true,
            Event::Resumed => state.is_paused = false,
            Event::Opened(_) | Event::Said(_) | Event::Closed => {}
        }
        drop(state);
        self.pipe.room.notify_waiters();
        match event {
            Event::Opened(header) => take(Input::Opened(header)),
            Event::Said(elements) => take(Input::Received(&elements)),
            Event::Closed => take(Input::Closed),
            Event::Paused(_) => return Read::Paused,
            Event::Resumed => return Read::Continued,
        }
        Read::Some
    }

    /// Takes what is to be said, if there is room; the task is woken when a request has made room.
    pub(super) fn poll_write(&self, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let now = router::Surroundings::now(&self.pipe.system);
        let mut state = self.pipe.state.lock();
        if state.is_lost {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if !state.session.takes_more() {
            state.handle(now, bosh::Input::Flush { stanzas: 0 });
            if !state.session.takes_more() {
                return Poll::Pending;
            }
        }
        state.handle(now, bosh::Input::Say(bytes));
        Poll::Ready(Ok(bytes.len()))
    }

    /// What was said completes so many stanzas, and can be told.
    pub(super) fn flush(&self, stanzas: usize) {
        let now = router::Surroundings::now(&self.pipe.system);
        self.pipe.state.lock().handle(now, bosh::Input::Flush { stanzas });
    }

    /// Tells the client that the session is over, and waits until it has heard that.
    pub(super) async fn close(mut self, ending: &Ending) {
        self.pipe.handle(bosh::Input::Ended(condition(ending)));
        std::future::poll_fn(|context| {
            self.watch(context);
            if self.pipe.state.lock().session.is_over() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

impl Drop for Bosh {
    fn drop(&mut self) {
        if let Some(forget) = self.forget.take() {
            forget();
        }
        // Nobody will answer those who still wait.
        self.pipe.state.lock().waiting.clear();
        self.pipe.room.notify_waiters();
    }
}

/// XEP-0124 §17.2, XEP-0206 §6
fn condition(ending: &Ending) -> Option<Condition> {
    match ending {
        Ending::Finished | Ending::Lost | Ending::PeerError(_) => None,
        Ending::Error(error) => {
            let told_by_a_condition = [
                (StreamCondition::HostUnknown, Condition::HostUnknown),
                (StreamCondition::SystemShutdown, Condition::SystemShutdown),
                (
                    StreamCondition::InternalServerError,
                    Condition::InternalServerError,
                ),
            ];
            let condition = told_by_a_condition
                .into_iter()
                .find(|(of_stream, _)| *of_stream == error.condition)
                .map_or(Condition::RemoteStreamError, |(_, condition)| condition);
            Some(condition)
        }
    }
}
