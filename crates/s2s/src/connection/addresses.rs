//! The addresses that came last on a stream: conversations repeat.

use std::borrow::Cow;

use stanza::{Address, BadAddress};

/// How many are remembered. A busy stream between servers carries many conversations at the same time.
const REMEMBERED: usize = 64;

/// Addresses in prepared form, each in the place that its text leads to.
#[derive(Default)]
pub(crate) struct Addresses {
    /// Empty until the first stanza, because most streams are idle.
    places: Vec<Option<Address>>,
}

impl Addresses {
    /// Prepares `raw`, the value of an attribute as it was written; `value` un-escapes it.
    ///
    /// What was written in prepared form, as nearly everything is, is found by comparing texts.
    pub(crate) fn prepare<'v>(
        &mut self,
        raw: &str,
        value: impl FnOnce() -> Cow<'v, str>,
    ) -> Result<Address, BadAddress> {
        if self.places.is_empty() {
            self.places.resize(REMEMBERED, None);
        }
        let Some(place) = self.places.get_mut(place_of(raw)) else {
            return Address::parse(&value());
        };
        if let Some(known) = place
            && known.as_str() == raw
        {
            return Ok(known.clone());
        }
        let address = Address::parse(&value())?;
        // An address with an ampersand is never remembered: `a&amp;b` may be the text of one and the escape of another.
        if address.as_str() == raw && !raw.contains('&') {
            *place = Some(address.clone());
        }
        Ok(address)
    }
}

/// FNV-1a. A peer that makes its addresses collide loses what remembering would save, and nothing else.
fn place_of(text: &str) -> usize {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash >> 32) as usize % REMEMBERED
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
        let mut addresses = Addresses::default();
        let first = addresses
            .prepare("juliet@capulet.lit", || "juliet@capulet.lit".into())
            .unwrap();
        let second = addresses
            .prepare("juliet@capulet.lit", || unreachable!())
            .unwrap();
        assert!(std::ptr::eq(first.as_str(), second.as_str()));
    }

    proptest! {
        /// Whatever came before, the answer is what preparing gives.
        #[test]
        fn remembering_changes_no_answer(raws in proptest::collection::vec("(([ab]|&amp;|&lt;){0,2}@)?[cD]\\.lit(/([xY]|&amp;|amp;|&apos;){0,3})?", 1..60)) {
            let mut addresses = Addresses::default();
            for raw in &raws {
                let answer = addresses.prepare(raw, || unescape(raw));
                prop_assert_eq!(answer.ok(), Address::parse(&unescape(raw)).ok());
            }
        }
    }
}
