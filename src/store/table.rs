//! The table of thin entries: what DashMap's raw shards are made of, with the few operations that Kiba needs.
//!
//! A slot is one [`Entry`], 8 bytes, beside one control byte. Positions are bucket indices; every access checks
//! that the bucket is full, so that the interface is safe.
//!
//! [`Table::scan`] and the prefetches know how hashbrown 0.14 lays out and probes a table; the tests compare the scan
//! with brute force over growth.
#![allow(unsafe_code)]

use dashmap::SharedValue;
use hashbrown::raw::RawTable;

use super::{Entry, KeyHasher};

/// One shard's table, in DashMap's own type.
pub type Raw = RawTable<(Entry, SharedValue<()>)>;

/// Width of a probe group in hashbrown 0.14.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
const GROUP: usize = 16;
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
const GROUP: usize = 8;

/// Home buckets that one step of a scan visits together, so that each entry's hash is computed about twice in a
/// full scan rather than once for every bucket that it could have come from.
const BLOCK: usize = 16;

const EMPTY: u8 = 0xFF;

pub const CACHE_LINE: usize = 64;

/// The address of a table's control bytes and its mask, for prefetching without the lock.
pub type Geometry = (*const u8, usize);

/// A table of entries.
pub trait Table {
    /// Finds the bucket of `key`.
    fn find_key(&self, hash: u64, key: &[u8]) -> Option<usize>;

    /// The entry in a full bucket.
    ///
    /// # Panics
    /// If the bucket is not full.
    fn entry(&self, at: usize) -> &Entry;

    /// The entry in a bucket, if there is one.
    fn entry_in(&self, at: usize) -> Option<&Entry>;

    /// A random entry, each with the same chance, if there is any. `below(n)` gives a uniform number less than `n`.
    fn random(&self, below: impl FnMut(usize) -> usize) -> Option<&Entry>;

    /// The entry in a full bucket, to be changed. Its key must stay the same.
    fn entry_mut(&mut self, at: usize) -> &mut Entry;

    /// Inserts an entry whose key is not in the table; returns its bucket.
    fn insert_new(&mut self, hash: u64, entry: Entry, hasher: &KeyHasher) -> usize;

    /// Takes the entry out of a full bucket.
    fn take(&mut self, at: usize) -> Entry;

    /// Visits all entries.
    fn each(&self, visit: &mut dyn FnMut(&Entry));

    /// Appends the buckets of the entries whose hash has the same bucket and tag bits as `hash`.
    fn candidates(&self, hash: u64, out: &mut Vec<usize>);

    /// Visits the entries of one block of home buckets and returns the next cursor, 0 at the end.
    ///
    /// Cursors count in reversed binary over blocks of home buckets, so that an entry that is there from start to
    /// end is visited at least once however the table grows or shrinks in between (Redis' guarantee).
    fn scan(&self, cursor: u64, hasher: &KeyHasher, visit: &mut dyn FnMut(&Entry)) -> u64;

    fn geometry(&self) -> Geometry;

    /// Shrinks the table when it is mostly empty; whether it did.
    fn shrink(&mut self, hasher: &KeyHasher) -> bool;
}

impl Table for Raw {
    #[inline]
    fn find_key(&self, hash: u64, key: &[u8]) -> Option<usize> {
        let bucket = self.find(hash, |(entry, _)| entry.has_key(key))?;
        // SAFETY: the bucket was just found in this table.
        Some(unsafe { self.bucket_index(&bucket) })
    }

    #[inline]
    fn entry(&self, at: usize) -> &Entry {
        // SAFETY: the index is checked to be in bounds and full first.
        unsafe {
            assert!(at < self.buckets() && self.is_bucket_full(at));
            &self.bucket(at).as_ref().0
        }
    }

    fn entry_in(&self, at: usize) -> Option<&Entry> {
        // SAFETY: the index is in bounds.
        let is_full = at < self.buckets() && unsafe { self.is_bucket_full(at) };
        is_full.then(|| self.entry(at))
    }

    fn random(&self, mut below: impl FnMut(usize) -> usize) -> Option<&Entry> {
        if self.is_empty() {
            return None;
        }
        // Tables that are nearly empty shrink, so that this does not take long.
        loop {
            if let Some(entry) = self.entry_in(below(self.buckets())) {
                return Some(entry);
            }
        }
    }

