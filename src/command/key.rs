//! Keys of any type: DEL UNLINK EXISTS TOUCH TYPE RENAME COPY MOVE ...

use super::{
    Arguments, Arity, Call, Effect, Effects, Entries, Event, Finder, Flags, Keys, Long, Place, Places, Run, Slots, Spec,
};
use crate::error::Error;
use crate::fault;
use crate::reply::Reply;
use crate::store::copy::elements;
use crate::store::{Entry, Type};

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
        flags: Flags::FAST.and(Flags::NO_TOUCH),
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys to check.",
        summary: "Determines whether one or more keys exist.",
    },
    Spec {
        name: "touch",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        run: Run::ReadMany(touch),
        flags: Flags::FAST,
        since: "3.2.1",
        complexity: "O(N) where N is the number of keys that will be touched.",
        summary: "Returns the number of existing keys out of those specified after updating the time they were last accessed.",
    },
    Spec {
        name: "type",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(type_of),
        flags: Flags::FAST.and(Flags::NO_TOUCH),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Determines the type of value stored at a key.",
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
        name: "renamenx",
        arity: Arity::exactly(3),
        keys: Keys::TWO,
        run: Run::WriteMany(renamenx),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Renames a key only when the target key name doesn't exist.",
    },
    Spec {
        name: "copy",
        arity: Arity::at_least(3),
        keys: Keys::Found(&Finder { codes: [1, 2, 1], is_movable: false, find: keys_of_copy }),
        run: Run::Long(&Long::store(Run::WriteMany(copy), work_of_copy, 1)),
        flags: Flags::DENYOOM,
        since: "6.2.0",
        complexity: "O(N) worst case for collections, where N is the number of nested items. O(1) for string values. Both \
                     keys are held meanwhile.",
        summary: "Copies the value of a key to a new key.",
    },
    Spec {
        name: "move",
        arity: Arity::exactly(3),
        keys: Keys::Found(&Finder { codes: [1, 1, 1], is_movable: false, find: keys_of_move }),
        run: Run::WriteMany(move_to),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Moves a key to another database.",
    },
];

const DEL: Event = Event("del");

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

/// TOUCH key ... -> how many exist. Looking them up is what touches them, but for a client that touches nothing else.
fn touch(entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let note = |entry: &&Entry| {
        if call.asker.no_touch {
            call.server.env.uses().note(entry, call.now);
        }
    };
    reply.count(entries.iter().flatten().inspect(note).count());
    Ok(())
}

/// TYPE key -> string, list, set, hash or none.
fn type_of(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.simple(entry.map_or("none", |entry| Type::of(entry).name()));
    Ok(())
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
    fault::point("rename.between");
    slots.with(1, |slot| slot.put(value));
    reply.ok();
    Ok(went("rename_from", "rename_to"))
}

/// RENAMENX key newkey -> 1, or 0 when there is a key with the new name.
fn renamenx(slots: &mut Slots<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    if !slots.with(0, |slot| slot.exists()) {
        return Err(Error::NoSuchKey);
    }
    Ok(carry(slots, reply, "rename_from", "rename_to"))
}

/// MOVE key db -> 1, or 0 when there is no such key here or there is one there.
fn move_to(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    if call.database(2)? == call.db {
        return Err(SAME_OBJECT);
    }
    Ok(carry(slots, reply, "move_from", "move_to"))
}

/// `COPY source destination [DB index] [REPLACE]` -> 1, or 0 when the source is missing or the destination is there.
fn copy(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    let options = CopyOptions::parse(call)?;
    if options.db.is_none_or(|db| db == call.db) && call.arg(1) == call.arg(2) {
        return Err(SAME_OBJECT);
    }
    let is_free = options.replaces || !slots.with(1, |slot| slot.exists());
    let copied = if is_free {
        slots.with(0, |slot| slot.entry().map(|entry| entry.duplicate(call.arg(2), call.clock())))
    } else {
        None
    };
    reply.integer(i64::from(copied.is_some()));
    let Some(copied) = copied else { return Ok(Effects::new()) };
    slots.with(1, |slot| {
        slot.remove();
        fault::point("copy.between");
        slot.insert(copied);
    });
    Ok([(1, Effect::Changed(Event("copy_to")))].into_iter().collect())
}

const SAME_OBJECT: Error = Error::Other("ERR source and destination objects are the same");

/// Takes the value of the first key to the second, unless that exists. Replies 1, or 0 when nothing was done.
fn carry(slots: &mut Slots<'_>, reply: &mut Reply, from: &'static str, to: &'static str) -> Effects {
    let value = if slots.with(1, |slot| slot.exists()) { None } else { slots.with(0, |slot| slot.take()) };
    reply.integer(i64::from(value.is_some()));
    let Some(value) = value else { return Effects::new() };
    slots.with(1, |slot| slot.put(value));
    went(from, to)
}

fn went(from: &'static str, to: &'static str) -> Effects {
    [(0, Effect::Changed(Event(from))), (1, Effect::Changed(Event(to)))].into_iter().collect()
}

/// The key here, and the one of the same name in the database that is named.
fn keys_of_move(arguments: Arguments<'_>) -> Places {
    let there = Place { arg: 1, elsewhere: arguments.database(2) };
    [Place::here(1), there].into_iter().collect()
}

/// Both keys; the second in another database where the last DB says so.
fn keys_of_copy(arguments: Arguments<'_>) -> Places {
    let (mut elsewhere, mut i) = (None, 3);
    while i < arguments.len() {
        if arguments.is(i, "db") {
            elsewhere = arguments.database(i + 1);
            i += 1;
        }
        i += 1;
    }
    [Place::here(1), Place { arg: 2, elsewhere }].into_iter().collect()
}

#[derive(Default)]
struct CopyOptions {
    db: Option<u16>,
    replaces: bool,
}

impl CopyOptions {
    fn parse(call: &Call<'_>) -> Result<Self, Error> {
        let (mut options, mut i) = (Self::default(), 3);
        while i < call.len() {
            if call.is(i, "replace") {
                options.replaces = true;
            } else if call.is(i, "db") && i + 1 < call.len() {
                i += 1;
                options.db = Some(call.database(i)?);
            } else {
                return Err(Error::Syntax);
            }
            i += 1;
        }
        Ok(options)
    }
}
/// What COPY goes through: everything, unless it is not to be copied.
fn work_of_copy(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    let is_free = matches!(entries, [_, None]) || CopyOptions::parse(call).is_ok_and(|options| options.replaces);
    entries.first().copied().flatten().filter(|_| is_free).map_or(0, elements)
}
