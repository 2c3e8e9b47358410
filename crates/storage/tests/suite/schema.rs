//! Databases of earlier and later versions, and what is beside the accounts.
//!
//! `fixtures/` has one database per schema that was released, as the text of a dump. They are never changed: whoever
//! changes a released migration fails here, since its checksum is in them.

use account::Flags;
use features::Record;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use storage::{Database, OpenError, SchemaError, Secret, Settings, Url};

use crate::asking::{address, argon2id, keys, row, shown};
use crate::contents::one_of_each;
use crate::places::{Directory, Place, fresh_postgres_on, on_every_database, postgres_server, sqlite_url};

on_every_database!(
    a_newer_schema_is_refused_with_advice,
    an_edited_migration_is_refused,
    a_secret_is_made_once,
    the_figures_name_the_backend,
);

/// Runs statements on the database of a place, past the store.
async fn run(url: &Url, statements: &str) {
    let statements = AssertSqlSafe(statements.to_owned());
    match url {
        Url::Sqlite(path) => {
            let mut connection = SqliteConnection::connect(&format!("sqlite:{}?mode=rwc", path.display()))
                .await
                .unwrap();
            sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
        Url::Postgres(options) => {
            let mut connection = PgConnection::connect_with(options).await.unwrap();
            sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

async fn refused(place: Place, statement: &str) -> SchemaError {
    let settings = place.settings();
    assert!(place.database().close().await);
    run(&settings.url, statement).await;
    match Database::open(settings).await {
        Err(OpenError::Schema { source, .. }) => source,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was opened"),
    }
}

async fn a_newer_schema_is_refused_with_advice(place: Place) {
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
        SELECT 9999, 'of the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    let error = refused(place, newer).await;
    assert!(matches!(error, SchemaError::Newer { found: 9999, .. }), "{error}");
    assert!(error.to_string().contains("run the newer version"), "{error}");
}

async fn an_edited_migration_is_refused(place: Place) {
    let edited = "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 1";
    let error = refused(place, edited).await;
    assert!(matches!(error, SchemaError::Edited(1)), "{error}");
}

async fn a_secret_is_made_once(mut place: Place) {
    let secret = place.database().secret(Secret::UnknownAccounts);
    place.reopen().await;
    assert_eq!(place.database().secret(Secret::UnknownAccounts), secret);
    let other = Place::sqlite().await;
    assert_ne!(other.database().secret(Secret::UnknownAccounts), secret);
}

async fn the_figures_name_the_backend(place: Place) {
    let backend = match place.settings().url {
        Url::Sqlite(_) => "sqlite",
        Url::Postgres(_) => "postgres",
    };
    let figures = place.database().figures();
    assert_eq!(
        (figures.backend, figures.queued, figures.reachable),
        (backend, 0, true)
    );
}

/// What is in every fixture.
async fn has_what_was_stored(place: &Place) {
    let store = &place.asker;
    let (romeo, juliet) = (address("romeo@montague.lit"), address("juliet@capulet.lit"));
    let expected = Place::memory();
    fill(&expected).await;
    for account in [&romeo, &juliet] {
        assert_eq!(
            shown(&store.load(account).await.unwrap()),
            shown(&expected.asker.load(account).await.unwrap())
        );
        let login = store.login(account).await.unwrap().unwrap();
        let expected = expected.asker.login(account).await.unwrap().unwrap();
        assert_eq!(
            (login.credentials, login.flags),
            (expected.credentials, expected.flags)
        );
    }
    assert_eq!(store.waiting(&romeo).await.unwrap(), [row(1), row(2)]);
    assert_eq!(
        store.record(&romeo, Record::VCard).await,
        Ok(Some(b"<vCard/>".to_vec()))
    );
    assert_eq!(
        store.create(&address("nurse@capulet.lit")).await,
        Ok(true),
        "it can be written"
    );
}

/// Makes what is in every fixture.
async fn fill(place: &Place) {
    let (romeo, juliet) = (address("romeo@montague.lit"), address("juliet@capulet.lit"));
    let credentials = sasl::Stored::Scram {
        sha1: keys(1, 4096),
        sha256: keys(2, 10_000),
        sha512: keys(3, 10_000),
    };
    place.asker.create_with(&romeo, credentials).await.unwrap();
    place
        .asker
        .create_with(&juliet, argon2id("$argon2id$v=19$…"))
        .await
        .unwrap();
    let flags = Flags {
        poke_disabled: true,
        ..Flags::default()
    };
    place.asker.set_flags(&juliet, flags).await.unwrap();
    place.asker.commit(&romeo, one_of_each()).await.unwrap();
}

/// What fixtures of later schemas have besides: a session that others see, a hash of capabilities, a room.
async fn has_what_came_later(place: &Place, schema: usize) {
    let store = &place.asker;
    let tybalt = [address("tybalt@capulet.lit")];
    let hall = address("hall@rooms.montague.lit");
    assert_eq!(
        store.held().await.unwrap(),
        if schema >= 2 { &tybalt[..] } else { &[] }
    );
    let hashes = store.capabilities().await.unwrap();
    assert_eq!(hashes.len(), usize::from(schema >= 3));
    assert_eq!(store.vanished().await.unwrap().contains(&hall), schema >= 4);
    let saved = store.room(&hall, 10).await.unwrap();
    assert_eq!(
        saved.room.map(|room| room.title),
        (schema >= 4).then(|| String::from("The hall"))
    );
    assert_eq!(saved.affiliations.len(), usize::from(schema >= 4));
    let crypt = store
        .room(&address("crypt@rooms.montague.lit"), 10)
        .await
        .unwrap();
    assert_eq!(crypt.tombstone.is_some(), schema >= 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_schemas_of_all_releases_are_brought_up_to_date() {
    let dumps = [
        include_str!("../fixtures/sqlite-1.sql"),
        include_str!("../fixtures/sqlite-2.sql"),
        include_str!("../fixtures/sqlite-3.sql"),
        include_str!("../fixtures/sqlite-4.sql"),
    ];
    for (place, dump) in dumps.into_iter().enumerate() {
        let directory = Directory::new();
        let url = sqlite_url(&directory);
        run(&url, dump).await;
        let migrated = Place::open(Settings::new(url), Some(directory)).await;
        has_what_was_stored(&migrated).await;
        has_what_came_later(&migrated, place + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn postgres_schemas_of_all_releases_are_brought_up_to_date() {
    let server = postgres_server();
    let dumps = [
        include_str!("../fixtures/postgres-1.sql"),
        include_str!("../fixtures/postgres-2.sql"),
        include_str!("../fixtures/postgres-3.sql"),
        include_str!("../fixtures/postgres-4.sql"),
    ];
    for (place, dump) in dumps.into_iter().enumerate() {
        let url: Url = fresh_postgres_on(&server).await.parse().unwrap();
        run(&url, dump).await;
        let migrated = Place::open(Settings::new(url), None).await;
        has_what_was_stored(&migrated).await;
        has_what_came_later(&migrated, place + 1).await;
    }
}

/// Makes the databases that are dumped for a new fixture when a schema is released:
/// `BALCONY_TEST_FIXTURE=sqlite:/tmp/new.db cargo test -p balcony-storage make_a_fixture -- --ignored`, then
/// `sqlite3 /tmp/new.db .dump`, and the same with a URL of PostgreSQL and `pg_dump --inserts --no-owner`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run when a schema is released"]
async fn make_a_fixture() {
    let url = std::env::var("BALCONY_TEST_FIXTURE").expect("BALCONY_TEST_FIXTURE names an empty database");
    let place = Place::open(Settings::new(url.parse().unwrap()), None).await;
    fill(&place).await;
    assert!(place.database().close().await);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Directory::new();
    let place = Place::open(Settings::new(sqlite_url(&directory)), None).await;
    place.asker.create(&address("romeo@montague.lit")).await.unwrap();
    let mut files = 0;
    for file in std::fs::read_dir(&directory.0).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
        files += 1;
    }
    assert_eq!(files, 3, "the database, its log and the index of that");
}

#[tokio::test]
async fn a_directory_that_is_missing_is_named() {
    let url: Url = "sqlite:/nowhere/at/all.db".parse().unwrap();
    let told = Database::open(Settings::new(url))
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        told.contains("/nowhere/at/all.db") && told.contains("directory must exist"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL: tests/run postgres"]
async fn a_postgres_database_that_cannot_hold_unicode_is_refused_with_advice() {
    let server = postgres_server();
    let url = fresh_postgres_on(&server).await;
    let (_, name) = url.rsplit_once('/').unwrap();
    let mut connection = PgConnection::connect(&server).await.unwrap();
    for statement in [
        format!("DROP DATABASE {name}"),
        format!("CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"),
    ] {
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let error = Database::open(Settings::new(url.parse().unwrap()))
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("ENCODING 'UTF8'"), "{error}");
}
