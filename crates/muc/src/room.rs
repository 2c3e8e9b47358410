//! The room itself: what it knows, and which part of it answers which input.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use machine::{Context, Decision, Machine};
use presence::State;
use sha2::Sha256;
use stanza::namespace::REGISTER;
use stanza::{Address, Condition, IqType, Kind, MessageType, Parcel, PresenceType, Stanza, StanzaError};
use stream_management::Receipt;

use crate::affiliations::Affiliations;
use crate::creating::Creation;
use crate::history::History;
use crate::occupant::Occupants;
use crate::presence::Notes;
use crate::private::Whispers;
use crate::reach::Outages;
use crate::stored::{Change, Tombstone};
use crate::{AdminRequest, Affiliation, Config, Effect, Input, Key, Settings, View};

pub(crate) type Out = Decision<Change, Effect>;

/// What a sender's promise goes with.
enum Bears {
    /// The error that answers what was sent.
    Refusal,
    /// The private message that it is for somebody in the room.
    Private,
}

/// One chat room. It comes to be when somebody enters, and is no more when the last one has left, unless it is kept.
pub struct Room {
    pub(crate) address: Address,
    pub(crate) config: Config,
    /// Created, but not yet configured by its owner (XEP-0045 §10.1.1).
    pub(crate) locked: bool,
    pub(crate) occupants: Occupants,
    pub(crate) affiliations: Affiliations,
    /// The last change of the subject, ready to be sent again.
    pub(crate) subject: Option<Parcel>,
    pub(crate) history: History,
    /// Makes the ids of occupants (XEP-0421 §4.1).
    pub(crate) secret: String,
    /// Who is out of reach.
    pub(crate) outages: Outages,
    /// Users who want to be members, and under which nick (XEP-0045 §9.9).
    pub(crate) applicants: BTreeMap<Address, String>,
    /// The visiting card (XEP-0486).
    pub(crate) card: Option<Vec<u8>>,
    /// Whoever entered first.
    pub(crate) creator: Option<Address>,
    /// Whether it has a row in the store, and stays when nobody is in it.
    pub(crate) stored: bool,
    /// Who is in it from elsewhere, as the store knows.
    pub(crate) rows: BTreeMap<Address, String>,
    /// Those of them who were there before a crash, and do not know that they are out.
    pub(crate) vanished: BTreeMap<Address, String>,
    /// What is left of the room that was here before.
    pub(crate) tombstone: Option<Tombstone>,
    /// It was given away, for the next process.
    pub(crate) is_away: bool,
    /// Messages to single occupants that may still come back.
    pub(crate) whispers: Whispers,
    /// It is not known yet whether it may be made.
    pub(crate) creation: Option<Creation>,
}

