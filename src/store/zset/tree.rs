//! The order of a large sorted set: a B+tree whose leaves are packs and whose branches know how many items are below.
//!
//! ```text
//! branch  children, items below each, separators between them        up to 64 children
//! leaf    a pack of scored members, ascending; neighbours are linked   up to 64 items
//! ```
//!
//! An item is found by order or by rank from the root down, and its rank from its leaf up: both O(log n). A range is
//! read leaf by leaf, from memory that lies together. A leaf's number stays the same while it exists, so that the index
//! of members can say where each is; whoever moves items from leaf to leaf is told of each.

use super::items::{self, Border, Item, Items, Places};
use crate::store::copy::{self, Budget, Copied};
use crate::store::pack::{self, Buffer};
use crate::store::table::{CACHE_LINE, prefetch};

/// Most children of a branch, most items of a leaf. Within a leaf a search is linear.
const CHILDREN_MAX: usize = 64;
const ITEMS_MAX: usize = 64;

/// Bytes beyond which a leaf of more than one item is split: what an insert may have to move.
const BYTES_MAX: usize = 4096;

/// A node with less than a quarter joins its neighbour, if together they are at most three quarters of one.
const SPARSE: usize = 4;

/// Bytes of a leaf that are asked for ahead.
const PREFETCHED_MAX: usize = 1024;

const NONE: u32 = u32::MAX;

/// What is told when an item moves: its member, from which leaf and to which.
pub type Moved<'f> = &'f mut dyn FnMut(&[u8], u32, u32);

#[derive(Clone, Debug)]
pub struct Tree {
    leaves: Vec<Leaf>,
    branches: Vec<Branch>,
    free_leaves: Vec<u32>,
    free_branches: Vec<u32>,
    /// A leaf when `height` is zero.
    root: u32,
    height: usize,
    first: u32,
    last: u32,
    len: usize,
}

#[derive(Clone, Debug)]
struct Leaf {
    pack: Vec<u8>,
    parent: u32,
    previous: u32,
    next: u32,
}

#[derive(Clone, Debug, Default)]
struct Branch {
    parent: u32,
    /// Branches below on the way to a leaf, this one included.
    level: usize,
    children: Vec<u32>,
    /// Items below each child.
    counts: Vec<usize>,
    /// What separates each child from the next one.
    separators: Separators,
}

/// The separators of a branch: the scores, which nearly always decide, lie together.
#[derive(Clone, Debug, Default)]
struct Separators {
    scores: Vec<f64>,
    members: Vec<Box<[u8]>>,
}

/// Greater than all items before it, not greater than any item behind it.
#[derive(Clone, Debug, Default)]
struct Separator {
    score: f64,
    member: Box<[u8]>,
}

/// A border between two items: in which leaf, where in it, and how many items of all are before it.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    pub leaf: u32,
    pub border: Border,
    pub rank: usize,
}

/// Where an item belongs: in which leaf and where in it, and whether it is behind all others.
#[derive(Clone, Copy, Debug)]
pub struct Spot {
    pub leaf: u32,
    at: usize,
    is_last: bool,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    pub fn new() -> Self {
        let leaf = Leaf { pack: pack::EMPTY.to_vec(), parent: NONE, previous: NONE, next: NONE };
        Self {
            leaves: vec![leaf],
            branches: Vec::new(),
            free_leaves: Vec::new(),
            free_branches: Vec::new(),
            root: 0,
            height: 0,
            first: 0,
            last: 0,
            len: 0,
        }
    }

    /// The beginning of a copy of `from`: of no use before it is finished, but to be dropped.
    pub fn unfinished(from: &Self) -> Self {
        Self {
            leaves: Vec::with_capacity(from.leaves.len()),
            branches: Vec::with_capacity(from.branches.len()),
            free_leaves: Vec::new(),
            free_branches: Vec::new(),
            ..*from
        }
    }

