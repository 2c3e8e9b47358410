//! The kinds of values that settings have, each with how it is written and what is said when it is written wrongly.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::schema::{Description, Reader, Setting, kind_of};

/// A number of bytes, written with a unit: `"256KiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub usize);

/// So many in so much time, written `"6/1m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how much time; never zero.
    pub period: Duration,
}

/// Something that can be switched off by writing `"off"` in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrOff<T> {
    /// It is in force, like this.
    On(T),
    /// It is switched off.
    Off,
}

/// A domain in the form in which domains are compared: prepared, without a final dot (RFC 7622 §3.2). Never an IP address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

/// The address of an account, without a resource (RFC 7622 §3.1).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName {
    local: String,
    host: HostName,
}

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

/// Where accounts, rosters, messages and rooms are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file.
    Sqlite(PathBuf),
    /// A server; the URL holds no password.
    Postgres(String),
}

impl<T> OrOff<T> {
    /// What is in force, if it is.
    pub fn on(&self) -> Option<&T> {
        match self {
            OrOff::On(value) => Some(value),
            OrOff::Off => None,
        }
    }
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

impl Network {
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

/// A value that is written as a text, or can be.
trait Textual: Sized {
    /// In words, with an example.
    const FORM: &'static str;
    /// Reads it; the error completes the sentence "… ".
    fn from_text(text: &str) -> Result<Self, String>;
    fn to_text(&self) -> String;
    /// What to write instead, where that is not simply the form.
    fn advice() -> String {
        format!("Write {}.", Self::FORM)
    }
}

macro_rules! setting_by_text {
    ($($type:ty),*) => { $(
        impl Setting for $type {
            fn describe() -> Description {
                Description::Value(<$type as Textual>::FORM.to_owned())
            }

            fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
                let Some(text) = value.get_ref().as_str() else {
                    let message = format!("cannot be {}", kind_of(value.get_ref()));
                    reader.wrong(value.span(), key, message, <$type as Textual>::advice());
                    return None;
                };
                <$type as Textual>::from_text(text)
                    .map_err(|message| reader.wrong(value.span(), key, message, <$type as Textual>::advice()))
                    .ok()
            }

            fn write(&self) -> Option<String> {
                Some(quote(&self.to_text()))
            }
        }
    )* };
}

setting_by_text!(
    Duration,
    Rate,
    HostName,
    AccountName,
    Network,
    SocketAddr,
    RouteTarget,
    DnsServer,
    HttpPath,
    Origin
);

impl Textual for Duration {
    const FORM: &'static str = "a time such as \"500ms\", \"120s\", \"5m\", \"12h\" or \"1d\"";

    fn from_text(text: &str) -> Result<Self, String> {
        parse_duration(text).ok_or_else(|| format!("\"{text}\" is no time"))
    }

    fn to_text(&self) -> String {
        write_duration(*self)
    }
}

impl Textual for Rate {
    const FORM: &'static str = "how many in how much time, such as \"6/1m\"";

    fn from_text(text: &str) -> Result<Self, String> {
        let no_rate = || format!("\"{text}\" is no rate");
        let (count, period) = text.split_once('/').ok_or_else(no_rate)?;
        let count = count.trim().parse().map_err(|_| no_rate())?;
        let period = parse_duration(period)
            .filter(|period| !period.is_zero())
            .ok_or_else(no_rate)?;
        if count == 0 {
            return Err(format!("\"{text}\" would allow nothing at all"));
        }
        Ok(Rate { count, period })
    }

