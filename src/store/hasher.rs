//! The hash of a key: computed once per command and carried along.

use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;

/// Which function hashes the keys. Chosen at start by the option `hasher`.
#[derive(Clone, Debug)]
pub enum KeyHasher {
    /// ahash with a seed drawn per process: made against hash flooding and twice as fast here as the alternatives.
    Seeded(RandomState),
    /// FNV-1a, unseeded: for trusted keys only.
    Fnv,
    /// SipHash-1-3 with a seed drawn per process.
    Sip(siphasher::sip::SipHasher13),
}

impl KeyHasher {
    pub fn seeded() -> Self {
        Self::Seeded(RandomState::new())
    }

    pub fn sip() -> Self {
        let seed = RandomState::new();
        Self::Sip(siphasher::sip::SipHasher13::new_with_keys(seed.hash_one(1_u8), seed.hash_one(2_u8)))
    }

    /// Hashes a key to 64 bits that are all usable: the table takes the low ones for the bucket and the high ones
    /// for shard and tag.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        match self {
            Self::Seeded(state) => {
                let mut hasher = state.build_hasher();
                hasher.write(key);
                hasher.finish()
            }
            Self::Fnv => {
                let mut hasher = fnv::FnvHasher::default();
                hasher.write(key);
                // FNV's high bits are weak for short keys; one multiplication spreads the low ones over them.
                let hash = hasher.finish();
                (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32)
            }
            Self::Sip(state) => state.hash(key),
        }
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_hasher_spreads_over_shards_and_tags() {
        for hasher in [KeyHasher::seeded(), KeyHasher::Fnv, KeyHasher::sip()] {
            let mut shards = vec![0_u32; 64];
            let mut low = vec![0_u32; 64];
            for i in 0..64_000 {
                let hash = hasher.hash(format!("key:{i}").as_bytes());
                shards[(hash << 7 >> 58) as usize] += 1;
                low[(hash & 63) as usize] += 1;
            }
            for count in shards.into_iter().chain(low) {
                assert!((800..1200).contains(&count), "{hasher:?}: {count} of about 1000");
            }
        }
    }
}
