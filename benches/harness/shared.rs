//! The arguments that the benches of running servers have in common, and what follows from them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::server::{self, Server, Spec};
use super::{Result, machine};

#[derive(Clone, Debug, clap::Args)]
pub struct Shared {
    /// A smoke run of a few seconds.
    #[arg(long)]
    pub quick: bool,
    /// sharded, channel, redis; NAME@N gives that one N threads.
    #[arg(long, value_delimiter = ',', default_value = "sharded,channel,redis")]
    servers: Vec<String>,
    /// A further RESP server: NAME=COMMAND, where {port}, {threads} and {dir} are filled in.
    #[arg(long)]
    extra: Vec<String>,
    /// Server threads; default: one a core.
    #[arg(long)]
    threads: Option<usize>,
    /// Writes a report, named after the bench, into this folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// The kiba binary; default: the one built with this bench.
    #[arg(long)]
    kiba: Option<PathBuf>,
    /// What `cargo bench` adds; without it nothing is measured, so that `cargo test --benches` stays quick.
    #[arg(long, hide = true)]
    bench: bool,
}

impl Shared {
    /// Runs a bench and prints its failure.
    ///
    /// * `name`: as in `cargo bench --bench NAME`.
    pub fn run(&self, name: &str, bench: impl FnOnce() -> Result<()>) -> ExitCode {
        if !self.bench {
            eprintln!("{name}: nothing measured; run it with `cargo bench --bench {name}`");
            return ExitCode::SUCCESS;
        }
        match bench() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{name}: {error}");
                ExitCode::FAILURE
            }
        }
    }

    /// The servers that were asked for and are installed, and the conditions under which they are measured, which are
    /// printed.
    ///
    /// # Errors
    /// An unknown name, or nothing left.
    pub fn specs(&self, name: &str) -> Result<(Vec<Spec>, Vec<String>)> {
        let kiba = self.kiba.clone().unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_kiba")));
        let specs = server::specs(&self.servers, &self.extra, &kiba)?;
        let versions: Vec<_> = specs.iter().map(|spec| (spec.name.clone(), spec.version())).collect();
        let conditions = machine::conditions(name, &versions);
        conditions.iter().for_each(|line| println!("{line}"));
        Ok((specs, conditions))
    }

    /// Starts a server with as many threads as were asked for.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start(&self, spec: &Spec) -> Result<Server> {
        let threads = self.threads.unwrap_or_else(machine::cores);
        Server::start(spec, threads, None, Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    /// Writes the report, if it is wanted: a title, the conditions, and `body`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn report(&self, name: &str, title: &str, conditions: &[String], body: &str) -> Result<()> {
        let Some(folder) = &self.out else {
            return Ok(());
        };
        let conditions: String = conditions.iter().map(|line| format!("* {line}\n")).collect();
        let path = folder.join(format!("{name}.md"));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, format!("# {title}\n\n{conditions}{body}")))
            .map_err(|error| format!("{}: {error}", path.display()))
    }
}

/// Whether all names are known.
///
/// # Errors
/// The first that is not, with those that are.
pub fn check_names(asked: &[String], known: &[&str]) -> Result<()> {
    match asked.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("`{name}` is not one of {}", known.join(", "))),
        None => Ok(()),
    }
}
