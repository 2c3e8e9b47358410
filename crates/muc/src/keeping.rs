//! What of a room is kept, and how it comes back: from the store, and over a restart (`docs/kept.md`, restart).

use std::cell::OnceCell;

use machine::Context;
use smallvec::SmallVec;
use stanza::{Address, Condition, Parcel, Stanza, StanzaError};
use xml::{ContentNamespace, Element, Limits, Tree};

use crate::affiliations::{Affiliations, Entry};
use crate::form::Submission;
use crate::history::History;
use crate::occupant::{Client, Occupant, Occupants};
use crate::reach::Reach;
use crate::room::{Out, Room};
use crate::stored::{
    AffiliationRow, Change, KeptClient, KeptOccupant, KeptRoom, OccupantRow, RoomRow, Saved, Tombstone,
};
use crate::{Affiliation, Config, Effect, Role, Settings, Tally, View};

#[cfg(test)]
mod tests;

/// What is kept of a room cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what is kept of {room} cannot be read: {what}")]
pub struct Unreadable {
    room: Address,
    what: String,
}

impl Room {
    /// The room as it was kept; where nothing was, nobody is there, and there is no such room.
    ///
    /// # Errors
    /// When the rows make no sense.
    pub fn restored(address: Address, saved: Saved) -> Result<Room, Unreadable> {
        let unreadable = |what: String| Unreadable {
            room: address.clone(),
            what,
        };
        let mut room = Room::new(address.clone());
        room.tombstone = saved.tombstone;
        room.rows = saved
            .occupants
            .into_iter()
            .map(|row| (row.client, row.nick))
            .collect();
        room.vanished = room.rows.clone();
        let Some(row) = saved.room else { return Ok(room) };
        room.stored = true;
        room.creator = Some(row.creator);
        room.secret = row.secret;
        room.config = Config::from_saved(&row.configuration).map_err(&unreadable)?;
        let entries = saved.affiliations.into_iter().map(|row| {
            let affiliation = Affiliation::from_code(row.affiliation)
                .ok_or_else(|| unreadable(format!("{} is stored as an affiliation", row.affiliation)))?;
            let nick = row.nick;
            Ok((row.user, Entry { affiliation, nick }))
        });
        let entries: Vec<_> = entries.collect::<Result<_, Unreadable>>()?;
        room.affiliations = Affiliations::restored(entries.into_iter());
        let parcel = |bytes: &[u8]| {
            let parsed = parse(bytes).ok_or_else(|| unreadable("a stanza that is none".to_owned()))?;
            Ok(Parcel::new(parsed))
        };
        room.subject = saved.subject.as_deref().map(parcel).transpose()?;
        room.card = saved.card;
        let said = saved.history.iter();
        let said = said.map(|row| Ok((row.id, row.at, parcel(&row.stanza)?)));
        room.history = History::restored(said.collect::<Result<_, Unreadable>>()?);
        Ok(room)
    }

    /// Every row of it, as if it were written anew.
    pub(crate) fn saved(&self) -> Saved {
        Saved {
            room: Some(self.row()),
            subject: self.subject.as_ref().map(Parcel::to_bytes),
            card: self.card.clone(),
            affiliations: self
                .affiliations
                .entries()
                .map(|(user, entry)| affiliation_row(user, entry))
                .collect(),
            history: self.history.rows().collect(),
            occupants: Vec::new(),
            tombstone: None,
        }
    }

    fn row(&self) -> RoomRow {
        RoomRow {
            creator: self.creator.clone().unwrap_or_else(|| self.address.clone()),
            title: self.config.name.clone(),
            listed: self.config.public,
            configuration: self.config.to_saved(),
            secret: self.secret.clone(),
        }
    }

    /// The configuration has changed, which may also begin or end that the room is kept.
    pub(crate) fn keep_configuration(&mut self, out: &mut Out) {
        if !self.config.persistent {
            if std::mem::take(&mut self.stored) {
                out.commit.push(Change::Removed);
                out.effects.push(Effect::Count(Tally::Stored(false)));
            }
            return;
        }
        out.commit.push(Change::Room(Box::new(self.row())));
        if std::mem::replace(&mut self.stored, true) {
            return;
        }
        out.effects.push(Effect::Count(Tally::Stored(true)));
        let saved = self.saved();
        out.commit
            .extend(saved.affiliations.into_iter().map(Change::Affiliation));
        out.commit.extend(saved.history.into_iter().map(Change::Said));
        if saved.subject.is_some() {
            out.commit.push(Change::Subject(saved.subject));
        }
        if saved.card.is_some() {
            out.commit.push(Change::Card(saved.card));
        }
        // All of them are written.
        drop(self.affiliations.take_changed());
    }

