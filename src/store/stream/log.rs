//! The entries of a stream: nodes in the order of their first IDs.
//!
//! The node that entries are added to stands beside the others, so that adding one looks nothing up, and a stream of
//! up to a hundred entries is one byte string. The rest is an ordered map: any ID is found in O(log n), and nodes leave
//! from the front one by one.

use std::collections::{BTreeMap, btree_map};

use super::node::{Item, Node, NodeLimit};
use super::{Id, Items};

/// The entries, and what the stream knows about those that are gone.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// All nodes but the last, by their first IDs.
    nodes: BTreeMap<Id, Node>,
    /// The last node; `None` only where there are no entries.
    tail: Option<Node>,
    len: u64,
    /// The ID given out last.
    last_id: Id,
    /// The largest ID that XDEL removed.
    max_deleted: Id,
    /// How many entries were ever added.
    added: u64,
    /// Bytes of the nodes.
    bytes: usize,
}

/// What tells how far a group is behind; see [`Bounds::lag`].
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub len: u64,
    pub added: u64,
    pub first: Id,
    pub last: Id,
    pub max_deleted: Id,
}

impl Log {
    /// Adds an entry, whose ID is larger than all before.
    pub fn append<'a>(&mut self, id: Id, pairs: impl ExactSizeIterator<Item = &'a [u8]> + Clone, limit: NodeLimit) {
        let size = pairs.clone().map(<[u8]>::len).sum();
        match &mut self.tail {
            Some(tail) if tail.has_room(size, limit) => {
                self.bytes -= tail.heap_bytes();
                tail.push(id, pairs);
                self.bytes += tail.heap_bytes();
            }
            tail => {
                if let Some(mut full) = tail.take() {
                    self.bytes -= full.heap_bytes();
                    full.seal();
                    self.bytes += full.heap_bytes();
                    self.nodes.insert(full.first(), full);
                }
                let node = tail.insert(Node::new(id, pairs));
                self.bytes += node.heap_bytes();
            }
        }
        self.len += 1;
        self.added = self.added.wrapping_add(1);
        self.last_id = id;
    }

    /// Removes an entry; whether it was there. `max_deleted` is for the caller to set.
    pub fn remove(&mut self, id: Id) -> bool {
        let is_in_tail = self.tail.as_ref().is_some_and(|tail| tail.first() <= id);
        let node =
            if is_in_tail { self.tail.as_mut() } else { self.nodes.range_mut(..=id).next_back().map(|(_, node)| node) };
        let Some(node) = node else { return false };
        let before = node.heap_bytes();
        if !node.remove(id) {
            return false;
        }
        self.bytes = self.bytes + node.heap_bytes() - before;
        self.len -= 1;
        if node.is_empty() {
            let first = node.first();
            drop(self.take(first));
        }
        true
    }

    /// Takes the first node out.
    pub fn pop_front(&mut self) -> Option<Node> {
        let first = self.front()?.first();
        let node = self.take(first)?;
        self.len -= node.len() as u64;
        Some(node)
    }

    /// Removes the first `count` entries of the first node, which has more.
    pub fn trim_front(&mut self, count: usize) {
        let node = match self.nodes.first_entry() {
            Some(entry) => entry.into_mut(),
            None => match &mut self.tail {
                Some(tail) => tail,
                None => return,
            },
        };
        let (bytes, len) = (node.heap_bytes(), node.len());
        node.remove_first(count);
        self.len -= (len - node.len()) as u64;
        self.bytes = self.bytes + node.heap_bytes() - bytes;
    }

    /// Takes out the node with this first ID.
    fn take(&mut self, first: Id) -> Option<Node> {
        let is_tail = self.tail.as_ref().is_some_and(|tail| tail.first() == first);
        let node = if is_tail {
            // The node before takes its place, as it does in Redis.
            let before = self.nodes.pop_last().map(|(_, node)| node);
            std::mem::replace(&mut self.tail, before)
        } else {
            self.nodes.remove(&first)
        }?;
        self.bytes -= node.heap_bytes();
        Some(node)
    }

    pub fn set_last_id(&mut self, id: Id) {
        self.last_id = id;
    }

    pub fn set_max_deleted(&mut self, id: Id) {
        self.max_deleted = id;
    }

    pub fn set_added(&mut self, added: u64) {
        self.added = added;
    }

    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ID given out last, whether its entry is there or not.
    pub fn last_id(&self) -> Id {
        self.last_id
    }

    pub fn max_deleted(&self) -> Id {
        self.max_deleted
    }

    /// How many entries were ever added.
    pub fn added(&self) -> u64 {
        self.added
    }

    /// The ID of the first entry; 0-0 when there is none.
    pub fn first(&self) -> Id {
        self.front().and_then(|node| node.items().next()).map_or(Id::MIN, |item| item.id)
    }

    /// The ID of the last entry; 0-0 when there is none.
    pub fn last(&self) -> Id {
        self.tail.as_ref().and_then(|tail| tail.items().next_back()).map_or(Id::MIN, |item| item.id)
    }

    pub fn bounds(&self) -> Bounds {
        Bounds {
            len: self.len,
            added: self.added,
            first: self.first(),
            last: self.last_id,
            max_deleted: self.max_deleted,
        }
    }

    pub fn front(&self) -> Option<&Node> {
        self.nodes.first_key_value().map(|(_, node)| node).or(self.tail.as_ref())
    }

    pub fn get(&self, id: Id) -> Option<Item<'_>> {
        self.node_of(id)?.range(id, id).next()
    }

    pub fn contains(&self, id: Id) -> bool {
        self.get(id).is_some()
    }

    /// The entries from `start` to `end`, both included, from either end.
    pub fn range(&self, start: Id, end: Id) -> Range<'_> {
        Range { nodes: self.nodes_between(start, end), start, end, front: None, back: None }
    }

    /// The nodes in order.
    pub fn nodes(&self) -> Nodes<'_> {
        self.nodes_between(Id::MIN, Id::MAX)
    }

    pub fn node_count(&self) -> usize {
        self.nodes.len() + usize::from(self.tail.is_some())
    }

    /// Approximate bytes on the heap. O(1).
    pub fn heap_bytes(&self) -> usize {
        // Nodes of a B-tree that grows at its end are filled to a little more than half.
        self.bytes + self.nodes.len() * size_of::<(Id, Node)>() * 11 / 6
    }

    /// The node where an ID belongs.
    fn node_of(&self, id: Id) -> Option<&Node> {
        match &self.tail {
            Some(tail) if tail.first() <= id => Some(tail),
            _ => self.nodes.range(..=id).next_back().map(|(_, node)| node),
        }
    }

    /// The nodes that may have entries from `start` to `end`.
    fn nodes_between(&self, start: Id, end: Id) -> Nodes<'_> {
        let tail = self.tail.as_ref().filter(|tail| start <= end && tail.first() <= end);
        let is_past = self.tail.as_ref().is_none_or(|tail| tail.first() <= start);
        if start > end || is_past {
            return Nodes { sealed: btree_map::Range::default(), tail: tail.filter(|tail| tail.last() >= start) };
        }
        let from = if start.is_zero() { None } else { self.nodes.range(..=start).next_back().map(|(first, _)| *first) };
        Nodes { sealed: self.nodes.range(from.unwrap_or(start)..=end), tail }
    }
}

