//! HyperLogLog: how many different elements a set has had, within about 0.8 %, in at most 12 KiB.
//!
//! An element's hash chooses one of 16,384 registers; the register keeps the longest run of zeros that the rest of a
//! hash began with. The bytes are those of Redis, so that a value can be read with GET and set in another server:
//!
//! ```text
//! offset 0   "HYLL"
//!        4   encoding: 0 dense, 1 sparse
//!        5   three bytes, zero
//!        8   u64 LE  the last estimate; its highest bit says that registers have changed since
//!        16  dense:  registers of 6 bits, from the lowest bit of the first byte on
//!            sparse: runs of registers
//!                    00nnnnnn            n + 1 zeros
//!                    01nnnnnn nnnnnnnn   n + 1 zeros, the high bits first
//!                    1vvvvvnn            n + 1 registers of the value v + 1
//! ```
//!
//! A sparse value becomes dense when it grows beyond a limit or a register beyond 32. Whatever a client may have set
//! as such a string is looked at before it is believed.
//!
//! Sources: the format and the steps of a sparse update are those of Redis 7's `hyperloglog.c`, because the bytes have
//! to be the same after the same elements. The estimator is that of Otmar Ertl, "New cardinality estimation algorithms
//! for HyperLogLog sketches" (arXiv:1702.01284).

pub const REGISTERS: usize = 1 << REGISTER_BITS;
const REGISTER_BITS: u32 = 14;
/// The greatest value of a register that a hash can give: all other bits are zero.
const RUN_MAX: usize = 64 - REGISTER_BITS as usize + 1;
const HEADER: usize = 16;
/// Bytes of a dense value.
pub const DENSE: usize = HEADER + REGISTERS * 6 / 8;
/// No sparse value is longer: every run has a register at least, and two bytes at most.
const SPARSE_MAX: usize = HEADER + 2 * REGISTERS;

const MAGIC: &[u8] = b"HYLL";
const DENSE_CODE: u8 = 0;
const SPARSE_CODE: u8 = 1;

/// The greatest value and the longest run that one byte can describe.
const VALUE_MAX: u8 = 32;
const VALUE_RUN_MAX: usize = 4;
const ZERO_RUN_MAX: usize = 64;

/// The registers of a union, one a byte.
pub type Registers = [u8; REGISTERS];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Dense,
    Sparse,
}

/// The runs do not describe as many registers as there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupted;

/// The encoding of a string that begins as a HyperLogLog does; none for any other string.
pub fn encoding(bytes: &[u8]) -> Option<Encoding> {
    match bytes.get(..HEADER)? {
        [b'H', b'Y', b'L', b'L', DENSE_CODE, ..] if bytes.len() == DENSE => Some(Encoding::Dense),
        [b'H', b'Y', b'L', b'L', SPARSE_CODE, ..] => Some(Encoding::Sparse),
        _ => None,
    }
}

/// An empty value, sparse.
pub fn empty() -> Vec<u8> {
    let mut bytes = [MAGIC, &[SPARSE_CODE], &[0; 11]].concat();
    Run::new(0, REGISTERS).write(&mut bytes);
    bytes
}

/// The last estimate, if no register has changed since.
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let estimate = u64::from_le_bytes(bytes[8..HEADER].try_into().expect("eight bytes"));
    (estimate >> 63 == 0).then_some(estimate)
}

pub fn cache(bytes: &mut [u8], estimate: u64) {
    bytes[8..HEADER].copy_from_slice(&estimate.to_le_bytes());
}

/// Marks the last estimate as outdated.
pub fn invalidate(bytes: &mut [u8]) {
    bytes[HEADER - 1] |= 0x80;
}

/// Adds an element to a dense value; whether a register changed.
pub fn add_dense(bytes: &mut [u8], element: &[u8]) -> bool {
    let (register, run) = place(element);
    raise_dense(bytes, register, run)
}

/// Adds an element to a value of either encoding, which may become dense; whether a register changed.
///
/// * `sparse_max`: bytes beyond which a sparse value becomes dense.
///
/// # Errors
/// When the runs end before the element's register; in becoming dense, when they do not describe all registers.
pub fn add(bytes: &mut Vec<u8>, element: &[u8], sparse_max: usize) -> Result<bool, Corrupted> {
    let (register, run) = place(element);
    raise(bytes, register, run, sparse_max)
}