    /// Copies more nodes of `from`, of which this is a copy that is not finished.
    pub fn extend_from(&mut self, from: &Self, budget: &mut Budget) -> Copied {
        /// Bytes of a leaf that take about as long as the overhead of one item.
        const BYTES: usize = 64;
        let cost = |leaf: &Leaf| leaf.pack.len() / BYTES + 1;
        let copied = copy::append(&from.leaves, &mut self.leaves, budget, cost, Leaf::clone);
        if copied != Copied::All {
            return copied;
        }
        let cost = |branch: &Branch| branch.children.len();
        let copied = copy::append(&from.branches, &mut self.branches, budget, cost, Branch::clone);
        if copied == Copied::All {
            if (self.len, self.root, self.height) != (from.len, from.root, from.height) {
                return Copied::Changed;
            }
            self.free_leaves.clone_from(&from.free_leaves);
            self.free_branches.clone_from(&from.free_branches);
        }
        copied
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The items of a leaf.
    #[inline]
    pub fn items(&self, leaf: u32) -> Items<'_> {
        Items::new(&self.leaves[leaf as usize].pack)
    }

    #[inline]
    pub fn prefetch_leaf(&self, leaf: u32) {
        prefetch((&raw const self.leaves[leaf as usize]).cast());
    }

    #[inline]
    pub fn prefetch_items(&self, leaf: u32) {
        let pack = &self.leaves[leaf as usize].pack;
        (0..pack.len().min(PREFETCHED_MAX)).step_by(CACHE_LINE).for_each(|at| prefetch(pack.as_ptr().wrapping_add(at)));
    }

    /// Where an item belongs, by its member and its score.
    pub fn spot_of(&self, item: Item<'_>) -> Spot {
        // What comes in ascending order needs no search.
        let last = self.items(self.last);
        if last.last().is_some_and(|greatest| greatest.is_before(&item)) {
            return Spot { leaf: self.last, at: last.bytes().len(), is_last: true };
        }
        let leaf = self.leaf_for(item);
        Spot { leaf, at: self.items(leaf).partition(|other| !item.is_before(&other)).at, is_last: false }
    }

    /// The leaf where an item belongs.
    #[inline]
    pub fn leaf_for(&self, item: Item<'_>) -> u32 {
        // Not `other < item`: an item equal to a separator belongs behind it.
        self.leaf_of(&mut |other| !item.is_before(&other), |_| ())
    }

    /// Puts an item that is not in the tree where it belongs. [`Tree::settle_grown`] must follow.
    pub fn insert(&mut self, spot: Spot, item: Item<'_>) {
        items::insert(&mut self.leaves[spot.leaf as usize], spot.at, item);
        self.count(spot.leaf, 1);
    }

    /// Gives the item at `at` in `leaf`, where it belongs with its new score as well, that score.
    pub fn rescore(&mut self, leaf: u32, at: usize, item: Item<'_>) {
        items::rescore(&mut self.leaves[leaf as usize], at, item);
    }

    /// Gives the item at `at` to `end` in `leaf` a score that takes it to another leaf. [`Tree::settle_grown`] of that one
    /// must follow, then [`Tree::settle`] of the leaf that it was in.
    pub fn relocate(&mut self, leaf: u32, at: usize, end: usize, spot: Spot, item: Item<'_>) {
        items::insert(&mut self.leaves[spot.leaf as usize], spot.at, item);
        items::remove(&mut self.leaves[leaf as usize], at, end, 1);
        let (mut from, mut to) = (leaf, spot.leaf);
        let mut parents = (self.leaves[from as usize].parent, self.leaves[to as usize].parent);
        // Both ways up meet, and above that nothing changes.
        while from != to {
            self.branches[parents.0 as usize].count(from, -1);
            self.branches[parents.1 as usize].count(to, 1);
            (from, to) = parents;
            parents = (self.branches[from as usize].parent, self.branches[to as usize].parent);
        }
    }

    /// Removes the items between two borders of a leaf. [`Tree::settle`] must follow.
    pub fn remove(&mut self, leaf: u32, from: Border, to: Border) {
        let count = to.rank - from.rank;
        items::remove(&mut self.leaves[leaf as usize], from.at, to.at, count);
        self.count(leaf, -(count as isize));
    }

