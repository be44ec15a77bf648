//! Strings: GET SET INCR DECR INCRBY DECRBY MGET MSET.

use super::expiry::Unit;
use super::typed::view;
use super::{Arity, Call, Effect, Effects, Entries, Event, Flags, Keys, Run, Slots, Spec};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::string::{Str, content};
use crate::store::{Content, Deadline, Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "get",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(get),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Returns the string value of a key.",
    },
    Spec {
        name: "set",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(set),
        flags: Flags::DENYOOM,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
    },
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
        name: "mget",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        run: Run::ReadMany(mget),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys to retrieve.",
        summary: "Atomically returns the string values of one or more keys.",
    },
    Spec {
        name: "mset",
        arity: Arity::at_least(3),
        keys: Keys::Range { first: 1, last: -1, step: 2 },
        run: Run::WriteMany(mset),
        flags: Flags::DENYOOM,
        since: "1.0.1",
        complexity: "O(N) where N is the number of keys to set.",
        summary: "Atomically creates or modifies the string values of one or more keys.",
    },
];

const SET: Event = Event("set");

/// GET key -> the string; nil when the key is missing.
fn get(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    write_value(view(entry, Str::of)?, reply);
    Ok(())
}

/// `SET key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]` -> OK, nil when the condition
/// is not met; with GET the old string instead of either.
fn set(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let options = if call.len() == 3 { SetOptions::PLAIN } else { SetOptions::parse(call)? };
    if options.returns_old {
        write_value(view(slot.entry(), Str::of)?, reply);
    }
    if options.only_if.is_some_and(|condition| (condition == Condition::Exists) != slot.exists()) {
        if !options.returns_old {
            reply.nil();
        }
        return Ok(Effect::None);
    }
    match options.deadline {
        // A time that has passed: what is set would be gone at the next look.
        Deadline::At(at) if at <= call.now => {
            slot.remove();
        }
        deadline => slot.set(content(call.arg(2)), deadline),
    }
    if !options.returns_old {
        reply.ok();
    }
    Ok(Effect::Changed(SET))
}

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

/// MGET key ... -> an array of strings; nil for what is missing or no string.
fn mget(entries: &Entries<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.array(entries.iter().len());
    for entry in entries.iter() {
        write_value(entry.and_then(Str::of), reply);
    }
    Ok(())
}

/// MSET key value ... -> OK.
fn mset(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    if call.len().is_multiple_of(2) {
        return Err(call.arity_error());
    }
    for i in 0..slots.len() {
        slots.with(i, |slot| slot.set(content(call.arg(2 + 2 * i)), Deadline::Clear));
    }
    reply.ok();
    Ok((0..slots.len()).map(|i| (i, Effect::Changed(SET))).collect())
}

/// Adds to the integer in a slot; a missing key counts as 0. The deadline stays.
fn add(slot: &mut Slot<'_>, amount: i64, reply: &mut Reply) -> Result<Effect, Error> {
    let old = view(slot.entry(), Str::of)?.map_or(Ok(0), |value| value.as_int().ok_or(Error::NotAnInteger))?;
    let new = old.checked_add(amount).ok_or(Error::Overflow)?;
    if !slot.entry_mut().is_some_and(|entry| entry.set_int(new)) {
        slot.set(Content::Int(new), Deadline::Keep);
    }
    reply.integer(new);
    Ok(Effect::Changed(Event("incrby")))
}

/// Writes a string, or nil.
pub(super) fn write_value(value: Option<Str<'_>>, reply: &mut Reply) {
    match value {
        None => reply.nil(),
        Some(Str::Bytes(bytes)) => reply.bulk(bytes),
        Some(Str::Int(int)) => reply.bulk_integer(int),
        Some(Str::Shared(bytes)) => reply.bulk_shared(bytes),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Missing,
    Exists,
}

struct SetOptions {
    only_if: Option<Condition>,
    returns_old: bool,
    deadline: Deadline,
}

impl SetOptions {
    const PLAIN: Self = Self { only_if: None, returns_old: false, deadline: Deadline::Clear };

    fn parse(call: &Call<'_>) -> Result<Self, Error> {
        let mut options = Self::PLAIN;
        // Values are looked at after the syntax of all options, as in Redis.
        let mut time: Option<(Unit, usize)> = None;
        let mut i = 3;
        while i < call.len() {
            let word = call.arg(i);
            if call.is(i, "nx") && options.only_if != Some(Condition::Exists) {
                options.only_if = Some(Condition::Missing);
            } else if call.is(i, "xx") && options.only_if != Some(Condition::Missing) {
                options.only_if = Some(Condition::Exists);
            } else if call.is(i, "get") {
                options.returns_old = true;
            } else if call.is(i, "keepttl") && time.is_none() {
                options.deadline = Deadline::Keep;
            } else if let Some(unit) = Unit::from_option(word)
                // The same unit may come again, and its last amount counts.
                && time.is_none_or(|(other, _)| other == unit)
                && options.deadline == Deadline::Clear
                && i + 1 < call.len()
            {
                i += 1;
                time = Some((unit, i));
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        if let Some((unit, at)) = time {
            options.deadline = Deadline::At(unit.positive_deadline(at, call)?);
        }
        Ok(options)
    }
}
