//! Servers as child processes that never outlive the bench.
//!
//! A server is started through this very program: the child sets its CPU and asks the kernel to be killed when the
//! bench dies, and then becomes the server. So ctrl-C, a panic and even SIGKILL leave nothing running.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::Result;
use super::reply::Dialect;

const LAUNCH: &str = "__launch";

/// How to start one server.
#[derive(Clone, Debug)]
pub struct Spec {
    pub name: String,
    pub dialect: Dialect,
    /// Program and arguments; `{port}`, `{threads}` and `{dir}` (a scratch folder) are filled in.
    pub command: Vec<String>,
    /// How many threads it is given; `None`: what the layout says.
    pub threads: Option<usize>,
    /// Whether the bench goes on without it.
    pub optional: bool,
}

impl Spec {
    /// Looks up a server by name.
    ///
    /// * `name`: sharded, channel, redis or memcached, with `@N` behind it for a number of threads of its own.
    /// * `kiba`: path of the kiba binary.
    pub fn named(name: &str, kiba: &Path) -> Result<Self> {
        let (kind, threads) = match name.split_once('@') {
            Some((kind, n)) => (kind, Some(n.parse().map_err(|_| format!("`{name}`: threads are a number"))?)),
            None => (name, None),
        };
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let kiba = |engine: &str| {
            let mut command = vec![kiba.display().to_string(), format!("--engine={engine}")];
            command.extend(words("--port {port} --threads {threads} --maxclients 20000"));
            command
        };
        let command = match kind {
            "sharded" | "channel" => kiba(kind),
            "redis" => {
                let mut command = words("redis-server --port {port} --bind 127.0.0.1 --dir {dir} --maxclients 20000");
                command.extend(["--appendonly".into(), "no".into(), "--save".into(), String::new()]);
                command
            }
            // 16 GiB is a limit, not a reservation: no eviction may make a GET cheaper. Another user than root would
            // take it out of reach of the signal at the death of the bench.
            "memcached" => words("memcached -l 127.0.0.1 -p {port} -U 0 -t {threads} -m 16384 -I 8m -c 20000 -u root"),
            _ => {
                return Err(format!("`{name}` is not one of sharded, channel, redis, memcached"));
            }
        };
        let dialect = if kind == "memcached" { Dialect::Memcached } else { Dialect::Resp };
        let optional = !matches!(kind, "sharded" | "channel");
        Ok(Self { name: name.to_owned(), dialect, command, threads, optional })
    }

    /// Reads `NAME=COMMAND`, a RESP server of the user's own; words are split at blanks, `""` is an empty word.
    pub fn extra(text: &str) -> Result<Self> {
        let (name, command) = text.split_once('=').ok_or(format!("`{text}` is not NAME=COMMAND"))?;
        let command: Vec<String> =
            command.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect();
        if !command.iter().any(|word| word.contains("{port}")) {
            return Err(format!("`{text}`: the command does not contain {{port}}"));
        }
        Ok(Self { name: name.to_owned(), dialect: Dialect::Resp, command, threads: None, optional: false })
    }

    /// The same server under another name.
    pub fn twin(&self) -> Self {
        Self { name: format!("{}-twin", self.name), ..self.clone() }
    }

    pub fn is_installed(&self) -> bool {
        let program = Path::new(&self.command[0]);
        let path = std::env::var_os("PATH").unwrap_or_default();
        program.is_file() || std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    }

    /// The first line of `--version`.
    pub fn version(&self) -> String {
        self.said_of_version().unwrap_or_else(|| "unknown version".into())
    }

    fn said_of_version(&self) -> Option<String> {
        let mut command = Command::new(&self.command[0]);
        let mut child = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::piped()).spawn().ok()?;
        // What does not know the option may be serving by now.
        wait_or_kill(&mut child, Duration::from_secs(2)).ok()?;
        let mut text = String::new();
        child.stdout?.read_to_string(&mut text).ok()?;
        text.lines().next().map(|line| line.trim().to_owned())
    }
}

/// The servers of these names and the extra ones, without the peers that are not installed.
///
/// # Errors
/// An unknown name, or nothing left.
pub fn specs(names: &[String], extra: &[String], kiba: &Path) -> Result<Vec<Spec>> {
    let named = names.iter().map(|name| Spec::named(name, kiba));
    let mut specs = named.chain(extra.iter().map(|text| Spec::extra(text))).collect::<Result<Vec<_>>>()?;
    specs.retain(|spec| {
        let keep = spec.is_installed() || !spec.optional;
        if !keep {
            eprintln!("{} is not installed, skipped", spec.name);
        }
        keep
    });
    if specs.is_empty() { Err("no server to measure".into()) } else { Ok(specs) }
}