/// Makes a register at least as great as `value`; whether it changed.
///
/// # Errors
/// As for [`add`].
pub fn raise(bytes: &mut Vec<u8>, register: usize, value: u8, sparse_max: usize) -> Result<bool, Corrupted> {
    if bytes[4] == DENSE_CODE {
        return Ok(raise_dense(bytes, register, value));
    }
    if value <= VALUE_MAX {
        match raise_sparse(bytes, register, value, sparse_max)? {
            Raised::No => return Ok(false),
            Raised::Yes => return Ok(true),
            Raised::TooLong => {}
        }
    }
    make_dense(bytes)?;
    Ok(raise_dense(bytes, register, value))
}

/// Makes a sparse value dense, with the same registers and the same estimate.
///
/// # Errors
/// When it does not describe all registers; it stays as it is then.
pub fn make_dense(bytes: &mut Vec<u8>) -> Result<(), Corrupted> {
    if bytes[4] == DENSE_CODE {
        return Ok(());
    }
    let mut dense = vec![0; DENSE];
    dense[..HEADER].copy_from_slice(&bytes[..HEADER]);
    dense[4] = DENSE_CODE;
    each_run(bytes, |run, first| {
        if run.value > 0 {
            (first..first + run.len).for_each(|register| set_dense(&mut dense, register, run.value));
        }
    })?;
    *bytes = dense;
    Ok(())
}

/// Raises the registers of a union to those of a value.
///
/// # Errors
/// When a sparse value does not describe all registers.
pub fn merge(into: &mut Registers, bytes: &[u8]) -> Result<(), Corrupted> {
    if bytes[4] == DENSE_CODE {
        let values = bytes[HEADER..].as_chunks::<3>().0.iter().flat_map(four_registers);
        into.iter_mut().zip(values).for_each(|(register, value)| *register = (*register).max(value));
        return Ok(());
    }
    each_run(bytes, |run, first| {
        into[first..first + run.len].iter_mut().for_each(|register| *register = (*register).max(run.value));
    })
}

/// The estimate for a value.
///
/// # Errors
/// When a sparse value does not describe all registers.
pub fn count(bytes: &[u8]) -> Result<u64, Corrupted> {
    let mut histogram = Histogram::default();
    if bytes[4] == DENSE_CODE {
        let values = bytes[HEADER..].as_chunks::<3>().0.iter().flat_map(four_registers);
        values.for_each(|value| histogram.add(value, 1));
    } else {
        each_run(bytes, |run, _| histogram.add(run.value, run.len))?;
    }
    Ok(histogram.estimate())
}

/// The estimate for a union.
pub fn count_union(registers: &Registers) -> u64 {
    let mut histogram = Histogram::default();
    registers.iter().for_each(|value| histogram.add(*value, 1));
    histogram.estimate()
}

/// The runs of a sparse value as far as they can be read.
pub fn runs(bytes: &[u8]) -> impl Iterator<Item = Run> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let run = Run::read(bytes, at)?;
        at += run.size;
        Some(run)
    })
}

/// Some registers in a row that have the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub value: u8,
    pub len: usize,
    /// Bytes that describe it.
    pub size: usize,
}

impl Run {
    fn new(value: u8, len: usize) -> Self {
        let size = if value == 0 && len > ZERO_RUN_MAX { 2 } else { 1 };
        Self { value, len, size }
    }

    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        let first = *bytes.get(at)?;
        Some(match first >> 6 {
            0 => Self { value: 0, len: usize::from(first) + 1, size: 1 },
            1 => {
                let low = *bytes.get(at + 1)?;
                Self { value: 0, len: (usize::from(first & 0x3F) << 8 | usize::from(low)) + 1, size: 2 }
            }
            _ => Self { value: (first >> 2 & 0x1F) + 1, len: usize::from(first & 3) + 1, size: 1 },
        })
    }

    fn write(self, out: &mut Vec<u8>) {
        let len = self.len - 1;
        match (self.value, self.size) {
            (0, 1) => out.push(len as u8),
            (0, _) => out.extend_from_slice(&[0x40 | (len >> 8) as u8, len as u8]),
            (value, _) => out.push(0x80 | (value - 1) << 2 | len as u8),
        }
    }

    fn is_long(self) -> bool {
        self.size == 2
    }
}

