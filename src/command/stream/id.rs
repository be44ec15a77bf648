//! IDs of entries as clients write them.

use super::super::Call;
use crate::error::Error;
use crate::number::parse_u64;
use crate::store::stream::Id;

const INVALID: Error = Error::Other("ERR Invalid stream ID specified as stream command argument");

/// The longest text that is looked at, as in Redis.
const TEXT_MAX: usize = 127;

/// The sequence number of an ID that is made: the client's own, or the next one of the millisecond (`<ms>-*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seq {
    Given,
    Next,
}

/// `<ms>-<seq>`, or `<ms>` for the sequence number `missing`.
pub(super) fn strict(text: &[u8], missing: u64) -> Result<Id, Error> {
    match text {
        b"-" | b"+" => Err(INVALID),
        _ => parse(text, missing),
    }
}

/// As [`strict`], and `-` and `+` for the first and the last.
pub(super) fn any(text: &[u8], missing: u64) -> Result<Id, Error> {
    match text {
        b"-" => Ok(Id::MIN),
        b"+" => Ok(Id::MAX),
        _ => parse(text, missing),
    }
}

/// As [`strict`], and `<ms>-*`.
pub(super) fn to_add(text: &[u8]) -> Result<(Id, Seq), Error> {
    match text.strip_suffix(b"-*") {
        Some(ms) if text.len() <= TEXT_MAX => Ok((Id::new(number(ms).ok_or(INVALID)?, 0), Seq::Next)),
        _ => strict(text, 0).map(|id| (id, Seq::Given)),
    }
}

/// The first ID of a range: an ID, or one behind `(` that is not part of it.
pub(super) fn start(text: &[u8]) -> Result<Id, Error> {
    match text {
        [b'(', rest @ ..] if !rest.is_empty() => {
            strict(rest, 0)?.next().ok_or(Error::Other("ERR invalid start ID for the interval"))
        }
        _ => any(text, 0),
    }
}

/// The last ID of a range, likewise.
pub(super) fn end(text: &[u8]) -> Result<Id, Error> {
    match text {
        [b'(', rest @ ..] if !rest.is_empty() => {
            strict(rest, u64::MAX)?.previous().ok_or(Error::Other("ERR invalid end ID for the interval"))
        }
        _ => any(text, u64::MAX),
    }
}

/// The IDs that the arguments from number `i` on are.
pub(super) fn all(call: &Call<'_>, i: usize) -> Result<Vec<Id>, Error> {
    call.args(i).map(|text| strict(text, 0)).collect()
}

fn parse(text: &[u8], missing: u64) -> Result<Id, Error> {
    if text.len() > TEXT_MAX {
        return Err(INVALID);
    }
    let (ms, seq) = match text.iter().position(|byte| *byte == b'-') {
        Some(at) => (&text[..at], number(&text[at + 1..])),
        None => (text, Some(missing)),
    };
    match (number(ms), seq) {
        (Some(ms), Some(seq)) => Ok(Id { ms, seq }),
        _ => Err(INVALID),
    }
}

/// Reads a number as C's `strtoull` does, but none below 0: blanks, a plus and zeros may be in front.
fn number(text: &[u8]) -> Option<u64> {
    parse_u64(text).or_else(|| {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
        let text = &text[text.iter().position(|byte| !is_blank(byte))?..];
        let digits = text.strip_prefix(b"+").unwrap_or(text);
        let significant = digits.iter().position(|byte| *byte != b'0').unwrap_or(digits.len());
        match &digits[significant..] {
            [] => (!digits.is_empty()).then_some(0),
            rest => parse_u64(rest),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_does() {
        let max = "18446744073709551615";
        for (text, id) in [
            ("5", Id::new(5, 9)),
            ("5-7", Id::new(5, 7)),
            ("0-0", Id::MIN),
            ("+5-007", Id::new(5, 7)),
            (" 5- 7", Id::new(5, 7)),
            ("00-+0", Id::MIN),
            (&format!("{max}-{max}"), Id::MAX),
        ] {
            assert_eq!(strict(text.as_bytes(), 9), Ok(id), "{text}");
        }
        for text in ["", "-", "+", "5-", "-5", "x", "5-x", "5-6-7", "5 ", "+", "5-*", "18446744073709551616", "5\0"] {
            assert!(strict(text.as_bytes(), 0).is_err(), "{text:?}");
        }
        assert!(strict(&[b'0'; 127], 0).is_ok() && strict(&[b'0'; 128], 0).is_err());
        assert_eq!((any(b"-", 0), any(b"+", 0)), (Ok(Id::MIN), Ok(Id::MAX)));
        assert_eq!(to_add(b"5-*"), Ok((Id::new(5, 0), Seq::Next)));
        assert_eq!(to_add(b"5"), Ok((Id::new(5, 0), Seq::Given)));
        for text in ["*-*", "-*", "*", "5-**", "5*"] {
            assert!(to_add(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn ranges_may_leave_out_their_ends() {
        assert_eq!((start(b"(5"), end(b"(5")), (Ok(Id::new(5, 1)), Ok(Id::new(5, u64::MAX - 1))));
        assert_eq!((start(b"5"), end(b"5")), (Ok(Id::new(5, 0)), Ok(Id::new(5, u64::MAX))));
        assert_eq!((start(b"-"), end(b"+")), (Ok(Id::MIN), Ok(Id::MAX)));
        assert!(start(b"(-").is_err() && end(b"(+").is_err() && start(b"(").is_err());
        assert!(end(b"(0-0").is_err() && start(b"(18446744073709551615-18446744073709551615").is_err());
    }
}
