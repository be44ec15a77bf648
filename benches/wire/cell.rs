//! One cell of the table: fill the keyspace, let the servers take turns, read what each turn cost.

use std::collections::HashMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Options;
use crate::harness::Result;
use crate::harness::client::{Client, Reply};
use crate::harness::keys::{Sampler, Spread};
use crate::harness::load::{Keys, Load, Outcome, Plan, each_key};
use crate::harness::process::{Usage, machine_cpu_ns, own_cpu_ns};
use crate::harness::reply::{Dialect, Expect};
use crate::harness::server::{Server, raise_open_files};
use crate::harness::template::{Step, Template};
use crate::harness::workload::{Workload, table};

/// What is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub layout: String,
    pub op: String,
    pub value: usize,
    pub spread: Spread,
    pub clients: usize,
    pub pipeline: usize,
}

impl Cell {
    /// Requests on the way hold at most 16 MiB of values; big values are not pipelined deeper than that allows.
    pub fn bounded(mut self) -> Self {
        let room = (16 << 20) / (self.value.max(1) * self.clients.max(1));
        self.pipeline = self.pipeline.min(room.max(1));
        self
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { layout, op, value, spread, clients, pipeline } = self;
        write!(f, "{op} P{pipeline} c{clients} {value}B {spread} {layout}")
    }
}

/// What one round of one server in one cell gave: the sum of its slices.
#[derive(Clone, Debug)]
pub struct Turn {
    pub cell: Cell,
    pub server: String,
    pub round: usize,
    pub requests: u64,
    pub seconds: f64,
    /// Server CPU time while recording, in us, from schedstat and from clock ticks.
    pub cpu_us: f64,
    pub ticks_us: f64,
    pub switches: u64,
    pub rss_kib: u64,
    /// Generator CPU over wall time: 1.0 is one core.
    pub generator: f64,
    /// CPU time of everything else on the machine over wall time: noise.
    pub others: f64,
    /// Latency of a batch in ns: p50, p99, p99.9, max.
    pub latency: [u64; 4],
    /// Share of nil replies.
    pub misses: f64,
    /// The same for all rounds of a cell: counted in a turn of their own.
    pub syscalls: Option<f64>,
}

impl Turn {
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds
    }

    /// Server CPU time a request, in us.
    pub fn cpu(&self) -> f64 {
        self.cpu_us / self.requests as f64
    }
}

pub struct Bench<'a> {
    options: &'a Options,
    mix: (u32, u32),
    counter: Option<Counter>,
    files_max: u64,
    /// What fills a server's keys: by process and prefix, the command, number of keys and size of values.
    filled: HashMap<(u32, &'static str), (String, u64, usize)>,
}

impl<'a> Bench<'a> {
    pub fn new(options: &'a Options) -> Result<Self> {
        Ok(Self {
            options,
            mix: options.mix()?,
            counter: Counter::choose(&options.syscalls)?,
            files_max: raise_open_files(65_536),
            filled: HashMap::new(),
        })
    }

    /// Measures `cell` on each server that can say its commands.
    ///
    /// Returns a turn for each of them.
    pub fn measure(&mut self, cell: &Cell, servers: &[Server], round: usize) -> Result<Vec<Turn>> {
        let row = table(cell.value, self.mix).into_iter().find(|row| row.name == cell.op);
        let row = row.ok_or_else(|| format!("no workload {}", cell.op))?;
        let value = vec![b'x'; cell.value];
        let keys = self.options.keys.min(row.keys_max).min(room(&row, &value)).max(row.keys_min);
        let sampler = Sampler::new(cell.spread, keys, self.options.seed);
        let mut seats = Vec::new();
        for server in servers {
            if !knows(server, &row)? {
                eprintln!("{cell}: {} has no such command", server.spec.name);
                continue;
            }
            let steps: Option<Vec<_>> =
                row.steps.iter().map(|step| Template::new(step, server.spec.dialect, row.prefix, &value)).collect();
            match steps {
                Some(steps) => seats.push((server, steps)),
                None => eprintln!("{cell}: {} has no such command", server.spec.name),
            }
        }
        for n in 0..seats.len() {
            let (server, _) = &seats[(n + round) % seats.len()];
            self.fill(&row, keys, cell.value, server).map_err(|error| said(cell, server, error))?;
        }
        // Connections stay open over the slices, unless all servers' together are more than may be open.
        let hold = ((cell.clients * seats.len()) as u64) < self.files_max.saturating_sub(100);
        let mut loads: Vec<Option<Load>> = seats.iter().map(|_| None).collect();
        let mut turns = Vec::new();
        let mut tallies: Vec<Tally> = seats.iter().map(|_| Tally::new()).collect();
        let (slices, span) = self.options.slices(cell, row.afresh);
        for slice in 0..slices {
            for n in 0..seats.len() {
                // Each server is first, second, ... about equally often.
                let n = (n + round + slice) % seats.len();
                let seed = self.options.seed.wrapping_add((round as u64) << 32 | (slice as u64) << 24);
                let mut seat = || {
                    self.prepare(&row, keys, cell, seats[n].0)?;
                    let load = self.open(&mut loads[n], cell, seats[n].0)?;
                    let plan = Plan::new(&seats[n].1, cell.pipeline, Keys::Random(&sampler), seed);
                    tallies[n].slice(seats[n].0, load, &plan, span)?;
                    if !hold {
                        loads[n] = None;
                    }
                    self.clean(&row, keys, seats[n].0)
                };
                seat().map_err(|error| said(cell, seats[n].0, error))?;
            }
        }
        for (tally, (server, _)) in tallies.into_iter().zip(&seats) {
            turns.push(tally.turn(cell, &server.spec.name, round));
        }
        let Some(counter) = self.counter else {
            return Ok(turns);
        };
        for (n, (server, steps)) in seats.iter().enumerate() {
            let mut seat = || {
                self.prepare(&row, keys, cell, server)?;
                let load = self.open(&mut loads[n], cell, server)?;
                let plan = Plan::new(steps, cell.pipeline, Keys::Random(&sampler), self.options.seed);
                let calls = counter.per_request(server.pid(), load, &plan)?;
                turns.iter_mut().filter(|turn| turn.server == server.spec.name).for_each(|turn| turn.syscalls = calls);
                loads[n] = None;
                self.clean(&row, keys, server)
            };
            seat().map_err(|error| said(cell, server, error))?;
        }
        Ok(turns)
    }

