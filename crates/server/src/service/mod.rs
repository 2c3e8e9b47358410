//! The running server: everything wired together, from the lock on the data directory to the last answer.

mod administration;
mod demo;
mod development;
mod explanation;
mod federation;
mod figures;
mod kept;
mod kept_rooms;
mod links;
mod listeners;
mod notify;
mod peers;
mod presence;
mod presence_figures;
mod reload;
mod restoring;
mod rooms;
mod run;
mod settings;
mod start;
mod trace;

pub use demo::{Show, demo};
pub use development::run_dev;
pub(crate) use federation::resolver_settings;
pub use run::run;
pub use start::{database_url, without_server};
