//! What a connection does with the router: bind, send, acknowledge, end.

use std::sync::Arc;

use account::{End, Input, SessionId};
use stanza::{Address, Stanza, StreamCondition, StreamError};
use stream_management::{Mailbox, Receipt, Released, Signal};
use turns::{Gone, Priority, Worker};

use crate::router::{AccountSlot, Router};
use crate::trace::Border;

/// One bound or binding session, as its connection holds it.
#[derive(Clone)]
pub struct SessionHandle {
    pub(crate) slot: Arc<AccountSlot>,
    pub(crate) session: SessionId,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl SessionHandle {
    /// It goes on with an earlier session, whose mailbox this is.
    pub fn takes(&mut self, mailbox: Arc<Mailbox>) {
        self.mailbox = mailbox;
    }

    /// Its name.
    pub fn id(&self) -> SessionId {
        self.session
    }
}

impl Router {
    /// Asks an account for a resource; the mailbox gets the answer.
    pub fn bind(
        self: &Arc<Self>,
        account: &Address,
        resource: Option<String>,
        mailbox: Arc<Mailbox>,
        worker: &mut Worker,
    ) -> SessionHandle {
        let session = self.next_session_id();
        loop {
            let slot = self.account_slot(account, worker);
            let input = Input::Bind {
                session,
                resource: resource.clone(),
                mailbox: Arc::clone(&mailbox),
            };
            match slot.deliver(input, Priority::Control, worker) {
                Ok(()) => {
                    return SessionHandle {
                        slot,
                        session,
                        mailbox,
                    };
                }
                Err(Gone(_)) => self.forget(&slot),
            }
        }
    }

    /// A stanza from a session.
    pub fn send(
        &self,
        handle: &SessionHandle,
        stanza: Stanza,
        receipt: Option<Receipt>,
        worker: &mut Worker,
    ) {
        let (kind, size) = (stanza.kind(), stanza.byte_len());
        let host = handle.slot.key().domainpart();
        self.counters
            .entered(host, kind, size, || self.surroundings.now());
        self.passes(Border::FromClient, &stanza);
        let input = Input::Outbound {
            session: handle.session,
            stanza,
            receipt,
        };
        if let Err(Gone(_)) = handle.slot.deliver(input, Priority::Stanza(size), worker) {
            // The account was lost, and with it the session; its promise stays open.
            handle.mailbox.signal(Signal::Close(StreamError::new(
                StreamCondition::InternalServerError,
            )));
        }
    }

    /// The client has stanzas that had durable copies.
    pub fn released(&self, handle: &SessionHandle, released: Released, worker: &mut Worker) {
        if !released.stored.is_empty() {
            drop(
                handle
                    .slot
                    .deliver(Input::Released(released), Priority::Control, worker),
            );
        }
    }

    /// The connection is gone.
    pub fn end(self: &Arc<Self>, handle: &SessionHandle, end: End, worker: &mut Worker) {
        let input = Input::Ended {
            session: handle.session,
            mailbox: Arc::clone(&handle.mailbox),
            end,
        };
        if handle.slot.deliver(input, Priority::Control, worker).is_err() {
            self.salvage(handle.slot.key(), &handle.mailbox, worker);
        }
    }

    /// The account is lost, and with it the session that this mailbox belonged to. What its client does not have is for
    /// the account as it is loaded anew; what has a row is there already.
    pub(crate) fn salvage(self: &Arc<Self>, account: &Address, mailbox: &Mailbox, worker: &mut Worker) {
        for entry in mailbox.close() {
            if entry.stored.is_none() {
                let input = Input::Undelivered(Box::new(entry));
                self.deliver(account, input, Priority::Control, worker);
            }
        }
    }
}
