//! From a configuration to a server that takes clients, in the order in which things can go wrong.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use router::{Router, Store, Surroundings};
use storage::{Database, Secret};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tracing::{info, warn};
use transport::tls::{CertificateFiles, Certificates, WATCH_INTERVAL};
use transport::{Clients, Listening, Servers, System};

use super::administration::{Offline, Running};
use super::listeners::Listeners;
use super::reload::{self, Reloader};
use super::run::Ending;
use super::{federation, figures, restoring, settings};
use crate::admin::{self, Admin, Reply, Request};
use crate::config::{Configuration, DatabaseUrl, Sync};
use crate::lock::Lock;
use crate::metrics::{self, Health, Registry, State};
use crate::report::Report;
use crate::system;

/// Key derivations at the same time, for each core: more would only make each of them slower.
const SLOW_TASKS_PER_CORE: usize = 1;

/// A server that takes clients.
pub(super) struct Server {
    pub(super) router: Arc<Router>,
    pub(super) clients: Arc<Clients>,
    pub(super) servers: Arc<Servers>,
    pub(super) store: Arc<Database>,
    pub(super) health: Health,
    pub(super) listening: Vec<Listening>,
    pub(super) system: System,
    /// Where the figures are.
    pub(super) metrics: Option<SocketAddr>,
    pub(super) reloader: Arc<Reloader>,
    /// How the operator wants it to stop.
    pub(super) orders: mpsc::Receiver<Ending>,
    /// Where sessions are kept while no server runs.
    pub(super) sessions_file: PathBuf,
    /// Where those who are in rooms are kept meanwhile.
    pub(super) rooms_file: PathBuf,
    /// Held as long as the server runs.
    _lock: Lock,
}

/// Carries out a request on the database while no server runs.
///
/// # Errors
/// When another process has the lock, the database cannot be opened, or the request cannot be carried out.
pub async fn without_server(
    configuration: &Configuration,
    request: Request,
    purpose: &str,
) -> Result<Reply, Report> {
    system::make_data_directory(&configuration.data_dir)?;
    let lock = Lock::acquire(&configuration.lock_file(), purpose)?;
    let store = open(configuration).await?;
    let system = System::start(&Handle::current(), slow_tasks());
    let settings = settings::of_router(configuration, system.now(), store.secret(Secret::Dialback))?;
    let router = Router::new(settings, Arc::clone(&store) as Arc<dyn Store>, Arc::new(system));
    let outcome = Offline { router }.perform(request).await;
    store.close().await;
    drop(lock);
    outcome.map_err(Report::from)
}

/// Starts a server.
///
/// # Errors
/// What keeps it from taking clients, in words for its operator.
pub(super) async fn start(
    configuration: &Configuration,
    file: Option<&Path>,
    runtime: &Handle,
) -> Result<Server, Report> {
    system::make_data_directory(&configuration.data_dir)?;
    let lock = Lock::acquire(&configuration.lock_file(), "run")?;
    raise_open_files(configuration);
    let store = open(configuration).await?;
    let secret = store.secret(Secret::UnknownAccounts);
    let system = System::start(runtime, slow_tasks());
    let certificates = certificates(configuration)?;

    let started = system.now();
    let dialback = store.secret(Secret::Dialback);
    let mut settings = settings::of_router(configuration, started, dialback)?;
    settings.federation.stream.components = federation::components(configuration)?;
    let router = Router::new(
        settings,
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(system.clone()),
    );
    let settings = settings::of_clients(configuration, secret)?;
    let clients = Clients::new(
        settings,
        Arc::clone(&certificates),
        Arc::clone(&router),
        system.clone(),
    );

    let servers = federation::start(configuration, &certificates, &router, &system)?;

    let health = Health::new();
    let registry = Registry::new();
    let sources = figures::Sources {
        router: &router,
        clients: &clients,
        servers: &servers,
        certificates: &certificates,
        store: &store,
        system: &system,
    };
    figures::register(&registry, &sources, configuration);
    metrics::watch_runtime(&registry, runtime);
    let mut listeners = Listeners::default();
    let metrics = listeners.open_for_metrics(configuration, registry, health.clone());
    let metrics = metrics.await?;

    let restored = restoring::restore(configuration, &router);
    listeners.open_for_clients(configuration, &clients)?;
    listeners.open_for_servers(configuration, &servers)?;
    let Listeners { listening, statuses } = listeners;

    let socket = admin::Listener::bind(&configuration.admin_socket())?;
    let reloader = Arc::new(Reloader {
        file: file.map(Path::to_path_buf),
        current: Mutex::new(configuration.clone()),
        router: Arc::clone(&router),
        clients: Arc::clone(&clients),
        servers: Arc::clone(&servers),
        certificates,
        secret,
        dialback,
        started,
    });
    let (order, orders) = mpsc::channel(1);
    let running = Running {
        reloader: Arc::clone(&reloader),
        order,
        router: Arc::clone(&router),
        system: system.clone(),
        health: health.clone(),
        listeners: statuses.clone(),
        database: database_name(configuration),
    };
    tokio::spawn(admin::serve(socket, Arc::new(running), std::future::pending()));

    restored.remove_files()?;
    restored.tell();
    health.set(State::Serving);
    for listener in &statuses {
        info!(event = "listening", setting = %listener.setting, address = %listener.address, "listening");
    }
    info!(
        event = "started",
        version = crate::build::VERSION,
        "the server is ready"
    );
    Ok(Server {
        router,
        clients,
        servers,
        store,
        health,
        listening,
        metrics,
        system,
        reloader,
        orders,
        sessions_file: configuration.sessions_file(),
        rooms_file: configuration.rooms_file(),
        _lock: lock,
    })
}

