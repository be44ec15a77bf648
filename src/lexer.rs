//! Bytes to tokens: finds the arguments of each complete request without copying them.
//!
//! A lexer remembers where it stopped, so that a request that arrives one byte at a time is scanned once.
//! Two forms are read: RESP arrays of bulk strings (`*2\r\n$3\r\nGET\r\n$1\r\nk\r\n`) and inline commands
//! (`GET k\r\n`, with Redis' quoting, unescaped in place).

use std::ops::Range;

/// Most bytes of a request that are kept while it is incomplete, and of a transaction while it is queued, whatever
/// `client-query-buffer-limit` says. One more read may double the former, and one more request of that size may be added
/// to the latter: both stay below 4 GiB, so that offsets fit into 32 bits.
pub const INPUT_MAX: u64 = 1 << 30;

/// Where an argument lies in the input. Offsets fit into 32 bits because of [`INPUT_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    fn new(start: usize, len: usize) -> Self {
        debug_assert!(start + len <= u32::MAX as usize);
        Self { start: start as u32, len: len as u32 }
    }

    /// The bytes of the argument.
    #[inline]
    pub fn of(self, input: &[u8]) -> &[u8] {
        &input[self.start as usize..][..self.len as usize]
    }
}

/// What the peer may announce. Tighter before it has logged in.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most arguments of one request.
    pub args_max: u64,
    /// Longest argument in bytes.
    pub bulk_max: u64,
    /// Whether the limits are those of a client that must log in first (it gets its own error texts).
    pub is_unauthenticated: bool,
}

impl Limits {
    /// Redis allows 2^31 - 1 arguments.
    pub const ARGS_MAX: u64 = i32::MAX as u64;

    /// The limits of a client that may run commands.
    pub const fn trusted(bulk_max: u64) -> Self {
        Self { args_max: Self::ARGS_MAX, bulk_max, is_unauthenticated: false }
    }

    /// The limits of a client that must log in first: 10 arguments of 16 KiB, as in Redis.
    pub const fn unauthenticated() -> Self {
        Self { args_max: 10, bulk_max: 16_384, is_unauthenticated: true }
    }
}

/// Longest inline command, and longest line that announces a length, in bytes (Redis' PROTO_INLINE_MAX_SIZE).
const LINE_MAX: usize = 64 * 1024;

/// The stream cannot be trusted any more: reply once, then close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    InvalidMultibulkLength,
    UnauthenticatedMultibulkLength,
    TooBigMultibulkCount,
    InvalidBulkLength,
    UnauthenticatedBulkLength,
    TooBigBulkCount,
    /// Something other than `$` where a bulk string had to begin.
    ExpectedDollar(u8),
    TooBigInline,
    UnbalancedQuotes,
}

/// Finds requests in one connection's input.
#[derive(Debug, Default)]
pub struct Lexer {
    /// The next unread byte.
    at: usize,
    /// How far the search for a line's end has come; never before `at`.
    searched: usize,
    /// Arguments of the present RESP request that are still to come; 0 between requests.
    args_left: u64,
    /// Length of the argument whose bytes are being awaited.
    bulk: Option<usize>,
    /// Index of the present request's first span.
    first: usize,
}

enum Line {
    Number(Option<i64>),
    Incomplete,
    TooLong,
}

