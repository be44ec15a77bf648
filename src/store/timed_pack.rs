//! Small hashes whose fields may have deadlines: a pack of triples inside the entry.
//!
//! ```text
//! triple     field, value, deadline
//! deadline   nothing, or 6 bytes: ms since the Unix epoch, least significant first
//! ```
//!
//! Triples are in the order of their deadlines, those without one last (Redis' `listpackex` has the same order, and so
//! have the replies). What is due is at the front, and whether everything is due shows at the back: neither needs a
//! walk. A field costs two bytes more than in a plain pack, one with a deadline eight.

use super::pack::{self, Buffer, Frame, Frames, Pack, framed};
use super::timed::DEADLINE_MAX;
use super::{Content, Entry, Kind};

/// Elements of a triple.
const TRIPLE: usize = 3;

/// The triples that are not due yet.
#[derive(Clone, Copy)]
pub struct TimedPack<'a> {
    pack: Pack<'a>,
    /// Where the first of them begins.
    start: usize,
    len: usize,
}

/// One field with its value and deadline.
#[derive(Clone, Copy)]
pub struct Triple<'a> {
    pub field: Frame<'a>,
    pub value: Frame<'a>,
    deadline: Frame<'a>,
}

impl Triple<'_> {
    pub fn deadline(&self) -> Option<u64> {
        decode(self.deadline.data)
    }

    fn size(&self) -> usize {
        self.deadline.end() - self.field.at
    }
}

impl<'a> TimedPack<'a> {
    pub fn new(bytes: &'a [u8], now: u64) -> Self {
        let pack = Pack::new(bytes);
        let mut live = Self { pack, start: pack.body_at(), len: pack.len() / TRIPLE };
        let is_due = |triple: &Triple<'_>| triple.deadline().is_some_and(|at| at <= now);
        for due in live.triples().take_while(is_due) {
            live.start = due.deadline.end();
            live.len -= 1;
        }
        live
    }

    pub fn len(self) -> usize {
        self.len
    }

    #[inline]
    pub fn find(self, field: &[u8]) -> Option<Triple<'a>> {
        let field = self.pack.find_from(self.start, field, TRIPLE)?;
        self.triples_from(field.at).next()
    }

    pub fn triples(self) -> Triples<'a> {
        self.triples_from(self.start)
    }

    fn triples_from(self, at: usize) -> Triples<'a> {
        Triples { frames: Frames::new(self.pack.bytes(), at, self.pack.bytes().len()), left: self.len }
    }
}

#[derive(Clone)]
pub struct Triples<'a> {
    frames: Frames<'a>,
    /// How many there are; a bound for a walk that began in the middle.
    left: usize,
}

impl<'a> Iterator for Triples<'a> {
    type Item = Triple<'a>;

    #[inline]
    fn next(&mut self) -> Option<Triple<'a>> {
        let (field, value, deadline) = (self.frames.next()?, self.frames.next()?, self.frames.next()?);
        self.left -= 1;
        Some(Triple { field, value, deadline })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

/// The first deadline.
pub fn first_deadline(bytes: &[u8]) -> Option<u64> {
    Pack::new(bytes).frame(TRIPLE - 1).and_then(|frame| decode(frame.data))
}

/// Whether nothing is left that is not due.
pub fn is_spent(bytes: &[u8], now: u64) -> bool {
    let pack = Pack::new(bytes);
    let last = Frames::new(bytes, pack.body_at(), bytes.len()).next_back();
    last.is_none_or(|last| decode(last.data).is_some_and(|at| at <= now))
}

/// Makes a plain pack one of triples; false when it does not fit into `bytes_max`.
pub fn convert(entry: &mut Entry, bytes_max: usize) -> bool {
    let pack = Pack::new(entry.bytes());
    let count = pack.len() / 2;
    if pack.bytes().len() + framed(0) * count + MARGIN > bytes_max {
        return false;
    }
    let mut bytes = pack::EMPTY.to_vec();
    let mut elements = pack.iter();
    while let (Some(field), Some(value)) = (elements.next(), elements.next()) {
        pack::append(&mut bytes, &[field, value, b""]);
    }
    let deadline = entry.deadline();
    entry.replace(Content::Inline(Kind::HashTimed, &bytes), deadline);
    true
}

/// Bytes that the count and one deadline may take more than before.
const MARGIN: usize = 16;

/// Bytes that the pack has at most after `field` is set to `value` with a deadline.
pub fn size_after(bytes: &[u8], field: &[u8], value: &[u8]) -> usize {
    bytes.len() + framed(field.len()) + framed(value.len()) + framed(DEADLINE_BYTES) + MARGIN
}

/// Adds a field that is not there.
pub fn insert(entry: &mut Entry, field: &[u8], value: &[u8], deadline: Option<u64>) {
    let Some(deadline) = deadline else { return pack::append(entry, &[field, value, b""]) };
    let all = TimedPack::new(entry.bytes(), 0);
    let later = all.triples().find(|triple| triple.deadline().is_none_or(|at| at >= deadline));
    let at = later.map_or(entry.bytes().len(), |triple| triple.field.at);
    pack::insert(entry, at, &[field, value, &encode(deadline)]);
}

/// Sets or clears the deadline of `field`. False when there is no such field.
pub fn set_deadline(entry: &mut Entry, field: &[u8], deadline: Option<u64>) -> bool {
    let Some(triple) = TimedPack::new(entry.bytes(), 0).find(field) else { return false };
    if triple.deadline() == deadline {
        return true;
    }
    let value = triple.value.data.to_vec();
    let (at, size) = (triple.field.at, triple.size());
    pack::remove(entry, at, size, TRIPLE);
    insert(entry, field, &value, deadline);
    true
}

/// Removes `field`; false when it was not there.
pub fn remove(entry: &mut Entry, field: &[u8]) -> bool {
    let Some(triple) = TimedPack::new(entry.bytes(), 0).find(field) else { return false };
    let (at, size) = (triple.field.at, triple.size());
    pack::remove(entry, at, size, TRIPLE);
    true
}

/// Removes the fields that are due; how many.
pub fn expire(entry: &mut Entry, now: u64) -> usize {
    let all = TimedPack::new(entry.bytes(), 0);
    let is_due = |triple: &Triple<'_>| triple.deadline().is_some_and(|at| at <= now);
    let due = all.triples().take_while(is_due);
    let (end, count) = due.fold((all.start, 0), |(_, count), triple| (triple.deadline.end(), count + 1));
    let size = end - all.start;
    if count > 0 {
        pack::remove(entry, Pack::new(entry.bytes()).body_at(), size, TRIPLE * count);
    }
    count
}

const DEADLINE_BYTES: usize = 6;

fn encode(deadline: u64) -> [u8; DEADLINE_BYTES] {
    *deadline.min(DEADLINE_MAX).to_le_bytes().first_chunk().expect("8 bytes")
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let bytes: &[u8; DEADLINE_BYTES] = bytes.try_into().ok()?;
    let mut wide = [0; 8];
    wide[..DEADLINE_BYTES].copy_from_slice(bytes);
    Some(u64::from_le_bytes(wide))
}
