//! The table of options: every option of Kiba in one row.
//!
//! From a row come the directive of the configuration file, the flag of the command line, the answers of CONFIG GET,
//! SET and REWRITE, the lines of the shipped `kiba.conf`, and the getter that the server calls. The row's doc comment
//! is its documentation everywhere; its first line is the flag's help.

use std::sync::Arc;

use super::Config;
use super::cell::Read;
use super::check;
use super::types::{
    Dialect, EngineKind, Events, Fsync, Hasher, IoModel, Limits, LogFormat, LogLevel, Permission, Policy,
};
use super::value::{Kind, Reason, Value};

/// One row of the table.
#[derive(Debug)]
pub struct Spec {
    pub id: Id,
    pub name: &'static str,
    /// Former names, accepted and answered everywhere.
    pub aliases: &'static [&'static str],
    pub kind: Kind,
    /// As the configuration file spells it.
    pub default: &'static str,
    pub change: Change,
    pub section: &'static str,
    /// Each line with the blank that follows `///`.
    pub doc: &'static [&'static str],
    /// A value to show in `kiba.conf`, commented out, where the default is nothing to show.
    pub example: Option<&'static str>,
}

/// When an option may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// By CONFIG SET.
    AnyTime,
    /// By CONFIG SET where `enable-protected-configs` allows it.
    Protected,
    /// By the file and the command line only.
    AtStart,
}

