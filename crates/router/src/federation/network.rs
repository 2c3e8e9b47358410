//! What the router asks of whoever has the sockets: connections to other servers, and words to those that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use machine::Rate;
use s2s::link::StreamId;
use s2s::{
    Admission, Certificates, Errand, Input, Limits, Pair, Policies, Secret, Suspended, Times, Verdict,
    Verification,
};
use stanza::{Address, StreamError};

use super::pulse::Pulse;

/// What the router and the connections read of the configuration about other domains.
#[derive(Debug, Clone)]
pub struct Federation {
    /// For connections between servers.
    pub stream: s2s::Settings,
    /// For links.
    pub link: s2s::link::Settings,
    /// Questions of dialback that wait for other servers at the same time. Those beyond are answered as if nobody could
    /// be reached: each of them costs a connection, and strangers ask for them.
    pub verifications_max: usize,
    /// Connections that other servers make this one open: for dialback, for answers and questions about capabilities, to
    /// look whether a domain is there. `None`: any number.
    pub provoked: Option<Rate>,
}

/// Opens connections to other servers. Neither call answers from inside.
pub trait Network: Send + Sync + 'static {
    /// Reaches a server of the domain `errand.header.remote` and runs a stream with this errand there. Ends in
    /// [`Router::stream_opened`](crate::Router::stream_opened), or in
    /// [`Router::dial_failed`](crate::Router::dial_failed).
    fn dial(&self, errand: Errand);

    /// Resolves the domain and connects to any of its servers, no more. Ends in
    /// [`Router::looked`](crate::Router::looked).
    fn look(&self, pair: Pair);
}

/// The way to one connection between servers.
pub trait StreamOrders: Send + Sync + 'static {
    /// Tells the stream something. It is taken later, in order.
    fn give(&self, order: Order);
}

/// What a stream is told: inputs of [`s2s::Stream`] under the same names.
#[derive(Debug)]
pub enum Order {
    /// The other server shall accept this pair too.
    Authorize(Pair),
    /// The other server shall judge this key too.
    Verify(Verification),
    /// The answer to a question of this stream.
    Verified {
        /// As it was asked.
        verification: Verification,
        /// What came of it.
        verdict: Verdict,
    },
    /// The answer to the wish to resume a stream.
    Resumption(Option<Suspended>),
    /// Another connection resumes this stream.
    Superseded,
    /// Somebody wants to know whether the peer is there.
    Check,
    /// The peer has answered elsewhere what was asked here.
    Answered,
    /// Close the stream in order.
    Close,
    /// End the stream with this error.
    End(StreamError),
}

/// One connection between servers, as its owner holds it.
#[derive(Debug, Clone)]
pub struct StreamHandle {
    pub(crate) id: StreamId,
    pub(crate) pulse: Arc<Pulse>,
}

impl From<Order> for Input<'static> {
    fn from(order: Order) -> Input<'static> {
        match order {
            Order::Authorize(pair) => Input::Authorize(pair),
            Order::Verify(verification) => Input::Verify(verification),
            Order::Verified {
                verification,
                verdict,
            } => Input::Verified {
                verification,
                verdict,
            },
            Order::Resumption(found) => Input::Resumption(found),
            Order::Superseded => Input::Superseded,
            Order::Check => Input::Check,
            Order::Answered => Input::Answered,
            Order::Close => Input::Close,
            Order::End(error) => Input::End(error),
        }
    }
}

impl Federation {
    /// The usual terms for these domains.
    pub fn new(hosts: BTreeSet<Address>, secret: Secret) -> Federation {
        let link = s2s::link::Settings::default();
        let authenticated = xml::Limits::default();
        let unauthenticated = xml::Limits {
            stanza_bytes: 10_000,
            ..authenticated.clone()
        };
        Federation {
            stream: s2s::Settings {
                hosts,
                components: BTreeMap::new(),
                secret,
                certificates: Certificates::Available,
                policies: Policies::default(),
                limits: Limits {
                    unauthenticated,
                    authenticated,
                    unauthenticated_bytes: 64 << 10,
                    pairs: 100,
                    login_attempts: 3,
                    mailbox: link.mailbox,
                    unacknowledged_stanzas: 500,
                },
                times: Times::default(),
            },
            link,
            verifications_max: 1_000,
            provoked: None,
        }
    }

    /// The same with these policies, which links obey too.
    #[must_use]
    pub fn with_policies(mut self, policies: Policies) -> Federation {
        let blocked = policies
            .by_domain
            .iter()
            .filter(|(_, policy)| policy.admission == Admission::Blocked);
        self.link.blocked = blocked.map(|(domain, _)| domain.clone()).collect();
        self.stream.policies = policies;
        self
    }
}

impl std::fmt::Debug for dyn StreamOrders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the way to a stream")
    }
}

impl std::fmt::Debug for dyn Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the network")
    }
}

/// The network, once there is one.
#[derive(Default)]
pub(crate) struct Attached(std::sync::OnceLock<Arc<dyn Network>>);

impl Attached {
    pub(crate) fn attach(&self, network: Arc<dyn Network>) {
        // A server has one network as long as it runs.
        let _ = self.0.set(network);
    }

    pub(crate) fn get(&self) -> Option<&Arc<dyn Network>> {
        self.0.get()
    }
}
