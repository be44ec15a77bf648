//! `doctor`: the server's configuration, its health, and the machine below it, as far as a client can see them.

use std::fs;
use std::io::{self, Write};
use std::time::Instant;

use clap::Args;
use nu_ansi_term::Color;

use crate::args::Connect;
use crate::client::{Address, Connection, Target};
use crate::output;
use crate::peek::{bytes_text, colours};
use crate::stat::Info;

/// Round trips for the latency figure.
const PINGS: usize = 200;

#[derive(Args, Clone, Debug)]
pub struct Doctor {
    #[command(flatten)]
    pub connect: Connect,
    /// Print help.
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Good,
    Note,
    Risk,
}

struct Finding {
    level: Level,
    topic: &'static str,
    text: String,
}

/// What is known about the server.
struct Patient {
    info: Info,
    config: Vec<(String, String)>,
    is_kiba: bool,
    is_local: bool,
}

impl Patient {
    /// A configuration value; `None` where the server does not know or does not tell it.
    fn option(&self, name: &str) -> Option<&str> {
        self.config.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Prints the findings, risks last. Returns whether there is a risk.
///
/// # Errors
/// The line for standard error.
pub fn run(target: &Target) -> Result<bool, String> {
    let mut connection = Connection::log_in(target)?;
    let fault = |fault: crate::resp::Fault| format!("Error: {fault}");
    let info = Info::ask(&mut connection, &["all"])?;
    let reply = connection.call(&["CONFIG", "GET", "*"]).map_err(fault)?;
    let config = reply.pairs().into_iter().map(|(name, value)| (name.text(), value.text())).collect();
    let is_local = match &target.address {
        Address::Unix(_) => true,
        Address::Tcp { host, .. } => ["localhost", "::1"].contains(&host.as_str()) || host.starts_with("127."),
    };
    let is_kiba = !info.text("kiba_version").is_empty();
    let patient = Patient { info, config, is_kiba, is_local };
    let mut findings = Vec::new();
    let no_password = target.login.password.is_none();
    access(&patient, no_password, &mut findings);
    memory(&patient, &mut findings);
    durability(&patient, &mut findings);
    limits(&patient, &mut findings);
    kernel(&patient, &mut findings);
    latency(&mut connection, &mut findings).map_err(fault)?;
    print(&patient, target, &mut findings).map_err(output::failed)?;
    Ok(findings.iter().any(|finding| finding.level == Level::Risk))
}

fn access(patient: &Patient, no_password: bool, findings: &mut Vec<Finding>) {
    let mut say = |level, text: String| findings.push(Finding { level, topic: "access", text });
    let bind = patient.option("bind").unwrap_or_default();
    let is_loopback = |address: &str| {
        let address = address.trim_start_matches('-');
        address.starts_with("127.") || address == "::1" || address == "localhost"
    };
    let open = bind.is_empty() || bind.split_whitespace().any(|address| !is_loopback(address));
    let protected = patient.option("protected-mode") == Some("yes");
    match (open, no_password, protected) {
        (true, true, false) => {
            say(Level::Risk, format!("listens on '{bind}' and asks for no password; set requirepass or bind 127.0.0.1"))
        }
        (true, true, true) => say(Level::Note, "no password; protected-mode turns other machines away".into()),
        (false, true, _) => say(Level::Note, "no password; only this machine can connect".into()),
        (_, false, _) => say(Level::Good, "a password is asked for".into()),
    }
    for (option, what) in [
        ("enable-debug-command", "DEBUG can stop or corrupt the server"),
        ("enable-module-command", "MODULE LOAD runs foreign code"),
        ("enable-protected-configs", "CONFIG SET may change file names"),
    ] {
        match patient.option(option) {
            Some("yes") => say(Level::Risk, format!("{option} yes: {what}")),
            Some("local") => say(Level::Note, format!("{option} local: {what}, from this machine")),
            _ => {}
        }
    }
}

fn memory(patient: &Patient, findings: &mut Vec<Finding>) {
    let info = &patient.info;
    let mut say = |level, text: String| findings.push(Finding { level, topic: "memory", text });
    let (used, max) = (info.number("used_memory").max(0) as u64, info.number("maxmemory").max(0) as u64);
    let total = info.number("total_system_memory").max(0) as u64;
    let policy = info.text("maxmemory_policy");
    match max {
        0 => say(Level::Note, format!("{} used, no maxmemory: the system's limit is the only one", bytes_text(used))),
        max if used as f64 > max as f64 * 0.9 && policy == "noeviction" => {
            say(
                Level::Risk,
                format!("{} of {} used under noeviction: writes will fail", bytes_text(used), bytes_text(max)),
            );
        }
        max if total > 0 && max > total => {
            say(Level::Risk, format!("maxmemory {} is more than the machine has", bytes_text(max)))
        }
        max => say(Level::Good, format!("{} of {} used, policy {policy}", bytes_text(used), bytes_text(max))),
    }
    let ratio = info.decimal("mem_fragmentation_ratio");
    // Small servers have large ratios that mean nothing: below 100 MiB the fixed costs dominate.
    if used > 100 << 20 && ratio > 1.5 {
        say(Level::Note, format!("fragmentation ratio {ratio:.2}"));
    }
    if info.number("evicted_keys") > 0 {
        say(Level::Note, format!("{} keys were evicted since the start", info.number("evicted_keys")));
    }
}

fn durability(patient: &Patient, findings: &mut Vec<Finding>) {
    let info = &patient.info;
    let mut say = |level, text: String| findings.push(Finding { level, topic: "durability", text });
    let log = patient.option("appendonly") == Some("yes");
    let save = patient.option("save").is_some_and(|save| !save.is_empty());
    match (log, save) {
        (true, _) if patient.option("appendfsync") == Some("no") => {
            say(Level::Note, "appendonly yes, but appendfsync no: a power cut may lose half a minute".into());
        }
        (true, _) => say(Level::Good, "appendonly yes".into()),
        (false, true) => say(Level::Note, "snapshots only: a crash loses what came after the last one".into()),
        (false, false) => say(Level::Note, "nothing is written to disk: a restart loses everything".into()),
    }
    for (field, what) in [
        ("rdb_last_bgsave_status", "the last snapshot"),
        ("aof_last_write_status", "the last write to the log"),
        ("aof_last_bgrewrite_status", "the last rewrite of the log"),
    ] {
        if !["ok", ""].contains(&info.text(field)) {
            say(Level::Risk, format!("{what} failed"));
        }
    }
    if info.text("role") == "slave" && info.text("master_link_status") == "down" {
        say(Level::Risk, "the link to the primary is down".into());
    }
}

fn limits(patient: &Patient, findings: &mut Vec<Finding>) {
    let info = &patient.info;
    let mut say = |level, text: String| findings.push(Finding { level, topic: "limits", text });
    let (clients, max) = (info.number("connected_clients"), info.number("maxclients"));
    if max > 0 {
        let level = if clients * 10 > max * 9 { Level::Risk } else { Level::Good };
        say(level, format!("{clients} of {max} clients"));
    }
    if info.number("rejected_connections") > 0 {
        say(Level::Risk, format!("{} connections were rejected since the start", info.number("rejected_connections")));
    }
    if patient.option("slowlog-log-slower-than") == Some("-1") {
        say(Level::Note, "the slow log is off".into());
    }
    if patient.option("tcp-keepalive") == Some("0") {
        say(Level::Note, "tcp-keepalive 0: dead peers are never noticed".into());
    }
    // Only the server's own machine can tell about its process.
    let process = patient.is_local.then(|| info.number("process_id")).filter(|id| *id > 0);
    let files = process.and_then(|id| fs::read_to_string(format!("/proc/{id}/limits")).ok());
    let files = files.as_deref().and_then(|text| text.lines().find(|line| line.starts_with("Max open files")));
    let files = files.and_then(|line| line.split_whitespace().nth(3)).and_then(|limit| limit.parse::<i64>().ok());
    if let Some(files) = files.filter(|files| max > 0 && *files < max + 32) {
        say(Level::Risk, format!("the process may open {files} files, too few for {max} clients"));
    }
}

fn kernel(patient: &Patient, findings: &mut Vec<Finding>) {
    let mut say = |level, text: String| findings.push(Finding { level, topic: "kernel", text });
    if !patient.is_local {
        return say(Level::Note, "the server runs elsewhere; its kernel settings cannot be seen from here".into());
    }
    let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_string());
    // Kiba does not fork, so overcommit and huge pages are only a concern for servers that do.
    if !patient.is_kiba {
        if read("/proc/sys/vm/overcommit_memory").is_some_and(|value| value != "1") {
            say(Level::Note, "vm.overcommit_memory is not 1: a background save may fail when memory is short".into());
        }
        if read("/sys/kernel/mm/transparent_hugepage/enabled").is_some_and(|value| value.contains("[always]")) {
            say(Level::Note, "transparent huge pages are always on: slow after a fork".into());
        }
    }
    let backlog = patient.option("tcp-backlog").and_then(|value| value.parse::<u64>().ok());
    let somaxconn = read("/proc/sys/net/core/somaxconn").and_then(|value| value.parse::<u64>().ok());
    if let (Some(backlog), Some(somaxconn)) = (backlog, somaxconn)
        && somaxconn < backlog
    {
        say(Level::Note, format!("net.core.somaxconn {somaxconn} cuts tcp-backlog {backlog}"));
    }
    let swap = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let field = |name: &str| -> Option<u64> {
            let line = text.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        Some(field("SwapTotal:")?.saturating_sub(field("SwapFree:")?))
    });
    match swap {
        Some(used) if used > 64 << 10 => say(Level::Note, format!("{} of swap in use", bytes_text(used << 10))),
        _ => say(Level::Good, "no swapping".into()),
    }
}

