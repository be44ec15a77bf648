//! Intersection, union and difference of sets.
//!
//! Members are borrowed from the sets where they are, and each operation visits its result, no member twice, without making
//! a set of it.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::ControlFlow;

use ahash::RandomState;

use super::{Form, Member, View};
use crate::store::members::member_hasher;
use crate::store::{Entry, SetLimits};

/// What is done with some sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The members that all of them have.
    Intersection,
    /// The members that any of them has.
    Union,
    /// The members of the first one that none of the others has.
    Difference,
}

/// Members that were found.
type Found<'a> = HashSet<Member<'a>, RandomState>;

/// Longest pack in which members are looked for one by one, the longest by default. With higher limits a product of two
/// lengths would be far too much.
const PACK_MAX: usize = 128;

/// Whether a visitor wants more.
type Flow = ControlFlow<()>;

impl Operation {
    /// The members of the result. A set that does not exist is an empty one.
    pub fn members<'a>(self, sets: &[Option<View<'a>>]) -> Vec<Member<'a>> {
        let mut members = Vec::new();
        let _ = self.visit(sets, |member| {
            members.push(member);
            Flow::Continue(())
        });
        members
    }

    /// How many members the result has; counted no further than `limit`.
    pub fn count(self, sets: &[Option<View<'_>>], limit: usize) -> usize {
        let mut count = 0;
        let _ = self.visit(sets, |_| {
            count += 1;
            if count == limit { Flow::Break(()) } else { Flow::Continue(()) }
        });
        count
    }

    /// The result as a set with the name `key`, in the form that Redis makes of it; None when it is empty.
    pub fn store(self, key: &[u8], clock: u32, sets: &[Option<View<'_>>], limits: &SetLimits) -> Option<Entry> {
        let members = self.members(sets);
        let form = match self {
            Self::Intersection => {
                let starts_as_ints = matches!(sets.iter().flatten().min_by_key(|set| set.len()), Some(View::Ints(_)));
                let form = if starts_as_ints { Form::Ints } else { Form::Packed }.after(&members, limits);
                // Integers that were not in the smallest set as such become an intset in the end.
                let is_small = members.len() <= limits.max_intset_entries;
                if is_small && members.iter().all(|member| member.as_int().is_some()) { Form::Ints } else { form }
            }
            Self::Union => Form::Ints.after(&members, limits),
            Self::Difference => match sets {
                // All members of the first set were in it once.
                [Some(first), others @ ..] if Way::choose(*first, others) == Way::TakeOut => {
                    Form::Ints.after(&first.iter().collect::<Vec<_>>(), limits)
                }
                _ => Form::Ints.after(&members, limits),
            },
        };
        (!members.is_empty()).then(|| form.fill(key, clock, &members))
    }

    /// About how many members are gone through.
    pub fn work(self, sets: &[Option<View<'_>>]) -> usize {
        let lens = || sets.iter().map(|set| set.map_or(0, View::len));
        let all = lens().fold(0, usize::saturating_add);
        match self {
            Self::Intersection => lens().min().unwrap_or(0).saturating_mul(sets.len()),
            Self::Union => all,
            Self::Difference => lens().next().unwrap_or(0).saturating_mul(sets.len()).min(all),
        }
    }

    fn visit<'a>(self, sets: &[Option<View<'a>>], visit: impl FnMut(Member<'a>) -> Flow) -> Flow {
        match (self, sets) {
            (Self::Intersection, _) => match sets.iter().copied().collect::<Option<Vec<_>>>() {
                Some(sets) => intersect(sets, visit),
                None => Flow::Continue(()),
            },
            (Self::Union, _) => unite(&sets.iter().flatten().copied().collect::<Vec<_>>(), visit),
            (Self::Difference, [Some(first), others @ ..]) => subtract(*first, others, visit),
            (Self::Difference, _) => Flow::Continue(()),
        }
    }
}

/// In the order of the smallest set. Cost: O(members of the smallest set * sets).
fn intersect<'a>(mut sets: Vec<View<'a>>, visit: impl FnMut(Member<'a>) -> Flow) -> Flow {
    sets.sort_by_key(|set| set.len());
    let Some((&smallest, others)) = sets.split_first() else { return Flow::Continue(()) };
    let others = others.iter().filter(|other| !other.is(smallest));
    let others: Vec<Probe<'_>> = others.map(|other| Probe::new(*other)).collect();
    smallest.iter().filter(|member| others.iter().all(|other| other.contains(member))).try_for_each(visit)
}

/// Integers alone are ascending, else set after set. Cost: O(all members), O(n log n) for integers alone.
fn unite<'a>(sets: &[View<'a>], mut visit: impl FnMut(Member<'a>) -> Flow) -> Flow {
    if let [only] = sets {
        return only.iter().try_for_each(visit);
    }
    if let Some(ints) = all_ints(sets) {
        return ints.into_iter().map(Member::from_int).try_for_each(visit);
    }
    // The largest table is asked itself, which spares remembering its members.
    let tables = sets.iter().enumerate().filter(|(_, set)| matches!(set, View::Table(_)));
    let largest = tables.max_by_key(|(_, set)| set.len());
    let mut seen = Found::with_hasher(member_hasher().clone());
    for (i, set) in sets.iter().enumerate() {
        for member in set.iter() {
            let is_new = match largest {
                Some((at, _)) if i == at => !seen.contains(&member),
                Some((at, largest)) if i > at && largest.contains(&member) => false,
                _ => seen.insert(member),
            };
            if is_new {
                visit(member)?;
            }
        }
    }
    Flow::Continue(())
}

