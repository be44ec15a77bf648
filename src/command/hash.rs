//! Hashes: HSET HGET HDEL HGETALL HINCRBY HRANDFIELD HSCAN ...
//!
//! Fields with deadlines have a file of their own, `hash_expiry`. Here they matter in two places only: setting a field
//! removes its deadline, adding to it does not.

use std::collections::HashSet;

use super::{Arity, Call, Effect, Event, Flags, Keys, Long, Run, Spec, scan, typed};
use crate::error::Error;
use crate::fault;
use crate::number::{Extended, parse_i64};
use crate::reply::{Reply, Resp};
use crate::store::hash::{self, Edit, FieldDeadline, View};
use crate::store::{Entry, HashLimits, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "hset",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Write(hset),
        flags: Flags::DENYOOM.and(Flags::FAST).and(Flags::NAMES_MEMBER),
        since: "2.0.0",
        complexity: "O(1) for each field/value pair added.",
        summary: "Creates or modifies the value of a field in a hash.",
    },
    Spec {
        name: "hget",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Read(hget),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Returns the value of a field in a hash.",
    },
    Spec {
        name: "hdel",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(hdel),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields to be removed.",
        summary: "Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain.",
    },
    Spec {
        name: "hgetall",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(hgetall), work_of_all)),
        flags: Flags::NONE,
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        summary: "Returns all fields and values in a hash.",
    },
    Spec {
        name: "hexists",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Read(hexists),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Determines whether a field exists in a hash.",
    },
    Spec {
        name: "hincrby",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(hincrby),
        flags: Flags::DENYOOM.and(Flags::FAST).and(Flags::NAMES_MEMBER),
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the field doesn't exist.",
    },
    Spec {
        name: "hincrbyfloat",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(hincrbyfloat),
        flags: Flags::DENYOOM.and(Flags::FAST).and(Flags::NAMES_MEMBER),
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Increments the floating point value of a field by a number. Uses 0 as initial value if the field doesn't exist.",
    },
    Spec {
        name: "hkeys",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(hkeys), work_of_all)),
        flags: Flags::NONE,
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        summary: "Returns all fields in a hash.",
    },
    Spec {
        name: "hlen",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(hlen),
        flags: Flags::FAST,
        since: "2.0.0",
        complexity: "O(1), and O(N) where N fields have expired and are about to be removed.",
        summary: "Returns the number of fields in a hash.",
    },
    Spec {
        name: "hmget",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Read(hmget),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields being requested.",
        summary: "Returns the values of all fields in a hash.",
    },
    Spec {
        name: "hmset",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Write(hmset),
        flags: Flags::DENYOOM.and(Flags::FAST).and(Flags::NAMES_MEMBER),
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields being set.",
        summary: "Sets the values of multiple fields.",
    },
    Spec {
        name: "hrandfield",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Long(&Long { repeats: true, ..Long::read(Run::Read(hrandfield), work_of_hrandfield) }),
        flags: Flags::NONE,
        since: "6.2.0",
        complexity: "O(N) where N is the number of fields returned, or the size of a small hash.",
        summary: "Returns one or more random fields from a hash.",
    },
    Spec {
        name: "hscan",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Read(hscan),
        flags: Flags::NONE,
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, N being the number of fields.",
        summary: "Iterates over fields and values of a hash.",
    },
    Spec {
        name: "hsetnx",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(hsetnx),
        flags: Flags::DENYOOM.and(Flags::FAST).and(Flags::NAMES_MEMBER),
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Sets the value of a field in a hash only when the field doesn't exist.",
    },
    Spec {
        name: "hstrlen",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Read(hstrlen),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "3.2.0",
        complexity: "O(1)",
        summary: "Returns the length of the value of a field.",
    },
    Spec {
        name: "hvals",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(hvals), work_of_all)),
        flags: Flags::NONE,
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        summary: "Returns all values in a hash.",
    },
];

const HSET: Event = Event("hset");
const HDEL: Event = Event("hdel");

/// HSET key field value ... -> how many fields are new.
fn hset(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let created = set_all(slot, call)?;
    reply.count(created);
    Ok(Effect::Changed(HSET))
}

/// HMSET key field value ... -> OK.
fn hmset(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    set_all(slot, call)?;
    reply.ok();
    Ok(Effect::Changed(HSET))
}

/// HSETNX key field value -> 1, or 0 when the field was there.
fn hsetnx(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    if view(slot.entry(), call)?.is_some_and(|hash| hash.contains(call.arg(2))) {
        reply.integer(0);
        return Ok(Effect::None);
    }
    let limits = call.hash_limits();
    edit_or_make(slot, call, &limits)?.set(call.arg(2), call.arg(3));
    reply.integer(1);
    Ok(Effect::Changed(HSET))
}

/// HGET key field -> the value; nil when key or field is missing.
fn hget(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    write_value(view(entry, call)?, call.arg(2), reply);
    Ok(())
}

/// HMGET key field ... -> an array of values; nil for what is missing.
fn hmget(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let hash = view(entry, call)?;
    reply.array(call.len() - 2);
    call.args(2).for_each(|field| write_value(hash, field, reply));
    Ok(())
}

