//! Dialback on an open stream: who asked whom for what, and which answers count (XEP-0220 §2, XEP-0288 §2.2).

use machine::Moment;
use stanza::{Address, StreamCondition};
use stream::DialbackOffer;
use xml::Element;

use super::open::{Open, Role};
use super::outbound::acceptable;
use super::phase::{Stop, Turn, unexpected};
use super::{Effect, Ending, Method, Obstacle, Step};
use crate::dialback::{Content, Key, Verb, Word};
use crate::{Admission, Authentication, DialbackError, Encryption, Pair, Verdict, Verification, Ways};

impl Open {
    /// Asks the peer to accept a pair (step 1).
    pub(crate) fn authorize(&mut self, pair: Pair, turn: &mut Turn<'_, '_>) {
        if let Some(carried) = self.pairs.get(&pair)
            && carried.ways.sends()
        {
            let (ways, method) = (carried.ways, carried.method);
            if self.announced {
                turn.effect(Effect::Authenticated { pair, ways, method });
            }
            return;
        }
        if self.asked.contains_key(&pair) {
            return;
        }
        if let Err(obstacle) = self.may_ask(&pair, turn) {
            self.refused(pair, obstacle, turn);
            return;
        }
        turn.wire.record.step = turn.wire.record.step.max(Step::Authentication);
        let key = turn.settings().secret.key(&pair, &self.id);
        write(Verb::Result, &pair.local, &pair.remote, Content::Key(key), turn);
        let until = turn.context.now + turn.settings().times.dialback;
        self.asked.insert(pair, until);
    }

    /// Asks the peer to judge a key (step 2).
    pub(crate) fn verify(&mut self, verification: Verification, turn: &mut Turn<'_, '_>) {
        let Verification { pair, stream, key } = &verification;
        // XEP-0288 §2.2: whoever showed the key must not be asked about it on the same connection.
        if *stream == self.id || self.verifying.len() >= turn.settings().limits.pairs {
            turn.effect(Effect::VerifyAnswered {
                verification,
                verdict: Verdict::Unreachable,
            });
            return;
        }
        write(
            Verb::Verify(stream.clone()),
            &pair.local,
            &pair.remote,
            Content::Key(key.clone()),
            turn,
        );
        let until = turn.context.now + turn.settings().times.dialback;
        self.verifying.push((verification, until));
    }

    /// Takes what another server says of a key that this peer showed (step 3).
    pub(crate) fn verified(
        &mut self,
        verification: Verification,
        verdict: Verdict,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), Stop> {
        let Verification { pair, stream, .. } = verification;
        if stream != self.id || self.judging.remove(&pair).is_none() {
            return Ok(());
        }
        let content = match verdict {
            Verdict::Valid => {
                self.accept(pair, Method::Dialback, turn);
                return Ok(());
            }
            Verdict::Invalid if self.pairs.is_empty() => {
                // XEP-0220 §2.2.1: there is nothing here that would be lost with the stream.
                write(Verb::Result, &pair.local, &pair.remote, Content::Invalid, turn);
                return Err(Stop::failed(Obstacle::DialbackInvalid));
            }
            Verdict::Invalid => DialbackError::Forbidden,
            Verdict::NotFound => DialbackError::RemoteServerNotFound,
            Verdict::Unreachable => DialbackError::RemoteConnectionFailed,
            Verdict::TimedOut => DialbackError::RemoteServerTimeout,
        };
        self.decline(&pair, content, turn);
        Ok(())
    }

    /// Takes an element of dialback.
    pub(crate) fn dialback(&mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        let word = match Word::read(element) {
            Some(Ok(word)) => word,
            Some(Err(_)) => {
                return Err(Stop::error(
                    StreamCondition::ImproperAddressing,
                    "Dialback needs two domains, and an identifier to verify.",
                ));
            }
            None => return Err(unexpected(element, turn)),
        };
        // What the peer calls `to` is ours, whichever of us asks.
        let pair = Pair {
            local: word.to,
            remote: word.from,
        };
        match (word.verb, word.content) {
            (Verb::Result, Content::Key(key)) => self.result_asked(pair, key, turn),
            (Verb::Verify(stream), Content::Key(key)) => judge(&pair, stream, &key, turn),
            (Verb::Result, answer) => return self.result_answered(pair, answer, turn),
            (Verb::Verify(stream), answer) => return self.verify_answered(&pair, &stream, &answer, turn),
        }
        Ok(())
    }

