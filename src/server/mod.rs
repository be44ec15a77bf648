//! The server's shared state: configuration, clients, statistics, pause and shutdown. No data lives here.

pub mod block;
mod calls;
pub mod clients;
mod excess;
pub mod gate;
pub mod home;
pub mod keeper;
pub mod monitor;
mod notifications;
pub mod open_files;
pub mod outbox;
mod pace;
pub mod pause;
pub mod peer;
pub mod pubsub;
mod reserve;
mod stats;
pub mod stripe;
pub mod tracking;

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

pub use calls::{CallStats, Calls};
use clients::Clients;
pub use excess::Excess;
use monitor::Monitors;
use notifications::Announcer;
pub use pace::Pace;
pub use pause::{Pause, PauseMode};
pub use pubsub::PubSub;
pub use reserve::Reserve;
pub use stats::{Count, Stats, Tally};
use tracking::Tracking;

use crate::config::{Config, Events};
use crate::log::Log;
use crate::store::stream::NodeLimit;
use crate::store::{Env, HashLimits, Heard, KeyHasher, Limits, ListLimits, SetLimits, Uses, ZSetLimits};
use crate::sync::{Arc, AtomicBool};

/// How long freed memory is kept for what comes next, where no keeper gives it back.
const KEEP_FREED: Duration = Duration::from_secs(10);

/// The same with `maxmemory`, which what is freed counts towards.
const KEEP_FREED_BOUNDED: Duration = Duration::from_secs(1);

/// As many MIGRATEs at once as Redis keeps connections for them.
const MIGRATIONS: usize = 64;

/// Shared by all connections and the engine.
pub struct Server {
    pub config: Arc<Config>,
    pub clients: Clients,
    pub stats: Stats,
    /// Commands per second, for INFO.
    pub pace: Pace,
    pub pause: Pause,
    pub pubsub: Arc<PubSub>,
    pub tracking: Arc<Tracking>,
    pub monitors: Monitors,
    pub env: Env,
    /// Turns of long commands, whose copies take memory: as many at once as there are cores, and two at least.
    pub turns: tokio::sync::Semaphore,
    /// Turns of MIGRATE: each has a connection, and a value in memory.
    pub migrations: tokio::sync::Semaphore,
    /// Set when there may be keys to evict without a command that asks for memory: CONFIG SET has lowered the limit.
    pub room_wanted: AtomicBool,
    /// What is kept free of `maxmemory`.
    pub reserve: Reserve,
    /// Since when more memory is in use than allowed.
    pub excess: Excess,
    /// Bytes in use when the server was made.
    pub startup_bytes: u64,
    pub started: Instant,
    pub started_at: u64,
    /// 40 random hexadecimal digits that name this run.
    pub run_id: String,
    log: Option<Log>,
}

