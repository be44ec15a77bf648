//! Lists: a pack inside the entry while small, a deque of chunks beyond.
//!
//! The border is `list-max-listpack-size`. As in Redis 7.2 and later, a large list that shrinks to a single
//! chunk of half that size goes back into its entry.

use super::chunk::without_equal;
use super::deque::{self, Deque};
use super::limits::{ChunkLimit, INLINE_BYTES_MAX, Limits};
use super::pack::{self, Buffer, Pack, framed};
use super::{Content, Entry, Kind, Object, Raw};

pub use super::chunk::End;

/// Makes an empty list.
pub fn create(key: &[u8], clock: u32) -> Entry {
    Entry::new(key, Content::Inline(Kind::ListPack, pack::EMPTY), None, clock)
}

/// A borrowed list.
#[derive(Clone, Copy)]
pub enum View<'a> {
    Packed(Pack<'a>),
    Large(&'a Deque),
}

impl<'a> View<'a> {
    /// The list in `entry`; None when it holds something else.
    pub fn of(entry: &'a Entry) -> Option<Self> {
        match entry.raw() {
            Raw::Inline(Kind::ListPack, bytes) => Some(Self::Packed(Pack::new(bytes))),
            Raw::Boxed(Object::List(deque)) => Some(Self::Large(deque)),
            _ => None,
        }
    }

    pub fn len(self) -> usize {
        match self {
            Self::Packed(pack) => pack.len(),
            Self::Large(deque) => deque.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element at `index` from the front, reached from the nearer end.
    pub fn get(self, index: usize) -> Option<&'a [u8]> {
        match self {
            Self::Packed(pack) => pack.get(index),
            Self::Large(deque) => deque.get(index),
        }
    }

    /// The elements in order, from either end.
    pub fn iter(self) -> Iter<'a> {
        match self {
            Self::Packed(pack) => Iter(Inner::Pack(pack.iter())),
            Self::Large(deque) => Iter(Inner::Large(deque.iter())),
        }
    }

    /// Up to `count` elements from `start` on; fewer or none past the end.
    ///
    /// Cost: O(chunks from the nearer end) to get there, then O(1) an element.
    pub fn range(self, start: usize, count: usize) -> std::iter::Take<Iter<'a>> {
        let from = match self {
            Self::Packed(pack) => Iter(Inner::Pack(pack.iter_from(start))),
            Self::Large(deque) => Iter(Inner::Large(deque.iter_from(start))),
        };
        from.take(count)
    }

    /// What `OBJECT ENCODING` answers.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::Large(_) => "quicklist",
        }
    }
}

/// A list that is being changed. An emptied one stays: the caller looks at [`Edit::len`] and removes the key.
pub struct Edit<'a> {
    entry: &'a mut Entry,
    limits: &'a Limits,
}

impl<'a> Edit<'a> {
    /// The list in `entry`; None when it holds something else.
    pub fn of(entry: &'a mut Entry, limits: &'a Limits) -> Option<Self> {
        View::of(entry)?;
        Some(Self { entry, limits })
    }

    /// Adds `value` at `end`. Amortised O(1).
    pub fn push(&mut self, end: End, value: &[u8]) {
        let limit = self.limits.list_chunk();
        if let Some(pack) = self.pack() {
            if fits(pack.bytes().len() + framed(value.len()), pack.len() + 1, limit) {
                let at = match end {
                    End::Front => pack.body_at(),
                    End::Back => pack.bytes().len(),
                };
                return pack::insert(self.entry, at, &[value]);
            }
            self.grow();
        }
        self.deque().push(end, value, limit);
    }

    /// Hands the element at `end` to `take` and removes it. None when the list is empty.
    pub fn pop<R>(&mut self, end: End, take: impl FnOnce(&[u8]) -> R) -> Option<R> {
        if let Some(pack) = self.pack() {
            let mut frames = pack.frames();
            let frame = match end {
                End::Front => frames.next(),
                End::Back => frames.next_back(),
            }?;
            let (at, size) = (frame.at, frame.size());
            let taken = take(frame.data);
            pack::remove(self.entry, at, size, 1);
            return Some(taken);
        }
        let taken = self.deque().pop(end, take);
        self.shrink();
        taken
    }

    /// Replaces the element at `index`; false when there is none.
    pub fn set(&mut self, index: usize, value: &[u8]) -> bool {
        let limit = self.limits.list_chunk();
        if let Some(pack) = self.pack() {
            let Some(frame) = pack.frame(index) else { return false };
            let (at, size) = (frame.at, frame.size());
            if fits(pack.bytes().len() - size + framed(value.len()), pack.len(), limit) {
                pack::replace(self.entry, at, size, value);
                return true;
            }
            self.grow();
        }
        let found = self.deque().set(index, value, limit);
        self.shrink();
        found
    }

