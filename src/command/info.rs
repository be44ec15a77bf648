//! INFO: the server in numbers. A field is there only when its number is true.

use std::fmt::{Display, Write};
use std::sync::LazyLock;

use super::{Arity, Call, Flags, Keys, Keyspace, Progress, Run, Spec, Step};
use crate::error::Error;
use crate::fault;
use crate::memory;
use crate::reply::Reply;
use crate::server::clients::Client;
use crate::server::pubsub::Feed;
use crate::server::{CallStats, Server};

pub(super) const SPECS: &[Spec] = &[Spec {
    name: "info",
    arity: Arity::at_least(1),
    keys: Keys::None,
    run: Run::Walk(info),
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::SENTINEL).and(Flags::ALL_DATABASES),
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Returns information and statistics about the server.",
}];

type Section = (&'static str, fn(&mut Fields<'_>, &Server, &mut dyn Keyspace));

/// All sections, in Redis' order.
const SECTIONS: &[Section] = &[
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("CPU", cpu),
    ("Commandstats", commandstats),
    ("Cluster", cluster),
    ("Keyspace", keyspace),
];

/// INFO [section ...] -> text: sections with a line a field.
///
/// One step: a visit of a part takes some ten nanoseconds, so all parts of a database take about as long as one slice
/// of another walk.
fn info(space: &mut dyn Keyspace, _: &mut Progress, call: &Call<'_>, reply: &mut Reply) -> Result<Step, Error> {
    let is_any = |word: &str| (1..call.len()).any(|i| call.is(i, word));
    let all = is_any("all") || is_any("everything");
    let usual = call.len() == 1 || is_any("default");
    let mut text = String::new();
    for (name, write) in SECTIONS {
        if all || is_any(name) || usual && *name != "Commandstats" {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            text.push_str("# ");
            text.push_str(name);
            text.push_str("\r\n");
            fault::point("info");
            write(&mut Fields(&mut text), call.server, space);
        }
    }
    reply.verbatim("txt", text.as_bytes());
    Ok(Step::Done)
}

/// Writes lines `name:value`.
struct Fields<'a>(&'a mut String);

impl Fields<'_> {
    fn add(&mut self, name: &str, value: impl Display) {
        // Writing to a String does not fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// A number of bytes, and once more for people.
    fn add_bytes(&mut self, name: &str, bytes: u64) {
        self.add(name, bytes);
        self.add(&format!("{name}_human"), human(bytes));
    }
}

fn server(fields: &mut Fields<'_>, server: &Server, _: &mut dyn Keyspace) {
    let config = &server.config;
    let uptime = server.started.elapsed().as_secs();
    fields.add("redis_version", config.compat_version());
    fields.add("kiba_version", env!("CARGO_PKG_VERSION"));
    fields.add("redis_mode", "standalone");
    fields.add("os", &*OS);
    fields.add("arch_bits", usize::BITS);
    fields.add("process_id", std::process::id());
    fields.add("run_id", &server.run_id);
    fields.add("tcp_port", config.port());
    fields.add("server_time_usec", crate::server::now() * 1000);
    fields.add("uptime_in_seconds", uptime);
    fields.add("uptime_in_days", uptime / 86_400);
    fields.add("executable", std::env::current_exe().unwrap_or_default().display());
    fields.add("config_file", config.file().unwrap_or(std::path::Path::new("")).display());
    fields.add("engine", config.engine());
    fields.add("io", config.io());
    fields.add("threads", threads(config.threads() as usize));
    fields.add("shards", config.shards());
}

fn clients(fields: &mut Fields<'_>, server: &Server, _: &mut dyn Keyspace) {
    fields.add("connected_clients", server.clients.len());
    fields.add("maxclients", server.config.maxclients());
    fields.add("blocked_clients", server.clients.blocked.load(crate::sync::Ordering::Relaxed));
    fields.add("tracking_clients", server.tracking.client_count());
    fields.add("pubsub_clients", server.pubsub.subscriber_count());
}

