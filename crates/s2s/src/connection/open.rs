//! A stream on which pairs of domains are authenticated, and stanzas of those that are exchanged (RFC 6120 §8.1).

use std::collections::BTreeMap;
use std::sync::Arc;

use machine::Moment;
use sasl::Exchange;
use stanza::namespace::{BIDI, DIALBACK, SASL, SERVER, STREAM_MANAGEMENT, STREAMS, TLS};
use stanza::{
    Address, Condition, Kind, MessageType, PresenceType, Stanza, StanzaError, StreamCondition, Unfit,
};
use stream::{DialbackOffer, Features, Sasl, StartTls, StartTlsOffer};
use stream_management::Mailbox;
use xml::Element;

use super::addresses::Addresses;
use super::management::Management;
use super::outbound::Greeted;
use super::phase::{Ground, Phase, Stop, Turn, unexpected};
use super::{By, Effect, Ending, Method, Side, Suspended, Tls, inbound};
use crate::{Pair, Settings, Verification, Ways};

/// A stream after its features.
pub(crate) struct Open {
    pub(crate) role: Role,
    /// The domain of ours that the header names.
    pub(crate) local: Address,
    /// The domain of the peer that the header names.
    pub(crate) remote: Option<Address>,
    /// The identifier of the stream.
    pub(crate) id: String,
    pub(crate) tls: Option<Tls>,
    /// Stanzas may travel both ways (XEP-0288).
    pub(crate) bidirectional: bool,
    /// What is authenticated on this very stream.
    pub(crate) pairs: BTreeMap<Pair, Carried>,
    /// Pairs that the peer was asked to accept, and until when it may answer.
    pub(crate) asked: BTreeMap<Pair, Moment>,
    /// Pairs that we were asked to accept and whose keys are being judged elsewhere, and until when.
    pub(crate) judging: BTreeMap<Pair, Moment>,
    /// Keys that the peer was asked to judge, and until when it may answer.
    pub(crate) verifying: Vec<(Verification, Moment)>,
    pub(crate) management: Management,
    pub(crate) mailbox: Arc<Mailbox>,
    /// Whether the world may know of the pairs: not before it is clear whether a broken stream is resumed.
    pub(crate) announced: bool,
    pub(crate) addresses: Addresses,
    /// The language of stanzas that name none (RFC 6120 §4.7.4).
    pub(crate) lang: Option<Arc<str>>,
}

/// What belongs to one side only.
pub(crate) enum Role {
    /// The peer came to us.
    Inbound(Guest),
    /// We went to the peer.
    Outbound(Visit),
}

/// A peer that came to us.
#[derive(Default)]
pub(crate) struct Guest {
    /// A login that waits for the peer.
    pub(crate) login: Option<Exchange>,
    pub(crate) failures: usize,
    starttls: Option<StartTlsOffer>,
}

/// What we know of a peer that we went to.
pub(crate) struct Visit {
    /// A broken stream that may be resumed.
    pub(crate) resume: Option<Suspended>,
    /// It knows dialback, and how well.
    pub(crate) dialback: bool,
    pub(crate) offer: Option<DialbackOffer>,
    /// It offers stream management.
    pub(crate) management: bool,
}

/// How a pair is carried.
#[derive(Clone, Copy)]
pub(crate) struct Carried {
    pub(crate) ways: Ways,
    pub(crate) method: Method,
}

/// What follows an element.
pub(crate) enum Next {
    /// More of the same.
    Stay,
    /// A new stream, for this pair.
    LoggedIn(Pair),
    /// TLS.
    Handshake,
}

impl Open {
    /// After our features.
    pub(crate) fn inbound(
        ground: Ground,
        local: Address,
        remote: Option<Address>,
        id: String,
        starttls: Option<StartTlsOffer>,
        lang: Option<Arc<str>>,
        settings: &Settings,
    ) -> Open {
        let guest = Guest {
            starttls,
            ..Guest::default()
        };
        Open {
            announced: true,
            lang,
            ..Open::new(Role::Inbound(guest), local, remote, id, ground, settings)
        }
    }

