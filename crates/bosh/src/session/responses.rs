//! Responses: who is answered when, with what, and how the client learns that the session is over.

use std::sync::Arc;

use super::{Answered, Effect, Exchange, Session, State};
use crate::body::{Condition, Kind, body, terminated};

/// What a response holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload {
    All,
    Nothing,
}

impl Session {
    /// Answers what is to be answered now.
    pub(super) fn settle(&mut self, out: &mut Vec<Effect>) {
        if let State::Ending(condition) = self.state {
            return self.finish(condition, out);
        }
        if self.is_closing {
            return;
        }
        if !self.outbox.is_empty() {
            self.awaits_opening = false;
        }
        while let Some(held) = self.held.front() {
            let hold = if self.awaits_opening {
                self.hold.max(1)
            } else {
                self.hold
            };
            // One that nobody waits for is left to be repeated, as long as there is no other.
            let has_news = !self.outbox.is_empty() && held.exchange.is_some();
            if self.held.len() <= hold && !has_news {
                break;
            }
            self.answer(Payload::All, out);
        }
    }

    /// Answers the oldest request that waits (XEP-0124 §8). Where nobody waits, what there is to say is better kept.
    pub(super) fn answer(&mut self, payload: Payload, out: &mut Vec<Effect>) {
        let Some(held) = self.held.pop_front() else {
            return;
        };
        let payload = match (payload, held.exchange) {
            (Payload::All, Some(_)) => {
                self.told = self.said;
                std::mem::take(&mut self.outbox)
            }
            (Payload::Nothing, _) | (Payload::All, None) => Vec::new(),
        };
        let newest = self.next - 1;
        let first = self.created.take();
        let kind = first.as_deref().map_or(Kind::Ordinary, Kind::Created);
        let ack = (first.is_none() && newest != held.rid).then_some(newest);
        let body = body(&kind, ack, &payload);
        if let Some(exchange) = held.exchange {
            out.push(Effect::Respond(exchange, Arc::clone(&body)));
        }
        self.answered.push_back(Answered {
            rid: held.rid,
            body,
            has_payload: !payload.is_empty(),
            told: self.told,
            key: held.key,
            repeats: held.repeats,
        });
    }

    /// Tells the client that the session is over, when somebody waits to hear it (XEP-0124 §13).
    fn finish(&mut self, condition: Option<Condition>, out: &mut Vec<Effect>) {
        let waiting = self.waiting();
        let Some((first, others)) = waiting.split_first() else {
            return;
        };
        let payload = std::mem::take(&mut self.outbox);
        out.push(Effect::Respond(
            *first,
            body(&Kind::Terminate(condition), None, &payload),
        ));
        for other in others {
            out.push(Effect::Respond(*other, body(&Kind::Ordinary, None, b"")));
        }
        self.state = State::Over;
        self.held.clear();
        self.early.clear();
        out.push(Effect::Over);
    }

    /// Ends the session because of what the client did, or did not do.
    pub(super) fn fail(&mut self, condition: Condition, exchange: Option<Exchange>, out: &mut Vec<Effect>) {
        for waiting in self.waiting().into_iter().chain(exchange) {
            out.push(Effect::Respond(waiting, terminated(condition)));
        }
        self.state = State::Over;
        self.held.clear();
        self.early.clear();
        out.push(Effect::Lost);
    }

    /// Those who wait for a response, in the order of their requests.
    fn waiting(&self) -> Vec<Exchange> {
        self.held
            .iter()
            .filter_map(|held| held.exchange)
            .chain(self.early.values().filter_map(|(_, exchange)| *exchange))
            .collect()
    }
}
