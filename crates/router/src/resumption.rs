//! Sessions that go on with another connection (XEP-0198 §5), as the router sees them: who may ask, what is known of
//! those that are over, how many there were, and what becomes of them while the server is not there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use account::{AdminRequest, Input, KeptSession, PauseCause, PauseEnd, Redelivered};
use machine::{Distribution, Observed};
use parking_lot::Mutex;
use stanza::Address;
use stream_management::{Mailbox, NotResumed, Signal};
use turns::{Gone, Priority, Worker};

use crate::router::Router;
use crate::sessions::SessionHandle;

/// Sessions that are over, and of which is known what was handled of what their clients sent. The oldest is forgotten
/// first; its client then sends once more what it does not know of.
const FORMER_MAX: usize = 4_096;

/// Upper bounds of the buckets in which pauses are counted, in seconds.
const PAUSE_SECONDS: [f64; 9] = [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3600.0];

/// What became of a wish to resume; a label of `xmpp_sm_resume_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeResult {
    /// The session goes on.
    Ok,
    /// There was such a session, and it is over.
    Expired,
    /// There is and was none of this account.
    Unknown,
    /// It was a session of another account.
    Auth,
}

/// What is known of sessions that went on or did not.
pub struct Resumptions {
    former: Mutex<Former>,
    results: [AtomicU64; 4],
    redelivered: [AtomicU64; 3],
    pauses: [Distribution<{ PAUSE_SECONDS.len() }>; 3],
}

impl Default for Resumptions {
    fn default() -> Self {
        Resumptions {
            former: Mutex::default(),
            results: Default::default(),
            redelivered: Default::default(),
            pauses: std::array::from_fn(|_| Distribution::of_times(&PAUSE_SECONDS)),
        }
    }
}

/// Sessions that are over, by the names under which they could be resumed.
#[derive(Default)]
struct Former {
    by_id: BTreeMap<String, (Address, Arc<Mailbox>)>,
    /// The oldest first.
    ids: VecDeque<String>,
}

