//! Elements that are waited for: BLPOP BRPOP BLMPOP BLMOVE BLMOVEM BRPOPLPUSH.

use smallvec::smallvec;

use super::moving::{Many, move_many, move_one};
use super::{end_at, parse_mpop, popped, remove_if_empty, write_popped};
use crate::command::block::timeout;
use crate::command::typed::{edit, view};
use crate::command::{Arity, Attempt, Block, Call, Effect, Flags, Keys, Nothing, On, Run, Slots, Spec, Turn};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::list::{Edit, End, View};
use crate::store::waits::Wanted;

pub(in crate::command) const SPECS: &[Spec] = &[
    Spec {
        name: "blpop",
        arity: Arity::at_least(3),
        keys: Keys::Range { first: 1, last: -2, step: 1 },
        run: POPPING.run(blpop),
        flags: Flags::NONE,
        since: "2.0.0",
        complexity: "O(N) where N is the number of provided keys.",
        summary: "Removes and returns the first element in a list. Waits until an element is available otherwise. Deletes the list if the last element was popped.",
    },
    Spec {
        name: "brpop",
        arity: Arity::at_least(3),
        keys: Keys::Range { first: 1, last: -2, step: 1 },
        run: POPPING.run(brpop),
        flags: Flags::NONE,
        since: "2.0.0",
        complexity: "O(N) where N is the number of provided keys.",
        summary: "Removes and returns the last element in a list. Waits until an element is available otherwise. Deletes the list if the last element was popped.",
    },
    Spec {
        name: "blmpop",
        arity: Arity::at_least(5),
        keys: Keys::Counted { has_target: false, count: 2 },
        run: POPPING.run(blmpop),
        flags: Flags::NONE,
        since: "7.0.0",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        summary: "Pops elements from the first of several lists that has any. Waits until an element is available otherwise. Deletes the list if the last element was popped.",
    },
    Spec {
        name: "blmove",
        arity: Arity::exactly(6),
        keys: Keys::TWO,
        run: MOVING.run(blmove),
        flags: Flags::DENYOOM,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Pops an element from a list, pushes it to another list and returns it. Waits until an element is available otherwise. Deletes the list if the last element was moved.",
    },
    Spec {
        name: "blmovem",
        arity: Arity::at_least(6),
        keys: Keys::TWO,
        run: MOVING_MANY.run(blmovem),
        flags: Flags::DENYOOM,
        since: "8.10.0",
        complexity: "O(N) where N is the number of elements moved.",
        summary: "Moves up to (or exactly) a number of elements from one list to another and returns them. Waits until they are available otherwise. Deletes the source list if it becomes empty.",
    },
    Spec {
        name: "brpoplpush",
        arity: Arity::exactly(4),
        keys: Keys::TWO,
        run: MOVING.run(brpoplpush),
        flags: Flags::DENYOOM,
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Pops the last element of a list, pushes it to the front of another list and returns it. Waits until an element is available otherwise. Deletes the list if the last element was popped.",
    },
];

/// How a family of blocking commands waits.
struct Kind {
    on: On,
    nothing: Nothing,
}

const POPPING: Kind = Kind { on: On::AllKeys, nothing: Nothing::NilArray };
const MOVING: Kind = Kind { on: On::FirstKey, nothing: Nothing::Nil };
const MOVING_MANY: Kind = Kind { on: On::FirstKey, nothing: Nothing::NilArray };

impl Kind {
    const fn run(self, attempt: fn(&mut Slots<'_>, &Call<'_>, Turn, &mut Reply) -> Result<Attempt, Error>) -> Run {
        Run::Block(Block { attempt, on: self.on, wanted: Wanted::List, nothing: self.nothing, waits: None, read: None })
    }
}

/// BLPOP key ... timeout -> the first key that holds a list, and the element.
fn blpop(slots: &mut Slots<'_>, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    pop_one(slots, End::Front, call, turn, reply)
}

/// BRPOP key ... timeout -> as BLPOP, from the other end.
fn brpop(slots: &mut Slots<'_>, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    pop_one(slots, End::Back, call, turn, reply)
}

