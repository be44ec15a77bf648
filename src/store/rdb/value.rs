//! Values out of Redis' format.

use smallvec::SmallVec;

use super::reader::Reader;
use super::{Damaged, Making, kind, listpack, ziplist, zipmap};
use crate::number::{parse_f64, parse_u64};
use crate::store::list::End;
use crate::store::set::Member;
use crate::store::timed::DEADLINE_MAX;
use crate::store::{Entry, hash, list, set, string, zset};

/// A node of a list that is one element, and one that is a listpack.
const NODE_PLAIN: u64 = 1;
const NODE_PACKED: u64 = 2;

impl Reader<'_> {
    /// A value with its type in front.
    ///
    /// # Errors
    /// Anything that is not all of a value: a type that is not known, a length that leads out of the bytes, an element
    /// that is there twice, a collection without elements.
    pub fn value(&mut self, making: &Making<'_>) -> Result<Entry, Damaged> {
        match self.byte()? {
            kind::STRING => {
                let text = self.string(making.string_max)?;
                Ok(Entry::new(making.key, string::content(&text), None, making.clock))
            }
            kind @ (kind::LIST | kind::LIST_ZIPLIST | kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2) => {
                self.list(kind, making)
            }
            kind @ (kind::SET | kind::SET_INTSET | kind::SET_LISTPACK) => self.set(kind, making),
            kind @ (kind::HASH | kind::HASH_ZIPMAP | kind::HASH_ZIPLIST | kind::HASH_LISTPACK) => {
                self.hash(kind, making)
            }
            kind @ (kind::HASH_TIMED | kind::HASH_LISTPACK_TIMED) => self.timed_hash(kind, making),
            kind @ (kind::ZSET | kind::ZSET_2 | kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK) => self.zset(kind, making),
            kind @ (kind::STREAM | kind::STREAM_2 | kind::STREAM_3) => self.stream(kind, making),
            _ => Err(Damaged),
        }
    }

    fn list(&mut self, kind: u8, making: &Making<'_>) -> Result<Entry, Damaged> {
        let mut entry = list::create(making.key, making.clock);
        let mut list = list::Edit::of(&mut entry, &making.limits.list).ok_or(Damaged)?;
        let mut push = |element: Member<'_>| {
            list.push(End::Back, &element);
            Ok(())
        };
        match kind {
            kind::LIST => {
                for _ in 0..self.count()? {
                    push(Member::Bytes(&self.string(making.string_max)?))?;
                }
            }
            kind::LIST_ZIPLIST => ziplist::each(&self.string(making.string_max)?, push)?,
            _ => {
                let is_old = kind == kind::LIST_QUICKLIST;
                for _ in 0..self.count()? {
                    let container = if is_old { NODE_PACKED } else { self.number()? };
                    let node = self.string(making.string_max)?;
                    match container {
                        NODE_PACKED if is_old => ziplist::each(&node, &mut push)?,
                        NODE_PACKED => listpack::each(&node, &mut push)?,
                        NODE_PLAIN if !node.is_empty() => push(Member::Bytes(&node))?,
                        _ => return Err(Damaged),
                    }
                }
            }
        }
        if list.is_empty() { Err(Damaged) } else { Ok(entry) }
    }

    fn set(&mut self, kind: u8, making: &Making<'_>) -> Result<Entry, Damaged> {
        let Making { key, clock, limits, string_max } = *making;
        let mut entry;
        let mut set;
        // A member that is there twice shows that something is wrong.
        let add = |set: &mut set::Edit<'_>, member: &[u8]| set.add(member).then_some(()).ok_or(Damaged);
        if kind == kind::SET {
            let count = self.count()?.checked_sub(1).ok_or(Damaged)?;
            let first = self.string(string_max)?;
            entry = set::create_for(key, clock, &first, count + 1, &limits.set);
            set = set::Edit::of(&mut entry, &limits.set).ok_or(Damaged)?;
            add(&mut set, &first)?;
            for _ in 0..count {
                add(&mut set, &self.string(string_max)?)?;
            }
        } else {
            let bytes = self.string(string_max)?;
            entry = set::create(key, clock);
            set = set::Edit::of(&mut entry, &limits.set).ok_or(Damaged)?;
            match kind {
                kind::SET_INTSET => ints(&bytes, |int| add(&mut set, &Member::from_int(int)))?,
                _ => listpack::each(&bytes, |member| add(&mut set, &member))?,
            }
        }
        if set.is_empty() { Err(Damaged) } else { Ok(entry) }
    }

    fn hash(&mut self, kind: u8, making: &Making<'_>) -> Result<Entry, Damaged> {
        let mut entry = hash::create(making.key, making.clock);
        let mut hash = hash::Edit::of(&mut entry, &making.limits.hash, 0).ok_or(Damaged)?;
        // A field that is there twice would be lost.
        let mut set = |field: &[u8], value: &[u8]| hash.set(field, value).then_some(()).ok_or(Damaged);
        if kind == kind::HASH {
            for _ in 0..self.count()? {
                let field = self.string(making.string_max)?;
                set(&field, &self.string(making.string_max)?)?;
            }
        } else {
            let bytes = self.string(making.string_max)?;
            match kind {
                kind::HASH_ZIPMAP => zipmap::each(&bytes, set)?,
                kind::HASH_ZIPLIST => pairs(|visit| ziplist::each(&bytes, visit), set)?,
                _ => pairs(|visit| listpack::each(&bytes, visit), set)?,
            }
        }
        if hash.is_empty() { Err(Damaged) } else { Ok(entry) }
    }
}

