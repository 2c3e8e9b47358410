//! The program `balcony`: configuration, wiring, signals, command line, admin socket, metrics.

pub mod admin;
pub mod build;
pub mod cli;
pub mod commands;
pub mod config;
pub mod inspection;
pub mod lock;
pub mod logging;
pub mod metrics;
pub mod report;
pub mod service;
pub mod system;
pub mod terminal;
