//! What hosts do themselves with stanzas to their domains, and what they and the services of rooms show of themselves
//! (XEP-0276 §8): they are nobody's presence.

use std::sync::Arc;

use account::Wish;
use features::{Answer, Asker, HostFacts, Place, Request};
use presence::{Advertised, Decloak};
use stanza::{Address, Condition, IqType, Kind, Parcel, PresenceType, Stanza};
use turns::Worker;

use crate::router::{Router, Settings};

impl Router {
    /// RFC 6120 §10.5.1, RFC 6121 §8.3: a stanza to a domain that is served here.
    pub(crate) fn at_host(self: &Arc<Self>, parcel: &Parcel, worker: &mut Worker) {
        let stanza = parcel.stanza();
        match stanza.kind() {
            Kind::Iq(IqType::Get | IqType::Set) => self.host_iq(parcel, worker),
            Kind::Presence(PresenceType::Available) => {
                if let Some(decloak) = wish_to_domain(parcel) {
                    self.show_domain(parcel, decloak, worker);
                }
            }
            // A host has no presence to show, and nobody can subscribe to it.
            Kind::Presence(PresenceType::Subscribe) => {
                let answer = Stanza::build(
                    Kind::Presence(PresenceType::Unsubscribed),
                    parcel.to(),
                    stanza.from().map(Address::to_bare).as_ref(),
                    stanza.id().as_deref(),
                    b"",
                );
                self.route(Parcel::new(answer), None, worker);
            }
            Kind::Iq(IqType::Result | IqType::Error)
            | Kind::Message(_)
            | Kind::Presence(
                PresenceType::Error
                | PresenceType::Probe
                | PresenceType::Subscribed
                | PresenceType::Unavailable
                | PresenceType::Unsubscribe
                | PresenceType::Unsubscribed,
            ) => {}
        }
    }

    fn host_iq(self: &Arc<Self>, parcel: &Parcel, worker: &mut Worker) {
        let settings = self.settings();
        let stanza = parcel.stanza();
        let Some((request, _)) = self.request(&settings, parcel) else {
            self.bounce(parcel, Condition::ServiceUnavailable, None, worker);
            return;
        };
        match features::answer(&request) {
            Answer::Reply(Ok(payload)) => self.route(Parcel::new(stanza.result(&payload)), None, worker),
            Answer::Reply(Err(error)) => self.bounce(parcel, error, None, worker),
            Answer::Act(action) => {
                let router = Arc::clone(self);
                let request = stanza.clone();
                self.act(
                    action,
                    Box::new(move |outcome| {
                        router.work(|worker| match outcome {
                            Ok(()) => router.route(Parcel::new(request.result(b"")), None, worker),
                            Err(setback) => router.bounce(&Parcel::new(request), setback, None, worker),
                        });
                    }),
                );
            }
            // A host keeps nothing for anybody.
            Answer::Load(_) | Answer::Store(_) => {
                self.bounce(parcel, Condition::ServiceUnavailable, None, worker)
            }
        }
    }

    /// Somebody asks a host something; `None` where that is no host, or nobody.
    fn request<'r>(
        &self,
        settings: &'r Settings,
        parcel: &'r Parcel,
    ) -> Option<(Request<'r>, &'r HostFacts)> {
        let stanza = parcel.stanza();
        let to = parcel.to().filter(|to| to.is_bare())?;
        let host = &settings.hosts.get(to.domainpart())?.facts;
        let from = stanza.from()?;
        let is_own = from.localpart().is_some() && from.domainpart() == host.address.as_str();
        let request = Request {
            stanza,
            place: Place::Host(host),
            asker: if is_own { Asker::Own } else { Asker::Stranger },
            facts: &settings.account.facts,
            now: self.surroundings.now(),
            wall: self.surroundings.wall(),
        };
        Some((request, host))
    }

    /// DCL-20: a host or a service shows its capabilities to whoever wishes to see it: to that client only, once, and
    /// without a wish of its own.
    pub(crate) fn show_domain(self: &Arc<Self>, parcel: &Parcel, decloak: Decloak, worker: &mut Worker) {
        let settings = self.settings();
        let shows = settings.account.presence.decloak.services;
        let asker = parcel.from().filter(|from| shows && !from.is_bare());
        let host = self.request(&settings, parcel);
        let info = match host {
            Some((request, host)) => features::about_host(&request, host),
            None => muc::about_service(&settings.muc),
        };
        let (Some(asker), Some(advertised)) = (asker, Advertised::of(&info)) else {
            self.presence_figures.wished(decloak, Wish::Ignored);
            return;
        };
        self.presence_figures.wished(decloak, Wish::Answered);
        let kind = Kind::Presence(PresenceType::Available);
        let answer = Stanza::build(kind, parcel.to(), Some(asker), None, &advertised.child());
        self.route(Parcel::new(answer), None, worker);
    }
}

/// A wish to see the presence of a whole domain (XEP-0276 §5).
pub(crate) fn wish_to_domain(parcel: &Parcel) -> Option<Decloak> {
    let is_meant = parcel.to().is_some_and(Address::is_bare);
    is_meant.then(|| Decloak::of(parcel.stanza())).flatten()
}
