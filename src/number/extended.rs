//! Numbers with 64 bits of mantissa: what INCRBYFLOAT and HINCRBYFLOAT add.
//!
//! Redis computes these in C's `long double`, which on x86-64 is the 80-bit format of its floating point unit, and
//! writes the sum with 17 decimals. Clients see `10.5 + 0.1 = 10.6` only because of those 11 bits beyond a double, so
//! the format is reproduced here with integers: reading, adding and writing each round once, to nearest, ties to even.
//!
//! Texts of usual length take a short way through 128-bit integers. The longest text that is read has 5,119 bytes and
//! the largest number 4,933 digits; they take well below a millisecond.

use std::cmp::Ordering;

/// A number as an 80-bit `long double` holds it; never NaN.
#[derive(Clone, Copy, Debug)]
pub struct Extended {
    is_negative: bool,
    /// The value is `mantissa` times two to the power of `exponent`. The highest bit is set, except in zero.
    mantissa: u64,
    /// [`INFINITE`] for infinity.
    exponent: i32,
}

const INFINITE: i32 = i32::MAX;

/// The exponent of the last bit of the smallest number, and of the first bit of the largest.
const EXPONENT_MIN: i64 = -16_445;
const EXPONENT_MAX: i64 = 16_383;

/// The exponents of ten beyond which a number is infinite or zero.
const DECIMAL_MAX: i64 = 4_932;
const DECIMAL_MIN: i64 = -4_951;

/// Texts of this many bytes and more are no numbers to Redis (`MAX_LONG_DOUBLE_CHARS`).
const TEXT_MAX: usize = 5 * 1024;

/// Decimals that are written.
const DECIMALS: usize = 17;
const DECIMALS_UNIT: u64 = 100_000_000_000_000_000;

impl Extended {
    pub const ZERO: Self = Self { is_negative: false, mantissa: 0, exponent: 0 };
    pub const ONE: Self = Self { is_negative: false, mantissa: 1 << 63, exponent: -63 };
    /// The largest number that is not infinite.
    pub const MAX: Self = Self { is_negative: false, mantissa: u64::MAX, exponent: EXPONENT_MAX as i32 - 63 };

    /// Reads what C's `strtold` reads, with nothing around it: decimal, hexadecimal (`0x1.8p3`), or infinity.
    ///
    /// None for NaN, and for what is too large or, without being zero, too small.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TEXT_MAX {
            return None;
        }
        let (is_negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let value = match rest {
            [b'0', b'x' | b'X', digits @ ..] => parse_hexadecimal(digits)?,
            [b'0'..=b'9' | b'.', ..] => parse_decimal(rest)?,
            _ if rest.eq_ignore_ascii_case(b"inf") || rest.eq_ignore_ascii_case(b"infinity") => {
                Self { exponent: INFINITE, ..Self::ZERO }
            }
            _ => return None,
        };
        Some(Self { is_negative, ..value })
    }

    pub fn from_i64(value: i64) -> Self {
        Self { is_negative: value < 0, ..Self::from_u64(value.unsigned_abs()) }
    }

    fn from_u64(value: u64) -> Self {
        rounded(u128::from(value), 0, false).unwrap_or(Self::ZERO)
    }

    /// The nearest double, or nearly so.
    pub fn to_f64(self) -> f64 {
        let magnitude = if self.is_infinite() {
            f64::INFINITY
        } else {
            // In two steps, since the power alone may not be a double.
            let half = self.exponent / 2;
            self.mantissa as f64 * power_of_2(half) * power_of_2(self.exponent - half)
        };
        if self.is_negative { -magnitude } else { magnitude }
    }

    pub fn is_infinite(self) -> bool {
        self.exponent == INFINITE
    }

    pub const fn negated(self) -> Self {
        Self { is_negative: !self.is_negative, ..self }
    }

    /// The sum; none when it would be infinite or no number.
    pub fn plus(self, other: Self) -> Option<Self> {
        if self.is_infinite() || other.is_infinite() {
            return None;
        }
        if self.mantissa == 0 || other.mantissa == 0 {
            return Some(if self.mantissa == 0 { other } else { self });
        }
        let is_larger = (self.exponent, self.mantissa) >= (other.exponent, other.mantissa);
        let (large, small) = if is_larger { (self, other) } else { (other, self) };
        // 63 bits below the larger number's last bit: what is lost of the smaller one lies below the rounding.
        let head = u128::from(large.mantissa) << 63;
        let shift = large.exponent.abs_diff(small.exponent);
        let tail = (u128::from(small.mantissa) << 63).checked_shr(shift).unwrap_or(0);
        let is_lossy = shift > 63 && small.mantissa.trailing_zeros() < shift - 63;
        let sum = if large.is_negative == small.is_negative { head + tail } else { head - tail - u128::from(is_lossy) };
        if sum == 0 {
            return Some(Self::ZERO);
        }
        let sum = rounded(sum, i64::from(large.exponent) - 63, is_lossy)?;
        Some(Self { is_negative: large.is_negative, ..sum })
    }

    /// The number with up to 17 decimals, without trailing zeros; never in scientific notation.
    pub fn format(self) -> String {
        let (whole, fraction) = match self.exponent {
            INFINITE => ("inf".to_owned(), 0),
            exponent @ 0..=64 => ((u128::from(self.mantissa) << exponent).to_string(), 0),
            exponent @ 65.. => (format_large(self.mantissa, exponent.unsigned_abs()), 0),
            exponent => {
                let (whole, fraction) = split(self.mantissa, exponent.unsigned_abs());
                (whole.to_string(), fraction)
            }
        };
        let is_zero = fraction == 0 && whole == "0";
        let mut text = String::with_capacity(whole.len() + 2 + DECIMALS);
        text.push_str(if self.is_negative && !is_zero { "-" } else { "" });
        text.push_str(&whole);
        if fraction != 0 {
            let decimals = format!(".{fraction:0DECIMALS$}");
            text.push_str(decimals.trim_end_matches('0'));
        }
        text
    }
}

