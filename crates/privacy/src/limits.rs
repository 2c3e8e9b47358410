//! How much one user's lists may hold.

/// Limits of one account's lists, all of them inclusive maxima.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Lists. Beyond it a new list is refused with `policy-violation`.
    pub lists: usize,
    /// Items of one list, blocked addresses included. Beyond it the list is refused with `policy-violation`.
    pub items: usize,
    /// Bytes of a list's name, and of the name of a group in an item. Beyond it: `not-acceptable`.
    pub name_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            lists: 16,
            items: 2_000,
            name_bytes: 1_023,
        }
    }
}
