//! What a client says until a resource is bound (RFC 6120 §4.3, §6, §7).

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::LazyLock;

use parking_lot::Mutex;
use sasl::client::{AwaitSignature, Challenged, ClientBinding, ClientKeys, ScramClient, plain};
use sasl::{BindingType, HashFunction, Nonce, Password};
use stanza::namespace::{BIND, CLIENT};
use stream::Sasl;
use xml::{Element, STREAM_NAMESPACE, escape_attribute, escape_text};

use crate::{Dice, Heard};

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// RFC 5802, RFC 7677.
    Scram(HashFunction),
    /// The same with channel binding (RFC 9266).
    ScramPlus(HashFunction),
}

/// What the client does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Say {
    /// It waits.
    Nothing,
    /// It sends this.
    Bytes(Vec<u8>),
    /// A new stream begins, and it sends this.
    Anew(Vec<u8>),
    /// The resource is bound under this full address.
    Bound(String),
    /// It gives up.
    Failed(String),
}

/// One login, from any point on.
pub struct Login {
    username: String,
    host: String,
    password: String,
    mechanism: Mechanism,
    resource: Option<String>,
    exporter: Option<[u8; 32]>,
    dice: Dice,
    state: State,
}

enum State {
    /// Features with mechanisms are awaited.
    Mechanisms,
    Challenge(ScramClient),
    /// Success is awaited, with the server's signature if it has one to give.
    Success(Option<AwaitSignature>),
    /// Features with binding are awaited.
    Binding,
    Bound,
    Done,
}

impl Login {
    /// A client of `username` at `host` on a connection that is secure.
    pub fn new(username: &str, host: &str, password: &str, dice: Dice) -> Login {
        Login {
            username: username.to_owned(),
            host: host.to_owned(),
            password: password.to_owned(),
            mechanism: Mechanism::Scram(HashFunction::Sha256),
            resource: None,
            exporter: None,
            dice,
            state: State::Mechanisms,
        }
    }

    /// Binds this resource instead of one that the server makes up.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Login {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Logs in by this mechanism. For channel binding the keying material of the connection is needed.
    #[must_use]
    pub fn by(mut self, mechanism: Mechanism, exporter: Option<[u8; 32]>) -> Login {
        self.mechanism = mechanism;
        self.exporter = exporter;
        self
    }

    /// Opens a stream (RFC 6120 §4.2).
    pub fn open(&self) -> Vec<u8> {
        header(&self.host)
    }

    /// Begins on a stream that is open already, with features that were looked at.
    pub fn authenticate(&mut self) -> Say {
        let (initial, state) = match self.mechanism {
            Mechanism::Plain => (plain(&self.username, &self.password), State::Success(None)),
            Mechanism::Scram(hash) => self.first(hash, ClientBinding::NotSupported),
            Mechanism::ScramPlus(hash) => {
                let data = self.exporter.map(Vec::from).unwrap_or_default();
                self.first(hash, ClientBinding::Bound(BindingType::TlsExporter, data))
            }
        };
        self.state = state;
        say(&Sasl::Auth {
            mechanism: self.mechanism.name().to_owned(),
            initial: Some(initial),
        })
    }

    fn first(&mut self, hash: HashFunction, binding: ClientBinding) -> (Vec<u8>, State) {
        let mut octets = [0; 24];
        self.dice.fill(&mut octets);
        let scram = ScramClient::new(hash, &self.username, binding, Nonce::from_random(octets));
        (scram.first(), State::Challenge(scram))
    }

    /// Takes what the server says.
    pub fn hear(&mut self, heard: &Heard) -> Say {
        let element = match heard {
            Heard::Opened(_) => return Say::Nothing,
            Heard::Closed => return Say::Failed(String::from("the server closed the stream")),
            Heard::Element(element) => element,
        };
        match std::mem::replace(&mut self.state, State::Done) {
            State::Mechanisms if is_features(element) => self.authenticate(),
            State::Challenge(scram) => match Sasl::read(element) {
                Some(Ok(Sasl::Challenge(message))) => match scram.challenged(&message) {
                    Ok(challenged) => self.respond(challenged),
                    Err(error) => Say::Failed(error.to_string()),
                },
                _ => refused(element),
            },
            State::Success(signature) => match (Sasl::read(element), signature) {
                (Some(Ok(Sasl::Success(_))), None) => self.reopen(),
                (Some(Ok(Sasl::Success(data))), Some(signature)) => {
                    match signature.verify(&data.unwrap_or_default()) {
                        Ok(()) => self.reopen(),
                        Err(error) => Say::Failed(error.to_string()),
                    }
                }
                _ => refused(element),
            },
            State::Binding if is_features(element) => self.bind(),
            State::Bound => bound(element),
            State::Mechanisms | State::Binding | State::Done => refused(element),
        }
    }

