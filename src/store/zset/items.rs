//! Scored members in a pack: a small sorted set, and a leaf of a large one.
//!
//! ```text
//! items   a pack of alternating members and scores, ascending by score, then by member
//! score   the eight bytes of a double, most significant first, without the zero bytes at its end: two for 1, three
//!         for most numbers below 10,000, none for 0
//! ```

use std::cmp::Ordering;

use crate::store::pack::{self, Buffer, Frame, Frames, Needle, Pack, framed};

/// The longest encoded score.
const SCORE_MAX: usize = 8;

/// A member and its score.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    pub member: &'a [u8],
    /// Never a NaN.
    pub score: f64,
}

impl Item<'_> {
    /// The order of sorted sets: by score, among equal scores by the member's bytes. Both zeros are equal.
    #[inline]
    pub fn order(&self, other: &Item<'_>) -> Ordering {
        match self.score.partial_cmp(&other.score) {
            Some(Ordering::Equal) | None => self.member.cmp(other.member),
            Some(order) => order,
        }
    }

    #[inline]
    pub fn is_before(&self, other: &Item<'_>) -> bool {
        self.score < other.score || (self.score == other.score && self.member < other.member)
    }

    /// Bytes that the item takes in a pack.
    pub fn size(&self) -> usize {
        framed(self.member.len()) + framed(Score::new(self.score).len.into())
    }
}

/// An item with its place in the pack's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub item: Item<'a>,
    pub at: usize,
    pub end: usize,
}

/// A border between two items: how many are before it, and where it is in the pack's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Border {
    pub rank: usize,
    pub at: usize,
}

/// A read view of scored members.
#[derive(Clone, Copy)]
pub struct Items<'a>(Pack<'a>);

impl<'a> Items<'a> {
    /// Wraps bytes that this module wrote.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Pack::new(bytes))
    }

    /// Number of members. O(1).
    #[inline]
    pub fn len(self) -> usize {
        self.0.len() / 2
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The whole encoding.
    pub fn bytes(self) -> &'a [u8] {
        self.0.bytes()
    }

    /// The member with its score and place.
    #[inline]
    pub fn find(self, member: &[u8]) -> Option<Place<'a>> {
        let bytes = self.bytes();
        let needle = Needle::new(member);
        let mut at = self.0.body_at();
        while at < bytes.len() {
            let span = Span::at(bytes, at);
            if needle.has_len(span.len) && needle.is_at(bytes, span.member) {
                return Some(Place { item: span.item(bytes), at, end: span.end });
            }
            at = span.end;
        }
        None
    }

    /// The border after those items, at the beginning, for which `is_before` holds.
    #[inline]
    pub fn partition(self, is_before: impl FnMut(Item<'a>) -> bool) -> Border {
        self.partition_from(Border { rank: 0, at: self.0.body_at() }, is_before)
    }

    /// As [`Items::partition`], beginning at a border.
    #[inline]
    fn partition_from(self, from: Border, mut is_before: impl FnMut(Item<'a>) -> bool) -> Border {
        let bytes = self.bytes();
        let Border { mut rank, mut at } = from;
        while at < bytes.len() {
            let span = Span::at(bytes, at);
            if !is_before(span.item(bytes)) {
                break;
            }
            (rank, at) = (rank + 1, span.end);
        }
        Border { rank, at }
    }

    /// How many items are before the one at `at`.
    pub fn rank_of(self, at: usize) -> usize {
        self.places().take_while(|place| place.at < at).count()
    }

    /// The border with `rank` items before it, reached from the nearer end.
    pub fn border(self, rank: usize) -> Border {
        let at = self.0.frame(2 * rank).map_or(self.bytes().len(), |frame| frame.at);
        Border { rank, at }
    }

    pub fn get(self, rank: usize) -> Option<Item<'a>> {
        self.after(self.border(rank).at).next().map(|place| place.item)
    }

    pub fn first(self) -> Option<Item<'a>> {
        self.places().next().map(|place| place.item)
    }

    pub fn last(self) -> Option<Item<'a>> {
        self.places().next_back().map(|place| place.item)
    }

    /// All items, from either end.
    #[inline]
    pub fn places(self) -> Places<'a> {
        self.after(self.0.body_at())
    }

    /// The items from the border at `at` on.
    #[inline]
    pub fn after(self, at: usize) -> Places<'a> {
        self.between(at, self.bytes().len())
    }

    /// The items up to the border at `at`.
    #[inline]
    pub fn before(self, at: usize) -> Places<'a> {
        self.between(self.0.body_at(), at)
    }

    /// The items between two borders.
    #[inline]
    pub fn between(self, from: usize, to: usize) -> Places<'a> {
        Places { bytes: self.bytes(), frames: Frames::new(self.bytes(), from, to) }
    }
}

/// Where the parts of an item are.
struct Span {
    member: usize,
    len: usize,
    score: usize,
    score_len: usize,
    end: usize,
}

impl Span {
    /// Those of the item that begins at `at`.
    #[inline(always)]
    fn at(bytes: &[u8], at: usize) -> Self {
        // Nothing wraps that is in a slice, and what is not is found when it is read.
        let (len, width) = pack::head(bytes, at);
        let member = at.wrapping_add(width);
        let score = member.wrapping_add(len).wrapping_add(width);
        let score_len = usize::from(bytes[score]);
        Self { member, len, score: score.wrapping_add(1), score_len, end: score.wrapping_add(score_len + 2) }
    }

