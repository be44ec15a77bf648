//! Hashes: a pack of alternating fields and values inside the entry while small, a table beyond.
//!
//! The borders are `hash-max-listpack-entries` and `hash-max-listpack-value`. A hash never goes back to the
//! smaller form.

use std::sync::Arc;

use super::entry::INLINE_STRING_MAX;
use super::limits::{INLINE_BYTES_MAX, Limits};
use super::members::{self, Members};
use super::pack::{self, Buffer, Frame, Frames, Pack, framed};
use super::{Content, Entry, Kind, Object, Raw};

/// Makes an empty hash.
pub fn create(key: &[u8], clock: u32) -> Entry {
    Entry::new(key, Content::Inline(Kind::HashPack, pack::EMPTY), None, clock)
}

/// A borrowed hash.
#[derive(Clone, Copy)]
pub enum View<'a> {
    /// Fields at the even places, each followed by its value.
    Packed(Pack<'a>),
    /// Entries whose key is the field.
    Table(&'a Members),
}

impl<'a> View<'a> {
    /// The hash in `entry`; None when it holds something else.
    pub fn of(entry: &'a Entry) -> Option<Self> {
        match entry.raw() {
            Raw::Inline(Kind::HashPack, bytes) => Some(Self::Packed(Pack::new(bytes))),
            Raw::Boxed(Object::Hash(table)) => Some(Self::Table(table)),
            _ => None,
        }
    }

    /// Number of fields.
    pub fn len(self) -> usize {
        match self {
            Self::Packed(pack) => pack.len() / 2,
            Self::Table(table) => table.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of `field`.
    #[inline]
    pub fn get(self, field: &[u8]) -> Option<&'a [u8]> {
        match self {
            Self::Packed(pack) => find(pack, field).map(|(_, value)| value.data),
            Self::Table(table) => table.find(field).map(value_of),
        }
    }

    pub fn contains(self, field: &[u8]) -> bool {
        self.get(field).is_some()
    }

    /// Bytes of the value of `field`; 0 when it is missing.
    pub fn value_len(self, field: &[u8]) -> usize {
        self.get(field).map_or(0, <[u8]>::len)
    }

    /// Fields and values: in order of insertion for a pack, in none for a table.
    pub fn iter(self) -> Iter<'a> {
        match self {
            Self::Packed(pack) => Iter(Inner::Pack(pack.iter())),
            Self::Table(table) => Iter(Inner::Table(table.iter())),
        }
    }

    /// One field with its value, each with the same chance. `below(n)` gives a uniform number less than `n`.
    pub fn random(self, mut below: impl FnMut(usize) -> usize) -> Option<(&'a [u8], &'a [u8])> {
        match self {
            _ if self.is_empty() => None,
            Self::Packed(pack) => {
                let mut pair = pack.iter_from(2 * below(self.len()));
                Some((pair.next()?, pair.next()?))
            }
            Self::Table(table) => table.random(below).map(|entry| (entry.key(), value_of(entry))),
        }
    }

    /// Visits some of the fields: all of a small hash, at least `count` of a large one. Gives the cursor to
    /// go on with, 0 at the end.
    ///
    /// Starting from 0, every field that is there from the first call to the last is visited. Cost:
    /// O(visited). Any cursor is valid.
    pub fn scan(self, cursor: u64, count: usize, mut visit: impl FnMut(&'a [u8], &'a [u8])) -> u64 {
        let Self::Table(table) = self else {
            self.iter().for_each(|(field, value)| visit(field, value));
            return 0;
        };
        let (mut cursor, mut seen) = (cursor, 0);
        loop {
            cursor = table.scan(cursor, |entry| {
                seen += 1;
                visit(entry.key(), value_of(entry));
            });
            if cursor == 0 || seen >= count {
                return cursor;
            }
        }
    }

    /// What `OBJECT ENCODING` answers.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Packed(_) => "listpack",
            Self::Table(_) => "hashtable",
        }
    }
}

/// A hash that is being changed. An emptied one stays: the caller looks at [`Edit::len`] and removes the key.
pub struct Edit<'a> {
    entry: &'a mut Entry,
    limits: &'a Limits,
}

impl<'a> Edit<'a> {
    /// The hash in `entry`; None when it holds something else.
    pub fn of(entry: &'a mut Entry, limits: &'a Limits) -> Option<Self> {
        View::of(entry)?;
        Some(Self { entry, limits })
    }

