//! The keys of a database: KEYS SCAN RANDOMKEY.

use super::{Arity, Call, Flags, Keys, Keyspace, Progress, Run, Spec, Step, scan};
use crate::error::Error;
use crate::glob;
use crate::reply::Reply;
use crate::store::table::Table;

pub(super) const SPECS: &[Spec] = &[
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
        name: "randomkey",
        arity: Arity::exactly(1),
        keys: Keys::None,
        run: Run::Walk(randomkey),
        flags: Flags::READONLY.and(Flags::TOUCHES_ARBITRARY_KEYS),
        since: "1.0.0",
        complexity: "O(1). O(N) in a small database, where N is the number of shards.",
        summary: "Returns a random key name from the database.",
    },
];

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
        progress.found.set_aside();
        progress.part += 1;
    }
    reply.array(progress.count);
    reply.append(&progress.found);
    Ok(Step::Done)
}

/// Keys that a walk looks at in one slice: about 100 us. Models have few keys, and want slices.
const SLICE: usize = if cfg!(kiba_model) { 1 } else { 1024 };

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

/// RANDOMKEY -> the name of a key, each about as likely as another; nil when there is none.
///
/// Parts of a large database are nearly of one size: looking into random slots of random parts finds a key soon. A
/// small one has empty parts, so they are counted.
fn randomkey(space: &mut dyn Keyspace, _: &mut Progress, call: &Call<'_>, reply: &mut Reply) -> Result<Step, Error> {
    /// Of these, one in ten or more finds a key where the parts have any.
    const GUESSES: usize = 64;
    /// Parts that are looked at to learn how large they are. Keys are spread by their hashes: hardly any part has more
    /// than twice as many slots as the largest of these.
    const SAMPLES: usize = 8;
    if !space.is_used(call.db) {
        reply.nil();
        return Ok(Step::Done);
    }
    let parts = space.parts();
    // All slots of all parts are to be as likely, however many their part has, so this stays what it is for all guesses.
    let mut slots = 64;
    for _ in 0..SAMPLES {
        space.read(call.db, fastrand::usize(..parts), &mut |table, _| {
            slots = slots.max(2 * table.buckets().min(usize::MAX / 2));
        });
    }
    for _ in 0..GUESSES {
        let mut is_found = false;
        space.read(call.db, fastrand::usize(..parts), &mut |table, _| {
            let at = fastrand::usize(..slots.max(table.buckets()));
            let entry = table.entry_in(at).filter(|entry| !entry.is_expired(call.now));
            is_found = entry.inspect(|entry| reply.bulk(entry.key())).is_some();
        });
        if is_found {
            return Ok(Step::Done);
        }
    }
    let (mut total, mut chosen) = (0, None);
    for part in 0..parts {
        space.read(call.db, part, &mut |table, _| {
            total += table.len();
            // Each part is chosen in the end with the probability of its share.
            if !table.is_empty() && fastrand::usize(..total) < table.len() {
                chosen = Some(part);
            }
        });
    }
    let Some(chosen) = chosen else {
        reply.nil();
        return Ok(Step::Done);
    };
    let mut step = Step::More;
    space.write(call.db, chosen, &mut |mut part| {
        let Some(entry) = part.table.random(|bound| fastrand::usize(..bound)) else { return };
        if entry.is_expired(call.now) {
            // Looking it up removes it, so that the search comes to an end where every key has expired.
            let key = entry.key().to_vec();
            part.slot(&key, call.server.env.hasher.hash(&key), call.now);
        } else {
            reply.bulk(entry.key());
            step = Step::Done;
        }
    });
    Ok(step)
}
