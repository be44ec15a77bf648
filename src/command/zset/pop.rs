//! Members taken from a sorted set: ZPOPMIN ZPOPMAX ZMPOP, and ZRANDMEMBER, which leaves them where they are.

use std::collections::HashSet;

use super::super::typed::{edit, view};
use super::super::{Arity, Call, Effect, Effects, Event, Flags, Keys, Long, Run, Slots, Spec};
use super::{write_item, write_items_len};
use crate::error::Error;
use crate::number::parse_i64;
use crate::reply::{Reply, Resp};
use crate::store::zset::{Edit, Item, View};
use crate::store::{Entry, Slot};

pub(in super::super) const SPECS: &[Spec] = &[
    Spec {
        name: "zpopmin",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(zpopmin),
        flags: Flags::FAST,
        since: "5.0.0",
        complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped.",
    },
    Spec {
        name: "zpopmax",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(zpopmax),
        flags: Flags::FAST,
        since: "5.0.0",
        complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Returns the highest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped.",
    },
    Spec {
        name: "zmpop",
        arity: Arity::at_least(4),
        keys: Keys::Counted { has_target: false, count: 1 },
        run: Run::WriteMany(zmpop),
        flags: Flags::NONE,
        since: "7.0.0",
        complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Returns the highest- or lowest-scoring members from one or more sorted sets after removing them. Deletes the sorted set if the last member was popped.",
    },
    Spec {
        name: "zrandmember",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Long(&Long { repeats: true, ..Long::read(Run::Read(zrandmember), work_of_zrandmember) }),
        flags: Flags::NONE,
        since: "6.2.0",
        complexity: "O(N) where N is the number of members returned",
        summary: "Returns one or more random members from a sorted set.",
    },
];

/// `ZPOPMIN key [count]` -> the members with the lowest scores, each followed by its score. With a count they are pairs
/// in RESP3.
fn zpopmin(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    zpop(slot, call, reply, End::Min)
}

/// `ZPOPMAX key [count]`: the same from the highest score.
fn zpopmax(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    zpop(slot, call, reply, End::Max)
}

fn zpop(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply, end: End) -> Result<Effect, Error> {
    let count = match call.len() {
        2 => None,
        3 => {
            let count = parse_i64(call.arg(2)).and_then(|count| usize::try_from(count).ok());
            Some(count.ok_or(Error::MustBePositive)?)
        }
        _ => return Err(Error::Syntax),
    };
    let limits = call.zset_limits();
    let Some(mut zset) = edit(slot, &limits, Edit::of)? else {
        reply.array(0);
        return Ok(Effect::None);
    };
    let count = zset.len().min(count.unwrap_or(1));
    let in_pairs = call.len() == 3 && reply.resp() == Resp::V3;
    reply.array(if in_pairs { count } else { 2 * count });
    if pop(&mut zset, end, count, in_pairs, reply) {
        slot.remove();
    }
    Ok(if count > 0 { Effect::Changed(end.popped()) } else { Effect::None })
}

/// `ZMPOP numkeys key ... MIN | MAX [COUNT count]` -> the first key that exists, and pairs of members and scores;
/// nil when there is none.
fn zmpop(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    let (end, count) = parse_mpop(call, 1)?;
    let limits = call.zset_limits();
    for i in 0..slots.len() {
        let key = slots.key(i);
        let effect = slots.with(i, |slot| {
            let Some(mut zset) = edit(slot, &limits, Edit::of)? else { return Ok(None) };
            let count = zset.len().min(count);
            reply.array(2);
            reply.bulk(key);
            reply.array(count);
            if pop(&mut zset, end, count, true, reply) {
                slot.remove();
            }
            Ok(Some(Effect::Changed(end.popped())))
        })?;
        if let Some(effect) = effect {
            return Ok([(i, effect)].into_iter().collect());
        }
    }
    reply.nil_array();
    Ok(Effects::new())
}

/// Where to pop and how many, of ZMPOP and its like, whose number of keys is argument `at`.
pub(super) fn parse_mpop(call: &Call<'_>, at: usize) -> Result<(End, usize), Error> {
    let keys = call.count(at, 1, "ERR numkeys should be greater than 0")?;
    let place = keys.checked_add(at + 1).filter(|place| *place < call.len()).ok_or(Error::Syntax)?;
    let end = if call.is(place, "min") {
        End::Min
    } else if call.is(place, "max") {
        End::Max
    } else {
        return Err(Error::Syntax);
    };
    match call.len() - place {
        1 => Ok((end, 1)),
        // A count that is no number is worse than whatever follows it.
        3.. if call.is(place + 1, "count") => {
            let count = call.count(place + 2, 1, "ERR count should be greater than 0")?;
            if call.len() - place > 3 { Err(Error::Syntax) } else { Ok((end, count)) }
        }
        _ => Err(Error::Syntax),
    }
}

