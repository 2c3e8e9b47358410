//! Why an exchange failed: the condition for the peer, and the cause for the operator's log.

use thiserror::Error;

/// The conditions of RFC 6120 §6.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// §6.5.1
    Aborted,
    /// §6.5.2
    AccountDisabled,
    /// §6.5.3
    CredentialsExpired,
    /// §6.5.4
    EncryptionRequired,
    /// §6.5.5
    IncorrectEncoding,
    /// §6.5.6
    InvalidAuthzid,
    /// §6.5.7
    InvalidMechanism,
    /// §6.5.8
    MalformedRequest,
    /// §6.5.9
    MechanismTooWeak,
    /// §6.5.10
    NotAuthorized,
    /// §6.5.11
    TemporaryAuthFailure,
}

impl Condition {
    /// The name of the element inside `<failure/>`.
    pub const fn name(self) -> &'static str {
        match self {
            Condition::Aborted => "aborted",
            Condition::AccountDisabled => "account-disabled",
            Condition::CredentialsExpired => "credentials-expired",
            Condition::EncryptionRequired => "encryption-required",
            Condition::IncorrectEncoding => "incorrect-encoding",
            Condition::InvalidAuthzid => "invalid-authzid",
            Condition::InvalidMechanism => "invalid-mechanism",
            Condition::MalformedRequest => "malformed-request",
            Condition::MechanismTooWeak => "mechanism-too-weak",
            Condition::NotAuthorized => "not-authorized",
            Condition::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}

/// Why an exchange failed. `Display` is for the log and holds nothing that the peer sent.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SaslError {
    /// The peer sent `<abort/>`.
    #[error("the peer aborted the exchange")]
    Aborted,
    /// The credentials were right, the account is disabled.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The credentials were right, and have expired.
    #[error("the credentials have expired")]
    CredentialsExpired,
    /// The mechanism needs TLS.
    #[error("the mechanism needs TLS")]
    EncryptionRequired,
    /// The base64 around a message was wrong; found by the caller.
    #[error("the base64 encoding is incorrect")]
    IncorrectEncoding,
    /// The authorization identity is malformed or not the peer's own.
    #[error("the authorization identity is malformed or not the account's own address")]
    InvalidAuthzid,
    /// There is no such mechanism in the offer.
    #[error("the mechanism is unknown or was not offered")]
    InvalidMechanism,
    /// A message does not follow the syntax of the mechanism; what exactly, is said.
    #[error("malformed message: {0}")]
    Malformed(&'static str),
    /// The mechanism is weaker than every offered one.
    #[error("the mechanism is weaker than policy permits")]
    MechanismTooWeak,
    /// RFC 5802 §5.1: an extension that must be understood, and is not.
    #[error("a mandatory SCRAM extension that is not supported")]
    UnsupportedExtension,
    /// The user name cannot be the localpart of an address.
    #[error("the user name is not a valid localpart")]
    InvalidUsername,
    /// Wrong password or proof, or no such account: the two look alike here too.
    #[error("wrong credentials or no such account")]
    WrongCredentials,
    /// RFC 5802 §5.1: the nonce did not come back as it was sent.
    #[error("the nonce is not the one of this exchange")]
    NonceMismatch,
    /// RFC 5802 §6: the client did not see the -PLUS mechanisms that were offered: somebody may have removed them.
    #[error("the client believes that channel binding was not offered, but it was: a downgrade attack?")]
    Downgraded,
    /// RFC 5802 §6: a channel binding type that this connection does not have.
    #[error("the channel binding type is not supported on this connection")]
    UnsupportedBindingType,
    /// `p=` in a mechanism without -PLUS.
    #[error("channel binding in a mechanism without -PLUS")]
    BindingNotNegotiated,
    /// The client is bound to another channel, or repeated another gs2 header: somebody may sit in between.
    #[error("the channel bindings do not match: a man in the middle?")]
    BindingMismatch,
    /// The store or the hashing did not answer.
    #[error("the credentials could not be read or checked")]
    Unavailable,
    /// The caller gave an input that the exchange did not wait for.
    #[error("the exchange did not wait for this input")]
    OutOfOrder,
}

impl SaslError {
    /// What `<failure/>` says (RFC 6120 §6.5).
    pub const fn condition(self) -> Condition {
        match self {
            SaslError::Aborted => Condition::Aborted,
            SaslError::AccountDisabled => Condition::AccountDisabled,
            SaslError::CredentialsExpired => Condition::CredentialsExpired,
            SaslError::EncryptionRequired => Condition::EncryptionRequired,
            SaslError::IncorrectEncoding => Condition::IncorrectEncoding,
            SaslError::InvalidAuthzid => Condition::InvalidAuthzid,
            SaslError::InvalidMechanism => Condition::InvalidMechanism,
            SaslError::MechanismTooWeak => Condition::MechanismTooWeak,
            SaslError::Malformed(_)
            | SaslError::UnsupportedExtension
            | SaslError::BindingNotNegotiated
            | SaslError::OutOfOrder => Condition::MalformedRequest,
            // RFC 6120 §6.5.10 wants no more said.
            SaslError::InvalidUsername
            | SaslError::WrongCredentials
            | SaslError::NonceMismatch
            | SaslError::Downgraded
            | SaslError::UnsupportedBindingType
            | SaslError::BindingMismatch => Condition::NotAuthorized,
            SaslError::Unavailable => Condition::TemporaryAuthFailure,
        }
    }

    /// The `server-error-value` of RFC 5802 §7. XMPP carries failures in `<failure/>`, so this is at most for its
    /// `<text/>`. Never `unknown-user`: that would tell who has an account.
    pub const fn scram_error_value(self) -> &'static str {
        match self {
            SaslError::Malformed(_) | SaslError::IncorrectEncoding => "invalid-encoding",
            SaslError::UnsupportedExtension => "extensions-not-supported",
            SaslError::InvalidUsername => "invalid-username-encoding",
            SaslError::WrongCredentials => "invalid-proof",
            SaslError::Downgraded => "server-does-support-channel-binding",
            SaslError::UnsupportedBindingType => "unsupported-channel-binding-type",
            SaslError::BindingNotNegotiated => "channel-binding-not-supported",
            SaslError::BindingMismatch => "channel-bindings-dont-match",
            SaslError::Unavailable => "no-resources",
            SaslError::Aborted
            | SaslError::AccountDisabled
            | SaslError::CredentialsExpired
            | SaslError::EncryptionRequired
            | SaslError::InvalidAuthzid
            | SaslError::InvalidMechanism
            | SaslError::MechanismTooWeak
            | SaslError::NonceMismatch
            | SaslError::OutOfOrder => "other-error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc5802_7_error_values_do_not_tell_who_has_an_account() {
        assert_eq!(SaslError::WrongCredentials.scram_error_value(), "invalid-proof");
        assert_eq!(SaslError::WrongCredentials.condition().name(), "not-authorized");
    }
}
