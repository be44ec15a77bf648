//! Strings as arrays of bits: bit 0 is the highest bit of the first byte.
//!
//! Loops go over words of 64 bits, or over bytes where the compiler makes vectors of them.

/// How BITOP combines strings; shorter ones count as if zeros followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Combine {
    And,
    Or,
    Xor,
    /// Of one string.
    Not,
    /// In the first and in none of the others.
    Diff,
    /// In one of the others and not in the first.
    Diff1,
    /// In the first and in one of the others.
    AndOr,
    /// In exactly one.
    One,
}

/// Bits that are set.
pub fn count(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    // Four sums, so that one addition need not wait for another.
    let (groups, others) = words.as_chunks::<4>();
    let mut sums = [0_u64; 4];
    for group in groups {
        for (sum, word) in sums.iter_mut().zip(group) {
            *sum += u64::from(u64::from_ne_bytes(*word).count_ones());
        }
    }
    let others = others.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones())).sum::<u64>();
    sums.iter().sum::<u64>() + others + rest.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>()
}

/// Bits that are set from bit `first` to bit `last`, which must be in the string and in this order.
pub fn count_range(bytes: &[u8], first: usize, last: usize) -> u64 {
    let before = bytes[first / 8] & !from(first);
    let behind = bytes[last / 8] & !up_to(last);
    count(&bytes[first / 8..=last / 8]) - u64::from(before.count_ones()) - u64::from(behind.count_ones())
}

/// The first bit with this value from bit `first` to bit `last`, which must be in the string and in this order.
pub fn find(bytes: &[u8], is_set: bool, first: usize, last: usize) -> Option<usize> {
    // What is looked for is a one after this.
    let flip = if is_set { 0 } else { 0xFF };
    let (start, end) = (first / 8, last / 8);
    let edge = |at: usize| {
        let byte = bytes[at] ^ flip;
        let byte = if at == start { byte & from(first) } else { byte };
        let byte = if at == end { byte & up_to(last) } else { byte };
        (byte != 0).then(|| 8 * at + byte.leading_zeros() as usize)
    };
    edge(start)
        .or_else(|| {
            let middle = bytes.get(start + 1..end)?;
            let (words, rest) = middle.as_chunks::<8>();
            let flip = u64::from_ne_bytes([flip; 8]);
            let word = words.iter().position(|word| u64::from_ne_bytes(*word) != flip);
            let found = word.map(|at| 64 * at + (u64::from_be_bytes(words[at]) ^ flip).leading_zeros() as usize);
            let found = found.or_else(|| {
                let at = rest.iter().position(|byte| *byte != flip as u8)?;
                Some(64 * words.len() + 8 * at + (rest[at] ^ flip as u8).leading_zeros() as usize)
            });
            found.map(|bit| 8 * (start + 1) + bit)
        })
        .or_else(|| (end > start).then(|| edge(end)).flatten())
}

/// The bits of a byte from this one on.
fn from(bit: usize) -> u8 {
    0xFF >> (bit % 8)
}

/// The bits of a byte up to this one.
fn up_to(bit: usize) -> u8 {
    !(0x7F >> (bit % 8))
}

/// The value of one bit; those behind the string are zero.
pub fn get(bytes: &[u8], bit: usize) -> bool {
    bytes.get(bit / 8).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
}

/// Sets one bit, which must be in the string; the old value.
pub fn set(bytes: &mut [u8], bit: usize, is_set: bool) -> bool {
    let (byte, mask) = (&mut bytes[bit / 8], 0x80 >> (bit % 8));
    let old = *byte & mask != 0;
    *byte = if is_set { *byte | mask } else { *byte & !mask };
    old
}

/// A number of up to 64 bits, its highest bit first; bits behind the string are zero.
pub fn get_field(bytes: &[u8], bit: usize, width: u32) -> u64 {
    let window = window(bytes, bit);
    let shift = 72 - (bit % 8) as u32 - width;
    (window >> shift) as u64 & (u64::MAX >> (64 - width))
}

/// Overwrites a number of up to 64 bits, all of which must be in the string, with the lowest bits of `value`.
pub fn set_field(bytes: &mut [u8], bit: usize, width: u32, value: u64) {
    let shift = 72 - (bit % 8) as u32 - width;
    let mask = u128::from(u64::MAX >> (64 - width)) << shift;
    let window = window(bytes, bit) & !mask | (u128::from(value) << shift) & mask;
    let window = &window.to_be_bytes()[7..];
    let start = bit / 8;
    let len = window.len().min(bytes.len() - start);
    bytes[start..start + len].copy_from_slice(&window[..len]);
}

/// Nine bytes from the one with this bit on.
fn window(bytes: &[u8], bit: usize) -> u128 {
    let mut window = [0; 16];
    let rest = bytes.get(bit / 8..).unwrap_or_default();
    let len = rest.len().min(9);
    window[7..7 + len].copy_from_slice(&rest[..len]);
    u128::from_be_bytes(window)
}

