//! Deadlines of single members, whatever the type: EXPIREMEMBER and its relatives of KeyDB, FIELDEXPIRE FIELDTTL SADDEX of
//! Dragonfly. Redis has them for the fields of hashes only, under names of their own.

use super::expiry::Unit;
use super::hash_expiry::deadline;
use super::set::edit_or_make;
use super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::{Entry, Slot, Type, timed};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "expiremember",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Write(expiremember),
        flags: Flags::FAST,
        since: "0.1.0",
        complexity: "O(1)",
        summary: "Sets the expiration time of a member of a set, sorted set or hash.",
    },
    Spec {
        name: "expirememberat",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(expirememberat),
        flags: Flags::FAST,
        since: "0.1.0",
        complexity: "O(1)",
        summary: "Sets the expiration time of a member of a set, sorted set or hash to a Unix timestamp.",
    },
    Spec {
        name: "pexpirememberat",
        arity: Arity::exactly(4),
        keys: Keys::ONE,
        run: Run::Write(pexpirememberat),
        flags: Flags::FAST,
        since: "0.1.0",
        complexity: "O(1)",
        summary: "Sets the expiration time of a member of a set, sorted set or hash to a Unix milliseconds timestamp.",
    },
    Spec {
        name: "fieldexpire",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Write(fieldexpire),
        flags: Flags::FAST,
        since: "0.1.0",
        complexity: "O(N) where N is the number of specified members.",
        summary: "Sets the expiration time of members of a set, sorted set or hash in seconds.",
    },
    Spec {
        name: "fieldttl",
        arity: Arity::exactly(3),
        keys: Keys::ONE,
        run: Run::Read(fieldttl),
        flags: Flags::FAST.and(Flags::NO_TOUCH),
        since: "0.1.0",
        complexity: "O(1)",
        summary: "Returns the expiration time in seconds of a member of a set, sorted set or hash.",
    },
];

/// In the family of sets.
pub(super) const SET_SPECS: &[Spec] = &[Spec {
    name: "saddex",
    arity: Arity::at_least(4),
    keys: Keys::ONE,
    run: Run::Write(saddex),
    flags: Flags::DENYOOM.and(Flags::FAST),
    since: "0.1.0",
    complexity: "O(N) where N is the number of members to be added.",
    summary: "Adds one or more members that expire to a set. Creates the key if it doesn't exist.",
}];

/// `EXPIREMEMBER key member time [s | ms]` -> 1, or 0 when there is no such member.
fn expiremember(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let unit = match call.len() {
        4 => Unit::Seconds,
        5 if call.is(4, "s") => Unit::Seconds,
        5 if call.is(4, "ms") => Unit::Millis,
        5 => return Err(Error::Other("ERR Invalid unit arg")),
        _ => return Err(Error::Other("ERR Invalid number of arguments")),
    };
    expire_one(slot, unit, call, reply)
}

fn expirememberat(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    expire_one(slot, Unit::AtSeconds, call, reply)
}

fn pexpirememberat(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    expire_one(slot, Unit::AtMillis, call, reply)
}

fn expire_one(slot: &mut Slot<'_>, unit: Unit, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let new = deadline(unit, 3, call)?;
    let (outcomes, effect) = expire(slot, std::iter::once(call.arg(2)), new, call)?;
    reply.integer(i64::from(outcomes.iter().any(|outcome| *outcome != Outcome::Missing)));
    Ok(effect)
}

/// FIELDEXPIRE key seconds member ... -> an array: 1 set, 2 deleted because the time has passed, -2 no such member.
fn fieldexpire(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let new = deadline(Unit::Seconds, 2, call)?;
    let (outcomes, effect) = expire(slot, call.args(3), new, call)?;
    reply.array(outcomes.len());
    for outcome in outcomes {
        reply.integer(match outcome {
            Outcome::Missing => -2,
            Outcome::Set => 1,
            Outcome::Removed => 2,
        });
    }
    Ok(effect)
}

