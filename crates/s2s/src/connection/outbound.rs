//! Connections that we open: headers, features, STARTTLS, and the login by our certificate (RFC 6120 §4 to §6).

use std::sync::Arc;

use stanza::StreamCondition;
use stanza::namespace::BIDI;
use stream::{Features, PeerHeader, Sasl, StartTls};
use xml::{Element, StreamHeader};

use super::open::Open;
use super::phase::{Ground, Outgoing, Phase, Stop, Trip, Turn, header_fault, unexpected};
use super::{Effect, Obstacle, Step, Tls};
use crate::{Admission, Authentication, Encryption, Pair, Settings};

/// A stream whose header the peer has answered.
pub(crate) struct Greeted {
    pub(crate) trip: Trip,
    pub(crate) ground: Ground,
    /// The identifier that the peer gave to the stream.
    pub(crate) id: String,
    /// Whom the peer's header names as its sender, if that is somebody else.
    wrong_host: Option<String>,
    pub(crate) lang: Option<Arc<str>>,
    /// Whether its header declares dialback.
    pub(crate) dialback: bool,
    pub(crate) features: Features,
}

/// Opens the stream: on TCP, on TLS, and again after the login.
pub(crate) fn greet(trip: Box<Trip>, ground: Ground, turn: &mut Turn<'_, '_>) -> Phase {
    let Pair { local, remote } = &trip.header;
    turn.write_header(local.as_str(), Some(remote.as_str()), None);
    Phase::Outgoing(Outgoing::Header(trip, Box::new(ground)))
}

/// Takes the peer's header.
pub(crate) fn open(
    trip: Trip,
    ground: Ground,
    header: StreamHeader,
    turn: &mut Turn<'_, '_>,
) -> Result<Phase, Stop> {
    let from = header.from.clone();
    let peer = PeerHeader::read(header);
    turn.wire.record.header_from.clone_from(&from);
    turn.wire.record.step = turn.wire.record.step.max(Step::Header);
    turn.wire.record.dialback |= peer.dialback;
    if let Some(fault) = header_fault(&peer) {
        return Err(fault);
    }
    // RFC 6120 §4.7.1: left out by old servers, and another domain where an error follows.
    let is_right = match &peer.from {
        None => true,
        Some(named) => named.as_ref().is_ok_and(|named| *named == trip.header.remote),
    };
    Ok(Phase::Outgoing(Outgoing::Features(Box::new(Greeted {
        trip,
        ground,
        id: peer.id.unwrap_or_default(),
        wrong_host: from.filter(|_| !is_right),
        lang: peer.lang,
        dialback: peer.dialback,
        features: Features::default(),
    }))))
}

/// Takes the peer's features, and goes on with the first of TLS, login and dialback that is missing.
pub(crate) fn features(
    mut greeted: Box<Greeted>,
    element: &Element,
    turn: &mut Turn<'_, '_>,
) -> Result<Phase, Stop> {
    let Some(features) = Features::read(element) else {
        return Err(unexpected(element, turn));
    };
    if let Some(named) = greeted.wrong_host.take() {
        return Err(Stop::failed(Obstacle::WrongHost(named)));
    }
    let record = &mut turn.wire.record;
    record.dialback |= features.dialback.is_some();
    record.starttls |= features.starttls.is_some();
    if !features.mechanisms.is_empty() {
        record.mechanisms = features
            .mechanisms
            .iter()
            .map(|name| name.clone().into_owned())
            .collect();
    }
    if greeted.ground.tls.is_none() && features.starttls.is_some() {
        StartTls::Request.write(&mut turn.out.bytes);
        return Ok(Phase::Outgoing(Outgoing::Proceed(Box::new(greeted.trip))));
    }
    greeted.features = features;
    let header = greeted.trip.header.clone();
    let wants = turn.wire.unanswered.authorize.contains(&header) && greeted.ground.login.is_none();
    if !wants {
        return Open::outbound(*greeted, turn);
    }
    if let Err(obstacle) = acceptable(&header, greeted.ground.tls.as_ref(), turn.settings()) {
        return Err(Stop::failed(obstacle));
    }
    if greeted.features.bidirectional && !greeted.ground.bidirectional {
        // XEP-0288 §2.2: before the login.
        greeted.ground.bidirectional = true;
        turn.out
            .bytes
            .extend_from_slice(format!("<bidi xmlns='{BIDI}'/>").as_bytes());
    }
    turn.wire.record.step = turn.wire.record.step.max(Step::Authentication);
    let external = greeted.features.mechanisms.iter().any(|name| name == "EXTERNAL");
    if !external || greeted.ground.tls.is_none() {
        return Open::outbound(*greeted, turn);
    }
    Sasl::Auth {
        mechanism: String::from("EXTERNAL"),
        // XEP-0178 §3 step 10: not needed any more, but servers that need it are around.
        initial: Some(header.local.as_str().as_bytes().to_vec()),
    }
    .write(&mut turn.out.bytes);
    Ok(Phase::Outgoing(Outgoing::Login(greeted)))
}