impl Lexer {
    /// The next complete request, as a range of `spans`; `None` when more bytes are needed.
    ///
    /// Empty requests (`*0`, `*-1`, blank lines) are skipped. `input` is changed only where an inline command
    /// is unescaped in place.
    ///
    /// # Errors
    /// [`Protocol`] when the stream is malformed; the lexer must not be used after that.
    pub fn next(
        &mut self,
        input: &mut [u8],
        spans: &mut Vec<Span>,
        limits: &Limits,
    ) -> Result<Option<Range<usize>>, Protocol> {
        if self.args_left == 0
            && let Some(found) = self.next_short(input, spans, limits)
        {
            return Ok(Some(found));
        }
        loop {
            if self.args_left == 0 {
                self.first = spans.len();
                let Some(&byte) = input.get(self.at) else { return Ok(None) };
                if byte != b'*' {
                    match self.inline(input, spans)? {
                        None => return Ok(None),
                        Some(range) if range.is_empty() => continue,
                        Some(range) => return Ok(Some(range)),
                    }
                }
                match self.line(input) {
                    Line::Incomplete => return Ok(None),
                    Line::TooLong => return Err(Protocol::TooBigMultibulkCount),
                    Line::Number(Some(count)) if count <= 0 => continue,
                    Line::Number(Some(count)) if count as u64 <= limits.args_max => self.args_left = count as u64,
                    Line::Number(Some(count)) if limits.is_unauthenticated && count as u64 <= Limits::ARGS_MAX => {
                        return Err(Protocol::UnauthenticatedMultibulkLength);
                    }
                    Line::Number(_) => return Err(Protocol::InvalidMultibulkLength),
                }
            }
            while self.args_left > 0 {
                let len = match self.bulk {
                    Some(len) => len,
                    None => match self.bulk_length(input, limits)? {
                        Some(len) => len,
                        None => return Ok(None),
                    },
                };
                // The two bytes after the data are skipped unread, as Redis does.
                if input.len() - self.at < len + 2 {
                    self.bulk = Some(len);
                    return Ok(None);
                }
                self.bulk = None;
                spans.push(Span::new(self.at, len));
                self.at += len + 2;
                self.args_left -= 1;
            }
            self.searched = self.at;
            return Ok(Some(self.first..spans.len()));
        }
    }

    /// The common case: a request that is here as a whole, with numbers of three digits at most. Whatever else is there is
    /// left to be read from its beginning.
    #[inline(always)]
    fn next_short(&mut self, input: &[u8], spans: &mut Vec<Span>, limits: &Limits) -> Option<Range<usize>> {
        let (count, mut at) = short_line(input, self.at, b'*')?;
        if count == 0 || u64::from(count) > limits.args_max {
            return None;
        }
        let first = spans.len();
        for _ in 0..count {
            let line = short_line(input, at, b'$').filter(|&(len, _)| u64::from(len) <= limits.bulk_max);
            let Some((len, start)) = line.filter(|&(len, start)| input.len() - start >= len as usize + 2) else {
                spans.truncate(first);
                return None;
            };
            spans.push(Span::new(start, len as usize));
            at = start + len as usize + 2;
        }
        (self.at, self.searched, self.first) = (at, at, first);
        Some(first..spans.len())
    }

    /// The total length that the input needs before another call can get further, as far as it is known.
    pub fn wanted(&self) -> usize {
        self.at + self.bulk.map_or(1, |len| len + 2)
    }

    /// Whether all of the input has been read, and no request is incomplete.
    #[inline]
    pub fn is_at_end(&self, input: &[u8]) -> bool {
        self.at == input.len() && self.args_left == 0
    }

    /// Where the present, incomplete request's retained bytes begin: everything before can be dropped.
    pub fn keep_from(&self, spans: &[Span]) -> usize {
        spans.get(self.present(spans)..).and_then(<[Span]>::first).map_or(self.at, |span| span.start as usize)
    }

    /// Index of the present request's first span; behind all if there is no such request.
    fn present(&self, spans: &[Span]) -> usize {
        if self.args_left == 0 { spans.len() } else { self.first.min(spans.len()) }
    }

    /// Tells the lexer that the first `dropped` bytes of the input and all spans but the present request's are gone.
    pub fn rebase(&mut self, dropped: usize, spans: &mut Vec<Span>) {
        spans.drain(..self.present(spans));
        // Nothing is dropped while a long request comes in; its spans are not to be walked for every piece.
        if dropped > 0 {
            for span in spans.iter_mut() {
                span.start -= dropped as u32;
            }
        }
        self.first = 0;
        self.at -= dropped;
        self.searched = self.searched.saturating_sub(dropped).max(self.at);
    }

