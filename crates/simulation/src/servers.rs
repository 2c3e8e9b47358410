//! Several servers on one clock, and the lines between them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use machine::Moment;
use parking_lot::Mutex;
use router::Network;
use s2s::link::Cause;
use s2s::{CertificateFault, Errand, Pair};

use crate::line::{End, Failure};
use crate::{Settings, Turns, World};

/// Steps after which servers that do not come to rest are taken for ones that never will.
const STEPS_MAX: usize = 1_000_000;

/// How long a call to a server takes that does not answer.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// Several whole servers, which call each other as DNS would have them.
pub struct Servers {
    worlds: Vec<World>,
    switchboards: Vec<Arc<Switchboard>>,
    lines: Vec<Line>,
    /// How each server can be reached.
    reach: Vec<Reach>,
    /// How two servers, the lower number first, can reach each other, where that is worse.
    ways: BTreeMap<(usize, usize), Reach>,
    /// What is wrong with everybody's certificate.
    fault: Option<CertificateFault>,
    /// Calls that nobody takes, and when the caller gives up.
    waiting: Vec<(Moment, usize, Call)>,
    /// Of everything that they have said to each other.
    said: DefaultHasher,
}

/// How a server can be reached, from better to worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// It takes calls.
    Open,
    /// It refuses them.
    Refused,
    /// Nothing comes to it or from it, and nobody says so.
    BlackHole,
}

/// A connection from one server to another.
struct Line {
    ends: [End; 2],
    servers: [usize; 2],
}

/// What a router wants of the network.
enum Call {
    Dial(Errand),
    Look(Pair),
}

/// The calls of one server, until they are put through.
#[derive(Default)]
struct Switchboard(Mutex<Vec<Call>>);

impl Network for Switchboard {
    fn dial(&self, errand: Errand) {
        self.0.lock().push(Call::Dial(errand));
    }

    fn look(&self, pair: Pair) {
        self.0.lock().push(Call::Look(pair));
    }
}

impl Servers {
    /// Servers without accounts.
    pub fn new(seed: u64, settings: impl IntoIterator<Item = Settings>) -> Servers {
        let worlds: Vec<World> = settings
            .into_iter()
            .zip(seed..)
            .map(|(settings, seed)| World::new(seed, settings, Turns::ByDice))
            .collect();
        let switchboards: Vec<Arc<Switchboard>> = worlds.iter().map(|_| Arc::default()).collect();
        for (world, switchboard) in worlds.iter().zip(&switchboards) {
            world
                .router()
                .attach_network(Arc::clone(switchboard) as Arc<dyn Network>);
        }
        let reach = vec![Reach::Open; worlds.len()];
        Servers {
            worlds,
            switchboards,
            lines: Vec::new(),
            reach,
            ways: BTreeMap::new(),
            fault: None,
            waiting: Vec::new(),
            said: DefaultHasher::new(),
        }
    }

    /// A number that follows from all that they have said to each other and to clients, and when. Two runs of the same
    /// worlds have the same, in other processes too.
    pub fn fingerprint(&self) -> u64 {
        let mut all = self.said.clone();
        for world in &self.worlds {
            world.fingerprint().hash(&mut all);
        }
        all.finish()
    }

    /// One of them. It should not be settled alone.
    pub fn at(&mut self, server: usize) -> &mut World {
        &mut self.worlds[server]
    }

    /// From now on a server is reached like this.
    pub fn set_reach(&mut self, server: usize, reach: Reach) {
        self.reach[server] = reach;
    }

    /// From now on two servers reach each other like this, in both directions, or worse if one of them cannot be reached.
    pub fn set_way(&mut self, one: usize, other: usize, reach: Reach) {
        self.ways.insert((one.min(other), one.max(other)), reach);
    }

    /// Every line between two servers breaks.
    pub fn cut_between(&mut self, one: usize, other: usize) {
        let is_meant = |line: &&mut Line| line.servers == [one, other] || line.servers == [other, one];
        for end in self
            .lines
            .iter_mut()
            .filter(is_meant)
            .flat_map(|line| &mut line.ends)
        {
            end.cut();
        }
    }

