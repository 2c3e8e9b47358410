//! Questions for presence: those of sessions that come, and those of others (RFC 6121 §4.3).

use machine::{Context, Timestamp};
use stanza::{Address, Kind, Parcel, PresenceType, Stanza, namespace};

use crate::account::{Account, Out};
use crate::arriving::Truth;
use crate::door::Passed;
use crate::{Effect, SessionId, Settings};

impl Account {
    /// RFC 6121 §4.2.2: the newly available resource learns of the others, and contacts are probed for it.
    pub(crate) fn ask_for_presence(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        address: &Address,
        out: &mut Out,
    ) {
        let Some(newcomer) = self.sessions.iter().position(|session| session.id == id) else {
            return;
        };
        for place in 0..self.sessions.len() {
            let Some(other) = self.sessions.get(place).filter(|session| session.id != id) else {
                continue;
            };
            let Some(presence) = &other.presence else { continue };
            let parcel = Passed::to_own_session(
                presence
                    .stanza
                    .readdressed(Some(other.address.clone()), Some(self.address.clone()))
                    .with_aside(self.aside_of(other.id)),
            );
            let copy = match self.news_of(context, other.id) {
                Some(news) => {
                    let annotated = parcel.with_appended(&news);
                    self.receive_available(context, newcomer, &annotated, &Truth::Fresh(news), out)
                }
                None => Some(parcel),
            };
            if let (Some(copy), Some(session)) = (copy, self.sessions.get(newcomer)) {
                self.give(context, session, &copy, out);
            }
        }
        let contacts: Vec<Address> = self.roster.subscriptions().cloned().collect();
        for contact in &contacts {
            self.watch_contact(context, contact, out);
        }
        for contact in self.roster.subscriptions() {
            // A local owner answers the session that asks; to another server the probe comes from the bare address
            // (RFC 6121 §4.3.1).
            let is_local = context
                .settings
                .local_domains
                .iter()
                .any(|domain| domain == contact.domainpart());
            let from = if is_local { address } else { &self.address };
            let probe = Stanza::build(
                Kind::Presence(PresenceType::Probe),
                Some(from),
                Some(contact),
                None,
                b"",
            );
            self.send_presence(id, Parcel::new(probe), out);
        }
    }

    /// RFC 6121 §4.3.2, §4.6.6.
    pub(crate) fn plain_probe(&mut self, context: &Context<'_, Settings>, parcel: &Passed, out: &mut Out) {
        let (Some(from), Some(to)) = (parcel.parcel().from(), parcel.parcel().to()) else {
            return;
        };
        let probe = parcel.parcel().stanza();
        if let Some(id) = probe.id()
            && let Some(session) = self.sessions.iter_mut().find(|session| session.address == *to)
        {
            session.confirmations.given(from, &id);
        }
        let is_entitled = from.same_bare(&self.address) || self.shows_presence_to(from);
        if self.exists() && is_entitled {
            self.answer_probe(context, probe, from, to, out);
            return;
        }
        // RFC 6121 §4.6.6: whoever got directed presence from this resource learns whether it is still there, no more.
        // Others learn that nothing is there for them, and not whether anything is; so a room that holds on to somebody
        // whose goodbye was lost finds out. The same for an account that does not exist.
        let (kind, source) = if from.is_bare() {
            // RFC 6121 §4.3.2 rule 1.
            (PresenceType::Unsubscribed, &self.address)
        } else if to.is_bare() {
            // A probe of a session of ours is no subscription that could be out of step.
            return;
        } else if self
            .session_at(to)
            .is_some_and(|session| session.directed_to(from))
        {
            (PresenceType::Available, to)
        } else {
            (PresenceType::Unavailable, to)
        };
        let answer = Stanza::build(
            Kind::Presence(kind),
            Some(source),
            Some(from),
            probe.id().as_deref(),
            b"",
        );
        self.reply(Some(answer), out);
    }

    fn answer_probe(
        &self,
        context: &Context<'_, Settings>,
        probe: &Stanza,
        from: &Address,
        to: &Address,
        out: &mut Out,
    ) {
        if !to.is_bare() {
            // RFC 6121 §4.3.2, last rule: only whether that resource is there.
            let is_there = self
                .session_at(to)
                .is_some_and(|session| session.presence.is_some());
            let kind = if is_there {
                PresenceType::Available
            } else {
                PresenceType::Unavailable
            };
            let answer = Stanza::build(
                Kind::Presence(kind),
                Some(to),
                Some(from),
                probe.id().as_deref(),
                b"",
            );
            self.send_answer(answer, out);
            return;
        }
        let mut someone_is_available = false;
        for session in &self.sessions {
            if let Some(presence) = &session.presence {
                someone_is_available = true;
                if let Some(parcel) = self.copy_for(context, session.id, &presence.stanza, from) {
                    self.send_presence(session.id, parcel, out);
                }
            }
        }
        if !someone_is_available {
            let delay = self
                .left
                .as_ref()
                .map(|last| delay(&self.address, last.at))
                .unwrap_or_default();
            let answer = Stanza::build(
                Kind::Presence(PresenceType::Unavailable),
                Some(&self.address),
                Some(from),
                probe.id().as_deref(),
                delay.as_bytes(),
            );
            self.send_answer(answer, out);
        }
    }

    /// An answer in the user's name, which the user's lists may forbid.
    fn send_answer(&self, answer: Stanza, out: &mut Out) {
        if let Ok(parcel) = self.release_for_user(Parcel::new(answer)) {
            out.effects.push(Effect::Route {
                parcel,
                receipt: None,
            });
        }
    }
}

/// `<delay/>` by the account's server (XEP-0203 §4).
fn delay(account: &Address, at: Timestamp) -> String {
    format!(
        "<delay xmlns='{}' from='{}' stamp='{}'/>",
        namespace::DELAY,
        account.domainpart(),
        at.to_xmpp()
    )
}
