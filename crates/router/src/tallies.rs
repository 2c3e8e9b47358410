//! Where each thing is counted that accounts tell of: the one place that knows all of them.

use account::{PauseCause, Tally};
use s2s::Pair;
use stanza::Address;

use crate::counters::Counter;
use crate::presence_figures::Trigger;
use crate::resumption::ResumeResult;
use crate::router::Router;

impl Router {
    /// This account has something to be counted.
    pub(crate) fn tally(&self, account: &Address, tally: Tally) {
        let (counters, presence, resumptions) = (&self.counters, &self.presence_figures, &self.resumptions);
        match tally {
            Tally::Presence(count) => counters.add(Counter::Presence(count), 1),
            Tally::Error(kind, condition) => counters.add(Counter::Errors(kind, condition), 1),
            Tally::Privacy(tally, count) => counters.add(Counter::Privacy(tally), count.into()),
            Tally::Roster(operation) => counters.add(Counter::Roster(operation), 1),
            Tally::Suppressed(why, annotations) => presence.suppressed(why, annotations),
            Tally::LinkAnnotated(domain) => {
                if let Some(lost) = self.links.lost_at(&Pair::of(account, &domain)) {
                    presence.annotated(Trigger::Link, self.surroundings.now().since(lost));
                }
            }
            Tally::PauseAnnotated(PauseCause::ConnectionLost, waited) => {
                presence.annotated(Trigger::StreamManagement, waited);
            }
            Tally::PauseAnnotated(PauseCause::Asked, waited) => presence.annotated(Trigger::Bosh, waited),
            Tally::Update(origin) => presence.updated(account.domainpart(), origin),
            Tally::Broadcast(contacts) => presence.broadcast(account.domainpart(), contacts),
            Tally::PokeAsked(clients) => presence.poke_asked(clients),
            Tally::PokeAnswered(outcome, lasted) => presence.poke_answered(outcome, lasted),
            Tally::PokeByIq(outcome) => presence.poke_between_clients(outcome),
            Tally::Decloak(decloak, wish) => presence.wished(decloak, wish),
            Tally::SelfPing(result) => presence.self_pinged(result),
            // The gauge of sessions shows it.
            Tally::Paused => {}
            Tally::PauseEnded(end, lasted) => resumptions.pause_ended(end, lasted),
            Tally::Resumed => resumptions.note(ResumeResult::Ok),
            Tally::Redelivered(whereto, stanzas) => resumptions.sent_again(whereto, stanzas),
        }
    }
}
