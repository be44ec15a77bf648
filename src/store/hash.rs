//! Hashes: a pack of alternating fields and values inside the entry while small, a table beyond.
//!
//! The borders are `hash-max-listpack-entries` and `hash-max-listpack-value`. A hash never goes back to the
//! smaller form. Once a field has a deadline the pack becomes one of triples, and the table one with an index of
//! deadlines; hashes without pay nothing for that. A field whose time has come is not seen here any more, whether it
//! has been removed already or not.

use std::sync::Arc;

use super::entry::INLINE_STRING_MAX;
use super::limits::{HashLimits, INLINE_BYTES_MAX};
use super::members::{self, Members};
use super::pack::{self, Buffer, Frame, Pack, framed};
use super::timed::Timed;
use super::timed_pack::{self, TimedPack, Triples};
use super::{Content, Entry, Kind, Object, Raw};

/// Makes an empty hash.
pub fn create(key: &[u8], clock: u32) -> Entry {
    Entry::new(key, Content::Inline(Kind::HashPack, pack::EMPTY), None, clock)
}

/// A borrowed hash.
#[derive(Clone, Copy)]
pub enum View<'a> {
    /// Fields at the even places, each followed by its value.
    Packed(Pack<'a>),
    /// Entries whose key is the field.
    Table(&'a Members),
    /// Triples of field, value and deadline.
    TimedPack(TimedPack<'a>),
    /// Entries with deadlines, and the present time.
    TimedTable(&'a Timed, u64),
}

impl<'a> View<'a> {
    /// The hash in `entry` at the time `now`; None when it holds something else.
    #[inline]
    pub fn of(entry: &'a Entry, now: u64) -> Option<Self> {
        match entry.raw() {
            Raw::Inline(Kind::HashPack, bytes) => Some(Self::Packed(Pack::new(bytes))),
            Raw::Boxed(Object::Hash(table)) => Some(Self::Table(table)),
            Raw::Inline(Kind::HashTimed, bytes) => Some(Self::TimedPack(TimedPack::new(bytes, now))),
            Raw::Boxed(Object::TimedHash(table)) => Some(Self::TimedTable(table, now)),
            _ => None,
        }
    }

    /// Number of fields.
    pub fn len(self) -> usize {
        match self {
            Self::Packed(pack) => pack.len() / 2,
            Self::Table(table) => table.len(),
            Self::TimedPack(pack) => pack.len(),
            Self::TimedTable(table, now) => table.len(now),
        }
    }

    pub fn is_empty(self) -> bool {
        match self {
            Self::TimedTable(table, now) => table.is_spent(now),
            _ => self.len() == 0,
        }
    }

    /// The value of `field`.
    #[inline]
    pub fn get(self, field: &[u8]) -> Option<&'a [u8]> {
        match self {
            Self::Packed(pack) => find(pack, field).map(|(_, value)| value.data),
            Self::Table(table) => table.find(field).map(value_of),
            Self::TimedPack(pack) => pack.find(field).map(|triple| triple.value.data),
            Self::TimedTable(table, now) => table.find(field, now).map(value_of),
        }
    }

    pub fn contains(self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }

    /// Bytes of the value of `field`; 0 when it is missing.
    pub fn value_len(self, field: &[u8]) -> usize {
        self.get(field).map_or(0, <[u8]>::len)
    }

    /// When `field` expires: `None` when there is no such field, `Some(None)` when it has no deadline.
    pub fn deadline(self, field: &[u8]) -> Option<Option<u64>> {
        match self {
            Self::Packed(_) | Self::Table(_) => self.contains(field).then_some(None),
            Self::TimedPack(pack) => pack.find(field).map(|triple| triple.deadline()),
            Self::TimedTable(table, now) => table.find(field, now).map(Entry::deadline),
        }
    }

    /// Fields and values: in order of insertion for a pack, of their deadlines for one with deadlines, in none for a
    /// table.
    #[inline]
    pub fn iter(self) -> Iter<'a> {
        Iter(match self {
            Self::Packed(pack) => Inner::Pack(pack.iter()),
            Self::Table(table) => Inner::Table(table.iter()),
            Self::TimedPack(pack) => Inner::TimedPack(pack.triples()),
            Self::TimedTable(table, now) => {
                Inner::TimedTable { entries: table.members().iter(), left: table.len(now), now }
            }
        })
    }

    /// One field with its value, each with the same chance. `below(n)` gives a uniform number less than `n`.
    pub fn random(self, mut below: impl FnMut(usize) -> usize) -> Option<(&'a [u8], &'a [u8])> {
        match self {
            _ if self.is_empty() => None,
            Self::Packed(pack) => {
                let mut pair = pack.iter_from(2 * below(self.len()));
                Some((pair.next()?, pair.next()?))
            }
            Self::Table(table) => table.random(below).map(|entry| (entry.key(), value_of(entry))),
            Self::TimedPack(_) => self.iter().nth(below(self.len())),
            Self::TimedTable(table, now) => {
                // Drawing again keeps it uniform. Where nearly everything is due it would take long.
                for _ in 0..RANDOM_TRIES {
                    if let Some(entry) = table.members().random(&mut below).filter(|entry| !entry.is_expired(now)) {
                        return Some((entry.key(), value_of(entry)));
                    }
                }
                self.iter().nth(below(self.len()))
            }
        }
    }

    /// Whether [`View::random`] is cheap: it takes a walk over a small hash, and over one of which most is due.
    pub fn is_random_cheap(self) -> bool {
        match self {
            Self::Packed(_) | Self::TimedPack(_) => false,
            Self::Table(_) => true,
            Self::TimedTable(table, now) => 2 * table.len(now) > table.members().len(),
        }
    }

    /// Visits some of the fields: all of a small hash, at least `count` of a large one. Gives the cursor to
    /// go on with, 0 at the end.
    ///
    /// Starting from 0, every field that is there from the first call to the last is visited. Cost:
    /// O(visited). Any cursor is valid.
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(&'a [u8], &'a [u8])) -> u64 {
        let (table, now) = match self {
            Self::Table(table) => (table, 0),
            Self::TimedTable(table, now) => (table.members(), now),
            Self::Packed(_) | Self::TimedPack(_) => {
                self.iter().for_each(|(field, value)| visit(field, value));
                return 0;
            }
        };
        let (mut cursor, mut seen) = (cursor, 0);
        loop {
            cursor = table.scan(cursor, |entry| {
                seen += 1;
                if !entry.is_expired(now) {
                    visit(entry.key(), value_of(entry));
                }
            });
            if cursor == 0 || seen >= count {
                return cursor;
            }
        }
    }

    /// What `OBJECT ENCODING` answers.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::TimedPack(_) => "listpackex",
            Self::Table(_) | Self::TimedTable(..) => "hashtable",
        }
    }
}

