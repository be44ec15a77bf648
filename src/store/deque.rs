//! A large list: a deque of chunks.
//!
//! Pushing and popping at both ends is amortised O(1); an index is found by skipping whole chunks from the
//! nearer end. Chunks stay within the limit given with each edit, except that an element larger than it has a
//! chunk to itself. Sparse neighbours are merged when elements are removed.

use std::collections::VecDeque;
use std::collections::vec_deque;

use super::chunk::{Chunk, End};
use super::copy::{Budget, Copied};
use super::limits::ChunkLimit;
use super::pack::{Frames, Pack, framed};

/// Capacity of the first chunks of a list; later ones are allocated whole, since the list is long already.
const FIRST_CAPACITY: usize = 512;
const FIRST_CHUNKS: usize = 8;

/// Largest buffer that is kept for reuse: the largest chunk that can be configured.
const SPARE_MAX: usize = 64 * 1024;

#[derive(Clone, Debug, Default)]
pub struct Deque {
    chunks: VecDeque<Chunk>,
    len: usize,
    /// The buffer of the chunk last emptied by popping, for the next one: a list used as a stack crosses the same
    /// border again and again, and a queue frees as many chunks as it fills. Kept only by lists of several
    /// chunks, to which one more is little.
    spare: Vec<u8>,
}

impl Deque {
    /// A large list with the elements of a small one.
    pub fn from_pack(pack: Pack<'_>) -> Self {
        let mut deque = Self { len: pack.len(), ..Self::default() };
        if !pack.is_empty() {
            deque.chunks.push_back(Chunk::from_frames(pack.body(), pack.len()));
        }
        deque
    }

    /// The beginning of a copy of `from`, without any elements.
    pub(super) fn unfinished(from: &Self) -> Self {
        Self { chunks: VecDeque::with_capacity(from.chunks.len()), len: 0, spare: Vec::new() }
    }

    /// Copies more chunks of `from`, of which this is a copy that is not finished.
    pub(super) fn extend_from(&mut self, from: &Self, budget: &mut Budget) -> Copied {
        /// Bytes that take about as long as the overhead of one element.
        const BYTES: usize = 64;
        if self.chunks.len() > from.chunks.len() {
            return Copied::Changed;
        }
        for chunk in from.chunks.range(self.chunks.len()..) {
            if !budget.spend(chunk.len() + chunk.used() / BYTES) {
                return Copied::Some;
            }
            self.len += chunk.len();
            self.chunks.push_back(chunk.clone());
        }
        if self.len == from.len { Copied::All } else { Copied::Changed }
    }

    /// Adds an element at `end`.
    #[inline]
    pub fn push(&mut self, end: End, value: &[u8], limit: ChunkLimit) {
        let chunk = match end {
            End::Front => self.chunks.front_mut(),
            End::Back => self.chunks.back_mut(),
        };
        match chunk {
            Some(chunk) if chunk.admits(value.len(), limit) => chunk.push(end, value, limit),
            _ => self.push_chunk(end, value, limit),
        }
        self.len += 1;
    }

    /// Hands the element at `end` to `take` and removes it. None when the list is empty.
    #[inline]
    pub fn pop<R>(&mut self, end: End, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let chunk = match end {
            End::Front => self.chunks.front_mut(),
            End::Back => self.chunks.back_mut(),
        }?;
        let taken = chunk.pop(end, take)?;
        self.len -= 1;
        if chunk.is_empty() {
            self.pop_chunk(end);
        }
        Some(taken)
    }

    /// Replaces the element at `index`; false when there is none.
    pub fn set(&mut self, index: usize, value: &[u8], limit: ChunkLimit) -> bool {
        let Some((at, inner)) = self.locate(index) else { return false };
        let chunk = &mut self.chunks[at];
        let old = framed(chunk.get(inner).expect("located").len());
        if chunk.len() == 1 || limit.allows(chunk.used() - old + framed(value.len()), chunk.len()) {
            chunk.replace(inner, value);
        } else {
            self.insert(index, value, limit);
            self.remove(index + 1, 1, limit);
        }
        true
    }

