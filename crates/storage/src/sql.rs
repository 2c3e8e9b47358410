//! Every statement that is run on accounts, in one place, so that a test can prepare each on both databases.

/// A statement. The text differs only where the databases do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sql {
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

impl Sql {
    const fn both(text: &'static str) -> Sql {
        Sql {
            sqlite: text,
            postgres: text,
        }
    }
}

/// The text 32 times, with commas between.
macro_rules! times_32 {
    ($text:literal) => {
        times_32!(@4 times_32!(@8 $text))
    };
    (@4 $text:expr) => {
        concat!($text, ", ", $text, ", ", $text, ", ", $text)
    };
    (@8 $text:expr) => {
        concat!($text, ", ", $text, ", ", $text, ", ", $text, ", ", $text, ", ", $text, ", ", $text, ", ", $text)
    };
}

/// Several waiting stanzas in one statement. SQLite has no arrays: 32 rows, of which those without an account are none.
pub(crate) const WAITING_ADD_MANY: Sql = Sql {
    sqlite: concat!(
        "INSERT INTO waiting (account, id, came_at, stanza) SELECT column1, column2, column3, column4 FROM (VALUES ",
        times_32!("(?, ?, ?, ?)"),
        ") WHERE column1 IS NOT NULL"
    ),
    postgres: "INSERT INTO waiting (account, id, came_at, stanza) SELECT * FROM UNNEST(CAST($1 AS BIGINT[]), \
        CAST($2 AS BIGINT[]), CAST($3 AS BIGINT[]), CAST($4 AS BYTEA[]))",
};

/// The same to delete them.
pub(crate) const WAITING_DELETE_MANY: Sql = Sql {
    sqlite: concat!(
        "DELETE FROM waiting WHERE (account, id) IN (VALUES ",
        times_32!("(?, ?)"),
        ")"
    ),
    postgres: "DELETE FROM waiting USING UNNEST(CAST($1 AS BIGINT[]), CAST($2 AS BIGINT[])) AS gone (account, id) \
        WHERE waiting.account = gone.account AND waiting.id = gone.id",
};

/// Constants for the statements, and the list of all.
macro_rules! statements {
    ($($name:ident = $text:expr;)*) => {
        $(pub(crate) const $name: Sql = Sql::both($text);)*

        /// All of them.
        #[cfg(test)]
        pub(crate) const ALL: &[(&str, Sql)] = &[
            ("WAITING_ADD_MANY", WAITING_ADD_MANY),
            ("WAITING_DELETE_MANY", WAITING_DELETE_MANY),
            $((stringify!($name), $name)),*
        ];
    };
}

