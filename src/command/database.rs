//! Whole databases: DBSIZE FLUSHDB FLUSHALL SWAPDB.

use super::{Arity, Call, Flags, Held, Keys, Run, Spec};
use crate::error::Error;
use crate::reply::Reply;

/// Documented with the server, as in Redis.
pub(super) const SPECS: &[Spec] = &[
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
    Spec {
        name: "swapdb",
        arity: Arity::exactly(3),
        keys: Keys::None,
        run: Run::Whole(swapdb),
        flags: Flags::WRITE.and(Flags::FAST).and(Flags::NAMED_DATABASES),
        since: "4.0.0",
        complexity: "O(N) where N is the count of shards, plus the keys that clients watch in both databases.",
        summary: "Swaps two databases.",
    },
];

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
    call.server.tracking.flushed(&call.server.config);
    reply.ok();
    Ok(())
}

/// FLUSHALL [ASYNC | SYNC] -> OK.
fn flushall(space: &mut dyn Held, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    check_flush_option(call)?;
    for db in 0..space.databases() {
        clear(space, db);
    }
    call.server.tracking.flushed(&call.server.config);
    reply.ok();
    Ok(())
}

/// SWAPDB index1 index2 -> OK. Clients that have selected one see the other's keys at once.
fn swapdb(space: &mut dyn Held, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    const RANGE: std::ops::RangeInclusive<i64> = i32::MIN as i64..=i32::MAX as i64;
    for (i, error) in [(1, "ERR invalid first DB index"), (2, "ERR invalid second DB index")] {
        if !call.integer(i).is_ok_and(|index| RANGE.contains(&index)) {
            return Err(Error::Other(error));
        }
    }
    space.swap(call.database(1)?, call.database(2)?);
    call.server.tracking.flushed(&call.server.config);
    reply.ok();
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
