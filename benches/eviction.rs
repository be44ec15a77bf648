//! How many reads does a cache of a tenth of the keys answer under each policy, and does memory stay in its bounds?
//!
//! One trace of Zipf 0.99 for all servers at the same pace: a GET, and a SET of what was missing. The clocks of accesses
//! count seconds, so a server alone, and faster, would see another trace. `maxmemory` is what each server takes for a
//! tenth of the keys, corrected during the first half until it holds as many.
//!
//! Then many writers send values of all types and sizes, far more than fits, to a server in a control group that may have
//! 1.25 x maxmemory + 64 MB: the kernel ends whoever needs more. Where no control group can be made (it takes root), the
//! peak of the resident set alone is compared with that.
//!
//!     cargo bench --bench eviction

#[path = "harness/mod.rs"]
mod harness;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use harness::Result;
use harness::cgroup::Cgroup;
use harness::client::{Client, Reply};
use harness::keys::{Rng, Sampler, Spread};
use harness::process::rss_kib_max;
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
    /// For how long the writers write; 0 leaves them out.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
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
        options.seconds = options.seconds.min(2);
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
            let keys = cache.client.size()?;
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
    let mut memory = Table::new(&[
        "server",
        "used at the end",
        "resident at most",
        "control group at most",
        "allowed",
        "OOM kills",
        "evicted",
        "written",
    ]);
    let mut failed = Vec::new();
    for spec in specs.iter().filter(|_| options.seconds > 0) {
        match outgrown(spec, options) {
            Ok(cells) => memory.row(cells),
            Err(error) => failed.push(format!("{}: {error}", spec.name)),
        }
    }
    println!("\n{}\n{}", rates.text(2), memory.text(1));
    let body = format!(
        "* {} reads of {} keys, Zipf 0.99, values of {VALUE} B, seed {SEED}; the second half counts\n\n{}\n\
         {} writers for {} s, all types, values of 64 B to 64 KB, maxmemory {} MB, allkeys-lru.\n\n{}",
        options.reads,
        options.keys,
        rates.markdown(2),
        options.writers,
        options.seconds,
        options.limit,
        memory.markdown(1)
    );
    options.shared.report("eviction", "Hit rates and memory under eviction", &conditions, &body)?;
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
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
        cache.limit = cache.client.info("used_memory")? as i64;
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

    /// Once keys are evicted, moves the limit by what the missing ones, or those too many, take.
    fn correct(&mut self, wanted: u64) -> Result<()> {
        /// About what a key takes with its value.
        const KEY: i64 = 160;
        if self.client.info("evicted_keys")? > 0 {
            self.limit += (wanted as i64 - self.client.size()? as i64) * KEY;
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
///
/// # Errors
/// When the server does not survive it.
fn outgrown(spec: &Spec, options: &Options) -> Result<Vec<String>> {
    let limit = options.limit << 20;
    let allowed = limit * 5 / 4 + (64 << 20);
    let group = Cgroup::new(allowed);
    if let Err(why) = &group {
        eprintln!("no control group: {why}");
    }
    let group = group.ok();
    // Dropped before its group.
    let server = options.shared.start(&group.as_ref().map_or_else(|| spec.clone(), |group| group.confine(spec)))?;
    let mut client = Client::connect(server.address)?;
    client.say(&format!("CONFIG SET maxmemory {limit} maxmemory-policy allkeys-lru"))?;
    let began = Instant::now();
    let written = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..options.writers)
            .map(|writer| {
                let (address, end) = (server.address, began + Duration::from_secs(options.seconds));
                scope.spawn(move || write(address, writer, end))
            })
            .collect();
        writers
            .into_iter()
            .map(|writer| writer.join().map_err(|_| "a writer panicked".to_owned())?)
            .sum::<Result<u64>>()
    });
    let seconds = began.elapsed().as_secs_f64();
    let kills = group.as_ref().map(Cgroup::kills).transpose()?;
    if let Some(kills) = kills.filter(|&kills| kills > 0) {
        return Err(format!("{kills} OOM kills with {allowed} bytes after {seconds:.0} s"));
    }
    let written = written?;
    // What is freed in the background.
    std::thread::sleep(Duration::from_millis(100));
    let most = rss_kib_max(server.pid())? * 1024;
    let (used, evicted) = (client.info("used_memory")?, client.info("evicted_keys")?);
    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / f64::from(1 << 20));
    eprintln!("{}: {} resident at most, {} allowed", spec.name, mb(most), mb(allowed));
    Ok(vec![
        spec.name.clone(),
        mb(used),
        mb(most),
        group.as_ref().and_then(Cgroup::bytes_max).map_or("-".into(), mb),
        mb(allowed),
        kills.map_or("-".into(), |kills| kills.to_string()),
        evicted.to_string(),
        format!("{}/s", mb((written as f64 / seconds) as u64)),
    ])
}

/// Commands that write a value, before the value, for each type: the words, among them the key (`KEY`) and a number (`N`).
const WRITES: [&[&str]; 6] = [
    &["SET", "s:KEY"],
    &["RPUSH", "l:KEY"],
    &["SADD", "m:KEY"],
    &["HSET", "h:KEY", "f:N"],
    &["ZADD", "z:KEY", "N"],
    &["XADD", "x:KEY", "*", "f"],
];

/// Writes values until the end, as many of 64 to 128 B as of 32 to 64 KB; returns their bytes.
fn write(address: std::net::SocketAddr, writer: u64, end: Instant) -> Result<u64> {
    let mut client = Client::connect(address)?;
    let mut rng = Rng::new(SEED + writer);
    let mut value = vec![b'x'; 64 << 10];
    let mut sent = 0;
    while Instant::now() < end {
        let (mut requests, mut count) = (Vec::new(), 0);
        while requests.len() < 16 << 10 {
            let len = (64.0 * 1024.0_f64.powf(rng.unit())) as usize;
            let (key, number) = (rng.below(100_000).to_string(), rng.below(1000).to_string());
            // No two members of a set or a sorted set are the same.
            value[..8].copy_from_slice(format!("{:08x}", rng.below(1 << 32)).as_bytes());
            let words = WRITES[rng.below(WRITES.len() as u64) as usize];
            requests.extend_from_slice(format!("*{}\r\n", words.len() + 1).as_bytes());
            for word in words {
                let word = word.replace("KEY", &key).replace('N', &number);
                requests.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
            }
            requests.extend_from_slice(format!("${len}\r\n").as_bytes());
            requests.extend_from_slice(&value[..len]);
            requests.extend_from_slice(b"\r\n");
            sent += len as u64;
            count += 1;
        }
        client.pipeline(&requests, count)?;
    }
    Ok(sent)
}
