//! Sessions that outlive the process (`docs/kept.md`, restart): what is kept of them, and how they come back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use machine::{Context, Timestamp};
use presence::{Capabilities, Held};
use stanza::{Address, Kind, Parcel, PresenceType, Stanza, StreamCondition, StreamError};
use stream_management::{Copies, Kept, KeptEntry, Mailbox, Signal, StoredId};
use xml::{ContentNamespace, Element};

use crate::account::{Account, Out};
use crate::input::{PauseCause, PauseEnd};
use crate::interest::Interest;
use crate::occupancies::Occupancies;
use crate::pause::{Pause, Promise};
use crate::paused::Told;
use crate::session::{Available, Session};
use crate::{Effect, SessionId, Settings};

/// A paused session, in a form that can be written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSession {
    /// Its full address.
    pub address: Address,
    /// The unguessable name under which it can be resumed.
    pub id: String,
    /// For how long.
    pub time: Duration,
    /// When it was bound.
    pub since: Timestamp,
    /// Since when it is paused.
    pub paused: Timestamp,
    /// What it broadcast last, in the namespace of clients.
    pub presence: Option<Vec<u8>>,
    /// Whether it asked for the roster.
    pub interested: bool,
    /// Whether it asked for the blocklist.
    pub knows_blocklist: bool,
    /// The privacy list it made active.
    pub active_list: Option<String>,
    /// Whether it has ever used privacy lists.
    pub uses_lists: bool,
    /// To whom it sent directed presence, and what.
    pub directed: Vec<(Address, Vec<u8>)>,
    /// Subscribers to whom it said goodbye since its last broadcast.
    pub hidden_from: Vec<Address>,
    /// Clients elsewhere that were told of its pause.
    pub told_elsewhere: Vec<Address>,
    /// Whether its client asks for annotations, where that is known.
    pub asks: Option<bool>,
    /// Its addresses in the rooms of other services that it is in.
    pub rooms: Vec<Address>,
    /// The presence that it was sent, as far as it is cached, and what it was told of its truth.
    pub received: Vec<KeptPresence>,
    /// What its client has acknowledged.
    pub acknowledged: u32,
    /// What was handled of what its client sent.
    pub handled: u32,
    /// What its client has not acknowledged, in order.
    pub waiting: Vec<KeptStanza>,
}

/// Presence that a session holds of somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptPresence {
    /// Whose: a full address, or that of a service.
    pub from: Address,
    /// As the session received it, in the namespace of clients.
    pub bytes: Vec<u8>,
    /// What the sender's own server says of it.
    pub foreign: Option<Vec<u8>>,
    /// Whether the session was shown that.
    pub shown: bool,
    /// Whether this server has told the session that it may not be true.
    pub told: bool,
}

/// A stanza that waits for a paused session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptStanza {
    /// In the namespace of clients.
    pub bytes: Vec<u8>,
    /// When it came.
    pub received: Timestamp,
    /// Whether it may be stored when it cannot be delivered.
    pub storable: bool,
    /// The row that holds a durable copy.
    pub stored: Option<StoredId>,
    /// A number that it shares with its copies in other sessions of the account, if there are any.
    pub copies: Option<u32>,
    /// Whether one of these has arrived: then it goes nowhere else when its own session is over.
    pub arrived: bool,
}

impl KeptSession {
    /// Whether each stanza in it can be read. One that cannot ends the session, and others are told so.
    pub fn is_whole(&self) -> bool {
        let waiting = self.waiting.iter().map(|stanza| &stanza.bytes);
        let directed = self.directed.iter().map(|(_, bytes)| bytes);
        let received = self.received.iter().map(|presence| &presence.bytes);
        let mut all = waiting.chain(directed).chain(received).chain(&self.presence);
        all.all(|bytes| parse(bytes).is_some())
    }
}

impl Account {
    /// The server stops for a while (`docs/kept.md`, restart).
    pub(crate) fn suspend(&mut self, context: &mut Context<'_, Settings>, out: &mut Out) {
        self.is_stopping = true;
        let ids: Vec<SessionId> = self.sessions.iter().map(|session| session.id).collect();
        for id in ids {
            let Some(session) = self.session(id) else { continue };
            match (&session.promise, &session.pause) {
                (Some(_), Some(_)) => {}
                (Some(_), None) => out.effects.push(Effect::Signal {
                    mailbox: Arc::clone(&session.mailbox),
                    signal: Signal::Suspend,
                }),
                (None, _) => {
                    let error = StreamError::new(StreamCondition::SystemShutdown);
                    self.end_session(context, id, error, out);
                }
            }
        }
    }

