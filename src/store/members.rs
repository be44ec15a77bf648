//! The hash table of large sets and hashes: linear hashing over buckets of about eighteen thin entries.
//!
//! ```text
//! bucket (one cache line)   entries: a small vector of owning pointers | one tag byte for each of the first 40
//! ```
//!
//! Linear hashing adds one bucket at a time, whenever there are eighteen members for each, and splits one
//! existing bucket into it. So no insert ever moves more than one bucket, and the cost of a member stays
//! the same at every size (its entry and about 13 bytes), where a table that doubles swings between 10 and 19.
//! A bucket's address is the low bits of the hash: the lower half of the buckets have one bit more than the
//! part that is not split yet.
//!
//! A look-up reads the bucket's line, compares tags eight at a time, then reads one pointer and one entry.
//!
//! Scanning walks the reversed hash from its top bit, bucket by bucket, as Redis does. A member has one fixed
//! place in that order whatever the table's size, hence a member that stays is seen, and a cursor is never
//! out of date.

use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use ahash::RandomState;
use smallvec::SmallVec;

use super::{Content, Entry, Raw};

/// Tags that fit into a bucket's cache line beside the vector. Members beyond are compared without.
const TAGS: usize = 40;

/// Members per bucket above which a bucket is added. Buckets not yet split in a round hold up to twice as
/// many on average, which the tags just cover.
const LOAD: usize = 18;

/// Members per bucket below which one is taken away; under half of `LOAD`, so that a border is not crossed to and fro.
const LOAD_MIN: usize = 8;

/// Buckets in one allocation (4 KiB): growing never moves those that exist.
const SEGMENT: usize = 64;

static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// The hasher of all collection tables: seeded at random per process, whatever hashes the keys.
pub fn member_hasher() -> &'static RandomState {
    &HASHER
}

/// Hashes a member with [`member_hasher`].
#[inline]
pub fn hash_member(member: &[u8]) -> u64 {
    // One `write`, unlike `hash_one`, which would write the length as well; ahash mixes it in by itself.
    let mut hasher = member_hasher().build_hasher();
    hasher.write(member);
    hasher.finish()
}

#[derive(Debug)]
pub struct Members {
    segments: Vec<Vec<Bucket>>,
    buckets: usize,
    len: usize,
    /// Bytes of all entries and what they own.
    entry_bytes: usize,
    /// No bucket has ever been longer; the bound that random choice draws against.
    longest: usize,
}

#[derive(Debug)]
#[repr(align(64))]
struct Bucket {
    entries: Vec<Entry>,
    tags: [u8; TAGS],
}

impl Default for Members {
    fn default() -> Self {
        Self::new()
    }
}

impl Members {
    pub fn new() -> Self {
        Self { segments: vec![vec![Bucket::with_room(0)]], buckets: 1, len: 0, entry_bytes: 0, longest: 0 }
    }

    /// Lets `change` edit the entry of `member`, or adds the one that `make` gives. True when it was added.
    ///
    /// `make` must give an entry whose key is `member`.
    #[inline]
    pub fn upsert(&mut self, member: &[u8], change: impl FnOnce(&mut Entry), make: impl FnOnce() -> Entry) -> bool {
        let hash = hash_member(member);
        let bucket = self.bucket_mut(self.home(hash));
        if let Some(at) = bucket.position(hash, member) {
            let entry = &mut bucket.entries[at];
            let before = cost(entry);
            change(entry);
            let after = cost(entry);
            self.entry_bytes = self.entry_bytes - before + after;
            return false;
        }
        let entry = make();
        let added = cost(&entry);
        bucket.push(hash, entry);
        let long = bucket.entries.len();
        self.longest = self.longest.max(long);
        self.entry_bytes += added;
        self.len += 1;
        if self.len > self.buckets * LOAD {
            self.split();
        }
        true
    }