    /// Whom the peer has not answered in time: it will not any more.
    pub(crate) fn expire(&mut self, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        let now = turn.context.now;
        let late = |until: &Moment| now >= *until;
        let asked: Vec<Pair> = self
            .asked
            .iter()
            .filter(|(_, until)| late(until))
            .map(|(pair, _)| pair.clone())
            .collect();
        for pair in asked {
            self.asked.remove(&pair);
            self.refused(pair, Obstacle::DialbackTimedOut, turn);
        }
        let judging: Vec<Pair> = self
            .judging
            .iter()
            .filter(|(_, until)| late(until))
            .map(|(pair, _)| pair.clone())
            .collect();
        for pair in judging {
            self.judging.remove(&pair);
            self.decline(&pair, DialbackError::RemoteServerTimeout, turn);
        }
        for (verification, _) in self.verifying.extract_if(.., |(_, until)| late(until)) {
            turn.effect(Effect::VerifyAnswered {
                verification,
                verdict: Verdict::TimedOut,
            });
        }
        self.settle(turn)
    }

    /// When the first of these has waited long enough.
    pub(crate) fn next_expiry(&self) -> Option<Moment> {
        let verifying = self.verifying.iter().map(|(_, until)| until);
        self.asked
            .values()
            .chain(self.judging.values())
            .chain(verifying)
            .min()
            .copied()
    }

    /// Whether the peer can be asked to accept this pair on this stream.
    fn may_ask(&self, pair: &Pair, turn: &Turn<'_, '_>) -> Result<(), Obstacle> {
        acceptable(pair, self.tls.as_ref(), turn.settings())?;
        match &self.role {
            Role::Inbound(_) => {
                // XEP-0288 §2.2: to domains that this peer has proven to be.
                let proven = self
                    .pairs
                    .iter()
                    .any(|(known, carried)| known.remote == pair.remote && carried.ways == Ways::Both);
                if !proven {
                    return Err(Obstacle::OneWay);
                }
            }
            Role::Outbound(visit) => {
                if !visit.dialback || self.id.is_empty() {
                    let refused = turn.wire.record.obstacle.clone();
                    return Err(refused.unwrap_or(Obstacle::NoMechanism));
                }
                // XEP-0220 §2.6.2
                let is_other = self.remote.as_ref() != Some(&pair.remote);
                if is_other && visit.offer != Some(DialbackOffer::WithErrors) {
                    return Err(Obstacle::OnePairOnly);
                }
            }
        }
        if self.is_full(turn) {
            return Err(Obstacle::TooManyPairs);
        }
        Ok(())
    }

    fn is_full(&self, turn: &Turn<'_, '_>) -> bool {
        self.pairs.len() + self.asked.len() + self.judging.len() >= turn.settings().limits.pairs
    }

    fn refused(&mut self, pair: Pair, obstacle: Obstacle, turn: &mut Turn<'_, '_>) {
        turn.wire.record.obstacle = Some(obstacle.clone());
        turn.effect(Effect::Refused { pair, obstacle });
    }

    /// The peer asks to be accepted (step 1, seen from the other side).
    fn result_asked(&mut self, pair: Pair, key: Key, turn: &mut Turn<'_, '_>) {
        turn.wire.record.step = turn.wire.record.step.max(Step::Authentication);
        if self
            .pairs
            .get(&pair)
            .is_some_and(|carried| carried.ways.receives())
        {
            write(Verb::Result, &pair.local, &pair.remote, Content::Valid, turn);
            return;
        }
        if self.judging.contains_key(&pair) {
            return;
        }
        if let Err(error) = self.may_accept(&pair, turn) {
            self.decline(&pair, error, turn);
            return;
        }
        if self.is_proven(&pair.remote) {
            // XEP-0344 §2.4: the certificate says what asking back would say.
            self.accept(pair, Method::CertificateByDialback, turn);
            return;
        }
        match turn.settings().policies.of(&pair.remote).authentication {
            Authentication::Certificate => self.decline(&pair, DialbackError::NotAuthorized, turn),
            Authentication::CertificateOrDialback => {
                let until = turn.context.now + turn.settings().times.dialback;
                self.judging.insert(pair.clone(), until);
                turn.effect(Effect::Verify(Verification {
                    pair,
                    stream: self.id.clone(),
                    key,
                }));
            }
        }
    }

