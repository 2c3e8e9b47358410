//! The pokes that are under way for one user: who asks, which clients were asked, who has answered (XEP-0132 §3.1).
//!
//! Whether the requester may know at all is decided before, by the account, and again when an answer goes out (POKE-41).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use machine::{Bucket, Moment, Rate};
use stanza::Address;

use crate::{Poke, PokeSettings};

/// Requesters who may have a poke open about one user at the same time. Others are treated as if nobody had answered.
const REQUESTERS_MAX: usize = 64;
/// Questions of one requester that wait for the same answer.
const WAITING_MAX: usize = 16;
/// Requesters whose rate is remembered.
const RATES_MAX: usize = 256;

/// One probe that wants an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who asked; the answer goes there (POKE-27).
    pub requester: Address,
    /// The address that was asked: the user's, or that of one client (POKE-44).
    pub asked: Address,
    /// Mirrored in the answer (POKE-11).
    pub id: Option<String>,
    /// What was asked, echoed in an error.
    pub poke: Poke,
    /// When it was asked.
    pub since: Moment,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The user was found at this client, by this way.
    Found {
        /// The client's full address.
        at: Address,
        /// What the client said.
        poke: Poke,
    },
    /// Nobody could be asked, everybody declined, or the time is over (POKE-19, POKE-20).
    Nobody,
}

/// How many pokes wait for an answer, those about all users together.
#[derive(Debug, Default)]
pub struct InFlight(AtomicUsize);

impl InFlight {
    /// A place among so many, until it is dropped.
    pub(crate) fn place(self: &Arc<Self>, most: usize) -> Option<Place> {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < most).then_some(taken + 1)
            })
            .ok()?;
        Some(Place(Arc::clone(self)))
    }
}