    /// Takes the entry of `member` out.
    pub fn remove(&mut self, member: &[u8]) -> Option<Entry> {
        let hash = hash_member(member);
        let home = self.home(hash);
        let at = self.bucket(home).position(hash, member)?;
        Some(self.remove_at(home, at))
    }

    /// Takes a random entry out; see [`Members::random`].
    pub fn remove_random(&mut self, below: impl FnMut(usize) -> usize) -> Option<Entry> {
        let (bucket, at) = self.pick(below)?;
        Some(self.remove_at(bucket, at))
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub fn find(&self, member: &[u8]) -> Option<&Entry> {
        let hash = hash_member(member);
        let bucket = self.bucket(self.home(hash));
        bucket.position(hash, member).map(|at| &bucket.entries[at])
    }

    pub fn iter(&self) -> Iter<'_> {
        Iter { segments: self.segments.iter(), buckets: [].iter(), entries: [].iter(), left: self.len }
    }

    /// One entry, each with the same chance. `below(n)` gives a uniform number less than `n`.
    pub fn random(&self, below: impl FnMut(usize) -> usize) -> Option<&Entry> {
        self.pick(below).map(|(bucket, at)| &self.bucket(bucket).entries[at])
    }

    /// Visits the entries of the next bucket; gives the cursor to go on with, 0 at the end.
    ///
    /// Starting from 0, every entry that is there from the first call to the last is visited, whatever is
    /// added and removed in between; one may be visited twice when the table shrinks. Any cursor is valid.
    pub fn scan<'a>(&'a self, cursor: u64, visit: impl FnMut(&'a Entry)) -> u64 {
        let home = self.home(cursor);
        self.bucket(home).entries.iter().for_each(visit);
        // The bits that this bucket's address consists of: the split ones and those added have one more.
        let high = 1 << self.buckets.ilog2();
        let bits = if home >= high || home + high < self.buckets { 2 * high - 1 } else { high - 1 };
        (cursor | !(bits as u64)).reverse_bits().wrapping_add(1).reverse_bits()
    }

    /// Approximate bytes on the heap. O(1).
    pub fn heap_bytes(&self) -> usize {
        // A slot costs its pointer and a little slack.
        self.entry_bytes + self.len * 9 + self.buckets * size_of::<Bucket>()
    }

    /// Approximate number of allocations that dropping this frees. O(1).
    pub fn weight(&self) -> usize {
        self.len + self.buckets + self.segments.len()
    }

    /// The bucket of a hash: its low bits, as many as give a bucket that exists.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        let mask = self.buckets.next_power_of_two() - 1;
        let home = hash as usize & mask;
        if home < self.buckets { home } else { home & (mask >> 1) }
    }

    #[inline]
    fn bucket(&self, at: usize) -> &Bucket {
        &self.segments[at / SEGMENT][at % SEGMENT]
    }

    #[inline]
    fn bucket_mut(&mut self, at: usize) -> &mut Bucket {
        &mut self.segments[at / SEGMENT][at % SEGMENT]
    }

    /// Rejection keeps it uniform: every place of every bucket is equally likely, empty ones are drawn again.
    fn pick(&self, mut below: impl FnMut(usize) -> usize) -> Option<(usize, usize)> {
        if self.is_empty() {
            return None;
        }
        loop {
            let (bucket, at) = (below(self.buckets), below(self.longest));
            if at < self.bucket(bucket).entries.len() {
                return Some((bucket, at));
            }
        }
    }

    fn remove_at(&mut self, bucket: usize, at: usize) -> Entry {
        let entry = self.bucket_mut(bucket).take(at);
        self.entry_bytes -= cost(&entry);
        self.len -= 1;
        if self.len < self.buckets * LOAD_MIN && self.buckets > 1 {
            self.merge();
        }
        entry
    }

    /// Adds one bucket and moves to it what belongs there, all of it from one other bucket.
    #[cold]
    fn split(&mut self) {
        let bit = 1 << self.buckets.ilog2();
        let from = self.buckets ^ bit;
        let (low, high) = std::mem::replace(self.bucket_mut(from), Bucket::with_room(0)).split(bit as u64);
        *self.bucket_mut(from) = low;
        if self.buckets.is_multiple_of(SEGMENT) {
            self.segments.push(Vec::with_capacity(SEGMENT));
        }
        self.segments.last_mut().expect("at least one").push(high);
        self.buckets += 1;
    }

    /// Undoes the last split.
    #[cold]
    fn merge(&mut self) {
        let Some(bucket) = self.segments.last_mut().and_then(Vec::pop) else { return };
        self.buckets -= 1;
        if self.buckets.is_multiple_of(SEGMENT) {
            self.segments.pop();
        }
        let into = self.buckets ^ (1 << self.buckets.ilog2());
        let target = self.bucket_mut(into);
        for entry in bucket.entries {
            target.push(hash_member(entry.key()), entry);
        }
        let long = target.entries.len();
        self.longest = self.longest.max(long);
    }
}

