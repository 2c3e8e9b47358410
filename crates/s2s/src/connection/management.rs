//! Stream management between servers: counting, asking, resuming, on either side (XEP-0198).

use std::sync::Arc;

use machine::Moment;
use stanza::{Condition, StreamCondition};
use stream_management::{
    Mailbox, Signal, write_acknowledgement, write_enable, write_enabled, write_request, write_resume,
    write_resumed,
};
use xml::Element;

use super::open::{Open, Role};
use super::phase::{Stop, Turn, unexpected};
use super::requests::{Request, Requests};
use super::{Effect, Suspended};
use crate::{Pair, Times, Ways};

/// How far stream management is on one stream.
#[derive(Default)]
pub(crate) enum Management {
    /// Nobody has asked for it.
    #[default]
    Untouched,
    /// We asked for it, and the peer has not answered. Nothing is sent meanwhile, since it is not clear what counts.
    Enabling,
    /// We go on with this stream as soon as the fate of all that the peer had sent on it is decided: the count that the
    /// peer is told must cover all of it. A peer need not send again what it does not cover (XEP-0198 §5), and what it
    /// sends then could not be told from what it sends again.
    Settling(Suspended),
    /// We asked to go on with this stream, and the peer has not answered.
    Resuming(Suspended),
    /// The peer asked to go on with a stream, and the world looks for it. Holds the peer's count.
    LookingUp(String, u32),
    /// It was found, and the peer is told when all that it had sent is settled, likewise.
    Answering(Suspended, u32),
    /// Stanzas are counted.
    On(Counting),
    /// It was tried, and refused.
    Refused,
}

/// The counting of one stream.
#[derive(Default)]
pub(crate) struct Counting {
    requests: Requests,
    /// Under which identifier the stream can be resumed.
    id: Option<String>,
}

impl Management {
    /// Whether the peer's stanzas are counted.
    pub(crate) fn counts(&self) -> bool {
        match self {
            Management::On(_) => true,
            Management::Untouched
            | Management::Enabling
            | Management::Settling(_)
            | Management::Resuming(_)
            | Management::LookingUp(..)
            | Management::Answering(..)
            | Management::Refused => false,
        }
    }

    fn counting(&mut self) -> Option<&mut Counting> {
        match self {
            Management::On(counting) => Some(counting),
            Management::Untouched
            | Management::Enabling
            | Management::Settling(_)
            | Management::Resuming(_)
            | Management::LookingUp(..)
            | Management::Answering(..)
            | Management::Refused => None,
        }
    }
}

impl Open {
    /// Whether a stream that the peer wants to resume is being looked for, or brought into order.
    pub(crate) fn awaits_resumption(&self) -> bool {
        matches!(
            self.management,
            Management::LookingUp(..) | Management::Answering(..)
        )
    }

    /// The mailbox of a broken stream that this one goes on with when everything in its count is settled.
    pub(crate) fn settling(&self) -> Option<&Arc<Mailbox>> {
        match &self.management {
            Management::Settling(suspended) | Management::Answering(suspended, _) => Some(&suspended.mailbox),
            Management::Untouched
            | Management::Enabling
            | Management::Resuming(_)
            | Management::LookingUp(..)
            | Management::On(_)
            | Management::Refused => None,
        }
    }

    /// Whether stanzas may be sent: somebody takes them, and it is clear whether they count.
    pub(crate) fn may_drain(&self, unacknowledged_max: usize) -> bool {
        let settled = match self.management {
            Management::Untouched | Management::Refused => true,
            Management::On(_) => self.mailbox.unacknowledged() < unacknowledged_max,
            Management::Enabling
            | Management::Settling(_)
            | Management::Resuming(_)
            | Management::LookingUp(..)
            | Management::Answering(..) => false,
        };
        settled && self.announced && self.pairs.values().any(|carried| carried.ways.sends())
    }

