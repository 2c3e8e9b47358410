//! What can happen to a link, and what it wants to happen.

use std::sync::Arc;

use machine::Moment;
use stanza::{Address, Parcel, StanzaError, StreamError};
use stream_management::{Entry, Mailbox, Receipt, Remains};

use super::{Cause, Path, StateName};
use crate::Ways;
use crate::explain::Attempt;

/// Names one connection between servers for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// Names one attempt of one link to reach its domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u64);

/// What can happen to a link.
#[derive(Debug)]
pub enum Input {
    /// Somebody here sends this to the other domain.
    Send {
        /// What.
        parcel: Parcel,
        /// The sender's promise, if it is still open.
        receipt: Option<Receipt>,
    },
    /// A stream carries the pair, or carries it in more ways than before.
    Carried {
        /// Which.
        stream: StreamId,
        /// In which ways.
        ways: Ways,
        /// Where stanzas for it are put.
        mailbox: Arc<Mailbox>,
    },
    /// A stream broke, and may be resumed (XEP-0198 §5).
    Suspended {
        /// Which.
        stream: StreamId,
        /// Why.
        cause: Cause,
    },
    /// A stream that broke lives on, with its mailbox.
    Resumed {
        /// The one that broke.
        stream: StreamId,
        /// The one in its place.
        by: StreamId,
        /// In which ways it carries the pair.
        ways: Ways,
        /// Its mailbox, which is that of the broken one.
        mailbox: Arc<Mailbox>,
    },
    /// A stream is over for good.
    Ended {
        /// Which.
        stream: StreamId,
        /// How.
        end: End,
        /// What of this pair was in its mailbox.
        remains: Remains,
    },
    /// An attempt came to nothing, after all targets were tried. An attempt that succeeds is answered by
    /// [`Input::Carried`] or [`Input::Resumed`].
    Failed {
        /// Which.
        attempt: AttemptId,
        /// Why; [`Cause::Refused`] only if every target refused.
        cause: Cause,
    },
    /// The domain says something on a stream that is authenticated and cannot carry anything yet: an attempt is about to
    /// succeed ([`crate::Effect::Heard`]).
    Heard,
    /// The answer to [`Effect::CheckReachability`].
    Reached(Result<(), Cause>),
    /// The peer is silent on a stream that is not counted ([`crate::Effect::Silent`]).
    Silent(StreamId),
    /// The peer said something on a stream that was to be checked ([`crate::Effect::Alive`]).
    Alive(StreamId),
    /// The other domain answered an IQ of our domain that had this `id`.
    Answered(String),
    /// An account or a room wants to know of the path to the domain.
    Watch(Address),
    /// It does not any more.
    Unwatch(Address),
    /// A moment has come that [`Effect::WakeAt`] asked for.
    Wake(Key),
    /// The settings have changed.
    SettingsChanged,
    /// An operator wants a connection now.
    Connect,
    /// An operator wants the streams closed.
    Drop,
    /// The server stops: whoever can keep what still waits gets it back.
    Stop,
    /// An attempt in either direction is over, for whoever asks later.
    Recorded(Arc<Attempt>),
}

/// How a stream came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed it in order.
    ByPeer,
    /// We closed it in order.
    ByUs,
    /// Anything else.
    Broken(Cause),
}

/// Moments a link can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The link was suspect for long enough.
    Grace,
    /// It is time for another attempt.
    Retry,
    /// It is time to look at the domain.
    Check,
    /// What waits has waited long enough.
    Expire,
    /// The next watchers can be told.
    Tell,
    /// The link was up for long enough.
    Calm,
    /// A broken stream was waited for long enough.
    Hold,
    /// A stream that was full may have room again.
    Pump,
    /// A verdict is too old to be believed.
    Forget,
}

/// What a link wants to happen.
#[derive(Debug)]
pub enum Effect {
    /// Get a stream that carries the pair to the other domain: on a connection that leads there already, or a new one.
    Connect {
        /// Comes back if it fails.
        attempt: AttemptId,
        /// A broken stream to go on with, if it was ours.
        resume: Option<StreamId>,
        /// Whose wish it is.
        occasion: Occasion,
    },
    /// Resolve the domain and connect to any of its servers, no more; comes back as [`Input::Reached`].
    CheckReachability,
    /// Find out whether the peer is there ([`crate::Input::Check`]).
    CheckStream(StreamId),
    /// The peer has answered what was asked on this stream ([`crate::Input::Answered`]).
    StreamAnswered(StreamId),
    /// Close this stream in order.
    CloseStream(StreamId),
    /// End this stream with this error.
    EndStream(StreamId, StreamError),
    /// This broken stream is not waited for any more: close its mailbox, and tell all its links.
    GiveUp(StreamId),
    /// This stanza will not be delivered. Its fate is decided with this.
    Return {
        /// What, with its receipt.
        entry: Box<Entry>,
        /// What becomes of it.
        fate: Fate,
    },
    /// Come back at this moment.
    WakeAt(Key, Moment),
    /// The path to the domain, for these watchers.
    Tell {
        /// Whom.
        watchers: Vec<Address>,
        /// What.
        path: Path,
    },
    /// The path to the domain is clear as before, but what was on its way when a connection broke may be lost.
    Renewed {
        /// Whom that concerns.
        watchers: Vec<Address>,
    },
    /// The state has changed: for metrics and the log.
    Changed {
        /// Into this.
        to: StateName,
        /// Why, when it is bad.
        cause: Option<Cause>,
    },
}

/// Whose wish a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody here has something to say, or to know.
    Ours,
    /// The other domain has made this server say something, and nothing else waits: an answer, an error, a question
    /// about capabilities. Strangers can do that in the name of many domains, so such connections have a rate.
    Theirs,
}

/// What becomes of a stanza that is not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its sender is told.
    Bounced(StanzaError),
    /// Nobody may be told (RFC 6120 §8.3.1).
    Dropped,
}
