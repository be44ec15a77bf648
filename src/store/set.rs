//! Sets: a sorted array of integers or a pack inside the entry while small, a table beyond.
//!
//! Encodings and borders are Redis 7.4's: integers stay an `intset` up to `set-max-intset-entries`, and become
//! a `hashtable` above; a first member that is no integer makes a `listpack` of it while it fits into
//! `set-max-listpack-entries` and `-value`. A set never goes back to a smaller form. A member with a deadline makes it
//! a table with an index of deadlines; the slot has removed what is due before anything here is asked.

pub mod algebra;
mod form;

use std::collections::HashSet;

use super::intset::{self, Ints, canonical};
use super::limits::{INLINE_BYTES_MAX, SetLimits};
use super::members::{self, Members};
use super::pack::{self, Pack, framed};
use super::timed::Timed;
use super::{Content, Entry, Kind, Object, Raw};

pub use form::Form;

/// A sample of more than one in so many members is drawn by looking at all of them; a smaller one by drawing until
/// there are enough different ones.
const SAMPLE_ALL: usize = 3;

/// When more than so many members go for each one that stays, those that stay make a new set (Redis'
/// `SPOP_MOVE_STRATEGY_MUL`).
const REBUILD: usize = 5;

/// Makes an empty set, as an intset; the first member decides what becomes of it.
pub fn create(key: &[u8], clock: u32) -> Entry {
    Entry::new(key, Content::Inline(Kind::IntSet, intset::EMPTY), None, clock)
}

/// Makes an empty set in the encoding that Redis chooses for `SADD key first ...` with `count` members.
pub fn create_for(key: &[u8], clock: u32, first: &[u8], count: usize, limits: &SetLimits) -> Entry {
    if count <= limits.max_intset_entries && canonical(first).is_some() {
        create(key, clock)
    } else if count <= limits.max_listpack_entries {
        Entry::new(key, Content::Inline(Kind::SetPack, pack::EMPTY), None, clock)
    } else {
        Entry::new(key, Content::Boxed(Box::new(Object::Set(Members::new()))), None, clock)
    }
}

