//! What does a message cost that a server hands on: published, pushed to who waits, or appended to a stream?
//!
//! All servers run side by side and take turns. A message counts when its receiver has it: with 100 subscribers each
//! PUBLISH is a hundred. CPU time is the server's, publishers' requests and all; a ratio is taken within a round, and
//! then the median over the rounds. One thread drives all connections, each of which sends when it has been answered.
//!
//! * `publish`: 10 clients publish to one channel.
//! * `ping-pong`: 25 pairs; each client pushes to the other's list and waits in BLPOP for its own.
//! * `xadd`: 50 clients append to a stream each.
//! * `xreadgroup`: 50 clients read new entries of a stream each, one at a time, as a group's consumer.
//!
//!     cargo bench --bench push -- --servers redis,sharded,channel --out docs/bench

#[path = "harness/mod.rs"]
mod harness;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rustix::event::epoll;

use harness::Result;
use harness::client::Client;
use harness::process::{Usage, machine_cpu_ns, own_cpu_ns};
use harness::reply::{Dialect, Scanner};
use harness::server::{self, Server};
use harness::shared::{Shared, check_names};
use harness::stats::{Median, rate, short};
use harness::table::Table;

/// Measures the CPU time per delivered message.
#[derive(Debug, Parser)]
#[command(name = "push")]
struct Options {
    /// Rounds; medians and ranges are over them.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds recorded of each case in a round; `xreadgroup` reads as many entries as there are.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Requests that a connection sends at once, where that says anything.
    #[arg(long, value_delimiter = ',', default_value = "1,16")]
    pipelines: Vec<usize>,
    /// Subscribers of a channel.
    #[arg(long, value_delimiter = ',', default_value = "1,100,1000")]
    subscribers: Vec<usize>,
    /// Entries of each stream that is read.
    #[arg(long, default_value_t = 3_000)]
    entries: usize,
    /// Bytes of a message.
    #[arg(long, default_value_t = 64)]
    value: usize,
    /// publish, ping-pong, xadd, xreadgroup; all if it is not given.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    #[command(flatten)]
    shared: Shared,
}

const NAMES: [&str; 4] = ["publish", "ping-pong", "xadd", "xreadgroup"];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    Publish { subscribers: usize, pipeline: usize },
    PingPong,
    Xadd { pipeline: usize },
    Xreadgroup { pipeline: usize },
}

impl Case {
    fn name(self) -> String {
        match self {
            Self::Publish { subscribers, pipeline } => format!("publish to {subscribers}, P{pipeline}"),
            Self::PingPong => "ping-pong".into(),
            Self::Xadd { pipeline } => format!("xadd P{pipeline}"),
            Self::Xreadgroup { pipeline } => format!("xreadgroup P{pipeline}"),
        }
    }
}

/// Of one case on one server in one round.
struct Sample {
    case: Case,
    server: usize,
    /// Messages a second, and CPU time for each in us.
    rate: f64,
    cpu: f64,
    /// Cores that other processes used meanwhile.
    others: f64,
}

fn main() -> ExitCode {
    server::launch_if_asked();
    let mut options = Options::parse();
    if options.shared.quick {
        (options.rounds, options.seconds, options.entries) = (1, 0.2, 200);
    }
    options.shared.run("push", || run(&options))
}

fn run(options: &Options) -> Result<()> {
    check_names(&options.only, &NAMES)?;
    let (specs, conditions) = options.shared.specs("push")?;
    server::raise_open_files(20_000);
    let is_asked = |name: &str| options.only.is_empty() || options.only.iter().any(|asked| asked == name);
    let mut cases = Vec::new();
    for &pipeline in &options.pipelines {
        let publish = |&subscribers| Case::Publish { subscribers, pipeline };
        cases.extend(options.subscribers.iter().filter(|_| is_asked("publish")).map(publish));
        cases.extend(is_asked("xadd").then_some(Case::Xadd { pipeline }));
        cases.extend(is_asked("xreadgroup").then_some(Case::Xreadgroup { pipeline }));
    }
    cases.extend(is_asked("ping-pong").then_some(Case::PingPong));
    let mut samples: Vec<Sample> = Vec::new();
    for round in 0..options.rounds {
        let servers = specs.iter().map(|spec| options.shared.start(spec)).collect::<Result<Vec<Server>>>()?;
        for &case in &cases {
            for turn in 0..servers.len() {
                let at = (turn + round) % servers.len();
                let server = &servers[at];
                let fail = |why| format!("{}: {}: {why}\n{}", server.spec.name, case.name(), server.log_end());
                let (rate, cpu, others) = measure(case, server, options).map_err(fail)?;
                eprintln!("{}: {}: {} us a message", server.spec.name, case.name(), short(cpu));
                samples.push(Sample { case, server: at, rate, cpu, others });
            }
        }
    }
    let base = specs.iter().position(|spec| spec.name == "redis").unwrap_or(0);
    let of_base = format!("of {}", specs[base].name);
    let mut table = Table::new(&["case", "server", "messages/s", "CPU us each", "(range)", &of_base, "(range)"]);
    for &case in &cases {
        let all = |server| samples.iter().filter(move |sample| sample.case == case && sample.server == server);
        for (at, spec) in specs.iter().enumerate() {
            let median = |values: &mut dyn Iterator<Item = f64>| Median::of(values).unwrap_or_default();
            let cpu = median(&mut all(at).map(|sample| sample.cpu));
            let share = median(&mut all(at).zip(all(base)).map(|(one, base)| one.cpu / base.cpu));
            table.row(vec![
                case.name(),
                spec.name.clone(),
                rate(median(&mut all(at).map(|sample| sample.rate)).mid),
                short(cpu.mid),
                format!("{}-{}", short(cpu.min), short(cpu.max)),
                format!("{:.2}", share.mid),
                format!("{:.2}-{:.2}", share.min, share.max),
            ]);
        }
    }
    let others = Median::of(samples.iter().map(|sample| sample.others)).unwrap_or_default();
    let noise = format!("other processes used {:.2} cores meanwhile ({:.2}-{:.2})", others.mid, others.min, others.max);
    println!("\n{}{noise}", table.text(2));
    let body = format!(
        "* messages of {} bytes; {} rounds of {} s a case, medians\n* {noise}\n\n{}",
        options.value,
        options.rounds,
        options.seconds,
        table.markdown(2)
    );
    options.shared.report("push", "What a delivered message costs", &conditions, &body)
}

