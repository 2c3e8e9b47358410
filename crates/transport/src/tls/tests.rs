//! Handshakes with real clients.
