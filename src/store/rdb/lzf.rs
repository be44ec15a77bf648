//! LZF: the compression of strings in Redis' format.
//!
//! ```text
//! 000LLLLL           L+1 bytes follow as they are
//! LLLooooo oooooooo  L+2 bytes from o+1 bytes back, L from 1 to 6
//! 111ooooo LLLLLLLL oooooooo  L+9 bytes from o+1 bytes back
//! ```

use super::Damaged;

/// Longest run of bytes as they are.
const LITERALS_MAX: usize = 1 << 5;

/// Longest repetition, and the shortest that pays.
const REPEAT_MAX: usize = (1 << 8) + (1 << 3);
const REPEAT_MIN: usize = 3;

/// How far back a repetition may begin.
const DISTANCE_MAX: usize = 1 << 13;

/// Bytes that three bytes may become.
const EXPANSION_MAX: usize = REPEAT_MAX.div_ceil(3);

/// Entries of the table that finds repetitions: as many as there are distances.
const TABLE_BITS: u32 = 13;

/// Finds repetitions; keeps its table between strings.
#[derive(Clone, Debug, Default)]
pub struct Compressor {
    /// Where three bytes with this hash were seen last, plus one.
    seen: Vec<u32>,
}

impl Compressor {
    /// Appends the compressed `bytes` to `out`, unless that takes more than `most` bytes; whether it did.
    pub fn compress(&mut self, bytes: &[u8], most: usize, out: &mut Vec<u8>) -> bool {
        if u32::try_from(bytes.len()).is_err() || bytes.len() < 2 * REPEAT_MIN {
            return false;
        }
        let bits = bytes.len().ilog2().clamp(6, TABLE_BITS);
        self.seen.clear();
        self.seen.resize(1 << bits, 0);
        let start = out.len();
        let (mut literals, mut at) = (0, 0);
        while at + REPEAT_MIN <= bytes.len() {
            let seen = &mut self.seen[hash(&bytes[at..], bits)];
            let before = std::mem::replace(seen, at as u32 + 1).checked_sub(1).map(|before| before as usize);
            let len = before.map_or(0, |before| repeated(bytes, before, at));
            if len < REPEAT_MIN {
                at += 1;
                continue;
            }
            write_literals(&bytes[literals..at], out);
            write_repetition(at - before.expect("found"), len, out);
            at += len;
            literals = at;
            if out.len() - start > most {
                break;
            }
        }
        let fits = out.len() - start + (bytes.len() - literals) < most;
        if fits {
            write_literals(&bytes[literals..], out);
        }
        let fits = fits && out.len() - start <= most;
        if !fits {
            out.truncate(start);
        }
        fits
    }
}

/// The bytes that `packed` stands for, which must be as many as `len`.
pub fn decompress(packed: &[u8], len: usize) -> Result<Vec<u8>, Damaged> {
    if len > packed.len().saturating_mul(EXPANSION_MAX) {
        return Err(Damaged);
    }
    // Grows with what is there, not with what is announced.
    let mut out = Vec::with_capacity(len.min(packed.len().saturating_mul(2)));
    let mut rest = packed;
    while let Some((&head, tail)) = rest.split_first() {
        rest = tail;
        if usize::from(head) < LITERALS_MAX {
            let (literals, tail) = rest.split_at_checked(usize::from(head) + 1).ok_or(Damaged)?;
            out.extend_from_slice(literals);
            rest = tail;
        } else {
            let mut count = usize::from(head >> 5);
            if count == 7 {
                let (&more, tail) = rest.split_first().ok_or(Damaged)?;
                count += usize::from(more);
                rest = tail;
            }
            let (&low, tail) = rest.split_first().ok_or(Damaged)?;
            rest = tail;
            let distance = (usize::from(head & 0x1F) << 8 | usize::from(low)) + 1;
            repeat(&mut out, distance, count + 2)?;
        }
        if out.len() > len {
            return Err(Damaged);
        }
    }
    if out.len() == len { Ok(out) } else { Err(Damaged) }
}

