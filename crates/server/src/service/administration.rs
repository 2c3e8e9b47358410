//! The operator's requests, carried out by the running server or, when none runs, on the database itself.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use account::Flags;
use machine::Random;
use router::{AccountView, Done, Router, StoreError, Surroundings};
use s2s::link::StateName;
use stanza::Address;
use tokio::sync::{mpsc, oneshot};
use transport::System;

use super::explanation::explain;
use super::links;
use super::presence;
use super::reload::Reloader;
use super::rooms;
use super::run::Ending;
use super::trace;
use crate::admin::{
    self, AccountDetails, AccountFlag, AccountSetting, Admin, HostStatus, ListenerStatus, Outcome, Refusal,
    RefusalKind, Reply, Request, Status, Traced,
};
use crate::build;
use crate::config::AccountName;
use crate::metrics::Health;

/// The running server.
pub(super) struct Running {
    pub(super) router: Arc<Router>,
    pub(super) system: System,
    pub(super) health: Health,
    pub(super) listeners: Vec<ListenerStatus>,
    pub(super) database: String,
    pub(super) reloader: Arc<Reloader>,
    /// Takes one order; whoever comes second asks a server that stops already.
    pub(super) order: mpsc::Sender<Ending>,
}

/// The database, while no server runs; the lock is held by whoever made this.
pub(super) struct Offline {
    pub(super) router: Arc<Router>,
}

impl Admin for Running {
    fn trace(&self, who: &str) -> Result<mpsc::Receiver<Traced>, Refusal> {
        trace::trace(&self.router, who)
    }

    fn perform(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async move {
            match request {
                Request::Status => self.status().await,
                Request::SessionList { account } => {
                    let sessions = self.sessions(account.as_ref()).await?;
                    Ok(Reply::Sessions { sessions })
                }
                Request::SessionKick { session } => self.kick(&session).await,
                Request::PrivacyExplain { from, to, kind } => explain(&self.router, &from, &to, kind).await,
                Request::PresenceExplain { viewer, contact } => {
                    presence::explain(&self.router, &viewer, &contact).await
                }
                Request::Poke { user, contact } => presence::poke(&self.router, &user, &contact).await,
                Request::Reload => self.reload().await,
                Request::Drain { r#final: is_final } => {
                    let ending = if is_final { Ending::Final } else { Ending::Restart };
                    // When it is full, the server stops already.
                    let _ = self.order.try_send(ending);
                    Ok(Reply::Done)
                }
                Request::AccountShow { account } => {
                    let mut details = details(&self.router, &account).await?;
                    details.sessions = self.sessions(Some(&account)).await?;
                    Ok(Reply::Account(details))
                }
                Request::RoomList => rooms::list(&self.router).await,
                Request::RoomShow { room } => rooms::show(&self.router, &room).await,
                Request::RoomDestroy { room, reason } => rooms::destroy(&self.router, &room, reason).await,
                Request::LinkList { domain } => links::list(&self.router, domain.as_ref()),
                Request::LinkExplain { domain } => links::explain(&self.router, &domain).await,
                Request::LinkConnect { domain } => links::connect(&self.router, &domain),
                Request::LinkDrop { domain } => links::drop_streams(&self.router, &domain),
                Request::AccountAdd { .. }
                | Request::AccountPassword { .. }
                | Request::AccountList { .. }
                | Request::AccountSet { .. }
                | Request::AccountDelete { .. } => accounts(&self.router, request).await,
            }
        })
    }
}

impl Admin for Offline {
    fn trace(&self, _who: &str) -> Result<mpsc::Receiver<Traced>, Refusal> {
        Err(Refusal::new(RefusalKind::Failed, "no server runs", ""))
    }

    fn perform(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async move {
            if let Request::PrivacyExplain { from, to, kind } = request {
                return explain(&self.router, &from, &to, kind).await;
            }
            if let Request::RoomList = request {
                return rooms::list(&self.router).await;
            }
            if let Request::RoomShow { room } = &request {
                return rooms::show(&self.router, room).await;
            }
            if let Request::RoomDestroy { room, reason } = request {
                return rooms::destroy(&self.router, &room, reason).await;
            }
            accounts(&self.router, request).await
        })
    }
}

