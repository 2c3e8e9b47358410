//! Conversations in memory.
