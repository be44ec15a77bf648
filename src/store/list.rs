//! Lists: a pack inside the entry while small, a deque of chunks beyond.
//!
//! The border is `list-max-listpack-size`. As in Redis 7.2 and later, a large list that shrinks to a single
//! chunk of half that size goes back into its entry.

use smallvec::SmallVec;

use super::chunk::{LISTPACK_FRAME, without_equal};
use super::deque::{self, Deque};
use super::limits::{ChunkLimit, INLINE_BYTES_MAX, ListLimits};
use super::pack::{self, Buffer, Pack, framed};
use super::{Content, Entry, Kind, Object, Raw};

pub use super::chunk::End;

/// Makes an empty list.
pub fn create(key: &[u8], clock: u32) -> Entry {
    Entry::new(key, Content::Inline(Kind::ListPack, pack::EMPTY), None, clock)
}

/// A borrowed list.
#[derive(Clone, Copy)]
pub enum View<'a> {
    Packed(Pack<'a>),
    Large(&'a Deque),
}

impl<'a> View<'a> {
    /// The list in `entry`; None when it holds something else.
    #[inline]
    pub fn of(entry: &'a Entry) -> Option<Self> {
        match entry.raw() {
            Raw::Inline(Kind::ListPack, bytes) => Some(Self::Packed(Pack::new(bytes))),
            Raw::Boxed(Object::List(deque)) => Some(Self::Large(deque)),
            _ => None,
        }
    }

    pub fn len(self) -> usize {
        match self {
            Self::Packed(pack) => pack.len(),
            Self::Large(deque) => deque.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element at `index` from the front, reached from the nearer end.
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        match self {
            Self::Packed(pack) => pack.get(index),
            Self::Large(deque) => deque.get(index),
        }
    }

    /// The elements in order, from either end.
    pub fn iter(self) -> Iter<'a> {
        match self {
            Self::Packed(pack) => Iter(Inner::Pack(pack.iter())),
            Self::Large(deque) => Iter(Inner::Large(deque.iter())),
        }
    }

    /// Up to `count` elements from `start` on; fewer or none past the end.
    ///
    /// Cost: O(chunks from the nearer end) to get there, then O(1) an element.
    pub fn range(self, start: usize, count: usize) -> std::iter::Take<Iter<'a>> {
        let from = match self {
            Self::Packed(pack) => Iter(Inner::Pack(pack.iter_from(start))),
            Self::Large(deque) => Iter(Inner::Large(deque.iter_from(start))),
        };
        from.take(count)
    }

    /// What `OBJECT ENCODING` answers.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::Large(_) => "quicklist",
        }
    }
}

/// A list that is being changed. An emptied one stays: the caller looks at [`Edit::len`] and removes the key.
pub struct Edit<'a> {
    entry: &'a mut Entry,
    limits: &'a ListLimits,
    /// See [`Edit::keeping_form`].
    keeps_form: bool,
}

impl<'a> Edit<'a> {
    /// The list in `entry`; None when it holds something else.
    pub fn of(entry: &'a mut Entry, limits: &'a ListLimits) -> Option<Self> {
        View::of(entry)?;
        Some(Self { entry, limits, keeps_form: false })
    }

    /// For a list that may get back what is taken from it: a large one stays large until [`Edit::settle`].
    pub fn keeping_form(self) -> Self {
        Self { keeps_form: true, ..self }
    }