impl Running {
    /// Sessions of one account, or all, in the order of their addresses.
    async fn sessions(&self, account: Option<&AccountName>) -> Result<Vec<admin::Session>, Refusal> {
        let accounts = match account {
            Some(account) => vec![local(&self.router, account)?],
            None => self.router.addresses_in_memory(),
        };
        let mut views = Vec::new();
        for account in accounts {
            let (tell, told) = oneshot::channel();
            self.router.sessions_of(
                &account,
                Box::new(move |sessions| {
                    // Whoever asked may be gone.
                    let _ = tell.send(sessions);
                }),
            );
            views.extend(told.await.unwrap_or_default());
        }
        views.sort_by(|one, other| one.address.cmp(&other.address));
        let session = |view: account::SessionView| admin::Session {
            address: view.address.to_string(),
            priority: view.priority,
            waiting: view.waiting,
            since: view.since.to_xmpp(),
            paused: view.paused.map(|pause| pause.since.to_xmpp()),
            pause_cause: view.paused.map(|pause| pause.cause.word().to_owned()),
        };
        Ok(views.into_iter().map(session).collect())
    }

    async fn reload(&self) -> Outcome {
        let reloader = Arc::clone(&self.reloader);
        // It reads files.
        match tokio::task::spawn_blocking(move || reloader.reload()).await {
            Ok(Ok(reloaded)) => Ok(Reply::Reloaded(reloaded)),
            Ok(Err(report)) => Err(Refusal::new(
                RefusalKind::Failed,
                format!("nothing was changed: {}", report.message),
                report.advice,
            )),
            Err(_) => Err(Refusal::new(RefusalKind::Failed, "reading the files failed", "")),
        }
    }

    async fn kick(&self, session: &str) -> Outcome {
        let bad = |why: String| Refusal::new(RefusalKind::BadRequest, why, "");
        let address = Address::parse(session).map_err(|error| bad(format!("{session}: {error}")))?;
        let (tell, told) = oneshot::channel();
        self.router.kick(
            &address,
            Box::new(move |count| {
                // Whoever asked may be gone.
                let _ = tell.send(count);
            }),
        );
        match told.await.unwrap_or_default() {
            0 => Err(Refusal::new(
                RefusalKind::NotFound,
                format!("there is no session {session}"),
                "balcony session list shows all of them.",
            )),
            sessions => Ok(Reply::Ended { sessions }),
        }
    }

    async fn status(&self) -> Outcome {
        let accounts = ask(|done| self.router.store().list_accounts(None, done)).await?;
        let sessions = self.router.sessions_by_host();
        let hosts = sessions
            .into_iter()
            .map(|(host, sessions)| HostStatus {
                accounts: accounts
                    .iter()
                    .filter(|account| account.address.domainpart() == host)
                    .count() as u64,
                sessions: sessions.sessions.all() as u64,
                paused: (sessions.sessions.paused_management + sessions.sessions.paused_bosh) as u64,
                host,
            })
            .collect();
        Ok(Reply::Status(Status {
            version: build::VERSION.to_owned(),
            process: std::process::id(),
            uptime_seconds: self.system.now().as_micros() / 1_000_000,
            state: self.health.state(),
            obstacles: self.health.obstacles(),
            listeners: self.listeners.clone(),
            hosts,
            database: self.database.clone(),
            unreachable: unreachable(&self.router),
        }))
    }
}

/// Each domain once, whichever of ours it is that cannot reach it.
fn unreachable(router: &Router) -> Vec<String> {
    let down = router
        .links()
        .into_iter()
        .filter(|link| link.state == StateName::Down);
    let domains: BTreeSet<String> = down.map(|link| link.pair.remote.to_string()).collect();
    domains.into_iter().collect()
}

async fn accounts(router: &Arc<Router>, request: Request) -> Outcome {
    match request {
        Request::AccountAdd { account, password } => {
            let address = local(router, &account)?;
            let password = prepared(&password)?;
            match ask(|done| router.create_account(address, password, done)).await? {
                true => Ok(Reply::Done),
                false => Err(Refusal::new(
                    RefusalKind::Exists,
                    format!("{account} exists already"),
                    format!("To give it another password: balcony account passwd {account}."),
                )),
            }
        }
        Request::AccountPassword { account, password } => {
            let address = local(router, &account)?;
            let password = prepared(&password)?;
            found(
                &account,
                ask(|done| router.change_password(address, password, done)).await?,
            )
        }
        Request::AccountDelete { account } => {
            let address = local(router, &account)?;
            found(&account, ask(|done| router.remove_account(address, done)).await?)
        }
        Request::AccountList { host } => {
            let host = host.map(|host| host.as_str().to_owned());
            let accounts: Vec<AccountView> = ask(|done| router.store().list_accounts(host, done)).await?;
            let name = |view: &AccountView| AccountName::new(view.address.as_str()).ok();
            let accounts = accounts
                .iter()
                .filter_map(name)
                .map(|account| admin::Account { account })
                .collect();
            Ok(Reply::Accounts { accounts })
        }
        Request::AccountShow { account } => Ok(Reply::Account(details(router, &account).await?)),
        Request::AccountSet { account, setting } => {
            let address = local(router, &account)?;
            let mut flags = view(router, &account).await?.flags;
            set(&mut flags, setting);
            found(
                &account,
                ask(|done| router.set_flags(address, flags, done)).await?,
            )
        }
        Request::Status
        | Request::Reload
        | Request::Drain { .. }
        | Request::SessionList { .. }
        | Request::PrivacyExplain { .. }
        | Request::PresenceExplain { .. }
        | Request::Poke { .. }
        | Request::SessionKick { .. }
        | Request::RoomList
        | Request::RoomShow { .. }
        | Request::RoomDestroy { .. }
        | Request::LinkList { .. }
        | Request::LinkExplain { .. }
        | Request::LinkConnect { .. }
        | Request::LinkDrop { .. } => Err(Refusal::new(RefusalKind::Failed, "no server runs", "")),
    }
}

