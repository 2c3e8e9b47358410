//! The presence engine: who holds whose presence, what is stale, who asked to know; pokes, decloaking, attention,
//! capabilities.
//!
//! Pure. Accounts and rooms keep these values and ask them; what is sent passes their own doors.

mod attention;
mod decloak;
mod poke;
mod pokes;
mod settings;

pub use attention::{Attention, Judgement};
pub use decloak::Decloak;
pub use poke::{Failure, Method, Poke};
pub use pokes::{Pokes, Request, Verdict};
pub use settings::{DecloakSettings, PokeBlocked, PokeMode, PokeSettings, RevealUnknown, Settings};