statements! {
    ACCOUNT_ID = "SELECT id FROM accounts WHERE host = $1 AND name = $2";

    ACCOUNT_LOAD = "SELECT id, disabled, deceased, next_of_kin_notified, poke_disabled, attention_from_strangers_off, \
        roster_version, roster_complete_since, default_list, left_at, left_status, \
        EXISTS (SELECT 1 FROM roster_removals WHERE account = accounts.id), \
        EXISTS (SELECT 1 FROM roster_requests WHERE account = accounts.id), \
        EXISTS (SELECT 1 FROM privacy_lists WHERE account = accounts.id), \
        EXISTS (SELECT 1 FROM waiting WHERE account = accounts.id), \
        EXISTS (SELECT 1 FROM blobs WHERE account = accounts.id), \
        EXISTS (SELECT 1 FROM held_presence WHERE account = accounts.id), \
        (SELECT STRING_AGG(contact || '\u{1d}' || relation || '\u{1d}' || CAST(ask AS INTEGER) || '\u{1d}' || \
        CAST(approved AS INTEGER) || '\u{1d}' || version || '\u{1d}' || name || '\u{1d}' || groups_joined, '\u{1e}') \
        FROM roster_items WHERE account = accounts.id) \
        FROM accounts WHERE host = $1 AND name = $2";

    LOGIN = "SELECT disabled, deceased, next_of_kin_notified, poke_disabled, attention_from_strangers_off, argon2id, \
        sha1_salt, sha1_iterations, sha1_stored_key, sha1_server_key, \
        sha256_salt, sha256_iterations, sha256_stored_key, sha256_server_key, \
        sha512_salt, sha512_iterations, sha512_stored_key, sha512_server_key \
        FROM accounts WHERE host = $1 AND name = $2";

    ACCOUNTS_LIST = "SELECT host, name, \
        disabled, deceased, next_of_kin_notified, poke_disabled, attention_from_strangers_off, \
        (SELECT COUNT(*) FROM roster_items WHERE account = accounts.id), \
        (SELECT COUNT(*) FROM waiting WHERE account = accounts.id) \
        FROM accounts WHERE host = $1 OR $1 IS NULL";

    ACCOUNT_CREATE = "INSERT INTO accounts (host, name, argon2id, \
        sha1_salt, sha1_iterations, sha1_stored_key, sha1_server_key, \
        sha256_salt, sha256_iterations, sha256_stored_key, sha256_server_key, \
        sha512_salt, sha512_iterations, sha512_stored_key, sha512_server_key) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
        ON CONFLICT (host, name) DO NOTHING";

    ACCOUNT_SET_CREDENTIALS = "UPDATE accounts SET argon2id = $3, \
        sha1_salt = $4, sha1_iterations = $5, sha1_stored_key = $6, sha1_server_key = $7, \
        sha256_salt = $8, sha256_iterations = $9, sha256_stored_key = $10, sha256_server_key = $11, \
        sha512_salt = $12, sha512_iterations = $13, sha512_stored_key = $14, sha512_server_key = $15 \
        WHERE host = $1 AND name = $2";

    ACCOUNT_SET_FLAGS = "UPDATE accounts SET disabled = $3, deceased = $4, next_of_kin_notified = $5, \
        poke_disabled = $6, attention_from_strangers_off = $7 WHERE host = $1 AND name = $2";

    ACCOUNT_DELETE = "DELETE FROM accounts WHERE host = $1 AND name = $2";

    ACCOUNT_LEFT = "UPDATE accounts SET left_at = $2, left_status = $3 WHERE id = $1";

    ROSTER_VERSION = "UPDATE accounts SET roster_version = $2, roster_complete_since = $3 WHERE id = $1";

    ROSTER_ITEM_PUT = "INSERT INTO roster_items (account, contact, name, groups_joined, relation, ask, approved, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
        ON CONFLICT (account, contact) DO UPDATE SET name = $3, groups_joined = $4, relation = $5, ask = $6, \
        approved = $7, version = $8";

    ROSTER_ITEM_DELETE = "DELETE FROM roster_items WHERE account = $1 AND contact = $2";

    ROSTER_REMOVALS_LOAD = "SELECT contact, version FROM roster_removals WHERE account = $1";

    ROSTER_REMOVAL_PUT = "INSERT INTO roster_removals (account, contact, version) VALUES ($1, $2, $3) \
        ON CONFLICT (account, contact) DO UPDATE SET version = $3";

    ROSTER_REMOVAL_DELETE = "DELETE FROM roster_removals WHERE account = $1 AND contact = $2";

    ROSTER_REQUESTS_LOAD = "SELECT contact, stanza FROM roster_requests WHERE account = $1";

    ROSTER_REQUEST_PUT = "INSERT INTO roster_requests (account, contact, stanza) VALUES ($1, $2, $3) \
        ON CONFLICT (account, contact) DO UPDATE SET stanza = $3";

    ROSTER_REQUEST_DELETE = "DELETE FROM roster_requests WHERE account = $1 AND contact = $2";

    PRIVACY_LISTS_LOAD = "SELECT name FROM privacy_lists WHERE account = $1 ORDER BY name";

    PRIVACY_ITEMS_LOAD = "SELECT list, place, subject, value, deny, scope FROM privacy_items WHERE account = $1 \
        ORDER BY list, place";

    PRIVACY_DEFAULT = "UPDATE accounts SET default_list = $2 WHERE id = $1";

    PRIVACY_LIST_PUT = "INSERT INTO privacy_lists (account, name) VALUES ($1, $2) ON CONFLICT (account, name) DO NOTHING";

    PRIVACY_LIST_DELETE = "DELETE FROM privacy_lists WHERE account = $1 AND name = $2";

    PRIVACY_LIST_CLEAR = "DELETE FROM privacy_items WHERE account = $1 AND list = $2";

    PRIVACY_ITEM_ADD = "INSERT INTO privacy_items (account, list, place, subject, value, deny, scope) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)";

    PRIVACY_ITEM_DELETE = "DELETE FROM privacy_items WHERE account = $1 AND list = $2 AND place = $3";

    WAITING_LOAD = "SELECT id, came_at, stanza FROM waiting WHERE account = $1 ORDER BY id";

    WAITING_MEASURE = "SELECT COUNT(*), CAST(COALESCE(SUM(LENGTH(stanza)), 0) AS BIGINT), MAX(id) \
        FROM waiting WHERE account = $1";

    WAITING_ADD = "INSERT INTO waiting (account, id, came_at, stanza) VALUES ($1, $2, $3, $4)";

    WAITING_DELETE = "DELETE FROM waiting WHERE account = $1 AND id = $2";

    BLOBS_MEASURE = "SELECT kind, namespace, name, CAST(LENGTH(content) AS BIGINT) FROM blobs WHERE account = $1";

    BLOB_LOAD = "SELECT content FROM blobs WHERE kind = $3 AND namespace = $4 AND name = $5 \
        AND account = (SELECT id FROM accounts WHERE host = $1 AND name = $2)";

    BLOB_PUT = "INSERT INTO blobs (account, kind, namespace, name, content) VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (account, kind, namespace, name) DO UPDATE SET content = $5";

    BLOB_DELETE = "DELETE FROM blobs WHERE account = $1 AND kind = $2 AND namespace = $3 AND name = $4";

    HELD_LIST = "SELECT host, name FROM accounts WHERE id IN (SELECT account FROM held_presence)";

    HELD_LOAD = "SELECT resource, broadcast, directed FROM held_presence WHERE account = $1 ORDER BY resource";

    HELD_PUT = "INSERT INTO held_presence (account, resource, broadcast, directed) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (account, resource) DO UPDATE SET broadcast = $3, directed = $4";

    HELD_DELETE = "DELETE FROM held_presence WHERE account = $1 AND resource = $2";

    CAPABILITIES_LOAD = "SELECT form, value, wants_annotations, number FROM capabilities";

    CAPABILITIES_PUT = "INSERT INTO capabilities (form, value, wants_annotations, number) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (form, value) DO UPDATE SET wants_annotations = $3, number = $4";

    CAPABILITIES_DELETE = "DELETE FROM capabilities WHERE form = $1 AND value = $2";
    ROOM_LOAD = "SELECT id, creator, title, listed, configuration, secret, subject, card FROM rooms \
        WHERE host = $1 AND name = $2";

    ROOM_ID = "SELECT id FROM rooms WHERE host = $1 AND name = $2";

    ROOM_PUT = "INSERT INTO rooms (host, name, creator, title, listed, configuration, secret) \
        VALUES ($1, $2, $3, $4, $5, $6, $7) \
        ON CONFLICT (host, name) DO UPDATE SET creator = $3, title = $4, listed = $5, configuration = $6, secret = $7";

    ROOM_DELETE = "DELETE FROM rooms WHERE host = $1 AND name = $2";

    ROOM_SUBJECT = "UPDATE rooms SET subject = $2 WHERE id = $1";

    ROOM_CARD = "UPDATE rooms SET card = $2 WHERE id = $1";

    ROOMS_LIST = "SELECT host, name, creator, title, listed, configuration, secret FROM rooms";

    ROOMS_LISTED = "SELECT host, name, creator, title, listed, configuration, secret FROM rooms \
        WHERE host = $1 AND listed ORDER BY name LIMIT $2";

    ROOMS_MADE = "SELECT host, name, creator, title, listed, configuration, secret FROM rooms WHERE creator = $1";

    ROOMS_COUNT = "SELECT host, COUNT(*) FROM rooms GROUP BY host";

    ROOM_AFFILIATIONS_LOAD = "SELECT person, affiliation, nick FROM room_affiliations WHERE room = $1";

    ROOM_AFFILIATION_PUT = "INSERT INTO room_affiliations (room, person, affiliation, nick) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (room, person) DO UPDATE SET affiliation = $3, nick = $4";

    ROOM_AFFILIATION_DELETE = "DELETE FROM room_affiliations WHERE room = $1 AND person = $2";

    ROOM_HISTORY_LOAD = "SELECT id, said_at, stanza FROM room_history WHERE room = $1 ORDER BY id DESC LIMIT $2";

    ROOM_SAID_ADD = "INSERT INTO room_history (room, id, said_at, stanza) VALUES ($1, $2, $3, $4)";

    ROOM_SAID_FORGET = "DELETE FROM room_history WHERE room = $1 AND id <= $2";

    ROOM_TOMBSTONE_LOAD = "SELECT destroyed_at, alternative, reason FROM room_tombstones WHERE host = $1 AND name = $2";

    ROOM_TOMBSTONE_PUT = "INSERT INTO room_tombstones (host, name, destroyed_at, alternative, reason) \
        VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (host, name) DO UPDATE SET destroyed_at = $3, alternative = $4, reason = $5";

    ROOM_TOMBSTONE_DELETE = "DELETE FROM room_tombstones WHERE host = $1 AND name = $2";

    ROOM_TOMBSTONES_FORGET = "DELETE FROM room_tombstones WHERE destroyed_at < $1";

    ROOM_OCCUPANTS_LOAD = "SELECT client, nick FROM room_occupants WHERE host = $1 AND name = $2 ORDER BY client";

    ROOM_OCCUPANTS_LIST = "SELECT DISTINCT host, name FROM room_occupants";

    ROOM_OCCUPANT_PUT = "INSERT INTO room_occupants (host, name, client, nick) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (host, name, client) DO UPDATE SET nick = $4";

    ROOM_OCCUPANT_DELETE = "DELETE FROM room_occupants WHERE host = $1 AND name = $2 AND client = $3";

    SECRET_LOAD = "SELECT octets FROM secrets WHERE name = $1";

    SECRET_ADD = "INSERT INTO secrets (name, octets) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
}