    /// Inserts `value` before the element at `index`, at most the length.
    pub fn insert(&mut self, index: usize, value: &[u8], limit: ChunkLimit) {
        if index == 0 {
            return self.push(End::Front, value, limit);
        }
        let Some((at, inner)) = self.locate(index) else {
            return self.push(End::Back, value, limit);
        };
        self.len += 1;
        if self.chunks[at].admits(value.len(), limit) {
            return self.chunks[at].insert(inner, value, limit);
        }
        if inner == 0 {
            // Between two chunks, the end of the one before may have room.
            if self.chunks[at - 1].admits(value.len(), limit) {
                return self.chunks[at - 1].push(End::Back, value, limit);
            }
            return self.chunks.insert(at, Chunk::sole(value, limit));
        }
        let right = self.chunks[at].split_off(inner);
        self.chunks.insert(at + 1, right);
        if self.chunks[at + 1].admits(value.len(), limit) {
            self.chunks[at + 1].push(End::Front, value, limit);
        } else if self.chunks[at].admits(value.len(), limit) {
            self.chunks[at].push(End::Back, value, limit);
        } else {
            return self.chunks.insert(at + 1, Chunk::sole(value, limit));
        }
        // Each half may fit into its neighbour, which keeps a list full that grows in the middle.
        self.join(at + 1, limit);
        if at > 0 {
            self.join(at - 1, limit);
        }
    }

    /// Removes up to `count` elements from `start` on. Returns how many.
    pub fn remove(&mut self, start: usize, count: usize, limit: ChunkLimit) -> usize {
        let count = count.min(self.len.saturating_sub(start));
        let Some((mut at, inner)) = self.locate(start) else { return 0 };
        let mut left = count;
        if inner > 0 && left > 0 {
            let chunk = &mut self.chunks[at];
            let here = left.min(chunk.len() - inner);
            chunk.remove(inner, here);
            left -= here;
            at += 1;
        }
        let mut whole = at;
        while let Some(chunk) = self.chunks.get(whole).filter(|chunk| chunk.len() <= left) {
            left -= chunk.len();
            whole += 1;
        }
        self.chunks.drain(at..whole);
        if left > 0 {
            self.chunks[at].remove(0, left);
        }
        self.len -= count;
        self.merge(at, limit);
        self.merge(at.saturating_sub(1), limit);
        count
    }

    /// Removes up to `max` elements equal to `value`, counted from `end`. Returns how many. O(length).
    pub fn remove_equal(&mut self, value: &[u8], max: usize, end: End, limit: ChunkLimit) -> usize {
        let mut removed = 0;
        let mut visit = |chunk: &mut Chunk| {
            if removed < max {
                removed += chunk.remove_equal(value, max - removed, end);
            }
        };
        match end {
            End::Front => self.chunks.iter_mut().for_each(&mut visit),
            End::Back => self.chunks.iter_mut().rev().for_each(&mut visit),
        }
        if removed > 0 {
            self.len -= removed;
            self.compact(limit);
        }
        removed
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The element at `index`, found by skipping chunks from the nearer end.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let (at, inner) = self.locate(index)?;
        self.chunks[at].get(inner)
    }

