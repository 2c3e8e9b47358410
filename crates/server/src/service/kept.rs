//! The file in the data directory that keeps sessions while the server is away (`docs/kept.md`, restart).
//!
//! One line of JSON says which format it is, then each line is a session. It is written when the server stops, and taken
//! away when the server has started: what it says is true once.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use account::{KeptPresence, KeptSession, KeptStanza};
use machine::Timestamp;
use serde::{Deserialize, Serialize};
use stanza::Address;
use stream_management::StoredId;

/// What this version writes and reads. A change of [`Session`] that an older server would misread needs a higher one.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Head {
    /// What the file is.
    balcony_sessions: u32,
}

/// One session. Stanzas are text; times are microseconds since 1970.
#[derive(Serialize, Deserialize)]
struct Session {
    address: String,
    id: String,
    seconds: u64,
    since: i64,
    paused: i64,
    presence: Option<String>,
    interested: bool,
    knows_blocklist: bool,
    active_list: Option<String>,
    uses_lists: bool,
    directed: Vec<(String, String)>,
    #[serde(default)]
    hidden_from: Vec<String>,
    #[serde(default)]
    told_elsewhere: Vec<String>,
    #[serde(default)]
    asks: Option<bool>,
    #[serde(default)]
    rooms: Vec<String>,
    #[serde(default)]
    received: Vec<Presence>,
    acknowledged: u32,
    handled: u32,
    waiting: Vec<Waiting>,
}

#[derive(Serialize, Deserialize)]
struct Presence {
    from: String,
    stanza: String,
    foreign: Option<String>,
    shown: bool,
    told: bool,
}

#[derive(Serialize, Deserialize)]
struct Waiting {
    stanza: String,
    received: i64,
    storable: bool,
    stored: Option<i64>,
    #[serde(default)]
    copies: Option<u32>,
    #[serde(default)]
    arrived: bool,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Sessions that can be resumed.
    pub(super) sessions: Vec<KeptSession>,
    /// What could not be read, in words for the operator.
    pub(super) problems: Vec<String>,
}

/// Writes the sessions, so that after a crash in the middle the file is not there.
pub(super) fn write(path: &Path, sessions: &[KeptSession]) -> io::Result<()> {
    let head = Head {
        balcony_sessions: FORMAT,
    };
    write_lines(path, &head, sessions.iter().map(writable))
}