/// Visits the runs with their first registers.
///
/// # Errors
/// When they do not describe all registers and no more.
fn each_run(bytes: &[u8], mut visit: impl FnMut(Run, usize)) -> Result<(), Corrupted> {
    let (mut register, mut at) = (0, HEADER);
    while at < bytes.len() {
        let run = Run::read(bytes, at).filter(|run| register + run.len <= REGISTERS).ok_or(Corrupted)?;
        visit(run, register);
        register += run.len;
        at += run.size;
    }
    if register == REGISTERS { Ok(()) } else { Err(Corrupted) }
}

enum Raised {
    No,
    Yes,
    /// It would be longer than allowed.
    TooLong,
}

/// Makes a register at least as great as `value`, by the same steps as Redis: the bytes depend on them.
fn raise_sparse(bytes: &mut Vec<u8>, register: usize, value: u8, sparse_max: usize) -> Result<Raised, Corrupted> {
    if bytes.len() > SPARSE_MAX {
        return Err(Corrupted);
    }
    // The run where the register is, and the one before it.
    let (mut at, mut before, mut first) = (HEADER, None, 0);
    let run = loop {
        let run = Run::read(bytes, at).ok_or(Corrupted)?;
        if register < first + run.len {
            break run;
        }
        before = Some(at);
        at += run.size;
        first += run.len;
    };
    if run.value >= value {
        return Ok(Raised::No);
    }
    if run.len == 1 && !run.is_long() {
        bytes[at] = 0x80 | (value - 1) << 2;
    } else {
        // What was one run becomes up to three.
        let (left, right) = (register - first, first + run.len - 1 - register);
        let mut parts = Vec::with_capacity(5);
        if left > 0 {
            Run::new(run.value, left).write(&mut parts);
        }
        Run::new(value, 1).write(&mut parts);
        if right > 0 {
            Run::new(run.value, right).write(&mut parts);
        }
        if parts.len() > run.size && bytes.len() + parts.len() - run.size > sparse_max {
            return Ok(Raised::TooLong);
        }
        bytes.splice(at..at + run.size, parts);
    }
    join(bytes, before.unwrap_or(HEADER));
    invalidate(bytes);
    Ok(Raised::Yes)
}

/// Joins neighbours of the same value near a run that changed.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    /// The changed run became at most three, between two others.
    const LOOKS: usize = 5;
    for _ in 0..LOOKS {
        let Some(run) = Run::read(bytes, at) else { return };
        if run.value > 0
            && let Some(next) = Run::read(bytes, at + 1).filter(|next| next.value == run.value)
            && run.len + next.len <= VALUE_RUN_MAX
        {
            // Looked at again, with its next neighbour.
            bytes[at + 1] = 0x80 | (run.value - 1) << 2 | (run.len + next.len - 1) as u8;
            bytes.remove(at);
            continue;
        }
        at += run.size;
    }
}

fn raise_dense(bytes: &mut [u8], register: usize, value: u8) -> bool {
    let is_raised = get_dense(bytes, register) < value;
    if is_raised {
        set_dense(bytes, register, value);
    }
    is_raised
}

/// The register of a dense value.
pub fn get_dense(bytes: &[u8], register: usize) -> u8 {
    let (byte, bit) = (HEADER + register * 6 / 8, register * 6 % 8);
    let next = bytes.get(byte + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([bytes[byte], next]) >> bit) as u8 & 63
}

fn set_dense(bytes: &mut [u8], register: usize, value: u8) {
    let (byte, bit) = (HEADER + register * 6 / 8, register * 6 % 8);
    let set = |old: u8, mask: u8, new: u8| old & !mask | new & mask;
    let [mask, mask_next] = (63_u16 << bit).to_le_bytes();
    let [low, high] = (u16::from(value) << bit).to_le_bytes();
    bytes[byte] = set(bytes[byte], mask, low);
    if mask_next != 0 {
        bytes[byte + 1] = set(bytes[byte + 1], mask_next, high);
    }
}

