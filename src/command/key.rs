//! Keys of any type: DEL EXISTS TYPE EXPIRE TTL PERSIST RENAME KEYS SCAN DBSIZE FLUSHALL OBJECT ...

use super::expiry::Unit;
use super::{
    Arity, Call, Effect, Effects, Entries, Event, Flags, Held, Keys, Keyspace, Progress, Run, Slots, Spec, Step, help,
    scan,
};
use crate::error::Error;
use crate::glob;
use crate::reply::Reply;
use crate::store::table::Table;
use crate::store::{Entry, Slot, Type};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "del",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        run: Run::WriteMany(del),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys that will be removed. Large values are freed in the background.",
        summary: "Deletes one or more keys.",
    },
    Spec {
        name: "unlink",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        run: Run::WriteMany(del),
        flags: Flags::FAST,
        since: "4.0.0",
        complexity: "O(1) for each key removed regardless of its size. Large values are freed in the background.",
        summary: "Asynchronously deletes one or more keys.",
    },
    Spec {
        name: "exists",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        run: Run::ReadMany(exists),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys to check.",
        summary: "Determines whether one or more keys exist.",
    },
    Spec {
        name: "type",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(type_of),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Determines the type of value stored at a key.",
    },
    Spec {
        name: "expire",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(expire),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Sets the expiration time of a key in seconds.",
    },
    Spec {
        name: "pexpire",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(pexpire),
        flags: Flags::FAST,
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Sets the expiration time of a key in milliseconds.",
    },
    Spec {
        name: "expireat",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(expireat),
        flags: Flags::FAST,
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Sets the expiration time of a key to a Unix timestamp.",
    },
    Spec {
        name: "pexpireat",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(pexpireat),
        flags: Flags::FAST,
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Sets the expiration time of a key to a Unix milliseconds timestamp.",
    },
    Spec {
        name: "ttl",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(ttl),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Returns the expiration time in seconds of a key.",
    },
    Spec {
        name: "pttl",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(pttl),
        flags: Flags::FAST,
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Returns the expiration time in milliseconds of a key.",
    },
    Spec {
        name: "persist",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Write(persist),
        flags: Flags::FAST,
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Removes the expiration time of a key.",
    },
    Spec {
        name: "rename",
        arity: Arity::exactly(3),
        keys: Keys::TWO,
        run: Run::WriteMany(rename),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(1). What the new name held before is freed in the background when it is large.",
        summary: "Renames a key and overwrites the destination.",
    },
    Spec {
        name: "keys",
        arity: Arity::exactly(2),
        keys: Keys::None,
        run: Run::Walk(keys),
        flags: Flags::READONLY,
        since: "1.0.0",
        complexity: "O(N) with N being the number of keys in the database.",
        summary: "Returns all key names that match a pattern.",
    },
    Spec {
        name: "scan",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Walk(scan),
        flags: Flags::READONLY.and(Flags::TOUCHES_ARBITRARY_KEYS),
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, N being the number of keys in the database.",
        summary: "Iterates over the key names in the database.",
    },
    Spec {
        name: "object",
        arity: Arity::at_least(2),
        keys: Keys::None,
        run: Run::Container(&[
            Spec {
                name: "encoding",
                arity: Arity::exactly(3),
                keys: Keys::Range { first: 2, last: 2, step: 1 },
                run: Run::Read(object_encoding),
                flags: Flags::NONE,
                since: "2.2.3",
                complexity: "O(1)",
                summary: "Returns the internal encoding of a Redis object.",
            },
            Spec {
                name: "help",
                arity: Arity::exactly(2),
                keys: Keys::None,
                run: Run::Session(help::of_container),
                flags: Flags::LOADING.and(Flags::STALE),
                since: "6.2.0",
                complexity: "O(1)",
                summary: "Returns helpful text about the different subcommands.",
            },
        ]),
        flags: Flags::NONE,
        since: "2.2.3",
        complexity: "Depends on subcommand.",
        summary: "A container for object introspection commands.",
    },
];

/// Documented with the server, as in Redis.
pub(super) const SERVER_SPECS: &[Spec] = &[
    Spec {
        name: "dbsize",
        arity: Arity::exactly(1),
        keys: Keys::None,
        run: Run::Whole(dbsize),
        flags: Flags::READONLY.and(Flags::FAST),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Returns the number of keys in the database.",
    },
    Spec {
        name: "flushdb",
        arity: Arity::at_least(1),
        keys: Keys::None,
        run: Run::Whole(flushdb),
        flags: Flags::WRITE,
        since: "1.0.0",
        complexity: "O(1); the keys are freed in the background.",
        summary: "Removes all keys from the current database.",
    },
    Spec {
        name: "flushall",
        arity: Arity::at_least(1),
        keys: Keys::None,
        run: Run::Whole(flushall),
        flags: Flags::WRITE.and(Flags::ALL_DATABASES),
        since: "1.0.0",
        complexity: "O(1); the keys are freed in the background.",
        summary: "Removes all keys from all databases.",
    },
];

