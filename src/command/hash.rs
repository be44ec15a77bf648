//! Hashes: HSET HGET HDEL HGETALL.

use super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec, typed};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::hash::{self, Edit, View};
use crate::store::{Entry, Limits, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "hset",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Write(hset),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "2.0.0",
        complexity: "O(1) for each field/value pair added.",
        summary: "Creates or modifies the value of a field in a hash.",
    },
    Spec {
        name: "hget",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Read(hget),
        flags: Flags::FAST,
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Returns the value of a field in a hash.",
    },
    Spec {
        name: "hdel",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(hdel),
        flags: Flags::FAST,
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields to be removed.",
        summary: "Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain.",
    },
    Spec {
        name: "hgetall",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(hgetall),
        flags: Flags::NONE,
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        summary: "Returns all fields and values in a hash.",
    },
];

/// HSET key field value ... -> how many fields are new.
fn hset(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    if !call.len().is_multiple_of(2) {
        return Err(call.arity_error());
    }
    if !slot.exists() {
        slot.insert(hash::create(slot.key(), call.clock()));
    }
    let limits = call.limits();
    let mut hash = edit(slot, &limits)?.expect("just made");
    hash.expect(call.len() / 2 - 1);
    let created = (2..call.len()).step_by(2).filter(|&i| hash.set(call.arg(i), call.arg(i + 1))).count();
    reply.count(created);
    Ok(Effect::Changed(Event("hset")))
}

/// HGET key field -> the value; nil when key or field is missing.
fn hget(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    match view(entry, call)?.and_then(|hash| hash.get(call.arg(2))) {
        Some(value) => reply.bulk(value),
        None => reply.nil(),
    }
    Ok(())
}

/// HDEL key field ... -> how many were removed.
fn hdel(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let limits = call.limits();
    let Some(mut hash) = edit(slot, &limits)? else {
        reply.count(0);
        return Ok(Effect::None);
    };
    let removed = call.args(2).filter(|field| hash.remove(field)).count();
    if hash.is_empty() {
        slot.remove();
    }
    reply.count(removed);
    Ok(if removed > 0 { Effect::Changed(Event("hdel")) } else { Effect::None })
}

/// HGETALL key -> a map of all fields.
fn hgetall(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let Some(hash) = view(entry, call)? else {
        reply.map(0);
        return Ok(());
    };
    reply.map(hash.len());
    for (field, value) in hash.iter() {
        reply.bulk(field);
        reply.bulk(value);
    }
    Ok(())
}

/// The hash in an entry at the time of the call.
#[inline]
fn view<'a>(entry: Option<&'a Entry>, call: &Call<'_>) -> Result<Option<View<'a>>, Error> {
    typed::view(entry, |entry| View::of(entry, call.now))
}

/// As [`view`], to change it.
#[inline]
fn edit<'a>(slot: &'a mut Slot<'_>, limits: &'a Limits) -> Result<Option<Edit<'a>>, Error> {
    let now = slot.now();
    typed::edit(slot, limits, |entry, limits| Edit::of(entry, limits, now))
}
