//! A client and its network that loses, doubles and delays: everything arrives exactly once, and in order.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::world::World;
use crate::{Effect, Event, Exchange, Input, Settings};

/// One thing that may happen next.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// The client has something to say.
    Client,
    /// The stream has something to say.
    Stream,
    /// The client sends what it may send.
    Send,
    /// A request arrives, and a copy of it may stay on the way.
    Arrive(usize, bool),
    /// A request is lost.
    LoseRequest(usize),
    /// A response arrives.
    Return(usize),
    /// A response is lost.
    LoseResponse(usize),
    /// The client has waited long enough, gives up a connection, and sends the same again.
    Repeat(usize),
    /// Time passes.
    Pass(u8),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => Just(Happening::Client),
        3 => Just(Happening::Stream),
        6 => Just(Happening::Send),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(which, stays)| Happening::Arrive(which, stays)),
        1 => any::<usize>().prop_map(Happening::LoseRequest),
        6 => any::<usize>().prop_map(Happening::Return),
        1 => any::<usize>().prop_map(Happening::LoseResponse),
        2 => any::<usize>().prop_map(Happening::Repeat),
        1 => (1..30_u8).prop_map(Happening::Pass),
    ]
}

/// A client as XEP-0124 wants it, with its network and what its stream heard.
struct Model {
    world: World,
    requests: u64,
    acknowledges: bool,
    next_rid: u64,
    /// What is not answered: the payload, how often it was repeated, and as what it waits at the server.
    open: BTreeMap<u64, (String, u32, Vec<Exchange>)>,
    /// The way there.
    requests_on_the_way: Vec<u64>,
    /// The way back, with the number of the request.
    responses_on_the_way: Vec<(u64, String)>,
    /// Responses that came before an earlier one.
    early: BTreeMap<u64, String>,
    next_to_read: u64,
    exchanges: BTreeMap<Exchange, u64>,
    to_send: Vec<usize>,
    client_said: usize,
    stream_said: usize,
    stream_heard: String,
    client_heard: String,
    delivered: usize,
    /// What the network has done to it.
    faults: Faults,
}

/// How often something did not go as it should.
#[derive(Clone, Copy, Default)]
struct Faults {
    lost_requests: usize,
    lost_responses: usize,
    doubled: usize,
    overtaken: usize,
    given_up: usize,
}

impl Faults {
    fn add(&mut self, other: Faults) {
        self.lost_requests += other.lost_requests;
        self.lost_responses += other.lost_responses;
        self.doubled += other.doubled;
        self.overtaken += other.overtaken;
        self.given_up += other.given_up;
    }
}

impl Model {
    fn new(hold: usize, acknowledges: bool) -> Model {
        let settings = Settings {
            max_pause: Duration::from_secs(120),
            inactivity: Duration::from_secs(1_000_000),
        };
        let ack = if acknowledges { "ack='1'" } else { "" };
        let mut world = World::with(&format!("wait='60' hold='{hold}' {ack}"), settings);
        world.say("<f/>", 0);
        world.effects();
        world.pass(10);
        Model {
            world,
            requests: hold as u64 + 1,
            acknowledges,
            next_rid: 101,
            open: BTreeMap::new(),
            requests_on_the_way: Vec::new(),
            responses_on_the_way: Vec::new(),
            early: BTreeMap::new(),
            next_to_read: 101,
            exchanges: BTreeMap::new(),
            to_send: Vec::new(),
            client_said: 0,
            stream_said: 0,
            stream_heard: String::new(),
            client_heard: String::new(),
            delivered: 0,
            faults: Faults::default(),
        }
    }

    fn step(&mut self, happening: Happening) {
        match happening {
            Happening::Client => {
                self.to_send.push(self.client_said);
                self.client_said += 1;
            }
            Happening::Stream => {
                let element = format!("<s{}/>", self.stream_said);
                self.stream_said += 1;
                self.world.say(&element, 1);
            }
            Happening::Send => self.send(),
            Happening::Arrive(which, stays) if !self.requests_on_the_way.is_empty() => {
                let place = which % self.requests_on_the_way.len();
                let rid = self.requests_on_the_way[place];
                self.faults.overtaken +=
                    usize::from(self.requests_on_the_way.iter().any(|other| *other < rid));
                if stays {
                    self.faults.doubled += 1;
                } else {
                    self.requests_on_the_way.remove(place);
                }
                self.arrive(rid);
            }
            Happening::LoseRequest(which) if !self.requests_on_the_way.is_empty() => {
                let place = which % self.requests_on_the_way.len();
                self.requests_on_the_way.remove(place);
                self.faults.lost_requests += 1;
            }
            Happening::Return(which) if !self.responses_on_the_way.is_empty() => {
                let place = which % self.responses_on_the_way.len();
                let (rid, body) = self.responses_on_the_way.remove(place);
                self.returned(rid, body);
            }
            Happening::LoseResponse(which) if !self.responses_on_the_way.is_empty() => {
                let place = which % self.responses_on_the_way.len();
                self.responses_on_the_way.remove(place);
                self.faults.lost_responses += 1;
            }
            Happening::Repeat(which) if !self.open.is_empty() => self.repeat(which),
            Happening::Pass(seconds) => self.world.pass(u64::from(seconds)),
            Happening::Arrive(..)
            | Happening::LoseRequest(_)
            | Happening::Return(_)
            | Happening::LoseResponse(_)
            | Happening::Repeat(_) => {}
        }
        self.look();
    }

