//! Stanzas on their way to whoever traces them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use router::{Border, Router, Sight};
use stanza::Address;
use tokio::sync::mpsc;

use crate::admin::{Refusal, RefusalKind, Traced};

/// Stanzas that may wait for the terminal; what passes faster is counted and left out.
const WAITING_MAX: usize = 1024;

/// Shows what passes from and to `who`.
pub(super) fn trace(router: &Arc<Router>, who: &str) -> Result<mpsc::Receiver<Traced>, Refusal> {
    let wanted = Address::parse(who)
        .map_err(|error| Refusal::new(RefusalKind::BadRequest, format!("{who}: {error}"), ""))?;
    let (show, shown) = mpsc::channel(WAITING_MAX);
    let missed = AtomicU64::new(0);
    let sink = move |sight: Sight| {
        let mut traced = traced(sight);
        traced.missed = missed.swap(0, Ordering::Relaxed);
        let before = traced.missed;
        match show.try_send(traced) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                missed.fetch_add(before + 1, Ordering::Relaxed);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    };
    router.trace(wanted, Box::new(sink));
    Ok(shown)
}

fn traced(sight: Sight) -> Traced {
    let border = match sight.border {
        Border::FromClient => "from client",
        Border::ToClient => "to client",
        Border::FromServer => "from server",
        Border::ToServer => "to server",
    };
    Traced {
        time: sight.at.to_xmpp(),
        border: border.to_owned(),
        stanza: sight.name.to_owned(),
        r#type: sight.kind.map(str::to_owned),
        from: sight.from.map(|from| from.to_string()),
        to: sight.to.map(|to| to.to_string()),
        id: sight.id,
        error: sight.error,
        children: sight
            .children
            .into_iter()
            .map(|(name, namespace)| format!("{name} ({namespace})"))
            .collect(),
        bytes: sight.bytes,
        missed: 0,
    }
}
