//! The hash table of large sets, hashes and sorted sets: elements of eight bytes in segments of cache-line buckets.
//!
//! ```text
//! bucket (one cache line)   7 tags, 1 count of entries that went past it | 7 elements
//! segment (4 KiB)           64 buckets; an entry is in its home bucket or, when that is full, in the next one
//!                           with room
//! directory                 the segment of each prefix of a hash; a segment may have several prefixes
//! ```
//!
//! A look-up reads one bucket's line, compares its tags at once, then reads one entry. The directory and the
//! segments' headers are small enough to stay in the cache.
//!
//! The elements of sets and hashes are owning pointers, thin entries whose key is the member. A sorted set keeps its
//! members elsewhere and has here what leads to them.
//!
//! This is extendible hashing: a full segment is split in two by the next bit of the hash, all others stay as they
//! are. So no insert moves more than 392 entries, where a table that doubles moves all of them at once and leaves
//! its former self to the allocator. A member costs its entry and 10 to 21 bytes, 14.5 on average.
//!
//! Everything is in the order of the hash: the prefix chooses the segment and the next bits the home bucket.
//! A scan goes in that order, so that the place of an entry in it is the same whatever the size of the table.
//! An entry that stays is visited exactly once, whatever is added and removed meanwhile.

use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use ahash::RandomState;
use smallvec::SmallVec;

use super::copy::{self, Budget, Copied};
use super::table::prefetch;
use super::{Entry, Raw, Sought};

/// Slots of a bucket: with a tag each and the count they fill a cache line.
const SLOTS: usize = 7;

/// Where a bucket's count of passers-by is, behind the tags.
const PASSED: usize = SLOTS;

/// Buckets of a segment. The only segment of a small table may have fewer.
const SEGMENT: usize = 64;

/// Two segments become one again when both together have no more entries than this: under half of what splits
/// one, so that a border is not crossed to and fro.
const MERGED_MAX: usize = SEGMENT * SLOTS / 3;

/// Bits of a hash, after its prefix, that choose the home bucket.
const HOME_BITS: u32 = 24;

/// Longest prefix. Never reached with hashes that are anything like random.
const LEVEL_MAX: u32 = u64::BITS - HOME_BITS;

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

/// What a table holds. It knows its hash; what else it is compared by is the caller's affair.
pub trait Element {
    /// Allocations that dropping one frees.
    const WEIGHT: usize;

    /// The same for as long as it is in the table.
    fn hash(&self) -> u64;

    /// Bytes that it owns on the heap.
    fn heap_bytes(&self) -> usize;

    fn copied(&self) -> Self;
}

impl Element for Entry {
    const WEIGHT: usize = 1;

    fn hash(&self) -> u64 {
        hash_member(self.key())
    }

    fn heap_bytes(&self) -> usize {
        cost(self)
    }

    fn copied(&self) -> Self {
        self.duplicate(self.key(), self.clock())
    }
}

#[derive(Debug)]
pub struct Members<T = Entry> {
    /// Which segment holds the hashes with each prefix of `bits` bits.
    directory: Vec<u32>,
    bits: u32,
    segments: Vec<Segment<T>>,
    /// Segments whose own prefix is as long as the directory's; without any, the directory is too large.
    deepest: usize,
    len: usize,
    /// Bytes of all entries and what they own.
    entry_bytes: usize,
}

#[derive(Debug)]
struct Segment<T> {
    buckets: Box<[Bucket<T>]>,
    /// The smallest hash that belongs here.
    start: u64,
    /// Bits of the prefix that all hashes here share.
    level: u32,
    len: u32,
}

#[derive(Debug)]
#[repr(align(64))]
struct Bucket<T> {
    /// The tags of the slots, zero for an empty one. Then the number of entries that are further along because this
    /// bucket was full; it stays at 255 once it gets there.
    tags: [u8; SLOTS + 1],
    slots: [Option<T>; SLOTS],
}

