//! Members that are waited for: BZPOPMIN BZPOPMAX BZMPOP.

use super::super::block::timeout;
use super::super::typed::edit;
use super::super::{Arity, Attempt, Block, Call, Effect, Flags, Keys, Nothing, On, Run, Slots, Spec, Turn};
use super::pop::{End, parse_mpop, pop};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::waits::Wanted;
use crate::store::zset::Edit;

pub(in super::super) const SPECS: &[Spec] = &[
    Spec {
        name: "bzpopmin",
        arity: Arity::at_least(3),
        keys: Keys::Range { first: 1, last: -2, step: 1 },
        run: waiting(bzpopmin),
        flags: Flags::FAST,
        since: "5.0.0",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Removes and returns the member with the lowest score from one or more sorted sets. Waits until a member is available otherwise. Deletes the sorted set if the last member was popped.",
    },
    Spec {
        name: "bzpopmax",
        arity: Arity::at_least(3),
        keys: Keys::Range { first: 1, last: -2, step: 1 },
        run: waiting(bzpopmax),
        flags: Flags::FAST,
        since: "5.0.0",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Removes and returns the member with the highest score from one or more sorted sets. Waits until a member is available otherwise. Deletes the sorted set if the last member was popped.",
    },
    Spec {
        name: "bzmpop",
        arity: Arity::at_least(5),
        keys: Keys::Counted { has_target: false, count: 2 },
        run: waiting(bzmpop),
        flags: Flags::NONE,
        since: "7.0.0",
        complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Removes and returns members by score from the first of several sorted sets that has any. Waits until a member is available otherwise. Deletes the sorted set if the last member was popped.",
    },
];

const fn waiting(attempt: fn(&mut Slots<'_>, &Call<'_>, Turn, &mut Reply) -> Result<Attempt, Error>) -> Run {
    Run::Block(Block {
        attempt,
        on: On::AllKeys,
        wanted: Wanted::SortedSet,
        nothing: Nothing::NilArray,
        waits: None,
        read: None,
    })
}

/// BZPOPMIN key ... timeout -> the first key that holds a sorted set, its member with the lowest score, and the score.
fn bzpopmin(slots: &mut Slots<'_>, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    pop_one(slots, End::Min, call, turn, reply)
}

/// BZPOPMAX key ... timeout -> as BZPOPMIN, from the highest score.
fn bzpopmax(slots: &mut Slots<'_>, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    pop_one(slots, End::Max, call, turn, reply)
}

fn pop_one(slots: &mut Slots<'_>, end: End, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    let timeout = timeout(call, call.len() - 1)?;
    let popped = pop_first(slots, end, call, turn, reply, |zset, key, reply| {
        reply.array(3);
        reply.bulk(key);
        pop(zset, end, 1, false, reply)
    });
    Ok(popped?.unwrap_or(Attempt::wait(timeout)))
}

/// `BZMPOP timeout numkeys key ... MIN | MAX [COUNT count]` -> the first key that holds a sorted set, and pairs of members
/// and scores.
fn bzmpop(slots: &mut Slots<'_>, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    let (end, count) = parse_mpop(call, 2)?;
    let timeout = timeout(call, 1)?;
    let popped = pop_first(slots, end, call, turn, reply, |zset, key, reply| {
        let count = zset.len().min(count);
        reply.array(2);
        reply.bulk(key);
        reply.array(count);
        pop(zset, end, count, true, reply)
    });
    Ok(popped?.unwrap_or(Attempt::wait(timeout)))
}

/// Pops from the first key that holds a sorted set. `write` pops and writes; true when the key is to be removed.
fn pop_first(
    slots: &mut Slots<'_>,
    end: End,
    call: &Call<'_>,
    turn: Turn,
    reply: &mut Reply,
    write: impl Fn(&mut Edit<'_>, &[u8], &mut Reply) -> bool,
) -> Result<Option<Attempt>, Error> {
    let limits = call.zset_limits();
    for i in turn.keys(slots.len()) {
        let key = slots.key(i);
        let is_popped = slots.with(i, |slot| {
            let is_emptied = match edit(slot, &limits, Edit::of) {
                Ok(Some(mut zset)) => write(&mut zset, key, reply),
                Ok(None) => return Ok(false),
                // Whoever waits already is not told of other types.
                Err(Error::WrongType) if !turn.is_first() => return Ok(false),
                Err(error) => return Err(error),
            };
            if is_emptied {
                slot.remove();
            }
            Ok(true)
        })?;
        if is_popped {
            return Ok(Some(Attempt::Done([(i, Effect::Changed(end.popped()))].into_iter().collect())));
        }
    }
    Ok(None)
}