    fn may_accept(&self, pair: &Pair, turn: &Turn<'_, '_>) -> Result<(), DialbackError> {
        let settings = turn.settings();
        if !settings.serves(pair.local.as_str()) {
            return Err(DialbackError::ItemNotFound);
        }
        if settings.serves(pair.remote.as_str()) {
            return Err(DialbackError::NotAcceptable);
        }
        let one_way = match self.role {
            Role::Inbound(_) => false,
            Role::Outbound(_) => !self.bidirectional,
        };
        if one_way {
            return Err(DialbackError::NotAcceptable);
        }
        let policy = settings.policies.of(&pair.remote);
        match (policy.admission, policy.encryption, &self.tls) {
            (Admission::Blocked, _, _) | (_, Encryption::Required, None) => {
                Err(DialbackError::PolicyViolation)
            }
            (Admission::Allowed, _, _) if self.is_full(turn) => Err(DialbackError::ResourceConstraint),
            (Admission::Allowed, Encryption::Required | Encryption::Optional, _) => Ok(()),
        }
    }

    fn is_proven(&self, remote: &Address) -> bool {
        self.tls
            .as_ref()
            .is_some_and(|tls| tls.certificate.proves(remote).is_ok())
    }

    /// Tells the peer that stanzas of this pair are taken from it (step 4).
    fn accept(&mut self, pair: Pair, method: Method, turn: &mut Turn<'_, '_>) {
        write(Verb::Result, &pair.local, &pair.remote, Content::Valid, turn);
        let ways = if self.bidirectional { Ways::Both } else { Ways::In };
        self.authenticated(pair, ways, method, turn);
    }

    fn decline(&self, pair: &Pair, error: DialbackError, turn: &mut Turn<'_, '_>) {
        write(
            Verb::Result,
            &pair.local,
            &pair.remote,
            Content::Error(error),
            turn,
        );
    }

    /// The peer answers whether it accepts a pair (step 4). Only what was asked on this very stream is believed
    /// (XEP-0220 §3.1).
    fn result_answered(&mut self, pair: Pair, answer: Content, turn: &mut Turn<'_, '_>) -> Result<(), Stop> {
        if self.asked.remove(&pair).is_none() {
            turn.effect(Effect::Unsolicited(pair));
            return Ok(());
        }
        match answer {
            Content::Valid => {
                let ways = if self.bidirectional { Ways::Both } else { Ways::Out };
                self.authenticated(pair, ways, Method::Dialback, turn);
            }
            Content::Invalid => self.refused(pair, Obstacle::DialbackInvalid, turn),
            Content::Error(error) => self.refused(pair, Obstacle::DialbackRefused(error), turn),
            // Read as a question.
            Content::Key(_) => {}
        }
        self.settle(turn)
    }

    /// The peer answers whether a key was made by it (step 3), likewise.
    fn verify_answered(
        &mut self,
        pair: &Pair,
        stream: &str,
        answer: &Content,
        turn: &mut Turn<'_, '_>,
    ) -> Result<(), Stop> {
        let asked = |(asked, _): &(Verification, Moment)| asked.pair == *pair && asked.stream == stream;
        let Some(place) = self.verifying.iter().position(asked) else {
            turn.effect(Effect::Unsolicited(pair.clone()));
            return Ok(());
        };
        let (verification, _) = self.verifying.remove(place);
        let verdict = match answer {
            Content::Valid => Verdict::Valid,
            Content::Invalid | Content::Key(_) => Verdict::Invalid,
            Content::Error(DialbackError::ItemNotFound) => Verdict::NotFound,
            Content::Error(_) => Verdict::TimedOut,
        };
        turn.effect(Effect::VerifyAnswered {
            verification,
            verdict,
        });
        self.settle(turn)
    }
}

/// Answers whether we made a key (step 3, seen from the other side). Nothing but the secret is asked: no stream of ours.
fn judge(pair: &Pair, stream: String, key: &Key, turn: &mut Turn<'_, '_>) {
    let settings = turn.settings();
    let content = if !settings.serves(pair.local.as_str()) {
        Content::Error(DialbackError::ItemNotFound)
    } else if settings.secret.made(key, pair, &stream) {
        Content::Valid
    } else {
        Content::Invalid
    };
    write(Verb::Verify(stream), &pair.local, &pair.remote, content, turn);
}

fn write(verb: Verb, from: &Address, to: &Address, content: Content, turn: &mut Turn<'_, '_>) {
    let word = Word {
        verb,
        from: from.clone(),
        to: to.clone(),
        content,
    };
    word.write(&mut turn.out.bytes);
}

/// Where the end of a connection leaves the keys that it was to have judged.
impl From<&Ending> for Verdict {
    fn from(ending: &Ending) -> Verdict {
        match ending {
            Ending::PeerError(error) if error.condition == StreamCondition::HostUnknown => Verdict::NotFound,
            Ending::Failed(_) => Verdict::Unreachable,
            Ending::Finished(_)
            | Ending::Lost
            | Ending::Silent
            | Ending::Superseded
            | Ending::Error(_)
            | Ending::PeerError(_) => Verdict::TimedOut,
        }
    }
}
