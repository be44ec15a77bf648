//! What a server process has used so far, from /proc.

use std::fs;

use super::Result;

/// Totals since the process started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Time on a CPU, user and system, in ns, summed over the live threads (schedstat).
    pub cpu_ns: u64,
    /// The same from `utime + stime`, in ns; counted in clock ticks of 10 ms, so only a check on the other.
    pub ticks_ns: u64,
    /// Context switches, voluntary and involuntary, of the live threads.
    pub switches: u64,
    pub rss_kib: u64,
}

impl Usage {
    /// # Errors
    /// When the process is gone.
    pub fn of(pid: u32) -> Result<Self> {
        let read = |path: String| fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"));
        let stat = read(format!("/proc/{pid}/stat"))?;
        // The name may hold spaces; the fields after its parenthesis start with the third of proc(5).
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().filter_map(|&at| fields.get(at)?.parse::<u64>().ok()).sum();
        let mut usage = Self {
            ticks_ns: ticks * (1_000_000_000 / rustix::param::clock_ticks_per_second()),
            rss_kib: rss_kib(pid)?,
            ..Self::default()
        };
        let threads = fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| format!("process {pid}: {error}"))?;
        for thread in threads.flatten() {
            // A thread may end between the listing and the reading; what it used is lost then.
            let thread = thread.path();
            if let Ok(text) = fs::read_to_string(thread.join("schedstat")) {
                usage.cpu_ns += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
            }
            if let Ok(text) = fs::read_to_string(thread.join("status")) {
                usage.switches +=
                    field(&text, "voluntary_ctxt_switches:") + field(&text, "nonvoluntary_ctxt_switches:");
            }
        }
        Ok(usage)
    }
}

/// Resident memory in KiB.
///
/// # Errors
/// When the process is gone.
pub fn rss_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmRSS:")
}

/// The most memory that ever was resident, in KiB.
///
/// # Errors
/// When the process is gone.
pub fn rss_kib_max(pid: u32) -> Result<u64> {
    status_kib(pid, "VmHWM:")
}

fn status_kib(pid: u32, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(field(&text, name))
}

/// CPU time of this process, user and system, in ns.
pub fn own_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Time that all CPUs together did not idle, in ns, counted in clock ticks; time stolen by a hypervisor included.
pub fn machine_cpu_ns() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or("").split_whitespace().skip(1);
    let ticks = fields.map(|field| field.parse::<u64>().unwrap_or(0));
    // user nice system idle iowait irq softirq steal; what follows is part of the first two.
    let busy: u64 = ticks.take(8).enumerate().filter(|(at, _)| *at != 3 && *at != 4).map(|(_, ticks)| ticks).sum();
    busy * (1_000_000_000 / rustix::param::clock_ticks_per_second())
}

fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}
