//! The longest common subsequence of two strings, with the choices of Redis' LCS where there are several.
//!
//! The table of lengths has a row for each byte of one string and a column for each of the other; neighbours differ by
//! at most one. So a row is kept as bits, one where the length does *not* grow from the column before (Crochemore,
//! Iliopoulos, Pinzon, Reid: "A fast and practical bit-vector algorithm for the longest common subsequence problem"),
//! and 64 columns are computed with half a dozen instructions. Against a table of 32-bit lengths that is 32 times
//! smaller and as many times faster.
//!
//! Columns belong to the longer string, so that a row is never much shorter than a word.

/// What two strings have in common.
#[derive(Debug)]
pub struct Common {
    pub bytes: Vec<u8>,
    /// Where it is in both strings, as runs that are contiguous in both; the last ones first.
    pub runs: Vec<Run>,
}

/// A run: where it begins in each string, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub a: usize,
    pub b: usize,
    pub len: usize,
}

/// Bytes of the table that Redis would make for strings of these lengths.
pub fn table_bytes(a: usize, b: usize) -> u128 {
    4 * (a as u128 + 1) * (b as u128 + 1)
}

/// The length of the longest common subsequence. Cost: O(a * b / 64), memory O(a + b).
pub fn common_len(a: &[u8], b: &[u8]) -> usize {
    let (rows, columns) = if a.len() > b.len() { (b, a) } else { (a, b) };
    let masks = Masks::new(rows, columns);
    let mut row = vec![u64::MAX; masks.words];
    for &byte in rows {
        advance(&mut row, masks.of(byte));
    }
    row.iter().map(|word| word.count_zeros() as usize).sum()
}

/// The longest common subsequence. Cost: O(a * b / 64), memory O(a * b / 8) bytes.
pub fn common(a: &[u8], b: &[u8]) -> Common {
    let is_swapped = a.len() > b.len();
    let (rows, columns) = if is_swapped { (b, a) } else { (a, b) };
    let table = Table::new(rows, columns);
    let mut path = Path::default();
    let (mut i, mut j) = (rows.len(), columns.len());
    while i > 0 && j > 0 {
        let at = table.next_column(i, j, is_swapped);
        match at {
            // Nothing is in common any more.
            None => break,
            Some(next) => {
                path.is_broken |= next != j;
                j = next;
            }
        }
        if table.matches(i, j) {
            (i, j) = (i - 1, j - 1);
            let (at_a, at_b) = if is_swapped { (j, i) } else { (i, j) };
            path.push(at_a, at_b, rows[i]);
        } else {
            path.is_broken = true;
            i -= 1;
        }
    }
    path.finish()
}

/// The way back through the table.
#[derive(Default)]
struct Path {
    /// Backwards.
    bytes: Vec<u8>,
    runs: Vec<Run>,
    /// Whether the next match cannot belong to the last run.
    is_broken: bool,
}

impl Path {
    fn push(&mut self, a: usize, b: usize, byte: u8) {
        self.bytes.push(byte);
        match self.runs.last_mut() {
            Some(run) if !self.is_broken => *run = Run { a, b, len: run.len + 1 },
            _ => self.runs.push(Run { a, b, len: 1 }),
        }
        self.is_broken = false;
    }

    fn finish(mut self) -> Common {
        self.bytes.reverse();
        Common { bytes: self.bytes, runs: self.runs }
    }
}

/// For each byte that the rows have, the columns where it is.
struct Masks {
    /// Words of a row.
    words: usize,
    /// By byte: the number of its mask, counted from one; 0 for those that no row has.
    number: [u16; 256],
    /// The masks; number 0 is empty.
    bits: Vec<u64>,
}

impl Masks {
    fn new(rows: &[u8], columns: &[u8]) -> Self {
        let words = columns.len().div_ceil(64);
        let mut number = [0; 256];
        let mut count = 0;
        for &byte in rows {
            if number[usize::from(byte)] == 0 {
                count += 1;
                number[usize::from(byte)] = count;
            }
        }
        let mut bits = vec![0; (usize::from(count) + 1) * words];
        for (word, chunk) in columns.chunks(64).enumerate() {
            for (bit, &byte) in chunk.iter().enumerate() {
                let number = number[usize::from(byte)];
                if number != 0 {
                    bits[usize::from(number) * words + word] |= 1 << bit;
                }
            }
        }
        Self { words, number, bits }
    }

    fn of(&self, byte: u8) -> &[u64] {
        let number = usize::from(self.number[usize::from(byte)]);
        &self.bits[number * self.words..(number + 1) * self.words]
    }
}

/// Makes a row of the next one, whose byte has this mask. Bits beyond the last column stay ones.
fn advance(row: &mut [u64], mask: &[u64]) {
    let mut carry = false;
    for (word, mask) in row.iter_mut().zip(mask) {
        let (sum, first) = word.overflowing_add(*word & mask);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        carry = first || second;
        *word = sum | (*word & !mask);
    }
}

/// All rows.
struct Table<'a> {
    rows: &'a [u8],
    masks: Masks,
    /// Row 0, of the empty string, and one for each byte.
    bits: Vec<u64>,
}

impl<'a> Table<'a> {
    fn new(rows: &'a [u8], columns: &[u8]) -> Self {
        let masks = Masks::new(rows, columns);
        let words = masks.words;
        let mut bits = Vec::with_capacity((rows.len() + 1) * words);
        bits.resize(words, u64::MAX);
        for (i, &byte) in rows.iter().enumerate() {
            bits.extend_from_within(i * words..);
            advance(&mut bits[(i + 1) * words..], masks.of(byte));
        }
        Self { rows, masks, bits }
    }

