//! Counts and checks replies without keeping them: RESP2 and memcached's text protocol.
//!
//! The scanner is fed whatever a read returned and remembers how far it came: how many elements of the current
//! reply are missing and how many payload bytes are to be skipped. It never copies a payload; the caller keeps
//! only the bytes of an unfinished header line.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Resp,
    Memcached,
}

/// What a complete top-level reply was. Lengths are in bytes or elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Status,
    Integer,
    Bulk(usize),
    Array(usize),
    Nil,
}

/// What a request must be answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Status,
    Integer,
    /// A string of this length, or of any; nil is counted as a miss.
    Bulk(Option<usize>),
    Array(Option<usize>),
    Any,
}

impl Expect {
    pub fn accepts(self, kind: Kind) -> bool {
        match (self, kind) {
            (Self::Any, _)
            | (Self::Status, Kind::Status)
            | (Self::Integer, Kind::Integer)
            | (Self::Bulk(_), Kind::Nil) => true,
            (Self::Bulk(length), Kind::Bulk(found)) => length.is_none_or(|length| length == found),
            (Self::Array(length), Kind::Array(found)) => length.is_none_or(|length| length == found),
            _ => false,
        }
    }
}

#[derive(Debug)]
pub struct Scanner {
    dialect: Dialect,
    /// Elements missing from the current reply; 0 between replies.
    missing: usize,
    /// Bytes of the current payload, with its line end, that have not been seen.
    skip: usize,
    /// The kind of the current top-level reply.
    top: Kind,
}

impl Scanner {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, missing: 0, skip: 0, top: Kind::Nil }
    }

    /// Scans `bytes` and calls `reply` once for each reply that is complete.
    ///
    /// Returns how many bytes were used; the rest is the start of a header line and must lead the next call.
    ///
    /// # Errors
    /// An error reply at any depth, a byte that starts no known reply, or what `reply` returned.
    pub fn scan(&mut self, bytes: &[u8], mut reply: impl FnMut(Kind) -> Result<(), String>) -> Result<usize, String> {
        let mut at = 0;
        while at < bytes.len() {
            if self.skip > 0 {
                let step = self.skip.min(bytes.len() - at);
                at += step;
                self.skip -= step;
                if self.skip > 0 {
                    break;
                }
                if bytes[at - 1] != b'\n' || (step > 1 && bytes[at - 2] != b'\r') {
                    return Err("a payload does not end with CR LF".into());
                }
                if self.dialect == Dialect::Resp {
                    self.element(&mut reply)?;
                }
                continue;
            }
            let Some(line) = header(&bytes[at..]) else {
                break;
            };
            at += line.len() + 2;
            match self.dialect {
                Dialect::Resp => self.resp(line, &mut reply)?,
                Dialect::Memcached => self.memcached(line, &mut reply)?,
            }
        }
        Ok(at)
    }

    fn resp(&mut self, line: &[u8], reply: &mut impl FnMut(Kind) -> Result<(), String>) -> Result<(), String> {
        let unknown = || format!("not a RESP2 reply: {:?}", String::from_utf8_lossy(line));
        let (&first, rest) = line.split_first().ok_or_else(unknown)?;
        let mut elements = 0;
        let kind = match first {
            b'+' => Kind::Status,
            b':' => number(rest).map(|_| Kind::Integer).ok_or_else(unknown)?,
            b'$' | b'*' => match (number(rest).ok_or_else(unknown)?, first) {
                (-1, _) => Kind::Nil,
                (length @ 0.., b'$') => {
                    self.skip = length as usize + 2;
                    Kind::Bulk(length as usize)
                }
                (length @ 0.., _) => {
                    elements = length as usize;
                    Kind::Array(elements)
                }
                _ => return Err(unknown()),
            },
            b'-' => {
                return Err(format!("the server answered an error: {}", String::from_utf8_lossy(rest)));
            }
            _ => return Err(unknown()),
        };
        if self.missing == 0 {
            self.top = kind;
            self.missing = 1;
        }
        self.missing += elements;
        // A bulk string is complete when its payload has been skipped.
        if self.skip == 0 { self.element(reply) } else { Ok(()) }
    }

    fn memcached(&mut self, line: &[u8], reply: &mut impl FnMut(Kind) -> Result<(), String>) -> Result<(), String> {
        if line.starts_with(b"VALUE ") {
            let length = line.rsplit(|&byte| byte == b' ').next().and_then(number);
            let length = length.filter(|&length| length >= 0).ok_or("VALUE without a length")? as usize;
            self.skip = length + 2;
            self.top = Kind::Bulk(length);
            return Ok(());
        }
        let kind = match line {
            b"END" => std::mem::replace(&mut self.top, Kind::Nil),
            b"STORED" => Kind::Status,
            _ => {
                return Err(format!("the server answered an error: {}", String::from_utf8_lossy(line)));
            }
        };
        reply(kind)
    }

    fn element(&mut self, reply: &mut impl FnMut(Kind) -> Result<(), String>) -> Result<(), String> {
        self.missing -= 1;
        if self.missing == 0 { reply(self.top) } else { Ok(()) }
    }
}