/// How often a field is drawn before all are walked over: more is needed once in 2^32 draws if half of them are due.
const RANDOM_TRIES: usize = 32;

/// What setting a field does to the deadline that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldDeadline {
    Keep,
    Clear,
}

/// A hash that is being changed. An emptied one stays: the caller looks at [`Edit::is_empty`] and removes the key.
pub struct Edit<'a> {
    entry: &'a mut Entry,
    limits: &'a HashLimits,
    now: u64,
}

impl<'a> Edit<'a> {
    /// The hash in `entry` at the time `now`; None when it holds something else.
    #[inline]
    pub fn of(entry: &'a mut Entry, limits: &'a HashLimits, now: u64) -> Option<Self> {
        View::of(entry, now)?;
        if entry.kind() == Kind::HashTimed {
            // The slot has done it already, unless the entry is in none.
            timed_pack::expire(entry, now);
        }
        Some(Self { entry, limits, now })
    }

    /// Announces that `count` fields are about to be set: more than the small form holds make it large now.
    #[inline]
    pub fn expect(&mut self, count: usize) {
        if count > self.limits.max_listpack_entries && self.entry.kind() != Kind::Boxed {
            self.grow();
        }
    }

    /// Sets `field` to `value`, without a deadline; true when the field is new.
    #[inline]
    pub fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.put(field, value, FieldDeadline::Clear)
    }

    /// Sets `field` to `value`; true when the field is new.
    #[inline]
    pub fn put(&mut self, field: &[u8], value: &[u8], deadline: FieldDeadline) -> bool {
        if let Some(pack) = self.pack() {
            let longest = field.len().max(value.len());
            let old = find(pack, field).map(|(_, value)| (value.at, value.size()));
            let bytes = pack.bytes().len() + framed(field.len()) + framed(value.len());
            if longest <= self.limits.max_listpack_value && bytes <= INLINE_BYTES_MAX {
                if let Some((at, size)) = old {
                    pack::replace(self.entry, at, size, value);
                    return false;
                }
                if pack.len() / 2 < self.limits.max_listpack_entries {
                    pack::append(self.entry, &[field, value]);
                    return true;
                }
            }
            self.grow();
        } else if self.entry.kind() == Kind::HashTimed
            && let Some(is_new) = self.put_timed(field, value, deadline)
        {
            return is_new;
        }
        match self.entry.object_mut() {
            Some(Object::Hash(table)) => set(table, field, value),
            Some(Object::TimedHash(table)) => table.upsert(
                field,
                self.now,
                |entry, old| entry.replace(content(value), old.filter(|_| deadline == FieldDeadline::Keep)),
                || Entry::new(field, content(value), None, 0),
            ),
            _ => unreachable!("a large hash"),
        }
    }

    /// As [`Edit::put`] in a pack of triples; `None` when it was too small and has been made a table.
    fn put_timed(&mut self, field: &[u8], value: &[u8], deadline: FieldDeadline) -> Option<bool> {
        let pack = TimedPack::new(self.entry.bytes(), 0);
        let old = pack.find(field).map(|triple| (triple.value.at, triple.value.size(), triple.deadline()));
        let fits = field.len().max(value.len()) <= self.limits.max_listpack_value
            && timed_pack::size_after(self.entry.bytes(), field, value) <= INLINE_BYTES_MAX
            && (old.is_some() || pack.len() < self.limits.max_listpack_entries);
        if !fits {
            self.grow();
            return None;
        }
        let Some((at, size, old_deadline)) = old else {
            timed_pack::insert(self.entry, field, value, None);
            return Some(true);
        };
        pack::replace(self.entry, at, size, value);
        if old_deadline.is_some() && deadline == FieldDeadline::Clear {
            timed_pack::set_deadline(self.entry, field, None);
        }
        Some(false)
    }

    /// Sets or clears the deadline of `field`; false when there is no such field. Called within [`super::Slot::retime`].
    pub fn set_deadline(&mut self, field: &[u8], deadline: Option<u64>) -> bool {
        if !self.view().contains(field) {
            return false;
        }
        self.make_timed();
        if self.entry.kind() == Kind::HashTimed {
            if timed_pack::size_after(self.entry.bytes(), field, b"") <= INLINE_BYTES_MAX {
                return timed_pack::set_deadline(self.entry, field, deadline);
            }
            self.grow();
        }
        match self.entry.object_mut() {
            Some(Object::TimedHash(table)) => table.set_deadline(field, deadline),
            _ => unreachable!("made a table with deadlines"),
        }
    }

    /// Removes `field`; false when it was not there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        if let Some(pack) = self.pack() {
            let Some((field, value)) = find(pack, field) else { return false };
            let (from, to) = (field.at, value.end());
            pack::remove(self.entry, from, to - from, 2);
            return true;
        }
        match self.entry.object_mut() {
            Some(Object::Hash(table)) => table.remove(field).is_some(),
            Some(Object::TimedHash(table)) => table.remove(field, self.now),
            _ => timed_pack::remove(self.entry, field),
        }
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.view().len()
    }

    pub fn is_empty(&self) -> bool {
        self.view().is_empty()
    }

    pub fn view(&self) -> View<'_> {
        View::of(self.entry, self.now).expect("a hash")
    }

    #[inline]
    fn pack(&self) -> Option<Pack<'_>> {
        (self.entry.kind() == Kind::HashPack).then(|| Pack::new(self.entry.bytes()))
    }

    /// Gives the fields room for deadlines.
    fn make_timed(&mut self) {
        if self.entry.is_timed() {
            return;
        }
        if self.entry.kind() == Kind::HashPack && !timed_pack::convert(self.entry, INLINE_BYTES_MAX) {
            self.grow();
        }
        if let Some(Object::Hash(table)) = self.entry.object_mut() {
            let table = Timed::new(std::mem::take(table));
            self.replace(Object::TimedHash(Box::new(table)));
        }
    }

    /// Makes a pack a table.
    #[cold]
    fn grow(&mut self) {
        let mut table = Members::new();
        for (field, value) in self.view().iter() {
            set(&mut table, field, value);
        }
        if self.entry.kind() == Kind::HashPack {
            return self.replace(Object::Hash(table));
        }
        let mut table = Timed::new(table);
        for triple in TimedPack::new(self.entry.bytes(), self.now).triples() {
            if let Some(deadline) = triple.deadline() {
                table.set_deadline(triple.field.data, Some(deadline));
            }
        }
        self.replace(Object::TimedHash(Box::new(table)));
    }

    fn replace(&mut self, object: Object) {
        let deadline = self.entry.deadline();
        self.entry.replace(Content::Boxed(Box::new(object)), deadline);
    }
}