impl<T> Default for Bucket<T> {
    fn default() -> Self {
        Self { tags: [0; SLOTS + 1], slots: [const { None }; SLOTS] }
    }
}

/// Where an entry is.
#[derive(Clone, Copy)]
struct Place {
    segment: usize,
    bucket: usize,
    slot: usize,
}

impl<T: Element> Default for Members<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// By member: for entries.
impl Members {
    /// Lets `change` edit the entry of `member`, or adds the one that `make` gives. True when it was added.
    ///
    /// `make` must give an entry whose key is `member`.
    #[inline]
    pub fn upsert(&mut self, member: &[u8], change: impl FnOnce(&mut Entry), make: impl FnOnce() -> Entry) -> bool {
        let hash = hash_member(member);
        if self.change_by(hash, |entry| entry.key() == member, change).is_some() {
            return false;
        }
        self.add(hash, make());
        true
    }

    /// Takes the entry of `member` out.
    pub fn remove(&mut self, member: &[u8]) -> Option<Entry> {
        self.remove_by(hash_member(member), |entry| entry.key() == member)
    }

    /// Takes out an entry with this hash of which `is_wanted` is true.
    pub fn remove_hash(&mut self, hash: u64, is_wanted: impl Fn(&Entry) -> bool) -> Option<Entry> {
        self.remove_by(hash, |entry| is_wanted(entry) && hash_member(entry.key()) == hash)
    }

    /// Lets `change` edit the entry of `member`, if there is one. Its key must stay the same.
    pub fn change<R>(&mut self, member: &[u8], change: impl FnOnce(&mut Entry) -> R) -> Option<R> {
        self.change_by(hash_member(member), |entry| entry.key() == member, change)
    }

    /// Asks for the memory that looking for these members will touch: first all buckets, then what is in them.
    pub fn prefetch<'a>(&self, sought: impl Iterator<Item = Sought<'a>>) {
        let hashes: SmallVec<[u64; 16]> = sought.map(|sought| hash_member(sought.member)).collect();
        hashes.iter().for_each(|hash| self.prefetch_bucket(*hash));
        hashes.iter().filter_map(|hash| self.likely(*hash)).for_each(|entry| prefetch(entry.address()));
    }

    #[inline]
    pub fn find(&self, member: &[u8]) -> Option<&Entry> {
        self.find_by(hash_member(member), |entry| entry.key() == member)
    }
}

impl<T: Element> Members<T> {
    pub fn new() -> Self {
        let segments = vec![Segment::with_room(0, 0, 0)];
        Self { directory: vec![0], bits: 0, segments, deepest: 1, len: 0, entry_bytes: 0 }
    }

    /// The beginning of a copy of `from`: of no use before it is finished, but to be dropped.
    pub(super) fn unfinished(from: &Self) -> Self {
        let segments = Vec::with_capacity(from.segments.len());
        Self { directory: Vec::new(), bits: 0, segments, deepest: 0, len: 0, entry_bytes: 0 }
    }

    /// Copies more segments of `from`, of which this is a copy that is not finished.
    pub(super) fn extend_from(&mut self, from: &Self, budget: &mut Budget) -> Copied {
        let copied = copy::append(&from.segments, &mut self.segments, budget, Segment::cost, Segment::copied);
        if copied == Copied::All && self.directory.is_empty() {
            self.len = self.segments.iter().map(|segment| segment.len as usize).sum();
            if self.len != from.len {
                return Copied::Changed;
            }
            self.directory.clone_from(&from.directory);
            (self.bits, self.deepest, self.entry_bytes) = (from.bits, from.deepest, from.entry_bytes);
        }
        copied
    }

    /// Adds an element, whose hash is given, without looking whether there is an equal one.
    #[inline]
    pub fn add(&mut self, hash: u64, element: T) {
        self.entry_bytes += element.heap_bytes();
        self.len += 1;
        let mut at = self.address(hash);
        if self.segments[at].is_full() {
            at = self.make_room(hash);
        }
        self.segments[at].insert(hash, element);
    }

