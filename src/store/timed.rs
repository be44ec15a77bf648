//! Parts of a value with deadlines of their own: the fields of a hash, the members of a set or a sorted set.
//!
//! A large hash of which a field has a deadline is a [`Timed`] table. The exact deadline is in the field's thin entry,
//! so that every look-up sees it; beside the table is an index of the deadlines in their order. From it follow when the
//! sweeper must look at the key, which fields go then, and how many are due but still there, all without a walk over
//! the others. A deadline costs 8 bytes in the entry and about 24 in the index.
//!
//! What is due is removed by [`expire`] in slices. Until then every read and change of a hash passes over it.
//!
//! A set of which a member has a deadline is such a table too, and a sorted set has one beside its tree, of the members
//! with deadlines alone. Neither is passed over piece by piece, since ranks and counts would no longer be at hand:
//! what is due goes before anything is read ([`must_be_pruned`]).

use std::collections::BTreeSet;
use std::ops::Bound;

use super::copy::{Budget, Copied};
use super::members::{Members, hash_member};
use super::timed_pack::{self, TimedPack};
use super::{Entry, Kind, Limits, Object, Raw, Type, hash, set, zset};

/// The latest deadline that a part may have: 48 bits of ms, 8,900 years.
pub const DEADLINE_MAX: u64 = (1 << 48) - 1;

/// The first deadline among the parts of a value.
pub fn first_deadline(value: Raw<'_>) -> Option<u64> {
    match value {
        Raw::Inline(Kind::HashTimed, bytes) => timed_pack::first_deadline(bytes),
        Raw::Boxed(Object::TimedHash(table) | Object::TimedSet(table)) => table.first_deadline(),
        Raw::Boxed(Object::TimedZSet(zset)) => zset.first_deadline(),
        _ => None,
    }
}

/// Whether everything in the value is due, so that its key is as good as gone.
pub fn is_spent(value: Raw<'_>, now: u64) -> bool {
    match value {
        Raw::Inline(Kind::HashTimed, bytes) => timed_pack::is_spent(bytes, now),
        Raw::Boxed(Object::TimedHash(table) | Object::TimedSet(table)) => table.is_spent(now),
        Raw::Boxed(Object::TimedZSet(zset)) => zset.is_spent(now),
        _ => false,
    }
}

/// Number of parts, those that are due among them.
pub fn len(value: Raw<'_>) -> usize {
    match value {
        Raw::Inline(Kind::HashTimed, bytes) => TimedPack::new(bytes, 0).len(),
        Raw::Boxed(Object::TimedHash(table) | Object::TimedSet(table)) => table.members().len(),
        Raw::Boxed(Object::TimedZSet(zset)) => zset.sorted().len(),
        _ => 0,
    }
}

/// Removes parts that are due: up to `limit` of a large value, all of a small one. Returns how many.
pub fn expire(entry: &mut Entry, now: u64, limit: usize) -> usize {
    if entry.kind() == Kind::HashTimed {
        return timed_pack::expire(entry, now);
    }
    match entry.object_mut() {
        Some(Object::TimedHash(table) | Object::TimedSet(table)) => table.expire(now, limit, |_| {}),
        Some(Object::TimedZSet(zset)) => zset.expire(now, limit),
        _ => 0,
    }
}

/// Whether members are due that have to go before the value is read.
pub fn must_be_pruned(value: Raw<'_>, now: u64) -> bool {
    match value {
        Raw::Boxed(Object::TimedSet(_) | Object::TimedZSet(_)) => first_deadline(value).is_some_and(|at| at <= now),
        _ => false,
    }
}

/// The value has no parts that could have deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partless;

/// When a part expires: `None` when there is no such part, `Some(None)` when it has no deadline.
///
/// # Errors
/// [`Partless`] for lists, strings and streams.
pub fn deadline(entry: &Entry, part: &[u8], now: u64) -> Result<Option<Option<u64>>, Partless> {
    match Type::of(entry) {
        Type::Hash => Ok(hash::View::of(entry, now).and_then(|hash| hash.deadline(part))),
        Type::Set => Ok(set::View::of(entry).and_then(|set| set.deadline(part))),
        Type::ZSet => Ok(zset::deadline(entry, part)),
        Type::String | Type::List | Type::Stream => Err(Partless),
    }
}

/// Sets or clears the deadline of a part; false when there is no such part. Called within [`super::Slot::retime`].
pub fn set_deadline(entry: &mut Entry, limits: &Limits, part: &[u8], deadline: Option<u64>, now: u64) -> bool {
    match Type::of(entry) {
        Type::Hash => {
            hash::Edit::of(entry, &limits.hash, now).is_some_and(|mut hash| hash.set_deadline(part, deadline))
        }
        Type::Set => set::Edit::of(entry, &limits.set).is_some_and(|mut set| set.set_deadline(part, deadline)),
        Type::ZSet => zset::Edit::of(entry, &limits.zset).is_some_and(|mut zset| zset.set_deadline(part, deadline)),
        Type::String | Type::List | Type::Stream => false,
    }
}

/// Removes a part; whether nothing is left.
pub fn remove(entry: &mut Entry, limits: &Limits, part: &[u8], now: u64) -> bool {
    match Type::of(entry) {
        Type::Hash => hash::Edit::of(entry, &limits.hash, now).is_some_and(|mut hash| {
            hash.remove(part);
            hash.is_empty()
        }),
        Type::Set => set::Edit::of(entry, &limits.set).is_some_and(|mut set| {
            set.remove(part);
            set.is_empty()
        }),
        Type::ZSet => zset::Edit::of(entry, &limits.zset).is_some_and(|mut zset| {
            zset.remove(part);
            zset.is_empty()
        }),
        Type::String | Type::List | Type::Stream => false,
    }
}

