//! Questions about accounts as statements (those about rooms are in [`crate::rooms`]).
//!
//! An account is read in several statements without a transaction around them: only its machine changes its rows, and
//! that is not in memory while it is being loaded.

use std::num::NonZeroU32;

use account::{Flags, HeldRow, Saved, Standing, WaitingRow};
use features::{LastSeen, Record};
use machine::Timestamp;
use presence::KnownHash;
use privacy::ListRow;
use roster::{Relation, RemovalRow, RequestRow};
use router::{AccountView, Login};
use sasl::ScramKeys;
use stanza::Address;
use stream_management::StoredId;

use crate::apply::{COLUMN_SEPARATOR, GROUP_SEPARATOR, ITEM_SEPARATOR, key, record_key};
use crate::connection::{Connection, Row, Value};
use crate::failure::Failure;
use crate::sql;

/// A question that can be asked again when a connection was lost.
pub(crate) trait Ask: Sync {
    /// What comes back.
    type Answer: Send;

    /// Asks on this connection.
    fn ask(&self, connection: &mut Connection) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// An account with everything that it needs in memory.
pub(crate) struct Account(pub(crate) Address);

impl Ask for Account {
    type Answer = Saved;

    async fn ask(&self, connection: &mut Connection) -> Result<Saved, Failure> {
        let Account(address) = self;

        let (host, name) = key(address);
        let found = connection
            .row(sql::ACCOUNT_LOAD, &[Value::Text(host), Value::Text(name)])
            .await?;
        let Some(row) = found else {
            return Ok(Saved::default());
        };
        let id = [Value::Integer(row.get(0)?)];
        let left_at: Option<i64> = row.get(9)?;
        let status = row.get(10)?;
        let mut saved = Saved {
            standing: Standing::Known,
            roster: roster::Stored {
                version: number(&row, 6)?,
                complete_since: number(&row, 7)?,
                items: roster_items(&row.get::<Option<String>>(17)?.unwrap_or_default())?,
                removals: Vec::new(),
                requests: Vec::new(),
            },
            privacy: privacy::Stored {
                lists: Vec::new(),
                default: row.get(8)?,
            },
            flags: flags(&row, 1)?,
            waiting: (0, 0),
            last_waiting: None,
            left: left_at.map(|at| LastSeen {
                at: Timestamp::from_unix_micros(at),
                status,
            }),
            blobs: features::Stored::default(),
            held: Vec::new(),
        };
        if row.get(11)? {
            saved.roster.removals = each(connection, sql::ROSTER_REMOVALS_LOAD, &id, removal).await?;
        }
        if row.get(12)? {
            saved.roster.requests = each(connection, sql::ROSTER_REQUESTS_LOAD, &id, request).await?;
        }
        if row.get(13)? {
            saved.privacy.lists = lists(connection, &id).await?;
        }
        if row.get(14)?
            && let Some(row) = connection.row(sql::WAITING_MEASURE, &id).await?
        {
            saved.waiting = (number(&row, 0)?, number(&row, 1)?);
            saved.last_waiting = row.get::<Option<i64>>(2)?.map(StoredId);
        }
        if row.get(15)? {
            saved.blobs = features::Stored::new(each(connection, sql::BLOBS_MEASURE, &id, blob_size).await?);
        }
        if row.get(16)? {
            saved.held = each(connection, sql::HELD_LOAD, &id, held).await?;
        }
        Ok(saved)
    }
}

/// The accounts that have sessions whose presence somebody elsewhere holds, in order of their addresses.
pub(crate) struct Held;

impl Ask for Held {
    type Answer = Vec<Address>;

    async fn ask(&self, connection: &mut Connection) -> Result<Vec<Address>, Failure> {
        let mut accounts = each(connection, sql::HELD_LIST, &[], account_address).await?;
        accounts.sort();
        Ok(accounts)
    }
}

/// The hashes of capabilities that were learnt.
pub(crate) struct Capabilities;

impl Ask for Capabilities {
    type Answer = Vec<KnownHash>;

    async fn ask(&self, connection: &mut Connection) -> Result<Vec<KnownHash>, Failure> {
        each(connection, sql::CAPABILITIES_LOAD, &[], known_hash).await
    }
}

/// The stanzas that wait for an account, oldest first.
pub(crate) struct Waiting(pub(crate) Address);

impl Ask for Waiting {
    type Answer = Vec<WaitingRow>;

