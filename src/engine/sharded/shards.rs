//! The sharded key space: tables behind locks, and the one order in which several locks are taken.
//!
//! Lock order: by [`PartId`], ascending (database, then shard). Whoever needs several parts names them all before it
//! takes the first lock; nobody takes one while holding another in any other way. No lock is ever held across
//! an `.await`: guards exist only inside synchronous functions.

use smallvec::SmallVec;

use super::hot::Copy;
use crate::command::{Held, Keyspace, Parts, Tables};
use crate::store::table::{Geometry, Raw, Table, prefetch_buckets, prefetch_entry};
use crate::store::{Env, Part, PartId, Side, Sought};
use crate::sync::{
    AtomicPtr, AtomicUsize, Cell, CellMut, OnceLock, Ordering, Published, ReadGuard, ShardMap, WriteGuard,
};

/// What lies beside a shard's table, in a cache line of its own.
#[repr(align(64))]
struct Beside {
    /// Where the table is, for prefetching without the lock. Written under the shard's exclusive lock.
    control: AtomicPtr<u8>,
    mask: AtomicUsize,
    /// Published under the shard's shared lock, withdrawn under its exclusive lock before anything changes.
    hot: Published<Copy>,
    /// Guarded by the shard's exclusive lock.
    side: Cell<Side>,
}

#[cfg(not(kiba_model))]
const _: () = assert!(size_of::<Beside>() == 64, "one cache line");

impl Default for Beside {
    fn default() -> Self {
        Self {
            control: AtomicPtr::new(std::ptr::null_mut()),
            mask: AtomicUsize::new(0),
            hot: Published::default(),
            side: Cell::new(Side::default()),
        }
    }
}

/// One database.
struct Database {
    map: ShardMap,
    beside: Box<[Beside]>,
}

impl Database {
    fn new(shards: usize) -> Self {
        Self { map: ShardMap::new(shards), beside: (0..shards).map(|_| Beside::default()).collect() }
    }
}

/// All databases.
pub struct Shards {
    databases: Box<[OnceLock<Database>]>,
    shards: usize,
}

/// One part, locked exclusively.
pub struct Exclusive<'a> {
    // Before `beside` in the order of dropping is `drop` below, which still holds the lock.
    side: CellMut<'a, Side>,
    guard: WriteGuard<'a>,
    beside: &'a Beside,
    env: &'a Env,
    id: PartId,
}

impl Exclusive<'_> {
    #[inline]
    pub fn part(&mut self) -> Part<'_> {
        Part { table: &mut self.guard, side: &mut self.side, env: self.env, id: self.id }
    }
}

impl Drop for Exclusive<'_> {
    #[inline]
    fn drop(&mut self) {
        let (control, mask) = self.guard.geometry();
        // Relaxed: a stale address makes a useless prefetch, nothing else.
        if self.beside.control.load(Ordering::Relaxed).cast_const() != control {
            self.beside.control.store(control.cast_mut(), Ordering::Relaxed);
            self.beside.mask.store(mask, Ordering::Relaxed);
        }
    }
}

impl Shards {
    /// * `databases`: how many can be selected; each is made when it is first used.
    /// * `shards`: parts of each, a power of two.
    pub fn new(databases: u16, shards: usize) -> Self {
        Self { databases: (0..databases).map(|_| OnceLock::new()).collect(), shards }
    }

    pub fn databases(&self) -> u16 {
        self.databases.len() as u16
    }

    /// Number of parts of each database.
    pub fn parts(&self) -> usize {
        self.shards
    }

    pub fn is_used(&self, db: u16) -> bool {
        self.databases[usize::from(db)].get().is_some()
    }

    /// Number of databases in use; it never becomes less.
    pub fn used(&self) -> usize {
        (0..self.databases()).filter(|&db| self.is_used(db)).count()
    }

    /// Whether a part may have keys. Looked at without its lock, so that it is as of a moment ago.
    fn was_used(&self, id: PartId) -> bool {
        self.database(id.db).beside[id.index as usize].mask.load(Ordering::Relaxed) > 0
    }