    /// From now on nobody knows who issued the certificates: servers must ask back (XEP-0220).
    pub fn distrust_certificates(&mut self) {
        self.fault = Some(CertificateFault::UnknownAuthority);
    }

    /// Every line breaks.
    pub fn cut(&mut self) {
        for end in self.lines.iter_mut().flat_map(|line| &mut line.ends) {
            end.cut();
        }
    }

    /// A server is killed, and starts again with what is stored. The others see their lines break.
    pub fn crash(&mut self, server: usize) {
        self.worlds[server].crash();
        self.is_new(server);
    }

    /// A server stops as it does on SIGTERM, and starts again with what it kept. The others see their lines break.
    pub fn restart(&mut self, server: usize) {
        self.worlds[server].suspend();
        // What the goodbyes have to say to others is said; then the lines end, and no more calls are made.
        self.settle();
        let nobody = Arc::new(Switchboard::default());
        self.worlds[server].router().attach_network(nobody);
        for line in &mut self.lines {
            for (end, at) in line.ends.iter_mut().zip(line.servers) {
                if at == server {
                    end.dismiss();
                }
            }
        }
        self.settle();
        self.worlds[server].go_on();
        self.is_new(server);
    }

    fn is_new(&mut self, server: usize) {
        let switchboard = Arc::new(Switchboard::default());
        self.switchboards[server] = Arc::clone(&switchboard);
        self.worlds[server].router().attach_network(switchboard);
        for line in &mut self.lines {
            for place in 0..2 {
                if line.servers[place] == server {
                    line.ends[place].kill();
                    line.ends[1 - place].cut();
                }
            }
        }
        self.waiting.retain(|(_, caller, _)| *caller != server);
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.lines.len()
    }

    /// Lets everything happen that can happen without time passing.
    ///
    /// # Panics
    /// When it never comes to rest.
    pub fn settle(&mut self) {
        for _ in 0..STEPS_MAX {
            if !self.step() {
                return;
            }
        }
        panic!("the servers do not come to rest");
    }

