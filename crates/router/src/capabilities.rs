//! What was learnt of clients' capabilities, kept over restarts (PSA-01).

use std::sync::Arc;

use presence::Hash;
use stanza::Address;

use crate::router::Router;
use crate::store::{Done, StoreError};

impl Router {
    /// Takes what an earlier process has learnt from the store; `done` learns how much that is. Without it clients are asked
    /// once more.
    pub fn restore_capabilities(self: &Arc<Self>, done: Done<Result<usize, StoreError>>) {
        let router = Arc::downgrade(self);
        self.store.load_capabilities(Box::new(move |outcome| {
            let count = outcome.map(|hashes| {
                let count = hashes.len();
                if let Some(router) = router.upgrade() {
                    router
                        .settings
                        .load()
                        .account
                        .presence
                        .capabilities
                        .restore(hashes);
                }
                count
            });
            done(count);
        }));
    }

    /// A client of this account, or of one of its contacts, has proven what its hash stands for.
    pub(crate) fn learn(&self, account: &Address, hash: &Hash, wants_annotations: bool) {
        let settings = self.settings.load();
        let presence = &settings.account.presence;
        if let Some(lesson) = presence
            .capabilities
            .learn(hash, wants_annotations, presence.capabilities_max)
        {
            // What cannot be kept is learnt anew after the next start.
            self.store
                .keep_capabilities(account.clone(), lesson, Box::new(|_| {}));
        }
    }
}
