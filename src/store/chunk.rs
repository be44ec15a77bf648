//! One chunk of a large list: frames in a buffer with room at the end that grows.
//!
//! ```text
//! bytes   [ room in front | frames ... ] spare capacity
//!           0      start                 len      capacity
//! ```
//!
//! A chunk that is filled from the front has its room in front and grows backwards, so a push at either end
//! writes only the new frame. Popping moves a border. Nothing is shifted until the room is used up, and then
//! at least a quarter of the content's size becomes free again, which keeps both ends amortised O(1).

use super::limits::ChunkLimit;
use super::pack::{self, Buffer, Frame, Frames, framed};

/// Bytes that a listpack of Redis has besides its entries: a header of 6 and an end mark.
pub const LISTPACK_FRAME: usize = 7;

/// Bytes that Redis reckons with beside an element that is about to be added (`SIZE_ESTIMATE_OVERHEAD`).
const ENTRY_ESTIMATE: usize = 8;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Front,
    Back,
}

/// Some consecutive elements of a list.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    start: u32,
    count: u32,
}

impl Chunk {
    /// An empty chunk in `buffer`, whose room of at least `capacity` bytes is where pushes at `end` need it.
    pub fn open(end: End, mut buffer: Vec<u8>, capacity: usize) -> Self {
        buffer.reserve_exact(capacity.saturating_sub(buffer.len()));
        match end {
            End::Back => buffer.clear(),
            // Clears only what was never written, so that a buffer used before costs nothing.
            End::Front => buffer.resize(buffer.capacity(), 0),
        }
        Self { start: buffer.len() as u32, bytes: buffer, count: 0 }
    }

    /// A chunk of the frames in `body`, `count` of them.
    pub fn from_frames(body: &[u8], count: usize) -> Self {
        Self { bytes: body.to_vec(), start: 0, count: count as u32 }
    }

    /// A chunk of one element.
    pub fn sole(value: &[u8], limit: ChunkLimit) -> Self {
        let mut chunk = Self::open(End::Back, Vec::new(), framed(value.len()));
        chunk.push(End::Back, value, limit);
        chunk
    }

    /// Adds an element at `end`; the caller has checked [`Chunk::admits`].
    #[inline]
    pub fn push(&mut self, end: End, value: &[u8], limit: ChunkLimit) {
        let size = framed(value.len());
        match end {
            End::Back => {
                if self.bytes.capacity() - self.bytes.len() < size {
                    self.rebuild(end, size, limit);
                }
                let at = self.bytes.len();
                // The capacity is there, so this neither reallocates nor moves anything.
                self.bytes.resize(at + size, 0);
                pack::write_frame(&mut self.bytes[at..], value);
            }
            End::Front => {
                if self.start() < size {
                    self.rebuild(end, size, limit);
                }
                let at = self.start() - size;
                pack::write_frame(&mut self.bytes[at..at + size], value);
                self.start = at as u32;
            }
        }
        self.count += 1;
    }

    /// Hands the element at `end` to `take` and removes it. None when the chunk is empty.
    #[inline]
    pub fn pop<R>(&mut self, end: End, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let mut frames = self.frames();
        let frame = match end {
            End::Front => frames.next(),
            End::Back => frames.next_back(),
        }?;
        let (from, to) = (frame.at, frame.end());
        let taken = take(frame.data);
        match end {
            End::Front => self.start = to as u32,
            End::Back => self.bytes.truncate(from),
        }
        self.count -= 1;
        Some(taken)
    }

    /// Inserts `value` before the element at `index` (at most the count).
    pub fn insert(&mut self, index: usize, value: &[u8], limit: ChunkLimit) {
        if index == 0 {
            return self.push(End::Front, value, limit);
        }
        let Some(at) = self.frame(index).map(|frame| frame.at) else {
            return self.push(End::Back, value, limit);
        };
        let frame = frame_of(value);
        self.reserve(frame.len());
        Buffer::splice(&mut self.bytes, at, 0, &[&frame]);
        self.count += 1;
    }

    /// Replaces the element at `index`, which exists.
    pub fn replace(&mut self, index: usize, value: &[u8]) {
        let frame = self.frame(index).expect("in range");
        let (at, size) = (frame.at, frame.size());
        let frame = frame_of(value);
        self.reserve(frame.len().saturating_sub(size));
        Buffer::splice(&mut self.bytes, at, size, &[&frame]);
    }

    /// Removes `count` elements from `index` on; all of them exist.
    pub fn remove(&mut self, index: usize, count: usize) {
        let from = self.offset(index);
        let to = self.offset(index + count);
        if from == self.start() {
            self.start = to as u32;
        } else {
            self.bytes.drain(from..to);
        }
        self.count -= count as u32;
        // A chunk that lost most of its content would otherwise keep its memory.
        if self.used() < self.bytes.capacity() / 4 {
            self.shrink();
        }
    }

