//! A large sorted set: a tree that owns the items in order, and a hash table that says in which leaf each member is.
//!
//! A member's bytes are there once, in the leaf. The table's element is eight bytes: half of the member's hash, and the
//! leaf, where the member is then found by its bytes. So a member costs what it is long, two bytes, its score, and
//! about 17 bytes: some 40 in all for one of 10 to 16 bytes.

use std::num::NonZeroU32;

use smallvec::SmallVec;

use super::items::{Border, Item, Place};
use super::tree::{Position, Range, Spot, Tree};
use crate::number::parse_f64;
use crate::store::copy::{Budget, Copied};
use crate::store::members::{Element, Members};
use crate::store::{Sought, hash_member};

#[derive(Clone, Debug, Default)]
pub struct Sorted {
    tree: Tree,
    index: Members<Slot>,
}

/// That there is a member with this hash in this leaf. Two members with the same have two equal slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    /// The upper half of the member's.
    hash: u32,
    /// Plus one.
    leaf: NonZeroU32,
}

impl Slot {
    fn new(hash: u32, leaf: u32) -> Self {
        Self { hash, leaf: NonZeroU32::MIN.saturating_add(leaf) }
    }

    fn leaf(self) -> u32 {
        self.leaf.get() - 1
    }
}

impl Element for Slot {
    const WEIGHT: usize = 0;

    #[inline]
    fn hash(&self) -> u64 {
        whole(self.hash)
    }

    fn heap_bytes(&self) -> usize {
        0
    }

    fn copied(&self) -> Self {
        *self
    }
}

#[inline]
fn half_hash(member: &[u8]) -> u32 {
    (hash_member(member) >> 32) as u32
}

/// What the table takes as the hash: it addresses by the upper bits and compares the lowest first.
#[inline]
fn whole(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// What became of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    Added,
    Updated,
}

impl Sorted {
    pub fn new() -> Self {
        Self::default()
    }

    /// The beginning of a copy of `from`: of no use before it is finished, but to be dropped.
    pub fn unfinished(from: &Self) -> Self {
        Self { tree: Tree::unfinished(&from.tree), index: Members::unfinished(&from.index) }
    }

    /// Copies more of `from`, of which this is a copy that is not finished.
    pub fn extend_from(&mut self, from: &Self, budget: &mut Budget) -> Copied {
        match self.tree.extend_from(&from.tree, budget) {
            Copied::All => self.index.extend_from(&from.index, budget),
            other => other,
        }
    }

    /// Gives `member` the score that `decide` makes of its present one (None: it is not there). With None it
    /// stays as it is.
    pub fn update(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Change {
        let hash = half_hash(member);
        let Some((leaf, Place { item: Item { score: old, .. }, at, end })) = self.find(member, hash) else {
            let Some(score) = decide(None) else { return Change::None };
            self.insert_hashed(Item { member, score }, hash);
            return Change::Added;
        };
        let Some(score) = decide(Some(old)).filter(|score| *score != old) else { return Change::None };
        let item = Item { member, score };
        let spot = self.tree.spot_of(item);
        if spot.leaf == leaf {
            self.tree.rescore(leaf, at, item);
            return Change::Updated;
        }
        self.tree.relocate(leaf, at, end, spot, item);
        relink(&mut self.index, hash, leaf, spot.leaf);
        self.settle_grown(spot);
        self.settle(leaf);
        Change::Updated
    }

    /// Adds an item whose member is not there. Cheap when it is the last in order.
    pub fn insert(&mut self, item: Item<'_>) {
        self.insert_hashed(item, half_hash(item.member));
    }

    /// Removes `member`; gives the score it had.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let hash = half_hash(member);
        let (leaf, Place { item: Item { score, .. }, at, end }) = self.find(member, hash)?;
        let slot = Slot::new(hash, leaf);
        self.index.remove_by(slot.hash(), |other| *other == slot);
        self.tree.remove(leaf, Border { rank: 0, at }, Border { rank: 1, at: end });
        self.settle(leaf);
        Some(score)
    }

    /// Removes the items with the ranks from `start` to below `end`, which is at most the length.
    pub fn remove_range(&mut self, start: usize, end: usize) {
        let mut left = end.saturating_sub(start);
        let kept = self.len().saturating_sub(left);
        if kept < left / 2 {
            // Fewer are put into another set than would be taken out of this one.
            let mut rest = Self::new();
            self.range(0, start).chain(self.range(end, self.len())).for_each(|item| rest.insert(item));
            *self = rest;
            return;
        }
        while left > 0 {
            let Position { leaf, border, .. } = self.tree.select(start);
            let items = self.tree.items(leaf);
            let to = items.border(items.len().min(border.rank + left));
            left -= to.rank - border.rank;
            self.remove_in(leaf, border, to);
        }
    }

