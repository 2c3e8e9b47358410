//! Changes of accounts (those of rooms are in [`rooms`]) as statements of one open transaction.

use account::{Change, Flags};
use features::Record;
use presence::Lesson;
use sasl::ScramKeys;
use stanza::Address;

use crate::connection::{Connection, Value};
use crate::failure::Failure;
use crate::ids::{Ids, Table};
use crate::operation::Write;
use crate::rooms;
use crate::sql;
use crate::waiting::Pending;

/// Between the groups of a contact, and between addresses. XML has no way to write it.
pub(crate) const GROUP_SEPARATOR: char = '\u{1f}';

/// Between the contacts of a roster that is read as one text. XML cannot write it either.
pub(crate) const ITEM_SEPARATOR: char = '\u{1e}';

/// Between the columns of such a contact.
pub(crate) const COLUMN_SEPARATOR: char = '\u{1d}';

/// Makes a change, except for what is left `pending`. False: there is no such account, or to be created, there is one.
pub(crate) async fn write<'a>(
    connection: &mut Connection,
    ids: &mut Ids,
    pending: &mut Pending<'a>,
    address: &Address,
    write: &'a Write,
) -> Result<bool, Failure> {
    let (host, name) = key(address);
    match write {
        Write::Commit(changes) => {
            let account = ids
                .of(connection, Table::Accounts, address)
                .await?
                .ok_or_else(|| Failure::refused("there is no such account"))?;
            for change in changes {
                commit(connection, pending, account, change).await?;
            }
            Ok(true)
        }
        Write::Room(changes) => {
            rooms::apply(connection, ids, address, changes).await?;
            Ok(true)
        }
        Write::Create(credentials) => {
            if address.localpart().is_none() || !address.is_bare() {
                return Err(Failure::refused("an account has a name, and no resource"));
            }
            let columns = credential_columns(credentials);
            let values = [&[Value::Text(host), Value::Text(name)], columns.as_slice()].concat();
            Ok(connection.execute(sql::ACCOUNT_CREATE, &values).await? > 0)
        }
        Write::SetCredentials(credentials) => {
            let columns = credential_columns(credentials);
            let values = [&[Value::Text(host), Value::Text(name)], columns.as_slice()].concat();
            Ok(connection.execute(sql::ACCOUNT_SET_CREDENTIALS, &values).await? > 0)
        }
        Write::SetFlags(flags) => {
            let Flags {
                disabled,
                deceased,
                next_of_kin_notified,
                poke_disabled,
                attention_from_strangers_off,
            } = *flags;
            let values = [
                Value::Text(host),
                Value::Text(name),
                Value::Truth(disabled),
                Value::Truth(deceased),
                Value::Truth(next_of_kin_notified),
                Value::Truth(poke_disabled),
                Value::Truth(attention_from_strangers_off),
            ];
            Ok(connection.execute(sql::ACCOUNT_SET_FLAGS, &values).await? > 0)
        }
        Write::Delete => {
            // What its machine wrote before goes with it, and must be there.
            pending.flush(connection).await?;
            ids.forget(address);
            let values = [Value::Text(host), Value::Text(name)];
            Ok(connection.execute(sql::ACCOUNT_DELETE, &values).await? > 0)
        }
        Write::Learn(Lesson { learnt, forgotten }) => {
            for (form, value) in forgotten {
                let key = [Value::Text(form), Value::Text(value)];
                connection.execute(sql::CAPABILITIES_DELETE, &key).await?;
            }
            let values = [
                Value::Text(&learnt.form),
                Value::Text(&learnt.value),
                Value::Truth(learnt.wants_annotations),
                Value::Integer(learnt.number),
            ];
            Ok(connection.execute(sql::CAPABILITIES_PUT, &values).await? > 0)
        }
    }
}

/// Host and name of an account. No account has an empty name.
pub(crate) fn key(address: &Address) -> (&str, &str) {
    (address.domainpart(), address.localpart().unwrap_or_default())
}