    /// Lets `change` edit the first element with this hash for which `is` holds. None when there is none.
    #[inline]
    pub fn change_by<R>(
        &mut self,
        hash: u64,
        is: impl FnMut(&T) -> bool,
        change: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let at = self.address(hash);
        let segment = &mut self.segments[at];
        let (bucket, slot) = segment.position(hash, is)?;
        let element = segment.buckets[bucket].slots[slot].as_mut()?;
        let before = element.heap_bytes();
        let result = change(element);
        let after = element.heap_bytes();
        self.entry_bytes = self.entry_bytes - before + after;
        Some(result)
    }

    /// Takes out the first element with this hash for which `is` holds.
    pub fn remove_by(&mut self, hash: u64, is: impl FnMut(&T) -> bool) -> Option<T> {
        let segment = self.address(hash);
        let (bucket, slot) = self.segments[segment].position(hash, is)?;
        self.remove_at(Place { segment, bucket, slot }, hash)
    }

    /// Takes a random element out; see [`Members::random`].
    pub fn remove_random(&mut self, below: impl FnMut(usize) -> usize) -> Option<T> {
        let (place, element) = self.pick(below)?;
        let hash = element.hash();
        self.remove_at(place, hash)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first element with this hash for which `is` holds. It may be asked about elements with other hashes.
    #[inline]
    pub fn find_by(&self, hash: u64, is: impl FnMut(&T) -> bool) -> Option<&T> {
        let segment = &self.segments[self.address(hash)];
        let (bucket, slot) = segment.position(hash, is)?;
        segment.buckets[bucket].slots[slot].as_ref()
    }

    /// Asks for the bucket in which the search for a hash begins.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        let segment = &self.segments[self.address(hash)];
        prefetch((&raw const segment.buckets[segment.home(hash)]).cast());
    }

    /// The first element with the tag of a hash in its first bucket: in all likelihood the wanted one, if it is there.
    #[inline]
    pub fn likely(&self, hash: u64) -> Option<&T> {
        let segment = &self.segments[self.address(hash)];
        let bucket = &segment.buckets[segment.home(hash)];
        let candidates = bucket.candidates(tag(hash));
        // No candidate is 64 zeros, of which there is no slot.
        bucket.slots.get(candidates.trailing_zeros() as usize / 8)?.as_ref()
    }

