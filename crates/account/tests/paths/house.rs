//! One account, and somebody whom it may block.

use std::sync::Arc;
use std::time::Duration;

use account::{Account, Change, Effect, End, HeldRow, Input, Key, Saved, SessionId, Settings, Standing};
use machine::{Context, Decision, Machine, Moment, Random, Timestamp};
use privacy::{ItemRow, ListRow};
use roster::{Relation, RequestRow};
use stanza::{Address, Parcel, Stanza};
use stream_management::{Limits, Mailbox};

pub(crate) use crate::ground::address;
use crate::outcome::Outcome;

pub(crate) const ME: &str = "romeo@montague.lit";
pub(crate) const ORCHARD: &str = "romeo@montague.lit/orchard";

pub(crate) struct House {
    account: Account,
    settings: Settings,
    now: Moment,
    guest: Address,
    session: SessionId,
    mailbox: Arc<Mailbox>,
    wakes: Vec<(Moment, Key)>,
    dice: u64,
    pub(crate) outcome: Outcome,
}

struct Dice<'a>(&'a mut u64);

impl Random for Dice<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        *self.0 += 1;
        bytes.fill((*self.0 & 31) as u8);
    }
}

/// A stanza in the namespace of clients.
pub(crate) fn stanza(text: &str) -> Stanza {
    crate::ground::stanza(&text.replacen(' ', " xmlns='jabber:client' ", 1))
}

impl House {
    /// Romeo, who sees and is seen by the guest; `asked` has asked to see him, and waits.
    pub(crate) fn new(guest: &str, is_blocked: bool, relation: Relation) -> House {
        let contact = roster::ItemRow {
            contact: address(guest),
            name: String::new(),
            groups: Vec::new(),
            relation,
            ask: false,
            approved: false,
            version: 1,
        };
        let request = format!("<presence xmlns='jabber:client' from='{guest}' type='subscribe'/>");
        let is_stranger = relation == Relation::None;
        let roster = roster::Stored {
            version: 1,
            complete_since: 1,
            items: if is_stranger { Vec::new() } else { vec![contact] },
            requests: is_stranger
                .then(|| RequestRow {
                    contact: address(guest),
                    stanza: Arc::from(request.as_bytes()),
                })
                .into_iter()
                .collect(),
            ..roster::Stored::default()
        };
        let deny = ItemRow {
            order: 1,
            subject: 1,
            value: guest.to_owned(),
            deny: true,
            scope: 0,
        };
        let list = ListRow {
            name: "blocklist".to_owned(),
            items: vec![deny],
        };
        let privacy = privacy::Stored {
            lists: if is_blocked { vec![list] } else { Vec::new() },
            default: is_blocked.then(|| "blocklist".to_owned()),
        };
        // As a crash would have left it.
        let held = vec![HeldRow {
            resource: "garden".to_owned(),
            broadcast: true,
            directed: vec![address(guest)],
        }];
        let saved = Saved {
            standing: Standing::Known,
            roster,
            privacy,
            held,
            waiting: (1, 100),
            last_waiting: Some(stream_management::StoredId(1)),
            blobs: features::Stored::new([(features::Record::VCard, 10)]),
            ..Saved::default()
        };
        House {
            account: Account::new(address(ME), saved).unwrap(),
            settings: settings(),
            now: Moment::from_micros(1_000_000),
            guest: address(guest),
            session: SessionId(1),
            mailbox: Mailbox::new(LIMITS),
            wakes: Vec::new(),
            dice: 0,
            outcome: Outcome::default(),
        }
    }

    pub(crate) fn tell(&mut self, input: Input) {
        // Whoever adds an input says which paths it opens.
        let _ = crate::origins::behind_input(&input);
        let mut out: Decision<Change, Effect> = Decision::default();
        let mut context = Context {
            now: self.now,
            wall: Timestamp::from_unix_micros(1),
            random: &mut Dice(&mut self.dice),
            settings: &self.settings,
        };
        self.account.handle(&mut context, input, &mut out);
        for effect in &out.effects {
            if let Effect::WakeAt(key, at) = effect {
                self.wakes.push((*at, *key));
            }
        }
        self.outcome.note(&self.guest, out.effects, out.commit);
    }

    /// What was before does not count.
    pub(crate) fn forget(&mut self) {
        self.outcome = Outcome::default();
    }

    pub(crate) fn connects(&mut self) {
        self.tell(Input::Bind {
            session: self.session,
            resource: Some("orchard".to_owned()),
            mailbox: Arc::clone(&self.mailbox),
        });
    }

    pub(crate) fn is_online(&mut self) {
        self.connects();
        self.says("<presence />");
        self.tell(Input::Waiting(Ok(Vec::new())));
        self.forget();
    }

    pub(crate) fn says(&mut self, text: &str) {
        let sent = stanza(text);
        let from = Some(address(ORCHARD));
        let stanza = Stanza::new(sent.element().clone(), from, sent.to().cloned(), None).unwrap();
        self.tell(Input::Outbound {
            session: self.session,
            stanza,
            receipt: None,
        });
    }

    pub(crate) fn arrives(&mut self, text: &str) {
        self.tell(Input::Inbound {
            parcel: Parcel::new(stanza(text)),
            receipt: None,
        });
    }

    pub(crate) fn promises(&mut self) {
        self.tell(Input::Resumable {
            session: self.session,
            id: "again".to_owned(),
            time: Duration::from_secs(300),
        });
    }

    pub(crate) fn loses_the_connection(&mut self) {
        self.tell(Input::Ended {
            session: self.session,
            mailbox: Arc::clone(&self.mailbox),
            end: End::Lost,
        });
    }

    pub(crate) fn resumes(&mut self) {
        self.session = SessionId(2);
        self.tell(Input::Resume {
            session: self.session,
            id: "again".to_owned(),
            handled: 0,
            mailbox: Mailbox::new(LIMITS),
        });
    }

    /// A question of the server to the client is answered.
    pub(crate) fn answers_the_question(&mut self, payload: &str) {
        let Some(id) = self.outcome.asked.take() else {
            return;
        };
        self.says(&format!("<iq type='result' id='{id}'>{payload}</iq>"));
    }

    /// With all that the account wanted to be woken for.
    pub(crate) fn time_passes(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.wakes.sort();
            let Some((at, key)) = self.wakes.first().copied().filter(|(at, _)| *at <= end) else {
                break;
            };
            self.wakes.remove(0);
            self.now = self.now.max(at);
            self.tell(Input::Wake(key));
        }
        self.now = end;
    }

    pub(crate) fn session(&self) -> SessionId {
        self.session
    }

    pub(crate) fn now(&self) -> Moment {
        self.now
    }
}

const LIMITS: Limits = Limits {
    stanzas: 1_000,
    bytes: 1_000_000,
};

fn settings() -> Settings {
    let every_minute = machine::Rate {
        events: 100,
        per: Duration::from_secs(60),
    };
    Settings {
        local_services: vec!["rooms.montague.lit".to_owned()],
        mailbox: LIMITS,
        presence: presence::Settings {
            attention_rate: Some(every_minute),
            ..presence::Settings::default()
        },
        ..crate::ground::settings()
    }
}
