//! How long does a single SET take while the tables grow?
//!
//! One thread fills an engine in this process, one request at a time. What counts is the thread's own CPU time for each
//! request: page faults and the table's growth are in it, waiting for a core is not. Overwriting the same keys
//! afterwards, when nothing grows, is the control.
//!
//!     cargo bench --bench growth

#[path = "harness/mod.rs"]
mod harness;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hdrhistogram::Histogram;
use kiba::config::Config;
use kiba::engine::Engine;
use kiba::engine::sharded::Sharded;
use kiba::server::Server;
use kiba::sync::Arc;
use rustix::time::{ClockId, clock_gettime};

use harness::batch::{parse, unparsed};
use harness::machine;
use harness::stats::time;
use harness::table::Table;

#[global_allocator]
static ALLOCATOR: kiba::memory::Counting = kiba::memory::Counting;

/// Measures the CPU time of single inserts while the tables grow.
#[derive(Debug, Parser)]
#[command(name = "growth")]
struct Options {
    /// A smoke run of less than a second.
    #[arg(long)]
    quick: bool,
    #[arg(long, default_value_t = 10_000_000)]
    keys: u64,
    /// Writes growth.md into this folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Sets that take longer are named one by one.
const LONG: Duration = Duration::from_millis(1);

/// The CPU time of the calling thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Sets every key once; the nanoseconds that each took.
async fn set_all(server: &Server, engine: &Sharded, keys: u64) -> Histogram<u64> {
    let mut times = Histogram::new_with_bounds(1, 1_000_000_000, 3).expect("bounds");
    for key in 0..keys {
        let text = format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$32\r\n{key:032}\r\n");
        let batch = parse(server, unparsed(text.into_bytes()));
        let before = cpu();
        let done = engine.execute(batch, 0..1, 0).await;
        let took = cpu() - before;
        times.saturating_record(took.as_nanos() as u64);
        if took > LONG {
            eprintln!("growth: SET number {key} took {took:?}");
        }
        assert!(done.is_ok());
    }
    times
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if !options.bench {
        println!("growth: nothing measured; run it with `cargo bench --bench growth`");
        return ExitCode::SUCCESS;
    }
    if options.quick {
        options.keys = 100_000;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    let server = Server::new(Arc::new(Config::default()), None);
    let engine = Sharded::new(Arc::clone(&server));
    let mut table = Table::new(&["phase", "p50", "p99", "p99.9", "p99.99", "max", "sets"]);
    for phase in ["insert", "overwrite"] {
        let times = runtime.block_on(set_all(&server, &engine, options.keys));
        let at = |percentile| time(times.value_at_percentile(percentile) as f64);
        let (p50, p99, p999, p9999) = (at(50.0), at(99.0), at(99.9), at(99.99));
        table.row(vec![phase.to_owned(), p50, p99, p999, p9999, time(times.max() as f64), options.keys.to_string()]);
    }
    let conditions = machine::conditions("growth", &[]).join("\n");
    println!("{conditions}\n\n{}", table.text(1));
    if let Some(folder) = &options.out
        && let Err(error) = std::fs::write(
            folder.join("growth.md"),
            format!("# Single inserts while the tables grow\n\n```\n{conditions}\n```\n\n{}", table.markdown(1)),
        )
    {
        eprintln!("growth: {}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
