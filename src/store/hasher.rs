//! The hash of collection members: seeded at random per process, one state for all tables.

use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use ahash::RandomState;

static MEMBERS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The hasher of all collection tables.
pub fn member_hasher() -> &'static RandomState {
    &MEMBERS
}

/// Hashes a member with [`member_hasher`].
#[inline]
pub fn hash_member(member: &[u8]) -> u64 {
    // One `write`, unlike `hash_one`, which would write the length as well; ahash mixes it in by itself.
    let mut hasher = member_hasher().build_hasher();
    hasher.write(member);
    hasher.finish()
}
