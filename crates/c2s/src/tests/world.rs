//! The other side of a session in tests: settings, dice without surprise, accounts, and a record of what happened.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use features::{Registration, Setback};
use machine::{Context, Moment, Random, Timestamp};
use sasl::client::{ClientBinding, ClientKeys, ScramClient};
use sasl::{
    BindingType, ChannelBindings, HashFunction, HashFunctions, Lookup, Nonce, Password, PasswordPolicy, Salt,
    Standing, Stored, UnknownAccounts, Verdict, check_password,
};
use stanza::{Address, Parcel, Stanza, StreamError, Target};
use stream_management::{Entry, Mailbox, Receipt, Signal};

use crate::{
    Effect, Encryption, Ending, Host, HttpBinding, Input, Limits, LoginAttempt, Output, Session, Settings,
    Stage, Tls, Transport,
};

/// What a client opens its streams with.
pub(crate) const HEADER: &str = "<?xml version='1.0'?><stream:stream to='montague.lit' version='1.0' \
     xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// Every identifier that is made with dice that always show nought.
const TOKEN: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";

/// Our header without `to`.
pub(crate) fn header(from: &str) -> String {
    header_to(from, "")
}

/// Our header with ` to='…'`.
pub(crate) fn header_to(from: &str, to: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
         id='{TOKEN}' from='{from}'{to} version='1.0' xml:lang='en'>"
    )
}

/// Dice that show nought, so that answers can be written down.
pub(crate) struct Nought;

impl Random for Nought {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Something that the session asked for and that a test answers by hand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    LookUp(String),
    CheckPassword(String),
    Bind(String, Option<String>),
    Register(String),
    Resume(String, String, u32),
}

/// How the world answers what the session asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    AtOnce,
    ByHand,
}

pub(crate) struct World {
    pub(crate) session: Session,
    pub(crate) settings: Settings,
    pub(crate) now: Moment,
    answers: Answers,
    pub(crate) bindings: ChannelBindings,
    pub(crate) sni: Option<String>,
    /// All that the session said and the test has not looked at.
    said: Vec<u8>,
    pub(crate) asked: Vec<Ask>,
    pub(crate) attempts: Vec<LoginAttempt>,
    pub(crate) routed: Vec<(Stanza, Option<Receipt>)>,
    pub(crate) released: usize,
    pub(crate) promises: Vec<(String, Duration)>,
    pub(crate) ending: Option<Ending>,
    pub(crate) mailbox: Option<Arc<Mailbox>>,
    passwords: Option<Password>,
    /// Whether what is routed meets its fate at once.
    settles: bool,
}

const ITERATIONS: NonZeroU32 = NonZeroU32::new(16).unwrap();

fn scram() -> PasswordPolicy {
    PasswordPolicy::Scram {
        hashes: HashFunctions::default(),
        iterations: ITERATIONS,
    }
}

/// Romeo's keys, derived once.
static ROMEO: LazyLock<Stored> = LazyLock::new(|| {
    scram()
        .hash(&Password::new("wherefore").unwrap(), Salt([7; Salt::BYTES]))
        .unwrap()
});

/// The same by argon2id.
static ROMEO_ARGON2ID: LazyLock<Stored> = LazyLock::new(|| {
    PasswordPolicy::Argon2id
        .hash(&Password::new("wherefore").unwrap(), Salt([7; Salt::BYTES]))
        .unwrap()
});

pub(crate) fn settings(encryption: Encryption) -> Settings {
    let host = |passwords| Host {
        passwords,
        registration: Registration::Closed,
        unknown_accounts: UnknownAccounts::new([1; 32], ITERATIONS),
    };
    let small = xml::Limits {
        stanza_bytes: 4096,
        depth: 8,
        attributes: 8,
        name_bytes: 64,
        children: 16,
    };
    Settings {
        hosts: BTreeMap::from([
            (Address::parse("montague.lit").unwrap(), host(scram())),
            (
                Address::parse("capulet.lit").unwrap(),
                host(PasswordPolicy::Argon2id),
            ),
        ]),
        encryption,
        resume_timeout: Duration::from_secs(300),
        limits: Limits {
            unauthenticated: small.clone(),
            authenticated: xml::Limits {
                stanza_bytes: 16_384,
                children: 64,
                ..small
            },
            unauthenticated_bytes: 16_384,
            login_attempts: 3,
            mailbox: stream_management::Limits {
                stanzas: 100,
                bytes: 100_000,
            },
            unacknowledged_stanzas: 10,
        },
    }
}