    /// The initiating side goes on with the broken stream, or begins to count, once it is authenticated (XEP-0198 §3).
    pub(crate) fn manage(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        let Role::Outbound(visit) = &mut self.role else {
            return Ok(());
        };
        if self.announced || !matches!(self.management, Management::Untouched) {
            return Ok(());
        }
        let offered = visit.management;
        if let Some(suspended) = visit.resume.take() {
            if offered && self.carries(&suspended) {
                suspended.mailbox.asked();
                self.management = Management::Settling(suspended);
                return self.settled(turn);
            }
            turn.effect(Effect::NotResumed(suspended.id));
        }
        if offered {
            self.enable(turn);
        } else {
            self.announce(turn);
        }
        Ok(())
    }

    /// Goes on with a broken stream if all that the peer had sent on it is settled.
    fn settled(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        match std::mem::take(&mut self.management) {
            Management::Settling(suspended) if suspended.mailbox.open_receipts() == 0 => {
                write_resume(&mut turn.out.bytes, &suspended.id, suspended.mailbox.handled());
                self.management = Management::Resuming(suspended);
            }
            Management::Answering(suspended, handled) if suspended.mailbox.open_receipts() == 0 => {
                write_resumed(&mut turn.out.bytes, &suspended.id, suspended.mailbox.handled());
                return self.go_on(suspended, handled, turn);
            }
            other @ (Management::Untouched
            | Management::Enabling
            | Management::Settling(_)
            | Management::Resuming(_)
            | Management::LookingUp(..)
            | Management::Answering(..)
            | Management::On(_)
            | Management::Refused) => self.management = other,
        }
        Ok(())
    }

    /// Whether this stream can stand in for a broken one. No state of one stream counts on another: every pair must have
    /// been proven anew.
    fn carries(&self, suspended: &Suspended) -> bool {
        let is_proven = |(pair, ways): &(Pair, Ways)| {
            let carried = self.pairs.get(pair);
            carried.is_some_and(|carried| carried.ways.and(*ways) == carried.ways)
        };
        !suspended.mailbox.is_closed() && suspended.pairs.iter().all(is_proven)
    }

    fn enable(&mut self, turn: &mut Turn<'_, '_>) {
        write_enable(&mut turn.out.bytes);
        self.management = Management::Enabling;
    }

    /// Takes an element of stream management.
    pub(crate) fn management(&mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        match (element.name(), &self.role) {
            ("r", _) if self.management.counts() => {
                write_acknowledgement(&mut turn.out.bytes, self.mailbox.asked());
                Ok(())
            }
            ("a", _) if self.management.counts() => self.acknowledged(element, turn),
            ("enable", Role::Inbound(_)) => self.enable_asked(element, turn),
            ("resume", Role::Inbound(_)) => self.resume_asked(element, turn),
            ("enabled", Role::Outbound(_)) => self.enabled(element, turn),
            ("resumed", Role::Outbound(_)) => self.resumed(element, turn),
            ("failed", Role::Outbound(_)) => self.failed(element, turn),
            ("r" | "a", _) => {
                turn.management_failed(Condition::UnexpectedRequest, None);
                Ok(())
            }
            _ => Err(unexpected(element, turn)),
        }
    }

    /// The peer says what it has (XEP-0198 §4).
    pub(crate) fn acknowledged(&mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        let Some(counting) = self.management.counting() else {
            return Ok(());
        };
        let handled = count(element)?;
        self.mailbox
            .acknowledge(handled)
            .map_err(|fault| Stop::Error(fault.into()))?;
        let unacknowledged = self.mailbox.unacknowledged();
        let now = turn.context.now;
        if let Some(asked) = counting.requests.open_since() {
            turn.effect(Effect::RoundTrip(now.since(asked)));
        }
        if counting.requests.answered(unacknowledged, now) == Request::Now {
            write_request(&mut turn.out.bytes);
        }
        Ok(())
    }

    /// Stanzas were written; the peer may have to be asked for them.
    pub(crate) fn drained(&mut self, stanzas: usize, more: bool, turn: &mut Turn<'_, '_>) {
        let Some(counting) = self.management.counting() else {
            return;
        };
        if counting.requests.sent(stanzas, more, turn.context.now) == Request::Now {
            write_request(&mut turn.out.bytes);
        }
    }