/// Waits until a process ends; kills it after `time`.
fn wait_or_kill(child: &mut Child, time: Duration) -> std::io::Result<()> {
    let since = Instant::now();
    while child.try_wait()?.is_none() {
        if since.elapsed() > time {
            child.kill()?;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// For a server to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// A running server. On drop it is asked to end, so that a build that counts can write down what it has counted, and
/// killed if it does not.
#[derive(Debug)]
pub struct Server {
    pub spec: Spec,
    pub address: SocketAddr,
    child: Child,
    folder: PathBuf,
}

impl Server {
    /// Starts `spec` on a free port of 127.0.0.1 and waits until it answers.
    ///
    /// * `threads`: for a server without a number of its own.
    /// * `core`: the CPU it is bound to.
    /// * `scratch`: where its folder and its log go.
    ///
    /// # Errors
    /// When it cannot be run, ends, or does not answer within 20 s; with the end of what it printed.
    pub fn start(spec: &Spec, threads: usize, core: Option<usize>, scratch: &Path) -> Result<Self> {
        let fail = |error: std::io::Error| format!("{}: {error}", spec.name);
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|it| it.local_addr()).map_err(fail)?.port();
        let folder = scratch.join(format!("{}-{port}", spec.name));
        std::fs::create_dir_all(&folder).map_err(fail)?;
        let threads = spec.threads.unwrap_or(threads);
        let words = spec.command.iter().map(|word| {
            word.replace("{port}", &port.to_string())
                .replace("{threads}", &threads.to_string())
                .replace("{dir}", &folder.display().to_string())
        });
        let log = File::create(folder.join("log")).map_err(fail)?;
        let child = Command::new(std::env::current_exe().map_err(fail)?)
            .arg(LAUNCH)
            .arg(std::process::id().to_string())
            .arg(core.map_or("-".to_owned(), |core| core.to_string()))
            .args(words)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(fail)?)
            .stderr(log)
            .spawn()
            .map_err(fail)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut server = Self { spec: spec.clone(), address, child, folder };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !server.answers() {
            let ended = server.child.try_wait().map_err(fail)?;
            if ended.is_some() || Instant::now() > deadline {
                let why = ended.map_or("does not answer".to_owned(), |status| format!("ended with {status}"));
                return Err(format!("{} {why}: {}", spec.name, server.log_end()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines that the server printed.
    pub fn log_end(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }

    fn answers(&self) -> bool {
        let (request, want): (&[u8], &[u8]) = match self.spec.dialect {
            Dialect::Resp => (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"),
            Dialect::Memcached => (b"mn\r\n", b"MN\r\n"),
        };
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect_timeout(&self.address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(request)?;
            let mut reply = vec![0; want.len()];
            stream.read_exact(&mut reply)?;
            Ok(reply == want)
        };
        ask().unwrap_or(false)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that was waited for has no process number of its own any more.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        let _ = wait_or_kill(&mut self.child, GRACE);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Must be the first call of `main`: becomes the server when this process was started by [`Server::start`].
pub fn launch_if_asked() {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_none_or(|word| word != LAUNCH) {
        return;
    }
    let error = launch(words.collect());
    eprintln!("{error}");
    std::process::exit(127);
}

fn launch(words: Vec<OsString>) -> String {
    let number = |at: usize| words.get(at).and_then(|word: &OsString| word.to_str()?.parse::<i32>().ok());
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::KILL)) {
        return format!("cannot be tied to the bench: {error}");
    }
    // The bench may have died before the line above.
    if rustix::process::getppid().map(Pid::as_raw_pid) != number(0) {
        return "the bench is gone".into();
    }
    if let Some(core) = number(1)
        && let Err(error) = pin(core as usize)
    {
        return error;
    }
    let Some(program) = words.get(2) else {
        return "no command".into();
    };
    let error = Command::new(program).args(&words[3..]).exec();
    format!("{}: {error}", program.display())
}

/// Binds the calling thread, and the threads and processes it will start, to one CPU.
///
/// # Errors
/// When there is no such CPU.
pub fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| format!("CPU {core}: {error}"))
}

/// Puts a thread's CPUs back when dropped.
pub struct Pinned(CpuSet);

impl Pinned {
    /// # Errors
    /// When there is no such CPU.
    pub fn to(core: usize) -> Result<Self> {
        let before = sched_getaffinity(None).map_err(|error| error.to_string())?;
        pin(core)?;
        Ok(Self(before))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.0);
    }
}

/// Raises the limit on open files as far as it goes, for this process and the servers it starts.
///
/// Returns the limit.
pub fn raise_open_files(want: u64) -> u64 {
    let now = rustix::process::getrlimit(Resource::Nofile);
    let hard = now.maximum.unwrap_or(u64::MAX).max(want);
    let try_set = |limit: u64| {
        let new = Rlimit { current: Some(limit), maximum: Some(hard.min(limit.max(now.maximum.unwrap_or(limit)))) };
        rustix::process::setrlimit(Resource::Nofile, new).is_ok()
    };
    // Raising the hard limit takes privileges; up to it anyone may go.
    if !try_set(want) {
        let _ = now.maximum.is_some_and(|maximum| try_set(maximum.min(want)));
    }
    rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
