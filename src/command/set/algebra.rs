//! Several sets at once: SINTER SUNION SDIFF, with CARD their sizes, with STORE to a key.

use smallvec::smallvec;

use crate::command::typed::view;
use crate::command::{Arity, Call, Effect, Effects, Entries, Event, Flags, Keys, Long, Run, Slots, Spec};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::Entry;
use crate::store::set::View;
use crate::store::set::algebra::Operation;

pub(in crate::command) const SPECS: &[Spec] = &[
    Spec {
        name: "sinter",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        run: Run::Long(&Long::read(Run::ReadMany(sinter), work_of_sinter)),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Returns the intersect of multiple sets.",
    },
    Spec {
        name: "sintercard",
        arity: Arity::at_least(3),
        keys: Keys::Counted { has_target: false, count: 1 },
        run: Run::Long(&Long::read(Run::ReadMany(sintercard), work_of_sintercard)),
        flags: Flags::NONE,
        since: "7.0.0",
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Returns the number of members of the intersect of multiple sets.",
    },
    Spec {
        name: "sinterstore",
        arity: Arity::at_least(3),
        keys: Keys::ALL,
        run: Run::Long(&Long::store(Run::WriteMany(sinterstore), work_of_sinterstore, 0)),
        flags: Flags::DENYOOM,
        since: "1.0.0",
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Stores the intersect of multiple sets in a key.",
    },
    Spec {
        name: "sunion",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        run: Run::Long(&Long::read(Run::ReadMany(sunion), work_of_sunion)),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Returns the union of multiple sets.",
    },
    Spec {
        name: "sunioncard",
        arity: Arity::at_least(3),
        keys: Keys::Counted { has_target: false, count: 1 },
        run: Run::Long(&Long::read(Run::ReadMany(sunioncard), work_of_sunioncard)),
        flags: Flags::NONE,
        since: "8.10.0",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Returns the number of members of the union of multiple sets.",
    },
    Spec {
        name: "sunionstore",
        arity: Arity::at_least(3),
        keys: Keys::ALL,
        run: Run::Long(&Long::store(Run::WriteMany(sunionstore), work_of_sunionstore, 0)),
        flags: Flags::DENYOOM,
        since: "1.0.0",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Stores the union of multiple sets in a key.",
    },
    Spec {
        name: "sdiff",
        arity: Arity::at_least(2),
        keys: Keys::ALL,
        run: Run::Long(&Long::read(Run::ReadMany(sdiff), work_of_sdiff)),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Returns the difference of multiple sets.",
    },
    Spec {
        name: "sdiffcard",
        arity: Arity::at_least(3),
        keys: Keys::Counted { has_target: false, count: 1 },
        run: Run::Long(&Long::read(Run::ReadMany(sdiffcard), work_of_sdiffcard)),
        flags: Flags::NONE,
        since: "8.10.0",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Returns the number of members of the difference between the first set and all successive sets.",
    },
    Spec {
        name: "sdiffstore",
        arity: Arity::at_least(3),
        keys: Keys::ALL,
        run: Run::Long(&Long::store(Run::WriteMany(sdiffstore), work_of_sdiffstore, 0)),
        flags: Flags::DENYOOM,
        since: "1.0.0",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Stores the difference of multiple sets in a key.",
    },
];

/// SINTER key ... -> a set of the members that all of them have.
fn sinter(entries: &Entries<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    write(Operation::Intersection, entries, reply)
}

/// `SINTERCARD numkeys key ... [LIMIT limit]` -> how many members SINTER would return, counted no further than `limit`.
fn sintercard(entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    count(Operation::Intersection, entries, call, reply)
}

/// SINTERSTORE destination key ... -> how many members the destination has now.
fn sinterstore(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    store(Operation::Intersection, "sinterstore", slots, call, reply)
}

/// SUNION key ... -> a set of the members that any of them has.
fn sunion(entries: &Entries<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    write(Operation::Union, entries, reply)
}

/// `SUNIONCARD numkeys key ... [APPROX] [LIMIT limit]` -> how many members SUNION would return, counted no further than
/// `limit`. It is exact even where an approximation would do.
fn sunioncard(entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    count(Operation::Union, entries, call, reply)
}

/// SUNIONSTORE destination key ... -> how many members the destination has now.
fn sunionstore(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    store(Operation::Union, "sunionstore", slots, call, reply)
}

