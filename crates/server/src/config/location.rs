//! Values that say where something is: on the network, on the web, in a database.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use toml::Spanned;
use toml::de::DeValue;

use super::name::HostName;
use super::schema::{Description, Reader, Setting};
use super::value::{Textual, quote};

/// A block of IP addresses: `"192.0.2.0/24"`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Where the connections to a domain go instead of asking DNS for its services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteTarget {
    /// An address; no DNS at all.
    Address(SocketAddr),
    /// A host whose address records are asked for, and a port.
    Host(HostName, u16),
}

/// A server for DNS questions: `"address:port"`, or an address with port 53.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsServer(pub SocketAddr);

/// Where a service is found on an HTTP listener: a path that begins with a slash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpPath(String);

/// A web origin (RFC 6454) whose pages may use the HTTP transports, or `*` for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Pages from anywhere.
    Any,
    /// Pages from this origin, as browsers write it: lower case, no path.
    Exactly(String),
}

/// Where clients in browsers connect, at another server: `wss://…` or `https://…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebEndpoint(String);

/// A web site, `https://chat.montague.lit`, or a path on one. Paths are put behind it as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSite(String);

/// Where accounts, rosters, messages and rooms are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server; the URL holds no password.
    Postgres(String),
}

impl Network {
    /// An address of the block.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits are the same in all its addresses.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// True when `address` lies in this block. An IPv4 address that arrives mapped into IPv6, as it does on a listener
    /// for both families, is looked at as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.prefix);
                u64::from(own.to_bits()) >> shift == u64::from(other.to_bits()) >> shift
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.prefix);
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// True for `0.0.0.0/0` and `::/0`.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

impl HttpPath {
    /// A path that stands in this program.
    pub(super) fn from_static(path: &'static str) -> HttpPath {
        HttpPath(path.to_owned())
    }

    /// The path, beginning with a slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl WebSite {
    /// The whole URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Textual for WebSite {
    const FORM: &'static str = "a web site such as \"https://chat.montague.lit\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let site = text.strip_suffix('/').unwrap_or(text);
        match site.strip_prefix("https://") {
            Some(rest)
                if !rest.starts_with('/')
                    && !rest.is_empty()
                    && rest
                        .bytes()
                        .all(|byte| byte.is_ascii_graphic() && byte != b'?' && byte != b'#') =>
            {
                Ok(WebSite(site.to_owned()))
            }
            // XEP-0156 §2.2: ways without TLS are not told.
            Some(_) | None => Err(format!("\"{text}\" does not begin with https:// and a host")),
        }
    }

    fn to_text(&self) -> String {
        self.0.clone()
    }
}

impl WebEndpoint {
    /// The whole URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Textual for WebEndpoint {
    const FORM: &'static str = "a URI such as \"wss://other.montague.lit/xmpp-websocket\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("wss://")
            .or_else(|| text.strip_prefix("https://"));
        match rest {
            Some(rest)
                if !rest.starts_with('/')
                    && rest.bytes().all(|byte| byte.is_ascii_graphic())
                    && !rest.is_empty() =>
            {
                Ok(WebEndpoint(text.to_owned()))
            }
            // RFC 7395 §3.6.1: nobody follows to where there is no TLS.
            Some(_) | None => Err(format!(
                "\"{text}\" does not begin with wss:// or https:// and a host"
            )),
        }
    }

    fn to_text(&self) -> String {
        self.0.clone()
    }
}