    /// Removes up to `max` elements equal to `value`, counted from `end`. Returns how many.
    pub fn remove_equal(&mut self, value: &[u8], max: usize, end: End) -> usize {
        let kept = without_equal(self.frames(), value, max, end);
        if kept.removed > 0 {
            self.bytes = kept.bytes;
            self.start = 0;
            self.count -= kept.removed as u32;
        }
        kept.removed
    }

    /// Moves the elements from `index` on into a new chunk.
    pub fn split_off(&mut self, index: usize) -> Self {
        let at = self.offset(index);
        let right = Self::from_frames(&self.bytes[at..], self.len() - index);
        self.bytes.truncate(at);
        self.count = index as u32;
        self.shrink();
        right
    }

    /// Adds the elements of `other` behind the own ones.
    pub fn append(&mut self, other: &Self) {
        self.reserve(other.used());
        self.bytes.extend_from_slice(other.body());
        self.count += other.count;
    }

    /// Gives back memory that is worth it, for a chunk that is no longer at an end.
    pub fn settle(&mut self) {
        if self.bytes.capacity() - self.used() > self.bytes.capacity() / 8 {
            self.shrink();
        }
    }

    /// The buffer of a chunk that became empty.
    pub fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the frames.
    pub fn used(&self) -> usize {
        self.bytes.len() - self.start()
    }

    /// Bytes allocated.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The encoded elements.
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.start()..]
    }

    /// Whether one more element of `len` bytes keeps the chunk within `limit`, in Redis' estimate of its listpack.
    #[inline]
    pub fn admits(&self, len: usize, limit: ChunkLimit) -> bool {
        limit.allows(LISTPACK_FRAME + self.used() + len + ENTRY_ESTIMATE, self.len() + 1)
    }

    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.frame(index).map(|frame| frame.data)
    }

    #[inline]
    pub fn frames(&self) -> Frames<'_> {
        Frames::new(&self.bytes, self.start(), self.bytes.len())
    }

    /// The frames from `index` on.
    pub fn frames_from(&self, index: usize) -> Frames<'_> {
        Frames::new(&self.bytes, self.offset(index), self.bytes.len())
    }

    /// Reallocates so that at least `size` bytes are free at `end`.
    #[cold]
    fn rebuild(&mut self, end: End, size: usize, limit: ChunkLimit) {
        let (used, capacity) = (self.used(), self.bytes.capacity());
        let needed = used + size;
        let target = if capacity >= needed + used / 4 {
            // Elements were popped at the other end: enough is free, only on the wrong side.
            capacity
        } else if capacity < limit.bytes {
            needed.max((2 * used).max(128).min(limit.bytes))
        } else {
            // Full, and used as a queue within one chunk: a quarter more room than content.
            needed.max(limit.bytes + limit.bytes / 4)
        };
        let room = match end {
            End::Front => target - used,
            End::Back => 0,
        };
        let mut bytes = Vec::with_capacity(target);
        bytes.resize(room, 0);
        bytes.extend_from_slice(self.body());
        self.bytes = bytes;
        self.start = room as u32;
    }

    /// Makes room for `size` more bytes and, if there was none, some to spare: an eighth, since doubling would leave
    /// half of every chunk empty that is edited in the middle.
    fn reserve(&mut self, size: usize) {
        if self.bytes.capacity() - self.bytes.len() < size {
            self.bytes.reserve_exact(size + self.used() / 8);
        }
    }

    fn shrink(&mut self) {
        self.bytes = self.body().to_vec();
        self.start = 0;
    }

    #[inline]
    fn start(&self) -> usize {
        self.start as usize
    }

    fn frame(&self, index: usize) -> Option<Frame<'_>> {
        pack::nth(self.frames(), self.len(), index)
    }

    fn offset(&self, index: usize) -> usize {
        self.frame(index).map_or(self.bytes.len(), |frame| frame.at)
    }
}

fn frame_of(value: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; framed(value.len())];
    pack::write_frame(&mut frame, value);
    frame
}

/// What is left of some frames.
pub struct Kept {
    pub bytes: Vec<u8>,
    pub removed: usize,
}

/// Copies `frames` without up to `max` elements equal to `value`, counted from `end`.
pub fn without_equal(frames: Frames<'_>, value: &[u8], max: usize, end: End) -> Kept {
    let (mut matches, mut total) = (0, 0);
    for frame in frames.clone() {
        matches += usize::from(frame.data == value);
        total += frame.size();
    }
    let removed = matches.min(max);
    if removed == 0 {
        return Kept { bytes: Vec::new(), removed };
    }
    // Counted in list order, the first `spared` matches stay when removal starts at the back.
    let spared = match end {
        End::Front => 0,
        End::Back => matches - removed,
    };
    let mut bytes = Vec::with_capacity(total - removed * framed(value.len()));
    let mut seen = 0;
    for frame in frames {
        if frame.data == value {
            seen += 1;
            if seen > spared && seen <= spared + removed {
                continue;
            }
        }
        let at = bytes.len();
        bytes.resize(at + frame.size(), 0);
        pack::write_frame(&mut bytes[at..], frame.data);
    }
    Kept { bytes, removed }
}
