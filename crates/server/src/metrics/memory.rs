//! What the allocator says of itself, as `xmpp_memory_bytes{component}`. With the system's allocator there are no rows.

use super::Families;

/// Adds the rows.
pub(super) fn collect(families: &mut Families) {
    let components = components();
    if components.is_empty() {
        return;
    }
    let mut rows = families.gauge(
        "xmpp_memory_bytes",
        "The allocator: in use by the server, in pages with something in use, its own, resident, kept for reuse.",
    );
    for (component, bytes) in components {
        rows.row(&[("component", component)], bytes);
    }
}

#[cfg(all(target_os = "linux", feature = "jemalloc"))]
fn components() -> Vec<(&'static str, usize)> {
    use tikv_jemalloc_ctl::{epoch, stats};

    // The figures are of the last time that somebody wanted new ones.
    if epoch::advance().is_err() {
        return Vec::new();
    }
    [
        ("allocated", stats::allocated::read()),
        ("active", stats::active::read()),
        ("metadata", stats::metadata::read()),
        ("resident", stats::resident::read()),
        ("retained", stats::retained::read()),
    ]
    .into_iter()
    .filter_map(|(component, bytes)| Some((component, bytes.ok()?)))
    .collect()
}

#[cfg(not(all(target_os = "linux", feature = "jemalloc")))]
fn components() -> Vec<(&'static str, usize)> {
    Vec::new()
}
