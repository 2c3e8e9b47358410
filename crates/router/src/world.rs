//! The router as the world of accounts: commits, effects, refusals.

use std::sync::{Arc, Weak};

use account::{Account, Change, Effect, Input, Key, Loaded, Suppression, Unavailable};
use machine::{Context, Random};
use stanza::{Condition, ErrorKind, IqType, Kind, Parcel, Stanza, StanzaError};
use stream_management::{Copies, Entry, Receipt, Released, Signal};
use turns::{CommitFailed, CommitId, Death, Limits, Priority, Refusal, Worker, World};

use crate::counters::Counter;
use crate::resumption;
use crate::router::{AccountSlot, Router, settle};
use crate::surroundings::{Alarm, Surroundings};
use crate::trace::Border;

impl World<Account> for Router {
    type Key = stanza::Address;

    fn limits(&self) -> Limits {
        self.settings.load().limits
    }

    fn with_context<R>(&self, decide: impl FnOnce(&mut Context<'_, account::Settings>) -> R) -> R {
        let settings = self.settings.load();
        let mut dice = Dice(&*self.surroundings);
        let (now, wall) = self.surroundings.times();
        decide(&mut Context {
            now,
            wall,
            random: &mut dice,
            settings: &settings.account,
        })
    }

    fn commit(&self, slot: &Arc<AccountSlot>, id: CommitId, changes: Vec<Change>, _worker: &mut Worker) {
        let slot = Arc::clone(slot);
        self.store.commit_account(
            slot.key().clone(),
            changes,
            Box::new(move |outcome| {
                let router = Arc::clone(slot.world());
                router.work(|worker| slot.committed(id, outcome.map_err(|_| CommitFailed), worker));
            }),
        );
    }

    fn perform(&self, slot: &Arc<AccountSlot>, effect: Effect, worker: &mut Worker) {
        let router = slot.world();
        match effect {
            Effect::Route { parcel, receipt } => router.route(parcel.into_parcel(), receipt, worker),
            Effect::Push {
                session,
                mailbox,
                entry,
            } => {
                let stanza = entry.parcel.stanza();
                let (host, size) = (slot.key().domainpart(), entry.parcel.byte_len());
                self.counters
                    .arrived(host, stanza.kind(), size, || self.surroundings.now());
                router.passes(Border::ToClient, &entry.parcel);
                if presence::is_annotated(&entry.parcel) {
                    // PSA-45.
                    let coalesced = mailbox.withdraw(|older| presence::renews(&entry.parcel, &older.parcel));
                    self.presence_figures
                        .suppressed(Suppression::Coalesced, coalesced);
                }
                match mailbox.push(entry) {
                    Ok(false) => {}
                    Ok(true) => tell(slot, Input::Overflowed(session), worker),
                    Err(refused) => tell(slot, Input::Undelivered(refused.into_entry()), worker),
                }
            }
            Effect::Signal { mailbox, signal } => mailbox.signal(signal),
            Effect::Settle(receipt) => receipt.settle(),
            Effect::Kept { receipt, .. } => settle(receipt),
            Effect::MarkStored { mailbox, rows } => {
                let superfluous = mailbox.mark_stored(&rows);
                if !superfluous.is_empty() {
                    tell(slot, Input::Released(Released { stored: superfluous }), worker);
                }
            }
            Effect::WakeAt(key, at) => {
                self.surroundings.call_at(
                    at,
                    Arc::new(Wake {
                        slot: Arc::downgrade(slot),
                        key,
                    }),
                );
            }
            Effect::LoadWaiting => {
                let asked = Arc::clone(slot);
                self.store.load_waiting(
                    slot.key().clone(),
                    Box::new(move |rows| later(&asked, Input::Waiting(rows.map_err(|_| Unavailable)))),
                );
            }
            Effect::Load { ticket, record } => {
                let asked = Arc::clone(slot);
                let done = move |outcome: Result<_, crate::StoreError>| {
                    let outcome = outcome.map_err(|_| features::Setback::Unavailable);
                    later(&asked, Input::Loaded(Loaded { ticket, outcome }));
                };
                self.store.load_record(slot.key().clone(), record, Box::new(done));
            }
            Effect::Act { ticket, action } => {
                let asked = Arc::clone(slot);
                let done = move |outcome: Result<(), features::Setback>| {
                    later(
                        &asked,
                        Input::Loaded(Loaded {
                            ticket,
                            outcome: outcome.map(|()| None),
                        }),
                    );
                };
                router.act(action, Box::new(done));
            }
            Effect::Learn(hash, wants) => self.learn(slot.key(), &hash, wants),
            Effect::Former { id, mailbox } => self.resumptions.remember(slot.key().clone(), id, mailbox),
            Effect::NotHere { id, mailbox } => {
                let answer = self.resumptions.not_here(slot.key(), &id);
                mailbox.signal(Signal::NotResumed(answer));
            }
            Effect::Count(tally) => self.tally(slot.key(), tally),
            Effect::Dropped(reason) => self.counters.add(Counter::Dropped(reason), 1),
            Effect::Answer(answer) => answer.give(),
            Effect::Watch(domain) => router.watch(slot.key(), &domain, worker),
            Effect::Unwatch(domain) => router.unwatch(slot.key(), &domain, worker),
        }
    }

    /// What would have followed a commit that failed is taken back: whoever waits for it may try again.
    fn abandon(&self, slot: &Arc<AccountSlot>, effect: Effect, worker: &mut Worker) {
        let router = slot.world();
        let error = StanzaError::new(Condition::InternalServerError).kind(ErrorKind::Wait);
        match effect {
            Effect::Route { parcel, receipt } => {
                let parcel = parcel.into_parcel();
                if parcel.stanza().kind() == Kind::Iq(IqType::Result) {
                    let answer = not_kept(&parcel, &error);
                    router.route(Parcel::new(answer), None, worker);
                } else if parcel.stanza().kind().is_error() {
                    // It says that something did not happen, which is as true as before. The receipt is of whoever
                    // hears it.
                    router.route(parcel, receipt, worker);
                } else if receipt.is_none() {
                    bounce_talk(router, &parcel, error, None, worker);
                }
                // Otherwise a receipt is of a session that is lost with the machine. It stays open: the client sends
                // again what is not acknowledged, and would not see an error.
            }
            Effect::Push { mailbox, entry, .. }
                if entry.parcel.stanza().kind() == Kind::Iq(IqType::Result)
                    && entry.parcel.from() == Some(slot.key()) =>
            {
                // To a client of the account itself, before its stream ends.
                let answer = not_kept(&entry.parcel, &error);
                self.counters
                    .add(Counter::Errors(answer.kind(), error.condition), 1);
                let entry = Entry {
                    parcel: Parcel::new(answer),
                    ..entry
                };
                // Where nobody reads any more nobody is told.
                drop(mailbox.push(entry));
            }
            Effect::Push { entry, .. } => {
                if speaks_for_itself(&entry) {
                    bounce_talk(router, &entry.parcel, error, entry.receipt, worker);
                } else {
                    settle(entry.receipt);
                }
            }
            Effect::Kept { parcel, receipt } => router.bounce(parcel.parcel(), error, receipt, worker),
            Effect::Settle(receipt) => receipt.settle(),
            Effect::Answer(answer) => answer.give(),
            // The account that is loaded anew holds no presence that it could watch over.
            Effect::Watch(domain) | Effect::Unwatch(domain) => router.unwatch(slot.key(), &domain, worker),
            Effect::NotHere { mailbox, .. } => resumption::refuse(&mailbox),
            Effect::Signal { mailbox, signal } => match signal {
                // That session is lost. Whoever asked for it waits for an answer.
                Signal::Resumed(_) => resumption::refuse(&mailbox),
                // As true as before, and awaited.
                Signal::NotResumed(_) | Signal::NotBound(_) => mailbox.signal(signal),
                // To sessions, which hear that they are over.
                Signal::Bound(_) | Signal::Close(_) | Signal::AckDue | Signal::Suspend => {}
            },
            // These concerned only the machine that is gone.
            Effect::Former { .. }
            | Effect::Count(_)
            | Effect::MarkStored { .. }
            | Effect::WakeAt(..)
            | Effect::LoadWaiting
            | Effect::Load { .. }
            | Effect::Act { .. }
            | Effect::Learn(..)
            | Effect::Dropped(_) => {}
        }
    }

    fn refuse(&self, slot: &Arc<AccountSlot>, input: Input, why: Refusal, worker: &mut Worker) {
        let error = match why {
            Refusal::Full => {
                StanzaError::new(Condition::ResourceConstraint).text("too much is waiting for this account")
            }
            Refusal::NotLoaded(_) | Refusal::Died(_) => {
                StanzaError::new(Condition::InternalServerError).kind(ErrorKind::Wait)
            }
        };
        match input {
            Input::Inbound { parcel, receipt } => slot.world().bounce(&parcel, error, receipt, worker),
            Input::Outbound { stanza, receipt, .. } => {
                // From nobody's point of view did it enter: its own server answers.
                if why == Refusal::Full {
                    if let Some(answer) = stanza.error_between(Some(slot.key()), stanza.from(), error, b"") {
                        slot.world().route(Parcel::new(answer), None, worker);
                    }
                    settle(receipt);
                }
                // Otherwise the session is gone with its account: nobody is there to be told, and nothing is acknowledged.
            }
            Input::Bind { mailbox, .. } => mailbox.signal(Signal::NotBound(error)),
            Input::Resume { mailbox, .. } => resumption::refuse(&mailbox),
            Input::Undelivered(entry) => {
                if speaks_for_itself(&entry) {
                    slot.world().bounce(&entry.parcel, error, entry.receipt, worker);
                } else {
                    settle(entry.receipt);
                }
            }
            Input::Ended { mailbox, .. } => slot.world().salvage(slot.key(), &mailbox, worker),
            // Rows that could not be deleted are delivered again; the rest concerned a machine that is gone.
            Input::Released(_)
            | Input::Resumable { .. }
            | Input::Paused { .. }
            | Input::Continued(_)
            | Input::Overflowed(_)
            | Input::Waiting(_)
            | Input::Loaded(_)
            | Input::Wake(_)
            | Input::Path { .. }
            | Input::Admin(_) => {}
        }
    }

    /// Messages that the account had kept back go back to their senders, as those in its inbox do. What clients do
    /// not have for whose sessions no connection speaks is for the account as it is loaded anew.
    fn bury(&self, slot: &Arc<AccountSlot>, mut account: Box<Account>, worker: &mut Worker) {
        for (session, mailbox) in account.take_orphans() {
            // As if its connection said it: refused when all commits are answered, and salvaged then.
            let end = account::End::Lost;
            tell(
                slot,
                Input::Ended {
                    session,
                    mailbox,
                    end,
                },
                worker,
            );
        }
        for (parcel, receipt) in account.take_held() {
            let error = StanzaError::new(Condition::InternalServerError).kind(ErrorKind::Wait);
            slot.world().bounce(&parcel, error, receipt, worker);
        }
    }

    fn died(&self, slot: &Arc<AccountSlot>, _why: Death, _worker: &mut Worker) {
        // Its streams were ended when it was dropped.
        self.forget(slot);
    }

    fn idle(&self, slot: &Arc<AccountSlot>, _worker: &mut Worker) {
        self.rests(slot);
    }
}

/// Whether the sender learns from this copy that its stanza did not arrive, so that there is one error for one stanza. Of
/// several copies the last one speaks for all. One with a row never does: the row is in the store and will be delivered,
/// or it was lost with the same commit, and then [`Effect::Kept`] speaks for it.
fn speaks_for_itself(entry: &Entry) -> bool {
    let others_suffice = |copies: &Copies| copies.others_suffice();
    entry.stored.is_none() && !entry.copies.as_ref().is_some_and(others_suffice)
}

/// In the place of a result that would have said that something is kept: who has asked may try again.
fn not_kept(result: &Parcel, error: &StanzaError) -> Stanza {
    let mut payload = Vec::new();
    error.write(&mut payload);
    let (from, to) = (result.from(), result.to());
    let id = result.stanza().id();
    Stanza::build(Kind::Iq(IqType::Error), from, to, id.as_deref(), &payload)
}

/// Messages and requests go back to their sender; presence is told anew when the account is back.
fn bounce_talk(
    router: &Arc<Router>,
    parcel: &Parcel,
    error: StanzaError,
    receipt: Option<Receipt>,
    worker: &mut Worker,
) {
    match parcel.stanza().kind() {
        Kind::Message(_) | Kind::Iq(_) => router.bounce(parcel, error, receipt, worker),
        Kind::Presence(_) => settle(receipt),
    }
}

/// Puts a control input into a living slot. One that is gone needs no news.
fn tell(slot: &Arc<AccountSlot>, input: Input, worker: &mut Worker) {
    drop(slot.deliver(input, Priority::Control, worker));
}

/// The same from a thread of the store.
fn later(slot: &Arc<AccountSlot>, input: Input) {
    let router = Arc::clone(slot.world());
    router.work(|worker| tell(slot, input, worker));
}

/// The dice of the surroundings.
pub(crate) struct Dice<'a>(pub(crate) &'a dyn Surroundings);

impl Random for Dice<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_random(bytes);
    }
}

/// A wake-up call; a machine that has left memory meanwhile does not need it.
struct Wake {
    slot: Weak<AccountSlot>,
    key: Key,
}

impl Alarm for Wake {
    fn ring(self: Arc<Self>) {
        if let Some(slot) = self.slot.upgrade() {
            later(&slot, Input::Wake(self.key));
        }
    }
}
