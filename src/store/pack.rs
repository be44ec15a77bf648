//! A sequence of byte strings in one byte string: the compact form of lists, sets and hashes.
//!
//! ```text
//! pack   varint count, frame*
//! frame  varint length, the element's bytes, the same varint mirrored
//! varint 7 bits a byte, least significant first, bit 7 set on all but the last; never longer than needed
//! ```
//!
//! The mirrored length lets a reader walk from the back, so both ends and everything near them are cheap. An
//! element below 128 bytes costs two bytes more than itself; the header is one byte up to 127 elements.
//!
//! Readers rely on validity (they panic on nonsense, they never read outside the slice). Bytes from elsewhere
//! go through [`Pack::validate`] first.

use super::Entry;

/// Bytes that can be edited in place: a vector, or the inline value of an entry.
pub trait Buffer {
    fn bytes(&self) -> &[u8];
    fn bytes_mut(&mut self) -> &mut [u8];
    /// Replaces `remove` bytes at `at` by `added` others, which are for the caller to write, and gives all bytes.
    fn open(&mut self, at: usize, remove: usize, added: usize) -> &mut [u8];

    /// Replaces `remove` bytes at `at` by the concatenation of `insert`.
    fn splice(&mut self, at: usize, remove: usize, insert: &[&[u8]]) {
        let added = insert.iter().map(|part| part.len()).sum();
        let mut gap = &mut self.open(at, remove, added)[at..];
        for part in insert {
            let (here, rest) = gap.split_at_mut(part.len());
            here.copy_from_slice(part);
            gap = rest;
        }
    }
}

impl Buffer for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    fn open(&mut self, at: usize, remove: usize, added: usize) -> &mut [u8] {
        let old_len = self.len();
        if added > remove {
            self.resize(old_len + added - remove, 0);
        }
        self.copy_within(at + remove..old_len, at + added);
        self.truncate(old_len - remove + added);
        self
    }
}

/// The inline value; a collection's own code calls these only for the inline kinds.
impl Buffer for Entry {
    fn bytes(&self) -> &[u8] {
        match self.raw() {
            super::Raw::Inline(_, bytes) => bytes,
            _ => unreachable!("an inline kind"),
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.inline_mut().expect("an inline kind")
    }

    fn open(&mut self, at: usize, remove: usize, added: usize) -> &mut [u8] {
        Entry::open(self, at, remove, added)
    }
}

/// The encoding of a pack without elements.
pub const EMPTY: &[u8] = &[0];

/// A read view of a pack.
#[derive(Clone, Copy)]
pub struct Pack<'a>(&'a [u8]);

impl<'a> Pack<'a> {
    /// Wraps bytes that this module wrote or [`Pack::validate`] accepted.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether `bytes` are a pack: frames end to end, lengths in shortest form, the count right.
    ///
    /// It does not look at what the elements are; a set's must still be checked for doubles.
    pub fn validate(bytes: &[u8]) -> bool {
        let Some((count, mut at)) = decode(bytes.iter()) else { return false };
        let mut seen = 0_usize;
        while at < bytes.len() {
            let Some((len, head)) = decode(bytes[at..].iter()) else { return false };
            let data_end = (at + head).checked_add(len);
            let Some(end) = data_end.and_then(|end| end.checked_add(head)).filter(|end| *end <= bytes.len()) else {
                return false;
            };
            if !bytes[at..at + head].iter().eq(bytes[end - head..end].iter().rev()) {
                return false;
            }
            seen += 1;
            at = end;
        }
        seen == count
    }

    /// Number of elements. O(1).
    #[inline]
    pub fn len(self) -> usize {
        head(self.0, 0).0
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The whole encoding.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The frames without the header.
    pub fn body(self) -> &'a [u8] {
        &self.0[self.body_at()..]
    }

    /// Where the first frame begins.
    #[inline]
    pub fn body_at(self) -> usize {
        head(self.0, 0).1
    }