impl Room {
    /// Nobody is there, so that there is no such room yet.
    pub fn new(address: Address) -> Room {
        Room {
            address,
            config: Config::default(),
            locked: false,
            occupants: Occupants::default(),
            affiliations: Affiliations::default(),
            subject: None,
            history: History::default(),
            secret: String::new(),
            outages: Outages::default(),
            applicants: BTreeMap::new(),
            card: None,
            creator: None,
            stored: false,
            rows: BTreeMap::new(),
            vanished: BTreeMap::new(),
            tombstone: None,
            is_away: false,
            whispers: Whispers::default(),
            creation: None,
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
            persistent: self.stored,
            creator: self.creator.clone(),
            occupants: self.occupants.len(),
            clients: self.occupants.client_count(),
            unreachable: self.in_state(State::ServerUnavailable),
            paused: self.in_state(State::ConnectionPaused),
        })
    }

    /// What people call a room that is listed and not in the store.
    pub fn title_for_now(&self) -> Option<String> {
        let is_listed = self.exists() && self.config.public && !self.locked;
        (is_listed && !self.stored).then(|| self.config.name.clone())
    }

    fn in_state(&self, state: State) -> usize {
        let is_in = |one: &&crate::occupant::Occupant| one.state == Some(state);
        self.occupants.iter().filter(is_in).count()
    }

    pub(crate) fn exists(&self) -> bool {
        self.stored || !self.occupants.is_empty()
    }

    pub(crate) fn affiliation(&self, user: &Address) -> Affiliation {
        self.affiliations
            .get(user.bare_str())
            .or_else(|| {
                // XEP-0045 §9.1: a whole domain may be banned.
                self.affiliations
                    .get(user.domainpart())
                    .filter(|affiliation| *affiliation == Affiliation::Outcast)
            })
            .unwrap_or(Affiliation::None)
    }

    /// XEP-0421 §4.1: stable, and nothing can be read from it.
    pub(crate) fn occupant_id(&self, user: &Address) -> String {
        self.occupant_id_of(user.bare_str())
    }

    /// The same for any text.
    pub(crate) fn occupant_id_of(&self, text: &str) -> String {
        let Ok(mut code) = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()) else {
            return String::new();
        };
        code.update(text.as_bytes());
        let digest = code.finalize().into_bytes();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Nothing of this room is left.
    pub(crate) fn vanish(&mut self) {
        let mut fresh = Room::new(self.address.clone());
        // The rows of those who were in it go, unless they come to be in the next one.
        fresh.occupants.touch(self.rows.keys());
        fresh.rows = std::mem::take(&mut self.rows);
        fresh.vanished = std::mem::take(&mut self.vanished);
        fresh.creation = self.creation.take();
        // They are watched until the end of the turn.
        fresh.outages.domains = std::mem::take(&mut self.outages.domains);
        fresh.occupants.emptied();
        *self = fresh;
    }

    pub(crate) fn reply(&self, answer: Option<Stanza>, out: &mut Out) {
        if let Some(answer) = answer {
            out.effects.push(Effect::Route(Parcel::new(answer), None));
        }
    }

    pub(crate) fn refuse(&self, parcel: &Parcel, error: impl Into<StanzaError>, out: &mut Out) {
        self.send_back(parcel, error, None, out);
    }

    /// The promise goes with the error, and is kept where that arrives.
    pub(crate) fn send_back(
        &self,
        parcel: &Parcel,
        error: impl Into<StanzaError>,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) {
        let error = error.into();
        let condition = error.condition;
        match parcel.error(error) {
            Some(answer) => {
                out.effects.push(Effect::CountError(answer.kind(), condition));
                out.effects.push(Effect::Route(Parcel::new(answer), receipt));
            }
            None => out.effects.extend(receipt.map(Effect::Settle)),
        }
    }

    fn inbound(&mut self, context: &mut Context<'_, Settings>, parcel: &Parcel, out: &mut Out) {
        let (Some(from), Some(to)) = (parcel.from().cloned(), parcel.to().cloned()) else {
            return;
        };
        if self.is_away {
            // Who leaves now is not found among the sessions when the room goes on.
            if !matches!(parcel.stanza().kind(), Kind::Presence(_)) {
                self.refuse(parcel, Condition::RecipientUnavailable, out);
            }
            return;
        }
        if let Some(gone) = self.buried(context) {
            self.refuse(parcel, gone, out);
            return;
        }
        match parcel.stanza().kind() {
            Kind::Presence(PresenceType::Available) => self.available(context, parcel, &from, &to, out),
            Kind::Presence(PresenceType::Unavailable) => self.unavailable(context, parcel, &from, out),
            Kind::Presence(PresenceType::Error) => self.delivery_failed(parcel, &from, out),
            Kind::Presence(PresenceType::Probe) => self.probed(&from, &to, out),
            Kind::Presence(PresenceType::Subscribe) => self.refuse(parcel, Condition::NotAllowed, out),
            Kind::Presence(
                PresenceType::Subscribed | PresenceType::Unsubscribe | PresenceType::Unsubscribed,
            ) => {}
            Kind::Message(kind) => self.message(context, parcel, kind, &from, &to, out),
            Kind::Iq(IqType::Get | IqType::Set) if to.is_bare() => self.room_iq(context, parcel, &from, out),
            Kind::Iq(kind) if to.is_bare() => self.capabilities_answered(context, parcel, kind, &from, out),
            Kind::Iq(kind) => self.occupant_iq(parcel, kind, &from, &to, out),
        }
    }

    /// A stanza whose turn it is.
    pub(crate) fn take(
        &mut self,
        context: &mut Context<'_, Settings>,
        parcel: Parcel,
        receipt: Option<Receipt>,
        out: &mut Out,
    ) {
        let (decided, changed) = (out.effects.len(), out.commit.len());
        self.inbound(context, &parcel, out);
        self.keep_changes(context.settings, out);
        let is_kept = receipt.is_some() || out.commit.len() > changed;
        let effects = out.effects.get_mut(decided..).unwrap_or_default();
        match (parcel.stanza().kind(), self.bearer(&parcel, effects)) {
            // An IQ is answered whatever comes of it.
            (Kind::Iq(_), _) => out.effects.extend(receipt.map(Effect::Settle)),
            // The promise is kept where the error arrives.
            (Kind::Message(_) | Kind::Presence(_), Some((Bears::Refusal, slot))) => *slot = receipt,
            // It is kept where the message arrives. If it cannot leave the room, whoever sent it is told so.
            (Kind::Message(_) | Kind::Presence(_), Some((Bears::Private, slot))) => {
                *slot = receipt;
                if is_kept {
                    out.effects.push(Effect::Kept(parcel, None));
                }
            }
            // It is kept when what was decided is on disk. If that fails, whoever sent this is told so.
            (Kind::Message(_) | Kind::Presence(_), None) => {
                if is_kept {
                    out.effects.push(Effect::Kept(parcel, receipt));
                }
            }
        }
    }

    /// What the fate of a stanza hangs on: the error that answers it, or that it is and goes on to who wrote what it is about;
    /// or the copy that an occupant gets of a private message, the first of the occupant's clients that can be reached. Gives
    /// the place for the promise.
    fn bearer<'e>(
        &self,
        parcel: &Parcel,
        effects: &'e mut [Effect],
    ) -> Option<(Bears, &'e mut Option<Receipt>)> {
        let kind = parcel.stanza().kind();
        let is_private = parcel.to().is_some_and(|to| !to.is_bare())
            && matches!(kind, Kind::Message(MessageType::Chat | MessageType::Normal));
        let is_reached = |to: &Address| {
            let client = self.occupants.client(to);
            client.is_some_and(|client| client.reach.lost.is_none())
        };
        let mut found: Option<(Bears, bool, &'e mut Option<Receipt>)> = None;
        for effect in effects {
            let Effect::Route(sent, slot) = effect else {
                continue;
            };
            let is_for_writer = kind == Kind::Message(MessageType::Error) && sent.stanza().kind() == kind;
            if is_for_writer || sent.stanza().kind().is_error() && sent.to() == parcel.from() {
                found = Some((Bears::Refusal, true, slot));
            } else if is_private && sent.stanza().kind() == kind {
                let is_reached = sent.to().is_some_and(is_reached);
                if found
                    .as_ref()
                    .is_none_or(|(_, is_good, _)| is_reached && !is_good)
                {
                    found = Some((Bears::Private, is_reached, slot));
                }
            }
        }
        found.map(|(bears, _, slot)| (bears, slot))
    }

    /// Whether something goes to a client that is in the room.
    fn is_for_occupant(&self, effect: &Effect) -> bool {
        let Effect::Route(parcel, _) = effect else {
            return false;
        };
        let client = parcel.to().and_then(|to| self.occupants.client(to));
        client.is_some()
    }

    fn room_iq(&mut self, context: &Context<'_, Settings>, parcel: &Parcel, from: &Address, out: &mut Out) {
        let stanza = parcel.stanza();
        let Some(payload) = stanza.payload().map(|payload| payload.to_tree()) else {
            return;
        };
        if !self.exists() || self.locked && self.affiliation(from) < Affiliation::Owner {
            // §10.1.1: to others a room that is not configured is none.
            self.refuse(parcel, Condition::ItemNotFound, out);
            return;
        }
        let is_set = stanza.kind() == Kind::Iq(IqType::Set);
        let mut follow = Out::default();
        let is_moderation = payload.namespace == crate::names::ADMIN;
        let answer = match (payload.namespace.as_str(), payload.name.as_str()) {
            (crate::names::ADMIN, "query") => self.administer(from, &payload, is_set, &mut follow),
            (crate::names::OWNER, "query") => self.own(context, from, &payload, is_set, &mut follow),
            (REGISTER, "query") => self.register(context, from, &payload, is_set, &mut follow),
            (crate::names::VCARD, "vCard") => self.show_card(context, from, &payload, is_set, &mut follow),
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
                // A change that makes somebody leave is told before it is answered, and the answer comes all the same. What
                // moderators do is told to others afterwards (§8.2, §9.1).
                let is_last = |effect: &Effect| is_moderation && self.is_for_occupant(effect);
                out.commit.append(&mut follow.commit);
                let (last, first): (Vec<Effect>, Vec<Effect>) = follow.effects.into_iter().partition(is_last);
                out.effects.extend(first);
                self.reply(Some(result), out);
                out.effects.extend(last);
            }
            Err(error) => self.refuse(parcel, error, out),
        }
    }

    fn admin(&mut self, context: &mut Context<'_, Settings>, request: AdminRequest, out: &mut Out) {
        match request {
            AdminRequest::Show(answer) => {
                let view = self.view();
                out.effects.push(Effect::Answer(Box::new(move || answer(view))));
            }
            AdminRequest::Destroy(reason, answer) => {
                let existed = self.exists();
                self.destroy(context, None, reason, None, out);
                out.effects
                    .push(Effect::Answer(Box::new(move || answer(existed))));
            }
            AdminRequest::ShutDown => {
                let nicks: Vec<String> = self.occupants.iter().map(|one| one.nick().to_owned()).collect();
                for nick in nicks {
                    self.remove(&nick, &Notes::codes(&[332]), out);
                }
            }
            // Whoever vanished was told before this.
            AdminRequest::TellVanished => {}
            AdminRequest::Keep(answer) => {
                let kept = self.keep();
                out.effects.push(Effect::Answer(Box::new(move || answer(kept))));
            }
            AdminRequest::GoOn { kept, lost } => self.go_on(context, *kept, &lost, out),
        }
    }
}