impl Clone for Members {
    fn clone(&self) -> Self {
        let mut copy = Self::new();
        for entry in self.iter() {
            copy.upsert(entry.key(), |_| {}, || duplicate(entry));
        }
        copy
    }
}

impl Bucket {
    fn with_room(len: usize) -> Self {
        Self { entries: Vec::with_capacity(room(len)), tags: [0; TAGS] }
    }

    /// Where `member` is.
    #[inline]
    fn position(&self, hash: u64, member: &[u8]) -> Option<usize> {
        const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
        const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
        let len = self.entries.len();
        let wanted = u64::from(tag(hash)) * LOW;
        let (groups, _) = self.tags.as_chunks::<8>();
        for (group, tags) in groups[..len.div_ceil(8).min(TAGS / 8)].iter().enumerate() {
            let differences = u64::from_le_bytes(*tags) ^ wanted;
            // The top bit of every byte that is zero; a borrow may mark the byte above one as well, which
            // the comparison sorts out, like the stale tags behind the last entry.
            let mut zeros = differences.wrapping_sub(LOW) & !differences & HIGH;
            while zeros != 0 {
                let at = 8 * group + zeros.trailing_zeros() as usize / 8;
                if self.entries.get(at).is_some_and(|entry| entry.key() == member) {
                    return Some(at);
                }
                zeros &= zeros - 1;
            }
        }
        (TAGS..len).find(|at| self.entries[*at].key() == member)
    }

    fn push(&mut self, hash: u64, entry: Entry) {
        let len = self.entries.len();
        if let Some(place) = self.tags.get_mut(len) {
            *place = tag(hash);
        }
        if len == self.entries.capacity() {
            self.entries.reserve_exact(room(len + 1) - len);
        }
        self.entries.push(entry);
    }

    fn take(&mut self, at: usize) -> Entry {
        let last = self.entries.len() - 1;
        if at < TAGS {
            self.tags[at] = match self.tags.get(last) {
                Some(tag) => *tag,
                None => tag(hash_member(self.entries[last].key())),
            };
        }
        let entry = self.entries.swap_remove(at);
        if self.entries.capacity() > 2 * room(last) {
            self.entries.shrink_to(room(last));
        }
        entry
    }

    /// Deals the entries out: those without `bit` in their hash, and those with it.
    fn split(self, bit: u64) -> (Self, Self) {
        let hashes: SmallVec<[u64; 64]> = self.entries.iter().map(|entry| hash_member(entry.key())).collect();
        let moving = hashes.iter().filter(|hash| *hash & bit != 0).count();
        let mut low = Self::with_room(hashes.len() - moving);
        let mut high = Self::with_room(moving);
        for (entry, hash) in self.entries.into_iter().zip(hashes) {
            if hash & bit == 0 { low.push(hash, entry) } else { high.push(hash, entry) }
        }
        (low, high)
    }
}

/// The part of a hash that is compared first; far from the bits that address the bucket.
#[inline]
fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8
}