    /// After the peer's features: does what the connection is for.
    pub(crate) fn outbound(greeted: Greeted, turn: &mut Turn<'_, '_>) -> Result<Phase, Stop> {
        let Greeted { trip, mut ground, .. } = greeted;
        let login = ground.login.take();
        let visit = Visit {
            resume: trip.resume,
            dialback: greeted.dialback || greeted.features.dialback.is_some(),
            offer: greeted.features.dialback,
            management: greeted.features.stream_management,
        };
        let Pair { local, remote } = trip.header;
        let mut open = Open {
            lang: greeted.lang,
            ..Open::new(
                Role::Outbound(visit),
                local,
                Some(remote),
                greeted.id,
                ground,
                turn.context.settings,
            )
        };
        if let Some(login) = login {
            open.logged_in(login, turn);
        }
        let again = open
            .suspended()
            .map(|suspended| suspended.pairs.clone())
            .unwrap_or_default();
        let again = again
            .into_iter()
            .filter(|(_, ways)| ways.sends())
            .map(|(pair, _)| pair);
        let authorize = turn.wire.unanswered.authorize.clone();
        for pair in authorize.into_iter().chain(again) {
            open.authorize(pair, turn);
        }
        for verification in turn.wire.unanswered.verify.clone() {
            open.verify(verification, turn);
        }
        open.settle(turn)?;
        Ok(Phase::Open(Box::new(open)))
    }

    fn new(
        role: Role,
        local: Address,
        remote: Option<Address>,
        id: String,
        ground: Ground,
        settings: &Settings,
    ) -> Open {
        Open {
            role,
            local,
            remote,
            id,
            tls: ground.tls,
            bidirectional: ground.bidirectional,
            pairs: BTreeMap::new(),
            asked: BTreeMap::new(),
            judging: BTreeMap::new(),
            verifying: Vec::new(),
            management: Management::default(),
            mailbox: Mailbox::new(settings.limits.mailbox),
            announced: false,
            addresses: Addresses::default(),
            lang: None,
        }
    }

    /// A stream that could be resumed here.
    pub(crate) fn suspended(&self) -> Option<&Suspended> {
        match &self.role {
            Role::Inbound(_) => None,
            Role::Outbound(visit) => visit.resume.as_ref(),
        }
    }

    /// The pair of the login by certificate.
    pub(crate) fn logged_in(&mut self, pair: Pair, turn: &mut Turn<'_, '_>) {
        let ways = self.ways();
        self.authenticated(pair, ways, Method::External, turn);
    }

    /// In which ways a pair is carried that was authenticated in the direction of this connection.
    pub(crate) fn ways(&self) -> Ways {
        match (&self.role, self.bidirectional) {
            (_, true) => Ways::Both,
            (Role::Inbound(_), false) => Ways::In,
            (Role::Outbound(_), false) => Ways::Out,
        }
    }

    /// The stream carries this pair.
    pub(crate) fn authenticated(&mut self, pair: Pair, ways: Ways, method: Method, turn: &mut Turn<'_, '_>) {
        turn.trust();
        turn.wire.record.method.get_or_insert(method);
        turn.wire.record.obstacle = None;
        let ways = self.pairs.get(&pair).map_or(ways, |before| before.ways.and(ways));
        self.pairs.insert(pair.clone(), Carried { ways, method });
        if self.announced {
            turn.effect(Effect::Authenticated { pair, ways, method });
        }
    }

    /// The world may know of the pairs now.
    pub(crate) fn announce(&mut self, turn: &mut Turn<'_, '_>) {
        self.announced = true;
        for (pair, Carried { ways, method }) in &self.pairs {
            turn.effect(Effect::Authenticated {
                pair: pair.clone(),
                ways: *ways,
                method: *method,
            });
        }
    }

    /// Whether there is anything left that this connection is for, and what comes next of it.
    pub(crate) fn settle(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        if matches!(self.role, Role::Inbound(_)) || !self.asked.is_empty() {
            return Ok(());
        }
        if !self.pairs.is_empty() {
            return self.manage(turn);
        }
        if !self.verifying.is_empty() {
            return Ok(());
        }
        // XEP-0220 §2.1.2: a connection that has had its answer is closed.
        Err(Stop::Said(match turn.wire.record.obstacle.clone() {
            Some(obstacle) => Ending::Failed(obstacle),
            None => Ending::Finished(By::Us),
        }))
    }

    pub(crate) fn element(&mut self, element: Element, turn: &mut Turn<'_, '_>) -> Result<Next, Stop> {
        match element.namespace() {
            SERVER => self.stanza(element, turn)?,
            STREAM_MANAGEMENT => self.management(&element, turn)?,
            DIALBACK => self.dialback(&element, turn)?,
            BIDI => self.bidi(&element, turn)?,
            SASL => {
                return match Sasl::read(&element) {
                    Some(word) => inbound::login(self, word, turn),
                    None => Err(unexpected(&element, turn)),
                };
            }
            TLS if self.may_start_tls() && StartTls::read(&element) == Some(StartTls::Request) => {
                return Ok(Next::Handshake);
            }
            // RFC 6120 §4.3.5: what can be negotiated was negotiated, and may be told again.
            STREAMS if Features::read(&element).is_some() && matches!(self.role, Role::Outbound(_)) => {}
            _ => return Err(unexpected(&element, turn)),
        }
        Ok(Next::Stay)
    }