fn pop_one(slots: &mut Slots<'_>, end: End, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    let timeout = timeout(call, call.len() - 1)?;
    let write = |mut list: Edit<'_>, reply: &mut Reply| _ = list.pop(end, |element| reply.bulk(element));
    Ok(pop(slots, end, call, turn, reply, write)?.unwrap_or(Attempt::wait(timeout)))
}

/// `BLMPOP timeout numkeys key ... LEFT | RIGHT [COUNT count]` -> the first key that holds a list, and an array of up to
/// `count` elements of it.
fn blmpop(slots: &mut Slots<'_>, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    let (end, count) = parse_mpop(call, 2)?;
    let timeout = timeout(call, 1)?;
    let write = |list: Edit<'_>, reply: &mut Reply| _ = write_popped(list, end, count, reply);
    Ok(pop(slots, end, call, turn, reply, write)?.unwrap_or(Attempt::wait(timeout)))
}

/// Pops from the first key that holds a list. `write` pops and writes the elements.
fn pop(
    slots: &mut Slots<'_>,
    end: End,
    call: &Call<'_>,
    turn: Turn,
    reply: &mut Reply,
    write: impl Fn(Edit<'_>, &mut Reply),
) -> Result<Option<Attempt>, Error> {
    let limits = call.list_limits();
    for i in turn.keys(slots.len()) {
        let key = slots.key(i);
        let is_popped = slots.with(i, |slot| {
            match edit(slot, &limits, Edit::of) {
                Ok(Some(list)) => {
                    reply.array(2);
                    reply.bulk(key);
                    write(list, reply);
                }
                Ok(None) => return Ok(false),
                // Whoever waits already is not told of other types.
                Err(Error::WrongType) if !turn.is_first() => return Ok(false),
                Err(error) => return Err(error),
            }
            remove_if_empty(slot);
            Ok(true)
        })?;
        if is_popped {
            return Ok(Some(Attempt::Done(smallvec![(i, Effect::Changed(popped(end)))])));
        }
    }
    Ok(None)
}

/// BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout -> the moved element.
fn blmove(slots: &mut Slots<'_>, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    move_or_wait(slots, end_at(call, 3)?, end_at(call, 4)?, 5, call, turn, reply)
}

/// `BLMOVEM source destination LEFT | RIGHT LEFT | RIGHT timeout [COUNT n | EXACTLY n OBO | BULK]` -> as LMOVEM. With EXACTLY
/// it waits until the source holds so many.
fn blmovem(slots: &mut Slots<'_>, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    let many = Many::parse(call, 6)?;
    let timeout = timeout(call, 5)?;
    if has(slots, many.least, turn)? {
        move_many(slots, &many, call, reply).map(Attempt::Done)
    } else {
        Ok(Attempt::wait(timeout))
    }
}

/// BRPOPLPUSH source destination timeout -> as BLMOVE source destination RIGHT LEFT timeout.
fn brpoplpush(slots: &mut Slots<'_>, call: &Call<'_>, turn: Turn, reply: &mut Reply) -> Result<Attempt, Error> {
    move_or_wait(slots, End::Back, End::Front, 3, call, turn, reply)
}

fn move_or_wait(
    slots: &mut Slots<'_>,
    from: End,
    to: End,
    timeout_at: usize,
    call: &Call<'_>,
    turn: Turn,
    reply: &mut Reply,
) -> Result<Attempt, Error> {
    let timeout = timeout(call, timeout_at)?;
    if has(slots, 1, turn)? {
        move_one(slots, from, to, call, reply).map(Attempt::Done)
    } else {
        Ok(Attempt::wait(timeout))
    }
}

/// Whether the source holds so many elements. A source of another type is an error only for those who do not wait yet, a
/// destination for all.
fn has(slots: &mut Slots<'_>, least: usize, turn: Turn) -> Result<bool, Error> {
    match view(slots.entries().next().flatten(), View::of) {
        Ok(source) => Ok(source.is_some_and(|list| list.len() >= least)),
        Err(_) if !turn.is_first() => Ok(false),
        Err(error) => Err(error),
    }
}
