//! The only way to a parcel that may be routed or delivered: the privacy lists let it pass, or the server wrote it.
//!
//! [`Passed`] can be made nowhere else, and the effects that carry stanzas take nothing else. So a new path that forgets
//! to ask does not compile.

use privacy::{Denial, Direction, Explanation, ListName, Question, Verdict};
use stanza::{Address, Kind, Parcel, PresenceType, Stanza, namespace};

use crate::account::Account;
use crate::session::Session;
use crate::turning::Before;
use crate::{PrivacyQuestion, SessionId};

/// A parcel that may go on.
#[derive(Debug, Clone)]
pub struct Passed(Parcel);

impl Passed {
    /// What the server writes itself to somebody who may know it anyway: answers to requests that passed, errors to
    /// senders, pushes to the account's own sessions.
    pub(crate) fn of_our_own(stanza: Stanza) -> Passed {
        Passed(Parcel::new(stanza))
    }

    /// A row of the store: it passed when it came, and is asked about again for each session that gets it.
    pub(crate) fn stored(parcel: Parcel) -> Passed {
        Passed(parcel)
    }

    /// A copy from a mailbox, or from the decision that it caused: it passed when it came.
    pub(crate) fn delivered_before(parcel: Parcel) -> Passed {
        Passed(parcel)
    }

    /// Presence of one of the account's resources to another.
    pub(crate) fn to_own_session(parcel: Parcel) -> Passed {
        Passed(parcel)
    }

    /// The goodbye to somebody for whom the door has just been closed (XEP-0016 §2.11, XEP-0191 §3.3).
    pub(crate) fn last_goodbye(stanza: Stanza) -> Passed {
        Passed(Parcel::new(stanza))
    }

    /// The goodbye of somebody for whom the door has just been closed, said to one of the account's own sessions in that
    /// one's place (XEP-0016 §2.10).
    pub(crate) fn for_the_hidden(stanza: Stanza) -> Passed {
        Passed(Parcel::new(stanza))
    }

    /// The question to an account here of which resources a session has to take leave: no client of its sees it, and the
    /// answer ends at the door.
    pub(crate) fn question_about_the_hidden(stanza: Stanza) -> Passed {
        Passed(Parcel::new(stanza))
    }

    /// What may go on.
    pub fn parcel(&self) -> &Parcel {
        &self.0
    }

    /// The same to another address of the same account.
    pub(crate) fn addressed_to(self, to: Address) -> Passed {
        Passed(self.0.to_address(to))
    }

    /// The same with an annotation put in.
    pub(crate) fn with_appended(&self, annotation: &[u8]) -> Passed {
        Passed(self.0.clone().with_appended(annotation))
    }

    /// The same without what was put in.
    pub(crate) fn without_appended(self) -> Passed {
        Passed(self.0.without_appended())
    }

    /// The same stanza, cleaned of what its sender may not say.
    pub(crate) fn replaced_by(self, cleaned: Parcel) -> Passed {
        Passed(cleaned)
    }

    /// The same without one of its children.
    pub(crate) fn without_child(self, place: u16) -> Passed {
        Passed(self.0.without_child(place))
    }

    /// What may go on.
    pub fn into_parcel(self) -> Parcel {
        self.0
    }
}

/// A parcel that may not go on, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) parcel: Parcel,
    pub(crate) denial: Denial,
}

impl Account {
    /// Whether a stanza may come in: to the session that it names, or else to anybody at home. Each session is asked
    /// again by [`admits`](Self::admits) before it gets it.
    pub(crate) fn admit(&self, parcel: Parcel) -> Result<Passed, Box<Refused>> {
        let Some(from) = parcel.from() else {
            return Ok(Passed(parcel));
        };
        let kind = parcel.stanza().kind();
        let named = parcel
            .to()
            .filter(|to| !to.is_bare())
            .and_then(|to| self.session_at(to));
        let verdict = self.ask_in(
            named.and_then(|session| session.active_list.as_ref()),
            &parcel,
            from,
        );
        let Verdict::Deny(denial) = verdict else {
            return Ok(Passed(parcel));
        };
        // XEP-0016 §2.2: the default list does not bind a session with a list of its own.
        let somebody_takes_it = named.is_none()
            && self
                .sessions
                .iter()
                .filter(|session| session.active_list.is_some())
                .any(|session| self.ask_in(session.active_list.as_ref(), &parcel, from).passes());
        let may_be_for_sessions = matches!(
            kind,
            Kind::Message(_) | Kind::Presence(PresenceType::Available | PresenceType::Unavailable)
        );
        if somebody_takes_it && may_be_for_sessions {
            return Ok(Passed(parcel));
        }
        Err(Box::new(Refused { parcel, denial }))
    }

    /// Whether a stanza that came in may reach this session.
    pub(crate) fn admits(&self, session: &Session, parcel: &Passed) -> bool {
        let Some(from) = parcel.0.from() else { return true };
        self.ask_in(session.active_list.as_ref(), &parcel.0, from)
            .passes()
    }

    /// Whether any session may have a stanza that came in.
    pub(crate) fn somebody_admits(&self, parcel: &Passed) -> bool {
        self.sessions.iter().any(|session| self.admits(session, parcel))
    }

    /// Whether a stanza that came in may wait for the user, or be answered in the user's name.
    pub(crate) fn admits_without_session(&self, parcel: &Passed) -> Result<(), Denial> {
        let Some(from) = parcel.0.from() else {
            return Ok(());
        };
        match self.ask_in(None, &parcel.0, from) {
            Verdict::Pass(_) => Ok(()),
            Verdict::Deny(denial) => Err(denial),
        }
    }

