//! Replies of RESP2, in the form in which models give them.

use std::fmt;

/// A reply. What a model says and what a server says are equal if they mean the same.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reply {
    Nil,
    /// OK, QUEUED.
    Status(&'static str),
    Int(i64),
    /// A string that is a number as it is usually written: nearly all of them are.
    Number(i64),
    /// Any other string.
    Bulk(Vec<u8>),
    Array(Vec<Reply>),
    /// The first word of an error: WRONGTYPE, ERR, EXECABORT.
    Error(String),
}

pub const OK: Reply = Reply::Status("OK");

impl Reply {
    pub fn error(word: &str) -> Self {
        Self::Error(word.into())
    }

    /// A string.
    pub fn bulk(bytes: &[u8]) -> Self {
        number(bytes).map_or_else(|| Self::Bulk(bytes.into()), Self::Number)
    }

    /// A string, or nil.
    pub fn bulk_or_nil(bytes: Option<&[u8]>) -> Self {
        bytes.map_or(Self::Nil, Self::bulk)
    }

    /// Whether an operation says that it has done something, or not.
    pub fn yes(is_so: bool) -> Self {
        Self::Int(i64::from(is_so))
    }

    pub fn numbers(numbers: impl IntoIterator<Item = i64>) -> Self {
        Self::Array(numbers.into_iter().map(Self::Number).collect())
    }

    pub fn items(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// Reads one reply; also returns its length in bytes. `Ok(None)` when bytes are missing.
    ///
    /// # Errors
    /// The bytes are no reply.
    pub fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let Some(end) = input.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
        let line = &input[1..end];
        let after = end + 2;
        let wrong = || format!("no reply: {}", input[..input.len().min(80)].escape_ascii());
        let len = || number(line).ok_or_else(wrong);
        let reply = match input[0] {
            b'+' if line == b"OK" => OK,
            b'+' if line == b"QUEUED" => Self::Status("QUEUED"),
            b'-' => {
                let word = line.split(|&byte| byte == b' ').next().unwrap_or(line);
                Self::Error(String::from_utf8_lossy(word).into())
            }
            b':' => Self::Int(len()?),
            b'$' | b'*' if len()? == -1 => Self::Nil,
            b'$' => {
                let len = usize::try_from(len()?).map_err(|_| wrong())?;
                let Some(bytes) = input.get(after..after + len + 2) else { return Ok(None) };
                if &bytes[len..] != b"\r\n" {
                    return Err(wrong());
                }
                return Ok(Some((Self::bulk(&bytes[..len]), after + len + 2)));
            }
            b'*' => {
                let mut items = Vec::new();
                let mut at = after;
                for _ in 0..len()? {
                    let rest = &input[at..];
                    let Some((item, used)) = (if rest.is_empty() { None } else { Self::parse(rest)? }) else {
                        return Ok(None);
                    };
                    items.push(item);
                    at += used;
                }
                return Ok(Some((Self::Array(items), at)));
            }
            _ => return Err(wrong()),
        };
        Ok(Some((reply, after)))
    }
}

/// The number that these bytes are, if they are how it is written.
pub fn number(bytes: &[u8]) -> Option<i64> {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let is_plain = match digits {
        [] => false,
        [b'0'] => bytes.len() == 1,
        [first, ..] => first.is_ascii_digit() && *first != b'0',
    };
    is_plain.then(|| std::str::from_utf8(bytes).ok()?.parse().ok()).flatten()
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Status(text) => f.write_str(text),
            Self::Int(number) => write!(f, ":{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Error(word) => write!(f, "-{word}"),
            Self::Array(items) => {
                f.write_str("[")?;
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        f.write_str(" ")?;
                    }
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read_whole_or_not_at_all() {
        let bytes = b"*4\r\n$2\r\n12\r\n:12\r\n$3\r\n012\r\n*-1\r\n";
        let whole = Reply::Array(vec![Reply::Number(12), Reply::Int(12), Reply::Bulk(b"012".to_vec()), Reply::Nil]);
        assert_eq!(Reply::parse(bytes), Ok(Some((whole, bytes.len()))));
        for len in 1..bytes.len() {
            assert_eq!(Reply::parse(&bytes[..len]), Ok(None), "{len} bytes");
        }
        let error = Ok(Some((Reply::error("WRONGTYPE"), 19)));
        assert_eq!(Reply::parse(b"-WRONGTYPE Op bad\r\n"), error);
        assert!(Reply::parse(b"hello\r\n").is_err());
    }

    #[test]
    fn a_number_is_what_is_written_like_one() {
        for (text, expected) in [("0", Some(0)), ("-7", Some(-7)), ("-0", None), ("07", None), ("", None), ("-", None)]
        {
            assert_eq!(number(text.as_bytes()), expected, "{text}");
        }
    }
}
