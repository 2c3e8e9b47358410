//! Accounts that come, go, and change their password (XEP-0077, and the operator's commands).

use std::sync::Arc;

use account::{AdminRequest, Flags, Input, PresenceView, PrivacyQuestion, SessionView};
use features::{Action, Setback};
use sasl::{Password, Salt};
use stanza::{Address, Parcel, StreamCondition, StreamError};
use turns::Priority;

use crate::router::Router;
use crate::store::{Done, Login, StoreError};

/// What hashing a password needs; run where it may take its time.
pub struct PasswordWork {
    /// How the host keeps passwords.
    pub policy: sasl::PasswordPolicy,
    /// Random and new.
    pub salt: Salt,
}

impl Router {
    /// What is needed to hash a password of this host; `None` when it is not served here.
    pub fn password_work(&self, domain: &str) -> Option<PasswordWork> {
        let policy = self.settings().hosts.get(domain)?.passwords.clone();
        let mut salt = [0; Salt::BYTES];
        self.surroundings.fill_random(&mut salt);
        Some(PasswordWork {
            policy,
            salt: Salt(salt),
        })
    }

    /// Does what a small feature cannot.
    pub(crate) fn act(self: &Arc<Self>, action: Action, done: Done<Result<(), Setback>>) {
        match action {
            Action::Register { account, password } => self.register(account, password, done),
            Action::ChangePassword { account, password } => self.change_password(
                account,
                password,
                Box::new(|outcome| {
                    done(
                        outcome
                            .ok()
                            .filter(|known| *known)
                            .map(|_| ())
                            .ok_or(Setback::Unavailable),
                    )
                }),
            ),
            Action::RemoveAccount { account } => {
                self.remove_account(
                    account,
                    Box::new(|outcome| done(outcome.map(|_| ()).map_err(|_| Setback::Unavailable))),
                );
            }
        }
    }

    /// Makes an account for a client without one (XEP-0077 §3.1.1). A name that is taken is found before anything is
    /// hashed: that costs more than to ask.
    pub fn register(self: &Arc<Self>, account: Address, password: Password, done: Done<Result<(), Setback>>) {
        let router = Arc::clone(self);
        let asked = account.clone();
        let looked_up = move |login: Result<Option<Login>, StoreError>| match login {
            Ok(None) => router.create_account(
                account,
                password,
                Box::new(|outcome| {
                    done(match outcome {
                        Ok(true) => Ok(()),
                        Ok(false) => Err(Setback::NameTaken),
                        Err(_) => Err(Setback::Unavailable),
                    });
                }),
            ),
            Ok(Some(_)) => done(Err(Setback::NameTaken)),
            Err(_) => done(Err(Setback::Unavailable)),
        };
        self.store.login(asked, Box::new(looked_up));
    }

    /// Makes an account; false when there is one. The password is hashed on the slow threads.
    pub fn create_account(
        self: &Arc<Self>,
        account: Address,
        password: Password,
        done: Done<Result<bool, StoreError>>,
    ) {
        let router = Arc::clone(self);
        self.hashed(account, password, done, move |account, stored, done| {
            let store = Arc::clone(router.store());
            let made = account.clone();
            let outcome = move |outcome| {
                router.account_was_made(&made);
                done(outcome);
            };
            store.create_account(account, stored, Box::new(outcome));
        });
    }

    /// What is in memory under an address that had no account until now is not that account.
    pub fn account_was_made(self: &Arc<Self>, account: &Address) {
        if self.account_in_memory(account).is_some() {
            self.work(|worker| {
                let made = Input::Admin(AdminRequest::Made);
                self.deliver(account, made, Priority::Control, worker);
            });
        }
    }

    /// Replaces a password; false when there is no such account.
    pub fn change_password(
        self: &Arc<Self>,
        account: Address,
        password: Password,
        done: Done<Result<bool, StoreError>>,
    ) {
        let router = Arc::clone(self);
        self.hashed(account, password, done, move |account, stored, done| {
            router.store.set_credentials(account, stored, done);
        });
    }

    fn hashed(
        self: &Arc<Self>,
        account: Address,
        password: Password,
        done: Done<Result<bool, StoreError>>,
        then: impl FnOnce(Address, sasl::Stored, Done<Result<bool, StoreError>>) + Send + 'static,
    ) {
        let Some(PasswordWork { policy, salt }) = self.password_work(account.domainpart()) else {
            done(Err(StoreError::Refused));
            return;
        };
        self.surroundings
            .run_slowly(Box::new(move || match policy.hash(&password, salt) {
                Ok(stored) => then(account, stored, done),
                Err(_) => done(Err(StoreError::Refused)),
            }));
    }