/// The integers of the sets, ascending; None when they hold anything else.
fn all_ints(sets: &[View<'_>]) -> Option<Vec<i64>> {
    let mut ints = Vec::new();
    for set in sets {
        let View::Ints(it) = set else { return None };
        ints.extend(it.iter());
    }
    ints.sort_unstable();
    ints.dedup();
    Some(ints)
}

/// How a difference is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Nothing is left: one of the others is the first set itself.
    Nothing,
    /// Each member is looked for in the others. O(members of the first set * sets).
    Look,
    /// The others' members are taken out of a copy, or remembered, whichever takes less memory. O(all members).
    TakeOut,
}

impl Way {
    /// Redis' estimate: looking costs half as much for each member, and ends early when it is found.
    fn choose(first: View<'_>, others: &[Option<View<'_>>]) -> Self {
        let others = || others.iter().flatten();
        let look = first.len().saturating_mul(1 + others().count()) / 2;
        let take_out = others().fold(first.len(), |sum, other| sum.saturating_add(other.len()));
        match () {
            () if others().any(|other| other.is(first)) => Self::Nothing,
            () if look <= take_out => Self::Look,
            () => Self::TakeOut,
        }
    }
}

/// In the order of the first set.
fn subtract<'a>(first: View<'a>, others: &[Option<View<'a>>], visit: impl FnMut(Member<'a>) -> Flow) -> Flow {
    let way = Way::choose(first, others);
    let mut others: Vec<View<'_>> = others.iter().flatten().copied().collect();
    match way {
        Way::Nothing => Flow::Continue(()),
        Way::Look => {
            // A large set is the most likely to have a member.
            others.sort_by_key(|other| Reverse(other.len()));
            let others: Vec<Probe<'_>> = others.into_iter().map(Probe::new).collect();
            first.iter().filter(|member| !others.iter().any(|other| other.contains(member))).try_for_each(visit)
        }
        Way::TakeOut if others.iter().map(|other| other.len()).sum::<usize>() < first.len() => {
            let mut gone = Found::with_hasher(member_hasher().clone());
            others.iter().for_each(|other| gone.extend(other.iter()));
            first.iter().filter(|member| !gone.contains(member)).try_for_each(visit)
        }
        Way::TakeOut => {
            let mut left = Found::with_capacity_and_hasher(first.len(), member_hasher().clone());
            left.extend(first.iter());
            for other in others {
                if left.is_empty() {
                    break;
                }
                other.iter().for_each(|member| {
                    left.remove(&member);
                });
            }
            first.iter().filter(|member| left.contains(member)).try_for_each(visit)
        }
    }
}

/// A set in which many members are looked for.
enum Probe<'a> {
    Set(View<'a>),
    Found(Found<'a>),
}

impl<'a> Probe<'a> {
    fn new(set: View<'a>) -> Self {
        match set {
            View::Packed(pack) if pack.len() > PACK_MAX => {
                let mut found = Found::with_capacity_and_hasher(pack.len(), member_hasher().clone());
                found.extend(set.iter());
                Self::Found(found)
            }
            _ => Self::Set(set),
        }
    }

    fn contains(&self, member: &Member<'_>) -> bool {
        match self {
            Self::Set(set) => set.contains(member),
            Self::Found(found) => found.contains(member),
        }
    }
}