const DEL: Event = Event("del");
const EXPIRE: Event = Event("expire");

/// DEL key ..., UNLINK key ... -> how many existed.
fn del(slots: &mut Slots<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    let mut effects = Effects::new();
    for i in 0..slots.len() {
        if slots.with(i, |slot| slot.remove()) {
            effects.push((i, Effect::Changed(DEL)));
        }
    }
    reply.count(effects.len());
    Ok(effects)
}

/// EXISTS key ... -> how many exist; a key that is named twice counts twice.
fn exists(entries: &Entries<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.count(entries.iter().flatten().count());
    Ok(())
}

/// TYPE key -> string, list, set, hash or none.
fn type_of(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.simple(entry.map_or("none", |entry| Type::of(entry).name()));
    Ok(())
}

fn expire(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    set_expiry(slot, Unit::Seconds, call, reply)
}

fn pexpire(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    set_expiry(slot, Unit::Millis, call, reply)
}

fn expireat(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    set_expiry(slot, Unit::AtSeconds, call, reply)
}

fn pexpireat(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    set_expiry(slot, Unit::AtMillis, call, reply)
}

/// TTL key -> seconds to live, rounded; -1 without a deadline, -2 when the key is missing.
fn ttl(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.integer(match millis_left(entry, call) {
        millis @ 0.. => (millis + 500) / 1000,
        code => code,
    });
    Ok(())
}

/// PTTL key -> milliseconds to live; -1 and -2 as for TTL.
fn pttl(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.integer(millis_left(entry, call));
    Ok(())
}

/// PERSIST key -> 1, or 0 when the key is missing or has no deadline.
fn persist(slot: &mut Slot<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let had = slot.deadline().is_some();
    slot.set_deadline(None);
    reply.integer(i64::from(had));
    Ok(if had { Effect::Changed(Event("persist")) } else { Effect::None })
}

/// RENAME key newkey -> OK.
fn rename(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    if call.arg(1) == call.arg(2) {
        return if slots.with(0, |slot| slot.exists()) {
            reply.ok();
            Ok(Effects::new())
        } else {
            Err(Error::NoSuchKey)
        };
    }
    let value = slots.with(0, |slot| slot.take()).ok_or(Error::NoSuchKey)?;
    slots.with(1, |slot| slot.put(value));
    reply.ok();
    Ok([(0, Effect::Changed(Event("rename_from"))), (1, Effect::Changed(Event("rename_to")))].into_iter().collect())
}

/// KEYS pattern -> an array of the matching keys. Other commands run in between its slices.
fn keys(space: &mut dyn Keyspace, progress: &mut Progress, call: &Call<'_>, reply: &mut Reply) -> Result<Step, Error> {
    let pattern = call.arg(1);
    let all = pattern == b"*";
    let mut seen = 0;
    while progress.part < space.parts() {
        if seen >= SLICE {
            return Ok(Step::More);
        }
        space.read(call.db, progress.part, &mut |table, _| {
            table.each(&mut |entry| {
                seen += 1;
                if !entry.is_expired(call.now) && (all || glob::matches(pattern, entry.key())) {
                    progress.found.bulk(entry.key());
                    progress.count += 1;
                }
            });
        });
        progress.part += 1;
    }
    reply.array(progress.count);
    reply.append(&progress.found);
    Ok(Step::Done)
}

/// Keys that a walk looks at in one slice: about 100 us.
const SLICE: usize = 1024;

/// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type] -> the next cursor and an array of keys.
///
/// A cursor holds the part in its lowest bits and the part's own cursor above.
fn scan(space: &mut dyn Keyspace, progress: &mut Progress, call: &Call<'_>, reply: &mut Reply) -> Result<Step, Error> {
    let cursor = scan::cursor(call, 1)?;
    let options = scan::Options::parse(scan::Target::Keys, call, 2)?;
    let bits = space.parts().trailing_zeros();
    if progress.count == 0 && progress.part == 0 && progress.position == 0 {
        progress.part = (cursor & (space.parts() as u64 - 1)) as usize;
        progress.position = cursor >> bits;
    }
    // `count` is what the client asked to be looked at; empty parts cost nearly nothing and do not count.
    let mut seen = 0;
    let mut found = 0;
    let hasher = &call.server.env.hasher;
    while progress.part < space.parts() && progress.count < options.count {
        if seen >= SLICE {
            return Ok(Step::More);
        }
        let before = seen;
        space.read(call.db, progress.part, &mut |table, _| {
            progress.position = table.scan(progress.position, hasher, &mut |entry| {
                seen += 1;
                if !entry.is_expired(call.now) && options.matches(entry.key()) && options.is_of_type(entry) {
                    progress.found.bulk(entry.key());
                    found += 1;
                }
            });
        });
        progress.count += seen - before;
        progress.found_count += std::mem::take(&mut found);
        if progress.position == 0 {
            progress.part += 1;
        }
    }
    let is_over = progress.part >= space.parts();
    let cursor = if is_over { 0 } else { progress.position << bits | progress.part as u64 };
    scan::write(cursor, progress.found_count, &progress.found, reply);
    Ok(Step::Done)
}

