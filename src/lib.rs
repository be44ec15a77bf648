//! Kiba: an in-memory, multithreaded key-value server that any Redis client can talk to.
//!
//! A request walks through the layers once and never turns back:
//! `net` -> [`lexer`] -> [`parser`] -> [`executor`] -> [`engine`] -> [`command`] -> [`store`], and its reply is written
//! into the connection's output on the way. `docs/architecture.md` is the map.

pub mod background;
pub mod command;
pub mod config;
pub mod engine;
pub mod error;
pub mod executor;
pub mod fault;
pub mod glob;
pub mod lexer;
pub mod log;
pub mod memory;
pub mod net;
pub mod number;
pub mod parser;
pub mod reply;
pub mod server;
pub mod session;
pub mod store;
pub mod sync;
