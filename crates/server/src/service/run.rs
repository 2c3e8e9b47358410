//! `balcony run`: the life of the server.

use std::path::Path;
use std::time::Duration;

use muc::AdminRequest;
use sd_notify::NotifyState;
use stanza::{StreamCondition, StreamError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::start::{Server, start};
use super::{kept, kept_rooms, notify};
use crate::config::{Configuration, Loaded};
use crate::logging;
use crate::metrics::State;
use crate::report::{Exit, Report};

/// Sessions are told that the server stops, and the store finishes, within this time.
const STOPPING_TIME: Duration = Duration::from_secs(8);

/// How long rooms may take to get back what did not go out. It takes a moment: nothing is waited for but turns.
const GIVING_BACK_TIME: Duration = Duration::from_secs(1);

/// Runs the server of this configuration until it is told to stop.
///
/// # Errors
/// What keeps it from starting.
pub fn run(file: &Path) -> Result<Exit, Report> {
    let Loaded {
        configuration,
        warnings,
        ..
    } = Configuration::load(file).map_err(|problems| Report::failed(problems.to_string(), ""))?;
    let filter = std::env::var("BALCONY_LOG").ok();
    logging::start(&configuration.log, filter.as_deref())?;
    for warning in warnings.iter() {
        warn!(event = "configuration", key = %warning.key, advice = %warning.advice, "{}", warning.message);
    }
    serve(&configuration, Some(file), |_| {})
}

/// Runs a server until it is told to stop. `ready` is called once it takes clients.
pub(super) fn serve(
    configuration: &Configuration,
    file: Option<&Path>,
    ready: impl FnOnce(&Server),
) -> Result<Exit, Report> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().thread_name("balcony");
    if configuration.runtime.workers > 0 {
        runtime.worker_threads(configuration.runtime.workers);
    }
    let runtime = runtime
        .build()
        .map_err(|error| Report::failed(format!("cannot start threads: {error}"), ""))?;
    // The server's main task runs on a worker like all others.
    let handle = runtime.handle().clone();
    let outcome = runtime.block_on(async {
        let mut server = start(configuration, file, &handle).await?;
        notify::tell(NotifyState::Ready).await;
        notify::watch();
        ready(&server);
        let ending = wait_for_the_end(&mut server).await?;
        notify::tell(NotifyState::Stopping).await;
        stop(server, ending).await;
        Ok(Exit::Fine)
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn wait_for_the_end(server: &mut Server) -> Result<Ending, Report> {
    let cannot = |error| Report::failed(format!("cannot listen to signals: {error}"), "");
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(cannot)?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(Ending::Restart),
            _ = interrupt.recv() => return Ok(Ending::Restart),
            Some(ending) = server.orders.recv() => return Ok(ending),
            _ = hang_up.recv() => {
                if let Err(report) = server.reloader.reload() {
                    error!(event = "configuration", "{report}");
                }
            }
        }
    }
}

/// How the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It will start again soon: what can be kept is kept.
    Restart,
    /// Everything ends.
    Final,
}

/// No new connections; every stream is told; what is not delivered is kept; then the store is closed.
pub(super) async fn stop(server: Server, ending: Ending) {
    info!(
        event = "stopping",
        is_final = ending == Ending::Final,
        "the server stops"
    );
    server.health.set(State::Draining);
    for listening in &server.listening {
        listening.stop();
    }
    server.clients.stop();
    match ending {
        Ending::Restart => server.router.suspend_all(),
        Ending::Final => {
            server.router.close_rooms();
            server
                .router
                .end_all(&StreamError::new(StreamCondition::SystemShutdown));
        }
    }
    // Links between servers do not outlive a restart: the others come back by themselves.
    server
        .servers
        .stop(&StreamError::new(StreamCondition::SystemShutdown));
    let finished = async {
        while server.clients.connections().0 > 0 || server.servers.live() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(STOPPING_TIME, finished).await.is_err() {
        warn!(
            event = "stopping",
            "some clients or servers did not take their goodbye in time"
        );
    }
    if ending == Ending::Restart {
        give_back(&server).await;
        keep(&server).await;
    }
    server.store.close().await;
    info!(event = "stopped", "the server has stopped");
}

/// What rooms have sent to other servers, and what did not get there, is theirs to keep.
async fn give_back(server: &Server) {
    let given_back = async {
        while server.router.give_back_to_rooms() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(GIVING_BACK_TIME, given_back).await.is_err() {
        warn!(
            event = "stopping",
            "messages of rooms to other servers were not given back in time"
        );
    }
}

/// Writes down the sessions that clients can go on with when the server is back.
async fn keep(server: &Server) {
    let (mut sessions, mut rooms) = (Vec::new(), Vec::new());
    let collected = async {
        // First, so that what they have sent is in the mailboxes.
        for room in server.router.rooms_in_memory() {
            let (tell, told) = oneshot::channel();
            let answer = move |kept| {
                // Nobody waits any more when it took too long.
                let _ = tell.send(kept);
            };
            server
                .router
                .ask_room(&room, AdminRequest::Keep(Box::new(answer)));
            rooms.extend(told.await.ok().flatten());
        }
        // What is on its way at the first time is there at the second.
        for _ in 0..2 {
            for account in server.router.addresses_in_memory() {
                let (tell, told) = oneshot::channel();
                let answer = move || {
                    // Nobody waits any more when it took too long.
                    let _ = tell.send(());
                };
                server.router.settle(&account, Box::new(answer));
                // An account that is lost has nothing to settle.
                let _ = told.await;
            }
        }
        for account in server.router.addresses_in_memory() {
            let (tell, told) = oneshot::channel();
            let answer = move |kept| {
                // Nobody waits any more when it took too long.
                let _ = tell.send(kept);
            };
            server.router.keep(&account, Box::new(answer));
            sessions.extend(told.await.unwrap_or_default());
        }
    };
    if tokio::time::timeout(STOPPING_TIME, collected).await.is_err() {
        warn!(event = "stopping", "the store is too slow to keep all sessions");
    }
    if let Err(error) = kept_rooms::write(&server.rooms_file, &rooms) {
        error!(event = "rooms_kept", %error, "who is in rooms could not be kept");
    }
    match kept::write(&server.sessions_file, &sessions) {
        Ok(()) => info!(
            event = "sessions_kept",
            sessions = sessions.len(),
            "sessions wait for their clients"
        ),
        Err(error) => error!(event = "sessions_kept", %error, "the sessions could not be kept"),
    }
}