/// By value: both zeros are equal.
impl Ord for Extended {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |it: &Self| match (it.mantissa, it.exponent) {
            (0, exponent) if exponent != INFINITE => 0,
            _ if it.is_negative => -1,
            _ => 1,
        };
        // Mantissas begin with their highest bit, so that exponents count first; infinity has the largest.
        let magnitude = |it: &Self| (it.exponent, it.mantissa);
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => magnitude(self).cmp(&magnitude(other)),
            _ => magnitude(other).cmp(&magnitude(self)),
        })
    }
}

impl PartialOrd for Extended {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Extended {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Extended {}

/// 2 to the power of `exponent`: infinity or zero beyond the doubles. A normal one is made of its bits, since `powi` is slow.
fn power_of_2(exponent: i32) -> f64 {
    match u64::try_from(exponent + 1023) {
        Ok(biased @ 1..=2046) => f64::from_bits(biased << 52),
        _ => 2_f64.powi(exponent),
    }
}

/// The number `head * 2^exponent`, to which something less than `2^exponent` is added when `is_more`.
///
/// `head` is not zero, and has at least 66 bits if `is_more`. None when the number is too large, or rounds to zero.
fn rounded(head: u128, exponent: i64, is_more: bool) -> Option<Extended> {
    let first = exponent + 127 - i64::from(head.leading_zeros());
    let last = (first - 63).max(EXPONENT_MIN);
    let shift = last - exponent;
    let mut mantissa = if shift <= 0 {
        head << -shift
    } else {
        let shift = u32::try_from(shift).ok()?;
        let kept = head.checked_shr(shift).unwrap_or(0);
        let half = 1_u128.checked_shl(shift - 1)?;
        let rest = head & (half | (half - 1));
        let is_up = match rest.cmp(&half) {
            Ordering::Less => false,
            Ordering::Equal => is_more || kept % 2 == 1,
            Ordering::Greater => true,
        };
        kept + u128::from(is_up)
    };
    if mantissa == 0 {
        return None;
    }
    // At most 2^64: rounding up may have carried into one bit more, all others are zero then.
    let mut last = last;
    if mantissa > u128::from(u64::MAX) {
        mantissa >>= 1;
        last += 1;
    }
    let mantissa = mantissa as u64;
    let zeros = mantissa.leading_zeros();
    let exponent = last - i64::from(zeros);
    (exponent + 63 <= EXPONENT_MAX).then_some(Extended {
        is_negative: false,
        mantissa: mantissa << zeros,
        exponent: exponent as i32,
    })
}

/// Reads digits with a decimal point and an exponent of ten, all of which but one digit may be missing.
fn parse_decimal(text: &[u8]) -> Option<Extended> {
    // What nearly everybody sends: digits alone, so few that a `u64` holds them.
    if text.len() <= 18 && text.iter().all(u8::is_ascii_digit) {
        let value = text.iter().fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
        return Some(Extended::from_u64(value));
    }
    let (digits, mut exponent) = mantissa_and_exponent(text, b'e', u8::is_ascii_digit)?;
    let digits = digits.trim_ascii_digits();
    exponent += digits.exponent;
    let digits = digits.digits;
    if digits.is_empty() {
        return Some(Extended::ZERO);
    }
    let first = exponent + digits.len() as i64 - 1;
    if !(DECIMAL_MIN..=DECIMAL_MAX).contains(&first) {
        return None;
    }
    // 10^18 has 60 bits and 19 digits have 64.
    if digits.len() <= 19 && exponent.abs() <= 18 {
        let value = digits.iter().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
        let power = 10_u64.pow(exponent.unsigned_abs() as u32);
        if exponent >= 0 {
            return rounded(u128::from(value) * u128::from(power), 0, false);
        }
        let zeros = u128::from(value).leading_zeros();
        let (value, power) = (u128::from(value) << zeros, u128::from(power));
        return rounded(value / power, -i64::from(zeros), value % power != 0);
    }
    let mut value = Big::default();
    for chunk in digits.chunks(9) {
        let number = chunk.iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'));
        value.multiply_add(10_u32.pow(chunk.len() as u32), number);
    }
    if exponent >= 0 {
        value.multiply_by_power_of_5(exponent.unsigned_abs());
        return value.rounded(exponent);
    }
    let mut power = Big::from(1);
    power.multiply_by_power_of_5(exponent.unsigned_abs());
    let (quotient, quotient_exponent, is_more) = value.divided_by(power);
    rounded(quotient, quotient_exponent + exponent, is_more)
}

/// Reads what follows `0x`.
fn parse_hexadecimal(text: &[u8]) -> Option<Extended> {
    let (mantissa, exponent) = mantissa_and_exponent(text, b'p', u8::is_ascii_hexdigit)?;
    let mut value = Big::default();
    for &digit in mantissa.digits.iter().skip_while(|digit| **digit == b'0') {
        value.multiply_add(16, (digit as char).to_digit(16)?);
    }
    if value.limbs.is_empty() {
        return Some(Extended::ZERO);
    }
    // The point was moved by whole digits of four bits.
    value.rounded(exponent + 4 * mantissa.exponent)
}

/// The digits of a number without its point.
struct Digits {
    digits: smallvec::SmallVec<[u8; 32]>,
    /// How many places the point was moved.
    exponent: i64,
}

impl Digits {
    /// Without zeros at either end.
    fn trim_ascii_digits(mut self) -> Self {
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
            self.exponent += 1;
        }
        let zeros = self.digits.iter().take_while(|digit| **digit == b'0').count();
        self.digits.drain(..zeros);
        self
    }
}

/// Splits a number into digits and the exponent behind `mark` (0 without one).
fn mantissa_and_exponent(text: &[u8], mark: u8, is_digit: fn(&u8) -> bool) -> Option<(Digits, i64)> {
    /// Beyond every exponent that has an effect; a sum with a text's length does not overflow.
    const EXPONENT_CLAMP: i64 = 1_000_000;
    let split = text.iter().position(|byte| byte.to_ascii_lowercase() == mark);
    let (mantissa, exponent) = text.split_at(split.unwrap_or(text.len()));
    let point = mantissa.iter().position(|byte| *byte == b'.').unwrap_or(mantissa.len());
    let (whole, fraction) = mantissa.split_at(point);
    let fraction = fraction.get(1..).unwrap_or_default();
    let mut digits = smallvec::SmallVec::from_slice(whole);
    digits.extend_from_slice(fraction);
    if digits.is_empty() || !digits.iter().all(is_digit) {
        return None;
    }
    let exponent = match exponent {
        [] => 0,
        [_, b'-', digits @ ..] => -exponent_digits(digits)?.min(EXPONENT_CLAMP),
        [_, b'+', digits @ ..] | [_, digits @ ..] => exponent_digits(digits)?.min(EXPONENT_CLAMP),
    };
    Some((Digits { digits, exponent: -(fraction.len() as i64) }, exponent))
}

fn exponent_digits(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0_i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0'))))
}

/// `mantissa / 2^shift` as its whole part and 17 decimals, rounded.
fn split(mantissa: u64, shift: u32) -> (u64, u64) {
    let whole = mantissa.checked_shr(shift).unwrap_or(0);
    let rest = if shift < 64 { mantissa & ((1 << shift) - 1) } else { mantissa };
    // Below 2^121.
    let scaled = u128::from(rest) * u128::from(DECIMALS_UNIT);
    if shift > 122 {
        return (whole, 0);
    }
    let (kept, half) = ((scaled >> shift) as u64, 1_u128 << (shift - 1));
    let is_up = match (scaled & (half | (half - 1))).cmp(&half) {
        Ordering::Less => false,
        Ordering::Equal => kept % 2 == 1,
        Ordering::Greater => true,
    };
    match kept + u64::from(is_up) {
        DECIMALS_UNIT => (whole + 1, 0),
        decimals => (whole, decimals),
    }
}

/// The digits of `mantissa * 2^shift`.
fn format_large(mantissa: u64, shift: u32) -> String {
    let mut value = Big::from(mantissa);
    value.shift_left(shift as usize);
    let mut chunks = Vec::new();
    while !value.limbs.is_empty() {
        chunks.push(value.divide_by_billion());
    }
    let mut text = chunks.pop().unwrap_or(0).to_string();
    for chunk in chunks.iter().rev() {
        text.push_str(&format!("{chunk:09}"));
    }
    text
}

/// A natural number of any size: limbs of 32 bits, the lowest first, the highest not zero.
#[derive(Clone, Debug, Default)]
struct Big {
    limbs: Vec<u32>,
}

impl From<u64> for Big {
    fn from(value: u64) -> Self {
        let mut big = Self { limbs: vec![value as u32, (value >> 32) as u32] };
        big.trim();
        big
    }
}

impl Big {
    fn multiply_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for limb in &mut self.limbs {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry != 0 {
            self.limbs.push(carry as u32);
        }
    }

