//! Addresses of entities: `localpart@domainpart/resourcepart` (RFC 7622), prepared once, cheap to share and compare.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;

/// A prepared address (JID), bare or full.
///
/// The text is normalised, so that equality of addresses is equality of text. Cloning shares the text.
#[derive(Clone)]
pub struct Address {
    text: Arc<str>,
    /// Length of the localpart; 0 when there is none.
    local: u16,
    /// Length of the bare address: up to the slash, or all of it.
    bare: u16,
    /// Whether nothing in it would have to be escaped in XML: nearly all are so, and each is written often.
    is_plain: bool,
}

/// Why a text is no address (RFC 7622 §3). Its stanza error is `jid-malformed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address: {0}")]
pub struct BadAddress(&'static str);

/// Longest part of an address in bytes (RFC 7622 §3.1).
const PART_BYTES_MAX: usize = 1023;

impl Address {
    /// Prepares `text` (RFC 7622 §3).
    ///
    /// # Errors
    /// When a part is empty, longer than 1023 bytes, or holds a character that its profile forbids.
    pub fn parse(text: &str) -> Result<Address, BadAddress> {
        if let Some(address) = Self::already_prepared(text) {
            return Ok(address);
        }
        let prepared = jid::Jid::new(text)
            .map_err(|_| BadAddress("a part is empty, too long or has a forbidden character"))?;
        Ok(Self::from_prepared(prepared.as_str()))
    }

    /// The address of a host or service: a domainpart alone.
    ///
    /// # Errors
    /// When `domain` is no domainpart.
    pub fn domain(domain: &str) -> Result<Address, BadAddress> {
        let address = Self::parse(domain)?;
        if address.localpart().is_some() || address.resourcepart().is_some() {
            return Err(BadAddress("a domain was expected"));
        }
        Ok(address)
    }

    /// Lower-case ASCII without anything that the profiles would change: by far the most addresses. Everything else
    /// takes the long way through the profiles.
    fn already_prepared(text: &str) -> Option<Address> {
        let (bare, resource) = match text.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (text, None),
        };
        let (local, domain) = match bare.split_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, bare),
        };
        let local_is_plain = |part: &str| {
            part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'+' | b'%' | b'!' | b'=' | b'~'))
        };
        let fits = |part: &str| !part.is_empty() && part.len() <= PART_BYTES_MAX;
        let resource_is_plain = |part: &str| part.bytes().all(|b| (b'!'..=b'~').contains(&b));
        if !domain_is_plain(domain)
            || !local.is_none_or(|part| fits(part) && local_is_plain(part))
            || !resource.is_none_or(|part| fits(part) && resource_is_plain(part))
        {
            return None;
        }
        Some(Self::from_prepared(text))
    }

    fn from_prepared(text: &str) -> Address {
        let bare = text.find('/').unwrap_or(text.len());
        let local = text.get(..bare).and_then(|bare| bare.find('@')).unwrap_or(0);
        // Three parts of at most 1023 bytes and two separators always fit in sixteen bits.
        Address {
            text: text.into(),
            local: local as u16,
            bare: bare as u16,
            is_plain: text.bytes().all(|byte| {
                matches!(byte, b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>' | b'\'' | b'"')
            }),
        }
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The bare address as text, for look-ups: `localpart@domainpart` or `domainpart`.
    pub fn bare_str(&self) -> &str {
        self.part(0..usize::from(self.bare))
    }

    /// The localpart, which names an account or a room.
    pub fn localpart(&self) -> Option<&str> {
        (self.local > 0).then(|| self.part(0..usize::from(self.local)))
    }

    /// The domainpart, which names a host, a service or another server.
    pub fn domainpart(&self) -> &str {
        let start = if self.local > 0 {
            usize::from(self.local) + 1
        } else {
            0
        };
        self.part(start..usize::from(self.bare))
    }

    /// The resourcepart, which names one session or occupant.
    pub fn resourcepart(&self) -> Option<&str> {
        let start = usize::from(self.bare) + 1;
        (start < self.text.len()).then(|| self.part(start..self.text.len()))
    }

    /// Whether there is no resourcepart.
    pub fn is_bare(&self) -> bool {
        usize::from(self.bare) == self.text.len()
    }

    /// Whether it can be written between quotes as it is. What is not may hold nothing to be escaped all the same.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The bare address; shares the text when this is one already.
    pub fn to_bare(&self) -> Address {
        if self.is_bare() {
            return self.clone();
        }
        Address {
            text: self.bare_str().into(),
            local: self.local,
            bare: self.bare,
            is_plain: self.is_plain,
        }
    }

    /// The address of the domain alone.
    pub fn to_domain(&self) -> Address {
        Self::from_prepared(self.domainpart())
    }

    /// This bare address with a resourcepart, which is prepared here.
    ///
    /// # Errors
    /// When `resource` is empty, too long or has a forbidden character.
    pub fn with_resource(&self, resource: &str) -> Result<Address, BadAddress> {
        Self::parse(&format!("{}/{resource}", self.bare_str()))
    }

    /// Whether both have the same bare address.
    pub fn same_bare(&self, other: &Address) -> bool {
        self.bare_str() == other.bare_str()
    }

    fn part(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }
}

