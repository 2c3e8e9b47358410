//! The paths, and how each is walked.

use std::time::Duration;

use account::{AdminRequest, Input, PauseCause, WaitingRow};
use machine::Timestamp;
use roster::Relation;
use stanza::Parcel;
use stream_management::{Entry, StoredId};

use crate::house::{House, ME, ORCHARD, address, stanza};
use crate::outcome::Outcome;

macro_rules! paths {
    ($($path:ident,)*) => {
        /// A way on which something passes between the user and somebody else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Path { $($path,)* }

        impl Path {
            pub(crate) const ALL: &[Path] = &[$(Path::$path,)*];
        }
    };
}

paths! {
    // What comes in.
    MessageIn, HeadlineIn, GroupchatIn, PrivateMessageInARoom, InvitationByARoom, AttentionIn,
    RequestToAResource, RequestToTheAccount, AnswerIn,
    PresenceIn, AnnotatedPresenceIn, DecloakIn, ProbeIn, PokeIn, OperatorsPoke, SubscriptionIn,
    KeptForTheAbsent, WaitedForTheUser, PendingRequestsAtLogin, Redelivery,
    // What goes out.
    MessageOut, RequestOut, DirectedPresence, EnteringARoom, ClientProbe, SubscriptionOut, RosterRemoval,
    // What is said in the user's name.
    Broadcast, ProbesAtLogin, EndOfASession, PauseOfASession, ReturnOfAPausedSession,
    DomainOutOfReach, DomainIsBack, GoodbyeAfterACrash, EndOfTheAccount,
}

/// Where the other one lives. What comes from another server, a component or a room comes as it would from an account
/// here: to the machine that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    AccountHere,
    AccountElsewhere,
    BehindAComponent,
    Domain,
    RoomHere,
    RoomElsewhere,
}

impl Guest {
    pub(crate) const ALL: [Guest; 6] = [
        Guest::AccountHere,
        Guest::AccountElsewhere,
        Guest::BehindAComponent,
        Guest::Domain,
        Guest::RoomHere,
        Guest::RoomElsewhere,
    ];

    fn bare(self) -> &'static str {
        match self {
            Guest::AccountHere => "tybalt@montague.lit",
            Guest::AccountElsewhere => "tybalt@capulet.lit",
            Guest::BehindAComponent => "tybalt@bridge.montague.lit",
            Guest::Domain => "gateway.capulet.lit",
            Guest::RoomHere => "vault@rooms.montague.lit",
            Guest::RoomElsewhere => "vault@rooms.capulet.lit",
        }
    }

    fn is_room(self) -> bool {
        matches!(self, Guest::RoomHere | Guest::RoomElsewhere)
    }

    /// Whose presence this server remembers for its users.
    fn is_remembered(self) -> bool {
        match self {
            Guest::AccountHere | Guest::RoomHere => false,
            Guest::AccountElsewhere | Guest::BehindAComponent | Guest::Domain | Guest::RoomElsewhere => true,
        }
    }
}

const POKE: &str = "<poke xmlns='http://jabber.org/protocol/poke'/>";
const CAPS: &str =
    "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='34PFyQ9p0Fl3JpuuIUS4YbTDV3Y='/>";
const INFO: &str =
    "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:psa'/></query>";
const SOON: Duration = Duration::from_secs(10);