/// Nodes in order, from either end.
#[derive(Clone, Debug)]
pub struct Nodes<'a> {
    sealed: btree_map::Range<'a, Id, Node>,
    tail: Option<&'a Node>,
}

impl<'a> Iterator for Nodes<'a> {
    type Item = &'a Node;

    #[inline]
    fn next(&mut self) -> Option<&'a Node> {
        self.sealed.next().map(|(_, node)| node).or_else(|| self.tail.take())
    }
}

impl<'a> DoubleEndedIterator for Nodes<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a Node> {
        self.tail.take().or_else(|| self.sealed.next_back().map(|(_, node)| node))
    }
}

/// Entries in order, from either end.
#[derive(Clone)]
pub struct Range<'a> {
    nodes: Nodes<'a>,
    start: Id,
    end: Id,
    front: Option<Items<'a>>,
    back: Option<Items<'a>>,
}

impl Range<'_> {
    /// How many entries are left, counted up to `most`. Before any is taken; what is found on the way is not looked for
    /// again.
    pub fn count_to(&mut self, most: usize) -> usize {
        let Self { start, end, .. } = *self;
        if self.front.is_none() {
            self.front = self.nodes.next().map(|node| node.range(start, end));
        }
        let mut count = self.front.clone().map_or(0, |items| items.take(most).count());
        for node in self.nodes.clone() {
            if count >= most {
                break;
            }
            count += if node.last() <= end { node.len() } else { node.range(start, end).take(most).count() };
        }
        count.min(most)
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            if let Some(item) = self.front.as_mut().and_then(Iterator::next) {
                return Some(item);
            }
            match self.nodes.next() {
                Some(node) => self.front = Some(node.range(self.start, self.end)),
                None => return self.back.as_mut()?.next(),
            }
        }
    }
}

