//! The table, asked by everybody about everything.