/// Capacity of a vector of `len` pointers: allocators' usual size classes, so that little is lost to rounding.
fn room(len: usize) -> usize {
    match len {
        0..=16 => len.next_multiple_of(2),
        17..=32 => len.next_multiple_of(4),
        _ => len.next_multiple_of(8),
    }
}

fn cost(entry: &Entry) -> usize {
    entry.size()
        + match entry.raw() {
            Raw::Shared(bytes) => bytes.capacity() + size_of::<Vec<u8>>() + 2 * size_of::<usize>(),
            _ => 0,
        }
}

fn duplicate(entry: &Entry) -> Entry {
    let content = match entry.raw() {
        Raw::Inline(kind, bytes) => Content::Inline(kind, bytes),
        Raw::Int(int) => Content::Int(int),
        Raw::Shared(bytes) => Content::Shared(bytes.clone()),
        Raw::Boxed(object) => Content::Boxed(Box::new(object.clone())),
    };
    Entry::new(entry.key(), content, entry.deadline(), entry.clock())
}

/// The entries of a table, in no particular order.
#[derive(Clone)]
pub struct Iter<'a> {
    segments: std::slice::Iter<'a, Vec<Bucket>>,
    buckets: std::slice::Iter<'a, Bucket>,
    entries: std::slice::Iter<'a, Entry>,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Entry;

    #[inline]
    fn next(&mut self) -> Option<&'a Entry> {
        loop {
            if let Some(entry) = self.entries.next() {
                self.left -= 1;
                return Some(entry);
            }
            if let Some(bucket) = self.buckets.next() {
                self.entries = bucket.entries.iter();
            } else {
                self.buckets = self.segments.next()?.iter();
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use crate::store::Kind;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn entry(member: &[u8], value: &[u8]) -> Entry {
        Entry::new(member, Content::Inline(Kind::Bytes, value), None, 0)
    }

    fn value(entry: &Entry) -> &[u8] {
        let Raw::Inline(_, value) = entry.raw() else { panic!("inline") };
        value
    }

    fn add(members: &mut Members, member: u32) -> bool {
        let member = member.to_le_bytes();
        members.upsert(&member, |_| {}, || entry(&member, b""))
    }

    fn check_shape(members: &Members) {
        let mut bytes = 0;
        let all: Vec<&Bucket> = members.segments.iter().flatten().collect();
        assert_eq!(all.len(), members.buckets);
        for (at, bucket) in all.iter().enumerate() {
            assert!(bucket.entries.len() <= members.longest);
            for (inner, entry) in bucket.entries.iter().enumerate() {
                let hash = hash_member(entry.key());
                assert_eq!(members.home(hash), at);
                assert!(inner >= TAGS || bucket.tags[inner] == tag(hash));
                bytes += cost(entry);
            }
        }
        assert_eq!(bytes, members.entry_bytes);
        assert_eq!(members.iter().count(), members.len());
    }

    proptest! {
            #[test]
            fn agrees_with_a_btree_map(
                steps in prop::collection::vec((0..4_u8, 0..600_u32, prop::collection::vec(any::<u8>(), 0..40)), 0..1500)
            ) {
                let mut members = Members::new();
                let mut model = BTreeMap::new();
                for (step, member, bytes) in steps {
                    let member = member.to_string().into_bytes();
                    if step > 0 {
                        let change = |old: &mut Entry| old.replace(Content::Inline(Kind::Bytes, &bytes), None);
                        let added = members.upsert(&member, change, || entry(&member, &bytes));
                        prop_assert_eq!(added, model.insert(member, bytes.clone()).is_none());
                    } else {
                        prop_assert_eq!(members.remove(&member).map(|old| value(&old).to_vec()), model.remove(&member));
                    }
                    prop_assert_eq!(members.len(), model.len());
                }
                check_shape(&members);
                for member in 0..600_u32 {
                    let member = member.to_string().into_bytes();
                    prop_assert_eq!(members.find(&member).map(value), model.get(&member).map(Vec::as_slice));
                }
                let copy = members.clone();
                check_shape(&copy);
                let all: BTreeMap<_, _> = copy.iter().map(|entry| (entry.key().to_vec(), value(entry).to_vec())).collect();
                prop_assert_eq!(all, model);
            }

            #[test]
            fn a_scan_sees_every_member_that_stays(
                start in 0..3000_u32, stay in 1..40_u32, rounds in prop::collection::vec((any::<bool>(), 0..400_u32), 0..200)
            ) {
                let mut members = Members::new();
                (0..start.max(stay)).for_each(|member| {
    add(&mut members, member);
    });
                let (mut seen, mut cursor, mut next) = (BTreeSet::new(), 0, start.max(stay));
                let mut steps = 0;
                let mut rounds = rounds.into_iter();
                loop {
                    cursor = members.scan(cursor, |entry| {
    seen.insert(entry.key().to_vec());
    });
                    steps += 1;
                    if cursor == 0 {
                        break;
                    }
                    prop_assert!(steps < 5000, "a scan ends");
                    match rounds.next() {
                        Some((true, count)) => {
                            (0..count).for_each(|_| { add(&mut members, next); next += 1; });
                        }
                        Some((false, count)) => {
                            (0..count * 2).for_each(|_| {
                                if next > stay { next -= 1; members.remove(&next.to_le_bytes()); }
                            });
                        }
                        None => {}
                    }
                }
                check_shape(&members);
                for member in 0..stay {
                    prop_assert!(seen.contains(member.to_le_bytes().as_slice()), "{member} of {stay}");
                }
            }

            #[test]
            fn any_cursor_leads_to_the_end(count in 0..500_u32, cursor in any::<u64>()) {
                let mut members = Members::new();
                (0..count).for_each(|member| {
    add(&mut members, member);
    });
                let mut cursor = cursor;
                let mut steps = 0;
                while steps == 0 || cursor != 0 {
                    cursor = members.scan(cursor, |_| {});
                    steps += 1;
                    prop_assert!(steps <= 100);
                }
            }
        }

    #[test]
    fn an_undisturbed_scan_sees_everything_once() {
        for count in [0, 1, 18, 19, 100, 1000, 5000] {
            let mut members = Members::new();
            (0..count).for_each(|member| {
                add(&mut members, member);
            });
            let (mut seen, mut cursor) = (Vec::new(), 0);
            loop {
                cursor = members.scan(cursor, |entry| seen.push(entry.key().to_vec()));
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(seen.len(), count as usize);
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), count as usize);
        }
    }

    #[test]
    fn random_choice_reaches_all_and_favours_none() {
        let mut members = Members::new();
        (0..100).for_each(|member| {
            add(&mut members, member);
        });
        // A fixed xorshift, so that the bounds below hold in every run for all practical purposes.
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut below = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % bound as u64) as usize
        };
        let mut hits = BTreeMap::<Vec<u8>, u32>::new();
        for _ in 0..100_000 {
            *hits.entry(members.random(&mut below).expect("not empty").key().to_vec()).or_default() += 1;
        }
        // A thousand expected each, with a deviation of 32: eight of them are allowed.
        assert!(hits.len() == 100 && hits.values().all(|count| (750..1250).contains(count)), "{hits:?}");
        let mut popped = BTreeSet::new();
        while let Some(entry) = members.remove_random(&mut below) {
            assert!(popped.insert(entry.key().to_vec()));
        }
        assert!(popped.len() == 100 && members.is_empty() && members.entry_bytes == 0);
    }

    #[test]
    fn memory_follows_the_members_both_ways() {
        let mut members = Members::new();
        (0..20_000).for_each(|member| {
            add(&mut members, member);
        });
        assert!(members.heap_bytes() / 20_000 < 16 + 14, "{}", members.heap_bytes());
        (10..20_000_u32).for_each(|member| {
            members.remove(&member.to_le_bytes());
        });
        assert!(members.buckets <= 2 && members.segments.len() == 1 && members.heap_bytes() < 500);
        check_shape(&members);
    }
}
