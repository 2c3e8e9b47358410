//! IQs that the server answers for the user: from the account's own sessions, and from others to its bare address
//! (RFC 6121 §8.5.2.1.3, RFC 6120 §10.3.3).

use features::{AccountFacts, Answer, Asker, Load, Place, Reply, Request};
use machine::Context;
use stanza::{Address, IqType, Kind, Stanza, namespace};

use crate::account::{Account, Out, count_error};
use crate::door::Passed;
use crate::input::Loaded;
use crate::{Change, Effect, SessionId, Settings};

/// An IQ whose answer waits for the store or the server.
pub(crate) struct Pending {
    request: Stanza,
    then: Then,
}

/// What makes the answer.
enum Then {
    /// The blob that is being loaded.
    Finish(Load),
    /// The action that is being done.
    Confirm,
}

/// What every host announces (XEP-0030) because its accounts do it: blocking (XEP-0191 §3.1), privacy lists (XEP-0016 §2.2)
/// and messages for the absent (XEP-0160 §5).
pub const HOST_FEATURES: [&str; 3] = [namespace::BLOCKING, namespace::PRIVACY, "msgoffline"];

impl Account {
    /// An IQ get or set from one of the account's own sessions, to nobody or to the account itself.
    pub(crate) fn answer_own_session(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        request: &Stanza,
        out: &mut Out,
    ) {
        let Some(payload) = request.payload() else { return };
        match payload.namespace() {
            namespace::ROSTER => self.roster_iq(context, id, request, out),
            namespace::BLOCKING | namespace::PRIVACY => self.privacy_iq(context, id, request, out),
            _ => self.ask_features(context, request, Asker::Own, out),
        }
    }

    /// An IQ get or set from somebody else to the bare address.
    pub(crate) fn answer_for_user(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: &Passed,
        out: &mut Out,
    ) {
        let request = parcel.parcel().stanza();
        let Some(from) = request.from() else { return };
        let asker = if from.same_bare(&self.address) {
            Asker::Own
        } else if self.shows_presence_to(from) && self.may_show_presence(from) {
            Asker::Contact
        } else {
            Asker::Stranger
        };
        self.ask_features(context, request, asker, out);
    }

    fn ask_features(
        &mut self,
        context: &mut Context<'_, Settings>,
        request: &Stanza,
        asker: Asker,
        out: &mut Out,
    ) {
        let available: Vec<Address> = self
            .sessions
            .iter()
            .filter(|session| session.presence.is_some())
            .map(|session| session.address.clone())
            .collect();
        let facts = AccountFacts {
            available: &available,
            last_seen: self.left.as_ref(),
            stored: &self.blobs,
        };
        let place = if self.exists() {
            Place::Account(&facts)
        } else {
            Place::Nobody
        };
        let question = Request {
            stanza: request,
            place,
            asker,
            facts: &context.settings.facts,
            now: context.now,
            wall: context.wall,
        };
        match features::answer(&question) {
            Answer::Reply(reply) => self.answer(context, request, reply, out),
            Answer::Load(load) => {
                let record = load.record().clone();
                let ticket = self.wait_for(request, Then::Finish(load));
                out.effects.push(Effect::Load { ticket, record });
            }
            Answer::Store(writes) => {
                for write in &writes {
                    self.blobs.apply(write);
                }
                out.commit.extend(writes.into_iter().map(Change::Write));
                self.answer(context, request, Ok(Vec::new()), out);
            }
            Answer::Act(action) => {
                let ticket = self.wait_for(request, Then::Confirm);
                out.effects.push(Effect::Act { ticket, action });
            }
        }
    }

    fn wait_for(&mut self, request: &Stanza, then: Then) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.pending.insert(
            ticket,
            Pending {
                request: request.clone(),
                then,
            },
        );
        ticket
    }

    /// The store or the server has done what a request waits for.
    pub(crate) fn loaded(&mut self, context: &Context<'_, Settings>, loaded: Loaded, out: &mut Out) {
        let Some(Pending { request, then }) = self.pending.remove(&loaded.ticket) else {
            return;
        };
        let reply = match (then, loaded.outcome) {
            (Then::Finish(load), Ok(bytes)) => load.finish(bytes.as_deref()),
            (Then::Confirm, Ok(_)) => Ok(Vec::new()),
            (Then::Finish(_) | Then::Confirm, Err(setback)) => Err(setback.into()),
        };
        self.answer(context, &request, reply, out);
    }

    /// The one answer to a request.
    pub(crate) fn answer(
        &self,
        context: &Context<'_, Settings>,
        request: &Stanza,
        reply: Reply,
        out: &mut Out,
    ) {
        let from = request.to().unwrap_or(&self.address);
        let answer = match reply {
            Ok(payload) => {
                let id = request.id();
                let kind = Kind::Iq(IqType::Result);
                Some(Stanza::build(
                    kind,
                    Some(from),
                    request.from(),
                    id.as_deref(),
                    &payload,
                ))
            }
            Err(error) => request.error_between(Some(from), request.from(), error, b""),
        };
        let Some(answer) = answer else { return };
        match request.from().and_then(|from| self.session_at(from)) {
            // At once, and so before the pushes that follow it (RFC 6121 §2.6.3).
            Some(session) => {
                count_error(&answer, out);
                self.give(context, session, &Passed::of_our_own(answer), out);
            }
            None => self.reply(Some(answer), out),
        }
    }
}
