//! Changes of rooms as statements of one open transaction.

use muc::{Change, Tombstone};
use stanza::Address;

use crate::apply::key;
use crate::connection::{Connection, Value};
use crate::failure::Failure;
use crate::ids::{Ids, Table};
use crate::sql;

/// Makes these changes of one room.
pub(crate) async fn apply(
    connection: &mut Connection,
    ids: &mut Ids,
    address: &Address,
    changes: &[Change],
) -> Result<(), Failure> {
    for change in changes {
        match change {
            Change::Room(_)
            | Change::Removed
            | Change::Destroyed { .. }
            | Change::Entered(_)
            | Change::Left(_) => by_address(connection, ids, address, change).await?,
            Change::Subject(_)
            | Change::Card(_)
            | Change::Affiliation(_)
            | Change::NoAffiliation(_)
            | Change::Said(_)
            | Change::Forgotten(_) => {
                let room = ids
                    .of(connection, Table::Rooms, address)
                    .await?
                    .ok_or_else(|| Failure::refused("there is no such room"))?;
                by_number(connection, Value::Integer(room), change).await?;
            }
        }
    }
    Ok(())
}

/// Changes that need no row of the room, or make or delete it.
async fn by_address(
    connection: &mut Connection,
    ids: &mut Ids,
    address: &Address,
    change: &Change,
) -> Result<(), Failure> {
    let (host, name) = key(address);
    let (host, name) = (Value::Text(host), Value::Text(name));
    match change {
        Change::Room(row) => {
            let values = [
                host,
                name,
                Value::Text(row.creator.as_str()),
                Value::Text(&row.title),
                Value::Truth(row.listed),
                Value::Text(&row.configuration),
                Value::Text(&row.secret),
            ];
            connection.execute(sql::ROOM_PUT, &values).await?;
            connection
                .execute(sql::ROOM_TOMBSTONE_DELETE, &[host, name])
                .await?;
        }
        Change::Removed => delete(connection, ids, address).await?,
        Change::Destroyed { tombstone, forget } => {
            delete(connection, ids, address).await?;
            let before = [Value::Integer(forget.as_unix_micros())];
            connection.execute(sql::ROOM_TOMBSTONES_FORGET, &before).await?;
            let Tombstone {
                at,
                alternative,
                reason,
            } = tombstone;
            let values = [
                host,
                name,
                Value::Integer(at.as_unix_micros()),
                Value::MaybeText(alternative.as_ref().map(Address::as_str)),
                Value::MaybeText(reason.as_deref()),
            ];
            connection.execute(sql::ROOM_TOMBSTONE_PUT, &values).await?;
        }
        Change::Entered(row) => {
            let values = [
                host,
                name,
                Value::Text(row.client.as_str()),
                Value::Text(&row.nick),
            ];
            connection.execute(sql::ROOM_OCCUPANT_PUT, &values).await?;
        }
        Change::Left(client) => {
            let values = [host, name, Value::Text(client.as_str())];
            connection.execute(sql::ROOM_OCCUPANT_DELETE, &values).await?;
        }
        Change::Subject(_)
        | Change::Card(_)
        | Change::Affiliation(_)
        | Change::NoAffiliation(_)
        | Change::Said(_)
        | Change::Forgotten(_) => {}
    }
    Ok(())
}

async fn delete(connection: &mut Connection, ids: &mut Ids, address: &Address) -> Result<(), Failure> {
    ids.forget(address);
    let (host, name) = key(address);
    let values = [Value::Text(host), Value::Text(name)];
    connection.execute(sql::ROOM_DELETE, &values).await?;
    Ok(())
}

/// Changes of rows that belong to the row of the room.
async fn by_number(connection: &mut Connection, room: Value<'_>, change: &Change) -> Result<(), Failure> {
    match change {
        Change::Subject(subject) => {
            let values = [room, Value::MaybeBytes(subject.as_deref())];
            connection.execute(sql::ROOM_SUBJECT, &values).await?;
        }
        Change::Card(card) => {
            let values = [room, Value::MaybeBytes(card.as_deref())];
            connection.execute(sql::ROOM_CARD, &values).await?;
        }
        Change::Affiliation(row) => {
            let values = [
                room,
                Value::Text(row.user.as_str()),
                Value::Integer(row.affiliation),
                Value::MaybeText(row.nick.as_deref()),
            ];
            connection.execute(sql::ROOM_AFFILIATION_PUT, &values).await?;
        }
        Change::NoAffiliation(user) => {
            let values = [room, Value::Text(user.as_str())];
            connection.execute(sql::ROOM_AFFILIATION_DELETE, &values).await?;
        }
        Change::Said(row) => {
            let values = [
                room,
                Value::Integer(row.id),
                Value::Integer(row.at.as_unix_micros()),
                Value::Bytes(&row.stanza),
            ];
            connection.execute(sql::ROOM_SAID_ADD, &values).await?;
        }
        Change::Forgotten(up_to) => {
            let values = [room, Value::Integer(*up_to)];
            connection.execute(sql::ROOM_SAID_FORGET, &values).await?;
        }
        Change::Room(_)
        | Change::Removed
        | Change::Destroyed { .. }
        | Change::Entered(_)
        | Change::Left(_) => {}
    }
    Ok(())
}

/// About how many bytes these changes take in memory and in the database.
pub(crate) fn size(changes: &[Change]) -> usize {
    const ROW: usize = 100;
    let of = |change: &Change| match change {
        Change::Room(row) => row.configuration.len(),
        Change::Subject(bytes) | Change::Card(bytes) => bytes.as_ref().map_or(0, Vec::len),
        Change::Said(row) => row.stanza.len(),
        Change::Removed
        | Change::Destroyed { .. }
        | Change::Affiliation(_)
        | Change::NoAffiliation(_)
        | Change::Forgotten(_)
        | Change::Entered(_)
        | Change::Left(_) => 0,
    };
    changes.iter().map(|change| ROW + of(change)).sum::<usize>() + ROW
}