    #[inline]
    pub fn frames(self) -> Frames<'a> {
        Frames::new(self.0, self.body_at(), self.0.len())
    }

    /// The elements in order.
    pub fn iter(self) -> Iter<'a> {
        Iter { frames: self.frames(), left: self.len() }
    }

    /// The elements from `start` on, found from the nearer end; empty past the end.
    pub fn iter_from(self, start: usize) -> Iter<'a> {
        match self.frame(start) {
            Some(frame) => Iter { frames: Frames::new(self.0, frame.at, self.0.len()), left: self.len() - start },
            None => Iter { frames: Frames::new(self.0, 0, 0), left: 0 },
        }
    }

    /// The element at `index`, reached from the nearer end.
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        self.frame(index).map(|frame| frame.data)
    }

    /// The frame of the element at `index`, reached from the nearer end.
    pub fn frame(self, index: usize) -> Option<Frame<'a>> {
        nth(self.frames(), self.len(), index)
    }

    /// The frame that begins at `at`; `None` at the end.
    #[inline]
    pub fn frame_at(self, at: usize) -> Option<Frame<'a>> {
        if at >= self.0.len() {
            return None;
        }
        let (len, width) = head(self.0, at);
        Some(Frame { at, data: &self.0[at + width..at + width + len] })
    }

    /// The first element equal to `needle`, looking at every `step`-th one.
    pub fn find(self, needle: &[u8], step: usize) -> Option<Frame<'a>> {
        self.find_from(self.body_at(), needle, step)
    }

    /// As [`Pack::find`], beginning with the frame at `at`.
    #[inline]
    pub fn find_from(self, mut at: usize, needle: &[u8], step: usize) -> Option<Frame<'a>> {
        let bytes = self.0;
        let needle = Needle::new(needle);
        while at < bytes.len() {
            let (len, width) = head(bytes, at);
            if needle.has_len(len) && needle.is_at(bytes, at + width) {
                return Some(Frame { at, data: &bytes[at + width..at + width + len] });
            }
            at += len + 2 * width;
            for _ in 1..step {
                let (len, width) = head(bytes, at);
                at += len + 2 * width;
            }
        }
        None
    }
}

/// Bytes that are looked for, ready to be compared with many others of the same length.
///
/// Up to sixteen are compared as one or two words, without a call. Of longer ones the last eight bytes are looked at
/// first: names that have much in common mostly begin alike.
#[derive(Clone, Copy)]
pub struct Needle<'a> {
    bytes: &'a [u8],
    /// The first eight bytes; of fewer all, with zeros behind them.
    first: u64,
    last: u64,
    /// Which bits of `first` there are.
    mask: u64,
}

impl<'a> Needle<'a> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some(first), Some(last)) => {
                Self { bytes, first: u64::from_le_bytes(*first), last: u64::from_le_bytes(*last), mask: u64::MAX }
            }
            _ => {
                let mut first = [0; 8];
                first[..bytes.len()].copy_from_slice(bytes);
                Self { bytes, first: u64::from_le_bytes(first), last: 0, mask: (1 << (8 * bytes.len())) - 1 }
            }
        }
    }

    /// Whether there are `len` of them.
    #[inline]
    pub fn has_len(&self, len: usize) -> bool {
        len == self.bytes.len()
    }

    /// Whether `bytes` has them at `at`.
    #[inline]
    pub fn is_at(&self, bytes: &[u8], at: usize) -> bool {
        let word = |chunk: &[u8; 8]| u64::from_le_bytes(*chunk);
        let rest = &bytes[at..];
        let found = &rest[..self.bytes.len()];
        let Some(last) = found.last_chunk() else {
            // What is behind them is read as well, where there is anything.
            return rest
                .first_chunk()
                .map_or_else(|| found == self.bytes, |chunk| word(chunk) & self.mask == self.first);
        };
        let is_like = word(last) == self.last && found.first_chunk().is_some_and(|chunk| word(chunk) == self.first);
        is_like && (found.len() <= 16 || found == self.bytes)
    }
}

