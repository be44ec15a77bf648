//! Kiba: an in-memory, multithreaded key-value server that any Redis client can talk to.
pub mod store;
pub mod sync;
