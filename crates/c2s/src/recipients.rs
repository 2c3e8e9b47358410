//! The addresses that a client wrote to last: conversations repeat.

use std::borrow::Cow;

use stanza::{Address, BadAddress};

/// How many are remembered. A client that talks to more at the same time has its addresses prepared anew.
const REMEMBERED: usize = 4;

/// The last few recipients.
#[derive(Default)]
pub(crate) struct Recipients {
    remembered: [Option<Address>; REMEMBERED],
    /// The place that is taken next.
    next: usize,
}

impl Recipients {
    /// Prepares `raw`, the value of a `to` attribute as it was written; `value` un-escapes it.
    ///
    /// What was written in prepared form, as nearly everything is, is found by comparing texts.
    pub(crate) fn prepare<'v>(
        &mut self,
        raw: &str,
        value: impl FnOnce() -> Cow<'v, str>,
    ) -> Result<Address, BadAddress> {
        if let Some(known) = self
            .remembered
            .iter()
            .flatten()
            .find(|known| known.as_str() == raw)
        {
            return Ok(known.clone());
        }
        let address = Address::parse(&value())?;
        // What was written with a reference differs from its address, so that no escape is ever taken for a text.
        if address.as_str() == raw {
            if let Some(place) = self.remembered.get_mut(self.next) {
                *place = Some(address.clone());
            }
            self.next = (self.next + 1) % REMEMBERED;
        }
        Ok(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unescape(raw: &str) -> Cow<'_, str> {
        Cow::Owned(
            raw.replace("&lt;", "<")
                .replace("&apos;", "'")
                .replace("&amp;", "&"),
        )
    }

    #[test]
    fn the_same_text_gives_the_same_allocation() {
        let mut recipients = Recipients::default();
        let first = recipients
            .prepare("juliet@capulet.lit", || "juliet@capulet.lit".into())
            .unwrap();
        let second = recipients
            .prepare("juliet@capulet.lit", || unreachable!())
            .unwrap();
        assert!(std::ptr::eq(first.as_str(), second.as_str()));
    }

    #[test]
    fn an_escape_is_not_taken_for_the_text_that_looks_like_it() {
        let mut recipients = Recipients::default();
        let prepare =
            |recipients: &mut Recipients, raw: &str| recipients.prepare(raw, || unescape(raw)).unwrap();
        assert_eq!(
            prepare(&mut recipients, "a@b.lit/x&amp;amp;y").as_str(),
            "a@b.lit/x&amp;y"
        );
        assert_eq!(
            prepare(&mut recipients, "a@b.lit/x&amp;y").as_str(),
            "a@b.lit/x&y"
        );
    }

    proptest! {
        /// Whatever was asked before, the answer is what preparing gives.
        #[test]
        fn remembering_changes_no_answer(raws in proptest::collection::vec("(([ab]|&amp;|&lt;){0,2}@)?[cD]\\.lit(/([xY]|&amp;|amp;|&apos;){0,3})?", 1..40)) {
            let mut recipients = Recipients::default();
            for raw in &raws {
                let answer = recipients.prepare(raw, || unescape(raw));
                prop_assert_eq!(answer.ok(), Address::parse(&unescape(raw)).ok());
            }
        }
    }
}
