//! A sorted array of integers in one byte string: the compact form of a set of numbers.
//!
//! ```text
//! offset 0   u8   width of every integer: 2, 4 or 8
//!        1   the integers, ascending, little-endian
//! ```
//!
//! Look-ups are a binary search. An integer that needs a larger width rewrites the array once; the width never
//! goes back, as in Redis.

use super::pack::Buffer;

/// The encoding of a set without members.
pub const EMPTY: &[u8] = &[2];

/// A read view of an integer set.
#[derive(Clone, Copy)]
pub struct Ints<'a> {
    width: usize,
    body: &'a [u8],
}

impl<'a> Ints<'a> {
    /// Wraps bytes that this module wrote or [`Ints::validate`] accepted.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { width: usize::from(bytes[0]), body: &bytes[1..] }
    }

    /// Whether `bytes` are an integer set: a known width, whole integers, strictly ascending.
    pub fn validate(bytes: &[u8]) -> bool {
        let [width @ (2 | 4 | 8), body @ ..] = bytes else { return false };
        body.len().is_multiple_of(usize::from(*width)) && Ints::new(bytes).iter().is_sorted_by(|a, b| a < b)
    }

    pub fn len(self) -> usize {
        self.body.len() / self.width
    }

    pub fn is_empty(self) -> bool {
        self.body.is_empty()
    }

    pub fn contains(self, value: i64) -> bool {
        self.search(value).is_ok()
    }

    /// The member at `index` in ascending order.
    #[inline]
    pub fn get(self, index: usize) -> Option<i64> {
        let at = index.checked_mul(self.width)?;
        Some(read(self.body.get(at..)?.get(..self.width)?))
    }

    pub fn min(self) -> Option<i64> {
        self.get(0)
    }

    pub fn max(self) -> Option<i64> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The members, ascending.
    pub fn iter(self) -> Iter<'a> {
        Iter(self.body.chunks_exact(self.width))
    }

    /// Whether both are the same bytes, not only equal ones.
    pub(super) fn is(self, other: Self) -> bool {
        std::ptr::eq(self.body, other.body)
    }

    /// Where `value` is, or where it would have to be inserted.
    fn search(self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        // Ascending inserts are common, and end here.
        if self.max().is_none_or(|max| max < value) {
            return Err(high);
        }
        while low < high {
            let middle = low.midpoint(high);
            let at = middle * self.width;
            match read(&self.body[at..at + self.width]).cmp(&value) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }
}

/// Adds `value`; false when it was a member already.
pub fn insert<B: Buffer + ?Sized>(buffer: &mut B, value: i64) -> bool {
    let ints = Ints::new(buffer.bytes());
    let Err(index) = ints.search(value) else { return false };
    let (width, needed) = (ints.width, width_of(value));
    if needed <= width {
        let bytes = value.to_le_bytes();
        buffer.splice(1 + index * width, 0, &[&bytes[..width]]);
        return true;
    }
    let mut wider = Vec::with_capacity(1 + (ints.len() + 1) * needed);
    wider.push(needed as u8);
    // A value wider than all the others is below or above all of them.
    let (before, after) = if value < 0 { (Some(value), None) } else { (None, Some(value)) };
    for member in before.into_iter().chain(ints.iter()).chain(after) {
        wider.extend_from_slice(&member.to_le_bytes()[..needed]);
    }
    let old_len = buffer.bytes().len();
    buffer.splice(0, old_len, &[&wider]);
    true
}

/// Removes `value`; false when it was no member.
pub fn remove<B: Buffer + ?Sized>(buffer: &mut B, value: i64) -> bool {
    let ints = Ints::new(buffer.bytes());
    let Ok(index) = ints.search(value) else { return false };
    let width = ints.width;
    buffer.splice(1 + index * width, width, &[]);
    true
}

/// Bytes that the encoding may have after `value` was added to `ints`.
pub fn size_after(ints: Ints<'_>, value: i64) -> usize {
    1 + (ints.len() + 1) * ints.width.max(width_of(value))
}

/// The integer that `text` is the canonical form of: what printing the integer gives, nothing else.
pub fn canonical(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut value = 0_i64;
    for digit in digits {
        let digit = i64::from(digit.wrapping_sub(b'0'));
        if digit > 9 {
            return None;
        }
        // Downwards, because the smallest integer has no positive counterpart.
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// The members of an integer set, ascending, from either end.
#[derive(Clone)]
pub struct Iter<'a>(std::slice::ChunksExact<'a, u8>);

impl Iterator for Iter<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        self.0.next().map(read)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<i64> {
        self.0.next_back().map(read)
    }
}

impl ExactSizeIterator for Iter<'_> {}

fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

#[inline]
fn read(bytes: &[u8]) -> i64 {
    match *bytes {
        [a, b] => i16::from_le_bytes([a, b]).into(),
        [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
        _ => i64::from_le_bytes(bytes.try_into().expect("a width of 2, 4 or 8")),
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn int() -> impl Strategy<Value = i64> {
        prop_oneof![
            -20..20_i64,
            any::<i16>().prop_map(i64::from),
            any::<i32>().prop_map(i64::from),
            any::<i64>(),
            prop::sample::select(vec![-32768, -32769, 32767, 32768, i64::MIN, i64::MAX, 1 << 31, -(1 << 31) - 1]),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_btree_set(steps in prop::collection::vec((any::<bool>(), int()), 0..80)) {
            let mut bytes = EMPTY.to_vec();
            let mut model = BTreeSet::new();
            for (add, value) in steps {
                if add {
                    let bound = size_after(Ints::new(&bytes), value);
                    prop_assert_eq!(insert(&mut bytes, value), model.insert(value));
                    prop_assert!(bytes.len() <= bound);
                } else {
                    prop_assert_eq!(remove(&mut bytes, value), model.remove(&value));
                }
                let ints = Ints::new(&bytes);
                prop_assert!(Ints::validate(&bytes) && ints.iter().eq(model.iter().copied()));
                prop_assert!(ints.iter().rev().eq(model.iter().rev().copied()));
                prop_assert_eq!(ints.contains(value), add);
                prop_assert_eq!((ints.min(), ints.max()), (model.first().copied(), model.last().copied()));
                prop_assert_eq!(ints.get(model.len()), None);
            }
        }

        #[test]
        fn canonical_is_what_printing_gives(value in int(), text in "[-+0 ]?[0-9]{0,20}") {
            prop_assert_eq!(canonical(value.to_string().as_bytes()), Some(value));
            let expected = text.parse::<i64>().ok().filter(|value| value.to_string() == text);
            prop_assert_eq!(canonical(text.as_bytes()), expected);
        }
    }

    #[test]
    fn the_width_follows_the_widest_member() {
        let mut bytes = EMPTY.to_vec();
        let sizes = [32767, 32768, -3, i64::from(i32::MAX) + 1, i64::MIN].map(|value| {
            insert(&mut bytes, value);
            (bytes[0], bytes.len())
        });
        assert_eq!(sizes, [(2, 3), (4, 9), (4, 13), (8, 33), (8, 41)]);
    }

    #[test]
    fn nonsense_is_refused() {
        for bytes in [&[] as &[u8], &[0], &[3, 0, 0, 0], &[2, 0], &[2, 1, 0, 1, 0], &[2, 1, 0, 0, 0]] {
            assert!(!Ints::validate(bytes), "{bytes:?}");
        }
        assert!(Ints::validate(EMPTY) && Ints::validate(&[2, 0, 0, 1, 0]));
    }
}
