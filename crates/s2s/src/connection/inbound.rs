//! Connections that came to us: headers, features, STARTTLS, and the login by certificate (RFC 6120 §4 to §6).

use std::borrow::Cow;

use sasl::{Channel, ChannelBindings, Exchange, Mechanism, Nonce, Offer, SaslError};
use stanza::{Address, StreamCondition};
use stream::{
    DialbackOffer, Features, IncorrectEncoding, PeerHeader, Sasl, StartTls, StartTlsOffer, StreamLimits,
};
use xml::{Element, StreamHeader};

use super::open::{Guest, Next, Open, Role};
use super::phase::{Ground, Incoming, Phase, Stop, Turn, domain_of, header_fault, is_stanza, unexpected};
use super::{Effect, Step};
use crate::{Admission, Certificates, Encryption, Pair, Settings};

/// Takes the peer's header, answers with ours, and with features or an error.
pub(crate) fn open(ground: Ground, header: StreamHeader, turn: &mut Turn<'_, '_>) -> Result<Phase, Stop> {
    let peer = PeerHeader::read(header);
    let host = host_of(&ground, &peer, turn.settings());
    let remote = domain_of(peer.from.as_ref());
    let id = turn.context.token();
    let named = remote.as_ref().ok().and_then(|remote| remote.as_ref());
    let from = host
        .as_ref()
        .ok()
        .or_else(|| authority(turn.context.settings))
        .cloned();
    turn.wire.record.header_from = named.map(|remote| remote.as_str().to_owned());
    turn.wire.record.header_to = host.as_ref().ok().map(|host| host.as_str().to_owned());
    turn.wire.record.dialback |= peer.dialback;
    turn.wire.record.step = turn.wire.record.step.max(Step::Header);
    // RFC 6120 §4.9.1.3 allows the empty string where there is no name at all.
    turn.write_header(
        from.as_ref().map_or("", Address::as_str),
        named.map(Address::as_str),
        Some(&id),
    );
    if let Some(fault) = header_fault(&peer) {
        return Err(fault);
    }
    let (host, remote) = (host?, remote?);
    judge(&ground, remote.as_ref(), turn.settings())?;
    features(ground, host, remote, id, &peer, turn)
}

/// Opens our stream before the peer has opened its own, to end it with an error (RFC 6120 §4.9.1.2).
pub(crate) fn open_unasked(turn: &mut Turn<'_, '_>) {
    let id = turn.context.token();
    let from = authority(turn.context.settings)
        .map_or("", Address::as_str)
        .to_owned();
    turn.write_header(&from, None, Some(&id));
}

/// The only thing that can follow where TLS must come first.
pub(crate) fn insecure(element: &Element, turn: &mut Turn<'_, '_>) -> Result<Phase, Stop> {
    if StartTls::read(element) == Some(StartTls::Request) {
        return start_tls(turn);
    }
    if is_stanza(element) || stream::read_error(element).is_some() || Sasl::read(element).is_some() {
        return Err(unexpected(element, turn));
    }
    // XEP-0220 §2.5 has an error for this, but answering anybody who does not use TLS is not worth the way around.
    Err(Stop::error(
        StreamCondition::PolicyViolation,
        "STARTTLS is required here.",
    ))
}

/// Agrees to STARTTLS (RFC 6120 §5.4.2.3).
pub(crate) fn start_tls(turn: &mut Turn<'_, '_>) -> Result<Phase, Stop> {
    if turn.more_follows {
        // Whoever sits between could have put it there, to be taken for something said inside TLS.
        return Err(turn.refuse_tls("Data behind <starttls/>, before TLS."));
    }
    StartTls::Proceed.write(&mut turn.out.bytes);
    turn.effect(Effect::StartTls);
    turn.wire.record.step = Step::Tls;
    turn.wire.framer.restart();
    Ok(Phase::Incoming(Incoming::Handshake))
}