impl Resumptions {
    /// Wishes that ended so.
    pub fn results(&self, result: ResumeResult) -> u64 {
        self.results
            .get(result as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Stanzas that went there because their client had not acknowledged them.
    pub fn redelivered(&self, whereto: Redelivered) -> u64 {
        self.redelivered
            .get(whereto as usize)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// How long pauses lasted that ended so.
    pub fn pauses(&self, end: PauseEnd) -> Option<Observed> {
        self.pauses.get(end as usize).map(Distribution::observed)
    }

    pub(crate) fn pause_ended(&self, end: PauseEnd, lasted: Duration) {
        if let Some(times) = self.pauses.get(end as usize) {
            times.took(lasted);
        }
    }

    pub(crate) fn sent_again(&self, whereto: Redelivered, stanzas: usize) {
        if let Some(count) = self.redelivered.get(whereto as usize) {
            count.fetch_add(stanzas as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn note(&self, result: ResumeResult) {
        if let Some(count) = self.results.get(result as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A session that could be resumed is over.
    pub(crate) fn remember(&self, account: Address, id: String, mailbox: Arc<Mailbox>) {
        let mut former = self.former.lock();
        if former.ids.len() >= FORMER_MAX
            && let Some(oldest) = former.ids.pop_front()
        {
            former.by_id.remove(&oldest);
        }
        former.ids.push_back(id.clone());
        former.by_id.insert(id, (account, mailbox));
    }

    /// What to tell a client of this account that asks for a session which is not there.
    pub(crate) fn not_here(&self, account: &Address, id: &str) -> NotResumed {
        let former = self.former.lock().by_id.get(id).cloned();
        let (result, handled) = match former {
            Some((owner, mailbox)) if owner == *account => (ResumeResult::Expired, Some(mailbox.handled())),
            Some(_) => (ResumeResult::Auth, None),
            None => (ResumeResult::Unknown, None),
        };
        self.note(result);
        NotResumed::Unknown(handled)
    }
}

impl Router {
    /// What is known of resumed sessions.
    pub fn resumptions(&self) -> &Resumptions {
        &self.resumptions
    }

    /// The client was promised that it can resume its session under this name, for so long.
    pub fn resumable(&self, handle: &SessionHandle, id: String, time: Duration, worker: &mut Worker) {
        let input = Input::Resumable {
            session: handle.session,
            id,
            time,
        };
        // If the account is lost, so is the session, and its mailbox says so.
        drop(handle.slot.deliver(input, Priority::Control, worker));
    }

    /// The client of a session has said that it will be silent for a while (XEP-0124 §10). Its connection remains, and
    /// keeps the time.
    pub fn paused(&self, handle: &SessionHandle, worker: &mut Worker) {
        let input = Input::Paused {
            session: handle.session,
            cause: PauseCause::Asked,
        };
        // If the account is lost, so is the session, and its mailbox says so.
        drop(handle.slot.deliver(input, Priority::Control, worker));
    }

    /// That client is back.
    pub fn continued(&self, handle: &SessionHandle, worker: &mut Worker) {
        let input = Input::Continued(handle.session);
        drop(handle.slot.deliver(input, Priority::Control, worker));
    }

    /// Asks an account to go on with one of its sessions; `mailbox` gets the answer. The session has the handle that
    /// this gives, once [`SessionHandle::takes`] its own mailbox.
    pub fn resume(
        self: &Arc<Self>,
        account: &Address,
        id: &str,
        handled: u32,
        mailbox: Arc<Mailbox>,
        worker: &mut Worker,
    ) -> SessionHandle {
        let session = self.next_session_id();
        loop {
            let slot = self.account_slot(account, worker);
            let input = Input::Resume {
                session,
                id: id.to_owned(),
                handled,
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

    /// The server is about to stop for a while: sessions that can be resumed lose their connections, the others end.
    pub fn suspend_all(self: &Arc<Self>) {
        let accounts = self.addresses_in_memory();
        self.work(|worker| {
            for account in accounts {
                let request = Input::Admin(AdminRequest::Suspend);
                self.deliver(&account, request, Priority::Control, worker);
            }
        });
    }

    /// Gives durable copies to what the sessions of one account have not acknowledged. What is on its way to them when
    /// this is asked has arrived when the answer comes, so that asking all accounts twice leaves nothing out.
    pub fn settle(self: &Arc<Self>, account: &Address, answer: Box<dyn FnOnce() + Send>) {
        let request = Input::Admin(AdminRequest::Settle(answer));
        self.work(|worker| self.deliver(account, request, Priority::Control, worker));
    }

    /// Takes the paused sessions of one account away, to be kept while the server is not there. What is in the store is
    /// durable when the answer comes.
    pub fn keep(self: &Arc<Self>, account: &Address, answer: Box<dyn FnOnce(Vec<KeptSession>) + Send>) {
        let request = Input::Admin(AdminRequest::Keep(answer));
        self.work(|worker| self.deliver(account, request, Priority::Control, worker));
    }

    /// Sessions that were kept wait again for their clients.
    pub fn restore(self: &Arc<Self>, sessions: Vec<KeptSession>) {
        let mut by_account: BTreeMap<Address, Vec<KeptSession>> = BTreeMap::new();
        for session in sessions {
            by_account
                .entry(session.address.to_bare())
                .or_default()
                .push(session);
        }
        self.work(|worker| {
            for (account, sessions) in by_account {
                let named = sessions
                    .into_iter()
                    .map(|session| (self.next_session_id(), session));
                let request = Input::Admin(AdminRequest::Restore(named.collect()));
                self.deliver(&account, request, Priority::Control, worker);
            }
        });
    }
}

/// The answer to a wish that cannot be judged: the account is not there now.
pub(crate) fn refuse(mailbox: &Mailbox) {
    mailbox.signal(Signal::NotResumed(NotResumed::Unknown(None)));
}

#[cfg(test)]
mod tests {
    use stream_management::Limits;

    use super::*;

    #[test]
    fn of_sessions_that_are_over_only_the_last_are_known() {
        let resumptions = Resumptions::default();
        let limits = Limits { stanzas: 1, bytes: 1 };
        let romeo = Address::parse("romeo@montague.lit").unwrap();
        for number in 0..FORMER_MAX + 2 {
            let mailbox = Mailbox::new(limits);
            resumptions.remember(romeo.clone(), number.to_string(), mailbox);
        }
        let knows = |number: usize| {
            let answer = resumptions.not_here(&romeo, &number.to_string());
            matches!(answer, NotResumed::Unknown(Some(_)))
        };
        assert!(!knows(0) && !knows(1) && knows(2) && knows(FORMER_MAX + 1));
        let former = resumptions.former.lock();
        assert_eq!((former.ids.len(), former.by_id.len()), (FORMER_MAX, FORMER_MAX));
    }
}