/// Appends `count` bytes from `distance` bytes back; they may overlap with what is appended.
fn repeat(out: &mut Vec<u8>, distance: usize, count: usize) -> Result<(), Damaged> {
    let from = out.len().checked_sub(distance).ok_or(Damaged)?;
    let mut left = count;
    while left > 0 {
        let step = left.min(out.len() - from);
        out.extend_from_within(from..from + step);
        left -= step;
    }
    Ok(())
}

/// How many bytes at `at` are the same as at `before`, if it is near enough.
fn repeated(bytes: &[u8], before: usize, at: usize) -> usize {
    if at - before > DISTANCE_MAX {
        return 0;
    }
    let same = bytes[before..].iter().zip(&bytes[at..]).take(REPEAT_MAX);
    same.take_while(|(a, b)| a == b).count()
}

fn write_literals(literals: &[u8], out: &mut Vec<u8>) {
    for run in literals.chunks(LITERALS_MAX) {
        out.push((run.len() - 1) as u8);
        out.extend_from_slice(run);
    }
}

fn write_repetition(distance: usize, len: usize, out: &mut Vec<u8>) {
    let (offset, count) = (distance - 1, len - 2);
    let high = (offset >> 8) as u8;
    if count < 7 {
        out.push((count as u8) << 5 | high);
    } else {
        out.extend_from_slice(&[7 << 5 | high, (count - 7) as u8]);
    }
    out.push(offset as u8);
}

/// A hash of the first three bytes.
fn hash(bytes: &[u8], bits: u32) -> usize {
    let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
    (word.wrapping_mul(0x9E37_79B1) >> (u32::BITS - bits)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut out = b"before".to_vec();
        let fits = Compressor::default().compress(bytes, bytes.len(), &mut out);
        let rest = out.strip_prefix(b"before").expect("untouched");
        assert!(fits || rest.is_empty());
        fits.then(|| rest.to_vec())
    }

    #[test]
    fn repetitions_become_short() {
        for (bytes, most) in [(vec![b'a'; 10_000], 130), (b"abcdefgh".repeat(500), 80), (vec![0; 300], 20)] {
            let packed = compressed(&bytes).expect("shorter");
            assert!(packed.len() <= most, "{}", packed.len());
            assert_eq!(decompress(&packed, bytes.len()), Ok(bytes));
        }
        assert_eq!(compressed(b"no two alike"), None);
        assert_eq!(compressed(b""), None);
    }

    #[test]
    fn the_form_is_that_of_redis() {
        // DUMP of 24 times `a` by redis-server 7.0.15.
        assert_eq!(decompress(b"\x01aa\xe0\x0d\x00\x00a", 25), Ok(vec![b'a'; 25]));
    }

    #[test]
    fn nonsense_is_refused() {
        for (packed, len) in [
            (&b"\x05abc"[..], 6),
            (b"\x00a\x20\x01", 4),
            (b"\x00a\x20", 4),
            (b"\x00a\xe0\x00", 10),
            (b"\x00a", 2),
            (b"\x01ab", 1),
            (b"\x00a", usize::MAX),
            (b"\x00a\xe0\xff\x00", usize::MAX),
        ] {
            assert_eq!(decompress(packed, len), Err(Damaged), "{packed:?}");
        }
        assert_eq!(decompress(b"", 0), Ok(Vec::new()));
    }

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::vec(b'a'..b'd', 0..3000),
            (prop::collection::vec(any::<u8>(), 1..40), 1..600_usize).prop_map(|(part, times)| part.repeat(times)),
        ]
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(bytes in texts()) {
            if let Some(packed) = compressed(&bytes) {
                prop_assert!(packed.len() <= bytes.len());
                prop_assert_eq!(decompress(&packed, bytes.len()), Ok(bytes));
            }
        }

        #[test]
        fn anything_is_text_or_refused(packed in prop::collection::vec(any::<u8>(), 0..200), len in 0..2000_usize) {
            if let Ok(bytes) = decompress(&packed, len) {
                prop_assert_eq!(bytes.len(), len);
            }
        }
    }
}