    /// Asks a peer that counts whether it is there. False when it does not count.
    pub(crate) fn ask_by_request(&mut self, turn: &mut Turn<'_, '_>) -> bool {
        let Some(counting) = self.management.counting() else {
            return false;
        };
        if counting.requests.ask(turn.context.now) == Request::Now {
            write_request(&mut turn.out.bytes);
        }
        true
    }

    /// When a peer that talks, but does not acknowledge, has had time enough.
    pub(crate) fn acknowledgement_due(&self, times: &Times) -> Option<Moment> {
        match &self.management {
            Management::On(counting) => counting
                .requests
                .open_since()
                .map(|since| since + times.quiet + times.answer),
            Management::Untouched
            | Management::Enabling
            | Management::Settling(_)
            | Management::Resuming(_)
            | Management::LookingUp(..)
            | Management::Answering(..)
            | Management::Refused => None,
        }
    }

    /// A word from the mailbox.
    pub(crate) fn signal(&mut self, signal: Signal, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        match signal {
            Signal::AckDue if self.settling().is_some() => self.settled(turn),
            Signal::AckDue => {
                if self.management.counts() {
                    write_acknowledgement(&mut turn.out.bytes, self.mailbox.handled());
                }
                Ok(())
            }
            Signal::Close(error) => Err(Stop::Error(error)),
            // Nothing is bound here, and what is resumed is given otherwise.
            Signal::Bound(_)
            | Signal::NotBound(_)
            | Signal::Resumed(_)
            | Signal::NotResumed(_)
            | Signal::Suspend => Ok(()),
        }
    }

    /// The last words before the stream is closed in order (XEP-0198 §4).
    pub(crate) fn write_last_acknowledgement(&self, turn: &mut Turn<'_, '_>) {
        if self.management.counts() {
            write_acknowledgement(&mut turn.out.bytes, self.mailbox.handled());
        }
    }

    /// What remains when the connection breaks (XEP-0198 §5).
    pub(crate) fn suspend(&self, now: Moment, times: &Times) -> Option<Suspended> {
        let Management::On(Counting { id: Some(id), .. }) = &self.management else {
            return None;
        };
        Some(Suspended {
            id: id.clone(),
            side: self.role.side(),
            pairs: self
                .pairs
                .iter()
                .map(|(pair, carried)| (pair.clone(), carried.ways))
                .collect(),
            mailbox: self.mailbox.clone(),
            until: now + times.resumption,
        })
    }

    /// The peer wants to be counted (XEP-0198 §3).
    fn enable_asked(&mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        if self.pairs.is_empty() {
            turn.management_failed(Condition::UnexpectedRequest, None);
            return Ok(());
        }
        if !matches!(self.management, Management::Untouched) {
            // XEP-0198 §3: at most one attempt, and a second one ends the stream.
            turn.management_failed(Condition::UnexpectedRequest, None);
            return Err(Stop::error(
                StreamCondition::PolicyViolation,
                "Stream management is enabled already.",
            ));
        }
        let time = turn.settings().times.resumption;
        let resumable = is_true(element, "resume") && time.as_secs() > 0;
        let id = resumable.then(|| turn.context.token());
        write_enabled(&mut turn.out.bytes, id.as_deref().map(|id| (id, time)));
        self.begin(id, turn);
        Ok(())
    }

    /// Counting begins in both directions.
    fn begin(&mut self, id: Option<String>, turn: &mut Turn<'_, '_>) {
        self.mailbox.enable_counting();
        turn.effect(Effect::Managed(id.clone()));
        self.management = Management::On(Counting {
            id,
            ..Counting::default()
        });
    }

    /// The peer wants to go on with a broken stream (XEP-0198 §5).
    fn resume_asked(&mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        let (stanzas, _) = self.mailbox.load();
        if self.pairs.is_empty() || stanzas > 0 || !matches!(self.management, Management::Untouched) {
            turn.management_failed(Condition::UnexpectedRequest, None);
            return Ok(());
        }
        let handled = count(element)?;
        let previous = element.attribute("previd").unwrap_or_default().into_owned();
        turn.effect(Effect::Resume(previous.clone()));
        self.management = Management::LookingUp(previous, handled);
        Ok(())
    }

