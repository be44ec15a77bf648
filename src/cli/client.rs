//! One blocking connection: TCP or a Unix socket, the handshake, requests and replies.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::resp::{self, Fault, Reply};

/// Read buffer; a reply of a pipelined benchmark is far below it, a bulk above it is received directly.
const BUFFER_BYTES: usize = 64 << 10;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Tcp { host: String, port: u16 },
    Unix(String),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp { host, port } => write!(f, "{host}:{port}"),
            Address::Unix(path) => f.write_str(path),
        }
    }
}

/// What is said right after connecting, and again after every reconnect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    pub user: Option<String>,
    pub password: Option<String>,
    pub db: i64,
    /// Ask for RESP3; a connection begins in RESP2.
    pub resp3: bool,
}

/// A server and how to log in to it: all that a tool needs to open connections of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub address: Address,
    pub login: Login,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream {
    fn try_clone(&self) -> io::Result<Stream> {
        Ok(match self {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone()?),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone()?),
        })
    }

    fn set_nonblocking(&self, on: bool) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_nonblocking(on),
            Stream::Unix(stream) => stream.set_nonblocking(on),
        }
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_read_timeout(timeout),
            Stream::Unix(stream) => stream.set_read_timeout(timeout),
        }
    }
}

/// An open connection. After any [`Fault`] it must be dropped.
pub struct Connection {
    reader: BufReader<Stream>,
    out: Vec<u8>,
    /// The socket's time-out as last set, to save the system call.
    timeout: Option<Duration>,
}

impl Connection {
    /// Connects without logging in.
    ///
    /// # Errors
    /// The operating system's, from the last address that the host name has.
    pub fn open(address: &Address) -> io::Result<Connection> {
        let stream = match address {
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
            Address::Tcp { host, port } => {
                let stream = connect_any(host, *port)?;
                stream.set_nodelay(true)?;
                Stream::Tcp(stream)
            }
        };
        Ok(Connection { reader: BufReader::with_capacity(BUFFER_BYTES, stream), out: Vec::new(), timeout: None })
    }

    /// Connects and logs in; for tools, which need all of it to succeed.
    ///
    /// # Errors
    /// One line for people: what failed and where.
    pub fn log_in(target: &Target) -> Result<Connection, String> {
        let mut connection = Connection::open(&target.address)
            .map_err(|error| format!("Could not connect to Redis at {}: {}", target.address, open_reason(&error)))?;
        for (what, request) in target.login.requests() {
            match connection.call(&request) {
                Ok(Reply::Error(text)) => return Err(format!("{what} failed: {}", String::from_utf8_lossy(&text))),
                Ok(_) => {}
                Err(fault) => return Err(format!("{}: {fault}", target.address)),
            }
        }
        Ok(connection)
    }

    /// Sends one request and waits for its reply.
    ///
    /// # Errors
    /// [`Fault`]; an error reply is a reply.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Reply, Fault> {
        self.send(args)?;
        self.receive()
    }

    /// Sends several requests in one write and waits for all their replies.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn call_all<A: AsRef<[u8]>>(&mut self, requests: &[Vec<A>]) -> Result<Vec<Reply>, Fault> {
        requests.iter().for_each(|request| self.queue(request));
        self.flush()?;
        requests.iter().map(|_| self.receive()).collect()
    }

    /// Sends one request without waiting.
    ///
    /// # Errors
    /// The socket's.
    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<()> {
        self.queue(args);
        self.flush()
    }

    /// Encodes a request for the next [`flush`](Self::flush).
    pub fn queue<A: AsRef<[u8]>>(&mut self, args: &[A]) {
        resp::encode(args, &mut self.out);
    }

    /// Writes what was queued.
    ///
    /// # Errors
    /// The socket's.
    pub fn flush(&mut self) -> io::Result<()> {
        let result = self.reader.get_mut().write_all(&self.out);
        self.out.clear();
        result
    }

    /// The next reply, as long as it takes. Pushes are replies here; the caller tells them apart.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn receive(&mut self) -> Result<Reply, Fault> {
        self.set_timeout(None)?;
        resp::read(&mut self.reader)
    }

    /// Whether the server has closed the connection while nobody was reading. Replies that wait to be read are kept.
    pub fn is_stale(&mut self) -> bool {
        if !self.reader.buffer().is_empty() {
            return false;
        }
        if self.reader.get_ref().set_nonblocking(true).is_err() {
            return true;
        }
        let ended = match self.reader.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => !is_pause(&error),
        };
        self.reader.get_ref().set_nonblocking(false).is_err() || ended
    }

    /// Waits for the beginning of a reply for at most `timeout`. A signal may end the wait early.
    ///
    /// Returns whether bytes are there, or the stream has ended, so that `receive` has something to say.
    ///
    /// # Errors
    /// The socket's.
    pub fn wait(&mut self, timeout: Duration) -> io::Result<bool> {
        if !self.reader.buffer().is_empty() {
            return Ok(true);
        }
        self.set_timeout(Some(timeout))?;
        match self.reader.fill_buf() {
            Ok(_) => Ok(true),
            Err(error) if is_pause(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A second handle on the socket for writing, so that one thread can send while this one receives.
    ///
    /// # Errors
    /// The operating system's.
    pub fn writer(&self) -> io::Result<Box<dyn Write + Send>> {
        Ok(Box::new(self.reader.get_ref().try_clone()?))
    }

    fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        if self.timeout != timeout {
            self.reader.get_ref().set_read_timeout(timeout)?;
            self.timeout = timeout;
        }
        Ok(())
    }
}

impl Login {
    /// The handshake in order, each step with its name for messages.
    pub fn requests(&self) -> Vec<(&'static str, Vec<String>)> {
        let mut requests = Vec::new();
        if let Some(password) = &self.password {
            let mut auth = vec!["AUTH".to_string()];
            auth.extend(self.user.clone());
            auth.push(password.clone());
            requests.push(("AUTH", auth));
        }
        if self.resp3 {
            requests.push(("HELLO", vec!["HELLO".into(), "3".into()]));
        }
        if self.db != 0 {
            requests.push(("SELECT", vec!["SELECT".into(), self.db.to_string()]));
        }
        requests
    }
}

/// Why a connection could not be made, in the C library's words (a resolver's message comes wrapped by Rust).
pub fn open_reason(error: &io::Error) -> String {
    let text = resp::reason(error);
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_string()
}

fn connect_any(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect(address) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Whether nothing is wrong: the time-out passed or a signal came.
fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
