//! Fields with deadlines: HEXPIRE HTTL HPERSIST ... of Redis 7.4, HGETEX HSETEX HGETDEL of 8.0.
//!
//! Unlike elsewhere the type of the key is checked before the arguments, as Redis does here (not for HSETEX).

use super::expiry::Unit;
use super::hash::{edit_or_make, view, write_value};
use super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::number::parse_i64;
use crate::reply::Reply;
use crate::store::hash::{Edit, FieldDeadline};
use crate::store::{Entry, Slot};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "hexpire",
        arity: Arity::at_least(6),
        keys: Keys::ONE,
        run: Run::Write(hexpire),
        flags: Flags::FAST,
        since: "7.4.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Sets the expiration time of fields in seconds.",
    },
    Spec {
        name: "hpexpire",
        arity: Arity::at_least(6),
        keys: Keys::ONE,
        run: Run::Write(hpexpire),
        flags: Flags::FAST,
        since: "7.4.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Sets the expiration time of fields in milliseconds.",
    },
    Spec {
        name: "hexpireat",
        arity: Arity::at_least(6),
        keys: Keys::ONE,
        run: Run::Write(hexpireat),
        flags: Flags::FAST,
        since: "7.4.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Sets the expiration time of fields to a Unix timestamp.",
    },
    Spec {
        name: "hpexpireat",
        arity: Arity::at_least(6),
        keys: Keys::ONE,
        run: Run::Write(hpexpireat),
        flags: Flags::FAST,
        since: "7.4.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Sets the expiration time of fields to a Unix milliseconds timestamp.",
    },
    Spec {
        name: "hpersist",
        arity: Arity::at_least(5),
        keys: Keys::ONE,
        run: Run::Write(hpersist),
        flags: Flags::FAST,
        since: "7.4.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Removes the expiration time of fields.",
    },
    Spec {
        name: "httl",
        arity: Arity::at_least(5),
        keys: Keys::ONE,
        run: Run::Read(httl),
        flags: Flags::FAST,
        since: "7.4.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Returns the time to live of fields in seconds.",
    },
    Spec {
        name: "hpttl",
        arity: Arity::at_least(5),
        keys: Keys::ONE,
        run: Run::Read(hpttl),
        flags: Flags::FAST,
        since: "7.4.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Returns the time to live of fields in milliseconds.",
    },
    Spec {
        name: "hexpiretime",
        arity: Arity::at_least(5),
        keys: Keys::ONE,
        run: Run::Read(hexpiretime),
        flags: Flags::FAST,
        since: "7.4.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Returns the expiration time of fields as a Unix timestamp.",
    },
    Spec {
        name: "hpexpiretime",
        arity: Arity::at_least(5),
        keys: Keys::ONE,
        run: Run::Read(hpexpiretime),
        flags: Flags::FAST,
        since: "7.4.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Returns the expiration time of fields as a Unix milliseconds timestamp.",
    },
    Spec {
        name: "hgetdel",
        arity: Arity::at_least(5),
        keys: Keys::ONE,
        run: Run::Write(hgetdel),
        flags: Flags::FAST,
        since: "8.0.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Returns the values of fields and deletes them. Deletes the hash if no fields remain.",
    },
    Spec {
        name: "hgetex",
        arity: Arity::at_least(5),
        keys: Keys::ONE,
        run: Run::Write(hgetex),
        flags: Flags::FAST,
        since: "8.0.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Returns the values of fields and optionally sets or removes their expiration time.",
    },
    Spec {
        name: "hsetex",
        arity: Arity::at_least(6),
        keys: Keys::ONE,
        run: Run::Write(hsetex),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "8.0.0",
        complexity: "O(N) where N is the number of specified fields.",
        summary: "Sets the values of fields and optionally their expiration time, if all or none of them exist.",
    },
];

const HEXPIRE: Event = Event("hexpire");
const HPERSIST: Event = Event("hpersist");
const HDEL: Event = Event("hdel");
const HSET: Event = Event("hset");

/// What HEXPIRE, HPERSIST and HTTL answer about one field.
const NO_FIELD: i64 = -2;
const NO_DEADLINE: i64 = -1;
const CONDITION_NOT_MET: i64 = 0;
const DONE: i64 = 1;
const DELETED: i64 = 2;

/// HEXPIRE key seconds [NX | XX | GT | LT] FIELDS count field ... -> an array: 1 set, 0 the condition is not met,
/// 2 deleted because the time has passed, -2 no such field.
fn hexpire(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    expire(slot, Unit::Seconds, call, reply)
}

