//! One connection to either database, and values and rows that know both.

use sqlx::encode::Encode;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Decode, PgConnection, Postgres, Row as _, Sqlite, SqliteConnection, Type};

use crate::sql::Sql;

/// A connection.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(Box<PgConnection>),
}

/// A parameter of a statement.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Integer(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Truth(bool),
    MaybeInteger(Option<i64>),
    MaybeText(Option<&'a str>),
    MaybeBytes(Option<&'a [u8]>),
}

/// A row of an answer.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What can be read from a column in both databases.
pub(crate) trait Column:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl Connection {
    /// Runs a statement, and gives how many rows it changed.
    pub(crate) async fn execute(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<u64, sqlx::Error> {
        Ok(match self {
            Connection::Sqlite(connection) => {
                let values = sqlite_arguments(values)?;
                sqlx::query_with(sql.sqlite, values)
                    .execute(connection)
                    .await?
                    .rows_affected()
            }
            Connection::Postgres(connection) => {
                let values = postgres_arguments(values)?;
                sqlx::query_with(sql.postgres, values)
                    .execute(&mut **connection)
                    .await?
                    .rows_affected()
            }
        })
    }

    /// Runs a question, and gives all rows.
    pub(crate) async fn rows(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<Vec<Row>, sqlx::Error> {
        Ok(match self {
            Connection::Sqlite(connection) => {
                let values = sqlite_arguments(values)?;
                let rows = sqlx::query_with(sql.sqlite, values).fetch_all(connection).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Connection::Postgres(connection) => {
                let values = postgres_arguments(values)?;
                let rows = sqlx::query_with(sql.postgres, values)
                    .fetch_all(&mut **connection)
                    .await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Runs a question that has one row at most.
    pub(crate) async fn row(&mut self, sql: Sql, values: &[Value<'_>]) -> Result<Option<Row>, sqlx::Error> {
        Ok(self.rows(sql, values).await?.pop())
    }
}

impl Row {
    /// The column at this place.
    pub(crate) fn get<T: Column>(&self, place: usize) -> Result<T, sqlx::Error> {
        match self {
            Row::Sqlite(row) => row.try_get(place),
            Row::Postgres(row) => row.try_get(place),
        }
    }
}

fn sqlite_arguments(values: &[Value<'_>]) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match *value {
            Value::Integer(value) => add(&mut arguments, value),
            Value::Text(value) => add(&mut arguments, value),
            Value::Bytes(value) => add(&mut arguments, value),
            Value::Truth(value) => add(&mut arguments, value),
            Value::MaybeInteger(value) => add(&mut arguments, value),
            Value::MaybeText(value) => add(&mut arguments, value),
            Value::MaybeBytes(value) => add(&mut arguments, value),
        }?;
    }
    Ok(arguments)
}

fn postgres_arguments(values: &[Value<'_>]) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        match *value {
            Value::Integer(value) => add(&mut arguments, value),
            Value::Text(value) => add(&mut arguments, value),
            Value::Bytes(value) => add(&mut arguments, value),
            Value::Truth(value) => add(&mut arguments, value),
            Value::MaybeInteger(value) => add(&mut arguments, value),
            Value::MaybeText(value) => add(&mut arguments, value),
            Value::MaybeBytes(value) => add(&mut arguments, value),
        }?;
    }
    Ok(arguments)
}

fn add<'t, A: Arguments, T>(arguments: &mut A, value: T) -> Result<(), sqlx::Error>
where
    T: Encode<'t, A::Database> + Type<A::Database>,
{
    arguments.add(value).map_err(sqlx::Error::Encode)
}