    /// The connections of one server, opened if they are not.
    fn open<'b>(&self, load: &'b mut Option<Load>, cell: &Cell, server: &Server) -> Result<&'b mut Load> {
        match load {
            Some(load) => Ok(load),
            none => Ok(none.insert(Load::connect(
                server.address,
                server.spec.dialect,
                cell.clients,
                self.options.generators,
            )?)),
        }
    }

    /// Before a slice: fills the keys of a workload that uses them up.
    fn prepare(&mut self, row: &Workload, keys: u64, cell: &Cell, server: &Server) -> Result<()> {
        if row.afresh { self.fill(row, keys, cell.value, server) } else { Ok(()) }
    }

    /// After a slice: deletes the keys of a workload that grows or uses them up.
    fn clean(&mut self, row: &Workload, keys: u64, server: &Server) -> Result<()> {
        if !row.afresh {
            return Ok(());
        }
        self.filled.remove(&(server.pid(), row.prefix));
        each_key(server, "DEL {key}", Expect::Integer, row.prefix, 0..keys, 0)
    }

    /// Runs the row's fill command once for each key, unless the keys are as it would leave them.
    fn fill(&mut self, row: &Workload, keys: u64, value: usize, server: &Server) -> Result<()> {
        let Some(Step { command, expect, .. }) = &row.fill else {
            return Ok(());
        };
        let state = (command.clone(), keys, value);
        if self.filled.get(&(server.pid(), row.prefix)) == Some(&state) {
            return Ok(());
        }
        each_key(server, command, *expect, row.prefix, 0..keys, value)?;
        self.filled.insert((server.pid(), row.prefix), state);
        Ok(())
    }
}

/// The slices of one round, added up.
struct Tally {
    requests: u64,
    seconds: f64,
    cpu_ns: u64,
    ticks_ns: u64,
    switches: u64,
    rss_kib: u64,
    generator_ns: u64,
    machine_ns: u64,
    outcome: Outcome,
}

impl Tally {
    fn new() -> Self {
        let outcome = Outcome::new();
        Self {
            requests: 0,
            seconds: 0.0,
            cpu_ns: 0,
            ticks_ns: 0,
            switches: 0,
            rss_kib: 0,
            generator_ns: 0,
            machine_ns: 0,
            outcome,
        }
    }

    fn slice(&mut self, server: &Server, load: &mut Load, plan: &Plan<'_>, span: Duration) -> Result<()> {
        let observe = |answered| (answered, Instant::now(), own_cpu_ns(), machine_cpu_ns(), Usage::of(server.pid()));
        // Long enough for every connection to be in its stride, and for the last server's data to leave the caches.
        let warm_up = (span / 4).min(Duration::from_millis(500));
        let (outcome, before, after) = load.run(plan, warm_up, span, observe)?;
        if after.0 == before.0 {
            return Err(format!("no reply in {:.1} s", span.as_secs_f64()));
        }
        let (usage_before, usage) = (before.4?, after.4?);
        self.requests += after.0 - before.0;
        self.seconds += (after.1 - before.1).as_secs_f64();
        self.cpu_ns += usage.cpu_ns - usage_before.cpu_ns;
        self.ticks_ns += usage.ticks_ns - usage_before.ticks_ns;
        self.switches += usage.switches - usage_before.switches;
        self.rss_kib = self.rss_kib.max(usage.rss_kib);
        self.generator_ns += after.2 - before.2;
        self.machine_ns += after.3 - before.3;
        self.outcome.add(&outcome)
    }

