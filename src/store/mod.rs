//! The store: entries, tables and the values in them. It has never heard of RESP, sockets or locks.
pub mod bits;
mod chunk;
pub mod copy;
mod deque;
pub mod entry;
pub mod hash;
mod hasher;
pub mod hyperloglog;
pub mod intset;
pub mod lcs;
mod limits;
pub mod list;
mod members;
pub mod pack;
mod part;
pub mod rdb;
pub mod reaper;
pub mod set;
mod slot;
pub mod stream;
pub mod string;
pub mod table;
pub mod timed;
mod timed_pack;
pub mod uses;
pub mod waits;
pub mod watch;
pub mod wheel;
pub mod zset;

pub use entry::{Content, Entry, Kind, Lifetime, Raw, SharedBytes};
pub use hasher::KeyHasher;
pub use limits::{HashLimits, Limits, ListLimits, SetLimits, ZSetLimits};
pub use members::{hash_member, member_hasher};
pub use part::{Agenda, Audience, Env, Heard, Part, PartId, Side};
pub use slot::{Deadline, Slot};
pub use uses::Uses;

/// Freeing fewer allocations or bytes than this takes about as long as handing them to another thread.
pub const HEAVY_WEIGHT: usize = 256;
pub const HEAVY_BYTES: usize = 256 * 1024;

/// A collection too large for its entry.
#[derive(Clone, Debug)]
pub enum Object {
    List(deque::Deque),
    /// Entries whose key is the member; the value is empty.
    Set(members::Members),
    /// Entries whose key is the field.
    Hash(members::Members),
    /// The same, where fields may have deadlines.
    TimedHash(Box<timed::Timed>),
    ZSet(zset::Sorted),
    /// As `Set`, where members may have deadlines.
    TimedSet(Box<timed::Timed>),
    /// As `ZSet`, where members may have deadlines.
    TimedZSet(Box<zset::TimedSorted>),
    Stream(Box<stream::Stream>),
}

/// A member, or field, that a request is about to look for.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    pub member: &'a [u8],
    /// What it will have, as it was sent, where a request says so.
    pub score: Option<&'a [u8]>,
}

impl Object {
    /// Approximate bytes on the heap. At most O(chunks) of a list.
    pub fn heap_bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::List(deque) => deque.heap_bytes(),
                Self::Set(members) | Self::Hash(members) => members.heap_bytes(),
                Self::TimedHash(timed) | Self::TimedSet(timed) => timed.heap_bytes(),
                Self::ZSet(sorted) => sorted.heap_bytes(),
                Self::TimedZSet(timed) => timed.heap_bytes(),
                Self::Stream(stream) => stream.heap_bytes(),
            }
    }

    /// Asks for the memory that looking for these members will touch.
    pub fn prefetch<'a>(&self, sought: impl Iterator<Item = Sought<'a>>) {
        match self {
            Self::Set(table) | Self::Hash(table) => table.prefetch(sought),
            Self::TimedHash(timed) | Self::TimedSet(timed) => timed.members().prefetch(sought),
            Self::ZSet(sorted) => sorted.prefetch(sought),
            Self::TimedZSet(timed) => timed.sorted().prefetch(sought),
            Self::List(_) | Self::Stream(_) => {}
        }
    }

    /// Approximate number of allocations that dropping this frees. O(1).
    pub fn weight(&self) -> usize {
        1 + match self {
            Self::List(deque) => deque.weight(),
            Self::Set(members) | Self::Hash(members) => members.weight(),
            Self::TimedHash(timed) | Self::TimedSet(timed) => timed.weight(),
            Self::ZSet(sorted) => sorted.weight(),
            Self::TimedZSet(timed) => timed.weight(),
            Self::Stream(stream) => stream.weight(),
        }
    }

    /// Whether freeing this takes long enough to be worth another thread. O(1).
    pub fn is_heavy(&self) -> bool {
        self.weight() > HEAVY_WEIGHT || self.heap_bytes() > HEAVY_BYTES
    }

    /// Whether parts of it may have deadlines of their own.
    pub fn is_timed(&self) -> bool {
        matches!(self, Self::TimedHash(_) | Self::TimedSet(_) | Self::TimedZSet(_))
    }

    pub fn value_type(&self) -> Type {
        match self {
            Self::List(_) => Type::List,
            Self::Set(_) | Self::TimedSet(_) => Type::Set,
            Self::Hash(_) | Self::TimedHash(_) => Type::Hash,
            Self::ZSet(_) | Self::TimedZSet(_) => Type::ZSet,
            Self::Stream(_) => Type::Stream,
        }
    }
}

/// The type of a value, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    String,
    List,
    Set,
    Hash,
    ZSet,
    Stream,
}

impl Type {
    const ALL: [Self; 6] = [Self::String, Self::List, Self::Set, Self::Hash, Self::ZSet, Self::Stream];

    pub fn of(entry: &Entry) -> Self {
        match entry.raw() {
            Raw::Int(_) | Raw::Shared(_) => Self::String,
            Raw::Inline(kind, _) => match kind {
                Kind::ListPack => Self::List,
                Kind::SetPack | Kind::IntSet => Self::Set,
                Kind::HashPack | Kind::HashTimed => Self::Hash,
                Kind::ZSetPack => Self::ZSet,
                _ => Self::String,
            },
            Raw::Boxed(object) => object.value_type(),
        }
    }

    /// The type with this name, in any case.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name().as_bytes().eq_ignore_ascii_case(name))
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::ZSet => "zset",
            Self::Stream => "stream",
        }
    }
}

/// The name that OBJECT ENCODING gives an entry's representation.
pub fn encoding(entry: &Entry) -> &'static str {
    match Type::of(entry) {
        Type::String => string::encoding(entry),
        Type::List => list::View::of(entry).map_or("", |list| list.encoding()),
        Type::Set => set::View::of(entry).map_or("", |set| set.encoding()),
        Type::Hash => hash::View::of(entry, 0).map_or("", |hash| hash.encoding()),
        Type::ZSet => zset::View::of(entry).map_or("", |zset| zset.encoding()),
        Type::Stream => "stream",
    }
}
