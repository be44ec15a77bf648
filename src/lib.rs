//! Kiba: an in-memory, multithreaded key-value server that any Redis client can talk to.

pub mod config;
pub mod log;
