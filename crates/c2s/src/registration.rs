//! In-band registration before login (XEP-0077 §3.1.1): what a stream without an account may ask its host.

use features::{Action, Answer, Asker, Facts, HostFacts, Place, Registration, Request};
use stanza::namespace::REGISTER;
use stanza::{Address, Condition, Kind, Stanza, StanzaError};
use xml::Element;

use crate::Effect;
use crate::phase::{Turn, is_stanza};

/// What came of a request.
pub(crate) enum Outcome {
    /// It was answered.
    Answered,
    /// An account is being made; the answer follows.
    Asked,
}

/// The request to register, or for what that takes, if the element is one to this host.
pub(crate) fn request(element: &Element, host: &Address) -> Option<Stanza> {
    if !is_stanza(element) || !Kind::of(element).is_ok_and(Kind::is_request) {
        return None;
    }
    if element.child_at(0)?.namespace() != REGISTER {
        return None;
    }
    let to = match element.attribute("to") {
        None => None,
        Some(to) => Some(Address::parse(&to).ok().filter(|to| to == host)?),
    };
    Stanza::new(element.clone(), None, to, None).ok()
}

/// Answers a request, or asks the world to make the account.
pub(crate) fn take(request: &Stanza, host: &Address, turn: &mut Turn<'_, '_>) -> Outcome {
    // A host that has gone from the configuration takes nobody.
    let hosts = &turn.context.settings.hosts;
    let registration = hosts
        .get(host)
        .map_or(Registration::Closed, |host| host.registration);
    let answer = features::answer(&Request {
        stanza: request,
        place: Place::Host(&HostFacts {
            registration,
            ..HostFacts::new(host.clone())
        }),
        asker: Asker::Unregistered,
        facts: &Facts::default(),
        now: turn.context.now,
        wall: turn.context.wall,
    });
    match answer {
        Answer::Act(Action::Register { account, password }) => {
            turn.effect(Effect::Register { account, password });
            return Outcome::Asked;
        }
        Answer::Reply(Ok(payload)) => turn.say(request.result(&payload)),
        Answer::Reply(Err(error)) => refuse(request, error, turn),
        // There is nobody yet to whom any of this could be done.
        Answer::Act(Action::ChangePassword { .. } | Action::RemoveAccount { .. })
        | Answer::Load(_)
        | Answer::Store(_) => refuse(request, Condition::ServiceUnavailable, turn),
    }
    Outcome::Answered
}

/// Answers with an error.
pub(crate) fn refuse(request: &Stanza, error: impl Into<StanzaError>, turn: &mut Turn<'_, '_>) {
    if let Some(error) = request.error(error) {
        turn.say(error);
    }
}