/// FIELDTTL key member -> seconds to live, rounded up; -1 without a deadline, -2 without the key, -3 without the member.
fn fieldttl(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.integer(match entry {
        None => -2,
        Some(entry) => match timed::deadline(entry, call.arg(2), call.now).map_err(|_| Error::WrongType)? {
            None => -3,
            Some(None) => -1,
            // A deadline has 48 bits.
            Some(Some(at)) => at.saturating_sub(call.now).div_ceil(1000) as i64,
        },
    });
    Ok(())
}

/// `SADDEX key [KEEPTTL] seconds member ...` -> how many are new. With KEEPTTL the others keep the deadlines that they
/// have, or have none.
fn saddex(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let keeps = call.is(2, "keepttl");
    let at = if keeps { 3 } else { 2 };
    if call.len() < at + 2 {
        return Err(call.arity_error());
    }
    let new = deadline(Unit::Seconds, at, call)?;
    let members = || call.args(at + 1);
    let limits = call.set_limits();
    let mut added = 0;
    let mut expiring = Vec::with_capacity(members().len());
    {
        let mut set = edit_or_make(slot, call, at + 1, &limits)?;
        for member in members() {
            let is_new = set.add(member);
            added += usize::from(is_new);
            if is_new || !keeps {
                expiring.push(member);
            }
        }
    }
    expire(slot, expiring.into_iter(), new, call)?;
    reply.count(added);
    Ok(Effect::Changed(Event("sadd")))
}

/// TTL, PTTL and PERSIST about a member: when it expires, or what is answered instead (-2 when it is missing, -1 when it
/// lives for ever).
pub(super) fn deadline_of_member(entry: &Entry, member: &[u8], now: u64) -> Result<Result<u64, i64>, Error> {
    let deadline = timed::deadline(entry, member, now).map_err(|_| Error::WrongType)?;
    Ok(deadline.ok_or(-2).and_then(|deadline| deadline.ok_or(-1)))
}

/// Lets a member live for ever.
pub(super) fn persist_member(slot: &mut Slot<'_>, member: &[u8], call: &Call<'_>) {
    let limits = call.limits();
    slot.retime(|entry| timed::set_deadline(entry, &limits, member, None, call.now));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Missing,
    Set,
    Removed,
}

/// Sets the deadline of members, or removes them when it has passed. An emptied key goes.
fn expire<'a>(
    slot: &mut Slot<'_>,
    members: impl ExactSizeIterator<Item = &'a [u8]>,
    new: u64,
    call: &Call<'_>,
) -> Result<(Vec<Outcome>, Effect), Error> {
    let Some(entry) = slot.entry() else {
        return Ok((vec![Outcome::Missing; members.len()], Effect::None));
    };
    let (set, removed) = match Type::of(entry) {
        Type::Hash => ("hexpire", "hdel"),
        Type::Set => ("expiremember", "srem"),
        Type::ZSet => ("expiremember", "zrem"),
        Type::String | Type::List | Type::Stream => return Err(Error::WrongType),
    };
    let limits = call.limits();
    let mut is_emptied = false;
    let outcomes = slot.retime(|entry| {
        let outcome = |member: &[u8]| {
            if !matches!(timed::deadline(entry, member, call.now), Ok(Some(_))) {
                Outcome::Missing
            } else if new <= call.now {
                is_emptied = timed::remove(entry, &limits, member, call.now);
                Outcome::Removed
            } else {
                timed::set_deadline(entry, &limits, member, Some(new), call.now);
                Outcome::Set
            }
        };
        members.map(outcome).collect::<Vec<_>>()
    });
    if is_emptied {
        slot.remove();
    }
    let outcomes = outcomes.unwrap_or_default();
    let event = if outcomes.contains(&Outcome::Set) {
        set
    } else if outcomes.contains(&Outcome::Removed) {
        removed
    } else {
        return Ok((outcomes, Effect::None));
    };
    Ok((outcomes, Effect::Changed(Event(event))))
}