impl Textual for Network {
    const FORM: &'static str =
        "an address or a block of addresses such as \"192.0.2.0/24\" or \"2001:db8::/32\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let no_network = || format!("\"{text}\" is no block of addresses");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| no_network())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|prefix| *prefix <= longest)
                .ok_or_else(no_network)?,
            None => longest,
        };
        Ok(Network { address, prefix })
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Textual for SocketAddr {
    const FORM: &'static str = "an IP address and a port such as \"[::]:5222\" or \"127.0.0.1:5222\"";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| {
            let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
            if host.parse::<IpAddr>().is_ok() {
                format!("\"{text}\" lacks a port, or the brackets around an IPv6 address")
            } else {
                format!("\"{text}\" is no IP address with a port")
            }
        })
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Textual for RouteTarget {
    const FORM: &'static str =
        "an address or a host, with a port, such as \"127.0.0.12:5269\" or \"xmpp.capulet.lit:5269\"";

    fn from_text(text: &str) -> Result<Self, String> {
        if let Ok(address) = SocketAddr::from_str(text) {
            return Ok(RouteTarget::Address(address));
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| format!("\"{text}\" lacks a port"))?;
        let port = port.parse().map_err(|_| format!("\"{port}\" is no port"))?;
        Ok(RouteTarget::Host(HostName::new(host)?, port))
    }

    fn to_text(&self) -> String {
        match self {
            RouteTarget::Address(address) => address.to_string(),
            RouteTarget::Host(host, port) => format!("{host}:{port}"),
        }
    }
}

impl Textual for DnsServer {
    const FORM: &'static str =
        "an IP address, with a port where that is not 53, such as \"9.9.9.9\" or \"127.0.0.1:5353\"";

    fn from_text(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(DnsServer(SocketAddr::new(address, 53)));
        }
        text.parse()
            .map(DnsServer)
            .map_err(|_| format!("\"{text}\" is no IP address"))
    }

    fn to_text(&self) -> String {
        self.0.to_string()
    }
}

impl Textual for HttpPath {
    const FORM: &'static str = "a path such as \"/http-bind\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
        if text.len() < 2 || !text.starts_with('/') || !text.bytes().all(fits) {
            return Err(format!(
                "\"{text}\" is no path of letters, digits and slashes that begins with a slash"
            ));
        }
        Ok(HttpPath(text.to_owned()))
    }

    fn to_text(&self) -> String {
        self.0.clone()
    }
}

impl Textual for Origin {
    const FORM: &'static str = "an origin such as \"https://chat.montague.lit\", or \"*\" for all";

    fn from_text(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Origin::Any);
        }
        let lower = text.to_ascii_lowercase();
        let authority = lower
            .strip_prefix("https://")
            .or_else(|| lower.strip_prefix("http://"));
        match authority {
            Some(authority) if !authority.is_empty() && !authority.contains(['/', ' ', '?', '#', '@']) => {
                Ok(Origin::Exactly(lower))
            }
            Some(_) | None => Err(format!(
                "\"{text}\" is no origin: scheme, host and port alone, without a final slash"
            )),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Origin::Any => "*".to_owned(),
            Origin::Exactly(origin) => origin.clone(),
        }
    }
}

impl Setting for DatabaseUrl {
    fn describe() -> Description {
        Description::Value(DATABASE_FORM.to_owned())
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let written = value.get_ref().as_str().unwrap_or_default();
        if let Some(file) = written.strip_prefix("sqlite:") {
            let file = file.strip_prefix("//").unwrap_or(file);
            if !file.is_empty() && !file.starts_with(':') && !file.contains('?') {
                return Some(DatabaseUrl::Sqlite(reader.path(file)));
            }
        } else if let Some(rest) = written
            .strip_prefix("postgres://")
            .or_else(|| written.strip_prefix("postgresql://"))
        {
            let authority = rest.split(['/', '?']).next().unwrap_or_default();
            let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
            if user.contains(':') || rest.contains("password=") {
                let advice = "Put it into a file of its own, readable by the server alone, and name that in storage.password_file.";
                reader.wrong(
                    value.span(),
                    key,
                    "holds a password, and this file is read by many",
                    advice,
                );
                return None;
            }
            return Some(DatabaseUrl::Postgres(written.to_owned()));
        }
        // The text is not repeated: it might hold a password in some other spelling.
        reader.wrong(
            value.span(),
            key,
            "is no database that Balcony knows",
            format!("Write {DATABASE_FORM}."),
        );
        None
    }

