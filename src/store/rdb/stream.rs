//! Streams in Redis' format.
//!
//! ```text
//! stream    length nodes, node*, length entries, ID last given out, ID first, ID largest deleted,
//!           length ever added, length groups, group*           (15, Redis 6: neither first to added)
//! node      string of 16 bytes: the first ID, big-endian; string: a listpack
//! listpack  count, deleted, fields, name*, 0, entry*
//! entry     flags (1 deleted, 2 the names above), ms and seq behind the first ID, [fields], ([name] value)*, elements before
//! ID        length ms, length seq
//! group     string name, ID last handed out, length entries read (not in 15), length pending, pending*,
//!           length consumers, consumer*
//! pending   16 bytes ID, i64 ms of delivery, length deliveries
//! consumer  string name, i64 ms seen, i64 ms active (21 only), length own, (16 bytes ID)*
//! ```

use std::collections::BTreeMap;

use super::listpack::{self, Builder};
use super::reader::Reader;
use super::{Damaged, Making, Writer, kind};
use crate::number::parse_i64;
use crate::store::set::Member;
use crate::store::stream::{Group, Id, Log, Node, Pending, Stream};
use crate::store::{Content, Entry, Object};

/// Flags of an entry.
const DELETED: i64 = 1;
const SAME_NAMES: i64 = 2;

/// Bytes of an ID.
const ID_BYTES: usize = 16;

impl Writer {
    /// A stream as Redis 7.0 writes it; entries that were deleted leave no trace.
    pub(super) fn stream(&mut self, stream: &Stream) {
        let log = &stream.log;
        self.byte(kind::STREAM_2);
        self.length(log.node_count() as u64);
        for node in log.nodes() {
            self.string(&node.first().as_u128().to_be_bytes());
            self.string(&listpack_of(node));
        }
        self.length(log.len());
        [log.last_id(), log.first(), log.max_deleted()].into_iter().for_each(|id| self.id(id));
        self.length(log.added());
        self.length(stream.groups.len() as u64);
        for (name, group) in &stream.groups {
            self.string(name);
            self.group(group);
        }
    }

    fn group(&mut self, group: &Group) {
        self.id(group.last_id);
        // -1 where nobody can tell.
        self.length(group.entries_read.unwrap_or(u64::MAX));
        self.length(group.pending_len() as u64);
        for (id, pending) in group.pending_range(..) {
            self.bytes(&id.as_u128().to_be_bytes());
            self.bytes(&pending.delivered.to_le_bytes());
            self.length(pending.count);
        }
        self.length(group.consumers().len() as u64);
        for consumer in group.consumers() {
            self.string(consumer.name());
            self.bytes(&consumer.seen.to_le_bytes());
            self.length(consumer.pending().len() as u64);
            consumer.pending().iter().for_each(|id| self.bytes(&id.as_u128().to_be_bytes()));
        }
    }

    fn id(&mut self, id: Id) {
        self.length(id.ms);
        self.length(id.seq);
    }
}

fn listpack_of(node: &Node) -> Vec<u8> {
    let mut listpack = Builder::new();
    let int = |listpack: &mut Builder, int: i64| listpack.push(itoa::Buffer::new().format(int).as_bytes());
    int(&mut listpack, node.len() as i64);
    int(&mut listpack, 0);
    let first = node.items().next();
    int(&mut listpack, first.map_or(0, |item| item.len() as i64));
    first.iter().flat_map(|item| item.pairs()).for_each(|(name, _)| listpack.push(&name));
    int(&mut listpack, 0);
    for item in node.items() {
        let is_same = first.is_some_and(|first| first.has_names_of(&item));
        int(&mut listpack, if is_same { SAME_NAMES } else { 0 });
        int(&mut listpack, item.id.ms.wrapping_sub(node.first().ms) as i64);
        int(&mut listpack, item.id.seq.wrapping_sub(node.first().seq) as i64);
        let fields = item.len() as i64;
        if is_same {
            item.pairs().for_each(|(_, value)| listpack.push(&value));
            int(&mut listpack, fields + 3);
        } else {
            int(&mut listpack, fields);
            for (name, value) in item.pairs() {
                listpack.push(&name);
                listpack.push(&value);
            }
            int(&mut listpack, 2 * fields + 4);
        }
    }
    listpack.finish()
}