    pub fn iter(&self) -> Iter<'_, T> {
        Iter { segments: self.segments.iter(), buckets: [].iter(), slots: [].iter(), left: self.len }
    }

    /// One entry, each with the same chance. `below(n)` gives a uniform number less than `n`.
    pub fn random(&self, below: impl FnMut(usize) -> usize) -> Option<&T> {
        self.pick(below).map(|(_, entry)| entry)
    }

    /// Visits the entries of the next home bucket; gives the cursor to go on with, 0 at the end.
    ///
    /// Starting from 0, every entry that is there from the first call to the last is visited, whatever is
    /// added and removed in between. Any cursor is valid.
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(&'a T)) -> u64 {
        // Places are hashes. Their low bits are mostly zero, so a cursor is one reversed, to be a short number.
        let place = cursor.reverse_bits();
        let segment = &self.segments[self.address(place)];
        let home = segment.home(place);
        for bucket in segment.path(home).map(|at| &segment.buckets[at]) {
            for entry in bucket.slots.iter().flatten() {
                let hash = entry.hash();
                if segment.home(hash) == home && hash >= place {
                    visit(entry);
                }
            }
            if bucket.tags[PASSED] == 0 {
                break;
            }
        }
        // Where the next home bucket begins, as a part of the segment. After the last one that is the whole, and
        // there the next segment begins; after the last segment the sum is out of range, which is the end.
        let next = ((home as u64 + 1) << HOME_BITS).div_ceil(segment.buckets.len() as u64);
        let next = u128::from(segment.start) + (u128::from(next) << (u64::BITS - HOME_BITS - segment.level));
        u64::try_from(next).unwrap_or(0).reverse_bits()
    }

    /// Approximate bytes on the heap. O(1).
    pub fn heap_bytes(&self) -> usize {
        // Several segments are all of one size.
        let buckets = self.segments.first().map_or(0, |segment| segment.buckets.len());
        let segment = size_of::<Segment<T>>() + buckets * size_of::<Bucket<T>>();
        self.entry_bytes + self.segments.len() * segment + self.directory.len() * size_of::<u32>()
    }

    /// Approximate number of allocations that dropping this frees. O(1).
    pub fn weight(&self) -> usize {
        self.len * T::WEIGHT + self.segments.len() + 2
    }

    /// The segment of a hash.
    #[inline]
    fn address(&self, hash: u64) -> usize {
        // In two steps, because a prefix may have no bits.
        self.directory[((hash >> 1) >> (u64::BITS - 1 - self.bits)) as usize] as usize
    }

    /// Rejection keeps it uniform: every slot is equally likely, empty ones are drawn again.
    fn pick(&self, mut below: impl FnMut(usize) -> usize) -> Option<(Place, &T)> {
        if self.is_empty() {
            return None;
        }
        loop {
            let segment = below(self.segments.len());
            let buckets = &self.segments[segment].buckets;
            let slot = below(buckets.len() * SLOTS);
            let (bucket, slot) = (slot / SLOTS, slot % SLOTS);
            if let Some(entry) = &buckets[bucket].slots[slot] {
                return Some((Place { segment, bucket, slot }, entry));
            }
        }
    }

    fn remove_at(&mut self, place: Place, hash: u64) -> Option<T> {
        let entry = self.segments[place.segment].take(hash, place.bucket, place.slot)?;
        self.entry_bytes -= entry.heap_bytes();
        self.len -= 1;
        if let [only] = &mut self.segments[..] {
            if 2 * buckets_for(only.len as usize) < only.buckets.len() {
                only.rebuild();
            }
        } else {
            while self.merge(hash) {}
        }
        Some(entry)
    }

    /// Makes the full segment of `hash` larger, or splits it. Returns which segment `hash` belongs to now.
    #[cold]
    fn make_room(&mut self, hash: u64) -> usize {
        loop {
            let at = self.address(hash);
            let segment = &mut self.segments[at];
            if !segment.is_full() {
                return at;
            }
            // A segment that cannot be split does not occur; if it did, only the fairness of `pick` would suffer.
            if segment.buckets.len() < SEGMENT || segment.level == LEVEL_MAX {
                segment.rebuild();
            } else {
                self.split(at);
            }
        }
    }

    /// Moves the upper half of a segment's hashes to a new one.
    fn split(&mut self, at: usize) {
        let Segment { start, level, .. } = self.segments[at];
        if level == self.bits {
            self.directory = self.directory.iter().flat_map(|at| [*at, *at]).collect();
            self.bits += 1;
            self.deepest = 0;
        }
        let level = level + 1;
        let middle = start | 1 << (u64::BITS - level);
        let (low, high): (Vec<_>, Vec<_>) =
            self.segments[at].take_all().into_iter().partition(|(hash, _)| *hash < middle);
        self.segments[at] = Segment::of(start, level, low);
        self.segments.push(Segment::of(middle, level, high));
        self.enter(self.segments.len() - 1);
        if level == self.bits {
            self.deepest += 2;
        }
    }

    /// Joins the segment of `hash` with its other half when both are sparse. False when nothing was done.
    fn merge(&mut self, hash: u64) -> bool {
        let at = self.address(hash);
        let Segment { start, level, len, .. } = self.segments[at];
        if level == 0 || len as usize > MERGED_MAX {
            return false;
        }
        let middle = 1 << (u64::BITS - level);
        let other = self.address(start ^ middle);
        if self.segments[other].level != level || (len + self.segments[other].len) as usize > MERGED_MAX {
            return false;
        }
        let mut entries = self.segments[at].take_all();
        entries.append(&mut self.segments[other].take_all());
        self.segments[at] = Segment::of(start & !middle, level - 1, entries);
        self.enter(at);
        if level == self.bits {
            self.deepest -= 2;
        }
        // The last segment moves into the gap.
        self.segments.swap_remove(other);
        if other < self.segments.len() {
            self.enter(other);
        }
        while self.deepest == 0 {
            self.directory = self.directory.iter().copied().step_by(2).collect();
            self.bits -= 1;
            self.deepest = self.segments.iter().filter(|segment| segment.level == self.bits).count();
        }
        true
    }

    /// Writes a segment into the directory, for all its prefixes.
    fn enter(&mut self, at: usize) {
        let Segment { start, level, .. } = self.segments[at];
        let first = ((start >> 1) >> (u64::BITS - 1 - self.bits)) as usize;
        self.directory[first..first + (1 << (self.bits - level))].fill(at as u32);
    }
}