    /// The part where a hash belongs.
    #[inline]
    pub fn part_of(&self, db: u16, hash: u64) -> PartId {
        PartId { db, index: self.database(db).map.index_of(hash) as u32 }
    }

    #[inline]
    pub fn read(&self, id: PartId, env: &Env) -> ReadGuard<'_> {
        let (map, shard) = (&self.database(id.db).map, id.index as usize);
        match map.try_read(shard) {
            Some(guard) => guard,
            None => {
                contended(env);
                map.read(shard)
            }
        }
    }

    #[inline(always)]
    pub fn write<'a>(&'a self, id: PartId, env: &'a Env) -> Exclusive<'a> {
        let database = self.database(id.db);
        let shard = id.index as usize;
        let guard = match database.map.try_write(shard) {
            Some(guard) => guard,
            None => {
                contended(env);
                database.map.write(shard)
            }
        };
        let beside = &database.beside[shard];
        if !crate::sync::planted("hot-copy-outlives-a-write") {
            beside.hot.withdraw();
        }
        // SAFETY: the shard's exclusive lock is held, and `Exclusive` holds it for as long as the access.
        #[allow(unsafe_code)]
        let side = unsafe { beside.side.get_mut() };
        Exclusive { side, guard, beside, env, id }
    }

    /// The copy of a part's popular entry, if it has one.
    #[inline]
    pub fn hot(&self, id: PartId) -> &Published<Copy> {
        &self.database(id.db).beside[id.index as usize].hot
    }

    /// Publishes a copy of an entry of the part that is locked.
    ///
    /// Only under a shared lock: the next request may change the entry under an exclusive one that is kept, and nobody
    /// would withdraw the copy.
    pub fn publish(&self, lock: &mut Lock<'_>, id: PartId, copy: Copy) {
        if crate::sync::planted("hot-copy-published-without-the-lock") {
            *lock = Lock::None;
        } else if !matches!(lock, Lock::Shared(held, _) if *held == id)
            && !crate::sync::planted("hot-copy-published-by-a-writer")
        {
            return;
        }
        self.hot(id).publish(copy);
    }

    /// Locks several parts shared, in the one order.
    pub fn read_all<'a>(&'a self, mut ids: SmallVec<[PartId; 16]>, env: &Env) -> HeldShared<'a> {
        in_lock_order(&mut ids);
        let guards = ids.iter().map(|&id| self.read(id, env)).collect();
        HeldShared { shards: self, ids, guards }
    }

    /// Locks several parts exclusively, in the one order.
    pub fn write_all<'a>(&'a self, mut ids: SmallVec<[PartId; 16]>, env: &'a Env) -> HeldExclusive<'a> {
        in_lock_order(&mut ids);
        // In place, since what is collected is moved.
        let mut held = HeldExclusive { shards: self, ids, parts: SmallVec::new() };
        held.parts.extend(held.ids.iter().map(|&id| self.write(id, env)));
        crate::fault::point("shards.locked");
        held
    }

    /// Every part of these databases.
    pub fn all_parts(&self, databases: impl IntoIterator<Item = u16>) -> SmallVec<[PartId; 16]> {
        databases.into_iter().flat_map(|db| (0..self.shards as u32).map(move |index| PartId { db, index })).collect()
    }

    /// Asks for the cache lines that the search for these hashes will touch.
    ///
    /// Two passes, so that the memory works on all keys at once: first the buckets, found without the lock from where
    /// the table was last seen; then, under a shared lock that is not waited for, the entries.
    ///
    /// * `lines`: of each entry.
    #[inline]
    pub fn prefetch(&self, db: u16, hashes: impl Iterator<Item = u64> + Clone, lines: usize) {
        let database = self.database(db);
        for hash in hashes.clone() {
            let beside = &database.beside[database.map.index_of(hash)];
            let geometry: Geometry = (beside.control.load(Ordering::Relaxed), beside.mask.load(Ordering::Relaxed));
            prefetch_buckets(geometry, hash);
        }
        for hash in hashes {
            if let Some(table) = database.map.try_read(database.map.index_of(hash)) {
                prefetch_entry(&table, hash, lines);
            }
        }
    }

    /// Asks for the memory that looking for these members of a key's value will touch, if it is a large collection.
    pub fn prefetch_members<'a>(&self, db: u16, hash: u64, key: &[u8], sought: impl Iterator<Item = Sought<'a>>) {
        let mut sought = sought.peekable();
        if sought.peek().is_none() {
            return;
        }
        let map = &self.database(db).map;
        if let Some(table) = map.try_read(map.index_of(hash))
            && let Some(at) = table.find_key(hash, key)
            && let crate::store::Raw::Boxed(object) = table.entry(at).raw()
        {
            object.prefetch(sought);
        }
    }

    #[inline]
    fn database(&self, db: u16) -> &Database {
        self.databases[usize::from(db)].get_or_init(|| Database::new(self.shards))
    }
}

