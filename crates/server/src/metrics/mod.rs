//! Figures for Prometheus, and health for load balancers.
//!
//! Nothing is counted here. Each part of the server counts for itself, cheaply (per worker, without sharing), and
//! registers a closure that is asked at each scrape: so that counting costs nothing on the way of a stanza.

mod families;
mod health;
mod listener;
mod memory;
mod process;
mod runtime;

pub use families::{Families, Rows, Value};
pub use health::{Health, State};
pub use listener::{Listener, serve};
pub use runtime::watch as watch_runtime;

use std::sync::{Arc, RwLock};

type Source = Box<dyn Fn(&mut Families) + Send + Sync>;

/// Everybody who has something to tell at a scrape.
#[derive(Clone, Default)]
pub struct Registry {
    sources: Arc<RwLock<Vec<Source>>>,
}

impl Registry {
    /// A registry that tells about the process and what it was built from.
    pub fn new() -> Registry {
        let registry = Registry::default();
        registry.register(process::collect);
        registry.register(memory::collect);
        registry.register(build);
        registry
    }

    /// Asks `source` at every scrape from now on. It must not wait for anything.
    pub fn register(&self, source: impl Fn(&mut Families) + Send + Sync + 'static) {
        self.sources
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(Box::new(source));
    }

    /// All figures, in the text format of Prometheus (version 0.0.4).
    pub fn scrape(&self) -> String {
        let mut families = Families::default();
        for source in self
            .sources
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .iter()
        {
            source(&mut families);
        }
        families.write()
    }
}

fn build(families: &mut Families) {
    let labels = [
        ("version", crate::build::VERSION),
        ("rustc", crate::build::RUSTC),
        ("commit", crate::build::COMMIT),
    ];
    families
        .gauge("xmpp_build_info", "What this server was built from.")
        .row(&labels, 1_u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_source_is_asked_at_every_scrape() {
        let registry = Registry::new();
        let asked = std::sync::atomic::AtomicU64::new(0);
        registry.register(move |families| {
            let count = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            families.counter("xmpp_test_total", "Scrapes.").row(&[], count);
        });
        assert!(registry.scrape().contains("\nxmpp_test_total 0\n"));
        assert!(registry.clone().scrape().contains("\nxmpp_test_total 1\n"));
    }

    #[test]
    fn the_build_is_told() {
        let told = Registry::new().scrape();
        let version = concat!(
            "xmpp_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\",rustc=\"rustc 1."
        );
        assert!(told.contains(version), "{told}");
    }
}