impl<T: Element> Clone for Members<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::unfinished(self);
        copy.extend_from(self, &mut Budget(usize::MAX));
        copy
    }
}

impl<T: Element> Segment<T> {
    fn with_room(start: u64, level: u32, len: usize) -> Self {
        let count = match level {
            0 => buckets_for(len).min(SEGMENT),
            LEVEL_MAX => buckets_for(len).max(SEGMENT),
            _ => SEGMENT,
        };
        Self { buckets: (0..count).map(|_| Bucket::default()).collect(), start, level, len: 0 }
    }

    fn of(start: u64, level: u32, entries: Vec<(u64, T)>) -> Self {
        let mut segment = Self::with_room(start, level, entries.len());
        for (hash, entry) in entries {
            segment.insert(hash, entry);
        }
        segment
    }

    /// What it takes to copy it, in elements.
    fn cost(&self) -> usize {
        self.len as usize
    }

    fn copied(&self) -> Self {
        let bucket = |bucket: &Bucket<T>| Bucket {
            tags: bucket.tags,
            slots: std::array::from_fn(|slot| bucket.slots[slot].as_ref().map(T::copied)),
        };
        let buckets = self.buckets.iter().map(bucket).collect();
        Self { buckets, start: self.start, level: self.level, len: self.len }
    }

    /// Changes the number of buckets to what suits the number of entries.
    fn rebuild(&mut self) {
        *self = Self::of(self.start, self.level, self.take_all());
    }

    /// Adds an entry that is not there; the segment is not full.
    fn insert(&mut self, hash: u64, entry: T) {
        let mut at = self.home(hash);
        loop {
            let bucket = &mut self.buckets[at];
            if let Some(slot) = bucket.slots.iter().position(Option::is_none) {
                bucket.tags[slot] = tag(hash);
                bucket.slots[slot] = Some(entry);
                self.len += 1;
                return;
            }
            bucket.tags[PASSED] = bucket.tags[PASSED].saturating_add(1);
            at = self.after(at);
        }
    }

    /// Takes the entry out of its slot; `hash` is its own.
    fn take(&mut self, hash: u64, bucket: usize, slot: usize) -> Option<T> {
        let entry = self.buckets[bucket].slots[slot].take()?;
        self.buckets[bucket].tags[slot] = 0;
        self.len -= 1;
        let mut at = self.home(hash);
        while at != bucket {
            let passed = &mut self.buckets[at].tags[PASSED];
            // At 255 the true number is unknown.
            if *passed != u8::MAX {
                *passed -= 1;
            }
            at = self.after(at);
        }
        Some(entry)
    }

    /// Empties a segment that is about to be replaced.
    fn take_all(&mut self) -> Vec<(u64, T)> {
        let slots = self.buckets.iter_mut().flat_map(|bucket| &mut bucket.slots);
        let mut entries = Vec::with_capacity(self.len as usize);
        entries.extend(slots.filter_map(Option::take).map(|entry| (entry.hash(), entry)));
        entries
    }