    fn multiply_by_power_of_5(&mut self, power: u64) {
        /// The largest power of five in 32 bits.
        const STEP: u64 = 13;
        for _ in 0..power / STEP {
            self.multiply_add(5_u32.pow(STEP as u32), 0);
        }
        self.multiply_add(5_u32.pow((power % STEP) as u32), 0);
    }

    fn shift_left(&mut self, bits: usize) {
        let (limbs, bits) = (bits / 32, bits % 32);
        self.multiply_add(1 << bits, 0);
        self.limbs.splice(0..0, std::iter::repeat_n(0, limbs));
    }

    /// Divides in place; returns the remainder.
    fn divide_by_billion(&mut self) -> u32 {
        const BILLION: u64 = 1_000_000_000;
        let mut rest = 0;
        for limb in self.limbs.iter_mut().rev() {
            rest = rest << 32 | u64::from(*limb);
            *limb = (rest / BILLION) as u32;
            rest %= BILLION;
        }
        self.trim();
        rest as u32
    }

    /// This number, which is not zero, over another one that is neither: quotient, its exponent of two, and whether
    /// there is a rest. The quotient has at least 67 bits.
    fn divided_by(mut self, mut divisor: Self) -> (u128, i64, bool) {
        const STEPS: i64 = 68;
        let shift = divisor.bits() as i64 - self.bits() as i64;
        if shift >= 0 { &mut self } else { &mut divisor }.shift_left(shift.unsigned_abs() as usize);
        // Both have the same number of bits, so the first bit or the second one of the quotient is set.
        let mut quotient = 0_u128;
        for _ in 0..STEPS {
            quotient <<= 1;
            if self.compare(&divisor) != Ordering::Less {
                self.subtract(&divisor);
                quotient |= 1;
            }
            self.multiply_add(2, 0);
        }
        (quotient, -shift - (STEPS - 1), !self.limbs.is_empty())
    }

