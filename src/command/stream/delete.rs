//! Entries that are removed by their IDs: XDEL XDELEX XACKDEL.

use super::super::typed::view;
use super::super::{Arity, Call, Effect, Event, Flags, Keys, Run, Spec};
use super::{id, trim};
use crate::error::Error;
use crate::reply::Reply;
use crate::store::Slot;
use crate::store::stream::{self, Id, References, Stream};

pub(in super::super) const SPECS: &[Spec] = &[
    Spec {
        name: "xdel",
        arity: Arity::at_least(3),
        keys: Keys::ONE,
        run: Run::Write(xdel),
        flags: Flags::FAST,
        since: "5.0.0",
        complexity: "O(log(N)) for each single item to delete in the stream, N being its number of entries.",
        summary: "Returns the number of messages after removing them from a stream.",
    },
    Spec {
        name: "xdelex",
        arity: Arity::at_least(5),
        keys: Keys::ONE,
        run: Run::Write(xdelex),
        flags: Flags::FAST,
        since: "8.2.0",
        complexity: "O(log(N)) for each single item to delete in the stream, N being its number of entries.",
        summary: "Deletes messages from a stream, and says of each what became of it and of references to it.",
    },
    Spec {
        name: "xackdel",
        arity: Arity::at_least(6),
        keys: Keys::ONE,
        run: Run::Write(xackdel),
        flags: Flags::FAST,
        since: "8.2.0",
        complexity: "O(log(N)) for each message ID processed, N being the number of entries.",
        summary: "Acknowledges messages for a consumer group and deletes them from the stream.",
    },
];

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// There is no such entry.
    Missing = -1,
    Removed = 1,
    /// A group has not acknowledged it yet.
    Needed = 2,
}

/// XDEL key id ... -> how many were removed.
fn xdel(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    // A missing key is noticed before an ID that is none.
    if view(slot.entry(), stream::of)?.is_none() {
        reply.count(0);
        return Ok(Effect::None);
    }
    let ids = id::all(call, 2)?;
    let Some(stream) = slot.entry_mut().and_then(stream::of_mut) else { return Err(Error::WrongType) };
    let removed = ids.into_iter().filter(|id| stream.delete(*id)).count();
    reply.count(removed);
    Ok(if removed > 0 { Effect::Changed(Event("xdel")) } else { Effect::None })
}

/// `XDELEX key [KEEPREF | DELREF | ACKED] IDS numids id ...` -> of each ID -1 when there is no such entry, 1 when it was
/// removed, 2 when a group needs it.
fn xdelex(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let (references, ids) = parse(call, 2)?;
    view(slot.entry(), stream::of)?;
    let Some(stream) = slot.entry_mut().and_then(stream::of_mut) else {
        write(ids.iter().map(|_| Fate::Missing), reply);
        return Ok(Effect::None);
    };
    let mut is_changed = false;
    let fates = ids.into_iter().map(|id| {
        if references == References::Delete {
            is_changed |= stream.forget(id);
        }
        if references == References::Acknowledged && stream.is_referenced(id) {
            return Fate::Needed;
        }
        let is_removed = stream.delete(id);
        is_changed |= is_removed;
        if is_removed { Fate::Removed } else { Fate::Missing }
    });
    write(fates, reply);
    Ok(if is_changed { Effect::Changed(Event("xdel")) } else { Effect::None })
}

/// `XACKDEL key group [KEEPREF | DELREF | ACKED] IDS numids id ...` -> of each ID -1 when it was not pending, 1 when it was
/// acknowledged and removed, 2 when another group needs it.
fn xackdel(slot: &mut Slot<'_>, call: &Call<'_>, reply: &mut Reply) -> Result<Effect, Error> {
    let (references, ids) = parse(call, 3)?;
    view(slot.entry(), stream::of)?;
    let stream = slot.entry_mut().and_then(stream::of_mut);
    let Some(stream) = stream.filter(|stream| stream.groups.contains_key(call.arg(2))) else {
        write(ids.iter().map(|_| Fate::Missing), reply);
        return Ok(Effect::None);
    };
    let mut is_changed = false;
    let fates = ids.into_iter().map(|id| {
        let fate = acknowledge(stream, call.arg(2), id, references);
        is_changed |= fate != Fate::Missing;
        fate
    });
    write(fates, reply);
    Ok(if is_changed { Effect::Changed(Event("xdel")) } else { Effect::None })
}

fn acknowledge(stream: &mut Stream, group: &[u8], id: Id, references: References) -> Fate {
    if !stream.groups.get_mut(group).is_some_and(|group| group.acknowledge(id)) {
        return Fate::Missing;
    }
    match references {
        References::Keep => {}
        References::Delete => drop(stream.forget(id)),
        References::Acknowledged if stream.is_referenced(id) => return Fate::Needed,
        References::Acknowledged => {}
    }
    stream.delete(id);
    Fate::Removed
}

fn write(fates: impl ExactSizeIterator<Item = Fate>, reply: &mut Reply) {
    reply.array(fates.len());
    fates.for_each(|fate| reply.integer(fate as i64));
}

/// What to do about references, and the IDs, from the arguments from number `i` on, in any order.
fn parse(call: &Call<'_>, mut i: usize) -> Result<(References, Vec<Id>), Error> {
    let (mut references, mut ids) = (None, None);
    while i < call.len() {
        if let Some(found) = trim::parse_references(call.arg(i)).filter(|_| references.is_none()) {
            references = Some(found);
        } else if call.is(i, "ids") && i + 1 < call.len() && ids.is_none() {
            let count = call.count(i + 1, 1, "ERR Number of IDs must be a positive integer")?;
            i += 2;
            if count > call.len() - i {
                return Err(Error::Other("ERR The `numids` parameter must match the number of arguments"));
            }
            ids = Some(i..i + count);
            i += count - 1;
        } else {
            return Err(Error::Syntax);
        }
        i += 1;
    }
    let ids = ids.ok_or(Error::Syntax)?;
    let ids = ids.map(|i| id::strict(call.arg(i), 0)).collect::<Result<_, _>>()?;
    Ok((references.unwrap_or_default(), ids))
}
