//! Replies to bytes: RESP2 and RESP3, written straight into a connection's output.

use crate::error::Error;
use crate::store::SharedBytes;

/// The protocol that a connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resp {
    #[default]
    V2,
    V3,
}

/// Shared strings of at least this many bytes are sent from where they lie instead of being copied.
/// Below it a copy costs less than another element of a vectored write and two shared counter updates.
const SHARE_MIN: usize = 16 * 1024;

/// Bytes above which no reply goes by a count alone, even where the output is not limited: a thousand million
/// random elements of a small set are a mistake or an attack.
const COUNTED_MAX: usize = 1 << 30;

/// The output of a batch: encoded replies, and references to large strings in between.
#[derive(Debug)]
pub struct Reply {
    bytes: Vec<u8>,
    /// Large strings and where in `bytes` each is to be inserted; ascending.
    shared: Vec<(usize, SharedBytes)>,
    shared_len: usize,
    resp: Resp,
    /// Bytes above which the reply is given up.
    limit: usize,
    is_over: bool,
    /// The index of the command that writes now, and those of commands that wrote an error since this was asked for.
    writer: Writer,
    failed: Vec<u32>,
}

/// Bytes from which on [`Reply::set_aside`] does so: a few parts for a vectored write, and small enough to be allocated quickly.
const ASIDE: usize = 256 * 1024;

impl Default for Reply {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            shared: Vec::new(),
            shared_len: 0,
            resp: Resp::V2,
            limit: usize::MAX,
            is_over: false,
            writer: Writer(None),
            failed: Vec::new(),
        }
    }
}

/// Tells whose panic it is when one drops it.
#[derive(Debug)]
struct Writer(Option<u32>);

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(command) = self.0
            && std::thread::panicking()
        {
            crate::fault::blame(command);
        }
    }
}

/// A position in a reply that it can be rewound to.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    bytes: usize,
    shared: usize,
}

impl Reply {
    pub fn set_resp(&mut self, resp: Resp) {
        self.resp = resp;
    }

    /// Sets how many bytes may be written. Beyond them what was written is dropped, and the reply is of no use any more.
    ///
    /// One request can ask for far more than it is long itself (MGET with the same key many times, a transaction
    /// of large reads), so the limit is looked at while the reply is made.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Whether the limit was exceeded.
    pub fn is_over(&self) -> bool {
        self.is_over || self.len() > self.limit
    }

    /// Names the command that writes from now on, for the count of those that fail; `None` when errors are not its.
    #[inline]
    pub fn begin(&mut self, writer: Option<u32>) {
        self.writer.0 = writer;
    }

    #[inline]
    pub fn has_failed(&self) -> bool {
        !self.failed.is_empty()
    }

