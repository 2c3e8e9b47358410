//! Where the data are: `storage.url` of the configuration.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// Where the data are.
#[derive(Clone)]
pub enum Url {
    /// `sqlite:` and the path of a file.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database`, with the parameters of libpq.
    Postgres(Box<PgConnectOptions>),
}

/// Why a text does not say where the data are.
#[derive(Debug, thiserror::Error)]
pub enum BadUrl {
    /// It starts with neither name.
    #[error("the URL of the storage must start with sqlite: or postgres://")]
    Scheme,
    /// It names no file.
    #[error(
        "a SQLite database must be a file, for example sqlite:data/balcony.db; all connections must see the same data"
    )]
    NoFile,
    /// It is not understood.
    #[error("the URL of the PostgreSQL database is not understood: {0}")]
    Postgres(sqlx::Error),
}

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Url, BadUrl> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(':') {
                return Err(BadUrl::NoFile);
            }
            return Ok(Url::Sqlite(path.into()));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return match text.parse() {
                Ok(options) => Ok(Url::Postgres(Box::new(options))),
                Err(error) => Err(BadUrl::Postgres(error)),
            };
        }
        Err(BadUrl::Scheme)
    }
}

impl Url {
    /// With this password, where there is a server that may ask for one.
    #[must_use]
    pub fn with_password(self, password: &str) -> Url {
        match self {
            Url::Sqlite(path) => Url::Sqlite(path),
            Url::Postgres(options) => Url::Postgres(Box::new(options.password(password))),
        }
    }

    /// With the path of a SQLite database read from this directory on.
    #[must_use]
    pub fn relative_to(self, directory: &Path) -> Url {
        match self {
            Url::Sqlite(path) => Url::Sqlite(directory.join(path)),
            Url::Postgres(options) => Url::Postgres(options),
        }
    }
}

/// Without a password.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Url::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Url::Postgres(options) => {
                write!(f, "postgres://{}@", options.get_username())?;
                match options.get_socket() {
                    Some(socket) => write!(f, "{}", socket.display())?,
                    None => write!(f, "{}:{}", options.get_host(), options.get_port())?,
                }
                write!(f, "/{}", options.get_database().unwrap_or(options.get_username()))
            }
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_and_shown_without_passwords() {
        for (text, shown) in [
            ("sqlite:data/balcony.db", "sqlite:/etc/balcony/data/balcony.db"),
            ("sqlite:///var/lib/balcony.db", "sqlite:/var/lib/balcony.db"),
            (
                "postgres://balcony:secret@db:5433/chat",
                "postgres://balcony@db:5433/chat",
            ),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.relative_to(Path::new("/etc/balcony")).to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_place_for_data_is_refused_with_advice() {
        for (text, advice) in [
            ("mysql://host/db", "must start with"),
            ("sqlite:", "must be a file"),
            ("sqlite::memory:", "must be a file"),
            ("postgres://host:port/db", "not understood"),
        ] {
            let error = text.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains(advice), "{text}: {error}");
        }
    }
}
