//! One exchange from its first message to success or failure (RFC 4422 §3, RFC 6120 §6.4).

use crate::mechanism::Family;
use crate::scram::{AwaitCredentials, AwaitProof};
use crate::{Lookup, Mechanism, Nonce, Offer, Password, SaslError, UnknownAccounts, external, plain};
use stanza::Address;

/// Octets of the longest message that is looked at. PLAIN needs 3 × 255 (RFC 4616 §2); a localpart, an address and a
/// password of full length still fit.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024;

/// What the caller does next.
#[derive(Debug)]
pub enum Step {
    /// Send `<challenge/>`, and bring the answer to [`Exchange::response`].
    Challenge(Vec<u8>),
    /// Look this account up, and bring what there is to [`Exchange::credentials`].
    NeedCredentials {
        /// The account that the client names.
        account: Address,
    },
    /// Look this account up, run [`check_password`](crate::check_password) where waiting hurts nobody, and bring the
    /// verdict to [`Exchange::password_checked`].
    NeedPasswordCheck {
        /// The account that the client names.
        account: Address,
        /// What it claims to be the password.
        password: Password,
    },
    /// Send `<success/>`.
    Success {
        /// Who the peer is: an account of the host, or what its certificate proves.
        identity: Address,
        /// Additional data with success (RFC 6120 §6.3.10).
        additional_data: Option<Vec<u8>>,
    },
    /// Send `<failure/>`.
    Failure(SaslError),
}

/// What came of checking a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is right.
    Accepted,
    /// It is wrong, or there is no such account.
    Rejected,
    /// It is right, and the account is disabled.
    AccountDisabled,
    /// It is right, and has expired.
    CredentialsExpired,
    /// It could not be checked.
    Unavailable,
}

impl Verdict {
    const fn outcome(self) -> Result<(), SaslError> {
        match self {
            Verdict::Accepted => Ok(()),
            Verdict::Rejected => Err(SaslError::WrongCredentials),
            Verdict::AccountDisabled => Err(SaslError::AccountDisabled),
            Verdict::CredentialsExpired => Err(SaslError::CredentialsExpired),
            Verdict::Unavailable => Err(SaslError::Unavailable),
        }
    }
}

/// The server's side of one exchange.
///
/// An input that it does not wait for ends it with [`SaslError::OutOfOrder`], so does any input after the end. To abort
/// (RFC 6120 §6.4.4) or to begin anew (§6.4.2), drop it.
#[derive(Debug)]
pub struct Exchange(State);

#[derive(Debug)]
enum State {
    AwaitInitial(Box<Opening>),
    AwaitCredentials(AwaitCredentials),
    AwaitProof(AwaitProof),
    AwaitVerdict(Address),
    Ended,
}

/// What is kept while a client without initial response is asked for its first message.
#[derive(Debug)]
struct Opening {
    mechanism: Mechanism,
    offer: Offer,
    host: Address,
    nonce: Nonce,
}

impl Exchange {
    /// Begins with `<auth/>`. `initial` is the initial response: `None` where the element was empty, an empty slice
    /// where it was `=` (RFC 6120 §6.4.2). `offer` is what the stream features were made from.
    pub fn start(
        mechanism: Mechanism,
        initial: Option<&[u8]>,
        offer: &Offer,
        host: &Address,
        nonce: Nonce,
    ) -> (Exchange, Step) {
        if let Err(error) = offer.admits(mechanism) {
            return ended(error);
        }
        match initial {
            Some(message) => begin(mechanism, message, offer, host, &nonce),
            // RFC 4422 §3.3: all our mechanisms are client-first, so the client is asked with an empty challenge.
            None => {
                let opening = Opening {
                    mechanism,
                    offer: offer.clone(),
                    host: host.clone(),
                    nonce,
                };
                (
                    Exchange(State::AwaitInitial(Box::new(opening))),
                    Step::Challenge(Vec::new()),
                )
            }
        }
    }

    /// Takes `<response/>`.
    pub fn response(&mut self, message: &[u8]) -> Step {
        let (next, step) = match std::mem::replace(&mut self.0, State::Ended) {
            State::AwaitInitial(opening) => {
                let Opening {
                    mechanism,
                    offer,
                    host,
                    nonce,
                } = *opening;
                let (Exchange(next), step) = begin(mechanism, message, &offer, &host, &nonce);
                (next, step)
            }
            State::AwaitProof(awaiting) => (State::Ended, proof(awaiting, message)),
            State::AwaitCredentials(_) | State::AwaitVerdict(_) | State::Ended => {
                (State::Ended, Step::Failure(SaslError::OutOfOrder))
            }
        };
        self.0 = next;
        step
    }

    /// Takes the answer to [`Step::NeedCredentials`].
    pub fn credentials(&mut self, lookup: &Lookup, unknown_accounts: &UnknownAccounts) -> Step {
        let State::AwaitCredentials(awaiting) = std::mem::replace(&mut self.0, State::Ended) else {
            return Step::Failure(SaslError::OutOfOrder);
        };
        match awaiting.credentials(lookup, unknown_accounts) {
            Ok((awaiting, challenge)) => {
                self.0 = State::AwaitProof(awaiting);
                Step::Challenge(challenge)
            }
            Err(error) => Step::Failure(error),
        }
    }

    /// Takes the answer to [`Step::NeedPasswordCheck`].
    pub fn password_checked(&mut self, verdict: Verdict) -> Step {
        let State::AwaitVerdict(account) = std::mem::replace(&mut self.0, State::Ended) else {
            return Step::Failure(SaslError::OutOfOrder);
        };
        match verdict.outcome() {
            Ok(()) => Step::Success {
                identity: account,
                additional_data: None,
            },
            Err(error) => Step::Failure(error),
        }
    }
}

fn ended(error: SaslError) -> (Exchange, Step) {
    (Exchange(State::Ended), Step::Failure(error))
}

/// The client's first message.
fn begin(
    mechanism: Mechanism,
    message: &[u8],
    offer: &Offer,
    host: &Address,
    nonce: &Nonce,
) -> (Exchange, Step) {
    if message.len() > MESSAGE_BYTES_MAX {
        return ended(SaslError::Malformed("too long"));
    }
    let begun = match mechanism.family() {
        Family::Scram(hash, binding) => AwaitCredentials::begin(hash, binding, message, offer, host, nonce)
            .map(|awaiting| {
                let account = awaiting.account().clone();
                (
                    State::AwaitCredentials(awaiting),
                    Step::NeedCredentials { account },
                )
            }),
        Family::Plain => plain::parse(message, host).map(|plain::Claim { account, password }| {
            (
                State::AwaitVerdict(account.clone()),
                Step::NeedPasswordCheck { account, password },
            )
        }),
        Family::External => external::check(message, &offer.certificate).map(|identity| {
            (
                State::Ended,
                Step::Success {
                    identity,
                    additional_data: None,
                },
            )
        }),
    };
    match begun {
        Ok((state, step)) => (Exchange(state), step),
        Err(error) => ended(error),
    }
}

/// The client's last message in SCRAM.
fn proof(awaiting: AwaitProof, message: &[u8]) -> Step {
    if message.len() > MESSAGE_BYTES_MAX {
        return Step::Failure(SaslError::Malformed("too long"));
    }
    let proven = awaiting.response(message).and_then(|proven| {
        proven.standing.verdict().outcome()?;
        Ok(proven)
    });
    match proven {
        Ok(proven) => Step::Success {
            identity: proven.account,
            additional_data: Some(proven.server_final),
        },
        Err(error) => Step::Failure(error),
    }
}

#[cfg(test)]
mod tests;
