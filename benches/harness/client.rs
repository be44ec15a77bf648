//! A plain blocking RESP2 client, for what is not measured: set-up, questions, disturbances.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::Result;
use super::reply::{Dialect, Scanner};

#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Status(String),
    Error(String),
    Integer(i64),
    Bulk(Vec<u8>),
    Nil,
    Array(Vec<Reply>),
}

pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// # Errors
    /// When the connection is refused.
    pub fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
        let timeout = Some(Duration::from_secs(300));
        stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(timeout)).map_err(|error| error.to_string())?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends one command and waits for its reply.
    ///
    /// # Errors
    /// When the connection breaks or no reply comes within 5 minutes; an error reply is `Reply::Error`.
    pub fn ask(&mut self, words: &[&[u8]]) -> Result<Reply> {
        self.send(words)?;
        self.reply().map_err(|error| format!("{}: {error}", String::from_utf8_lossy(words[0])))
    }

    /// [`Client::ask`] with the command as text, split at blanks.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn say(&mut self, command: &str) -> Result<Reply> {
        self.ask(&command.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    /// Number of keys.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn size(&mut self) -> Result<u64> {
        match self.say("DBSIZE")? {
            Reply::Integer(size) => Ok(size as u64),
            reply => Err(format!("DBSIZE: {reply:?}")),
        }
    }

    /// A number that INFO tells.
    ///
    /// # Errors
    /// As [`Client::ask`], or there is no such number.
    pub fn info(&mut self, name: &str) -> Result<u64> {
        let reply = self.say("INFO all")?;
        let Reply::Bulk(text) = reply else { return Err(format!("INFO: {reply:?}")) };
        let text = String::from_utf8_lossy(&text);
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.trim().parse().ok()).ok_or(format!("INFO tells no {name}"))
    }

    /// Sends a command without waiting for its reply.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn send(&mut self, words: &[&[u8]]) -> Result<()> {
        let mut out = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            out.extend_from_slice(word);
            out.extend_from_slice(b"\r\n");
        }
        self.stream.get_mut().write_all(&out).map_err(|error| format!("write: {error}"))
    }

    /// Sends encoded requests at once and waits for `count` replies.
    ///
    /// # Errors
    /// As [`Client::ask`]; an error reply is an error here.
    pub fn pipeline(&mut self, requests: &[u8], count: usize) -> Result<()> {
        self.stream.get_mut().write_all(requests).map_err(|error| format!("write: {error}"))?;
        for _ in 0..count {
            if let Reply::Error(text) = self.reply()? {
                return Err(text);
            }
        }
        Ok(())
    }

    /// Sends encoded requests at once and waits for `count` replies.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn replies(&mut self, requests: &[u8], count: usize) -> Result<Vec<Reply>> {
        self.stream.get_mut().write_all(requests).map_err(|error| format!("write: {error}"))?;
        (0..count).map(|_| self.reply()).collect()
    }

    /// Reads `command`'s reply to its end without keeping it, and pauses after each 64 KiB, as a slow reader does.
    ///
    /// * `stop`: gives up once it is true.
    ///
    /// # Errors
    /// As [`Client::ask`]; an error reply is an error here.
    pub fn skim(&mut self, command: &str, pause: Duration, stop: &AtomicBool) -> Result<()> {
        self.send(&command.split(' ').map(str::as_bytes).collect::<Vec<_>>())?;
        let mut scanner = Scanner::new(Dialect::Resp);
        let (mut bytes, mut held, mut replies) = (vec![0; 64 << 10], 0, 0);
        while replies == 0 && !stop.load(Relaxed) {
            let read = self.stream.get_mut().read(&mut bytes[held..]).map_err(|error| format!("read: {error}"))?;
            if read == 0 {
                return Err("the server closed the connection".into());
            }
            let filled = held + read;
            let used = scanner.scan(&bytes[..filled], |_| {
                replies += 1;
                Ok(())
            })?;
            bytes.copy_within(used..filled, 0);
            held = filled - used;
            if !pause.is_zero() {
                std::thread::sleep(pause);
            }
        }
        Ok(())
    }

    fn reply(&mut self) -> Result<Reply> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        let line = line.strip_suffix(b"\r\n").ok_or("the connection was closed")?;
        let (first, rest) = line.split_first().ok_or("an empty line")?;
        let rest = String::from_utf8_lossy(rest).into_owned();
        let number = || rest.parse::<i64>().map_err(|_| format!("`{rest}` is not a number"));
        Ok(match first {
            b'+' => Reply::Status(rest),
            b'-' => Reply::Error(rest),
            b':' => Reply::Integer(number()?),
            b'$' | b'*' if number()? < 0 => Reply::Nil,
            b'$' => {
                let mut bytes = vec![0; number()? as usize + 2];
                self.stream.read_exact(&mut bytes).map_err(|error| error.to_string())?;
                bytes.truncate(bytes.len() - 2);
                Reply::Bulk(bytes)
            }
            b'*' => Reply::Array((0..number()?).map(|_| self.reply()).collect::<Result<_>>()?),
            _ => {
                return Err(format!("not a RESP2 reply: {}", String::from_utf8_lossy(line)));
            }
        })
    }
}