/// Writes and removes `count` members, which are there, from one end. True, and nothing removed, when these are all: then
/// the key is to be removed, which needs no order.
pub(super) fn pop(zset: &mut Edit<'_>, end: End, count: usize, in_pairs: bool, reply: &mut Reply) -> bool {
    let view = zset.view();
    let len = view.len();
    let write = |item: Item<'_>| {
        if in_pairs {
            reply.array(2);
        }
        reply.bulk(item.member);
        reply.double(item.score);
    };
    let ranks = match end {
        End::Min => 0..count,
        End::Max => len - count..len,
    };
    match end {
        End::Min => view.range(ranks.clone()).for_each(write),
        End::Max => view.range(ranks.clone()).rev().for_each(write),
    }
    if count == len {
        return true;
    }
    zset.remove_range(ranks);
    false
}

/// `ZRANDMEMBER key [count [WITHSCORES]]` -> a random member; with a count an array of different ones, with a negative
/// count each drawn anew.
fn zrandmember(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    if call.len() == 2 {
        match view(entry, View::of)?.and_then(|zset| zset.get(fastrand::usize(..zset.len()))) {
            Some(item) => reply.bulk(item.member),
            None => reply.nil(),
        }
        return Ok(());
    }
    let count = call.signed(2)?;
    let with_scores = call.len() == 4 && call.is(3, "withscores");
    if call.len() > 3 && !with_scores {
        return Err(Error::Syntax);
    }
    // Twice the number must be a number.
    if with_scores && !(-(i64::MAX / 2)..=i64::MAX / 2).contains(&count) {
        return Err(Error::OutOfRange);
    }
    let Some(zset) = view(entry, View::of)? else {
        reply.array(0);
        return Ok(());
    };
    let total = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 {
        repeat_random(zset, total, with_scores, reply);
    } else {
        pick_random(zset, total, with_scores, reply);
    }
    Ok(())
}

/// Writes `count` members, each drawn from all.
fn repeat_random(zset: View<'_>, count: usize, with_scores: bool, reply: &mut Reply) {
    /// Bytes of an empty member, and of the shortest score.
    const LEAST: usize = 6;
    if !reply.has_room(count, if with_scores { 2 * LEAST } else { LEAST }) {
        return;
    }
    write_items_len(count, with_scores, reply);
    let len = zset.len();
    // Drawing many from a list of all is cheaper than finding each.
    let all: Vec<Item<'_>> = if count >= len { zset.iter().collect() } else { Vec::new() };
    for _ in 0..count {
        let rank = fastrand::usize(..len);
        let item = all.get(rank).copied().or_else(|| zset.get(rank)).expect("below the length");
        write_item(item, with_scores, reply);
        if reply.is_over() {
            return;
        }
    }
}

/// Writes `count` different members, or all.
fn pick_random(zset: View<'_>, count: usize, with_scores: bool, reply: &mut Reply) {
    let len = zset.len();
    let mut wanted = count.min(len);
    write_items_len(wanted, with_scores, reply);
    if wanted > len / 8 {
        // One walk, which takes each with the chance that leaves enough for the rest.
        for (rank, item) in zset.iter().enumerate() {
            if fastrand::usize(..len - rank) < wanted {
                wanted -= 1;
                write_item(item, with_scores, reply);
            }
        }
        return;
    }
    let mut drawn = HashSet::with_capacity(wanted);
    while drawn.len() < wanted {
        let rank = fastrand::usize(..len);
        if drawn.insert(rank) {
            write_item(zset.get(rank).expect("below the length"), with_scores, reply);
        }
    }
}

/// The end of a sorted set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Min,
    Max,
}

impl End {
    pub(super) fn popped(self) -> Event {
        Event(match self {
            Self::Min => "zpopmin",
            Self::Max => "zpopmax",
        })
    }
}
/// What ZRANDMEMBER goes through: as many members as it gives.
fn work_of_zrandmember(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    call.drawn(entries.first().copied().flatten().and_then(View::of).map_or(0, View::len))
}
