//! Waiting stanzas of a whole group of commits in a few statements: by far the most changes are of this kind, and each
//! statement costs a round trip, or a change of threads.

use std::collections::HashSet;

use account::WaitingRow;
use sqlx::{PgConnection, SqliteConnection};
use stream_management::StoredId;

use crate::connection::Connection;
use crate::failure::Failure;
use crate::sql;

/// Rows that one statement takes on SQLite, which has no arrays.
const SQLITE_ROWS: usize = 32;

/// Below this, single statements cost less on SQLite.
const SQLITE_WORTH_IT: usize = 3;

/// What is still to be done to the table. Deletions come first; whatever would need another order is flushed before.
#[derive(Default)]
pub(crate) struct Pending<'a> {
    added: Vec<(i64, &'a WaitingRow)>,
    /// Account and id of those that are added.
    keys: HashSet<(i64, StoredId)>,
    deleted: Vec<(i64, StoredId)>,
}

impl<'a> Pending<'a> {
    pub(crate) async fn add(
        &mut self,
        connection: &mut Connection,
        account: i64,
        row: &'a WaitingRow,
    ) -> Result<(), Failure> {
        if !self.keys.insert((account, row.id)) {
            self.flush(connection).await?;
            self.keys.insert((account, row.id));
        }
        self.added.push((account, row));
        Ok(())
    }

    pub(crate) async fn delete(
        &mut self,
        connection: &mut Connection,
        account: i64,
        ids: &[StoredId],
    ) -> Result<(), Failure> {
        if ids.iter().any(|id| self.keys.contains(&(account, *id))) {
            self.flush(connection).await?;
        }
        self.deleted.extend(ids.iter().map(|id| (account, *id)));
        Ok(())
    }

    /// Does what is left to be done.
    pub(crate) async fn flush(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        self.keys.clear();
        let (deleted, added) = (std::mem::take(&mut self.deleted), std::mem::take(&mut self.added));
        match connection {
            Connection::Sqlite(connection) => {
                for chunk in deleted.chunks(SQLITE_ROWS) {
                    delete_sqlite(connection, chunk).await?;
                }
                for chunk in added.chunks(SQLITE_ROWS) {
                    add_sqlite(connection, chunk).await?;
                }
            }
            Connection::Postgres(connection) => {
                delete_postgres(connection, &deleted).await?;
                add_postgres(connection, &added).await?;
            }
        }
        Ok(())
    }
}

async fn delete_sqlite(
    connection: &mut SqliteConnection,
    rows: &[(i64, StoredId)],
) -> Result<(), sqlx::Error> {
    if rows.len() < SQLITE_WORTH_IT {
        for (account, id) in rows {
            let delete = sqlx::query(sql::WAITING_DELETE.sqlite).bind(account).bind(id.0);
            delete.execute(&mut *connection).await?;
        }
        return Ok(());
    }
    let mut delete = sqlx::query(sql::WAITING_DELETE_MANY.sqlite);
    for place in 0..SQLITE_ROWS {
        let row = rows.get(place);
        delete = delete
            .bind(row.map(|(account, _)| *account))
            .bind(row.map(|(_, id)| id.0));
    }
    delete.execute(connection).await.map(drop)
}

async fn add_sqlite(
    connection: &mut SqliteConnection,
    rows: &[(i64, &WaitingRow)],
) -> Result<(), sqlx::Error> {
    if rows.len() < SQLITE_WORTH_IT {
        for (account, row) in rows {
            let add = sqlx::query(sql::WAITING_ADD.sqlite)
                .bind(account)
                .bind(row.id.0)
                .bind(row.at.as_unix_micros())
                .bind(row.bytes.as_slice());
            add.execute(&mut *connection).await?;
        }
        return Ok(());
    }
    let mut add = sqlx::query(sql::WAITING_ADD_MANY.sqlite);
    for place in 0..SQLITE_ROWS {
        let row = rows.get(place);
        add = add
            .bind(row.map(|(account, _)| *account))
            .bind(row.map(|(_, row)| row.id.0))
            .bind(row.map(|(_, row)| row.at.as_unix_micros()))
            .bind(row.map(|(_, row)| row.bytes.as_slice()));
    }
    add.execute(connection).await.map(drop)
}

async fn delete_postgres(connection: &mut PgConnection, rows: &[(i64, StoredId)]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let accounts: Vec<i64> = rows.iter().map(|(account, _)| *account).collect();
    let ids: Vec<i64> = rows.iter().map(|(_, id)| id.0).collect();
    let delete = sqlx::query(sql::WAITING_DELETE_MANY.postgres)
        .bind(accounts)
        .bind(ids);
    delete.execute(connection).await.map(drop)
}

async fn add_postgres(connection: &mut PgConnection, rows: &[(i64, &WaitingRow)]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let accounts: Vec<i64> = rows.iter().map(|(account, _)| *account).collect();
    let ids: Vec<i64> = rows.iter().map(|(_, row)| row.id.0).collect();
    let times: Vec<i64> = rows.iter().map(|(_, row)| row.at.as_unix_micros()).collect();
    let stanzas: Vec<&[u8]> = rows.iter().map(|(_, row)| row.bytes.as_slice()).collect();
    let add = sqlx::query(sql::WAITING_ADD_MANY.postgres)
        .bind(accounts)
        .bind(ids)
        .bind(times)
        .bind(stanzas);
    add.execute(connection).await.map(drop)
}