    /// Whether a stanza of this session may leave.
    pub(crate) fn release(&self, id: SessionId, parcel: Parcel) -> Result<Passed, Box<Refused>> {
        let active = self.session(id).and_then(|session| session.active_list.as_ref());
        self.release_by(active, parcel)
    }

    /// Whether what the server sends in the user's name may leave.
    pub(crate) fn release_for_user(&self, parcel: Parcel) -> Result<Passed, Box<Refused>> {
        self.release_by(None, parcel)
    }

    /// Whether this contact may see that the user is there.
    pub(crate) fn may_show_presence(&self, to: &Address) -> bool {
        self.ask(None, Direction::Out, Kind::Presence(PresenceType::Available), to)
            .passes()
    }

    /// Whether what the server sends because the roster was changed may leave. It is part of what was asked for while the
    /// roster was another (XEP-0016 §2.2 rule 9: what comes after that is judged by the new one).
    pub(crate) fn release_with_change(
        &self,
        by: Option<SessionId>,
        before: Option<&Before>,
        parcel: Parcel,
    ) -> Result<Passed, Box<Refused>> {
        let active = by
            .and_then(|id| self.session(id))
            .and_then(|session| session.active_list.as_ref());
        self.release_by(active, parcel).or_else(|refused| match before {
            Some(before) if self.passed_before(active, before, &refused.parcel) => Ok(Passed(refused.parcel)),
            Some(_) | None => Err(refused),
        })
    }

    fn passed_before(&self, active: Option<&ListName>, before: &Before, parcel: &Parcel) -> bool {
        let Some(other) = parcel.to() else { return true };
        let question = Question {
            account: &self.address,
            active,
            direction: Direction::Out,
            kind: parcel.stanza().kind(),
            other,
        };
        self.privacy.may_pass(&question, &before.item()).passes()
    }

    fn release_by(&self, active: Option<&ListName>, parcel: Parcel) -> Result<Passed, Box<Refused>> {
        let Some(to) = parcel.to() else {
            return Ok(Passed(parcel));
        };
        match self.ask(active, Direction::Out, parcel.stanza().kind(), to) {
            Verdict::Pass(_) => Ok(Passed(parcel)),
            Verdict::Deny(denial) => Err(Box::new(Refused { parcel, denial })),
        }
    }

    /// The error for who sent what was not let in, if one is due. What an occupant says in private to somebody in the same
    /// room gets none: rooms take the error for the end of whoever it comes from (XEP-0045 §18.1.2), so that a blocked
    /// occupant could put the user out of the room.
    pub(crate) fn answer_to(&self, refused: &Parcel, denial: Denial) -> Option<Stanza> {
        let error = denial.answer().filter(|_| !self.is_private_in_room(refused))?;
        refused.error(error)
    }

    /// Whether this is a message of somebody in a room that the user is in too.
    pub(crate) fn is_private_in_room(&self, parcel: &Parcel) -> bool {
        let Some(occupant) = parcel.from().filter(|from| !from.is_bare()) else {
            return false;
        };
        let is_joined = |to: &Address, presence: &Stanza| {
            to.same_bare(occupant) && presence.child(namespace::MUC, "x").is_some()
        };
        let mut directed = self.sessions.iter().flat_map(|session| &session.directed);
        matches!(parcel.stanza().kind(), Kind::Message(_))
            && directed.any(|(to, presence)| is_joined(to, presence))
    }

    /// What the door says to such a stanza, and why (`balcony privacy explain`).
    pub(crate) fn explain_privacy(&self, asked: &PrivacyQuestion) -> Explanation {
        let session = self.sessions.iter().find(|session| {
            asked.resource.is_some() && session.address.resourcepart() == asked.resource.as_deref()
        });
        let question = Question {
            account: &self.address,
            active: session.and_then(|session| session.active_list.as_ref()),
            direction: asked.direction,
            kind: asked.kind,
            other: &asked.other,
        };
        self.privacy.explain(&question, &self.roster)
    }

    /// The question about what comes in: of its sender, and where a room only passes on an invitation (XEP-0045 §7.8.2) of
    /// who invites too. A room is no way round the door.
    fn ask_in(&self, active: Option<&ListName>, parcel: &Parcel, from: &Address) -> Verdict {
        let stanza = parcel.stanza();
        let verdict = self.ask(active, Direction::In, stanza.kind(), from);
        if self.privacy.is_empty() || !verdict.passes() {
            return verdict;
        }
        let denied = inviters(stanza)
            .map(|inviter| self.ask(active, Direction::In, stanza.kind(), &inviter))
            .find(|verdict| !verdict.passes());
        denied.unwrap_or(verdict)
    }

    fn ask(&self, active: Option<&ListName>, direction: Direction, kind: Kind, other: &Address) -> Verdict {
        let question = Question {
            account: &self.address,
            active,
            direction,
            kind,
            other,
        };
        self.privacy.may_pass(&question, &self.roster)
    }
}

/// Who invites the user in a message that a room has passed on.
fn inviters(stanza: &Stanza) -> impl Iterator<Item = Address> {
    let is_message = matches!(stanza.kind(), Kind::Message(_));
    let invited = is_message
        .then(|| stanza.child(namespace::MUC_USER, "x"))
        .flatten();
    let invited = invited.map(|x| x.to_tree());
    let inviters: Vec<Address> = invited
        .iter()
        .flat_map(xml::Tree::children)
        .filter(|child| child.is(namespace::MUC_USER, "invite"))
        .filter_map(|invite| Address::parse(invite.attribute("from")?).ok())
        .collect();
    inviters.into_iter()
}