fn latency(connection: &mut Connection, findings: &mut Vec<Finding>) -> Result<(), crate::resp::Fault> {
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let began = Instant::now();
        connection.call(&["PING"])?;
        times.push(began.elapsed());
    }
    times.sort();
    let (median, worst) = (times[PINGS / 2], times[PINGS - 1]);
    // Half a frame of a screen; far above what a healthy local network needs.
    let level = if median.as_millis() >= 8 { Level::Risk } else { Level::Good };
    let text = format!("PING takes {:.3} ms, at worst {:.3}", median.as_secs_f64() * 1e3, worst.as_secs_f64() * 1e3);
    findings.push(Finding { level, topic: "latency", text });
    Ok(())
}

fn print(patient: &Patient, target: &Target, findings: &mut [Finding]) -> io::Result<()> {
    let info = &patient.info;
    let version = match patient.is_kiba {
        true => format!("kiba {}", info.text("kiba_version")),
        false => format!("redis {}", info.text("redis_version")),
    };
    let mut text =
        format!("{}: {version}, {}, up {} s\n\n", target.address, info.text("role"), info.text("uptime_in_seconds"));
    findings.sort_by_key(|finding| finding.level as u8);
    let coloured = colours();
    for Finding { level, topic, text: finding } in findings.iter() {
        let (mark, colour) = match level {
            Level::Good => ("ok  ", Color::Green),
            Level::Note => ("note", Color::Yellow),
            Level::Risk => ("RISK", Color::Red),
        };
        let mark = if coloured { colour.paint(mark).to_string() } else { mark.to_string() };
        text.push_str(&format!("{mark}  {topic:<10}  {finding}\n"));
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    text.push_str(&format!("\n{} risks, {} notes\n", count(Level::Risk), count(Level::Note)));
    io::stdout().write_all(text.as_bytes())
}