    /// Lets time pass, with all that happens meanwhile.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now() + time;
        self.settle();
        while let Some(next) = self.next_moment().filter(|next| *next <= end) {
            self.wind_to(next);
            self.settle();
        }
        self.wind_to(end);
        self.settle();
    }

    /// The clock.
    pub fn now(&self) -> Moment {
        self.worlds.iter().map(World::now).max().unwrap_or_default()
    }

    /// Lets each part do one thing that it can do now. False: nothing can before time passes.
    pub fn step(&mut self) -> bool {
        let mut busy = false;
        for world in &mut self.worlds {
            busy |= world.step();
        }
        busy |= self.put_calls_through();
        let mut failures = Vec::new();
        let now = self.now();
        for line in &mut self.lines {
            let is_dead = line
                .servers
                .iter()
                .any(|server| self.reach[*server] == Reach::BlackHole)
                || way(&self.ways, line.servers) == Reach::BlackHole;
            let mut said = |from: usize, bytes: &[u8]| (now.as_micros(), from, bytes).hash(&mut self.said);
            busy |= line.work(&self.worlds, is_dead, &mut failures, &mut said);
        }
        self.lines.retain(|line| !line.ends.iter().all(End::is_closed));
        for (server, Failure { errand, cause }) in failures {
            self.fail(server, errand, cause);
        }
        busy
    }

    fn put_calls_through(&mut self) -> bool {
        let mut busy = false;
        for caller in 0..self.worlds.len() {
            let calls = std::mem::take(&mut *self.switchboards[caller].0.lock());
            for call in calls {
                busy = true;
                self.call(caller, call);
            }
        }
        busy
    }

    fn call(&mut self, caller: usize, call: Call) {
        let domain = match &call {
            Call::Dial(errand) => errand.header.remote.clone(),
            Call::Look(pair) => pair.remote.clone(),
        };
        let Some(called) = self
            .worlds
            .iter()
            .position(|world| world.serves(domain.domainpart()))
        else {
            return self.give_up(caller, call, Cause::NoSuchDomain);
        };
        match self.reach[called].max(way(&self.ways, [caller, called])) {
            Reach::Refused => self.give_up(caller, call, Cause::Refused),
            Reach::BlackHole => self.waiting.push((self.now() + CONNECT_TIME, caller, call)),
            Reach::Open => match call {
                Call::Dial(errand) => self.open(caller, called, errand),
                Call::Look(pair) => {
                    let router = self.worlds[caller].router();
                    router.work(|worker| router.looked(pair.clone(), Ok(()), worker));
                }
            },
        }
    }

    fn open(&mut self, caller: usize, called: usize, errand: Errand) {
        let sni = Some(errand.header.remote.domainpart().to_owned());
        let (from, to) = (self.worlds[caller].office(), self.worlds[called].office());
        let mut ends = [End::outbound(from, errand), End::inbound(to)];
        let [first, second] = &mut ends;
        // Neither has said anything yet that could be refused.
        let failures = [
            second.secure(to, &self.worlds[caller].domains(), sni, self.fault.clone()),
            first.secure(from, &self.worlds[called].domains(), None, self.fault.clone()),
        ];
        self.lines.push(Line {
            ends,
            servers: [caller, called],
        });
        for Failure { errand, cause } in failures.into_iter().flatten() {
            self.fail(caller, errand, cause);
        }
    }

    fn give_up(&self, caller: usize, call: Call, cause: Cause) {
        match call {
            Call::Dial(errand) => self.fail(caller, errand, cause),
            Call::Look(pair) => {
                let router = self.worlds[caller].router();
                router.work(|worker| router.looked(pair.clone(), Err(cause), worker));
            }
        }
    }

    fn fail(&self, caller: usize, errand: Errand, cause: Cause) {
        let router = self.worlds[caller].router();
        let mut errand = Some(errand);
        router.work(|worker| {
            if let Some(errand) = errand.take() {
                router.dial_failed(errand, cause, worker);
            }
        });
    }

    fn next_moment(&self) -> Option<Moment> {
        let of_worlds = self.worlds.iter().filter_map(World::next_moment);
        let of_lines = self.lines.iter().flat_map(|line| {
            let ends = line.ends.iter().zip(line.servers);
            ends.filter_map(|(end, server)| end.next_wake(self.worlds[server].router()))
        });
        let of_calls = self.waiting.iter().map(|(at, ..)| *at);
        of_worlds.chain(of_lines).chain(of_calls).min()
    }

    fn wind_to(&mut self, now: Moment) {
        for world in &mut self.worlds {
            world.wind_to(now);
        }
        let (due, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(at, ..)| *at <= now);
        self.waiting = waiting;
        let due: Vec<(Moment, usize, Call)> = due;
        for (_, caller, call) in due {
            self.give_up(caller, call, Cause::Unreachable);
        }
    }
}

fn way(ways: &BTreeMap<(usize, usize), Reach>, [one, other]: [usize; 2]) -> Reach {
    let way = ways.get(&(one.min(other), one.max(other)));
    way.copied().unwrap_or(Reach::Open)
}

impl Line {
    fn work(
        &mut self,
        worlds: &[World],
        is_dead: bool,
        failures: &mut Vec<(usize, Failure)>,
        said: &mut impl FnMut(usize, &[u8]),
    ) -> bool {
        let mut busy = false;
        for (end, server) in self.ends.iter_mut().zip(self.servers) {
            let mut failed = Vec::new();
            busy |= end.work(worlds[server].office(), &mut failed);
            failures.extend(failed.into_iter().map(|failure| (server, failure)));
        }
        if is_dead {
            // What is on its way is sent again until it arrives, or the connection is given up.
            return busy;
        }
        for (from, to) in [(0, 1), (1, 0)] {
            let bytes = self.ends[from].take_outbox();
            if !bytes.is_empty() {
                busy = true;
                said(self.servers[from], &bytes);
                self.ends[to].arrive(&bytes);
            }
            if self.ends[from].is_closed() {
                self.ends[to].hang_up();
            }
        }
        busy
    }
}