    fn bulk_length(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, Protocol> {
        let start = self.at;
        let line = self.line(input);
        if matches!(line, Line::Incomplete) {
            return Ok(None);
        }
        if matches!(line, Line::TooLong) {
            return Err(Protocol::TooBigBulkCount);
        }
        if input[start] != b'$' {
            return Err(Protocol::ExpectedDollar(input[start]));
        }
        match line {
            Line::Number(Some(len)) if len >= 0 && len as u64 <= limits.bulk_max => Ok(Some(len as usize)),
            Line::Number(Some(len)) if len >= 0 && limits.is_unauthenticated && len <= 512 << 20 => {
                Err(Protocol::UnauthenticatedBulkLength)
            }
            _ => Err(Protocol::InvalidBulkLength),
        }
    }

    /// Reads `<type byte><number>\r\n` at `at`.
    #[inline]
    fn line(&mut self, input: &[u8]) -> Line {
        // The common case: one to nine digits, no sign, no leading zero.
        let rest = &input[self.at..];
        let mut value = 0_u32;
        for (i, &byte) in rest.iter().skip(1).take(10).enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 && i < 9 {
                value = value * 10 + u32::from(digit);
                continue;
            }
            if byte == b'\r' && i > 0 && (rest[1] != b'0' || i == 1) {
                if rest.len() < i + 3 {
                    // A line end in the place of the type is one that is complete already.
                    return if rest[0] == b'\r' { self.line_slow(input) } else { Line::Incomplete };
                }
                self.at += i + 3;
                self.searched = self.at;
                return Line::Number(Some(i64::from(value)));
            }
            break;
        }
        self.line_slow(input)
    }

    #[cold]
    fn line_slow(&mut self, input: &[u8]) -> Line {
        let from = self.searched.max(self.at);
        let Some(found) = input[from..].iter().position(|&byte| byte == b'\r') else {
            self.searched = input.len();
            return if input.len() - self.at > LINE_MAX { Line::TooLong } else { Line::Incomplete };
        };
        let end = from + found;
        if end + 1 >= input.len() {
            self.searched = end;
            return Line::Incomplete;
        }
        let number = input.get(self.at + 1..end).and_then(crate::number::parse_i64);
        self.at = end + 2;
        self.searched = self.at;
        Line::Number(number)
    }

    fn inline(&mut self, input: &mut [u8], spans: &mut Vec<Span>) -> Result<Option<Range<usize>>, Protocol> {
        let from = self.searched.max(self.at);
        let Some(found) = input[from..].iter().position(|&byte| byte == b'\n') else {
            self.searched = input.len();
            return if input.len() - self.at > LINE_MAX { Err(Protocol::TooBigInline) } else { Ok(None) };
        };
        let newline = from + found;
        let end = if newline > self.at && input[newline - 1] == b'\r' { newline - 1 } else { newline };
        let start = self.at;
        self.at = newline + 1;
        self.searched = self.at;
        split(input, start..end, spans).ok_or(Protocol::UnbalancedQuotes)?;
        Ok(Some(self.first..spans.len()))
    }
}

/// Reads `<kind><number>\r\n` at `at` where the number has one to three digits, and no leading zero: the number, and where
/// the next line begins.
#[inline(always)]
fn short_line(input: &[u8], at: usize, kind: u8) -> Option<(u32, usize)> {
    let digit = |byte: u8| byte.wrapping_sub(b'0');
    let [first, second, third, fourth, fifth, ..] = *input.get(at..)? else { return None };
    if first != kind || digit(second) > 9 {
        return None;
    }
    let number = u32::from(digit(second));
    // Whatever follows `\r` is skipped unread, but has to be here.
    if third == b'\r' {
        return Some((number, at + 4));
    }
    if digit(third) > 9 || number == 0 {
        return None;
    }
    let number = number * 10 + u32::from(digit(third));
    if fourth == b'\r' {
        return Some((number, at + 5));
    }
    let is_over = input.get(at + 5).is_some() && fifth == b'\r' && digit(fourth) <= 9;
    is_over.then(|| (number * 10 + u32::from(digit(fourth)), at + 6))
}

