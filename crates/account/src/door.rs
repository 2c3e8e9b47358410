//! The only way to a parcel that may be routed or delivered: the privacy lists let it pass, or the server wrote it.
//!
//! [`Passed`] can be made nowhere else, and the effects that carry stanzas take nothing else. So a new path that forgets
//! to ask does not compile.

use privacy::{Denial, Direction, Explanation, ListName, Question, Verdict};
use stanza::{Address, Kind, Parcel, PresenceType, Stanza};

use crate::account::Account;
use crate::session::Session;
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
        let verdict = self.ask(
            named.and_then(|session| session.active_list.as_ref()),
            Direction::In,
            kind,
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
                .any(|session| {
                    self.ask(session.active_list.as_ref(), Direction::In, kind, from)
                        .passes()
                });
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
        self.ask(
            session.active_list.as_ref(),
            Direction::In,
            parcel.0.stanza().kind(),
            from,
        )
        .passes()
    }

    /// Whether a stanza that came in may wait for the user, or be answered in the user's name.
    pub(crate) fn admits_without_session(&self, parcel: &Passed) -> Result<(), Denial> {
        let Some(from) = parcel.0.from() else {
            return Ok(());
        };
        match self.ask(None, Direction::In, parcel.0.stanza().kind(), from) {
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

    fn release_by(&self, active: Option<&ListName>, parcel: Parcel) -> Result<Passed, Box<Refused>> {
        let Some(to) = parcel.to() else {
            return Ok(Passed(parcel));
        };
        match self.ask(active, Direction::Out, parcel.stanza().kind(), to) {
            Verdict::Pass(_) => Ok(Passed(parcel)),
            Verdict::Deny(denial) => Err(Box::new(Refused { parcel, denial })),
        }
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
