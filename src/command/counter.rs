//! Strings that are numbers: INCR DECR INCRBY DECRBY INCRBYFLOAT.

use super::typed::view;
use super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::number::Extended;
use crate::reply::Reply;
use crate::store::string::{Str, text_content};
use crate::store::{Content, Deadline, Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "incr",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Write(incr),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
    },
    Spec {
        name: "decr",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Write(decr),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
    },
    Spec {
        name: "incrby",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Write(incrby),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
    },
    Spec {
        name: "decrby",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Write(decrby),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Decrements a number from the integer value of a key. Uses 0 as initial value if the key doesn't exist.",
    },
    Spec {
        name: "incrbyfloat",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Write(incrbyfloat),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Increments the floating point value of a key by a number. Uses 0 as initial value if the key doesn't \
                  exist.",
    },
];

fn incr(slot: &mut Slot<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    add(slot, 1, reply)
}

fn decr(slot: &mut Slot<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    add(slot, -1, reply)
}

fn incrby(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    add(slot, call.integer(2)?, reply)
}

fn decrby(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let amount = call.integer(2)?.checked_neg().ok_or(Error::DecrementOverflow)?;
    add(slot, amount, reply)
}

/// INCRBYFLOAT key number -> the sum as a string, without an exponent. The deadline stays.
fn incrbyfloat(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let old = match view(slot.entry(), Str::of)? {
        None => Some(Extended::ZERO),
        Some(Str::Int(int)) => Some(Extended::from_i64(int)),
        Some(Str::Bytes(bytes)) => Extended::parse(bytes),
        Some(Str::Shared(bytes)) => Extended::parse(bytes),
    };
    let old = old.ok_or(Error::NotAFloat)?;
    let amount = Extended::parse(call.arg(2)).ok_or(Error::NotAFloat)?;
    let new = old.plus(amount).ok_or(Error::Other("ERR increment would produce NaN or Infinity"))?.format();
    // A text, even if it looks like an integer, as in Redis.
    slot.set(text_content(new.as_bytes()), Deadline::Keep);
    reply.bulk(new.as_bytes());
    Ok(Effect::Changed(Event("incrbyfloat")))
}

/// Adds to the integer in a slot; a missing key counts as 0. The deadline stays.
fn add(slot: &mut Slot<'_>, amount: i64, reply: &mut Reply) -> Result<Effect, Error> {
    let new = match slot.entry_mut().and_then(Entry::int_mut) {
        Some(int) => {
            *int = int.checked_add(amount).ok_or(Error::Overflow)?;
            *int
        }
        None => {
            let old = view(slot.entry(), Str::of)?.map_or(Ok(0), |value| value.as_int().ok_or(Error::NotAnInteger))?;
            let new = old.checked_add(amount).ok_or(Error::Overflow)?;
            slot.set(Content::Int(new), Deadline::Keep);
            new
        }
    };
    reply.integer(new);
    Ok(Effect::Changed(Event("incrby")))
}

/// Gives a slot an integer: in place where it holds one and the deadline stays.
#[inline]
pub(super) fn put(slot: &mut Slot<'_>, value: i64, deadline: Deadline) {
    match slot.entry_mut().and_then(Entry::int_mut) {
        Some(int) if deadline == Deadline::Keep => *int = value,
        _ => slot.set(Content::Int(value), deadline),
    }
}