/// SASL, of which there is only EXTERNAL (XEP-0178 §3).
pub(crate) fn login(
    open: &mut Open,
    word: Result<Sasl, IncorrectEncoding>,
    turn: &mut Turn<'_, '_>,
) -> Result<Next, Stop> {
    let offer = offer(open);
    let Role::Inbound(guest) = &mut open.role else {
        // RFC 6120 §6.2: only the initiating side logs in.
        return Err(StreamCondition::NotAuthorized.into());
    };
    turn.wire.record.step = turn.wire.record.step.max(Step::Authentication);
    let step = match (word, guest.login.take()) {
        (Ok(Sasl::Auth { mechanism, initial }), _) => {
            begin(guest, &mechanism, initial.as_deref(), &offer, &open.local)
        }
        (Ok(Sasl::Response(message)), Some(mut exchange)) => exchange.response(&message),
        (Ok(Sasl::Abort), _) => sasl::Step::Failure(SaslError::Aborted),
        (Err(IncorrectEncoding), _) => sasl::Step::Failure(SaslError::IncorrectEncoding),
        // RFC 6120 §6.5.8: nobody asked, or it is ours to say.
        (Ok(Sasl::Response(_) | Sasl::Challenge(_) | Sasl::Success(_) | Sasl::Failure { .. }), _) => {
            sasl::Step::Failure(SaslError::OutOfOrder)
        }
    };
    match step {
        sasl::Step::Challenge(message) => {
            Sasl::Challenge(message).write(&mut turn.out.bytes);
            Ok(Next::Stay)
        }
        sasl::Step::Success { identity, .. } => {
            Sasl::Success(None).write(&mut turn.out.bytes);
            turn.wire.framer.restart();
            Ok(Next::LoggedIn(Pair {
                local: open.local.clone(),
                remote: identity,
            }))
        }
        sasl::Step::Failure(error) => failed(guest, error, turn),
        // EXTERNAL needs neither.
        sasl::Step::NeedCredentials { .. } | sasl::Step::NeedPasswordCheck { .. } => {
            failed(guest, SaslError::OutOfOrder, turn)
        }
    }
}

fn begin(
    guest: &mut Guest,
    mechanism: &str,
    initial: Option<&[u8]>,
    offer: &Offer,
    host: &Address,
) -> sasl::Step {
    let mechanism = match Mechanism::parse(mechanism) {
        Ok(mechanism) => mechanism,
        Err(error) => return sasl::Step::Failure(error),
    };
    // No mechanism that could be offered here uses it.
    let nonce = Nonce::from_random([0; 24]);
    let (exchange, step) = Exchange::start(mechanism, initial, offer, host, nonce);
    if matches!(step, sasl::Step::Challenge(_)) {
        guest.login = Some(exchange);
    }
    step
}

fn failed(guest: &mut Guest, error: SaslError, turn: &mut Turn<'_, '_>) -> Result<Next, Stop> {
    Sasl::Failure {
        condition: error.condition().name().into(),
        text: None,
    }
    .write(&mut turn.out.bytes);
    guest.failures += 1;
    if guest.failures >= turn.settings().limits.login_attempts {
        return Err(Stop::error(
            StreamCondition::PolicyViolation,
            "Too many failed logins.",
        ));
    }
    Ok(Next::Stay)
}

/// What the peer may log in with: the domain of its header, if its certificate proves that (XEP-0178 §3 step 9). After
/// that, and after dialback, there is nothing more to log in to.
fn offer(open: &Open) -> Offer {
    let proven = match (&open.tls, &open.remote) {
        (Some(tls), Some(remote)) if open.pairs.is_empty() => {
            tls.certificate.proves(remote).ok().map(|()| remote)
        }
        (Some(_) | None, _) => None,
    };
    Offer {
        channel: match open.tls {
            Some(_) => Channel::Tls(ChannelBindings::default()),
            None => Channel::Plaintext,
        },
        passwords: None,
        certificate: proven.cloned().into_iter().collect(),
    }
}

/// The host that the peer speaks to.
fn host_of(ground: &Ground, peer: &PeerHeader, settings: &Settings) -> Result<Address, Stop> {
    let named = match domain_of(peer.to.as_ref())? {
        Some(to) => Some(to),
        // RFC 6120 §4.7.2: TLS may have named it, and so has the login.
        None => match (&ground.login, &ground.tls) {
            (Some(login), _) => Some(login.local.clone()),
            (None, Some(tls)) => tls.sni.as_deref().and_then(|sni| Address::domain(sni).ok()),
            (None, None) => None,
        },
    };
    let named = named.filter(|host| settings.serves(host.as_str()));
    let named = named.ok_or_else(|| {
        // RFC 6120 §4.9.3.6
        Stop::error(StreamCondition::HostUnknown, "This domain is not served here.")
    })?;
    match &ground.login {
        // The login was for one pair of domains, and restarting the stream must not make it another.
        Some(login) if login.local != named => Err(Stop::error(
            StreamCondition::NotAuthorized,
            "The login was for another domain.",
        )),
        Some(_) | None => Ok(named),
    }
}