    /// This number, which is not zero, times a power of two.
    fn rounded(&self, exponent: i64) -> Option<Extended> {
        let top = self.limbs.len().saturating_sub(4);
        let head = self.limbs[top..].iter().rev().fold(0_u128, |head, limb| head << 32 | u128::from(*limb));
        // Four limbs have at least 97 bits.
        rounded(head, exponent + 32 * top as i64, self.limbs[..top].iter().any(|limb| *limb != 0))
    }

    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (i, limb) in self.limbs.iter_mut().enumerate() {
            let (less, first) = limb.overflowing_sub(other.limbs.get(i).copied().unwrap_or(0));
            let (less, second) = less.overflowing_sub(u32::from(borrow));
            (*limb, borrow) = (less, first || second);
        }
        self.trim();
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_len = self.limbs.len().cmp(&other.limbs.len());
        by_len.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }

    fn bits(&self) -> usize {
        self.limbs.last().map_or(0, |last| 32 * self.limbs.len() - last.leading_zeros() as usize)
    }

    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(a: &str, b: &str) -> Option<String> {
        Extended::parse(a.as_bytes())?.plus(Extended::parse(b.as_bytes())?).map(Extended::format)
    }

    fn text(value: &str) -> Option<String> {
        Extended::parse(value.as_bytes()).map(Extended::format)
    }