/// Takes the answer to `<starttls/>` (RFC 6120 §5.4.2).
pub(crate) fn proceed(trip: Box<Trip>, element: &Element, turn: &mut Turn<'_, '_>) -> Result<Phase, Stop> {
    match StartTls::read(element) {
        Some(StartTls::Proceed) if turn.more_follows => {
            // Whoever sits between could have put it there, to be taken for something said inside TLS.
            Err(Stop::error(
                StreamCondition::PolicyViolation,
                "Data behind <proceed/>, before TLS.",
            ))
        }
        Some(StartTls::Proceed) => {
            turn.effect(Effect::StartTls);
            turn.wire.framer.restart();
            turn.wire.record.step = Step::Tls;
            Ok(Phase::Outgoing(Outgoing::Handshake(trip)))
        }
        Some(StartTls::Failure) => Err(Stop::failed(Obstacle::TlsRefused)),
        Some(StartTls::Request) | None => Err(unexpected(element, turn)),
    }
}

/// Goes on inside TLS.
pub(crate) fn secured(trip: Box<Trip>, tls: Tls, turn: &mut Turn<'_, '_>) -> Phase {
    turn.wire.record.tls = Some((tls.version, tls.certificate.proves(&trip.header.remote)));
    let ground = Ground {
        tls: Some(tls),
        ..Ground::default()
    };
    greet(trip, ground, turn)
}

/// Takes the answer to the login (RFC 6120 §6.4).
pub(crate) fn login(
    mut greeted: Box<Greeted>,
    element: &Element,
    turn: &mut Turn<'_, '_>,
) -> Result<Phase, Stop> {
    match Sasl::read(element) {
        Some(Ok(Sasl::Success(_))) => {
            greeted.ground.login = Some(greeted.trip.header.clone());
            turn.wire.framer.restart();
            Ok(greet(Box::new(greeted.trip), greeted.ground, turn))
        }
        Some(Ok(Sasl::Failure { condition, .. })) => {
            turn.wire.record.obstacle = Some(Obstacle::LoginRefused(condition.into_owned()));
            // XEP-0178 §3 step 11: it may go on with dialback, unless the peer closes the stream.
            Open::outbound(*greeted, turn)
        }
        Some(Ok(Sasl::Challenge(_))) => {
            // It lost the name that we gave at once.
            let name = greeted.trip.header.local.as_str().as_bytes().to_vec();
            Sasl::Response(name).write(&mut turn.out.bytes);
            Ok(Phase::Outgoing(Outgoing::Login(greeted)))
        }
        Some(Ok(Sasl::Auth { .. } | Sasl::Response(_) | Sasl::Abort) | Err(_)) | None => {
            Err(unexpected(element, turn))
        }
    }
}

/// Whether stanzas of this pair may be entrusted to the server at the other end.
pub(crate) fn acceptable(pair: &Pair, tls: Option<&Tls>, settings: &Settings) -> Result<(), Obstacle> {
    let policy = settings.policies.of(&pair.remote);
    match policy.admission {
        Admission::Allowed => {}
        Admission::Blocked => return Err(Obstacle::Blocked),
    }
    match (policy.encryption, policy.authentication, tls) {
        (Encryption::Required, _, None) => Err(Obstacle::TlsNotOffered),
        (Encryption::Optional, Authentication::Certificate, None) => Err(Obstacle::TlsNotOffered),
        (_, Authentication::Certificate, Some(tls)) => tls
            .certificate
            .proves(&pair.remote)
            .map_err(Obstacle::Certificate),
        // What DNS says is believed, in this direction as in the other.
        (Encryption::Optional, Authentication::CertificateOrDialback, None) => Ok(()),
        (_, Authentication::CertificateOrDialback, Some(_)) => Ok(()),
    }
}
