//! Taking over a changed configuration and new certificates while the server runs.

use std::path::PathBuf;
use std::sync::Arc;

use machine::Moment;
use parking_lot::Mutex;
use router::Router;
use tracing::{error, info, warn};
use transport::tls::{Certificates, Problem, Severity};
use transport::{Clients, Servers};

use super::{federation, settings, start};
use crate::admin::Reloaded;
use crate::config::{Configuration, Loaded};
use crate::logging;
use crate::report::Report;

/// What a reload reads, and whom it tells.
pub(super) struct Reloader {
    /// The file; a development server has none.
    pub(super) file: Option<PathBuf>,
    /// What is in force.
    pub(super) current: Mutex<Configuration>,
    pub(super) router: Arc<Router>,
    pub(super) clients: Arc<Clients>,
    pub(super) servers: Arc<Servers>,
    pub(super) certificates: Arc<Certificates>,
    /// Makes up what unknown accounts answer.
    pub(super) secret: [u8; 32],
    /// What dialback keys are made of.
    pub(super) dialback: [u8; 32],
    pub(super) started: Moment,
}

impl Reloader {
    /// Reads the file and the certificates anew. With a mistake in the file nothing changes.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(super) fn reload(&self) -> Result<Reloaded, Report> {
        let mut current = self.current.lock();
        let mut reloaded = Reloaded::default();
        if let Some(file) = &self.file {
            let Loaded {
                configuration: new,
                warnings,
                ..
            } = Configuration::load(file).map_err(|problems| Report::failed(problems.to_string(), ""))?;
            for warning in warnings.iter() {
                warn!(event = "configuration", key = %warning.key, advice = %warning.advice, "{}", warning.message);
            }
            let live = current.with_live_settings_of(&new);
            let mut for_router = settings::of_router(&live, self.started, self.dialback)?;
            for_router.federation.stream.components = federation::components(&live)?;
            let for_clients = settings::of_clients(&live, self.secret)?;
            let for_servers = federation::of_servers(&live)?;
            let trust = federation::trust(&live)?;
            self.router.replace_settings(for_router);
            self.clients.replace_settings(for_clients);
            self.servers.replace_settings(for_servers);
            self.servers.replace_trust(trust);
            self.servers.check_components();
            logging::replace_level(&live.log);
            reloaded.changed = current.differences(&live);
            reloaded.waiting_for_restart = live.differences(&new);
            *current = live;
        }
        let files = start::certificate_files(&current);
        reloaded.problems = tell(&self.certificates.reload_with(files).problems);
        info!(
            event = "reloaded",
            changed = reloaded.changed.join(", "),
            waiting_for_restart = reloaded.waiting_for_restart.join(", "),
            "configuration and certificates were read anew"
        );
        Ok(reloaded)
    }
}

/// Logs problems with certificates; the errors among them, in words.
pub(super) fn tell(problems: &[Problem]) -> Vec<String> {
    let mut errors = Vec::new();
    for problem in problems {
        let (what, advice) = (problem.what(), problem.advice());
        match problem.severity() {
            Severity::Error => {
                error!(event = "certificate", advice, "{what}");
                errors.push(format!("{what}. {advice}"));
            }
            Severity::Warning => warn!(event = "certificate", advice, "{what}"),
        }
    }
    errors
}

#[cfg(test)]
mod tests;