impl Machine for Room {
    type Input = Input;
    type Change = Change;
    type Effect = Effect;
    type Settings = Settings;

    fn handle(&mut self, context: &mut Context<'_, Settings>, input: Input, out: &mut Out) {
        let psa = &context.settings.presence.psa;
        self.outages.words = psa.enabled.then_some(psa.words);
        // Those who come back with it have not vanished.
        if !matches!(input, Input::Admin(AdminRequest::GoOn { .. })) {
            self.tell_vanished(out);
        }
        match input {
            Input::Inbound { parcel, receipt } => {
                if let Some((parcel, receipt)) = self.hold(context, (parcel, receipt), out) {
                    self.take(context, parcel, receipt, out);
                }
            }
            Input::Counted(rooms) => self.counted(context, rooms, out),
            Input::Undelivered {
                parcel,
                error,
                receipt,
            } => self.undelivered(context, &parcel, error, receipt, out),
            Input::Path { domain, is_broken } => self.path_changed(context, &domain, is_broken, out),
            Input::Renewed(domain) => self.path_renewed(context, &domain, out),
            Input::Wake(Key::Annotate) => self.annotate_more(context, out),
            Input::Wake(Key::Grace) => self.end_grace(context, out),
            Input::Wake(Key::Again) => self.try_again(out),
            Input::Admin(request) => self.admin(context, request, out),
        }
        self.keep_changes(context.settings, out);
        self.withhold(context, out);
        self.keep_watch(out);
    }

    /// What is kept is loaded again when somebody asks.
    fn is_idle(&self) -> bool {
        self.occupants.is_empty() && self.vanished.is_empty() && self.creation.is_none() && !self.is_away
    }
}
