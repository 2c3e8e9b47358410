//! A bound client: its stanzas are judged, addressed and routed (RFC 6120 §8.1), and counted (XEP-0198).

use std::sync::Arc;
use std::time::Duration;

use stanza::namespace::{BIND, CLIENT, SESSION, STREAM_MANAGEMENT};
use stanza::{
    Address, Condition, IqType, Kind, Parcel, PresenceType, Stanza, StanzaError, StreamCondition, Unfit,
};
use stream_management::{
    Drained, Entry, Loan, Receipt, Signal, write_acknowledgement, write_enabled, write_request,
};
use xml::{Attribute, Element};

use crate::phase::{Stop, Turn, unexpected};
use crate::recipients::Recipients;
use crate::requests::{Request, Requests, Waiting};
use crate::{Effect, Output};

/// A client with a full address.
pub(crate) struct Bound {
    /// The full address.
    me: Address,
    /// The bare address.
    account: Address,
    /// The language of stanzas that name none (RFC 6120 §4.7.4).
    lang: Option<Arc<str>>,
    mailbox: Loan,
    recipients: Recipients,
    /// Present once stream management is enabled.
    requests: Option<Requests>,
    /// `<r/>` of the client that came behind stanzas and wait until those were performed.
    asked: usize,
    /// Answers to them that wait for stanzas which are to be written before.
    deferred: usize,
    /// IQ requests of the client that were not answered yet, as far as can be told by counting.
    unanswered: usize,
    /// Whether more waits in the mailbox than was drained last.
    more_waits: bool,
}

/// A client that has asked so much, and has not been given all that waits for it, is not read from until it has. A short
/// question may have a long answer; a mailbox that overflows by them would end the session of a client that reads well.
const UNANSWERED_MAX: usize = 64;

impl Bound {
    pub(crate) fn new(me: Address, lang: Option<Arc<str>>, mailbox: Loan) -> Bound {
        let account = me.to_bare();
        Bound {
            me,
            account,
            lang,
            mailbox,
            recipients: Recipients::default(),
            requests: None,
            asked: 0,
            deferred: 0,
            unanswered: 0,
            more_waits: false,
        }
    }

    /// A session that goes on (XEP-0198 §5).
    pub(crate) fn resumed(me: Address, lang: Option<Arc<str>>, loan: Loan) -> Bound {
        Bound {
            requests: Some(Requests::default()),
            ..Bound::new(me, lang, loan)
        }
    }

    pub(crate) fn address(&self) -> &Address {
        &self.me
    }

    pub(crate) fn mailbox(&self) -> &Loan {
        &self.mailbox
    }

    pub(crate) fn element(&mut self, element: Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        match element.namespace() {
            CLIENT => self.stanza(element, turn),
            STREAM_MANAGEMENT => self.management(&element, turn),
            _ => Err(unexpected(&element, turn)),
        }
    }

    pub(crate) fn signal(&mut self, signal: Signal, out: &mut Output) -> Result<(), Stop> {
        match signal {
            Signal::AckDue => {
                self.acknowledge(1, out);
                Ok(())
            }
            Signal::Close(error) => Err(Stop::Error(error)),
            Signal::Suspend if self.requests.is_some() => Err(Stop::Unfinished),
            Signal::Suspend => Err(StreamCondition::SystemShutdown.into()),
            // The answer to a request that was answered before.
            Signal::Bound(_) | Signal::NotBound(_) | Signal::Resumed(_) | Signal::NotResumed(_) => Ok(()),
        }
    }

    /// Stanzas were written; the client may have to be asked for them.
    pub(crate) fn drained(&mut self, drained: Drained, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        self.count_answers(drained.answers);
        self.more_waits = drained.more;
        self.acknowledge_behind(&drained, turn.out);
        let Some(requests) = &mut self.requests else {
            return Ok(());
        };
        let waiting = if drained.more {
            Waiting::Some
        } else {
            Waiting::None
        };
        if requests.sent(drained.stanzas, waiting) == Request::Now {
            write_request(&mut turn.out.bytes);
        } else if requests.is_open()
            && self.mailbox.unacknowledged() > turn.context.settings.limits.unacknowledged_stanzas
        {
            return Err(Stop::error(
                StreamCondition::ResourceConstraint,
                "Too many stanzas are not acknowledged.",
            ));
        }
        Ok(())
    }

