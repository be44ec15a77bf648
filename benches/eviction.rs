//! How many reads does a cache of a tenth of the keys answer under each policy, and does memory stay in its bounds?
//!
//! One trace of Zipf 0.99 for all servers at the same pace: a GET, and a SET of what was missing. The clocks of accesses
//! count seconds, so a server alone, and faster, would see another trace. `maxmemory` is what each server takes for a
//! tenth of the keys, corrected during the first half until it holds as many. Then many writers send values of mixed sizes, far more than fits, and the peak of the resident set
//! is compared with what a control group would need: 1.25 x maxmemory + 64 MB.
//!
//!     cargo bench --bench eviction

#[path = "harness/mod.rs"]
mod harness;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use harness::Result;
use harness::client::{Client, Reply};
use harness::keys::{Rng, Sampler, Spread};
use harness::server::{self, Server, Spec};
use harness::shared::Shared;
use harness::table::Table;

/// Compares hit rates of the policies, and watches the memory of a server that evicts.
#[derive(Debug, Parser)]
#[command(name = "eviction")]
struct Options {
    /// Keys that the trace asks for; the cache holds a tenth of them.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// Reads; the second half counts.
    #[arg(long, default_value_t = 1_000_000)]
    reads: u64,
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "allkeys-lru,allkeys-lfu,allkeys-random,volatile-lru,volatile-lfu"
    )]
    policies: Vec<String>,
    /// Megabytes that each writer sends; 0 leaves them out.
    #[arg(long, default_value_t = 100)]
    written: u64,
    /// `maxmemory` of the writers' server in megabytes.
    #[arg(long, default_value_t = 200)]
    limit: u64,
    #[arg(long, default_value_t = 16)]
    writers: u64,
    #[command(flatten)]
    shared: Shared,
}

/// Bytes in a value of the trace.
const VALUE: usize = 100;
/// Reads that are sent together.
const BATCH: u64 = 100;
const SEED: u64 = 7;

fn main() -> ExitCode {
    server::launch_if_asked();
    let mut options = Options::parse();
    if options.shared.quick {
        options.keys = options.keys.min(100_000);
        options.reads = options.reads.min(100_000);
        options.written = options.written.min(20);
        options.limit = options.limit.min(50);
    }
    options.shared.run("eviction", || run(&options))
}

fn run(options: &Options) -> Result<()> {
    let (specs, conditions) = options.shared.specs("eviction")?;
    let mut rates = Table::new(&["policy", "server", "hit rate", "keys at the end", "reads/s of all"]);
    for policy in &options.policies {
        let began = Instant::now();
        let mut caches = specs.iter().map(|spec| Cache::start(spec, policy, options)).collect::<Result<Vec<_>>>()?;
        trace(&mut caches, options)?;
        let pace = (options.reads * specs.len() as u64) as f64 / began.elapsed().as_secs_f64();
        for cache in &mut caches {
            let rate = cache.hits as f64 * 100.0 / (options.reads - options.reads / 2) as f64;
            let keys = cache.keys()?;
            eprintln!("{policy}: {}: {rate:.2} %", cache.server.spec.name);
            rates.row(vec![
                policy.clone(),
                cache.server.spec.name.clone(),
                format!("{rate:.2} %"),
                keys.to_string(),
                format!("{pace:.0}"),
            ]);
        }
    }
    let mut memory = Table::new(&["server", "used at the end", "resident at most", "allowed", "evicted", "written"]);
    for spec in specs.iter().filter(|_| options.written > 0) {
        memory.row(outgrown(spec, options)?);
    }
    println!("\n{}\n{}", rates.text(2), memory.text(1));
    let body = format!(
        "* {} reads of {} keys, Zipf 0.99, values of {VALUE} B, seed {SEED}; the second half counts\n\n{}\n\
         {} writers, {} MB each, values of 10 B to 64 KB, maxmemory {} MB, allkeys-lru.\n\n{}",
        options.reads,
        options.keys,
        rates.markdown(2),
        options.writers,
        options.written,
        options.limit,
        memory.markdown(1)
    );
    options.shared.report("eviction", "Hit rates and memory under eviction", &conditions, &body)
}

/// A server that is used as a cache.
struct Cache {
    server: Server,
    client: Client,
    set: Vec<u8>,
    hits: u64,
    limit: i64,
}

impl Cache {
    /// Starts a server that has room for a tenth of the keys.
    fn start(spec: &Spec, policy: &str, options: &Options) -> Result<Self> {
        let server = options.shared.start(spec)?;
        let client = Client::connect(server.address)?;
        // A policy of keys with deadlines sees all keys: all have one.
        let more = if policy.starts_with("volatile") { "$2\r\nEX\r\n$6\r\n100000\r\n" } else { "" };
        let count = if more.is_empty() { 3 } else { 5 };
        let set =
            format!("*{count}\r\n$3\r\nSET\r\n$12\r\nkey:########\r\n${VALUE}\r\n{}\r\n{more}", "x".repeat(VALUE));
        let mut cache = Self { server, client, set: set.into_bytes(), hits: 0, limit: 0 };
        let fitting: Vec<u64> = (0..options.keys / 10).collect();
        for keys in fitting.chunks(1000) {
            cache.set(keys)?;
        }
        cache.limit = info(&mut cache.client, "used_memory")? as i64;
        cache.command("FLUSHALL SYNC")?;
        cache.command(&format!("CONFIG SET maxmemory {} maxmemory-policy {policy}", cache.limit))?;
        Ok(cache)
    }

    fn command(&mut self, command: &str) -> Result<()> {
        match self.client.say(command)? {
            Reply::Status(_) => Ok(()),
            reply => Err(format!("{command}: {reply:?}")),
        }
    }

