//! A large sorted set of which members have deadlines: beside it a table of these members.
//!
//! Their names are there twice, so a deadline costs about as much as the member did. Members without one cost nothing.

use std::ops::Range;

use super::{Sorted, View};
use crate::store::copy::{Budget, Copied};
use crate::store::timed::Timed;
use crate::store::{Content, Entry, Kind};

#[derive(Clone, Debug)]
pub struct TimedSorted {
    sorted: Sorted,
    /// The members that have a deadline, and no others.
    deadlines: Timed,
}

impl TimedSorted {
    /// A set in which no member has a deadline.
    pub fn new(sorted: Sorted) -> Self {
        Self { sorted, deadlines: Timed::new(Default::default()) }
    }

    /// The beginning of a copy of `from`: of no use before it is finished, but to be dropped.
    pub fn unfinished(from: &Self) -> Self {
        Self { sorted: Sorted::unfinished(&from.sorted), deadlines: Timed::unfinished(&from.deadlines) }
    }

    /// Copies more of `from`, of which this is a copy that is not finished.
    pub fn extend_from(&mut self, from: &Self, budget: &mut Budget) -> Copied {
        match self.sorted.extend_from(&from.sorted, budget) {
            Copied::All => self.deadlines.extend_from(&from.deadlines, budget),
            other => other,
        }
    }

    /// Sets or clears the deadline of a member that is there.
    pub fn set_deadline(&mut self, member: &[u8], deadline: Option<u64>) {
        if deadline.is_none() {
            self.deadlines.remove(member, 0);
            return;
        }
        let name = || Entry::new(member, Content::Inline(Kind::Bytes, b""), None, 0);
        self.deadlines.members_mut().upsert(member, |_| {}, name);
        self.deadlines.set_deadline(member, deadline);
    }

    /// Removes `member`; false when it was not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        self.deadlines.remove(member, 0);
        self.sorted.remove(member).is_some()
    }

    /// Removes the members with these ranks, which are at most the length.
    pub fn remove_range(&mut self, ranks: Range<usize>) {
        for item in View::Large(&self.sorted).range(ranks.clone()) {
            self.deadlines.remove(item.member, 0);
        }
        self.sorted.remove_range(ranks.start, ranks.end);
    }

    /// Removes up to `limit` members that are due; how many.
    pub fn expire(&mut self, now: u64, limit: usize) -> usize {
        let Self { sorted, deadlines } = self;
        deadlines.expire(now, limit, |member| {
            sorted.remove(member);
        })
    }

    /// The set, to be added to and to have its scores changed.
    pub fn sorted_mut(&mut self) -> &mut Sorted {
        &mut self.sorted
    }

    pub fn sorted(&self) -> &Sorted {
        &self.sorted
    }

    pub fn deadline(&self, member: &[u8]) -> Option<u64> {
        self.deadlines.members().find(member).and_then(Entry::deadline)
    }

    pub fn first_deadline(&self) -> Option<u64> {
        self.deadlines.first_deadline()
    }

    /// Whether nothing is left that is not due.
    pub fn is_spent(&self, now: u64) -> bool {
        self.sorted.len() == self.deadlines.members().len() && self.deadlines.is_spent(now)
    }

    /// Approximate bytes on the heap. O(1).
    pub fn heap_bytes(&self) -> usize {
        self.sorted.heap_bytes() + self.deadlines.heap_bytes()
    }

    /// Approximate number of allocations that dropping this frees. O(1).
    pub fn weight(&self) -> usize {
        self.sorted.weight() + self.deadlines.weight()
    }
}