/// Three bytes of a dense value are four registers.
fn four_registers(bytes: &[u8; 3]) -> [u8; 4] {
    let word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
    [word, word >> 6, word >> 12, word >> 18].map(|value| value as u8 & 63)
}

/// An element's register, and the value that it gives it.
fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur(element);
    let register = hash as usize & (REGISTERS - 1);
    // A one behind the last bit, so that a run ends there.
    let rest = hash >> REGISTER_BITS | 1 << (64 - REGISTER_BITS);
    (register, rest.trailing_zeros() as u8 + 1)
}

/// MurmurHash64A, with Redis' seed.
fn murmur(bytes: &[u8]) -> u64 {
    const SEED: u64 = 0xADC8_3B19;
    const FACTOR: u64 = 0xC6A4_A793_5BD1_E995;
    const SHIFT: u32 = 47;
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let word = u64::from_le_bytes(*word).wrapping_mul(FACTOR);
        let word = (word ^ word >> SHIFT).wrapping_mul(FACTOR);
        hash = (hash ^ word).wrapping_mul(FACTOR);
    }
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
    }
    hash = (hash ^ hash >> SHIFT).wrapping_mul(FACTOR);
    hash ^ hash >> SHIFT
}

/// How many registers have each value.
struct Histogram([u32; 64]);

impl Default for Histogram {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl Histogram {
    #[inline]
    fn add(&mut self, value: u8, count: usize) {
        // A register has 6 bits; those of a union come from such registers.
        self.0[usize::from(value & 63)] += count as u32;
    }

