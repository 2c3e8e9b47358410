//! A world where everything happens at random, with checkers that count: order between any two, each number one fate,
//! nothing seen before it is durable, nothing loaded before the last commit is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::SeqCst};

use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use parking_lot::Mutex;
use turns::{
    CommitFailed, CommitId, Death, Gone, Limits, LoadFailure, Priority, Ready, Refusal, Slot, Worker, World,
};

use crate::stage::stumble;

/// How many live here.
pub(crate) const HOUSES: usize = 8;
/// Letters enter the village by so many messengers, one for each thread.
pub(crate) const MESSENGERS: usize = 4;
const SENDERS: usize = HOUSES + MESSENGERS;

pub(crate) type House = Arc<Slot<Villager, Village>>;

/// One input. Letters from one sender carry growing numbers in the order in which they were decided.
#[derive(Debug)]
pub(crate) struct Letter {
    from: usize,
    number: u64,
    /// How often an answer may follow.
    hops: u8,
}

/// One effect: a letter to another villager, decided after all earlier numbers of its sender.
#[derive(Debug)]
pub(crate) struct Post {
    to: usize,
    letter: Letter,
}

/// Dice with a seed (splitmix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((mixed ^ (mixed >> 31)) >> 33) as usize) % sides
    }
}

impl Random for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = self.below(256) as u8);
    }
}

/// What a number can come to, in the order of [`Village::fates`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Handled,
    /// Handled by a panic.
    Stumbled,
    RefusedFull,
    RefusedNotLoaded,
    RefusedPanicked,
    RefusedCommitFailed,
    Abandoned,
}

/// How wild a village is: one in so many decisions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Odds {
    pub(crate) commit: usize,
    pub(crate) panic: usize,
}

/// What the checkers know. It is also the settings of the villagers, so that they draw numbers from it.
pub(crate) struct Register {
    odds: Odds,
    next_number: AtomicU64,
    /// The last number handled, by sender and receiver.
    last: Vec<AtomicU64>,
    /// By number: 0 while open, else a fate + 1.
    fates: Vec<AtomicU8>,
    /// A panic in a turn is caught, so an assertion there would prove nothing: what is wrong is written down.
    wrongs: Mutex<Vec<String>>,
}

impl Register {
    /// A number for a new letter.
    fn draw(&self) -> u64 {
        self.next_number.fetch_add(1, SeqCst)
    }

    fn check(&self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.wrongs.lock().push(otherwise());
        }
    }

    fn decide_fate(&self, number: u64, fate: Fate) {
        let before = self.fates[number as usize].swap(fate as u8 + 1, SeqCst);
        self.check(before == 0, || {
            format!("letter {number} has fate {before}, then {fate:?}")
        });
    }

    fn check_order(&self, letter: &Letter, to: usize) {
        let last = self.last[letter.from * HOUSES + to].swap(letter.number, SeqCst);
        self.check(last < letter.number, || {
            format!(
                "from {} to {to}: {} came after {last}",
                letter.from, letter.number
            )
        });
    }
}

/// A machine that answers letters with letters.
pub(crate) struct Villager {
    name: usize,
    busy: bool,
}

impl Machine for Villager {
    type Input = Letter;
    type Change = u64;
    type Effect = Post;
    type Settings = Register;

    fn handle(&mut self, context: &mut Context<'_, Register>, letter: Letter, out: &mut Decision<u64, Post>) {
        let register = context.settings;
        register.check_order(&letter, self.name);
        let mut bytes = [0; 8];
        context.random.fill(&mut bytes);
        let mut dice = Dice(u64::from_le_bytes(bytes));
        if dice.below(register.odds.panic) == 0 {
            register.decide_fate(letter.number, Fate::Stumbled);
            stumble();
        }
        register.decide_fate(letter.number, Fate::Handled);
        if dice.below(register.odds.commit) == 0 {
            out.commit.push(register.draw());
        }
        let answers = if letter.hops == 0 { 0 } else { dice.below(3) };
        for _ in 0..answers {
            let answer = Letter {
                from: self.name,
                number: register.draw(),
                hops: letter.hops - 1,
            };
            out.effects.push(Post {
                to: dice.below(HOUSES),
                letter: answer,
            });
        }
        self.busy = dice.below(4) == 0;
    }

    fn is_idle(&self) -> bool {
        !self.busy
    }
}

/// A commit that is not durable, and its number, which lies before those of the letters that wait for it.
struct Commit {
    house: House,
    id: CommitId,
    number: u64,
    failed: bool,
}

