//! Values that name somebody: domains and accounts, prepared for comparison (RFC 7622).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::value::Textual;

/// A domain in the form in which domains are compared: prepared, without a final dot (RFC 7622 §3.2). Never an IP address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// The address of an account, without a resource (RFC 7622 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName {
    local: String,
    host: HostName,
}

impl HostName {
    /// Prepares a domain for comparison.
    ///
    /// # Errors
    /// Says why `written` is no domain.
    pub fn new(written: &str) -> Result<HostName, String> {
        if written.parse::<IpAddr>().is_ok() || written.starts_with('[') {
            return Err(format!(
                "\"{written}\" is an IP address, and addresses of people need a name"
            ));
        }
        if written
            .to_ascii_lowercase()
            .split('.')
            .any(|label| label.starts_with("xn--"))
        {
            // RFC 7622 §3.2: addresses hold U-labels, so that this spelling would never equal that of a client.
            return Err(format!(
                "\"{written}\" is a domain as DNS encodes it; write it in its own letters"
            ));
        }
        let prepared =
            jid::DomainPart::new(written).map_err(|error| format!("\"{written}\" is no domain: {error}"))?;
        Ok(HostName(prepared.as_str().to_owned()))
    }

    /// The prepared text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AccountName {
    /// Prepares the address of an account.
    ///
    /// # Errors
    /// Says why `written` is none.
    pub fn new(written: &str) -> Result<AccountName, String> {
        let address =
            jid::Jid::new(written).map_err(|error| format!("\"{written}\" is no address: {error}"))?;
        let Some(local) = address.node() else {
            return Err(format!("\"{written}\" is a domain, not an account"));
        };
        if address.resource().is_some() {
            return Err(format!(
                "\"{written}\" names one connected client, not an account"
            ));
        }
        let host = HostName::new(address.domain().as_str())?;
        Ok(AccountName {
            local: local.as_str().to_owned(),
            host,
        })
    }

    /// The part before the `@`.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The part behind the `@`.
    pub fn host(&self) -> &HostName {
        &self.host
    }
}

impl Textual for HostName {
    const FORM: &'static str = "a domain such as \"montague.lit\"";

    fn from_text(text: &str) -> Result<Self, String> {
        HostName::new(text)
    }

    fn to_text(&self) -> String {
        self.0.clone()
    }
}

impl Textual for AccountName {
    const FORM: &'static str = "an account such as \"romeo@montague.lit\"";

    fn from_text(text: &str) -> Result<Self, String> {
        AccountName::new(text)
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}@{}", self.local, self.host)
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        HostName::new(written)
    }
}

impl TryFrom<String> for HostName {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        HostName::new(&written)
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> String {
        name.0
    }
}

impl TryFrom<String> for AccountName {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        AccountName::new(&written)
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> String {
        name.to_string()
    }
}

impl FromStr for AccountName {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        AccountName::new(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7622_3_2_domains_are_prepared_for_comparison() {
        for (written, prepared) in [
            ("Montague.LIT", "montague.lit"),
            ("montague.lit.", "montague.lit"),
            ("localhost", "localhost"),
            ("M\u{dc}nchen.example", "m\u{fc}nchen.example"),
        ] {
            assert_eq!(
                HostName::new(written).as_ref().map(HostName::as_str),
                Ok(prepared)
            );
        }
        for wrong in [
            "",
            ".",
            "a..b",
            "a b",
            "192.0.2.1",
            "[::1]",
            "::1",
            "-a.lit",
            "xn--mnchen-3ya.example",
            "a@b",
            "a/b",
        ] {
            assert!(HostName::new(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn rfc7622_3_1_accounts_are_bare_addresses_with_a_localpart() {
        let name = AccountName::new("Romeo@Montague.LIT").unwrap();
        assert_eq!(
            (name.local(), name.host().as_str(), name.to_string().as_str()),
            ("romeo", "montague.lit", "romeo@montague.lit")
        );
        for wrong in [
            "montague.lit",
            "romeo@montague.lit/orchard",
            "@montague.lit",
            "romeo@",
            "ro meo@montague.lit",
            "romeo@192.0.2.1",
        ] {
            assert!(AccountName::new(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn names_travel_as_texts_and_are_prepared_on_arrival() {
        let name: AccountName = serde_json::from_str("\"Romeo@Montague.lit\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"romeo@montague.lit\"");
        assert!(serde_json::from_str::<HostName>("\"a b\"").is_err());
    }
}