/// Inserts `values` as consecutive elements, the first one's frame at `at`. Gives the number of elements then.
pub fn insert<B: Buffer + ?Sized>(buffer: &mut B, at: usize, values: &[&[u8]]) -> usize {
    let bytes = splice_frames(buffer, at, 0, values);
    let old = head(bytes, 0).0;
    let count = old + values.len();
    if count < 0x80 {
        bytes[0] = count as u8;
    } else {
        recount(buffer, old, count);
    }
    count
}

/// Adds `values` after the last element.
pub fn append<B: Buffer + ?Sized>(buffer: &mut B, values: &[&[u8]]) {
    let at = buffer.bytes().len();
    insert(buffer, at, values);
}

/// Removes `count` elements that begin at `at` and take `bytes` encoded bytes.
pub fn remove<B: Buffer + ?Sized>(buffer: &mut B, at: usize, bytes: usize, count: usize) {
    let rest = buffer.open(at, bytes, 0);
    match head(rest, 0).0 {
        old if old < 0x80 => rest[0] = (old - count) as u8,
        old => recount(buffer, old, old - count),
    }
}

/// Replaces the frame at `at`, `bytes` long, by one of `value`.
pub fn replace<B: Buffer + ?Sized>(buffer: &mut B, at: usize, bytes: usize, value: &[u8]) {
    if bytes == framed(value.len()) {
        let start = at + width(value.len());
        buffer.bytes_mut()[start..start + value.len()].copy_from_slice(value);
    } else {
        splice_frames(buffer, at, bytes, &[value]);
    }
}

/// The header of a pack with `count` elements, to be put before their frames.
pub fn header(count: usize) -> Varint {
    Varint::new(count)
}

/// Replaces `remove` bytes at `at` by the frames of `values`, and gives all bytes.
#[inline]
fn splice_frames<'b, B: Buffer + ?Sized>(
    buffer: &'b mut B,
    at: usize,
    remove: usize,
    values: &[&[u8]],
) -> &'b mut [u8] {
    let added = values.iter().map(|value| framed(value.len())).sum();
    let bytes = buffer.open(at, remove, added);
    let mut gap = &mut bytes[at..];
    for value in values {
        let (frame, rest) = gap.split_at_mut(framed(value.len()));
        write_frame(frame, value);
        gap = rest;
    }
    bytes
}

/// Gives a pack that has become one of `count` elements the header for that.
#[inline(never)]
fn recount<B: Buffer + ?Sized>(buffer: &mut B, old: usize, count: usize) {
    let header = Varint::new(count);
    if header.bytes().len() == width(old) {
        buffer.bytes_mut()[..width(old)].copy_from_slice(header.bytes());
    } else {
        buffer.splice(0, width(old), &[header.bytes()]);
    }
}

/// One element and where its frame begins.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub at: usize,
    pub data: &'a [u8],
}

impl Frame<'_> {
    /// Bytes of the whole frame.
    #[inline]
    pub fn size(&self) -> usize {
        framed(self.data.len())
    }

    /// Where the next frame begins.
    #[inline]
    pub fn end(&self) -> usize {
        self.at + self.size()
    }
}

/// A walk over frames from either end.
#[derive(Clone)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    front: usize,
    back: usize,
}

impl<'a> Frames<'a> {
    pub const NONE: Self = Self { bytes: &[], front: 0, back: 0 };

    /// The frames that fill `bytes[from..to]`.
    #[inline]
    pub fn new(bytes: &'a [u8], from: usize, to: usize) -> Self {
        Self { bytes, front: from, back: to }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    #[inline]
    fn next(&mut self) -> Option<Frame<'a>> {
        if self.front >= self.back {
            return None;
        }
        let at = self.front;
        let (len, width) = head(self.bytes, at);
        self.front = at + len + 2 * width;
        Some(Frame { at, data: &self.bytes[at + width..at + width + len] })
    }
}