    /// The number of different elements. Values beyond [`RUN_MAX`] come from no hash and count as nothing.
    fn estimate(&self) -> u64 {
        let m = REGISTERS as f64;
        let at = |value: usize| f64::from(self.0[value]);
        let mut z = m * tau((m - at(RUN_MAX)) / m);
        for value in (1..RUN_MAX).rev() {
            z += at(value);
            z *= 0.5;
        }
        z += m * sigma(at(0) / m);
        /// 0.5 / ln(2)
        const ALPHA: f64 = 0.721_347_520_444_481_7;
        let estimate = (ALPHA * m * m / z).round();
        // All registers hold what no hash gives: C's conversion of infinity.
        if estimate.is_finite() { estimate as u64 } else { i64::MIN as u64 }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let last = z;
        z += x * y;
        y += y;
        if z == last {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let last = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == last {
            return z / 3.0;
        }
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPARSE_BYTES: usize = 3000;

    fn registers(bytes: &[u8]) -> Result<Box<Registers>, Corrupted> {
        let mut registers = Box::new([0; REGISTERS]);
        merge(&mut registers, bytes).map(|()| registers)
    }

    #[test]
    fn an_empty_value_is_one_long_run() {
        assert_eq!(empty(), b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
        assert_eq!((cached(&empty()), count(&empty())), (Some(0), Ok(0)));
    }

    #[test]
    fn values_grow_dense_and_stay_near_the_truth() {
        for sparse_max in [0, 100, SPARSE_BYTES, 100_000] {
            let mut bytes = empty();
            let mut dense = empty();
            make_dense(&mut dense).expect("empty");
            for i in 1..=20_000_u32 {
                let element = i.to_string();
                let changed = add(&mut bytes, element.as_bytes(), sparse_max);
                assert_eq!(changed, Ok(add_dense(&mut dense, element.as_bytes())));
                if i % 997 == 0 {
                    assert_eq!(registers(&bytes), registers(&dense));
                    let estimate = count(&bytes).expect("valid");
                    assert_eq!(Ok(estimate), count(&dense));
                    assert!(estimate.abs_diff(u64::from(i)) < u64::from(i / 20 + 5), "{i} {estimate}");
                    assert_eq!(count_union(&registers(&bytes).expect("valid")), estimate);
                    assert!(bytes.len() <= sparse_max.max(DENSE));
                }
            }
            assert_eq!(encoding(&bytes) == Some(Encoding::Dense), sparse_max <= SPARSE_BYTES);
        }
    }

    #[test]
    fn only_the_right_header_makes_one() {
        assert_eq!(encoding(&empty()), Some(Encoding::Sparse));
        assert_eq!(encoding(b"HYLL"), None);
        assert_eq!(encoding(&[b"HYLL\x02".as_slice(), &[0; 20]].concat()), None);
        assert_eq!(encoding(&[b"HYLL\x00".as_slice(), &[0; DENSE - 5]].concat()), Some(Encoding::Dense));
        assert_eq!(encoding(&[b"HYLL\x00".as_slice(), &[0; DENSE - 4]].concat()), None);
        assert_eq!(encoding(&[b"HYLl\x01".as_slice(), &[0; 20]].concat()), None);
    }

    fn sparse_bytes() -> impl Strategy<Value = Vec<u8>> {
        // Runs that nearly always end too early or too late.
        let run =
            prop_oneof![any::<u8>().prop_map(|byte| vec![byte]), any::<u8>().prop_map(|byte| vec![byte | 0x40, byte])];
        (prop::collection::vec(run, 0..400), any::<u64>()).prop_map(|(runs, estimate)| {
            [MAGIC, &[SPARSE_CODE, 0, 0, 0], &estimate.to_le_bytes(), &runs.concat()].concat()
        })
    }

    /// Any runs, filled up with zeros to the right number of registers if they are not too many.
    fn valid_bytes() -> impl Strategy<Value = Vec<u8>> {
        sparse_bytes().prop_map(|bytes| {
            let mut valid = bytes[..HEADER].to_vec();
            let mut registers = 0;
            for run in runs(&bytes).take_while(|run| {
                registers += run.len;
                registers <= REGISTERS
            }) {
                run.write(&mut valid);
            }
            let missing = REGISTERS - runs(&valid).map(|run| run.len).sum::<usize>();
            if missing > 0 {
                Run::new(0, missing).write(&mut valid);
            }
            valid
        })
    }

    proptest! {
        #[test]
        fn dense_registers_keep_what_is_set(values in prop::collection::vec((0..REGISTERS, 0..64_u8), 0..300)) {
            let mut bytes = vec![0; DENSE];
            let mut model = Box::new([0; REGISTERS]);
            for (register, value) in values {
                set_dense(&mut bytes, register, value);
                model[register] = value;
                prop_assert_eq!(get_dense(&bytes, register), value);
            }
            prop_assert_eq!(registers(&bytes), Ok(model));
        }

        #[test]
        fn raising_registers_agrees_with_an_array(
            mut bytes in valid_bytes(),
            raises in prop::collection::vec((0..REGISTERS, 1..52_u8), 0..60),
            sparse_max in prop_oneof![Just(0), Just(300), Just(100_000)],
        ) {
            let mut model = registers(&bytes).expect("valid");
            for (register, value) in raises {
                // Neighbours as well, so that runs are joined.
                for register in register..(register + 3).min(REGISTERS) {
                    let old = model[register];
                    model[register] = old.max(value);
                    prop_assert_eq!(raise(&mut bytes, register, value, sparse_max), Ok(value > old));
                }
            }
            prop_assert_eq!(registers(&bytes), Ok(model));
        }

        #[test]
        fn whatever_was_set_is_an_error_at_worst(
            bytes in prop_oneof![sparse_bytes(), valid_bytes(), prop::collection::vec(any::<u8>(), DENSE..=DENSE)],
            elements in prop::collection::vec(any::<u64>(), 0..20),
            cut in 0..100_usize,
        ) {
            let mut bytes = bytes;
            bytes[..4].copy_from_slice(MAGIC);
            bytes.truncate(bytes.len().saturating_sub(cut % 7).max(HEADER));
            bytes[4] &= 1;
            prop_assume!(encoding(&bytes).is_some());
            let _ = (count(&bytes), cached(&bytes), runs(&bytes).count());
            let is_valid = registers(&bytes).is_ok();
            for element in elements {
                let result = add(&mut bytes, &element.to_le_bytes(), SPARSE_BYTES);
                prop_assert!(result.is_ok() || !is_valid);
            }
            prop_assert_eq!(registers(&bytes).is_ok(), is_valid);
            prop_assert_eq!(make_dense(&mut bytes).is_ok(), is_valid);
        }
    }
}
