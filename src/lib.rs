//! Kiba: an in-memory, multithreaded key-value server that any Redis client can talk to.
pub mod error;
pub mod lexer;
pub mod number;
pub mod reply;
pub mod store;
pub mod sync;
