//! What a session wants to happen.

use std::sync::Arc;
use std::time::Duration;

use sasl::{Mechanism, Password, PasswordPolicy, SaslError};
use stanza::{Address, Stanza, StreamError};
use stream_management::{Mailbox, Receipt, Released};

/// The outcome of inputs, reused by the caller.
///
/// The bytes go behind everything that was put in the output buffer before, drained stanzas included, and in front of
/// what is drained later. Effects are performed in order; those that concern the connection itself
/// ([`Effect::StartTls`], [`Effect::Close`]) wait until all bytes are written.
#[derive(Debug, Default)]
pub struct Output {
    /// For the client.
    pub bytes: Vec<u8>,
    /// For the world, in order.
    pub effects: Vec<Effect>,
}

/// One thing to be done.
#[derive(Debug)]
pub enum Effect {
    /// Begin the TLS handshake as the server, with the next byte in either direction (RFC 6120 §5.4.2.3). What was read
    /// beyond the last [`Input::Received`](crate::Input::Received) must not reach TLS: plaintext ends here.
    StartTls,
    /// Answer with [`Input::Credentials`](crate::Input::Credentials).
    LookUp {
        /// Whose credentials.
        account: Address,
    },
    /// Look the account up, run [`sasl::check_password`] where waiting hurts nobody, store what it hashed anew, and
    /// answer with [`Input::PasswordChecked`](crate::Input::PasswordChecked).
    CheckPassword {
        /// Who says it is.
        account: Address,
        /// With which password.
        password: Password,
        /// How the host keeps passwords.
        passwords: PasswordPolicy,
    },
    /// Make this account, within the limits of the address that the client comes from, and answer with
    /// [`Input::Registered`](crate::Input::Registered).
    Register {
        /// The new account.
        account: Address,
        /// Its password.
        password: Password,
    },
    /// A login succeeded or failed: for metrics and the limits per address.
    LoginAttempt(LoginAttempt),
    /// Bind a resource of the account and lend it this mailbox. Answered by
    /// [`Signal::Bound`](stream_management::Signal::Bound) or `NotBound` through the mailbox, which is drained only
    /// while [`Session::may_drain`](crate::Session::may_drain).
    Bind {
        /// The bare address.
        account: Address,
        /// The resource that the client wants, prepared; `None`: one is to be made up (RFC 6120 §7.6).
        resource: Option<String>,
        /// Where its stanzas are put.
        mailbox: Arc<Mailbox>,
    },
    /// From now on the session may be resumed under this unguessable name, for so long after its connection broke
    /// (XEP-0198 §5).
    Resumable {
        /// The name.
        id: String,
        /// How long.
        time: Duration,
    },
    /// The client wants to go on with an earlier session of its account (XEP-0198 §5). Answered by
    /// [`Signal::Resumed`](stream_management::Signal::Resumed) or `NotResumed` through the mailbox, which serves for
    /// nothing else.
    Resume {
        /// The bare address.
        account: Address,
        /// Under which name it may be resumed.
        id: String,
        /// So many stanzas has the client handled.
        handled: u32,
        /// Where the answer is put.
        mailbox: Arc<Mailbox>,
    },
    /// The session goes on here, with its own mailbox.
    Resumed(Arc<Mailbox>),
    /// Carry a stanza on. `from` is the full address of the client; without `to` it is for the account itself
    /// (RFC 6120 §10.3).
    Route {
        /// The stanza.
        stanza: Stanza,
        /// The promise to be kept, when the client counts (XEP-0198).
        receipt: Option<Receipt>,
    },
    /// The client has these stanzas: their rows can be deleted.
    Released(Released),
    /// Close the connection once all bytes are written. The session takes nothing any more; if it was bound, or an
    /// [`Effect::Bind`] is open, its account is to be told.
    Close(Ending),
}

/// One login that came to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginAttempt {
    /// The host that was spoken to.
    pub host: Address,
    /// The account, as far as it came to be known.
    pub account: Option<Address>,
    /// The mechanism; `None` when the client named none that we know.
    pub mechanism: Option<Mechanism>,
    /// How it ended.
    pub result: Result<(), SaslError>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client closed its stream (RFC 6120 §4.4).
    Finished,
    /// The connection ended in the middle of the stream: the session may be resumed.
    Lost,
    /// We ended it. The client was told so, unless a TLS handshake was going on.
    Error(StreamError),
    /// The client ended it with an error.
    PeerError(StreamError),
}

impl Output {
    /// Empties both, keeping their room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.effects.clear();
    }
}
