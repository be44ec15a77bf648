//! Eviction: which keys go when more memory is in use than `maxmemory` allows.
//!
//! As in Redis, a few keys are drawn and the best of them are remembered in a small pool; the best of the pool goes. Keys
//! are drawn from random parts, each looked at under its shared lock; one key goes under the exclusive lock of its part, and
//! no two parts are ever held. Both engines share this: it sees parts through [`Keyspace`].

mod pool;

use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use smallvec::SmallVec;

use self::pool::{Candidate, Pool};
use super::apply::{Changed, apply};
use super::serve::Ready;
use crate::command::{Effect, Event, Keyspace, bytes_of};
use crate::config::Policy;
use crate::fault;
use crate::server::{Count, Server, now};
use crate::store::table::{Raw, Table};
use crate::store::uses::idle_seconds;
use crate::store::{Entry, PartId};
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering, lock};

/// What an eviction has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub state: State,
    /// Bytes of the keys that went, whether they are free yet or not.
    pub freed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No more is in use than allowed.
    Enough,
    /// More has to go: its time was over.
    Partly,
    /// There is no key that may go.
    Nothing,
}

/// How long a command may evict: Redis' formula. `None` until it is done.
pub fn time(tenacity: u32) -> Option<Duration> {
    match tenacity {
        0..=10 => Some(Duration::from_micros(50 * u64::from(tenacity))),
        11..=99 => Some(Duration::from_micros((500.0 * 1.15_f64.powi(tenacity as i32 - 10)) as u64)),
        _ => None,
    }
}

/// Longest that one call of [`Evictor::evict`] takes: others want the thread as well.
const SLICE: Duration = Duration::from_micros(500);

/// Keys between two looks at the clock.
const KEYS_BETWEEN: usize = 16;

/// What is evicted beyond the limit, so that the next writes need no look at all counters: as little as some small keys.
const SPARE_MAX: u64 = 16 * 1024;

/// Bytes that may wait for the reaper; what exceeds it is freed by who evicts it. Otherwise many writers would fill the
/// memory sooner than one thread frees it.
const WAITING_MAX: u64 = 8 << 20;

/// Random parts that are tried before all are gone through.
const PARTS_TRIED: usize = 32;

/// Buckets looked at in one part: as many as hold the usual sample several times over.
const BUCKETS: usize = 32;

/// Pools. Who evicts takes one that is free: threads that evict at the same time do not wait for each other, and
/// whoever evicts alone finds the best of all that he has drawn.
const POOLS: usize = 8;

/// Chooses keys and evicts them.
#[derive(Debug, Default)]
pub struct Evictor {
    pools: [CachePadded<Mutex<Pool>>; POOLS],
    /// Where to begin looking for a free pool: one that was used not long ago.
    next: AtomicUsize,
    /// More has to go than there was time for.
    is_wanted: AtomicBool,
}

impl Evictor {
    /// Has the engine go on in the background.
    pub fn want(&self) {
        // Relaxed, here and below: whoever is to do it is woken after this, or looks again by itself.
        self.is_wanted.store(true, Ordering::Relaxed);
    }

    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    pub fn take_wanted(&self) -> bool {
        self.is_wanted() && self.is_wanted.swap(false, Ordering::Relaxed)
    }

    /// Evicts for a while, if there is need. Nothing may be held.
    pub fn evict(&self, space: &mut dyn Keyspace, server: &Server, ready: &mut Ready) -> Room {
        let mut room = Room { state: State::Enough, freed: 0 };
        if server.excess_bytes() == 0 {
            server.excess.ended(|| server.started.elapsed());
            return room;
        }
        server.excess.began(server.started.elapsed());
        let config = &server.config;
        let policy = config.maxmemory_policy();
        if !policy.evicts() {
            return Room { state: State::Nothing, ..room };
        }
        let begun = Instant::now();
        let time = time(config.maxmemory_eviction_tenacity()).map_or(SLICE, |time| time.min(SLICE));
        let databases = (0..space.databases()).filter(|&db| space.is_used(db)).collect();
        let draw = Draw { policy, server, now: now(), samples: config.maxmemory_samples() as usize, databases };
        let spare = (config.maxmemory() / 1024).min(SPARE_MAX);
        let mut pool = self.pool();
        pool.begin(policy);
        fault::point("evict.begin");
        let mut keys = 0;
        loop {
            match draw.evict_one(&mut pool, space, ready) {
                Some(bytes) => room.freed += bytes,
                None => room.state = State::Nothing,
            }
            let excess = server.excess_bytes();
            // The spare is a matter of what this call has freed: others may evict as well.
            if excess == 0 && (room.state == State::Nothing || room.freed >= spare) {
                server.excess.ended(|| server.started.elapsed());
                return Room { state: State::Enough, ..room };
            }
            if room.state == State::Nothing {
                return room;
            }
            keys += 1;
            if keys % KEYS_BETWEEN == 0 && begun.elapsed() >= time {
                let state = if excess == 0 { State::Enough } else { State::Partly };
                return Room { state, ..room };
            }
        }
    }

    fn pool(&self) -> crate::sync::MutexGuard<'_, Pool> {
        let first = self.next.load(Ordering::Relaxed) % POOLS;
        for at in (first..POOLS).chain(0..first) {
            if let Ok(pool) = self.pools[at].try_lock() {
                return pool;
            }
        }
        // All are in use: wait for one, and let the next in line wait for another.
        self.next.store(first + 1, Ordering::Relaxed);
        lock(&self.pools[first])
    }
}

