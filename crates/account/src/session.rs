//! One session of the account: a bound resource, its mailbox, and who holds its presence.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use machine::Timestamp;
use privacy::ListName;
use stanza::{Address, Stanza, namespace};
use stream_management::Mailbox;

use crate::confirmations::Confirmations;
use crate::interest::Interest;
use crate::occupancies::Occupancies;
use crate::pause::{Pause, Promise};
use crate::paused::Told;
use crate::{PauseCause, SessionId};

/// A connected resource (RFC 6120 §7).
pub(crate) struct Session {
    /// Of the connection that has it, or had it last.
    pub(crate) id: SessionId,
    /// Connections before that: what they had counted may still be on its way.
    pub(crate) former: Vec<SessionId>,
    /// How it can be resumed, if it can.
    pub(crate) promise: Option<Promise>,
    /// Present while it has no connection, or a connection that is at rest.
    pub(crate) pause: Option<Pause>,
    /// The full address.
    pub(crate) address: Address,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) since: Timestamp,
    /// What it broadcast last; `None` while it is not available.
    pub(crate) presence: Option<Available>,
    /// Whether it asked for the roster, and so wants pushes (RFC 6121 §2.1.6).
    pub(crate) interested: bool,
    /// Whether it asked for the blocklist, and so wants pushes (XEP-0191 §3.2).
    pub(crate) knows_blocklist: bool,
    /// The privacy list it made active (XEP-0016 §2.5).
    pub(crate) active_list: Option<ListName>,
    /// Whether it has ever used privacy lists, and so wants pushes about changes that blocking makes.
    pub(crate) uses_lists: bool,
    /// To whom it sent directed presence, and what they got last (RFC 6121 §4.6). Addresses that are subscribed to the
    /// user's presence are here too: what they hold is what was sent last.
    pub(crate) directed: BTreeMap<Address, Stanza>,
    /// Subscribers to whom it said goodbye since its last broadcast (PSA-34).
    pub(crate) hidden_from: BTreeSet<Address>,
    /// What others were told of its pause.
    pub(crate) told: Told,
    /// Whether its client asks for annotations.
    pub(crate) interest: Interest,
    /// What it was sent by other domains, and by contacts who are out of reach.
    pub(crate) received: presence::Received,
    /// Rooms that it is in, or enters, which later presence to them does not say.
    pub(crate) rooms: Occupancies,
    /// What was answered in its name to who asked whether it is there.
    pub(crate) confirmations: Confirmations,
}

/// Presence that was broadcast.
pub(crate) struct Available {
    pub(crate) stanza: Stanza,
    pub(crate) priority: i8,
    /// When, unless that was before the server was started.
    pub(crate) said: Option<Timestamp>,
}

impl Session {
    pub(crate) fn new(id: SessionId, address: Address, mailbox: Arc<Mailbox>, since: Timestamp) -> Session {
        Session {
            id,
            former: Vec::new(),
            promise: None,
            pause: None,
            address,
            mailbox,
            since,
            presence: None,
            interested: false,
            knows_blocklist: false,
            active_list: None,
            uses_lists: false,
            directed: BTreeMap::new(),
            hidden_from: BTreeSet::new(),
            told: Told::default(),
            interest: Interest::default(),
            received: presence::Received::default(),
            rooms: Occupancies::default(),
            confirmations: Confirmations::default(),
        }
    }

    /// Whether nobody would take what is said to it.
    pub(crate) fn has_no_connection(&self) -> bool {
        self.pause
            .is_some_and(|pause| pause.cause == PauseCause::ConnectionLost)
    }

    /// The priority of an available resource.
    pub(crate) fn priority(&self) -> Option<i8> {
        self.presence.as_ref().map(|presence| presence.priority)
    }

    /// Whether messages to the bare address may come here (RFC 6121 §8.5.2.1.1).
    pub(crate) fn takes_messages(&self) -> bool {
        self.priority().is_some_and(|priority| priority >= 0)
    }

    /// Whether directed presence was sent to this address, or to the bare address it belongs to (DCL-13).
    pub(crate) fn directed_to(&self, other: &Address) -> bool {
        self.directed.contains_key(other.as_str()) || self.directed.contains_key(other.bare_str())
    }

    /// Whether this is a room that the session is in, or an occupant of it. All of them speak from other resources than the
    /// one that was told.
    pub(crate) fn shares_room_with(&self, other: &Address) -> bool {
        let is_room = |to: &Address, told: &Stanza| {
            self.rooms.contains_key(to.bare_str()) || told.child(namespace::MUC, "x").is_some()
        };
        self.directed
            .iter()
            .any(|(to, told)| to.same_bare(other) && is_room(to, told))
    }
}