    /// Answers to the client's requests were written.
    pub(crate) fn count_answers(&mut self, answers: usize) {
        self.unanswered = self.unanswered.saturating_sub(answers);
    }

    /// Whether the client asks faster than it can be answered.
    pub(crate) fn asks_too_fast(&self) -> bool {
        self.more_waits && self.unanswered >= UNANSWERED_MAX
    }

    /// Whether an `<r/>` waits until the stanzas before it were performed.
    pub(crate) fn owes_acknowledgement(&self) -> bool {
        self.asked > 0
    }

    /// Answers what was asked, now that the stanzas before it were performed: most are settled by that (XEP-0198 §4).
    pub(crate) fn performed(&mut self, out: &mut Output) {
        let asked = std::mem::take(&mut self.asked);
        if asked > 0 {
            self.mailbox.asked();
            self.acknowledge(asked, out);
        }
    }

    /// Answers so many requests: now, or behind what waits in the mailbox.
    fn acknowledge(&mut self, requests: usize, out: &mut Output) {
        match self.mailbox.tell_handled() {
            Some(handled) => self.write_acknowledgements(requests, handled, out),
            None => self.deferred += requests,
        }
    }

    /// The stanzas that an answer waited for are written.
    pub(crate) fn acknowledge_behind(&mut self, drained: &Drained, out: &mut Output) {
        if let Some(handled) = drained.handled {
            let requests = std::mem::take(&mut self.deferred).max(1);
            self.write_acknowledgements(requests, handled, out);
        }
    }

    fn write_acknowledgements(&self, requests: usize, handled: u32, out: &mut Output) {
        for _ in 0..requests {
            write_acknowledgement(&mut out.bytes, handled);
        }
    }

    /// Whether the client waits for the answer to a request, or to learn that a stanza was handled.
    pub(crate) fn is_owed_answers(&self) -> bool {
        self.unanswered > 0 || (self.requests.is_some() && self.mailbox.open_receipts() > 0)
    }

    /// Lets the mailbox call when all that was counted is settled.
    pub(crate) fn ask_for_settlement(&self) {
        if self.requests.is_some() {
            self.mailbox.asked();
        }
    }

    /// The last words before the stream is closed in order: what is settled need not be sent again (XEP-0198 §4). Where
    /// the client did not take what waits for it, nothing is said of what that may be about.
    pub(crate) fn write_last_acknowledgement(&self, out: &mut Output) {
        if self.requests.is_some()
            && let Some(handled) = self.mailbox.tell_handled()
        {
            write_acknowledgement(&mut out.bytes, handled);
        }
    }

    fn stanza(&mut self, element: Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        // One look at the attributes: this is what every stanza of every client passes.
        let (mut from, mut to) = (None, None);
        for attribute in element.attributes() {
            match attribute.name {
                "from" => from = Some(attribute),
                "to" => to = Some(attribute),
                _ => {}
            }
        }
        if let Some(from) = from
            && !self.is_mine(from)
        {
            // RFC 6120 §4.9.3.9
            return Err(Stop::error(
                StreamCondition::InvalidFrom,
                "The 'from' is not the address of this client.",
            ));
        }
        let judged = judge(&element);
        if judged == Err(Unfit::NotAStanza) {
            return Err(StreamCondition::UnsupportedStanzaType.into());
        }
        let receipt = match self.requests {
            Some(_) => match self.mailbox.count_received() {
                Some(receipt) => Some(receipt),
                // The session goes on elsewhere, and there this stanza comes once more.
                None => return Err(StreamCondition::Conflict.into()),
            },
            None => None,
        };
        let Ok(sort) = judged else {
            return self.refuse(&element, Condition::BadRequest, receipt, turn);
        };
        let to = match to {
            Some(to) => match self.recipients.prepare(to.raw_value, || to.value()) {
                Ok(to) => Some(to),
                // RFC 6120 §8.3.3.8
                Err(_) => return self.refuse(&element, Condition::JidMalformed, receipt, turn),
            },
            // RFC 6120 §10.3.1: as if it were addressed to the bare address of the sender.
            None if sort == Sort::Message => Some(self.account.clone()),
            None => None,
        };
        if sort == Sort::IqSet && self.is_for_server(to.as_ref()) {
            if element.child(SESSION, "session").is_some() {
                return self.confirm_session(&element, to.as_ref(), receipt, turn);
            }
            if element.child(BIND, "bind").is_some() {
                // RFC 6120 §7.6.2.2: one resource per stream.
                return self.refuse(&element, Condition::NotAllowed, receipt, turn);
            }
        }
        match Stanza::new(element, Some(self.me.clone()), to, self.lang.as_ref()) {
            Ok(stanza) => {
                self.unanswered += usize::from(stanza.kind().is_request());
                turn.effect(Effect::Route { stanza, receipt });
                Ok(())
            }
            Err(_) => Err(StreamCondition::UnsupportedStanzaType.into()),
        }
    }