/// Writes a file whose first line says what it is, unless nothing follows.
pub(super) fn write_lines<T: Serialize>(
    path: &Path,
    head: &impl Serialize,
    lines: impl ExactSizeIterator<Item = T>,
) -> io::Result<()> {
    if lines.len() == 0 {
        return Ok(());
    }
    let unfinished = path.with_extension("new");
    let mut out = BufWriter::new(private(&unfinished)?);
    line(&mut out, head)?;
    for value in lines {
        line(&mut out, &value)?;
    }
    out.into_inner()?.sync_all()?;
    fs::rename(&unfinished, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Reads the file. No file: there is nothing to go on with.
pub(super) fn load(path: &Path) -> Found {
    match File::open(path) {
        Ok(file) => read(BufReader::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::default(),
        Err(error) => Found {
            problems: vec![format!("cannot open {}: {error}", path.display())],
            ..Found::default()
        },
    }
}

/// Takes the file away: read again at another start, it would bring back what has changed since.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn read(input: impl BufRead) -> Found {
    let mut found = Found::default();
    let mut lines = input.lines();
    let head = lines.next().and_then(Result::ok);
    match head.and_then(|head| serde_json::from_str::<Head>(&head).ok()) {
        Some(Head {
            balcony_sessions: FORMAT,
        }) => {}
        Some(Head { balcony_sessions }) => {
            found.problems.push(format!(
                "the sessions were kept in format {balcony_sessions}, and this version reads format {FORMAT}"
            ));
            return found;
        }
        None => {
            found.problems.push("this is no file of kept sessions".to_owned());
            return found;
        }
    }
    for (number, text) in lines.enumerate() {
        let session = text
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_str::<Session>(&text).map_err(|error| error.to_string()))
            .and_then(readable);
        match session {
            Ok(session) => {
                if !session.is_whole() {
                    let why = "a stanza in it cannot be read, so that the session is over";
                    found.problems.push(format!("line {}: {why}", number + 2));
                }
                found.sessions.push(session);
            }
            Err(why) => found.problems.push(format!("line {}: {why}", number + 2)),
        }
    }
    found
}

/// Names under which sessions can be resumed are secrets.
fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

pub(super) fn text(bytes: &[u8]) -> String {
    // Stanzas are UTF-8, validated when they came.
    String::from_utf8_lossy(bytes).into_owned()
}

fn writable(session: &KeptSession) -> Session {
    let waiting = |stanza: &KeptStanza| Waiting {
        stanza: text(&stanza.bytes),
        received: stanza.received.as_unix_micros(),
        storable: stanza.storable,
        stored: stanza.stored.map(|StoredId(id)| id),
        copies: stanza.copies,
        arrived: stanza.arrived,
    };
    let held = |presence: &KeptPresence| Presence {
        from: presence.from.to_string(),
        stanza: text(&presence.bytes),
        foreign: presence.foreign.as_deref().map(text),
        shown: presence.shown,
        told: presence.told,
    };
    Session {
        address: session.address.to_string(),
        id: session.id.clone(),
        seconds: session.time.as_secs(),
        since: session.since.as_unix_micros(),
        paused: session.paused.as_unix_micros(),
        presence: session.presence.as_deref().map(text),
        interested: session.interested,
        knows_blocklist: session.knows_blocklist,
        active_list: session.active_list.clone(),
        uses_lists: session.uses_lists,
        directed: session
            .directed
            .iter()
            .map(|(to, stanza)| (to.to_string(), text(stanza)))
            .collect(),
        hidden_from: session.hidden_from.iter().map(ToString::to_string).collect(),
        told_elsewhere: session.told_elsewhere.iter().map(ToString::to_string).collect(),
        asks: session.asks,
        rooms: session.rooms.iter().map(ToString::to_string).collect(),
        received: session.received.iter().map(held).collect(),
        acknowledged: session.acknowledged,
        handled: session.handled,
        waiting: session.waiting.iter().map(waiting).collect(),
    }
}

fn readable(session: Session) -> Result<KeptSession, String> {
    let address = |text: &str| Address::parse(text).map_err(|error| format!("{text}: {error}"));
    let directed = |(to, stanza): (String, String)| Ok((address(&to)?, stanza.into_bytes()));
    let waiting = |waiting: Waiting| KeptStanza {
        bytes: waiting.stanza.into_bytes(),
        received: Timestamp::from_unix_micros(waiting.received),
        storable: waiting.storable,
        stored: waiting.stored.map(StoredId),
        copies: waiting.copies,
        arrived: waiting.arrived,
    };
    let addresses = |texts: &[String]| {
        texts
            .iter()
            .map(|text| address(text))
            .collect::<Result<_, String>>()
    };
    let held = |presence: Presence| {
        Ok(KeptPresence {
            from: address(&presence.from)?,
            bytes: presence.stanza.into_bytes(),
            foreign: presence.foreign.map(String::into_bytes),
            shown: presence.shown,
            told: presence.told,
        })
    };
    Ok(KeptSession {
        address: address(&session.address)?,
        id: session.id,
        time: Duration::from_secs(session.seconds),
        since: Timestamp::from_unix_micros(session.since),
        paused: Timestamp::from_unix_micros(session.paused),
        presence: session.presence.map(String::into_bytes),
        interested: session.interested,
        knows_blocklist: session.knows_blocklist,
        active_list: session.active_list,
        uses_lists: session.uses_lists,
        directed: session
            .directed
            .into_iter()
            .map(directed)
            .collect::<Result<_, String>>()?,
        hidden_from: addresses(&session.hidden_from)?,
        told_elsewhere: addresses(&session.told_elsewhere)?,
        asks: session.asks,
        rooms: addresses(&session.rooms)?,
        received: session
            .received
            .into_iter()
            .map(held)
            .collect::<Result<_, String>>()?,
        acknowledged: session.acknowledged,
        handled: session.handled,
        waiting: session.waiting.into_iter().map(waiting).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::TemporaryDirectory;

    fn session() -> KeptSession {
        KeptSession {
            address: Address::parse("romeo@montague.lit/orchard \"é\"").unwrap(),
            id: "abc".to_owned(),
            time: Duration::from_secs(300),
            since: Timestamp::from_unix_micros(1),
            paused: Timestamp::from_unix_micros(2),
            presence: Some(b"<presence xmlns='jabber:client'/>".to_vec()),
            interested: true,
            knows_blocklist: false,
            active_list: Some("list".to_owned()),
            uses_lists: true,
            directed: vec![(
                Address::parse("a@b.lit/c").unwrap(),
                b"<presence xmlns='jabber:client'/>".to_vec(),
            )],
            hidden_from: vec![Address::parse("tybalt@capulet.lit").unwrap()],
            told_elsewhere: vec![Address::parse("juliet@capulet.lit/balcony").unwrap()],
            asks: Some(true),
            rooms: vec![Address::parse("garden@rooms.capulet.lit/romeo").unwrap()],
            received: vec![KeptPresence {
                from: Address::parse("juliet@capulet.lit/balcony").unwrap(),
                bytes: b"<presence xmlns='jabber:client'><show>away</show></presence>".to_vec(),
                foreign: Some(b"<a/>".to_vec()),
                shown: true,
                told: false,
            }],
            acknowledged: u32::MAX,
            handled: 7,
            waiting: vec![KeptStanza {
                bytes: "<message xmlns='jabber:client'><body>ü\u{2028}</body></message>".into(),
                received: Timestamp::from_unix_micros(3),
                storable: true,
                stored: Some(StoredId(4)),
                copies: Some(9),
                arrived: true,
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_once() {
        let directory = TemporaryDirectory::new("kept");
        let path = directory.path().join("sessions");
        let sessions = vec![
            session(),
            KeptSession {
                waiting: Vec::new(),
                ..session()
            },
        ];
        write(&path, &sessions).unwrap();
        let found = load(&path);
        assert_eq!(found.sessions, sessions);
        assert_eq!(found.problems, Vec::<String>::new());
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(load(&path).sessions.is_empty());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn another_format_and_what_is_broken_are_told_and_left_out() {
        let problems = |text: &str| read(text.as_bytes()).problems;
        assert!(problems("{\"balcony_sessions\":2}\n{}\n")[0].contains("format 2"));
        assert_eq!(problems("")[0], "this is no file of kept sessions");
        assert_eq!(problems("\u{0}")[0], "this is no file of kept sessions");
        let mut bytes = Vec::new();
        line(
            &mut bytes,
            &Head {
                balcony_sessions: FORMAT,
            },
        )
        .unwrap();
        line(&mut bytes, &writable(&session())).unwrap();
        let whole = bytes.len();
        line(&mut bytes, &writable(&session())).unwrap();
        bytes.truncate(whole + 20);
        let found = read(bytes.as_slice());
        assert_eq!((found.sessions.len(), found.problems.len()), (1, 1));
        assert!(found.problems[0].starts_with("line 3: "));
        let broken = KeptSession {
            presence: Some(b"<presence xmlns='jabber:client'".to_vec()),
            ..session()
        };
        bytes.clear();
        line(
            &mut bytes,
            &Head {
                balcony_sessions: FORMAT,
            },
        )
        .unwrap();
        line(&mut bytes, &writable(&broken)).unwrap();
        let found = read(bytes.as_slice());
        assert_eq!(found.sessions, [broken], "its account says that it is gone");
        assert_eq!(found.problems.len(), 1);
        assert!(found.problems[0].starts_with("line 2: a stanza"));
    }
}
