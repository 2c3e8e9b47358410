//! The way to each client: its domain's link, and its session's connection. Who is out of reach keeps the place for a time
//! and gets what it missed when it is back (`missed`); who was away for too long, or missed too much, is out of the room
//! (PSA-51…66).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use machine::{Context, Moment};
use presence::{Annotations, Claim, Words};
use smallvec::SmallVec;
use stanza::namespace::{DELAY, MUC};
use stanza::{Address, Kind, Parcel, PresenceType, Stanza};

use crate::missed::Missed;
use crate::occupant::Client;
use crate::presence::Notes;
use crate::room::{Out, Room};
use crate::stored::KeptMissed;
use crate::{Effect, Key, Settings};

/// A presence in the client's own words that comes later is no answer to a probe.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// What a room knows of paths.
#[derive(Debug, Default)]
pub(crate) struct Outages {
    /// Whether annotations have words; `None` when there are none (`psa.enabled`, `psa.description`).
    pub(crate) words: Option<Words>,
    /// Domains of clients that are watched, and whether the path to them is broken.
    pub(crate) domains: BTreeMap<Address, bool>,
    /// Nicks of those whose state is not what was told of it.
    pub(crate) untold: BTreeSet<String>,
    /// More of them wait than go in one step: the next step has its moment.
    pub(crate) more: bool,
    /// Clients that were asked for their capabilities, by the id of the question.
    pub(crate) questions: BTreeMap<String, (Address, Claim)>,
}

/// What is known of the way to one client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach {
    /// Its server says that it has no connection for now.
    pub(crate) paused: bool,
    /// Since when its domain cannot be reached.
    pub(crate) lost: Option<Moment>,
    /// What could not be sent to it.
    pub(crate) missed: Option<Box<Missed>>,
    /// The place in the history of the newest message that was said before it entered.
    pub(crate) since: i64,
    /// How often it was sent again although nothing was known to be broken.
    pub(crate) again: u8,
    /// When it was asked last whether it is still there.
    probed: Option<Moment>,
}

impl Reach {
    /// What was known before a restart.
    pub(crate) fn restored(paused: bool, missed: Option<KeptMissed>) -> Reach {
        let missed = missed.map(|missed| {
            Box::new(Missed {
                messages: missed.messages,
                nicks: missed.nicks.into_iter().collect(),
                subject: missed.subject,
                is_too_much: missed.is_too_much,
            })
        });
        Reach {
            paused,
            missed,
            ..Reach::default()
        }
    }

    /// What was missed, to be kept over a restart. Also nothing, if the client is out of reach.
    pub(crate) fn kept(&self) -> Option<KeptMissed> {
        let nothing = Missed::default();
        let missed = self.missed.as_deref().or(self.lost.map(|_| &nothing))?;
        Some(KeptMissed {
            messages: missed.messages.clone(),
            nicks: missed.nicks.iter().cloned().collect(),
            subject: missed.subject,
            is_too_much: missed.is_too_much,
        })
    }
}

impl Room {
    /// After a restart: domains of clients that had missed something count as out of reach until their links say what is.
    pub(crate) fn resume_watch(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        let waits = |client: &&Client| client.reach.missed.is_some();
        let clients = self.occupants.clients().filter(waits);
        let clients: Vec<Address> = clients.map(|client| client.address.clone()).collect();
        for client in &clients {
            let domain = client.to_domain();
            if self.outages.domains.insert(domain.clone(), true).is_none() {
                out.effects.push(Effect::Watch(domain));
            }
        }
        if !clients.is_empty() {
            self.lose(context, &clients, out);
        }
    }

    /// The path to a domain has changed, or is told for the first time.
    pub(crate) fn path_changed(
        &mut self,
        context: &mut Context<'_, Settings>,
        domain: &Address,
        is_broken: bool,
        out: &mut Out,
    ) {
        let Some(was_broken) = self.outages.domains.get_mut(domain.as_str()) else {
            return;
        };
        if std::mem::replace(was_broken, is_broken) == is_broken {
            return;
        }
        let clients: Vec<Address> = self
            .occupants
            .clients()
            .map(|client| &client.address)
            .filter(|address| address.domainpart() == domain.as_str())
            .cloned()
            .collect();
        if is_broken {
            self.lose(context, &clients, out);
        } else {
            self.regain(context, &clients, out);
        }
    }