impl Server {
    /// * `log`: to be told when `loglevel` changes; none in tests.
    pub fn new(config: Arc<Config>, log: Option<Log>) -> Arc<Self> {
        use crate::config::Hasher;
        let hasher = match config.hasher() {
            Hasher::Default => KeyHasher::seeded(),
            Hasher::Fnv => KeyHasher::Fnv,
            Hasher::SipHash => KeyHasher::sip(),
        };
        let (pubsub, tracking) = <(Arc<PubSub>, Arc<Tracking>)>::default();
        let env = Env::new(hasher);
        env.set_audience(Box::new(Announcer {
            config: Arc::clone(&config),
            pubsub: Arc::clone(&pubsub),
            tracking: Arc::clone(&tracking),
        }));
        let server = Arc::new(Self {
            clients: Clients::default(),
            stats: Stats::default(),
            pace: Pace::default(),
            pause: Pause::default(),
            pubsub,
            tracking,
            monitors: Monitors::default(),
            env,
            turns: tokio::sync::Semaphore::new(
                std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2)),
            ),
            migrations: tokio::sync::Semaphore::new(MIGRATIONS),
            room_wanted: AtomicBool::new(false),
            reserve: Reserve::default(),
            excess: Excess::default(),
            startup_bytes: crate::memory::used(),
            started: Instant::now(),
            started_at: now(),
            run_id: random_hex(40),
            log,
            config,
        });
        server.apply_events();
        server.apply_policy();
        server
    }

    /// Listens to keyspace events as far as `notify-keyspace-events` asks for them now.
    pub fn apply_events(&self) {
        let events = self.config.notify_keyspace_events();
        let is_published = events.contains(Events::KEYSPACE) || events.contains(Events::KEYEVENT);
        self.env.set_heard(Heard::EVENTS, is_published);
        self.env.set_heard(Heard::MISSES, events.publishes(Events::MISS));
    }

    /// Ends all that a client listens to: it has gone, or is to be as a new one.
    pub fn forget(&self, client: &clients::Client) {
        self.pubsub.leave(client);
        self.monitors.remove(client);
        self.tracking.stop(client, &self.env);
    }

    /// The thresholds of the compact encodings, as configured now.
    pub fn limits(&self) -> Limits {
        Limits {
            list: self.list_limits(),
            set: self.set_limits(),
            hash: self.hash_limits(),
            zset: self.zset_limits(),
            stream_node: self.stream_node(),
        }
    }

    #[inline]
    pub fn list_limits(&self) -> ListLimits {
        ListLimits { max_listpack_size: self.config.list_max_listpack_size() }
    }

    #[inline]
    pub fn set_limits(&self) -> SetLimits {
        SetLimits {
            max_intset_entries: self.config.set_max_intset_entries(),
            max_listpack_entries: self.config.set_max_listpack_entries(),
            max_listpack_value: self.config.set_max_listpack_value(),
        }
    }

    #[inline]
    pub fn hash_limits(&self) -> HashLimits {
        HashLimits {
            max_listpack_entries: self.config.hash_max_listpack_entries(),
            max_listpack_value: self.config.hash_max_listpack_value(),
        }
    }

    #[inline]
    pub fn zset_limits(&self) -> ZSetLimits {
        ZSetLimits {
            max_listpack_entries: self.config.zset_max_listpack_entries(),
            max_listpack_value: self.config.zset_max_listpack_value(),
        }
    }

    #[inline]
    pub fn stream_node(&self) -> NodeLimit {
        NodeLimit { bytes: self.config.stream_node_max_bytes(), entries: self.config.stream_node_max_entries() }
    }

    /// Whether a command that may need memory can run as things are. Looks at all of the memory only near the limit.
    #[inline]
    pub fn has_room(&self) -> bool {
        let limit = self.memory_limit();
        if limit == 0 {
            return true;
        }
        let has_room = crate::memory::is_within(limit, || self.look_at_resident());
        if has_room {
            self.excess.ended(|| self.started.elapsed());
        }
        has_room
    }

    /// What may be in use: `maxmemory`, or less while too much is resident; 0 for no limit.
    #[inline]
    fn memory_limit(&self) -> u64 {
        self.config.maxmemory().saturating_sub(self.reserve.bytes())
    }

    #[cold]
    fn look_at_resident(&self) {
        if self.config.maxmemory_policy().evicts() {
            self.reserve.look(self.started, self.config.maxmemory(), crate::memory::resident_now);
        }
    }

    /// Bytes in use above that limit, without what is about to be freed.
    pub fn excess_bytes(&self) -> u64 {
        match self.memory_limit() {
            0 => 0,
            limit => crate::memory::used().saturating_sub(self.env.reaper.bytes()).saturating_sub(limit),
        }
    }

    /// Whether a command that makes something large has to give up. Where keys are evicted memory is always about as
    /// much as is allowed, so it may then be an eighth more.
    pub fn is_out_of_memory(&self) -> bool {
        let limit = self.config.maxmemory();
        let spare = if self.config.maxmemory_policy().evicts() { limit / 8 } else { 0 };
        limit != 0 && crate::memory::used() > limit.saturating_add(spare)
    }

    /// Has uses of keys noted as `maxmemory-policy` asks for it now, and memory taken as `maxmemory` does.
    pub fn apply_policy(&self) {
        let config = &self.config;
        self.reserve.reset();
        let is_bounded = config.maxmemory() != 0;
        crate::memory::keep_freed_for(Some(if is_bounded { KEEP_FREED_BOUNDED } else { KEEP_FREED }));
        #[cfg(target_os = "linux")]
        if is_bounded || config.disable_thp() {
            // Huge pages are resident as a whole for one block that is in use. Where the system does not allow it, the
            // reserve has more to do.
            let _ = rustix::thread::disable_transparent_huge_pages(true);
        }
        self.env.set_uses(if config.maxmemory_policy().counts_uses() {
            Uses::counted(config.lfu_log_factor(), config.lfu_decay_time())
        } else {
            Uses::LAST
        });
    }

    /// Whether so many bytes more stay within `maxmemory`.
    pub fn has_memory(&self, bytes: usize) -> bool {
        let limit = self.config.maxmemory();
        limit == 0 || crate::memory::used().saturating_add(bytes as u64) <= limit
    }

    /// Logs at the level that is configured now.
    pub fn apply_log_level(&self) {
        if let Some(log) = &self.log {
            log.set_level(self.config.loglevel());
        }
    }

    /// Asks everything to stop: no new connections, what was read is answered, then the process ends.
    pub fn request_stop(&self) {
        self.clients.gate.close();
        self.clients.wake_all();
    }

    pub fn is_stopping(&self) -> bool {
        self.clients.gate.is_closed()
    }

    /// Waits until somebody asks for the end.
    pub async fn stopped(&self) {
        self.clients.gate.until_closed().await;
    }
}

/// Milliseconds since the Unix epoch.
pub fn now() -> u64 {
    // A clock before 1970 reads as the beginning of 1970: deadlines then lie in the future, which loses nothing.
    read_clock(ClockId::Realtime).as_millis() as u64
}

/// The time that a clock shows; that of a CPU time clock is what this thread or the process has used.
pub fn read_clock(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
}

fn random_hex(digits: usize) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for i in 0..digits.div_ceil(16) {
        // The hasher's keys are drawn from the operating system.
        let _ = write!(text, "{:016x}", ahash::RandomState::new().hash_one(i));
    }
    text.truncate(digits);
    text
}