    fn turn(self, cell: &Cell, server: &str, round: usize) -> Turn {
        let latency = |quantile| self.outcome.latency.value_at_quantile(quantile);
        let cores = |ns: f64| ns / 1e9 / self.seconds;
        let mine = self.cpu_ns + self.generator_ns;
        Turn {
            cell: cell.clone(),
            server: server.to_owned(),
            round,
            requests: self.requests,
            seconds: self.seconds,
            cpu_us: self.cpu_ns as f64 / 1e3,
            ticks_us: self.ticks_ns as f64 / 1e3,
            switches: self.switches,
            rss_kib: self.rss_kib,
            generator: cores(self.generator_ns as f64),
            others: cores(self.machine_ns.saturating_sub(mine) as f64),
            latency: [latency(0.5), latency(0.99), latency(0.999), self.outcome.latency.max()],
            misses: self.outcome.missed as f64 / self.outcome.answered.max(1) as f64,
            syscalls: None,
        }
    }
}

/// As many keys as 1 GiB has room for, with what they are filled with.
fn room(row: &Workload, value: &[u8]) -> u64 {
    let fill = row.fill.as_ref().and_then(|fill| Template::new(fill, Dialect::Resp, row.prefix, value));
    (1 << 30) / fill.map_or(value.len(), |fill| fill.len()).max(1) as u64
}

/// Whether a server has all the commands of a row. Of other dialects their templates know.
fn knows(server: &Server, row: &Workload) -> Result<bool> {
    if server.spec.dialect != Dialect::Resp {
        return Ok(true);
    }
    let mut client = Client::connect(server.address)?;
    for command in row.commands() {
        // Most need arguments: that they are missing is the answer of a command that is there.
        if matches!(client.say(command)?, Reply::Error(text) if text.contains("unknown command")) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn said(cell: &Cell, server: &Server, error: String) -> String {
    format!("{cell}: {}: {error}\n{}", server.spec.name, server.log_end())
}

/// Counts a process' system calls from outside. Both tools slow it down, which is why this takes its own turn;
/// perf's tracepoint costs about 0.1 us a call, strace some 20 us, which makes larger batches.
#[derive(Clone, Copy, Debug)]
enum Counter {
    Perf,
    Strace,
}

impl Counter {
    fn choose(name: &str) -> Result<Option<Self>> {
        let perf_works = || {
            let mut command = Command::new("perf");
            command.args(["stat", "-e", "raw_syscalls:sys_enter", "true"]);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        match name {
            "off" => Ok(None),
            "perf" => Ok(Some(Self::Perf)),
            "strace" => Ok(Some(Self::Strace)),
            "auto" => Ok(perf_works().then_some(Self::Perf)),
            _ => Err(format!("`{name}` is not one of auto, perf, strace, off")),
        }
    }

    /// Counts from before the first request until after the last reply, and divides by all the requests.
    fn per_request(self, pid: u32, load: &mut Load, plan: &Plan<'_>) -> Result<Option<f64>> {
        let mut command = match self {
            Self::Perf => Command::new("perf"),
            Self::Strace => Command::new("strace"),
        };
        match self {
            Self::Perf => command.args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-p", &pid.to_string()]),
            Self::Strace => command.args(["-f", "-c", "-p", &pid.to_string()]),
        };
        let tool = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let tool = tool.map_err(|error| format!("system calls: {error}"))?;
        // The tool gives no sign that it has attached; the server is idle meanwhile.
        std::thread::sleep(Duration::from_millis(300));
        let ran = load.run(plan, Duration::ZERO, Duration::from_millis(300), |_| ());
        let id = rustix::process::Pid::from_child(&tool);
        rustix::process::kill_process(id, rustix::process::Signal::INT).map_err(|error| error.to_string())?;
        let output = tool.wait_with_output().map_err(|error| error.to_string())?;
        let (outcome, ..) = ran?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let calls = match self {
            Self::Perf => text.lines().find_map(|line| line.split(',').next()?.parse::<f64>().ok()),
            // The line `100.00  0.123  4  56789  12 total`: calls are the fourth word.
            Self::Strace => text
                .lines()
                .filter(|line| line.ends_with("total"))
                .find_map(|line| line.split_whitespace().nth(3)?.parse().ok()),
        };
        Ok(calls.map(|calls| calls / outcome.answered.max(1) as f64))
    }
}
