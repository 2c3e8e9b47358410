//! Inputs of the stream, and what the router hears of their effects.

use std::sync::Arc;

use machine::Moment;
use router::{StreamHandle, StreamOrders, Surroundings};
use s2s::{Close, Effect, Ending, Input, Side, Stage, Verdict};
use tracing::debug;

use super::conversation::Conversation;
use super::round::Round;
use super::{CLOSING_TIME, Peer, Report, Wants};
use crate::connection::Dice;
use crate::servers::Servers;

/// What the router knows of the connection. However its task ends, the router hears of the end.
pub(super) struct Told {
    pub(super) servers: Arc<Servers>,
    pub(super) handle: Option<StreamHandle>,
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            let lost = Close {
                ending: Ending::Lost,
                suspended: None,
                authorize: Vec::new(),
                verify: Vec::new(),
            };
            let router = self.servers.router();
            router.work(|worker| router.stream_effect(&handle, Effect::Close(Box::new(lost)), None, worker));
        }
    }
}

impl Peer {
    /// Gives the stream one input and performs its effects.
    pub(super) fn input(&mut self, round: &mut Round, input: Input<'_>) {
        let mut dice = Dice(self.servers.system());
        let mut context = machine::Context {
            now: round.now,
            wall: round.wall,
            random: &mut dice,
            settings: &round.settings.federation.stream,
        };
        self.stream.handle(&mut context, input, &mut round.output);
        if !round.output.effects.is_empty() {
            self.perform(round);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the router decides about all others"
    )]
    pub(super) fn perform(&mut self, round: &mut Round) {
        let mailbox = self.stream.mailbox().cloned();
        let effects = std::mem::take(&mut round.output.effects);
        let servers = Arc::clone(&self.servers);
        let router = servers.router();
        let mut too_many = Vec::new();
        router.work(|worker| {
            for effect in effects {
                match effect {
                    Effect::Verify(verification) if !self.may_provoke(round.now) => {
                        too_many.push(verification)
                    }
                    Effect::StartTls => self.wants = Wants::Tls,
                    Effect::Close(close) => {
                        self.wants = Wants::Close;
                        self.ending = Some((close.ending.clone(), round.now + CLOSING_TIME));
                        if let Some(handle) = self.told.handle.take() {
                            router.stream_effect(&handle, Effect::Close(close), mailbox.as_ref(), worker);
                        }
                    }
                    effect => {
                        self.note(&effect);
                        let handle = self.open();
                        router.stream_effect(&handle, effect, mailbox.as_ref(), worker);
                    }
                }
            }
        });
        for verification in too_many {
            let verdict = Verdict::Unreachable;
            self.input(
                round,
                Input::Verified {
                    verification,
                    verdict,
                },
            );
        }
        self.tell_attempt(round);
    }

    /// Whether this peer may make us ask one more server whether a key is good (XEP-0220 §2.1.2).
    fn may_provoke(&self, now: Moment) -> bool {
        let allowed = self
            .admission
            .as_ref()
            .is_none_or(|admission| admission.may_provoke(now));
        if !allowed {
            debug!(
                event = "too_many_provoked_connections",
                "an address makes this server ask too many others"
            );
        }
        allowed
    }

    /// What is counted of an effect here.
    pub(super) fn note(&mut self, effect: &Effect) {
        if let Effect::Authenticated { pair, .. } = effect {
            if let Conversation::Component(_) = &self.stream {
                self.servers.component_arrived(&pair.remote, &self.orders);
            }
            if let Some(admission) = &mut self.admission {
                admission.authenticated();
            }
            if let Some(acquaintance) = self.acquaintance.take() {
                acquaintance.made();
            }
        }
    }

    /// Tells the router that this connection exists, if it does not know.
    pub(super) fn open(&mut self) -> StreamHandle {
        if let Some(handle) = &self.told.handle {
            return handle.clone();
        }
        let orders = Arc::clone(&self.orders) as Arc<dyn StreamOrders>;
        let handle = self.servers.router().stream_opened(self.stream.side(), orders);
        self.told.handle = Some(handle.clone());
        handle
    }

    /// Tells what was tried, as soon as it is known what came of it.
    pub(super) fn tell_attempt(&mut self, round: &Round) {
        let is_known = match self.stream.side() {
            Side::Outbound => self.told.handle.is_some(),
            Side::Inbound => self.stream.stage() == Stage::Authenticated || self.ending.is_some(),
        };
        if is_known && let Some(report) = self.report.take() {
            let pair = match &self.names {
                Some(names) => Some(names.clone()),
                None => self.pair(),
            };
            let report = self.finished(report);
            if let Some(attempt) = pair.map(|pair| report.attempt(pair, round.now)) {
                let router = self.servers.router();
                router.work(|worker| router.attempted(attempt, worker));
            }
        }
    }

    /// Whom a connection that came to us was about, as far as is known.
    pub(super) fn pair(&self) -> Option<s2s::Pair> {
        if let Some(pair) = self.stream.first_pair() {
            return Some(pair.clone());
        }
        let record = self.stream.record();
        let domain = |name: &Option<String>| stanza::Address::domain(name.as_deref()?).ok();
        Some(s2s::Pair {
            local: domain(&record.header_to)?,
            remote: domain(&record.header_from)?,
        })
    }

    pub(super) fn finished(&mut self, mut report: Report) -> Report {
        let chain = std::mem::take(&mut self.chain);
        let fault = self.tls_fault.clone();
        report.end_try(
            self.servers.system().now(),
            fault,
            chain,
            self.stream.record().clone(),
        );
        report
    }
}
