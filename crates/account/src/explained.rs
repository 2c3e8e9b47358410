//! What one account knows of the presence between its user and somebody else (`balcony presence explain`), and pokes that
//! an operator asks in a contact's name (`balcony poke`).

use machine::{Context, Moment, Timestamp};
use presence::Poke;
use privacy::{Direction, Explanation, Question};
use roster::Subscription;
use stanza::{Address, Kind, Parcel, PresenceType, Stanza};

use crate::account::{Account, Out};
use crate::pause::Pause;
use crate::session::Session;
use crate::{Effect, PauseView, Settings};

/// What an account has to do with the presence of somebody else.
#[derive(Debug, Clone)]
pub struct PresenceView {
    /// The subscription, as the user's roster has it.
    pub subscription: Subscription,
    /// What the default list says to presence from the user to the other.
    pub out: Explanation,
    /// What it says to presence from the other to the user.
    pub into: Explanation,
    /// Whether the path to the other's domain is broken; `None` while nobody watches it.
    pub broken: Option<bool>,
    /// The user's sessions.
    pub sessions: Vec<PresenceSession>,
}

/// One session of the user.
#[derive(Debug, Clone)]
pub struct PresenceSession {
    /// Its full address.
    pub address: Address,
    /// What it has broadcast, unless it is unavailable.
    pub presence: Option<Stanza>,
    /// When, unless that was before the server was started.
    pub said: Option<Timestamp>,
    /// What the other got of it.
    pub sharing: Sharing,
    /// Its pause, if it is paused.
    pub paused: Option<PauseView>,
    /// Whether its pause was told to those who ask for annotations.
    pub pause_told: bool,
    /// Whether its client asks for annotations, as far as that is known.
    pub asks: Option<bool>,
    /// What it was sent of the other, as far as the account has to remember it: presence from other domains, and
    /// annotated presence. When it came, or the server was started since.
    pub held: Vec<(Address, presence::Held, Timestamp)>,
}

/// How somebody else got a session's presence.
#[derive(Debug, Clone)]
pub enum Sharing {
    /// By the broadcast to subscribers (RFC 6121 §4.2.2).
    Broadcast,
    /// By directed presence (RFC 6121 §4.6); this was sent.
    Directed(Stanza),
    /// Not at all: no subscription, nothing directed, not available, or taken back.
    Not,
}

/// A poke of an operator, in the name of somebody who may know no more than that.
pub(crate) struct OperatorPoke {
    requester: Address,
    answer: Box<dyn FnOnce(Option<Parcel>) + Send>,
}

impl Account {
    /// What is known here of the presence between the user and `other`.
    pub(crate) fn presence_view(&self, context: &Context<'_, Settings>, other: &Address) -> PresenceView {
        let explain = |direction| {
            let question = Question {
                account: &self.address,
                active: None,
                direction,
                kind: Kind::Presence(PresenceType::Available),
                other,
            };
            self.privacy.explain(&question, &self.roster)
        };
        PresenceView {
            subscription: self.roster.subscription(other.bare_str()),
            out: explain(Direction::Out),
            into: explain(Direction::In),
            broken: self.domains.get(other.domainpart()).map(|way| way.is_broken),
            sessions: self
                .sessions
                .iter()
                .map(|session| self.presence_of_session(context, session, other))
                .collect(),
        }
    }

    fn presence_of_session(
        &self,
        context: &Context<'_, Settings>,
        session: &Session,
        other: &Address,
    ) -> PresenceSession {
        let came = |held: &presence::Held| {
            let age = context.now.since(Moment::from_micros(held.number));
            context.wall.before(age)
        };
        let is_meant = |from: &Address| from == other || (other.is_bare() && from.same_bare(other));
        let directed = session
            .directed
            .iter()
            .find(|(to, _)| is_meant(to) || to.as_str() == other.bare_str());
        let is_hidden = session.hidden_from.contains(other.bare_str());
        let is_subscribed = other.same_bare(&self.address) || self.shows_presence_to(other);
        let sharing = match directed {
            Some((_, stanza)) => Sharing::Directed(stanza.clone()),
            None if session.presence.is_some() && is_subscribed && !is_hidden => Sharing::Broadcast,
            None => Sharing::Not,
        };
        PresenceSession {
            address: session.address.clone(),
            presence: session.presence.as_ref().map(|presence| presence.stanza.clone()),
            said: session.presence.as_ref().and_then(|presence| presence.said),
            sharing,
            paused: session.pause.map(Pause::view),
            pause_told: session.told.pause.is_some(),
            asks: session.interest.asks(),
            held: session
                .received
                .iter()
                .filter(|(from, _)| is_meant(from))
                .map(|(from, held)| (from.clone(), held.clone(), came(held)))
                .collect(),
        }
    }

    /// An operator pokes the user as `requester`, who is asked for no more than a real one would be, and learns no more.
    /// Without an answer the server stays silent towards such a requester.
    pub(crate) fn operator_poke(
        &mut self,
        context: &mut Context<'_, Settings>,
        requester: &Address,
        asked: Address,
        answer: Box<dyn FnOnce(Option<Parcel>) + Send>,
        out: &mut Out,
    ) {
        // A resource that nobody has: the answer is for the operator, and no client of the contact's sees it.
        let token = context.token();
        let Ok(requester) = requester.with_resource(&token) else {
            out.effects.push(Effect::Answer(Box::new(move || answer(None))));
            return;
        };
        let probe = Stanza::build(
            Kind::Presence(PresenceType::Probe),
            Some(&requester),
            Some(&asked),
            Some(&token),
            &Poke::default().to_bytes(),
        );
        self.operator_pokes.push(OperatorPoke { requester, answer });
        self.inbound(context, Parcel::new(probe), None, out);
    }

    /// Answers to an operator's pokes are taken out of what is sent. Pokes to which nothing will be said are answered so.
    pub(crate) fn answer_operator(&mut self, out: &mut Out) {
        for poke in std::mem::take(&mut self.operator_pokes) {
            let answered = |effect: &Effect| {
                if let Effect::Route { parcel, .. } = effect
                    && parcel.parcel().to() == Some(&poke.requester)
                {
                    Some(parcel.parcel().clone())
                } else {
                    None
                }
            };
            let first = out.effects.iter().find_map(answered);
            out.effects.retain(|effect| answered(effect).is_none());
            if first.is_none() && self.pokes.is_open(&poke.requester) {
                self.operator_pokes.push(poke);
                continue;
            }
            let answer = poke.answer;
            out.effects.push(Effect::Answer(Box::new(move || answer(first))));
        }
    }
}