    /// What the peer still says after our closing tag (RFC 6120 §4.4).
    pub(crate) fn late_element(&mut self, element: Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        match element.namespace() {
            SERVER => self.stanza(element, turn),
            STREAM_MANAGEMENT if element.name() == "a" => self.acknowledged(&element, turn),
            STREAMS => Err(unexpected(&element, turn)),
            _ => Ok(()),
        }
    }

    fn may_start_tls(&self) -> bool {
        match &self.role {
            Role::Inbound(guest) => guest.starttls.is_some() && self.pairs.is_empty(),
            Role::Outbound(_) => false,
        }
    }

    /// XEP-0288 §2.2: the connecting side asks, and before anything is authenticated.
    fn bidi(&mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        if !element.is(BIDI, "bidi") || !matches!(self.role, Role::Inbound(_)) {
            return Err(unexpected(element, turn));
        }
        if self.pairs.is_empty() {
            self.bidirectional = true;
        }
        Ok(())
    }

    fn stanza(&mut self, element: Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        if !self.pairs.values().any(|carried| carried.ways.receives()) {
            return Err(unexpected(&element, turn));
        }
        let (from, to) = self.addresses_of(&element)?;
        // No state of another stream counts, and none of another domain on this one (RFC 6120 §8.1.2.2).
        let domain = from.domainpart();
        let known =
            |(pair, carried): (&Pair, &Carried)| carried.ways.receives() && pair.remote.as_str() == domain;
        let Some((pair, _)) = self.pairs.iter().find(|entry| known(*entry)) else {
            return Err(Stop::error(
                StreamCondition::InvalidFrom,
                "The domain of the 'from' is not authenticated on this stream.",
            ));
        };
        if !self.announced {
            turn.effect(Effect::Heard(pair.clone()));
        }
        // RFC 6120 §8.1.1.2
        if !turn.settings().serves(to.domainpart()) {
            return Err(Stop::error(
                StreamCondition::HostUnknown,
                "The domain of the 'to' is not served here.",
            ));
        }
        let judged = Kind::of(&element);
        if judged == Err(Unfit::NotAStanza) {
            return Err(StreamCondition::UnsupportedStanzaType.into());
        }
        let receipt = self.management.counts().then(|| self.mailbox.count_received());
        if judged.is_err() {
            // Its fate is decided here, whether it may be answered or not.
            if let Some(receipt) = receipt {
                receipt.settle();
            }
            if let Some(error) = refusal(&element, &from, &to) {
                turn.effect(Effect::Reply(error));
            }
            return Ok(());
        }
        match Stanza::new(element, Some(from), Some(to), self.lang.as_ref()) {
            Ok(stanza) => {
                turn.effect(Effect::Route { stanza, receipt });
                Ok(())
            }
            Err(_) => Err(StreamCondition::UnsupportedStanzaType.into()),
        }
    }

    /// RFC 6120 §8.1.1.2, §8.1.2.2: both must be there, and be addresses.
    fn addresses_of(&mut self, element: &Element) -> Result<(Address, Address), Stop> {
        let (mut from, mut to) = (None, None);
        for attribute in element.attributes() {
            match attribute.name {
                "from" => from = Some(attribute),
                "to" => to = Some(attribute),
                _ => {}
            }
        }
        let mut prepared = |attribute: Option<xml::Attribute<'_>>| {
            let attribute = attribute?;
            self.addresses
                .prepare(attribute.raw_value, || attribute.value())
                .ok()
        };
        match (prepared(from), prepared(to)) {
            (Some(from), Some(to)) => Ok((from, to)),
            _ => Err(Stop::error(
                StreamCondition::ImproperAddressing,
                "A stanza between servers needs the addresses of its sender and its recipient.",
            )),
        }
    }
}

/// The answer to a stanza that breaks the rules of its kind; `None` where none may be given (RFC 6120 §8.3.1).
pub(crate) fn refusal(element: &Element, from: &Address, to: &Address) -> Option<Stanza> {
    let kind = match (element.name(), element.raw_attribute("type")) {
        (_, Some("error")) | ("iq", Some("result")) => return None,
        ("iq", _) => Kind::Iq(stanza::IqType::Error),
        ("presence", _) => Kind::Presence(PresenceType::Error),
        _ => Kind::Message(MessageType::Error),
    };
    let id = element.attribute("id");
    let mut payload = Vec::new();
    StanzaError::new(Condition::BadRequest).write(&mut payload);
    Some(Stanza::build(kind, Some(to), Some(from), id.as_deref(), &payload))
}

impl Role {
    pub(crate) fn side(&self) -> Side {
        match self {
            Role::Inbound(_) => Side::Inbound,
            Role::Outbound(_) => Side::Outbound,
        }
    }
}
