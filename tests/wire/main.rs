//! Commands over the wire: a real server, a real socket, exact bytes. The modules mirror `src/command/`.

#[path = "../support/mod.rs"]
mod support;

mod bitmap;
mod blocking;
mod compare;
mod connection;
mod counter;
mod database;
mod debug;
mod dialect;
mod dump;
mod eviction;
mod geo;
mod hash;
mod hash_expiry;
mod hyperloglog;
mod info;
mod introspection;
mod key;
mod keyspace;
mod list;
mod long;
mod member_expiry;
mod monitor;
mod notifications;
mod object;
mod oracle;
mod protocol;
mod pubsub;
mod random;
mod redis_crate;
mod scan;
mod set;
mod sort;
mod stream;
mod stream_blocking;
mod string;
mod substring;
mod tracking;
mod transaction;
mod ttl;
mod wait;
mod watch;
mod zset;
