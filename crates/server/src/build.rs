//! What this program was built from.

/// The version of the release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit, or `development`.
pub const COMMIT: &str = env!("BALCONY_COMMIT");
/// The compiler.
pub const RUSTC: &str = env!("BALCONY_RUSTC");
