//! The server under test, as a child process.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// No server takes this long to start, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Limits at which values change their form are low, so that the small objects of a history have all forms.
const OPTIONS: [[&str; 2]; 6] = [
    ["--list-max-listpack-size", "4"],
    ["--hash-max-listpack-entries", "4"],
    ["--set-max-listpack-entries", "4"],
    ["--set-max-intset-entries", "3"],
    ["--zset-max-listpack-entries", "4"],
    ["--loglevel", "warning"],
];

/// A running server. It is killed when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts Kiba.
    ///
    /// * `binary`: the program.
    /// * `engine`: sharded or channel.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(binary: &Path, engine: &str) -> Result<Self, String> {
        /// Another process may take the free port first.
        const ATTEMPTS: usize = 10;
        let mut result = Err(String::new());
        for _ in 0..ATTEMPTS {
            result = Self::try_start(binary, engine);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn try_start(binary: &Path, engine: &str) -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| format!("no free port: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        drop(listener);
        let mut command = Command::new(binary);
        command.args(["--port", &address.port().to_string(), "--engine", engine]).args(OPTIONS.as_flattened());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.map_err(|error| format!("cannot run {}: {error}", binary.display()))?;
        let mut server = Self { address, child };
        let since = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("{} ended: {status}", binary.display()));
            }
            if since.elapsed() > PATIENCE {
                return Err(format!("{} does not come up", binary.display()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