/// The lock of one part, or of none: kept from one request to the next while they go to the same part.
pub enum Lock<'a> {
    None,
    Shared(PartId, ReadGuard<'a>),
    Exclusive(Exclusive<'a>),
}

impl<'a> Lock<'a> {
    /// The table of a part, at least shared. Another part is unlocked first: two are never held this way.
    #[inline]
    pub fn shared(&mut self, shards: &'a Shards, id: PartId, env: &Env) -> &Raw {
        let is_held = match self {
            Self::None => false,
            Self::Shared(held, _) => *held == id,
            Self::Exclusive(exclusive) => exclusive.id == id,
        };
        if !is_held {
            self.unlock();
            self.set(Self::Shared(id, shards.read(id, env)));
        }
        match self {
            Self::Shared(_, guard) => guard,
            Self::Exclusive(exclusive) => &exclusive.guard,
            Self::None => unreachable!("locked above"),
        }
    }

    /// A part, exclusively.
    #[inline]
    pub fn exclusive(&mut self, shards: &'a Shards, id: PartId, env: &'a Env) -> &mut Exclusive<'a> {
        if !matches!(self, Self::Exclusive(exclusive) if exclusive.id == id) {
            self.unlock();
            self.set(Self::Exclusive(shards.write(id, env)));
        }
        match self {
            Self::Exclusive(exclusive) => exclusive,
            Self::None | Self::Shared(..) => unreachable!("locked above"),
        }
    }
}

impl Lock<'_> {
    #[inline]
    fn unlock(&mut self) {
        if !matches!(self, Self::None) {
            *self = Self::None;
        }
    }

    /// Sets what [`Lock::unlock`] has made none, so that there is nothing to drop: that would be a call for each request.
    #[inline]
    fn set(&mut self, lock: Self) {
        let none = std::mem::replace(self, lock);
        debug_assert!(matches!(none, Self::None));
        std::mem::forget(none);
    }
}

/// Notes that a lock was not free at once.
#[cold]
fn contended(env: &Env) {
    env.contended.fetch_add(1, Ordering::Relaxed);
}

/// Sorts and deduplicates: the order in which every set of locks is taken.
fn in_lock_order(ids: &mut SmallVec<[PartId; 16]>) {
    if crate::sync::planted("unordered-locks") {
        // As named by the client, each once.
        let mut seen = SmallVec::<[PartId; 16]>::new();
        ids.retain(|id| {
            !seen.contains(id) && {
                seen.push(*id);
                true
            }
        });
        return;
    }
    ids.sort_unstable();
    ids.dedup();
}

/// Where a part is among those that are held.
///
/// * `shards`: parts of each database.
fn place(ids: &[PartId], id: PartId, shards: usize) -> Option<usize> {
    // Most commands name a few keys.
    if ids.len() <= 16 {
        return ids.iter().position(|&held| held == id);
    }
    // Those on the whole key space hold all parts of some databases, and go to each.
    let databases = (0..ids.len()).step_by(shards);
    databases
        .map(|first| first + id.index as usize)
        .find(|&at| ids.get(at) == Some(&id))
        .or_else(|| ids.binary_search(&id).ok())
}