    /// RFC 6120 §8.1.2.1: a client speaks only for itself, if it says at all for whom.
    fn is_mine(&self, from: Attribute<'_>) -> bool {
        if from.raw_value == self.me.as_str() || from.raw_value == self.account.as_str() {
            return true;
        }
        Address::parse(&from.value()).is_ok_and(|from| from == self.me || from == self.account)
    }

    fn is_for_server(&self, to: Option<&Address>) -> bool {
        to.is_none_or(|to| *to == self.account || to.as_str() == self.account.domainpart())
    }

    /// The session of RFC 3921 §3: old clients ask for it, and it is there since the resource was bound.
    fn confirm_session(
        &mut self,
        element: &Element,
        to: Option<&Address>,
        receipt: Option<Receipt>,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), Stop> {
        let id = element.attribute("id");
        let result = Stanza::build(Kind::Iq(IqType::Result), to, Some(&self.me), id.as_deref(), b"");
        self.answer(result, receipt, turn)
    }

    /// Answers a stanza that goes no further; one that must not be answered just ends here (RFC 6120 §8.3.1).
    fn refuse(
        &mut self,
        element: &Element,
        condition: Condition,
        receipt: Option<Receipt>,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), Stop> {
        let Some(kind) = refusal_kind(element) else {
            settle(receipt);
            return Ok(());
        };
        // RFC 6120 §8.3.1 rule 2: a malformed address is not repeated.
        let to = element.attribute("to").and_then(|to| Address::parse(&to).ok());
        let id = element.attribute("id");
        let mut payload = Vec::new();
        StanzaError::new(condition).write(&mut payload);
        let error = Stanza::build(kind, to.as_ref(), Some(&self.me), id.as_deref(), &payload);
        self.answer(error, receipt, turn)
    }

    /// Says an answer of our own. One that counts goes where all stanzas for this client go: it is counted there, and
    /// kept until the client has it.
    fn answer(
        &mut self,
        answer: Stanza,
        receipt: Option<Receipt>,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), Stop> {
        if self.requests.is_none() {
            Parcel::new(answer).emit(&mut turn.out.bytes, turn.wire.framing.target());
            return Ok(());
        }
        self.unanswered += usize::from(matches!(answer.kind(), Kind::Iq(_)));
        let entry = Entry {
            parcel: answer.into(),
            receipt: None,
            storable: false,
            stored: None,
            copies: None,
            pushed: turn.context.now,
        };
        let pushed = self.mailbox.push(entry);
        settle(receipt);
        match pushed {
            Ok(false) => Ok(()),
            Ok(true) | Err(_) => Err(Stop::error(
                StreamCondition::ResourceConstraint,
                "Too much waits for this client to read it.",
            )),
        }
    }