    /// A goodbye may be among what was lost: clients there are asked whether they are still in.
    pub(crate) fn path_renewed(
        &mut self,
        context: &mut Context<'_, Settings>,
        domain: &Address,
        out: &mut Out,
    ) {
        let there =
            |client: &&Client| client.address.domainpart() == domain.as_str() && client.reach.lost.is_none();
        let clients = self.occupants.clients().filter(there);
        let clients: Vec<Address> = clients.map(|client| client.address.clone()).collect();
        for client in &clients {
            self.probe(context, client, out);
        }
    }

    fn lose(&mut self, context: &mut Context<'_, Settings>, clients: &[Address], out: &mut Out) {
        for address in clients {
            if let Some(client) = self.occupants.client_mut(address) {
                client.reach.lost = Some(context.now);
            }
        }
        // What it was asked, or what it answered, may be lost on the way: somebody else with the same capabilities is asked.
        self.outages
            .questions
            .retain(|_, (asked, _)| !clients.contains(asked));
        let grace = context.settings.ghost_grace;
        if grace.is_zero() {
            self.let_go(clients, out);
            return;
        }
        out.effects.push(Effect::WakeAt(Key::Grace, context.now + grace));
        self.assess_all(clients, out);
        self.annotate(context, out);
    }

    /// PSA-53, PSA-64, PSA-66: cleared, given back what was missed, and asked whether they are still there.
    fn regain(&mut self, context: &mut Context<'_, Settings>, clients: &[Address], out: &mut Out) {
        let mut ghosts = Vec::new();
        for address in clients {
            if let Some(client) = self.occupants.client_mut(address) {
                client.reach.lost = None;
                client.reach.again = 0;
                let missed = client.reach.missed.as_deref();
                let is_whole = missed.is_none_or(|missed| {
                    !missed.is_too_much && missed.messages.iter().all(|id| self.history.holds(id))
                });
                if !is_whole {
                    ghosts.push(address.clone());
                }
            }
        }
        self.let_go(&ghosts, out);
        self.assess_all(clients, out);
        self.annotate(context, out);
        for address in clients {
            self.give_back(address, out);
            self.probe(context, address, out);
        }
    }

    /// A client is told everything: what it missed before, and what still comes back of that, is nothing to it any more.
    pub(crate) fn begin_anew(&mut self, address: &Address) {
        let since = self.history.last();
        if let Some(client) = self.occupants.client_mut(address) {
            client.reach.missed = None;
            client.reach.since = since;
        }
    }

    fn assess_all(&mut self, clients: &[Address], out: &mut Out) {
        for address in clients {
            if let Some(nick) = self.nick_of(address) {
                self.assess(&nick, out);
            }
        }
    }

    pub(crate) fn nick_of(&self, client: &Address) -> Option<String> {
        self.occupants.of_client(client).map(|one| one.nick().to_owned())
    }

    /// PSA-55: those who were out of reach for too long are out of the room.
    pub(crate) fn end_grace(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        let grace = context.settings.ghost_grace;
        let is_due = |client: &&Client| {
            let lost = client.reach.lost;
            lost.is_some_and(|since| since + grace <= context.now)
        };
        let ghosts: Vec<Address> = self
            .occupants
            .clients()
            .filter(is_due)
            .map(|client| client.address.clone())
            .collect();
        self.let_go(&ghosts, out);
    }

    /// These clients are out of the room, because they cannot be reached (XEP-0045 §18.1.2, status 333).
    pub(crate) fn let_go(&mut self, clients: &[Address], out: &mut Out) {
        for address in clients {
            let Some(occupant) = self.occupants.of_client(address) else {
                continue;
            };
            let nick = occupant.nick().to_owned();
            if occupant.clients.len() > 1 {
                self.leave_others(&nick, address, None, &[333], out);
            } else {
                self.remove(&nick, &Notes::codes(&[333]), out);
            }
        }
    }

    /// News of a client's session by its own server (PSA-56). It is no change of what the client says of itself, and does
    /// not make it enter (PSA-58). True when the presence was that.
    pub(crate) fn is_news_of_session(
        &mut self,
        context: &mut Context<'_, Settings>,
        stanza: &Stanza,
        from: &Address,
        out: &mut Out,
    ) -> bool {
        let Some(genuine) = Annotations::of(stanza, Some(from)).and_then(|annotations| annotations.genuine)
        else {
            return false;
        };
        self.session_is(context, from, genuine.bytes.is_some(), out);
        true
    }

