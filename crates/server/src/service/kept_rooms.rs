//! The file in the data directory that keeps who is in rooms while the server is away (`docs/kept.md`, restart),
//! and with them the rooms that no store keeps.
//!
//! One line of JSON says which format it is, then each line is a room.

use std::fs;
use std::io;
use std::path::Path;

use machine::Timestamp;
use muc::{AffiliationRow, KeptClient, KeptMissed, KeptOccupant, KeptRoom, RoomRow, SaidRow, Saved};
use serde::{Deserialize, Serialize};
use stanza::Address;

use super::kept::{text, write_lines};

/// What this version writes and reads. A change of [`Room`] that an older server would misread needs a higher one.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Head {
    /// What the file is.
    balcony_rooms: u32,
}

/// One room. Stanzas are text; times are microseconds since 1970.
#[derive(Serialize, Deserialize)]
struct Room {
    address: String,
    locked: bool,
    room: Option<Whole>,
    occupants: Vec<Occupant>,
}

/// A room that ends with its last occupant.
#[derive(Serialize, Deserialize)]
struct Whole {
    creator: String,
    title: String,
    listed: bool,
    configuration: String,
    secret: String,
    subject: Option<String>,
    card: Option<String>,
    /// User, affiliation, reserved nick.
    affiliations: Vec<(String, i64, Option<String>)>,
    /// Place, time, stanza.
    history: Vec<(i64, i64, String)>,
}

#[derive(Serialize, Deserialize)]
struct Occupant {
    nick: String,
    role: String,
    clients: Vec<Client>,
}

#[derive(Serialize, Deserialize)]
struct Client {
    address: String,
    presence: String,
    paused: bool,
    missed: Option<Missed>,
}

#[derive(Serialize, Deserialize)]
struct Missed {
    messages: Vec<String>,
    nicks: Vec<String>,
    subject: bool,
    too_much: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Rooms that go on.
    pub(super) rooms: Vec<KeptRoom>,
    /// What could not be read, in words for the operator.
    pub(super) problems: Vec<String>,
}

/// Writes the rooms, so that after a crash in the middle the file is not there.
pub(super) fn write(path: &Path, rooms: &[KeptRoom]) -> io::Result<()> {
    let head = Head {
        balcony_rooms: FORMAT,
    };
    write_lines(path, &head, rooms.iter().map(writable))
}

