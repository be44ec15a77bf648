//! The store: entries, tables and the values in them. It has never heard of RESP, sockets or locks.
mod chunk;
mod deque;
pub mod entry;
pub mod hash;
pub mod hasher;
pub mod intset;
pub mod limits;
pub mod list;
pub mod pack;
pub mod set;
mod members;

pub use entry::{Content, Entry, Kind, Raw, SharedBytes};
pub use limits::Limits;

/// A collection too large for its entry.
#[derive(Clone, Debug)]
pub enum Object {
    List(deque::Deque),
    /// Entries whose key is the member; the value is empty.
    Set(members::Members),
    /// Entries whose key is the field.
    Hash(members::Members),
}

impl Object {
    /// Approximate bytes on the heap. At most O(chunks) of a list.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::List(deque) => deque.heap_bytes(),
                Self::Set(members) | Self::Hash(members) => members.heap_bytes(),
            }
    }

    /// Approximate number of allocations that dropping this frees: what is heavy is dropped in the background.
    pub fn weight(&self) -> usize {
        1 + match self {
            Self::List(deque) => deque.weight(),
            Self::Set(members) | Self::Hash(members) => members.weight(),
        }
    }
}
