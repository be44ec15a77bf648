//! Copies of collections, made slice by slice while the original stays as it is.
//!
//! A copy is built of the same pieces as the original: chunks of a list, segments of a table, leaves of a tree. What it
//! holds already says where it goes on, so there is no other state; and everything in it is in the same order. Its maker
//! sees to it that the original does not change meanwhile, or begins anew. Should it have changed nevertheless, the copy
//! is of no use, but nothing worse happens.

use super::entry::Content;
use super::timed::Timed;
use super::zset::{Sorted, TimedSorted};
use super::{Entry, Object, Raw, deque, hash, list, members, set, zset};

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    All,
    Some,
    /// The original is another one by now.
    Changed,
}

/// Elements that one slice may still copy.
#[derive(Debug)]
pub struct Budget(pub usize);

impl Budget {
    /// Takes the cost of a piece that is copied; false when nothing is left for it.
    pub(super) fn spend(&mut self, cost: usize) -> bool {
        let has_some = self.0 > 0;
        if has_some {
            self.0 = self.0.saturating_sub(cost.max(1));
        }
        has_some
    }
}

/// Elements of a collection, those that are due among them; 0 for what is copied at once.
pub fn elements(entry: &Entry) -> usize {
    match entry.raw() {
        Raw::Boxed(Object::Stream(_)) | Raw::Int(_) | Raw::Shared(_) => 0,
        _ => len(entry).unwrap_or(0),
    }
}

/// Whether a list, a set, a hash or a sorted set has no element, as none that is there may be.
pub fn is_empty(entry: &Entry) -> bool {
    len(entry) == Some(0)
}

fn len(entry: &Entry) -> Option<usize> {
    let len = list::View::of(entry).map(list::View::len);
    let len = len.or_else(|| set::View::of(entry).map(set::View::len));
    let len = len.or_else(|| zset::View::of(entry).map(zset::View::len));
    len.or_else(|| hash::View::of(entry, 0).map(hash::View::len))
}

/// Begins a copy: of a small value all, of a large collection nothing yet. None for a large stream, of which no copies
/// are made this way.
pub fn begin(entry: &Entry, clock: u32) -> Option<Entry> {
    let Raw::Boxed(object) = entry.raw() else { return Some(entry.duplicate(entry.key(), clock)) };
    let copy = match object {
        Object::List(deque) => Object::List(deque::Deque::unfinished(deque)),
        Object::Set(members) => Object::Set(members::Members::unfinished(members)),
        Object::Hash(members) => Object::Hash(members::Members::unfinished(members)),
        Object::ZSet(sorted) => Object::ZSet(Sorted::unfinished(sorted)),
        Object::TimedHash(timed) => Object::TimedHash(Box::new(Timed::unfinished(timed))),
        Object::TimedSet(timed) => Object::TimedSet(Box::new(Timed::unfinished(timed))),
        Object::TimedZSet(timed) => Object::TimedZSet(Box::new(TimedSorted::unfinished(timed))),
        Object::Stream(_) => return None,
    };
    Some(Entry::new(entry.key(), Content::Boxed(Box::new(copy)), entry.deadline(), clock))
}

/// Copies one more slice.
///
/// * `copy`: what [`begin`] made of the same entry, and perhaps some slices.
pub fn go_on(entry: &Entry, copy: &mut Entry, mut budget: Budget) -> Copied {
    let Raw::Boxed(object) = entry.raw() else {
        return if copy.object_mut().is_none() { Copied::All } else { Copied::Changed };
    };
    let Some(copy) = copy.object_mut() else { return Copied::Changed };
    let budget = &mut budget;
    match (object, copy) {
        (Object::List(from), Object::List(to)) => to.extend_from(from, budget),
        (Object::Set(from), Object::Set(to)) | (Object::Hash(from), Object::Hash(to)) => to.extend_from(from, budget),
        (Object::ZSet(from), Object::ZSet(to)) => to.extend_from(from, budget),
        (Object::TimedHash(from), Object::TimedHash(to)) | (Object::TimedSet(from), Object::TimedSet(to)) => {
            to.extend_from(from, budget)
        }
        (Object::TimedZSet(from), Object::TimedZSet(to)) => to.extend_from(from, budget),
        _ => Copied::Changed,
    }
}

/// Appends pieces of `from` that `to` does not have yet.
///
/// * `cost`: of a piece, in elements.
pub(super) fn append<T>(
    from: &[T],
    to: &mut Vec<T>,
    budget: &mut Budget,
    cost: impl Fn(&T) -> usize,
    copy: impl Fn(&T) -> T,
) -> Copied {
    let Some(rest) = from.get(to.len()..) else { return Copied::Changed };
    for piece in rest {
        if !budget.spend(cost(piece)) {
            return Copied::Some;
        }
        to.push(copy(piece));
    }
    Copied::All
}

#[cfg(all(test, not(kiba_loom)))]
mod tests;
