//! Numbers as Redis reads and writes them.

mod extended;

pub use extended::Extended;

/// Reads a canonical decimal `i64`: no spaces, no `+`, no leading zeros, no `-0`.
///
/// Source: Redis' `string2ll`; what it accepts is exactly what printing an `i64` produces.
#[inline]
pub fn parse_i64(bytes: &[u8]) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [] | [b'0', ..] => return None,
        _ if digits.len() > 19 => return None,
        _ => {}
    }
    let mut value = 0_u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // At most 19 digits: the value stays below 10^19, which fits into 64 bits.
        value = value.wrapping_mul(10).wrapping_add(digit.into());
    }
    if negative {
        (value <= i64::MIN.unsigned_abs()).then(|| (value as i64).wrapping_neg())
    } else {
        i64::try_from(value).ok()
    }
}

/// Reads a canonical decimal `u64`.
pub fn parse_u64(bytes: &[u8]) -> Option<u64> {
    match bytes {
        [b'0'] => Some(0),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok())
        }
        _ => None,
    }
}

/// Reads a floating point number: decimal with or without exponent, or `inf`; never `nan`.
///
/// What does not fit (`1e400`, and `1e-400` other than zero) is refused, as Redis does. It also reads C's
/// hexadecimal notation, which this does not.
pub fn parse_f64(bytes: &[u8]) -> Option<f64> {
    if let Some(value) = parse_digits(bytes) {
        return Some(value);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let value: f64 = text.parse().ok()?;
    let digits = text.trim_start_matches(['+', '-']);
    let is_word = digits.starts_with(['i', 'I']);
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let is_underflow = value == 0.0 && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    (!value.is_nan() && value.is_infinite() == is_word && !is_underflow).then_some(value)
}

/// Reads what most scores are: up to 15 digits, which any double can hold, perhaps behind a minus.
#[inline]
fn parse_digits(bytes: &[u8]) -> Option<f64> {
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if !(1..=15).contains(&digits.len()) {
        return None;
    }
    let mut value = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // At most 15 digits: it fits.
        value = value.wrapping_mul(10).wrapping_add(digit.into());
    }
    // The sign of zero counts.
    Some(if negative { -(value as f64) } else { value as f64 })
}

/// The text of a double, on the stack.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    bytes: [u8; 32],
    len: u8,
}

impl Text {
    const EMPTY: Self = Self { bytes: [0; 32], len: 0 };

    fn of(parts: &[&[u8]]) -> Self {
        let mut text = Self::EMPTY;
        parts.iter().for_each(|part| text.push(part));
        text
    }

    fn push(&mut self, part: &[u8]) {
        let at = usize::from(self.len);
        self.bytes[at..at + part.len()].copy_from_slice(part);
        self.len += part.len() as u8;
    }
}

