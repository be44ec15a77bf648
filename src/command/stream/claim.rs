//! What was handed to one consumer and goes to another: XCLAIM XAUTOCLAIM.

use super::super::typed::view;
use super::super::{Arity, Call, Effect, Flags, Keys, Run, Spec};
use super::group::{CONSUMER_CREATED, no_group};
use super::pending::idle_since;
use super::{id, write_item};
use crate::error::Error;
use crate::number::parse_i64;
use crate::reply::Reply;
use crate::store::Slot;
use crate::store::stream::{self, Group, Id, Log, Pending, Stream};

pub(in super::super) const SPECS: &[Spec] = &[
    Spec {
        name: "xclaim",
        arity: Arity::at_least(6),
        keys: Keys::ONE,
        run: Run::Write(xclaim),
        flags: Flags::FAST,
        since: "5.0.0",
        complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
        summary: "Changes, or acquires, ownership of a message in a consumer group, as if the message was delivered to a consumer group member.",
    },
    Spec {
        name: "xautoclaim",
        arity: Arity::at_least(6),
        keys: Keys::ONE,
        run: Run::Write(xautoclaim),
        flags: Flags::FAST,
        since: "6.2.0",
        complexity: "O(1) if COUNT is small.",
        summary: "Changes, or acquires, ownership of messages in a consumer group, as if the messages were delivered to a consumer group member.",
    },
];

/// What XCLAIM does with the entries it is given.
struct Claim {
    min_idle: i64,
    ids: Vec<Id>,
    delivered: u64,
    retry_count: Option<u64>,
    is_forced: bool,
    is_just_id: bool,
    last_id: Id,
}

impl Claim {
    /// `None` when the error was written.
    fn parse(call: &Call<'_>, reply: &mut Reply) -> Result<Option<Self>, Error> {
        let min_idle = integer(call, 4, "ERR Invalid min-idle-time argument for XCLAIM")?.max(0);
        let ids: Vec<Id> = call.args(5).map_while(|text| id::strict(text, 0).ok()).collect();
        let mut i = 5 + ids.len();
        let (mut delivered, now) = (None, call.now as i64);
        let (mut retry_count, mut is_forced, mut is_just_id, mut last_id) = (None, false, false, Id::MIN);
        while i < call.len() {
            let has_value = i + 1 < call.len();
            if call.is(i, "force") {
                is_forced = true;
            } else if call.is(i, "justid") {
                is_just_id = true;
            } else if call.is(i, "idle") && has_value {
                i += 1;
                delivered = now.checked_sub(integer(call, i, "ERR Invalid IDLE option argument for XCLAIM")?);
            } else if call.is(i, "time") && has_value {
                i += 1;
                delivered = Some(integer(call, i, "ERR Invalid TIME option argument for XCLAIM")?);
            } else if call.is(i, "retrycount") && has_value {
                i += 1;
                retry_count =
                    u64::try_from(integer(call, i, "ERR Invalid RETRYCOUNT option argument for XCLAIM")?).ok();
            } else if call.is(i, "lastid") && has_value {
                i += 1;
                last_id = id::strict(call.arg(i), 0)?;
            } else {
                reply.error([b"ERR Unrecognized XCLAIM option '", call.arg(i), b"'"].concat());
                return Ok(None);
            }
            i += 1;
        }
        // A time that makes no sense, for the clocks of clients differ, is now.
        let delivered = delivered.filter(|at| (0..=now).contains(at)).unwrap_or(now) as u64;
        Ok(Some(Self { min_idle, ids, delivered, retry_count, is_forced, is_just_id, last_id }))
    }
}

fn integer(call: &Call<'_>, i: usize, text: &'static str) -> Result<i64, Error> {
    parse_i64(call.arg(i)).ok_or(Error::Other(text))
}