impl Reader<'_> {
    /// A stream; entries that were deleted are left out.
    pub(super) fn stream(&mut self, kind: u8, making: &Making<'_>) -> Result<Entry, Damaged> {
        let mut stream = Box::<Stream>::default();
        for _ in 0..self.count()? {
            let first = self.string(making.string_max)?;
            let first = id_of(&first)?;
            let listpack = self.string(making.string_max)?;
            let mut elements = Vec::new();
            listpack::each(&listpack, |element| {
                elements.push(element);
                Ok(())
            })?;
            Elements(&elements).add_to(&mut stream.log, first, making)?;
        }
        let log = &mut stream.log;
        let len = self.number()?;
        let last_id = self.id()?;
        if len != log.len() || last_id < log.last() {
            return Err(Damaged);
        }
        log.set_last_id(last_id);
        if kind != kind::STREAM {
            // The first ID follows from the entries.
            self.id()?;
            log.set_max_deleted(self.id()?);
            log.set_added(self.number()?);
        }
        for _ in 0..self.count()? {
            let name = self.string(making.string_max)?;
            let group = self.group(kind, &stream.log)?;
            if stream.groups.insert(name.as_ref().into(), group).is_some() {
                return Err(Damaged);
            }
        }
        Ok(Entry::new(making.key, Content::Boxed(Box::new(Object::Stream(stream))), None, making.clock))
    }

    fn group(&mut self, kind: u8, log: &Log) -> Result<Group, Damaged> {
        let last_id = self.id()?;
        let read = match kind {
            kind::STREAM => log.bounds().read_until(last_id),
            _ => Some(self.number()?).filter(|read| *read != u64::MAX),
        };
        let mut group = Group::new(last_id, read);
        let mut pending = BTreeMap::new();
        for _ in 0..self.count()? {
            let id = id_of(self.take(ID_BYTES)?)?;
            if pending.insert(id, (self.u64_le()?, self.number()?)).is_some() {
                return Err(Damaged);
            }
        }
        for _ in 0..self.count()? {
            let name = self.string(u32::MAX as usize)?;
            let seen = self.u64_le()?;
            let active = if kind == kind::STREAM_3 { self.u64_le()? } else { seen };
            let (owner, true) = group.consumer_or_new(&name, seen) else { return Err(Damaged) };
            // -1: never.
            group.consumer_mut(owner).active = i64::try_from(active).is_ok().then_some(active);
            for _ in 0..self.count()? {
                let id = id_of(self.take(ID_BYTES)?)?;
                let (delivered, count) = pending.remove(&id).ok_or(Damaged)?;
                group.assign(id, Pending { owner, delivered, count });
            }
        }
        // What is pending is so for somebody.
        if pending.is_empty() { Ok(group) } else { Err(Damaged) }
    }

    fn id(&mut self) -> Result<Id, Damaged> {
        Ok(Id::new(self.number()?, self.number()?))
    }
}

fn id_of(bytes: &[u8]) -> Result<Id, Damaged> {
    bytes.try_into().map(|bytes| Id::from_u128(u128::from_be_bytes(bytes))).map_err(|_| Damaged)
}

/// What is left of a node's listpack.
struct Elements<'a>(&'a [Member<'a>]);

impl<'a> Elements<'a> {
    /// Adds the entries behind those that are there.
    fn add_to(mut self, log: &mut Log, first: Id, making: &Making<'_>) -> Result<(), Damaged> {
        let (live, dead) = (self.int()?, self.int()?);
        let count = self.count()?;
        let names = self.take(count)?;
        if self.int()? != 0 {
            return Err(Damaged);
        }
        let (mut found, mut gone, mut least) = (0, 0, first);
        while !self.0.is_empty() {
            let before = self.0.len();
            let flags = self.int()?;
            let (ms, seq) = (self.int()?, self.int()?);
            let id = Id::new(first.ms.wrapping_add(ms as u64), first.seq.wrapping_add(seq as u64));
            let pairs: Vec<&[u8]> = if flags & SAME_NAMES != 0 {
                names.iter().zip(self.take(names.len())?).flat_map(|(name, value)| [&**name, &**value]).collect()
            } else {
                let count = self.count()?;
                self.take(count.checked_mul(2).ok_or(Damaged)?)?.iter().map(|element| &**element).collect()
            };
            let used = before - self.0.len();
            let is_behind = id >= least && id > log.last_id();
            if flags & !(DELETED | SAME_NAMES) != 0 || self.int()? != used as i64 || !is_behind || pairs.is_empty() {
                return Err(Damaged);
            }
            least = id.next().unwrap_or(Id::MAX);
            if flags & DELETED != 0 {
                gone += 1;
            } else {
                found += 1;
                log.append(id, pairs.into_iter(), making.limits.stream_node);
            }
        }
        if (live, dead) == (found, gone) { Ok(()) } else { Err(Damaged) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [Member<'a>], Damaged> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damaged)?;
        self.0 = rest;
        Ok(taken)
    }

    fn int(&mut self) -> Result<i64, Damaged> {
        self.take(1).and_then(|taken| parse_i64(&taken[0]).ok_or(Damaged))
    }

    fn count(&mut self) -> Result<usize, Damaged> {
        self.int().and_then(|count| usize::try_from(count).map_err(|_| Damaged))
    }
}
