//! Records histories of a server and checks them; see the library.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use histories::check::{Finding, Work, check};
use histories::kinds::{CLIENTS_MAX, Kind};
use histories::record::{Object, Plan, record};
use histories::server::Server;
use histories::wire::Link;

/// Operations that are recorded before they are checked.
const ROUND: u64 = 50_000;

/// Findings that are shown. The rest is in the file.
const SHOWN: usize = 3;

/// Asks a server from many connections at once, and checks that what it answered could have happened in some order.
#[derive(Parser)]
struct Options {
    /// Which engines of Kiba to start.
    #[arg(long, value_enum, default_value = "both")]
    engine: Engine,
    /// A server that runs already, instead; nothing but keys that begin with h: is touched.
    #[arg(long)]
    server: Option<SocketAddr>,
    /// The program to start; by default the one that was built beside this one.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// How many operations each server gets.
    #[arg(long, default_value_t = 200_000)]
    operations: u64,
    /// For how long each server is asked, instead.
    #[arg(long)]
    seconds: Option<u64>,
    /// Decides who does what, though not when.
    #[arg(long)]
    seed: Option<u64>,
    /// Connections at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=i64::from(CLIENTS_MAX)))]
    clients: u32,
    /// Where the history of what fails is written.
    #[arg(long, default_value = "target/histories")]
    output: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Sharded,
    Channel,
    Both,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..) >> 32);
    let result = match options.server {
        Some(address) => check_server(&options, seed, &address.to_string(), address, None),
        None => check_engines(&options, seed),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}\nseed {seed}");
            ExitCode::FAILURE
        }
    }
}

fn check_engines(options: &Options, seed: u64) -> Result<(), String> {
    let beside = std::env::current_exe().map_err(|error| error.to_string())?.with_file_name("kiba");
    let binary = options.binary.as_ref().unwrap_or(&beside);
    for (engine, name) in [(Engine::Sharded, "sharded"), (Engine::Channel, "channel")] {
        if options.engine == Engine::Both || options.engine == engine {
            let mut server = Server::start(binary, name)?;
            let address = server.address;
            check_server(options, seed, name, address, Some(&mut server))?;
        }
    }
    Ok(())
}

fn check_server(
    options: &Options,
    seed: u64,
    name: &str,
    address: SocketAddr,
    mut server: Option<&mut Server>,
) -> Result<(), String> {
    let since = Instant::now();
    let mut work = Work::default();
    let mut recorded = Duration::ZERO;
    for number in 0.. {
        let left = match options.seconds {
            Some(seconds) if since.elapsed() < Duration::from_secs(seconds) => ROUND,
            Some(_) => 0,
            None => options.operations.saturating_sub(work.operations as u64),
        };
        if left == 0 {
            break;
        }
        // Every other round long commands work on copies from the second element on: that is another way of doing them.
        let elements = if number % 2 == 0 { "100000" } else { "2" };
        if server.is_some() {
            Link::connect(address)?.call(&["CONFIG", "SET", "long-command-elements", elements])?;
        }
        let plan = Plan {
            address,
            seed: seed.wrapping_add(number),
            clients: options.clients,
            operations: left.min(ROUND),
            kinds: Kind::ALL.into(),
            is_deadly: true,
        };
        let round = Instant::now();
        let objects = record(&plan).map_err(|text| format!("{name}, round {number}: {text}"))?;
        recorded += round.elapsed();
        let (done, findings) = check(&objects);
        work.add(done);
        if let Some(server) = &mut server
            && !server.is_alive()
        {
            return Err(format!("{name}: the server has ended"));
        }
        if !findings.is_empty() {
            let path = write(options, name, plan.seed, &objects, &findings)?;
            return Err(report(name, number, &objects, &findings) + &format!("written to {}", path.display()));
        }
    }
    println!(
        "{name}: {} operations in {} histories of {} clients, {} without an answer, {} transactions, {} configurations, \
         {} for one history; recorded in {:.1} s, checked in {:.1} s; seed {seed}",
        work.operations,
        work.objects,
        options.clients,
        work.open,
        work.transactions,
        work.configurations,
        work.configurations_max,
        recorded.as_secs_f64(),
        (since.elapsed() - recorded).as_secs_f64(),
    );
    Ok(())
}

fn report(name: &str, round: u64, objects: &[Object], findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings.iter().take(SHOWN) {
        let object = &objects[finding.object];
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name}, round {round}: {}: {} ({:?})", finding.name, object.name, object.kind);
        text += &finding.text;
    }
    let _ = writeln!(text, "{} findings", findings.len());
    text
}

/// Writes all that is known of the objects with findings.
fn write(
    options: &Options,
    name: &str,
    seed: u64,
    objects: &[Object],
    findings: &[Finding],
) -> Result<PathBuf, String> {
    let mut text = String::new();
    let mut last = None;
    for finding in findings {
        let object = &objects[finding.object];
        let _ = writeln!(text, "{}: {} ({:?})\n{}", finding.name, object.name, object.kind, finding.text);
        if last.replace(finding.object) != Some(finding.object) {
            let mut entries: Vec<_> = object.entries.iter().collect();
            entries.sort_by_key(|entry| entry.call);
            for entry in entries {
                let _ = writeln!(text, "{entry}");
            }
        }
    }
    let path = options.output.join(format!("{}-{seed}.txt", name.replace(':', "-")));
    let written = std::fs::create_dir_all(&options.output).and_then(|()| std::fs::write(&path, text));
    written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}