    /// Stream management (XEP-0198).
    fn management(&mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        match (element.name(), &mut self.requests) {
            ("enable", None) => {
                self.enable(element, turn);
                Ok(())
            }
            ("enable", Some(_)) => {
                // XEP-0198 §3: at most one attempt, and a second one ends the stream.
                turn.management_failed(Condition::UnexpectedRequest, None);
                Err(Stop::error(
                    StreamCondition::PolicyViolation,
                    "Stream management is enabled already.",
                ))
            }
            ("r", Some(_)) => {
                self.asked += 1;
                // Nothing came before it that is still to be performed.
                if turn.out.effects.is_empty() {
                    self.performed(turn.out);
                }
                Ok(())
            }
            ("a", Some(requests)) => acknowledged(element, &self.mailbox, requests, turn),
            ("r" | "a" | "resume", _) => {
                turn.management_failed(Condition::UnexpectedRequest, None);
                Ok(())
            }
            _ => Err(unexpected(element, turn)),
        }
    }

    /// Counting begins (XEP-0198 §3), and resumption is promised where it is wanted (§5).
    fn enable(&mut self, element: &Element, turn: &mut Turn<'_, '_>) {
        self.mailbox.enable_counting();
        self.requests = Some(Requests::default());
        let time = resumption_time(element, turn.context.settings.resume_timeout);
        let promise = time.map(|time| (turn.context.token(), time));
        let resumption = promise.as_ref().map(|(id, time)| (id.as_str(), *time));
        write_enabled(&mut turn.out.bytes, resumption);
        if let Some((id, time)) = promise {
            turn.effect(Effect::Resumable { id, time });
        }
    }
}

/// What matters here of the kind of a stanza.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Message,
    IqSet,
    Other,
}

/// Finds what cannot be routed before anything is done with it.
fn judge(element: &Element) -> Result<Sort, Unfit> {
    if element.name() == "message" {
        // RFC 6121 §5.2.2: every type of message means something, so there is nothing to look for.
        return Ok(Sort::Message);
    }
    Ok(match Kind::of(element)? {
        Kind::Message(_) => Sort::Message,
        Kind::Iq(IqType::Set) => Sort::IqSet,
        Kind::Iq(IqType::Get | IqType::Result | IqType::Error) | Kind::Presence(_) => Sort::Other,
    })
}

/// How long the session can be resumed: as long as the client prefers, and no longer than we want (XEP-0198 §3).
fn resumption_time(enable: &Element, longest: Duration) -> Option<Duration> {
    // XML Schema Part 2 §3.2.2.1
    let is_wanted = matches!(enable.attribute("resume").as_deref(), Some("true" | "1"));
    let preferred = enable.attribute("max").and_then(|max| max.parse().ok());
    let time = preferred.map_or(longest, |seconds| longest.min(Duration::from_secs(seconds)));
    (is_wanted && time.as_secs() > 0).then_some(time)
}

/// The client says what it has (XEP-0198 §4).
fn acknowledged(
    element: &Element,
    mailbox: &Loan,
    requests: &mut Requests,
    turn: &mut Turn<'_, '_>,
) -> Result<(), Stop> {
    let Some(h) = element.attribute("h").and_then(|h| h.parse::<u32>().ok()) else {
        return Err(Stop::error(
            StreamCondition::InvalidXml,
            "An <a/> needs a number as its 'h'.",
        ));
    };
    match mailbox.acknowledge(h) {
        Ok(released) => {
            if !released.stored.is_empty() {
                turn.effect(Effect::Released(released));
            }
            if requests.answered(mailbox.unacknowledged()) == Request::Now {
                write_request(&mut turn.out.bytes);
            }
            Ok(())
        }
        Err(fault) => Err(Stop::Error(fault.into())),
    }
}

/// The kind of error that answers an element; `None` where none may (RFC 6120 §8.2.3 rule 4, §8.3.1 rule 8). A type that
/// nobody knows does not keep from answering.
fn refusal_kind(element: &Element) -> Option<Kind> {
    match (element.name(), element.raw_attribute("type")) {
        (_, Some("error")) | ("iq", Some("result")) => None,
        ("iq", _) => Some(Kind::Iq(IqType::Error)),
        ("presence", _) => Some(Kind::Presence(PresenceType::Error)),
        _ => Some(Kind::Message(stanza::MessageType::Error)),
    }
}

/// A stanza that is answered here has met its fate.
fn settle(receipt: Option<Receipt>) {
    if let Some(receipt) = receipt {
        receipt.settle();
    }
}
