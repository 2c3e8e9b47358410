//! Pokes about the user (XEP-0132): who may ask, which clients are asked, what goes back. The pokes under way are kept in
//! `presence::Pokes`.

use machine::{Context, Moment};
use presence::{Failure, Poke, PokeBlocked, PokeMode, Request, Verdict};
use stanza::{Address, IqType, Kind, Parcel, PresenceType, Stanza};

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::figures::IqPoke;
use crate::input::{Key, Tally};
use crate::{Effect, PresenceCount, SessionId, Settings};

/// What a probe asks for besides a poke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Besides {
    /// Its plain meaning too (POKE-29).
    Probe,
    /// Nothing: the poke's answer is the answer.
    Nothing,
}

impl Account {
    /// A probe from anybody whom the lists let pass.
    pub(crate) fn inbound_probe(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: &Passed,
        out: &mut Out,
    ) {
        if self.poked(context, parcel, out) == Besides::Probe
            && !self.annotate_confirmation(context, parcel, out)
        {
            self.plain_probe(context, parcel, out);
            if let Some(from) = parcel.parcel().from() {
                self.annotate_answer(context, &from.clone(), out);
            }
        }
    }

    /// Handles the poke in a probe, if there is one.
    fn poked(&mut self, context: &mut Context<'_, Settings>, parcel: &Passed, out: &mut Out) -> Besides {
        let settings = &context.settings.presence.poke;
        let mode = settings.mode;
        let Some(poke) = Poke::of(parcel.parcel().stanza()).filter(|_| mode != PokeMode::Ignore) else {
            return Besides::Probe;
        };
        let Some(request) = request(context, parcel.parcel(), poke) else {
            return Besides::Probe;
        };
        if mode == PokeMode::Refuse {
            self.fail(
                context.now,
                &request,
                Failure::Unsupported,
                PresenceCount::PokeUnsupported,
                out,
            );
            return Besides::Nothing;
        }
        let besides = if request.requester.is_bare() {
            Besides::Probe
        } else {
            Besides::Nothing
        };
        if !self.exists() && settings.reveals_unknown_to(&request.requester) {
            self.fail(
                context.now,
                &request,
                Failure::UnknownUser,
                PresenceCount::PokeError,
                out,
            );
        } else if !self.may_know(&request.requester) {
            // POKE-09, POKE-10: before anything else, and alike for those who do not exist (POKE-22). Where the probe is
            // from a server, `forbidden` is the only answer (C-01).
            self.fail(
                context.now,
                &request,
                Failure::Forbidden,
                PresenceCount::PokeForbidden,
                out,
            );
            return Besides::Nothing;
        } else if self.flags.deceased && self.flags.next_of_kin_notified {
            self.fail(
                context.now,
                &request,
                Failure::Died,
                PresenceCount::PokeError,
                out,
            );
        } else if self.flags.deceased || self.flags.poke_disabled {
            self.fail(
                context.now,
                &request,
                Failure::NobodyAnswered,
                PresenceCount::PokeNoResource,
                out,
            );
        } else {
            self.ask_clients(context, request, parcel, out);
        }
        besides
    }

    /// A probe that the lists did not let pass (POKE-48). Blocked requesters never cause a question.
    pub(crate) fn poked_by_blocked(
        &self,
        context: &mut Context<'_, Settings>,
        parcel: &Parcel,
        out: &mut Out,
    ) -> bool {
        let settings = &context.settings.presence.poke;
        let (failure, count) = match (settings.mode, settings.blocked) {
            (PokeMode::Ignore, _) | (_, PokeBlocked::Silent) => return false,
            (PokeMode::On, PokeBlocked::Forbidden) => (Failure::Forbidden, PresenceCount::PokeForbidden),
            (PokeMode::Refuse, PokeBlocked::Forbidden) => {
                (Failure::Unsupported, PresenceCount::PokeUnsupported)
            }
        };
        if parcel.stanza().kind() != Kind::Presence(PresenceType::Probe) {
            return false;
        }
        let Some(request) = Poke::of(parcel.stanza()).and_then(|poke| request(context, parcel, poke)) else {
            return false;
        };
        self.fail(context.now, &request, failure, count, out);
        true
    }

    /// POKE-13: every available resource, and every connected one, that would take something from this requester.
    fn ask_clients(
        &mut self,
        context: &mut Context<'_, Settings>,
        request: Request,
        parcel: &Passed,
        out: &mut Out,
    ) {
        let clients: Vec<Address> = self
            .sessions
            .iter()
            .filter(|session| session.presence.is_some() || !session.has_no_connection())
            .filter(|session| self.admits(session, parcel))
            .map(|session| session.address.clone())
            .collect();
        let settings = &context.settings.presence.poke;
        let poke = request.poke.clone();
        let mut questions = Vec::new();
        let asked = self.pokes.ask(request, &clients, settings, |client| {
            let id = context.token();
            questions.push(poke.question(&self.address, client, &id));
            id
        });
        if !questions.is_empty() {
            out.effects.push(Effect::Count(Tally::PokeAsked(questions.len())));
        }
        for question in questions {
            if let Some(session) = question.to().and_then(|client| self.session_at(client)) {
                self.give(context, session, &Passed::of_our_own(question), out);
            }
        }
        match asked {
            Ok(()) => self.wake_for_pokes(context, out),
            Err(request) => {
                let is_meant = |client: &Address| request.asked.is_bare() || *client == request.asked;
                let count = if clients.iter().any(is_meant) {
                    PresenceCount::PokeRateLimited
                } else {
                    PresenceCount::PokeNoResource
                };
                self.fail(context.now, &request, Failure::NobodyAnswered, count, out);
            }
        }
    }