    pub fn iter(&self) -> Iter<'_> {
        Iter { front: Frames::NONE, chunks: self.chunks.iter(), back: Frames::NONE, left: self.len }
    }

    /// The elements from `start` on; empty past the end.
    pub fn iter_from(&self, start: usize) -> Iter<'_> {
        match self.locate(start) {
            Some((at, inner)) => Iter {
                front: self.chunks[at].frames_from(inner),
                chunks: self.chunks.range(at + 1..),
                back: Frames::NONE,
                left: self.len - start,
            },
            None => Iter { front: Frames::NONE, chunks: self.chunks.range(0..0), back: Frames::NONE, left: 0 },
        }
    }

    /// The only chunk, when there is just one and it is within `limit`.
    pub fn sole_chunk(&self, limit: ChunkLimit) -> Option<&Chunk> {
        let chunk = self.chunks.front().filter(|_| self.chunks.len() == 1)?;
        limit.allows(chunk.used(), chunk.len()).then_some(chunk)
    }

    /// Approximate bytes on the heap. O(chunks).
    pub fn heap_bytes(&self) -> usize {
        let chunks = self.chunks.capacity() * size_of::<Chunk>() + self.spare.capacity();
        chunks + self.chunks.iter().map(Chunk::capacity).sum::<usize>()
    }

    /// Number of allocations that dropping this frees.
    pub fn weight(&self) -> usize {
        self.chunks.len() + 2
    }

    #[cold]
    fn push_chunk(&mut self, end: End, value: &[u8], limit: ChunkLimit) {
        let size = framed(value.len());
        let whole = size.saturating_mul(limit.count).min(limit.bytes);
        let capacity = if self.chunks.len() < FIRST_CHUNKS { whole.min(FIRST_CAPACITY) } else { whole };
        let buffer = if size <= self.spare.capacity() { std::mem::take(&mut self.spare) } else { Vec::new() };
        let mut chunk = Chunk::open(end, buffer, capacity.max(size));
        chunk.push(end, value, limit);
        let count = self.chunks.len();
        match end {
            End::Front => self.chunks.push_front(chunk),
            End::Back => self.chunks.push_back(chunk),
        }
        // The chunk that was at this end before, unless it is still at the other end.
        if count > 1 {
            self.chunks[if end == End::Front { 1 } else { count - 1 }].settle();
        }
    }

    #[cold]
    fn pop_chunk(&mut self, end: End) {
        let chunk = match end {
            End::Front => self.chunks.pop_front(),
            End::Back => self.chunks.pop_back(),
        };
        let buffer = chunk.map(Chunk::into_buffer).unwrap_or_default();
        // An element larger than a chunk left a buffer that is not worth keeping.
        self.spare =
            if self.chunks.len() >= FIRST_CHUNKS && buffer.capacity() <= SPARE_MAX { buffer } else { Vec::new() };
    }

    /// Joins chunk `at` with its successor when both together fill less than half a chunk.
    ///
    /// The last two stay apart: Redis, which joins nothing here, would have two nodes at least, and shows it.
    fn merge(&mut self, at: usize, limit: ChunkLimit) {
        if self.chunks.len() > 2 {
            self.join(at, limit.half());
        }
    }

    /// Joins chunk `at` with its successor when both fit into one.
    fn join(&mut self, at: usize, limit: ChunkLimit) {
        let (Some(left), Some(right)) = (self.chunks.get(at), self.chunks.get(at + 1)) else { return };
        if limit.allows(left.used() + right.used(), left.len() + right.len()) {
            let right = self.chunks.remove(at + 1).expect("checked");
            self.chunks[at].append(&right);
        }
    }

    /// Drops empty chunks and merges sparse neighbours, in one pass; the last two stay apart, as in [`Deque::merge`].
    fn compact(&mut self, limit: ChunkLimit) {
        self.chunks.retain(|chunk| !chunk.is_empty());
        let mut left = self.chunks.len();
        let mut chunks: VecDeque<Chunk> = VecDeque::with_capacity(left);
        for chunk in std::mem::take(&mut self.chunks) {
            match chunks.back_mut() {
                Some(last) if left > 2 && limit.half().allows(last.used() + chunk.used(), last.len() + chunk.len()) => {
                    last.append(&chunk);
                    left -= 1;
                }
                _ => chunks.push_back(chunk),
            }
        }
        self.chunks = chunks;
    }

    /// The chunk of the element at `index`, and its index in there.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut left = index;
            for (at, chunk) in self.chunks.iter().enumerate() {
                if left < chunk.len() {
                    return Some((at, left));
                }
                left -= chunk.len();
            }
        } else {
            let mut end = self.len;
            for (at, chunk) in self.chunks.iter().enumerate().rev() {
                end -= chunk.len();
                if index >= end {
                    return Some((at, index - end));
                }
            }
        }
        unreachable!("the chunks hold as many elements as the list")
    }
}

/// The elements of a large list from either end.
#[derive(Clone)]
pub struct Iter<'a> {
    front: Frames<'a>,
    chunks: vec_deque::Iter<'a, Chunk>,
    back: Frames<'a>,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            if let Some(frame) = self.front.next() {
                self.left -= 1;
                return Some(frame.data);
            }
            match self.chunks.next() {
                Some(chunk) => self.front = chunk.frames(),
                None => {
                    let frame = self.back.next()?;
                    self.left -= 1;
                    return Some(frame.data);
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a [u8]> {
        loop {
            if let Some(frame) = self.back.next_back() {
                self.left -= 1;
                return Some(frame.data);
            }
            match self.chunks.next_back() {
                Some(chunk) => self.back = chunk.frames(),
                None => {
                    let frame = self.front.next_back()?;
                    self.left -= 1;
                    return Some(frame.data);
                }
            }
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}