/// Splits a line into arguments as Redis does and unescapes them in place. `None`: unbalanced quotes.
fn split(input: &mut [u8], range: Range<usize>, spans: &mut Vec<Span>) -> Option<()> {
    let mut at = range.start;
    let end = range.end;
    loop {
        while at < end && is_space(input[at]) {
            at += 1;
        }
        // A NUL ends the line, since Redis reads it as a C string.
        if at >= end || input[at] == 0 {
            return Some(());
        }
        let start = at;
        let mut write = at;
        while at < end && !is_space(input[at]) && input[at] != 0 {
            match input[at] {
                quote @ (b'"' | b'\'') => {
                    (at, write) = quoted(input, at + 1, end, write, quote)?;
                    // A closing quote must be followed by a space or the end.
                    if at < end && !is_space(input[at]) {
                        return None;
                    }
                    break;
                }
                byte => {
                    input[write] = byte;
                    write += 1;
                    at += 1;
                }
            }
        }
        spans.push(Span::new(start, write - start));
    }
}

/// Copies a quoted string down to `write`; returns the positions after the closing quote and after the copy.
fn quoted(input: &mut [u8], mut at: usize, end: usize, mut write: usize, quote: u8) -> Option<(usize, usize)> {
    while at < end {
        let byte = input[at];
        let (out, used) = if byte == quote {
            return Some((at + 1, write));
        } else if byte == b'\\' && quote == b'"' && at + 3 < end && input[at + 1] == b'x' {
            match (hex(input[at + 2]), hex(input[at + 3])) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => (b'x', 2),
            }
        } else if byte == b'\\' && quote == b'"' && at + 1 < end {
            let out = match input[at + 1] {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'b' => 8,
                b'a' => 7,
                other => other,
            };
            (out, 2)
        } else if byte == b'\\' && quote == b'\'' && at + 1 < end && input[at + 1] == b'\'' {
            (b'\'', 2)
        } else {
            (byte, 1)
        };
        input[write] = out;
        write += 1;
        at += used;
    }
    None
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0B | 0x0C)
}