fn memory(fields: &mut Fields<'_>, server: &Server, space: &mut dyn Keyspace) {
    let used = memory::used();
    let clients = client_bytes(server);
    let overhead = (server.startup_bytes + clients + table_bytes(space)).min(used);
    let (startup, dataset) = (server.startup_bytes, used - overhead);
    let (resident, resident_peak) = memory::resident();
    fields.add_bytes("used_memory", used);
    if resident > 0 {
        fields.add_bytes("used_memory_rss", resident);
        fields.add_bytes("used_memory_rss_peak", resident_peak);
        fields.add("mem_fragmentation_ratio", format_args!("{:.2}", resident as f64 / used.max(1) as f64));
    }
    fields.add("used_memory_overhead", overhead);
    fields.add("used_memory_startup", startup);
    fields.add("used_memory_dataset", dataset);
    let share = dataset as f64 * 100.0 / used.saturating_sub(startup).max(1) as f64;
    fields.add("used_memory_dataset_perc", format_args!("{share:.2}%"));
    fields.add_bytes("maxmemory", server.config.maxmemory());
    fields.add("maxmemory_policy", server.config.maxmemory_policy());
    // Everything counts, and there are neither replicas nor a log.
    fields.add("mem_not_counted_for_evict", 0);
    fields.add("mem_clients_slaves", 0);
    fields.add("mem_clients_normal", clients);
    fields.add("mem_aof_buffer", 0);
    fields.add("lazyfree_pending_objects", server.env.reaper.things());
    fields.add("mem_allocator", "mimalloc");
}

/// What connections hold: unfinished requests, what waits to be sent to them, and what the server knows of them.
fn client_bytes(server: &Server) -> u64 {
    let bytes_of = |client: &Client| {
        let query = client.query_bytes.load(crate::sync::Ordering::Relaxed);
        size_of::<Client>() as u64 + query + client.outbox.waiting().bytes as u64
    };
    server.clients.list().iter().map(|client| bytes_of(client)).sum()
}

/// What keys cost besides themselves and their values: the tables, and the headers of entries.
fn table_bytes(space: &mut dyn Keyspace) -> u64 {
    /// A pointer and a byte of the hash.
    const BUCKET: usize = 9;
    const HEADER: usize = 8;
    let mut bytes = 0;
    for db in (0..space.databases()).filter(|&db| space.is_used(db)).collect::<Vec<_>>() {
        for part in 0..space.parts() {
            space.look(db, part, &mut |table| bytes += table.buckets() * BUCKET + table.len() * HEADER);
        }
    }
    bytes as u64
}

fn persistence(fields: &mut Fields<'_>, _: &Server, _: &mut dyn Keyspace) {
    fields.add("loading", 0);
    fields.add("async_loading", 0);
    fields.add("rdb_bgsave_in_progress", 0);
    fields.add("aof_enabled", 0);
    fields.add("aof_rewrite_in_progress", 0);
}

fn stats(fields: &mut Fields<'_>, server: &Server, _: &mut dyn Keyspace) {
    let stats = &server.stats;
    let expired = server.env.expired.load(crate::sync::Ordering::Relaxed);
    fields.add("total_connections_received", stats.connections());
    let (commands, uptime) = (stats.commands(), server.started.elapsed().as_millis() as u64);
    fields.add("total_commands_processed", commands);
    // The average since the last INFO that is a second old: true for whoever asks regularly.
    fields.add("instantaneous_ops_per_sec", server.pace.per_second(uptime, commands));
    fields.add("total_net_input_bytes", stats.input_bytes());
    fields.add("total_net_output_bytes", stats.output_bytes());
    fields.add("rejected_connections", stats.rejected());
    fields.add("expired_keys", expired);
    fields.add("lock_contentions", server.env.contended.load(crate::sync::Ordering::Relaxed));
    fields.add("expired_subkeys", server.env.expired_parts.load(crate::sync::Ordering::Relaxed));
    fields.add("evicted_keys", stats.evicted());
    fields.add("evicted_clients", 0);
    // Where nobody asks for memory, nobody has noticed yet that there is enough.
    server.has_room();
    let (exceeded, exceeded_in_all) = server.excess.times(server.started.elapsed());
    fields.add("total_eviction_exceeded_time", exceeded_in_all.as_millis());
    fields.add("current_eviction_exceeded_time", exceeded.as_millis());
    fields.add("keyspace_hits", stats.hits());
    fields.add("keyspace_misses", stats.misses());
    fields.add("pubsub_channels", server.pubsub.channel_count(Feed::Channel));
    fields.add("pubsub_patterns", server.pubsub.pattern_count());
    fields.add("tracking_total_keys", server.tracking.key_count());
    fields.add("tracking_total_items", server.tracking.item_count());
    fields.add("tracking_total_prefixes", server.tracking.prefix_count());
    fields.add("pubsubshard_channels", server.pubsub.channel_count(Feed::Shard));
    fields.add("client_query_buffer_limit_disconnections", stats.query_limit_disconnections());
    fields.add("client_output_buffer_limit_disconnections", stats.output_limit_disconnections());
    fields.add("kiba_panics", stats.panics());
    fields.add("kiba_long_commands_aside", stats.worked_aside());
}