    /// Sends what there is, or asks for more when nothing is open.
    fn send(&mut self) {
        // Counted from the oldest that misses its response: the server keeps no more responses than that.
        let oldest = self.open.keys().next().copied().unwrap_or(self.next_rid);
        if self.next_rid - oldest >= self.requests || (self.to_send.is_empty() && !self.open.is_empty()) {
            return;
        }
        let payload = self
            .to_send
            .drain(..)
            .map(|number| format!("<c{number}/>"))
            .collect();
        self.open.insert(self.next_rid, (payload, 0, Vec::new()));
        self.requests_on_the_way.push(self.next_rid);
        self.next_rid += 1;
        // Nobody polls faster than is allowed.
        self.world.pass(3);
    }

    fn repeat(&mut self, which: usize) {
        let rid = *self.open.keys().nth(which % self.open.len()).unwrap();
        let (_, repeats, exchanges) = self.open.get_mut(&rid).unwrap();
        if *repeats >= 15 {
            return;
        }
        *repeats += 1;
        self.faults.given_up += exchanges.len();
        for exchange in std::mem::take(exchanges) {
            self.world.input(Input::Gone(exchange));
            self.exchanges.remove(&exchange);
        }
        self.responses_on_the_way.retain(|(other, _)| *other != rid);
        self.requests_on_the_way.push(rid);
    }

    fn arrive(&mut self, rid: u64) {
        // Whoever has the answer has closed the connections of the question.
        let Some((payload, repeats, _)) = self.open.get_mut(&rid) else {
            self.requests_on_the_way.retain(|other| *other != rid);
            return;
        };
        *repeats += 1;
        if *repeats >= 18 {
            self.requests_on_the_way.retain(|other| *other != rid);
        }
        let payload = payload.clone();
        let ack = if self.acknowledges && self.next_to_read < rid {
            format!("ack='{}'", self.next_to_read - 1)
        } else {
            String::new()
        };
        let exchange = self.world.ask(rid, &ack, &payload);
        self.exchanges.insert(exchange, rid);
        if let Some((_, _, exchanges)) = self.open.get_mut(&rid) {
            exchanges.push(exchange);
        }
    }

    /// Looks at what the session did.
    fn look(&mut self) {
        for effect in self.world.effects() {
            match effect {
                Effect::Respond(exchange, body) => {
                    let body = String::from_utf8(body.to_vec()).unwrap();
                    assert!(!body.contains("terminate"), "{body}");
                    if body.contains("type='error'") {
                        continue;
                    }
                    if let Some(rid) = self.exchanges.remove(&exchange) {
                        self.responses_on_the_way.push((rid, body));
                    }
                }
                Effect::Tell(Event::Said(bytes)) => {
                    self.stream_heard.push_str(std::str::from_utf8(&bytes).unwrap());
                }
                Effect::Delivered(stanzas) => self.delivered += stanzas,
                other @ (Effect::Tell(_) | Effect::Lost | Effect::Over) => panic!("{other:?}"),
            }
        }
        let read = self.client_heard.matches('<').count();
        assert!(
            self.delivered <= read,
            "{} delivered, {read} read",
            self.delivered
        );
    }

    /// The client reads responses in the order of its requests.
    fn returned(&mut self, rid: u64, body: String) {
        if self.open.remove(&rid).is_none() {
            return;
        }
        self.early.insert(rid, body);
        while let Some(body) = self.early.remove(&self.next_to_read) {
            self.next_to_read += 1;
            if let Some((_, payload)) = body.split_once('>') {
                self.client_heard.push_str(payload.trim_end_matches("</body>"));
            }
        }
    }

    /// Nothing is lost any more: everything comes to its end.
    fn settle(&mut self) {
        for _ in 0..20 {
            let open: Vec<u64> = self.open.keys().copied().collect();
            for rid in open {
                // The one that the server waits for first, then the others.
                self.requests_on_the_way.clear();
                self.arrive(rid);
                self.look();
            }
            while !self.responses_on_the_way.is_empty() {
                self.step(Happening::Return(0));
            }
            self.step(Happening::Send);
            self.world.pass(61);
            self.look();
        }
    }
}

/// PROPTEST_CASES asks for more.
fn cases() -> ProptestConfig {
    let cases = match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(if cfg!(debug_assertions) { 256 } else { 4_096 }),
    };
    ProptestConfig {
        source_file: Some(file!()),
        ..cases
    }
}

#[test]
fn xep0124_14_everything_arrives_exactly_once_and_in_order() {
    let courses = (
        1..3_usize,
        any::<bool>(),
        prop::collection::vec(happening(), 0..150),
    );
    let tried = Cell::new((0_usize, Faults::default()));
    let outcome = TestRunner::new(cases()).run(&courses, |(hold, acknowledges, happenings)| {
        let mut model = Model::new(hold, acknowledges);
        for happening in happenings {
            model.step(happening);
        }
        // What was repeated as often as is allowed cannot be repeated again.
        for (_, repeats, _) in model.open.values_mut() {
            *repeats = 0;
        }
        model.settle();
        let all = |letter: char, count: usize| {
            (0..count)
                .map(|number| format!("<{letter}{number}/>"))
                .collect::<String>()
        };
        prop_assert_eq!(&model.stream_heard, &all('c', model.client_said));
        prop_assert_eq!(&model.client_heard, &all('s', model.stream_said));
        let (courses, mut faults) = tried.get();
        faults.add(model.faults);
        tried.set((courses + 1, faults));
        Ok(())
    });
    let (courses, faults) = tried.get();
    println!(
        "{courses} courses: {} requests and {} responses lost, {} requests doubled, {} overtaking, {} connections given up",
        faults.lost_requests, faults.lost_responses, faults.doubled, faults.overtaken, faults.given_up
    );
    outcome.unwrap();
    let least = [
        faults.lost_requests,
        faults.lost_responses,
        faults.doubled,
        faults.overtaken,
        faults.given_up,
    ];
    assert!(
        least.into_iter().all(|count| count > courses / 4),
        "too few faults to tell anything"
    );
}