    fn respond(&mut self, challenged: Challenged) -> Say {
        let hash = match self.mechanism {
            Mechanism::Scram(hash) | Mechanism::ScramPlus(hash) => hash,
            Mechanism::Plain => return Say::Failed(String::from("PLAIN knows no challenges")),
        };
        let Some(keys) = keys(hash, &self.password, &challenged.salt, challenged.iterations) else {
            return Say::Failed(String::from("this is no password"));
        };
        let (message, signature) = challenged.answer(&keys);
        self.state = State::Success(Some(signature));
        say(&Sasl::Response(message))
    }

    fn reopen(&mut self) -> Say {
        self.state = State::Binding;
        Say::Anew(self.open())
    }

    /// Asks for the resource on a stream whose features were looked at (RFC 6120 §7.6, §7.7).
    pub fn bind(&mut self) -> Say {
        self.state = State::Bound;
        let mut bytes = format!("<iq type='set' id='bind'><bind xmlns='{BIND}'>").into_bytes();
        if let Some(resource) = &self.resource {
            bytes.extend_from_slice(b"<resource>");
            escape_text(&mut bytes, resource);
            bytes.extend_from_slice(b"</resource>");
        }
        bytes.extend_from_slice(b"</bind></iq>");
        Say::Bytes(bytes)
    }
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram(HashFunction::Sha1) => "SCRAM-SHA-1",
            Mechanism::Scram(HashFunction::Sha256) => "SCRAM-SHA-256",
            Mechanism::Scram(HashFunction::Sha512) => "SCRAM-SHA-512",
            Mechanism::ScramPlus(HashFunction::Sha1) => "SCRAM-SHA-1-PLUS",
            Mechanism::ScramPlus(HashFunction::Sha256) => "SCRAM-SHA-256-PLUS",
            Mechanism::ScramPlus(HashFunction::Sha512) => "SCRAM-SHA-512-PLUS",
        }
    }
}

/// A stream header to this host.
fn header(host: &str) -> Vec<u8> {
    let mut bytes = b"<?xml version='1.0'?><stream:stream to='".to_vec();
    escape_attribute(&mut bytes, host);
    let rest = format!("' version='1.0' xmlns='{CLIENT}' xmlns:stream='{STREAM_NAMESPACE}'>");
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

fn say(word: &Sasl) -> Say {
    let mut bytes = Vec::new();
    word.write(&mut bytes);
    Say::Bytes(bytes)
}

fn is_features(element: &Element) -> bool {
    element.is(STREAM_NAMESPACE, "features")
}

fn refused(element: &Element) -> Say {
    Say::Failed(element.as_str().to_owned())
}

fn bound(element: &Element) -> Say {
    let tree = element.to_tree();
    let jid = tree.find(BIND, "bind").and_then(|bind| bind.find(BIND, "jid"));
    match jid {
        Some(jid) if tree.attribute("type") == Some("result") => Say::Bound(jid.content().into_owned()),
        _ => refused(element),
    }
}

/// Derived once for all who log in with the same password, salt and iterations.
fn keys(hash: HashFunction, password: &str, salt: &[u8], iterations: NonZeroU32) -> Option<ClientKeys> {
    type Known = BTreeMap<(HashFunction, String, Vec<u8>, u32), ClientKeys>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    let key = (hash, password.to_owned(), salt.to_vec(), iterations.get());
    if let Some(keys) = KNOWN.lock().get(&key) {
        return Some(keys.clone());
    }
    let keys = ClientKeys::derive(hash, &Password::new(password).ok()?, salt, iterations);
    KNOWN.lock().insert(key, keys.clone());
    Some(keys)
}