/// `XCLAIM key group consumer min-idle-time id ... [IDLE ms] [TIME unix-ms] [RETRYCOUNT count] [FORCE] [JUSTID] [LASTID id]`
/// -> the entries that are now the consumer's; with JUSTID their IDs.
fn xclaim(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    view(slot.entry(), stream::of)?;
    let Some((log, group)) = group_of(slot, call) else {
        no_group(call.arg(1), call.arg(2), reply);
        return Ok(Effect::None);
    };
    let Some(claim) = Claim::parse(call, reply)? else { return Ok(Effect::None) };
    group.last_id = group.last_id.max(claim.last_id);
    let (owner, is_new) = group.consumer_or_new(call.arg(3), call.now);
    group.consumer_mut(owner).seen = call.now;
    let mut claimed = Vec::new();
    for id in claim.ids {
        let old = group.pending(id);
        if !log.contains(id) {
            // What is no more is nobody's.
            group.acknowledge(id);
            continue;
        }
        let is_due = match old {
            Some(old) => claim.min_idle == 0 || idle_since(&old, call.now) >= claim.min_idle,
            None => claim.is_forced,
        };
        if !is_due {
            continue;
        }
        // An entry that is made pending was handed out once.
        let count = old.map_or(1, |old| old.count);
        let count = claim.retry_count.unwrap_or(count.wrapping_add(u64::from(!claim.is_just_id)));
        group.assign(id, Pending { owner, delivered: claim.delivered, count });
        group.consumer_mut(owner).active = Some(call.now);
        claimed.push(id);
    }
    write(log, &claimed, claim.is_just_id, reply);
    Ok(if is_new { CONSUMER_CREATED } else { Effect::Quiet })
}

/// `XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]` -> where to go on (0-0: nowhere), the entries
/// that are now the consumer's (with JUSTID their IDs), and the IDs of those that are pending no more because they are gone.
fn xautoclaim(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    /// How many pending entries are looked at for each that may be claimed.
    const ATTEMPTS: usize = 10;
    /// The largest count, as in Redis.
    const COUNT_MAX: i64 = i64::MAX / 16;
    let min_idle = integer(call, 4, "ERR Invalid min-idle-time argument for XAUTOCLAIM")?.max(0);
    let start = id::start(call.arg(5))?;
    let (mut count, mut is_just_id, mut i) = (100, false, 6);
    while i < call.len() {
        if call.is(i, "count") && i + 1 < call.len() {
            i += 1;
            let found = parse_i64(call.arg(i)).filter(|count| (1..=COUNT_MAX).contains(count));
            count = found.ok_or(Error::Other("ERR COUNT must be > 0"))? as usize;
        } else if call.is(i, "justid") {
            is_just_id = true;
        } else {
            return Err(Error::Syntax);
        }
        i += 1;
    }
    view(slot.entry(), stream::of)?;
    let Some((log, group)) = group_of(slot, call) else {
        no_group(call.arg(1), call.arg(2), reply);
        return Ok(Effect::None);
    };
    let (owner, is_new) = group.consumer_or_new(call.arg(3), call.now);
    group.consumer_mut(owner).seen = call.now;
    let (mut claimed, mut gone, mut next) = (Vec::new(), Vec::new(), Id::MIN);
    let mut due = Vec::new();
    let mut attempts = count.saturating_mul(ATTEMPTS);
    for (id, pending) in group.pending_range(start..) {
        if attempts == 0 || count == 0 {
            next = id;
            break;
        }
        attempts -= 1;
        if !log.contains(id) {
            gone.push(id);
        } else if min_idle == 0 || idle_since(pending, call.now) >= min_idle {
            due.push((id, pending.count));
        } else {
            continue;
        }
        count -= 1;
    }
    for id in &gone {
        group.acknowledge(*id);
    }
    for (id, count) in due {
        let count = count.wrapping_add(u64::from(!is_just_id));
        group.assign(id, Pending { owner, delivered: call.now, count });
        group.consumer_mut(owner).active = Some(call.now);
        claimed.push(id);
    }
    reply.array(3);
    reply.bulk(&next.text());
    write(log, &claimed, is_just_id, reply);
    reply.array(gone.len());
    gone.iter().for_each(|id| reply.bulk(&id.text()));
    Ok(if is_new { CONSUMER_CREATED } else { Effect::Quiet })
}

/// The entries and the group that the arguments name.
fn group_of<'a>(slot: &'a mut Slot<'_>, call: &Call<'_>) -> Option<(&'a Log, &'a mut Group)> {
    let Stream { log, groups } = slot.entry_mut().and_then(stream::of_mut)?;
    Some((log, groups.get_mut(call.arg(2))?))
}

/// Writes entries that are there, or their IDs.
fn write(log: &Log, ids: &[Id], is_just_id: bool, reply: &mut Reply) {
    reply.array(ids.len());
    for id in ids {
        if is_just_id {
            reply.bulk(&id.text());
        } else if let Some(item) = log.get(*id) {
            write_item(&item, reply);
        }
        if reply.is_over() {
            return;
        }
    }
}