fn hpexpire(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    expire(slot, Unit::Millis, call, reply)
}

fn hexpireat(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    expire(slot, Unit::AtSeconds, call, reply)
}

fn hpexpireat(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    expire(slot, Unit::AtMillis, call, reply)
}

/// HTTL key FIELDS count field ... -> an array of seconds, rounded up; -1 without a deadline, -2 without the field.
fn httl(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    deadlines(entry, Unit::Seconds, call, reply)
}

fn hpttl(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    deadlines(entry, Unit::Millis, call, reply)
}

fn hexpiretime(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    deadlines(entry, Unit::AtSeconds, call, reply)
}

fn hpexpiretime(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    deadlines(entry, Unit::AtMillis, call, reply)
}

/// HPERSIST key FIELDS count field ... -> an array: 1 done, -1 no deadline, -2 no such field.
fn hpersist(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let is_missing = view(slot.entry(), call)?.is_none();
    let fields = fields(call, 2, COUNT_NOT_POSITIVE)?;
    reply.array(call.len() - fields);
    if is_missing {
        call.args(fields).for_each(|_| reply.integer(NO_FIELD));
        return Ok(Effect::None);
    }
    let mut changed = 0;
    change(slot, call, |hash| {
        for field in call.args(fields) {
            reply.integer(match hash.view().deadline(field) {
                None => NO_FIELD,
                Some(None) => NO_DEADLINE,
                Some(Some(_)) => {
                    hash.set_deadline(field, None);
                    changed += 1;
                    DONE
                }
            });
        }
    });
    Ok(if changed > 0 { Effect::Changed(HPERSIST) } else { Effect::None })
}

/// HGETDEL key FIELDS count field ... -> an array of the values, nil for what is missing.
fn hgetdel(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let is_missing = view(slot.entry(), call)?.is_none();
    let fields = fields(call, 2, COUNT_NOT_POSITIVE)?;
    reply.array(call.len() - fields);
    if is_missing {
        call.args(fields).for_each(|_| reply.nil());
        return Ok(Effect::None);
    }
    let mut removed = 0;
    change(slot, call, |hash| {
        for field in call.args(fields) {
            write_value(Some(hash.view()), field, reply);
            removed += usize::from(hash.remove(field));
        }
    });
    Ok(if removed > 0 { Effect::Changed(HDEL) } else { Effect::None })
}

/// `HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS count field ...` -> an array of the values, nil for
/// what is missing.
fn hgetex(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let is_missing = view(slot.entry(), call)?.is_none();
    let (new, at) = match Unit::from_option(call.arg(2)) {
        Some(unit) => (Some(Some(deadline(unit, 3, call)?)), 4),
        None if call.is(2, "persist") => (Some(None), 3),
        None => (None, 2),
    };
    let fields = fields(call, at, COUNT_NOT_POSITIVE)?;
    reply.array(call.len() - fields);
    if is_missing {
        call.args(fields).for_each(|_| reply.nil());
        return Ok(Effect::None);
    }
    let (mut changed, mut removed) = (0, 0);
    change(slot, call, |hash| {
        for field in call.args(fields) {
            write_value(Some(hash.view()), field, reply);
            let (Some(new), Some(old)) = (new, hash.view().deadline(field)) else { continue };
            if new.is_some_and(|at| at <= call.now) {
                hash.remove(field);
                removed += 1;
            } else if new != old {
                hash.set_deadline(field, new);
                changed += 1;
            }
        }
    });
    Ok(match (changed, removed) {
        (0, 0) => Effect::None,
        (0, _) => Effect::Changed(HDEL),
        _ if new == Some(None) => Effect::Changed(HPERSIST),
        _ => Effect::Changed(HEXPIRE),
    })
}

