//! STARTTLS where it must come first, SASL (RFC 6120 §5, §6), and registration beside it (XEP-0077).

use features::Setback;
use sasl::{Exchange, Lookup, Mechanism, Nonce, Offer, SaslError, Step, Verdict};
use stanza::{Address, Stanza, StreamCondition};
use stream::{IncorrectEncoding, Sasl, StartTls, StartTlsOffer};
use xml::Element;

use crate::phase::{Ground, Phase, Stop, Turn};
use crate::registration::{self, Outcome};
use crate::{Effect, LoginAttempt};

/// A stream on which TLS must come first: there is no offer here that a login could be made from.
pub(crate) struct Insecure {
    host: Address,
    failures: usize,
}

impl Insecure {
    pub(crate) fn new(host: Address) -> Insecure {
        Insecure { host, failures: 0 }
    }

    /// The host that the header named.
    pub(crate) fn host(&self) -> &Address {
        &self.host
    }

    pub(crate) fn element(mut self, element: &Element, turn: &mut Turn<'_, '_>) -> Result<Phase, Stop> {
        if StartTls::read(element) == Some(StartTls::Request) {
            return turn.start_tls(self.host);
        }
        if Sasl::read(element).is_some() {
            // RFC 6120 §6.5.4
            let error = SaslError::EncryptionRequired;
            self.failures += 1;
            fail(&self.host, None, None, error, self.failures, turn)?;
        } else {
            turn.premature(element)?;
        }
        Ok(Phase::Insecure(self))
    }
}

/// A stream on which the client may log in.
pub(crate) struct Login {
    host: Address,
    offer: Offer,
    /// The account that the client claimed to be under the protection of TLS.
    claimed: Option<Address>,
    starttls: Option<StartTlsOffer>,
    failures: usize,
    progress: Progress,
}

/// How far an exchange is.
enum Progress {
    /// There is none.
    Idle,
    /// It waits for the client.
    AwaitClient(Attempt),
    /// It waits for what the store knows of the account; what the client sends meanwhile is kept.
    AwaitCredentials(Attempt),
    /// It waits until the password is checked, likewise.
    AwaitVerdict(Attempt),
    /// An account is being made, as this request wants; likewise.
    AwaitAccount(Stanza),
}

struct Attempt {
    mechanism: Mechanism,
    account: Option<Address>,
    exchange: Exchange,
}

impl Login {
    pub(crate) fn new(
        host: Address,
        offer: Offer,
        claimed: Option<Address>,
        starttls: Option<StartTlsOffer>,
    ) -> Login {
        Login {
            host,
            offer,
            claimed,
            starttls,
            failures: 0,
            progress: Progress::Idle,
        }
    }

    /// The host that the header named.
    pub(crate) fn host(&self) -> &Address {
        &self.host
    }

    /// Whether an answer from the store is awaited.
    pub(crate) fn awaits_answer(&self) -> bool {
        match self.progress {
            Progress::Idle | Progress::AwaitClient(_) => false,
            Progress::AwaitCredentials(_) | Progress::AwaitVerdict(_) | Progress::AwaitAccount(_) => true,
        }
    }