    /// Whoever waits for an acknowledgement gets it before the server stops, as far as the store can help.
    pub(crate) fn settle_all(
        &mut self,
        context: &mut Context<'_, Settings>,
        answer: Box<dyn FnOnce() + Send>,
        out: &mut Out,
    ) {
        let ids: Vec<SessionId> = self.sessions.iter().map(|session| session.id).collect();
        for id in ids {
            self.settle_paused(context, id, out);
        }
        out.effects.push(Effect::Answer(Box::new(answer)));
    }

    /// Gives the sessions away that can be resumed: nobody learns that they are gone, because they come back.
    pub(crate) fn keep(
        &mut self,
        context: &Context<'_, Settings>,
        answer: Box<dyn FnOnce(Vec<KeptSession>) + Send>,
        out: &mut Out,
    ) {
        let (now, wall) = (context.now, context.wall);
        let (kept, rest) = std::mem::take(&mut self.sessions)
            .into_iter()
            .partition(|session| session.promise.is_some());
        self.sessions = rest;
        let kept: Vec<Session> = kept;
        // Only when all that was decided is durable is it known which stanza has a row.
        let capabilities = Arc::clone(&context.settings.presence.capabilities);
        let give = move || {
            let mut numbers = BTreeMap::new();
            let write = |session: Session| {
                let written = written(&session, &mut numbers, &capabilities, now, wall);
                session.mailbox.close();
                written
            };
            answer(kept.into_iter().filter_map(write).collect());
        };
        out.effects.push(Effect::Answer(Box::new(give)));
    }

    /// Sessions of an earlier process wait again for their clients, as long as they were promised, from now on: no
    /// client could come while the server was away.
    pub(crate) fn restore(
        &mut self,
        context: &mut Context<'_, Settings>,
        sessions: Vec<(SessionId, KeptSession)>,
        out: &mut Out,
    ) {
        let mut copies = BTreeMap::new();
        for (id, mut kept) in sessions {
            let (time, address) = (kept.time, kept.address.clone());
            if self.session_at(&address).is_some() {
                continue;
            }
            let received = std::mem::take(&mut kept.received);
            let stanzas: Option<Vec<Stanza>> =
                received.iter().map(|presence| parse(&presence.bytes)).collect();
            let (Some(session), Some(stanzas)) = (self.read(context, id, kept, &mut copies), stanzas) else {
                self.say_gone(&address, out);
                continue;
            };
            self.add_session(session);
            if !self.exists() || self.flags.disabled {
                // The account was changed while the server was away.
                self.give_up(context, id, PauseEnd::Replaced, out);
                continue;
            }
            for (presence, stanza) in received.iter().zip(&stanzas) {
                self.go_on_holding(context, id, presence, stanza, out);
            }
            self.goes_on_in_rooms(context, id, out);
            self.expire_at(context.now + time, out);
            // The last process may have stopped before it had written that.
            self.holders_changed(context, out);
        }
    }

    /// A session that was kept cannot be read: it was promised to its client, and others see it.
    fn say_gone(&self, session: &Address, out: &mut Out) {
        for to in self.roster.subscribers().cloned().collect::<Vec<Address>>() {
            let gone = Stanza::build(
                Kind::Presence(PresenceType::Unavailable),
                Some(session),
                Some(&to),
                None,
                b"",
            );
            if let Ok(parcel) = self.release_for_user(Parcel::new(gone)) {
                out.effects.push(Effect::Route {
                    parcel,
                    receipt: None,
                });
            }
        }
    }

