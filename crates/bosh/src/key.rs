//! Key sequences: whoever can only listen cannot put a request into a session (XEP-0124 §15).

use std::fmt::Write;

use sha1::{Digest, Sha1};

/// The key that the next one must lead to; none when the client uses no keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(Option<String>);

/// The next request does not come from whoever began the sequence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrongKey;

impl Keys {
    /// Begins with the `newkey` of the first request.
    pub(crate) fn new(first: Option<&str>) -> Keys {
        Keys(first.map(str::to_ascii_lowercase))
    }

    /// Takes the keys of the next request (XEP-0124 §15.4, §15.5).
    pub(crate) fn advance(&mut self, key: Option<&str>, new: Option<&str>) -> Result<(), WrongKey> {
        let Some(expected) = &self.0 else {
            return Ok(());
        };
        let key = key.ok_or(WrongKey)?;
        if hash(key) != *expected && hash(&key.to_ascii_lowercase()) != *expected {
            return Err(WrongKey);
        }
        self.0 = Some(new.unwrap_or(key).to_ascii_lowercase());
        Ok(())
    }
}

fn hash(text: &str) -> String {
    Sha1::digest(text.as_bytes())
        .iter()
        .fold(String::with_capacity(40), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// K(1) to K(n).
    fn sequence(seed: &str, n: usize) -> Vec<String> {
        let mut keys = vec![hash(seed)];
        while keys.len() < n {
            keys.push(hash(&keys[keys.len() - 1]));
        }
        keys
    }

    #[test]
    fn xep0124_15_4_the_keys_of_the_examples_follow_one_another() {
        let mut keys = Keys::new(Some("ca393b51b682f61f98e7877d61146407f3d0a770"));
        assert_eq!(
            keys.advance(Some("bfb06a6f113cd6fd3838ab9d300fdb4fe3da2f7d"), None),
            Ok(())
        );
        assert_eq!(
            keys.advance(
                Some("6f825e81f4532b2c5fa2d12457d8a1f22e8f838e"),
                Some("113f58a37245ec9637266cf2fb6e48bfeaf7964e")
            ),
            Ok(())
        );
    }

    #[test]
    fn xep0124_15_4_a_key_is_good_once_and_in_its_place() {
        let sequence = sequence("seed", 4);
        let mut keys = Keys::new(Some(&sequence[3].to_ascii_uppercase()));
        assert_eq!(keys.advance(None, None), Err(WrongKey));
        assert_eq!(keys.advance(Some(&sequence[1]), None), Err(WrongKey));
        assert_eq!(keys.advance(Some(&sequence[3]), None), Err(WrongKey));
        assert_eq!(keys.advance(Some(&sequence[2]), None), Ok(()));
        assert_eq!(keys.advance(Some(&sequence[2]), None), Err(WrongKey));
        assert_eq!(keys.advance(Some(&sequence[1]), None), Ok(()));
    }

    #[test]
    fn without_a_first_key_none_is_asked_for() {
        let mut keys = Keys::new(None);
        assert_eq!(keys.advance(None, None), Ok(()));
        assert_eq!(keys.advance(Some("x"), None), Ok(()));
    }
}
