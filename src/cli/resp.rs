//! RESP2 and RESP3 as a client sees them: requests out, replies in.
//!
//! Reading never reserves memory for a length that a server only announced.

use std::fmt;
use std::io::{self, BufRead, Read};

/// Deepest nesting that is followed; Redis itself stays below ten.
const DEPTH_MAX: usize = 128;

/// Longest line of a reply's frame. Error texts are the longest lines in practice; Redis cuts them at 4 KiB.
const LINE_MAX: u64 = 64 << 20;

/// One reply, with the types of RESP3. RESP2's null array and null bulk string both become [`Reply::Nil`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Status(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
    Set(Vec<Reply>),
    Push(Vec<Reply>),
    Map(Vec<(Reply, Reply)>),
    /// The text as the server wrote it, so that no digit is lost by parsing.
    Double(Vec<u8>),
    Bool(bool),
    BigNumber(Vec<u8>),
    /// A text with a three-letter format, such as `txt` or `mkd`.
    Verbatim(Vec<u8>, Vec<u8>),
}

/// Why no reply came; the connection cannot be used any more.
#[derive(Debug)]
pub enum Fault {
    Io(io::Error),
    /// What was found instead of RESP.
    Malformed(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        Fault::Io(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Which of these one sees depends on the moment; they mean the same.
            Fault::Io(error) if is_closed(error) => f.write_str("Server closed the connection"),
            Fault::Io(error) => f.write_str(&reason(error)),
            Fault::Malformed(why) => write!(f, "Protocol error, {why}"),
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

/// An operating system's error without Rust's "(os error N)" behind it.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

impl Reply {
    /// The bytes of anything that is text, `None` for numbers, nil and aggregates.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Reply::Status(text)
            | Reply::Error(text)
            | Reply::Bulk(text)
            | Reply::Verbatim(_, text)
            | Reply::Double(text)
            | Reply::BigNumber(text) => Some(text),
            _ => None,
        }
    }

    /// The same as text; invalid UTF-8 is replaced, integers are written out, everything else is empty.
    pub fn text(&self) -> String {
        match self {
            Reply::Integer(n) => n.to_string(),
            Reply::Bool(b) => b.to_string(),
            other => String::from_utf8_lossy(other.bytes().unwrap_or_default()).into_owned(),
        }
    }

    /// An integer, or text that reads as one.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Reply::Integer(n) => Some(*n),
            Reply::Bool(b) => Some(i64::from(*b)),
            other => std::str::from_utf8(other.bytes()?).ok()?.trim().parse().ok(),
        }
    }

    /// The elements of an array, a set or a push; maps have [`Reply::pairs`].
    pub fn items(&self) -> &[Reply] {
        match self {
            Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => items,
            _ => &[],
        }
    }

    /// A map's pairs, also when the server sent them as RESP2's flat array.
    pub fn pairs(&self) -> Vec<(&Reply, &Reply)> {
        match self {
            Reply::Map(pairs) => pairs.iter().map(|(key, value)| (key, value)).collect(),
            other => other.items().chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect(),
        }
    }

    /// The value of a map's field named `name`, compared without case.
    pub fn field(&self, name: &str) -> Option<&Reply> {
        let found = |key: &Reply| key.bytes().is_some_and(|key| key.eq_ignore_ascii_case(name.as_bytes()));
        self.pairs().into_iter().find(|(key, _)| found(key)).map(|(_, value)| value)
    }

    pub fn is_error(&self) -> bool {
        matches!(self, Reply::Error(_))
    }
}

