//! The store: entries, tables and the values in them. It has never heard of RESP, sockets or locks.
mod chunk;
mod deque;
pub mod entry;
pub mod hash;
pub mod intset;
pub mod limits;
pub mod list;
mod members;
pub mod pack;
pub mod set;

pub use entry::{Content, Entry, Kind, Raw, SharedBytes};
pub use limits::Limits;
pub use members::{hash_member, member_hasher};

/// Freeing fewer allocations or bytes than this takes about as long as handing them to another thread.
const HEAVY_WEIGHT: usize = 256;
const HEAVY_BYTES: usize = 256 * 1024;

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

    /// Approximate number of allocations that dropping this frees. O(1).
    pub fn weight(&self) -> usize {
        1 + match self {
            Self::List(deque) => deque.weight(),
            Self::Set(members) | Self::Hash(members) => members.weight(),
        }
    }

    /// Whether freeing this takes long enough to be worth another thread. O(1).
    pub fn is_heavy(&self) -> bool {
        self.weight() > HEAVY_WEIGHT || self.heap_bytes() > HEAVY_BYTES
    }
}