/// Messages a second, CPU time for each in us, and cores that others used.
fn measure(case: Case, server: &Server, options: &Options) -> Result<(f64, f64, f64)> {
    let value = vec![b'x'; options.value];
    let mut client = Client::connect(server.address)?;
    client.say("FLUSHALL")?;
    let mut drive = Drive::new(server)?;
    let mut is_endless = true;
    match case {
        Case::Publish { subscribers, pipeline } => {
            for _ in 0..subscribers {
                drive.add(Role::Receiver, &request(&[b"SUBSCRIBE", b"news"]), 1, Vec::new(), 0)?;
            }
            // Nobody publishes before all have subscribed.
            drive.run(None)?;
            let publish = request(&[b"PUBLISH", b"news", &value]).repeat(pipeline);
            for _ in 0..10 {
                drive.add(Role::Sender, &publish, pipeline, publish.clone(), pipeline)?;
            }
        }
        Case::PingPong => {
            for pair in 0..25 {
                for (mine, other) in [("a", "b"), ("b", "a")] {
                    let [mine, other] = [mine, other].map(|side| format!("{side}{pair}"));
                    let wait = request(&[b"BLPOP", mine.as_bytes(), b"0"]);
                    let turn = [request(&[b"LPUSH", other.as_bytes(), &value]), wait.clone()].concat();
                    let is_first = mine.starts_with('a');
                    let (begin, replies) = if is_first { (turn.clone(), 2) } else { (wait, 1) };
                    drive.add(Role::Both, &begin, replies, turn, 2)?;
                }
            }
        }
        Case::Xadd { pipeline } => {
            for stream in 0..50 {
                let stream = format!("stream:{stream}");
                // Bounded, as logs are: what is measured is not how memory grows.
                let add = [b"XADD", stream.as_bytes(), b"MAXLEN", b"~", b"10000", b"*", b"field", &value];
                let add = request(&add).repeat(pipeline);
                drive.add(Role::Receiver, &add, pipeline, add.clone(), pipeline)?;
            }
        }
        Case::Xreadgroup { pipeline } => {
            is_endless = false;
            for stream in 0..50 {
                let stream = format!("stream:{stream}");
                client.ask(&[b"XGROUP", b"CREATE", stream.as_bytes(), b"group", b"$", b"MKSTREAM"])?;
                let add = request(&[b"XADD", stream.as_bytes(), b"*", b"field", &value]);
                client.pipeline(&add.repeat(options.entries), options.entries)?;
                let words: [&[u8]; 9] = [
                    b"XREADGROUP",
                    b"GROUP",
                    b"group",
                    b"consumer",
                    b"COUNT",
                    b"1",
                    b"STREAMS",
                    stream.as_bytes(),
                    b">",
                ];
                let read = request(&words).repeat(pipeline);
                drive.add(Role::Receiver, &read, pipeline, read.clone(), pipeline)?;
            }
            drive.turns = options.entries / pipeline;
        }
    }
    let usage = || -> Result<(u64, u64)> {
        let server = Usage::of(server.pid())?.cpu_ns;
        Ok((server, machine_cpu_ns().saturating_sub(server + own_cpu_ns())))
    };
    let (before, start) = (usage()?, Instant::now());
    drive.run(is_endless.then_some(Duration::from_secs_f64(options.seconds)))?;
    let seconds = (drive.last - start).as_secs_f64();
    let (cpu, others) = (usage()?.0 - before.0, usage()?.1.saturating_sub(before.1));
    let received = drive.received as f64;
    Ok((received / seconds, cpu as f64 / 1e3 / received, others as f64 / 1e9 / seconds))
}

