//! What somebody was told of somebody else's presence, and why; and pokes in a contact's name.

use std::sync::Arc;

use account::{PauseCause, PresenceSession, PresenceView, Sharing};
use router::Router;
use stanza::{Address, Kind, Parcel, PresenceType, Stanza, namespace};
use tokio::sync::oneshot;

use super::administration::view;
use super::explanation::{address, bad};
use crate::admin::{
    Outcome, Poked, PresenceExplained, PresencePath, PresenceTold, Refusal, RefusalKind, Reply,
};
use crate::config::AccountName;

/// Both sides are asked, as far as they live here.
pub(super) async fn explain(router: &Arc<Router>, viewer: &str, contact: &str) -> Outcome {
    let (viewer, contact) = (address(viewer)?, address(contact)?);
    let seeing = side(router, &viewer, &contact).await?;
    let seen = side(router, &contact, &viewer).await?;
    if seeing.is_none() && seen.is_none() {
        return Err(bad(format!(
            "neither {viewer} nor {contact} is a user of this server"
        )));
    }
    let told = told(&viewer, seeing.as_ref(), seen.as_ref());
    let reasons = reasons(&viewer, &contact, seeing.as_ref(), seen.as_ref());
    let verdict = if told.is_empty() {
        format!("{viewer} was told nothing of {contact} that is still so: to {viewer}, {contact} is offline.")
    } else {
        format!("{viewer} was told that {contact} is there.")
    };
    Ok(Reply::PresenceExplained(PresenceExplained {
        verdict,
        reasons,
        told,
    }))
}

/// What the account of `user` knows of `other`; nothing where it lives elsewhere.
async fn side(
    router: &Arc<Router>,
    user: &Address,
    other: &Address,
) -> Result<Option<PresenceView>, Refusal> {
    if !router.settings().hosts.serves(user) || user.localpart().is_none() {
        return Ok(None);
    }
    let account = AccountName::new(user.to_bare().as_str()).map_err(bad)?;
    // Whoever has no account must not get one into memory by being asked.
    view(router, &account).await?;
    let (tell, told) = oneshot::channel();
    let answer = move |view| {
        // Whoever asked may be gone.
        let _ = tell.send(view);
    };
    router.explain_presence(&user.to_bare(), other.clone(), Box::new(answer));
    let view = told.await.map_err(|_| not_loaded(&account))?;
    let sessions = view.sessions;
    let sessions = sessions
        .into_iter()
        .filter(|session| user.is_bare() || session.address == *user)
        .collect();
    Ok(Some(PresenceView { sessions, ..view }))
}

fn not_loaded(account: &AccountName) -> Refusal {
    let message = format!("{account} cannot be loaded now");
    Refusal::new(RefusalKind::Failed, message, "The log of the server says more.")
}

