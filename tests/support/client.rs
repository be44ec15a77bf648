//! A raw client: exact bytes out, exact bytes in, and nothing that hangs.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use socket2::SockRef;

use super::Value;
use super::server::PATIENCE;

/// One connection.
pub struct Client {
    stream: TcpStream,
    /// What was read and not yet asked for.
    buffer: Vec<u8>,
}

/// Encodes a request as an array of bulk strings.
pub fn encode(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words.iter().map(AsRef::as_ref) {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Splits a line at blanks; an argument in double quotes may be empty, hold blanks, and the escapes of [`unescape`].
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            None => rest.split_once(' ').unwrap_or((rest, "")),
            Some(quoted) => {
                // The closing quote is the first one that is not escaped.
                let mut escaped = false;
                let end = quoted.find(|letter| {
                    let is_end = letter == '"' && !escaped;
                    escaped = letter == '\\' && !escaped;
                    is_end
                });
                let end = end.unwrap_or_else(|| panic!("no closing quote: {line}"));
                (&quoted[..end], &quoted[end + 1..])
            }
        };
        words.push(unescape(word));
        rest = after.trim_start();
    }
    words
}

/// Resolves `\r`, `\n`, `\t`, `\0`, `\\`, `\"` and `\xHH`.
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(b'x') => {
                let mut digit =
                    || bytes.next().and_then(|byte| (byte as char).to_digit(16)).expect("a hexadecimal digit");
                (digit() << 4 | digit()) as u8
            }
            Some(other @ (b'\\' | b'"')) => other,
            other => panic!("no escape: {other:?} in {text}"),
        });
    }
    out
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts connections");
        stream.set_nodelay(true).expect("TCP allows it");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        stream.set_write_timeout(Some(PATIENCE)).expect("not zero");
        Self { stream, buffer: Vec::new() }
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Sends bytes to a server that may have hung up already.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Reads as many bytes as are expected and compares them.
    pub fn expect(&mut self, expected: impl AsRef<[u8]>) {
        let expected = expected.as_ref();
        while self.buffer.len() < expected.len() && self.fill() {}
        let len = expected.len().min(self.buffer.len());
        let found: Vec<u8> = self.buffer.drain(..len).collect();
        assert!(
            found == expected,
            "expected: {}\n   found: {}{}",
            expected.escape_ascii(),
            found.escape_ascii(),
            self.buffer.escape_ascii()
        );
    }

    /// Sends a request, written as [`words`] reads it, and compares the bytes of the reply.
    pub fn check(&mut self, request: &str, expected: impl AsRef<[u8]>) {
        self.send(encode(&words(request)));
        let expected = expected.as_ref();
        while self.buffer.len() < expected.len() && !self.has_reply() && self.fill() {}
        assert!(
            self.buffer == expected,
            "request: {request}\nexpected: {}\n   found: {}",
            expected.escape_ascii(),
            self.buffer.escape_ascii()
        );
        self.buffer.clear();
    }

    /// Sends a request, written as [`words`] reads it, and reads its reply.
    pub fn call(&mut self, request: &str) -> Value {
        self.request(&words(request))
    }

    /// A number that INFO tells.
    pub fn info(&mut self, name: &str) -> u64 {
        let text = self.call("INFO everything").text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_else(|| panic!("no {name} in {text}")).parse().expect("a number")
    }

    /// Sends a request with these arguments and reads its reply.
    pub fn request(&mut self, arguments: &[impl AsRef<[u8]>]) -> Value {
        self.send(encode(arguments));
        self.read()
    }

    /// Whether something has come, or the connection has ended. Does not wait.
    pub fn has_arrived(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("TCP allows it");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("TCP allows it");
        !self.buffer.is_empty() || peeked.is_ok()
    }

    /// Reads one reply.
    pub fn read(&mut self) -> Value {
        self.try_read().expect("the server does not hang up")
    }

    /// Reads one reply; `None` when the connection ends first.
    pub fn try_read(&mut self) -> Option<Value> {
        loop {
            if let Some((value, used)) = (!self.buffer.is_empty()).then(|| Value::parse(&self.buffer)).flatten() {
                self.buffer.drain(..used);
                return Some(value);
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// Reads one reply as its bytes.
    pub fn read_raw(&mut self) -> Vec<u8> {
        loop {
            if let Some((_, used)) = (!self.buffer.is_empty()).then(|| Value::parse(&self.buffer)).flatten() {
                return self.buffer.drain(..used).collect();
            }
            assert!(self.fill(), "the server hung up after {}", self.buffer.escape_ascii());
        }
    }

    /// Reads so many replies as their bytes; fewer if the server ends the connection first or does not answer.
    pub fn read_many(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut replies = Vec::with_capacity(count);
        let mut at = 0;
        while replies.len() < count {
            let rest = &self.buffer[at..];
            match (!rest.is_empty()).then(|| Value::parse(rest)).flatten() {
                Some((_, used)) => {
                    replies.push(rest[..used].to_vec());
                    at += used;
                }
                // A machine that stood still lets the time pass although the answer is on its way: once more.
                None if self.try_fill().or_else(|_| self.try_fill()).unwrap_or(false) => {}
                None => break,
            }
        }
        self.buffer.drain(..at);
        replies
    }

    /// Reads until the server ends the connection; nothing more may come.
    pub fn expect_closed(&mut self) {
        let rest = self.read_to_end();
        assert!(rest.is_empty(), "expected the end, found: {}", rest.escape_ascii());
    }

    /// Everything up to the first occurrence of `marker`, or up to the end of the connection.
    pub fn read_until(&mut self, marker: &[u8]) -> Vec<u8> {
        while !self.buffer.windows(marker.len()).any(|window| window == marker) && self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Everything up to the end of the connection.
    pub fn read_to_end(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// Everything up to the end of the connection, or until nothing comes for so long; and whether it was the end.
    pub fn read_until_silence(&mut self, patience: Duration) -> (Vec<u8>, bool) {
        self.stream.set_read_timeout(Some(patience)).expect("not zero");
        let is_over = loop {
            match self.try_fill() {
                Ok(true) => {}
                Ok(false) => break true,
                Err(_) => break false,
            }
        };
        (std::mem::take(&mut self.buffer), is_over)
    }

    /// Takes so many bytes from the connection without looking at them: as fast as anybody can.
    pub fn discard(&mut self, bytes: usize) {
        let (mut chunk, mut left) = (vec![0_u8; 1 << 20], bytes);
        while left > 0 {
            let room = chunk.len().min(left);
            match rustix::net::recv(&self.stream, &mut chunk[..room], RecvFlags::TRUNC) {
                Ok((_, 0)) => panic!("the connection ended before {left} bytes had come"),
                Ok((_, len)) => left -= len,
                Err(Errno::INTR) => {}
                Err(error) => panic!("no answer: {error}; {left} bytes are missing"),
            }
        }
    }

    /// Shows that the connection is open and nothing is waiting to be read.
    pub fn expect_open(&mut self) {
        self.send(b"ECHO still-open\r\n");
        self.expect(b"$10\r\nstill-open\r\n");
        assert!(self.buffer.is_empty(), "also found: {}", self.buffer.escape_ascii());
    }

    /// Ends the sending direction only.
    pub fn finish_sending(&mut self) {
        // The server may have closed the connection already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection with a reset instead of an orderly end.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("TCP allows it");
    }

    /// Receives as little as the kernel allows before somebody reads.
    pub fn shrink_receive_buffer(&self) {
        SockRef::from(&self.stream).set_recv_buffer_size(4096).expect("TCP allows it");
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr().expect("connected")
    }

    pub fn set_write_timeout(&self, timeout: Duration) {
        self.stream.set_write_timeout(Some(timeout)).expect("not zero");
    }

    fn has_reply(&self) -> bool {
        !self.buffer.is_empty() && Value::parse(&self.buffer).is_some()
    }

    /// Reads what there is; `false` at the end of the connection.
    fn fill(&mut self) -> bool {
        self.try_fill().unwrap_or_else(|error| {
            panic!("no answer: {error}; so far: {}", self.buffer.escape_ascii());
        })
    }

    /// As [`Client::fill`]; an error when nothing comes for too long.
    fn try_fill(&mut self) -> std::io::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => Ok(false),
            Ok(len) => {
                self.buffer.extend_from_slice(&chunk[..len]);
                Ok(true)
            }
            // A server that closes with unread input resets the connection.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Ok(false),
            // The process was stopped for a while.
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }
}