    /// Inserts `value` before the element at `index`; an index past the end appends.
    pub fn insert(&mut self, index: usize, value: &[u8]) {
        let limit = self.limits.list_chunk();
        if let Some(pack) = self.pack() {
            if fits(pack.bytes().len() + framed(value.len()), pack.len() + 1, limit) {
                let at = pack.frame(index).map_or(pack.bytes().len(), |frame| frame.at);
                return pack::insert(self.entry, at, &[value]);
            }
            self.grow();
        }
        self.deque().insert(index, value, limit);
    }

    /// Removes the element at `index`; false when there is none.
    pub fn remove(&mut self, index: usize) -> bool {
        self.remove_range(index, 1) == 1
    }

    /// Removes up to `count` elements from `start` on. Returns how many there were.
    pub fn remove_range(&mut self, start: usize, count: usize) -> usize {
        let limit = self.limits.list_chunk();
        if let Some(pack) = self.pack() {
            let count = count.min(pack.len().saturating_sub(start));
            let Some(from) = pack.frame(start).map(|frame| frame.at).filter(|_| count > 0) else { return 0 };
            let to = pack.frame(start + count).map_or(pack.bytes().len(), |frame| frame.at);
            pack::remove(self.entry, from, to - from, count);
            return count;
        }
        let removed = self.deque().remove(start, count, limit);
        self.shrink();
        removed
    }

    /// Removes up to `max` elements equal to `value`, counted from `end`. Returns how many. O(length).
    pub fn remove_equal(&mut self, value: &[u8], max: usize, end: End) -> usize {
        let limit = self.limits.list_chunk();
        if let Some(pack) = self.pack() {
            let kept = without_equal(pack.frames(), value, max, end);
            if kept.removed > 0 {
                let old_len = pack.bytes().len();
                let header = pack::header(pack.len() - kept.removed);
                Buffer::splice(self.entry, 0, old_len, &[header.bytes(), &kept.bytes]);
            }
            return kept.removed;
        }
        let removed = self.deque().remove_equal(value, max, end, limit);
        self.shrink();
        removed
    }

    /// Keeps only the `count` elements from `start` on.
    pub fn trim(&mut self, start: usize, count: usize) {
        self.remove_range(start.saturating_add(count), usize::MAX);
        self.remove_range(0, start);
    }

    pub fn len(&self) -> usize {
        self.view().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn view(&self) -> View<'_> {
        View::of(self.entry).expect("a list")
    }

    #[inline]
    fn pack(&self) -> Option<Pack<'_>> {
        (self.entry.kind() == Kind::ListPack).then(|| Pack::new(self.entry.bytes()))
    }

    fn deque(&mut self) -> &mut Deque {
        match self.entry.object_mut() {
            Some(Object::List(deque)) => deque,
            _ => unreachable!("a large list"),
        }
    }

    #[cold]
    fn grow(&mut self) {
        let pack = self.pack().expect("a small list");
        let object = Box::new(Object::List(Deque::from_pack(pack)));
        let deadline = self.entry.deadline();
        self.entry.replace(Content::Boxed(object), deadline);
    }

    /// Goes back to the small form when a single chunk of half the limit is left.
    fn shrink(&mut self) {
        let limit = self.limits.list_chunk().half();
        let deque = self.deque();
        let inline = match deque.sole_chunk(limit) {
            Some(chunk) => {
                let mut bytes = pack::header(chunk.len()).bytes().to_vec();
                bytes.extend_from_slice(chunk.body());
                bytes
            }
            None if deque.is_empty() => pack::EMPTY.to_vec(),
            None => return,
        };
        let deadline = self.entry.deadline();
        self.entry.replace(Content::Inline(Kind::ListPack, &inline), deadline);
    }
}

fn fits(bytes: usize, count: usize, limit: ChunkLimit) -> bool {
    limit.allows(bytes, count) && bytes <= INLINE_BYTES_MAX
}

/// The elements of a list from either end.
#[derive(Clone)]
pub struct Iter<'a>(Inner<'a>);