    /// Announces that `count` fields are about to be set: more than the small form holds make it large now.
    pub fn expect(&mut self, count: usize) {
        if count > self.limits.hash_max_listpack_entries && self.pack().is_some() {
            self.grow();
        }
    }

    /// Sets `field` to `value`; true when the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        if let Some(pack) = self.pack() {
            let longest = field.len().max(value.len());
            let old = find(pack, field).map(|(_, value)| (value.at, value.size()));
            let bytes = pack.bytes().len() + framed(field.len()) + framed(value.len());
            if longest <= self.limits.hash_max_listpack_value && bytes <= INLINE_BYTES_MAX {
                if let Some((at, size)) = old {
                    pack::replace(self.entry, at, size, value);
                    return false;
                }
                if pack.len() / 2 < self.limits.hash_max_listpack_entries {
                    pack::append(self.entry, &[field, value]);
                    return true;
                }
            }
            self.grow();
        }
        set(self.table().expect("a large hash"), field, value)
    }

    /// Removes `field`; false when it was not there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let Some(pack) = self.pack() else {
            return self.table().is_some_and(|table| table.remove(field).is_some());
        };
        let Some((field, value)) = find(pack, field) else { return false };
        let (from, to) = (field.at, value.end());
        pack::remove(self.entry, from, to - from, 2);
        true
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.view().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn view(&self) -> View<'_> {
        View::of(self.entry).expect("a hash")
    }

    #[inline]
    fn pack(&self) -> Option<Pack<'_>> {
        (self.entry.kind() == Kind::HashPack).then(|| Pack::new(self.entry.bytes()))
    }

    fn table(&mut self) -> Option<&mut Members> {
        match self.entry.object_mut() {
            Some(Object::Hash(table)) => Some(table),
            _ => None,
        }
    }

    #[cold]
    fn grow(&mut self) {
        let mut table = Members::new();
        for (field, value) in self.view().iter() {
            set(&mut table, field, value);
        }
        let deadline = self.entry.deadline();
        self.entry.replace(Content::Boxed(Box::new(Object::Hash(table))), deadline);
    }
}

/// The frames of `field` and of its value.
#[inline]
fn find<'a>(pack: Pack<'a>, field: &[u8]) -> Option<(Frame<'a>, Frame<'a>)> {
    let field = pack.find(field, 2)?;
    let value = Frames::new(pack.bytes(), field.end(), pack.bytes().len()).next()?;
    Some((field, value))
}

fn set(table: &mut Members, field: &[u8], value: &[u8]) -> bool {
    table.upsert(field, |entry| entry.replace(content(value), None), || Entry::new(field, content(value), None, 0))
}

fn content(value: &[u8]) -> Content<'_> {
    if value.len() <= INLINE_STRING_MAX {
        Content::Inline(Kind::Bytes, value)
    } else {
        Content::Shared(Arc::new(value.to_vec()))
    }
}

#[inline]
fn value_of(entry: &Entry) -> &[u8] {
    match entry.raw() {
        Raw::Inline(_, bytes) => bytes,
        Raw::Shared(bytes) => bytes,
        Raw::Int(_) | Raw::Boxed(_) => unreachable!("a field's value is a string"),
    }
}

/// The fields of a hash with their values.
#[derive(Clone)]
pub struct Iter<'a>(Inner<'a>);

