//! The header of the client, and our answer to it (RFC 6120 §4.2, §4.3, §4.7).

use std::borrow::Cow;

use features::Registration;
use sasl::{Channel, Offer};
use stanza::{Address, StreamCondition};
use stream::{Features, Framing, Opening, PeerHeader, StartTlsOffer, StreamLimits};
use xml::{ContentNamespace, StreamHeader};

use crate::bind::Bind;
use crate::login::{Insecure, Login};
use crate::phase::{Ground, Phase, Stop, Turn};
use crate::{Encryption, Host, Settings, Tls};

/// Takes the client's header, answers with ours, and with features or an error.
pub(crate) fn open(ground: Ground, header: StreamHeader, turn: &mut Turn<'_, '_>) -> Result<Phase, Stop> {
    let peer = PeerHeader::read(header);
    let host = host_of(&ground, &peer, turn.context.settings);
    let from = host
        .as_ref()
        .ok()
        .or_else(|| authority(&ground, turn.context.settings))
        .cloned();
    write_header(from.as_ref(), Some(&peer), turn);
    if let Some(fault) = peer.fault(ContentNamespace::Client) {
        return Err(Stop::Error(fault));
    }
    let host = host?;
    match ground {
        Ground::Plain => insecure(host, turn),
        Ground::Tls(tls) => secured(host, *tls, &peer, turn),
        Ground::Account(account) => logged_in(account, &peer, turn),
    }
}

/// Opens our stream before the client has opened its own, to end it with an error (RFC 6120 §4.9.1.2).
pub(crate) fn open_unasked(ground: &Ground, turn: &mut Turn<'_, '_>) {
    let from = authority(ground, turn.context.settings).cloned();
    write_header(from.as_ref(), None, turn);
}

/// The host that the client speaks to.
fn host_of(ground: &Ground, peer: &PeerHeader, settings: &Settings) -> Result<Address, Stop> {
    let unknown = || Stop::error(StreamCondition::HostUnknown, "This host is not served here.");
    let named = match &peer.to {
        Some(Ok(to)) => Some(to.clone()),
        Some(Err(_)) => return Err(unknown()),
        // RFC 6120 §4.7.2: TLS may have named it, and so has the login.
        None => match ground {
            Ground::Plain => None,
            Ground::Tls(tls) => tls.sni.as_deref().and_then(|sni| Address::domain(sni).ok()),
            Ground::Account(account) => Some(account.to_domain()),
        },
    };
    let named = named
        .filter(|host| settings.hosts.contains_key(host))
        .ok_or_else(unknown)?;
    match ground {
        // The identity fixes the host: a user of one must not become a user of another of the same name.
        Ground::Account(account) if account.domainpart() != named.as_str() => Err(Stop::error(
            StreamCondition::NotAuthorized,
            "The login was for another host.",
        )),
        Ground::Plain | Ground::Tls(_) | Ground::Account(_) => Ok(named),
    }
}

/// In whose name an error is told when the client named nobody that we serve (RFC 6120 §4.9.1.3).
fn authority<'s>(ground: &Ground, settings: &'s Settings) -> Option<&'s Address> {
    let of_account = match ground {
        Ground::Plain | Ground::Tls(_) => None,
        Ground::Account(account) => settings.hosts.get_key_value(account.domainpart()),
    };
    of_account
        .or_else(|| settings.hosts.first_key_value())
        .map(|(host, _)| host)
}

fn write_header(from: Option<&Address>, peer: Option<&PeerHeader>, turn: &mut Turn<'_, '_>) {
    let id = turn.context.token();
    let to = peer
        .and_then(|peer| peer.from.as_ref()?.as_ref().ok())
        .map(Address::bare_str);
    let opening = Opening {
        content: ContentNamespace::Client,
        prefixes: &[],
        // RFC 6120 §4.9.1.3 allows the empty string where there is no name at all.
        from: Some(from.map_or("", Address::as_str)),
        to,
        id: Some(&id),
        version: peer.is_none_or(PeerHeader::has_version),
        lang: "en",
    };
    turn.wire.framing.write_opening(&opening, &mut turn.out.bytes);
}

