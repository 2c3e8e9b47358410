//! How the door has decided, counted for `xmpp_privacy_decisions_total`.

use std::cell::Cell;

use crate::{Direction, Verdict};

/// Which view of the lists a decision belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind {
    /// A privacy list (XEP-0016).
    Privacy,
    /// The blocklist (XEP-0191).
    Block,
}

impl ListKind {
    /// The value of the label `list`.
    pub fn as_str(self) -> &'static str {
        match self {
            ListKind::Privacy => "privacy",
            ListKind::Block => "block",
        }
    }
}

/// One way in which the door decides where a user has lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrivacyTally {
    /// An item, or none, lets it in.
    AllowedIn,
    /// An item lets it out, or none speaks of it.
    AllowedOut,
    /// An item of a list denies that it comes in.
    DeniedIn,
    /// An item of a list denies that it goes out.
    DeniedOut,
    /// The sender is blocked.
    BlockedIn,
    /// The user has blocked the recipient.
    BlockedOut,
}

impl PrivacyTally {
    /// All of them, in the order of their places.
    pub const ALL: [PrivacyTally; 6] = [
        PrivacyTally::AllowedIn,
        PrivacyTally::AllowedOut,
        PrivacyTally::DeniedIn,
        PrivacyTally::DeniedOut,
        PrivacyTally::BlockedIn,
        PrivacyTally::BlockedOut,
    ];

    /// Its place in [`ALL`](PrivacyTally::ALL).
    pub fn index(self) -> usize {
        self as usize
    }

    /// Which list, which way, and whether it may pass.
    pub fn parts(self) -> (ListKind, Direction, bool) {
        match self {
            PrivacyTally::AllowedIn => (ListKind::Privacy, Direction::In, true),
            PrivacyTally::AllowedOut => (ListKind::Privacy, Direction::Out, true),
            PrivacyTally::DeniedIn => (ListKind::Privacy, Direction::In, false),
            PrivacyTally::DeniedOut => (ListKind::Privacy, Direction::Out, false),
            PrivacyTally::BlockedIn => (ListKind::Block, Direction::In, false),
            PrivacyTally::BlockedOut => (ListKind::Block, Direction::Out, false),
        }
    }

    fn of(direction: Direction, verdict: Verdict) -> PrivacyTally {
        match (verdict, direction) {
            (Verdict::Pass(_), Direction::In) => PrivacyTally::AllowedIn,
            (Verdict::Pass(_), Direction::Out) => PrivacyTally::AllowedOut,
            (Verdict::Deny(denial), Direction::In) if denial.blocked => PrivacyTally::BlockedIn,
            (Verdict::Deny(denial), Direction::Out) if denial.blocked => PrivacyTally::BlockedOut,
            (Verdict::Deny(_), Direction::In) => PrivacyTally::DeniedIn,
            (Verdict::Deny(_), Direction::Out) => PrivacyTally::DeniedOut,
        }
    }
}

/// Decisions that nobody has taken note of yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tallies(Cell<[u32; PrivacyTally::ALL.len()]>);

impl Tallies {
    pub(crate) fn note(&self, direction: Direction, verdict: Verdict) {
        let mut counts = self.0.get();
        if let Some(count) = counts.get_mut(PrivacyTally::of(direction, verdict).index()) {
            *count = count.wrapping_add(1);
        }
        self.0.set(counts);
    }

    pub(crate) fn take(&self) -> impl Iterator<Item = (PrivacyTally, u32)> + use<> {
        PrivacyTally::ALL
            .into_iter()
            .zip(self.0.take())
            .filter(|(_, count)| *count > 0)
    }
}