/// HDEL key field ... -> how many were removed.
fn hdel(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let limits = call.hash_limits();
    let Some(mut hash) = edit(slot, &limits)? else {
        reply.count(0);
        return Ok(Effect::None);
    };
    let removed = call.args(2).filter(|field| hash.remove(field)).count();
    if hash.is_empty() {
        slot.remove();
    }
    reply.count(removed);
    Ok(if removed > 0 { Effect::Changed(HDEL) } else { Effect::None })
}

/// HGETALL key -> a map of all fields.
fn hgetall(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let Some(hash) = view(entry, call)? else {
        reply.map(0);
        return Ok(());
    };
    let pairs = hash.iter();
    reply.map(pairs.len());
    for (field, value) in pairs {
        reply.bulk(field);
        reply.bulk(value);
    }
    Ok(())
}

/// HKEYS key -> an array of the fields.
fn hkeys(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    write_all(view(entry, call)?, reply, |reply, (field, _)| reply.bulk(field));
    Ok(())
}

/// HVALS key -> an array of the values.
fn hvals(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    write_all(view(entry, call)?, reply, |reply, (_, value)| reply.bulk(value));
    Ok(())
}

/// HLEN key -> the number of fields.
fn hlen(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.count(view(entry, call)?.map_or(0, View::len));
    Ok(())
}

/// HEXISTS key field -> 1 or 0.
fn hexists(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.integer(i64::from(view(entry, call)?.is_some_and(|hash| hash.contains(call.arg(2)))));
    Ok(())
}

/// HSTRLEN key field -> bytes of the value; 0 when key or field is missing.
fn hstrlen(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.count(view(entry, call)?.map_or(0, |hash| hash.value_len(call.arg(2))));
    Ok(())
}

/// HINCRBY key field increment -> the new value. A missing field counts as 0; a deadline stays.
fn hincrby(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let amount = call.integer(3)?;
    let old = match view(slot.entry(), call)?.and_then(|hash| hash.get(call.arg(2))) {
        Some(value) => parse_i64(value).ok_or(Error::Other("ERR hash value is not an integer"))?,
        None => 0,
    };
    let new = old.checked_add(amount).ok_or(Error::Overflow)?;
    let limits = call.hash_limits();
    let mut text = itoa::Buffer::new();
    let mut hash = edit_or_make(slot, call, &limits)?;
    hash.put(call.arg(2), text.format(new).as_bytes(), FieldDeadline::Keep);
    reply.integer(new);
    Ok(Effect::Changed(Event("hincrby")))
}

/// HINCRBYFLOAT key field increment -> the new value as text. A missing field counts as 0; a deadline stays.
fn hincrbyfloat(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let amount = Extended::parse(call.arg(3)).ok_or(Error::NotAFloat)?;
    if amount.is_infinite() {
        return Err(Error::Other("ERR value is NaN or Infinity"));
    }
    let old = match view(slot.entry(), call)?.and_then(|hash| hash.get(call.arg(2))) {
        Some(value) => Extended::parse(value).ok_or(Error::Other("ERR hash value is not a float"))?,
        None => Extended::from_i64(0),
    };
    let new = old.plus(amount).ok_or(Error::Other("ERR increment would produce NaN or Infinity"))?.format();
    let limits = call.hash_limits();
    edit_or_make(slot, call, &limits)?.put(call.arg(2), new.as_bytes(), FieldDeadline::Keep);
    reply.bulk(new.as_bytes());
    Ok(Effect::Changed(Event("hincrbyfloat")))
}

/// `HRANDFIELD key [count [WITHVALUES]]` -> a field, nil without any; with a count an array, of different fields when it
/// is positive.
fn hrandfield(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    if call.len() == 2 {
        match view(entry, call)?.and_then(|hash| hash.random(below)) {
            Some((field, _)) => reply.bulk(field),
            None => reply.nil(),
        }
        return Ok(());
    }
    let count = call.signed(2)?;
    let with_values = call.len() == 4 && call.is(3, "withvalues");
    if call.len() > 3 && !with_values {
        return Err(Error::Syntax);
    }
    if with_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Error::OutOfRange);
    }
    let Some(hash) = view(entry, call)? else {
        reply.array(0);
        return Ok(());
    };
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let mut pairs = Pairs { with_values, reply };
    if count < 0 {
        pairs.write_any(hash, wanted);
    } else {
        pairs.write_different(hash, wanted);
    }
    Ok(())
}

/// `HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]` -> the next cursor and an array of fields and values.
fn hscan(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let cursor = scan::cursor(call, 2)?;
    // The key comes before the options, as in Redis: without it nobody looks at them.
    let Some(hash) = view(entry, call)? else {
        scan::write_empty(reply);
        return Ok(());
    };
    let options = scan::Options::parse(scan::Target::Fields, call, 3)?;
    let (mut found, mut count) = (reply.part(), 0);
    let next = hash.scan(cursor, options.count, |field, value| {
        if options.matches(field) {
            found.bulk(field);
            count += 1;
            if !options.no_values {
                found.bulk(value);
                count += 1;
            }
        }
    });
    scan::write(next, count, &found, reply);
    Ok(())
}