    async fn ask(&self, connection: &mut Connection) -> Result<Vec<WaitingRow>, Failure> {
        let Waiting(address) = self;

        let (host, name) = key(address);
        let found = connection
            .row(sql::ACCOUNT_ID, &[Value::Text(host), Value::Text(name)])
            .await?;
        match found {
            Some(row) => {
                let id = [Value::Integer(row.get(0)?)];
                each(connection, sql::WAITING_LOAD, &id, waiting_row).await
            }
            None => Ok(Vec::new()),
        }
    }
}

/// A blob of an account.
pub(crate) struct Blob(pub(crate) Address, pub(crate) Record);

impl Ask for Blob {
    type Answer = Option<Vec<u8>>;

    async fn ask(&self, connection: &mut Connection) -> Result<Option<Vec<u8>>, Failure> {
        let Blob(address, record) = self;

        let (host, account) = key(address);
        let (kind, namespace, name) = record_key(record);
        let values = [
            Value::Text(host),
            Value::Text(account),
            Value::Integer(kind),
            Value::Text(namespace),
            Value::Text(name),
        ];
        let found = connection.row(sql::BLOB_LOAD, &values).await?;
        Ok(found.map(|row| row.get(0)).transpose()?)
    }
}

/// What is needed to log in.
pub(crate) struct Credentials(pub(crate) Address);

impl Ask for Credentials {
    type Answer = Option<Login>;

    async fn ask(&self, connection: &mut Connection) -> Result<Option<Login>, Failure> {
        let Credentials(address) = self;

        let (host, name) = key(address);
        let found = connection
            .row(sql::LOGIN, &[Value::Text(host), Value::Text(name)])
            .await?;
        let Some(row) = found else { return Ok(None) };
        let credentials = match row.get::<Option<String>>(5)? {
            Some(hash) => sasl::Stored::Argon2id(hash),
            None => sasl::Stored::Scram {
                sha1: keys(&row, 6)?,
                sha256: keys(&row, 10)?,
                sha512: keys(&row, 14)?,
            },
        };
        Ok(Some(Login {
            credentials,
            flags: flags(&row, 0)?,
        }))
    }
}

/// All accounts of a host, or of all hosts, in order of their addresses.
pub(crate) struct Accounts(pub(crate) Option<String>);

impl Ask for Accounts {
    type Answer = Vec<AccountView>;

