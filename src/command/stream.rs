//! Streams: XADD XLEN XRANGE XREVRANGE XTRIM XSETID.

pub(super) mod claim;
pub(super) mod delete;
pub(super) mod group;
mod id;
pub(super) mod info;
pub(super) mod pending;
pub(super) mod read;
mod trim;

use super::typed::view;
use super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec};
use crate::error::Error;
use crate::fault;
use crate::reply::Reply;
use crate::store::stream::{self, BYTES_MAX, Id, Item, Range, Stream};
use crate::store::{Entry, Slot};
use id::Seq;
use trim::{Options, Target};

pub(super) const SPECS: &[Spec] = &[
    Spec {
        name: "xadd",
        arity: Arity::at_least(5),
        keys: Keys::ONE,
        run: Run::Write(xadd),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "5.0.0",
        complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
        summary: "Appends a new message to a stream. Creates the key if it doesn't exist.",
    },
    Spec {
        name: "xlen",
        arity: Arity::exactly(2),
        keys: Keys::ONE,
        run: Run::Read(xlen),
        flags: Flags::FAST,
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Returns the number of messages in a stream.",
    },
    Spec {
        name: "xrange",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Read(xrange),
        flags: Flags::NONE,
        since: "5.0.0",
        complexity: "O(log(S)+N) with S being the number of entries of the stream and N the number of entries returned.",
        summary: "Returns the messages from a stream within a range of IDs.",
    },
    Spec {
        name: "xrevrange",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Read(xrevrange),
        flags: Flags::NONE,
        since: "5.0.0",
        complexity: "O(log(S)+N) with S being the number of entries of the stream and N the number of entries returned.",
        summary: "Returns the messages from a stream within a range of IDs in reverse order.",
    },
    Spec {
        name: "xtrim",
        arity: Arity::at_least(4),
        keys: Keys::ONE,
        run: Run::Write(xtrim),
        flags: Flags::NONE,
        since: "5.0.0",
        complexity: "O(N/100), with N being the number of evicted entries. They are freed in the background.",
        summary: "Deletes messages from the beginning of a stream.",
    },
    Spec {
        name: "xsetid",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(xsetid),
        flags: Flags::DENYOOM.and(Flags::FAST),
        since: "5.0.0",
        complexity: "O(1)",
        summary: "An internal command for replicating stream values.",
    },
];

/// `XADD key [NOMKSTREAM] [KEEPREF | DELREF | ACKED] [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id
/// field value ...` -> the entry's ID; nil when the key is missing and is to stay so.
fn xadd(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let options = Options::parse(call, Target::Add)?;
    let first = options.id_at + 1;
    if call.len() < first + 2 || !(call.len() - first).is_multiple_of(2) {
        return Err(call.arity_error());
    }
    if options.id == Some((Id::MIN, Seq::Given)) {
        return Err(Error::Other("ERR The ID specified in XADD must be greater than 0-0"));
    }
    // What is refused makes no stream, so a missing one is asked first.
    let next_id = |last: Id| {
        let id = next_id(last, options.id, call.now)?;
        let size = || call.args(first).map(<[u8]>::len).sum::<usize>();
        if call.input.len() > BYTES_MAX && size() > BYTES_MAX {
            return Err(Error::Other("ERR Elements are too large to be stored"));
        }
        Ok(id)
    };
    if !slot.exists() {
        if options.is_no_mkstream {
            reply.nil();
            return Ok(Effect::None);
        }
        next_id(Id::MIN)?;
    }
    let stream = open(slot, call)?;
    let id = next_id(stream.log.last_id())?;
    fault::point("stream.made");
    stream.log.append(id, call.args(first), call.stream_node());
    fault::point("stream.add");
    let mut is_trimmed = false;
    if let Some(trim) = options.trim {
        let trimmed = stream.trim(trim);
        is_trimmed = trimmed.count > 0;
        slot.discard(trimmed);
    }
    reply.bulk(&id.text());
    Ok(if is_trimmed { Effect::Both(Event("xadd"), Event("xtrim")) } else { Effect::Changed(Event("xadd")) })
}

/// The ID of a new entry: larger than all before.
fn next_id(last: Id, given: Option<(Id, Seq)>, now: u64) -> Result<Id, Error> {
    const TOO_SMALL: Error =
        Error::Other("ERR The ID specified in XADD is equal or smaller than the target stream top item");
    // From here on there is a next one.
    let next = last
        .next()
        .ok_or(Error::Other("ERR The stream has exhausted the last possible ID, unable to add more items"))?;
    let id = match given {
        None if now > last.ms => Id::new(now, 0),
        None => next,
        Some((id, Seq::Next)) if id.ms == last.ms && next.ms == last.ms => next,
        Some((id, _)) => id,
    };
    if id > last { Ok(id) } else { Err(TOO_SMALL) }
}