    pub(crate) fn element(
        self: Box<Self>,
        element: &Element,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Phase, Stop> {
        if StartTls::read(element) == Some(StartTls::Request) && self.starttls.is_some() {
            return turn.start_tls(self.host);
        }
        if let Some(word) = Sasl::read(element) {
            return self.sasl(word, turn);
        }
        match registration::request(element, &self.host) {
            Some(request) if matches!(self.progress, Progress::Idle) => Ok(self.register(request, turn)),
            Some(_) | None => {
                turn.premature(element)?;
                Ok(Phase::Login(self))
            }
        }
    }

    fn register(mut self: Box<Self>, request: Stanza, turn: &mut Turn<'_, '_>) -> Phase {
        match registration::take(&request, &self.host, turn) {
            Outcome::Answered => {}
            Outcome::Asked => self.progress = Progress::AwaitAccount(request),
        }
        Phase::Login(self)
    }

    /// Takes the answer to [`Effect::Register`].
    pub(crate) fn registered(
        mut self: Box<Self>,
        outcome: Result<(), Setback>,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Phase, Stop> {
        let request = match self.progress {
            Progress::AwaitAccount(request) => request,
            Progress::Idle
            | Progress::AwaitClient(_)
            | Progress::AwaitCredentials(_)
            | Progress::AwaitVerdict(_) => return Ok(Phase::Login(self)),
        };
        self.progress = Progress::Idle;
        match outcome {
            Ok(()) => turn.say(request.result(b"")),
            Err(setback) => {
                registration::refuse(&request, setback, turn);
                // Whoever tries name after name looks for accounts, as by guessing at logins.
                self.failures += 1;
                check_failures(self.failures, turn)?;
            }
        }
        Ok(Phase::Login(self))
    }

    /// Takes the answer to [`Effect::LookUp`].
    pub(crate) fn credentials(
        mut self: Box<Self>,
        lookup: &Lookup,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Phase, Stop> {
        let mut attempt = match self.progress {
            Progress::AwaitCredentials(attempt) => attempt,
            Progress::Idle
            | Progress::AwaitClient(_)
            | Progress::AwaitVerdict(_)
            | Progress::AwaitAccount(_) => return Ok(Phase::Login(self)),
        };
        self.progress = Progress::Idle;
        let step = match turn.context.settings.hosts.get(&self.host) {
            Some(host) => attempt.exchange.credentials(lookup, &host.unknown_accounts),
            // The host has gone from the configuration meanwhile.
            None => Step::Failure(SaslError::Unavailable),
        };
        self.step(attempt, step, turn)
    }

    /// Takes the answer to [`Effect::CheckPassword`].
    pub(crate) fn password_checked(
        mut self: Box<Self>,
        verdict: Verdict,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Phase, Stop> {
        let mut attempt = match self.progress {
            Progress::AwaitVerdict(attempt) => attempt,
            Progress::Idle
            | Progress::AwaitClient(_)
            | Progress::AwaitCredentials(_)
            | Progress::AwaitAccount(_) => return Ok(Phase::Login(self)),
        };
        self.progress = Progress::Idle;
        let step = attempt.exchange.password_checked(verdict);
        self.step(attempt, step, turn)
    }

    fn sasl(
        mut self: Box<Self>,
        word: Result<Sasl, IncorrectEncoding>,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Phase, Stop> {
        let attempt = match std::mem::replace(&mut self.progress, Progress::Idle) {
            Progress::Idle | Progress::AwaitAccount(_) => None,
            Progress::AwaitClient(attempt)
            | Progress::AwaitCredentials(attempt)
            | Progress::AwaitVerdict(attempt) => Some(attempt),
        };
        match (word, attempt) {
            (Ok(Sasl::Auth { mechanism, initial }), attempt) => {
                if attempt.is_some() {
                    // RFC 6120 §6.4.2: the handshake before is discarded. It counts, or a client could go on for ever.
                    self.failures += 1;
                    check_failures(self.failures, turn)?;
                }
                self.begin(&mechanism, initial.as_deref(), turn)
            }
            (Ok(Sasl::Response(message)), Some(mut attempt)) => {
                let step = attempt.exchange.response(&message);
                self.step(attempt, step, turn)
            }
            // RFC 6120 §6.5.8: nobody asked.
            (Ok(Sasl::Response(_)), None) => self.failed(None, SaslError::OutOfOrder, turn),
            (Ok(Sasl::Abort), attempt) => self.failed(attempt, SaslError::Aborted, turn),
            (Err(IncorrectEncoding), attempt) => self.failed(attempt, SaslError::IncorrectEncoding, turn),
            // These are ours to say.
            (Ok(Sasl::Challenge(_) | Sasl::Success(_) | Sasl::Failure { .. }), attempt) => {
                self.failed(attempt, SaslError::OutOfOrder, turn)
            }
        }
    }

    fn begin(
        self: Box<Self>,
        mechanism: &str,
        initial: Option<&[u8]>,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Phase, Stop> {
        let mechanism = match Mechanism::parse(mechanism) {
            Ok(mechanism) => mechanism,
            Err(error) => return self.failed(None, error, turn),
        };
        let mut octets = [0; 24];
        turn.context.random.fill(&mut octets);
        let nonce = Nonce::from_random(octets);
        let (exchange, step) = Exchange::start(mechanism, initial, &self.offer, &self.host, nonce);
        self.step(
            Attempt {
                mechanism,
                account: None,
                exchange,
            },
            step,
            turn,
        )
    }

    fn step(
        mut self: Box<Self>,
        mut attempt: Attempt,
        step: Step,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Phase, Stop> {
        match step {
            Step::Challenge(message) => {
                Sasl::Challenge(message).write(&mut turn.out.bytes);
                self.progress = Progress::AwaitClient(attempt);
            }
            Step::NeedCredentials { account } => {
                attempt.account = Some(account.clone());
                turn.effect(Effect::LookUp { account });
                self.progress = Progress::AwaitCredentials(attempt);
            }
            Step::NeedPasswordCheck { account, password } => {
                let Some(passwords) = self.offer.passwords.clone() else {
                    return self.failed(Some(attempt), SaslError::InvalidMechanism, turn);
                };
                attempt.account = Some(account.clone());
                turn.effect(Effect::CheckPassword {
                    account,
                    password,
                    passwords,
                });
                self.progress = Progress::AwaitVerdict(attempt);
            }
            Step::Success {
                identity,
                additional_data,
            } => {
                return self.succeeded(&attempt, identity, additional_data, turn);
            }
            Step::Failure(error) => return self.failed(Some(attempt), error, turn),
        }
        Ok(Phase::Login(self))
    }

    fn succeeded(
        self: Box<Self>,
        attempt: &Attempt,
        account: Address,
        additional_data: Option<Vec<u8>>,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Phase, Stop> {
        // RFC 6120 §6.4.6
        if self.claimed.is_some_and(|claimed| claimed != account) {
            return Err(Stop::error(
                StreamCondition::InvalidFrom,
                "The stream was opened in another name.",
            ));
        }
        Sasl::Success(additional_data).write(&mut turn.out.bytes);
        turn.effect(Effect::LoginAttempt(LoginAttempt {
            host: self.host,
            account: Some(account.clone()),
            mechanism: Some(attempt.mechanism),
            result: Ok(()),
        }));
        turn.wire.framer.restart();
        turn.wire
            .framer
            .set_limits(turn.context.settings.limits.authenticated.clone());
        turn.wire.allowance = None;
        Ok(Phase::Header(Ground::Account(account)))
    }

    fn failed(
        mut self: Box<Self>,
        attempt: Option<Attempt>,
        error: SaslError,
        turn: &mut Turn<'_, '_>,
    ) -> Result<Phase, Stop> {
        self.failures += 1;
        let (account, mechanism) = match attempt {
            Some(attempt) => (attempt.account, Some(attempt.mechanism)),
            None => (None, None),
        };
        fail(&self.host, account, mechanism, error, self.failures, turn)?;
        Ok(Phase::Login(self))
    }
}

/// Tells the client, and the world; ends the stream after too many (RFC 6120 §6.4.5).
fn fail(
    host: &Address,
    account: Option<Address>,
    mechanism: Option<Mechanism>,
    error: SaslError,
    failures: usize,
    turn: &mut Turn<'_, '_>,
) -> Result<(), Stop> {
    let condition = error.condition().name();
    Sasl::Failure {
        condition: condition.into(),
        text: None,
    }
    .write(&mut turn.out.bytes);
    turn.effect(Effect::LoginAttempt(LoginAttempt {
        host: host.clone(),
        account,
        mechanism,
        result: Err(error),
    }));
    check_failures(failures, turn)
}

/// RFC 6120 §6.4.5: after too many, the stream ends.
fn check_failures(failures: usize, turn: &Turn<'_, '_>) -> Result<(), Stop> {
    if failures >= turn.context.settings.limits.login_attempts {
        return Err(Stop::error(
            StreamCondition::PolicyViolation,
            "Too many failed attempts.",
        ));
    }
    Ok(())
}