/// What the store has of an account.
pub(super) async fn view(router: &Arc<Router>, account: &AccountName) -> Result<AccountView, Refusal> {
    let address = local(router, account)?;
    let host = address.domainpart().to_owned();
    let accounts = ask(|done| router.store().list_accounts(Some(host), done)).await?;
    let is_meant = |view: &AccountView| view.address == address;
    accounts
        .into_iter()
        .find(is_meant)
        .ok_or_else(|| missing(account))
}

async fn details(router: &Arc<Router>, account: &AccountName) -> Result<AccountDetails, Refusal> {
    let view = view(router, account).await?;
    let flags = AccountFlag::ALL.map(|(_, flag)| AccountSetting {
        flag,
        on: get(view.flags, flag),
    });
    Ok(AccountDetails {
        account: account.clone(),
        flags: flags.to_vec(),
        contacts: view.contacts,
        waiting: view.waiting,
        sessions: Vec::new(),
    })
}

fn get(flags: Flags, flag: AccountFlag) -> bool {
    match flag {
        AccountFlag::Disabled => flags.disabled,
        AccountFlag::Deceased => flags.deceased,
        AccountFlag::NextOfKinNotified => flags.next_of_kin_notified,
        AccountFlag::Poke => !flags.poke_disabled,
        AccountFlag::AttentionFromStrangers => !flags.attention_from_strangers_off,
    }
}

fn set(flags: &mut Flags, AccountSetting { flag, on }: AccountSetting) {
    match flag {
        AccountFlag::Disabled => flags.disabled = on,
        AccountFlag::Deceased => flags.deceased = on,
        AccountFlag::NextOfKinNotified => flags.next_of_kin_notified = on,
        AccountFlag::Poke => flags.poke_disabled = !on,
        AccountFlag::AttentionFromStrangers => flags.attention_from_strangers_off = !on,
    }
}

fn missing(account: &AccountName) -> Refusal {
    Refusal::new(
        RefusalKind::NotFound,
        format!("there is no account {account}"),
        "balcony account list shows all of them.",
    )
}

fn found(account: &AccountName, found: bool) -> Outcome {
    if found {
        Ok(Reply::Done)
    } else {
        Err(missing(account))
    }
}

fn local(router: &Router, account: &AccountName) -> Result<Address, Refusal> {
    let bad = |why: String| Refusal::new(RefusalKind::BadRequest, why, "");
    let address = Address::parse(&account.to_string()).map_err(|error| bad(format!("{account}: {error}")))?;
    if !router.settings().hosts.serves(&address) {
        return Err(bad(format!("{} is no host of this server", address.domainpart())));
    }
    Ok(address)
}

fn prepared(password: &admin::Password) -> Result<sasl::Password, Refusal> {
    sasl::Password::new(password.reveal()).map_err(|error| {
        Refusal::new(
            RefusalKind::BadRequest,
            format!("this password cannot be used: {error}"),
            "",
        )
    })
}

/// Waits for an answer of the store.
pub(super) async fn ask<T: Send + 'static>(
    question: impl FnOnce(Done<Result<T, StoreError>>),
) -> Result<T, Refusal> {
    let (tell, answer) = oneshot::channel();
    question(Box::new(move |outcome| {
        // Whoever asked may be gone.
        let _ = tell.send(outcome);
    }));
    match answer.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Refusal::new(
            RefusalKind::Failed,
            error.to_string(),
            "The log of the server and balcony check say more.",
        )),
        Err(_) => Err(Refusal::new(RefusalKind::Failed, "the server is stopping", "")),
    }
}

/// Random passwords of a development server.
pub(super) fn random_password(system: &System) -> String {
    struct Dice<'a>(&'a System);
    impl Random for Dice<'_> {
        fn fill(&mut self, bytes: &mut [u8]) {
            self.0.fill_random(bytes);
        }
    }
    machine::random_token(&mut Dice(system))
        .chars()
        .take(12)
        .collect()
}
