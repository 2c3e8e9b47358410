//! Random octets that the server makes once and keeps.

use crate::connection::{Connection, Value};
use crate::sql;

/// What a secret is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// The made-up salts of accounts that do not exist: stable, so that a login attempt tells nothing.
    UnknownAccounts,
    /// From which the keys of dialback are made (XEP-0185 §2).
    Dialback,
}

impl Secret {
    const ALL: [Secret; 2] = [Secret::UnknownAccounts, Secret::Dialback];

    /// The name under which it is stored.
    fn name(self) -> &'static str {
        match self {
            Secret::UnknownAccounts => "unknown-accounts",
            Secret::Dialback => "dialback",
        }
    }
}

/// All secrets.
pub(crate) struct Secrets([[u8; 32]; Secret::ALL.len()]);

impl Secrets {
    /// Reads them, and makes those that are missing.
    pub(crate) async fn load(connection: &mut Connection) -> Result<Secrets, String> {
        let mut secrets = [[0; 32]; Secret::ALL.len()];
        for (octets, secret) in secrets.iter_mut().zip(Secret::ALL) {
            *octets = load(connection, secret).await?;
        }
        Ok(Secrets(secrets))
    }

    pub(crate) fn get(&self, secret: Secret) -> [u8; 32] {
        let Secrets([unknown_accounts, dialback]) = self;
        match secret {
            Secret::UnknownAccounts => *unknown_accounts,
            Secret::Dialback => *dialback,
        }
    }
}

async fn load(connection: &mut Connection, secret: Secret) -> Result<[u8; 32], String> {
    let mut fresh = [0; 32];
    getrandom::fill(&mut fresh).map_err(|error| error.to_string())?;
    let name = Value::Text(secret.name());
    connection
        .execute(sql::SECRET_ADD, &[name, Value::Bytes(&fresh)])
        .await
        .map_err(|error| error.to_string())?;
    let found = connection
        .row(sql::SECRET_LOAD, &[name])
        .await
        .map_err(|error| error.to_string())?;
    let octets: Vec<u8> = found
        .ok_or_else(|| format!("the secret {} is missing", secret.name()))?
        .get(0)
        .map_err(|error| error.to_string())?;
    octets
        .try_into()
        .map_err(|_| format!("the secret {} has the wrong length", secret.name()))
}
