//! Strings as a whole: GET SET GETEX GETDEL MGET MSET SETNX SETEX ...

use super::compare::Comparison;
use super::expiry::Unit;
use super::typed::view;
use super::{
    Arguments, Arity, Call, Effect, Effects, Entries, Event, Finder, Flags, Keys, Place, Places, Run, Slots, Spec,
};
use crate::error::Error;
use crate::fault;
use crate::number::parse_i64;
use crate::reply::Reply;
use crate::store::string::{Str, content};
use crate::store::{Deadline, Entry, Slot};

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
        complexity: "O(1), but O(N) with IFDEQ and IFDNE, where N is the length of the old value.",
        summary: "Sets the string value of a key, ignoring its type. The key is created if it doesn't exist.",
    },
    Spec {
        name: "setnx",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Write(setnx),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Sets the string value of a key only when the key doesn't exist.",
    },
    Spec {
        name: "setex",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(setex),
        flags: Flags::DENYOOM,
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Sets the string value and expiration time of a key. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "psetex",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(psetex),
        flags: Flags::DENYOOM,
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Sets the string value and expiration time in milliseconds of a key. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "getset",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Write(getset),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Returns the previous string value of a key after setting it to a new value.",
    },
    Spec {
        name: "getdel",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Write(getdel),
        flags: Flags::FAST,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Returns the string value of a key after deleting the key.",
    },
    Spec {
        name: "getex",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(getex),
        flags: Flags::FAST,
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Returns the string value of a key after setting its expiration time.",
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
    Spec {
        name: "msetnx",
        arity: Arity::at_least(3),
        keys: Keys::Range { first: 1, last: -1, step: 2 },
        run: Run::WriteMany(msetnx),
        flags: Flags::DENYOOM,
        since: "1.0.1",
        complexity: "O(N) where N is the number of keys to set.",
        summary: "Atomically sets the string values of one or more keys only when none of them exists.",
    },
    Spec {
        name: "msetex",
        arity: Arity::at_least(4),
        keys: Keys::Found(&MSETEX_KEYS),
        run: Run::WriteMany(msetex),
        flags: Flags::DENYOOM,
        since: "8.4.0",
        complexity: "O(N) where N is the number of keys to set.",
        summary: "Atomically sets the string values of one or more keys with a shared expiration time.",
    },
];

/// Behind a count, every other argument.
static MSETEX_KEYS: Finder = Finder {
    codes: [0, 0, 0],
    is_movable: true,
    find: |arguments: Arguments<'_>| -> Places {
        let count = arguments.get(1).and_then(parse_i64).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        let end = count.checked_mul(2).and_then(|count| count.checked_add(2));
        let end = end.filter(|&end| end <= arguments.len()).unwrap_or(0);
        (2..end).step_by(2).map(Place::here).collect()
    },
};

const SET: Event = Event("set");
const DEL: Event = Event("del");
const EXPIRE: Event = Event("expire");

/// GET key -> the string; nil when the key is missing.
fn get(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    write_value(view(entry, Str::of)?, reply);
    Ok(())
}

/// `SET key value [NX | XX | IFEQ value | IFNE value | IFDEQ digest | IFDNE digest] [GET]
/// [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]` -> OK, nil when the condition is not met; with GET the old string
/// instead of either.
fn set(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let options = if call.len() == 3 { SetOptions::PLAIN } else { SetOptions::parse(call, 3, Family::Set)? };
    if options.returns_old {
        write_value(view(slot.entry(), Str::of)?, reply);
    }
    let is_met = match options.only_if {
        None => true,
        Some(Condition::Missing) => !slot.exists(),
        Some(Condition::Exists) => slot.exists(),
        Some(Condition::Value(comparison)) => comparison.holds(view(slot.entry(), Str::of)?)?,
    };
    if !is_met {
        if !options.returns_old {
            reply.nil();
        }
        return Ok(Effect::None);
    }
    put(slot, call.arg(2), options.deadline);
    fault::point("string.set");
    if !options.returns_old {
        reply.ok();
    }
    Ok(match options.deadline {
        Deadline::At(_) => Effect::Both(SET, EXPIRE),
        Deadline::Keep | Deadline::Clear => Effect::Changed(SET),
    })
}

/// SETNX key value -> 1, or 0 when the key exists.
fn setnx(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let is_new = !slot.exists();
    reply.integer(i64::from(is_new));
    if !is_new {
        return Ok(Effect::None);
    }
    put(slot, call.arg(2), Deadline::Clear);
    Ok(Effect::Changed(SET))
}

/// SETEX key seconds value -> OK.
fn setex(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    set_for(slot, Unit::Seconds, call, reply)
}

/// PSETEX key milliseconds value -> OK.
fn psetex(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    set_for(slot, Unit::Millis, call, reply)
}

fn set_for(slot: &mut Slot<'_>, unit: Unit, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let deadline = unit.positive_deadline(2, call)?;
    put(slot, call.arg(3), Deadline::At(deadline));
    reply.ok();
    Ok(Effect::Both(SET, EXPIRE))
}

/// GETSET key value -> the old string; nil when the key was missing.
fn getset(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    write_value(view(slot.entry(), Str::of)?, reply);
    put(slot, call.arg(2), Deadline::Clear);
    Ok(Effect::Changed(SET))
}

/// GETDEL key -> the string; nil when the key is missing.
fn getdel(slot: &mut Slot<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    write_value(view(slot.entry(), Str::of)?, reply);
    Ok(if slot.remove() { Effect::Changed(DEL) } else { Effect::None })
}

/// GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] -> the string; nil when the key is missing.
fn getex(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let mut time: Option<(Unit, usize)> = None;
    let mut persist = false;
    let mut i = 2;
    while i < call.len() {
        match Unit::from_option(call.arg(i)) {
            // The same unit may come again, and its last amount counts.
            Some(unit) if !persist && time.is_none_or(|(other, _)| other == unit) && i + 1 < call.len() => {
                i += 1;
                time = Some((unit, i));
            }
            None if call.is(i, "persist") && time.is_none() => persist = true,
            _ => return Err(Error::Syntax),
        }
        i += 1;
    }
    let Some(value) = view(slot.entry(), Str::of)? else {
        reply.nil();
        return Ok(Effect::None);
    };
    // A time is looked at only when there is something to expire, as in Redis.
    let deadline = time.map(|(unit, at)| unit.positive_deadline(at, call)).transpose()?;
    write_value(Some(value), reply);
    match deadline {
        Some(at) if at <= call.now => {
            slot.remove();
            Ok(Effect::Changed(DEL))
        }
        Some(_) => {
            slot.set_deadline(deadline);
            Ok(Effect::Changed(EXPIRE))
        }
        None if persist && slot.deadline().is_some() => {
            slot.set_deadline(None);
            Ok(Effect::Changed(Event("persist")))
        }
        None => Ok(Effect::None),
    }
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
    reply.ok();
    Ok(put_all(slots, 2, Deadline::Clear, call))
}

/// MSETNX key value ... -> 1, or 0 when one of the keys exists.
fn msetnx(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    if call.len().is_multiple_of(2) {
        return Err(call.arity_error());
    }
    if slots.entries().flatten().next().is_some() {
        reply.integer(0);
        return Ok(Effects::new());
    }
    reply.integer(1);
    Ok(put_all(slots, 2, Deadline::Clear, call))
}

/// MSETEX count key value ... `[NX | XX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]` -> 1, or 0 when the condition is
/// not met.
fn msetex(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    let count = parse_i64(call.arg(1)).and_then(|count| i32::try_from(count).ok()).filter(|&count| count > 0);
    let count = count.ok_or(Error::Other("ERR invalid numkeys value"))? as usize;
    if count > (call.len() - 2) / 2 {
        return Err(Error::Other("ERR wrong number of key-value pairs"));
    }
    let options = SetOptions::parse(call, 2 + 2 * count, Family::Many)?;
    let mut found = slots.entries().map(|entry| entry.is_some());
    let is_met = match options.only_if {
        Some(Condition::Missing) => !found.any(|exists| exists),
        Some(Condition::Exists) => found.all(|exists| exists),
        _ => true,
    };
    drop(found);
    reply.integer(i64::from(is_met));
    Ok(if is_met { put_all(slots, 3, options.deadline, call) } else { Effects::new() })
}

/// Sets all keys to the values that alternate with them, the first of which is an argument's number.
fn put_all(slots: &mut Slots<'_>, first: usize, deadline: Deadline, call: &Call<'_>) -> Effects {
    for i in 0..slots.len() {
        fault::point("mset.between");
        slots.with(i, |slot| put(slot, call.arg(first + 2 * i), deadline));
    }
    let effect = match deadline {
        Deadline::At(_) => Effect::Both(SET, EXPIRE),
        Deadline::Keep | Deadline::Clear => Effect::Changed(SET),
    };
    (0..slots.len()).map(|i| (i, effect)).collect()
}

#[inline]
fn put(slot: &mut Slot<'_>, value: &[u8], deadline: Deadline) {
    match deadline {
        // A time that has passed: what is set would be gone at the next look.
        Deadline::At(at) if at <= slot.now() => {
            slot.remove();
        }
        deadline => slot.set(content(value), deadline),
    }
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

#[derive(Clone, Copy)]
enum Condition<'a> {
    Missing,
    Exists,
    Value(Comparison<'a>),
}

/// Whose options are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Set,
    /// MSETEX: without GET and without conditions on values.
    Many,
}

struct SetOptions<'a> {
    only_if: Option<Condition<'a>>,
    returns_old: bool,
    deadline: Deadline,
}

impl<'a> SetOptions<'a> {
    const PLAIN: Self = Self { only_if: None, returns_old: false, deadline: Deadline::Clear };

    fn parse(call: &Call<'a>, first: usize, family: Family) -> Result<Self, Error> {
        let mut options = Self::PLAIN;
        // Values are looked at after the syntax of all options, as in Redis.
        let mut time: Option<(Unit, usize)> = None;
        let mut i = first;
        while i < call.len() {
            let word = call.arg(i);
            let has_next = i + 1 < call.len();
            if call.is(i, "nx") && matches!(options.only_if, None | Some(Condition::Missing)) {
                options.only_if = Some(Condition::Missing);
            } else if call.is(i, "xx") && matches!(options.only_if, None | Some(Condition::Exists)) {
                options.only_if = Some(Condition::Exists);
            } else if call.is(i, "get") && family == Family::Set {
                options.returns_old = true;
            } else if call.is(i, "keepttl") && time.is_none() {
                options.deadline = Deadline::Keep;
            } else if let Some(unit) = Unit::from_option(word)
                // The same unit may come again, and its last amount counts.
                && time.is_none_or(|(other, _)| other == unit)
                && options.deadline == Deadline::Clear
                && has_next
            {
                i += 1;
                time = Some((unit, i));
            } else if family == Family::Set
                && options.only_if.is_none()
                && has_next
                && let Some(comparison) = Comparison::from_option(word, call.arg(i + 1))
            {
                i += 1;
                options.only_if = Some(Condition::Value(comparison));
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