/// Appends one request: an array of bulk strings.
pub fn encode<A: AsRef<[u8]>>(args: &[A], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        let arg = arg.as_ref();
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads one reply, waiting for the rest of it as long as `source` does.
///
/// # Errors
/// [`Fault::Io`] when the stream fails or ends, [`Fault::Malformed`] for bytes that no continuation can make a reply.
pub fn read<R: BufRead>(source: &mut R) -> Result<Reply, Fault> {
    reply(source, 0)
}

fn reply<R: BufRead>(source: &mut R, depth: usize) -> Result<Reply, Fault> {
    if depth > DEPTH_MAX {
        return malformed("reply nested too deeply");
    }
    let line = line(source)?;
    let Some((&kind, rest)) = line.split_first() else {
        return malformed("got an empty line as reply");
    };
    Ok(match kind {
        b'+' => Reply::Status(rest.to_vec()),
        b'-' => Reply::Error(rest.to_vec()),
        b':' => Reply::Integer(number(rest)?),
        b'$' => match blob(source, rest)? {
            Some(text) => Reply::Bulk(text),
            None => Reply::Nil,
        },
        b'!' => Reply::Error(blob(source, rest)?.unwrap_or_default()),
        b'=' => {
            let text = blob(source, rest)?.unwrap_or_default();
            if text.get(3) != Some(&b':') {
                return malformed("verbatim string without a format");
            }
            Reply::Verbatim(text[..3].to_vec(), text[4..].to_vec())
        }
        b'_' => Reply::Nil,
        b',' => Reply::Double(rest.to_vec()),
        b'(' => Reply::BigNumber(rest.to_vec()),
        b'#' => match rest {
            b"t" => Reply::Bool(true),
            b"f" => Reply::Bool(false),
            _ => return malformed("bad bool value"),
        },
        b'*' if rest == b"-1" => Reply::Nil,
        b'*' => Reply::Array(items(source, rest, depth)?),
        b'~' => Reply::Set(items(source, rest, depth)?),
        b'>' => Reply::Push(items(source, rest, depth)?),
        b'%' => Reply::Map(pairs(source, rest, depth)?),
        b'|' => {
            // Attributes describe the reply behind them; nothing here uses one, so they are read and dropped.
            pairs(source, rest, depth)?;
            reply(source, depth + 1)?
        }
        other => return malformed(&format!("got {} as reply type byte", crate::quote::repr(&[other]))),
    })
}

fn items<R: BufRead>(source: &mut R, count: &[u8], depth: usize) -> Result<Vec<Reply>, Fault> {
    let mut items = Vec::new();
    for _ in 0..length(count)? {
        items.push(reply(source, depth + 1)?);
    }
    Ok(items)
}

fn pairs<R: BufRead>(source: &mut R, count: &[u8], depth: usize) -> Result<Vec<(Reply, Reply)>, Fault> {
    let mut pairs = Vec::new();
    for _ in 0..length(count)? {
        pairs.push((reply(source, depth + 1)?, reply(source, depth + 1)?));
    }
    Ok(pairs)
}

fn blob<R: BufRead>(source: &mut R, size: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    if size == b"-1" {
        return Ok(None);
    }
    let size = length(size)?;
    let wanted = size as u64 + 2;
    let mut text = Vec::new();
    // The limit bounds the read; memory grows with what has arrived.
    source.by_ref().take(wanted).read_to_end(&mut text)?;
    if (text.len() as u64) < wanted {
        return Err(ended());
    }
    if !text.ends_with(b"\r\n") {
        return malformed("bulk string without its line end");
    }
    text.truncate(size);
    Ok(Some(text))
}

fn line<R: BufRead>(source: &mut R) -> Result<Vec<u8>, Fault> {
    let mut line = Vec::new();
    source.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
    match line.strip_suffix(b"\r\n") {
        Some(text) => Ok(text.to_vec()),
        None if line.len() as u64 == LINE_MAX || line.ends_with(b"\n") => malformed("a line without its end"),
        None => Err(ended()),
    }
}

fn number(text: &[u8]) -> Result<i64, Fault> {
    match std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) {
        Some(number) => Ok(number),
        None => malformed(&format!("{} is not a number", crate::quote::repr(text))),
    }
}

/// A length below 2^62, so that adding the line end to it cannot overflow.
fn length(text: &[u8]) -> Result<usize, Fault> {
    match usize::try_from(number(text)?) {
        Ok(length) if length < 1 << 62 => Ok(length),
        _ => malformed("a length out of range"),
    }
}

fn malformed<T>(why: &str) -> Result<T, Fault> {
    Err(Fault::Malformed(why.to_string()))
}

fn ended() -> Fault {
    Fault::Io(io::ErrorKind::UnexpectedEof.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(mut bytes: &[u8]) -> Reply {
        let reply = read(&mut bytes).expect("well formed");
        assert!(bytes.is_empty());
        reply
    }

    #[test]
    fn every_type_is_read() {
        assert_eq!(whole(b"+OK\r\n"), Reply::Status(b"OK".to_vec()));
        assert_eq!(whole(b"$-1\r\n"), Reply::Nil);
        assert_eq!(whole(b"*-1\r\n"), Reply::Nil);
        assert_eq!(whole(b"_\r\n"), Reply::Nil);
        assert_eq!(whole(b"#t\r\n"), Reply::Bool(true));
        assert_eq!(whole(b",1.5\r\n"), Reply::Double(b"1.5".to_vec()));
        assert_eq!(whole(b"=6\r\ntxt:hi\r\n"), Reply::Verbatim(b"txt".to_vec(), b"hi".to_vec()));
        assert_eq!(whole(b"|1\r\n+a\r\n:1\r\n:2\r\n"), Reply::Integer(2));
        let map = Reply::Map(vec![(Reply::Bulk(b"a".to_vec()), Reply::Array(vec![Reply::Nil]))]);
        assert_eq!(whole(b"%1\r\n$1\r\na\r\n*1\r\n$-1\r\n"), map);
    }

    #[test]
    fn a_reply_cut_anywhere_is_an_ended_stream_and_never_a_wrong_reply() {
        let bytes = b"*3\r\n$3\r\nfoo\r\n%1\r\n+a\r\n:1\r\n-ERR x\r\n";
        for cut in 0..bytes.len() {
            assert!(matches!(read(&mut &bytes[..cut]), Err(Fault::Io(_))), "cut at {cut}");
        }
        whole(bytes);
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bytes in [&b"hello\r\n"[..], b"\r\n", b":x\r\n", b"$-2\r\n", b"#x\r\n", b"=2\r\nab\r\n", b"$1\r\nabc\r\n"] {
            assert!(matches!(read(&mut &bytes[..]), Err(Fault::Malformed(_))), "{bytes:?}");
        }
        assert!(matches!(read(&mut "*1\r\n".repeat(500).as_bytes()), Err(Fault::Malformed(_))));
    }

    #[test]
    fn an_announced_length_reserves_nothing() {
        assert!(read(&mut &b"*2147483647\r\n:1\r\n"[..]).is_err());
        assert!(read(&mut &b"$4611686018427387000\r\nx"[..]).is_err());
    }
}
