//! XINFO: what there is to know about a stream, its groups and their consumers.

use super::super::typed::view;
use super::super::{Arity, Call, Flags, Keys, Run, Spec, help};
use super::group::{KEY, no_group_of_key};
use super::write_item;
use crate::error::Error;
use crate::reply::Reply;
use crate::store::Entry;
use crate::store::stream::{self, Consumer, Group, Id, Log, Stream};

pub(in super::super) const SPECS: &[Spec] = &[Spec {
    name: "xinfo",
    arity: Arity::at_least(2),
    keys: Keys::None,
    run: Run::Container(SUBCOMMANDS),
    flags: Flags::NONE,
    since: "5.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for stream introspection commands.",
}];

const SUBCOMMANDS: &[Spec] = &[
    Spec {
        name: "consumers",
        arity: Arity::exactly(4),
        keys: KEY,
        run: Run::Read(consumers),
        flags: Flags::NONE,
        since: "5.0.0",
        complexity: "O(N), N being the number of consumers.",
        summary: "Returns a list of the consumers in a consumer group.",
    },
    Spec {
        name: "groups",
        arity: Arity::exactly(3),
        keys: KEY,
        run: Run::Read(groups),
        flags: Flags::NONE,
        since: "5.0.0",
        complexity: "O(N), N being the number of groups.",
        summary: "Returns a list of the consumer groups of a stream.",
    },
    help::row(Flags::LOADING.and(Flags::STALE), "5.0.0"),
    Spec {
        name: "stream",
        arity: Arity::at_least(3),
        keys: KEY,
        run: Run::Read(stream_info),
        flags: Flags::NONE,
        since: "5.0.0",
        complexity: "O(N/100), N being the number of entries; with FULL also as much as it returns.",
        summary: "Returns information about a stream.",
    },
];

/// XINFO CONSUMERS key group -> of each consumer its name, how much is pending, and ms since it asked and since it got
/// something.
fn consumers(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let stream = view(entry, stream::of)?.ok_or(Error::NoSuchKey)?;
    let Some(group) = stream.groups.get(call.arg(3)) else {
        no_group_of_key(call.arg(3), call.arg(2), reply);
        return Ok(());
    };
    reply.array(group.consumers().len());
    for consumer in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"pending");
        reply.count(consumer.pending().len());
        reply.bulk(b"idle");
        reply.integer(call.now.saturating_sub(consumer.seen) as i64);
        reply.bulk(b"inactive");
        reply.integer(consumer.active.map_or(-1, |active| call.now.saturating_sub(active) as i64));
    }
    Ok(())
}

/// XINFO GROUPS key -> of each group its name, consumers, how much is pending, the ID handed out last, how many entries
/// were, and how many are to come.
fn groups(entry: Option<&Entry>, _: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let stream = view(entry, stream::of)?.ok_or(Error::NoSuchKey)?;
    reply.array(stream.groups.len());
    for (name, group) in &stream.groups {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"consumers");
        reply.count(group.consumers().len());
        reply.bulk(b"pending");
        reply.count(group.pending_len());
        write_progress(&stream.log, group, reply);
    }
    Ok(())
}

/// How far a group has come.
fn write_progress(log: &Log, group: &Group, reply: &mut Reply) {
    write_id("last-delivered-id", group.last_id, reply);
    let read = group.entries_read.map(|read| read as i64);
    let lag = log.bounds().lag(group.last_id, group.entries_read);
    for (name, value) in [("entries-read", read), ("lag", lag)] {
        reply.bulk(name.as_bytes());
        match value {
            Some(value) => reply.integer(value),
            None => reply.nil(),
        }
    }
}

fn write_id(name: &str, id: Id, reply: &mut Reply) {
    reply.bulk(name.as_bytes());
    reply.bulk(&id.text());
}

/// `XINFO STREAM key [FULL [COUNT count]]` -> the stream's counters, its first and last entries; with FULL its entries, groups
/// and consumers, at most 10 or so many of each (0: all).
fn stream_info(entry: Option<&Entry>, call: &Call<'_>, reply: &mut Reply) -> Result<(), Error> {
    let stream = view(entry, stream::of)?.ok_or(Error::NoSuchKey)?;
    let is_full = call.len() > 3;
    if is_full && !(call.is(3, "full") && (call.len() == 4 || call.len() == 6 && call.is(4, "count"))) {
        help::wrong_form(call, reply);
        return Ok(());
    }
    let count = if call.len() == 6 { call.integer(5)? } else { 10 };
    let count = match count {
        0 => u64::MAX,
        count => u64::try_from(count).unwrap_or(10),
    };
    let log = &stream.log;
    reply.map(if is_full { 9 } else { 10 });
    reply.bulk(b"length");
    reply.integer(log.len() as i64);
    reply.bulk(b"radix-tree-keys");
    reply.count(log.node_count());
    reply.bulk(b"radix-tree-nodes");
    reply.count(radix_nodes(log.nodes().map(|node| node.first())));
    write_id("last-generated-id", log.last_id(), reply);
    write_id("max-deleted-entry-id", log.max_deleted(), reply);
    reply.bulk(b"entries-added");
    reply.integer(log.added() as i64);
    write_id("recorded-first-entry-id", log.first(), reply);
    if is_full {
        write_full(stream, count, reply);
        return Ok(());
    }
    reply.bulk(b"groups");
    reply.count(stream.groups.len());
    let mut range = log.range(Id::MIN, Id::MAX);
    let first = range.next();
    let last = range.next_back().or(first);
    for (name, item) in [("first-entry", first), ("last-entry", last)] {
        reply.bulk(name.as_bytes());
        match item {
            Some(item) => drop(write_item(&item, reply)),
            None => reply.nil(),
        }
    }
    Ok(())
}