    /// Deletes an account with all that belongs to it; false when there was none. Its contacts learn that its
    /// subscriptions are over, and its sessions end after the answer was given (XEP-0077 §3.2).
    pub fn remove_account(self: &Arc<Self>, account: Address, done: Done<Result<bool, StoreError>>) {
        let router = Arc::clone(self);
        let address = account.clone();
        let cancelled = move || {
            let store = Arc::clone(&router.store);
            let removed_account = account.clone();
            let gone = move |outcome| {
                let error = match outcome {
                    Ok(true) => {
                        StreamError::new(StreamCondition::NotAuthorized).text("this account was removed")
                    }
                    // What is in memory has said goodbye already; the next login finds what is stored.
                    Ok(false) | Err(_) => StreamError::new(StreamCondition::InternalServerError),
                };
                // The answer is in the mailbox of who asked before its stream ends, and so is written before.
                done(outcome);
                router.expel(&removed_account, error);
            };
            store.delete_account(account, Box::new(gone));
        };
        let request = AdminRequest::CancelSubscriptions(Box::new(cancelled));
        self.work(|worker| self.deliver(&address, Input::Admin(request), Priority::Control, worker));
    }

    /// Replaces what the operator says of an account; false when there is none. One that is disabled loses its sessions.
    pub fn set_flags(
        self: &Arc<Self>,
        account: Address,
        flags: Flags,
        done: Done<Result<bool, crate::StoreError>>,
    ) {
        let router = Arc::clone(self);
        let changed = account.clone();
        let set = move |outcome| {
            if matches!(outcome, Ok(true)) && router.account_in_memory(&changed).is_some() {
                let error = StreamError::new(StreamCondition::NotAuthorized).text("this account is disabled");
                router.work(|worker| {
                    let told = Input::Admin(AdminRequest::SetFlags(flags));
                    router.deliver(&changed, told, Priority::Control, worker);
                    if flags.disabled {
                        let end = Input::Admin(AdminRequest::End(None, error, Box::new(|_| {})));
                        router.deliver(&changed, end, Priority::Control, worker);
                    }
                });
            }
            done(outcome);
        };
        self.store.set_flags(account, flags, Box::new(set));
    }

    /// Asks an account for its sessions.
    pub fn sessions_of(
        self: &Arc<Self>,
        account: &Address,
        answer: Box<dyn FnOnce(Vec<SessionView>) + Send>,
    ) {
        if self.account_in_memory(account).is_none() {
            answer(Vec::new());
            return;
        }
        let request = Input::Admin(AdminRequest::Sessions(answer));
        self.work(|worker| self.deliver(account, request, Priority::Control, worker));
    }

    /// Asks an account, at home or not, what its privacy lists say to a stanza. Without an answer it cannot be loaded.
    pub fn explain_privacy(
        self: &Arc<Self>,
        account: &Address,
        question: PrivacyQuestion,
        answer: Box<dyn FnOnce(privacy::Explanation) + Send>,
    ) {
        let request = Input::Admin(AdminRequest::ExplainPrivacy(question, answer));
        self.work(|worker| self.deliver(account, request, Priority::Control, worker));
    }

    /// Asks an account, at home or not, what it knows of the presence between its user and `other`. Without an answer it
    /// cannot be loaded.
    pub fn explain_presence(
        self: &Arc<Self>,
        account: &Address,
        other: Address,
        answer: Box<dyn FnOnce(PresenceView) + Send>,
    ) {
        let request = Input::Admin(AdminRequest::ExplainPresence(other, answer));
        self.work(|worker| self.deliver(account, request, Priority::Control, worker));
    }

    /// Asks whether the user at `asked` is there, as `requester`. Without an answer the account cannot be loaded.
    pub fn poke(
        self: &Arc<Self>,
        requester: Address,
        asked: Address,
        answer: Box<dyn FnOnce(Option<Parcel>) + Send>,
    ) {
        let account = asked.to_bare();
        let request = Input::Admin(AdminRequest::Poke(requester, asked, answer));
        self.work(|worker| self.deliver(&account, request, Priority::Control, worker));
    }

    /// Ends the session with this full address, or all of this bare address; tells how many.
    pub fn kick(self: &Arc<Self>, address: &Address, answer: Box<dyn FnOnce(usize) + Send>) {
        if self.account_in_memory(address).is_none() {
            answer(0);
            return;
        }
        let error = StreamError::new(StreamCondition::PolicyViolation).text("ended by the operator");
        let resource = address.resourcepart().map(str::to_owned);
        let request = Input::Admin(AdminRequest::End(resource, error, answer));
        self.work(|worker| self.deliver(address, request, Priority::Control, worker));
    }

    /// Ends all sessions of an account and forgets what is in memory of it.
    pub fn expel(self: &Arc<Self>, account: &Address, error: StreamError) {
        if self.account_in_memory(account).is_some() {
            let request = AdminRequest::Expel(error, Box::new(|_| {}));
            self.work(|worker| self.deliver(account, Input::Admin(request), Priority::Control, worker));
        }
    }
}