/// `HSETEX key [FNX | FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS count field value ...` -> 1, or 0 when
/// the condition is not met.
fn hsetex(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let Some(options) = SetOptions::parse(call, reply)? else { return Ok(Effect::None) };
    let hash = view(slot.entry(), call)?;
    let names = || (options.fields..call.len()).step_by(2).map(|i| call.arg(i));
    let is_there = |field: &[u8]| hash.is_some_and(|hash| hash.contains(field));
    let is_met = match options.only_if {
        None => true,
        Some(Presence::All) => names().all(is_there),
        Some(Presence::None) => !names().any(is_there),
    };
    if !is_met {
        reply.integer(0);
        return Ok(Effect::None);
    }
    let limits = call.hash_limits();
    edit_or_make(slot, call, &limits)?.expect(names().len());
    let (keep, new) = match options.deadline {
        SetDeadline::Clear => (FieldDeadline::Clear, None),
        SetDeadline::Keep => (FieldDeadline::Keep, None),
        // It is replaced afterwards.
        SetDeadline::At(at) => (FieldDeadline::Keep, Some(at)),
    };
    change(slot, call, |hash| {
        for i in (options.fields..call.len()).step_by(2) {
            hash.put(call.arg(i), call.arg(i + 1), keep);
            match new {
                // A time that has passed: what is set would be gone at the next look.
                Some(at) if at <= call.now => {
                    hash.remove(call.arg(i));
                }
                Some(at) => {
                    hash.set_deadline(call.arg(i), Some(at));
                }
                None => {}
            }
        }
    });
    reply.integer(1);
    Ok(if new.is_some() { Effect::Both(HSET, HEXPIRE) } else { Effect::Changed(HSET) })
}

