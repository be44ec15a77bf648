//! Another instance: asks it one thing after the other.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::Server;
use super::clients::Client;
use crate::sync::Arc;

/// Look-ups of names at once. Each has a thread until the resolver answers, whoever waits for it.
static LOOKUPS: Semaphore = Semaphore::const_new(4);

/// What went wrong between here and there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Connecting,
    Writing,
    Reading,
    /// Our own client is to end.
    Killed,
}

/// A connection to another instance. Every step has the same time.
pub struct Peer {
    stream: TcpStream,
    received: Vec<u8>,
    guard: Guard,
}

/// Who may end a wait: whoever kills the client, or stops the server.
#[derive(Clone)]
pub struct Guard {
    pub client: Arc<Client>,
    pub server: Arc<Server>,
    /// How long a step may take.
    pub patience: Duration,
}

impl Guard {
    /// Waits for something, for as long as it takes. The server's end is the failure that is given.
    pub async fn wait<T>(&self, event: impl Future<Output = T>, failure: Failure) -> Result<T, Failure> {
        tokio::select! {
            biased;
            () = poll_fn(|cx| self.client.poll_killed(cx)) => Err(Failure::Killed),
            () = self.server.stopped() => Err(failure),
            done = event => Ok(done),
        }
    }

    async fn step<T>(&self, io: impl Future<Output = io::Result<T>>, failure: Failure) -> Result<T, Failure> {
        let done = self.wait(tokio::time::timeout(self.patience, io), failure).await?;
        done.ok().and_then(Result::ok).ok_or(failure)
    }
}

impl Peer {
    /// A host that is not found is another failure than one that does not answer, as in Redis.
    pub async fn connect(host: &str, port: u16, guard: Guard) -> Result<Self, Failure> {
        let addresses = guard.step(look_up(host, port), Failure::Connecting).await?;
        let stream = guard.step(TcpStream::connect(&addresses[..]), Failure::Writing).await?;
        // Without it only speed is lost.
        let _ = stream.set_nodelay(true);
        Ok(Self { stream, received: Vec::new(), guard })
    }

    /// Sends a command and reads its answer, which must be one line. An error's text is the inner error.
    pub async fn ask(&mut self, words: &[&[u8]]) -> Result<Result<(), Vec<u8>>, Failure> {
        /// Longer words are sent from where they lie, so much in a step.
        const PIECE: usize = 64 * 1024;
        let mut head = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            head.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            if word.len() < PIECE {
                head.extend_from_slice(word);
            } else {
                self.write(&std::mem::take(&mut head)).await?;
                for piece in word.chunks(PIECE) {
                    self.write(piece).await?;
                }
            }
            head.extend_from_slice(b"\r\n");
        }
        self.write(&head).await?;
        let line = self.read_line().await?;
        match line.split_first() {
            Some((b'+' | b':', _)) => Ok(Ok(())),
            Some((b'-', text)) => Ok(Err(text.to_vec())),
            _ => Err(Failure::Reading),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.guard.step(self.stream.write_all(bytes), Failure::Writing).await
    }

    /// Reads a line, without its end.
    async fn read_line(&mut self) -> Result<Vec<u8>, Failure> {
        /// No answer that is expected is longer.
        const LINE_MAX: usize = 16 * 1024;
        loop {
            if let Some(end) = self.received.windows(2).position(|bytes| bytes == b"\r\n") {
                let mut line: Vec<u8> = self.received.drain(..end + 2).collect();
                line.truncate(end);
                return Ok(line);
            }
            let count = self.guard.step(self.stream.read_buf(&mut self.received), Failure::Reading).await?;
            if count == 0 || self.received.len() > LINE_MAX {
                return Err(Failure::Reading);
            }
        }
    }
}

async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let turn = LOOKUPS.acquire().await.map_err(io::Error::other)?;
    let host = host.to_owned();
    let found = tokio::task::spawn_blocking(move || {
        // Given back when the thread is free, not when nobody waits any more.
        let _turn = turn;
        (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
    });
    found.await?
}