impl World {
    pub(crate) fn new(transport: Transport, encryption: Encryption) -> World {
        let settings = settings(encryption);
        World::with(Session::new(transport, &settings), settings)
    }

    /// A session within HTTP.
    pub(crate) fn within_http(binding: HttpBinding, tls: Option<Tls>, encryption: Encryption) -> World {
        let settings = settings(encryption);
        World::with(Session::within_http(binding, tls, &settings), settings)
    }

    fn with(session: Session, settings: Settings) -> World {
        World {
            session,
            settings,
            now: Moment::from_micros(0),
            answers: Answers::AtOnce,
            bindings: ChannelBindings {
                tls_exporter: Some([3; 32]),
                tls_server_end_point: Some(vec![4; 32]),
            },
            sni: None,
            said: Vec::new(),
            asked: Vec::new(),
            attempts: Vec::new(),
            routed: Vec::new(),
            released: 0,
            promises: Vec::new(),
            ending: None,
            mailbox: None,
            passwords: None,
            settles: false,
        }
    }

    /// A session on TLS from the first byte.
    pub(crate) fn encrypted() -> World {
        let mut world = World::new(Transport::DirectTls, Encryption::Required);
        world.establish_tls();
        world
    }

    /// A session on TLS on which romeo has logged in.
    pub(crate) fn logged_in() -> World {
        let mut world = World::encrypted();
        world.send(HEADER);
        world.log_in();
        world.send(HEADER);
        world.heard();
        world
    }

    /// A session on which romeo@montague.lit/orchard is bound.
    pub(crate) fn bound() -> World {
        let mut world = World::logged_in();
        world.send(BIND_ORCHARD);
        world.heard();
        assert_eq!(
            world.session.address().unwrap().as_str(),
            "romeo@montague.lit/orchard"
        );
        world
    }

    /// The same with stream management.
    pub(crate) fn counted() -> World {
        let mut world = World::bound();
        world.send("<enable xmlns='urn:xmpp:sm:3'/>");
        assert_eq!(world.heard(), "<enabled xmlns='urn:xmpp:sm:3'/>");
        world
    }

    pub(crate) fn settling(mut self) -> World {
        self.settles = true;
        self
    }

    pub(crate) fn settles(&mut self) {
        self.settles = true;
    }

    pub(crate) fn by_hand(mut self) -> World {
        self.answers = Answers::ByHand;
        self
    }

    /// Logs in as romeo with PLAIN.
    pub(crate) fn log_in(&mut self) {
        self.send(&plain("romeo", "wherefore"));
        assert_eq!(self.attempts.last().map(|attempt| attempt.result), Some(Ok(())));
    }

    pub(crate) fn establish_tls(&mut self) {
        let tls = Tls {
            bindings: self.bindings.clone(),
            sni: self.sni.clone(),
        };
        self.input(Input::TlsEstablished(tls));
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.input(Input::Received(text.as_bytes()));
    }

