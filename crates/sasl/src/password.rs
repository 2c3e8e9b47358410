//! A password, prepared and kept from view.

use std::fmt;
use stringprep::saslprep;
use thiserror::Error;
use zeroize::Zeroizing;

/// Octets of the longest password. RFC 4616 §2 demands 255.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// A password prepared with SASLprep (RFC 4013) as a *stored string*, which RFC 5802 §2.2 demands on both sides: other
/// preparations, like the OpaqueString of RFC 8265 §4, would keep non-ASCII passwords from working with SCRAM clients.
///
/// It is wiped when dropped and never shown.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// Why a string cannot be a password.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum PasswordRefused {
    /// Nothing is left of it.
    #[error("the password is empty")]
    Empty,
    /// Longer than [`PASSWORD_BYTES_MAX`].
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// RFC 4013 §2.3 to §2.5.
    #[error(
        "the password holds characters that SASLprep (RFC 4013) forbids: control characters, emoji, mixed writing directions"
    )]
    Forbidden,
}

impl Password {
    /// Prepares a password as it was typed.
    pub fn new(typed: &str) -> Result<Password, PasswordRefused> {
        if typed.len() > PASSWORD_BYTES_MAX {
            return Err(PasswordRefused::TooLong);
        }
        let prepared = saslprep(typed).map_err(|_| PasswordRefused::Forbidden)?;
        // RFC 4616 §2: an empty outcome is no password.
        match prepared.is_empty() {
            true => Err(PasswordRefused::Empty),
            false => Ok(Password(Zeroizing::new(prepared.into_owned()))),
        }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc4013_3_examples() {
        let prepared = |typed| {
            Password::new(typed).map(|password| String::from_utf8_lossy(password.octets()).into_owned())
        };
        for (typed, outcome) in [
            ("I\u{ad}X", Ok("IX")),
            ("user", Ok("user")),
            ("USER", Ok("USER")),
            ("\u{aa}", Ok("a")),
            ("\u{2168}", Ok("IX")),
            ("\u{7}", Err(PasswordRefused::Forbidden)),
            ("\u{627}1", Err(PasswordRefused::Forbidden)),
        ] {
            assert_eq!(prepared(typed), outcome.map(String::from), "{typed:?}");
        }
    }

    #[test]
    fn rfc5802_2_2_code_points_that_unicode_3_2_did_not_know_are_refused() {
        assert_eq!(
            Password::new("\u{1f600}").unwrap_err(),
            PasswordRefused::Forbidden
        );
    }

    #[test]
    fn rfc4616_2_nothing_is_no_password_and_too_much_neither() {
        assert_eq!(Password::new("").unwrap_err(), PasswordRefused::Empty);
        assert_eq!(Password::new("\u{ad}").unwrap_err(), PasswordRefused::Empty);
        assert!(Password::new(&"a".repeat(PASSWORD_BYTES_MAX)).is_ok());
        assert_eq!(
            Password::new(&"a".repeat(PASSWORD_BYTES_MAX + 1)).unwrap_err(),
            PasswordRefused::TooLong
        );
    }
}
