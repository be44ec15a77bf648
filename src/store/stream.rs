//! Streams: entries under ascending IDs, and groups of consumers that share them out.
//!
//! [`Log`] has the entries, [`Group`] what was handed to whom. A stream that has become empty stays: its groups and the ID
//! given out last are of use still.

mod group;
mod id;
mod log;
mod node;
#[cfg(all(test, not(kiba_loom)))]
mod tests;

pub use group::{Consumer, ConsumerId, Group, Groups, Pending};
pub use id::Id;
pub use log::{Bounds, Log, Range};
pub use node::{BYTES_MAX, Item, Items, Node, NodeLimit};

use super::reaper::Garbage;
use super::{Content, Entry, Object, Raw};

/// A stream.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub log: Log,
    pub groups: Groups,
}

/// Makes an empty stream.
pub fn create(key: &[u8], clock: u32) -> Entry {
    Entry::new(key, Content::Boxed(Box::new(Object::Stream(Box::default()))), None, clock)
}

/// The stream in `entry`; `None` when it holds something else.
#[inline]
pub fn of(entry: &Entry) -> Option<&Stream> {
    match entry.raw() {
        Raw::Boxed(Object::Stream(stream)) => Some(stream),
        _ => None,
    }
}

/// As [`of`], to change it.
#[inline]
pub fn of_mut(entry: &mut Entry) -> Option<&mut Stream> {
    match entry.object_mut() {
        Some(Object::Stream(stream)) => Some(stream),
        _ => None,
    }
}

/// What becomes of an entry's place in the groups when it is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum References {
    /// It stays pending where it was.
    #[default]
    Keep,
    /// It is pending nowhere any more.
    Delete,
    /// It is removed only if all groups have read and acknowledged it.
    Acknowledged,
}

/// How far a stream is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// So many entries are left.
    Length(u64),
    /// No smaller IDs are left.
    Id(Id),
}

/// How a stream is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    pub until: Until,
    /// Whole nodes only.
    pub is_approximate: bool,
    /// Stops before more than so many entries are removed; 0 for no limit.
    pub limit: u64,
    pub references: References,
}

/// What was removed from a stream, to be freed by whoever has the time.
#[derive(Debug, Default)]
pub struct Trimmed {
    pub count: u64,
    nodes: Vec<Node>,
}

impl Garbage for Trimmed {
    fn is_heavy(&self) -> bool {
        self.nodes.len() > super::HEAVY_WEIGHT
    }
}

impl Garbage for Group {
    fn is_heavy(&self) -> bool {
        self.pending_len() / 4 + 2 * self.consumers().len() > super::HEAVY_WEIGHT
    }
}

impl Stream {
    /// Removes entries from the front. Cost: O(nodes removed), and of one node more its entries.
    pub fn trim(&mut self, trim: Trim) -> Trimmed {
        let mut trimmed = Trimmed::default();
        if trim.references == References::Acknowledged {
            trimmed.count = self.trim_acknowledged(trim);
            return trimmed;
        }
        while let Some((node, is_whole)) = self.next_to_trim(trim, trimmed.count) {
            if !is_whole {
                trimmed.count += if trim.is_approximate { 0 } else { self.trim_front(trim) };
                break;
            }
            if trim.references == References::Delete {
                let ids = node.items().map(|item| item.id).collect();
                self.forget_all(ids);
            }
            let Some(node) = self.log.pop_front() else { break };
            trimmed.count += node.len() as u64;
            trimmed.nodes.push(node);
        }
        trimmed
    }

    /// The first node, and whether all of it goes; `None` when nothing is left to do.
    fn next_to_trim(&self, trim: Trim, count: u64) -> Option<(&Node, bool)> {
        let node = self.log.front()?;
        let len = node.len() as u64;
        if trim.limit > 0 && count.saturating_add(len) > trim.limit {
            return None;
        }
        match trim.until {
            Until::Length(most) if self.log.len() <= most => None,
            Until::Length(most) => Some((node, self.log.len() - len >= most)),
            Until::Id(id) => Some((node, node.last() < id)),
        }
    }

    /// Removes entries from within the first node; how many.
    fn trim_front(&mut self, trim: Trim) -> u64 {
        let Some(node) = self.log.front() else { return 0 };
        let count = match trim.until {
            Until::Length(most) => (self.log.len() - most) as usize,
            Until::Id(id) => node.items().take_while(|item| item.id < id).count(),
        };
        if trim.references == References::Delete {
            let ids = node.items().take(count).map(|item| item.id).collect();
            self.forget_all(ids);
        }
        // A node of which nothing is left goes as a whole: its last ID may be that of an entry removed before.
        match self.log.front() {
            Some(node) if node.len() <= count => drop(self.log.pop_front()),
            _ => self.log.trim_front(count),
        }
        count as u64
    }

    /// Removes the entries at the front that no group needs any more.
    fn trim_acknowledged(&mut self, trim: Trim) -> u64 {
        // What a group has not read yet stays, and all that is behind it.
        let read = self.groups.values().map(|group| group.last_id).min().unwrap_or(Id::MAX);
        let (mut doomed, mut left) = (Vec::new(), self.log.len());
        for node in self.log.nodes() {
            let len = node.len() as u64;
            let is_over = trim.limit > 0 && (doomed.len() as u64).saturating_add(len) > trim.limit;
            let is_whole = match trim.until {
                Until::Length(most) => left.saturating_sub(len) >= most,
                Until::Id(id) => node.last() < id,
            };
            if is_over || node.first() > read || trim.is_approximate && !is_whole {
                break;
            }
            for item in node.items() {
                let is_enough = match trim.until {
                    Until::Length(most) => left <= most,
                    Until::Id(id) => item.id >= id,
                };
                if is_enough {
                    break;
                }
                if !self.groups.values().any(|group| group.refers_to(item.id)) {
                    doomed.push(item.id);
                    left -= 1;
                }
            }
            if !is_whole {
                break;
            }
        }
        doomed.iter().filter(|id| self.log.remove(**id)).count() as u64
    }

    /// Whether a group has not read the entry yet, or not acknowledged it.
    pub fn is_referenced(&self, id: Id) -> bool {
        self.groups.values().any(|group| group.refers_to(id))
    }

    /// Removes the entry from what is pending in all groups; whether it was there.
    pub fn forget(&mut self, id: Id) -> bool {
        // All of them, not only up to the first.
        self.groups.values_mut().map(|group| group.acknowledge(id)).filter(|&was_there| was_there).count() > 0
    }

    fn forget_all(&mut self, ids: Vec<Id>) {
        for id in ids {
            self.forget(id);
        }
    }

    /// Removes an entry as XDEL does, which is remembered.
    pub fn delete(&mut self, id: Id) -> bool {
        let is_removed = self.log.remove(id);
        if is_removed && id > self.log.max_deleted() {
            self.log.set_max_deleted(id);
        }
        is_removed
    }

    /// Approximate bytes on the heap. At most O(consumers).
    pub fn heap_bytes(&self) -> usize {
        let groups =
            self.groups.iter().map(|(name, group)| name.len() + size_of::<(Box<[u8]>, Group)>() + group.heap_bytes());
        size_of::<Self>() + self.log.heap_bytes() + groups.sum::<usize>()
    }

    /// Approximate number of allocations that dropping this frees. At most O(groups).
    pub fn weight(&self) -> usize {
        let groups = self.groups.values().map(|group| 3 + 2 * group.consumers().len() + group.pending_len() / 4);
        self.log.node_count() + groups.sum::<usize>()
    }
}