    /// Splits a leaf that an item was added to, if it became too large. All leaves that there were stay.
    pub fn settle_grown(&mut self, spot: Spot, moved: Moved<'_>) {
        let (items, bytes) = self.size_of(spot.leaf);
        if items > ITEMS_MAX || (bytes > BYTES_MAX && items > 1) {
            self.split(spot.leaf, spot.is_last, moved);
        }
    }

    /// Joins or removes a leaf that has fewer items than before.
    pub fn settle(&mut self, leaf: u32, moved: Moved<'_>) {
        let (items, bytes) = self.size_of(leaf);
        if self.len == 0 {
            *self = Self::new();
        } else if items == 0 {
            self.unlink(leaf);
            self.remove_child(0, leaf);
        } else if items < ITEMS_MAX / SPARSE && bytes < BYTES_MAX / SPARSE && self.height > 0 {
            self.join(leaf, moved);
        }
    }

    /// The border after those items, at the beginning, for which `is_before` holds. It is also asked about separators.
    pub fn partition(&self, mut is_before: impl FnMut(Item<'_>) -> bool) -> Position {
        let mut rank = 0;
        let leaf = self.leaf_of(&mut is_before, |counts| rank += counts.iter().sum::<usize>());
        let border = self.items(leaf).partition(is_before);
        Position { leaf, border, rank: rank + border.rank }
    }

    /// The border with `rank` items before it.
    pub fn select(&self, rank: usize) -> Position {
        let (mut node, mut left) = (self.root, rank);
        for _ in 0..self.height {
            let branch = &self.branches[node as usize];
            let mut child = 0;
            // A border between two leaves is the beginning of the second.
            while child + 1 < branch.counts.len() && left >= branch.counts[child] {
                left -= branch.counts[child];
                child += 1;
            }
            node = branch.children[child];
        }
        Position { leaf: node, border: self.items(node).border(left), rank }
    }

    /// How many items are before the first one of a leaf.
    pub fn rank_of(&self, leaf: u32) -> usize {
        let (mut child, mut parent, mut rank) = (leaf, self.leaves[leaf as usize].parent, 0);
        while parent != NONE {
            let branch = &self.branches[parent as usize];
            rank += branch.counts[..branch.position(child)].iter().sum::<usize>();
            (child, parent) = (parent, branch.parent);
        }
        rank
    }

    /// The items with the ranks from `start` to below `end`, which is at most the length.
    pub fn range(&self, start: usize, end: usize) -> Range<'_> {
        Range { tree: self, start, left: end.saturating_sub(start), front: None, back: None }
    }

    /// Approximate bytes on the heap. O(leaves).
    pub fn heap_bytes(&self) -> usize {
        let leaves: usize = self.leaves.iter().map(|leaf| leaf.pack.capacity()).sum();
        let child = size_of::<u32>() + size_of::<usize>() + size_of::<Separator>();
        leaves
            + self.leaves.capacity() * size_of::<Leaf>()
            + self.branches.capacity() * size_of::<Branch>()
            + self.branches.iter().map(|branch| branch.children.capacity() * child).sum::<usize>()
    }

    /// Approximate number of allocations. O(1).
    pub fn weight(&self) -> usize {
        // A leaf may have a separator, a branch has four vectors.
        2 * self.leaves.len() + 4 * self.branches.len() + 4
    }