#[derive(Clone)]
enum Inner<'a> {
    Pack(pack::Iter<'a>),
    Table(members::Iter<'a>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        match &mut self.0 {
            Inner::Pack(iter) => Some((iter.next()?, iter.next()?)),
            Inner::Table(iter) => iter.next().map(|entry| (entry.key(), value_of(entry))),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = match &self.0 {
            Inner::Pack(iter) => iter.len() / 2,
            Inner::Table(iter) => iter.len(),
        };
        (len, Some(len))
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            6 => prop::collection::vec(b'a'..b'e', 0..4),
            3 => prop::collection::vec(any::<u8>(), 0..40),
            1 => (any::<u8>(), prop::sample::select(vec![64, 65, 127, 128, 1024, 1025, 3000]))
                .prop_map(|(byte, len)| vec![byte; len]),
        ]
    }

    fn limits() -> impl Strategy<Value = Limits> {
        prop_oneof![
            Just(Limits::default()),
            (0..12_usize, 0..80_usize).prop_map(|(entries, value)| Limits {
                hash_max_listpack_entries: entries,
                hash_max_listpack_value: value,
                ..Limits::default()
            }),
        ]
    }

    fn check(view: View<'_>, model: &BTreeMap<Vec<u8>, Vec<u8>>) {
        assert_eq!((view.len(), view.is_empty(), view.iter().len()), (model.len(), model.is_empty(), model.len()));
        let owned = |(field, value): (&[u8], &[u8])| (field.to_vec(), value.to_vec());
        assert_eq!(&view.iter().map(owned).collect::<BTreeMap<_, _>>(), model);
        let (mut scanned, mut cursor) = (BTreeMap::new(), 0);
        loop {
            cursor = view.scan(cursor, 10, |field, value| {
                scanned.insert(field.to_vec(), value.to_vec());
            });
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(&scanned, model);
    }

    proptest! {
        #[test]
        fn agrees_with_a_btree_map(
            limits in limits(), steps in prop::collection::vec((0..4_u8, bytes(), bytes(), any::<usize>()), 0..80)
        ) {
            let mut entry = create(b"hash", 3);
            entry.set_deadline(Some(99));
            let mut model = BTreeMap::<Vec<u8>, Vec<u8>>::new();
            for (step, field, value, luck) in steps {
                let mut edit = Edit::of(&mut entry, &limits).expect("a hash");
                if step > 0 {
                    prop_assert_eq!(edit.set(&field, &value), model.insert(field.clone(), value).is_none());
                } else {
                    prop_assert_eq!(edit.remove(&field), model.remove(&field).is_some());
                }
                let view = edit.view();
                let expected = model.get(&field).map(Vec::as_slice);
                prop_assert_eq!((view.get(&field), view.contains(&field)), (expected, step > 0));
                prop_assert_eq!(view.value_len(&field), expected.map_or(0, <[u8]>::len));
                let mut luck = luck;
                let random = view.random(|bound| {
                    luck = luck.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
                    (luck >> 33) % bound
                });
                prop_assert_eq!(random.is_none(), model.is_empty());
                if let Some((field, value)) = random {
                    prop_assert_eq!(model.get(field).map(Vec::as_slice), Some(value));
                }
                if let View::Packed(pack) = view {
                    prop_assert!(Pack::validate(pack.bytes()));
                    prop_assert!(view.len() <= limits.hash_max_listpack_entries);
                }
                check(view, &model);
            }
            prop_assert_eq!((entry.deadline(), entry.clock(), entry.key()), (Some(99), 3, b"hash".as_slice()));
        }
    }

    fn filled(count: usize, value: &[u8]) -> Entry {
        let limits = Limits::default();
        let mut entry = create(b"k", 0);
        let mut edit = Edit::of(&mut entry, &limits).expect("a hash");
        (0..count).for_each(|at| {
            edit.set(at.to_string().as_bytes(), value);
        });
        entry
    }

    fn encoding(entry: &Entry) -> &'static str {
        View::of(entry).expect("a hash").encoding()
    }

    #[test]
    fn the_encoding_changes_at_redis_borders() {
        assert_eq!(encoding(&filled(512, &[b'v'; 64])), "listpack");
        assert_eq!(encoding(&filled(513, b"v")), "hashtable");
        assert_eq!(encoding(&filled(1, &[b'v'; 65])), "hashtable");
        let limits = Limits::default();
        for (count, expected) in [(512, "listpack"), (513, "hashtable")] {
            let mut entry = filled(1, b"v");
            Edit::of(&mut entry, &limits).expect("a hash").expect(count);
            assert_eq!(encoding(&entry), expected);
        }
    }

    #[test]
    fn a_full_small_hash_still_takes_new_values() {
        let mut entry = filled(512, b"v");
        let limits = Limits::default();
        let mut edit = Edit::of(&mut entry, &limits).expect("a hash");
        assert!(!edit.set(b"17", b"other") && edit.view().encoding() == "listpack");
    }

    #[test]
    fn five_short_fields_cost_one_small_allocation() {
        let limits = Limits::default();
        let mut entry = create(&[b'k'; 16], 0);
        let mut edit = Edit::of(&mut entry, &limits).expect("a hash");
        for field in [b"f1", b"f2", b"f3", b"f4", b"f5"] {
            edit.set(field, b"value");
        }
        assert_eq!(entry.size(), 80);
    }

    #[test]
    fn other_types_are_not_hashes() {
        let mut entry = Entry::new(b"k", Content::Inline(Kind::ListPack, pack::EMPTY), None, 0);
        assert!(View::of(&entry).is_none() && Edit::of(&mut entry, &Limits::default()).is_none());
    }
}
