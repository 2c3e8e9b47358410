//! Which resources receive a message to a local account (RFC 6121 §8.5), as one table.
//!
//! Pure. Whether the sender may reach the user at all is decided before, in `door`; keeping for later happens in
//! `waiting`.

use stanza::{Condition, MessageType};

/// How the message is addressed, seen from the resources that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addressed {
    /// `localpart@domainpart`.
    Bare,
    /// `localpart@domainpart/resourcepart`, and a connected resource has this address.
    Match,
    /// `localpart@domainpart/resourcepart`, and none has.
    NoMatch,
}

/// Who is at home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtHome {
    /// There is no such account.
    NoAccount,
    /// No resource is available with a priority of zero or more.
    Nobody,
    /// At least one resource is.
    Somebody,
}

/// What becomes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes to the resource that it names (D).
    ToThatOne,
    /// It goes to the resources with the highest priority (M).
    ToMostAvailable,
    /// It goes to all resources with a priority of zero or more (A).
    ToAll,
    /// It waits in the store (O).
    Store,
    /// It goes back (E).
    Bounce(Condition),
    /// It ends here, silently (S).
    Drop,
}

/// Table 1 of RFC 6121 §8.5.4, with our choice where the RFC leaves one: messages that a person wrote are stored rather
/// than bounced, and what cannot be stored is bounced where somebody may wait for it.
pub(crate) fn fate(addressed: Addressed, at_home: AtHome, kind: MessageType) -> Fate {
    use Addressed::{Bare, Match, NoMatch};
    use AtHome::{NoAccount, Nobody, Somebody};
    use MessageType::{Chat, Error, Groupchat, Headline, Normal};
    let bounce = Fate::Bounce(Condition::ServiceUnavailable);
    match (at_home, addressed, kind) {
        // RFC 6121 §8.5.2.1.1, §8.5.2.2.1, §8.5.3.2.1: an error is never answered and only reaches whom it names.
        (NoAccount | Nobody | Somebody, Bare | NoMatch, Error) => Fate::Drop,

        // RFC 6121 §8.5.1.
        (NoAccount, Bare | NoMatch, Normal | Chat | Groupchat) => bounce,
        (NoAccount, Bare | NoMatch, Headline) => Fate::Drop,
        (NoAccount, Match, Normal | Chat | Groupchat | Headline | Error) => Fate::Drop,

        // RFC 6121 §8.5.3.1: a connected resource gets what names it, whatever its priority.
        (Nobody | Somebody, Match, Normal | Chat | Groupchat | Headline | Error) => Fate::ToThatOne,

        // RFC 6121 §8.5.2.2.1, and §8.5.2.1.1 for negative priorities.
        (Nobody, Bare, Normal | Chat) => Fate::Store,
        (Nobody, Bare, Groupchat) => bounce,
        (Nobody, Bare, Headline) => Fate::Drop,

        // RFC 6121 §8.5.2.1.1.
        (Somebody, Bare, Normal | Chat) => Fate::ToMostAvailable,
        (Somebody, Bare, Groupchat) => bounce,
        (Somebody, Bare, Headline) => Fate::ToAll,

        // RFC 6121 §8.5.3.2.1. A headline to an absent resource ends in silence (ATT-14).
        (Nobody, NoMatch, Chat) => Fate::Store,
        (Somebody, NoMatch, Chat) => Fate::ToMostAvailable,
        (Nobody | Somebody, NoMatch, Normal | Groupchat) => bounce,
        (Nobody | Somebody, NoMatch, Headline) => Fate::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 1 of RFC 6121 §8.5.4 in the RFC's own letters. `.` stands for error messages, which the RFC's table leaves
    /// to its prose: silently ignored unless a resource matches.
    #[test]
    fn rfc6121_8_5_4_every_cell_is_one_that_the_rfc_allows() {
        use Addressed::{Bare, Match, NoMatch};
        use AtHome::{NoAccount, Nobody, Somebody};
        let kinds = [
            MessageType::Normal,
            MessageType::Chat,
            MessageType::Groupchat,
            MessageType::Headline,
            MessageType::Error,
        ];
        for (at_home, addressed, row) in [
            (NoAccount, Bare, ["SE", "SE", "E", "S", "S"]),
            (NoAccount, NoMatch, ["SE", "SE", "SE", "SE", "S"]),
            (Nobody, Bare, ["OE", "OE", "E", "S", "S"]),
            (Nobody, Match, ["D", "D", "D", "D", "D"]),
            (Nobody, NoMatch, ["SE", "OE", "SE", "SE", "S"]),
            (Somebody, Bare, ["MA", "M", "E", "A", "S"]),
            (Somebody, Match, ["D", "D", "D", "D", "D"]),
            (Somebody, NoMatch, ["SE", "M", "SE", "SE", "S"]),
        ] {
            for (kind, allowed) in kinds.into_iter().zip(row) {
                let letter = match fate(addressed, at_home, kind) {
                    Fate::ToThatOne => 'D',
                    Fate::ToMostAvailable => 'M',
                    Fate::ToAll => 'A',
                    Fate::Store => 'O',
                    Fate::Bounce(Condition::ServiceUnavailable) => 'E',
                    Fate::Bounce(_) => '?',
                    Fate::Drop => 'S',
                };
                assert!(
                    allowed.contains(letter),
                    "{at_home:?} {addressed:?} {kind:?}: {letter} is not in {allowed}"
                );
            }
        }
    }

    #[test]
    fn att_03_headlines_are_never_stored() {
        for addressed in [Addressed::Bare, Addressed::NoMatch] {
            assert_eq!(fate(addressed, AtHome::Nobody, MessageType::Headline), Fate::Drop);
        }
    }

    #[test]
    fn att_14_a_headline_to_an_absent_resource_ends_in_silence() {
        for at_home in [AtHome::NoAccount, AtHome::Nobody, AtHome::Somebody] {
            assert_eq!(
                fate(Addressed::NoMatch, at_home, MessageType::Headline),
                Fate::Drop
            );
        }
    }
}
