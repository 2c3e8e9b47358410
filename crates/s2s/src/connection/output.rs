//! What a connection between servers wants to happen, and how it ends.

use std::time::Duration;

use stanza::{Stanza, StreamError};
use stream_management::Receipt;

use super::{Suspended, TlsVersion};
use crate::{CertificateFault, DialbackError, Pair, Verdict, Verification, Ways};

/// The outcome of inputs, reused by the caller.
///
/// The bytes go behind everything that was put in the output buffer before, drained stanzas included, and in front of
/// what is drained later. Effects are performed in order; those that concern the connection itself
/// ([`Effect::StartTls`], [`Effect::Close`]) wait until all bytes are written.
#[derive(Debug, Default)]
pub struct Output {
    /// For the peer.
    pub bytes: Vec<u8>,
    /// For the world, in order.
    pub effects: Vec<Effect>,
    /// Elements that were taken, for whoever limits how many may come.
    pub elements: u64,
}

/// One thing to be done.
#[derive(Debug)]
pub enum Effect {
    /// Begin the TLS handshake: as the server on connections that came to us, as the client on ours, naming the domain
    /// of the header. What was read beyond the last [`Input::Received`](crate::Input::Received) must not reach TLS.
    StartTls,
    /// The stream carries this pair from now on, or in more ways than before.
    Authenticated {
        /// The pair.
        pair: Pair,
        /// The ways.
        ways: Ways,
        /// By what.
        method: Method,
    },
    /// The peer says something for this pair, which is authenticated, before it is clear whether the stream is counted or goes
    /// on with another: stanzas are taken, and none can be sent yet.
    Heard(Pair),
    /// [`Input::Authorize`](crate::Input::Authorize), or an errand, came to nothing. The stream lives.
    Refused {
        /// The pair.
        pair: Pair,
        /// Why.
        obstacle: Obstacle,
    },
    /// Ask the server that is authoritative for the other domain, never on this connection; answer with
    /// [`Input::Verified`](crate::Input::Verified) (XEP-0220 §2.1.2, XEP-0288 §2.2).
    Verify(Verification),
    /// The answer to [`Input::Verify`](crate::Input::Verify).
    VerifyAnswered {
        /// As it was asked.
        verification: Verification,
        /// What the other server says.
        verdict: Verdict,
    },
    /// An answer of dialback that nobody asked for on this stream: dropped, and worth a line in the log (XEP-0220 §3.1).
    Unsolicited(Pair),
    /// The stream is counted. With an identifier, it can be resumed by this peer once it breaks (XEP-0198 §3).
    Managed(Option<String>),
    /// The peer wants to resume the stream of this identifier: broken, or alive on another connection, which then gets
    /// [`Input::Superseded`](crate::Input::Superseded). Answer with [`Input::Resumption`](crate::Input::Resumption).
    Resume(String),
    /// The broken stream of this identifier lives on in this one, with its mailbox.
    Resumed(String),
    /// The broken stream of this identifier will not come back: what its mailbox holds goes back to the links.
    NotResumed(String),
    /// The peer is silent on a stream that is not counted, and is to be sent a ping for this pair on it (XEP-0199). When
    /// an answer comes, wherever: [`Input::Answered`](crate::Input::Answered).
    Silent(Pair),
    /// The peer said something after [`Input::Check`](crate::Input::Check).
    Alive,
    /// It took so long until the peer acknowledged what it was sent, or answered a ping; its own time is in it.
    RoundTrip(Duration),
    /// Carry a stanza on. Its sender's domain is authenticated on this stream, its recipient's is ours.
    Route {
        /// The stanza.
        stanza: Stanza,
        /// The promise to be kept, when the peer counts (XEP-0198).
        receipt: Option<Receipt>,
    },
    /// Carry an answer of ours back to the other domain, on whatever stream leads there.
    Reply(Stanza),
    /// Close the connection once all bytes are written. The stream takes nothing any more.
    Close(Box<Close>),
}