    /// The commands that have failed since this was asked last.
    pub fn take_failed(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.failed)
    }

    /// A command counts once, however many errors it writes.
    fn note_failure(&mut self) {
        self.failed.extend(self.writer.0.take());
    }

    pub fn ok(&mut self) {
        self.bytes.extend_from_slice(b"+OK\r\n");
    }

    /// A status; `text` must not contain line breaks.
    pub fn simple(&mut self, text: &str) {
        self.bytes.push(b'+');
        self.bytes.extend_from_slice(text.as_bytes());
        self.crlf();
    }

    pub fn fail(&mut self, error: Error) {
        self.note_failure();
        self.bytes.push(b'-');
        error.write(&mut self.bytes);
        self.crlf();
    }

    /// An error whose text holds something of the request: line breaks in it become spaces, those at its end nothing.
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        let is_break = |byte: u8| matches!(byte, b'\r' | b'\n');
        let text = text.as_ref();
        let len = text.iter().rposition(|&byte| !is_break(byte)).map_or(0, |at| at + 1);
        self.note_failure();
        self.bytes.push(b'-');
        self.bytes.extend(text[..len].iter().map(|&byte| if is_break(byte) { b' ' } else { byte }));
        self.crlf();
    }

    #[inline]
    pub fn integer(&mut self, value: i64) {
        self.head(b':', value);
    }

    /// A count, as an integer.
    #[inline]
    pub fn count(&mut self, value: usize) {
        self.integer(value as i64);
    }

    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        if self.len() + bytes.len() > self.limit {
            return self.give_up();
        }
        self.head(b'$', bytes.len() as i64);
        self.bytes.extend_from_slice(bytes);
        self.crlf();
    }

    /// An integer as a bulk string.
    pub fn bulk_integer(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A double: of its own type in RESP3, a bulk string in RESP2.
    pub fn double(&mut self, value: f64) {
        self.double_as(&crate::number::format_f64(value));
    }

    /// A double whose text is given.
    pub fn double_as(&mut self, text: &[u8]) {
        match self.resp {
            Resp::V2 => self.bulk(text),
            Resp::V3 => {
                self.bytes.push(b',');
                self.bytes.extend_from_slice(text);
                self.crlf();
            }
        }
    }

    /// A large string, which is shared rather than copied when that pays.
    pub fn bulk_shared(&mut self, bytes: &SharedBytes) {
        if bytes.len() < SHARE_MIN {
            return self.bulk(bytes);
        }
        if self.len() + bytes.len() > self.limit {
            return self.give_up();
        }
        self.head(b'$', bytes.len() as i64);
        self.shared.push((self.bytes.len(), SharedBytes::clone(bytes)));
        self.shared_len += bytes.len();
        self.crlf();
    }

    /// Text with a format of three letters (`txt`, `mkd`); a plain bulk string in RESP2.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        debug_assert_eq!(format.len(), 3);
        match self.resp {
            Resp::V2 => self.bulk(text),
            Resp::V3 => {
                self.head(b'=', text.len() as i64 + 4);
                self.bytes.extend_from_slice(format.as_bytes());
                self.bytes.push(b':');
                self.bytes.extend_from_slice(text);
                self.crlf();
            }
        }
    }

    /// The missing value.
    #[inline]
    pub fn nil(&mut self) {
        self.bytes.extend_from_slice(match self.resp {
            Resp::V2 => b"$-1\r\n",
            Resp::V3 => b"_\r\n",
        });
    }

    /// The missing array.
    pub fn nil_array(&mut self) {
        self.bytes.extend_from_slice(match self.resp {
            Resp::V2 => b"*-1\r\n",
            Resp::V3 => b"_\r\n",
        });
    }

    /// What has been encoded: its first byte and the rest. Not subject to the limit, which is that of replies.
    pub fn raw(&mut self, first: &[u8], rest: &SharedBytes) {
        self.bytes.extend_from_slice(first);
        if rest.len() < SHARE_MIN {
            self.bytes.extend_from_slice(rest);
        } else {
            self.shared.push((self.bytes.len(), SharedBytes::clone(rest)));
            self.shared_len += rest.len();
        }
    }

    /// A push of `len` elements; an array in RESP2.
    pub fn push(&mut self, len: usize) {
        match self.resp {
            Resp::V2 => self.head(b'*', len as i64),
            Resp::V3 => self.head(b'>', len as i64),
        }
    }

    pub fn array(&mut self, len: usize) {
        self.head(b'*', len as i64);
    }

    /// A map of `len` pairs; a flat array in RESP2.
    pub fn map(&mut self, len: usize) {
        match self.resp {
            Resp::V2 => self.head(b'*', 2 * len as i64),
            Resp::V3 => self.head(b'%', len as i64),
        }
    }

    /// A set; an array in RESP2.
    pub fn set(&mut self, len: usize) {
        match self.resp {
            Resp::V2 => self.head(b'*', len as i64),
            Resp::V3 => self.head(b'~', len as i64),
        }
    }

    /// Puts what was written since the last time aside once it is large, so that it is neither moved when more is written
    /// nor copied by [`Reply::append`]: copying 20 MB into fresh memory can hold a thread up for a tenth of a second.
    ///
    /// For a part of a reply that nobody rewinds, since marks below do not hold afterwards.
    pub fn set_aside(&mut self) {
        let from = self.shared.last().map_or(0, |(at, _)| *at);
        if self.bytes.len() - from >= ASIDE {
            let rest = self.bytes.split_off(from);
            self.shared_len += rest.len();
            self.shared.push((from, SharedBytes::new(rest)));
        }
    }

    /// Appends what was written elsewhere, for the same protocol.
    pub fn append(&mut self, other: &Self) {
        debug_assert!(other.resp == self.resp);
        if other.is_over || self.len() + other.len() > self.limit {
            return self.give_up();
        }
        let base = self.bytes.len();
        self.shared.extend(other.shared.iter().map(|(at, bytes)| (base + at, SharedBytes::clone(bytes))));
        self.shared_len += other.shared_len;
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// Makes room for so many bytes more.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve(bytes);
    }

    /// An empty reply for the same protocol, and with the same limit, that will be appended to this one.
    pub fn part(&self) -> Self {
        Self { resp: self.resp, limit: self.limit, ..Self::default() }
    }

    /// Whether as many elements as a client named, of at least `least` bytes each, can be written: when they exceed
    /// the limit, or 1 GiB where there is none, the reply is given up at once.
    ///
    /// For commands that repeat what is there (`SRANDMEMBER key -1000000000`). They should look at
    /// [`Reply::is_over`] on the way as well, since elements may be longer.
    pub fn has_room(&mut self, count: usize, least: usize) -> bool {
        let total = count.checked_mul(least).and_then(|bytes| bytes.checked_add(self.len()));
        let fits = total.is_some_and(|total| total <= self.limit.min(COUNTED_MAX));
        if !fits {
            self.give_up();
        }
        fits
    }

    pub fn mark(&self) -> Mark {
        Mark { bytes: self.bytes.len(), shared: self.shared.len() }
    }

    /// Forgets everything written after `mark`.
    pub fn rewind(&mut self, mark: Mark) {
        self.bytes.truncate(mark.bytes);
        // What was given up is shorter than it was.
        for (_, bytes) in self.shared.drain(mark.shared.min(self.shared.len())..) {
            self.shared_len -= bytes.len();
        }
    }

    /// Empties the reply and keeps up to `capacity` bytes of its buffer.
    pub fn clear(&mut self, capacity: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(capacity);
        self.shared.clear();
        self.shared_len = 0;
        self.is_over = false;
        self.writer.0 = None;
        self.failed = Vec::new();
    }

    /// Total bytes to send.
    pub fn len(&self) -> usize {
        self.bytes.len() + self.shared_len
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The parts to send, in order. One part unless large strings are shared.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        let tail = self.shared.last().map_or(0, |(at, _)| *at);
        self.shared
            .iter()
            .flat_map(move |(at, bytes)| [&self.bytes[std::mem::replace(&mut from, *at)..*at], bytes.as_slice()])
            .chain(std::iter::once(&self.bytes[tail..]))
            .filter(|part| !part.is_empty())
    }

    /// The encoded bytes, when no large string is shared among them.
    pub fn as_single(&self) -> Option<&[u8]> {
        self.shared.is_empty().then_some(self.bytes.as_slice())
    }

    pub fn resp(&self) -> Resp {
        self.resp
    }

    #[cold]
    fn give_up(&mut self) {
        self.bytes = Vec::new();
        self.shared.clear();
        self.shared_len = 0;
        self.is_over = true;
    }

    fn crlf(&mut self) {
        self.bytes.extend_from_slice(b"\r\n");
    }

    #[inline]
    fn head(&mut self, kind: u8, value: i64) {
        write_head(&mut self.bytes, kind, value);
    }
}

