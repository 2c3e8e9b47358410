//! The room itself: what it knows, and which part of it answers which input.

use std::collections::BTreeMap;
use std::convert::Infallible;

use hmac::{Hmac, KeyInit, Mac};
use machine::{Context, Decision, Machine};
use presence::State;
use sha2::Sha256;
use stanza::{Address, Condition, IqType, Kind, Parcel, PresenceType, Stanza, StanzaError};

use crate::history::History;
use crate::occupant::Occupants;
use crate::presence::Notes;
use crate::reach::Outages;
use crate::{AdminRequest, Affiliation, Config, Effect, Input, Key, Settings, View};

pub(crate) type Out = Decision<Infallible, Effect>;

/// One chat room. It comes to be when somebody enters, and is no more when the last one has left.
pub struct Room {
    pub(crate) address: Address,
    pub(crate) config: Config,
    /// Created, but not yet configured by its owner (XEP-0045 §10.1.1).
    pub(crate) locked: bool,
    pub(crate) occupants: Occupants,
    /// By bare address; nobody in it has none.
    pub(crate) affiliations: BTreeMap<Address, Affiliation>,
    /// The last change of the subject, ready to be sent again.
    pub(crate) subject: Option<Parcel>,
    pub(crate) history: History,
    /// Makes the ids of occupants (XEP-0421 §4.1).
    pub(crate) secret: String,
    /// Who is out of reach.
    pub(crate) outages: Outages,
}

impl Room {
    /// Nobody is there, so that there is no such room yet.
    pub fn new(address: Address) -> Room {
        Room {
            address,
            config: Config::default(),
            locked: false,
            occupants: Occupants::default(),
            affiliations: BTreeMap::new(),
            subject: None,
            history: History::default(),
            secret: String::new(),
            outages: Outages::default(),
        }
    }

    /// What an operator or the list of rooms shows of it; `None` when there is no such room.
    pub fn view(&self) -> Option<View> {
        self.exists().then(|| View {
            address: self.address.clone(),
            name: self.config.name.clone(),
            public: self.config.public && !self.locked,
            members_only: self.config.members_only,
            moderated: self.config.moderated,
            protected: self.config.protected,
            occupants: self.occupants.len(),
            clients: self.occupants.client_count(),
            unreachable: self.in_state(State::ServerUnavailable),
            paused: self.in_state(State::ConnectionPaused),
        })
    }

    fn in_state(&self, state: State) -> usize {
        let is_in = |one: &&crate::occupant::Occupant| one.state == Some(state);
        self.occupants.iter().filter(is_in).count()
    }

    pub(crate) fn exists(&self) -> bool {
        !self.occupants.is_empty()
    }

    pub(crate) fn affiliation(&self, user: &Address) -> Affiliation {
        self.affiliations
            .get(user.bare_str())
            .copied()
            .or_else(|| {
                // XEP-0045 §9.1: a whole domain may be banned.
                self.affiliations
                    .get(user.domainpart())
                    .copied()
                    .filter(|affiliation| *affiliation == Affiliation::Outcast)
            })
            .unwrap_or(Affiliation::None)
    }

    /// XEP-0421 §4.1: stable, and nothing can be read from it.
    pub(crate) fn occupant_id(&self, user: &Address) -> String {
        let Ok(mut code) = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()) else {
            return String::new();
        };
        code.update(user.bare_str().as_bytes());
        let digest = code.finalize().into_bytes();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Nothing of this room is left.
    pub(crate) fn vanish(&mut self) {
        let domains = std::mem::take(&mut self.outages.domains);
        *self = Room::new(self.address.clone());
        // They are watched until the end of the turn.
        self.outages.domains = domains;
        self.occupants.emptied();
    }

    pub(crate) fn reply(&self, answer: Option<Stanza>, out: &mut Out) {
        if let Some(answer) = answer {
            out.effects.push(Effect::Route(Parcel::new(answer), None));
        }
    }

    pub(crate) fn refuse(&self, parcel: &Parcel, error: impl Into<StanzaError>, out: &mut Out) {
        self.reply(parcel.error(error), out);
    }