    pub fn len(&self) -> usize {
        self.tree.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member, half_hash(member)).map(|(_, place)| place.item.score)
    }

    /// How many items are before that of `member`, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let (leaf, place) = self.find(member, half_hash(member))?;
        Some((self.tree.rank_of(leaf) + self.tree.items(leaf).rank_of(place.at), place.item.score))
    }

    /// How many items there are, at the beginning, for which `is_before` holds.
    pub fn partition(&self, is_before: impl FnMut(Item<'_>) -> bool) -> usize {
        self.tree.partition(is_before).rank
    }

    pub fn range(&self, start: usize, end: usize) -> Range<'_> {
        self.tree.range(start, end)
    }

    /// Asks for the memory that looking for these members will touch, and what putting them where their scores belong
    /// will: all of it at once, where one after the other would wait.
    pub fn prefetch<'a>(&self, sought: impl Iterator<Item = Sought<'a>>) {
        let (mut hashes, mut leaves) = (SmallVec::<[u32; 16]>::new(), SmallVec::<[u32; 32]>::new());
        for Sought { member, score } in sought {
            let hash = half_hash(member);
            self.index.prefetch_bucket(whole(hash));
            hashes.push(hash);
            if let Some(score) = score.and_then(parse_f64) {
                leaves.push(self.tree.leaf_for(Item { member, score }));
            }
        }
        let slots = hashes.iter().filter_map(|hash| self.index.likely(whole(*hash)).filter(|slot| slot.hash == *hash));
        leaves.extend(slots.map(|slot| slot.leaf()));
        leaves.iter().for_each(|leaf| self.tree.prefetch_leaf(*leaf));
        leaves.iter().for_each(|leaf| self.tree.prefetch_items(*leaf));
    }

    /// Visits the items of the next few hashes; gives the cursor to go on with, 0 at the end. As for a set,
    /// a member that stays is visited once, whatever is added and removed meanwhile.
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(Item<'a>)) -> u64 {
        let mut slots = SmallVec::<[Slot; 16]>::new();
        let cursor = self.index.scan(cursor, |slot| {
            // Equal slots stand for all the members that they could stand for, which are visited together.
            if !slots.contains(slot) {
                slots.push(*slot);
            }
        });
        for slot in slots {
            let items = self.tree.items(slot.leaf()).places().map(|place| place.item);
            items.filter(|item| half_hash(item.member) == slot.hash).for_each(&mut visit);
        }
        cursor
    }

    /// Approximate bytes on the heap. O(leaves).
    pub fn heap_bytes(&self) -> usize {
        self.tree.heap_bytes() + self.index.heap_bytes()
    }

    /// Approximate number of allocations that dropping this frees. O(1).
    pub fn weight(&self) -> usize {
        self.tree.weight() + self.index.weight()
    }

    /// The leaf of `member`, whose hash is given, and its place there.
    #[inline]
    fn find(&self, member: &[u8], hash: u32) -> Option<(u32, Place<'_>)> {
        let mut found = None;
        self.index.find_by(whole(hash), |slot| {
            if slot.hash == hash {
                found = self.tree.items(slot.leaf()).find(member).map(|place| (slot.leaf(), place));
            }
            found.is_some()
        });
        found
    }

    fn remove_in(&mut self, leaf: u32, from: Border, to: Border) {
        for place in self.tree.items(leaf).after(from.at).take(to.rank - from.rank) {
            let slot = Slot::new(half_hash(place.item.member), leaf);
            self.index.remove_by(slot.hash(), |other| *other == slot);
        }
        self.tree.remove(leaf, from, to);
        self.settle(leaf);
    }

    fn insert_hashed(&mut self, item: Item<'_>, hash: u32) {
        let spot = self.tree.spot_of(item);
        self.tree.insert(spot, item);
        self.index.add(whole(hash), Slot::new(hash, spot.leaf));
        self.settle_grown(spot);
    }

    fn settle_grown(&mut self, spot: Spot) {
        let index = &mut self.index;
        self.tree.settle_grown(spot, &mut |member, from, to| relink(index, half_hash(member), from, to));
    }

    fn settle(&mut self, leaf: u32) {
        let index = &mut self.index;
        self.tree.settle(leaf, &mut |member, from, to| relink(index, half_hash(member), from, to));
    }
}

/// Notes that a member went from one leaf to another.
fn relink(index: &mut Members<Slot>, hash: u32, from: u32, to: u32) {
    let (old, new) = (Slot::new(hash, from), Slot::new(hash, to));
    index.change_by(whole(hash), |slot| *slot == old, |slot| *slot = new);
}

#[cfg(all(test, not(kiba_loom)))]
impl Sorted {
    /// Panics unless everything that the set relies on holds.
    pub(super) fn check(&self) {
        self.tree.check();
        assert_eq!(self.index.len(), self.len());
        for item in self.range(0, self.len()) {
            let (_, place) = self.find(item.member, half_hash(item.member)).expect("in the index");
            assert_eq!(place.item.score.to_bits(), item.score.to_bits());
        }
    }
}