/// A table of members of which some have deadlines.
#[derive(Clone, Debug)]
pub struct Timed {
    members: Members,
    /// Deadline and hash of every member that has a deadline.
    ///
    /// Two members with one hash and one deadline would share a record. With hashes seeded at random nobody can bring
    /// that about; should it happen, both go when they are due.
    deadlines: BTreeSet<(u64, u64)>,
}

impl Timed {
    /// A table of `members`, none of which has a deadline.
    pub fn new(members: Members) -> Self {
        Self { members, deadlines: BTreeSet::new() }
    }

    /// The beginning of a copy of `from`: of no use before it is finished, but to be dropped.
    pub(super) fn unfinished(from: &Self) -> Self {
        Self { members: Members::unfinished(&from.members), deadlines: BTreeSet::new() }
    }

    /// Copies more of `from`, of which this is a copy that is not finished.
    pub(super) fn extend_from(&mut self, from: &Self, budget: &mut Budget) -> Copied {
        let copied = self.members.extend_from(&from.members, budget);
        if copied != Copied::All {
            return copied;
        }
        let rest = match self.deadlines.last() {
            Some(last) => (Bound::Excluded(*last), Bound::Unbounded),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        for record in from.deadlines.range(rest) {
            if !budget.spend(1) {
                return Copied::Some;
            }
            self.deadlines.insert(*record);
        }
        if self.deadlines.len() == from.deadlines.len() { Copied::All } else { Copied::Changed }
    }

    /// Lets `change` edit the entry of `member`, or adds the one that `make` gives. True when it is new; one that is due
    /// was there no more. `change` gets the deadline that it had and is to leave the entry with it or with none.
    pub fn upsert(
        &mut self,
        member: &[u8],
        now: u64,
        change: impl FnOnce(&mut Entry, Option<u64>),
        make: impl FnOnce() -> Entry,
    ) -> bool {
        let (mut old, mut new) = (None, None);
        let is_added = self.members.upsert(
            member,
            |entry| {
                old = entry.deadline();
                change(entry, old.filter(|at| *at > now));
                new = entry.deadline();
            },
            make,
        );
        self.reindex(member, old, new);
        is_added || old.is_some_and(|at| at <= now)
    }

    /// Sets or clears the deadline of a member. False when there is none.
    pub fn set_deadline(&mut self, member: &[u8], deadline: Option<u64>) -> bool {
        let old = self.members.change(member, |entry| {
            let old = entry.deadline();
            entry.set_deadline(deadline);
            old
        });
        let Some(old) = old else { return false };
        self.reindex(member, old, deadline);
        true
    }

    /// Removes a member. False when it was not there, or due.
    pub fn remove(&mut self, member: &[u8], now: u64) -> bool {
        let Some(entry) = self.members.remove(member) else { return false };
        self.reindex(member, entry.deadline(), None);
        !entry.is_expired(now)
    }

    /// Takes a random member out; see `Members::random`.
    pub fn remove_random(&mut self, below: impl FnMut(usize) -> usize) -> Option<Entry> {
        let entry = self.members.remove_random(below)?;
        self.reindex(entry.key(), entry.deadline(), None);
        Some(entry)
    }

    /// Removes up to `limit` members that are due, and hands them to `gone`; how many.
    pub fn expire(&mut self, now: u64, limit: usize, mut gone: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        while count < limit
            && let Some(&(deadline, hash)) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now)
        {
            self.deadlines.pop_first();
            while let Some(entry) = self.members.remove_hash(hash, |entry| entry.deadline() == Some(deadline)) {
                gone(entry.key());
                count += 1;
            }
        }
        count
    }

    pub fn find(&self, member: &[u8], now: u64) -> Option<&Entry> {
        self.members.find(member).filter(|entry| !entry.is_expired(now))
    }

    /// The members, those that are due among them.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// The same, to add members without deadlines.
    pub fn members_mut(&mut self) -> &mut Members {
        &mut self.members
    }

    /// Number of members that are not due. Cost: O(those that are due and still there).
    pub fn len(&self, now: u64) -> usize {
        self.members.len() - self.deadlines.range(..=(now, u64::MAX)).count()
    }

    pub fn first_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Whether nothing is left that is not due.
    pub fn is_spent(&self, now: u64) -> bool {
        self.members.len() == self.deadlines.len() && self.deadlines.last().is_none_or(|(last, _)| *last <= now)
    }

    /// Approximate bytes on the heap. O(1).
    pub fn heap_bytes(&self) -> usize {
        // Nodes of a B-tree are filled to two thirds.
        size_of::<Self>() + self.members.heap_bytes() + self.deadlines.len() * size_of::<(u64, u64)>() * 3 / 2
    }

    /// Approximate number of allocations that dropping this frees. O(1).
    pub fn weight(&self) -> usize {
        self.members.weight() + self.deadlines.len() / 8
    }

    fn reindex(&mut self, member: &[u8], old: Option<u64>, new: Option<u64>) {
        if old == new {
            return;
        }
        let hash = hash_member(member);
        if let Some(old) = old {
            self.deadlines.remove(&(old, hash));
        }
        if let Some(new) = new {
            self.deadlines.insert((new, hash));
        }
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests;