fn hex(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).map(|digit| digit as u8)
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits::trusted(512 << 20);

    fn lex(bytes: &[u8], limits: &Limits) -> (Vec<Vec<Vec<u8>>>, Option<Protocol>) {
        feed(&[bytes], limits)
    }

    /// Feeds pieces one after the other, dropping what was consumed after each, as a connection does.
    fn feed(pieces: &[&[u8]], limits: &Limits) -> (Vec<Vec<Vec<u8>>>, Option<Protocol>) {
        let (mut lexer, mut input, mut spans, mut found) = (Lexer::default(), Vec::new(), Vec::new(), Vec::new());
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                match lexer.next(&mut input, &mut spans, limits) {
                    Err(error) => return (found, Some(error)),
                    Ok(None) => break,
                    Ok(Some(range)) => {
                        found.push(spans[range].iter().map(|span| span.of(&input).to_vec()).collect());
                        if lexer.is_at_end(&input) {
                            break;
                        }
                    }
                }
            }
            let is_at_end = lexer.is_at_end(&input);
            let dropped = lexer.keep_from(&spans);
            input.drain(..dropped);
            lexer.rebase(dropped, &mut spans);
            if is_at_end {
                assert!(input.is_empty() && spans.is_empty(), "nothing is to be kept");
                // A connection begins anew, but for one that waits.
                if found.len().is_multiple_of(2) {
                    lexer = Lexer::default();
                }
            }
        }
        (found, None)
    }

    fn words(requests: &[&[&str]]) -> Vec<Vec<Vec<u8>>> {
        requests.iter().map(|words| words.iter().map(|word| word.as_bytes().to_vec()).collect()).collect()
    }

    #[test]
    fn reads_arrays_and_inline_commands() {
        let (found, error) = lex(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n set  a \"b c\"\n", &LIMITS);
        assert_eq!((found, error), (words(&[&["GET", "k"], &["PING"], &["set", "a", "b c"]]), None));
    }

    #[test]
    fn empty_requests_are_skipped() {
        let (found, error) = lex(b"*-1\r\n*0\r\n\r\n  \r\nPING\r\n", &LIMITS);
        assert_eq!((found, error), (words(&[&["PING"]]), None));
    }

    #[test]
    fn inline_quotes_are_unescaped() {
        let (found, error) = lex(br#"SET "\x41\n\t\"\q" 'it\'s \n' "" a"#, &LIMITS);
        assert_eq!((found, error), (vec![], None));
        let (found, error) = lex(b"SET \"\\x41\\n\\t\\\"\\q\" 'it\\'s \\n' \"\" a\r\n", &LIMITS);
        assert_eq!((found, error), (words(&[&["SET", "A\n\t\"q", "it's \\n", "", "a"]]), None));
    }

    #[test]
    fn numbers_of_all_lengths_are_read_the_same_in_one_piece_and_in_many() {
        let same = |input: &[u8], limits: &Limits| {
            let whole = lex(input, limits);
            let bytes: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(whole, feed(&bytes, limits), "{}", String::from_utf8_lossy(input));
            whole
        };
        for len in [0, 1, 9, 10, 99, 100, 101, 999, 1000, 1001] {
            for count in [1, 2, 10, 100, 101] {
                let mut request = format!("*{count}\r\n").into_bytes();
                for _ in 0..count {
                    request.extend([format!("${len}\r\n").as_bytes(), &vec![b'x'; len], b"\r\n"].concat());
                }
                let (found, error) = same(&request.repeat(2), &LIMITS);
                assert_eq!((found.len(), found[1].len(), found[1][0].len(), error), (2, count, len, None));
            }
        }
        let odd = [
            "*01\r\n$1\r\na\r\n",
            "*1\r\n$01\r\na\r\n",
            "*1\r\n$00\r\n\r\n",
            "*1\r\n#1\r\na\r\n",
            "*1\r\n$1x\r\na\r\n",
        ];
        for input in odd {
            let (found, error) = same(input.as_bytes(), &LIMITS);
            assert!(error.is_some() && found.is_empty(), "{input}");
        }
        // Limits hold for small numbers too.
        let small = Limits { args_max: 2, bulk_max: 3, is_unauthenticated: true };
        assert_eq!(same(b"*3\r\n$1\r\na\r\n", &small).1, Some(Protocol::UnauthenticatedMultibulkLength));
        assert_eq!(same(b"*1\r\n$4\r\nabcd\r\n", &small).1, Some(Protocol::UnauthenticatedBulkLength));
    }

    #[test]
    fn protocol_errors() {
        use Protocol::*;
        let long = [b"*".as_slice(), &[b'1'; 70_000]].concat();
        let long_bulk = [b"*1\r\n$".as_slice(), &[b'1'; 70_000]].concat();
        let cases: &[(&[u8], Protocol)] = &[
            (b"*2147483648\r\n", InvalidMultibulkLength),
            (b"*abc\r\n", InvalidMultibulkLength),
            (b"*\r\n", InvalidMultibulkLength),
            (b"*01\r\n", InvalidMultibulkLength),
            (b"*+1\r\n", InvalidMultibulkLength),
            (&long, TooBigMultibulkCount),
            (&long_bulk, TooBigBulkCount),
            (b"*1\r\n$-1\r\n", InvalidBulkLength),
            (b"*1\r\n$536870913\r\n", InvalidBulkLength),
            (b"*1\r\n$10000000000000000000\r\n", InvalidBulkLength),
            (b"*1\r\n$+4\r\n", InvalidBulkLength),
            (b"*1\r\n$04\r\n", InvalidBulkLength),
            (b"*1\r\n:4\r\n", ExpectedDollar(b':')),
            (b"*1\r\n*1\r\n", ExpectedDollar(b'*')),
            (&[b'a'; 70_000], TooBigInline),
            (b"SET a \"x\r\n", UnbalancedQuotes),
            (b"SET a \"x\"y\r\n", UnbalancedQuotes),
            (b"SET a 'x\r\n", UnbalancedQuotes),
        ];
        for (input, expected) in cases {
            assert_eq!(
                lex(input, &LIMITS).1,
                Some(*expected),
                "{:?}",
                String::from_utf8_lossy(&input[..20.min(input.len())])
            );
        }
    }

    /// Found by fuzzing.
    #[test]
    fn a_line_end_in_place_of_an_argument_is_an_error_however_it_arrives() {
        let input = b"*1\r\n\r0\r";
        let error = (vec![], Some(Protocol::ExpectedDollar(b'\r')));
        assert_eq!(lex(input, &LIMITS), error);
        assert_eq!(feed(&input.chunks(1).collect::<Vec<_>>(), &LIMITS), error);
    }

    #[test]
    fn unauthenticated_clients_are_held_shorter() {
        let limits = Limits::unauthenticated();
        assert_eq!(lex(b"*11\r\n", &limits).1, Some(Protocol::UnauthenticatedMultibulkLength));
        assert_eq!(lex(b"*10\r\n", &limits).1, None);
        assert_eq!(lex(b"*1\r\n$16385\r\n", &limits).1, Some(Protocol::UnauthenticatedBulkLength));
        assert_eq!(lex(b"*1\r\n$16384\r\n", &limits).1, None);
        assert_eq!(lex(b"*2147483648\r\n", &limits).1, Some(Protocol::InvalidMultibulkLength));
    }

    #[test]
    fn an_announced_count_costs_nothing() {
        let (mut lexer, mut spans) = (Lexer::default(), Vec::new());
        assert_eq!(lexer.next(&mut b"*2147483647\r\n".to_vec(), &mut spans, &LIMITS), Ok(None));
        assert_eq!(spans.capacity(), 0);
    }

    fn request() -> impl Strategy<Value = Vec<u8>> {
        let array = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 1..5).prop_map(|args| {
            let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
            for arg in args {
                bytes.extend(format!("${}\r\n", arg.len()).bytes());
                bytes.extend(arg);
                bytes.extend(b"\r\n");
            }
            bytes
        });
        prop_oneof![
            4 => array,
            1 => "[a-z]{1,5} \"[a-z\\\\]{0,4}\\\\x41\" '[a-z ]{0,5}'\r\n".prop_map(String::into_bytes),
            1 => "\\*(-1|0)\r\n".prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>(), 0..20),
        ]
    }

    proptest! {
        #[test]
        fn splitting_the_input_changes_nothing(
            requests in prop::collection::vec(request(), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = requests.concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let mut from = 0;
            let pieces: Vec<&[u8]> = cuts.iter().map(|&to| &bytes[std::mem::replace(&mut from, to)..to]).collect();
            let whole = lex(&bytes, &LIMITS);
            prop_assert_eq!(&whole, &feed(&pieces, &LIMITS));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&whole, &feed(&single, &LIMITS));
        }

        /// What comes byte by byte is never read by the short way.
        #[test]
        fn almost_valid_requests_are_read_the_same_in_one_piece_and_in_many(
            lens in prop::collection::vec(0_usize..1002, 0..12),
            changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"*$\r\n019x-".to_vec())), 0..3),
            args_max in prop::sample::select(vec![1, 3, 10, Limits::ARGS_MAX]),
            bulk_max in prop::sample::select(vec![0, 9, 100, 1 << 29]),
            is_unauthenticated in any::<bool>(),
        ) {
            let limits = Limits { args_max, bulk_max, is_unauthenticated };
            let mut bytes = format!("*{}\r\n", lens.len()).into_bytes();
            for &len in &lens {
                bytes.extend([format!("${len}\r\n").as_bytes(), &vec![b'v'; len], b"\r\n"].concat());
            }
            // Most changes are to be about numbers.
            let numbers = bytes.len().min(40);
            for (at, byte) in changes {
                bytes[at.index(numbers)] = byte;
            }
            bytes.extend_from_within(..);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(lex(&bytes, &limits), feed(&single, &limits));
        }
    }
}