    fn session_is(
        &mut self,
        context: &mut Context<'_, Settings>,
        client: &Address,
        is_paused: bool,
        out: &mut Out,
    ) {
        if let Some(client) = self.occupants.client_mut(client) {
            client.reach.paused = is_paused;
        }
        if let Some(nick) = self.nick_of(client) {
            self.assess(&nick, out);
            self.annotate(context, out);
        }
    }

    /// PSA-64: asked in the name of the occupant, who is who was shown the presence.
    pub(crate) fn probe(&mut self, context: &mut Context<'_, Settings>, address: &Address, out: &mut Out) {
        let Some(occupant) = self.occupants.of_client(address).map(|one| one.address.clone()) else {
            return;
        };
        let id = format!("{}{}", self.mark(address), context.token());
        let probe = Stanza::build(
            Kind::Presence(PresenceType::Probe),
            Some(&occupant),
            Some(address),
            Some(&id),
            b"",
        );
        out.effects.push(Effect::Route(Parcel::new(probe), None));
        if let Some(client) = self.occupants.client_mut(address) {
            client.reach.probed = Some(context.now);
        }
    }

    /// Whether this is the answer to a probe, which tells nobody anything: that the client is there, under an id that only
    /// this room gives, however late; or, once, what it said last. Whoever wants to enter waits for more of an answer.
    pub(crate) fn is_answer_to_probe(
        &mut self,
        context: &mut Context<'_, Settings>,
        stanza: &Stanza,
        from: &Address,
        out: &mut Out,
    ) -> bool {
        let is_answer = self.answers_probe(stanza, from) || self.repeats_itself(context, stanza, from);
        if is_answer {
            self.session_is(context, from, false, out);
        }
        is_answer
    }

    fn repeats_itself(&mut self, context: &Context<'_, Settings>, stanza: &Stanza, from: &Address) -> bool {
        let Some(client) = self.occupants.client_mut(from) else {
            return false;
        };
        let is_awaited = client
            .reach
            .probed
            .is_some_and(|at| context.now.since(at) < ANSWER_WITHIN);
        let is_answer =
            is_awaited && stanza.child(MUC, "x").is_none() && says_the_same(stanza, &client.presence);
        if is_answer {
            client.reach.probed = None;
        }
        is_answer
    }

    /// Whether this bears the id of a probe that was sent to that client, and says no more than whether it is there.
    pub(crate) fn answers_probe(&self, stanza: &Stanza, from: &Address) -> bool {
        stanza.children().next().is_none() && stanza.id().is_some_and(|id| id.starts_with(&self.mark(from)))
    }

    /// Watches the domains of those who are here, and no others.
    pub(crate) fn keep_watch(&mut self, out: &mut Out) {
        if !self.occupants.moved() {
            return;
        }
        for client in self.occupants.clients() {
            let domain = client.address.domainpart();
            if !self.outages.domains.contains_key(domain) {
                let domain = client.address.to_domain();
                out.effects.push(Effect::Watch(domain.clone()));
                self.outages.domains.insert(domain, false);
            }
        }
        let occupants = &self.occupants;
        let present: BTreeSet<&str> = occupants
            .clients()
            .map(|client| client.address.domainpart())
            .collect();
        self.outages.domains.retain(|domain, _| {
            let is_present = present.contains(domain.as_str());
            if !is_present {
                out.effects.push(Effect::Unwatch(domain.clone()));
            }
            is_present
        });
        self.outages
            .questions
            .retain(|_, (address, _)| occupants.of_client(address).is_some());
        self.outages.untold.retain(|nick| occupants.get(nick).is_some());
    }
}

/// Whether two presences say the same, but for when they were said and for the wish to enter.
fn says_the_same(one: &Stanza, other: &Stanza) -> bool {
    let said = |stanza: &Stanza| -> SmallVec<[Vec<u8>; 8]> {
        stanza
            .children()
            .filter(|child| !child.is(DELAY, "delay") && !child.is(MUC, "x"))
            .map(|child| child.bytes().to_vec())
            .collect()
    };
    one.id() == other.id() && said(one) == said(other)
}