/// DBSIZE -> the number of keys, those included whose deadline has passed unnoticed.
fn dbsize(space: &mut dyn Held, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let mut keys = 0;
    if space.is_used(call.db) {
        for part in 0..space.parts() {
            space.read(call.db, part, &mut |table, _| keys += table.len());
        }
    }
    reply.count(keys);
    Ok(())
}

/// FLUSHDB [ASYNC | SYNC] -> OK. Freeing is always in the background.
fn flushdb(space: &mut dyn Held, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    check_flush_option(call)?;
    clear(space, call.db);
    reply.ok();
    Ok(())
}

/// FLUSHALL [ASYNC | SYNC] -> OK.
fn flushall(space: &mut dyn Held, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    check_flush_option(call)?;
    for db in 0..space.databases() {
        clear(space, db);
    }
    reply.ok();
    Ok(())
}

/// OBJECT ENCODING key -> the name of the encoding; nil when the key is missing.
fn object_encoding(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    match entry {
        Some(entry) => reply.bulk(crate::store::encoding(entry).as_bytes()),
        None => reply.nil(),
    }
    Ok(())
}

fn clear(space: &mut dyn Held, db: u16) {
    if space.is_used(db) {
        for part in 0..space.parts() {
            space.write(db, part, &mut |mut part| part.clear());
        }
    }
}

fn check_flush_option(call: &Call<'_>) -> Result<(), Error> {
    match call.len() {
        1 => Ok(()),
        2 if call.is(1, "async") || call.is(1, "sync") => Ok(()),
        _ => Err(Error::Syntax),
    }
}

fn millis_left(entry: Option<&Entry>, call: &Call<'_>) -> i64 {
    match entry.map(Entry::deadline) {
        None => -2,
        Some(None) => -1,
        Some(Some(deadline)) => deadline.saturating_sub(call.now) as i64,
    }
}

/// Sets a deadline under the conditions NX, XX, GT, LT -> 1, or 0 when it was not set.
fn set_expiry(slot: &mut Slot<'_>, unit: Unit, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let conditions = ExpireConditions::parse(call, reply)?;
    let Some(conditions) = conditions else { return Ok(Effect::None) };
    let deadline = unit.deadline(call.integer(2)?, call)?;
    if !slot.exists() || !conditions.allow(slot.deadline(), deadline) {
        reply.integer(0);
        return Ok(Effect::None);
    }
    reply.integer(1);
    if deadline <= call.now as i64 {
        slot.remove();
        return Ok(Effect::Changed(DEL));
    }
    slot.set_deadline(Some(deadline as u64));
    Ok(Effect::Changed(EXPIRE))
}

#[derive(Clone, Copy, Default)]
struct ExpireConditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl ExpireConditions {
    /// `None` when the error, which names the argument, has been written.
    fn parse(call: &Call<'_>, reply: &mut Reply) -> Result<Option<Self>, Error> {
        let mut conditions = Self::default();
        for i in 3..call.len() {
            match () {
                () if call.is(i, "nx") => conditions.nx = true,
                () if call.is(i, "xx") => conditions.xx = true,
                () if call.is(i, "gt") => conditions.gt = true,
                () if call.is(i, "lt") => conditions.lt = true,
                () => {
                    reply.error([b"ERR Unsupported option ", call.arg(i)].concat());
                    return Ok(None);
                }
            }
        }
        let Self { nx, xx, gt, lt } = conditions;
        if nx && (xx || gt || lt) {
            return Err(Error::Other("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if gt && lt {
            return Err(Error::Other("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(Some(conditions))
    }

    /// A key without a deadline lives forever: no deadline is greater.
    fn allow(self, old: Option<u64>, new: i64) -> bool {
        let old = old.map(|old| old as i64);
        !(self.nx && old.is_some()
            || self.xx && old.is_none()
            || self.gt && old.is_none_or(|old| new <= old)
            || self.lt && old.is_some_and(|old| new >= old))
    }
}