/// SDIFF key ... -> a set of the members of the first that none of the others has.
fn sdiff(entries: &Entries<'_>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    write(Operation::Difference, entries, reply)
}

/// `SDIFFCARD numkeys key ... [LIMIT limit]` -> how many members SDIFF would return, counted no further than `limit`.
fn sdiffcard(entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    count(Operation::Difference, entries, call, reply)
}

/// SDIFFSTORE destination key ... -> how many members the destination has now.
fn sdiffstore(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    store(Operation::Difference, "sdiffstore", slots, call, reply)
}

fn write(operation: Operation, entries: &Entries<'_>, reply: &mut Reply) -> Result<(), Error> {
    let members = operation.members(&views(entries.iter())?);
    reply.set(members.len());
    members.iter().for_each(|member| reply.bulk(member));
    Ok(())
}

fn count(operation: Operation, entries: &Entries<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let keys = call.count(1, 1, "ERR numkeys should be greater than 0")?;
    if keys > call.len() - 2 {
        return Err(Error::Other("ERR Number of keys can't be greater than number of args"));
    }
    let mut limit = usize::MAX;
    let mut i = 2 + keys;
    while i < call.len() {
        if call.is(i, "limit") && i + 1 < call.len() {
            limit = match call.count(i + 1, 0, "ERR LIMIT can't be negative")? {
                0 => usize::MAX,
                limit => limit,
            };
            i += 2;
        } else if operation == Operation::Union && call.is(i, "approx") {
            i += 1;
        } else {
            return Err(Error::Syntax);
        }
    }
    reply.count(operation.count(&views(entries.iter())?, limit));
    Ok(())
}

/// Replaces the first key by the result of an operation on the others; an empty result removes it.
fn store(
    operation: Operation,
    event: &'static str,
    slots: &mut Slots<'_>,
    call: &Call<'_>,
    reply: &mut Reply,
) -> Result<Effects, Error> {
    let result = {
        let key = slots.key(0);
        let sets = views(slots.entries().skip(1))?;
        operation.store(key, call.clock(), &sets, &call.set_limits())
    };
    reply.count(result.as_ref().and_then(View::of).map_or(0, View::len));
    let event = slots.with(0, |slot| {
        let existed = slot.remove();
        match result {
            Some(entry) => {
                slot.insert(entry);
                Some(Event(event))
            }
            None => existed.then_some(Event("del")),
        }
    });
    Ok(event.map_or_else(Effects::new, |event| smallvec![(0, Effect::Changed(event))]))
}

/// The sets in the entries.
///
/// # Errors
/// [`Error::WrongType`] when one holds something else, even if the result does not depend on it.
fn views<'a>(entries: impl Iterator<Item = Option<&'a Entry>>) -> Result<Vec<Option<View<'a>>>, Error> {
    entries.map(|entry| view(entry, View::of)).collect()
}
/// What an operation goes through; nothing where it fails.
fn work(operation: Operation, sources: &[Option<&Entry>]) -> usize {
    views(sources.iter().copied()).map_or(0, |sets| operation.work(&sets))
}

/// The same for a command that counts no further than LIMIT says. It may come to more where most is looked at in vain.
fn work_of_count(operation: Operation, sources: &[Option<&Entry>], call: &Call<'_>) -> usize {
    /// Members that are looked at for each one that is found.
    const IN_VAIN: usize = 64;
    let work = work(operation, sources);
    let limit = (2 + sources.len()..call.len().saturating_sub(1)).find(|&i| call.is(i, "limit"));
    match limit.and_then(|i| call.count(i + 1, 1, "").ok()) {
        Some(limit) => work.min(limit.saturating_mul(IN_VAIN)),
        None => work,
    }
}

fn work_of_sinter(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Intersection, entries)
}

fn work_of_sintercard(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work_of_count(Operation::Intersection, entries, call)
}

fn work_of_sinterstore(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Intersection, &entries[1..])
}

fn work_of_sunion(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Union, entries)
}

fn work_of_sunioncard(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work_of_count(Operation::Union, entries, call)
}

fn work_of_sunionstore(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Union, &entries[1..])
}

fn work_of_sdiff(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Difference, entries)
}

fn work_of_sdiffcard(entries: &[Option<&Entry>], call: &Call<'_>) -> usize {
    work_of_count(Operation::Difference, entries, call)
}

fn work_of_sdiffstore(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    work(Operation::Difference, &entries[1..])
}