/// The router and the store.
pub(crate) struct Village {
    register: Register,
    houses: Vec<Mutex<Option<House>>>,
    /// Open and failed commits, by house.
    commits: Vec<Mutex<Vec<Commit>>>,
    loads: Mutex<Vec<House>>,
    left: Arc<Mutex<Vec<Ready>>>,
    next_seed: AtomicU64,
    deaths: AtomicUsize,
    pub(crate) retired: AtomicUsize,
    pub(crate) returned: AtomicUsize,
}

impl Village {
    /// Room for so many letters and commits.
    pub(crate) fn new(seed: u64, numbers: usize, odds: Odds) -> Arc<Village> {
        let register = Register {
            odds,
            next_number: AtomicU64::new(1),
            last: (0..SENDERS * HOUSES).map(|_| AtomicU64::new(0)).collect(),
            fates: (0..numbers).map(|_| AtomicU8::new(0)).collect(),
            wrongs: Mutex::default(),
        };
        Arc::new(Village {
            register,
            houses: (0..HOUSES).map(|_| Mutex::new(None)).collect(),
            commits: (0..HOUSES).map(|_| Mutex::new(Vec::new())).collect(),
            loads: Mutex::default(),
            left: Arc::default(),
            next_seed: AtomicU64::new(seed),
            deaths: AtomicUsize::new(0),
            retired: AtomicUsize::new(0),
            returned: AtomicUsize::new(0),
        })
    }

    pub(crate) fn worker(&self) -> Worker {
        let left = Arc::clone(&self.left);
        Worker::new(move |ready| left.lock().push(ready))
    }

    /// A letter from outside.
    pub(crate) fn inject(self: &Arc<Self>, messenger: usize, to: usize, hops: u8, worker: &mut Worker) {
        let letter = Letter {
            from: HOUSES + messenger,
            number: self.register.draw(),
            hops,
        };
        self.route(Post { to, letter }, worker);
    }

    /// Answers an open commit; one in `fails` fails.
    pub(crate) fn answer(&self, dice: &mut Dice, fails: usize, worker: &mut Worker) {
        let mut commits = self.commits[dice.below(HOUSES)].lock();
        let open: Vec<usize> = (0..commits.len())
            .filter(|place| !commits[*place].failed)
            .collect();
        if open.is_empty() {
            return;
        }
        let place = open[dice.below(open.len())];
        let (house, id) = (Arc::clone(&commits[place].house), commits[place].id);
        // Marked before the answer is given, or a thread could see its consequence before the mark.
        let answer = if dice.below(fails) == 0 {
            commits[place].failed = true;
            Err(CommitFailed)
        } else {
            commits.swap_remove(place);
            Ok(())
        };
        drop(commits);
        house.committed(id, answer, worker);
    }

    /// Answers a request to load; one in `fails` fails.
    pub(crate) fn load(&self, dice: &mut Dice, fails: usize, worker: &mut Worker) {
        let mut loads = self.loads.lock();
        if loads.is_empty() {
            return;
        }
        let place = dice.below(loads.len());
        let house = loads.swap_remove(place);
        drop(loads);
        let name = *house.key();
        let rests = self.commits[name].lock().iter().all(|commit| commit.failed);
        self.register
            .check(rests, || format!("{name} is loaded while a commit is open"));
        if dice.below(fails) == 0 {
            house.load_failed(LoadFailure::Unavailable, worker);
            self.forget(&house);
        } else {
            let villager = Villager { name, busy: false };
            self.register.check(house.loaded(villager, worker).is_ok(), || {
                format!("{name} is loaded twice")
            });
        }
    }

    /// Tries to take somebody out of memory. The slot stays in its place, as it does for a moment with any router, until
    /// a letter comes back.
    pub(crate) fn retire(&self, name: usize) {
        let house = self.houses[name].lock().clone();
        if let Some(house) = house
            && house.retire_if_idle()
        {
            self.retired.fetch_add(1, SeqCst);
        }
    }

    /// Takes over what some worker left.
    pub(crate) fn resume(&self, worker: &mut Worker) {
        if let Some(ready) = self.left.lock().pop() {
            worker.resume(ready);
        }
    }

    /// Whether nothing is left to answer, load or resume.
    pub(crate) fn is_quiet(&self) -> bool {
        self.left.lock().is_empty()
            && self.loads.lock().is_empty()
            && self
                .commits
                .iter()
                .all(|commits| commits.lock().iter().all(|commit| commit.failed))
    }