/// The end of a connection.
#[derive(Debug)]
pub struct Close {
    /// How it ended.
    pub ending: Ending,
    /// What can be resumed. Otherwise what its mailbox holds goes back to the links.
    pub suspended: Option<Suspended>,
    /// Pairs that were to be accepted, and were neither accepted nor refused.
    pub authorize: Vec<Pair>,
    /// Keys that were to be judged, and were not.
    pub verify: Vec<Verification>,
}

/// By what a pair was authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// SASL EXTERNAL by a certificate (RFC 6120 §6, XEP-0178 §3).
    External,
    /// Dialback by asking back (XEP-0220).
    Dialback,
    /// The words of dialback, and a certificate instead of asking back (XEP-0344 §2.4).
    CertificateByDialback,
    /// The secret shared with an external component (XEP-0114 §3).
    ComponentSecret,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In order, by the closing tag of whoever is named first (RFC 6120 §4.4).
    Finished(By),
    /// In the middle of the stream.
    Lost,
    /// The peer did not answer any more.
    Silent,
    /// Another connection has taken over.
    Superseded,
    /// We ended it with this error.
    Error(StreamError),
    /// The peer ended it with this error.
    PeerError(StreamError),
    /// It never came to anything.
    Failed(Obstacle),
}

/// Who closed a stream first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// We did.
    Us,
    /// The peer did.
    Peer,
}

/// Why a pair cannot be authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// We do not talk to this domain.
    Blocked,
    /// TLS is required, and the other server does not offer it.
    TlsNotOffered,
    /// The other server offered TLS and refused it.
    TlsRefused,
    /// Its certificate does not prove the domain, and that is required.
    Certificate(CertificateFault),
    /// The other server says that it is this domain.
    WrongHost(String),
    /// It offers no way to authenticate that we know.
    NoMechanism,
    /// It did not believe our certificate; the condition of RFC 6120 §6.5.
    LoginRefused(String),
    /// It refused dialback with an error.
    DialbackRefused(DialbackError),
    /// It found our key to be forged.
    DialbackInvalid,
    /// It did not answer dialback.
    DialbackTimedOut,
    /// It carries one pair per stream (XEP-0220 §2.6.2).
    OnePairOnly,
    /// There are as many pairs as a stream may carry.
    TooManyPairs,
    /// Nothing can be sent on a connection that came to us and is not bidirectional.
    OneWay,
    /// It took too long to come so far.
    TimedOut(Step),
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// There is a connection.
    #[default]
    Connected,
    /// The peer's header has come.
    Header,
    /// TLS is being negotiated.
    Tls,
    /// Somebody is proving who they are.
    Authentication,
    /// A pair is authenticated.
    Established,
}

/// What a stream came to know, for whoever asks why it failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// How far it came.
    pub step: Step,
    /// Whom the peer's header names as its sender.
    pub header_from: Option<String>,
    /// Whom it names as its recipient, on connections that came to us.
    pub header_to: Option<String>,
    /// The peer offers STARTTLS.
    pub starttls: bool,
    /// What TLS was agreed on, and what its certificate says about the domain of the header.
    pub tls: Option<(TlsVersion, Result<(), CertificateFault>)>,
    /// The SASL mechanisms offered, by the receiving side.
    pub mechanisms: Vec<String>,
    /// The peer knows dialback.
    pub dialback: bool,
    /// The last thing that stood in the way.
    pub obstacle: Option<Obstacle>,
    /// By what the first pair was authenticated.
    pub method: Option<Method>,
    /// How it ended, once it has.
    pub ending: Option<Ending>,
}

impl Output {
    /// Empties both, keeping their room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.effects.clear();
        self.elements = 0;
    }
}

impl Ending {
    /// Whether the peer may come back to this stream: nobody closed it (XEP-0198 §7).
    pub(crate) fn leaves_resumable(&self) -> bool {
        match self {
            Ending::Lost | Ending::Silent | Ending::Superseded => true,
            Ending::Finished(_) | Ending::Error(_) | Ending::PeerError(_) | Ending::Failed(_) => false,
        }
    }
}