    fn inbound(&mut self, context: &mut Context<'_, Settings>, parcel: &Parcel, out: &mut Out) {
        let (Some(from), Some(to)) = (parcel.from().cloned(), parcel.to().cloned()) else {
            return;
        };
        match parcel.stanza().kind() {
            Kind::Presence(PresenceType::Available) => self.available(context, parcel, &from, &to, out),
            Kind::Presence(PresenceType::Unavailable) => self.unavailable(parcel, &from, out),
            Kind::Presence(PresenceType::Error) => self.delivery_failed(parcel, &from, out),
            Kind::Presence(PresenceType::Probe) => self.probed(&from, &to, out),
            Kind::Presence(PresenceType::Subscribe) => self.refuse(parcel, Condition::NotAllowed, out),
            Kind::Presence(
                PresenceType::Subscribed | PresenceType::Unsubscribe | PresenceType::Unsubscribed,
            ) => {}
            Kind::Message(kind) => self.message(context, parcel, kind, &from, &to, out),
            Kind::Iq(IqType::Get | IqType::Set) if to.is_bare() => self.room_iq(parcel, &from, out),
            Kind::Iq(kind) if to.is_bare() => self.capabilities_answered(context, parcel, kind, &from, out),
            Kind::Iq(kind) => self.occupant_iq(parcel, kind, &from, &to, out),
        }
    }

    fn room_iq(&mut self, parcel: &Parcel, from: &Address, out: &mut Out) {
        let stanza = parcel.stanza();
        let Some(payload) = stanza.payload().map(|payload| payload.to_tree()) else {
            return;
        };
        if !self.exists() {
            self.refuse(parcel, Condition::ItemNotFound, out);
            return;
        }
        let is_set = stanza.kind() == Kind::Iq(IqType::Set);
        let mut follow = Out::default();
        let answer = match (payload.namespace.as_str(), payload.name.as_str()) {
            (crate::names::ADMIN, "query") => self.administer(from, &payload, is_set, &mut follow),
            (crate::names::OWNER, "query") => self.own(from, &payload, is_set, &mut follow),
            _ => self.discover(from, &payload, is_set),
        };
        match answer {
            Ok(payload) => {
                let bytes = payload.map(|tree| tree.to_bytes("")).unwrap_or_default();
                let result = Stanza::build(
                    Kind::Iq(IqType::Result),
                    parcel.to(),
                    Some(from),
                    stanza.id().as_deref(),
                    &bytes,
                );
                // A change that makes somebody leave is told before it is answered, and the answer comes all the same.
                out.effects.append(&mut follow.effects);
                self.reply(Some(result), out);
            }
            Err(error) => self.refuse(parcel, error, out),
        }
    }

    fn admin(&mut self, request: AdminRequest, out: &mut Out) {
        match request {
            AdminRequest::Show(answer) => {
                let view = self.view();
                out.effects.push(Effect::Answer(Box::new(move || answer(view))));
            }
            AdminRequest::Destroy(reason, answer) => {
                let existed = self.exists();
                self.destroy(None, reason, None, out);
                out.effects
                    .push(Effect::Answer(Box::new(move || answer(existed))));
            }
            AdminRequest::ShutDown => {
                let nicks: Vec<String> = self.occupants.iter().map(|one| one.nick().to_owned()).collect();
                for nick in nicks {
                    self.remove(&nick, &Notes::codes(&[332]), out);
                }
            }
        }
    }
}

impl Machine for Room {
    type Input = Input;
    /// It lives only as long as somebody is in it.
    type Change = Infallible;
    type Effect = Effect;
    type Settings = Settings;

    fn handle(&mut self, context: &mut Context<'_, Settings>, input: Input, out: &mut Out) {
        let psa = &context.settings.presence.psa;
        self.outages.words = psa.enabled.then_some(psa.words);
        match input {
            Input::Inbound { parcel, receipt } => {
                self.inbound(context, &parcel, out);
                if let Some(receipt) = receipt {
                    out.effects.push(Effect::Settle(receipt));
                }
            }
            Input::Undelivered { parcel, error } => self.undelivered(context, &parcel, error, out),
            Input::Path { domain, is_broken } => self.path_changed(context, &domain, is_broken, out),
            Input::Wake(Key::Annotate) => self.annotate(context, out),
            Input::Wake(Key::Grace) => self.end_grace(context, out),
            Input::Wake(Key::Again) => self.try_again(out),
            Input::Admin(request) => self.admin(request, out),
        }
        self.withhold(context, out);
        self.keep_watch(out);
    }

    fn is_idle(&self) -> bool {
        !self.exists()
    }
}
