//! The program `balcony`: configuration, wiring, signals, command line, admin socket, metrics.

pub mod config;