    #[inline]
    fn entry_mut(&mut self, at: usize) -> &mut Entry {
        // SAFETY: the index is checked to be in bounds and full first; the table is borrowed exclusively.
        unsafe {
            assert!(at < self.buckets() && self.is_bucket_full(at));
            &mut self.bucket(at).as_mut().0
        }
    }

    fn insert_new(&mut self, hash: u64, entry: Entry, hasher: &KeyHasher) -> usize {
        let bucket = self.insert(hash, (entry, SharedValue::new(())), |(entry, _)| hasher.hash(entry.key()));
        // SAFETY: the bucket was just made in this table.
        unsafe { self.bucket_index(&bucket) }
    }

    fn take(&mut self, at: usize) -> Entry {
        // SAFETY: the index is checked to be in bounds and full first.
        unsafe {
            assert!(at < self.buckets() && self.is_bucket_full(at));
            self.remove(self.bucket(at)).0.0
        }
    }

    fn each(&self, visit: &mut dyn FnMut(&Entry)) {
        // SAFETY: the iterator does not outlive the borrow of the table, which is not changed meanwhile.
        for bucket in unsafe { self.iter() } {
            // SAFETY: the iterator yields full buckets only.
            visit(unsafe { &bucket.as_ref().0 });
        }
    }

    fn candidates(&self, hash: u64, out: &mut Vec<usize>) {
        // SAFETY: as in `each`.
        for bucket in unsafe { self.iter_hash(hash) } {
            // SAFETY: the bucket belongs to this table.
            out.push(unsafe { self.bucket_index(&bucket) });
        }
    }

    fn scan(&self, cursor: u64, hasher: &KeyHasher, visit: &mut dyn FnMut(&Entry)) -> u64 {
        if self.is_empty() {
            return 0;
        }
        let mask = self.buckets() - 1;
        let blocks = (self.buckets() / BLOCK).max(1);
        let block = cursor as usize & (blocks - 1);
        let homes = block * BLOCK..(block * BLOCK + BLOCK).min(self.buckets());
        // Hashes of the entries at the block's own positions and the group after it, computed at most once.
        let mut known: [Option<u64>; BLOCK + GROUP] = [None; BLOCK + GROUP];
        for home in homes.clone() {
            let (mut position, mut stride) = (home, 0);
            loop {
                let mut has_empty = false;
                for i in 0..GROUP.min(self.buckets()) {
                    let at = (position + i) & mask;
                    if control(self, at) == EMPTY {
                        has_empty = true;
                    }
                    // SAFETY: the index is masked to be in bounds.
                    if !unsafe { self.is_bucket_full(at) } {
                        continue;
                    }
                    let entry = self.entry(at);
                    let near = at.wrapping_sub(homes.start);
                    let hash = match known.get_mut(near) {
                        Some(known) => *known.get_or_insert_with(|| hasher.hash(entry.key())),
                        None => hasher.hash(entry.key()),
                    };
                    if hash as usize & mask == home {
                        visit(entry);
                    }
                }
                stride += GROUP;
                // A probe ends at the first group with an empty bucket, or when it has seen the whole table.
                if has_empty || stride > mask {
                    break;
                }
                position = (position + stride) & mask;
            }
        }
        next_cursor(cursor, blocks as u64 - 1)
    }

    #[inline]
    fn geometry(&self) -> Geometry {
        (self.data_end().as_ptr().cast::<u8>().cast_const(), self.buckets() - 1)
    }

    fn shrink(&mut self, hasher: &KeyHasher) -> bool {
        // An eighth full: halve the memory at least twice over, and stay clear of growing again at once.
        if self.buckets() < 64 || self.len() > self.buckets() / 8 {
            return false;
        }
        self.shrink_to(self.len() * 2, |(entry, _)| hasher.hash(entry.key()));
        true
    }
}

/// Counts up in reversed binary: the bits above the mask stay out of it.
fn next_cursor(cursor: u64, mask: u64) -> u64 {
    ((cursor | !mask).reverse_bits().wrapping_add(1)).reverse_bits()
}

fn control(table: &Raw, at: usize) -> u8 {
    debug_assert!(at < table.buckets());
    // SAFETY: hashbrown 0.14 keeps one control byte per bucket, directly after the data.
    unsafe { table.data_end().as_ptr().cast::<u8>().add(at).read() }
}

/// Asks for the cache lines where the search for `hash` begins. Harmless for any geometry, also a stale one.
#[inline]
pub fn prefetch_buckets((control, mask): Geometry, hash: u64) {
    let home = hash as usize & mask;
    prefetch(control.wrapping_add(home));
    // Bucket i lies i + 1 slots below the control bytes.
    prefetch(control.wrapping_sub((home + 1) * size_of::<Entry>()));
}

