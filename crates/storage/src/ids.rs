//! The numbers of accounts and rooms, which the writer remembers between commits.

use std::collections::HashMap;

use stanza::Address;

use crate::apply::key;
use crate::connection::{Connection, Value};
use crate::failure::Failure;
use crate::sql;

/// Numbers remembered at most; beyond it all are forgotten, which costs one question each.
const IDS_MAX: usize = 100_000;

/// Right as long as nobody else makes and deletes accounts and rooms: one process has the database for itself. No address
/// is both, since their domains differ.
#[derive(Debug, Default)]
pub(crate) struct Ids(HashMap<Address, i64>);

/// Which table the numbers are from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Table {
    Accounts,
    Rooms,
}

impl Ids {
    pub(crate) async fn of(
        &mut self,
        connection: &mut Connection,
        table: Table,
        address: &Address,
    ) -> Result<Option<i64>, Failure> {
        if let Some(&id) = self.0.get(address) {
            return Ok(Some(id));
        }
        let (host, name) = key(address);
        let question = match table {
            Table::Accounts => sql::ACCOUNT_ID,
            Table::Rooms => sql::ROOM_ID,
        };
        let found = connection
            .row(question, &[Value::Text(host), Value::Text(name)])
            .await?;
        let Some(row) = found else { return Ok(None) };
        let id = row.get(0)?;
        if self.0.len() >= IDS_MAX {
            self.0.clear();
        }
        self.0.insert(address.clone(), id);
        Ok(Some(id))
    }

    pub(crate) fn forget(&mut self, address: &Address) {
        self.0.remove(address);
    }

    /// A transaction was rolled back: what had its number read in it may not be there.
    pub(crate) fn forget_all(&mut self) {
        self.0.clear();
    }
}