impl Spec {
    /// The first line of the documentation.
    pub fn summary(&self) -> &'static str {
        self.doc[0].trim()
    }

    /// Reads a value for this option; see [`Kind::parse`].
    pub(crate) fn parse(&self, text: &[u8], current: &Value) -> Result<Value, Reason> {
        self.kind.parse(text, current)
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// Finds an option by its name or an alias, in any case; also returns the name that matched.
pub fn find(name: &[u8]) -> Option<(&'static Spec, &'static str)> {
    SPECS.iter().find_map(|spec| {
        let matched = spec.names().find(|candidate| name.eq_ignore_ascii_case(candidate.as_bytes()))?;
        Some((spec, matched))
    })
}

/// The option whose name is most like an unknown one, if any is like it at all.
pub fn nearest(name: &[u8]) -> Option<&'static str> {
    // A third of the letters may be wrong, two at least: `prot`, `max-clients`, `databse`.
    let name = name.to_ascii_lowercase();
    let distance_max = (name.len() / 3).clamp(1, 3);
    // No option's name is that long; the comparison below costs the product of the lengths.
    if name.len() > 64 {
        return None;
    }
    SPECS
        .iter()
        .flat_map(Spec::names)
        .map(|candidate| (distance(&name, candidate.as_bytes()), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words: letters inserted, removed, replaced, or two neighbours swapped.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (at, row) in rows.iter_mut().enumerate() {
        row[0] = at;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

/// Redis keeps these in a C `int`.
const INT_MAX: i64 = i32::MAX as i64;
/// Redis' upper bound for numbers of bytes that it keeps signed.
const BYTES_MAX: u64 = i64::MAX as u64;
const COUNT: Kind = Kind::Integer { min: 0, max: i64::MAX };
const SMALL_COUNT: Kind = Kind::Integer { min: 0, max: INT_MAX };
const PATH: Kind = Kind::Text { check: check::any, expected: "a path", many: false };

macro_rules! options {
    ($($section:literal {
        $($(#[doc = $doc:literal])+
        $id:ident $getter:ident: $type:ty = $name:literal $(| $alias:literal)*, $kind:expr, $default:literal, $change:ident
            $(, example $example:literal)?;)+
    })+) => {
        /// Names an option in code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Id { $($(#[doc = $name] $id,)+)+ }

        /// All options in the order of `kiba.conf`; an [`Id`] is an index into it.
        pub static SPECS: &[Spec] = &[$($(Spec {
            id: Id::$id,
            name: $name,
            aliases: &[$($alias),*],
            kind: $kind,
            default: $default,
            change: Change::$change,
            section: $section,
            doc: &[$($doc),+],
            example: { let example: &[&str] = &[$($example)?]; if example.is_empty() { None } else { Some(example[0]) } },
        },)+)+];

        /// One getter an option. Numbers cost a relaxed load, texts a read lock and a reference count.
        impl Config {
            $($($(#[doc = $doc])+
            #[inline]
            pub fn $getter(&self) -> $type {
                <$type as Read>::read(self.cell(Id::$id))
            })+)+
        }

        /// Every option's value through its own getter, where it is a number.
        #[cfg(test)]
        fn numbers(config: &Config) -> Vec<(Id, Option<i128>)> {
            vec![$($((Id::$id, config.$getter().number()),)+)+]
        }
    };
}

options! {
"Network" {
    /// Addresses to listen on, separated by blanks; `*` and `::*` stand for all of IPv4 and IPv6.
    /// An address with a leading `-` may be missing on this machine. An address may carry the port
    /// (`127.0.0.1:6464`), which then sets `port`. An empty value listens on no TCP address.
    Bind bind: Arc<str> = "bind",
        Kind::Text { check: check::bind, expected: "addresses such as 127.0.0.1 -::1", many: true }, "127.0.0.1", AtStart;
    /// TCP port; 0 listens on no TCP port.
    Port port: u16 = "port", Kind::Integer { min: 0, max: 65535 }, "6464", AtStart;
    /// Path of a Unix socket to listen on; empty for none.
    UnixSocket unixsocket: Arc<str> = "unixsocket", PATH, "", AtStart, example "/run/kiba/kiba.sock";
    /// Permissions of the Unix socket, octal; 0 leaves them to the umask.
    UnixSocketPerm unixsocketperm: u32 = "unixsocketperm", Kind::Octal, "0", AtStart, example "700";
    /// Length of the queue of connections that wait to be accepted; the kernel may allow less.
    TcpBacklog tcp_backlog: u32 = "tcp-backlog", SMALL_COUNT, "511", AtStart;
    /// Close a client that has been idle for this many seconds; 0 never does.
    Timeout timeout: u32 = "timeout", SMALL_COUNT, "0", AnyTime;
    /// Seconds between the kernel's probes of a silent connection; 0 sends none.
    TcpKeepalive tcp_keepalive: u32 = "tcp-keepalive", SMALL_COUNT, "300", AnyTime;
    /// Most clients connected at once; one more gets an error and is closed.
    Maxclients maxclients: u32 = "maxclients", Kind::Integer { min: 1, max: u32::MAX as i64 }, "10000", AnyTime;
}
"Engine and threads" {
    /// The engine that holds the data: sharded (all threads share it) or channel (one task owns it).
    Engine engine: EngineKind = "engine", Kind::Choice(EngineKind::NAMES), "sharded", AtStart;
    /// Threads that serve connections; 0 is one for each core.
    Threads threads: u32 = "threads", Kind::Integer { min: 0, max: 1024 }, "0", AtStart;
    /// How threads share connections: work-stealing, or per-core (a connection stays with its thread).
    Io io: IoModel = "io", Kind::Choice(IoModel::NAMES), "work-stealing", AtStart;
    /// Let all but one thread rest while one answers more, as on cores shared with clients. With work-stealing.
    RestThreads rest_threads: bool = "rest-threads", Kind::Switch, "yes", AtStart;
    /// Do without huge pages: requests cost more, and new memory comes in smaller pieces.
    DisableThp disable_thp: bool = "disable-thp", Kind::Switch, "no", AtStart;
    /// Parts of the sharded engine's table, each with its own lock; a power of two.
    Shards shards: usize = "shards", Kind::PowerOfTwo { min: 2, max: 65536 }, "4096", AtStart;
    /// Messages in the channel engine's queue; when it is full, connections wait.
    Cbound cbound: usize = "cbound", Kind::Integer { min: 1, max: 1 << 20 }, "128", AtStart;
    /// Elements beyond which a command works on copies of its keys, with nothing held meanwhile; 0 never.
    LongCommandElements long_command_elements: usize = "long-command-elements", COUNT, "100000", AnyTime;
    /// Hash function of the keys: default (fast, safe against chosen keys), fnv (trusted clients only), siphash.
    Hasher hasher: Hasher = "hasher", Kind::Choice(Hasher::NAMES), "default", AtStart;
    /// Whose answers to give where the original Kiba differs from Redis: redis or original.
    Dialect dialect: Dialect = "dialect", Kind::Choice(Dialect::NAMES), "redis", AtStart;
    /// Number of databases that SELECT can choose from.
    Databases databases: u32 = "databases", Kind::Integer { min: 1, max: u16::MAX as i64 }, "16", AtStart;
    /// The Redis version to report: clients decide by it which commands they may send.
    CompatVersion compat_version: Arc<str> = "compat-version",
        Kind::Text { check: check::compat_version, expected: "a version such as 7.4.2", many: false }, "7.4.2", AtStart;
}
"Log" {
    /// How much to log: nothing, warning, notice, verbose, debug (the same as verbose) or trace.
    LogLevel loglevel: LogLevel = "loglevel", Kind::Choice(LogLevel::NAMES), "notice", AnyTime;
    /// File to append the log to; empty logs to the standard output.
    LogFile logfile: Arc<str> = "logfile", PATH, "", AtStart;
    /// Form of the log: text for people or json, one object a line, for programs.
    LogFormat log_format: LogFormat = "log-format", Kind::Choice(LogFormat::NAMES), "text", AtStart;
}
"Security" {
    /// Password that a client must give with AUTH or HELLO; empty asks for none.
    /// Clients can try very many passwords a second, so make it long.
    RequirePass requirepass: Arc<str> = "requirepass",
        Kind::Text { check: check::any, expected: "a password", many: false }, "", AnyTime, example "a-very-long-password";
    /// Without a password, serve only clients on this machine: yes or no.
    ProtectedMode protected_mode: bool = "protected-mode", Kind::Switch, "yes", AnyTime;
    /// Who may use DEBUG: no, yes, or local (clients on this machine).
    EnableDebugCommand enable_debug_command: Permission = "enable-debug-command", Kind::Choice(Permission::NAMES), "no", AtStart;
    /// Who may change protected options (dir, dbfilename) by CONFIG SET: no, yes, or local.
    EnableProtectedConfigs enable_protected_configs: Permission = "enable-protected-configs",
        Kind::Choice(Permission::NAMES), "no", AtStart;
}
"Limits" {
    /// Largest string that a client can send or a command can build.
    ProtoMaxBulkLen proto_max_bulk_len: u64 = "proto-max-bulk-len",
        Kind::Bytes { min: 1 << 20, max: BYTES_MAX }, "512mb", AnyTime;
    /// Close a client whose unfinished request is larger than this.
    ClientQueryBufferLimit client_query_buffer_limit: u64 = "client-query-buffer-limit",
        Kind::Bytes { min: 1 << 20, max: BYTES_MAX }, "1gb", AnyTime;
    /// Close a client that lets replies pile up: for each class hard limit, soft limit, seconds.
    /// A client is closed at once above the hard limit, and after the seconds above the soft limit.
    /// 0 is no limit. The classes are normal, replica and pubsub. Redis does not limit normal
    /// clients by default; Kiba does, so that a client that never reads cannot take all memory.
    ClientOutputBufferLimit client_output_buffer_limit: Limits = "client-output-buffer-limit",
        Kind::Limits, "normal 256mb 64mb 60 replica 256mb 64mb 60 pubsub 32mb 8mb 60", AnyTime;
}
"Memory" {
    /// Most memory for data; what happens above it is up to maxmemory-policy. 0 is no limit.
    Maxmemory maxmemory: u64 = "maxmemory", Kind::Bytes { min: 0, max: u64::MAX }, "0", AnyTime;
    /// What makes room above maxmemory; noeviction refuses commands that would need more.
    /// Which keys: allkeys or volatile (those with an expiry). In which order: lru (longest
    /// unused), lfu (least often used), random, or ttl (next to expire; volatile only).
    MaxmemoryPolicy maxmemory_policy: Policy = "maxmemory-policy", Kind::Choice(Policy::NAMES), "noeviction", AnyTime;
    /// Keys compared to find one to evict: more is more exact and slower.
    MaxmemorySamples maxmemory_samples: u32 = "maxmemory-samples", Kind::Integer { min: 1, max: INT_MAX }, "5", AnyTime;
    /// How long a command may evict before it runs, if more is to go: 10 is 0.5 ms, 0 hardly any time, 100 until it is done.
    /// What is left then is evicted in the background.
    MaxmemoryEvictionTenacity maxmemory_eviction_tenacity: u32 = "maxmemory-eviction-tenacity",
        Kind::Integer { min: 0, max: 100 }, "10", AnyTime;
    /// How slowly the counter of lfu grows: about factor * 100,000 uses fill it.
    LfuLogFactor lfu_log_factor: u32 = "lfu-log-factor", SMALL_COUNT, "10", AnyTime;
    /// Minutes after which the counter of lfu drops by one; 0 never drops it.
    LfuDecayTime lfu_decay_time: u32 = "lfu-decay-time", SMALL_COUNT, "1", AnyTime;
    /// Free large evicted values in the background, or else before the command that needs their room.
    LazyfreeLazyEviction lazyfree_lazy_eviction: bool = "lazyfree-lazy-eviction", Kind::Switch, "yes", AnyTime;
    /// Free expired values in the background. Kiba always does; kept for clients that set it.
    LazyfreeLazyExpire lazyfree_lazy_expire: bool = "lazyfree-lazy-expire", Kind::Switch, "yes", AnyTime;
    /// Free overwritten values in the background. Kiba always does; kept for clients that set it.
    LazyfreeLazyServerDel lazyfree_lazy_server_del: bool = "lazyfree-lazy-server-del", Kind::Switch, "yes", AnyTime;
    /// Let DEL free in the background. Kiba always does; kept for clients that set it.
    LazyfreeLazyUserDel lazyfree_lazy_user_del: bool = "lazyfree-lazy-user-del", Kind::Switch, "yes", AnyTime;
    /// Let FLUSHALL free in the background. Kiba always does; kept for clients that set it.
    LazyfreeLazyUserFlush lazyfree_lazy_user_flush: bool = "lazyfree-lazy-user-flush", Kind::Switch, "yes", AnyTime;
}
"Compact encodings" {
    /// Entries of a list's chunk when positive; when negative its size: -1 is 4 kb, then doubling to -5, 64 kb.
    ListMaxListpackSize list_max_listpack_size: i32 = "list-max-listpack-size" | "list-max-ziplist-size",
        Kind::Integer { min: i32::MIN as i64, max: INT_MAX }, "-2", AnyTime;
    /// Chunks at each end of a list that stay uncompressed; 0 compresses none. Kiba never compresses.
    ListCompressDepth list_compress_depth: u32 = "list-compress-depth", SMALL_COUNT, "0", AnyTime;
    /// Most fields of a hash in the compact encoding.
    HashMaxListpackEntries hash_max_listpack_entries: usize = "hash-max-listpack-entries" | "hash-max-ziplist-entries",
        COUNT, "512", AnyTime;
    /// Longest field or value of a hash in the compact encoding, in bytes.
    HashMaxListpackValue hash_max_listpack_value: usize = "hash-max-listpack-value" | "hash-max-ziplist-value",
        Kind::Bytes { min: 0, max: BYTES_MAX }, "64", AnyTime;
    /// Most members of a set of integers in the compact encoding.
    SetMaxIntsetEntries set_max_intset_entries: usize = "set-max-intset-entries", COUNT, "512", AnyTime;
    /// Most members of a set in the compact encoding.
    SetMaxListpackEntries set_max_listpack_entries: usize = "set-max-listpack-entries", COUNT, "128", AnyTime;
    /// Longest member of a set in the compact encoding, in bytes.
    SetMaxListpackValue set_max_listpack_value: usize = "set-max-listpack-value", COUNT, "64", AnyTime;
    /// Most members of a sorted set in the compact encoding.
    ZsetMaxListpackEntries zset_max_listpack_entries: usize = "zset-max-listpack-entries" | "zset-max-ziplist-entries",
        COUNT, "128", AnyTime;
    /// Longest member of a sorted set in the compact encoding, in bytes.
    ZsetMaxListpackValue zset_max_listpack_value: usize = "zset-max-listpack-value" | "zset-max-ziplist-value",
        Kind::Bytes { min: 0, max: BYTES_MAX }, "64", AnyTime;
    /// Most bytes of a node of a stream, unless one entry has more; 0 for no limit.
    StreamNodeMaxBytes stream_node_max_bytes: usize = "stream-node-max-bytes",
        Kind::Bytes { min: 0, max: BYTES_MAX }, "4096", AnyTime;
    /// Most entries of a node of a stream; 0 for no limit.
    StreamNodeMaxEntries stream_node_max_entries: u64 = "stream-node-max-entries", COUNT, "100", AnyTime;
    /// Largest HyperLogLog in the sparse encoding, in bytes; larger ones take 12 kb.
    HllSparseMaxBytes hll_sparse_max_bytes: usize = "hll-sparse-max-bytes",
        Kind::Bytes { min: 0, max: BYTES_MAX }, "3000", AnyTime;
}
"Events and observation" {
    /// Keyspace events to publish, as letters; empty publishes none.
    /// To which channel: K `__keyspace@<db>__:<key>`, E `__keyevent@<db>__:<event>`; at least one is needed.
    /// Which events: g generic, $ string, l list, s set, h hash, z sorted set, t stream, x expired,
    /// e evicted, d module, A all of these; m missed look-ups and n new keys only if named.
    NotifyKeyspaceEvents notify_keyspace_events: Events = "notify-keyspace-events", Kind::Events, "", AnyTime;
    /// Keys that are remembered for clients that keep copies of them (CLIENT TRACKING); 0 is no limit.
    /// At the limit others are forgotten, and their clients told to drop them.
    TrackingTableMaxKeys tracking_table_max_keys: usize = "tracking-table-max-keys", COUNT, "1000000", AnyTime;
    /// Commands that take longer than this many microseconds go to SLOWLOG; 0 logs all, -1 none.
    /// Without effect yet.
    SlowlogLogSlowerThan slowlog_log_slower_than: i64 = "slowlog-log-slower-than",
        Kind::Integer { min: -1, max: i64::MAX }, "10000", AnyTime;
    /// Entries that SLOWLOG keeps.
    /// Without effect yet.
    SlowlogMaxLen slowlog_max_len: usize = "slowlog-max-len", COUNT, "128", AnyTime;
    /// Events that take at least this many milliseconds go to LATENCY; 0 records none.
    /// Without effect yet.
    LatencyMonitorThreshold latency_monitor_threshold: u64 = "latency-monitor-threshold", COUNT, "0", AnyTime;
    /// Keep a latency histogram for each command: yes or no.
    /// Without effect yet.
    LatencyTracking latency_tracking: bool = "latency-tracking", Kind::Switch, "yes", AnyTime;
    /// Milliseconds after which a running script lets other clients know that it is busy; 0 never.
    /// Without effect yet.
    BusyReplyThreshold busy_reply_threshold: u64 = "busy-reply-threshold" | "lua-time-limit", COUNT, "5000", AnyTime;
}
"Persistence" {
    /// When to save snapshots. Kiba does not save any yet, so the only value is empty.
    Save save: Arc<str> = "save",
        Kind::Text { check: check::save, expected: "\"\": Kiba does not save snapshots yet", many: true }, "", AnyTime;
    /// Write an append-only file. Kiba does not yet, so the only value is no.
    AppendOnly appendonly: Arc<str> = "appendonly",
        Kind::Text { check: check::appendonly, expected: "no: Kiba does not write an append-only file yet", many: false },
        "no", AnyTime;
    /// When the append-only file reaches the disk; without effect while appendonly is no.
    AppendFsync appendfsync: Fsync = "appendfsync", Kind::Choice(Fsync::NAMES), "everysec", AtStart;
    /// Working directory, from which relative paths such as logfile start; by default where Kiba was started.
    Dir dir: Arc<str> = "dir", Kind::Text { check: check::dir, expected: "an existing directory", many: false }, "", Protected,
        example "/var/lib/kiba";
    /// Name of the snapshot's file; without effect while no snapshot is saved.
    DbFilename dbfilename: Arc<str> = "dbfilename",
        Kind::Text { check: check::dbfilename, expected: "a file name without a directory", many: false },
        "dump.rdb", Protected;
}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Value;

    #[test]
    fn every_row_is_well_formed() {
        let mut names: Vec<&str> = SPECS.iter().flat_map(Spec::names).collect();
        for name in &names {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
        }
        for (at, spec) in SPECS.iter().enumerate() {
            assert_eq!(spec.id as usize, at, "an id is an index");
            assert!(!spec.summary().is_empty() && spec.summary().ends_with('.'), "{}", spec.name);
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "names are unique");
    }

    #[test]
    fn every_value_reads_back_as_it_prints() {
        let config = Config::default();
        for spec in SPECS {
            let value = config.cell(spec.id).load();
            assert_eq!(spec.kind.parse(spec.kind.print(&value).as_bytes(), &value), Ok(value), "{}", spec.name);
        }
    }

    #[test]
    fn every_range_fits_the_type_of_its_getter() {
        for at in [0, 1] {
            let config = Config::default();
            let ends = |kind| match kind {
                Kind::Integer { min, max } => [i128::from(min), i128::from(max)],
                Kind::PowerOfTwo { min, max } | Kind::Bytes { min, max } => [i128::from(min), i128::from(max)],
                Kind::Octal => [0, 0o777],
                _ => [0, 0],
            };
            for spec in SPECS.iter().filter(|spec| ends(spec.kind) != [0, 0]) {
                config.cell(spec.id).store(&Value::Word(ends(spec.kind)[at] as u64));
            }
            for (id, number) in numbers(&config) {
                let spec = &SPECS[id as usize];
                if ends(spec.kind) != [0, 0] {
                    assert_eq!(number, Some(ends(spec.kind)[at]), "{}", spec.name);
                }
            }
        }
    }

    #[test]
    fn names_and_aliases_are_found_in_any_case() {
        assert_eq!(find(b"PORT").map(|(spec, name)| (spec.id, name)), Some((Id::Port, "port")));
        let found = find(b"Lua-Time-Limit").map(|(spec, name)| (spec.id, name));
        assert_eq!(found, Some((Id::BusyReplyThreshold, "lua-time-limit")));
        assert!(find(b"").is_none());
        assert!(find(b"port ").is_none());
        assert!(find(b"\xff").is_none());
    }

    #[test]
    fn a_slip_of_the_pen_is_recognised() {
        for (name, meant) in [
            ("prot", Some("port")),
            ("pory", Some("port")),
            ("max-clients", Some("maxclients")),
            ("MAXCLIENT", Some("maxclients")),
            ("databse", Some("databases")),
            ("log-level", Some("loglevel")),
            ("lua-time-limits", Some("lua-time-limit")),
            ("daemonize", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(name.as_bytes()), meant, "{name}");
        }
        assert_eq!(nearest(&[b'a'; 1 << 20]), None);
    }
}
