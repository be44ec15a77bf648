//! A small reader of replies, for tests that look at values instead of bytes.

use std::fmt;

/// A reply of RESP2 or RESP3.
#[derive(Clone, PartialEq, PartialOrd, Eq, Ord)]
pub enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    /// A status such as OK.
    Simple(String),
    Error(String),
    Bulk(Vec<u8>),
    /// As it was written: a double has no order.
    Double(String),
    Array(Vec<Value>),
    Set(Vec<Value>),
    Map(Vec<(Value, Value)>),
    /// A push, or anything else with its type byte.
    Other(u8, Vec<Value>),
}

impl Value {
    /// Reads one value; also returns its length in bytes. `None` when bytes are missing.
    ///
    /// # Panics
    /// If the bytes are no reply: a server that sends such has failed the test.
    pub fn parse(input: &[u8]) -> Option<(Self, usize)> {
        let end = input.windows(2).position(|pair| pair == b"\r\n")?;
        let line = std::str::from_utf8(&input[1..end]).unwrap_or("not UTF-8");
        let after = end + 2;
        let len = || line.parse::<i64>().unwrap_or_else(|_| panic!("no length: {}", input.escape_ascii()));
        let value = match input[0] {
            b'+' => Self::Simple(line.into()),
            b'-' => Self::Error(String::from_utf8_lossy(&input[1..end]).into()),
            b':' => Self::Int(len()),
            b',' => Self::Double(line.into()),
            b'#' => Self::Bool(line == "t"),
            b'_' => Self::Nil,
            b'$' | b'*' if len() < 0 => Self::Nil,
            b'$' | b'=' => {
                let len = len() as usize;
                let bytes = input.get(after..after + len)?;
                let crlf = input.get(after + len..after + len + 2)?;
                assert_eq!(crlf, b"\r\n", "no line break after {}", bytes.escape_ascii());
                return Some((Self::Bulk(bytes.into()), after + len + 2));
            }
            b'*' => return Self::parse_many(input, after, len()).map(|(items, used)| (Self::Array(items), used)),
            b'~' => return Self::parse_many(input, after, len()).map(|(items, used)| (Self::Set(items), used)),
            b'%' => {
                let (items, used) = Self::parse_many(input, after, len() * 2)?;
                let pairs = items.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone()));
                return Some((Self::Map(pairs.collect()), used));
            }
            b'>' => return Self::parse_many(input, after, len()).map(|(items, used)| (Self::Other(b'>', items), used)),
            _ => panic!("no reply: {}", input.escape_ascii()),
        };
        Some((value, after))
    }

    fn parse_many(input: &[u8], mut at: usize, count: i64) -> Option<(Vec<Self>, usize)> {
        let mut items = Vec::new();
        for _ in 0..count {
            let (item, used) = Self::parse(input.get(at..)?)?;
            items.push(item);
            at += used;
        }
        Some((items, at))
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// # Panics
    /// If it is no bulk string.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bulk(bytes) => bytes,
            other => panic!("no bulk string: {other:?}"),
        }
    }

    /// # Panics
    /// If it is no integer.
    pub fn int(&self) -> i64 {
        match self {
            Self::Int(int) => *int,
            Self::Bulk(bytes) => std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).expect("a number"),
            other => panic!("no integer: {other:?}"),
        }
    }

    /// A string as text.
    ///
    /// # Panics
    /// If it is none.
    pub fn text(&self) -> String {
        match self {
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into(),
            Self::Simple(text) => text.clone(),
            other => panic!("no string: {other:?}"),
        }
    }

    /// The elements of an array or a set.
    ///
    /// # Panics
    /// If it is neither.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) | Self::Set(items) => items,
            other => panic!("no array: {other:?}"),
        }
    }

    /// The elements of an array, a set or a push.
    ///
    /// # Panics
    /// If it is something else.
    pub fn elements(&self) -> &[Self] {
        match self {
            Self::Other(b'>', items) => items,
            other => other.items(),
        }
    }

    /// The elements of an array or a set as sorted texts.
    pub fn sorted(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.items().iter().map(Self::text).collect();
        texts.sort();
        texts
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => write!(f, "nil"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Int(int) => write!(f, "{int}"),
            Self::Simple(text) => write!(f, "+{text}"),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Double(text) => write!(f, ",{text}"),
            Self::Array(items) => f.debug_list().entries(items).finish(),
            Self::Set(items) => f.debug_set().entries(items).finish(),
            Self::Map(pairs) => f.debug_map().entries(pairs.iter().map(|(key, value)| (key, value))).finish(),
            Self::Other(byte, items) => write!(f, "{} {items:?}", *byte as char),
        }
    }
}