    /// What the client heard since it was last asked.
    pub(crate) fn heard(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.said)).unwrap()
    }

    /// Sends and gives the answer.
    pub(crate) fn talk(&mut self, text: &str) -> String {
        self.send(text);
        self.heard()
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        let mut output = Output::default();
        let mut context = Context {
            now: self.now,
            wall: Timestamp::default(),
            random: &mut Nought,
            settings: &self.settings,
        };
        self.session.handle(&mut context, input, &mut output);
        self.said.extend_from_slice(&output.bytes);
        for effect in output.effects {
            self.perform(effect);
        }
        if self.session.owes_acknowledgement() {
            self.input_alone(Input::Performed);
        }
        self.drain();
    }

    fn perform(&mut self, effect: Effect) {
        assert!(self.ending.is_none(), "after the end: {effect:?}");
        match effect {
            // The handshake begins when all bytes of this turn are written, so the test gives its end.
            Effect::StartTls => assert!(!self.session.reads()),
            Effect::LookUp { account } => {
                self.asked.push(Ask::LookUp(account.to_string()));
                if self.answers == Answers::AtOnce {
                    self.input(Input::Credentials(look_up(&account)));
                }
            }
            Effect::CheckPassword {
                account,
                password,
                passwords,
            } => {
                self.asked.push(Ask::CheckPassword(account.to_string()));
                if self.answers == Answers::AtOnce {
                    self.input(Input::PasswordChecked(checked(&account, &password, &passwords)));
                } else {
                    self.passwords = Some(password);
                }
            }
            Effect::Register { account, .. } => {
                self.asked.push(Ask::Register(account.to_string()));
                if self.answers == Answers::AtOnce {
                    let taken = !matches!(look_up(&account), Lookup::NoAccount);
                    let outcome = if taken { Err(Setback::NameTaken) } else { Ok(()) };
                    self.input(Input::Registered(outcome));
                }
            }
            Effect::LoginAttempt(attempt) => self.attempts.push(attempt),
            Effect::Bind {
                account,
                resource,
                mailbox,
            } => {
                self.asked.push(Ask::Bind(account.to_string(), resource.clone()));
                assert!(Arc::ptr_eq(self.session.mailbox().unwrap().mailbox(), &mailbox));
                self.mailbox = Some(mailbox);
                if self.answers == Answers::AtOnce {
                    let full = account
                        .with_resource(resource.as_deref().unwrap_or("chosen"))
                        .unwrap();
                    self.input(Input::Signal(Signal::Bound(full)));
                }
            }
            Effect::Resumable { id, time } => self.promises.push((id, time)),
            Effect::Resume {
                account,
                id,
                handled,
                mailbox,
            } => {
                self.asked.push(Ask::Resume(account.to_string(), id, handled));
                self.mailbox = Some(mailbox);
            }
            Effect::Resumed(mailbox) => self.mailbox = Some(mailbox),
            Effect::Route { stanza, receipt } => {
                if self.settles {
                    receipt.iter().for_each(Receipt::settle);
                }
                self.routed.push((stanza, receipt));
            }
            Effect::Released(released) => self.released += released.stored.len(),
            Effect::Close(ending) => self.ending = Some(ending),
        }
    }

    /// Answers by hand what was asked for by hand.
    pub(crate) fn answer_password(&mut self) {
        let Some(Ask::CheckPassword(account)) = self.asked.last() else {
            panic!("nothing to check")
        };
        let account = Address::parse(account).unwrap();
        let password = self.passwords.take().unwrap();
        let verdict = checked(&account, &password, &scram());
        self.input(Input::PasswordChecked(verdict));
    }

    pub(crate) fn verdict(&mut self, verdict: Verdict) {
        self.input(Input::PasswordChecked(verdict));
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        self.input(Input::Signal(signal));
    }

    /// What the task of the connection does when its mailbox has work.
    pub(crate) fn drain(&mut self) {
        while let Some(signal) = self.session.mailbox().and_then(|mailbox| mailbox.take_signal()) {
            self.signal(signal);
        }
        while self.session.may_drain() {
            let Some(mailbox) = self.session.mailbox().cloned() else {
                return;
            };
            let drained = mailbox.drain(&mut self.said, self.session.target(), usize::MAX, 4);
            if drained.stanzas > 0 || self.session.stage() == Stage::Leaving {
                self.input_alone(Input::Drained(drained));
            }
            if drained.stanzas == 0 {
                break;
            }
            mailbox.written(drained.stanzas);
        }
    }

    /// The server ends the stream, and nobody looks into the mailbox.
    pub(crate) fn end_unseen(&mut self, error: StreamError) {
        self.input_alone(Input::End(error));
    }

    /// Time is over, and nobody looks into the mailbox.
    pub(crate) fn pass_deadline(&mut self) {
        self.input_alone(Input::Deadline);
    }

    /// Whether the mailbox has called the connection.
    pub(crate) fn mailbox_calls(&self) -> bool {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mailbox = self.mailbox.as_ref().unwrap();
        mailbox.poll_work(&mut context).is_ready()
    }

    /// An input that is not followed by a drain.
    pub(crate) fn input_alone(&mut self, input: Input<'_>) {
        let mut output = Output::default();
        let mut context = Context {
            now: self.now,
            wall: Timestamp::default(),
            random: &mut Nought,
            settings: &self.settings,
        };
        self.session.handle(&mut context, input, &mut output);
        self.said.extend_from_slice(&output.bytes);
        for effect in output.effects {
            self.perform(effect);
        }
    }

    /// Something for the client from elsewhere.
    pub(crate) fn deliver(&mut self, text: &str) {
        let element = xml::Element::parse(
            text.as_bytes(),
            xml::ContentNamespace::Client,
            &xml::Limits::unlimited(),
        );
        let stanza = Stanza::new(element.unwrap(), None, None, None).unwrap();
        self.push(stanza.into());
        self.drain();
    }

    pub(crate) fn push(&self, parcel: Parcel) {
        let entry = Entry {
            parcel,
            receipt: None,
            storable: false,
            stored: None,
            copies: None,
            pushed: self.now,
        };
        self.mailbox.as_ref().unwrap().push(entry).unwrap();
    }

    /// What was routed since it was last looked at, written as it would be sent on.
    pub(crate) fn routed(&mut self) -> String {
        let mut out = Vec::new();
        for (stanza, _) in self.routed.drain(..) {
            Parcel::new(stanza).emit(&mut out, Target::Stream);
        }
        String::from_utf8(out).unwrap()
    }

    /// Logs in with SCRAM and gives what the server sent with success, checked.
    pub(crate) fn scram(
        &mut self,
        hash: HashFunction,
        bind_to: Option<BindingType>,
        password: &str,
    ) -> String {
        let binding = match bind_to {
            Some(binding) => ClientBinding::Bound(binding, self.bindings.data(binding).unwrap().to_vec()),
            None => ClientBinding::NotSupported,
        };
        let plus = if bind_to.is_some() { "-PLUS" } else { "" };
        let name = match hash {
            HashFunction::Sha1 => "SCRAM-SHA-1",
            HashFunction::Sha256 => "SCRAM-SHA-256",
            HashFunction::Sha512 => "SCRAM-SHA-512",
        };
        let client = ScramClient::new(hash, "romeo", binding, Nonce::from_random([9; 24]));
        let challenge = self.talk(&auth(&format!("{name}{plus}"), &client.first()));
        let challenged = client.challenged(&message(&challenge, "challenge")).unwrap();
        let keys = ClientKeys::derive(
            hash,
            &Password::new(password).unwrap(),
            &challenged.salt,
            challenged.iterations,
        );
        let (proof, expected) = challenged.answer(&keys);
        let answer = self.talk(&response(&proof));
        if answer.starts_with("<success") {
            expected.verify(&message(&answer, "success")).unwrap();
        }
        answer
    }
}

