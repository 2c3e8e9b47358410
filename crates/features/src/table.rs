//! The table of small features: what is understood where, who may ask, and what everybody else hears.

use stanza::namespace::{DISCO_INFO, DISCO_ITEMS, PING, REGISTER};
use stanza::{Condition, IqType, Kind};

use crate::request::{Asker, Place, Request};
use crate::{
    AccountFacts, Answer, HostFacts, Registration, Reply, disco_info, disco_items, last_activity, ping,
    private, register, time, vcard, version,
};

/// One payload that is understood.
pub struct Feature {
    /// Its namespace, which is also what disco#info lists.
    pub namespace: &'static str,
    /// The name of its element.
    pub element: &'static str,
    /// Where disco#info lists it.
    pub listed: Listed,
    /// What a host does with it.
    pub host: Rules<HostHandle>,
    /// What an account does with it.
    pub account: Rules<AccountHandle>,
}

/// Where disco#info lists a feature.
pub enum Listed {
    /// At each place that answers the asker.
    WhereAnswered,
    /// There, and at every host on behalf of its accounts.
    ByHostToo,
    /// There, and at hosts where anybody may register.
    ByOpenHostToo,
}

/// The rules of one place; where there is none, the place does not know the feature.
pub struct Rules<Handle> {
    /// For questions.
    pub get: Option<Rule<Handle>>,
    /// For changes.
    pub set: Option<Rule<Handle>>,
}

/// Who may ask one thing in one place.
pub struct Rule<Handle> {
    /// Who may ask.
    pub audience: Audience,
    /// What those get.
    pub handle: Handle,
    /// What all others get, and whoever asks where there is no account.
    pub otherwise: Otherwise,
}

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Everybody who has logged in somewhere.
    Anyone,
    /// Who may see the account's presence, its own sessions included.
    Presence,
    /// Sessions of the account, or of one of the host's accounts.
    Own,
    /// Those, and streams before login where the host is open for registration.
    Registrants,
}