    /// The leaf with the border after those items, at the beginning, for which `is_before` holds. `pass` is told how many
    /// items are below the children that are passed by.
    #[inline]
    fn leaf_of(&self, is_before: &mut impl FnMut(Item<'_>) -> bool, mut pass: impl FnMut(&[usize])) -> u32 {
        let mut node = self.root;
        for _ in 0..self.height {
            let branch = &self.branches[node as usize];
            let child = branch.separators.partition(&mut *is_before);
            pass(&branch.counts[..child]);
            node = branch.children[child];
        }
        node
    }

    /// Items and bytes of a leaf.
    fn size_of(&self, leaf: u32) -> (usize, usize) {
        (self.items(leaf).len(), self.leaves[leaf as usize].pack.len())
    }

    /// Adds to the number of items in a leaf and above it.
    fn count(&mut self, leaf: u32, change: isize) {
        self.len = self.len.checked_add_signed(change).expect("counted");
        let (mut child, mut parent) = (leaf, self.leaves[leaf as usize].parent);
        while parent != NONE {
            let branch = &mut self.branches[parent as usize];
            branch.count(child, change);
            (child, parent) = (parent, branch.parent);
        }
    }

    fn split(&mut self, left: u32, grew_at_end: bool, moved: Moved<'_>) {
        let leaf = &mut self.leaves[left as usize];
        let items = Items::new(&leaf.pack);
        let len = items.len();
        // Members that come in ascending order leave full leaves behind.
        let border = items.border(if grew_at_end { len - 1 } else { len / 2 });
        let (before, after) = (items.before(border.at).next_back(), items.after(border.at).next());
        let separator = Separator::between(before.expect("not empty").item, after.expect("not empty").item);
        let pack = items::of_body(len - border.rank, &leaf.pack[border.at..]);
        let end = leaf.pack.len();
        items::remove(leaf, border.at, end, len - border.rank);
        let (parent, next) = (leaf.parent, leaf.next);
        let right = add(&mut self.leaves, &mut self.free_leaves, Leaf { pack, parent, previous: left, next });
        self.leaves[left as usize].next = right;
        match next {
            NONE => self.last = right,
            next => self.leaves[next as usize].previous = right,
        }
        for place in self.items(right).places() {
            moved(place.item.member, left, right);
        }
        self.add_sibling(0, left, right, separator, grew_at_end);
    }

    /// Makes `right`, which has some of the items that `left` had, its next sibling.
    fn add_sibling(&mut self, level: usize, left: u32, right: u32, separator: Separator, grew_at_end: bool) {
        let right_len = self.count_of(level, right);
        let parent = self.parent(level, left);
        if parent == NONE {
            let counts = vec![self.count_of(level, left), right_len];
            let mut separators = Separators::default();
            separators.insert(0, separator);
            let children = vec![left, right];
            let root = Branch { parent: NONE, level: level + 1, children, counts, separators };
            self.root = add(&mut self.branches, &mut self.free_branches, root);
            self.height = level + 1;
            self.set_parent(level, left, self.root);
            self.set_parent(level, right, self.root);
            return;
        }
        self.set_parent(level, right, parent);
        let branch = &mut self.branches[parent as usize];
        let at = branch.position(left);
        branch.counts[at] -= right_len;
        branch.counts.insert(at + 1, right_len);
        branch.children.insert(at + 1, right);
        branch.separators.insert(at, separator);
        if branch.children.len() > CHILDREN_MAX {
            self.split_branch(parent, grew_at_end);
        }
    }

    fn split_branch(&mut self, left: u32, grew_at_end: bool) {
        let branch = &mut self.branches[left as usize];
        let len = branch.children.len();
        let middle = if grew_at_end { len - 1 } else { len / 2 };
        let level = branch.level;
        let other = Branch {
            parent: branch.parent,
            level,
            children: branch.children.split_off(middle),
            counts: branch.counts.split_off(middle),
            separators: branch.separators.split_off(middle),
        };
        let separator = branch.separators.remove(middle - 1);
        let right = add(&mut self.branches, &mut self.free_branches, other);
        self.adopt(right, 0);
        self.add_sibling(level, left, right, separator, grew_at_end);
    }

    /// Joins a leaf with the next or the previous one of the same branch, if both are small enough.
    fn join(&mut self, leaf: u32, moved: Moved<'_>) {
        let Leaf { parent, previous, next, .. } = self.leaves[leaf as usize];
        for (left, right) in [(leaf, next), (previous, leaf)] {
            if left == NONE || right == NONE {
                continue;
            }
            let (a, b) = (&self.leaves[left as usize], &self.leaves[right as usize]);
            let len = Items::new(&a.pack).len() + Items::new(&b.pack).len();
            if a.parent != parent
                || b.parent != parent
                || len > ITEMS_MAX * (SPARSE - 1) / SPARSE
                || a.pack.len() + b.pack.len() > BYTES_MAX * (SPARSE - 1) / SPARSE
            {
                continue;
            }
            let body = [pack::Pack::new(&a.pack).body(), pack::Pack::new(&b.pack).body()].concat();
            for place in Items::new(&b.pack).places() {
                moved(place.item.member, right, left);
            }
            self.leaves[left as usize].pack = items::of_body(len, &body);
            self.unlink(right);
            self.give_count(parent, left);
            self.remove_child(0, right);
            return;
        }
    }

    /// The same for branches.
    fn join_branch(&mut self, branch: u32) {
        let Branch { parent, level, .. } = self.branches[branch as usize];
        if parent == NONE {
            return;
        }
        let at = self.branches[parent as usize].position(branch);
        for at in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            let Some(&[left, right]) =
                self.branches[parent as usize].children.get(at..at + 2).and_then(<[u32]>::first_chunk)
            else {
                continue;
            };
            let len = self.branches[left as usize].children.len() + self.branches[right as usize].children.len();
            if len > CHILDREN_MAX * (SPARSE - 1) / SPARSE {
                continue;
            }
            let separator = self.branches[parent as usize].separators.take(at);
            let other = std::mem::take(&mut self.branches[right as usize]);
            let branch = &mut self.branches[left as usize];
            let from = branch.children.len();
            branch.children.extend(other.children);
            branch.counts.extend(other.counts);
            branch.separators.insert(from - 1, separator);
            branch.separators.append(other.separators);
            self.adopt(left, from);
            self.give_count(parent, left);
            self.branches[right as usize].parent = parent;
            self.remove_child(level, right);
            return;
        }
    }