/// Where the configuration says that the data are.
///
/// # Errors
/// When that makes no sense, or the password cannot be read.
pub fn database_url(configuration: &Configuration) -> Result<storage::Url, Report> {
    match configuration.database() {
        DatabaseUrl::Sqlite(path) => Ok(storage::Url::Sqlite(path)),
        DatabaseUrl::Postgres(text) => {
            let url: storage::Url = text.parse().map_err(|error: storage::BadUrl| {
                Report::failed(
                    error.to_string(),
                    "Set storage.url as docs/configuration.md says.",
                )
            })?;
            match configuration.storage.password_file.as_deref() {
                Some(file) => Ok(url.with_password(&read_secret(file)?)),
                None => Ok(url),
            }
        }
    }
}

async fn open(configuration: &Configuration) -> Result<Arc<Database>, Report> {
    let url = database_url(configuration)?;
    let durability = match configuration.storage.sync {
        Sync::Full => storage::Durability::Full,
        Sync::Normal => storage::Durability::Normal,
    };
    let settings = storage::Settings {
        durability,
        ..storage::Settings::new(url)
    };
    let database = Database::open(settings)
        .await
        .map_err(|error| Report::failed(error.to_string(), "balcony check looks closer."))?;
    Ok(Arc::new(database))
}

/// The one line of a file that holds a secret.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read_secret(path: &std::path::Path) -> Result<String, Report> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Report::failed(
            format!("cannot read the secret in {}: {error}", path.display()),
            "The server must be able to read the file.",
        )
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn database_name(configuration: &Configuration) -> String {
    match configuration.database() {
        DatabaseUrl::Sqlite(path) => format!("SQLite, {}", path.display()),
        DatabaseUrl::Postgres(_) => "PostgreSQL".to_owned(),
    }
}

fn slow_tasks() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get()) * SLOW_TASKS_PER_CORE
}

fn raise_open_files(configuration: &Configuration) {
    match system::raise_open_files() {
        Ok(allowed) => {
            if let Some(advice) = system::too_few_open_files(allowed, configuration.limits.connections) {
                warn!(event = "open_files", "{advice}");
            }
        }
        Err(error) => warn!(event = "open_files", %error, "the limit of open files is not known"),
    }
}

/// Loads the certificates; the server starts if each host that needs one has one.
fn certificates(configuration: &Configuration) -> Result<Arc<Certificates>, Report> {
    let files = certificate_files(configuration);
    let has_files = !files.is_empty();
    let (certificates, problems) = Certificates::load(files);
    let some_serves = configuration
        .hosts
        .keys()
        .any(|name| certificates.best_for(name.as_str()).is_some());
    reload::tell(&problems);
    if has_files && !some_serves {
        let first = problems
            .first()
            .map(|problem| (problem.what(), problem.advice()))
            .unwrap_or_default();
        return Err(Report::failed(first.0, first.1));
    }
    tokio::spawn(Arc::clone(&certificates).watch(WATCH_INTERVAL));
    Ok(certificates)
}

/// The certificates that the configuration names.
pub(super) fn certificate_files(configuration: &Configuration) -> Vec<CertificateFiles> {
    configuration
        .hosts
        .iter()
        .filter_map(|(name, host)| {
            let (chain, key) = (host.certificate.clone()?, host.key.clone()?);
            let required_names = vec![name.as_str().to_owned()];
            Some(CertificateFiles {
                host: name.as_str().to_owned(),
                chain,
                key,
                required_names,
            })
        })
        .collect()
}
