//! What a database's error means for who asked.

use router::StoreError;
use sqlx::sqlite::SqliteError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It can never be done: a constraint, a value out of range, an account that is not there.
    #[error("{0}")]
    Refused(String),
    /// The database said that it cannot do it now. Nothing was changed, the connection is good.
    #[error("{0}")]
    Unavailable(sqlx::Error),
    /// It took so long that whoever asked was told that it is not done. Nothing was changed, the connection is good.
    #[error("it took too long")]
    TooLate,
    /// The connection is of no use any longer, and with it went what was not committed.
    #[error("{0}")]
    Lost(Loss),
}

/// How a connection was lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Loss {
    /// An error said so.
    #[error("{0}")]
    Broken(sqlx::Error),
    /// No answer came in time.
    #[error("no answer in time")]
    TimedOut,
    /// Another process has the database.
    #[error("the database is in use by {0}")]
    Held(String),
    /// The server is not the one that it was.
    #[error("{0}")]
    Unfit(String),
    /// Another process had the database meanwhile, and what is in memory may be wrong.
    #[error("another process has written to the database")]
    Replaced,
}

impl Failure {
    pub(crate) fn refused(why: impl Into<String>) -> Failure {
        Failure::Refused(why.into())
    }

    /// What the asker is told.
    pub(crate) fn for_asker(&self) -> StoreError {
        match self {
            Failure::Refused(_) => StoreError::Refused,
            Failure::Unavailable(_) | Failure::TooLate | Failure::Lost(_) => StoreError::Unavailable,
        }
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        // The row or the value is at fault, not the connection.
        let is_ours = matches!(
            error,
            sqlx::Error::Encode(_)
                | sqlx::Error::Decode(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::ColumnIndexOutOfBounds { .. }
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::TypeNotFound { .. }
                | sqlx::Error::RowNotFound
        );
        if is_ours {
            return Failure::Refused(error.to_string());
        }
        let Some(database) = error.as_database_error() else {
            return Failure::Lost(Loss::Broken(error));
        };
        let code = database.code().unwrap_or_default();
        let judgement = if database.try_downcast_ref::<SqliteError>().is_some() {
            judge_sqlite(code.parse().unwrap_or_default())
        } else {
            judge_postgres(&code)
        };
        match judgement {
            Judgement::Refused => Failure::Refused(error.to_string()),
            Judgement::Unavailable => Failure::Unavailable(error),
            Judgement::Lost => Failure::Lost(Loss::Broken(error)),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    Refused,
    Unavailable,
    Lost,
}

/// By the primary result code (<https://www.sqlite.org/rescode.html>).
fn judge_sqlite(code: i32) -> Judgement {
    match code & 0xff {
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB
        5 | 6 | 7 | 8 | 9 | 10 | 11 | 13 | 14 | 15 | 26 => Judgement::Unavailable,
        _ => Judgement::Refused,
    }
}

/// By the class, the first two characters (PostgreSQL, appendix A).
fn judge_postgres(code: &str) -> Judgement {
    match (code.get(..2).unwrap_or_default(), code) {
        // The session was ended: shut down, crashed, terminated, idle for too long, protocol violated.
        (_, "57P01" | "57P02" | "57P03" | "57P05" | "25P03") | ("08", _) => Judgement::Lost,
        // Serialisation and deadlock, resources, locks, cancelled, the system, the server's inside; read-only since it
        // became a standby.
        ("40" | "53" | "55" | "57" | "58" | "XX" | "F0", _) | (_, "25006") => Judgement::Unavailable,
        _ => Judgement::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_whether_asking_again_helps() {
        for (code, expected) in [
            (2067, Judgement::Refused),
            (787, Judgement::Refused),
            (18, Judgement::Refused),
            (5, Judgement::Unavailable),
            (261, Judgement::Unavailable),
            (13, Judgement::Unavailable),
            (1034, Judgement::Unavailable),
        ] {
            assert_eq!(judge_sqlite(code), expected, "{code}");
        }
        for (code, expected) in [
            ("23505", Judgement::Refused),
            ("22003", Judgement::Refused),
            ("42P01", Judgement::Refused),
            ("53100", Judgement::Unavailable),
            ("40P01", Judgement::Unavailable),
            ("57014", Judgement::Unavailable),
            ("25006", Judgement::Unavailable),
            ("57P01", Judgement::Lost),
            ("08006", Judgement::Lost),
        ] {
            assert_eq!(judge_postgres(code), expected, "{code}");
        }
    }
}
