//! One account in the hands of a test: what it is told, and what it wants to happen.

use std::sync::Arc;
use std::time::Duration;

use account::{
    Account, AdminRequest, Change, Effect, Flags, Input, KeptSession, Key, Path, PresenceCount, PresenceLoad,
    Saved, SessionId, Settings, Standing, Tally,
};
use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use roster::Relation;
use stanza::{Parcel, Stanza};
use stream_management::{Limits, Mailbox};

use crate::ground::settings;
pub(crate) use crate::ground::{address, stanza};

/// Romeo of montague.lit, who sees and is seen by juliet@capulet.lit, benvolio@montague.lit and nurse@capulet.lit.
pub(crate) struct Home {
    account: Account,
    pub(crate) settings: Settings,
    pub(crate) now: Moment,
    /// What is to happen, as text: `lane< <presence…/>` for what a client gets, `> <presence…/>` for what is sent.
    pub(crate) seen: Vec<String>,
    pub(crate) wakes: Vec<(Moment, Key)>,
    /// What was sent, as it travels.
    pub(crate) sent: Vec<Parcel>,
    /// What was counted.
    pub(crate) counts: Vec<PresenceCount>,
    pub(crate) tallies: Vec<Tally>,
    /// What is to be kept.
    pub(crate) kept: Vec<Change>,
    mailboxes: Vec<(SessionId, String, Arc<Mailbox>)>,
    tokens: u64,
}

struct Dice<'a>(&'a mut u64);

impl Random for Dice<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        *self.0 += 1;
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = (*self.0 >> (8 * (place % 8))) as u8 & 31;
        }
    }
}

/// The answer of a client that asks for annotations.
pub(crate) const WANTS: &str =
    "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:psa'/></query>";

impl Home {
    pub(crate) fn new(presence: presence::Settings, flags: Flags) -> Home {
        let item = |contact: &str, relation| roster::ItemRow {
            contact: address(contact),
            name: String::new(),
            groups: Vec::new(),
            relation,
            ask: false,
            approved: false,
            version: 1,
        };
        let saved = Saved {
            standing: Standing::Known,
            flags,
            roster: roster::Stored {
                version: 1,
                complete_since: 1,
                items: vec![
                    item("benvolio@montague.lit", Relation::Both),
                    item("juliet@capulet.lit", Relation::Both),
                    item("nurse@capulet.lit", Relation::Both),
                ],
                ..roster::Stored::default()
            },
            ..Saved::default()
        };
        Home::of("romeo@montague.lit", presence, saved)
    }

    /// Benvolio of montague.lit, whom romeo@montague.lit and juliet@capulet.lit see, and who sees them.
    pub(crate) fn of_benvolio(presence: presence::Settings) -> Home {
        let item = |contact: &str| roster::ItemRow {
            contact: address(contact),
            name: String::new(),
            groups: Vec::new(),
            relation: Relation::Both,
            ask: false,
            approved: false,
            version: 1,
        };
        let saved = Saved {
            standing: Standing::Known,
            roster: roster::Stored {
                version: 1,
                complete_since: 1,
                items: vec![item("juliet@capulet.lit"), item("romeo@montague.lit")],
                ..roster::Stored::default()
            },
            ..Saved::default()
        };
        Home::of("benvolio@montague.lit", presence, saved)
    }

    pub(crate) fn of(name: &str, presence: presence::Settings, saved: Saved) -> Home {
        let settings = Settings {
            presence,
            ..settings()
        };
        Home {
            account: Account::new(address(name), saved).unwrap(),
            settings,
            now: Moment::from_micros(1_000_000),
            seen: Vec::new(),
            wakes: Vec::new(),
            sent: Vec::new(),
            counts: Vec::new(),
            tallies: Vec::new(),
            kept: Vec::new(),
            mailboxes: Vec::new(),
            tokens: 0,
        }
    }

    /// What its sessions hold of others.
    pub(crate) fn load(&self) -> PresenceLoad {
        self.account
            .presence_load(&self.settings.presence.capabilities, |address| {
                address.domainpart() == "montague.lit"
            })
    }

