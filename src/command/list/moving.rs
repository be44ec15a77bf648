//! Elements from one list to another: LMOVE RPOPLPUSH LMOVEM.

use std::ops::Range;

use smallvec::{SmallVec, smallvec};

use super::{end_at, popped, push_to, pushed, remove_if_empty};
use crate::command::typed::view;
use crate::command::{Arity, Call, Effect, Effects, Flags, Keys, Run, Slots, Spec};
use crate::error::Error;
use crate::fault;
use crate::reply::Reply;
use crate::store::ListLimits;
use crate::store::list::{Edit, End, View};

pub(in crate::command) const SPECS: &[Spec] = &[
    Spec {
        name: "lmove",
        arity: Arity::exactly(5),
        keys: Keys::TWO,
        run: Run::WriteMany(lmove),
        flags: Flags::DENYOOM,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Returns an element after popping it from one list and pushing it to another. Deletes the list if the last element was moved.",
    },
    Spec {
        name: "rpoplpush",
        arity: Arity::exactly(3),
        keys: Keys::TWO,
        run: Run::WriteMany(rpoplpush),
        flags: Flags::DENYOOM,
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Returns the last element of a list after removing and pushing it to another list. Deletes the list if the last element was popped.",
    },
    Spec {
        name: "lmovem",
        arity: Arity::at_least(5),
        keys: Keys::TWO,
        run: Run::WriteMany(lmovem),
        flags: Flags::DENYOOM,
        since: "8.10.0",
        complexity: "O(N) where N is the number of elements moved.",
        summary: "Moves up to (or exactly) a number of elements from one list to another and returns them. Deletes the source list if it becomes empty.",
    },
];

/// LMOVE source destination LEFT | RIGHT LEFT | RIGHT -> the moved element; nil when the source is missing.
fn lmove(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    move_one(slots, end_at(call, 3)?, end_at(call, 4)?, call, reply)
}

/// RPOPLPUSH source destination -> as LMOVE source destination RIGHT LEFT.
fn rpoplpush(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    move_one(slots, End::Back, End::Front, call, reply)
}

/// `LMOVEM source destination LEFT | RIGHT LEFT | RIGHT [COUNT n | EXACTLY n OBO | BULK]` -> the moved elements in the order
/// that they have in the destination; nil when nothing was moved.
///
/// OBO: as if they were popped and pushed one by one. BULK: their order stays.
fn lmovem(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    move_many(slots, &Many::parse(call, 5)?, call, reply)
}

/// What LMOVEM and BLMOVEM are to move.
pub(super) struct Many {
    from: End,
    to: End,
    most: usize,
    /// With fewer in the source nothing is moved.
    pub least: usize,
    order: Order,
}

impl Many {
    /// Reads the ends, and what may follow from argument `i` on: how many, and how they are arranged.
    pub fn parse(call: &Call<'_>, i: usize) -> Result<Self, Error> {
        let (from, to) = (end_at(call, 3)?, end_at(call, 4)?);
        if call.len() == i {
            return Ok(Self { from, to, most: 1, least: 1, order: Order::Reversed });
        }
        let is_exact = call.is(i, "exactly");
        if call.len() != i + 3 || !is_exact && !call.is(i, "count") {
            return Err(Error::Syntax);
        }
        let most = call.count(i + 1, 1, "ERR count should be greater than 0")?;
        let order = match () {
            () if call.is(i + 2, "obo") => Order::Reversed,
            () if call.is(i + 2, "bulk") => Order::Kept,
            () => return Err(Error::Syntax),
        };
        Ok(Self { from, to, most, least: if is_exact { most } else { 1 }, order })
    }
}

pub(super) fn move_many(
    slots: &mut Slots<'_>,
    &Many { from, to, most, least, order }: &Many,
    call: &Call<'_>,
    reply: &mut Reply,
) -> Result<Effects, Error> {
    if !can_move(slots, least)? {
        reply.nil_array();
        return Ok(Effects::new());
    }
    let mut moved = Moved::default();
    let limits = call.list_limits();
    take(slots, &limits, |list| _ = list.pop_many(from, most, |element| moved.add(element)));
    // From left to right, as the destination will hold them.
    let is_reversed = match order {
        Order::Reversed => to == End::Front,
        Order::Kept => from == End::Back,
    };
    if is_reversed {
        moved.spans.reverse();
    }
    reply.array(moved.spans.len());
    moved.iter().for_each(|element| reply.bulk(element));
    slots.with(1, |slot| match to {
        End::Front => push_to(slot, to, moved.iter().rev(), &limits, call),
        End::Back => push_to(slot, to, moved.iter(), &limits, call),
    })?;
    settle(slots, &limits);
    Ok(smallvec![(1, Effect::Changed(pushed(to))), (0, Effect::Changed(popped(from)))])
}

pub(super) fn move_one(
    slots: &mut Slots<'_>,
    from: End,
    to: End,
    call: &Call<'_>,
    reply: &mut Reply,
) -> Result<Effects, Error> {
    if !can_move(slots, 1)? {
        reply.nil();
        return Ok(Effects::new());
    }
    let limits = call.list_limits();
    let mut element = SmallVec::<[u8; 128]>::new();
    take(slots, &limits, |list| _ = list.pop(from, |popped| element.extend_from_slice(popped)));
    fault::point("lmove.between");
    slots.with(1, |slot| push_to(slot, to, std::iter::once(&element[..]), &limits, call))?;
    settle(slots, &limits);
    reply.bulk(&element);
    Ok(smallvec![(1, Effect::Changed(pushed(to))), (0, Effect::Changed(popped(from)))])
}

/// Whether the source holds `least` elements. Where it does not, the destination may hold anything.
///
/// # Errors
/// [`Error::WrongType`], before anything is changed.
fn can_move(slots: &mut Slots<'_>, least: usize) -> Result<bool, Error> {
    let mut entries = slots.entries();
    let source = view(entries.next().flatten(), View::of)?;
    if source.is_none_or(|source| source.len() < least) {
        return Ok(false);
    }
    view(entries.next().flatten(), View::of)?;
    Ok(true)
}

/// Takes elements out of the source, which may be the destination as well: it stays as it is, even empty.
fn take(slots: &mut Slots<'_>, limits: &ListLimits, pop: impl FnOnce(&mut Edit<'_>)) {
    slots.with(0, |slot| {
        if let Some(list) = slot.entry_mut().and_then(|entry| Edit::of(entry, limits)) {
            pop(&mut list.keeping_form());
        }
    });
}

/// Puts the source in order after the destination has got its elements.
fn settle(slots: &mut Slots<'_>, limits: &ListLimits) {
    slots.with(0, |slot| {
        if let Some(mut list) = slot.entry_mut().and_then(|entry| Edit::of(entry, limits)) {
            list.settle();
        }
        remove_if_empty(slot);
    });
}

/// How elements that are moved together are arranged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Kept,
    /// As pushing one after the other arranges them.
    Reversed,
}

/// Elements on their way from one list to another.
#[derive(Default)]
struct Moved {
    bytes: Vec<u8>,
    spans: Vec<Range<usize>>,
}

impl Moved {
    fn add(&mut self, element: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(element);
        self.spans.push(start..self.bytes.len());
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + DoubleEndedIterator + Clone {
        self.spans.iter().map(|span| &self.bytes[span.clone()])
    }
}
