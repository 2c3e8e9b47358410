//! Everything at once, at random: no stanza is lost or doubled, order holds, watchers know what is so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;
use stream_management::{Limits, Mailbox, Remains};

use super::world::*;
use crate::Ways;
use crate::link::{Cause, End, Input, Path, StateName, StreamId};

#[derive(Clone, Debug)]
enum Happening {
    Send(bool),
    Open(u8, bool),
    /// The connection of a stream takes so many stanzas, and the peer gets so many of them.
    Carry(usize, usize, usize),
    /// The peer's acknowledgement arrives.
    Acknowledge(usize),
    Break(usize, bool),
    Close(usize, bool),
    Resume(usize),
    GiveUp(usize),
    /// What was decided elsewhere reaches the link.
    Arrive,
    Fail(bool),
    Alive(usize),
    Watch(u8),
    Unwatch(u8),
    Pass(u16),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => any::<bool>().prop_map(Happening::Send),
        2 => (0u8..3, any::<bool>()).prop_map(|(ways, counted)| Happening::Open(ways, counted)),
        4 => (0usize..4, 0usize..5, 0usize..5).prop_map(|(which, taken, got)| Happening::Carry(which, taken, got)),
        2 => (0usize..4).prop_map(Happening::Acknowledge),
        2 => (0usize..4, any::<bool>()).prop_map(|(which, later)| Happening::Break(which, later)),
        1 => (0usize..4, any::<bool>()).prop_map(|(which, later)| Happening::Close(which, later)),
        2 => (0usize..4).prop_map(Happening::Resume),
        1 => (0usize..4).prop_map(Happening::GiveUp),
        3 => Just(Happening::Arrive),
        2 => any::<bool>().prop_map(Happening::Fail),
        2 => (0usize..4).prop_map(Happening::Alive),
        1 => (0u8..4).prop_map(Happening::Watch),
        1 => (0u8..4).prop_map(Happening::Unwatch),
        3 => (0u16..15_000).prop_map(Happening::Pass),
    ]
}

/// A stream as the world knows it.
struct Real {
    mailbox: Arc<Mailbox>,
    ways: Ways,
    counted: bool,
    broken: bool,
    /// Written, not yet read by the peer.
    wire: VecDeque<usize>,
    /// What the peer has counted.
    handled: u32,
}

struct Model {
    world: World,
    sender: Arc<Mailbox>,
    streams: BTreeMap<StreamId, Real>,
    next_stream: u64,
    sent: usize,
    /// What the peer got, in order.
    got: Vec<usize>,
    /// What was returned.
    returned: BTreeSet<usize>,
    /// Inputs on their way to the link.
    coming: VecDeque<Input>,
    told: BTreeMap<stanza::Address, bool>,
}

impl Model {
    fn new() -> Model {
        let limits = Limits {
            stanzas: 10_000,
            bytes: 1 << 30,
        };
        let mut world = World::new();
        world.settings.mailbox = Limits {
            stanzas: 4,
            bytes: 1 << 20,
        };
        world.settings.queue.stanzas = 12;
        Model {
            world,
            sender: Mailbox::new(limits),
            streams: BTreeMap::new(),
            next_stream: 1000,
            sent: 0,
            got: Vec::new(),
            returned: BTreeSet::new(),
            coming: VecDeque::new(),
            told: BTreeMap::new(),
        }
    }

    fn pick(&self, which: usize, fit: impl Fn(&Real) -> bool) -> Option<StreamId> {
        let fit: Vec<StreamId> = self
            .streams
            .iter()
            .filter(|(_, real)| fit(real))
            .map(|(id, _)| *id)
            .collect();
        (!fit.is_empty()).then(|| fit[which % fit.len()])
    }

