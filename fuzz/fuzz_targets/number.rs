//! Numbers are read as the standard library reads them, as far as their form is allowed, and what is written reads back.
#![no_main]

use kiba::number::{Extended, format_f64, parse_f64, parse_i64, parse_u64};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = std::str::from_utf8(data).unwrap_or("no number");
    // What is read is exactly what printing produces.
    let canonical = |printed: &str| printed == text;
    assert_eq!(parse_i64(data), text.parse::<i64>().ok().filter(|value| canonical(&value.to_string())));
    assert_eq!(parse_u64(data), text.parse::<u64>().ok().filter(|value| canonical(&value.to_string())));
    match parse_f64(data) {
        Some(value) => {
            assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(value.to_bits()));
            assert_eq!(parse_f64(&format_f64(value)).map(f64::to_bits), Some(value.to_bits()));
        }
        // Refused: no number, one that is not finite although its digits are, one that was not zero.
        None => {
            if let Ok(value) = text.parse::<f64>() {
                assert!(value.is_nan() || value.is_infinite() || value == 0.0, "{text} was refused");
            }
        }
    }
    if let Some(bits) = data.first_chunk() {
        let value = f64::from_bits(u64::from_le_bytes(*bits));
        let written = format_f64(value);
        assert!(value.is_nan() || parse_f64(&written).map(f64::to_bits) == Some(value.to_bits()));
    }
    if let Some(value) = Extended::parse(data) {
        let written = value.format();
        if !value.is_infinite() {
            assert!(Extended::parse(written.as_bytes()).is_some(), "{text} was written as {written}");
        }
        value.plus(value);
        value.to_f64();
    }
});