    /// Adds `values` at `end`, one after the other, and gives the length then. Amortised O(1) each.
    pub fn push_all<'v>(&mut self, end: End, values: impl ExactSizeIterator<Item = &'v [u8]> + Clone) -> usize {
        if let Some(pack) = self.pack() {
            if self.admits(pack, values.clone()) {
                let at = match end {
                    End::Front => pack.body_at(),
                    End::Back => pack.bytes().len(),
                };
                let mut one = values.clone();
                if let (Some(value), None) = (one.next(), one.next()) {
                    return pack::insert(self.entry, at, &[value]);
                }
                let mut values: SmallVec<[&[u8]; 4]> = values.collect();
                if end == End::Front {
                    values.reverse();
                }
                return pack::insert(self.entry, at, &values);
            }
            self.grow();
        }
        let limit = self.limits.chunk();
        let deque = self.deque();
        values.for_each(|value| deque.push(end, value, limit));
        deque.len()
    }

    /// Adds `value` at `end`. Amortised O(1).
    pub fn push(&mut self, end: End, value: &[u8]) {
        self.push_all(end, std::iter::once(value));
    }

    /// Hands up to `count` elements to `take`, beginning at `end`, and removes them. Returns how many.
    pub fn pop_many(&mut self, end: End, count: usize, take: impl FnMut(&[u8])) -> usize {
        let (len, elements) = (self.len(), self.view().iter());
        let count = count.min(len);
        let start = match end {
            End::Front => {
                elements.take(count).for_each(take);
                0
            }
            End::Back => {
                elements.rev().take(count).for_each(take);
                len - count
            }
        };
        self.remove_range(start, count)
    }

    /// Hands the element at `end` to `take` and removes it. None when the list is empty.
    pub fn pop<R>(&mut self, end: End, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        if let Some(pack) = self.pack() {
            let mut frames = pack.frames();
            let frame = match end {
                End::Front => frames.next(),
                End::Back => frames.next_back(),
            }?;
            let (at, size) = (frame.at, frame.size());
            let taken = take(frame.data);
            pack::remove(self.entry, at, size, 1);
            return Some(taken);
        }
        let taken = self.deque().pop(end, take);
        self.shrink();
        taken
    }

    /// Replaces the element at `index`; false when there is none.
    pub fn set(&mut self, index: usize, value: &[u8]) -> bool {
        if let Some(pack) = self.pack() {
            let Some(frame) = pack.frame(index) else { return false };
            let (at, size) = (frame.at, frame.size());
            // Counted as one more element, as Redis does.
            if self.admits(pack, std::iter::once(value)) {
                pack::replace(self.entry, at, size, value);
                return true;
            }
            self.grow();
        }
        let limit = self.limits.chunk();
        let found = self.deque().set(index, value, limit);
        self.shrink();
        found
    }

    /// Inserts `value` before the element at `index`; an index past the end appends.
    pub fn insert(&mut self, index: usize, value: &[u8]) {
        if let Some(pack) = self.pack() {
            if self.admits(pack, std::iter::once(value)) {
                let at = pack.frame(index).map_or(pack.bytes().len(), |frame| frame.at);
                pack::insert(self.entry, at, &[value]);
                return;
            }
            self.grow();
        }
        let limit = self.limits.chunk();
        self.deque().insert(index, value, limit);
    }

    /// Removes the element at `index`; false when there is none.
    pub fn remove(&mut self, index: usize) -> bool {
        self.remove_range(index, 1) == 1
    }

    /// Removes up to `count` elements from `start` on. Returns how many there were.
    pub fn remove_range(&mut self, start: usize, count: usize) -> usize {
        let limit = self.limits.chunk();
        if let Some(pack) = self.pack() {
            let count = count.min(pack.len().saturating_sub(start));
            let Some(from) = pack.frame(start).map(|frame| frame.at).filter(|_| count > 0) else { return 0 };
            let to = pack.frame(start + count).map_or(pack.bytes().len(), |frame| frame.at);
            pack::remove(self.entry, from, to - from, count);
            return count;
        }
        let removed = self.deque().remove(start, count, limit);
        if removed > 0 {
            self.shrink();
        }
        removed
    }

    /// Removes up to `max` elements equal to `value`, counted from `end`. Returns how many. O(length).
    pub fn remove_equal(&mut self, value: &[u8], max: usize, end: End) -> usize {
        let limit = self.limits.chunk();
        if let Some(pack) = self.pack() {
            let kept = without_equal(pack.frames(), value, max, end);
            if kept.removed > 0 {
                let old_len = pack.bytes().len();
                let header = pack::header(pack.len() - kept.removed);
                Buffer::splice(self.entry, 0, old_len, &[header.bytes(), &kept.bytes]);
            }
            return kept.removed;
        }
        let removed = self.deque().remove_equal(value, max, end, limit);
        if removed > 0 {
            self.shrink();
        }
        removed
    }

    /// Goes back to the small form if so little is left.
    pub fn settle(&mut self) {
        self.keeps_form = false;
        self.shrink();
    }

    /// Keeps only the `count` elements from `start` on.
    pub fn trim(&mut self, start: usize, count: usize) {
        self.remove_range(start.saturating_add(count), usize::MAX);
        self.remove_range(0, start);
        self.shrink();
    }

    pub fn len(&self) -> usize {
        self.view().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn view(&self) -> View<'_> {
        View::of(self.entry).expect("a list")
    }

    #[inline]
    fn pack(&self) -> Option<Pack<'_>> {
        (self.entry.kind() == Kind::ListPack).then(|| Pack::new(self.entry.bytes()))
    }

    fn deque(&mut self) -> &mut Deque {
        match self.entry.object_mut() {
            Some(Object::List(deque)) => deque,
            _ => unreachable!("a large list"),
        }
    }

    #[cold]
    fn grow(&mut self) {
        let pack = self.pack().expect("a small list");
        let object = Box::new(Object::List(Deque::from_pack(pack)));
        let deadline = self.entry.deadline();
        self.entry.replace(Content::Boxed(object), deadline);
    }

    /// Whether a small list stays small when `values` are added.
    ///
    /// Where Redis draws the line: it adds the bare values to the size of its listpack, whose entries are as long as
    /// frames for most strings. Values of next to nothing would pass without end, so frames count twice at most.
    fn admits<'v>(&self, pack: Pack<'_>, values: impl ExactSizeIterator<Item = &'v [u8]>) -> bool {
        let limit = self.limits.chunk();
        let (count, used) = (pack.len() + values.len(), pack.body().len());
        let (bare, framed) = values.fold((0, 0), |(bare, sum), value| (bare + value.len(), sum + framed(value.len())));
        limit.allows(LISTPACK_FRAME + used + bare, count) && used + framed <= INLINE_BYTES_MAX.min(2 * limit.bytes)
    }

    /// Goes back to the small form when a single chunk of half the limit is left.
    fn shrink(&mut self) {
        if self.keeps_form {
            return;
        }
        let limit = self.limits.chunk().half();
        let limit = ChunkLimit { bytes: limit.bytes - LISTPACK_FRAME, ..limit };
        let Some(Object::List(deque)) = self.entry.object_mut() else { return };
        let inline = match deque.sole_chunk(limit) {
            Some(chunk) => {
                let mut bytes = pack::header(chunk.len()).bytes().to_vec();
                bytes.extend_from_slice(chunk.body());
                bytes
            }
            None if deque.is_empty() => pack::EMPTY.to_vec(),
            None => return,
        };
        let deadline = self.entry.deadline();
        self.entry.replace(Content::Inline(Kind::ListPack, &inline), deadline);
    }
}

/// The elements of a list from either end.
#[derive(Clone)]
pub struct Iter<'a>(Inner<'a>);

#[derive(Clone)]
enum Inner<'a> {
    Pack(pack::Iter<'a>),
    Large(deque::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        match &mut self.0 {
            Inner::Pack(iter) => iter.next(),
            Inner::Large(iter) => iter.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Inner::Pack(iter) => iter.size_hint(),
            Inner::Large(iter) => iter.size_hint(),
        }
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a [u8]> {
        match &mut self.0 {
            Inner::Pack(iter) => iter.next_back(),
            Inner::Large(iter) => iter.next_back(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(all(test, not(kiba_loom)))]
mod tests;