    fn fresh(&mut self) -> StreamId {
        self.next_stream += 1;
        StreamId(self.next_stream)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Send(message) => {
                let receipt = Some(self.sender.count_received());
                let id = self.sent.to_string();
                self.sent += 1;
                self.world
                    .send_with(if message { CHAT } else { IQ }, &id, receipt);
            }
            Happening::Open(ways, counted) => {
                let stream = self.fresh();
                let ways = [Ways::In, Ways::Out, Ways::Both][usize::from(ways)];
                let mailbox = Mailbox::new(Limits {
                    stanzas: 1_000,
                    bytes: 1 << 30,
                });
                if counted {
                    mailbox.enable_counting();
                }
                let real = Real {
                    mailbox: Arc::clone(&mailbox),
                    ways,
                    counted,
                    broken: false,
                    wire: VecDeque::new(),
                    handled: 0,
                };
                self.streams.insert(stream, real);
                self.coming.push_back(Input::Carried {
                    stream,
                    ways,
                    mailbox,
                });
            }
            Happening::Carry(which, taken, got) => {
                if let Some(stream) = self.pick(which, |real| !real.broken) {
                    self.carry(stream, taken, got);
                }
            }
            Happening::Acknowledge(which) => {
                if let Some(stream) = self.pick(which, |real| !real.broken && real.counted) {
                    let real = &self.streams[&stream];
                    real.mailbox.acknowledge(real.handled).unwrap();
                }
            }
            Happening::Break(which, later) => {
                if let Some(stream) = self.pick(which, |real| !real.broken) {
                    let real = self.streams.get_mut(&stream).unwrap();
                    if real.counted {
                        real.broken = true;
                        real.wire.clear();
                        let cause = Cause::RemoteClosed;
                        self.coming.push_back(Input::Suspended { stream, cause });
                    } else {
                        self.over(stream, End::Broken(Cause::RemoteClosed));
                    }
                    if !later {
                        self.arrive_all();
                    }
                }
            }
            Happening::Close(which, later) => {
                if let Some(stream) = self.pick(which, |real| !real.broken) {
                    self.over(stream, End::ByPeer);
                    if !later {
                        self.arrive_all();
                    }
                }
            }
            Happening::Resume(which) => {
                if let Some(stream) = self.pick(which, |real| real.broken) {
                    let mut real = self.streams.remove(&stream).unwrap();
                    real.mailbox.resume(real.handled).unwrap();
                    real.broken = false;
                    let by = self.fresh();
                    let (ways, mailbox) = (real.ways, Arc::clone(&real.mailbox));
                    self.streams.insert(by, real);
                    self.coming.push_back(Input::Resumed {
                        stream,
                        by,
                        ways,
                        mailbox,
                    });
                }
            }
            Happening::GiveUp(which) => {
                if let Some(stream) = self.pick(which, |real| real.broken) {
                    self.over(stream, End::Broken(Cause::RemoteClosed));
                }
            }
            Happening::Arrive => {
                if let Some(input) = self.coming.pop_front() {
                    self.world.input(input);
                }
            }
            Happening::Fail(refused) => {
                if !self.world.connects.is_empty() {
                    self.world.fail(if refused {
                        Cause::Refused
                    } else {
                        Cause::Unreachable
                    });
                }
            }
            Happening::Alive(which) => {
                if let Some(stream) = self.pick(which, |real| !real.broken) {
                    self.coming.push_back(Input::Alive(stream));
                }
            }
            Happening::Watch(who) => {
                let watcher = address(&format!("u{who}@montague.lit"));
                self.told.insert(watcher.clone(), true);
                self.world.input(Input::Watch(watcher));
            }
            Happening::Unwatch(who) => {
                let watcher = address(&format!("u{who}@montague.lit"));
                self.told.remove(&watcher);
                self.world.input(Input::Unwatch(watcher));
            }
            Happening::Pass(millis) => self.world.pass(f64::from(millis) / 1000.0),
        }
        self.look();
    }

    fn carry(&mut self, stream: StreamId, taken: usize, got: usize) {
        let real = self.streams.get_mut(&stream).unwrap();
        let mut out = Vec::new();
        let target = stanza::Target::Stream;
        let drained = real.mailbox.drain(&mut out, target, usize::MAX, taken).stanzas;
        let text = String::from_utf8(out).unwrap();
        let ids = text
            .split(" id='")
            .skip(1)
            .map(|rest| rest.split('\'').next().unwrap().parse::<usize>().unwrap());
        real.wire.extend(ids);
        real.mailbox.written(drained);
        for _ in 0..got {
            if let Some(id) = real.wire.pop_front() {
                real.handled += u32::from(real.counted);
                assert!(!self.returned.contains(&id), "{id} was returned, and arrives");
                self.got.push(id);
            }
        }
    }

    fn over(&mut self, stream: StreamId, end: End) {
        let Some(real) = self.streams.remove(&stream) else {
            return;
        };
        let remains: Remains = real.mailbox.close_apart();
        self.coming.push_back(Input::Ended { stream, end, remains });
    }

    fn arrive_all(&mut self) {
        while let Some(input) = self.coming.pop_front() {
            self.world.input(input);
        }
    }

    /// Does what the link asked for, and checks what must hold at every moment.
    fn look(&mut self) {
        for note in std::mem::take(&mut self.world.notes) {
            if let Some(stream) = note.strip_prefix("give up ") {
                self.over(
                    StreamId(stream.parse().unwrap()),
                    End::Broken(Cause::RemoteClosed),
                );
            }
        }
        for (id, _) in self.world.returned() {
            let id = id.parse().unwrap();
            assert!(self.returned.insert(id), "{id} was returned twice");
        }
        let mut order = self.got.clone();
        order.sort_unstable();
        order.dedup();
        assert_eq!(order, self.got, "in order, each once");
        for (watchers, path) in std::mem::take(&mut self.world.told) {
            for watcher in watchers {
                self.told.insert(watcher, path == Path::Clear);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_stanza_is_lost_or_doubled_and_order_holds(happenings in prop::collection::vec(happening(), 0..80)) {
        let mut model = Model::new();
        for happening in happenings {
            model.happen(happening);
        }
        // The end of the world: what is on its way arrives, what is broken stays so, nobody can be reached.
        model.arrive_all();
        let streams: Vec<StreamId> = model.streams.keys().copied().collect();
        for stream in streams {
            model.over(stream, End::Broken(Cause::RemoteClosed));
        }
        for _ in 0..50 {
            model.arrive_all();
            model.happen(Happening::Fail(true));
            model.happen(Happening::Pass(15_000));
        }
        let view = model.world.link.view();
        prop_assert_eq!(view.waiting, (0, 0));
        prop_assert!(view.streams.is_empty());
        prop_assert_eq!(model.sender.open_receipts(), 0, "every fate is decided");
        prop_assert_eq!(usize::try_from(model.sender.handled()).unwrap(), model.sent);
        let clear = view.path == Path::Clear;
        prop_assert!(model.told.values().all(|told| *told == clear), "watchers know");
        prop_assert!(clear == (view.state != StateName::Down) || view.state == StateName::Up);
    }
}