    /// An answer of one of the account's own clients to the server: to a poke, or to nothing that is still open.
    pub(crate) fn own_client_answers(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        answer: &Stanza,
        kind: IqType,
        out: &mut Out,
    ) {
        if self.capabilities_answered(context, id, answer, kind, out) {
            return;
        }
        let (Some(client), Some(question)) = (
            self.session(id).map(|session| session.address.clone()),
            answer.id(),
        ) else {
            return;
        };
        let ended = if kind == IqType::Result {
            let poke = Poke::of(answer).unwrap_or_default();
            self.pokes.result(&client, &question, &poke)
        } else {
            self.pokes.declined(&client, &question)
        };
        self.conclude(context.now, ended, out);
    }

    /// A client is gone.
    pub(crate) fn poked_client_left(
        &mut self,
        context: &Context<'_, Settings>,
        client: &Address,
        out: &mut Out,
    ) {
        let ended = self.pokes.client_left(client);
        self.conclude(context.now, ended, out);
    }

    /// Time is over for some.
    pub(crate) fn pokes_overdue(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        self.pokes_wake = None;
        let ended = self.pokes.expire(context.now);
        self.conclude(context.now, ended, out);
        self.wake_for_pokes(context, out);
    }

    fn wake_for_pokes(&mut self, context: &Context<'_, Settings>, out: &mut Out) {
        if let Some(at) = self.pokes.next_deadline()
            && self.pokes_wake.is_none_or(|wake| wake > at)
        {
            self.pokes_wake = Some(at.max(context.now));
            out.effects.push(Effect::WakeAt(Key::Pokes, at));
        }
    }

    /// POKE-41: whether the requester may know is asked again, now that there is something to know.
    fn conclude(&self, now: Moment, ended: Vec<(Request, Verdict)>, out: &mut Out) {
        for (request, verdict) in ended {
            if !self.may_know(&request.requester) {
                self.fail(
                    now,
                    &request,
                    Failure::Forbidden,
                    PresenceCount::PokeForbidden,
                    out,
                );
                continue;
            }
            match verdict {
                Verdict::Nobody => self.fail(
                    now,
                    &request,
                    Failure::NobodyAnswered,
                    PresenceCount::PokeTimeout,
                    out,
                ),
                Verdict::Found { at, poke } => {
                    let found = poke.found(&at, &request.requester, request.id.as_deref());
                    let passed = match self.session_at(&at) {
                        Some(session) => self.release(session.id, Parcel::new(found)),
                        None => self.release_for_user(Parcel::new(found)),
                    };
                    match passed {
                        Ok(parcel) => {
                            answered(PresenceCount::PokePresent, now, &request, out);
                            out.effects.push(Effect::Route {
                                parcel,
                                receipt: None,
                            });
                        }
                        Err(_) => self.fail(
                            now,
                            &request,
                            Failure::Forbidden,
                            PresenceCount::PokeForbidden,
                            out,
                        ),
                    }
                }
            }
        }
    }

    /// POKE-09: entitled is who may see the user's presence, by subscription and by all lists.
    fn may_know(&self, requester: &Address) -> bool {
        let is_subscribed = requester.same_bare(&self.address) || self.shows_presence_to(requester);
        self.exists() && is_subscribed && self.may_show_presence(requester)
    }

    fn fail(&self, now: Moment, request: &Request, failure: Failure, count: PresenceCount, out: &mut Out) {
        answered(count, now, request, out);
        let answer = request
            .poke
            .failed(&request.asked, &request.requester, request.id.as_deref(), failure);
        self.reply(Some(answer), out);
    }
}

fn answered(count: PresenceCount, now: Moment, request: &Request, out: &mut Out) {
    let lasted = now.since(request.since);
    out.effects.push(Effect::Count(Tally::Presence(count)));
    out.effects
        .push(Effect::Count(Tally::PokeAnswered(count, lasted)));
}

/// A poke between two clients ends with this request or answer (POKE-30).
pub(crate) fn count_between_clients(parcel: &Parcel, outcome: impl FnOnce(&Stanza) -> IqPoke, out: &mut Out) {
    let stanza = parcel.stanza();
    if matches!(stanza.kind(), Kind::Iq(_)) && Poke::of(stanza).is_some() {
        out.effects.push(Effect::Count(Tally::PokeByIq(outcome(stanza))));
    }
}

/// How a client has answered a poke, as far as the answer is one that can be known as such (POKE-32, POKE-34).
pub(crate) fn outcome_between_clients(answer: &Stanza) -> IqPoke {
    if answer.kind() == Kind::Iq(IqType::Result) {
        return IqPoke::Present;
    }
    match answer.error_condition().as_deref() {
        Some("remote-server-timeout") => IqPoke::Timeout,
        Some("forbidden") => IqPoke::Forbidden,
        Some("service-unavailable" | "feature-not-implemented") => IqPoke::Unsupported,
        Some(_) | None => IqPoke::Error,
    }
}

fn request(context: &Context<'_, Settings>, parcel: &Parcel, poke: Poke) -> Option<Request> {
    Some(Request {
        requester: parcel.from()?.clone(),
        asked: parcel.to()?.clone(),
        id: parcel.stanza().id().map(|id| id.into_owned()),
        poke,
        since: context.now,
    })
}
