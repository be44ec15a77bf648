//! Lists: LPUSH RPUSH LPOP RPOP LLEN LRANGE.

use super::typed::{edit, view};
use super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::number::parse_i64;
use crate::reply::Reply;
use crate::store::list::{self, Edit, End, View};
use crate::store::{Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "lpush",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(lpush),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "1.0.0",
        complexity: "O(1) for each element added.",
        summary: "Prepends one or more elements to a list. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "rpush",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(rpush),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "1.0.0",
        complexity: "O(1) for each element added.",
        summary: "Appends one or more elements to a list. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "lpop",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(lpop),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements returned",
        summary: "Returns the first elements in a list after removing it. Deletes the list if the last element was popped.",
    },
    Spec {
        name: "rpop",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(rpop),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements returned",
        summary: "Returns and removes the last elements of a list. Deletes the list if the last element was popped.",
    },
    Spec {
        name: "llen",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(llen),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Returns the length of a list.",
    },
    Spec {
        name: "lrange",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Read(lrange),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(S+N) where S is the distance of start offset from the nearer end and N is the number of elements in the specified range.",
        summary: "Returns a range of elements from a list.",
    },
];

/// LPUSH key element ... -> the list's length.
fn lpush(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    push(slot, End::Front, call, reply)
}

/// RPUSH key element ... -> the list's length.
fn rpush(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    push(slot, End::Back, call, reply)
}

/// `LPOP key [count]` -> the element, or an array of up to `count`; nil when the key is missing.
fn lpop(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    pop(slot, End::Front, call, reply)
}

/// `RPOP key [count]` -> as LPOP, from the other end.
fn rpop(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    pop(slot, End::Back, call, reply)
}

/// LLEN key -> the length; 0 when the key is missing.
fn llen(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.count(view(entry, View::of)?.map_or(0, View::len));
    Ok(())
}

/// LRANGE key start stop -> the elements from `start` to `stop`, both included; negative ones count from the end.
fn lrange(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let (start, stop) = (call.integer(2)?, call.integer(3)?);
    let Some(list) = view(entry, View::of)? else {
        reply.array(0);
        return Ok(());
    };
    let (start, count) = clamp(start, stop, list.len());
    reply.array(count);
    for element in list.range(start, count) {
        reply.bulk(element);
    }
    Ok(())
}

fn push(slot: &mut Slot<'_>, end: End, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    if !slot.exists() {
        slot.insert(list::create(slot.key(), call.clock()));
    }
    let limits = call.limits();
    let mut list = edit(slot, &limits, Edit::of)?.expect("just made");
    for element in call.args(2) {
        list.push(end, element);
    }
    reply.count(list.len());
    Ok(Effect::Changed(Event(if end == End::Front { "lpush" } else { "rpush" })))
}

fn pop(slot: &mut Slot<'_>, end: End, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let count = match call.len() {
        2 => None,
        3 => Some(parse_i64(call.arg(2)).and_then(|count| usize::try_from(count).ok()).ok_or(Error::MustBePositive)?),
        _ => return Err(call.arity_error()),
    };
    let limits = call.limits();
    let Some(mut list) = edit(slot, &limits, Edit::of)? else {
        if count.is_some() {
            reply.nil_array()
        } else {
            reply.nil()
        }
        return Ok(Effect::None);
    };
    let popped = match count {
        None => 1,
        Some(count) => {
            let count = count.min(list.len());
            reply.array(count);
            count
        }
    };
    for _ in 0..popped {
        list.pop(end, |element| reply.bulk(element));
    }
    if list.is_empty() {
        slot.remove();
    }
    if popped == 0 {
        return Ok(Effect::None);
    }
    Ok(Effect::Changed(Event(if end == End::Front { "lpop" } else { "rpop" })))
}

/// Turns a range with ends from either side into a start and a number of elements.
fn clamp(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_end = |index: i64| if index < 0 { index.saturating_add(len) } else { index };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(len - 1));
    if start > stop { (0, 0) } else { (start as usize, (stop - start + 1) as usize) }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::clamp;

    #[test]
    fn ranges_are_clamped() {
        let cases = [
            ((0, -1), (0, 5)),
            ((1, 3), (1, 3)),
            ((-2, -1), (3, 2)),
            ((-100, 100), (0, 5)),
            ((3, 1), (0, 0)),
            ((5, 10), (0, 0)),
            ((0, -6), (0, 0)),
            ((i64::MIN, i64::MAX), (0, 5)),
            ((i64::MAX, i64::MIN), (0, 0)),
        ];
        for ((start, stop), expected) in cases {
            assert_eq!(clamp(start, stop, 5), expected, "{start} {stop}");
        }
    }
}
