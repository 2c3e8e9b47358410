//! One session: requests come in any order and more than once, the stream behind sees one order and each once.

mod requests;
mod responses;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use machine::Moment;
use xml::StreamHeader;

use self::responses::Payload;
use crate::body::{Condition, created, terminated};
use crate::key::Keys;
use crate::settings::{HOLD_MAX, OPENING_WAIT, OUTBOX_BYTES, POLLING, WAIT_MAX};
use crate::{Purpose, Request, Settings};

/// One HTTP request that waits for its response, by the number that the shell gave to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchange(pub u64);

/// One thing that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A request of this session has come, and waits for its response.
    Request(Box<Request>, Exchange),
    /// Nobody waits for this response any more.
    Gone(Exchange),
    /// The stream says this: whole elements, to be told with what else is said until [`Input::Flush`].
    Say(&'a [u8]),
    /// What was said so far is to be told as soon as there is a request to answer. It completes so many stanzas.
    Flush {
        /// Stanzas that were said since this was last given.
        stanzas: usize,
    },
    /// The stream has ended, and has said why.
    Ended(Option<Condition>),
    /// The [deadline](Session::deadline) is there.
    Wake,
}

/// One thing to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Effect {
    /// Give this body to the client that waits there.
    Respond(Exchange, Arc<[u8]>),
    /// Tell the stream.
    Tell(Event),
    /// The client is known to have so many more stanzas.
    Delivered(usize),
    /// The client is gone, or has broken the rules: the stream is lost, and the session over.
    Lost,
    /// The client knows that the session is over, and nothing is left to be done.
    Over,
}

/// One thing that the client said to its stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It opens the stream, or opens it anew.
    Opened(StreamHeader),
    /// It says these elements.
    Said(Vec<u8>),
    /// It will be silent for so long, and then come back (XEP-0124 §10).
    Paused(Duration),
    /// It is back.
    Resumed,
    /// It closes the stream.
    Closed,
}

/// One BOSH session.
#[derive(Debug)]
pub struct Session {
    wait: Duration,
    hold: usize,
    settings: Settings,
    acknowledges: bool,
    keys: Keys,
    /// The attributes of the first response, until it is given.
    created: Option<String>,
    /// The number of the request that is next in order.
    next: u64,
    /// Requests that have overtaken others.
    early: BTreeMap<u64, (Box<Request>, Option<Exchange>)>,
    /// Since when one is missing that others have overtaken.
    gap_since: Option<Moment>,
    /// Requests that were taken and are not answered, in order.
    held: VecDeque<Held>,
    /// Responses that the client may not have, in order.
    answered: VecDeque<Answered>,
    outbox: Vec<u8>,
    /// Stanzas that were said; of them those that stand in responses; and of these those that the client has.
    said: usize,
    told: usize,
    delivered: usize,
    /// Whether the client has closed the stream, and waits for the end.
    is_closing: bool,
    /// Whether a stream was opened whose features have not come.
    awaits_opening: bool,
    paused: Option<Duration>,
    /// Since when no request waits here.
    idle_since: Option<Moment>,
    /// When the last new request came, and whether it said nothing.
    last: (Moment, bool),
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    /// The stream has ended; the client has to be told.
    Ending(Option<Condition>),
    Over,
}

/// A request that waits for its response.
#[derive(Debug)]
struct Held {
    rid: u64,
    /// `None`: whoever waited is gone, and may come again.
    exchange: Option<Exchange>,
    since: Moment,
    key: Option<String>,
    repeats: u32,
}

/// A response that may have to be given again.
#[derive(Debug)]
struct Answered {
    rid: u64,
    body: Arc<[u8]>,
    has_payload: bool,
    /// Stanzas that stand in it and those before.
    told: usize,
    key: Option<String>,
    repeats: u32,
}

/// The version of BOSH that is spoken here.
const VERSION: (u32, u32) = (1, 11);

