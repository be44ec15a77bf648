//! Sorted sets: a pack inside the entry while small, a tree with an index beyond.
//!
//! The borders are `zset-max-listpack-entries` and `zset-max-listpack-value`. A set that grew never goes back to the
//! smaller form. Ranges of scores and of members are turned into ranks first, so that an offset costs nothing. A member
//! with a deadline makes it large; the slot has removed what is due before anything here is asked.

mod items;
mod sorted;
#[cfg(all(test, not(kiba_loom)))]
mod tests;
mod timed;
mod tree;

use std::ops::{Bound, Range};

pub use items::Item;
pub use sorted::{Change, Sorted};
pub use timed::TimedSorted;

use super::limits::{INLINE_BYTES_MAX, ZSetLimits};
use super::pack::{self, Buffer};
use super::{Content, Entry, Kind, Object, Raw};
use items::{Border, Items, Places};

/// Makes an empty sorted set.
pub fn create(key: &[u8], clock: u32) -> Entry {
    Entry::new(key, Content::Inline(Kind::ZSetPack, pack::EMPTY), None, clock)
}

/// A sorted set that is not an entry's yet.
pub enum Built {
    Packed(Vec<u8>),
    Large(Box<Object>, usize),
}

/// Makes a sorted set of items, which are in order, in the form that suits them. None when there are none.
pub fn build(items: &[Item<'_>], limits: &ZSetLimits) -> Option<Built> {
    let longest = items.iter().map(|item| item.member.len()).max()?;
    let bytes = items.iter().map(Item::size).fold(0, usize::saturating_add);
    // Room for the count of any pack that is small enough.
    if items.len() <= limits.max_listpack_entries
        && longest <= limits.max_listpack_value
        && bytes <= INLINE_BYTES_MAX - 4
    {
        let mut pack = pack::EMPTY.to_vec();
        for item in items {
            let at = pack.len();
            items::insert(&mut pack, at, Item { score: unsigned_zero(item.score), ..*item });
        }
        return Some(Built::Packed(pack));
    }
    let mut sorted = Sorted::new();
    items.iter().for_each(|item| sorted.insert(*item));
    Some(Built::Large(Box::new(Object::ZSet(sorted)), items.len()))
}

/// The small form has one zero only, as it has in Redis, which keeps whole numbers as integers there.
fn unsigned_zero(score: f64) -> f64 {
    score + 0.0
}

impl Built {
    /// Number of members; at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        match self {
            Self::Packed(pack) => Items::new(pack).len(),
            Self::Large(_, len) => *len,
        }
    }

    /// Hands it over as the content of an entry.
    pub fn with_content<R>(self, use_it: impl FnOnce(Content<'_>) -> R) -> R {
        match self {
            Self::Packed(pack) => use_it(Content::Inline(Kind::ZSetPack, &pack)),
            Self::Large(object, _) => use_it(Content::Boxed(object)),
        }
    }
}

