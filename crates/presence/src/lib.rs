//! The presence engine: who holds whose presence, what is stale, who asked to know; pokes, decloaking, attention,
//! capabilities.
//!
//! Pure. Accounts and rooms keep these values and ask them; what is sent passes their own doors.

mod advertised;
mod annotation;
mod attention;
mod budget;
mod capabilities;
mod decloak;
mod held;
mod known;
mod poke;
mod pokes;
mod received;
mod settings;

pub use advertised::Advertised;
pub use annotation::{
    Annotations, Genuine, State, Words, annotation, is_annotated, renews, with_annotation, without_children,
};
pub use attention::{Attention, Judgement};
pub use budget::{Room, make_room};
pub use capabilities::{Answer, Claim, Hash};
pub use decloak::Decloak;
pub use held::{Held, News, Rank};
pub use known::{Capabilities, KnownHash, Lesson};
pub use poke::{Failure, Method, Poke};
pub use pokes::{InFlight, Pokes, Request, Verdict};
pub use received::Received;
pub use settings::{
    DecloakSettings, PokeBlocked, PokeMode, PokeSettings, PsaSettings, RevealUnknown, Settings,
};