    /// Whether one more entry would make the way to it too long: at seven eighths.
    fn is_full(&self) -> bool {
        8 * self.len as usize >= 7 * SLOTS * self.buckets.len()
    }

    /// Bucket and slot of the first element with this hash for which `is` holds.
    #[inline]
    fn position(&self, hash: u64, mut is: impl FnMut(&T) -> bool) -> Option<(usize, usize)> {
        let mut at = self.home(hash);
        for _ in 0..self.buckets.len() {
            let bucket = &self.buckets[at];
            let mut candidates = bucket.candidates(tag(hash));
            while candidates != 0 {
                let slot = candidates.trailing_zeros() as usize / 8;
                if bucket.slots[slot].as_ref().is_some_and(&mut is) {
                    return Some((at, slot));
                }
                candidates &= candidates - 1;
            }
            if bucket.tags[PASSED] == 0 {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// The bucket in which an entry with `hash` is looked for first.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        let part = (hash << self.level) >> (u64::BITS - HOME_BITS);
        ((part * self.buckets.len() as u64) >> HOME_BITS) as usize
    }

    #[inline]
    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets.len() { 0 } else { bucket + 1 }
    }

    /// All buckets, beginning with `home`.
    fn path(&self, home: usize) -> impl Iterator<Item = usize> {
        (home..self.buckets.len()).chain(0..home)
    }
}

impl<T> Bucket<T> {
    /// The slots whose tag is `tag`: bit 7 of byte `slot` is set. A few more may be, of slots with other tags.
    #[inline]
    fn candidates(&self, tag: u8) -> u64 {
        const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
        const SLOT_BITS: u64 = 0x0080_8080_8080_8080;
        let differences = u64::from_le_bytes(self.tags) ^ (u64::from(tag) * LOW);
        // The top bit of every byte that is zero; a borrow may mark the byte above one as well.
        differences.wrapping_sub(LOW) & !differences & SLOT_BITS
    }
}

/// The part of a hash that is compared first: bits that address neither segment nor bucket, never zero.
#[inline]
fn tag(hash: u64) -> u8 {
    (hash as u8).max(1)
}

/// Buckets for `len` entries and a quarter more: as many as are needed below a segment, in steps of a quarter.
fn buckets_for(len: usize) -> usize {
    let buckets = (len + len / 4 + 1).div_ceil(SLOTS - 1);
    buckets.next_multiple_of(1 << buckets.ilog2().saturating_sub(2))
}

fn cost(entry: &Entry) -> usize {
    entry.size()
        + match entry.raw() {
            Raw::Shared(bytes) => bytes.capacity() + size_of::<Vec<u8>>() + 2 * size_of::<usize>(),
            _ => 0,
        }
}

/// The entries of a table, in no particular order.
pub struct Iter<'a, T = Entry> {
    segments: std::slice::Iter<'a, Segment<T>>,
    buckets: std::slice::Iter<'a, Bucket<T>>,
    slots: std::slice::Iter<'a, Option<T>>,
    left: usize,
}

impl<T> Clone for Iter<'_, T> {
    fn clone(&self) -> Self {
        let Self { segments, buckets, slots, left } = self;
        Self { segments: segments.clone(), buckets: buckets.clone(), slots: slots.clone(), left: *left }
    }
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a T;

    #[inline]
    fn next(&mut self) -> Option<&'a T> {
        loop {
            if let Some(entry) = self.slots.by_ref().flatten().next() {
                self.left -= 1;
                return Some(entry);
            }
            if let Some(bucket) = self.buckets.next() {
                self.slots = bucket.slots.iter();
            } else {
                self.buckets = self.segments.next()?.buckets.iter();
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

#[cfg(all(test, not(kiba_loom)))]
mod tests;