impl Reader<'_> {
    /// A hash of which fields have deadlines. Those that are due are in it.
    fn timed_hash(&mut self, kind: u8, making: &Making<'_>) -> Result<Entry, Damaged> {
        let mut entry = hash::create(making.key, making.clock);
        // At this time nothing is due.
        let mut hash = hash::Edit::of(&mut entry, &making.limits.hash, 0).ok_or(Damaged)?;
        let mut set = |field: &[u8], value: &[u8], deadline: u64| {
            let is_new = hash.set(field, value) && deadline <= DEADLINE_MAX;
            let is_set = is_new && (deadline == 0 || hash.set_deadline(field, Some(deadline)));
            is_set.then_some(()).ok_or(Damaged)
        };
        let first = self.u64_le()?;
        if kind == kind::HASH_TIMED {
            for _ in 0..self.count()? {
                let offset = self.number()?;
                let (field, value) = (self.string(making.string_max)?, self.string(making.string_max)?);
                let deadline = match offset {
                    0 => 0,
                    offset => first.checked_add(offset - 1).ok_or(Damaged)?,
                };
                set(&field, &value, deadline)?;
            }
        } else {
            let bytes = self.string(making.string_max)?;
            let mut triple = SmallVec::<[Member<'_>; 3]>::new();
            listpack::each(&bytes, |element| {
                triple.push(element);
                if let [field, value, deadline] = &triple[..] {
                    set(field, value, parse_u64(deadline).ok_or(Damaged)?)?;
                    triple.clear();
                }
                Ok(())
            })?;
            triple.is_empty().then_some(()).ok_or(Damaged)?;
        }
        if hash.is_empty() { Err(Damaged) } else { Ok(entry) }
    }

    fn zset(&mut self, kind: u8, making: &Making<'_>) -> Result<Entry, Damaged> {
        let mut entry = zset::create(making.key, making.clock);
        let mut zset = zset::Edit::of(&mut entry, &making.limits.zset).ok_or(Damaged)?;
        let mut set = |member: &[u8], score: f64| {
            let is_number = !score.is_nan();
            (is_number && zset.set(member, score)).then_some(()).ok_or(Damaged)
        };
        if matches!(kind, kind::ZSET | kind::ZSET_2) {
            for _ in 0..self.count()? {
                let member = self.string(making.string_max)?;
                let score = if kind == kind::ZSET { self.score()? } else { f64::from_bits(self.u64_le()?) };
                set(&member, score)?;
            }
        } else {
            let bytes = self.string(making.string_max)?;
            let set = |member: &[u8], score: &[u8]| set(member, parse_f64(score).ok_or(Damaged)?);
            match kind {
                kind::ZSET_ZIPLIST => pairs(|visit| ziplist::each(&bytes, visit), set)?,
                _ => pairs(|visit| listpack::each(&bytes, visit), set)?,
            }
        }
        if zset.is_empty() { Err(Damaged) } else { Ok(entry) }
    }

    /// A score as text behind its length, as Redis wrote it up to 2.8; some lengths are scores themselves.
    fn score(&mut self) -> Result<f64, Damaged> {
        match self.byte()? {
            253 => Ok(f64::NAN),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            len => parse_f64(self.take(usize::from(len))?).ok_or(Damaged),
        }
    }
}

/// Visits what `each` visits in pairs.
fn pairs<'a>(
    each: impl FnOnce(&mut dyn FnMut(Member<'a>) -> Result<(), Damaged>) -> Result<(), Damaged>,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), Damaged>,
) -> Result<(), Damaged> {
    let mut first = None;
    each(&mut |member| match first.take() {
        None => {
            first = Some(member);
            Ok(())
        }
        Some(first) => visit(&first, &member),
    })?;
    if first.is_none() { Ok(()) } else { Err(Damaged) }
}

/// Visits the integers of Redis' intset, which must ascend.
fn ints(bytes: &[u8], mut visit: impl FnMut(i64) -> Result<(), Damaged>) -> Result<(), Damaged> {
    let mut reader = Reader::new(bytes);
    let (width, count) = (reader.u32_le()? as usize, reader.u32_le()? as usize);
    if !matches!(width, 2 | 4 | 8) || reader.rest().len() != count.saturating_mul(width) {
        return Err(Damaged);
    }
    let mut last = None;
    for _ in 0..count {
        let int = reader.int_le(width)?;
        if last.replace(int).is_some_and(|last| last >= int) {
            return Err(Damaged);
        }
        visit(int)?;
    }
    Ok(())
}