    async fn ask(&self, connection: &mut Connection) -> Result<Vec<AccountView>, Failure> {
        let Accounts(host) = self;

        let mut views = each(
            connection,
            sql::ACCOUNTS_LIST,
            &[Value::MaybeText(host.as_deref())],
            account_view,
        )
        .await?;
        // Not by the database, whose order of texts depends on its locale.
        views.sort_by(|one, other| one.address.cmp(&other.address));
        Ok(views)
    }
}

/// The rows of a question, each made into something.
pub(crate) async fn each<T>(
    connection: &mut Connection,
    sql: sql::Sql,
    values: &[Value<'_>],
    make: fn(&Row) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    connection.rows(sql, values).await?.iter().map(make).collect()
}

/// The contacts of a roster. The database joins them into one text: most of what it costs to read a row does not depend
/// on how much is in it.
fn roster_items(joined: &str) -> Result<Vec<roster::ItemRow>, Failure> {
    let items = joined.split(ITEM_SEPARATOR).filter(|item| !item.is_empty());
    items.map(roster_item).collect()
}

fn roster_item(item: &str) -> Result<roster::ItemRow, Failure> {
    // Without the contact itself: this is logged.
    let refused = |what: &str| Failure::refused(format!("a contact is stored {what}"));
    let mut columns = item.splitn(7, COLUMN_SEPARATOR);
    let mut next = || columns.next().ok_or_else(|| refused("with too few columns"));
    Ok(roster::ItemRow {
        contact: address(next()?)?,
        relation: Some(next()?)
            .and_then(|code| code.parse().ok())
            .and_then(Relation::from_code)
            .ok_or_else(|| refused("with an unknown subscription"))?,
        ask: next()? == "1",
        approved: next()? == "1",
        version: next()?
            .parse()
            .map_err(|_| refused("with a version that is none"))?,
        name: next()?.to_owned(),
        groups: match next()? {
            "" => Vec::new(),
            groups => groups.split(GROUP_SEPARATOR).map(str::to_owned).collect(),
        },
    })
}

fn removal(row: &Row) -> Result<RemovalRow, Failure> {
    Ok(RemovalRow {
        contact: address(&row.get::<String>(0)?)?,
        version: number(row, 1)?,
    })
}

fn request(row: &Row) -> Result<RequestRow, Failure> {
    Ok(RequestRow {
        contact: address(&row.get::<String>(0)?)?,
        stanza: row.get::<Vec<u8>>(1)?.into(),
    })
}

async fn lists(connection: &mut Connection, id: &[Value<'_>]) -> Result<Vec<ListRow>, Failure> {
    let mut lists: Vec<ListRow> = each(connection, sql::PRIVACY_LISTS_LOAD, id, |row| {
        Ok(ListRow {
            name: row.get(0)?,
            items: Vec::new(),
        })
    })
    .await?;
    for (name, item) in each(connection, sql::PRIVACY_ITEMS_LOAD, id, privacy_item).await? {
        if let Some(list) = lists.iter_mut().find(|list| list.name == name) {
            list.items.push(item);
        }
    }
    Ok(lists)
}

fn privacy_item(row: &Row) -> Result<(String, privacy::ItemRow), Failure> {
    let item = privacy::ItemRow {
        order: number(row, 1)?,
        subject: number(row, 2)?,
        value: row.get(3)?,
        deny: row.get(4)?,
        scope: number(row, 5)?,
    };
    Ok((row.get(0)?, item))
}

fn blob_size(row: &Row) -> Result<(Record, usize), Failure> {
    let record = match row.get::<i64>(0)? {
        0 => Record::VCard,
        1 => Record::Private {
            namespace: row.get(1)?,
            name: row.get(2)?,
        },
        kind => return Err(Failure::refused(format!("{kind} is stored as a kind of blob"))),
    };
    Ok((record, number(row, 3)?))
}

fn waiting_row(row: &Row) -> Result<WaitingRow, Failure> {
    Ok(WaitingRow {
        id: StoredId(row.get(0)?),
        at: Timestamp::from_unix_micros(row.get(1)?),
        bytes: row.get(2)?,
    })
}

fn held(row: &Row) -> Result<HeldRow, Failure> {
    let directed: String = row.get(2)?;
    let directed = directed.split(GROUP_SEPARATOR).filter(|to| !to.is_empty());
    Ok(HeldRow {
        resource: row.get(0)?,
        broadcast: row.get(1)?,
        directed: directed.map(address).collect::<Result<_, _>>()?,
    })
}

fn known_hash(row: &Row) -> Result<KnownHash, Failure> {
    Ok(KnownHash {
        form: row.get(0)?,
        value: row.get(1)?,
        wants_annotations: row.get(2)?,
        number: row.get(3)?,
    })
}

pub(crate) fn account_address(row: &Row) -> Result<Address, Failure> {
    let (host, name): (String, String) = (row.get(0)?, row.get(1)?);
    address(&format!("{name}@{host}"))
}

fn account_view(row: &Row) -> Result<AccountView, Failure> {
    Ok(AccountView {
        address: account_address(row)?,
        flags: flags(row, 2)?,
        contacts: number(row, 7)?,
        waiting: number(row, 8)?,
    })
}

/// The five flags from this column on.
fn flags(row: &Row, first: usize) -> Result<Flags, Failure> {
    Ok(Flags {
        disabled: row.get(first)?,
        deceased: row.get(first + 1)?,
        next_of_kin_notified: row.get(first + 2)?,
        poke_disabled: row.get(first + 3)?,
        attention_from_strangers_off: row.get(first + 4)?,
    })
}

/// The four columns of one hash function from this one on.
fn keys(row: &Row, first: usize) -> Result<Option<Box<ScramKeys>>, Failure> {
    let Some(salt) = row.get(first)? else {
        return Ok(None);
    };
    let iterations: u32 = number(row, first + 1)?;
    Ok(Some(Box::new(ScramKeys {
        salt,
        iterations: NonZeroU32::new(iterations).ok_or_else(|| Failure::refused("0 iterations are stored"))?,
        stored_key: row.get(first + 2)?,
        server_key: row.get(first + 3)?,
    })))
}

pub(crate) fn address(text: &str) -> Result<Address, Failure> {
    Address::parse(text).map_err(|error| Failure::refused(format!("what is stored as an address is {error}")))
}

/// A stored number as what it is.
pub(crate) fn number<T: TryFrom<i64>>(row: &Row, place: usize) -> Result<T, Failure> {
    let number: i64 = row.get(place)?;
    T::try_from(number).map_err(|_| Failure::refused(format!("{number} is stored where it makes no sense")))
}