    /// How many letters came to each fate. All letters came to one, or this panics, as it does if anything was wrong.
    pub(crate) fn fates(&self) -> [usize; 7] {
        assert_eq!(*self.register.wrongs.lock(), [""; 0]);
        let mut fates = [0; 7];
        let numbers = self.register.next_number.load(SeqCst) as usize;
        for (number, fate) in self.register.fates[..numbers].iter().enumerate().skip(1) {
            match fate.load(SeqCst) {
                0 => panic!("letter {number} is lost"),
                COMMIT => {}
                fate => fates[usize::from(fate) - 1] += 1,
            }
        }
        fates
    }

    pub(crate) fn deaths(&self) -> usize {
        self.deaths.load(SeqCst)
    }

    /// What the router does: finds the house or has it loaded; when it is gone, tries anew.
    fn route(self: &Arc<Self>, post: Post, worker: &mut Worker) {
        let mut letter = post.letter;
        loop {
            let house = self.find(post.to);
            // The size of a stanza, or none: every third letter is a control input.
            let priority = match letter.number % 3 {
                0 => Priority::Control,
                size => Priority::Stanza(size as usize * 10),
            };
            match house.deliver(letter, priority, worker) {
                Ok(()) => return,
                Err(Gone(back)) => {
                    self.returned.fetch_add(1, SeqCst);
                    self.forget(&house);
                    letter = back;
                }
            }
        }
    }

    fn find(self: &Arc<Self>, name: usize) -> House {
        let mut place = self.houses[name].lock();
        if let Some(house) = &*place {
            return Arc::clone(house);
        }
        let house = Slot::loading(name, Arc::clone(self));
        *place = Some(Arc::clone(&house));
        drop(place);
        self.loads.lock().push(Arc::clone(&house));
        house
    }

    fn forget(&self, house: &House) {
        let mut place = self.houses[*house.key()].lock();
        if place.as_ref().is_some_and(|other| Arc::ptr_eq(other, house)) {
            *place = None;
        }
    }
}

/// The fate of a number that was drawn for a commit.
const COMMIT: u8 = 100;

impl World<Villager> for Village {
    type Key = usize;

    fn limits(&self) -> Limits {
        Limits {
            inbox_inputs_max: 6,
            inbox_bytes_max: 70,
            waiting_effects_max: 5,
            waiting_bytes_max: 60,
        }
    }

    fn with_context<R>(&self, decide: impl FnOnce(&mut Context<'_, Register>) -> R) -> R {
        let mut dice = Dice(
            self.next_seed
                .fetch_add(1, SeqCst)
                .wrapping_mul(0x2545_f491_4f6c_dd1d),
        );
        decide(&mut Context {
            now: Moment::default(),
            wall: Timestamp::default(),
            random: &mut dice,
            settings: &self.register,
        })
    }

    fn commit(&self, house: &House, id: CommitId, changes: Vec<u64>, _: &mut Worker) {
        for number in changes {
            self.register.fates[number as usize].store(COMMIT, SeqCst);
            let commit = Commit {
                house: Arc::clone(house),
                id,
                number,
                failed: false,
            };
            self.commits[*house.key()].lock().push(commit);
        }
    }

    fn perform(&self, house: &House, post: Post, worker: &mut Worker) {
        let number = post.letter.number;
        let waits = |commit: &Commit| Arc::ptr_eq(&commit.house, house) && commit.number < number;
        let durable = !self.commits[*house.key()].lock().iter().any(waits);
        self.register.check(durable, || {
            format!("letter {number} left before what it waits for was durable")
        });
        house.world().route(post, worker);
    }

    fn abandon(&self, _: &House, post: Post, _: &mut Worker) {
        self.register.decide_fate(post.letter.number, Fate::Abandoned);
    }

    fn refuse(&self, _: &House, letter: Letter, why: Refusal, _: &mut Worker) {
        let fate = match why {
            Refusal::Full => Fate::RefusedFull,
            Refusal::NotLoaded(_) => Fate::RefusedNotLoaded,
            Refusal::Died(Death::Panicked) => Fate::RefusedPanicked,
            Refusal::Died(Death::CommitFailed) => Fate::RefusedCommitFailed,
        };
        let fair = why != Refusal::Full || !letter.number.is_multiple_of(3);
        self.register
            .check(fair, || format!("control input {} was refused", letter.number));
        self.register.decide_fate(letter.number, fate);
    }

    fn died(&self, house: &House, _: Death, _: &mut Worker) {
        self.deaths.fetch_add(1, SeqCst);
        self.forget(house);
    }
}