    #[inline(always)]
    fn item<'a>(&self, bytes: &'a [u8]) -> Item<'a> {
        Item { member: &bytes[self.member..][..self.len], score: read(bytes, self.score, self.score_len) }
    }
}

/// Items with their places, from either end.
#[derive(Clone)]
pub struct Places<'a> {
    bytes: &'a [u8],
    frames: Frames<'a>,
}

impl<'a> Iterator for Places<'a> {
    type Item = Place<'a>;

    #[inline]
    fn next(&mut self) -> Option<Place<'a>> {
        let member = self.frames.next()?;
        let score = self.frames.next()?;
        Some(place(self.bytes, member, score))
    }
}

impl<'a> DoubleEndedIterator for Places<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Place<'a>> {
        let score = self.frames.next_back()?;
        let member = self.frames.next_back()?;
        Some(place(self.bytes, member, score))
    }
}

#[inline]
fn place<'a>(bytes: &[u8], member: Frame<'a>, score: Frame<'_>) -> Place<'a> {
    // A score's frame has one byte on either side.
    let item = Item { member: member.data, score: read(bytes, score.at + 1, score.data.len()) };
    Place { item, at: member.at, end: score.end() }
}

/// Puts an item at a border; the caller knows that it belongs there.
pub fn insert<B: Buffer + ?Sized>(buffer: &mut B, at: usize, item: Item<'_>) {
    pack::insert(buffer, at, &[item.member, Score::new(item.score).bytes()]);
}

/// Gives the item at `at`, whose member is `item`'s, its score, and moves it where it belongs then.
pub fn rescore<B: Buffer + ?Sized>(buffer: &mut B, at: usize, item: Item<'_>) {
    let old = Items::new(buffer.bytes()).after(at).next().expect("an item");
    let goes_back = old.item.is_before(&item);
    let score_at = at + framed(old.item.member.len());
    pack::replace(buffer, score_at, old.end - score_at, Score::new(item.score).bytes());
    let size = item.size();
    let items = Items::new(buffer.bytes());
    if goes_back {
        let behind = Border { rank: 0, at: at + size };
        let border = items.partition_from(behind, |other| other.is_before(&item));
        buffer.bytes_mut()[at..border.at].rotate_left(size);
    } else {
        // At the latest the item itself is not before itself.
        let border = items.partition(|other| other.is_before(&item));
        buffer.bytes_mut()[border.at..at + size].rotate_right(size);
    }
}

/// Removes the `count` items between two borders.
pub fn remove<B: Buffer + ?Sized>(buffer: &mut B, from: usize, to: usize, count: usize) {
    pack::remove(buffer, from, to - from, 2 * count);
}

/// A pack of the `count` items that `body` encodes.
pub fn of_body(count: usize, body: &[u8]) -> Vec<u8> {
    let header = pack::header(2 * count);
    [header.bytes(), body].concat()
}

/// An encoded score.
struct Score {
    bytes: [u8; SCORE_MAX],
    len: u8,
}

impl Score {
    #[inline]
    fn new(score: f64) -> Self {
        let bits = score.to_bits();
        let len = SCORE_MAX as u32 - bits.trailing_zeros() / 8;
        Self { bytes: bits.to_be_bytes(), len: len as u8 }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Reads the score of `len` bytes at `at`.
#[inline]
fn read(bytes: &[u8], at: usize, len: usize) -> f64 {
    // Eight bytes at once, of which the score's own are kept; only near the end there may be fewer.
    let window = match bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        Some(window) => *window,
        None => {
            let mut window = [0; SCORE_MAX];
            window[..len].copy_from_slice(&bytes[at..at + len]);
            window
        }
    };
    const MASKS: [u64; SCORE_MAX + 1] = {
        let mut masks = [0; SCORE_MAX + 1];
        let mut len = 1;
        while len <= SCORE_MAX {
            masks[len] = u64::MAX << (8 * (SCORE_MAX - len));
            len += 1;
        }
        masks
    };
    f64::from_bits(u64::from_be_bytes(window) & MASKS[len])
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_score_is_read_as_it_was_written(bits: u64, shift in 0..64_u32) {
            let score = f64::from_bits(bits >> shift << shift);
            prop_assume!(!score.is_nan());
            let mut buffer = pack::EMPTY.to_vec();
            insert(&mut buffer, 1, Item { member: b"m", score });
            // At the end of the bytes, and with others behind it.
            for behind in [b"".as_slice(), b"0123456789"] {
                let at = buffer.len();
                if !behind.is_empty() {
                    insert(&mut buffer, at, Item { member: behind, score: 0.0 });
                }
                let place = Items::new(&buffer).find(b"m").expect("there");
                prop_assert_eq!(place.item.score.to_bits(), score.to_bits());
                prop_assert_eq!((place.at, place.end), (1, 1 + place.item.size()));
            }
        }
    }

    #[test]
    fn small_whole_scores_are_short() {
        let sizes = [0.0, 1.0, -1.0, 2.0, 100.0, 1234.0, 1e6, 0.5, 0.1].map(|score| Item { member: b"", score }.size());
        assert_eq!(sizes.map(|size| size - 4), [0, 2, 2, 1, 2, 3, 4, 2, 8]);
    }

    #[test]
    fn zeros_are_equal_and_the_member_decides() {
        let (a, b) = (Item { member: b"a", score: 0.0 }, Item { member: b"b", score: -0.0 });
        assert!(a.is_before(&b) && !b.is_before(&a) && a.order(&b) == Ordering::Less);
        let c = Item { member: b"a", score: f64::NEG_INFINITY };
        assert!(c.is_before(&a) && c.order(&a) == Ordering::Less);
    }
}
