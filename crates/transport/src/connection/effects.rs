//! Inputs to the session, and what it wants done: the router, the store, the connection itself.

use c2s::{Effect, Input, LoginAttempt};
use features::Setback;
use machine::Moment;
use router::{Router, SessionHandle};
use tokio::sync::oneshot;
use turns::Worker;

use super::round::Round;
use super::socket::Socket;
use super::{Answer, Connection, Dice, Wants};
use crate::addresses::Admission;
use crate::clients::Clients;
use crate::tls::Listener;

impl Connection {
    /// Gives the session one input and performs its effects.
    pub(super) fn input(&mut self, round: &mut Round, input: Input<'_>) {
        self.handle(round, input);
        if !round.output.effects.is_empty() {
            self.perform(round);
        }
        if self.session.owes_acknowledgement() {
            self.handle(round, Input::Performed);
        }
    }

    fn handle(&mut self, round: &mut Round, input: Input<'_>) {
        let mut dice = Dice(self.clients.system());
        let mut context = machine::Context {
            now: round.now,
            wall: round.wall,
            random: &mut dice,
            settings: &round.settings.session,
        };
        self.session.handle(&mut context, input, &mut round.output);
    }

    /// The way that the client came; a label of `xmpp_c2s_connections`.
    pub(super) fn transport(&self) -> &'static str {
        match (&self.socket, self.listener) {
            (Socket::Messages(_), _) => "ws",
            (Socket::Requests(_), _) => "bosh",
            (Socket::Bytes(_) | Socket::None, Listener::DirectTls) => "tls",
            (
                Socket::Bytes(_) | Socket::None,
                Listener::StartTls | Listener::Https | Listener::ServersStartTls | Listener::ServersDirectTls,
            ) => "tcp",
        }
    }

    fn perform(&mut self, round: &mut Round) {
        let transport = self.transport();
        let Connection {
            clients,
            admission,
            handle,
            answer,
            wants,
            ..
        } = self;
        let (router, now) = (clients.router(), round.now);
        router.work(|worker| {
            for effect in round.output.effects.drain(..) {
                match effect {
                    Effect::Route { stanza, receipt } => {
                        if let Some(handle) = &*handle {
                            router.send(handle, stanza, receipt, worker);
                        }
                    }
                    Effect::Released(released) => {
                        if let Some(handle) = &*handle {
                            router.released(handle, released, worker);
                        }
                    }
                    Effect::Bind {
                        account,
                        resource,
                        mailbox,
                    } => *handle = Some(router.bind(&account, resource, mailbox, worker)),
                    Effect::Resumable { id, time } => {
                        if let Some(handle) = &*handle {
                            router.resumable(handle, id, time, worker);
                        }
                    }
                    Effect::Resume {
                        account,
                        id,
                        handled,
                        mailbox,
                    } => *handle = Some(router.resume(&account, &id, handled, mailbox, worker)),
                    Effect::Resumed(mailbox) => {
                        if let Some(handle) = &mut *handle {
                            handle.takes(mailbox);
                        }
                    }
                    Effect::LookUp { account } => *answer = Some(clients.look_up(account)),
                    Effect::CheckPassword {
                        account,
                        password,
                        passwords,
                    } => *answer = Some(clients.check_password(account, password, passwords)),
                    Effect::Register { account, password } => {
                        *answer = Some(if admission.may_register(now) {
                            clients.register(account, password)
                        } else {
                            refused(Setback::TooMany)
                        });
                    }
                    Effect::LoginAttempt(attempt) => note(&attempt, clients, admission, transport, now),
                    Effect::StartTls => *wants = Wants::Tls,
                    Effect::Close(ending) => *wants = Wants::Close(Box::new(ending)),
                }
            }
        });
    }

    pub(super) fn tell_account(&self, tell: fn(&Router, &SessionHandle, &mut Worker)) {
        if let Some(handle) = &self.handle {
            let router = self.clients.router();
            router.work(|worker| tell(router, handle, worker));
        }
    }
}

/// The answer to a registration that is not tried.
fn refused(setback: Setback) -> oneshot::Receiver<Answer> {
    let (tell, answer) = oneshot::channel();
    // It is there as long as the other end.
    let _ = tell.send(Answer::Registered(Err(setback)));
    answer
}

fn note(
    attempt: &LoginAttempt,
    clients: &Clients,
    admission: &mut Admission,
    transport: &'static str,
    now: Moment,
) {
    clients.count_login(attempt);
    match &attempt.result {
        Ok(()) => admission.logged_in(attempt.host.as_str(), transport),
        Err(_) => admission.login_failed(now),
    }
}