/// Asks for the first entry with the tag of `hash`, in all likelihood the wanted one: so many lines of it.
#[inline]
pub fn prefetch_entry(table: &Raw, hash: u64, lines: usize) {
    table.find(hash, |(entry, _)| {
        (0..lines).for_each(|line| prefetch(entry.address().wrapping_add(line * CACHE_LINE)));
        true
    });
}

/// Asks for a cache line, wherever it is.
#[inline]
pub(super) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; it never faults, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch(address.cast(), std::arch::x86_64::_MM_HINT_T0);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::super::{Content, Kind};
    use super::*;
    use std::collections::BTreeSet;

    fn key(i: u32) -> Vec<u8> {
        format!("key:{i}").into_bytes()
    }

    fn insert(table: &mut Raw, hasher: &KeyHasher, i: u32) {
        let entry = Entry::new(&key(i), Content::Inline(Kind::Bytes, b"v"), None, 0);
        table.insert_new(hasher.hash(&key(i)), entry, hasher);
    }

    fn remove(table: &mut Raw, hasher: &KeyHasher, i: u32) {
        let at = table.find_key(hasher.hash(&key(i)), &key(i)).expect("present");
        assert_eq!(table.take(at).key(), key(i));
    }

    fn scan_all(table: &Raw, hasher: &KeyHasher) -> Vec<Vec<u8>> {
        let (mut cursor, mut seen) = (0, Vec::new());
        loop {
            cursor = table.scan(cursor, hasher, &mut |entry| seen.push(entry.key().to_vec()));
            if cursor == 0 {
                return seen;
            }
        }
    }

    #[test]
    fn a_scan_sees_each_entry_exactly_once_when_nothing_changes() {
        let hasher = KeyHasher::seeded();
        for size in [0, 1, 3, 4, 7, 14, 15, 28, 100, 447, 448, 5_000] {
            let mut table = Raw::new();
            for i in 0..size {
                insert(&mut table, &hasher, i);
            }
            // Tombstones must neither hide entries nor end a probe early.
            for i in (0..size).step_by(3) {
                remove(&mut table, &hasher, i);
            }
            let seen = scan_all(&table, &hasher);
            let expected: BTreeSet<_> = (0..size).filter(|i| i % 3 != 0).map(key).collect();
            assert_eq!(seen.len(), expected.len(), "size {size}");
            assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }

    #[test]
    fn a_scan_misses_nothing_that_stays_while_the_table_grows_and_shrinks() {
        let hasher = KeyHasher::seeded();
        for (start, change) in [(10, 5_000_u32), (1_000, 3_000), (3_000, 0)] {
            let mut table = Raw::new();
            for i in 0..start {
                insert(&mut table, &hasher, i);
            }
            for i in 100_000..100_000 + 5_000 {
                insert(&mut table, &hasher, i);
            }
            let (mut cursor, mut seen, mut step) = (0, BTreeSet::new(), 0);
            loop {
                cursor = table.scan(cursor, &hasher, &mut |entry| {
                    seen.insert(entry.key().to_vec());
                });
                if cursor == 0 {
                    break;
                }
                if step < change {
                    for i in 0..37 {
                        insert(&mut table, &hasher, 1_000_000 + step + i);
                    }
                    step += 37;
                } else if step == change.next_multiple_of(37) {
                    for i in 100_000..100_000 + 5_000 {
                        remove(&mut table, &hasher, i);
                    }
                    assert!(change > 0 || !table.is_empty());
                    table.shrink(&hasher);
                    step += 1;
                }
            }
            for i in 0..start {
                assert!(seen.contains(&key(i)), "missed {i} of {start} with {change}");
            }
        }
    }

    #[test]
    fn candidates_include_the_entry_itself() {
        let hasher = KeyHasher::seeded();
        let mut table = Raw::new();
        for i in 0..1_000 {
            insert(&mut table, &hasher, i);
        }
        for i in 0..1_000 {
            let mut found = Vec::new();
            table.candidates(hasher.hash(&key(i)), &mut found);
            assert!(found.iter().any(|&at| table.entry(at).key() == key(i)));
        }
    }

    #[test]
    fn a_slot_is_eight_bytes() {
        assert_eq!(size_of::<(Entry, SharedValue<()>)>(), 8);
    }
}