/// A domain of plain lower-case labels; anything else (upper case, non-ASCII, IP literals) is prepared by the library.
fn domain_is_plain(domain: &str) -> bool {
    !domain.is_empty()
        && domain.len() <= 253
        && domain.split('.').all(|label| {
            let bytes = label.as_bytes();
            !bytes.is_empty()
                && bytes.len() <= 63
                && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
                && bytes.first() != Some(&b'-')
                && bytes.last() != Some(&b'-')
                // An A-label is checked by the library, and so is what only looks like one.
                && bytes.get(2..4) != Some(b"--")
        })
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Address {}

impl PartialOrd for Address {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Address {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Address {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// Maps keyed by addresses are looked up by text.
impl std::borrow::Borrow<str> for Address {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc7622_3_parts_are_found() {
        let address = Address::parse("juliet@capulet.lit/balcony/@2").unwrap();
        assert_eq!(address.localpart(), Some("juliet"));
        assert_eq!(address.domainpart(), "capulet.lit");
        assert_eq!(address.resourcepart(), Some("balcony/@2"));
        assert_eq!(address.bare_str(), "juliet@capulet.lit");
        let domain = Address::parse("capulet.lit/x@y").unwrap();
        assert_eq!((domain.localpart(), domain.resourcepart()), (None, Some("x@y")));
    }

    #[test]
    fn rfc7622_3_2_case_is_folded_in_local_and_domain_and_kept_in_the_resource() {
        let address = Address::parse("Juliet@CAPULET.lit/Balcony").unwrap();
        assert_eq!(address.as_str(), "juliet@capulet.lit/Balcony");
        assert_eq!(address, Address::parse("juliet@capulet.lit/Balcony").unwrap());
    }

    #[test]
    fn rfc7622_3_empty_parts_and_forbidden_characters_are_refused() {
        for text in [
            "",
            "@capulet.lit",
            "juliet@",
            "juliet@capulet.lit/",
            "ju liet@capulet.lit",
            "a@b@c",
            "a\"b@capulet.lit",
            "/x",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?} was taken");
        }
        assert!(Address::parse(&format!("{}@capulet.lit", "a".repeat(1024))).is_err());
    }

    proptest! {
        /// The short way must never accept or produce what the profiles would not.
        #[test]
        fn the_short_way_agrees_with_the_profiles(text in "[a-z0-9@/.%~=_A-Z \\-]{0,24}") {
            if let Some(short) = Address::already_prepared(&text) {
                let long = jid::Jid::new(&text).map(|jid| jid.to_string());
                prop_assert_eq!(Ok(short.as_str().to_owned()), long.map_err(|_| ()));
            }
        }

        /// What is written without being escaped would be the same if it were, and what ordinary clients have is.
        #[test]
        fn what_counts_as_plain_needs_no_escaping(
            text in "[a-z&'<>\"]{1,3}@[a-z]{1,3}/[a-zA-Z0-9 .,;&'<>\"\u{c}\u{e9}\u{ffef}]{1,6}"
        ) {
            let Ok(full) = Address::parse(&text) else { return Ok(()) };
            for address in [full.to_domain(), full.to_bare(), full] {
                let mut escaped = Vec::new();
                xml::escape_attribute(&mut escaped, address.as_str());
                let is_escaped = escaped != address.as_str().as_bytes();
                prop_assert!(!(is_escaped && address.is_plain()), "{address}");
            }
            prop_assert!(Address::parse("romeo@montague.lit/Orchard 7_b").unwrap().is_plain());
        }

        #[test]
        fn preparing_twice_changes_nothing(text in "\\PC{0,20}@\\PC{1,20}/\\PC{0,20}") {
            if let Ok(once) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(once.as_str()).unwrap(), once);
            }
        }
    }
}