/// Begins a transaction that writes, on SQLite.
pub(crate) const BEGIN_SQLITE: &str = "BEGIN IMMEDIATE";

/// The same on PostgreSQL, in one round trip with the count of groups.
pub(crate) const BEGIN_POSTGRES: &str = "BEGIN; UPDATE writer SET groups = groups + 1";

/// Makes a transaction durable.
pub(crate) const COMMIT: &str = "COMMIT";

/// Leaves no trace of a transaction.
pub(crate) const ROLLBACK: &str = "ROLLBACK";

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _, Executor, PgConnection, Row, SqlSafeStr, SqlStr, Statement};

    use super::*;
    use crate::connection::Connection;
    use crate::database::Durability;
    use crate::migrations;
    use crate::sqlite::File;

    /// How many parameters the text has: one for each `?`, or `$1` to `$n` without a gap.
    fn parameters(text: &str) -> usize {
        if text.contains('?') {
            return text.matches('?').count();
        }
        (1..)
            .take_while(|number| {
                let name = format!("${number}");
                text.match_indices(&name)
                    .any(|(at, _)| !text[at + name.len()..].starts_with(|next: char| next.is_ascii_digit()))
            })
            .count()
    }

    /// How many parameters the database finds in it.
    fn found(prepared: &impl Statement) -> usize {
        match prepared.parameters() {
            Some(sqlx::Either::Left(types)) => types.len(),
            Some(sqlx::Either::Right(number)) => number,
            None => 0,
        }
    }

    #[tokio::test]
    async fn every_statement_is_understood_by_sqlite_and_finds_its_rows_by_a_key() {
        let path = std::env::temp_dir().join(format!("balcony-statements-{}.db", std::process::id()));
        let file = File::new(&path, Durability::Full);
        file.make().unwrap();
        let mut connection = file.writer().await.unwrap();
        migrations::run(&mut connection).await.unwrap();
        let Connection::Sqlite(connection) = connection else {
            panic!("a file of SQLite");
        };
        let mut connection = connection;
        for (name, sql) in ALL {
            let prepared = connection.prepare(SqlStr::from_static(sql.sqlite)).await;
            let prepared = prepared.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(found(&prepared), parameters(sql.sqlite), "{name}");
            let plan = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.sqlite)).into_sql_str();
            for step in sqlx::raw_sql(plan).fetch_all(&mut connection).await.unwrap() {
                let step: String = step.get("detail");
                let looks_at_all = [
                    "accounts", "roster", "privacy", "waiting", "blobs", "secrets", "room",
                ]
                .iter()
                .any(|table| step.starts_with(&format!("SCAN {table}")));
                let lists = [
                    "ACCOUNTS_LIST",
                    "ROOMS_LIST",
                    "ROOMS_COUNT",
                    "ROOM_OCCUPANTS_LIST",
                ];
                assert!(!looks_at_all || lists.contains(name), "{name}: {step}");
            }
        }
        drop(connection);
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
    }

    #[tokio::test]
    #[ignore = "needs PostgreSQL: tests/run postgres"]
    async fn every_statement_is_understood_by_postgres() {
        let server = std::env::var("BALCONY_TEST_POSTGRES").unwrap();
        let mut admin = PgConnection::connect(&server).await.unwrap();
        let name = format!("balcony_statements_{}", std::process::id());
        let database = AssertSqlSafe(format!("CREATE DATABASE {name}")).into_sql_str();
        sqlx::raw_sql(database).execute(&mut admin).await.unwrap();
        let (server, _) = server.rsplit_once('/').unwrap();
        let connection = PgConnection::connect(&format!("{server}/{name}")).await.unwrap();
        let mut connection = Connection::Postgres(Box::new(connection));
        migrations::run(&mut connection).await.unwrap();
        let Connection::Postgres(mut connection) = connection else {
            panic!("a session of PostgreSQL");
        };
        for (name, sql) in ALL {
            let prepared = connection.prepare(SqlStr::from_static(sql.postgres)).await;
            let prepared = prepared.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(found(&prepared), parameters(sql.postgres), "{name}");
        }
    }
}