pub(crate) const BIND_ORCHARD: &str = "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
     <resource>orchard</resource></bind></iq>";

fn checked(account: &Address, password: &Password, passwords: &PasswordPolicy) -> Verdict {
    check_password(&look_up(account), password, passwords, Salt([8; Salt::BYTES])).verdict
}

/// What the store knows.
fn look_up(account: &Address) -> Lookup {
    let known = |stored: &Stored, standing| Lookup::Account {
        stored: stored.clone(),
        standing,
    };
    match account.as_str() {
        "romeo@montague.lit" => known(&ROMEO, Standing::Active),
        "tybalt@montague.lit" => known(&ROMEO, Standing::Disabled),
        "paris@montague.lit" => known(&ROMEO, Standing::Expired),
        "juliet@capulet.lit" => known(&ROMEO_ARGON2ID, Standing::Active),
        "nurse@montague.lit" => Lookup::Unavailable,
        _ => Lookup::NoAccount,
    }
}

pub(crate) fn plain(username: &str, password: &str) -> String {
    auth("PLAIN", &sasl::client::plain(username, password))
}

pub(crate) fn auth(mechanism: &str, message: &[u8]) -> String {
    let message = STANDARD.encode(message);
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{message}</auth>")
}

pub(crate) fn response(message: &[u8]) -> String {
    format!(
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{}</response>",
        STANDARD.encode(message)
    )
}

pub(crate) fn failure(condition: &str) -> String {
    format!("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><{condition}/></failure>")
}

/// The SASL message in an answer.
fn message(answer: &str, name: &str) -> Vec<u8> {
    let opening = format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>");
    let encoded = answer
        .strip_prefix(&opening)
        .and_then(|rest| rest.strip_suffix(&format!("</{name}>")));
    STANDARD
        .decode(encoded.unwrap_or_else(|| panic!("no {name} but {answer}")))
        .unwrap()
}