/// The stream of a slot, which is made when the key is missing.
#[inline]
fn open<'a>(slot: &'a mut Slot<'_>, call: &Call<'_>) -> Result<&'a mut Stream, Error> {
    if !slot.exists() {
        slot.insert(stream::create(slot.key(), call.clock()));
    }
    slot.entry_mut().and_then(stream::of_mut).ok_or(Error::WrongType)
}

/// XLEN key -> the number of entries.
fn xlen(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    reply.integer(view(entry, stream::of)?.map_or(0, |stream| stream.log.len() as i64));
    Ok(())
}

/// `XRANGE key start end [COUNT count]` -> the entries between two IDs.
fn xrange(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    range(
        entry,
        call,
        (2, 3),
        |entries, count, reply| {
            entries.take(count).try_for_each(|item| write_item(&item, reply));
        },
        reply,
    )
}

/// `XREVRANGE key end start [COUNT count]`: the same from the last to the first.
fn xrevrange(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    range(
        entry,
        call,
        (3, 2),
        |entries, count, reply| {
            entries.rev().take(count).try_for_each(|item| write_item(&item, reply));
        },
        reply,
    )
}

/// Writes entries between the IDs that two arguments are.
fn range(
    entry: Option<&Entry>,
    call: &Call<'_>,
    (start, end): (usize, usize),
    write: impl FnOnce(Range<'_>, usize, &mut Reply),
    reply: &mut Reply,
) -> Result<(), Error> {
    let (start, end) = (id::start(call.arg(start))?, id::end(call.arg(end))?);
    let mut count = None;
    for i in (4..call.len()).step_by(2) {
        if !call.is(i, "count") || i + 1 == call.len() {
            return Err(Error::Syntax);
        }
        count = Some(call.integer(i + 1)?);
    }
    let Some(stream) = view(entry, stream::of)? else {
        reply.array(0);
        return Ok(());
    };
    let most = match count {
        None => usize::MAX,
        Some(count) => count.max(0) as usize,
    };
    if most == 0 {
        reply.nil_array();
        return Ok(());
    }
    let mut entries = stream.log.range(start, end);
    let count = entries.count_to(most);
    reply.array(count);
    write(entries, count, reply);
    Ok(())
}

/// Writes an entry: its ID, and an array of fields and values. `None` when nothing more can be written.
pub(super) fn write_item(item: &Item<'_>, reply: &mut Reply) -> Option<()> {
    reply.array(2);
    reply.bulk(&item.id.text());
    reply.array(2 * item.len());
    for (name, value) in item.pairs() {
        reply.bulk(&name);
        reply.bulk(&value);
    }
    (!reply.is_over()).then_some(())
}

/// `XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count] [KEEPREF | DELREF | ACKED]` -> how many entries went.
fn xtrim(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let options = Options::parse(call, Target::Trim)?;
    view(slot.entry(), stream::of)?;
    let (Some(stream), Some(trim)) = (slot.entry_mut().and_then(stream::of_mut), options.trim) else {
        reply.count(0);
        return Ok(Effect::None);
    };
    let trimmed = stream.trim(trim);
    let count = trimmed.count;
    slot.discard(trimmed);
    reply.integer(count as i64);
    Ok(if count > 0 { Effect::Changed(Event("xtrim")) } else { Effect::None })
}

/// `XSETID key last-id [ENTRIESADDED count] [MAXDELETEDID id]` -> OK.
fn xsetid(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let id = id::strict(call.arg(2), 0)?;
    let (mut added, mut max_deleted) = (None, Id::MIN);
    for i in (3..call.len()).step_by(2) {
        let has_value = i + 1 < call.len();
        if call.is(i, "entriesadded") && has_value {
            let count = u64::try_from(call.integer(i + 1)?);
            added = Some(count.map_err(|_| Error::Other("ERR entries_added must be positive"))?);
        } else if call.is(i, "maxdeletedid") && has_value {
            max_deleted = id::strict(call.arg(i + 1), 0)?;
            if id < max_deleted {
                return Err(Error::Other(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
        } else {
            return Err(Error::Syntax);
        }
    }
    view(slot.entry(), stream::of)?;
    let log = &mut slot.entry_mut().and_then(stream::of_mut).ok_or(Error::NoSuchKey)?.log;
    if id < log.max_deleted() {
        return Err(Error::Other("ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"));
    }
    if !log.is_empty() {
        if id < log.last() {
            return Err(Error::Other("ERR The ID specified in XSETID is smaller than the target stream top item"));
        }
        if added.is_some_and(|added| log.len() > added) {
            return Err(Error::Other(
                "ERR The entries_added specified in XSETID is smaller than the target stream length",
            ));
        }
    }
    log.set_last_id(id);
    if let Some(added) = added {
        log.set_added(added);
    }
    if !max_deleted.is_zero() {
        log.set_max_deleted(max_deleted);
    }
    reply.ok();
    Ok(Effect::Changed(Event("xsetid")))
}