/// Kind, namespace and name of a blob.
pub(crate) fn record_key(record: &Record) -> (i64, &str, &str) {
    match record {
        Record::VCard => (0, "", ""),
        Record::Private { namespace, name } => (1, namespace, name),
    }
}

/// In the order of the statements: argon2id, and four columns for each hash function.
fn credential_columns(credentials: &sasl::Stored) -> Vec<Value<'_>> {
    match credentials {
        sasl::Stored::Scram { sha1, sha256, sha512 } => {
            let mut columns = vec![Value::MaybeText(None)];
            for keys in [sha1, sha256, sha512] {
                columns.extend(key_columns(keys.as_deref()));
            }
            columns
        }
        sasl::Stored::Argon2id(hash) => {
            let mut columns = vec![Value::MaybeText(Some(hash))];
            for _ in 0..3 {
                columns.extend(key_columns(None));
            }
            columns
        }
    }
}

fn key_columns(keys: Option<&ScramKeys>) -> [Value<'_>; 4] {
    [
        Value::MaybeBytes(keys.map(|keys| keys.salt.as_slice())),
        Value::MaybeInteger(keys.map(|keys| i64::from(keys.iterations.get()))),
        Value::MaybeBytes(keys.map(|keys| keys.stored_key.as_slice())),
        Value::MaybeBytes(keys.map(|keys| keys.server_key.as_slice())),
    ]
}

async fn commit<'a>(
    connection: &mut Connection,
    pending: &mut Pending<'a>,
    account: i64,
    change: &'a Change,
) -> Result<(), Failure> {
    let number = account;
    let account = Value::Integer(account);
    match change {
        Change::Roster(change) => roster(connection, account, change).await?,
        Change::Privacy(change) => privacy(connection, account, change).await?,
        Change::Wait(row) => pending.add(connection, number, row).await?,
        Change::Unwait(ids) => pending.delete(connection, number, ids).await?,
        Change::Write(write) => {
            let (kind, namespace, name) = record_key(&write.record);
            let (kind, namespace, name) = (Value::Integer(kind), Value::Text(namespace), Value::Text(name));
            match &write.bytes {
                Some(bytes) => {
                    let values = [account, kind, namespace, name, Value::Bytes(bytes)];
                    connection.execute(sql::BLOB_PUT, &values).await?;
                }
                None => {
                    let values = [account, kind, namespace, name];
                    connection.execute(sql::BLOB_DELETE, &values).await?;
                }
            }
        }
        Change::Left(left) => {
            let values = [
                account,
                Value::Integer(left.at.as_unix_micros()),
                Value::MaybeText(left.status.as_deref()),
            ];
            connection.execute(sql::ACCOUNT_LEFT, &values).await?;
        }
        Change::Held(row) => {
            let directed: Vec<&str> = row.directed.iter().map(Address::as_str).collect();
            let directed = directed.join(GROUP_SEPARATOR.encode_utf8(&mut [0; 4]));
            let values = [
                account,
                Value::Text(&row.resource),
                Value::Truth(row.broadcast),
                Value::Text(&directed),
            ];
            connection.execute(sql::HELD_PUT, &values).await?;
        }
        Change::NotHeld(resource) => {
            let values = [account, Value::Text(resource)];
            connection.execute(sql::HELD_DELETE, &values).await?;
        }
    }
    Ok(())
}