    fn read(
        &mut self,
        context: &Context<'_, Settings>,
        id: SessionId,
        kept: KeptSession,
        copies: &mut BTreeMap<u32, Copies>,
    ) -> Option<Session> {
        let now = context.now;
        let age = |at: Timestamp| context.wall.since(at);
        let mut entries = Vec::new();
        for stanza in &kept.waiting {
            entries.push(KeptEntry {
                parcel: Parcel::new(parse(&stanza.bytes)?),
                storable: stanza.storable,
                stored: stanza.stored,
                copies: match stanza.arrived {
                    true => Some(Copies::of_arrived()),
                    false => stanza
                        .copies
                        .map(|number| copies.entry(number).or_default().clone()),
                },
                pushed: now.before(age(stanza.received)),
            });
            if let Some(row) = stanza.stored {
                self.waiting.in_mailbox(row, stanza.bytes.len());
            }
        }
        let mailbox = Mailbox::restored(
            context.settings.mailbox,
            Kept {
                acknowledged: kept.acknowledged,
                handled: kept.handled,
                entries,
            },
        );
        let presence = match &kept.presence {
            Some(bytes) => {
                let stanza = parse(bytes)?;
                let priority = crate::presence::priority(&stanza)?;
                Some(Available {
                    stanza,
                    priority,
                    said: None,
                })
            }
            None => None,
        };
        let directed = kept
            .directed
            .iter()
            .map(|(to, bytes)| Some((to.clone(), parse(bytes)?)))
            .collect::<Option<BTreeMap<Address, Stanza>>>()?;
        // Some clients say what they can do only to rooms.
        let mut interest = Interest::default();
        let broadcast = presence.as_ref().map(|available| &available.stanza);
        for stanza in directed.values().chain(broadcast) {
            interest.follow(stanza);
        }
        if let Some(asks) = kept.asks {
            interest.learn(asks);
        }
        let pause = Pause {
            cause: PauseCause::ConnectionLost,
            since: now.before(age(kept.paused)),
            since_wall: kept.paused,
            until: Some(now + kept.time),
        };
        Some(Session {
            former: Vec::new(),
            promise: Some(Promise {
                id: kept.id,
                time: kept.time,
            }),
            pause: Some(pause),
            presence,
            interested: kept.interested,
            knows_blocklist: kept.knows_blocklist,
            active_list: kept.active_list.as_deref().map(privacy::ListName::new),
            uses_lists: kept.uses_lists,
            directed,
            hidden_from: kept.hidden_from.into_iter().collect(),
            // PSA-44: nobody is told anew, but who comes gets its presence with the news.
            told: Told {
                pause: Some(PauseCause::ConnectionLost),
                elsewhere: kept.told_elsewhere,
            },
            interest,
            rooms: Occupancies::restored(kept.rooms, context.settings),
            ..Session::new(id, kept.address, mailbox, kept.since)
        })
    }
}

fn written(
    session: &Session,
    numbers: &mut BTreeMap<usize, u32>,
    capabilities: &Capabilities,
    now: machine::Moment,
    wall: Timestamp,
) -> Option<KeptSession> {
    let promise = session.promise.as_ref()?;
    let kept = session.mailbox.keep();
    let bytes = |stanza: &Stanza| Parcel::new(stanza.clone()).to_bytes();
    let mut number = |copies: &Copies| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        *numbers.entry(copies.identity()).or_insert(next)
    };
    let waiting = |entry: &KeptEntry| KeptStanza {
        bytes: entry.parcel.to_bytes(),
        received: wall.before(now.since(entry.pushed)),
        storable: entry.storable,
        stored: entry.stored,
        copies: entry.copies.as_ref().map(&mut number),
        arrived: entry.copies.as_ref().is_some_and(Copies::has_arrived),
    };
    Some(KeptSession {
        address: session.address.clone(),
        id: promise.id.clone(),
        time: promise.time,
        since: session.since,
        paused: session.pause.map_or(wall, |pause| pause.since_wall),
        presence: session.presence.as_ref().map(|presence| bytes(&presence.stanza)),
        interested: session.interested,
        knows_blocklist: session.knows_blocklist,
        active_list: session.active_list.as_ref().map(|name| name.as_str().to_owned()),
        uses_lists: session.uses_lists,
        directed: session
            .directed
            .iter()
            .map(|(to, stanza)| (to.clone(), bytes(stanza)))
            .collect(),
        hidden_from: session.hidden_from.iter().cloned().collect(),
        told_elsewhere: session.told.elsewhere.clone(),
        asks: session.interest.would_ask(capabilities),
        rooms: session
            .rooms
            .iter()
            .filter(|(_, occupancy)| occupancy.has_answered())
            .map(|(_, occupancy)| occupancy.occupant.clone())
            .collect(),
        received: session.received.iter().map(presence_written).collect(),
        acknowledged: kept.acknowledged,
        handled: kept.handled,
        waiting: kept.entries.iter().map(waiting).collect(),
    })
}

fn presence_written((from, held): (&Address, &Held)) -> KeptPresence {
    KeptPresence {
        from: from.clone(),
        bytes: Parcel::new(held.stanza()).to_bytes(),
        foreign: held.foreign().map(<[u8]>::to_vec),
        shown: held.shown,
        told: held.told,
    }
}

/// A stanza as it was written down.
pub(crate) fn parse(bytes: &[u8]) -> Option<Stanza> {
    let element = Element::parse(bytes, ContentNamespace::Client, &xml::Limits::unlimited()).ok()?;
    let from = stanza::address_attribute(&element, "from").ok()?;
    let to = stanza::address_attribute(&element, "to").ok()?;
    Stanza::new(element, from, to, None).ok()
}
