//! Tests: occupants out of reach (clauses §4.7), with a clock that is wound by hand.

mod links;
mod missed;
mod sessions;
mod stage;