/// A place of [`InFlight`].
#[derive(Debug)]
pub(crate) struct Place(Arc<InFlight>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The pokes of one user.
#[derive(Debug, Default)]
pub struct Pokes {
    open: Vec<Open>,
    rates: BTreeMap<Address, Bucket>,
}

/// What one requester has open (POKE-45).
#[derive(Debug)]
struct Open {
    /// The requester's bare address.
    by: Address,
    questions: Vec<Question>,
    waiting: Vec<Waiting>,
}

/// Someone who waits for an answer.
#[derive(Debug)]
struct Waiting {
    request: Request,
    deadline: Moment,
    _place: Place,
}

/// One IQ to one client.
#[derive(Debug)]
struct Question {
    id: String,
    client: Address,
    declined: bool,
}

impl Pokes {
    /// How many requests wait for an answer.
    pub fn in_flight(&self) -> usize {
        self.open.iter().map(|open| open.waiting.len()).sum()
    }

    /// Whether this requester still waits for an answer.
    pub fn is_open(&self, requester: &Address) -> bool {
        let waits = |open: &Open| {
            open.waiting
                .iter()
                .any(|waiting| waiting.request.requester == *requester)
        };
        self.open.iter().any(waits)
    }

    /// Takes a request. `clients` are those that could be asked; whom to ask is called with each client that is asked
    /// anew, and gives the id of that question. The request comes back when it cannot be waited for: nobody can be asked
    /// (POKE-20), or it is one too many, of this requester (POKE-45), about this user, or of all.
    ///
    /// # Errors
    /// Gives the request back when its answer is [`Verdict::Nobody`], at once.
    pub fn ask(
        &mut self,
        request: Request,
        clients: &[Address],
        settings: &PokeSettings,
        mut put: impl FnMut(&Address) -> String,
    ) -> Result<(), Request> {
        let by = request.requester.to_bare();
        if !self.take(&by, settings.rate, request.since) {
            return Err(request);
        }
        let mut meant = clients
            .iter()
            .filter(|client| request.asked.is_bare() || **client == request.asked)
            .peekable();
        if meant.peek().is_none() {
            return Err(request);
        }
        let Some(in_flight) = settings.in_flight.place(settings.in_flight_max) else {
            return Err(request);
        };
        let place = match self.open.iter().position(|open| open.by == by) {
            Some(place) => place,
            None if self.open.len() < REQUESTERS_MAX => {
                self.open.push(Open {
                    by,
                    questions: Vec::new(),
                    waiting: Vec::new(),
                });
                self.open.len() - 1
            }
            None => return Err(request),
        };
        let Some(open) = self.open.get_mut(place) else {
            return Err(request);
        };
        if open.waiting.len() >= WAITING_MAX {
            return Err(request);
        }
        for client in meant {
            if !open
                .questions
                .iter()
                .any(|question| question.client == *client && !question.declined)
            {
                open.questions.retain(|question| question.client != *client);
                open.questions.push(Question {
                    id: put(client),
                    client: client.clone(),
                    declined: false,
                });
            }
        }
        open.waiting.push(Waiting {
            deadline: request.since + settings.timeout,
            request,
            _place: in_flight,
        });
        Ok(())
    }

    /// A client answers a question with a result. Whoever waited for it is told; later answers find nobody waiting
    /// (POKE-15). An answer to what was not asked of that client does not count (POKE-36).
    pub fn result(&mut self, client: &Address, id: &str, poke: &Poke) -> Vec<(Request, Verdict)> {
        self.answered(client, id, Some(poke))
    }

    /// A client declines (POKE-20).
    pub fn declined(&mut self, client: &Address, id: &str) -> Vec<(Request, Verdict)> {
        self.answered(client, id, None)
    }

    /// A client is gone and will not answer any more.
    pub fn client_left(&mut self, client: &Address) -> Vec<(Request, Verdict)> {
        let ids: Vec<String> = self
            .open
            .iter()
            .flat_map(|open| &open.questions)
            .filter(|question| question.client == *client)
            .map(|question| question.id.clone())
            .collect();
        ids.iter().flat_map(|id| self.declined(client, id)).collect()
    }

    /// What is overdue (POKE-19).
    pub fn expire(&mut self, now: Moment) -> Vec<(Request, Verdict)> {
        let mut ended = Vec::new();
        for open in &mut self.open {
            ended.extend(
                open.waiting
                    .extract_if(.., |waiting| waiting.deadline <= now)
                    .map(|waiting| (waiting.request, Verdict::Nobody)),
            );
        }
        self.open.retain(|open| !open.waiting.is_empty());
        ended
    }

    /// When something will be overdue.
    pub fn next_deadline(&self) -> Option<Moment> {
        self.open
            .iter()
            .flat_map(|open| &open.waiting)
            .map(|waiting| waiting.deadline)
            .min()
    }

    fn answered(&mut self, client: &Address, id: &str, poke: Option<&Poke>) -> Vec<(Request, Verdict)> {
        let is_it =
            |question: &Question| question.id == id && question.client == *client && !question.declined;
        let Some(place) = self.open.iter().position(|open| open.questions.iter().any(is_it)) else {
            return Vec::new();
        };
        let Some(open) = self.open.get_mut(place) else {
            return Vec::new();
        };
        if let Some(question) = open.questions.iter_mut().find(|question| is_it(question)) {
            question.declined = true;
        }
        let questions = &open.questions;
        let can_still_answer = |asked: &Address| {
            questions
                .iter()
                .any(|question| !question.declined && (asked.is_bare() || question.client == *asked))
        };
        let ended = open
            .waiting
            .extract_if(.., |Waiting { request, .. }| {
                let concerns = request.asked.is_bare() || request.asked == *client;
                concerns && (poke.is_some() || !can_still_answer(&request.asked))
            })
            .map(|Waiting { request, .. }| {
                let verdict = poke.map_or(Verdict::Nobody, |poke| Verdict::Found {
                    at: client.clone(),
                    poke: poke.clone(),
                });
                (request, verdict)
            })
            .collect();
        if open.waiting.is_empty() {
            self.open.remove(place);
        }
        ended
    }

    fn take(&mut self, by: &Address, rate: Option<Rate>, now: Moment) -> bool {
        let Some(rate) = rate else { return true };
        if self.rates.len() >= RATES_MAX && !self.rates.contains_key(by.as_str()) {
            self.rates.retain(|_, bucket| !bucket.is_full(now));
            if self.rates.len() >= RATES_MAX {
                return false;
            }
        }
        self.rates.entry(by.clone()).or_default().take(rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn request(requester: &str, asked: &str, second: u64) -> Request {
        Request {
            requester: address(requester),
            asked: address(asked),
            id: Some("p".to_owned()),
            poke: Poke::default(),
            since: Moment::from_micros(second * 1_000_000),
        }
    }

    struct Desk {
        pokes: Pokes,
        settings: PokeSettings,
        clients: Vec<Address>,
        asked: Vec<String>,
    }

    impl Desk {
        fn new(clients: &[&str]) -> Desk {
            Desk {
                pokes: Pokes::default(),
                settings: PokeSettings::default(),
                clients: clients.iter().map(|client| address(client)).collect(),
                asked: Vec::new(),
            }
        }

        fn ask(&mut self, request: Request, rate: Option<Rate>) -> bool {
            self.settings.rate = rate;
            let asked = &mut self.asked;
            let mut number = asked.len();
            self.pokes
                .ask(request, &self.clients, &self.settings, |client| {
                    number += 1;
                    asked.push(client.to_string());
                    format!("q{number}")
                })
                .is_ok()
        }
    }

    const ROMEO: &str = "romeo@montague.net/orchard";
    const JULIET: &str = "juliet@capulet.com";
    const CHAMBER: &str = "juliet@capulet.com/chamber";
    const BALCONY: &str = "juliet@capulet.com/balcony";

    #[test]
    fn poke_15_the_first_result_wins_and_the_others_find_nobody_waiting() {
        let mut desk = Desk::new(&[CHAMBER, BALCONY]);
        assert!(desk.ask(request(ROMEO, JULIET, 0), None));
        assert_eq!(desk.asked, [CHAMBER, BALCONY]);
        let told = desk.pokes.result(&address(BALCONY), "q2", &Poke::default());
        assert_eq!(told.len(), 1);
        assert!(matches!(&told[0].1, Verdict::Found { at, .. } if *at == address(BALCONY)));
        assert!(
            desk.pokes
                .result(&address(CHAMBER), "q1", &Poke::default())
                .is_empty()
        );
        assert_eq!(desk.pokes.in_flight(), 0);
    }

    #[test]
    fn poke_36_only_the_client_that_was_asked_can_answer_and_with_this_id() {
        let mut desk = Desk::new(&[CHAMBER, BALCONY]);
        desk.ask(request(ROMEO, JULIET, 0), None);
        for (client, id) in [(BALCONY, "q1"), (CHAMBER, "q2"), (CHAMBER, "p")] {
            assert!(
                desk.pokes
                    .result(&address(client), id, &Poke::default())
                    .is_empty()
            );
        }
        assert_eq!(
            desk.pokes.result(&address(CHAMBER), "q1", &Poke::default()).len(),
            1
        );
    }

    #[test]
    fn poke_20_when_all_decline_or_leave_nobody_waits_longer() {
        let mut desk = Desk::new(&[CHAMBER, BALCONY]);
        desk.ask(request(ROMEO, JULIET, 0), None);
        assert!(desk.pokes.declined(&address(CHAMBER), "q1").is_empty());
        let told = desk.pokes.client_left(&address(BALCONY));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].1, Verdict::Nobody);
    }

    #[test]
    fn poke_20_nobody_to_ask_is_answered_at_once() {
        assert!(!Desk::new(&[]).ask(request(ROMEO, JULIET, 0), None));
        assert!(!Desk::new(&[CHAMBER]).ask(request(ROMEO, BALCONY, 0), None));
    }

    #[test]
    fn poke_19_the_time_is_over_and_a_late_result_finds_nobody_waiting() {
        let mut desk = Desk::new(&[CHAMBER]);
        desk.ask(request(ROMEO, JULIET, 5), None);
        let due = desk.pokes.next_deadline().unwrap();
        assert_eq!(due, Moment::from_micros(125_000_000));
        assert!(desk.pokes.expire(Moment::from_micros(124_999_999)).is_empty());
        assert_eq!(desk.pokes.expire(due)[0].1, Verdict::Nobody);
        assert!(
            desk.pokes
                .result(&address(CHAMBER), "q1", &Poke::default())
                .is_empty()
        );
        assert_eq!(desk.pokes.next_deadline(), None);
    }

    #[test]
    fn poke_45_a_second_question_joins_the_first_and_gets_its_own_answer() {
        let mut desk = Desk::new(&[CHAMBER, BALCONY]);
        desk.ask(request(ROMEO, CHAMBER, 0), None);
        desk.ask(request("romeo@montague.net/garden", JULIET, 1), None);
        desk.ask(request(ROMEO, JULIET, 2), None);
        assert_eq!(desk.asked, [CHAMBER, BALCONY], "no client is asked twice at once");
        assert_eq!(desk.pokes.in_flight(), 3);
        let told = desk.pokes.result(&address(BALCONY), "q2", &Poke::default());
        assert_eq!(told.len(), 2, "who asked about the chamber goes on waiting");
        assert_eq!(
            desk.pokes.result(&address(CHAMBER), "q1", &Poke::default()).len(),
            1
        );
    }

    #[test]
    fn poke_45_beyond_the_rate_nobody_is_asked() {
        let rate = Some(Rate {
            events: 2,
            per: std::time::Duration::from_secs(60),
        });
        let mut desk = Desk::new(&[CHAMBER]);
        let taken: Vec<bool> = (0..4)
            .map(|_| desk.ask(request(ROMEO, JULIET, 0), rate))
            .collect();
        assert_eq!(taken, [true, true, false, false]);
        assert!(
            desk.ask(request("nurse@capulet.com/home", JULIET, 0), rate),
            "everybody for himself"
        );
        assert!(desk.ask(request(ROMEO, JULIET, 31), rate));
    }

    #[test]
    fn poke_45_everything_has_its_limit() {
        let mut desk = Desk::new(&[CHAMBER]);
        let taken = (0..200)
            .filter(|n| desk.ask(request(&format!("a{n}@x.lit/r"), JULIET, 0), None))
            .count();
        assert_eq!(taken, REQUESTERS_MAX);
        let mut desk = Desk::new(&[CHAMBER]);
        let taken = (0..200)
            .filter(|_| desk.ask(request(ROMEO, JULIET, 0), None))
            .count();
        assert_eq!(taken, WAITING_MAX);
    }

    #[test]
    fn of_all_users_together_only_so_many_pokes_wait_and_each_that_ends_makes_room() {
        let mut desks = [Desk::new(&[CHAMBER]), Desk::new(&[CHAMBER])];
        let in_flight = Arc::<InFlight>::default();
        for desk in &mut desks {
            desk.settings.in_flight = Arc::clone(&in_flight);
            desk.settings.in_flight_max = 3;
        }
        let [one, other] = &mut desks;
        assert!(one.ask(request("a@x.lit/r", JULIET, 0), None));
        assert!(one.ask(request("b@x.lit/r", JULIET, 0), None));
        assert!(other.ask(request("a@x.lit/r", JULIET, 0), None));
        assert!(!other.ask(request("b@x.lit/r", JULIET, 0), None));
        assert_eq!(one.pokes.client_left(&address(CHAMBER)).len(), 2);
        assert!(other.ask(request("b@x.lit/r", JULIET, 0), None));
        assert!(other.ask(request("c@x.lit/r", JULIET, 0), None));
        assert!(!one.ask(request("c@x.lit/r", JULIET, 0), None));
        drop(desks);
        assert_eq!(
            in_flight.0.load(Ordering::Relaxed),
            0,
            "an account that goes takes its pokes along"
        );
    }
}
