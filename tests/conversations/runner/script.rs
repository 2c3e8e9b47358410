//! A file of scripts, as its lines say it. What each line means is told in `README.md`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sasl::HashFunction;
use simulation::Mechanism;

use crate::pattern::Pattern;

/// Begins the line that says why a script cannot be played over sockets.
const MEMORY_ONLY: &str = "in memory only: ";

/// One script: a clause, and what is done and seen.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    /// Name of the test: the heading in small letters.
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    pub(crate) lines: Vec<Line>,
    /// Why it cannot be played over sockets.
    pub(crate) memory_only: Option<String>,
}

/// One line, with the lines that continue it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) text: String,
    pub(crate) act: Act,
}

/// Who acts: `juliet`, `juliet/balcony`, `juliet@example.net`, `juliet/balcony#2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) username: String,
    pub(crate) host: String,
    pub(crate) resource: String,
    /// Another connection that wants the same resource.
    pub(crate) number: Option<u8>,
}

/// In which order stanzas are awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    AsWritten,
    Any,
}

/// What a line says.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    HasAccount(Who),
    SubscribedTo {
        watcher: Who,
        watched: Who,
    },
    Contacts(Who, Who),
    Begins,
    Connects(Who, Mechanism),
    IsOnline(Who, Option<i8>),
    Dials(Who, Dial),
    NegotiatesTls(Who),
    BeginsAnew(Who),
    OpensStream(Who),
    LogsIn(Who, Mechanism),
    Sends {
        who: Who,
        what: String,
        times: usize,
    },
    SendsRaw {
        who: Who,
        bytes: Vec<u8>,
        times: usize,
    },
    Receives {
        who: Who,
        order: Order,
        patterns: Vec<Pattern>,
    },
    ReceivesNothing(Who),
    StreamEnds(Who, Option<String>),
    ConnectionEnds(Who),
    Leaves(Who),
    LosesConnection(Who),
    TimePasses(Duration),
    Restarts,
    IsKilled,
    Store(Store),
}

/// How a connection begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dial {
    Tcp,
    Tls,
}

/// What the store does from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Fails,
    Refuses,
    Works,
}

impl Act {
    /// Who does it or sees it, if it is somebody.
    pub(crate) fn who(&self) -> Option<&Who> {
        match self {
            Act::Connects(who, _)
            | Act::IsOnline(who, _)
            | Act::Dials(who, _)
            | Act::NegotiatesTls(who)
            | Act::BeginsAnew(who)
            | Act::OpensStream(who)
            | Act::LogsIn(who, _)
            | Act::Sends { who, .. }
            | Act::SendsRaw { who, .. }
            | Act::Receives { who, .. }
            | Act::ReceivesNothing(who)
            | Act::StreamEnds(who, _)
            | Act::ConnectionEnds(who)
            | Act::Leaves(who)
            | Act::LosesConnection(who) => Some(who),
            Act::HasAccount(_)
            | Act::SubscribedTo { .. }
            | Act::Contacts(..)
            | Act::Begins
            | Act::TimePasses(_)
            | Act::Restarts
            | Act::IsKilled
            | Act::Store(_) => None,
        }
    }

    /// Whether it says how somebody comes.
    pub(crate) fn is_arrival(&self) -> bool {
        matches!(
            self,
            Act::Connects(..) | Act::IsOnline(..) | Act::Dials(..) | Act::OpensStream(_)
        )
    }

    /// Whose accounts it needs.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other act needs the account of whoever acts"
    )]
    pub(crate) fn accounts(&self) -> Vec<&Who> {
        match self {
            Act::HasAccount(who) => vec![who],
            Act::SubscribedTo { watcher, watched } => vec![watcher, watched],
            Act::Contacts(one, other) => vec![one, other],
            other => other.who().into_iter().collect(),
        }
    }

    /// Whether only a server in memory lets it happen.
    fn needs_memory(&self) -> bool {
        matches!(self, Act::TimePasses(_) | Act::Store(_))
    }

    /// Whether it is about what was before the conversation.
    pub(crate) fn is_setup(&self) -> bool {
        matches!(
            self,
            Act::HasAccount(_) | Act::SubscribedTo { .. } | Act::Contacts(..)
        )
    }
}

impl Who {
    /// The bare address.
    pub(crate) fn account(&self) -> String {
        format!("{}@{}", self.username, self.host)
    }

    /// The full address.
    pub(crate) fn address(&self) -> String {
        format!("{}/{}", self.account(), self.resource)
    }

    fn parse(text: &str) -> Result<Who, String> {
        let (rest, number) = match text.split_once('#') {
            Some((rest, number)) => (
                rest,
                Some(number.parse().map_err(|_| format!("{text}: which one?"))?),
            ),
            None => (text, None),
        };
        let (bare, resource) = match rest.split_once('/') {
            Some((bare, resource)) => (bare, Some(resource)),
            None => (rest, None),
        };
        let (username, host) = bare.split_once('@').unwrap_or((bare, "example.com"));
        let resource = resource.unwrap_or(match username {
            "juliet" => "balcony",
            "romeo" => "orchard",
            _ => "home",
        });
        let is_name = !username.is_empty() && username.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !is_name || resource.is_empty() {
            return Err(format!("{text:?} is nobody"));
        }
        Ok(Who {
            username: username.to_owned(),
            host: host.to_owned(),
            resource: resource.to_owned(),
            number,
        })
    }
}