/// The frames of `field` and of its value.
#[inline]
fn find<'a>(pack: Pack<'a>, field: &[u8]) -> Option<(Frame<'a>, Frame<'a>)> {
    let field = pack.find(field, 2)?;
    Some((field, pack.frame_at(field.end())?))
}

fn set(table: &mut Members, field: &[u8], value: &[u8]) -> bool {
    table.upsert(field, |entry| entry.replace(content(value), None), || Entry::new(field, content(value), None, 0))
}

fn content(value: &[u8]) -> Content<'_> {
    if value.len() <= INLINE_STRING_MAX {
        Content::Inline(Kind::Bytes, value)
    } else {
        Content::Shared(Arc::new(value.to_vec()))
    }
}

#[inline]
fn value_of(entry: &Entry) -> &[u8] {
    match entry.raw() {
        Raw::Inline(_, bytes) => bytes,
        Raw::Shared(bytes) => bytes,
        Raw::Int(_) | Raw::Boxed(_) => unreachable!("a field's value is a string"),
    }
}

/// The fields of a hash with their values.
#[derive(Clone)]
pub struct Iter<'a>(Inner<'a>);

#[derive(Clone)]
enum Inner<'a> {
    Pack(pack::Iter<'a>),
    Table(members::Iter<'a>),
    TimedPack(Triples<'a>),
    TimedTable { entries: members::Iter<'a>, left: usize, now: u64 },
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        match &mut self.0 {
            Inner::Pack(iter) => Some((iter.next()?, iter.next()?)),
            Inner::Table(iter) => iter.next().map(|entry| (entry.key(), value_of(entry))),
            Inner::TimedPack(iter) => iter.next().map(|triple| (triple.field.data, triple.value.data)),
            Inner::TimedTable { entries, left, now } => {
                let entry = entries.find(|entry| !entry.is_expired(*now))?;
                *left -= 1;
                Some((entry.key(), value_of(entry)))
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = match &self.0 {
            Inner::Pack(iter) => iter.len() / 2,
            Inner::Table(iter) => iter.len(),
            Inner::TimedPack(iter) => iter.size_hint().0,
            Inner::TimedTable { left, .. } => *left,
        };
        (len, Some(len))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(all(test, not(kiba_loom)))]
mod tests;
