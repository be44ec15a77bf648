//! A connection as the recorder needs it: many requests in one write, replies one by one, and ends that are no surprise.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::model::Words;
use crate::reply::Reply;

/// No answer takes this long, on however busy a machine: a server that needs longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Link {
    stream: TcpStream,
    /// What came and was not read yet begins at `at`.
    buffer: Vec<u8>,
    at: usize,
}

/// Appends a request as an array of strings.
pub fn encode(words: &[impl AsRef<str>], out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "*{}\r\n", words.len());
    for word in words.iter().map(AsRef::as_ref) {
        let _ = write!(out, "${}\r\n{word}\r\n", word.len());
    }
}

impl Link {
    pub fn connect(address: SocketAddr) -> Result<Self, String> {
        let connect = || -> std::io::Result<TcpStream> {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = connect().map_err(|error| format!("cannot connect to {address}: {error}"))?;
        Ok(Self { stream, buffer: Vec::new(), at: 0 })
    }

    /// Sends bytes; `false` if the connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Reads one reply; `None` when the connection ends first.
    ///
    /// # Errors
    /// What came is no reply, or nothing comes.
    pub fn read(&mut self) -> Result<Option<Reply>, String> {
        loop {
            if self.at < self.buffer.len()
                && let Some((reply, used)) = Reply::parse(&self.buffer[self.at..])?
            {
                self.at += used;
                return Ok(Some(reply));
            }
            self.buffer.drain(..self.at);
            self.at = 0;
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(len) => self.buffer.extend_from_slice(&chunk[..len]),
                // Stopped and continued, as by a debugger: a read that may time out is cut short by that.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                    return Ok(None);
                }
                Err(error) => return Err(format!("no answer: {error}")),
            }
        }
    }

    /// Sends a request and reads its reply.
    ///
    /// # Errors
    /// As [`Link::read`], and if the connection ends.
    pub fn call(&mut self, words: &[impl AsRef<str>]) -> Result<Reply, String> {
        let mut bytes = Vec::new();
        encode(words, &mut bytes);
        self.send(&bytes);
        self.read()?.ok_or_else(|| format!("the server hung up at {}", words[0].as_ref()))
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&self) {
        // The server may have closed the connection already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

/// A request of several, for [`Link::call`].
pub fn request(words: &str) -> Words {
    words.split(' ').map(String::from).collect()
}
