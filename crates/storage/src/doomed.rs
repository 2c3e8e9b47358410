//! Accounts whose machine lost a commit, so that it believes in what is not there.

use std::collections::BTreeSet;

use stanza::Address;

/// No commit of these accounts is made until they are loaded anew: it was decided by a machine that is wrong.
#[derive(Debug, Default)]
pub(crate) struct Doomed(BTreeSet<Address>);

impl Doomed {
    pub(crate) fn contains(&self, account: &Address) -> bool {
        self.0.contains(account)
    }

    /// A commit of this account failed.
    pub(crate) fn add(&mut self, account: &Address) {
        self.0.insert(account.clone());
    }

    /// The account is being loaded: all commits of the machine before are answered, those of the next one count.
    pub(crate) fn pardon(&mut self, account: &Address) {
        self.0.remove(account);
    }
}
