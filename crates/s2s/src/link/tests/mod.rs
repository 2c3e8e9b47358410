//! Links with a hand-wound clock: the table of clauses.md §4.6, fates, watchers, and everything at once at random.

mod fates;
mod hostile;
mod properties;
mod states;
mod watching;
mod world;
