//! The store: entries, tables and the values in them. It has never heard of RESP, sockets or locks.
pub mod entry;
mod hasher;
mod part;
mod slot;
pub mod table;
pub mod watch;
pub mod wheel;

pub use entry::{Content, Entry, Kind, Raw, SharedBytes};
pub use hasher::KeyHasher;
pub use part::{Agenda, Env, Part, PartId, Side};
pub use slot::{Deadline, Slot, clock};

/// A collection too large for its entry.
#[derive(Debug)]
pub enum Object {}

impl Object {
    pub fn is_heavy(&self) -> bool {
        match *self {}
    }
}