/// What those get who may not ask.
#[derive(Clone, Copy)]
pub enum Otherwise {
    /// This error.
    Error(Condition),
    /// This reply, which must not depend on whether there is an account.
    Reply(fn(&Request<'_>) -> Reply),
}

/// Answers in the name of a host.
pub type HostHandle = fn(&Request<'_>, &HostFacts) -> Answer;
/// Answers in the name of an account.
pub type AccountHandle = fn(&Request<'_>, &AccountFacts<'_>) -> Answer;

const UNAVAILABLE: Otherwise = Otherwise::Error(Condition::ServiceUnavailable);
const FORBIDDEN: Otherwise = Otherwise::Error(Condition::Forbidden);

/// All small features.
pub static TABLE: &[Feature] = &[
    // XEP-0030 §3
    Feature {
        namespace: DISCO_INFO,
        element: "query",
        listed: Listed::WhereAnswered,
        host: get(Audience::Anyone, disco_info::of_host, UNAVAILABLE),
        account: get(Audience::Presence, disco_info::of_account, UNAVAILABLE),
    },
    // XEP-0030 §4
    Feature {
        namespace: DISCO_ITEMS,
        element: "query",
        listed: Listed::WhereAnswered,
        host: get(Audience::Anyone, disco_items::of_host, UNAVAILABLE),
        account: get(
            Audience::Presence,
            disco_items::of_account,
            Otherwise::Reply(disco_items::none),
        ),
    },
    // XEP-0199
    Feature {
        namespace: PING,
        element: "ping",
        listed: Listed::WhereAnswered,
        host: get(Audience::Anyone, ping::of_host, UNAVAILABLE),
        account: get(Audience::Presence, ping::of_account, UNAVAILABLE),
    },
    // XEP-0092
    Feature {
        namespace: version::NAMESPACE,
        element: "query",
        listed: Listed::WhereAnswered,
        host: get(Audience::Anyone, version::of_host, UNAVAILABLE),
        account: nothing(),
    },
    // XEP-0202
    Feature {
        namespace: time::NAMESPACE,
        element: "time",
        listed: Listed::WhereAnswered,
        host: get(Audience::Anyone, time::of_host, UNAVAILABLE),
        account: nothing(),
    },
    // XEP-0012
    Feature {
        namespace: last_activity::NAMESPACE,
        element: "query",
        listed: Listed::WhereAnswered,
        host: get(Audience::Anyone, last_activity::of_host, UNAVAILABLE),
        account: get(Audience::Presence, last_activity::of_account, FORBIDDEN),
    },
    // XEP-0054
    Feature {
        namespace: vcard::NAMESPACE,
        element: "vCard",
        listed: Listed::ByHostToo,
        host: nothing(),
        account: both(
            Rule {
                audience: Audience::Anyone,
                handle: vcard::load,
                otherwise: UNAVAILABLE,
            },
            Rule {
                audience: Audience::Own,
                handle: vcard::store,
                otherwise: FORBIDDEN,
            },
        ),
    },
    // XEP-0049
    Feature {
        namespace: private::NAMESPACE,
        element: "query",
        listed: Listed::ByHostToo,
        host: nothing(),
        account: both(
            Rule {
                audience: Audience::Own,
                handle: private::load,
                otherwise: UNAVAILABLE,
            },
            Rule {
                audience: Audience::Own,
                handle: private::store,
                otherwise: UNAVAILABLE,
            },
        ),
    },
    // XEP-0077
    Feature {
        namespace: REGISTER,
        element: "query",
        listed: Listed::ByOpenHostToo,
        host: both(
            Rule {
                audience: Audience::Registrants,
                handle: register::fields_at_host,
                otherwise: Otherwise::Reply(register::refused),
            },
            Rule {
                audience: Audience::Registrants,
                handle: register::submit_at_host,
                otherwise: Otherwise::Reply(register::refused),
            },
        ),
        account: both(
            Rule {
                audience: Audience::Own,
                handle: register::fields_at_account,
                otherwise: UNAVAILABLE,
            },
            Rule {
                audience: Audience::Own,
                handle: register::submit_at_account,
                otherwise: UNAVAILABLE,
            },
        ),
    },
];

const fn nothing<Handle>() -> Rules<Handle> {
    Rules { get: None, set: None }
}

const fn get<Handle: Copy>(audience: Audience, handle: Handle, otherwise: Otherwise) -> Rules<Handle> {
    Rules {
        get: Some(Rule {
            audience,
            handle,
            otherwise,
        }),
        set: None,
    }
}

const fn both<Handle: Copy>(get: Rule<Handle>, set: Rule<Handle>) -> Rules<Handle> {
    Rules {
        get: Some(get),
        set: Some(set),
    }
}

impl<Handle> Rules<Handle> {
    /// The rule for a stanza of this kind.
    pub fn of(&self, kind: Kind) -> Option<&Rule<Handle>> {
        match kind {
            Kind::Iq(IqType::Get) => self.get.as_ref(),
            Kind::Iq(IqType::Set) => self.set.as_ref(),
            Kind::Iq(IqType::Result | IqType::Error) | Kind::Message(_) | Kind::Presence(_) => None,
        }
    }

    /// Whether this place knows the feature.
    pub fn is_known(&self) -> bool {
        self.get.is_some() || self.set.is_some()
    }

    /// Whether the asker may ask anything of it.
    fn is_open_to(&self, request: &Request<'_>) -> bool {
        [&self.get, &self.set]
            .into_iter()
            .flatten()
            .any(|rule| rule.audience.admits(request))
    }
}

impl Audience {
    /// Whether the asker belongs to it. Nobody does where there is no account.
    pub fn admits(self, request: &Request<'_>) -> bool {
        let asker = match request.place {
            Place::Host(_) | Place::Account(_) => request.asker,
            Place::Nobody => return false,
        };
        match self {
            Audience::Anyone => asker != Asker::Unregistered,
            Audience::Presence => matches!(asker, Asker::Contact | Asker::Own),
            Audience::Own => asker == Asker::Own,
            Audience::Registrants => {
                asker == Asker::Own || (asker == Asker::Unregistered && is_open_host(request.place))
            }
        }
    }
}

impl Otherwise {
    /// What the asker gets.
    pub fn reply(self, request: &Request<'_>) -> Reply {
        match self {
            Otherwise::Error(condition) => Err(condition.into()),
            Otherwise::Reply(reply) => reply(request),
        }
    }
}

impl Feature {
    /// Whether disco#info lists it where the question arrived, to the one who asks.
    pub fn is_listed(&self, request: &Request<'_>) -> bool {
        match (request.place, &self.listed) {
            (Place::Host(_), Listed::WhereAnswered) => self.host.is_open_to(request),
            (Place::Host(_), Listed::ByHostToo) => true,
            (Place::Host(_), Listed::ByOpenHostToo) => {
                self.host.is_open_to(request) || is_open_host(request.place)
            }
            (Place::Account(_), _) => self.account.is_open_to(request),
            (Place::Nobody, _) => false,
        }
    }
}

fn is_open_host(place: Place<'_>) -> bool {
    matches!(place, Place::Host(host) if host.registration == Registration::Open)
}
