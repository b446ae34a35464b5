//! The house: command line, configuration, wiring, listeners. The binary is `portcullis`.
//!
//! No rule lives here: what is asked is read by `contracts`, what is answered is decided by `decide`.

pub mod admin;
pub mod ask;
mod authority;
mod background;
pub mod cli;
pub mod config;
pub mod decision_log;
pub mod demo;
pub mod house;
mod http_server;
mod listen;
mod metrics;
mod otlp;
pub mod policy_tests;
pub mod recent;
pub mod reload;
mod server_log;
mod stack;
mod tls;
mod traces;