async fn roster(
    connection: &mut Connection,
    account: Value<'_>,
    change: &roster::Change,
) -> Result<(), Failure> {
    match change {
        roster::Change::Item(item) => {
            let separators = [GROUP_SEPARATOR, ITEM_SEPARATOR, COLUMN_SEPARATOR];
            let mut texts = item.groups.iter().chain([&item.name]);
            if texts.any(|text| text.contains(separators)) {
                return Err(Failure::refused(
                    "the name of a contact or group has a character that XML forbids",
                ));
            }
            let contact = Value::Text(item.contact.as_str());
            let groups = item.groups.join(GROUP_SEPARATOR.encode_utf8(&mut [0; 4]));
            let values = [
                account,
                contact,
                Value::Text(&item.name),
                Value::Text(&groups),
                Value::Integer(i64::from(item.relation.code())),
                Value::Truth(item.ask),
                Value::Truth(item.approved),
                version(item.version)?,
            ];
            connection.execute(sql::ROSTER_ITEM_PUT, &values).await?;
            connection
                .execute(sql::ROSTER_REMOVAL_DELETE, &[account, contact])
                .await?;
        }
        roster::Change::Removed {
            contact,
            version: number,
        } => {
            let contact = Value::Text(contact.as_str());
            connection
                .execute(sql::ROSTER_ITEM_DELETE, &[account, contact])
                .await?;
            let values = [account, contact, version(*number)?];
            connection.execute(sql::ROSTER_REMOVAL_PUT, &values).await?;
        }
        roster::Change::RemovalForgotten { contact } => {
            let values = [account, Value::Text(contact.as_str())];
            connection.execute(sql::ROSTER_REMOVAL_DELETE, &values).await?;
        }
        roster::Change::Request { contact, stanza } => {
            let values = [account, Value::Text(contact.as_str()), Value::Bytes(stanza)];
            connection.execute(sql::ROSTER_REQUEST_PUT, &values).await?;
        }
        roster::Change::RequestSettled { contact } => {
            let values = [account, Value::Text(contact.as_str())];
            connection.execute(sql::ROSTER_REQUEST_DELETE, &values).await?;
        }
        roster::Change::Version {
            current,
            complete_since,
        } => {
            let values = [account, version(*current)?, version(*complete_since)?];
            connection.execute(sql::ROSTER_VERSION, &values).await?;
        }
    }
    Ok(())
}

async fn privacy(
    connection: &mut Connection,
    account: Value<'_>,
    change: &privacy::Change,
) -> Result<(), Failure> {
    match change {
        privacy::Change::List { name, items } => {
            let name = Value::Text(name.as_str());
            connection
                .execute(sql::PRIVACY_LIST_PUT, &[account, name])
                .await?;
            connection
                .execute(sql::PRIVACY_LIST_CLEAR, &[account, name])
                .await?;
            add_items(connection, account, name, items).await?;
        }
        privacy::Change::Items { name, removed, added } => {
            let name = Value::Text(name.as_str());
            for &order in removed {
                let values = [account, name, Value::Integer(i64::from(order))];
                connection.execute(sql::PRIVACY_ITEM_DELETE, &values).await?;
            }
            add_items(connection, account, name, added).await?;
        }
        privacy::Change::Removed { name } => {
            let values = [account, Value::Text(name.as_str())];
            connection.execute(sql::PRIVACY_LIST_DELETE, &values).await?;
        }
        privacy::Change::Default { name } => {
            let values = [account, Value::MaybeText(name.as_ref().map(|name| name.as_str()))];
            connection.execute(sql::PRIVACY_DEFAULT, &values).await?;
        }
    }
    Ok(())
}

async fn add_items(
    connection: &mut Connection,
    account: Value<'_>,
    list: Value<'_>,
    items: &[privacy::ItemRow],
) -> Result<(), Failure> {
    for item in items {
        let values = [
            account,
            list,
            Value::Integer(i64::from(item.order)),
            Value::Integer(i64::from(item.subject)),
            Value::Text(&item.value),
            Value::Truth(item.deny),
            Value::Integer(i64::from(item.scope)),
        ];
        connection.execute(sql::PRIVACY_ITEM_ADD, &values).await?;
    }
    Ok(())
}

fn version(number: u64) -> Result<Value<'static>, Failure> {
    i64::try_from(number)
        .map(Value::Integer)
        .map_err(|_| Failure::refused(format!("the version {number} is beyond what can be stored")))
}