    fn row(&self, i: usize) -> &[u64] {
        &self.bits[i * self.masks.words..(i + 1) * self.masks.words]
    }

    /// Whether the bytes in front of row `i` and column `j` are the same.
    fn matches(&self, i: usize, j: usize) -> bool {
        has(self.masks.of(self.rows[i - 1]), j - 1)
    }

    /// Follows row `i` from column `j` down to where the way leaves it, by a match or to the row before; none when it
    /// does not leave it.
    ///
    /// Where the bytes differ, Redis drops the last byte of `a` if the rest of it has more in common with `b` than `a`
    /// has with the rest of `b`, otherwise that of `b`. At most one of these numbers is less than what both have in
    /// common, so that it drops that of `a` only if `b`'s last byte is needed.
    fn next_column(&self, i: usize, j: usize, is_swapped: bool) -> Option<usize> {
        let (row, mask) = (self.row(i), self.masks.of(self.rows[i - 1]));
        if !is_swapped {
            // Rows are `a`: it leaves the row where the column is needed, which is where the length grows.
            return last_one(j, |word| mask[word] | !row[word]);
        }
        // Rows are `b`, and it stays only where the row is needed and the column is not. The row is needed where it has
        // more in common than the row before; that changes where one of both grows and the other does not.
        let before = self.row(i - 1);
        let change = |word: usize| row[word] ^ before[word];
        let mut is_needed = parity(j, change);
        let mut j = j;
        loop {
            if j == 0 {
                return None;
            }
            if !is_needed || has(mask, j - 1) || !has(row, j - 1) {
                return Some(j);
            }
            // The row's last column with any of these; all between are stepped over.
            let event = last_one(j, |word| mask[word] | !row[word] | change(word))?;
            if event == j {
                is_needed = false;
                j -= 1;
            } else {
                j = event;
            }
        }
    }
}

fn has(words: &[u64], bit: usize) -> bool {
    words[bit / 64] >> (bit % 64) & 1 == 1
}

/// The number, counted from one, of the last bit that is set among the first `count`.
fn last_one(count: usize, word_at: impl Fn(usize) -> u64) -> Option<usize> {
    let mut word = (count - 1) / 64;
    let mut bits = word_at(word) & (u64::MAX >> (63 - (count - 1) % 64));
    loop {
        if bits != 0 {
            return Some(64 * word + 64 - bits.leading_zeros() as usize);
        }
        word = word.checked_sub(1)?;
        bits = word_at(word);
    }
}

/// Whether an odd number of bits is set among the first `count`, which is not zero.
fn parity(count: usize, word_at: impl Fn(usize) -> u64) -> bool {
    let last = (count - 1) / 64;
    let sum = (0..last).fold(0, |sum, word| sum ^ word_at(word));
    let sum = sum ^ (word_at(last) & (u64::MAX >> (63 - (count - 1) % 64)));
    sum.count_ones() % 2 == 1
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As Redis does it, with the whole table.
    fn model(a: &[u8], b: &[u8]) -> (Vec<u8>, Vec<Run>) {
        let mut table = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
        for i in 1..=a.len() {
            for j in 1..=b.len() {
                table[i][j] =
                    if a[i - 1] == b[j - 1] { table[i - 1][j - 1] + 1 } else { table[i - 1][j].max(table[i][j - 1]) };
            }
        }
        let (mut bytes, mut runs): (Vec<u8>, Vec<Run>) = (Vec::new(), Vec::new());
        let (mut i, mut j) = (a.len(), b.len());
        while i > 0 && j > 0 {
            if a[i - 1] == b[j - 1] {
                (i, j) = (i - 1, j - 1);
                bytes.push(a[i]);
                match runs.last_mut() {
                    Some(run) if run.a == i + 1 && run.b == j + 1 => *run = Run { a: i, b: j, len: run.len + 1 },
                    _ => runs.push(Run { a: i, b: j, len: 1 }),
                }
            } else if table[i - 1][j] > table[i][j - 1] {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        bytes.reverse();
        (bytes, runs)
    }

    fn check(a: &[u8], b: &[u8]) {
        let (bytes, runs) = model(a, b);
        let found = common(a, b);
        assert_eq!((&found.bytes, &found.runs), (&bytes, &runs), "{} and {}", a.escape_ascii(), b.escape_ascii());
        assert_eq!(common_len(a, b), bytes.len());
    }

    #[test]
    fn texts() {
        check(b"ohmytext", b"mynewtext");
        check(b"", b"");
        check(b"a", b"");
        check(b"", b"a");
        check(b"abc", b"abc");
        check(b"abc", b"xyz");
        check(&[b'a'; 200], &[b'a'; 130]);
        check(&[b'a'; 64], &[b'a'; 64]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_whole_table(
            a in "[ab]{0,40}|[a-d]{0,200}|[a-z]{0,300}",
            b in "[ab]{0,40}|[a-d]{0,200}|[a-z]{0,300}",
        ) {
            check(a.as_bytes(), b.as_bytes());
            check(b.as_bytes(), a.as_bytes());
        }

        #[test]
        fn agrees_on_similar_strings(base in "[a-c]{100,300}", cuts in prop::collection::vec((0..300_usize, "[a-d]{0,9}"), 0..9)) {
            let mut other = base.clone();
            for (at, text) in cuts {
                let at = at.min(other.len());
                let end = (at + text.len() / 2).min(other.len());
                other.replace_range(at..end, &text);
            }
            check(base.as_bytes(), other.as_bytes());
            check(other.as_bytes(), base.as_bytes());
        }
    }
}
