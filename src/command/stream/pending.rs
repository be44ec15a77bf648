//! What was handed out and is not acknowledged: XACK XPENDING.

use super::super::typed::view;
use super::super::{Arity, Call, Effect, Flags, Keys, Run, Spec};
use super::group::no_group;
use super::id;
use crate::error::Error;
use crate::reply::Reply;
use crate::store::stream::{self, Group, Id, Pending};
use crate::store::{Entry, Slot};

pub(in super::super) const SPECS: &[Spec] = &[
    Spec {
        name: "xack",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Write(xack),
        flags: Flags::FAST,
        since: "5.0.0",
        complexity: "O(log(N)) for each message ID processed, N being the number of messages pending.",
        summary: "Returns the number of messages that were successfully acknowledged by the consumer group member of a stream.",
    },
    Spec {
        name: "xpending",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Read(xpending),
        flags: Flags::NONE,
        since: "5.0.0",
        complexity: "O(log(N)+M) with N being the number of messages pending and M the number of those looked at; without a range \
                     O(C), C being the number of consumers.",
        summary: "Returns the information and entries from a stream consumer group's pending entries list.",
    },
];

/// XACK key group id ... -> how many were pending.
fn xack(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    // A missing group is noticed before an ID that is none.
    if !view(slot.entry(), stream::of)?.is_some_and(|stream| stream.groups.contains_key(call.arg(2))) {
        reply.count(0);
        return Ok(Effect::None);
    }
    let ids = id::all(call, 3)?;
    let group = slot.entry_mut().and_then(stream::of_mut).and_then(|stream| stream.groups.get_mut(call.arg(2)));
    let Some(group) = group else { return Err(Error::WrongType) };
    let count = ids.into_iter().filter(|id| group.acknowledge(*id)).count();
    reply.count(count);
    Ok(if count > 0 { Effect::Quiet } else { Effect::None })
}

/// Which of what is pending XPENDING is to show.
struct Filter<'a> {
    /// Not handed out for so many ms at least.
    idle: i64,
    start: Id,
    end: Id,
    count: usize,
    consumer: Option<&'a [u8]>,
}

impl<'a> Filter<'a> {
    /// `None` where only the sums are asked for.
    fn parse(call: &Call<'a>) -> Result<Option<Self>, Error> {
        match call.len() {
            3 => return Ok(None),
            6..=9 => {}
            _ => return Err(Error::Syntax),
        }
        let has_idle = call.is(3, "idle");
        let idle = if has_idle { call.integer(4)? } else { 0 };
        if has_idle && call.len() < 8 {
            return Err(Error::Syntax);
        }
        let first = if has_idle { 5 } else { 3 };
        let count = usize::try_from(call.integer(first + 2)?).unwrap_or(0);
        let (start, end) = (id::start(call.arg(first))?, id::end(call.arg(first + 1))?);
        let consumer = (first + 3 < call.len()).then(|| call.arg(first + 3));
        Ok(Some(Self { idle, start, end, count, consumer }))
    }
}

/// `XPENDING key group [[IDLE ms] start end count [consumer]]` -> how much is pending, its first and last IDs and how much
/// of it each consumer has; or of each entry between two IDs its ID, consumer, ms since it was handed out and how often it
/// was.
fn xpending(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let filter = Filter::parse(call)?;
    let Some(group) = view(entry, stream::of)?.and_then(|stream| stream.groups.get(call.arg(2))) else {
        no_group(call.arg(1), call.arg(2), reply);
        return Ok(());
    };
    match filter {
        None => write_sums(group, reply),
        Some(filter) => write_range(group, &filter, call.now, reply),
    }
    Ok(())
}

fn write_sums(group: &Group, reply: &mut Reply) {
    let mut ids = group.pending_range(..).map(|(id, _)| id);
    let first = ids.next();
    let last = ids.next_back().or(first);
    reply.array(4);
    reply.count(group.pending_len());
    for id in [first, last] {
        match id {
            Some(id) => reply.bulk(&id.text()),
            None => reply.nil(),
        }
    }
    if first.is_none() {
        return reply.nil_array();
    }
    let busy = || group.consumers().filter(|consumer| !consumer.pending().is_empty());
    reply.array(busy().count());
    for consumer in busy() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_integer(consumer.pending().len() as i64);
    }
}

fn write_range(group: &Group, filter: &Filter<'_>, now: u64, reply: &mut Reply) {
    let is_idle = |pending: &Pending| filter.idle == 0 || idle_since(pending, now) >= filter.idle;
    let mut found: Vec<(Id, Pending)> = Vec::new();
    if filter.start <= filter.end {
        let ids = filter.start..=filter.end;
        match filter.consumer {
            None => {
                let range = group.pending_range(ids).map(|(id, pending)| (id, *pending));
                found.extend(range.filter(|(_, pending)| is_idle(pending)).take(filter.count));
            }
            Some(name) => {
                let own =
                    group.find_consumer(name).into_iter().flat_map(|consumer| consumer.pending().range(ids.clone()));
                let range = own.filter_map(|id| Some((*id, group.pending(*id)?)));
                found.extend(range.filter(|(_, pending)| is_idle(pending)).take(filter.count));
            }
        }
    }
    reply.array(found.len());
    for (id, pending) in found {
        reply.array(4);
        reply.bulk(&id.text());
        reply.bulk(group.consumer(pending.owner).name());
        reply.integer(idle_since(&pending, now).max(0));
        reply.integer(pending.count as i64);
        if reply.is_over() {
            return;
        }
    }
}

/// Milliseconds since something was handed out; negative where the clock went back.
pub(super) fn idle_since(pending: &Pending, now: u64) -> i64 {
    (now as i64).saturating_sub(pending.delivered as i64)
}