    fn keys(&mut self) -> Result<i64> {
        match self.client.say("DBSIZE")? {
            Reply::Integer(keys) => Ok(keys),
            reply => Err(format!("DBSIZE: {reply:?}")),
        }
    }

    /// Once keys are evicted, moves the limit by what the missing ones, or those too many, take.
    fn correct(&mut self, wanted: u64) -> Result<()> {
        /// About what a key takes with its value.
        const KEY: i64 = 160;
        if info(&mut self.client, "evicted_keys")? > 0 {
            self.limit += (wanted as i64 - self.keys()?) * KEY;
            self.command(&format!("CONFIG SET maxmemory {}", self.limit))?;
        }
        Ok(())
    }

    /// Reads keys; those that were missing are set.
    fn read(&mut self, keys: &[u64]) -> Result<u64> {
        let requests: Vec<u8> =
            keys.iter().flat_map(|key| format!("*2\r\n$3\r\nGET\r\n$12\r\nkey:{key:08}\r\n").into_bytes()).collect();
        let replies = self.client.replies(&requests, keys.len())?;
        let missing: Vec<u64> =
            keys.iter().zip(&replies).filter(|(_, reply)| **reply == Reply::Nil).map(|(&key, _)| key).collect();
        self.set(&missing)?;
        Ok((keys.len() - missing.len()) as u64)
    }

    fn set(&mut self, keys: &[u64]) -> Result<()> {
        /// Where the digits of the key begin.
        const DIGITS: usize = "*3\r\n$3\r\nSET\r\n$12\r\nkey:".len();
        let mut requests = Vec::with_capacity(keys.len() * self.set.len());
        for key in keys {
            let at = requests.len() + DIGITS;
            requests.extend_from_slice(&self.set);
            requests[at..at + 8].copy_from_slice(format!("{key:08}").as_bytes());
        }
        self.client.pipeline(&requests, keys.len())
    }
}

/// Has all caches read the same keys, a batch after the other, so that all are asked at the same time.
fn trace(caches: &mut [Cache], options: &Options) -> Result<()> {
    let sampler = Sampler::new(Spread::Zipf(0.99), options.keys, SEED);
    let (mut rng, mut cursor) = (Rng::new(SEED), 0);
    let mut done = 0;
    while done < options.reads {
        let keys: Vec<u64> = (0..BATCH).map(|_| sampler.draw(&mut rng, &mut cursor)).collect();
        for cache in caches.iter_mut() {
            let hits = cache.read(&keys)?;
            cache.hits += if done >= options.reads / 2 { hits } else { 0 };
        }
        done += BATCH;
        if done < options.reads / 2 && done % (options.reads / 50).next_multiple_of(BATCH) == 0 {
            caches.iter_mut().try_for_each(|cache| cache.correct(options.keys / 10))?;
        }
    }
    Ok(())
}

/// Writes far more than fits; the cells of a row.
fn outgrown(spec: &Spec, options: &Options) -> Result<Vec<String>> {
    let server = options.shared.start(spec)?;
    let mut client = Client::connect(server.address)?;
    let limit = options.limit << 20;
    client.say(&format!("CONFIG SET maxmemory {limit} maxmemory-policy allkeys-lru"))?;
    let began = Instant::now();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..options.writers)
            .map(|writer| {
                let address = server.address;
                scope.spawn(move || write(address, writer, options.written << 20))
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().map_err(|_| "a writer panicked".to_owned())?)
    })?;
    let seconds = began.elapsed().as_secs_f64();
    // What is freed in the background.
    std::thread::sleep(Duration::from_millis(100));
    let most = peak_kib(server.pid())? * 1024;
    let allowed = limit * 5 / 4 + (64 << 20);
    let used = info(&mut client, "used_memory")?;
    let evicted = info(&mut client, "evicted_keys")?;
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / f64::from(1 << 20));
    eprintln!("{}: {} resident at most, {} allowed", spec.name, mb(most), mb(allowed));
    Ok(vec![
        spec.name.clone(),
        mb(used),
        mb(most),
        mb(allowed),
        evicted.to_string(),
        format!("{}/s", mb((((options.written * options.writers) << 20) as f64 / seconds) as u64)),
    ])
}

/// Sends so many bytes of values, as many of 10 to 20 B as of 32 to 64 KB.
fn write(address: std::net::SocketAddr, writer: u64, bytes: u64) -> Result<()> {
    let mut client = Client::connect(address)?;
    let mut rng = Rng::new(SEED + writer);
    let value = vec![b'x'; 64 << 10];
    let mut sent = 0;
    while sent < bytes {
        let (mut requests, mut count) = (Vec::new(), 0);
        while requests.len() < 16 << 10 {
            let len = (10.0 * 6553.6_f64.powf(rng.unit())) as usize;
            let key = format!("key:{}", rng.below(10_000_000));
            requests.extend_from_slice(format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${len}\r\n", key.len()).as_bytes());
            requests.extend_from_slice(&value[..len]);
            requests.extend_from_slice(b"\r\n");
            count += 1;
        }
        sent += requests.len() as u64;
        client.pipeline(&requests, count)?;
    }
    Ok(())
}

fn info(client: &mut Client, name: &str) -> Result<u64> {
    let reply = client.say("INFO all")?;
    let Reply::Bulk(text) = reply else { return Err(format!("INFO: {reply:?}")) };
    let text = String::from_utf8_lossy(&text).into_owned();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.trim().parse().ok()).ok_or(format!("INFO tells no {name}"))
}

/// The most memory that ever was resident, in KiB.
fn peak_kib(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    line.trim().trim_end_matches(" kB").parse().map_err(|_| "VmHWM is a number".to_owned())
}