    #[test]
    fn digits_alone_are_read_as_with_a_point() {
        for text in ["0", "7", "007", "10", "100", "123456789012345678", "999999999999999999", "1000000000000000000"] {
            let (short, long) = (Extended::parse(text.as_bytes()), Extended::parse(format!("{text}.0").as_bytes()));
            let fields = |it: Extended| (it.is_negative, it.mantissa, it.exponent);
            assert!(short.is_some() && short.map(fields) == long.map(fields), "{text}");
        }
    }

    #[test]
    fn powers_of_two_are_those_of_the_library() {
        for exponent in (-1200..1200).chain([-16_445, 16_383]) {
            assert_eq!(power_of_2(exponent).to_bits(), 2_f64.powi(exponent).to_bits(), "{exponent}");
        }
    }

    #[test]
    fn sums_are_what_people_expect() {
        for (a, b, expected) in [
            ("10.5", "0.1", "10.6"),
            ("0.1", "0.2", "0.3"),
            ("3.0e3", "0", "3000"),
            ("5.0e3", "200", "5200"),
            ("10.6", "-5", "5.6"),
            ("1", "-1", "0"),
            ("-0", "-0", "0"),
            ("0.5", "-0.75", "-0.25"),
            ("9223372036854775807", "1", "9223372036854775808"),
            ("18446744073709551615", "1", "18446744073709551616"),
            ("1e30", "1", "1000000000000000000024696061952"),
            ("1.00000000000000001", "0", "1.00000000000000001"),
            ("0.00000000000000001", "0", "0.00000000000000001"),
            ("0.00000000000000000500001", "0", "0.00000000000000001"),
            ("0.000000000000000005", "0", "0"),
            ("-1e-18", "0", "0"),
            ("1e20", "-1e20", "0"),
        ] {
            assert_eq!(sum(a, b).as_deref(), Some(expected), "{a} + {b}");
        }
    }

    #[test]
    fn numbers_have_the_order_of_their_values() {
        let texts =
            ["-inf", "-1e4932", "-2", "-1.5", "-1", "-1e-4000", "0", "1e-4940", "1e-4000", "0.1", "1", "1.5", "1e4932"];
        let numbers: Vec<_> = texts.iter().filter_map(|text| Extended::parse(text.as_bytes())).collect();
        assert_eq!(numbers.len(), texts.len());
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert_eq!(Extended::parse(b"-0"), Some(Extended::ZERO));
        assert_eq!(Extended::parse(b"1"), Some(Extended::ONE));
        let largest = Extended::parse(b"1.18973149535723176502126385303097021e4932");
        assert!(largest == Some(Extended::MAX) && Extended::parse(b"inf") > largest);
        assert!(
            Extended::MAX.negated() < Extended::ZERO
                && Extended::MAX.negated() > Extended::parse(b"-inf").expect("read")
        );
    }