    /// Writes what one input has changed: affiliations of a room that is kept, and who is in it from elsewhere.
    pub(crate) fn keep_changes(&mut self, settings: &Settings, out: &mut Out) {
        let stored = self.stored;
        for (user, entry) in self.affiliations.take_changed().filter(|_| stored) {
            out.commit.push(match entry {
                Some(entry) => Change::Affiliation(affiliation_row(&user, entry)),
                None => Change::NoAffiliation(user),
            });
        }
        for client in self.occupants.take_touched() {
            if settings.is_local(&client) {
                // A crash of this server ends its session too.
                continue;
            }
            let nick = self.occupants.of_client(&client).map(Occupant::nick);
            match (self.rows.get(&client), nick) {
                (Some(known), Some(nick)) if known == nick => {}
                (_, Some(nick)) => {
                    let nick = nick.to_owned();
                    self.rows.insert(client.clone(), nick.clone());
                    out.commit.push(Change::Entered(OccupantRow { client, nick }));
                }
                (Some(_), None) => {
                    self.rows.remove(&client);
                    out.commit.push(Change::Left(client));
                }
                (None, None) => {}
            }
        }
    }

    /// Those who were in the room when an earlier process ended without a goodbye learn that they are out.
    pub(crate) fn tell_vanished(&mut self, out: &mut Out) {
        for (client, nick) in std::mem::take(&mut self.vanished) {
            let has_row = self.rows.remove(&client).is_some();
            if let Some(parcel) = out_of_the_room(&self.address, &nick, &client) {
                out.effects.push(Effect::Route(parcel, None));
            }
            if has_row {
                out.commit.push(Change::Left(client));
            }
        }
    }

    /// The machine is lost: what everybody in the room has to hear.
    pub fn farewell(&self) -> Vec<Parcel> {
        let all = self.occupants.iter().flat_map(|occupant| {
            let of = |client: &Client| out_of_the_room(&self.address, occupant.nick(), &client.address);
            occupant.clients.iter().filter_map(of).collect::<Vec<_>>()
        });
        all.collect()
    }

    /// The server stops for a while: everybody in the room is given away, and told nothing.
    pub(crate) fn keep(&mut self) -> Option<KeptRoom> {
        if self.occupants.is_empty() {
            return None;
        }
        let kept = KeptRoom {
            address: self.address.clone(),
            locked: self.locked,
            room: (!self.stored).then(|| Box::new(self.saved())),
            occupants: self.occupants.iter().map(kept_occupant).collect(),
        };
        // Nobody hears from this room until it is back; the rows of who is in it stay, should it not come back.
        self.occupants = Occupants::default();
        self.is_away = true;
        Some(kept)
    }

    /// The room goes on with those who were in it. `lost` are clients of this server whose sessions are gone.
    pub(crate) fn go_on(
        &mut self,
        context: &mut Context<'_, Settings>,
        kept: KeptRoom,
        lost: &[Address],
        out: &mut Out,
    ) {
        if !self.exists()
            && let Some(saved) = kept.room
            && let Ok(room) = Room::restored(self.address.clone(), *saved)
        {
            let (rows, vanished) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.vanished));
            *self = Room {
                rows,
                vanished,
                outages: std::mem::take(&mut self.outages),
                stored: false,
                locked: kept.locked,
                tombstone: self.tombstone.take(),
                creation: self.creation.take(),
                ..room
            };
        } else if !self.stored {
            // What it was is not known: nobody can be in it.
            for occupant in &kept.occupants {
                for client in &occupant.clients {
                    self.vanished
                        .insert(client.address.clone(), occupant.nick.clone());
                }
            }
            self.tell_vanished(out);
            return;
        }
        for occupant in kept.occupants {
            if let Some(occupant) = self.read(occupant) {
                for client in &occupant.clients {
                    self.vanished.remove(&client.address);
                }
                self.occupants.insert(occupant);
            }
        }
        self.tell_vanished(out);
        self.let_go(lost, out);
        self.resume_watch(context, out);
        let nicks: Vec<String> = self.occupants.iter().map(|one| one.nick().to_owned()).collect();
        for nick in nicks {
            self.assess(&nick, out);
        }
        self.annotate(context, out);
        // PSA-64: who left meanwhile could not say so.
        let elsewhere = self.occupants.clients().map(|client| &client.address);
        let elsewhere = elsewhere.filter(|address| !context.settings.is_local(address));
        let elsewhere: Vec<Address> = elsewhere.cloned().collect();
        for address in &elsewhere {
            self.probe(context, address, out);
        }
        self.close_when_empty();
    }

    fn read(&self, kept: KeptOccupant) -> Option<Occupant> {
        let client = |kept: KeptClient| {
            let mut client = Client::new(kept.address, parse(&kept.presence)?);
            client.reach = Reach::restored(kept.paused, kept.missed);
            Some(client)
        };
        let clients: SmallVec<[Client; 1]> = kept.clients.into_iter().filter_map(client).collect();
        let user = clients.first()?.address.clone();
        let role = Role::parse(&kept.role)?;
        Some(Occupant {
            address: self.address.with_resource(&kept.nick).ok()?,
            role,
            affiliation: self.affiliation(&user),
            id: self.occupant_id(&user),
            clients,
            state: None,
            told: None,
            seen: self.config.broadcasts(role),
            copies: OnceCell::new(),
        })
    }

    /// The error for whoever comes to a room that was destroyed, as long as that is remembered (RFC 6120 §8.3.3.5).
    pub(crate) fn buried(&self, context: &Context<'_, Settings>) -> Option<StanzaError> {
        let tombstone = self.tombstone.as_ref().filter(|_| !self.exists())?;
        if context.wall.since(tombstone.at) >= context.settings.tombstones {
            return None;
        }
        let mut error = StanzaError::new(Condition::Gone);
        if let Some(alternative) = &tombstone.alternative {
            error = error.address(format!("xmpp:{}?join", percent_encoded(alternative.as_str())));
        }
        Some(match &tombstone.reason {
            Some(reason) => error.text(reason.clone()),
            None => error,
        })
    }

    /// The room was destroyed: what is left of it, if it was kept.
    pub(crate) fn bury(
        &mut self,
        context: &Context<'_, Settings>,
        alternative: Option<&Address>,
        reason: Option<String>,
        out: &mut Out,
    ) {
        let stored = self.stored;
        self.vanish();
        if stored {
            let tombstone = Tombstone {
                at: context.wall,
                alternative: alternative.cloned(),
                reason,
            };
            self.tombstone = Some(tombstone.clone());
            out.effects.push(Effect::Count(Tally::Stored(false)));
            out.commit.push(Change::Destroyed {
                tombstone,
                forget: context.wall.before(context.settings.tombstones),
            });
        }
    }
}

