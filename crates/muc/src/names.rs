//! Namespaces that only rooms name.

/// What administrators ask and tell (XEP-0045 §8, §9).
pub(crate) const ADMIN: &str = "http://jabber.org/protocol/muc#admin";
/// What owners ask and tell (XEP-0045 §10).
pub(crate) const OWNER: &str = "http://jabber.org/protocol/muc#owner";
/// The configuration form (XEP-0045 §16.5.3).
pub(crate) const ROOM_CONFIG: &str = "http://jabber.org/protocol/muc#roomconfig";
/// What disco tells of a room (XEP-0045 §16.5.4).
pub(crate) const ROOM_INFO: &str = "http://jabber.org/protocol/muc#roominfo";
/// Registration with a room (XEP-0045 §16.5.1).
pub(crate) const REGISTRATION: &str = "http://jabber.org/protocol/muc#register";
/// The request for voice (XEP-0045 §16.5.2).
pub(crate) const REQUEST: &str = "http://jabber.org/protocol/muc#request";
/// The id of a message is kept (XEP-0045 §7.4).
pub(crate) const STABLE_ID: &str = "http://jabber.org/protocol/muc#stable_id";
/// A room answers pings of an occupant to itself (XEP-0410 §3.3).
pub(crate) const SELF_PING: &str = "http://jabber.org/protocol/muc#self-ping-optimization";
/// A name for a room that nobody has (XEP-0045 §10.1.4 and XEP-0307).
pub(crate) const UNIQUE: &str = "http://jabber.org/protocol/muc#unique";
/// The own nick that is reserved (XEP-0045 §7.12).
pub(crate) const NICK_NODE: &str = "x-roomuser-item";
/// Which extensions a room lets pass (XEP-0045 §18.1.1).
pub(crate) const TRAFFIC_NODE: &str = "http://jabber.org/protocol/muc#traffic";
/// Occupant identifiers (XEP-0421).
pub(crate) const OCCUPANT_ID: &str = "urn:xmpp:occupant-id:0";
/// When something was said, as it was written before XEP-0203 (XEP-0091).
pub(crate) const LEGACY_DELAY: &str = "jabber:x:delay";
/// Further addresses, among them of who said something (XEP-0033).
pub(crate) const ADDRESSES: &str = "http://jabber.org/protocol/address";
/// Lists in pages (XEP-0059).
pub(crate) const RSM: &str = "http://jabber.org/protocol/rsm";
/// Stanza identifiers (XEP-0359).
pub(crate) const STANZA_ID: &str = "urn:xmpp:sid:0";
/// Data forms (XEP-0004).
pub(crate) const FORMS: &str = "jabber:x:data";
/// Direct invitations, and the legacy part of mediated ones (XEP-0249).
pub(crate) const CONFERENCE: &str = "jabber:x:conference";
/// Visiting cards, and with them the pictures of rooms (XEP-0054).
pub(crate) const VCARD: &str = "vcard-temp";
