//! The schema: migrations embedded in the program, and what is said when a database does not fit.
//!
//! A released migration is never edited: its checksum is stored in every database that has it.

use sqlx::SqlStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use crate::connection::Connection;

/// Number, name, text for SQLite, text for PostgreSQL.
type Step = (i64, &'static str, &'static str, &'static str);

/// Texts of the migration with this file name.
macro_rules! step {
    ($number:literal, $name:literal, $file:literal) => {
        (
            $number,
            $name,
            include_str!(concat!("../../../migrations/sqlite/", $file)),
            include_str!(concat!("../../../migrations/postgres/", $file)),
        )
    };
}

/// All migrations in order.
const STEPS: &[Step] = &[
    step!(1, "accounts", "0001_accounts.sql"),
    step!(2, "held_presence", "0002_held_presence.sql"),
    step!(3, "capabilities", "0003_capabilities.sql"),
    step!(4, "rooms", "0004_rooms.sql"),
];

/// Why a database does not have the schema that this program needs.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A newer program has been here.
    #[error(
        "the database has schema {found}, this program knows schemas up to {known}; run the newer version of balcony, or \
         restore a backup that was made before the upgrade"
    )]
    Newer {
        /// The number of its newest migration.
        found: i64,
        /// The number of ours.
        known: i64,
    },
    /// It was made from another text of a migration.
    #[error(
        "migration {0} was applied to the database in another form; this is a database of a modified or unreleased version"
    )]
    Edited(i64),
    /// A migration could not be applied.
    #[error("migration of the schema: {0}")]
    Failed(#[source] MigrateError),
}

/// Brings the schema up to date. Only one process may be here at a time.
pub(crate) async fn run(connection: &mut Connection) -> Result<(), SchemaError> {
    let outcome = match connection {
        Connection::Sqlite(connection) => migrator(|step| step.2).run(connection).await,
        Connection::Postgres(connection) => migrator(|step| step.3).run(&mut **connection).await,
    };
    let known = STEPS.iter().map(|step| step.0).max().unwrap_or(0);
    outcome.map_err(|error| {
        if let MigrateError::VersionMissing(found) = error
            && found > known
        {
            return SchemaError::Newer { found, known };
        }
        if let MigrateError::VersionMissing(number) | MigrateError::VersionMismatch(number) = error {
            return SchemaError::Edited(number);
        }
        SchemaError::Failed(error)
    })
}

/// Whether a database whose newest migration has this number can be used.
pub(crate) fn check(newest: Option<i64>) -> Result<(), SchemaError> {
    let known = STEPS.iter().map(|step| step.0).max().unwrap_or(0);
    match newest {
        Some(found) if found > known => Err(SchemaError::Newer { found, known }),
        Some(_) | None => Ok(()),
    }
}

fn migrator(text: fn(&Step) -> &'static str) -> Migrator {
    let steps = STEPS.iter().map(|step| {
        let sql = SqlStr::from_static(text(step));
        Migration::new(step.0, step.1.into(), MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(steps.collect());
    // The process has the database for itself already.
    migrator.set_locking(false);
    migrator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_file_is_embedded_in_order_for_both_databases() {
        for (folder, text) in [
            ("sqlite", (|step| step.2) as fn(&Step) -> &'static str),
            ("postgres", |step| step.3),
        ] {
            let folder = format!("{}/../../migrations/{folder}", env!("CARGO_MANIFEST_DIR"));
            let mut files: Vec<_> = std::fs::read_dir(&folder)
                .unwrap()
                .map(|file| file.unwrap().path())
                .collect();
            files.sort();
            assert_eq!(files.len(), STEPS.len(), "{folder}");
            for ((file, step), number) in files.iter().zip(STEPS).zip(1..) {
                assert_eq!(step.0, number);
                let name = file.file_name().unwrap().to_str().unwrap();
                assert_eq!(name, format!("{number:04}_{}.sql", step.1));
                assert_eq!(std::fs::read_to_string(file).unwrap(), text(step), "{name}");
            }
        }
    }
}
