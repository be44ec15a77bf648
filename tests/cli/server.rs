//! A redis-server of a test's own, on a Unix socket, and the two clients that talk to it.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits before it fails, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(30);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Stopped when dropped.
pub struct Server {
    child: Child,
    dir: PathBuf,
    pub socket: String,
    port: u16,
}

impl Server {
    /// Starts a server; `None`, with a message, where redis-server or redis-cli is not installed.
    pub fn start(options: &[&str]) -> Option<Server> {
        Server::launch(options, 0)
    }

    /// Starts a server that also listens on a TCP port of its own.
    pub fn start_tcp() -> Option<Server> {
        Server::launch(&[], unused_port().parse().expect("a port"))
    }

    /// Starts a node of a cluster that does not know any other yet.
    pub fn start_node() -> Option<Server> {
        let bus = unused_port();
        Server::launch(&["--cluster-enabled", "yes", "--cluster-port", &bus], unused_port().parse().expect("a port"))
    }

    fn launch(options: &[&str], port: u16) -> Option<Server> {
        let installed = |program: &str| Command::new(program).arg("--version").output().is_ok();
        if !installed("redis-server") || !installed("redis-cli") {
            eprintln!("skipped: redis-server and redis-cli are needed for this test");
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("kiba-cli-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory for the test");
        let socket = dir.join("socket").to_string_lossy().into_owned();
        let number = port.to_string();
        let fixed = ["--port", &number, "--save", "", "--appendonly", "no", "--enable-debug-command", "yes"];
        let child = Command::new("redis-server")
            .args(["--unixsocket", &socket, "--dir"])
            .arg(&dir)
            .args(fixed)
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        let server = Server { child, dir, socket, port };
        for _ in 0..500 {
            if UnixStream::connect(&server.socket).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("redis-server did not open its socket");
    }

    /// `host:port` of a server started with [`start_tcp`](Self::start_tcp).
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A path in the server's own directory, which goes when it goes.
    pub fn path(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }

    /// Returns once some client waits in a blocking command.
    pub fn wait_for_blocked_client(&self) {
        let since = Instant::now();
        while since.elapsed() < PATIENCE {
            let info = self.redis_cli(&["info", "clients"], "");
            if String::from_utf8_lossy(&info.stdout).contains("blocked_clients:1") {
                return;
            }
        }
        panic!("no client blocked");
    }

    /// Runs redis-cli against this server.
    pub fn redis_cli(&self, args: &[&str], input: &str) -> Output {
        self.run("redis-cli", args, input)
    }

    /// Runs kiba-cli against this server.
    pub fn kiba_cli(&self, args: &[&str], input: &str) -> Output {
        self.run(env!("CARGO_BIN_EXE_kiba-cli"), args, input)
    }

    fn run(&self, program: &str, args: &[&str], input: &str) -> Output {
        let mut all = vec!["-s", &self.socket];
        all.extend(args);
        run(program, &all, input)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A port that nobody listens on. Between now and its use it could be taken, in theory.
pub fn unused_port() -> String {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("it is bound").port().to_string()
}

/// Runs a client with `input` on its standard input and an environment without surprises.
pub fn run(program: &str, args: &[&str], input: &str) -> Output {
    // Both clients wait for ever in some modes; a wrong line in a test must not hang it.
    let mut child = Command::new("timeout")
        .arg("60")
        .arg(program)
        .args(args)
        .env_clear()
        .env("HOME", std::env::temp_dir())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client starts");
    let mut stdin = child.stdin.take().expect("piped");
    // The input is small enough for the pipe; a client that does not read it may already be gone.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("the client ends")
}