    fn write(&self) -> Option<String> {
        match self {
            DatabaseUrl::Sqlite(file) => file.to_str().map(|file| quote(&format!("sqlite:{file}"))),
            DatabaseUrl::Postgres(url) => Some(quote(url)),
        }
    }
}

const DATABASE_FORM: &str = "\"sqlite:FILE\" or \"postgres://USER@HOST/DATABASE\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_whichever_listener_they_came_through() {
        for (network, inside, outside) in [
            (
                "127.0.0.0/8",
                vec!["127.0.0.1", "127.255.255.255", "::ffff:127.0.0.1"],
                vec!["128.0.0.1", "::1"],
            ),
            ("192.0.2.7", vec!["192.0.2.7"], vec!["192.0.2.6", "192.0.2.8"]),
            (
                "2001:db8::/32",
                vec!["2001:db8::1", "2001:db8:ffff::"],
                vec!["2001:db9::", "192.0.2.7"],
            ),
            ("::1", vec!["::1"], vec!["::2", "127.0.0.1"]),
            (
                "0.0.0.0/0",
                vec!["0.0.0.0", "255.255.255.255", "::ffff:192.0.2.1"],
                vec!["::1"],
            ),
            ("::/0", vec!["::1", "2001:db8::"], vec!["192.0.2.1"]),
        ] {
            let network = Network::from_text(network).unwrap();
            for address in inside {
                assert!(
                    network.contains(address.parse().unwrap()),
                    "{network} should hold {address}"
                );
            }
            for address in outside {
                assert!(
                    !network.contains(address.parse().unwrap()),
                    "{network} should not hold {address}"
                );
            }
        }
    }

    #[test]
    fn a_web_site_has_tls_and_no_slash_at_its_end() {
        for (given, taken) in [
            ("https://chat.montague.lit", "https://chat.montague.lit"),
            (
                "https://montague.lit:8443/chat/",
                "https://montague.lit:8443/chat",
            ),
        ] {
            assert_eq!(WebSite::from_text(given).unwrap().as_str(), taken);
        }
        for wrong in [
            "http://montague.lit",
            "montague.lit",
            "https://",
            "https:///",
            "https://a b",
            "https://a/?b",
        ] {
            assert!(WebSite::from_text(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn targets_of_routes_are_addresses_or_hosts() {
        let address = RouteTarget::Address("127.0.0.12:5269".parse().unwrap());
        assert_eq!(RouteTarget::from_text("127.0.0.12:5269"), Ok(address));
        let host = RouteTarget::Host(HostName::new("xmpp.capulet.lit").unwrap(), 5269);
        assert_eq!(RouteTarget::from_text("XMPP.capulet.lit:5269"), Ok(host.clone()));
        assert_eq!(host.to_text(), "xmpp.capulet.lit:5269");
        for wrong in [
            "capulet.lit",
            "capulet.lit:",
            "capulet.lit:99999",
            "::1:5269",
            "127.0.0.1",
        ] {
            assert!(RouteTarget::from_text(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn origins_are_compared_as_browsers_write_them() {
        assert_eq!(Origin::from_text("*"), Ok(Origin::Any));
        let origin = Origin::Exactly("https://chat.montague.lit:8443".to_owned());
        assert_eq!(Origin::from_text("https://Chat.Montague.lit:8443"), Ok(origin));
        for wrong in [
            "",
            "chat.montague.lit",
            "https://",
            "https://a.lit/",
            "https://a.lit/chat",
            "ftp://a.lit",
            "https://u@a.lit",
        ] {
            assert!(Origin::from_text(wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_name_server_without_a_port_listens_on_53() {
        assert_eq!(
            DnsServer::from_text("9.9.9.9"),
            Ok(DnsServer("9.9.9.9:53".parse().unwrap()))
        );
        assert_eq!(
            DnsServer::from_text("::1"),
            Ok(DnsServer("[::1]:53".parse().unwrap()))
        );
        assert_eq!(
            DnsServer::from_text("127.0.0.1:5353"),
            Ok(DnsServer("127.0.0.1:5353".parse().unwrap()))
        );
    }
}
