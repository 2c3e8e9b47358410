//! What the privacy lists of both sides say to a stanza, and by which rule (XEP-0016, XEP-0191).

use std::sync::Arc;

use account::PrivacyQuestion;
use privacy::{Direction, Explanation};
use router::Router;
use stanza::{Address, IqType, Kind, MessageType, PresenceType};
use tokio::sync::oneshot;

use super::administration::view;
use crate::admin::{Outcome, PrivacyVerdict, Refusal, RefusalKind, Reply, StanzaKind, Way};
use crate::config::AccountName;

/// The sender's lists are asked first, as the stanza would meet them. Only sides that live here have lists here.
pub(super) async fn explain(router: &Arc<Router>, from: &str, to: &str, kind: StanzaKind) -> Outcome {
    let (from, to) = (address(from)?, address(to)?);
    let kind = match kind {
        StanzaKind::Message => Kind::Message(MessageType::Chat),
        StanzaKind::Iq => Kind::Iq(IqType::Get),
        StanzaKind::Presence => Kind::Presence(PresenceType::Available),
        StanzaKind::Subscribe => Kind::Presence(PresenceType::Subscribe),
    };
    let mut verdicts = Vec::new();
    for (user, other, direction) in [(&from, &to, Direction::Out), (&to, &from, Direction::In)] {
        if !router.settings().hosts.serves(user) || user.localpart().is_none() {
            continue;
        }
        let account = AccountName::new(user.to_bare().as_str()).map_err(bad)?;
        // Whoever has no account has no lists, and must not get any by being asked.
        view(router, &account).await?;
        let question = PrivacyQuestion {
            resource: user.resourcepart().map(str::to_owned),
            direction,
            kind,
            other: other.clone(),
        };
        let (tell, told) = oneshot::channel();
        let answer = move |explanation| {
            // Whoever asked may be gone.
            let _ = tell.send(explanation);
        };
        router.explain_privacy(&user.to_bare(), question, Box::new(answer));
        let explanation = told.await.map_err(|_| {
            let message = format!("{account} cannot be loaded now");
            Refusal::new(RefusalKind::Failed, message, "The log of the server says more.")
        })?;
        verdicts.push(verdict(account, direction, &explanation));
    }
    if verdicts.is_empty() {
        return Err(bad(format!("neither {from} nor {to} is a user of this server")));
    }
    Ok(Reply::PrivacyExplained { verdicts })
}

fn verdict(account: AccountName, direction: Direction, explanation: &Explanation) -> PrivacyVerdict {
    PrivacyVerdict {
        account,
        direction: match direction {
            Direction::Out => Way::Out,
            Direction::In => Way::In,
        },
        passes: explanation.verdict.passes(),
        list: explanation.list.as_ref().map(|list| list.as_str().to_owned()),
        active: explanation.active,
        order: explanation.item.as_ref().map(|item| item.order),
        explanation: explanation.to_string(),
    }
}

pub(super) fn address(text: &str) -> Result<Address, Refusal> {
    Address::parse(text).map_err(|error| bad(format!("{text}: {error}")))
}

pub(super) fn bad(why: String) -> Refusal {
    Refusal::new(RefusalKind::BadRequest, why, "")
}
