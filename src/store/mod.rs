//! The store: entries, tables and the values in them. It has never heard of RESP, sockets or locks.
pub mod entry;

pub use entry::{Content, Entry, Kind, Raw, SharedBytes};

/// A collection too large for its entry.
#[derive(Debug)]
pub enum Object {}