    /// Takes what the world found.
    pub(crate) fn resumption(
        &mut self,
        found: Option<Suspended>,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), Stop> {
        let Management::LookingUp(previous, handled) = &self.management else {
            return Ok(());
        };
        let handled = *handled;
        let found = found.filter(|found| found.id == *previous && found.side == self.role.side());
        self.management = Management::Untouched;
        let Some(suspended) = found else {
            turn.management_failed(Condition::ItemNotFound, None);
            return Ok(());
        };
        if !self.carries(&suspended) {
            turn.management_failed(Condition::NotAuthorized, None);
            return Ok(());
        }
        suspended.mailbox.asked();
        self.management = Management::Answering(suspended, handled);
        self.settled(turn)
    }

    /// Goes on with a broken stream, whose peer has handled so much.
    fn go_on(&mut self, suspended: Suspended, handled: u32, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        if let Err(fault) = suspended.mailbox.resume(handled) {
            turn.effect(Effect::NotResumed(suspended.id));
            return Err(Stop::Error(fault.into()));
        }
        self.mailbox = suspended.mailbox;
        turn.effect(Effect::Resumed(suspended.id.clone()));
        self.management = Management::On(Counting {
            id: Some(suspended.id),
            ..Counting::default()
        });
        Ok(())
    }

    /// The peer counts.
    fn enabled(&mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        if !matches!(self.management, Management::Enabling) {
            return Err(unexpected(element, turn));
        }
        let id = element.attribute("id").filter(|_| is_true(element, "resume"));
        self.begin(id.map(|id| id.into_owned()), turn);
        self.announce(turn);
        Ok(())
    }

    /// The peer goes on with the broken stream.
    fn resumed(&mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        match std::mem::replace(&mut self.management, Management::Refused) {
            Management::Resuming(suspended) => {
                if element.attribute("previd").as_deref() != Some(&suspended.id) {
                    turn.effect(Effect::NotResumed(suspended.id));
                    return Err(unexpected(element, turn));
                }
                let handled = count(element)?;
                self.go_on(suspended, handled, turn)?;
                self.announce(turn);
                Ok(())
            }
            Management::Untouched
            | Management::Enabling
            | Management::Settling(_)
            | Management::LookingUp(..)
            | Management::Answering(..)
            | Management::On(_)
            | Management::Refused => Err(unexpected(element, turn)),
        }
    }

    /// The peer does not count, or not go on.
    fn failed(&mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        match std::mem::replace(&mut self.management, Management::Refused) {
            Management::Resuming(suspended) => {
                // XEP-0198 §5: it may still know what it had handled. A number that cannot be tells nothing.
                if let Ok(handled) = count(element) {
                    drop(suspended.mailbox.acknowledge(handled));
                }
                turn.effect(Effect::NotResumed(suspended.id));
                self.enable(turn);
                Ok(())
            }
            Management::Enabling => {
                self.announce(turn);
                Ok(())
            }
            // An answer to a stray <r/> or <a/> of ours.
            Management::On(counting) => {
                self.management = Management::On(counting);
                Ok(())
            }
            // It was not asked yet.
            waiting @ (Management::Settling(_) | Management::LookingUp(..) | Management::Answering(..)) => {
                self.management = waiting;
                Ok(())
            }
            Management::Untouched | Management::Refused => Ok(()),
        }
    }
}

/// XML Schema Part 2 §3.2.2.1
fn is_true(element: &Element, name: &str) -> bool {
    matches!(element.attribute(name).as_deref(), Some("true" | "1"))
}

fn count(element: &Element) -> Result<u32, Stop> {
    let handled = element.attribute("h").and_then(|h| h.parse().ok());
    handled.ok_or_else(|| {
        Stop::error(
            StreamCondition::InvalidXml,
            "Stream management needs a number as its 'h'.",
        )
    })
}
