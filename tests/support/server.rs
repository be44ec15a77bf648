//! Servers of the tests: the real binary as a child process, on a free port, with its log captured.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::Client;

/// Nothing that the tests wait for takes this long, on however busy a machine: whoever waits longer hangs.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Whom a test talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Sharded,
    Channel,
    /// redis-server, to see that a test expects the right thing.
    Redis,
}

impl Peer {
    pub const ENGINES: [Self; 2] = [Self::Sharded, Self::Channel];

    /// Starts a server with default options.
    pub fn start(self) -> Server {
        self.start_with(&[])
    }

    /// Starts a server with few shards: what takes all of them, FLUSHALL and SWAPDB, is fast in a build without optimisation.
    pub fn start_small(self) -> Server {
        self.start_with(if self == Self::Redis { &[] } else { &["--shards", "16"] })
    }

    /// Starts a server with options as on the command line (`--maxclients`, `3`).
    ///
    /// # Panics
    /// With the server's log, if it does not start.
    pub fn start_with(self, options: &[&str]) -> Server {
        /// Another process may take the free port first.
        const ATTEMPTS: usize = 10;
        let mut log = String::new();
        for _ in 0..ATTEMPTS {
            match Server::try_start(self, options) {
                Ok(server) => return server,
                Err(text) => log = text,
            }
        }
        panic!("the server did not start: {log}");
    }

    /// Whether redis-server 7.0, whose answers the tests expect, is installed. Says so if it is not.
    pub fn has_redis() -> bool {
        static FOUND: OnceLock<bool> = OnceLock::new();
        let found = *FOUND.get_or_init(|| {
            let version = Command::new("redis-server").arg("--version").output();
            version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(" v=7.0."))
        });
        if !found {
            eprintln!("skipped: redis-server 7.0 is not installed");
        }
        found
    }

    fn command(self, port: u16, directory: &PathBuf, options: &[&str]) -> Command {
        let port = port.to_string();
        let mut command = match self {
            Self::Redis => {
                let mut command = Command::new("redis-server");
                command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
                command
            }
            engine => {
                let mut command = Command::new(other_binary().unwrap_or_else(|| env!("CARGO_BIN_EXE_kiba").into()));
                let engine = if engine == Self::Sharded { "sharded" } else { "channel" };
                command.args(["--port", &port, "--engine", engine]);
                command
            }
        };
        command.args(options).current_dir(directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// The server to test instead of the one that was built along with the tests: an optimised one, most likely.
fn other_binary() -> Option<std::ffi::OsString> {
    std::env::var_os("KIBA_BINARY")
}

/// Whether times mean something: not those of a server that was built without optimisation.
pub fn is_optimised() -> bool {
    !cfg!(debug_assertions) || other_binary().is_some()
}

/// A running server. It is killed when it is dropped.
pub struct Server {
    pub peer: Peer,
    pub address: SocketAddr,
    child: Child,
    log: Arc<Log>,
    directory: PathBuf,
}

/// What the server has written so far.
#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Condvar,
}

impl Server {
    /// A connection.
    pub fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Waits until the log contains `text`.
    ///
    /// # Panics
    /// If it does not within [`PATIENCE`].
    pub fn wait_for_log(&self, text: &str) {
        assert!(self.logs(text, PATIENCE), "not logged: {text}\n{}", self.log());
    }

    /// Whether the log contains `text`, or does so within this time.
    pub fn logs(&self, text: &str, within: Duration) -> bool {
        self.log.wait_for(text, within)
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.text.lock().expect("no writer panics").clone()
    }

    /// Memory of the process that is resident, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most memory of the process that was resident since it began, or was told to forget, in bytes.
    pub fn resident_bytes_max(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// Lets [`Server::resident_bytes_max`] count from now on; returns what is resident now.
    pub fn forget_resident_bytes_max(&self) -> u64 {
        // See proc(5).
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").expect("the server runs");
        self.resident_bytes()
    }

    /// CPU time that the process has used, in clock ticks (100 a second).
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("the server runs");
        // The name in parentheses may hold blanks; user and system time are fields 14 and 15.
        let fields = stat.rsplit(')').next().expect("never empty").split_whitespace();
        fields.skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum()
    }

    /// Number of file descriptors that the process has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("the server runs").count()
    }

    /// Limits the files that the process may have open from now on; `None` lifts the limit again.
    pub fn limit_open_files(&self, most: Option<u64>) {
        use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit { current: most.or(maximum), maximum };
        prlimit(Some(self.pid()), Resource::Nofile, limit).expect("a limit may be lowered");
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("the server runs");
    }

    /// Waits for the end of the process.
    ///
    /// # Panics
    /// If it does not end within [`PATIENCE`].
    pub fn wait(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "the server does not end\n{}", self.log());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the server runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux tells");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn try_start(peer: Peer, options: &[&str]) -> Result<Self, String> {
        let port = free_port();
        let directory = std::env::temp_dir().join(format!("kiba-test-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
        let mut child = peer.command(port, &directory, options).spawn().expect("the server's binary can run");
        let log = Arc::<Log>::default();
        log.follow(child.stdout.take().expect("piped"));
        log.follow(child.stderr.take().expect("piped"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut server = Self { peer, address, child, log, directory };
        // Both servers use this phrase.
        const READY: &str = "eady to accept connections";
        let since = Instant::now();
        while !server.log.wait_for(READY, Duration::from_millis(100)) {
            if server.child.try_wait().expect("it is our child").is_some() {
                return Err(server.log());
            }
            assert!(since.elapsed() < PATIENCE, "the server does not come up\n{}", server.log());
        }
        Ok(server)
    }
}

/// Whether servers watch themselves (`cargo xtask asan`): what they leak is known only when they end by themselves.
fn are_watched() -> bool {
    std::env::var_os("KIBA_SANITIZER").is_some()
}

impl Drop for Server {
    fn drop(&mut self) {
        if are_watched() && self.peer != Peer::Redis && !std::thread::panicking() {
            if self.child.try_wait().is_ok_and(|status| status.is_none()) {
                self.signal(Signal::TERM);
            }
            let status = self.wait();
            assert!(status.success(), "{status}\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
        if std::thread::panicking() {
            eprintln!("--- log of {:?}\n{}---", self.peer, self.log());
        }
    }
}

impl Log {
    fn follow(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let mut text = log.text.lock().expect("no reader panics");
                text.push_str(&line);
                text.push('\n');
                log.grown.notify_all();
            }
        });
    }

    fn wait_for(&self, wanted: &str, patience: Duration) -> bool {
        let text = self.text.lock().expect("no writer panics");
        let waited = self.grown.wait_timeout_while(text, patience, |text| !text.contains(wanted));
        waited.expect("no writer panics").0.contains(wanted)
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback interface has free ports");
    listener.local_addr().expect("bound").port()
}
