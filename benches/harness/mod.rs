//! What the benches share: batches for an engine, servers as child processes, a load generator, readings from /proc,
//! tables.
//!
//! A bench declares `#[path = "../harness/mod.rs"] mod harness;`. Linux only: it reads /proc and uses epoll.

// Each bench uses its own part of the harness; what one leaves out is not dead.
#![allow(dead_code)]
// A bench is compiled with cfg(test) but without the test functions, which leaves their imports unused.
#![allow(unused_imports)]

pub mod batch;
pub mod cgroup;
pub mod client;
pub mod keys;
pub mod load;
pub mod machine;
pub mod process;
pub mod reply;
pub mod server;
pub mod shared;
pub mod stats;
pub mod svg;
pub mod table;
pub mod template;
pub mod worker;
pub mod workload;

/// A failure that ends the bench, worded for the person at the terminal.
pub type Result<T> = std::result::Result<T, String>;
