//! What a start says of sessions that an earlier process could not end (`docs/kept.md`, restart).

use std::sync::{Arc, Weak};
use std::time::Duration;

use account::{AdminRequest, Input};
use parking_lot::Mutex;
use stanza::Address;
use turns::Priority;

use crate::router::Router;
use crate::store::{Done, StoreError};
use crate::surroundings::Alarm;

/// So many accounts come into memory at once for that.
const BATCH: usize = 64;

/// The next ones follow after this.
const PAUSE: Duration = Duration::from_millis(100);

impl Router {
    /// Tells everybody elsewhere who holds presence of sessions that are gone, account by account, after
    /// [`Router::restore`]. `done` learns of how many accounts there are such sessions. If the store cannot say, each
    /// account does it when it comes into memory.
    pub fn tell_vanished(self: &Arc<Self>, done: Done<Result<usize, StoreError>>) {
        let router = Arc::downgrade(self);
        self.store.list_held(Box::new(move |outcome| {
            let accounts = outcome.as_ref().map_or(0, Vec::len);
            if let (Some(router), Ok(accounts)) = (router.upgrade(), &outcome) {
                router.tell_vanished_of(accounts.clone());
            }
            done(outcome.map(|_| accounts));
        }));
    }

    fn tell_vanished_of(self: &Arc<Self>, mut accounts: Vec<Address>) {
        let rest = accounts.split_off(accounts.len().min(BATCH));
        self.work(|worker| {
            for account in &accounts {
                // One that cannot be loaded now tells it when it can.
                let request = Input::Admin(AdminRequest::TellVanished);
                self.deliver(account, request, Priority::Control, worker);
            }
        });
        if !rest.is_empty() {
            let next = Next {
                router: Arc::downgrade(self),
                accounts: Mutex::new(rest),
            };
            self.surroundings
                .call_at(self.surroundings.now() + PAUSE, Arc::new(next));
        }
    }
}

/// The accounts whose turn has not come yet.
struct Next {
    router: Weak<Router>,
    accounts: Mutex<Vec<Address>>,
}

impl Alarm for Next {
    fn ring(self: Arc<Self>) {
        if let Some(router) = self.router.upgrade() {
            let accounts = std::mem::take(&mut *self.accounts.lock());
            router.tell_vanished_of(accounts);
        }
    }
}
