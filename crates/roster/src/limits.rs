//! How much one roster may hold.

/// Limits of one roster, all of them inclusive maxima.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Contacts (`limits.roster_items`). Beyond it a new contact is refused with `policy-violation`.
    pub items: usize,
    /// Groups of one contact. Beyond it the contact is refused with `not-acceptable`.
    pub groups: usize,
    /// Bytes of a name, and of a group's name (RFC 6121 §2.3.3). Beyond it: `not-acceptable`.
    pub name_bytes: usize,
    /// Subscription requests that wait for the user (RFC 6121 §3.1.3, security warning). Beyond it: `resource-constraint`.
    pub requests: usize,
    /// Bytes of one such request, which is kept whole. Beyond it: `policy-violation`.
    pub request_bytes: usize,
    /// Deletions that are remembered for clients that name an old version (RFC 6121 §2.6). Beyond it the oldest is
    /// forgotten, and who names a version before it gets the whole roster.
    pub removals: usize,
    /// Contacts that are sent one by one to a client that names an old version. Beyond it the whole roster is sent.
    pub interim_pushes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            items: 10_000,
            groups: 32,
            name_bytes: 1_023,
            requests: 500,
            request_bytes: 10_000,
            removals: 100,
            interim_pushes: 100,
        }
    }
}
