//! A store in memory, for tests and the simulation: seeded, without threads, clocks or files of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use machine::Moment;
use parking_lot::Mutex;
use router::StoreError;
use stanza::Address;

use crate::contents::Contents;
use crate::doomed::Doomed;
use crate::faults::{Dice, Faults};
use crate::operation::{Order, Outcome, Question, store_by_operations};

/// Runs a job soon, on whatever thread, but not before it returns.
pub type Executor = Box<dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync>;

/// A store in memory. Clones share their contents.
///
/// Nothing happens inside a call that asks for it. In the simulation, what was asked waits until its owner lets time
/// pass ([`Memory::advance`]) or asks for the next answer ([`Memory::step`]); two runs with the same seed and the same
/// calls are the same. With an executor, each operation is done as soon as that gets to it.
///
/// As in a database, questions may be answered before writes that were asked for earlier; writes of one account keep
/// their order.
#[derive(Clone)]
pub struct Memory(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    executor: Option<Executor>,
}

struct State {
    contents: Contents,
    doomed: Doomed,
    faults: Faults,
    dice: Dice,
    now: Moment,
    /// What waits, by when it is due and in which order it was asked for.
    pending: BTreeMap<(Moment, u64), Operation>,
    asked: u64,
    /// The pending writes of each account: how many, and when the last is due.
    writes: BTreeMap<Address, (usize, Moment)>,
    /// Writes of these accounts that fail next.
    failing: BTreeMap<Address, (StoreError, usize)>,
    /// The executor has a job that answers.
    answering: bool,
}

enum Operation {
    Write(Order),
    Question(Question),
}

impl Memory {
    /// An empty store whose owner lets time pass.
    pub fn new(seed: u64, faults: Faults) -> Memory {
        Memory::build(seed, faults, None)
    }

    /// An empty store that never misbehaves and answers on an executor.
    pub fn on(executor: Executor) -> Memory {
        Memory::build(0, Faults::default(), Some(executor))
    }

    fn build(seed: u64, faults: Faults, executor: Option<Executor>) -> Memory {
        Memory(Arc::new(Shared {
            state: Mutex::new(State {
                contents: Contents::default(),
                doomed: Doomed::default(),
                faults,
                dice: Dice::new(seed),
                now: Moment::default(),
                pending: BTreeMap::new(),
                asked: 0,
                writes: BTreeMap::new(),
                failing: BTreeMap::new(),
                answering: false,
            }),
            executor,
        }))
    }

    /// From now on it misbehaves like this.
    pub fn set_faults(&self, faults: Faults) {
        self.0.state.lock().faults = faults;
    }

    /// The next `times` writes of this account fail, beside what goes wrong by chance.
    pub fn fail_writes(&self, account: &Address, error: StoreError, times: usize) {
        self.0
            .state
            .lock()
            .failing
            .insert(account.clone(), (error, times));
    }

    /// How many operations wait.
    pub fn pending(&self) -> usize {
        self.0.state.lock().pending.len()
    }

    /// When the next answer is due.
    pub fn next_due(&self) -> Option<Moment> {
        let state = self.0.state.lock();
        state.pending.first_key_value().map(|(&(due, _), _)| due)
    }

    /// Lets time pass, and answers what is due until then, also what is asked meanwhile. Gives how many answers.
    pub fn advance(&self, now: Moment) -> usize {
        let mut answers = 0;
        loop {
            let answer = {
                let mut state = self.0.state.lock();
                state.now = state.now.max(now);
                let now = state.now;
                state.next_answer(|due| due <= now)
            };
            match answer {
                Some(answer) => answer(),
                None => return answers,
            }
            answers += 1;
        }
    }

    /// Gives the next answer, whenever it is due. False: nothing waits.
    pub fn step(&self) -> bool {
        let answer = self.0.state.lock().next_answer(|_| true);
        answer.map(|answer| answer()).is_some()
    }

    /// Gives all answers, also to what is asked meanwhile, and says how many.
    pub fn run_pending(&self) -> usize {
        std::iter::repeat_with(|| self.step())
            .take_while(|&answered| answered)
            .count()
    }

    /// The process that asked is killed: of the writes that wait, by chance the first few are made or none, and nobody
    /// is answered. What was answered stays, for the next process.
    pub fn crash(&self) {
        let mut state = self.0.state.lock();
        let pending = std::mem::take(&mut state.pending);
        let made = state.dice.below(pending.len() as u64 + 1);
        for (_, operation) in pending.into_iter().take(usize::try_from(made).unwrap_or(0)) {
            if let Operation::Write(order) = operation {
                // Whatever comes of it, there is nobody to tell.
                let _ = state.make(&order);
            }
        }
        state.doomed = Doomed::default();
        state.writes.clear();
    }

    fn write(&self, order: Order) {
        self.put(Operation::Write(order));
    }