fn told(viewer: &Address, seeing: Option<&PresenceView>, seen: Option<&PresenceView>) -> Vec<PresenceTold> {
    let mut told = Vec::new();
    match (seeing, seen) {
        // A contact elsewhere: what its server has sent is held by the viewer's account.
        (Some(seeing), None) => {
            for session in &seeing.sessions {
                for (from, held, came) in &session.held {
                    told.push(PresenceTold {
                        to: session.address.to_string(),
                        of: from.to_string(),
                        show: show(&held.stanza()),
                        path: PresencePath::Link,
                        since: Some(came.to_xmpp()),
                        annotations: annotations(held),
                        paused: None,
                        pause_cause: None,
                        asks_for_annotations: session.asks,
                    });
                }
            }
        }
        // Both here: who holds what follows from what was sent.
        (Some(seeing), Some(seen)) => {
            let passes = seen.out.verdict.passes() && seeing.into.verdict.passes();
            for of in seen.sessions.iter().filter(|_| passes) {
                for to in &seeing.sessions {
                    let Some((path, stanza)) = shared(of) else {
                        continue;
                    };
                    // RFC 6121 §8.5.2.1.2: only available resources get presence for the bare address.
                    if to.address == of.address || (to.presence.is_none() && path == PresencePath::Broadcast)
                    {
                        continue;
                    }
                    let held = to.held.iter().find(|(from, ..)| *from == of.address);
                    told.push(PresenceTold {
                        to: to.address.to_string(),
                        of: of.address.to_string(),
                        show: show(stanza),
                        path,
                        since: since(of, path),
                        annotations: held.map(|(_, held, _)| annotations(held)).unwrap_or_default(),
                        paused: of.paused.map(|pause| pause.since.to_xmpp()),
                        pause_cause: of.paused.map(|pause| pause.cause.word().to_owned()),
                        asks_for_annotations: to.asks,
                    });
                }
            }
        }
        // A viewer elsewhere: what was sent there.
        (None, Some(seen)) => {
            for of in seen.sessions.iter().filter(|_| seen.out.verdict.passes()) {
                let Some((path, stanza)) = shared(of) else {
                    continue;
                };
                told.push(PresenceTold {
                    to: viewer.to_string(),
                    of: of.address.to_string(),
                    show: show(stanza),
                    path,
                    since: since(of, path),
                    annotations: Vec::new(),
                    paused: of.paused.map(|pause| pause.since.to_xmpp()),
                    pause_cause: of.paused.map(|pause| pause.cause.word().to_owned()),
                    asks_for_annotations: None,
                });
            }
        }
        (None, None) => {}
    }
    told
}

/// By which way a session's presence went to the viewer, and what.
fn shared(session: &PresenceSession) -> Option<(PresencePath, &Stanza)> {
    match &session.sharing {
        Sharing::Broadcast => Some((PresencePath::Broadcast, session.presence.as_ref()?)),
        Sharing::Directed(stanza) => Some((PresencePath::Directed, stanza)),
        Sharing::Not => None,
    }
}

/// Since when a session shows what it shows, as far as that is known. Of directed presence it is not noted.
fn since(of: &PresenceSession, path: PresencePath) -> Option<String> {
    match path {
        PresencePath::Broadcast => of.said.map(|said| said.to_xmpp()),
        PresencePath::Directed | PresencePath::Link => None,
    }
}

fn show(presence: &Stanza) -> String {
    let show = presence
        .content_child("show")
        .map(|show| show.text().into_owned());
    show.unwrap_or_else(|| "available".to_owned())
}

fn annotations(held: &presence::Held) -> Vec<String> {
    let mut annotations = Vec::new();
    if held.told {
        annotations.push("server-unavailable (by this server)".to_owned());
    }
    if let Some(foreign) = held.foreign().filter(|_| held.shown) {
        let says = |word: &str| foreign.windows(word.len()).any(|part| part == word.as_bytes());
        let word = if says("<connection-paused") {
            "connection-paused"
        } else {
            "server-unavailable"
        };
        annotations.push(format!("{word} (by the contact's server)"));
    }
    annotations
}