    /// Counts the items of the child after `child` as this one's.
    fn give_count(&mut self, parent: u32, child: u32) {
        let branch = &mut self.branches[parent as usize];
        let at = branch.position(child);
        branch.counts[at] += std::mem::take(&mut branch.counts[at + 1]);
    }

    /// Takes a leaf out of the line of its neighbours.
    fn unlink(&mut self, leaf: u32) {
        let Leaf { previous, next, .. } = self.leaves[leaf as usize];
        match previous {
            NONE => self.first = next,
            previous => self.leaves[previous as usize].next = next,
        }
        match next {
            NONE => self.last = previous,
            next => self.leaves[next as usize].previous = previous,
        }
    }

    /// Frees a node without items; it is not the root.
    fn remove_child(&mut self, level: usize, child: u32) {
        let parent = self.parent(level, child);
        if level == 0 {
            self.leaves[child as usize].pack = Vec::new();
            self.free_leaves.push(child);
        } else {
            self.branches[child as usize] = Branch::default();
            self.free_branches.push(child);
        }
        let branch = &mut self.branches[parent as usize];
        let at = branch.position(child);
        branch.children.remove(at);
        branch.counts.remove(at);
        if branch.separators.len() > 0 {
            branch.separators.remove(at.saturating_sub(1));
        }
        match branch.children.len() {
            0 => self.remove_child(level + 1, parent),
            1 if parent == self.root => self.lower_root(),
            len if len < CHILDREN_MAX / SPARSE => self.join_branch(parent),
            _ => {}
        }
    }

    /// Removes roots that have only one child.
    fn lower_root(&mut self) {
        while self.height > 0
            && let [only] = self.branches[self.root as usize].children[..]
        {
            self.branches[self.root as usize] = Branch::default();
            self.free_branches.push(self.root);
            self.root = only;
            self.height -= 1;
            self.set_parent(self.height, only, NONE);
        }
    }

