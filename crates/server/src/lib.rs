//! The program `balcony`: configuration, wiring, signals, command line, admin socket, metrics.

pub mod build;
pub mod config;
pub mod lock;
pub mod logging;
pub mod metrics;
pub mod report;
pub mod system;
