//! Commands over the wire: a real server, a real socket, exact bytes. The modules mirror `src/command/`.

#[path = "../support/mod.rs"]
mod support;

mod bitmap;
mod compare;
mod connection;
mod counter;
mod dialect;
mod geo;
mod hash;
mod hash_expiry;
mod hyperloglog;
mod key;
mod list;
mod oracle;
mod protocol;
mod random;
mod redis_crate;
mod scan;
mod set;
mod string;
mod substring;
mod transaction;
mod watch;
mod zset;
