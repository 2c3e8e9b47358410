//! What can happen to a session.

use features::Setback;
use sasl::{ChannelBindings, Lookup, Verdict};
use stanza::StreamError;
use stream_management::{Drained, Signal};
use xml::StreamHeader;

/// How the client came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, on which STARTTLS may follow (RFC 6120 §3, §5).
    Tcp,
    /// TLS from the first byte (XEP-0368). The session begins with [`Input::TlsEstablished`].
    DirectTls,
}

/// How a client speaks XMPP within HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpBinding {
    /// One element in each message of a WebSocket (RFC 7395).
    WebSocket,
    /// Elements in the bodies of requests and responses (XEP-0124, XEP-0206). The shell around reads and writes the
    /// attributes of the bodies: it gives [`Input::Opened`] for the creation and each restart of the stream,
    /// [`Input::Closed`] for its end, and in between whole elements.
    Bosh,
}

/// What the TLS layer knows of its connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// What ties a login to this connection (RFC 5929, RFC 9266).
    pub bindings: ChannelBindings,
    /// The host that the client named (RFC 6066 §3); it stands in for a header without `to` (RFC 6120 §4.7.2).
    pub sni: Option<String>,
}

/// One thing that happened. An input that the session does not wait for changes nothing.
#[derive(Debug)]
pub enum Input<'a> {
    /// Bytes were read; all of them are taken. On a WebSocket they are one whole message. While
    /// [`Session::reads`](crate::Session::reads) is false it is better to leave them in the socket: what comes is kept,
    /// within limits.
    Received(&'a [u8]),
    /// The client has opened its stream, or opened it anew, by words that the shell has read (XEP-0206 §3, §5).
    Opened(StreamHeader),
    /// The client has closed its stream by words that the shell has read (XEP-0206 §4).
    Closed,
    /// The TLS handshake is over.
    TlsEstablished(Tls),
    /// The answer to [`Effect::LookUp`](crate::Effect::LookUp).
    Credentials(Lookup),
    /// The answer to [`Effect::CheckPassword`](crate::Effect::CheckPassword).
    PasswordChecked(Verdict),
    /// The answer to [`Effect::Register`](crate::Effect::Register).
    Registered(Result<(), Setback>),
    /// A word from the mailbox that was lent to this connection.
    Signal(Signal),
    /// All effects so far were performed, and what became ready by that was done, as far as it was done at once. Given
    /// where [`Session::owes_acknowledgement`](crate::Session::owes_acknowledgement).
    Performed,
    /// Stanzas were drained from the mailbox into the output buffer; while the session is
    /// [`Leaving`](crate::Stage::Leaving), given also when there were none.
    Drained(Drained),
    /// The time for logging in, or for leaving, is over.
    Deadline,
    /// The client will send nothing any more, though it did not close its stream.
    PeerClosed,
    /// The server ends the stream.
    End(StreamError),
}