impl Session {
    /// Begins a session by its first request. `None` when that request wants something else.
    pub fn create(
        sid: &str,
        request: Request,
        exchange: Exchange,
        settings: Settings,
        now: Moment,
        out: &mut Vec<Effect>,
    ) -> Option<Session> {
        let Purpose::Create(creation) = request.purpose else {
            return None;
        };
        let wait = creation.wait.min(WAIT_MAX);
        let hold = if wait.is_zero() {
            0
        } else {
            creation.hold.min(HOLD_MAX)
        };
        let (major, minor) = creation.version.unwrap_or(VERSION).min(VERSION);
        let seconds = |time: Duration| time.as_secs().to_string();
        let mut attributes = vec![
            ("sid", sid.to_owned()),
            ("wait", seconds(wait)),
            ("requests", (hold + 1).to_string()),
            ("ver", format!("{major}.{minor}")),
            ("polling", seconds(POLLING)),
            ("inactivity", seconds(settings.inactivity)),
            ("hold", hold.to_string()),
            ("maxpause", seconds(settings.max_pause)),
            ("ack", request.rid.to_string()),
        ];
        if let Some(to) = &creation.header.to {
            attributes.push(("from", to.clone()));
        }
        out.push(Effect::Tell(Event::Opened(creation.header)));
        Some(Session {
            wait,
            hold,
            settings,
            acknowledges: creation.acknowledges,
            keys: Keys::new(request.new_key.as_deref()),
            created: Some(created(&attributes)),
            next: request.rid + 1,
            early: BTreeMap::new(),
            gap_since: None,
            held: VecDeque::from([Held {
                rid: request.rid,
                exchange: Some(exchange),
                since: now,
                key: None,
                repeats: 0,
            }]),
            answered: VecDeque::new(),
            outbox: Vec::new(),
            said: 0,
            told: 0,
            delivered: 0,
            is_closing: false,
            awaits_opening: true,
            paused: None,
            idle_since: None,
            last: (now, false),
            state: State::Open,
        })
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Moment, input: Input<'_>, out: &mut Vec<Effect>) {
        match (self.state, input) {
            (State::Over, Input::Request(_, exchange)) => {
                out.push(Effect::Respond(exchange, terminated(Condition::ItemNotFound)));
            }
            (State::Over, _) => {}
            (State::Open | State::Ending(_), Input::Request(request, exchange)) => {
                self.request(now, request, exchange, out);
            }
            (State::Open | State::Ending(_), Input::Gone(exchange)) => self.gone(exchange),
            (State::Open | State::Ending(_), Input::Say(elements)) => self.outbox.extend_from_slice(elements),
            (State::Open | State::Ending(_), Input::Flush { stanzas }) => {
                self.said += stanzas;
                self.settle(out);
            }
            (State::Open | State::Ending(_), Input::Ended(condition)) => {
                self.state = State::Ending(condition);
                self.settle(out);
            }
            (State::Open | State::Ending(_), Input::Wake) => self.wake(now, out),
        }
        let someone_waits = self.held.iter().any(|held| held.exchange.is_some())
            || self.early.values().any(|(_, exchange)| exchange.is_some());
        self.idle_since = match self.idle_since {
            _ if someone_waits => None,
            Some(since) => Some(since),
            None => Some(now),
        };
    }

    /// When [`Input::Wake`] is to be given.
    pub fn deadline(&self) -> Option<Moment> {
        if self.state == State::Over {
            return None;
        }
        let answer = self
            .held
            .front()
            .filter(|held| held.exchange.is_some())
            .map(|held| held.since + self.patience());
        let idle = self.idle_since.map(|since| since + self.silence());
        let gap = self.gap_since.map(|since| since + self.settings.inactivity);
        [answer, idle, gap].into_iter().flatten().min()
    }

    /// Whether the stream may say more now.
    pub fn takes_more(&self) -> bool {
        self.outbox.len() < OUTBOX_BYTES
    }

    /// Whether everything is over.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Simultaneous requests that the client may make (XEP-0124 §11).
    fn requests(&self) -> u64 {
        self.hold as u64 + 1
    }

    /// How long a request waits for something to say.
    fn patience(&self) -> Duration {
        if self.awaits_opening {
            self.wait.max(OPENING_WAIT)
        } else {
            self.wait
        }
    }

    /// How long there may be no request (XEP-0124 §10).
    fn silence(&self) -> Duration {
        self.paused.unwrap_or(self.settings.inactivity)
    }

    fn gone(&mut self, exchange: Exchange) {
        let waiting = self
            .held
            .iter_mut()
            .map(|held| &mut held.exchange)
            .chain(self.early.values_mut().map(|(_, exchange)| exchange));
        for place in waiting {
            if *place == Some(exchange) {
                *place = None;
            }
        }
    }

    fn wake(&mut self, now: Moment, out: &mut Vec<Effect>) {
        let is_silent = self.idle_since.is_some_and(|since| now >= since + self.silence());
        let is_torn = self
            .gap_since
            .is_some_and(|since| now >= since + self.settings.inactivity);
        if is_silent || is_torn {
            // XEP-0124 §10: nobody hears it but those who overtook what never came.
            return self.fail(Condition::ItemNotFound, None, out);
        }
        while let Some(held) = self.held.front()
            && held.exchange.is_some()
            && now >= held.since + self.patience()
        {
            self.awaits_opening = false;
            self.answer(Payload::All, out);
        }
    }
}