#[derive(Clone)]
enum Inner<'a> {
    Pack(pack::Iter<'a>),
    Large(deque::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        match &mut self.0 {
            Inner::Pack(iter) => iter.next(),
            Inner::Large(iter) => iter.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Inner::Pack(iter) => iter.size_hint(),
            Inner::Large(iter) => iter.size_hint(),
        }
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<&'a [u8]> {
        match &mut self.0 {
            Inner::Pack(iter) => iter.next_back(),
            Inner::Large(iter) => iter.next_back(),
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    #[derive(Clone, Debug)]
    enum Step {
        Push(End, Vec<u8>),
        Pop(End),
        Set(usize, Vec<u8>),
        Insert(usize, Vec<u8>),
        Remove(usize, usize),
        RemoveEqual(Vec<u8>, usize, End),
        Trim(usize, usize),
        /// Many pushes or pops at one end, so that runs cross several chunks.
        Run(End, bool, usize),
    }

    fn end() -> impl Strategy<Value = End> {
        prop_oneof![Just(End::Front), Just(End::Back)]
    }

    fn value() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            4 => prop::collection::vec(b'a'..b'd', 0..3),
            3 => prop::collection::vec(any::<u8>(), 0..60),
            1 => prop::collection::vec(any::<u8>(), 120..140),
            1 => (any::<u8>(), prop::sample::select(vec![2000, 4090, 5000, 8187, 8190, 9000, 17000]))
                .prop_map(|(byte, len)| vec![byte; len]),
        ]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (end(), value()).prop_map(|(end, value)| Step::Push(end, value)),
            3 => end().prop_map(Step::Pop),
            2 => (any::<usize>(), value()).prop_map(|(at, value)| Step::Set(at, value)),
            3 => (any::<usize>(), value()).prop_map(|(at, value)| Step::Insert(at, value)),
            1 => (any::<usize>(), 0..20_usize).prop_map(|(at, count)| Step::Remove(at, count)),
            1 => (value(), 1..5_usize, end()).prop_map(|(value, max, end)| Step::RemoveEqual(value, max, end)),
            1 => (any::<usize>(), any::<usize>()).prop_map(|(at, count)| Step::Trim(at, count)),
            2 => (end(), any::<bool>(), 1..400_usize).prop_map(|(end, push, count)| Step::Run(end, push, count)),
        ]
    }

    fn limits() -> impl Strategy<Value = Limits> {
        prop::sample::select(vec![-2, -1, 0, 1, 2, 3, 16, 128])
            .prop_map(|size| Limits { list_max_listpack_size: size, ..Limits::default() })
    }

    fn apply(edit: &mut Edit<'_>, model: &mut VecDeque<Vec<u8>>, step: Step) {
        let push = |edit: &mut Edit<'_>, model: &mut VecDeque<Vec<u8>>, end, value: Vec<u8>| {
            edit.push(end, &value);
            match end {
                End::Front => model.push_front(value),
                End::Back => model.push_back(value),
            }
        };
        let pop = |edit: &mut Edit<'_>, model: &mut VecDeque<Vec<u8>>, end| {
            let expected = match end {
                End::Front => model.pop_front(),
                End::Back => model.pop_back(),
            };
            assert_eq!(edit.pop(end, <[u8]>::to_vec), expected);
        };
        match step {
            Step::Push(end, value) => push(edit, model, end, value),
            Step::Pop(end) => pop(edit, model, end),
            Step::Run(end, true, count) => {
                (0..count).for_each(|at| push(edit, model, end, format!("element {at}").into_bytes()));
            }
            Step::Run(end, false, count) => (0..count).for_each(|_| pop(edit, model, end)),
            Step::Set(at, value) => {
                let at = at % (model.len() + 1);
                assert_eq!(edit.set(at, &value), at < model.len());
                if let Some(slot) = model.get_mut(at) {
                    *slot = value;
                }
            }
            Step::Insert(at, value) => {
                let at = at % (model.len() + 1);
                edit.insert(at, &value);
                model.insert(at, value);
            }
            Step::Remove(at, count) => {
                let at = at % (model.len() + 1);
                let to = model.len().min(at + count);
                assert_eq!(edit.remove_range(at, count), to - at);
                model.drain(at..to);
            }
            Step::RemoveEqual(value, max, end) => {
                let mut at: Vec<usize> = (0..model.len()).filter(|at| model[*at] == value).collect();
                match end {
                    End::Front => at.truncate(max),
                    End::Back => drop(at.drain(..at.len().saturating_sub(max))),
                }
                assert_eq!(edit.remove_equal(&value, max, end), at.len());
                at.iter().rev().for_each(|at| {
                    model.remove(*at);
                });
            }
            Step::Trim(at, count) => {
                let at = at % (model.len() + 1);
                let count = count % (model.len() - at + 2);
                edit.trim(at, count);
                model.truncate(at + count);
                model.drain(..at);
            }
        }
    }

    fn check(entry: &Entry, limits: &Limits, model: &VecDeque<Vec<u8>>) {
        let view = View::of(entry).expect("a list");
        let expected = || model.iter().map(Vec::as_slice);
        assert_eq!((view.len(), view.is_empty()), (model.len(), model.is_empty()));
        assert!(view.iter().eq(expected()) && view.iter().rev().eq(expected().rev()));
        let middle = model.len() / 2;
        for at in [0, 1, middle, model.len().saturating_sub(1), model.len()] {
            assert_eq!(view.get(at), model.get(at).map(Vec::as_slice));
            assert!(view.range(at, 7).eq(expected().skip(at).take(7)));
        }
        let mut both = view.iter();
        let front: Vec<_> = both.by_ref().take(middle).collect();
        let back: Vec<_> = both.rev().collect();
        assert!(front.into_iter().chain(back.into_iter().rev()).eq(expected()));
        match view {
            View::Packed(pack) => assert!(Pack::validate(pack.bytes()) && entry.size() < INLINE_BYTES_MAX),
            View::Large(deque) => {
                assert!(deque.sole_chunk(limits.list_chunk().half()).is_none() && !deque.is_empty());
                assert!(deque.heap_bytes() >= model.iter().map(Vec::len).sum::<usize>());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
        #[test]
        fn agrees_with_a_vec_deque(limits in limits(), steps in prop::collection::vec(step(), 0..60)) {
            let mut entry = create(b"list", 3);
            entry.set_deadline(Some(99));
            let mut model = VecDeque::new();
            for step in steps {
                let mut edit = Edit::of(&mut entry, &limits).expect("a list");
                apply(&mut edit, &mut model, step);
                assert_eq!(edit.len(), model.len());
                check(&entry, &limits, &model);
            }
            prop_assert_eq!((entry.deadline(), entry.clock(), entry.key()), (Some(99), 3, b"list".as_slice()));
        }
    }

    fn filled(limits: &Limits, count: usize, value: &[u8]) -> Entry {
        let mut entry = create(b"k", 0);
        let mut edit = Edit::of(&mut entry, limits).expect("a list");
        (0..count).for_each(|_| edit.push(End::Back, value));
        entry
    }

    fn encoding(entry: &Entry) -> &'static str {
        View::of(entry).expect("a list").encoding()
    }

    #[test]
    fn the_encoding_changes_at_the_configured_count_and_back_at_half() {
        let limits = Limits { list_max_listpack_size: 4, ..Limits::default() };
        assert_eq!(encoding(&filled(&limits, 4, b"x")), "listpack");
        let mut entry = filled(&limits, 5, b"x");
        assert_eq!(encoding(&entry), "quicklist");
        let mut edit = Edit::of(&mut entry, &limits).expect("a list");
        let encodings: Vec<_> = (0..3)
            .map(|_| {
                edit.pop(End::Back, drop_it);
                edit.view().encoding()
            })
            .collect();
        assert_eq!(encodings, ["quicklist", "quicklist", "listpack"]);
    }

    fn drop_it(_: &[u8]) {}

    #[test]
    fn a_single_element_above_the_limit_is_large() {
        let limits = Limits::default();
        assert_eq!(encoding(&filled(&limits, 1, &[b'x'; 8100])), "listpack");
        let mut entry = filled(&limits, 1, &[b'x'; 8200]);
        assert_eq!(encoding(&entry), "quicklist");
        let mut edit = Edit::of(&mut entry, &limits).expect("a list");
        assert_eq!(edit.pop(End::Front, <[u8]>::len), Some(8200));
        assert_eq!((edit.len(), edit.view().encoding()), (0, "listpack"));
    }

    #[test]
    fn a_queue_of_steady_length_keeps_its_memory_bounded() {
        let limits = Limits::default();
        for (push, pop) in [(End::Back, End::Front), (End::Front, End::Back), (End::Back, End::Back)] {
            for len in [270, 1000] {
                let mut entry = filled(&limits, len, &[b'x'; 30]);
                let mut edit = Edit::of(&mut entry, &limits).expect("a list");
                for _ in 0..20_000 {
                    edit.push(push, &[b'y'; 30]);
                    edit.pop(pop, drop_it);
                }
                let View::Large(deque) = edit.view() else { panic!("large") };
                assert!(deque.heap_bytes() < len * 32 + 24 * 1024, "{} for {len}", deque.heap_bytes());
            }
        }
    }

    #[test]
    fn removing_scattered_elements_leaves_no_crumbs() {
        let limits = Limits::default();
        let mut entry = create(b"k", 0);
        let mut edit = Edit::of(&mut entry, &limits).expect("a list");
        for at in 0..100_000_u32 {
            edit.push(End::Back, if at % 50 == 0 { b"keep" } else { b"drop" });
        }
        assert_eq!(edit.remove_equal(b"drop", usize::MAX, End::Back), 98_000);
        let View::Large(deque) = edit.view() else { panic!("large") };
        assert!(deque.weight() < 12 && deque.heap_bytes() < 20_000, "{} {}", deque.weight(), deque.heap_bytes());
    }

    #[test]
    fn other_types_are_not_lists() {
        let mut entry = Entry::new(b"k", Content::Int(1), None, 0);
        assert!(View::of(&entry).is_none() && Edit::of(&mut entry, &Limits::default()).is_none());
    }
}