/// Reads a file of scripts.
pub(crate) fn parse(file: &Path, text: &str) -> Result<Vec<Conversation>, String> {
    let mut common: Vec<Line> = Vec::new();
    let mut conversations: Vec<Conversation> = Vec::new();
    for (number, text) in joined(text) {
        let place = format!("{}:{number}", file.display());
        if let Some(heading) = text.strip_prefix("# ") {
            conversations.push(Conversation {
                name: name(heading).ok_or_else(|| format!("{place}: a heading is '# CLAUSE: sentence'"))?,
                file: file.to_owned(),
                lines: common.clone(),
                memory_only: None,
            });
            continue;
        }
        if let Some(reason) = text.strip_prefix(MEMORY_ONLY) {
            let conversation = conversations
                .last_mut()
                .filter(|conversation| conversation.lines.len() == common.len())
                .ok_or_else(|| format!("{place}: this stands under the heading of one script"))?;
            conversation.memory_only = Some(reason.to_owned());
            continue;
        }
        let act = act(&text).map_err(|wrong| format!("{place}: {wrong}"))?;
        let lines = conversations
            .last_mut()
            .map_or(&mut common, |conversation| &mut conversation.lines);
        let is_late = act.is_setup() && lines.iter().any(|line| !line.act.is_setup());
        if is_late && !matches!(act, Act::HasAccount(_)) {
            return Err(format!("{place}: who knows whom is told before anything happens"));
        }
        lines.push(Line { number, text, act });
    }
    for conversation in &conversations {
        let needs_memory = conversation.lines.iter().any(|line| line.act.needs_memory());
        if needs_memory && conversation.memory_only.is_none() {
            let (file, name) = (file.display(), &conversation.name);
            return Err(format!(
                "{file}: {name} cannot be played over sockets and must say so ({MEMORY_ONLY}…)"
            ));
        }
    }
    match conversations
        .iter()
        .find(|conversation| conversation.lines.len() == common.len())
    {
        Some(empty) => Err(format!("{}: nothing happens in {}", file.display(), empty.name)),
        None => Ok(conversations),
    }
}

/// Lines without comments, each with what continues it.
fn joined(text: &str) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line.trim_start().starts_with("//") {
            continue;
        }
        match joined.last_mut() {
            Some((_, before)) if line.starts_with(' ') => {
                before.push('\n');
                before.push_str(line);
            }
            _ => joined.push((place + 1, line.to_owned())),
        }
    }
    joined
}

/// `RFC 6121 §4.4.2: a change` becomes `rfc6121_4_4_2_a_change`, and `XEP-0198 §4: …` becomes `xep0198_4_…`.
fn name(heading: &str) -> Option<String> {
    let (clause, sentence) = heading.split_once(": ")?;
    let clause = clause.replacen("RFC ", "RFC", 1).replacen("XEP-", "XEP", 1);
    let mut name = String::new();
    for c in format!("{clause} {sentence}").chars() {
        if c.is_alphanumeric() {
            name.extend(c.to_lowercase());
        } else if !name.ends_with('_') && c != '\'' {
            name.push('_');
        }
    }
    Some(name.trim_end_matches('_').to_owned())
}

fn act(text: &str) -> Result<Act, String> {
    match text {
        "the conversation begins" => return Ok(Act::Begins),
        "the server restarts" => return Ok(Act::Restarts),
        "the server is killed" => return Ok(Act::IsKilled),
        "the store fails" => return Ok(Act::Store(Store::Fails)),
        "the store refuses" => return Ok(Act::Store(Store::Refuses)),
        "the store works again" => return Ok(Act::Store(Store::Works)),
        _ => {}
    }
    if let Some(time) = text.strip_prefix("time passes ") {
        return Ok(Act::TimePasses(duration(time)?));
    }
    let (subject, rest) = text
        .split_once(char::is_whitespace)
        .ok_or("this line says nothing")?;
    let rest = rest.trim_start();
    if let Some(name) = subject.strip_suffix("'s") {
        return ending(Who::parse(name)?, rest);
    }
    let who = Who::parse(subject)?;
    if let Some(other) = rest
        .strip_prefix("and ")
        .and_then(|rest| rest.strip_suffix(" are contacts"))
    {
        return Ok(Act::Contacts(who, Who::parse(other)?));
    }
    let (verb, object) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let object = object.trim_start();
    match (verb, object) {
        ("has", "an account") => Ok(Act::HasAccount(who)),
        ("subscribed-to", watched) => Ok(Act::SubscribedTo {
            watcher: who,
            watched: Who::parse(watched)?,
        }),
        ("connects", by) => Ok(Act::Connects(who, mechanism(by)?)),
        ("is", "online") => Ok(Act::IsOnline(who, None)),
        ("is", with) => {
            let priority = with
                .strip_prefix("online with priority ")
                .and_then(|priority| priority.parse().ok());
            priority
                .map(|priority| Act::IsOnline(who, Some(priority)))
                .ok_or_else(|| unknown(text))
        }
        ("dials", "") => Ok(Act::Dials(who, Dial::Tcp)),
        ("dials", "over TLS") => Ok(Act::Dials(who, Dial::Tls)),
        ("negotiates", "TLS") => Ok(Act::NegotiatesTls(who)),
        ("begins", "a new stream") => Ok(Act::BeginsAnew(who)),
        ("opens", "a stream") => Ok(Act::OpensStream(who)),
        ("logs", by) if by.starts_with("in") => {
            Ok(Act::LogsIn(who, mechanism(by.trim_start_matches("in").trim())?))
        }
        ("leaves", "") => Ok(Act::Leaves(who)),
        ("loses", "the connection") => Ok(Act::LosesConnection(who)),
        ("sends", object) => sends(who, object),
        ("receives", "nothing") => Ok(Act::ReceivesNothing(who)),
        ("receives", object) => {
            let (order, xml) = match object.strip_prefix("in any order") {
                Some(xml) => (Order::Any, xml),
                None => (Order::AsWritten, object),
            };
            Ok(Act::Receives {
                who,
                order,
                patterns: Pattern::parse(xml)?,
            })
        }
        _ => Err(unknown(text)),
    }
}

