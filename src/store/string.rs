//! Strings: integers, short inline bytes, and large shared ones.

use super::entry::INLINE_STRING_MAX;
use super::{Content, Entry, Kind, Raw, SharedBytes};
use crate::number::parse_i64;

/// A borrowed string value.
#[derive(Clone, Copy, Debug)]
pub enum Str<'a> {
    Bytes(&'a [u8]),
    Int(i64),
    Shared(&'a SharedBytes),
}

/// The content for a new string value: an integer where the text is one, inline while short, shared above.
#[inline]
pub fn content(bytes: &[u8]) -> Content<'_> {
    // No canonical integer is longer than 20 bytes; the first byte rules out nearly all other texts.
    if bytes.len() <= 20
        && matches!(bytes.first(), Some(b'0'..=b'9' | b'-'))
        && let Some(int) = parse_i64(bytes)
    {
        return Content::Int(int);
    }
    if bytes.len() <= INLINE_STRING_MAX {
        Content::Inline(Kind::Bytes, bytes)
    } else {
        Content::Shared(SharedBytes::new(bytes.to_vec()))
    }
}

impl<'a> Str<'a> {
    /// The string in an entry; `None` when the entry holds something else.
    #[inline]
    pub fn of(entry: &'a Entry) -> Option<Self> {
        match entry.raw() {
            Raw::Inline(Kind::Bytes, bytes) => Some(Self::Bytes(bytes)),
            Raw::Int(int) => Some(Self::Int(int)),
            Raw::Shared(bytes) => Some(Self::Shared(bytes)),
            _ => None,
        }
    }

    /// The value as an integer, if its text is canonical.
    pub fn as_int(self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(int),
            Self::Bytes(bytes) => parse_i64(bytes),
            Self::Shared(_) => None,
        }
    }

    /// The name that OBJECT ENCODING gives it.
    pub fn encoding(self) -> &'static str {
        /// Redis embeds strings of up to 44 bytes in their object.
        const EMBEDDED_MAX: usize = 44;
        match self {
            Self::Int(_) => "int",
            Self::Bytes(bytes) if bytes.len() <= EMBEDDED_MAX => "embstr",
            Self::Bytes(_) | Self::Shared(_) => "raw",
        }
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn content_follows_the_value() {
        assert!(matches!(content(b"12"), Content::Int(12)));
        assert!(matches!(content(b"-0"), Content::Inline(Kind::Bytes, b"-0")));
        assert!(matches!(content(b"012"), Content::Inline(Kind::Bytes, b"012")));
        assert!(matches!(content(b""), Content::Inline(Kind::Bytes, b"")));
        assert!(matches!(content(&[b'x'; INLINE_STRING_MAX]), Content::Inline(..)));
        assert!(matches!(content(&[b'x'; INLINE_STRING_MAX + 1]), Content::Shared(_)));
    }

    #[test]
    fn encodings_are_named_as_in_redis() {
        for (value, expected) in
            [(&b"1"[..], "int"), (&[b'x'; 44], "embstr"), (&[b'x'; 45], "raw"), (&[b'x'; 2000], "raw")]
        {
            let entry = Entry::new(b"k", content(value), None, 0);
            assert_eq!(Str::of(&entry).map(Str::encoding), Some(expected));
        }
    }
}