/// A request as it goes over the wire.
fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Whose replies are the messages that are counted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Role {
    /// None are.
    Sender,
    /// All are.
    Receiver,
    /// The last to each request is.
    Both,
}

/// One connection: sends its request when all replies to the one before have come.
struct Link {
    stream: TcpStream,
    scanner: Scanner,
    /// Bytes of a reply that is not complete.
    rest: Vec<u8>,
    role: Role,
    request: Vec<u8>,
    /// Replies to a request, and how many of them are still to come.
    replies: usize,
    awaited: usize,
    turns: usize,
}

/// All connections of a case.
struct Drive {
    server: std::net::SocketAddr,
    poll: std::os::fd::OwnedFd,
    links: Vec<Link>,
    /// Requests that each connection sends, the first included.
    turns: usize,
    received: u64,
    /// When the last bytes came.
    last: Instant,
}

/// Nothing comes any more when nothing has come for so long.
const SILENCE: Duration = Duration::from_millis(200);

impl Drive {
    fn new(server: &Server) -> Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(|error| format!("epoll: {error}"))?;
        let (links, turns) = (Vec::new(), usize::MAX);
        Ok(Self { server: server.address, poll, links, turns, received: 0, last: Instant::now() })
    }

    /// Connects and sends `begin`, to which so many replies come; after them `request` whenever it was answered.
    fn add(&mut self, role: Role, begin: &[u8], awaited: usize, request: Vec<u8>, replies: usize) -> Result<()> {
        let text = |error: std::io::Error| format!("a client: {error}");
        let mut stream = TcpStream::connect(self.server).map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        stream.write_all(begin).map_err(text)?;
        let number = epoll::EventData::new_u64(self.links.len() as u64);
        epoll::add(&self.poll, &stream, number, epoll::EventFlags::IN).map_err(|error| format!("epoll: {error}"))?;
        let scanner = Scanner::new(Dialect::Resp);
        self.links.push(Link { stream, scanner, rest: Vec::new(), role, request, replies, awaited, turns: 1 });
        Ok(())
    }

    /// Sends and receives for so long, or until all turns are over, and then what is still under way.
    fn run(&mut self, time: Option<Duration>) -> Result<()> {
        let end = time.map(|time| Instant::now() + time);
        let mut scratch = vec![0; 256 << 10];
        let mut events: Vec<epoll::Event> = Vec::with_capacity(1024);
        self.received = 0;
        self.last = Instant::now();
        // Before the end a server may be busy for longer than that without a word.
        while self.last.elapsed() < SILENCE || end.is_some_and(|end| Instant::now() < end) {
            events.clear();
            let silence = SILENCE.try_into().map_err(|_| "a time-out")?;
            match epoll::wait(&self.poll, rustix::buffer::spare_capacity(&mut events), Some(&silence)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(format!("epoll: {error}")),
            }
            if !events.is_empty() {
                self.last = Instant::now();
            }
            let is_over = end.is_some_and(|end| self.last >= end);
            for event in &events {
                let turns = if is_over { 0 } else { self.turns };
                let link = &mut self.links[event.data.u64() as usize];
                self.received += link.receive(&mut scratch, turns)?;
            }
        }
        Ok(())
    }
}

impl Link {
    /// Reads what has come, and sends the next request if it is time and its turn is below `turns`; gives the number
    /// of messages.
    fn receive(&mut self, scratch: &mut [u8], turns: usize) -> Result<u64> {
        let read = self.stream.read(scratch).map_err(|error| format!("read: {error}"))?;
        if read == 0 {
            return Err("the server closed a connection".into());
        }
        let mut replies = 0;
        // An error reply is an error of the scanner's.
        let mut count = |_| {
            replies += 1;
            Ok(())
        };
        if self.rest.is_empty() {
            let used = self.scanner.scan(&scratch[..read], &mut count)?;
            self.rest.extend_from_slice(&scratch[used..read]);
        } else {
            self.rest.extend_from_slice(&scratch[..read]);
            let used = self.scanner.scan(&self.rest, &mut count)?;
            self.rest.drain(..used);
        }
        let mut messages = if self.role == Role::Receiver { replies as u64 } else { 0 };
        if self.request.is_empty() {
            return Ok(messages);
        }
        self.awaited -= replies;
        if self.awaited == 0 {
            messages += u64::from(self.role == Role::Both);
            if self.turns < turns {
                self.turns += 1;
                self.awaited = self.replies;
                self.stream.write_all(&self.request).map_err(|error| format!("write: {error}"))?;
            }
        }
        Ok(messages)
    }
}