impl std::ops::Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::io::Write for Text {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        self.push(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The text of a double as Redis 7.2 and later write it: the fewest digits that read back as the same number.
///
/// Plain notation for whole numbers up to 2^62 or of up to 7 digits more than are significant, and for fractions down to
/// about 1e-7; scientific notation (`1e+30`) beyond. At most 24 bytes.
pub fn format_f64(value: f64) -> Text {
    use std::io::Write as _;
    /// Whole numbers up to this are written as integers: half of what a signed integer can hold.
    const WHOLE_MAX: f64 = (1_u64 << 62) as f64;
    if value.is_nan() {
        return Text::of(&[b"nan"]);
    }
    if value.is_infinite() {
        return Text::of(&[if value > 0.0 { b"inf" } else { b"-inf" }]);
    }
    let sign: &[u8] = if value.is_sign_negative() { b"-" } else { b"" };
    if value.trunc() == value && value.abs() <= WHOLE_MAX {
        return Text::of(&[sign, itoa::Buffer::new().format(value.abs() as u64).as_bytes()]);
    }
    let mut scientific = Text::EMPTY;
    write!(scientific, "{:e}", value.abs()).expect("17 digits and an exponent fit");
    let split = scientific.iter().position(|&byte| byte == b'e').expect("an exponent");
    let exponent = std::str::from_utf8(&scientific[split + 1..]).ok().and_then(|text| text.parse::<i32>().ok());
    let exponent = exponent.expect("digits");
    let digits: smallvec::SmallVec<[u8; 17]> =
        scientific[..split].iter().copied().filter(|&byte| byte != b'.').collect();
    let count = digits.len() as i32;
    // The value is `digits` times ten to this power.
    let power = exponent - (count - 1);
    const ZEROS: &[u8] = b"000000000000000000000000";
    if power >= 0 && exponent.abs() < count + 7 {
        Text::of(&[sign, &digits, &ZEROS[..power as usize]])
    } else if power < 0 && (power > -7 || exponent.abs() < 4) {
        match count + power {
            whole @ 1.. => Text::of(&[sign, &digits[..whole as usize], b".", &digits[whole as usize..]]),
            zeros => Text::of(&[sign, b"0.", &ZEROS[..zeros.unsigned_abs() as usize], &digits]),
        }
    } else {
        let point: &[u8] = if count > 1 { b"." } else { b"" };
        let e: &[u8] = if exponent < 0 { b"e-" } else { b"e+" };
        let exponent = itoa::Buffer::new().format(exponent.unsigned_abs()).to_owned();
        Text::of(&[sign, &digits[..1], point, &digits[1..], e, exponent.as_bytes()])
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepts_only_the_canonical_text() {
        let good = [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)];
        for (text, value) in good {
            assert_eq!(parse_i64(text.as_bytes()), Some(value));
        }
        for text in [
            "",
            "-",
            "-0",
            "+1",
            "01",
            "1 ",
            " 1",
            "9223372036854775808",
            "-9223372036854775809",
            "1a",
            "99999999999999999999",
        ] {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        for text in ["", "-1", "+1", "01", "18446744073709551616"] {
            assert_eq!(parse_u64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn doubles_are_written_as_redis_does() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-17.0, "-17"),
            (0.1, "0.1"),
            (3.25, "3.25"),
            (-1.5e-5, "-0.000015"),
            (1.5e-7, "1.5e-7"),
            (1e-7, "1e-7"),
            (1.2345e-9, "1.2345e-9"),
            (1e21, "1e+21"),
            (1e17, "100000000000000000"),
            (88e16, "880000000000000000"),
            (-4e18, "-4000000000000000000"),
            (4_611_686_018_427_387_904.0, "4611686018427387904"),
            (5e18, "5e+18"),
            (1234567890123456.5, "1234567890123456.5"),
            (4503599627370497.0, "4503599627370497"),
            (1.7976931348623157e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, text) in cases {
            assert_eq!(std::str::from_utf8(&format_f64(value)), Ok(text));
        }
    }

    #[test]
    fn doubles_are_read_strictly() {
        for (text, value) in [("1", 1.0), ("+1.5e3", 1500.0), ("-.5", -0.5), ("inf", f64::INFINITY), ("0e9", 0.0)] {
            assert_eq!(parse_f64(text.as_bytes()), Some(value), "{text}");
        }
        assert_eq!(parse_f64(b"-Infinity"), Some(f64::NEG_INFINITY));
        for text in ["", " 1", "1 ", "nan", "-nan", "1e400", "-1e400", "1e-400", "1x", "e", ".", "+", "--1"] {
            assert_eq!(parse_f64(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn doubles_survive(bits: u64) {
            let value = f64::from_bits(bits);
            if !value.is_nan() {
                let text = format_f64(value);
                prop_assert_eq!(parse_f64(&text), Some(value), "{:?}", std::str::from_utf8(&text));
            }
        }

        #[test]
        fn reads_what_printing_writes(value: i64) {
            prop_assert_eq!(parse_i64(value.to_string().as_bytes()), Some(value));
        }

        #[test]
        fn agrees_with_printing_on_any_text(text in "-?[0-9]{1,21}") {
            let expected = text.parse::<i64>().ok().filter(|value| value.to_string() == text);
            prop_assert_eq!(parse_i64(text.as_bytes()), expected);
        }
    }
}