/// Writes what begins with `kind` and is a number, or says how much follows.
pub fn write_head(bytes: &mut Vec<u8>, kind: u8, value: i64) {
    if (0..10).contains(&value) {
        bytes.extend_from_slice(&[kind, b'0' + value as u8, b'\r', b'\n']);
    } else if (10..100).contains(&value) {
        bytes.extend_from_slice(&[kind, b'0' + (value / 10) as u8, b'0' + (value % 10) as u8, b'\r', b'\n']);
    } else {
        bytes.push(kind);
        bytes.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn written(resp: Resp, write: impl FnOnce(&mut Reply)) -> String {
        let mut reply = Reply::default();
        reply.set_resp(resp);
        write(&mut reply);
        let bytes: Vec<u8> = reply.parts().collect::<Vec<_>>().concat();
        assert_eq!(bytes.len(), reply.len());
        String::from_utf8(bytes).expect("test replies are text")
    }

    fn everything(reply: &mut Reply) {
        reply.integer(-12);
        reply.count(7);
        reply.count(99);
        reply.count(100);
        reply.nil();
        reply.nil_array();
        reply.map(1);
        reply.set(2);
        reply.array(0);
        reply.verbatim("txt", b"hi");
        reply.bulk_integer(i64::MIN);
    }

    #[test]
    fn both_protocols() {
        let tail = "$20\r\n-9223372036854775808\r\n";
        let v2 = ":-12\r\n:7\r\n:99\r\n:100\r\n$-1\r\n*-1\r\n*2\r\n*2\r\n*0\r\n$2\r\nhi\r\n";
        let v3 = ":-12\r\n:7\r\n:99\r\n:100\r\n_\r\n_\r\n%1\r\n~2\r\n*0\r\n=6\r\ntxt:hi\r\n";
        assert_eq!(written(Resp::V2, everything), format!("{v2}{tail}"));
        assert_eq!(written(Resp::V3, everything), format!("{v3}{tail}"));
    }

    #[test]
    fn line_breaks_in_an_error_become_spaces() {
        assert_eq!(written(Resp::V2, |reply| reply.error("ERR a\r\n+OK")), "-ERR a  +OK\r\n");
        assert_eq!(written(Resp::V2, |reply| reply.error("ERR a b\r\n\n")), "-ERR a b\r\n");
    }

    #[test]
    fn what_a_count_alone_asks_for_is_refused_before_it_is_written() {
        let mut reply = Reply::default();
        assert!(reply.has_room(1000, 5) && !reply.is_over());
        assert!(!reply.has_room(usize::MAX, 5) && reply.is_over());
        reply.clear(0);
        assert!(!reply.has_room(COUNTED_MAX / 5 + 1, 5));
        reply.clear(0);
        reply.set_limit(100);
        reply.ok();
        assert!(reply.has_room(19, 5) && !reply.has_room(20, 5));
        assert!(reply.is_over() && reply.is_empty());
    }

    #[test]
    fn a_part_is_limited_as_the_whole_is() {
        let mut reply = Reply::default();
        reply.set_limit(20);
        let mut part = reply.part();
        part.bulk(b"twelve");
        reply.ok();
        reply.append(&part);
        assert_eq!(reply.as_single(), Some(&b"+OK\r\n$6\r\ntwelve\r\n"[..]));
        reply.append(&part);
        assert!(reply.is_over());
        let mut reply = reply.part();
        let mut part = reply.part();
        part.bulk(&[b'x'; 30]);
        reply.append(&part);
        assert!(reply.is_over());
    }

    #[test]
    fn what_is_set_aside_is_not_copied() {
        let (mut whole, mut part) = (Reply::default(), Reply::default());
        let mut expected = Vec::new();
        for i in 0..100_000 {
            part.bulk(format!("key:{i}").as_bytes());
            part.set_aside();
            expected.extend_from_slice(format!("${}\r\nkey:{i}\r\n", format!("key:{i}").len()).as_bytes());
        }
        let asides: Vec<_> = part.parts().map(<[u8]>::as_ptr).collect();
        assert!(asides.len() > 4 && part.bytes.len() < ASIDE && part.len() == expected.len());
        whole.append(&part);
        assert_eq!(whole.parts().map(<[u8]>::as_ptr).take(4).collect::<Vec<_>>(), asides[..4]);
        assert_eq!(whole.parts().collect::<Vec<_>>().concat(), expected);
    }

    #[test]
    fn large_strings_are_shared_in_place() {
        let large = Arc::new(vec![b'x'; SHARE_MIN]);
        let text = written(Resp::V2, |reply| {
            reply.ok();
            reply.bulk_shared(&large);
            let mark = reply.mark();
            reply.bulk_shared(&large);
            reply.rewind(mark);
            reply.bulk_shared(&large);
            reply.integer(1);
        });
        let x = "x".repeat(SHARE_MIN);
        assert_eq!(text, format!("+OK\r\n$16384\r\n{x}\r\n$16384\r\n{x}\r\n:1\r\n"));
        assert_eq!(Arc::strong_count(&large), 1);
    }
}