/// One call's circumstances.
struct Draw<'a> {
    policy: Policy,
    server: &'a Server,
    now: u64,
    samples: usize,
    /// Those in use when the call began.
    databases: SmallVec<[u16; 16]>,
}

impl Draw<'_> {
    /// Evicts one key; its bytes, or `None` when there is none that may go.
    fn evict_one(&self, pool: &mut Pool, space: &mut dyn Keyspace, ready: &mut Ready) -> Option<u64> {
        loop {
            let samples = if self.policy.is_random() { 1 } else { self.samples };
            let hasher = &self.server.env.hasher;
            let is_any = self.sample(space, samples, &mut |id, entry| {
                let score = self.score(entry);
                if pool.wants(score) {
                    pool.add(Candidate { score, id, hash: hasher.hash(entry.key()), key: entry.key().into() });
                }
            });
            while let Some(candidate) = pool.take_best() {
                if let Some(bytes) = self.remove(&candidate, space, ready) {
                    return Some(bytes);
                }
            }
            if !is_any {
                return None;
            }
        }
    }

    /// Visits about `wanted` random keys that may go; false when there is none.
    fn sample(&self, space: &mut dyn Keyspace, wanted: usize, visit: &mut dyn FnMut(PartId, &Entry)) -> bool {
        let databases = &self.databases;
        if databases.is_empty() || self.policy.is_volatile() && self.server.env.agenda.parts().next().is_none() {
            return false;
        }
        let parts = space.parts();
        let mut left = wanted;
        for _ in 0..PARTS_TRIED {
            let (db, part) = (databases[fastrand::usize(..databases.len())], fastrand::usize(..parts));
            left = self.sample_part(space, PartId { db, index: part as u32 }, BUCKETS, left, visit);
            if left == 0 {
                return true;
            }
        }
        if left < wanted {
            return true;
        }
        // They are few. Where those with deadlines are is known.
        if self.policy.is_volatile() {
            let env = &self.server.env;
            return env.agenda.parts().any(|id| self.sample_part(space, id, usize::MAX, wanted, visit) < wanted);
        }
        let first = fastrand::usize(..parts);
        let mut ids = databases.iter().flat_map(|&db| (first..parts).chain(0..first).map(move |part| (db, part)));
        ids.any(|(db, part)| {
            self.sample_part(space, PartId { db, index: part as u32 }, usize::MAX, wanted, visit) < wanted
        })
    }

    /// Visits keys of one part that may go, from a random place on; how many are still wanted then.
    fn sample_part(
        &self,
        space: &mut dyn Keyspace,
        id: PartId,
        buckets: usize,
        wanted: usize,
        visit: &mut dyn FnMut(PartId, &Entry),
    ) -> usize {
        let mut left = wanted;
        space.look(id.db, id.index as usize, &mut |table: &Raw| {
            if table.is_empty() {
                return;
            }
            let all = table.buckets();
            let first = fastrand::usize(..all);
            for at in (first..all).chain(0..first).take(buckets) {
                let Some(entry) = table.entry_in(at) else { continue };
                if self.may_go(entry) {
                    visit(id, entry);
                    left -= 1;
                    if left == 0 {
                        return;
                    }
                }
            }
        });
        left
    }

    fn may_go(&self, entry: &Entry) -> bool {
        !self.policy.is_volatile() || entry.deadline().is_some()
    }

    /// How good it is that an entry goes. It stays the same or rises while nobody uses or changes the entry.
    fn score(&self, entry: &Entry) -> u64 {
        match self.policy {
            Policy::AllkeysLru | Policy::VolatileLru => {
                let used = (self.now / 1000).saturating_sub(idle_seconds(entry, self.now).into());
                u64::MAX - used
            }
            Policy::AllkeysLfu | Policy::VolatileLfu => {
                u64::from(u8::MAX - self.server.env.uses().frequency(entry.clock(), self.now))
            }
            Policy::VolatileTtl => u64::MAX - entry.deadline().unwrap_or(u64::MAX),
            Policy::AllkeysRandom | Policy::VolatileRandom | Policy::Noeviction => 0,
        }
    }

    /// Removes a key, unless it has been used or changed meanwhile; its bytes.
    fn remove(&self, candidate: &Candidate, space: &mut dyn Keyspace, ready: &mut Ready) -> Option<u64> {
        let Candidate { id, hash, ref key, score } = *candidate;
        let mut gone = None;
        space.write(id.db, id.index as usize, &mut |mut part| {
            gone = part.evict(key, hash, |entry| self.may_go(entry) && self.score(entry) >= score);
            if gone.is_some() {
                let changed = || Changed { bytes: key, existed: true, by: 0 };
                apply(&mut part, hash, Effect::Changed(Event("evicted")), changed);
                ready.collect(&mut part);
            }
        });
        let entry = gone?;
        fault::point("evict.taken");
        self.server.stats.add(Count::evicted, 1);
        let bytes = bytes_of(&entry) as u64;
        let reaper = &self.server.env.reaper;
        if self.server.config.lazyfree_lazy_eviction() && reaper.bytes() < WAITING_MAX {
            reaper.free_sized(entry, bytes);
        }
        Some(bytes)
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;

    /// Source: `evictionTimeLimitUs` of Redis 7.
    #[test]
    fn tenacity_is_time() {
        let micros = |tenacity| time(tenacity).map(|time| time.as_micros());
        assert_eq!(
            [0, 1, 10, 11, 50, 99, 100].map(micros),
            [Some(0), Some(50), Some(500), Some(575), Some(133_931), Some(126_205_358), None]
        );
    }
}
