//! What can happen to a connection between servers.

use std::sync::Arc;

use machine::Moment;
use stanza::StreamError;
use stream_management::{Mailbox, Signal};

use crate::{Certificate, Pair, Verdict, Verification, Ways};

/// What the stream runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, on which STARTTLS may follow (RFC 6120 §5).
    Tcp,
    /// TLS from the first byte (XEP-0368). The stream begins with [`Input::TlsEstablished`].
    DirectTls,
}

/// What the TLS layer knows of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The version that was agreed on.
    pub version: TlsVersion,
    /// What the peer showed.
    pub certificate: Certificate,
    /// The domain that the peer named (RFC 6066 §3), on connections that came to us; it stands in for a header without
    /// `to` (RFC 6120 §4.7.2).
    pub sni: Option<String>,
}

/// Versions of TLS that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// What a connection that we open is for.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The domains that the stream header names.
    pub header: Pair,
    /// Pairs that the other server shall accept.
    pub authorize: Vec<Pair>,
    /// Keys that the other server shall judge.
    pub verify: Vec<Verification>,
    /// A broken stream of ours to the same server that may be resumed.
    pub resume: Option<Suspended>,
}

/// A broken stream that can be resumed (XEP-0198 §5).
#[derive(Clone, Debug)]
pub struct Suspended {
    /// The identifier of resumption. Unguessable; whoever shows it must prove the pairs anew all the same.
    pub id: String,
    /// Who may ask for it.
    pub side: Side,
    /// What it carried.
    pub pairs: Vec<(Pair, Ways)>,
    /// What it had to say, and the count of what it heard.
    pub mailbox: Arc<Mailbox>,
    /// Until when.
    pub until: Moment,
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The other server.
    Inbound,
    /// We.
    Outbound,
}

/// One thing that happened. An input that the stream does not wait for changes nothing.
#[derive(Debug)]
pub enum Input<'a> {
    /// The TCP connection is there. The first input, on either side.
    Connected,
    /// Bytes were read; all of them are taken. While [`Stream::reads`](crate::Stream::reads) is false it is better to
    /// leave them in the socket.
    Received(&'a [u8]),
    /// The TLS handshake is over.
    TlsEstablished(Tls),
    /// The other server shall accept this pair too. Answered by [`Effect::Authenticated`](crate::Effect::Authenticated)
    /// or [`Effect::Refused`](crate::Effect::Refused).
    Authorize(Pair),
    /// The other server shall judge this key too. Answered by
    /// [`Effect::VerifyAnswered`](crate::Effect::VerifyAnswered).
    Verify(Verification),
    /// The answer to [`Effect::Verify`](crate::Effect::Verify).
    Verified {
        /// As it was asked.
        verification: Verification,
        /// What came of it, on another connection.
        verdict: Verdict,
    },
    /// The answer to [`Effect::Resume`](crate::Effect::Resume).
    Resumption(Option<Suspended>),
    /// Another connection resumes this stream.
    Superseded,
    /// A word from the mailbox of this stream.
    Signal(Signal),
    /// Stanzas were drained from the mailbox into the output buffer.
    Drained {
        /// How many.
        stanzas: usize,
        /// Whether more are waiting.
        more: bool,
    },
    /// Somebody wants to know whether the peer is there: answered by [`Effect::Alive`](crate::Effect::Alive) once it
    /// says anything.
    Check,
    /// The peer has answered on another connection what was asked on this one.
    Answered,
    /// The moment of [`Stream::next_wake`](crate::Stream::next_wake) has come.
    Wake,
    /// The peer will send nothing any more, though it did not close its stream.
    PeerClosed,
    /// The stream is to be closed in order.
    Close,
    /// The stream is to be ended with this error.
    End(StreamError),
}