/// Combines strings into one as long as the longest. Cost: O(sum of the lengths).
pub fn combine(how: Combine, strings: &[&[u8]]) -> Vec<u8> {
    let len = strings.iter().map(|string| string.len()).max().unwrap_or(0);
    let Some((first, others)) = strings.split_first() else { return Vec::new() };
    match how {
        Combine::And => {
            let mut out = padded(first, len);
            others.iter().for_each(|other| and(&mut out, other));
            out
        }
        Combine::Or => union(strings, len),
        Combine::Xor => {
            let mut out = padded(first, len);
            others.iter().for_each(|other| each(&mut out, other, |to, it| to ^ it));
            out
        }
        Combine::Not => first.iter().map(|byte| !byte).collect(),
        Combine::Diff => {
            let mut out = padded(first, len);
            others.iter().for_each(|other| each(&mut out, other, |to, it| to & !it));
            out
        }
        Combine::Diff1 => {
            let mut out = union(others, len);
            each(&mut out, first, |to, it| to & !it);
            out
        }
        Combine::AndOr => {
            let mut out = union(others, len);
            and(&mut out, first);
            out
        }
        Combine::One => {
            let mut any = padded(first, len);
            let mut several = vec![0; len];
            for other in others {
                for ((several, any), it) in several.iter_mut().zip(&mut any).zip(*other) {
                    *several |= *any & it;
                    *any |= it;
                }
            }
            each(&mut any, &several, |any, several| any & !several);
            any
        }
    }
}

fn padded(string: &[u8], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    out[..string.len()].copy_from_slice(string);
    out
}

fn union(strings: &[&[u8]], len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    strings.iter().for_each(|string| each(&mut out, string, |to, it| to | it));
    out
}

fn and(out: &mut [u8], other: &[u8]) {
    let (common, rest) = out.split_at_mut(other.len());
    each(common, other, |to, it| to & it);
    rest.fill(0);
}

#[inline]
fn each(out: &mut [u8], other: &[u8], change: impl Fn(u8, u8) -> u8) {
    out.iter_mut().zip(other).for_each(|(to, it)| *to = change(*to, *it));
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(bytes: &[u8]) -> Vec<bool> {
        bytes.iter().flat_map(|byte| (0..8).map(move |bit| byte >> (7 - bit) & 1 == 1)).collect()
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        // Long runs of equal bytes, so that words are skipped.
        let run = (prop_oneof![Just(0), Just(0xFF), any::<u8>()], 1..60_usize);
        prop::collection::vec(run, 1..5)
            .prop_map(|runs| runs.into_iter().flat_map(|(byte, len)| vec![byte; len]).collect())
    }

    proptest! {
        #[test]
        fn ranges_agree_with_single_bits(bytes in bytes(), at: (usize, usize), is_set: bool) {
            let bits = bits(&bytes);
            let (first, last) = (at.0 % bits.len(), at.1 % bits.len());
            let (first, last) = (first.min(last), first.max(last));
            let range = &bits[first..=last];
            prop_assert_eq!(count(&bytes), bits.iter().filter(|bit| **bit).count() as u64);
            prop_assert_eq!(count_range(&bytes, first, last), range.iter().filter(|bit| **bit).count() as u64);
            let position = range.iter().position(|bit| *bit == is_set).map(|at| at + first);
            prop_assert_eq!(find(&bytes, is_set, first, last), position);
            prop_assert_eq!(get(&bytes, first), bits[first]);
        }

        #[test]
        fn fields_agree_with_single_bits(mut bytes in bytes(), at: usize, width in 1..=64_u32, value: u64) {
            let before = bits(&bytes);
            let at = at % before.len();
            let read = (at..at + width as usize)
                .fold(0, |value, bit| value << 1 | u64::from(before.get(bit).copied().unwrap_or(false)));
            prop_assert_eq!(get_field(&bytes, at, width), read);
            if at + width as usize <= before.len() {
                set_field(&mut bytes, at, width, value);
                let mut expected = before;
                for bit in 0..width {
                    expected[at + bit as usize] = value >> (width - 1 - bit) & 1 == 1;
                }
                prop_assert_eq!(bits(&bytes), expected);
                let old = get(&bytes, at);
                prop_assert_eq!(set(&mut bytes, at, !old), old);
                prop_assert_eq!(get(&bytes, at), !old);
            }
        }

        #[test]
        fn combinations_agree_with_single_bits(strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5)) {
            let len = strings.iter().map(Vec::len).max().unwrap_or(0);
            let views: Vec<&[u8]> = strings.iter().map(Vec::as_slice).collect();
            let check = |how, expected: fn(bool, usize) -> bool| {
                let found = combine(how, &views);
                for bit in 0..8 * len {
                    let others = views[1..].iter().filter(|string| get(string, bit)).count();
                    assert_eq!(get(&found, bit), expected(get(views[0], bit), others), "{how:?} {bit}");
                }
                assert_eq!(found.len(), len);
            };
            check(Combine::Or, |first, others| first || others > 0);
            check(Combine::Xor, |first, others| (usize::from(first) + others) % 2 == 1);
            check(Combine::Diff, |first, others| first && others == 0);
            check(Combine::Diff1, |first, others| !first && others > 0);
            check(Combine::AndOr, |first, others| first && others > 0);
            check(Combine::One, |first, others| usize::from(first) + others == 1);
            let all = combine(Combine::And, &views);
            let none = combine(Combine::Not, &views[..1]);
            for bit in 0..8 * len {
                prop_assert_eq!(get(&all, bit), views.iter().all(|string| get(string, bit)));
            }
            prop_assert_eq!(none, views[0].iter().map(|byte| !byte).collect::<Vec<u8>>());
        }
    }
}