/// A borrowed set.
#[derive(Clone, Copy)]
pub enum View<'a> {
    Ints(Ints<'a>),
    Packed(Pack<'a>),
    Table(&'a Members),
}

impl<'a> View<'a> {
    /// The set in `entry`; None when it holds something else.
    pub fn of(entry: &'a Entry) -> Option<Self> {
        match entry.raw() {
            Raw::Inline(Kind::IntSet, bytes) => Some(Self::Ints(Ints::new(bytes))),
            Raw::Inline(Kind::SetPack, bytes) => Some(Self::Packed(Pack::new(bytes))),
            Raw::Boxed(Object::Set(table)) => Some(Self::Table(table)),
            Raw::Boxed(Object::TimedSet(table)) => Some(Self::Table(table.members())),
            _ => None,
        }
    }

    pub fn len(self) -> usize {
        match self {
            Self::Ints(ints) => ints.len(),
            Self::Packed(pack) => pack.len(),
            Self::Table(table) => table.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub fn contains(self, member: &[u8]) -> bool {
        match self {
            Self::Ints(ints) => canonical(member).is_some_and(|int| ints.contains(int)),
            Self::Packed(pack) => pack.find(member, 1).is_some(),
            Self::Table(table) => table.find(member).is_some(),
        }
    }

    /// When `member` expires: `None` when there is no such member, `Some(None)` when it has no deadline.
    pub fn deadline(self, member: &[u8]) -> Option<Option<u64>> {
        match self {
            Self::Ints(_) | Self::Packed(_) => self.contains(member).then_some(None),
            Self::Table(table) => table.find(member).map(Entry::deadline),
        }
    }

    /// The members: ascending for integers, in order of insertion for a pack, in none for a table.
    pub fn iter(self) -> Iter<'a> {
        Iter(match self {
            Self::Ints(ints) => Inner::Ints(ints.iter()),
            Self::Packed(pack) => Inner::Pack(pack.iter()),
            Self::Table(table) => Inner::Table(table.iter()),
        })
    }

    /// One member, each with the same chance. `below(n)` gives a uniform number less than `n`.
    pub fn random(self, mut below: impl FnMut(usize) -> usize) -> Option<Member<'a>> {
        match self {
            _ if self.is_empty() => None,
            Self::Ints(ints) => ints.get(below(ints.len())).map(Member::from_int),
            Self::Packed(pack) => pack.get(below(pack.len())).map(Member::Bytes),
            Self::Table(table) => table.random(below).map(|entry| Member::Bytes(entry.key())),
        }
    }

    /// Draws `count` times: the same member may come again. `visit` tells whether to go on.
    pub fn draw(self, count: usize, mut below: impl FnMut(usize) -> usize, mut visit: impl FnMut(Member<'a>) -> bool) {
        // A pack is walked once for all draws.
        let frames: Vec<&[u8]> = match self {
            Self::Packed(pack) if count > 1 => pack.iter().collect(),
            _ => Vec::new(),
        };
        for _ in 0..count {
            let member = match frames.len() {
                0 => self.random(&mut below),
                len => Some(Member::Bytes(frames[below(len)])),
            };
            if !member.is_some_and(&mut visit) {
                return;
            }
        }
    }

    /// Visits `count` different members, or all when there are fewer; each selection has the same chance.
    ///
    /// Cost: O(`count`) for a large set, O(length) for a small one.
    pub fn sample(self, count: usize, mut below: impl FnMut(usize) -> usize, mut visit: impl FnMut(Member<'a>)) {
        match self {
            Self::Table(table) if count < table.len() / SAMPLE_ALL => {
                let mut seen = HashSet::with_capacity_and_hasher(count, members::member_hasher().clone());
                while seen.len() < count {
                    let Some(entry) = table.random(&mut below) else { return };
                    if seen.insert(entry.address()) {
                        visit(Member::Bytes(entry.key()));
                    }
                }
            }
            _ => {
                let mut selection = Selection::new(count, self.len());
                for member in self.iter() {
                    if selection.takes(&mut below) {
                        visit(member);
                    }
                }
            }
        }
    }

    /// Whether both are the same set, not only equal.
    fn is(self, other: Self) -> bool {
        match (self, other) {
            (Self::Ints(a), Self::Ints(b)) => a.is(b),
            (Self::Packed(a), Self::Packed(b)) => std::ptr::eq(a.bytes(), b.bytes()),
            (Self::Table(a), Self::Table(b)) => std::ptr::eq(a, b),
            _ => false,
        }
    }

    /// Visits some of the members: all of a small set, at least `count` of a large one. Gives the cursor to
    /// go on with, 0 at the end.
    ///
    /// Starting from 0, every member that is there from the first call to the last is visited. Cost:
    /// O(visited). Any cursor is valid.
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(Member<'a>)) -> u64 {
        let Self::Table(table) = self else {
            self.iter().for_each(visit);
            return 0;
        };
        let (mut cursor, mut seen) = (cursor, 0);
        loop {
            cursor = table.scan(cursor, |entry| {
                seen += 1;
                visit(Member::Bytes(entry.key()));
            });
            if cursor == 0 || seen >= count {
                return cursor;
            }
        }
    }

    /// What `OBJECT ENCODING` answers.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Ints(_) => "intset",
            Self::Packed(_) => "listpack",
            Self::Table(_) => "hashtable",
        }
    }
}

/// A set that is being changed. An emptied one stays: the caller looks at [`Edit::len`] and removes the key.
pub struct Edit<'a> {
    entry: &'a mut Entry,
    limits: &'a SetLimits,
}

impl<'a> Edit<'a> {
    /// The set in `entry`; None when it holds something else.
    pub fn of(entry: &'a mut Entry, limits: &'a SetLimits) -> Option<Self> {
        View::of(entry)?;
        Some(Self { entry, limits })
    }

    /// Announces that `count` members are about to be added: more than a small form holds make it large now.
    pub fn expect(&mut self, count: usize) {
        let grow = match self.view() {
            View::Ints(_) => count > self.limits.max_intset_entries,
            View::Packed(_) => count > self.limits.max_listpack_entries,
            View::Table(_) => false,
        };
        if grow {
            self.grow();
        }
    }

    /// Adds `member`; false when it was there already.
    pub fn add(&mut self, member: &[u8]) -> bool {
        match self.view() {
            View::Ints(ints) => match canonical(member) {
                Some(int) if intset::size_after(ints, int) <= INLINE_BYTES_MAX => {
                    let added = intset::insert(self.entry, int);
                    if added && self.len() > self.limits.max_intset_entries {
                        self.grow();
                    }
                    return added;
                }
                Some(_) => self.grow(),
                None if self.packs(ints, member) => {
                    self.pack_ints();
                    pack::append(self.entry, &[member]);
                    return true;
                }
                None => self.grow(),
            },
            View::Packed(pack) => {
                if pack.find(member, 1).is_some() {
                    return false;
                }
                if pack.len() < self.limits.max_listpack_entries
                    && member.len() <= self.limits.max_listpack_value
                    && pack.bytes().len() + framed(member.len()) <= INLINE_BYTES_MAX
                {
                    pack::append(self.entry, &[member]);
                    return true;
                }
                self.grow();
            }
            View::Table(_) => {}
        }
        insert(self.table().expect("a large set"), member)
    }

    /// Removes `member`; false when it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self.view() {
            View::Ints(_) => canonical(member).is_some_and(|int| intset::remove(self.entry, int)),
            View::Packed(pack) => {
                let Some((at, size)) = pack.find(member, 1).map(|frame| (frame.at, frame.size())) else {
                    return false;
                };
                pack::remove(self.entry, at, size, 1);
                true
            }
            View::Table(_) => match self.entry.object_mut() {
                Some(Object::TimedSet(table)) => table.remove(member, 0),
                _ => self.table().is_some_and(|table| table.remove(member).is_some()),
            },
        }
    }

    /// Sets or clears the deadline of `member`; false when it is not there. Called within [`super::Slot::retime`].
    pub fn set_deadline(&mut self, member: &[u8], deadline: Option<u64>) -> bool {
        if !self.view().contains(member) {
            return false;
        }
        if !self.entry.is_timed() {
            if deadline.is_none() {
                return true;
            }
            if self.table().is_none() {
                self.grow();
            }
            let table = Timed::new(std::mem::take(self.table().expect("a large set")));
            let deadline = self.entry.deadline();
            self.entry.replace(Content::Boxed(Box::new(Object::TimedSet(Box::new(table)))), deadline);
        }
        match self.entry.object_mut() {
            Some(Object::TimedSet(table)) => table.set_deadline(member, deadline),
            _ => unreachable!("made a table with deadlines"),
        }
    }

    /// Hands a random member to `take` and removes it. None when the set is empty; see [`View::random`].
    pub fn pop_random<R>(&mut self, mut below: impl FnMut(usize) -> usize, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match self.view() {
            view if view.is_empty() => None,
            View::Ints(ints) => {
                let int = ints.get(below(ints.len()))?;
                intset::remove(self.entry, int);
                Some(take(&Member::from_int(int)))
            }
            View::Packed(pack) => {
                let frame = pack.frame(below(pack.len()))?;
                let (at, size) = (frame.at, frame.size());
                let taken = take(frame.data);
                pack::remove(self.entry, at, size, 1);
                Some(taken)
            }
            View::Table(_) => self.take_random(below).map(|entry| take(entry.key())),
        }
    }

    /// Hands `count` random members to `take` and removes them; all when there are no more. Each selection has the same
    /// chance.
    ///
    /// Cost: O(`count`) for a large set, O(length) for a small one. Should be left to [`Edit::split_off`] when nearly
    /// all members go.
    pub fn pop_sample(&mut self, count: usize, mut below: impl FnMut(usize) -> usize, mut take: impl FnMut(&[u8])) {
        if self.table().is_some() {
            for _ in 0..count {
                let Some(entry) = self.take_random(&mut below) else { return };
                take(entry.key());
            }
            return;
        }
        let mut selection = Selection::new(count, self.len());
        let is_ints = matches!(self.view(), View::Ints(_));
        let mut kept = if is_ints { intset::EMPTY.to_vec() } else { pack::EMPTY.to_vec() };
        for member in self.view().iter() {
            if selection.takes(&mut below) {
                take(&member);
            } else if let Some(int) = member.as_int().filter(|_| is_ints) {
                intset::insert(&mut kept, int);
            } else {
                pack::append(&mut kept, &[&member]);
            }
        }
        let old_len = pack::Buffer::bytes(self.entry).len();
        pack::Buffer::splice(self.entry, 0, old_len, &[&kept]);
    }

    /// Whether removing `count` random members is better done by moving the others to a new set. Not where these may have
    /// deadlines, which would stay behind.
    pub fn is_mostly(&self, count: usize) -> bool {
        let left = self.len().saturating_sub(count);
        matches!(self.view(), View::Table(_)) && !self.entry.is_timed() && left.saturating_mul(REBUILD) <= count
    }

    /// Moves `count` random members to a new set of the name `key`, in the form that it would come to if they were
    /// added one by one. The deadline stays behind.
    pub fn split_off(&mut self, key: &[u8], count: usize, mut below: impl FnMut(usize) -> usize) -> Entry {
        let limits = self.limits;
        let clock = self.entry.clock();
        let mut moved = Vec::new();
        self.pop_sample(count, &mut below, |member| moved.push(member.to_vec()));
        let members: Vec<Member<'_>> = moved.iter().map(|member| Member::Bytes(member)).collect();
        Form::Packed.after(&members, limits).fill(key, clock, &members)
    }

    pub fn len(&self) -> usize {
        self.view().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn view(&self) -> View<'_> {
        View::of(self.entry).expect("a set")
    }

    /// The table of a large set, to be added to.
    fn table(&mut self) -> Option<&mut Members> {
        match self.entry.object_mut() {
            Some(Object::Set(table)) => Some(table),
            Some(Object::TimedSet(table)) => Some(table.members_mut()),
            _ => None,
        }
    }

    /// Takes a random member out of a large set.
    fn take_random(&mut self, below: impl FnMut(usize) -> usize) -> Option<Entry> {
        match self.entry.object_mut() {
            Some(Object::Set(table)) => table.remove_random(below),
            Some(Object::TimedSet(table)) => table.remove_random(below),
            _ => None,
        }
    }

    /// Whether the integers with `member` beside them may be a pack.
    fn packs(&self, ints: Ints<'_>, member: &[u8]) -> bool {
        let texts = [ints.min(), ints.max()].into_iter().flatten().map(|int| Member::from_int(int).len());
        let longest = texts.max().unwrap_or(0).max(member.len());
        ints.len() < self.limits.max_listpack_entries
            && longest <= self.limits.max_listpack_value
            && (ints.len() + 1).saturating_mul(framed(longest)) <= INLINE_BYTES_MAX
    }

    fn pack_ints(&mut self) {
        let mut frames = pack::EMPTY.to_vec();
        for member in self.view().iter() {
            pack::append(&mut frames, &[&member]);
        }
        let deadline = self.entry.deadline();
        self.entry.replace(Content::Inline(Kind::SetPack, &frames), deadline);
    }

    #[cold]
    fn grow(&mut self) {
        let mut table = Members::new();
        for member in self.view().iter() {
            insert(&mut table, &member);
        }
        let deadline = self.entry.deadline();
        self.entry.replace(Content::Boxed(Box::new(Object::Set(table))), deadline);
    }
}