impl<'a> DoubleEndedIterator for Range<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Item<'a>> {
        loop {
            if let Some(item) = self.back.as_mut().and_then(DoubleEndedIterator::next_back) {
                return Some(item);
            }
            match self.nodes.next_back() {
                Some(node) => self.back = Some(node.range(self.start, self.end)),
                None => return self.front.as_mut()?.next_back(),
            }
        }
    }
}

impl Bounds {
    /// How many entries a group has before it that was handed `last_id` last, and `entries_read` so far; `None` where
    /// gaps make it impossible to tell.
    ///
    /// Source: Redis 7.4's rules, which are what clients see.
    pub fn lag(&self, last_id: Id, entries_read: Option<u64>) -> Option<i64> {
        let behind = |read: u64| self.added.wrapping_sub(read) as i64;
        if self.added == 0 || self.len == 0 {
            Some(0)
        } else if last_id < self.first && self.max_deleted < self.first {
            Some(self.len as i64)
        } else if let Some(read) = entries_read.filter(|_| !self.has_gap_after(last_id)) {
            Some(behind(read))
        } else {
            self.read_until(last_id).map(behind)
        }
    }

    /// The count of entries read after one more, with the ID `id`, was handed out; before it `last_id` was the last.
    pub fn read_one(&self, last_id: Id, entries_read: Option<u64>, id: Id) -> Option<u64> {
        match entries_read.filter(|_| !self.has_gap_after(last_id)) {
            Some(read) => Some(read.wrapping_add(1)),
            None if self.added > 0 => self.read_until(id),
            None => entries_read,
        }
    }

    /// How many entries were ever added up to `id`; `None` where nobody can tell.
    pub fn read_until(&self, id: Id) -> Option<u64> {
        if self.added == 0 {
            return Some(0);
        }
        if self.len == 0 && id <= self.last {
            return Some(self.added);
        }
        if !id.is_zero() && id < self.max_deleted {
            return None;
        }
        if id >= self.last {
            return (id == self.last).then_some(self.added);
        }
        let is_whole = self.max_deleted.is_zero() || self.max_deleted < self.first;
        match id.cmp(&self.first) {
            std::cmp::Ordering::Less if is_whole => Some(self.added.wrapping_sub(self.len)),
            std::cmp::Ordering::Equal if is_whole => Some(self.added.wrapping_sub(self.len).wrapping_add(1)),
            _ => None,
        }
    }

    /// Whether an entry behind `id` was removed by XDEL.
    fn has_gap_after(&self, id: Id) -> bool {
        self.len > 0 && !self.max_deleted.is_zero() && id <= self.max_deleted
    }
}