/// Lets `change` edit the hash in a slot and set deadlines. An emptied hash goes.
fn change(slot: &mut Slot<'_>, call: &Call<'_>, change: impl FnOnce(&mut Edit<'_>)) {
    let limits = call.hash_limits();
    let is_emptied = slot.retime(|entry| {
        let mut hash = Edit::of(entry, &limits, call.now).expect("the type has been checked");
        change(&mut hash);
        hash.is_empty()
    });
    if is_emptied == Some(true) {
        slot.remove();
    }
}

fn expire(slot: &mut Slot<'_>, unit: Unit, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let is_missing = view(slot.entry(), call)?.is_none();
    let new = deadline(unit, 2, call)?;
    let condition = Condition::from_option(call, 3);
    let at = if condition.is_some() { 4 } else { 3 };
    let fields = fields(call, at, Error::Other("ERR Parameter `numFields` should be greater than 0"))?;
    reply.array(call.len() - fields);
    if is_missing {
        call.args(fields).for_each(|_| reply.integer(NO_FIELD));
        return Ok(Effect::None);
    }
    let (mut changed, mut removed) = (0, 0);
    change(slot, call, |hash| {
        for field in call.args(fields) {
            reply.integer(match hash.view().deadline(field) {
                None => NO_FIELD,
                Some(old) if condition.is_some_and(|condition| !condition.allows(old, new)) => CONDITION_NOT_MET,
                Some(_) if new <= call.now => {
                    hash.remove(field);
                    removed += 1;
                    DELETED
                }
                Some(_) => {
                    hash.set_deadline(field, Some(new));
                    changed += 1;
                    DONE
                }
            });
        }
    });
    Ok(match (changed, removed) {
        (0, 0) => Effect::None,
        (0, _) => Effect::Changed(HDEL),
        _ => Effect::Changed(HEXPIRE),
    })
}

/// Writes the deadlines of fields in `unit`.
fn deadlines(entry: Option<&Entry>, unit: Unit, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let hash = view(entry, call)?;
    let fields = fields(call, 2, COUNT_NOT_POSITIVE)?;
    reply.array(call.len() - fields);
    for field in call.args(fields) {
        reply.integer(match hash.and_then(|hash| hash.deadline(field)) {
            None => NO_FIELD,
            Some(None) => NO_DEADLINE,
            Some(Some(at)) => {
                // A deadline has 48 bits.
                let millis = if unit.is_relative() { at.saturating_sub(call.now) } else { at };
                if unit.is_seconds() { millis.div_ceil(1000) as i64 } else { millis as i64 }
            }
        });
    }
    Ok(())
}

const FIELDS_MISSING: Error = Error::Other("ERR Mandatory argument FIELDS is missing or not at the right position");
const COUNT_NOT_POSITIVE: Error = Error::Other("ERR Number of fields must be a positive integer");
const COUNT_MISMATCH: Error = Error::Other("ERR The `numfields` parameter must match the number of arguments");

/// Reads `FIELDS count field ...` at argument `at` to the end: where the fields begin.
fn fields(call: &Call<'_>, at: usize, bad_count: Error) -> Result<usize, Error> {
    if at >= call.len() || !call.is(at, "fields") {
        return Err(FIELDS_MISSING);
    }
    if at + 1 == call.len() {
        return Err(call.arity_error());
    }
    let count = parse_i64(call.arg(at + 1)).filter(|&count| count > 0).ok_or(bad_count)?;
    if usize::try_from(count) != Ok(call.len() - at - 2) {
        return Err(COUNT_MISMATCH);
    }
    Ok(at + 2)
}

/// The latest deadline that a client may set: 46 bits of ms, the year 4199 (Redis' `HFE_MAX_ABS_TIME_MSEC`).
const DEADLINE_MAX: i64 = (1 << 46) - 1;

/// Reads argument `i` as a time in `unit`: a moment in ms since the Unix epoch, perhaps in the past.
pub(super) fn deadline(unit: Unit, i: usize, call: &Call<'_>) -> Result<u64, Error> {
    let amount = call.integer(i)?;
    if amount < 0 {
        return Err(Error::Other("ERR invalid expire time, must be >= 0"));
    }
    let factor = if unit.is_seconds() { 1000 } else { 1 };
    let base = if unit.is_relative() { call.now as i64 } else { 0 };
    let deadline = amount.checked_mul(factor).and_then(|millis| millis.checked_add(base));
    match deadline.filter(|&deadline| deadline <= DEADLINE_MAX) {
        Some(deadline) => Ok(deadline as u64),
        None => Err(Error::InvalidExpire(call.command.full_name)),
    }
}

/// When a deadline is to be set.
#[derive(Clone, Copy)]
enum Condition {
    Without,
    With,
    Later,
    Sooner,
}

impl Condition {
    fn from_option(call: &Call<'_>, i: usize) -> Option<Self> {
        let options = [("nx", Self::Without), ("xx", Self::With), ("gt", Self::Later), ("lt", Self::Sooner)];
        options.into_iter().find(|(name, _)| call.is(i, name)).map(|(_, condition)| condition)
    }

    /// A field without a deadline lives forever.
    fn allows(self, old: Option<u64>, new: u64) -> bool {
        match self {
            Self::Without => old.is_none(),
            Self::With => old.is_some(),
            Self::Later => old.is_some_and(|old| new > old),
            Self::Sooner => old.is_none_or(|old| new < old),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    All,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SetDeadline {
    Clear,
    Keep,
    At(u64),
}

/// The options of HSETEX.
struct SetOptions {
    only_if: Option<Presence>,
    deadline: SetDeadline,
    /// Where fields and values begin.
    fields: usize,
}

impl SetOptions {
    /// `None` when the error, which names the argument, has been written.
    fn parse(call: &Call<'_>, reply: &mut Reply) -> Result<Option<Self>, Error> {
        let mut options = Self { only_if: None, deadline: SetDeadline::Clear, fields: 0 };
        let mut i = 2;
        while i < call.len() {
            let presence = [("fxx", Presence::All), ("fnx", Presence::None)].into_iter().find(|it| call.is(i, it.0));
            let unit = Unit::from_option(call.arg(i));
            if call.is(i, "fields") {
                options.fields = Self::pairs(call, i)?;
                return Ok(Some(options));
            } else if let Some((_, presence)) = presence {
                if options.only_if.replace(presence).is_some() {
                    return Err(Error::Other("ERR Only one of FXX or FNX arguments can be specified"));
                }
            } else if unit.is_some() || call.is(i, "keepttl") {
                if options.deadline != SetDeadline::Clear {
                    let text = "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified";
                    return Err(Error::Other(text));
                }
                options.deadline = SetDeadline::Keep;
                if let Some(unit) = unit {
                    i += 1;
                    if i == call.len() {
                        return Err(Error::Other("ERR missing expire time"));
                    }
                    options.deadline = SetDeadline::At(deadline(unit, i, call)?);
                }
            } else {
                reply.error([b"ERR unknown argument: ", call.arg(i)].concat());
                return Ok(None);
            }
            i += 1;
        }
        Err(call.arity_error())
    }

    /// Reads `FIELDS count field value ...` at argument `at` to the end: where the pairs begin.
    fn pairs(call: &Call<'_>, at: usize) -> Result<usize, Error> {
        if at + 3 >= call.len() {
            return Err(call.arity_error());
        }
        let count = parse_i64(call.arg(at + 1)).filter(|count| (1..=i64::from(i32::MAX)).contains(count));
        let count = count.ok_or(Error::Other("ERR invalid number of fields"))?;
        if usize::try_from(2 * count) != Ok(call.len() - at - 2) {
            return Err(call.arity_error());
        }
        Ok(at + 2)
    }
}
