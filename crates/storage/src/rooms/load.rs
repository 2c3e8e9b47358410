//! Questions about rooms as statements.
//!
//! A room is read in several statements without a transaction around them: only its machine changes its rows, and that
//! is not in memory while it is being loaded.

use std::collections::BTreeMap;

use machine::Timestamp;
use muc::{AffiliationRow, OccupantRow, RoomRow, SaidRow, Saved, Tombstone};
use router::WhichRooms;
use stanza::Address;

use crate::apply::key;
use crate::connection::{Connection, Row, Value};
use crate::failure::Failure;
use crate::load::{Ask, account_address, address, each, number};
use crate::sql;

/// A room with so many of the messages that were said last.
pub(crate) struct Room(pub(crate) Address, pub(crate) usize);

impl Ask for Room {
    type Answer = Saved;

    async fn ask(&self, connection: &mut Connection) -> Result<Saved, Failure> {
        let Room(address, history) = self;
        let (host, name) = key(address);
        let place = [Value::Text(host), Value::Text(name)];
        let mut saved = Saved {
            occupants: each(connection, sql::ROOM_OCCUPANTS_LOAD, &place, occupant).await?,
            ..Saved::default()
        };
        let Some(row) = connection.row(sql::ROOM_LOAD, &place).await? else {
            let found = connection.row(sql::ROOM_TOMBSTONE_LOAD, &place).await?;
            saved.tombstone = found.as_ref().map(tombstone).transpose()?;
            return Ok(saved);
        };
        let id = Value::Integer(row.get(0)?);
        saved.room = Some(room(&row, 1)?);
        saved.subject = row.get(6)?;
        saved.card = row.get(7)?;
        saved.affiliations = each(connection, sql::ROOM_AFFILIATIONS_LOAD, &[id], affiliation).await?;
        saved.affiliations.sort_by(|one, other| one.user.cmp(&other.user));
        let history = Value::Integer(i64::try_from(*history).unwrap_or(i64::MAX));
        saved.history = each(connection, sql::ROOM_HISTORY_LOAD, &[id, history], said).await?;
        saved.history.reverse();
        Ok(saved)
    }
}

/// Rooms that are kept.
pub(crate) struct Listed(pub(crate) WhichRooms);

impl Ask for Listed {
    type Answer = Vec<(Address, RoomRow)>;

    async fn ask(&self, connection: &mut Connection) -> Result<Self::Answer, Failure> {
        let named = |row: &Row| Ok((account_address(row)?, room(row, 2)?));
        let Listed(which) = self;
        let mut rooms = match which {
            WhichRooms::All => each(connection, sql::ROOMS_LIST, &[], named).await?,
            WhichRooms::MadeBy(creator) => {
                let creator = [Value::Text(creator.as_str())];
                each(connection, sql::ROOMS_MADE, &creator, named).await?
            }
            WhichRooms::Listed { host, max } => {
                let max = i64::try_from(*max).unwrap_or(i64::MAX);
                let values = [Value::Text(host), Value::Integer(max)];
                each(connection, sql::ROOMS_LISTED, &values, named).await?
            }
        };
        rooms.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(rooms)
    }
}

/// How many rooms are kept, by the service that they are at.
pub(crate) struct Count;

impl Ask for Count {
    type Answer = BTreeMap<String, usize>;

    async fn ask(&self, connection: &mut Connection) -> Result<Self::Answer, Failure> {
        let counted = |row: &Row| Ok((row.get(0)?, number(row, 1)?));
        let services = each(connection, sql::ROOMS_COUNT, &[], counted).await?;
        Ok(services.into_iter().collect())
    }
}

/// The rooms that have rows of those who are in them.
pub(crate) struct Vanished;

impl Ask for Vanished {
    type Answer = Vec<Address>;

    async fn ask(&self, connection: &mut Connection) -> Result<Vec<Address>, Failure> {
        let mut rooms = each(connection, sql::ROOM_OCCUPANTS_LIST, &[], account_address).await?;
        rooms.sort();
        Ok(rooms)
    }
}

/// The row of a room from this column on.
fn room(row: &Row, first: usize) -> Result<RoomRow, Failure> {
    Ok(RoomRow {
        creator: address(&row.get::<String>(first)?)?,
        title: row.get(first + 1)?,
        listed: row.get(first + 2)?,
        configuration: row.get(first + 3)?,
        secret: row.get(first + 4)?,
    })
}

fn affiliation(row: &Row) -> Result<AffiliationRow, Failure> {
    Ok(AffiliationRow {
        user: address(&row.get::<String>(0)?)?,
        affiliation: row.get(1)?,
        nick: row.get(2)?,
    })
}

fn said(row: &Row) -> Result<SaidRow, Failure> {
    Ok(SaidRow {
        id: row.get(0)?,
        at: Timestamp::from_unix_micros(row.get(1)?),
        stanza: row.get(2)?,
    })
}

fn occupant(row: &Row) -> Result<OccupantRow, Failure> {
    Ok(OccupantRow {
        client: address(&row.get::<String>(0)?)?,
        nick: row.get(1)?,
    })
}

fn tombstone(row: &Row) -> Result<Tombstone, Failure> {
    let alternative: Option<String> = row.get(1)?;
    Ok(Tombstone {
        at: Timestamp::from_unix_micros(row.get(0)?),
        alternative: alternative.as_deref().map(address).transpose()?,
        reason: row.get(2)?,
    })
}
