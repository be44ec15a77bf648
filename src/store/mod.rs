//! The store: entries, tables and the values in them. It has never heard of RESP, sockets or locks.
pub mod entry;
mod hasher;
mod limits;
mod part;
mod slot;
pub mod string;
pub mod table;
pub mod watch;
pub mod wheel;

pub use entry::{Content, Entry, Kind, Raw, SharedBytes};
pub use hasher::KeyHasher;
pub use limits::Limits;
pub use part::{Agenda, Env, Part, PartId, Side};
pub use slot::{Deadline, Slot, clock};

/// A collection too large for its entry.
#[derive(Debug)]
pub enum Object {}

impl Object {
    pub fn is_heavy(&self) -> bool {
        match *self {}
    }

    pub fn value_type(&self) -> Type {
        match *self {}
    }
}

/// The type of a value, as clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    String,
    List,
    Set,
    Hash,
}

impl Type {
    const ALL: [Self; 4] = [Self::String, Self::List, Self::Set, Self::Hash];

    pub fn of(entry: &Entry) -> Self {
        match entry.raw() {
            Raw::Int(_) | Raw::Shared(_) => Self::String,
            Raw::Inline(kind, _) => match kind {
                Kind::ListPack => Self::List,
                Kind::SetPack | Kind::IntSet => Self::Set,
                Kind::HashPack => Self::Hash,
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
        }
    }
}

/// The name that OBJECT ENCODING gives an entry's representation.
pub fn encoding(entry: &Entry) -> &'static str {
    string::Str::of(entry).map_or("listpack", string::Str::encoding)
}