/// Several parts, locked shared.
pub struct HeldShared<'a> {
    shards: &'a Shards,
    ids: SmallVec<[PartId; 16]>,
    guards: SmallVec<[ReadGuard<'a>; 16]>,
}

impl Tables for HeldShared<'_> {
    fn table(&self, db: u16, hash: u64) -> &Raw {
        let at = place(&self.ids, self.shards.part_of(db, hash), self.shards.parts());
        &self.guards[at.expect("the key was declared")]
    }
}

/// Several parts, locked exclusively.
pub struct HeldExclusive<'a> {
    shards: &'a Shards,
    ids: SmallVec<[PartId; 16]>,
    parts: SmallVec<[Exclusive<'a>; 16]>,
}

impl HeldExclusive<'_> {
    fn find(&self, id: PartId) -> Option<usize> {
        place(&self.ids, id, self.shards.parts())
    }

    fn index(&self, id: PartId) -> usize {
        self.find(id).expect("the key was declared")
    }
}

impl Tables for HeldExclusive<'_> {
    fn table(&self, db: u16, hash: u64) -> &Raw {
        &self.parts[self.index(self.shards.part_of(db, hash))].guard
    }
}

impl Parts for HeldExclusive<'_> {
    fn part(&mut self, db: u16, hash: u64) -> Part<'_> {
        let at = self.index(self.shards.part_of(db, hash));
        self.parts[at].part()
    }

    fn holds(&self, db: u16, hash: u64) -> bool {
        self.find(self.shards.part_of(db, hash)).is_some()
    }
}

impl Keyspace for HeldExclusive<'_> {
    fn databases(&self) -> u16 {
        self.shards.databases()
    }

    fn parts(&self) -> usize {
        self.shards.parts()
    }

    fn is_used(&self, db: u16) -> bool {
        // A database that came into use after the locks were taken comes after this command.
        self.find(PartId { db, index: 0 }).is_some()
    }

    fn read(&mut self, db: u16, part: usize, visit: &mut dyn FnMut(&Raw, usize)) {
        let at = self.index(PartId { db, index: part as u32 });
        visit(&self.parts[at].guard, self.parts[at].side.volatile as usize);
    }

    fn write(&mut self, db: u16, part: usize, visit: &mut dyn FnMut(Part<'_>)) {
        let at = self.index(PartId { db, index: part as u32 });
        visit(self.parts[at].part());
    }
}

impl Held for HeldExclusive<'_> {
    fn swap(&mut self, one: u16, other: u16) {
        if one == other {
            return;
        }
        for index in 0..self.shards.parts() as u32 {
            let pair = [one, other].map(|db| self.index(PartId { db, index }));
            let [one, other] = self.parts.get_disjoint_mut(pair).expect("parts of two databases");
            one.part().swap(&mut other.part());
        }
    }
}

/// The key space without any lock held: each visit locks one part.
pub struct Unheld<'a> {
    pub shards: &'a Shards,
    pub env: &'a Env,
}

impl Keyspace for Unheld<'_> {
    fn databases(&self) -> u16 {
        self.shards.databases()
    }

    fn parts(&self) -> usize {
        self.shards.parts()
    }

    fn is_used(&self, db: u16) -> bool {
        self.shards.is_used(db)
    }

    fn read(&mut self, db: u16, part: usize, visit: &mut dyn FnMut(&Raw, usize)) {
        // The count of volatile keys is guarded by the exclusive lock; a walk is no hot path.
        let mut exclusive = self.shards.write(PartId { db, index: part as u32 }, self.env);
        let part = exclusive.part();
        visit(part.table, part.side.volatile as usize);
    }

    fn look(&mut self, db: u16, part: usize, visit: &mut dyn FnMut(&Raw)) {
        let id = PartId { db, index: part as u32 };
        if self.shards.was_used(id) {
            visit(&self.shards.read(id, self.env));
        }
    }

    fn write(&mut self, db: u16, part: usize, visit: &mut dyn FnMut(Part<'_>)) {
        visit(self.shards.write(PartId { db, index: part as u32 }, self.env).part());
    }
}
