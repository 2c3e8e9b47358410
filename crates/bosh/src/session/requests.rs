//! Requests: put into order, each taken once, and what each of them shows that the client has.

use std::sync::Arc;

use machine::Moment;

use super::responses::Payload;
use super::{Effect, Event, Exchange, Held, Session, State};
use crate::body::{Condition, Kind, body};
use crate::settings::{POLLING, REPEATS_MAX};
use crate::{Purpose, Request};

impl Session {
    pub(super) fn request(
        &mut self,
        now: Moment,
        request: Box<Request>,
        exchange: Exchange,
        out: &mut Vec<Effect>,
    ) {
        let rid = request.rid;
        if rid < self.next {
            return self.repeated(&request, exchange, out);
        }
        // XEP-0124 §11: one more to pause or to end.
        let more = u64::from(matches!(request.purpose, Purpose::Pause(_) | Purpose::Terminate));
        if rid - self.next >= self.requests() + more {
            return self.fail(Condition::ItemNotFound, Some(exchange), out);
        }
        if let Some((_, Some(earlier))) = self.early.insert(rid, (request, Some(exchange))) {
            out.push(Effect::Respond(earlier, body(&Kind::Recoverable, None, b"")));
        }
        while let Some((request, exchange)) = self.early.remove(&self.next) {
            self.take(now, *request, exchange, out);
            if self.state == State::Over {
                return;
            }
        }
        self.gap_since = match self.gap_since {
            _ if self.early.is_empty() => None,
            Some(since) => Some(since),
            None => Some(now),
        };
    }

    /// Takes a request whose turn it is.
    fn take(&mut self, now: Moment, request: Request, exchange: Option<Exchange>, out: &mut Vec<Effect>) {
        let keys = (request.key.as_deref(), request.new_key.as_deref());
        if self.keys.advance(keys.0, keys.1).is_err() {
            return self.fail(Condition::ItemNotFound, exchange, out);
        }
        if self.is_too_often(now, &request) {
            return self.fail(Condition::PolicyViolation, exchange, out);
        }
        self.next += 1;
        self.last = (now, request.is_empty());
        self.release(&request, out);
        let pause = match &request.purpose {
            Purpose::Pause(time) if !time.is_zero() && *time <= self.settings.max_pause => Some(*time),
            Purpose::Create(_)
            | Purpose::Exchange
            | Purpose::Pause(_)
            | Purpose::Restart(_)
            | Purpose::Terminate => None,
        };
        if self.paused.take().is_some() && pause.is_none() {
            out.push(Effect::Tell(Event::Resumed));
        }
        if self.state == State::Open {
            if !request.payload.is_empty() {
                out.push(Effect::Tell(Event::Said(request.payload)));
            }
            match request.purpose {
                Purpose::Create(_) | Purpose::Exchange | Purpose::Pause(_) => {}
                Purpose::Restart(header) => {
                    self.awaits_opening = true;
                    out.push(Effect::Tell(Event::Opened(header)));
                }
                Purpose::Terminate => {
                    self.is_closing = true;
                    out.push(Effect::Tell(Event::Closed));
                }
            }
        }
        if pause.is_some() {
            // XEP-0124 §10: all are answered at once, and this one without payload.
            while !self.held.is_empty() {
                self.answer(Payload::All, out);
            }
        }
        self.held.push_back(Held {
            rid: request.rid,
            exchange,
            since: now,
            key: request.key,
            repeats: 0,
        });
        match pause {
            Some(time) => {
                self.answer(Payload::Nothing, out);
                self.paused = Some(time);
                out.push(Effect::Tell(Event::Paused(time)));
            }
            None => self.settle(out),
        }
    }

    /// Requests that say nothing may not come too often (XEP-0124 §11, §12).
    fn is_too_often(&self, now: Moment, request: &Request) -> bool {
        let (last, last_was_empty) = self.last;
        if !request.is_empty() || now.since(last) >= POLLING {
            return false;
        }
        if self.hold == 0 {
            last_was_empty && self.answered.back().is_some_and(|answered| !answered.has_payload)
        } else {
            let waiting = self.held.iter().filter(|held| held.exchange.is_some());
            waiting.count() as u64 + 1 >= self.requests()
        }
    }

    /// What the client must have by now, as this request shows. Without acknowledgements (XEP-0124 §9.2) it shows that
    /// no more than so many responses are missing; and whoever only asks for more, or says goodbye, misses none.
    fn release(&mut self, request: &Request, out: &mut Vec<Effect>) {
        let (received, kept_from) = if self.acknowledges {
            let received = request.ack.unwrap_or(request.rid - 1);
            (received, received)
        } else {
            let certain = request.rid.saturating_sub(self.requests());
            let nobody_waits = self.held.iter().all(|held| held.exchange.is_none());
            let misses_none =
                request.is_empty() && nobody_waits || matches!(request.purpose, Purpose::Terminate);
            (if misses_none { request.rid } else { certain }, certain)
        };
        let received = self.answered.iter().filter(|answered| answered.rid <= received);
        let told = received.map(|answered| answered.told).max().unwrap_or_default();
        if told > self.delivered {
            out.push(Effect::Delivered(told - self.delivered));
            self.delivered = told;
        }
        // A response may have to be given again even so (XEP-0124 §14.3).
        while self
            .answered
            .pop_front_if(|answered| answered.rid <= kept_from)
            .is_some()
        {}
    }

    /// A request whose number was taken already (XEP-0124 §14.3).
    fn repeated(&mut self, request: &Request, exchange: Exchange, out: &mut Vec<Effect>) {
        if let Some(held) = self.held.iter_mut().find(|held| held.rid == request.rid) {
            held.repeats += 1;
            let is_wrong = held.key != request.key;
            let is_too_often = held.repeats > REPEATS_MAX;
            if !is_wrong && !is_too_often {
                if let Some(earlier) = held.exchange.replace(exchange) {
                    out.push(Effect::Respond(earlier, body(&Kind::Recoverable, None, b"")));
                }
                return;
            }
            let condition = if is_wrong {
                Condition::ItemNotFound
            } else {
                Condition::PolicyViolation
            };
            return self.fail(condition, Some(exchange), out);
        }
        let answered = self
            .answered
            .iter_mut()
            .find(|answered| answered.rid == request.rid && answered.key == request.key);
        match answered {
            Some(answered) if answered.repeats < REPEATS_MAX => {
                answered.repeats += 1;
                out.push(Effect::Respond(exchange, Arc::clone(&answered.body)));
            }
            Some(_) => self.fail(Condition::PolicyViolation, Some(exchange), out),
            None => self.fail(Condition::ItemNotFound, Some(exchange), out),
        }
    }
}
