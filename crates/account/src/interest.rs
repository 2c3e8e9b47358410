//! Whether the account's clients ask for annotations (PSA-01…PSA-05): from the hash in their presence where its meaning is
//! known, else the client is asked.
//!
//! It is found out when there is something to tell. A client that is never told anything is never asked.

use machine::Context;
use presence::{Answer, Capabilities, Claim};
use stanza::{IqType, Kind, Stanza};

use crate::account::{Account, Out};
use crate::door::Passed;
use crate::{Effect, SessionId, Settings};

/// What is known of one client.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    claim: Option<Claim>,
    wish: Wish,
}

/// Whether the client asks for annotations.
#[derive(Debug, Default, PartialEq, Eq)]
enum Wish {
    /// Nobody needed to know yet.
    #[default]
    Unasked,
    /// The client was asked under this id.
    Asked(String),
    /// It does, or does not.
    Known(bool),
}

impl Interest {
    /// Whether the client asks for annotations, where that is known.
    pub(crate) fn asks(&self) -> Option<bool> {
        match &self.wish {
            Wish::Known(wants) => Some(*wants),
            Wish::Unasked | Wish::Asked(_) => None,
        }
    }

    /// The same, and where nobody needed to know yet, what the hash says whose meaning is known.
    pub(crate) fn would_ask(&self, capabilities: &Capabilities) -> Option<bool> {
        self.asks().or_else(|| match &self.claim {
            Some(Claim::Hash(hash)) => capabilities.wants_annotations(hash),
            Some(Claim::Nothing) | None => None,
        })
    }

    /// What was known before the server was away.
    pub(crate) fn learn(&mut self, asks: bool) {
        self.wish = Wish::Known(asks);
    }

    /// Interest follows the newest presence (PSA-03). One without capabilities says nothing new (C-16). True when what was
    /// known counts no longer.
    pub(crate) fn follow(&mut self, presence: &Stanza) -> bool {
        let Some(claim) = Claim::of(presence) else {
            return false;
        };
        if self.claim.as_ref() == Some(&claim) {
            return false;
        }
        self.claim = Some(claim);
        self.wish = Wish::Unasked;
        true
    }
}

impl Account {
    /// The same for news of a contact's pause: a client that says nothing of its capabilities is not asked because of that.
    /// Sessions pause all day long, and such clients want nothing of the kind.
    pub(crate) fn wants_news_of_pauses(
        &mut self,
        context: &mut Context<'_, Settings>,
        place: usize,
        out: &mut Out,
    ) -> bool {
        let says_nothing = self
            .sessions
            .get(place)
            .is_none_or(|session| session.interest.claim.is_none() && session.interest.wish == Wish::Unasked);
        // PSA-45: whoever is away is told what is so when he is back.
        let is_away = self
            .sessions
            .get(place)
            .is_none_or(|session| session.pause.is_some());
        !says_nothing && !is_away && self.wants_annotations(context, place, out)
    }

    /// Whether the client at this place asks for annotations. One of which nobody knows is asked, and counts as not
    /// interested until it has answered.
    pub(crate) fn wants_annotations(
        &mut self,
        context: &mut Context<'_, Settings>,
        place: usize,
        out: &mut Out,
    ) -> bool {
        if !context.settings.presence.psa.enabled {
            return false;
        }
        let Some(session) = self.sessions.get_mut(place) else {
            return false;
        };
        match &session.interest.wish {
            Wish::Known(wants) => return *wants,
            Wish::Asked(_) => return false,
            Wish::Unasked => {}
        }
        if let Some(Claim::Hash(hash)) = &session.interest.claim
            && let Some(wants) = context.settings.presence.capabilities.wants_annotations(hash)
        {
            session.interest.wish = Wish::Known(wants);
            return wants;
        }
        let id = context.token();
        let question = session
            .interest
            .claim
            .as_ref()
            .unwrap_or(&Claim::Nothing)
            .question();
        let question = Stanza::build(
            Kind::Iq(IqType::Get),
            Some(&self.address),
            Some(&session.address),
            Some(&id),
            &question,
        );
        session.interest.wish = Wish::Asked(id);
        if let Some(session) = self.sessions.get(place) {
            self.give(context, session, &Passed::of_our_own(question), out);
        }
        false
    }

    /// A client answers a question of the server. False when this was no question about capabilities.
    pub(crate) fn capabilities_answered(
        &mut self,
        context: &mut Context<'_, Settings>,
        id: SessionId,
        answer: &Stanza,
        kind: IqType,
        out: &mut Out,
    ) -> bool {
        let Some(session) = self.session_mut(id) else {
            return false;
        };
        let interest = &mut session.interest;
        let is_ours = matches!((&interest.wish, answer.id()), (Wish::Asked(asked), Some(id)) if *asked == id);
        if !is_ours {
            return false;
        }
        let told = match (kind, answer.payload()) {
            (IqType::Result, Some(payload)) => interest
                .claim
                .as_ref()
                .unwrap_or(&Claim::Nothing)
                .answered(&payload.to_tree()),
            (IqType::Result | IqType::Error | IqType::Get | IqType::Set, _) => Answer::ForThisSession(false),
        };
        let wants = match told {
            Answer::ForThisSession(wants) => wants,
            Answer::Verified(hash, wants) => {
                out.effects.push(Effect::Learn(hash, wants));
                wants
            }
        };
        interest.wish = Wish::Known(wants);
        if wants {
            // PSA-05: what it should have been told before.
            self.bring_up_to_date(context, out);
        }
        true
    }
}
