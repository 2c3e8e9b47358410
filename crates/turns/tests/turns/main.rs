//! What turns promise, told with two toy worlds: a *stage*, where each step is written down and compared, and a
//! *village*, where everything happens at random and checkers count.

mod budget;
mod commits;
mod death;
mod delivery;
mod interleavings;
mod life;
mod order;
mod stage;
mod village;