    fn to_text(&self) -> String {
        format!("{}/{}", self.count, write_period(self.period))
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
        format!("{}/{}", self.address, self.prefix)
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

impl Setting for bool {
    fn describe() -> Description {
        Description::Value("true or false".to_owned())
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let read = value.get_ref().as_bool();
        if read.is_none() {
            let message = format!("cannot be {}", kind_of(value.get_ref()));
            reader.wrong(value.span(), key, message, "Write true or false, without quotes.");
        }
        read
    }

    fn write(&self) -> Option<String> {
        Some(self.to_string())
    }
}

macro_rules! setting_by_number {
    ($($type:ty),*) => { $(
        impl Setting for $type {
            fn describe() -> Description {
                Description::Value("a whole number".to_owned())
            }

            fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
                let advice = format!("Write a whole number from 0 to {}, without quotes.", <$type>::MAX.min(1_000_000_000 as $type));
                let Some(number) = value.get_ref().as_integer() else {
                    reader.wrong(value.span(), key, format!("cannot be {}", kind_of(value.get_ref())), advice);
                    return None;
                };
                let read = <$type>::from_str_radix(number.as_str(), number.radix()).ok();
                let read = read.filter(|read| *read <= 1_000_000_000 as $type);
                if read.is_none() {
                    reader.wrong(value.span(), key, format!("{number} is out of range"), advice);
                }
                read
            }

            fn write(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )* };
}

setting_by_number!(usize, u32);

impl Setting for ByteSize {
    fn describe() -> Description {
        Description::Value(BYTE_SIZE_FORM.to_owned())
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let read = match value.get_ref() {
            DeValue::Integer(number) => usize::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| format!("{number} is no number of bytes")),
            DeValue::String(text) => parse_bytes(text),
            other => Err(format!("cannot be {}", kind_of(other))),
        };
        read.map(ByteSize)
            .map_err(|message| reader.wrong(value.span(), key, message, format!("Write {BYTE_SIZE_FORM}.")))
            .ok()
    }

    fn write(&self) -> Option<String> {
        Some(quote(&self.to_string()))
    }
}

impl Setting for PathBuf {
    fn describe() -> Description {
        Description::Value("a path; a relative one starts where this file is".to_owned())
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref().as_str() {
            Some(path) if !path.is_empty() && !path.contains('\0') => Some(reader.path(path)),
            Some(_) => {
                reader.wrong(
                    value.span(),
                    key,
                    "is empty",
                    "Write a path, or leave the setting out.",
                );
                None
            }
            None => {
                let message = format!("cannot be {}", kind_of(value.get_ref()));
                reader.wrong(value.span(), key, message, "Write a path in quotes.");
                None
            }
        }
    }

    fn write(&self) -> Option<String> {
        self.to_str().map(quote)
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

impl<T: Setting> Setting for OrOff<T> {
    fn describe() -> Description {
        Description::Value(format!("{}, or \"off\"", form_of::<T>()))
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        match value.get_ref().as_str() {
            Some("off") => Some(OrOff::Off),
            Some(_) | None => T::read(value, key, reader).map(OrOff::On),
        }
    }

    fn write(&self) -> Option<String> {
        match self {
            OrOff::On(value) => value.write(),
            OrOff::Off => Some(quote("off")),
        }
    }
}

impl<T: Setting> Setting for Option<T> {
    fn describe() -> Description {
        T::describe()
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        T::read(value, key, reader).map(Some)
    }

    fn write(&self) -> Option<String> {
        self.as_ref().and_then(Setting::write)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn describe() -> Description {
        Description::Value(format!("a list; each entry is {}", form_of::<T>()))
    }

    fn read(value: &Spanned<DeValue<'_>>, key: &str, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(list) = value.get_ref().as_array() else {
            let message = format!("is a list and cannot be {}", kind_of(value.get_ref()));
            reader.wrong(
                value.span(),
                key,
                message,
                "Write the entries in brackets, with commas: [\"…\", \"…\"].",
            );
            return None;
        };
        // Every entry is read, so that every wrong one is told.
        let entries: Vec<Option<T>> = list.iter().map(|entry| T::read(entry, key, reader)).collect();
        entries.into_iter().collect()
    }

    fn write(&self) -> Option<String> {
        let entries: Option<Vec<String>> = self.iter().map(Setting::write).collect();
        Some(format!("[{}]", entries?.join(", ")))
    }
}

/// Declares a setting that is one of a few words.
macro_rules! choice {
    (
        $(#[doc = $doc:expr])*
        pub enum $choice:ident { $( $(#[doc = $variant_doc:expr])* $variant:ident = $word:literal, )* }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $choice { $( $(#[doc = $variant_doc])* $variant, )* }

        impl $choice {
            /// The word that stands for it in the file.
            pub fn as_str(self) -> &'static str {
                match self { $( $choice::$variant => $word, )* }
            }
        }

        impl $crate::config::schema::Setting for $choice {
            fn describe() -> $crate::config::schema::Description {
                $crate::config::schema::Description::Value($crate::config::value::one_of(&[$($word),*]))
            }

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                key: &str,
                reader: &mut $crate::config::schema::Reader<'_>,
            ) -> Option<Self> {
                match value.get_ref().as_str() {
                    $( Some($word) => Some($choice::$variant), )*
                    written => {
                        $crate::config::value::wrong_word(written, &[$($word),*], value, key, reader);
                        None
                    }
                }
            }

            fn write(&self) -> Option<String> {
                Some(format!("\"{}\"", self.as_str()))
            }
        }
    };
}
pub(crate) use choice;

/// `"a", "b" or "c"`.
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((only, _)) => only.clone(),
        None => String::new(),
    }
}

/// Says that a word is none of `words`.
pub(crate) fn wrong_word(
    written: Option<&str>,
    words: &[&'static str],
    value: &Spanned<DeValue<'_>>,
    key: &str,
    reader: &mut Reader<'_>,
) {
    let message = match written {
        Some(written) => format!("cannot be \"{written}\""),
        None => format!("cannot be {}", kind_of(value.get_ref())),
    };
    let advice = match written.and_then(|written| super::schema::nearest(written, words.iter().copied())) {
        Some(near) => format!("Did you mean \"{near}\"? It is {}.", one_of(words)),
        None => format!("Write {}.", one_of(words)),
    };
    reader.wrong(value.span(), key, message, advice);
}

const BYTE_SIZE_FORM: &str = "a number of bytes with its unit, such as \"256KiB\", \"4MiB\" or \"1GiB\"";
const DATABASE_FORM: &str = "\"sqlite:FILE\" or \"postgres://USER@HOST/DATABASE\"";

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

impl FromStr for AccountName {
    type Err = String;

    fn from_str(written: &str) -> Result<Self, String> {
        AccountName::new(written)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0;
        for (unit, size) in BYTE_UNITS.iter().rev() {
            if bytes >= *size && bytes.is_multiple_of(*size) {
                return write!(out, "{}{unit}", bytes / size);
            }
        }
        write!(out, "{bytes}B")
    }
}

const BYTE_UNITS: [(&str, usize); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// In milliseconds, shortest first.
const TIME_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let no_size = || format!("\"{text}\" is no number of bytes");
    let number: usize = number.parse().map_err(|_| no_size())?;
    match BYTE_UNITS.iter().find(|(name, _)| *name == unit) {
        Some((_, size)) => number.checked_mul(*size).ok_or_else(no_size),
        None if unit.is_empty() => Err(format!("\"{text}\" lacks a unit")),
        None => Err(format!("\"{unit}\" is no unit of bytes")),
    }
}

/// One or more numbers with units, as in `1h30m`.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut milliseconds: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let number: u64 = number.parse().ok()?;
        let (_, size) = TIME_UNITS.iter().find(|(name, _)| *name == unit)?;
        milliseconds = milliseconds.checked_add(number.checked_mul(*size)?)?;
        rest = after;
    }
    Some(Duration::from_millis(milliseconds))
}

/// Up to ten minutes in seconds, as the documents about the settings write it; longer ones in their largest whole unit.
fn write_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_millis() == 0 && seconds <= 600 {
        format!("{seconds}s")
    } else {
        write_period(duration)
    }
}

/// In the largest whole unit.
fn write_period(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    for (unit, size) in TIME_UNITS.iter().rev() {
        if milliseconds >= *size && milliseconds.is_multiple_of(*size) {
            return format!("{}{unit}", milliseconds / size);
        }
    }
    "0s".to_owned()
}

fn form_of<T: Setting>() -> String {
    match T::describe() {
        Description::Value(form) => form,
        Description::Section(_) | Description::Hosts(_) => "a section".to_owned(),
    }
}

fn quote(text: &str) -> String {
    format!("{:?}", text)
}