/// Walks a path; `None` where it does not lead to such a guest.
pub(crate) fn walk(path: Path, guest: Guest, is_blocked: bool) -> Option<Outcome> {
    let bare = guest.bare();
    let full = format!("{bare}/street");
    let (from, to) = (format!("from='{full}'"), format!("to='{bare}'"));
    let a_person = !guest.is_room();
    let of_strangers = [
        Path::PendingRequestsAtLogin,
        Path::SubscriptionIn,
        Path::DecloakIn,
    ];
    let relation = if a_person && !of_strangers.contains(&path) {
        Relation::Both
    } else {
        Relation::None
    };
    let mut house = House::new(bare, is_blocked, relation);
    match path {
        Path::MessageIn => {
            house.is_online();
            house.arrives(&format!(
                "<message {from} to='{ME}' type='chat'><body>a</body></message>"
            ));
            house.arrives(&format!(
                "<message {from} to='{ORCHARD}'><body>b</body></message>"
            ));
            house.arrives(&format!("<message {from} to='{ORCHARD}' type='error'/>"));
        }
        Path::HeadlineIn => {
            house.is_online();
            house.arrives(&format!(
                "<message {from} to='{ME}' type='headline'><body>a</body></message>"
            ));
        }
        Path::GroupchatIn => {
            house.is_online();
            house.arrives(&format!(
                "<message {from} to='{ORCHARD}' type='groupchat'><body>a</body></message>"
            ));
        }
        Path::PrivateMessageInARoom => {
            house.is_online();
            if a_person {
                return None;
            }
            house.says(&format!(
                "<presence {to}><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            ));
            house.forget();
            house.arrives(&format!(
                "<message {from} to='{ORCHARD}' type='chat'><body>a</body></message>"
            ));
        }
        Path::InvitationByARoom => {
            house.is_online();
            // Of a room that is not blocked, in the name of the guest.
            let invite =
                format!("<x xmlns='http://jabber.org/protocol/muc#user'><invite from='{bare}/street'/></x>");
            house.arrives(&format!(
                "<message from='hall@rooms.verona.lit' to='{ME}'>{invite}</message>"
            ));
            house.loses_the_connection();
            house.arrives(&format!(
                "<message from='hall@rooms.verona.lit' to='{ME}'>{invite}</message>"
            ));
        }
        Path::AttentionIn => {
            house.is_online();
            let call = "<attention xmlns='urn:xmpp:attention:0'/>";
            house.arrives(&format!(
                "<message {from} to='{ORCHARD}' type='headline'>{call}</message>"
            ));
        }
        Path::RequestToAResource => {
            if !a_person {
                return None;
            }
            house.is_online();
            house.arrives(&format!(
                "<iq {from} to='{ORCHARD}' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"
            ));
        }
        Path::RequestToTheAccount => {
            house.is_online();
            house.arrives(&format!(
                "<iq {from} to='{ME}' type='get' id='1'><vCard xmlns='vcard-temp'/></iq>"
            ));
            if a_person {
                house.arrives(&format!(
                    "<iq {from} to='{ME}' type='get' id='2'><query xmlns='jabber:iq:last'/></iq>"
                ));
            }
            let query = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
            house.arrives(&format!("<iq {from} to='{ME}' type='get' id='3'>{query}</iq>"));
        }
        Path::AnswerIn => {
            house.is_online();
            house.arrives(&format!("<iq {from} to='{ORCHARD}' type='result' id='1'/>"));
            house.arrives(&format!("<iq {from} to='{ORCHARD}' type='error' id='1'/>"));
        }
        Path::PresenceIn => {
            house.is_online();
            house.arrives(&format!("<presence {from} to='{ME}'/>"));
            house.arrives(&format!("<presence {from} to='{ORCHARD}'/>"));
            house.arrives(&format!("<presence {from} to='{ME}' type='unavailable'/>"));
            house.arrives(&format!("<presence {from} to='{ORCHARD}' type='error'/>"));
        }
        Path::AnnotatedPresenceIn => {
            house.is_online();
            // The first presence is news to everybody; a repeat only to those who ask for annotations.
            if !guest.is_remembered() {
                return None;
            }
            let domain = address(bare).domainpart().to_owned();
            let news = format!(
                "<state-annotation xmlns='urn:xmpp:psa' from='{domain}'><connection-paused/></state-annotation>"
            );
            house.arrives(&format!("<presence {from} to='{ME}'>{news}</presence>"));
        }
        Path::DecloakIn => {
            house.is_online();
            house.arrives(&format!(
                "<presence {from} to='{ME}'><decloak xmlns='urn:xmpp:decloak:0'/></presence>"
            ));
        }
        Path::ProbeIn => {
            if !a_person {
                return None;
            }
            house.is_online();
            for (from, to) in [(bare, ME), (&*full, ME), (&*full, ORCHARD)] {
                house.arrives(&format!("<presence from='{from}' to='{to}' type='probe'/>"));
            }
        }
        Path::PokeIn => {
            if !a_person {
                return None;
            }
            house.is_online();
            house.arrives(&format!(
                "<presence {from} to='{ME}' type='probe' id='p'>{POKE}</presence>"
            ));
            house.arrives(&format!(
                "<iq {from} to='{ORCHARD}' type='get' id='q'>{POKE}</iq>"
            ));
            // Asked or not: whoever is blocked while the answer is awaited learns nothing of it.
            house.says(&format!(
                "<iq to='{ME}' type='result' id='AQEBAQEBAQEBAQEB'>{POKE}</iq>"
            ));
            house.time_passes(Duration::from_secs(180));
        }
        Path::OperatorsPoke => {
            if !a_person {
                return None;
            }
            house.is_online();
            let (tell, told) = std::sync::mpsc::channel();
            let answer = Box::new(move |answer: Option<Parcel>| tell.send(answer).unwrap());
            house.tell(Input::Admin(AdminRequest::Poke(
                address(bare),
                address(ME),
                answer,
            )));
            house.time_passes(Duration::from_secs(180));
            let answer = told
                .recv()
                .unwrap()
                .map(|parcel| String::from_utf8(parcel.to_bytes()).unwrap());
            house.outcome.sent.extend(answer);
        }
        Path::SubscriptionIn => {
            house.is_online();
            house.arrives(&format!("<presence from='{bare}' to='{ME}' type='unsubscribe'/>"));
            house.arrives(&format!("<presence from='{bare}' to='{ME}' type='subscribe'/>"));
        }
        Path::KeptForTheAbsent => {
            house.arrives(&format!(
                "<message {from} to='{ME}' type='chat'><body>a</body></message>"
            ));
        }
        Path::WaitedForTheUser => {
            let bytes = format!("<message xmlns='jabber:client' {from} to='{ME}'><body>a</body></message>")
                .into_bytes();
            house.connects();
            house.says("<presence />");
            house.forget();
            let row = WaitingRow {
                id: StoredId(1),
                at: Timestamp::from_unix_micros(1),
                bytes,
            };
            house.tell(Input::Waiting(Ok(vec![row])));
        }
        Path::PendingRequestsAtLogin => {
            house.connects();
            house.says("<presence />");
        }
        Path::Redelivery => {
            house.is_online();
            let text = format!("<message {from} to='{ME}' type='chat'><body>a</body></message>");
            let entry = Entry {
                parcel: Parcel::new(stanza(&text)),
                receipt: None,
                storable: true,
                stored: None,
                copies: None,
                pushed: house.now(),
            };
            house.tell(Input::Undelivered(Box::new(entry.clone())));
            house.loses_the_connection();
            house.tell(Input::Undelivered(Box::new(entry)));
        }
        Path::MessageOut => {
            house.is_online();
            for kind in ["chat", "normal", "groupchat", "headline", "error"] {
                house.says(&format!("<message {to} type='{kind}'><body>a</body></message>"));
                house.says(&format!(
                    "<message to='{full}' type='{kind}'><body>a</body></message>"
                ));
            }
        }
        Path::RequestOut => {
            house.is_online();
            for kind in ["get", "set"] {
                house.says(&format!(
                    "<iq to='{full}' type='{kind}' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"
                ));
            }
            house.says(&format!("<iq to='{full}' type='result' id='1'/>"));
            house.says(&format!("<iq to='{full}' type='error' id='1'/>"));
        }
        Path::DirectedPresence => {
            house.is_online();
            house.says(&format!("<presence {to}/>"));
            house.says(&format!("<presence to='{full}'/>"));
            house.says(&format!("<presence {to} type='unavailable'/>"));
        }
        Path::EnteringARoom => {
            if a_person {
                return None;
            }
            house.is_online();
            house.says(&format!(
                "<presence to='{full}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            ));
            house.says("<presence type='unavailable'/>");
        }
        Path::ClientProbe => {
            house.is_online();
            house.says(&format!("<presence {to} type='probe'/>"));
        }
        Path::SubscriptionOut => {
            house.is_online();
            for kind in ["subscribe", "subscribed", "unsubscribe", "unsubscribed"] {
                house.says(&format!("<presence {to} type='{kind}'/>"));
            }
        }
        Path::RosterRemoval => {
            if !a_person {
                return None;
            }
            house.is_online();
            let item = format!("<item jid='{bare}' subscription='remove'/>");
            house.says(&format!(
                "<iq type='set' id='1'><query xmlns='jabber:iq:roster'>{item}</query></iq>"
            ));
        }
        Path::Broadcast => {
            if !a_person {
                return None;
            }
            house.connects();
            house.says("<presence />");
            house.says("<presence ><show>away</show></presence>");
            house.says("<presence type='unavailable'/>");
        }
        Path::ProbesAtLogin => {
            if !a_person {
                return None;
            }
            house.connects();
            house.says("<presence />");
            house.outcome.sent.retain(|sent| sent.contains("type='probe'"));
        }
        Path::EndOfASession => {
            if !a_person {
                return None;
            }
            house.is_online();
            house.loses_the_connection();
        }
        Path::PauseOfASession => {
            if !a_person || guest.is_remembered() {
                // Clients elsewhere are told when it is known that they want to be: `tests/presence/paused.rs`.
                return None;
            }
            house.is_online();
            let session = house.session();
            house.tell(Input::Paused {
                session,
                cause: PauseCause::Asked,
            });
            house.time_passes(SOON);
        }
        Path::ReturnOfAPausedSession => {
            if !a_person || guest.is_remembered() {
                return None;
            }
            house.is_online();
            house.promises();
            house.loses_the_connection();
            house.time_passes(SOON);
            house.forget();
            house.resumes();
        }
        Path::DomainOutOfReach => {
            if !guest.is_remembered() {
                return None;
            }
            house.connects();
            house.says(&format!("<presence >{CAPS}</presence>"));
            house.arrives(&format!("<presence {from} to='{ORCHARD}'/>"));
            let domain = address(bare).to_domain();
            house.forget();
            house.tell(Input::Path {
                domain,
                path: account::Path::Broken("timeout"),
            });
            // The client is asked what it wants, and answers.
            house.answers_the_question(INFO);
            house.time_passes(SOON);
        }
        Path::DomainIsBack => {
            if !guest.is_remembered() || !a_person {
                return None;
            }
            house.is_online();
            house.arrives(&format!("<presence {from} to='{ORCHARD}'/>"));
            let domain = address(bare).to_domain();
            house.tell(Input::Path {
                domain: domain.clone(),
                path: account::Path::Broken("timeout"),
            });
            house.forget();
            house.tell(Input::Path {
                domain,
                path: account::Path::Clear,
            });
            house.time_passes(Duration::from_secs(60));
        }
        Path::GoodbyeAfterACrash => {
            if !guest.is_remembered() {
                return None;
            }
            house.tell(Input::Admin(AdminRequest::TellVanished));
        }
        Path::EndOfTheAccount => {
            if !a_person {
                return None;
            }
            house.is_online();
            house.tell(Input::Admin(AdminRequest::CancelSubscriptions(Box::new(|| {}))));
        }
    }
    Some(house.outcome)
}
