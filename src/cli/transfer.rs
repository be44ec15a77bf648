//! `--copy SRC DST`, `diff SRC DST` and `verify SRC DST`: two servers compared or made equal.
//!
//! Keys are found by SCAN. A value travels as DUMP and RESTORE; where the servers' formats differ it is read and
//! written by type instead. Comparison is by content, so that two encodings of the same value are equal.
// Doc comments are the help's text, in which brackets mean what may be left out.
#![allow(rustdoc::broken_intra_doc_links)]

#[path = "transfer/compare.rs"]
mod compare;
#[path = "transfer/copy.rs"]
mod copy;
#[path = "transfer/value.rs"]
mod value;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::address::parse_address;
use crate::client::{Connection, Target};
use crate::resp::{Fault, Reply};
use crate::scan::Scan;

/// How often a lost connection is made anew for one batch, and the pause before each try, which doubles.
const RETRIES: u32 = 6;
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Which servers, and which keys.
#[derive(Args, Clone, Debug)]
pub struct Ends {
    /// The server to read: host:port, or kiba://[user:password@]host[:port][/db].
    #[arg(value_name = "SRC")]
    pub source: String,
    /// The server to write to, or to compare with.
    #[arg(value_name = "DST")]
    pub destination: String,
    /// Only keys that match this pattern.
    #[arg(long = "match", value_name = "pattern")]
    pub pattern: Option<String>,
    /// Keys in one batch.
    #[arg(long, value_name = "n", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub batch: u64,
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

#[derive(Args, Clone, Debug)]
pub struct Copy {
    #[command(flatten)]
    pub ends: Ends,
    /// Overwrite keys that exist at the destination; otherwise they are left alone and counted.
    #[arg(long)]
    pub replace: bool,
    /// Remember progress in this file, and continue from it when it exists.
    #[arg(long, value_name = "file")]
    pub resume: Option<PathBuf>,
    /// Always read and write by type, never by DUMP and RESTORE.
    #[arg(long)]
    pub by_type: bool,
}

#[derive(Args, Clone, Debug)]
pub struct Diff {
    #[command(flatten)]
    pub ends: Ends,
    /// Differences in the remaining time to live up to this many seconds do not count.
    #[arg(long, value_name = "seconds", default_value_t = 5)]
    pub ttl_slack: u64,
}

/// Copies. Exit code 1 when a key could not be copied.
///
/// # Errors
/// The line for standard error.
pub fn copy(options: &Copy) -> Result<ExitCode, String> {
    copy::run(options)
}

/// Prints every difference (`verbose`), or only the counts. Exit code 1 when there are differences.
///
/// # Errors
/// The line for standard error.
pub fn compare(options: &Diff, verbose: bool) -> Result<ExitCode, String> {
    compare::run(options, verbose)
}

/// A connection that is made anew when it breaks. Work is given as a closure that may run more than once.
struct Peer {
    target: Target,
    connection: Option<Connection>,
}

impl Peer {
    fn open(address: &str) -> Result<Peer, String> {
        let target = parse_address(address)?;
        let connection = Some(Connection::log_in(&target)?);
        Ok(Peer { target, connection })
    }

    /// Runs `work`, again after each lost connection until the retries are used up.
    fn run<T>(&mut self, mut work: impl FnMut(&mut Connection) -> Result<T, Fault>) -> Result<T, String> {
        let mut last = String::new();
        for retry in 0..=RETRIES {
            if retry > 0 {
                std::thread::sleep(RETRY_PAUSE * 2_u32.pow(retry - 1));
            }
            let mut connection = match self.connection.take().map_or_else(|| Connection::log_in(&self.target), Ok) {
                Ok(connection) => connection,
                Err(line) => {
                    last = line;
                    continue;
                }
            };
            match work(&mut connection) {
                Ok(value) => {
                    self.connection = Some(connection);
                    return Ok(value);
                }
                Err(fault) => last = format!("{}: {fault}", self.target.address),
            }
        }
        Err(format!("{last} (gave up after {RETRIES} retries)"))
    }

    /// Sends a pipeline and returns its replies.
    fn call_all(&mut self, requests: &[Vec<Vec<u8>>]) -> Result<Vec<Reply>, String> {
        self.run(|connection| connection.call_all(requests))
    }

    /// The next keys of a walk.
    fn scan(&mut self, scan: &mut Scan) -> Result<Vec<Vec<u8>>, String> {
        let request = scan.request();
        let reply = self.run(|connection| connection.call(&request))?;
        scan.take(&reply)
    }

    fn size(&mut self) -> Result<u64, String> {
        let reply = self.run(|connection| connection.call(&["DBSIZE"]))?;
        Ok(reply.integer().unwrap_or(0).max(0) as u64)
    }
}

/// A walk over the keys that `ends` asks for.
fn walk(ends: &Ends) -> Scan {
    let mut scan = Scan::new(ends.pattern.clone().map(String::into_bytes));
    scan.count = Some(ends.batch);
    scan
}

/// The bar of a walk over about `total` keys; hidden where standard error is no terminal.
fn bar(total: u64, what: &str) -> ProgressBar {
    let template = "{msg:10} {bar:32} {pos}/{len} keys  {per_sec}  eta {eta}";
    let style = ProgressStyle::with_template(template).expect("a fixed template");
    ProgressBar::new(total).with_style(style).with_message(what.to_string())
}

/// A request from words and byte strings.
fn request<const N: usize>(words: [&[u8]; N]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.to_vec()).collect()
}