    /// Tells the account something; gives what it wants to happen.
    pub(crate) fn tell(&mut self, input: Input) -> Vec<String> {
        let mut out: Decision<Change, Effect> = Decision::default();
        let mut context = Context {
            now: self.now,
            wall: Timestamp::from_unix_micros(0),
            random: &mut Dice(&mut self.tokens),
            settings: &self.settings,
        };
        self.account.handle(&mut context, input, &mut out);
        self.kept.extend(out.commit);
        let mut seen = Vec::new();
        for effect in out.effects {
            match effect {
                Effect::Push { session, entry, .. } => {
                    let name = self.mailboxes.iter().find(|(id, ..)| *id == session).unwrap();
                    seen.push(format!("{}< {}", name.1, text(&entry.parcel)));
                }
                Effect::Route { parcel, .. } => {
                    seen.push(format!("> {}", text(parcel.parcel())));
                    self.sent.push(parcel.into_parcel());
                }
                Effect::Watch(domain) => seen.push(format!("watch {domain}")),
                Effect::Unwatch(domain) => seen.push(format!("unwatch {domain}")),
                Effect::WakeAt(key, at) => self.wakes.push((at, key)),
                Effect::Answer(answer) => answer.give(),
                Effect::Count(Tally::Presence(count)) => self.counts.push(count),
                Effect::Count(tally) => self.tallies.push(tally),
                Effect::Learn(hash, wants) => {
                    self.settings.presence.capabilities.learn(&hash, wants, 1_000);
                }
                _ => {}
            }
        }
        self.seen.extend(seen.iter().cloned());
        seen
    }

    pub(crate) fn id(&self, resource: &str) -> SessionId {
        self.mailboxes
            .iter()
            .rev()
            .find(|(_, name, _)| name == resource)
            .unwrap()
            .0
    }

    /// Its sessions: at work, waiting to be resumed, paused over BOSH.
    pub(crate) fn sessions(&self) -> (usize, usize, usize) {
        let count = self.account.session_count();
        (count.active, count.paused_management, count.paused_bosh)
    }

    /// Whether it may leave memory.
    pub(crate) fn is_idle(&self) -> bool {
        self.account.is_idle()
    }

    /// A client binds a resource.
    pub(crate) fn connects(&mut self, resource: &str) {
        let session = SessionId(self.mailboxes.len() as u64 + 1);
        let mailbox = Mailbox::new(Limits {
            stanzas: 1_000,
            bytes: 1_000_000,
        });
        self.mailboxes
            .push((session, resource.to_owned(), Arc::clone(&mailbox)));
        self.tell(Input::Bind {
            session,
            resource: Some(resource.to_owned()),
            mailbox,
        });
    }

    /// A client sends.
    pub(crate) fn says(&mut self, resource: &str, text: &str) -> Vec<String> {
        let sent = stanza(text);
        let from = self.account.address().with_resource(resource).unwrap();
        let stanza = Stanza::new(sent.element().clone(), Some(from), sent.to().cloned(), None).unwrap();
        self.tell(Input::Outbound {
            session: self.id(resource),
            stanza,
            receipt: None,
        })
    }

    /// Something arrives.
    pub(crate) fn arrives(&mut self, text: &str) -> Vec<String> {
        self.tell(Input::Inbound {
            parcel: Parcel::new(stanza(text)),
            receipt: None,
        })
    }

    /// What another account of this server has sent arrives, as far as it is meant for this one.
    pub(crate) fn takes_from(&mut self, other: &mut Home) -> Vec<String> {
        let mut seen = Vec::new();
        for parcel in std::mem::take(&mut other.sent) {
            if parcel.to().is_some_and(|to| to.same_bare(self.account.address())) {
                seen.extend(self.tell(Input::Inbound {
                    parcel,
                    receipt: None,
                }));
            }
        }
        seen
    }

    /// The connection of a client breaks, which may resume within five minutes.
    pub(crate) fn loses(&mut self, resource: &str) -> Vec<String> {
        self.promises(resource);
        self.ends(resource)
    }

    /// A client was promised that it can resume.
    pub(crate) fn promises(&mut self, resource: &str) {
        let session = self.id(resource);
        self.tell(Input::Resumable {
            session,
            id: resource.to_owned(),
            time: Duration::from_secs(300),
        });
    }

    /// The connection of a client breaks.
    pub(crate) fn ends(&mut self, resource: &str) -> Vec<String> {
        let session = self.id(resource);
        let mailbox = Arc::clone(
            &self
                .mailboxes
                .iter()
                .rev()
                .find(|(_, name, _)| name == resource)
                .unwrap()
                .2,
        );
        self.tell(Input::Ended {
            session,
            mailbox,
            end: account::End::Lost,
        })
    }

    /// The client is back.
    pub(crate) fn resumes(&mut self, resource: &str) -> Vec<String> {
        let session = SessionId(self.mailboxes.len() as u64 + 1);
        let mailbox = Mailbox::new(Limits {
            stanzas: 1_000,
            bytes: 1_000_000,
        });
        self.mailboxes
            .push((session, resource.to_owned(), Arc::clone(&mailbox)));
        self.tell(Input::Resume {
            session,
            id: resource.to_owned(),
            handled: 0,
            mailbox,
        })
    }