    /// Tells the children of a branch from number `from` on who their parent is.
    fn adopt(&mut self, branch: u32, from: usize) {
        let level = self.branches[branch as usize].level;
        for at in from..self.branches[branch as usize].children.len() {
            let child = self.branches[branch as usize].children[at];
            self.set_parent(level - 1, child, branch);
        }
    }

    /// Items at or below a node. Leaves are at level 0.
    fn count_of(&self, level: usize, node: u32) -> usize {
        match level {
            0 => self.items(node).len(),
            _ => self.branches[node as usize].counts.iter().sum(),
        }
    }

    fn parent(&self, level: usize, node: u32) -> u32 {
        match level {
            0 => self.leaves[node as usize].parent,
            _ => self.branches[node as usize].parent,
        }
    }

    fn set_parent(&mut self, level: usize, node: u32, parent: u32) {
        match level {
            0 => self.leaves[node as usize].parent = parent,
            _ => self.branches[node as usize].parent = parent,
        }
    }
}

/// Puts a node into a free place or a new one.
fn add<T>(nodes: &mut Vec<T>, free: &mut Vec<u32>, node: T) -> u32 {
    if let Some(at) = free.pop() {
        nodes[at as usize] = node;
        return at;
    }
    let at = u32::try_from(nodes.len()).expect("fewer nodes than fit into memory");
    nodes.push(node);
    at
}

impl Branch {
    /// Adds to the number of items below a child.
    fn count(&mut self, child: u32, change: isize) {
        let at = self.position(child);
        self.counts[at] = self.counts[at].checked_add_signed(change).expect("counted");
    }

    fn position(&self, child: u32) -> usize {
        self.children.iter().position(|it| *it == child).expect("a child of this branch")
    }
}

impl Separator {
    /// The shortest one.
    fn between(left: Item<'_>, right: Item<'_>) -> Self {
        if left.score < right.score {
            return Self { score: right.score, member: Box::default() };
        }
        let common = left.member.iter().zip(right.member).take_while(|(a, b)| a == b).count();
        Self { score: right.score, member: right.member[..=common].into() }
    }
}

impl Separators {
    fn len(&self) -> usize {
        self.scores.len()
    }

    #[inline]
    fn item(&self, at: usize) -> Item<'_> {
        Item { member: &self.members[at], score: self.scores[at] }
    }

    /// How many there are, at the beginning, for which `is_before` holds.
    #[inline]
    fn partition(&self, mut is_before: impl FnMut(Item<'_>) -> bool) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from.midpoint(to);
            if is_before(self.item(middle)) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        from
    }

    fn insert(&mut self, at: usize, separator: Separator) {
        self.scores.insert(at, separator.score);
        self.members.insert(at, separator.member);
    }

    fn remove(&mut self, at: usize) -> Separator {
        Separator { score: self.scores.remove(at), member: self.members.remove(at) }
    }

    /// Leaves one in its place that is of no use.
    fn take(&mut self, at: usize) -> Separator {
        Separator { score: self.scores[at], member: std::mem::take(&mut self.members[at]) }
    }

    fn split_off(&mut self, at: usize) -> Self {
        Self { scores: self.scores.split_off(at), members: self.members.split_off(at) }
    }

    fn append(&mut self, other: Self) {
        self.scores.extend(other.scores);
        self.members.extend(other.members);
    }
}

/// The pack, which takes steps as the allocator's size classes do instead of twice its size.
impl Buffer for Leaf {
    fn bytes(&self) -> &[u8] {
        &self.pack
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.pack
    }

    fn open(&mut self, at: usize, remove: usize, added: usize) -> &mut [u8] {
        let len = self.pack.len() - remove + added;
        let step = (1 << len.clamp(64, 1 << 18).ilog2()) / 4;
        let room = (len + step - 1) & !(step - 1);
        if room > self.pack.capacity() {
            self.pack.reserve_exact(room - self.pack.len());
        }
        self.pack.open(at, remove, added);
        if self.pack.capacity() >= room + 2 * step {
            self.pack.shrink_to(room);
        }
        &mut self.pack
    }
}

