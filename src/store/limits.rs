//! The sizes at which a collection leaves its compact encoding.
//!
//! Names and defaults are those of Redis 7.4's configuration; `OBJECT ENCODING` answers at the same borders.

use super::stream::NodeLimit;

/// Bytes above which no collection stays inside its entry, whatever the configuration says.
///
/// The entry's header describes at most [`super::entry::INLINE_MAX`] bytes; half of it leaves room for any
/// single edit on top. Reached only with limits far above the defaults.
pub const INLINE_BYTES_MAX: usize = super::entry::INLINE_MAX / 2;

/// Bytes of a list chunk whose limit is a number of elements (Redis' `SIZE_SAFETY_LIMIT`).
const CHUNK_BYTES_SAFE: usize = 8192;

/// The thresholds of all types, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub list: ListLimits,
    pub set: SetLimits,
    pub hash: HashLimits,
    pub zset: ZSetLimits,
    pub stream_node: NodeLimit,
}

/// Those of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListLimits {
    /// Negative: -1 to -5 for chunks of 4 to 64 KiB. Positive: elements per chunk.
    pub max_listpack_size: i32,
}

/// Those of sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetLimits {
    pub max_intset_entries: usize,
    pub max_listpack_entries: usize,
    /// Bytes.
    pub max_listpack_value: usize,
}

/// Those of hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashLimits {
    pub max_listpack_entries: usize,
    /// Bytes.
    pub max_listpack_value: usize,
}

/// Those of sorted sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZSetLimits {
    pub max_listpack_entries: usize,
    /// Bytes.
    pub max_listpack_value: usize,
}

impl Default for ListLimits {
    fn default() -> Self {
        Self { max_listpack_size: -2 }
    }
}

impl Default for SetLimits {
    fn default() -> Self {
        Self { max_intset_entries: 512, max_listpack_entries: 128, max_listpack_value: 64 }
    }
}

impl Default for HashLimits {
    fn default() -> Self {
        Self { max_listpack_entries: 512, max_listpack_value: 64 }
    }
}

impl Default for ZSetLimits {
    fn default() -> Self {
        Self { max_listpack_entries: 128, max_listpack_value: 64 }
    }
}

impl ListLimits {
    /// What one chunk of a list may hold; a list of a single chunk that fits stays inside its entry.
    pub fn chunk(&self) -> ChunkLimit {
        match self.max_listpack_size {
            size @ ..=-1 => {
                let step = size.unsigned_abs().min(5) - 1;
                ChunkLimit { bytes: 4096 << step, count: usize::MAX }
            }
            // Zero means one element, as it does in Redis.
            size => ChunkLimit { bytes: CHUNK_BYTES_SAFE, count: size.max(1) as usize },
        }
    }
}

/// The bound of one chunk of a list: both hold, except that a single larger element has its own chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkLimit {
    pub bytes: usize,
    pub count: usize,
}

impl ChunkLimit {
    /// Whether `count` elements in `bytes` encoded bytes are within the limit.
    #[inline]
    pub fn allows(self, bytes: usize, count: usize) -> bool {
        bytes <= self.bytes && count <= self.count
    }

    /// The limit below which shrinking goes back to the smaller form, so that a border is not crossed to and fro.
    ///
    /// As in Redis, what is limited by a number of elements is halved in that alone.
    pub fn half(self) -> Self {
        match self.count {
            usize::MAX => Self { bytes: self.bytes / 2, ..self },
            count => Self { count: count / 2, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(size: i32) -> (usize, usize) {
        let limit = ListLimits { max_listpack_size: size }.chunk();
        (limit.bytes, limit.count)
    }

    #[test]
    fn list_sizes_mean_what_redis_means_by_them() {
        assert_eq!(chunk(-1), (4096, usize::MAX));
        assert_eq!(chunk(-2), (8192, usize::MAX));
        assert_eq!(chunk(-5), (65536, usize::MAX));
        assert_eq!(chunk(i32::MIN), (65536, usize::MAX));
        assert_eq!(chunk(0), (8192, 1));
        assert_eq!(chunk(7), (8192, 7));
        let half = |size| {
            let limit = ListLimits { max_listpack_size: size }.chunk().half();
            (limit.bytes, limit.count)
        };
        assert_eq!((half(-2), half(7), half(1)), ((4096, usize::MAX), (8192, 3), (8192, 0)));
    }
}