fn unknown(text: &str) -> String {
    format!("nobody knows what this means: {text:?}")
}

fn ending(who: Who, rest: &str) -> Result<Act, String> {
    match rest {
        "stream ends" => Ok(Act::StreamEnds(who, None)),
        "connection ends" => Ok(Act::ConnectionEnds(who)),
        _ => match rest.strip_prefix("stream ends with ") {
            Some(condition) => Ok(Act::StreamEnds(who, Some(condition.to_owned()))),
            None => Err(unknown(rest)),
        },
    }
}

fn sends(who: Who, object: &str) -> Result<Act, String> {
    let (times, object) = match object.split_once(" times ") {
        Some((times, rest)) if times.chars().all(|c| c.is_ascii_digit()) => {
            (times.parse().map_err(|_| unknown(object))?, rest.trim_start())
        }
        _ => (1, object),
    };
    if let Some(raw) = object.strip_prefix("raw ") {
        return Ok(Act::SendsRaw {
            who,
            bytes: raw_bytes(raw.trim_start())?,
            times,
        });
    }
    // A slip of the pen in a script must not look like a clever attack.
    Pattern::parse(object)?;
    Ok(Act::Sends {
        who,
        what: object.to_owned(),
        times,
    })
}

fn mechanism(by: &str) -> Result<Mechanism, String> {
    Ok(match by.strip_prefix("by ").unwrap_or(by) {
        "" | "SCRAM-SHA-256" => Mechanism::Scram(HashFunction::Sha256),
        "SCRAM-SHA-1" => Mechanism::Scram(HashFunction::Sha1),
        "SCRAM-SHA-256-PLUS" => Mechanism::ScramPlus(HashFunction::Sha256),
        "SCRAM-SHA-1-PLUS" => Mechanism::ScramPlus(HashFunction::Sha1),
        "PLAIN" => Mechanism::Plain,
        other => return Err(format!("no client knows the mechanism {other:?}")),
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let amount: u64 = digits.parse().map_err(|_| format!("{text:?} is no time"))?;
    match text.get(digits.len()..) {
        Some("ms") => Ok(Duration::from_millis(amount)),
        Some("s") => Ok(Duration::from_secs(amount)),
        Some("m") => Ok(Duration::from_secs(amount * 60)),
        Some("h") => Ok(Duration::from_secs(amount * 3600)),
        _ => Err(format!("{text:?} has no unit")),
    }
}

/// `\n`, `\t`, `\\`, `\xNN`; `{5000 x ab}` is `ab` five thousand times.
fn raw_bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => {
                let (byte, taken) = match rest.as_bytes() {
                    [b'n', ..] => (b'\n', 1),
                    [b't', ..] => (b'\t', 1),
                    [b'\\', ..] => (b'\\', 1),
                    [b'x', high, low, ..] => {
                        let digits = [*high, *low];
                        let digits = std::str::from_utf8(&digits).map_err(|_| unknown(text))?;
                        (u8::from_str_radix(digits, 16).map_err(|_| unknown(text))?, 3)
                    }
                    _ => return Err(format!("there is no such escape: \\{rest}")),
                };
                bytes.push(byte);
                rest = &rest[taken..];
            }
            '{' => {
                let (inside, after) = rest.split_once('}').ok_or_else(|| unknown(text))?;
                match inside.split_once(" x ") {
                    Some((times, what)) => {
                        let times: usize = times.parse().map_err(|_| unknown(text))?;
                        bytes.extend(raw_bytes(what)?.repeat(times));
                        rest = after;
                    }
                    // Something to be filled in when it is sent.
                    None => bytes.push(b'{'),
                }
            }
            _ => bytes.extend(c.to_string().into_bytes()),
        }
    }
    Ok(bytes)
}
