//! Binding a resource (RFC 6120 §7), or going on with an earlier session instead (XEP-0198 §5).

use std::sync::Arc;

use stanza::namespace::{BIND, STREAM_MANAGEMENT};
use stanza::{Address, Condition, IqType, Kind, Stanza, StanzaError, StreamCondition};
use stream_management::{Loan, Mailbox, NotResumed, Resumption, Signal, write_resumed};
use xml::{Element, escape_text};

use crate::Effect;
use crate::bound::Bound;
use crate::phase::{Phase, Stop, Turn, is_stanza};

/// Refused requests on one stream; then it ends with `policy-violation` (RFC 6120 §7.7.3 wants five to ten).
const REFUSALS_MAX: usize = 5;

/// A client that has logged in and has no resource yet.
pub(crate) struct Bind {
    account: Address,
    lang: Option<Arc<str>>,
    refusals: usize,
    request: Option<Request>,
}

/// A request that the account has not answered yet.
struct Request {
    /// Of the IQ, or of the session that is to be resumed.
    id: String,
    kind: Asked,
    mailbox: Loan,
}

/// What the account was asked for.
enum Asked {
    Resource,
    Resumption,
    /// Nothing more: the session at this address goes on here as soon as the fate of all that its client had sent is
    /// decided. A smaller count would not do: a client need not send again what it does not cover (XEP-0198 §5), and
    /// what it sent then could not be told from what it sends again.
    Settlement(Address),
}

impl Bind {
    pub(crate) fn new(account: Address, lang: Option<Arc<str>>) -> Bind {
        Bind {
            account,
            lang,
            refusals: 0,
            request: None,
        }
    }

    /// The account that logged in.
    pub(crate) fn account(&self) -> &Address {
        &self.account
    }

    /// The mailbox that was offered to the account.
    pub(crate) fn mailbox(&self) -> Option<&Loan> {
        self.request.as_ref().map(|request| &request.mailbox)
    }

