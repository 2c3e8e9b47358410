//! A panic in a turn costs the server one account; here it costs the run.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

/// Counts the panics of this thread from now on, whoever catches them.
pub(crate) fn watch() {
    static WATCHING: Once = Once::new();
    WATCHING.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            told(panic);
        }));
    });
    PANICS.set(0);
}

/// # Panics
/// When somebody did, and was caught.
pub(crate) fn check() {
    assert_eq!(PANICS.get(), 0, "a machine panicked in its turn");
}