impl<'a> DoubleEndedIterator for Frames<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Frame<'a>> {
        if self.front >= self.back {
            return None;
        }
        let (len, width) = tail(self.bytes, self.back);
        let end = self.back - width;
        self.back = end - len - width;
        Some(Frame { at: self.back, data: &self.bytes[end - len..end] })
    }
}

/// The elements of a pack from either end.
#[derive(Clone)]
pub struct Iter<'a> {
    frames: Frames<'a>,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let frame = self.frames.next()?;
        self.left -= 1;
        Some(frame.data)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a [u8]> {
        let frame = self.frames.next_back()?;
        self.left -= 1;
        Some(frame.data)
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// The frame at `index` of `count` frames, reached from the nearer end.
pub(super) fn nth<'a>(mut frames: Frames<'a>, count: usize, index: usize) -> Option<Frame<'a>> {
    if index >= count {
        None
    } else if index < count / 2 {
        frames.nth(index)
    } else {
        frames.nth_back(count - 1 - index)
    }
}

/// Bytes of the frame of an element of `len` bytes.
#[inline]
pub const fn framed(len: usize) -> usize {
    len + 2 * width(len)
}

/// Writes the frame of `value` over `out`, which is exactly as long.
#[inline]
pub(super) fn write_frame(out: &mut [u8], value: &[u8]) {
    if let (1, [first, data @ .., last]) = (width(value.len()), &mut *out) {
        *first = value.len() as u8;
        data.copy_from_slice(value);
        *last = value.len() as u8;
        return;
    }
    let head = Varint::new(value.len());
    let width = head.bytes().len();
    out[..width].copy_from_slice(head.bytes());
    out[width..width + value.len()].copy_from_slice(value);
    out[width + value.len()..].copy_from_slice(head.mirrored().bytes());
}

/// An encoded length or count.
#[derive(Clone, Copy, Debug)]
pub struct Varint {
    bytes: [u8; 10],
    len: u8,
}

impl Varint {
    fn new(mut value: usize) -> Self {
        let mut bytes = [0; 10];
        let mut len = 0;
        while value >= 0x80 {
            bytes[len] = value as u8 | 0x80;
            value >>= 7;
            len += 1;
        }
        bytes[len] = value as u8;
        Self { bytes, len: len as u8 + 1 }
    }

    fn mirrored(mut self) -> Self {
        self.bytes[..self.len as usize].reverse();
        self
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }
}

/// Bytes of the varint of `value`.
#[inline]
const fn width(value: usize) -> usize {
    if value < 0x80 { 1 } else { (usize::BITS - value.leading_zeros()).div_ceil(7) as usize }
}

/// The varint at `at`: its value and its width.
#[inline]
pub(super) fn head(bytes: &[u8], at: usize) -> (usize, usize) {
    let first = bytes[at];
    if first < 0x80 { (first as usize, 1) } else { long_head(&bytes[at..]) }
}

/// The mirrored varint that ends before `end`.
#[inline]
fn tail(bytes: &[u8], end: usize) -> (usize, usize) {
    let last = bytes[end - 1];
    if last < 0x80 { (last as usize, 1) } else { long_tail(&bytes[..end]) }
}

#[inline(never)]
fn long_head(bytes: &[u8]) -> (usize, usize) {
    decode(bytes.iter()).expect("a valid pack")
}

#[inline(never)]
fn long_tail(bytes: &[u8]) -> (usize, usize) {
    decode(bytes.iter().rev()).expect("a valid pack")
}

/// Decodes a varint in shortest form that fits a `usize`: value and width.
fn decode<'a>(bytes: impl Iterator<Item = &'a u8>) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (at, byte) in bytes.enumerate() {
        let bits = usize::from(byte & 0x7F);
        let shift = 7 * at as u32;
        if shift >= usize::BITS || (bits << shift) >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if *byte < 0x80 {
            return (*byte != 0 || at == 0).then_some((value, at + 1));
        }
    }
    None
}

#[cfg(all(test, not(kiba_loom)))]
mod tests;