    /// Whether the account has been asked.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.request.is_some()
    }

    pub(crate) fn element(
        mut self: Box<Self>,
        element: &Element,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Phase, Stop> {
        if element.is(STREAM_MANAGEMENT, "resume") {
            self.resume(element, turn)?;
            return Ok(Phase::Bind(self));
        }
        let Some(id) = self.bind_request(element) else {
            turn.premature(element)?;
            return Ok(Phase::Bind(self));
        };
        match self.wanted_resource(element) {
            Ok(resource) => {
                let mailbox = Mailbox::new(turn.context.settings.limits.mailbox);
                let account = self.account.clone();
                let loan = mailbox.lend();
                turn.effect(Effect::Bind {
                    account,
                    resource,
                    mailbox,
                });
                self.request = Some(Request {
                    id,
                    kind: Asked::Resource,
                    mailbox: loan,
                });
            }
            Err(condition) => self.refuse(&id, condition.into(), turn)?,
        }
        Ok(Phase::Bind(self))
    }

    /// Takes the account's answer.
    pub(crate) fn signal(
        mut self: Box<Self>,
        signal: Signal,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Phase, Stop> {
        let Some(request) = self.request.take() else {
            return Ok(Phase::Bind(self));
        };
        match (signal, &request.kind) {
            (Signal::Resumed(resumption), Asked::Resumption) => Ok(self.go_on(request.id, *resumption, turn)),
            (Signal::NotResumed(why), Asked::Resumption) => {
                self.not_resumed(why, turn)?;
                Ok(Phase::Bind(self))
            }
            (Signal::AckDue, Asked::Settlement(address)) => {
                let address = address.clone();
                Ok(self.resumed(&request.id, address, request.mailbox, turn))
            }
            (Signal::Bound(address), Asked::Resource) => {
                let mut payload = format!("<bind xmlns='{BIND}'><jid>").into_bytes();
                escape_text(&mut payload, address.as_str());
                payload.extend_from_slice(b"</jid></bind>");
                answer(&request.id, IqType::Result, &payload, turn);
                Ok(Phase::Bound(Box::new(Bound::new(
                    address,
                    self.lang,
                    request.mailbox,
                ))))
            }
            (Signal::NotBound(error), Asked::Resource) => {
                self.refuse(&request.id, error, turn)?;
                Ok(Phase::Bind(self))
            }
            (Signal::Close(error), _) => Err(Stop::Error(error)),
            (Signal::Suspend, _) => Err(StreamCondition::SystemShutdown.into()),
            // Said by mistake to somebody who asked for something else, who still waits for that.
            (
                Signal::Bound(_)
                | Signal::NotBound(_)
                | Signal::Resumed(_)
                | Signal::NotResumed(_)
                | Signal::AckDue,
                _,
            ) => {
                self.request = Some(request);
                Ok(Phase::Bind(self))
            }
        }
    }

    /// The client wants to go on with an earlier session (XEP-0198 §5).
    fn resume(&mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        let handled = element.attribute("h").and_then(|h| h.parse().ok());
        let previous = element.attribute("previd").map(|id| id.into_owned());
        let (Some(handled), Some(id)) = (handled, previous) else {
            turn.management_failed(Condition::BadRequest, None);
            return self.count_refusal();
        };
        let mailbox = Mailbox::new(turn.context.settings.limits.mailbox);
        self.request = Some(Request {
            id: id.clone(),
            kind: Asked::Resumption,
            mailbox: mailbox.lend(),
        });
        turn.effect(Effect::Resume {
            account: self.account.clone(),
            id,
            handled,
            mailbox,
        });
        Ok(())
    }

    /// The session is here now. Its client hears of it when the count that it is told covers all that was received, which
    /// takes no longer than keeping it does.
    fn go_on(mut self: Box<Self>, id: String, resumption: Resumption, turn: &mut Turn<'_, '_>) -> Phase {
        let Resumption { address, loan } = resumption;
        turn.effect(Effect::Resumed(Arc::clone(loan.mailbox())));
        loan.asked();
        if loan.open_receipts() == 0 {
            return self.resumed(&id, address, loan, turn);
        }
        self.request = Some(Request {
            id,
            kind: Asked::Settlement(address),
            mailbox: loan,
        });
        Phase::Bind(self)
    }

    /// The session goes on here. What the client has not handled follows from its mailbox.
    fn resumed(self, id: &str, address: Address, loan: Loan, turn: &mut Turn<'_, '_>) -> Phase {
        let handled = loan.handled();
        write_resumed(&mut turn.out.bytes, id, handled);
        Phase::Bound(Box::new(Bound::resumed(address, self.lang, loan)))
    }

    /// The client may bind a resource now, or try another session.
    fn not_resumed(&mut self, why: NotResumed, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        match why {
            NotResumed::Unknown(handled) => {
                turn.management_failed(Condition::ItemNotFound, handled);
                self.count_refusal()
            }
            NotResumed::TooHigh(fault) => Err(Stop::Error(fault.into())),
        }
    }

    /// The `id` of a request to bind that is for this server.
    fn bind_request(&self, element: &Element) -> Option<String> {
        let is_request = is_stanza(element)
            && Kind::of(element) == Ok(Kind::Iq(IqType::Set))
            && element.child(BIND, "bind").is_some();
        let to = element.attribute("to");
        let is_ours = to.is_none_or(|to| to == self.account.domainpart() || to == self.account.as_str());
        if is_request && is_ours {
            element.attribute("id").map(|id| id.into_owned())
        } else {
            None
        }
    }

    /// RFC 6120 §7.6, §7.7: `None` lets the server choose, and so does a resource of no length.
    fn wanted_resource(&self, element: &Element) -> Result<Option<String>, Condition> {
        let resource = element.child(BIND, "bind").and_then(|bind| {
            let bind = bind.to_tree();
            bind.find(BIND, "resource")
                .map(|resource| resource.content().into_owned())
        });
        let Some(resource) = resource.filter(|resource| !resource.is_empty()) else {
            return Ok(None);
        };
        // RFC 6120 §7.7.2.1
        let address = self
            .account
            .with_resource(&resource)
            .map_err(|_| Condition::BadRequest)?;
        Ok(address.resourcepart().map(str::to_owned))
    }

    fn refuse(&mut self, id: &str, error: StanzaError, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        let mut payload = Vec::new();
        error.write(&mut payload);
        answer(id, IqType::Error, &payload, turn);
        self.count_refusal()
    }

    fn count_refusal(&mut self) -> Result<(), Stop> {
        self.refusals += 1;
        if self.refusals >= REFUSALS_MAX {
            return Err(Stop::error(
                StreamCondition::PolicyViolation,
                "Too many attempts to bind a resource.",
            ));
        }
        Ok(())
    }
}

/// Answers before there is a mailbox, and so before anything is counted.
fn answer(id: &str, kind: IqType, payload: &[u8], turn: &mut Turn<'_, '_>) {
    turn.say(Stanza::build(Kind::Iq(kind), None, None, Some(id), payload));
}