/// One end of a range of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// Before all members.
    Lowest,
    /// Behind all members.
    Highest,
    Included(&'a [u8]),
    Excluded(&'a [u8]),
}

/// A borrowed sorted set.
#[derive(Clone, Copy)]
pub enum View<'a> {
    Packed(Items<'a>),
    Large(&'a Sorted),
}

impl<'a> View<'a> {
    /// The sorted set in `entry`; None when it holds something else.
    #[inline]
    pub fn of(entry: &'a Entry) -> Option<Self> {
        match entry.raw() {
            Raw::Inline(Kind::ZSetPack, bytes) => Some(Self::Packed(Items::new(bytes))),
            Raw::Boxed(Object::ZSet(sorted)) => Some(Self::Large(sorted)),
            Raw::Boxed(Object::TimedZSet(timed)) => Some(Self::Large(timed.sorted())),
            _ => None,
        }
    }

    pub fn len(self) -> usize {
        match self {
            Self::Packed(items) => items.len(),
            Self::Large(sorted) => sorted.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Packed(items) => items.find(member).map(|place| place.item.score),
            Self::Large(sorted) => sorted.score(member),
        }
    }

    /// How many members are before `member`, and its score.
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            Self::Packed(items) => items.find(member).map(|place| (items.rank_of(place.at), place.item.score)),
            Self::Large(sorted) => sorted.rank(member),
        }
    }

    /// The item with this rank.
    pub fn get(self, rank: usize) -> Option<Item<'a>> {
        match self {
            Self::Packed(items) => items.get(rank),
            Self::Large(sorted) => sorted.range(rank, sorted.len().min(rank.saturating_add(1))).next(),
        }
    }

    /// All items in order.
    pub fn iter(self) -> Iter<'a> {
        self.range(0..self.len())
    }

    /// The items with these ranks, which are at most the length, from either end.
    pub fn range(self, ranks: Range<usize>) -> Iter<'a> {
        match self {
            Self::Packed(items) => {
                let (from, to) = (items.border(ranks.start), items.border(ranks.end));
                Iter(Inner::Packed(items.between(from.at, to.at), ranks.len()))
            }
            Self::Large(sorted) => Iter(Inner::Large(sorted.range(ranks.start, ranks.end))),
        }
    }

    /// The ranks of the scores between two bounds.
    pub fn score_ranks(self, min: Bound<f64>, max: Bound<f64>) -> Range<usize> {
        let start = match min {
            Bound::Included(min) => self.partition(|item| item.score < min),
            Bound::Excluded(min) => self.partition(|item| item.score <= min),
            Bound::Unbounded => 0,
        };
        let end = match max {
            Bound::Included(max) => self.partition(|item| item.score <= max),
            Bound::Excluded(max) => self.partition(|item| item.score < max),
            Bound::Unbounded => self.len(),
        };
        start..end.max(start)
    }

    /// The ranks of the members between two bounds, when all scores are equal. Otherwise any range.
    pub fn lex_ranks(self, min: LexBound<'_>, max: LexBound<'_>) -> Range<usize> {
        let start = match min {
            LexBound::Lowest => 0,
            LexBound::Included(min) => self.partition(|item| item.member < min),
            LexBound::Excluded(min) => self.partition(|item| item.member <= min),
            LexBound::Highest => self.len(),
        };
        let end = match max {
            LexBound::Lowest => 0,
            LexBound::Included(max) => self.partition(|item| item.member <= max),
            LexBound::Excluded(max) => self.partition(|item| item.member < max),
            LexBound::Highest => self.len(),
        };
        start..end.max(start)
    }

    /// Visits some of the members: all of a small set, at least `count` of a large one. Gives the cursor to
    /// go on with, 0 at the end.
    ///
    /// Starting from 0, every member that is there from the first call to the last is visited, whatever its score
    /// becomes. Any cursor is valid.
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(Item<'a>)) -> u64 {
        let Self::Large(sorted) = self else {
            self.iter().for_each(visit);
            return 0;
        };
        let (mut cursor, mut seen) = (cursor, 0);
        loop {
            cursor = sorted.scan(cursor, |item| {
                seen += 1;
                visit(item);
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
            Self::Large(_) => "skiplist",
        }
    }

    /// How many items there are, at the beginning, for which `is_before` holds.
    fn partition(self, is_before: impl FnMut(Item<'_>) -> bool) -> usize {
        match self {
            Self::Packed(items) => items.partition(is_before).rank,
            Self::Large(sorted) => sorted.partition(is_before),
        }
    }
}

/// When `member` expires: `None` when there is no such member, `Some(None)` when it has no deadline.
pub fn deadline(entry: &Entry, member: &[u8]) -> Option<Option<u64>> {
    View::of(entry)?.score(member)?;
    match entry.raw() {
        Raw::Boxed(Object::TimedZSet(timed)) => Some(timed.deadline(member)),
        _ => Some(None),
    }
}

/// A sorted set that is being changed. An emptied one stays: the caller looks at [`Edit::len`] and removes the key.
pub struct Edit<'a> {
    entry: &'a mut Entry,
    limits: &'a ZSetLimits,
}

impl<'a> Edit<'a> {
    /// The sorted set in `entry`; None when it holds something else.
    pub fn of(entry: &'a mut Entry, limits: &'a ZSetLimits) -> Option<Self> {
        View::of(entry)?;
        Some(Self { entry, limits })
    }

    /// Announces that `count` members are about to be added: more than the small form holds make it large now.
    pub fn expect(&mut self, count: usize) {
        if count > self.limits.max_listpack_entries && self.packed().is_some() {
            self.grow();
        }
    }

    /// Sets the score of `member`; true when the member is new.
    pub fn set(&mut self, member: &[u8], score: f64) -> bool {
        self.update(member, |_| Some(score)) == Change::Added
    }

    /// Gives `member` the score that `decide` makes of its present one (None: it is not there). With None it
    /// stays as it is. Scores are never NaN.
    pub fn update(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Change {
        let Some(items) = self.packed() else {
            return self.large().expect("a large set").update(member, decide);
        };
        if let Some(place) = items.find(member) {
            let (at, old) = (place.at, place.item.score);
            let Some(score) = decide(Some(old)).filter(|score| *score != old) else { return Change::None };
            items::rescore(self.entry, at, Item { member, score: unsigned_zero(score) });
            return Change::Updated;
        }
        let Some(score) = decide(None) else { return Change::None };
        let item = Item { member, score: unsigned_zero(score) };
        if items.len() < self.limits.max_listpack_entries
            && member.len() <= self.limits.max_listpack_value
            && items.bytes().len() + item.size() <= INLINE_BYTES_MAX
        {
            let at = items.partition(|other| other.is_before(&item)).at;
            items::insert(self.entry, at, item);
        } else {
            self.grow().insert(Item { member, score });
        }
        Change::Added
    }

    /// Removes `member`; false when it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        let Some(items) = self.packed() else {
            return match self.entry.object_mut() {
                Some(Object::TimedZSet(timed)) => timed.remove(member),
                _ => self.large().is_some_and(|sorted| sorted.remove(member).is_some()),
            };
        };
        let Some((at, end)) = items.find(member).map(|place| (place.at, place.end)) else { return false };
        items::remove(self.entry, at, end, 1);
        true
    }

    /// Sets or clears the deadline of `member`; false when it is not there. Called within [`super::Slot::retime`].
    pub fn set_deadline(&mut self, member: &[u8], deadline: Option<u64>) -> bool {
        if self.view().score(member).is_none() {
            return false;
        }
        if !self.entry.is_timed() {
            if deadline.is_none() {
                return true;
            }
            if self.packed().is_some() {
                self.grow();
            }
            let sorted = std::mem::take(self.large().expect("a large set"));
            let deadline = self.entry.deadline();
            let timed = Object::TimedZSet(Box::new(TimedSorted::new(sorted)));
            self.entry.replace(Content::Boxed(Box::new(timed)), deadline);
        }
        match self.entry.object_mut() {
            Some(Object::TimedZSet(timed)) => timed.set_deadline(member, deadline),
            _ => unreachable!("made one with deadlines"),
        }
        true
    }

    /// Removes the members with these ranks, which are at most the length.
    pub fn remove_range(&mut self, ranks: Range<usize>) {
        match self.entry.object_mut() {
            Some(Object::ZSet(sorted)) => return sorted.remove_range(ranks.start, ranks.end),
            Some(Object::TimedZSet(timed)) => return timed.remove_range(ranks),
            _ => {}
        }
        let items = Items::new(self.entry.bytes());
        let (Border { at: from, .. }, Border { at: to, .. }) = (items.border(ranks.start), items.border(ranks.end));
        items::remove(self.entry, from, to, ranks.len());
    }

    pub fn len(&self) -> usize {
        self.view().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn view(&self) -> View<'_> {
        View::of(self.entry).expect("a sorted set")
    }

    #[inline]
    fn packed(&self) -> Option<Items<'_>> {
        (self.entry.kind() == Kind::ZSetPack).then(|| Items::new(self.entry.bytes()))
    }

    fn large(&mut self) -> Option<&mut Sorted> {
        match self.entry.object_mut() {
            Some(Object::ZSet(sorted)) => Some(sorted),
            Some(Object::TimedZSet(timed)) => Some(timed.sorted_mut()),
            _ => None,
        }
    }

    #[cold]
    fn grow(&mut self) -> &mut Sorted {
        let mut sorted = Sorted::new();
        self.view().iter().for_each(|item| sorted.insert(item));
        let deadline = self.entry.deadline();
        self.entry.replace(Content::Boxed(Box::new(Object::ZSet(sorted))), deadline);
        self.large().expect("just made")
    }
}

/// Items of a sorted set in order, from either end.
#[derive(Clone)]
pub struct Iter<'a>(Inner<'a>);

#[derive(Clone)]
enum Inner<'a> {
    Packed(Places<'a>, usize),
    Large(tree::Range<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match &mut self.0 {
            Inner::Packed(places, left) => {
                let place = places.next()?;
                *left -= 1;
                Some(place.item)
            }
            Inner::Large(range) => range.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = match &self.0 {
            Inner::Packed(_, left) => *left,
            Inner::Large(range) => range.len(),
        };
        (len, Some(len))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Item<'a>> {
        match &mut self.0 {
            Inner::Packed(places, left) => {
                let place = places.next_back()?;
                *left -= 1;
                Some(place.item)
            }
            Inner::Large(range) => range.next_back(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}