impl KeptRoom {
    /// It does not go on: what everybody who was in it has to hear.
    pub fn farewell(&self) -> Vec<Parcel> {
        let all = self.occupants.iter().flat_map(|occupant| {
            let of = |client: &KeptClient| out_of_the_room(&self.address, &occupant.nick, &client.address);
            occupant.clients.iter().filter_map(of)
        });
        all.collect()
    }
}

impl View {
    /// A room that is not in memory, as its row tells.
    pub fn of_row(address: Address, row: &RoomRow) -> View {
        let config = Config::from_saved(&row.configuration).unwrap_or_default();
        View {
            address,
            name: config.name,
            public: config.public,
            members_only: config.members_only,
            moderated: config.moderated,
            protected: config.protected,
            persistent: true,
            creator: Some(row.creator.clone()),
            occupants: 0,
            clients: 0,
            unreachable: 0,
            paused: 0,
        }
    }
}

impl Config {
    /// The fields that are not as usual, as a submitted form.
    pub(crate) fn to_saved(&self) -> String {
        let usual = Config::default().fields();
        let mut form = self.fields();
        let usual: Vec<&Tree> = usual.children().collect();
        form.nodes.retain(|node| match node {
            xml::Node::Element(field) => !usual.contains(&field),
            xml::Node::Text(_) => false,
        });
        String::from_utf8_lossy(&form.to_bytes("")).into_owned()
    }

    /// What [`Config::to_saved`] gave.
    pub(crate) fn from_saved(text: &str) -> Result<Config, String> {
        let form =
            Tree::parse(text.as_bytes(), "", &Limits::unlimited()).map_err(|error| error.to_string())?;
        let mut config = Config::default();
        config.read(&Submission::from_form(&form))?;
        Ok(config)
    }
}

fn affiliation_row(user: &Address, entry: &Entry) -> AffiliationRow {
    AffiliationRow {
        user: user.clone(),
        affiliation: entry.affiliation.code(),
        nick: entry.nick.clone(),
    }
}

fn kept_occupant(occupant: &Occupant) -> KeptOccupant {
    let client = |client: &Client| KeptClient {
        address: client.address.clone(),
        presence: Parcel::new(client.presence.clone()).to_bytes(),
        paused: client.reach.paused,
        missed: client.reach.kept(),
    };
    KeptOccupant {
        nick: occupant.nick().to_owned(),
        role: occupant.role.as_str().to_owned(),
        clients: occupant.clients.iter().map(client).collect(),
    }
}

/// XEP-0045 §17.3 (status 333): the client is out of the room because of a fault.
fn out_of_the_room(room: &Address, nick: &str, client: &Address) -> Option<Parcel> {
    let from = room.with_resource(nick).ok()?;
    let payload = "<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/>\
        <status code='110'/><status code='333'/></x>";
    let kind = stanza::Kind::Presence(stanza::PresenceType::Unavailable);
    let gone = Stanza::build(kind, Some(&from), Some(client), None, payload.as_bytes());
    Some(Parcel::new(gone))
}

/// RFC 5122 §2.2: what is no plain character of an address in a URI.
fn percent_encoded(address: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~@!$'()*+,;=:".contains(&byte);
    address.bytes().fold(String::new(), |mut text, byte| {
        if plain(byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

/// A stanza as it was written down.
fn parse(bytes: &[u8]) -> Option<Stanza> {
    let element = Element::parse(bytes, ContentNamespace::Client, &Limits::unlimited()).ok()?;
    let from = stanza::address_attribute(&element, "from").ok()?;
    let to = stanza::address_attribute(&element, "to").ok()?;
    Stanza::new(element, from, to, None).ok()
}