fn replication(fields: &mut Fields<'_>, server: &Server, _: &mut dyn Keyspace) {
    fields.add("role", "master");
    fields.add("connected_slaves", 0);
    fields.add("master_failover_state", "no-failover");
    fields.add("master_replid", &server.run_id);
    fields.add("master_replid2", "0".repeat(40));
    fields.add("master_repl_offset", 0);
    fields.add("second_repl_offset", -1);
    fields.add("repl_backlog_active", 0);
    fields.add("repl_backlog_size", 0);
    fields.add("repl_backlog_first_byte_offset", 0);
    fields.add("repl_backlog_histlen", 0);
}

fn cpu(fields: &mut Fields<'_>, _: &Server, _: &mut dyn Keyspace) {
    if let Some((user, system)) = memory::cpu_seconds() {
        fields.add("used_cpu_sys", format_args!("{system:.6}"));
        fields.add("used_cpu_user", format_args!("{user:.6}"));
        // Kiba starts no other process.
        fields.add("used_cpu_sys_children", "0.000000");
        fields.add("used_cpu_user_children", "0.000000");
    }
}

/// A line for every command that was called. `usec` is reckoned from a sample of the calls.
fn commandstats(fields: &mut Fields<'_>, server: &Server, _: &mut dyn Keyspace) {
    for command in super::commands().iter().flat_map(|command| std::iter::once(command).chain(&command.subcommands)) {
        let CallStats { calls, rejected, failed, usec } = server.stats.calls.of(command);
        if calls + rejected + failed > 0 {
            let each = usec as f64 / calls.max(1) as f64;
            let line = format_args!(
                "calls={calls},usec={usec},usec_per_call={each:.2},rejected_calls={rejected},failed_calls={failed}"
            );
            fields.add(&format!("cmdstat_{}", command.full_name), line);
        }
    }
}

fn cluster(fields: &mut Fields<'_>, _: &Server, _: &mut dyn Keyspace) {
    fields.add("cluster_enabled", 0);
}

fn keyspace(fields: &mut Fields<'_>, _: &Server, space: &mut dyn Keyspace) {
    for db in (0..space.databases()).filter(|&db| space.is_used(db)).collect::<Vec<_>>() {
        let (mut keys, mut expires) = (0, 0);
        for part in 0..space.parts() {
            space.read(db, part, &mut |table, volatile| {
                keys += table.len();
                expires += volatile;
            });
        }
        if keys > 0 {
            // The average time to live would need a look at every key.
            fields.add(&format!("db{db}"), format_args!("keys={keys},expires={expires},avg_ttl=0"));
        }
    }
}

/// The operating system with its release, and the machine, as `uname` has them.
static OS: LazyLock<String> = LazyLock::new(|| {
    let read = |name| std::fs::read_to_string(format!("/proc/sys/kernel/{name}"));
    let kind = read("ostype").unwrap_or_else(|_| std::env::consts::OS.to_owned());
    let release = read("osrelease").unwrap_or_default();
    let words = [kind.trim(), release.trim(), std::env::consts::ARCH];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
});

/// Threads that serve connections.
fn threads(configured: usize) -> usize {
    if configured > 0 { configured } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

/// A number of bytes in the largest unit that leaves at least 1, with two decimals, as Redis prints it.
fn human(bytes: u64) -> String {
    let units = ["K", "M", "G", "T", "P", "E"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let power = bytes.ilog2() as usize / 10;
    format!("{:.2}{}", bytes as f64 / (1_u64 << (10 * power)) as f64, units[power - 1])
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_in_redis() {
        for (bytes, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (1536, "1.50K"),
            (1 << 20, "1.00M"),
            (5 << 29, "2.50G"),
            (1 << 40, "1.00T"),
            (u64::MAX, "16.00E"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn fields_are_lines() {
        let mut text = String::new();
        let mut fields = Fields(&mut text);
        fields.add("a", 1);
        fields.add_bytes("b", 2048);
        assert_eq!(text, "a:1\r\nb:2048\r\nb_human:2.00K\r\n");
    }

    #[test]
    fn the_system_is_named() {
        assert!(OS.ends_with(std::env::consts::ARCH), "{}", *OS);
    }
}