fn reasons(
    viewer: &Address,
    contact: &Address,
    seeing: Option<&PresenceView>,
    seen: Option<&PresenceView>,
) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Some(seeing) = seeing {
        let word = if seeing.subscription.user_is_subscribed() {
            "is subscribed"
        } else {
            "is not subscribed"
        };
        reasons.push(format!(
            "{viewer} {word} to {contact} ({:?} in its own roster)",
            seeing.subscription.relation().as_str()
        ));
        reasons.push(format!("into {viewer}: {}", seeing.into));
        if seeing.sessions.is_empty() {
            reasons.push(format!("{viewer} has no session"));
        }
        for session in &seeing.sessions {
            if session.presence.is_none() {
                reasons.push(format!(
                    "{} is connected and not available: it gets only what is sent to its full address",
                    session.address
                ));
            }
            reasons.push(match session.asks {
                Some(true) => format!("{} asks for annotations", session.address),
                Some(false) => format!(
                    "{} asks for no annotations: it is told nothing of lost links and pauses",
                    session.address
                ),
                None => format!(
                    "it is not known yet whether {} asks for annotations: it is asked when there is something to tell",
                    session.address
                ),
            });
        }
        match seeing.broken {
            Some(true) => reasons.push(format!("{} cannot be reached", contact.domainpart())),
            Some(false) => reasons.push(format!("{} can be reached", contact.domainpart())),
            None => {}
        }
    }
    if let Some(seen) = seen {
        let word = if seen.subscription.contact_is_subscribed() {
            "shows its presence"
        } else {
            "does not show its presence"
        };
        reasons.push(format!(
            "{contact} {word} to {viewer} ({:?} in its own roster)",
            seen.subscription.relation().as_str()
        ));
        reasons.push(format!("out of {contact}: {}", seen.out));
        if seen.sessions.is_empty() {
            reasons.push(format!("{contact} has no session"));
        }
        for session in &seen.sessions {
            match (&session.presence, &session.sharing) {
                (None, Sharing::Not) => reasons.push(format!(
                    "{} is connected and not available: it has shown itself to nobody",
                    session.address
                )),
                (Some(_), Sharing::Not) if seen.subscription.contact_is_subscribed() => {
                    reasons.push(format!(
                        "{} has said goodbye to {viewer} since its last change of presence",
                        session.address
                    ));
                }
                (_, Sharing::Directed(_)) => reasons.push(format!(
                    "{} has sent its presence to {viewer} by itself (directed presence), and that was its last word",
                    session.address
                )),
                (Some(_), Sharing::Broadcast | Sharing::Not) | (None, Sharing::Broadcast) => {}
            }
            if let Some(pause) = session.paused {
                let told = if session.pause_told {
                    "told"
                } else {
                    "not told yet"
                };
                let since = pause.since.to_xmpp();
                let kept = match pause.cause {
                    PauseCause::ConnectionLost => "its connection is lost and it can be resumed (XEP-0198)",
                    PauseCause::Asked => "its client asked for it (BOSH)",
                };
                reasons.push(format!(
                    "{} is paused since {since}, {kept}, which was {told}",
                    session.address
                ));
            }
        }
    }
    reasons
}

/// Asked of a user here, in the name of anybody.
pub(super) async fn poke(router: &Arc<Router>, user: &str, contact: &str) -> Outcome {
    let (user, contact) = (address(user)?, address(contact)?.to_bare());
    if !router.settings().hosts.serves(&user) || user.localpart().is_none() {
        let message = format!("{user} is no user of this server");
        let advice = "The server of the one who is asked does this: run it there.";
        return Err(Refusal::new(RefusalKind::BadRequest, message, advice));
    }
    let account = AccountName::new(user.to_bare().as_str()).map_err(bad)?;
    view(router, &account).await?;
    let (tell, told) = oneshot::channel();
    let answer = move |answer| {
        // Whoever asked may be gone.
        let _ = tell.send(answer);
    };
    router.poke(contact, user, Box::new(answer));
    let answer: Option<Parcel> = told.await.map_err(|_| not_loaded(&account))?;
    Ok(Reply::Poked(poked(answer.as_ref())))
}

fn poked(answer: Option<&Parcel>) -> Poked {
    let mut poked = Poked {
        found: None,
        method: None,
        error: None,
        code: None,
        text: None,
    };
    let Some(answer) = answer else { return poked };
    let stanza = answer.stanza();
    if stanza.kind() == Kind::Presence(PresenceType::Available) {
        poked.found = answer.from().map(Address::to_string);
        let poke = presence::Poke::of(stanza);
        poked.method = poke.and_then(|poke| Some(poke.method?.as_str().to_owned()));
    } else if let Some(error) = stanza.content_child("error") {
        poked.code = error.attribute("code").and_then(|code| code.parse().ok());
        let error = error.to_tree();
        for child in error.children() {
            if child.is(namespace::STANZA_ERRORS, "text") {
                poked.text = Some(child.content().into_owned());
            } else if child.is(namespace::STANZA_ERRORS, &child.name) {
                poked.error = Some(child.name.clone());
            }
        }
    }
    poked
}
