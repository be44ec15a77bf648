//! The conditions that a number travels with.

use std::process::Command;

/// Lines such as `machine: AMD EPYC, 2 cores, 23 GiB`.
///
/// * `bench`: its name under `cargo bench --bench`.
pub fn conditions(bench: &str, versions: &[(String, String)]) -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown CPU");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let memory = read("/proc/meminfo");
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0);
    // Paths say nothing about the numbers, and nobody else has them.
    let mut words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    while let Some(at) = words.iter().position(|word| ["--json", "--out", "--kiba"].contains(&word.as_str())) {
        words.drain(at..(at + 2).min(words.len()));
    }
    let mut lines = vec![
        format!("machine: {model}, {} cores, {} GiB", cores(), kib >> 20),
        format!("kernel: Linux {}", read("/proc/sys/kernel/osrelease").trim()),
        format!("command: cargo bench --bench {bench} -- {}", words.join(" ")),
        format!("commit: {}", commit()),
    ];
    lines.extend(versions.iter().map(|(name, version)| format!("{name}: {version}")));
    lines
}

pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn commit() -> String {
    let git = |words: &[&str]| {
        let output = Command::new("git").args(words).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else {
        return "unknown".into();
    };
    let clean = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| text.is_empty());
    if clean { commit } else { format!("{commit} with changes") }
}
