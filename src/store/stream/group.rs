//! Consumer groups: who was handed which entries and has not acknowledged them yet.
//!
//! A group has one ordered map of what is pending, and each consumer an ordered set of the IDs that are its own, so that
//! its history is found without a look at what others have. Consumers are numbered within their group: a pending entry
//! names its owner in four bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeBounds;

use super::Id;
use super::log::Bounds;

/// The groups of a stream by their names, in the order of the names' bytes.
pub type Groups = BTreeMap<Box<[u8]>, Group>;

/// A consumer's number within its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

/// An entry that was handed to a consumer and is not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    pub owner: ConsumerId,
    /// When it was handed out last, in ms since the Unix epoch.
    pub delivered: u64,
    /// How often it was handed out.
    pub count: u64,
}

/// One who reads for a group.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    /// When it asked for something last, in ms since the Unix epoch.
    pub seen: u64,
    /// When it was handed something last; `None`: never.
    pub active: Option<u64>,
    pending: BTreeSet<Id>,
}

impl Consumer {
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// IDs of entries that are pending for it.
    pub fn pending(&self) -> &BTreeSet<Id> {
        &self.pending
    }
}

/// A consumer group.
#[derive(Clone, Debug)]
pub struct Group {
    /// The ID handed out last.
    pub last_id: Id,
    /// How many of the entries ever added are handed out; `None` where nobody can tell.
    pub entries_read: Option<u64>,
    pending: BTreeMap<Id, Pending>,
    names: BTreeMap<Box<[u8]>, ConsumerId>,
    /// By number; `None` where one was deleted.
    consumers: Vec<Option<Consumer>>,
}

impl Group {
    pub fn new(last_id: Id, entries_read: Option<u64>) -> Self {
        Self { last_id, entries_read, pending: BTreeMap::new(), names: BTreeMap::new(), consumers: Vec::new() }
    }

    /// The consumer with this name, which is made when there is none; and whether it was.
    pub fn consumer_or_new(&mut self, name: &[u8], now: u64) -> (ConsumerId, bool) {
        if let Some(&id) = self.names.get(name) {
            return (id, false);
        }
        let consumer = Consumer { name: name.into(), seen: now, active: None, pending: BTreeSet::new() };
        let free = if self.names.len() < self.consumers.len() {
            self.consumers.iter().position(Option::is_none)
        } else {
            None
        };
        let at = free.unwrap_or(self.consumers.len());
        if at == self.consumers.len() {
            self.consumers.push(None);
        }
        self.consumers[at] = Some(consumer);
        let id = ConsumerId(at as u32);
        self.names.insert(name.into(), id);
        (id, true)
    }

    /// Removes a consumer and what is pending for it; how much that was.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let id = self.names.remove(name)?;
        let consumer = self.consumers[id.0 as usize].take()?;
        for id in &consumer.pending {
            self.pending.remove(id);
        }
        Some(consumer.pending.len())
    }

    /// Notes that an entry was handed to a consumer for the first time, or anew after the group was set back.
    pub fn deliver(&mut self, id: Id, owner: ConsumerId, now: u64) {
        self.assign(id, Pending { owner, delivered: now, count: 1 });
    }

    /// Makes an entry pending, whoever had it before.
    pub fn assign(&mut self, id: Id, pending: Pending) {
        let old = self.pending.insert(id, pending);
        if old.is_some_and(|old| old.owner == pending.owner) {
            return;
        }
        if let Some(old) = old {
            self.own_mut(old.owner).remove(&id);
        }
        self.own_mut(pending.owner).insert(id);
    }

    /// Removes what is pending under this ID; whether there was something.
    pub fn acknowledge(&mut self, id: Id) -> bool {
        let Some(old) = self.pending.remove(&id) else { return false };
        self.own_mut(old.owner).remove(&id);
        true
    }

    /// Counts an entry that is handed out, and remembers it as the last.
    pub fn advance(&mut self, bounds: &Bounds, id: Id) {
        if id > self.last_id {
            self.entries_read = bounds.read_one(self.last_id, self.entries_read, id);
            self.last_id = id;
        }
    }

    pub fn pending_mut(&mut self, id: Id) -> Option<&mut Pending> {
        self.pending.get_mut(&id)
    }

    pub fn consumer_mut(&mut self, id: ConsumerId) -> &mut Consumer {
        self.consumers[id.0 as usize].as_mut().expect("nothing names one that was deleted")
    }

    pub fn consumer(&self, id: ConsumerId) -> &Consumer {
        self.consumers[id.0 as usize].as_ref().expect("nothing names one that was deleted")
    }

    pub fn find_consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.names.get(name).map(|id| self.consumer(*id))
    }

    /// The consumers in the order of their names' bytes.
    pub fn consumers(&self) -> impl ExactSizeIterator<Item = &Consumer> {
        self.names.values().map(|id| self.consumer(*id))
    }

    /// What is pending under this ID.
    pub fn pending(&self, id: Id) -> Option<Pending> {
        self.pending.get(&id).copied()
    }

    /// Number of entries that are pending.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// What is pending, in the order of IDs.
    pub fn pending_range(&self, ids: impl RangeBounds<Id>) -> impl DoubleEndedIterator<Item = (Id, &Pending)> {
        self.pending.range(ids).map(|(id, pending)| (*id, pending))
    }

    /// Whether an entry is pending, or was not handed out yet.
    pub fn refers_to(&self, id: Id) -> bool {
        id > self.last_id || self.pending.contains_key(&id)
    }

    /// Approximate bytes on the heap. At most O(consumers).
    pub fn heap_bytes(&self) -> usize {
        // Nodes of a B-tree that grows at its end are filled to a little more than half.
        let pending = self.pending.len() * (size_of::<(Id, Pending)>() + size_of::<Id>()) * 11 / 6;
        let names: usize =
            self.names.keys().map(|name| 2 * name.len() + size_of::<(Box<[u8]>, ConsumerId)>() * 3 / 2).sum();
        pending + names + self.consumers.capacity() * size_of::<Option<Consumer>>()
    }

    fn own_mut(&mut self, id: ConsumerId) -> &mut BTreeSet<Id> {
        &mut self.consumer_mut(id).pending
    }
}