    #[test]
    fn the_ends_of_the_range_are_exact() {
        let largest = "1.18973149535723176502126385303097021e4932";
        assert_eq!(text(largest).map(|it| it.len()), Some(4933));
        assert!(text(largest).is_some_and(|it| it.starts_with("118973149535723176502126385303097020")));
        assert_eq!(sum(largest, largest), None);
        assert_eq!(text("1.1897314953572317651e4932"), None);
        assert_eq!(text("1e4933"), None);
        assert_eq!(text("3.6e-4951").as_deref(), Some("0"));
        assert_eq!(text("1.8e-4951"), None);
        assert_eq!(Extended::parse(b"1.9e-4951").map(|it| (it.mantissa, it.exponent)), Some((1 << 63, -16445 - 63)));
        assert_eq!(sum("1.9e-4951", "1.9e-4951").as_deref(), Some("0"));
        assert_eq!(sum("inf", "1"), None);
        assert_eq!(sum("-inf", "inf"), None);
        assert_eq!(text("-inf").as_deref(), Some("-inf"));
    }

    #[test]
    fn reads_what_c_reads() {
        for (given, expected) in [
            ("+1.50", "1.5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("00012", "12"),
            ("1e+2", "100"),
            ("1E-2", "0.01"),
            ("0e99999999999999999999", "0"),
            ("0x10", "16"),
            ("-0X1.8p3", "-12"),
            ("0x.8", "0.5"),
            ("0x1P-1", "0.5"),
            ("iNf", "inf"),
            ("+infinity", "inf"),
        ] {
            assert_eq!(text(given).as_deref(), Some(expected), "{given}");
        }
        let refused = "- + . e e5 1e 1e+ 1e- 1x --1 1.2.3 0x 0xg 0x1p nan -nan in infi 1e5.0 1e99999999999999999999 \
                       1e-99999999999999999999 0x1p99999 0x1p-99999 1_000 1\0";
        for given in refused.split(' ').chain(["", " 1", "1 "]) {
            assert_eq!(text(given), None, "{given:?}");
        }
        assert_eq!(text(&"1".repeat(TEXT_MAX)), None);
        assert_eq!(text(&format!("{}5", "0".repeat(TEXT_MAX - 2))).as_deref(), Some("5"));
        assert_eq!(text(&format!(".{}", "9".repeat(TEXT_MAX - 2))).as_deref(), Some("1"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[-+]?(0x)?[0-9a-f.]{0,40}([eEpP][-+]?[0-9]{0,6})?") {
            if let Some(value) = Extended::parse(text.as_bytes()) {
                let _ = value.format();
                let _ = value.plus(value);
            }
        }

        #[test]
        fn short_and_long_ways_agree(digits in "[1-9][0-9]{0,18}", places in 1_u64..18) {
            let short = Extended::parse(format!("{digits}e-{places}").as_bytes());
            let mut value = Big::default();
            digits.bytes().for_each(|digit| value.multiply_add(10, u32::from(digit - b'0')));
            let mut power = Big::from(1);
            power.multiply_by_power_of_5(places);
            let (quotient, exponent, is_more) = value.divided_by(power);
            prop_assert_eq!(rounded(quotient, exponent - places as i64, is_more), short);
        }

        #[test]
        fn integers_are_exact(a: i64, b: i64) {
            let sum = Extended::from_i64(a).plus(Extended::from_i64(b)).map(Extended::format);
            // A sum of two of them has at most 64 bits.
            prop_assert_eq!(sum, Some((i128::from(a) + i128::from(b)).to_string()));
            prop_assert_eq!(Extended::parse(a.to_string().as_bytes()), Some(Extended::from_i64(a)));
        }

        #[test]
        fn decimals_come_back(whole in 0_u32..64, decimals in 0_u64..1_000_000_000_000_000) {
            let text = format!("{whole}.{decimals:015}");
            let expected = text.trim_end_matches('0').trim_end_matches('.').to_owned();
            prop_assert_eq!(Extended::parse(text.as_bytes()).map(Extended::format), Some(expected));
        }

        #[test]
        fn sums_do_not_depend_on_the_order(a in "-?[0-9]{1,25}\\.[0-9]{1,25}", b in "-?[0-9]{1,3}\\.[0-9]{1,25}e-?[0-9]{1,2}") {
            prop_assert_eq!(sum(&a, &b), sum(&b, &a));
        }
    }
}
