//! The clients: what one of them said, heard and acknowledged on one connection.

use simulation::{Client, ConnectionId, Login};

/// Names a connection of a course; they are never reused.
pub(crate) type Place = usize;

/// What a client does about what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledges {
    /// Whenever it is asked.
    Promptly,
    /// Sometimes.
    Late,
    /// Not before the end.
    Never,
}

/// What a client sent while counting.
pub(crate) struct Counted {
    /// Its number in the ledger, if it is followed.
    pub(crate) number: Option<usize>,
    pub(crate) stanza: String,
}

/// A connection that is to go on with the session of another (XEP-0198 §5).
pub(crate) enum Attempt {
    /// It is not, or that is decided.
    None,
    /// It will ask when it has logged in.
    Planned(Place),
    /// It has asked; if that fails, it says these words.
    Asked(Place, Vec<u8>),
}

impl Attempt {
    pub(crate) fn of(&self) -> Option<Place> {
        match self {
            Attempt::None => None,
            Attempt::Planned(place) | Attempt::Asked(place, _) => Some(*place),
        }
    }
}

/// One connection, from its client's side.
pub(crate) struct Connected {
    pub(crate) id: ConnectionId,
    pub(crate) client: Client,
    pub(crate) account: usize,
    pub(crate) login: Option<Login>,
    pub(crate) has_logged_in: bool,
    /// Once bound.
    pub(crate) address: Option<String>,
    pub(crate) habit: Acknowledges,
    /// Bytes said so far.
    pub(crate) said: u64,
    /// Bytes held back, to arrive in another piece.
    pub(crate) held: Vec<u8>,
    /// Stanzas counted by the server as soon as it takes them, in order; `None` before `<enable/>` was said.
    pub(crate) counted: Option<Vec<Counted>>,
    /// Whether its session may outlive the connection (XEP-0198 §5).
    pub(crate) is_resumable: bool,
    /// The name under which its client can resume the session, as long as that may succeed.
    pub(crate) resumption: Option<String>,
    /// The first connection of its session.
    pub(crate) session: Place,
    /// The session that it tries to go on with.
    pub(crate) attempt: Attempt,
    /// Whether `<enabled/>` was heard, and how many stanzas since.
    pub(crate) heard: Option<u32>,
    /// Acknowledgements said: how many stanzas of the session, and where they end in what was said.
    pub(crate) acknowledgements: Vec<(u32, u64)>,
    /// What was acknowledged with a wish to resume, which may have been heard without an answer.
    pub(crate) claimed: u32,
    /// When it became available first, by the clock of the course.
    pub(crate) available_since: Option<u64>,
    pub(crate) hung_up: bool,
    /// When it began to end, by the clock of the course.
    pub(crate) ended_at: Option<u64>,
    /// When the server was done with it.
    pub(crate) closed_at: Option<u64>,
    /// How the connection ended, once nothing more will come.
    pub(crate) end: Option<End>,
    /// The server ended the stream with an error.
    pub(crate) error: Option<String>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client wanted it.
    Left,
    /// The server, or a crash of it.
    ThrownOut,
}

impl Connected {
    /// Whether it can send stanzas.
    pub(crate) fn is_bound(&self) -> bool {
        self.address.is_some() && !self.hung_up && self.end.is_none()
    }

    /// Where a stanza that is said next ends in what was said.
    pub(crate) fn end_of(&self, stanza: &str) -> u64 {
        self.said + (self.held.len() + stanza.len()) as u64
    }

    /// How many stanzas the server knows to be here: the highest acknowledgement that it has taken while it lived.
    pub(crate) fn acknowledged(&self, taken: u64) -> u32 {
        let taken = self.acknowledgements.iter().filter(|(_, end)| *end <= taken);
        taken.map(|(h, _)| *h).max().unwrap_or(0)
    }
}