/// Entries, groups and consumers, at most `count` of what can be many.
fn write_full(stream: &Stream, count: u64, reply: &mut Reply) {
    let Stream { log, groups } = stream;
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    reply.bulk(b"entries");
    let shown = log.len().min(count) as usize;
    reply.array(shown);
    log.range(Id::MIN, Id::MAX).take(shown).try_for_each(|item| write_item(&item, reply));
    reply.bulk(b"groups");
    reply.array(groups.len());
    for (name, group) in groups {
        reply.map(7);
        reply.bulk(b"name");
        reply.bulk(name);
        write_progress(log, group, reply);
        reply.bulk(b"pel-count");
        reply.count(group.pending_len());
        reply.bulk(b"pending");
        reply.array(group.pending_len().min(most));
        for (id, pending) in group.pending_range(..).take(most) {
            reply.array(4);
            reply.bulk(&id.text());
            reply.bulk(group.consumer(pending.owner).name());
            reply.integer(pending.delivered as i64);
            reply.integer(pending.count as i64);
            if reply.is_over() {
                return;
            }
        }
        reply.bulk(b"consumers");
        reply.array(group.consumers().len());
        group.consumers().for_each(|consumer| write_consumer(group, consumer, most, reply));
        if reply.is_over() {
            return;
        }
    }
}

fn write_consumer(group: &Group, consumer: &Consumer, most: usize, reply: &mut Reply) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    reply.bulk(b"seen-time");
    reply.integer(consumer.seen as i64);
    reply.bulk(b"active-time");
    reply.integer(consumer.active.map_or(-1, |active| active as i64));
    reply.bulk(b"pel-count");
    reply.count(consumer.pending().len());
    reply.bulk(b"pending");
    reply.array(consumer.pending().len().min(most));
    for (id, pending) in consumer.pending().iter().take(most).filter_map(|id| Some((id, group.pending(*id)?))) {
        reply.array(3);
        reply.bulk(&id.text());
        reply.integer(pending.delivered as i64);
        reply.integer(pending.count as i64);
    }
}

/// How many nodes Redis' radix tree of these ascending keys of 16 bytes has.
///
/// It has one for each key, one for each place where keys part, and one for each stretch of bytes between two of these.
/// Cost: O(keys).
fn radix_nodes(keys: impl Iterator<Item = Id>) -> usize {
    const BYTES: i32 = 16;
    // Bytes that stand between two places, one of which is used up for parting.
    let stretch = |above: i32, below: i32| usize::from(below - above > 1);
    // Where the keys part on the way to the one before, outermost first, beginning before the first byte.
    let mut open: Vec<i32> = vec![-1];
    let (mut count, mut before) = (0, None::<Id>);
    let mut common = -1;
    for key in keys {
        if let Some(last) = before.replace(key) {
            let same = ((last.as_u128() ^ key.as_u128()).leading_zeros() / 8) as i32;
            count += 1 + stretch(common.max(same), BYTES);
            close(&mut open, same, &mut count, stretch);
            if open.last() != Some(&same) {
                open.push(same);
                count += 1;
            }
            common = same;
        }
    }
    if before.is_none() {
        // The root.
        return 1;
    }
    count += 1 + stretch(common, BYTES);
    close(&mut open, -1, &mut count, stretch);
    count
}

/// Leaves the places behind `until`, and counts what leads to them.
fn close(open: &mut Vec<i32>, until: i32, count: &mut usize, stretch: impl Fn(i32, i32) -> usize) {
    while let Some(place) = open.pop_if(|place| *place > until) {
        let above = open.last().copied().unwrap_or(-1).max(until);
        *count += stretch(above, place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_radix_tree_is_counted_as_redis_builds_it() {
        let nodes = |ids: &[(u64, u64)]| radix_nodes(ids.iter().map(|(ms, seq)| Id::new(*ms, *seq)));
        assert_eq!((nodes(&[]), nodes(&[(1, 0)])), (1, 2));
        // A stretch to where they part, the parting, and a stretch and a key for each.
        assert_eq!(nodes(&[(1, 0), (2, 0)]), 6);
        // They part at the last byte: no stretch behind.
        assert_eq!(nodes(&[(1, 0), (1, 1)]), 4);
    }
}