fn insert(table: &mut Members, member: &[u8]) -> bool {
    table.upsert(member, |_| {}, || Entry::new(member, Content::Inline(Kind::Bytes, b""), None, 0))
}

/// Chooses some elements of a sequence whose length is known, in one pass (Knuth's selection sampling).
struct Selection {
    /// Elements still to be chosen.
    wanted: usize,
    /// Elements still to come.
    left: usize,
}

impl Selection {
    fn new(count: usize, len: usize) -> Self {
        Self { wanted: count.min(len), left: len }
    }

    /// Whether the next element is chosen.
    fn takes(&mut self, below: impl FnOnce(usize) -> usize) -> bool {
        // When all that are left are wanted, every number is below.
        let is_chosen = self.wanted > 0 && below(self.left) < self.wanted;
        self.wanted -= usize::from(is_chosen);
        self.left -= 1;
        is_chosen
    }
}

/// A member's bytes; integers are printed into it.
#[derive(Clone, Copy)]
pub enum Member<'a> {
    Bytes(&'a [u8]),
    /// Text and its length; 20 bytes are the longest an `i64` prints to.
    Text([u8; 20], u8),
}

impl Member<'_> {
    /// The text of an integer.
    pub fn from_int(int: i64) -> Self {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(int).as_bytes();
        let mut text = [0; 20];
        text[..digits.len()].copy_from_slice(digits);
        Self::Text(text, digits.len() as u8)
    }

    /// The integer that this is the canonical text of.
    fn as_int(&self) -> Option<i64> {
        canonical(self)
    }
}

impl std::ops::Deref for Member<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Text(text, len) => &text[..usize::from(*len)],
        }
    }
}

/// Members are equal when their bytes are.
impl PartialEq for Member<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Member<'_> {}

impl std::hash::Hash for Member<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // Without the length, as `hash_member` does it.
        state.write(self);
    }
}

/// The members of a set.
#[derive(Clone)]
pub struct Iter<'a>(Inner<'a>);

#[derive(Clone)]
enum Inner<'a> {
    Ints(intset::Iter<'a>),
    Pack(pack::Iter<'a>),
    Table(members::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Member<'a>;

    #[inline]
    fn next(&mut self) -> Option<Member<'a>> {
        match &mut self.0 {
            Inner::Ints(iter) => iter.next().map(Member::from_int),
            Inner::Pack(iter) => iter.next().map(Member::Bytes),
            Inner::Table(iter) => iter.next().map(|entry| Member::Bytes(entry.key())),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Inner::Ints(iter) => iter.size_hint(),
            Inner::Pack(iter) => iter.size_hint(),
            Inner::Table(iter) => iter.size_hint(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(all(test, not(kiba_loom)))]
mod tests;