    fn ask(&self, question: Question) {
        self.put(Operation::Question(question));
    }

    fn put(&self, operation: Operation) {
        let mut state = self.0.state.lock();
        state.put(operation);
        if let Some(executor) = &self.0.executor
            && !std::mem::replace(&mut state.answering, true)
        {
            drop(state);
            let memory = self.clone();
            executor(Box::new(move || memory.answer_all()));
        }
    }

    /// One job at a time answers, so that the answers keep their order on an executor with many threads.
    fn answer_all(&self) {
        loop {
            let answer = {
                let mut state = self.0.state.lock();
                let answer = state.next_answer(|_| true);
                state.answering = answer.is_some();
                answer
            };
            match answer {
                Some(answer) => answer(),
                None => return,
            }
        }
    }
}

store_by_operations!(Memory);

impl State {
    fn put(&mut self, operation: Operation) {
        let mut due = self.now + self.dice.duration(&self.faults.delay);
        match &operation {
            Operation::Write(order) => {
                let (count, last) = self.writes.entry(order.address.clone()).or_insert((0, due));
                due = due.max(*last);
                (*count, *last) = (*count + 1, due);
            }
            Operation::Question(Question::Account(address, _) | Question::Room(address, ..)) => {
                self.doomed.pardon(address);
            }
            Operation::Question(_) => {}
        }
        self.asked += 1;
        self.pending.insert((due, self.asked), operation);
    }

    /// Does the next operation, and gives its answer, to be called without a lock held.
    fn next_answer(&mut self, ready: impl Fn(Moment) -> bool) -> Option<Box<dyn FnOnce() + Send>> {
        let next = self.pending.first_entry().filter(|entry| ready(entry.key().0))?;
        Some(match next.remove() {
            Operation::Write(order) => {
                if let Some((count, _)) = self.writes.get_mut(&order.address) {
                    *count -= 1;
                    if *count == 0 {
                        self.writes.remove(&order.address);
                    }
                }
                let outcome = self.make(&order);
                Box::new(move || (order.answer)(outcome))
            }
            Operation::Question(question) => self.answer(question),
        })
    }

    fn make(&mut self, order: &Order) -> Outcome {
        let is_commit = order.write.is_commit();
        let outcome = if is_commit && self.doomed.contains(&order.address) {
            Err(StoreError::Refused)
        } else {
            match self.fault(&order.address) {
                Some(error) => Err(error),
                None => self.contents.write(&order.address, &order.write),
            }
        };
        if is_commit && outcome.is_err() {
            self.doomed.add(&order.address);
        }
        outcome
    }

    fn fault(&mut self, account: &Address) -> Option<StoreError> {
        if let Some((error, times)) = self.failing.get_mut(account) {
            let error = *error;
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.failing.remove(account);
            }
            return Some(error);
        }
        if self.dice.per_mille(self.faults.unavailable_per_mille) {
            return Some(StoreError::Unavailable);
        }
        self.dice
            .per_mille(self.faults.refused_per_mille)
            .then_some(StoreError::Refused)
    }

    fn answer(&mut self, question: Question) -> Box<dyn FnOnce() + Send> {
        if self.dice.per_mille(self.faults.unavailable_per_mille) {
            return Box::new(move || question.fail(StoreError::Unavailable));
        }
        match question {
            Question::Account(address, done) => {
                let saved = self.contents.account(&address);
                Box::new(move || done(Ok(saved)))
            }
            Question::Waiting(address, done) => {
                let rows = self.contents.waiting(&address);
                Box::new(move || done(Ok(rows)))
            }
            Question::Record(address, record, done) => {
                let bytes = self.contents.record(&address, &record);
                Box::new(move || done(Ok(bytes)))
            }
            Question::Login(address, done) => {
                let login = self.contents.login(&address);
                Box::new(move || done(Ok(login)))
            }
            Question::List(host, done) => {
                let views = self.contents.list(host.as_deref());
                Box::new(move || done(Ok(views)))
            }
            Question::Held(done) => {
                let accounts = self.contents.held();
                Box::new(move || done(Ok(accounts)))
            }
            Question::Capabilities(done) => {
                let hashes = self.contents.capabilities();
                Box::new(move || done(Ok(hashes)))
            }
            Question::Room(address, history, done) => {
                let saved = self.contents.rooms.room(&address, history);
                Box::new(move || done(Ok(saved)))
            }
            Question::Rooms(which, done) => {
                let rooms = self.contents.rooms.list(&which);
                Box::new(move || done(Ok(rooms)))
            }
            Question::CountRooms(done) => {
                let count = self.contents.rooms.count();
                Box::new(move || done(Ok(count)))
            }
            Question::VanishedOccupants(done) => {
                let rooms = self.contents.rooms.with_occupants();
                Box::new(move || done(Ok(rooms)))
            }
        }
    }
}