/// Items in order, from either end.
#[derive(Clone)]
pub struct Range<'a> {
    tree: &'a Tree,
    start: usize,
    left: usize,
    /// The leaf and what is left of it; found when it is first asked for.
    front: Option<(u32, Places<'a>)>,
    back: Option<(u32, Places<'a>)>,
}

impl<'a> Iterator for Range<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.left == 0 {
            return None;
        }
        let tree = self.tree;
        let (leaf, places) = self.front.get_or_insert_with(|| {
            let position = tree.select(self.start);
            (position.leaf, tree.items(position.leaf).after(position.border.at))
        });
        self.left -= 1;
        self.start += 1;
        loop {
            if let Some(place) = places.next() {
                return Some(place.item);
            }
            *leaf = tree.leaves[*leaf as usize].next;
            *places = tree.items(*leaf).places();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a> DoubleEndedIterator for Range<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Item<'a>> {
        if self.left == 0 {
            return None;
        }
        let tree = self.tree;
        let (leaf, places) = self.back.get_or_insert_with(|| {
            let position = tree.select(self.start + self.left);
            (position.leaf, tree.items(position.leaf).before(position.border.at))
        });
        self.left -= 1;
        loop {
            if let Some(place) = places.next_back() {
                return Some(place.item);
            }
            *leaf = tree.leaves[*leaf as usize].previous;
            *places = tree.items(*leaf).places();
        }
    }
}

impl ExactSizeIterator for Range<'_> {}

#[cfg(all(test, not(kiba_loom)))]
impl Tree {
    /// Panics unless everything that the tree relies on holds.
    pub(super) fn check(&self) {
        let mut leaves = Vec::new();
        self.check_node(self.height, self.root, NONE, &mut leaves);
        let (mut at, mut previous) = (self.first, NONE);
        for leaf in &leaves {
            assert_eq!((at, self.leaves[at as usize].previous), (*leaf, previous));
            (previous, at) = (at, self.leaves[at as usize].next);
        }
        assert_eq!((at, previous), (NONE, self.last));
        assert_eq!(leaves.len() + self.free_leaves.len(), self.leaves.len());
        let all: Vec<_> = leaves.iter().flat_map(|leaf| self.items(*leaf).places()).map(|place| place.item).collect();
        assert!(all.is_sorted_by(|a, b| a.is_before(b)) && all.len() == self.len);
        assert!(leaves.len() == 1 || leaves.iter().all(|leaf| !self.items(*leaf).is_empty()));
    }

    fn check_node(&self, level: usize, node: u32, parent: u32, leaves: &mut Vec<u32>) {
        assert_eq!(self.parent(level, node), parent);
        if level == 0 {
            let bytes = self.items(node).bytes();
            assert!(pack::Pack::validate(bytes) && self.items(node).len() <= ITEMS_MAX);
            assert!(self.leaves[node as usize].pack.capacity() <= bytes.len() + bytes.len().max(64));
            return leaves.push(node);
        }
        let branch = &self.branches[node as usize];
        let len = branch.children.len();
        assert!((1..=CHILDREN_MAX).contains(&len) && (parent != NONE || len > 1) && branch.level == level);
        assert_eq!((branch.counts.len(), branch.separators.len()), (len, len - 1));
        for (at, child) in branch.children.iter().enumerate() {
            assert_eq!(self.count_of(level - 1, *child), branch.counts[at]);
            let from = leaves.len();
            self.check_node(level - 1, *child, node, leaves);
            let below = || leaves[from..].iter().flat_map(|leaf| self.items(*leaf).places()).map(|place| place.item);
            if at < branch.separators.len() {
                assert!(below().all(|item| item.is_before(&branch.separators.item(at))));
            }
            if let Some(separator) = at.checked_sub(1).map(|at| branch.separators.item(at)) {
                assert!(below().all(|item| !item.is_before(&separator)));
            }
        }
    }
}