/// In whose name an error is told when the peer named nobody that we serve (RFC 6120 §4.9.1.3).
fn authority(settings: &Settings) -> Option<&Address> {
    settings.hosts.first()
}

/// Whether this peer may go on at all.
fn judge(ground: &Ground, remote: Option<&Address>, settings: &Settings) -> Result<(), Stop> {
    if let (Some(login), Some(remote)) = (&ground.login, remote)
        && login.remote != *remote
    {
        // RFC 6120 §6.4.6
        return Err(Stop::error(
            StreamCondition::InvalidFrom,
            "The login was in the name of another domain.",
        ));
    }
    let Some(remote) = remote else {
        return Ok(());
    };
    if settings.serves(remote.as_str()) {
        return Err(Stop::error(
            StreamCondition::InvalidFrom,
            "That domain is served here.",
        ));
    }
    match settings.policies.of(remote).admission {
        Admission::Allowed => Ok(()),
        Admission::Blocked => Err(Stop::error(
            StreamCondition::PolicyViolation,
            "This server does not talk to that domain.",
        )),
    }
}

/// Announces what can be negotiated, which decides what the peer can do next.
fn features(
    mut ground: Ground,
    host: Address,
    remote: Option<Address>,
    id: String,
    peer: &PeerHeader,
    turn: &mut Turn<'_, '_>,
) -> Result<Phase, Stop> {
    let settings = turn.context.settings;
    let policy = remote
        .as_ref()
        .map_or(settings.policies.usual, |remote| settings.policies.of(remote));
    let starttls = match (&ground.tls, settings.certificates, policy.encryption) {
        (Some(_), _, _) => None,
        (None, Certificates::Missing, Encryption::Optional) => None,
        (None, Certificates::Available, Encryption::Optional) => Some(StartTlsOffer::Optional),
        (None, Certificates::Available, Encryption::Required) => {
            // RFC 6120 §5.3.1: nothing else is offered.
            let features = Features {
                starttls: Some(StartTlsOffer::Required),
                ..Features::default()
            };
            turn.wire.framing.write_features(&features, &mut turn.out.bytes);
            return Ok(Phase::Incoming(Incoming::Insecure));
        }
        (None, Certificates::Missing, Encryption::Required) => {
            return Err(Stop::error(
                StreamCondition::PolicyViolation,
                "TLS is required here, and there is no certificate for it.",
            ));
        }
    };
    let login = ground.login.take();
    let mut open = Open::inbound(ground, host, remote, id, starttls, peer.lang.clone(), settings);
    let mechanisms: Vec<Cow<'static, str>> = match login {
        Some(_) => Vec::new(),
        None => offer(&open)
            .mechanisms()
            .into_iter()
            .map(|one| Cow::Borrowed(one.name()))
            .collect(),
    };
    turn.wire.record.mechanisms = mechanisms.iter().map(|name| name.clone().into_owned()).collect();
    record_certificate(&open, turn);
    let features = Features {
        starttls,
        mechanisms,
        dialback: Some(DialbackOffer::WithErrors),
        bidirectional: login.is_none(),
        stream_management: true,
        limits: Some(StreamLimits {
            max_bytes: u32::try_from(turn.settings().limits.authenticated.stanza_bytes).ok(),
            idle_seconds: None,
        }),
        ..Features::default()
    };
    turn.wire.framing.write_features(&features, &mut turn.out.bytes);
    if let Some(login) = login {
        open.logged_in(login, turn);
    }
    Ok(Phase::Open(Box::new(open)))
}

fn record_certificate(open: &Open, turn: &mut Turn<'_, '_>) {
    if let (Some(tls), Some(remote)) = (&open.tls, &open.remote) {
        turn.wire.record.tls = Some((tls.version, tls.certificate.proves(remote)));
    }
}
