//! Keys of any type: DEL UNLINK EXISTS TOUCH TYPE RENAME COPY MOVE ...

use super::{Arity, Call, Effect, Effects, Entries, Event, Flags, Keys, Run, Slots, Spec};
use crate::error::Error;
use crate::reply::Reply;
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
        name: "rename",
        arity: Arity::exactly(3),
        keys: Keys::TWO,
        run: Run::WriteMany(rename),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(1). What the new name held before is freed in the background when it is large.",
        summary: "Renames a key and overwrites the destination.",
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
    slots.with(1, |slot| slot.put(value));
    reply.ok();
    Ok([(0, Effect::Changed(Event("rename_from"))), (1, Effect::Changed(Event("rename_to")))].into_iter().collect())
}
