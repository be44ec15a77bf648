//! Sets: SADD SREM SISMEMBER SMISMEMBER SMEMBERS SCARD SMOVE SSCAN; in `algebra` SINTER SUNION SDIFF and their relatives, in
//! `random` SPOP and SRANDMEMBER.

mod algebra;
mod random;

pub(super) use algebra::SPECS as ALGEBRA_SPECS;
pub(super) use random::SPECS as RANDOM_SPECS;

use smallvec::smallvec;

use super::typed::{edit, view};
use super::{Arity, Call, Effect, Effects, Event, Flags, Keys, Long, Run, Slots, Spec, scan};
use crate::error::Error;
use crate::fault;
use crate::reply::Reply;
use crate::store::set::{self, Edit, View};
use crate::store::{Entry, SetLimits, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "sadd",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(sadd),
        flags: Flags::DENYOOM.and(Flags::FAST).and(Flags::NAMES_MEMBER),
        since: "1.0.0",
        complexity: "O(1) for each element added.",
        summary: "Adds one or more members to a set. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "srem",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(srem),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "1.0.0",
        complexity: "O(N) where N is the number of members to be removed.",
        summary: "Removes one or more members from a set. Deletes the set if the last member was removed.",
    },
    Spec {
        name: "sismember",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Read(sismember),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Determines whether a member belongs to a set.",
    },
    Spec {
        name: "smismember",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Read(smismember),
        flags: Flags::FAST.and(Flags::NAMES_MEMBER),
        since: "6.2.0",
        complexity: "O(N) where N is the number of elements being checked for membership",
        summary: "Determines whether multiple members belong to a set.",
    },
    Spec {
        name: "smembers",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Long(&Long::read(Run::Read(smembers), work_of_all)),
        flags: Flags::NONE,
        since: "1.0.0",
        complexity: "O(N) where N is the set cardinality.",
        summary: "Returns all members of a set.",
    },
    Spec {
        name: "scard",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(scard),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Returns the number of members in a set.",
    },
    Spec {
        name: "smove",
        arity: Arity::exactly(4),
        keys: Keys::TWO,
        run: Run::WriteMany(smove),
        flags: Flags::FAST,
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Moves a member from one set to another.",
    },
    Spec {
        name: "sscan",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Read(sscan),
        flags: Flags::NONE,
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, N being the number of members in the set.",
        summary: "Iterates over members of a set.",
    },
];

/// SADD key member ... -> how many were added; in the original dialect the set's new size.
fn sadd(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let limits = call.set_limits();
    let mut set = edit_or_make(slot, call, 2, &limits)?;
    fault::point("set.made");
    let added = call.args(2).filter(|member| set.add(member)).inspect(|_| fault::point("set.add")).count();
    reply.count(if call.is_original() { set.len() } else { added });
    Ok(if added > 0 { Effect::Changed(Event("sadd")) } else { Effect::None })
}

/// The set in a slot, made where there is none, to which the arguments from `first` on are about to be added.
pub(super) fn edit_or_make<'a>(
    slot: &'a mut Slot<'_>,
    call: &Call<'_>,
    first: usize,
    limits: &'a SetLimits,
) -> Result<Edit<'a>, Error> {
    let count = call.len() - first;
    if !slot.exists() {
        slot.insert(set::create_for(slot.key(), call.clock(), call.arg(first), count, limits));
    }
    let mut set = edit(slot, limits, Edit::of)?.expect("just made");
    set.expect(count);
    Ok(set)
}

/// SREM key member ... -> how many were removed.
fn srem(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let limits = call.set_limits();
    let Some(mut set) = edit(slot, &limits, Edit::of)? else {
        reply.count(0);
        return Ok(Effect::None);
    };
    let removed = call.args(2).filter(|member| set.remove(member)).count();
    if set.is_empty() {
        slot.remove();
    }
    reply.count(removed);
    Ok(if removed > 0 { Effect::Changed(Event("srem")) } else { Effect::None })
}

/// SISMEMBER key member -> 1 or 0.
fn sismember(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.integer(i64::from(view(entry, View::of)?.is_some_and(|set| set.contains(call.arg(2)))));
    Ok(())
}

/// SMISMEMBER key member ... -> an array of 1 and 0.
fn smismember(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let set = view(entry, View::of)?;
    reply.array(call.len() - 2);
    for member in call.args(2) {
        reply.integer(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

/// SMEMBERS key -> a set of all members.
fn smembers(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let Some(set) = view(entry, View::of)? else {
        reply.set(0);
        return Ok(());
    };
    reply.set(set.len());
    for member in set.iter() {
        reply.bulk(&member);
    }
    Ok(())
}

/// SCARD key -> the number of members.
fn scard(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.count(view(entry, View::of)?.map_or(0, View::len));
    Ok(())
}

/// SMOVE source destination member -> 1, or 0 when the source does not have it.
fn smove(slots: &mut Slots<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effects, Error> {
    let member = call.arg(3);
    let mut entries = slots.entries();
    let (source, destination) = (entries.next().flatten(), entries.next().flatten());
    let is_member = match view(source, View::of)? {
        Some(source) => {
            // Only where there is a source the destination's type matters.
            view(destination, View::of)?;
            source.contains(member)
        }
        None => false,
    };
    drop(entries);
    reply.integer(i64::from(is_member));
    if !is_member || slots.key(0) == slots.key(1) {
        return Ok(Effects::new());
    }
    let limits = call.set_limits();
    slots.with(0, |slot| {
        if let Ok(Some(mut set)) = edit(slot, &limits, Edit::of)
            && set.remove(member)
            && set.is_empty()
        {
            slot.remove();
        }
    });
    fault::point("smove.between");
    let is_new = slots.with(1, |slot| {
        if !slot.exists() {
            slot.insert(set::create_for(slot.key(), call.clock(), member, 1, &limits));
        }
        edit(slot, &limits, Edit::of).map(|set| set.is_some_and(|mut set| set.add(member)))
    })?;
    let mut effects: Effects = smallvec![(0, Effect::Changed(Event("srem")))];
    if is_new {
        effects.push((1, Effect::Changed(Event("sadd"))));
    }
    Ok(effects)
}

/// `SSCAN key cursor [MATCH pattern] [COUNT count]` -> the next cursor and an array of members.
fn sscan(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let cursor = scan::cursor(call, 2)?;
    let Some(set) = view(entry, View::of)? else {
        scan::write_empty(reply);
        return Ok(());
    };
    let options = scan::Options::parse(scan::Target::Members, call, 3)?;
    let (mut found, mut count) = (reply.part(), 0);
    let next = set.scan(cursor, options.count, |member| {
        if options.matches(&member) {
            found.bulk(&member);
            count += 1;
        }
    });
    scan::write(next, count, &found, reply);
    Ok(())
}
/// What a command on all members of a set goes through.
fn work_of_all(entries: &[Option<&Entry>], _: &Call<'_>) -> usize {
    entries.iter().flatten().filter_map(|entry| View::of(entry)).map(View::len).sum()
}
