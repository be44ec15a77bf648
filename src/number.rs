//! Numbers as Redis reads and writes them.

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
        value = value * 10 + u64::from(digit);
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

    proptest! {
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
