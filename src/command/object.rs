//! OBJECT: how a value is kept, and when it was used last.

use super::{Arity, Call, Flags, Keys, Run, Spec, help};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::Entry;

pub(super) const SPECS: &[Spec] = &[Spec {
    name: "object",
    arity: Arity::at_least(2),
    keys: Keys::None,
    run: Run::Container(SUBCOMMANDS),
    flags: Flags::NONE,
    since: "2.2.3",
    complexity: "Depends on subcommand.",
    summary: "A container for object introspection commands.",
}];

const KEY: Keys = Keys::Range { first: 2, last: 2, step: 1 };

/// Who looks at a value this way does not use it.
const FLAGS: Flags = Flags::NO_TOUCH.and(Flags::UNCOUNTED);

const SUBCOMMANDS: &[Spec] = &[
    Spec {
        name: "encoding",
        arity: Arity::exactly(3),
        keys: KEY,
        run: Run::Read(encoding),
        flags: FLAGS,
        since: "2.2.3",
        complexity: "O(1)",
        summary: "Returns the internal encoding of a Redis object.",
    },
    Spec {
        name: "freq",
        arity: Arity::exactly(3),
        keys: KEY,
        run: Run::Read(freq),
        flags: FLAGS,
        since: "4.0.0",
        complexity: "O(1)",
        summary: "Returns the logarithmic access frequency counter of a Redis object.",
    },
    help::row(Flags::LOADING.and(Flags::STALE), "6.2.0"),
    Spec {
        name: "idletime",
        arity: Arity::exactly(3),
        keys: KEY,
        run: Run::Read(idletime),
        flags: FLAGS,
        since: "2.2.3",
        complexity: "O(1)",
        summary: "Returns the time since the last access to a Redis object.",
    },
    Spec {
        name: "refcount",
        arity: Arity::exactly(3),
        keys: KEY,
        run: Run::Read(refcount),
        flags: FLAGS,
        since: "2.2.3",
        complexity: "O(1)",
        summary: "Returns the reference count of a value of a key.",
    },
];

/// OBJECT ENCODING key -> the name of the encoding; nil when the key is missing.
fn encoding(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    match entry {
        Some(entry) => reply.bulk(crate::store::encoding(entry).as_bytes()),
        None => reply.nil(),
    }
    Ok(())
}

/// OBJECT FREQ key -> the counter of its uses, which a policy of lfu keeps; nil when the key is missing.
fn freq(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let uses = call.server.env.uses();
    match entry {
        Some(_) if !uses.are_counted() => {
            return Err(Error::Other(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                 switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        Some(entry) => reply.integer(uses.frequency(entry.clock(), call.now).into()),
        None => reply.nil(),
    }
    Ok(())
}

/// OBJECT IDLETIME key -> seconds since the last access, which a policy of lfu does not keep; nil when the key is missing.
fn idletime(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    match entry {
        Some(_) if call.server.env.uses().are_counted() => {
            return Err(Error::Other(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
                 policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        Some(entry) => reply.integer(call.idle_seconds(entry).into()),
        None => reply.nil(),
    }
    Ok(())
}

/// OBJECT REFCOUNT key -> 1: no two keys have one value; nil when the key is missing.
fn refcount(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    match entry {
        Some(_) => reply.integer(1),
        None => reply.nil(),
    }
    Ok(())
}
