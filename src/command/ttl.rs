//! Times to live: EXPIRE TTL EXPIRETIME PERSIST ...

use super::expiry::Unit;
use super::member_expiry::{deadline_of_member, persist_member};
use super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::{Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
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
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Read(ttl),
        flags: Flags::FAST.and(Flags::NO_TOUCH),
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Returns the expiration time in seconds of a key or of a member.",
    },
    Spec {
        name: "pttl",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Read(pttl),
        flags: Flags::FAST.and(Flags::NO_TOUCH),
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Returns the expiration time in milliseconds of a key or of a member.",
    },
    Spec {
        name: "expiretime",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(expiretime),
        flags: Flags::FAST.and(Flags::NO_TOUCH),
        since: "7.0.0",
        complexity: "O(1)",
        summary: "Returns the expiration time of a key as a Unix timestamp.",
    },
    Spec {
        name: "pexpiretime",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(pexpiretime),
        flags: Flags::FAST.and(Flags::NO_TOUCH),
        since: "7.0.0",
        complexity: "O(1)",
        summary: "Returns the expiration time of a key as a Unix milliseconds timestamp.",
    },
    Spec {
        name: "persist",
        arity: Arity::at_least(2),
        keys: Keys::ONE,
        run: Run::Write(persist),
        flags: Flags::FAST,
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Removes the expiration time of a key or of a member.",
    },
];

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

/// `TTL key [member]` -> seconds to live, rounded; -1 without a deadline, -2 when the key or the member is missing.
fn ttl(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.integer(match millis_left(entry, call)? {
        millis @ 0.. => (millis + 500) / 1000,
        code => code,
    });
    Ok(())
}

/// `PTTL key [member]` -> milliseconds to live; -1 and -2 as for TTL.
fn pttl(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.integer(millis_left(entry, call)?);
    Ok(())
}

/// EXPIRETIME key -> the deadline in seconds since the Unix epoch, rounded; -1 and -2 as for TTL.
fn expiretime(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    // Rounded without a sign, which no deadline has: the latest one would overflow.
    reply.integer(deadline(entry).map_or_else(|code| code, |millis| ((millis + 500) / 1000) as i64));
    Ok(())
}

/// PEXPIRETIME key -> the deadline in milliseconds since the Unix epoch; -1 and -2 as for TTL.
fn pexpiretime(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.integer(deadline(entry).map_or_else(|code| code, |millis| millis as i64));
    Ok(())
}

/// `PERSIST key [member]` -> 1, or 0 when the key or the member is missing or has no deadline.
fn persist(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let had = deadline_asked_for(slot.entry(), call)?.is_ok();
    if had && call.len() == 3 {
        persist_member(slot, call.arg(2), call);
    } else if had {
        slot.set_deadline(None);
    }
    reply.integer(i64::from(had));
    Ok(if had { Effect::Changed(Event("persist")) } else { Effect::None })
}

fn millis_left(entry: Option<&Entry>, call: &Call<'_>) -> Result<i64, Error> {
    let deadline = deadline_asked_for(entry, call)?;
    Ok(deadline.map_or_else(|code| code, |millis| millis.saturating_sub(call.now) as i64))
}

/// The deadline of the key, or of the member that is named behind it.
fn deadline_asked_for(entry: Option<&Entry>, call: &Call<'_>) -> Result<Result<u64, i64>, Error> {
    match (call.len(), entry) {
        (2, entry) => Ok(deadline(entry)),
        (3, Some(entry)) => deadline_of_member(entry, call.arg(2), call.now),
        (3, None) => Ok(Err(-2)),
        _ => Err(call.arity_error()),
    }
}

/// The deadline, or what is answered instead: -2 when the key is missing, -1 when it lives for ever.
fn deadline(entry: Option<&Entry>) -> Result<u64, i64> {
    entry.ok_or(-2)?.deadline().ok_or(-1)
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
        return Ok(Effect::Changed(Event("del")));
    }
    slot.set_deadline(Some(deadline as u64));
    Ok(Effect::Changed(Event("expire")))
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