/// The line at the start of `bytes`, without its CR LF; `None` when it is not complete.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    let mut from = 0;
    loop {
        let end = from + bytes[from..].iter().position(|&byte| byte == b'\r')?;
        if *bytes.get(end + 1)? == b'\n' {
            return Some(&bytes[..end]);
        }
        from = end + 1;
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    let (negative, digits) = match digits.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, digits),
    };
    if digits.is_empty() || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        // Only 64-bit extremes have 19 digits; their value is of no interest, their form is checked.
        let extreme = digits.len() == 19 && digits.iter().all(u8::is_ascii_digit);
        return extreme.then_some(i64::MAX);
    }
    let value = digits.iter().fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans `bytes` cut into pieces of `size` and returns the replies, as the load generator does it.
    fn scan(dialect: Dialect, bytes: &[u8], size: usize) -> Result<Vec<Kind>, String> {
        let mut scanner = Scanner::new(dialect);
        let (mut rest, mut kinds) = (Vec::new(), Vec::new());
        for piece in bytes.chunks(size) {
            rest.extend_from_slice(piece);
            let used = scanner.scan(&rest, |kind| {
                kinds.push(kind);
                Ok(())
            })?;
            rest.drain(..used);
        }
        if !rest.is_empty() || scanner.missing + scanner.skip > 0 {
            return Err(format!("{rest:?} left over"));
        }
        Ok(kinds)
    }

    #[test]
    fn replies_are_counted_alike_however_they_are_cut() {
        let bytes =
            b"+OK\r\n:-12\r\n$5\r\nab\r\nc\r\n$-1\r\n$0\r\n\r\n*-1\r\n*0\r\n*2\r\n$1\r\nx\r\n*2\r\n:1\r\n*0\r\n+P\r\n";
        let want = [
            Kind::Status,
            Kind::Integer,
            Kind::Bulk(5),
            Kind::Nil,
            Kind::Bulk(0),
            Kind::Nil,
            Kind::Array(0),
            Kind::Array(2),
            Kind::Status,
        ];
        for size in 1..=bytes.len() {
            assert_eq!(scan(Dialect::Resp, bytes, size).as_deref(), Ok(&want[..]), "pieces of {size}");
        }
    }

    #[test]
    fn memcached_replies_are_counted_alike_however_they_are_cut() {
        let bytes = b"STORED\r\nVALUE key:1 0 5\r\nEND\r\n\r\nEND\r\nEND\r\n";
        let want = [Kind::Status, Kind::Bulk(5), Kind::Nil];
        for size in 1..=bytes.len() {
            assert_eq!(scan(Dialect::Memcached, bytes, size).as_deref(), Ok(&want[..]), "pieces of {size}");
        }
    }

    #[test]
    fn an_error_reply_is_an_error_at_any_depth() {
        assert!(scan(Dialect::Resp, b"-ERR no\r\n", 9).is_err());
        assert!(scan(Dialect::Resp, b"*2\r\n:1\r\n-ERR no\r\n", 4).is_err());
        assert!(scan(Dialect::Memcached, b"SERVER_ERROR out of memory\r\n", 4).is_err());
    }

    #[test]
    fn nonsense_is_an_error() {
        for bytes in [&b"hello\r\n"[..], b"\r\n", b"$x\r\n", b":1x\r\n", b"$-2\r\n", b"*\r\n", b"$1\r\nabc\r\n"] {
            assert!(scan(Dialect::Resp, bytes, 64).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_expectation_accepts_its_kind_only() {
        assert!(Expect::Bulk(Some(3)).accepts(Kind::Bulk(3)));
        assert!(Expect::Bulk(Some(3)).accepts(Kind::Nil));
        assert!(!Expect::Bulk(Some(3)).accepts(Kind::Bulk(4)));
        assert!(!Expect::Array(Some(3)).accepts(Kind::Array(2)));
        assert!(!Expect::Status.accepts(Kind::Integer));
    }
}