    /// The server stops: what is kept of this account's sessions.
    pub(crate) fn kept_sessions(&mut self) -> Vec<KeptSession> {
        let (tell, told) = std::sync::mpsc::channel();
        let keep = move |sessions| tell.send(sessions).unwrap();
        self.tell(Input::Admin(AdminRequest::Suspend));
        self.tell(Input::Admin(AdminRequest::Keep(Box::new(keep))));
        told.recv().unwrap()
    }

    /// The server has started again, with these sessions of this account.
    pub(crate) fn restores(&mut self, sessions: Vec<KeptSession>) -> Vec<String> {
        let mut named = Vec::new();
        for session in sessions {
            let id = SessionId(self.mailboxes.len() as u64 + 1);
            let resource = session.address.resourcepart().unwrap().to_owned();
            let mailbox = Mailbox::new(self.settings.mailbox);
            self.mailboxes.push((id, resource, mailbox));
            named.push((id, session));
        }
        self.tell(Input::Admin(AdminRequest::Restore(named)))
    }

    /// The server stops and starts again: what of this account is kept goes on in `after`.
    pub(crate) fn restarts(&mut self, mut after: Home) -> (Home, Vec<String>) {
        let seen = after.restores(self.kept_sessions());
        (after, seen)
    }

    pub(crate) fn path(&mut self, domain: &str, path: Path) -> Vec<String> {
        self.tell(Input::Path {
            domain: address(domain),
            path,
        })
    }

    /// Time passes, with what the account wanted to be woken for.
    pub(crate) fn passes(&mut self, time: Duration) -> Vec<String> {
        let end = self.now + time;
        let mut seen = Vec::new();
        loop {
            self.wakes.sort();
            let Some((at, key)) = self.wakes.first().copied().filter(|(at, _)| *at <= end) else {
                break;
            };
            self.wakes.remove(0);
            self.now = self.now.max(at);
            seen.extend(self.tell(Input::Wake(key)));
        }
        self.now = end;
        seen
    }

    /// Something waits for a client that does not read.
    pub(crate) fn fills(&mut self, resource: &str) {
        let mailbox = self.mailbox(resource);
        let filled = mailbox.push(stream_management::Entry {
            parcel: Parcel::new(stanza("<presence xmlns='jabber:client'/>")),
            receipt: None,
            storable: false,
            stored: None,
            copies: None,
            pushed: self.now,
        });
        assert!(filled.is_ok());
    }

    /// The client reads all of it.
    pub(crate) fn empties(&mut self, resource: &str) {
        let mailbox = self.mailbox(resource);
        let drained = mailbox.drain(&mut Vec::new(), stanza::Target::Stream, usize::MAX, usize::MAX);
        mailbox.written(drained.stanzas);
    }

    fn mailbox(&self, resource: &str) -> Arc<Mailbox> {
        let mut known = self.mailboxes.iter().rev();
        Arc::clone(&known.find(|(_, name, _)| name == resource).unwrap().2)
    }

    /// A client with presence that has answered that it asks for annotations.
    pub(crate) fn interested(&mut self, resource: &str) {
        self.connects(resource);
        self.says_hash(resource);
    }

    /// It says so.
    pub(crate) fn says_hash(&mut self, resource: &str) -> Vec<String> {
        self.says_hash_with(resource, "")
    }

    /// The same in presence with an attribute more.
    pub(crate) fn says_hash_with(&mut self, resource: &str, attribute: &str) -> Vec<String> {
        let caps = format!(
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{}'/>",
            ver()
        );
        self.says(
            resource,
            &format!("<presence xmlns='jabber:client'{attribute}>{caps}</presence>"),
        )
    }

    /// Everybody knows what the hash of [`Home::interested`] means.
    pub(crate) fn knows_the_hash(&mut self) {
        let presence = stanza(&format!(
            "<presence xmlns='jabber:client'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='{}'/></presence>",
            ver()
        ));
        let claim = presence::Claim::of(&presence).unwrap();
        let answer = xml::Tree::parse(WANTS.as_bytes(), "", &xml::Limits::unlimited()).unwrap();
        let presence::Answer::Verified(hash, wants) = claim.answered(&answer) else {
            panic!("not verified")
        };
        self.settings.presence.capabilities.learn(&hash, wants, 1_000);
    }
}

/// The hash of [`WANTS`]: SHA-1 of `urn:xmpp:psa<`.
fn ver() -> String {
    "34PFyQ9p0Fl3JpuuIUS4YbTDV3Y=".to_owned()
}

fn text(parcel: &Parcel) -> String {
    String::from_utf8(parcel.to_bytes())
        .unwrap()
        .replace(" xmlns='jabber:client'", "")
}