/// A connection without TLS: what it is offered depends on the configuration.
fn insecure(host: Address, turn: &mut Turn<'_, '_>) -> Result<Phase, Stop> {
    let starttls = match (turn.wire.framing, turn.context.settings.encryption) {
        // RFC 7395 §3.9: TLS stands around HTTP or nowhere.
        (Framing::WebSocket | Framing::Bosh, Encryption::Required) => {
            return Err(Stop::error(
                StreamCondition::PolicyViolation,
                "Logging in needs TLS here: https and wss.",
            ));
        }
        (Framing::WebSocket | Framing::Bosh, Encryption::Optional | Encryption::Unavailable) => None,
        (Framing::Tcp, Encryption::Required) => {
            // RFC 6120 §5.3.1: nothing else is offered.
            let features = Features {
                starttls: Some(StartTlsOffer::Required),
                ..Features::default()
            };
            turn.wire.framing.write_features(&features, &mut turn.out.bytes);
            return Ok(Phase::Insecure(Insecure::new(host)));
        }
        (Framing::Tcp, Encryption::Optional) => Some(StartTlsOffer::Optional),
        (Framing::Tcp, Encryption::Unavailable) => None,
    };
    let settings = host_settings(&host, turn)?;
    let offer = offer(settings, Channel::Plaintext);
    write_login_features(&offer, settings.registration, starttls, turn);
    Ok(Phase::Login(Box::new(Login::new(host, offer, None, starttls))))
}

fn secured(host: Address, tls: Tls, peer: &PeerHeader, turn: &mut Turn<'_, '_>) -> Result<Phase, Stop> {
    let settings = host_settings(&host, turn)?;
    let offer = offer(settings, Channel::Tls(tls.bindings));
    write_login_features(&offer, settings.registration, None, turn);
    // RFC 6120 §6.4.6: a name given under the protection of TLS must be the one that logs in.
    Ok(Phase::Login(Box::new(Login::new(
        host,
        offer,
        claimed(peer),
        None,
    ))))
}

fn logged_in(account: Address, peer: &PeerHeader, turn: &mut Turn<'_, '_>) -> Result<Phase, Stop> {
    if claimed(peer).is_some_and(|claimed| claimed != account) {
        return Err(Stop::error(
            StreamCondition::InvalidFrom,
            "The login was for another account.",
        ));
    }
    let features = Features {
        bind: true,
        session: true,
        stream_management: true,
        roster_versioning: true,
        pre_approval: true,
        limits: limits(&turn.context.settings.limits.authenticated),
        ..Features::default()
    };
    turn.wire.framing.write_features(&features, &mut turn.out.bytes);
    Ok(Phase::Bind(Box::new(Bind::new(account, peer.lang.clone()))))
}

fn write_login_features(
    offer: &Offer,
    registration: Registration,
    starttls: Option<StartTlsOffer>,
    turn: &mut Turn<'_, '_>,
) {
    let names = |names: Vec<&'static str>| names.into_iter().map(Cow::Borrowed).collect();
    let features = Features {
        starttls,
        mechanisms: names(
            offer
                .mechanisms()
                .into_iter()
                .map(sasl::Mechanism::name)
                .collect(),
        ),
        channel_bindings: names(
            offer
                .binding_types()
                .into_iter()
                .map(sasl::BindingType::name)
                .collect(),
        ),
        registration: registration == Registration::Open,
        limits: limits(&turn.context.settings.limits.unauthenticated),
        ..Features::default()
    };
    turn.wire.framing.write_features(&features, &mut turn.out.bytes);
}

fn offer(host: &Host, channel: Channel) -> Offer {
    Offer {
        channel,
        passwords: Some(host.passwords.clone()),
        certificate: Vec::new(),
    }
}

fn host_settings<'s>(host: &Address, turn: &Turn<'_, 's>) -> Result<&'s Host, Stop> {
    turn.context
        .settings
        .hosts
        .get(host)
        .ok_or_else(|| StreamCondition::HostUnknown.into())
}

/// The account that the client says it is. A bare domain, which some send, claims nothing.
fn claimed(peer: &PeerHeader) -> Option<Address> {
    let from = peer.from.as_ref()?.as_ref().ok()?;
    from.localpart()?;
    Some(from.to_bare())
}

/// XEP-0478 §3.1
fn limits(limits: &xml::Limits) -> Option<StreamLimits> {
    Some(StreamLimits {
        max_bytes: u32::try_from(limits.stanza_bytes).ok(),
        idle_seconds: None,
    })
}