/// Reads the file. No file: there is nothing to go on with.
pub(super) fn load(path: &Path) -> Found {
    match fs::read_to_string(path) {
        Ok(text) => read(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::default(),
        Err(error) => Found {
            problems: vec![format!("cannot read {}: {error}", path.display())],
            ..Found::default()
        },
    }
}

fn read(text: &str) -> Found {
    let mut found = Found::default();
    let mut lines = text.lines();
    let head = lines
        .next()
        .and_then(|head| serde_json::from_str::<Head>(head).ok());
    match head {
        Some(Head {
            balcony_rooms: FORMAT,
        }) => {}
        Some(Head { balcony_rooms }) => {
            found.problems.push(format!(
                "the rooms were kept in format {balcony_rooms}, and this version reads format {FORMAT}"
            ));
            return found;
        }
        None => {
            found.problems.push("this is no file of kept rooms".to_owned());
            return found;
        }
    }
    for (number, text) in lines.enumerate() {
        let room = serde_json::from_str::<Room>(text).map_err(|error| error.to_string());
        match room.and_then(readable) {
            Ok(room) => found.rooms.push(room),
            Err(why) => found.problems.push(format!("line {}: {why}", number + 2)),
        }
    }
    found
}

fn writable(kept: &KeptRoom) -> Room {
    Room {
        address: kept.address.to_string(),
        locked: kept.locked,
        room: kept.room.as_deref().and_then(whole),
        occupants: kept.occupants.iter().map(occupant).collect(),
    }
}

fn whole(saved: &Saved) -> Option<Whole> {
    let row = saved.room.as_ref()?;
    let affiliation = |row: &AffiliationRow| (row.user.to_string(), row.affiliation, row.nick.clone());
    let said = |row: &SaidRow| (row.id, row.at.as_unix_micros(), text(&row.stanza));
    Some(Whole {
        creator: row.creator.to_string(),
        title: row.title.clone(),
        listed: row.listed,
        configuration: row.configuration.clone(),
        secret: row.secret.clone(),
        subject: saved.subject.as_deref().map(text),
        card: saved.card.as_deref().map(text),
        affiliations: saved.affiliations.iter().map(affiliation).collect(),
        history: saved.history.iter().map(said).collect(),
    })
}

fn occupant(kept: &KeptOccupant) -> Occupant {
    let missed = |missed: &KeptMissed| Missed {
        messages: missed.messages.clone(),
        nicks: missed.nicks.clone(),
        subject: missed.subject,
        too_much: missed.is_too_much,
    };
    let client = |client: &KeptClient| Client {
        address: client.address.to_string(),
        presence: text(&client.presence),
        paused: client.paused,
        missed: client.missed.as_ref().map(missed),
    };
    Occupant {
        nick: kept.nick.clone(),
        role: kept.role.clone(),
        clients: kept.clients.iter().map(client).collect(),
    }
}

fn address(text: &str) -> Result<Address, String> {
    Address::parse(text).map_err(|error| format!("{text}: {error}"))
}

fn readable(room: Room) -> Result<KeptRoom, String> {
    Ok(KeptRoom {
        address: address(&room.address)?,
        locked: room.locked,
        room: room.room.map(saved).transpose()?.map(Box::new),
        occupants: room
            .occupants
            .into_iter()
            .map(kept_occupant)
            .collect::<Result<_, String>>()?,
    })
}

fn saved(whole: Whole) -> Result<Saved, String> {
    let affiliation = |(user, affiliation, nick): (String, i64, Option<String>)| {
        Ok(AffiliationRow {
            user: address(&user)?,
            affiliation,
            nick,
        })
    };
    let said = |(id, at, stanza): (i64, i64, String)| SaidRow {
        id,
        at: Timestamp::from_unix_micros(at),
        stanza: stanza.into_bytes(),
    };
    Ok(Saved {
        room: Some(RoomRow {
            creator: address(&whole.creator)?,
            title: whole.title,
            listed: whole.listed,
            configuration: whole.configuration,
            secret: whole.secret,
        }),
        subject: whole.subject.map(String::into_bytes),
        card: whole.card.map(String::into_bytes),
        affiliations: whole
            .affiliations
            .into_iter()
            .map(affiliation)
            .collect::<Result<_, String>>()?,
        history: whole.history.into_iter().map(said).collect(),
        ..Saved::default()
    })
}

fn kept_occupant(occupant: Occupant) -> Result<KeptOccupant, String> {
    let missed = |missed: Missed| KeptMissed {
        messages: missed.messages,
        nicks: missed.nicks,
        subject: missed.subject,
        is_too_much: missed.too_much,
    };
    let client = |client: Client| {
        Ok(KeptClient {
            address: address(&client.address)?,
            presence: client.presence.into_bytes(),
            paused: client.paused,
            missed: client.missed.map(missed),
        })
    };
    Ok(KeptOccupant {
        nick: occupant.nick,
        role: occupant.role,
        clients: occupant
            .clients
            .into_iter()
            .map(client)
            .collect::<Result<_, String>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::TemporaryDirectory;

    fn room() -> KeptRoom {
        let parsed = |text| Address::parse(text).unwrap();
        KeptRoom {
            address: parsed("coven@rooms.montague.lit"),
            locked: true,
            room: Some(Box::new(Saved {
                room: Some(RoomRow {
                    creator: parsed("crone1@montague.lit"),
                    title: "A \"dark\" cave".to_owned(),
                    listed: true,
                    configuration: "<x xmlns='jabber:x:data'/>".to_owned(),
                    secret: "abc".to_owned(),
                }),
                subject: Some(b"<message><subject>\xc3\xa9</subject></message>".to_vec()),
                card: Some(b"<vCard/>".to_vec()),
                affiliations: vec![AffiliationRow {
                    user: parsed("crone1@montague.lit"),
                    affiliation: 4,
                    nick: Some("first\nwitch".to_owned()),
                }],
                history: vec![SaidRow {
                    id: 7,
                    at: Timestamp::from_unix_micros(3),
                    stanza: b"<message/>".to_vec(),
                }],
                ..Saved::default()
            })),
            occupants: vec![KeptOccupant {
                nick: "thirdwitch".to_owned(),
                role: "visitor".to_owned(),
                clients: vec![KeptClient {
                    address: parsed("hag66@shakespeare.lit/pda"),
                    presence: b"<presence/>".to_vec(),
                    paused: true,
                    missed: Some(KeptMissed {
                        messages: vec!["id".to_owned()],
                        nicks: vec!["firstwitch".to_owned()],
                        subject: true,
                        is_too_much: false,
                    }),
                }],
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let directory = TemporaryDirectory::new("kept-rooms");
        let path = directory.path().join("rooms");
        let rooms = vec![
            room(),
            KeptRoom {
                locked: false,
                room: None,
                ..room()
            },
        ];
        write(&path, &rooms).unwrap();
        let found = load(&path);
        assert_eq!(found.rooms, rooms);
        assert_eq!(found.problems, Vec::<String>::new());
        assert!(load(&directory.path().join("nothing")).problems.is_empty());
    }

    #[test]
    fn another_format_and_what_is_broken_are_told_and_left_out() {
        assert!(read("{\"balcony_rooms\":2}\n{}\n").problems[0].contains("format 2"));
        assert_eq!(read("").problems[0], "this is no file of kept rooms");
        let broken = format!("{{\"balcony_rooms\":{FORMAT}}}\n{{\"address\":\n");
        let found = read(&broken);
        assert!(found.rooms.is_empty());
        assert!(found.problems[0].starts_with("line 2: "));
    }
}