/// The hash in an entry at the time of the call.
#[inline]
pub(super) fn view<'a>(entry: Option<&'a Entry>, call: &Call<'_>) -> Result<Option<View<'a>>, Error> {
    typed::view(entry, |entry| View::of(entry, call.now))
}

/// As [`view`], to change it.
#[inline]
pub(super) fn edit<'a>(slot: &'a mut Slot<'_>, limits: &'a HashLimits) -> Result<Option<Edit<'a>>, Error> {
    let now = slot.now();
    typed::edit(slot, limits, |entry, limits| Edit::of(entry, limits, now))
}

/// As [`edit`], of a hash that is made when the key is missing: something must be set then.
#[inline]
pub(super) fn edit_or_make<'a>(
    slot: &'a mut Slot<'_>,
    call: &Call<'_>,
    limits: &'a HashLimits,
) -> Result<Edit<'a>, Error> {
    if !slot.exists() {
        slot.insert(hash::create(slot.key(), call.clock()));
    }
    Ok(edit(slot, limits)?.expect("just made"))
}

/// The value of a field, or nil.
#[inline]
pub(super) fn write_value(hash: Option<View<'_>>, field: &[u8], reply: &mut Reply) {
    match hash.and_then(|hash| hash.get(field)) {
        Some(value) => reply.bulk(value),
        None => reply.nil(),
    }
}

/// Sets the fields of the arguments from 2 on; how many are new.
#[inline]
fn set_all(slot: &mut Slot<'_>, call: &Call<'_>) -> Result<usize, Error> {
    if !call.len().is_multiple_of(2) {
        return Err(call.arity_error());
    }
    let limits = call.hash_limits();
    let mut hash = edit_or_make(slot, call, &limits)?;
    hash.expect(call.len() / 2 - 1);
    fault::point("hash.made");
    let is_new = |&i: &usize| {
        let is_new = hash.set(call.arg(i), call.arg(i + 1));
        fault::point("hash.set");
        is_new
    };
    Ok((2..call.len()).step_by(2).filter(is_new).count())
}

fn write_all(hash: Option<View<'_>>, reply: &mut Reply, write: impl Fn(&mut Reply, (&[u8], &[u8]))) {
    let Some(hash) = hash else { return reply.array(0) };
    let pairs = hash.iter();
    reply.array(pairs.len());
    pairs.for_each(|pair| write(reply, pair));
}

fn below(bound: usize) -> usize {
    fastrand::usize(..bound)
}

/// The reply of HRANDFIELD with a count.
struct Pairs<'a> {
    with_values: bool,
    reply: &'a mut Reply,
}

impl Pairs<'_> {
    /// Random fields, the same ones again and again.
    fn write_any(&mut self, hash: View<'_>, count: usize) {
        // An empty string takes six bytes.
        if !self.reply.has_room(count, if self.with_values { 12 } else { 6 }) {
            return;
        }
        self.head(count);
        let all: Vec<_> = if hash.is_random_cheap() { Vec::new() } else { hash.iter().collect() };
        for _ in 0..count {
            let pair = if all.is_empty() { hash.random(below) } else { Some(all[below(all.len())]) };
            match pair {
                Some(pair) if !self.reply.is_over() => self.write(pair),
                _ => return,
            }
        }
    }

    /// As many different fields as there are, up to `count`.
    fn write_different(&mut self, hash: View<'_>, count: usize) {
        let pairs = hash.iter();
        let count = count.min(pairs.len());
        self.head(count);
        if count == pairs.len() {
            pairs.for_each(|pair| self.write(pair));
        } else if hash.is_random_cheap() && count < pairs.len() / 3 {
            // Two of three draws at least are new.
            let mut seen = HashSet::with_capacity(count);
            while seen.len() < count
                && let Some(pair) = hash.random(below)
            {
                if seen.insert(pair.0) {
                    self.write(pair);
                }
            }
        } else {
            let mut all: Vec<_> = pairs.collect();
            for i in 0..count {
                let drawn = i + below(all.len() - i);
                all.swap(i, drawn);
                self.write(all[i]);
            }
        }
    }

    fn head(&mut self, count: usize) {
        let is_flat = self.with_values && self.reply.resp() == Resp::V2;
        self.reply.array(if is_flat { 2 * count } else { count });
    }

    fn write(&mut self, (field, value): (&[u8], &[u8])) {
        if self.with_values && self.reply.resp() == Resp::V3 {
            self.reply.array(2);
        }
        self.reply.bulk(field);
        if self.with_values {
            self.reply.bulk(value);
        }
    }
}
/// What a command on all fields of a hash goes through.
fn work_of_all(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    entries.first().copied().flatten().and_then(|entry| View::of(entry, call.now)).map_or(0, View::len)
}

/// What HRANDFIELD goes through: as many fields as it gives.
fn work_of_hrandfield(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    call.drawn(work_of_all(entries, call))
}
