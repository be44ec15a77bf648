//! Strings: integers, short inline bytes, and large shared ones.

use super::entry::INLINE_STRING_MAX;
use super::{Content, Deadline, Entry, Kind, Raw, SharedBytes, Slot};
use crate::number::parse_i64;

/// A borrowed string value.
#[derive(Clone, Copy, Debug)]
pub enum Str<'a> {
    Bytes(&'a [u8]),
    Int(i64),
    Shared(&'a SharedBytes),
}

/// The content for a new string value: an integer where the text is one, inline while short, shared above.
#[inline]
pub fn content(bytes: &[u8]) -> Content<'_> {
    // No canonical integer is longer than 20 bytes; the first byte rules out nearly all other texts.
    if bytes.len() <= 20
        && matches!(bytes.first(), Some(b'0'..=b'9' | b'-'))
        && let Some(int) = parse_i64(bytes)
    {
        return Content::Int(int);
    }
    text_content(bytes)
}

/// As [`content`], of what is a text even if it looks like an integer.
pub fn text_content(bytes: &[u8]) -> Content<'_> {
    if bytes.len() <= INLINE_STRING_MAX {
        Content::Inline(Kind::Bytes, bytes)
    } else {
        Content::Shared(SharedBytes::new(bytes.to_vec()))
    }
}

impl<'a> Str<'a> {
    /// The string in an entry; `None` when the entry holds something else.
    #[inline]
    pub fn of(entry: &'a Entry) -> Option<Self> {
        match entry.raw() {
            Raw::Inline(Kind::Bytes | Kind::Edited, bytes) => Some(Self::Bytes(bytes)),
            Raw::Int(int) => Some(Self::Int(int)),
            Raw::Shared(bytes) => Some(Self::Shared(bytes)),
            _ => None,
        }
    }

    /// The value as an integer, if its text is canonical.
    pub fn as_int(self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(int),
            Self::Bytes(bytes) => parse_i64(bytes),
            Self::Shared(_) => None,
        }
    }

    /// The bytes; those of an integer are written into `buffer`.
    pub fn text<'b>(self, buffer: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Int(int) => buffer.format(int).as_bytes(),
        }
    }

    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        self.text(&mut itoa::Buffer::new()).len()
    }
}

/// The name that OBJECT ENCODING gives a string's representation.
pub fn encoding(entry: &Entry) -> &'static str {
    /// Redis embeds strings of up to 44 bytes in their object, until they are changed in place.
    const EMBEDDED_MAX: usize = 44;
    match entry.raw() {
        Raw::Int(_) => "int",
        Raw::Inline(Kind::Bytes, bytes) if bytes.len() <= EMBEDDED_MAX => "embstr",
        _ => "raw",
    }
}

/// Appends to the string in a slot, or makes it; its length. The deadline stays.
///
/// Cost: O(appended), on average; all of a short string that becomes a long one is copied once.
///
/// # Panics
/// If the slot holds something else.
pub fn append(slot: &mut Slot<'_>, bytes: &[u8]) -> usize {
    let Some(entry) = slot.entry_mut() else {
        slot.set(content(bytes), Deadline::Keep);
        return bytes.len();
    };
    if let Some(mut shared) = entry.shared_mut() {
        let old = shared.bytes();
        reserve(old, bytes.len());
        old.extend_from_slice(bytes);
        return old.len();
    }
    let mut buffer = itoa::Buffer::new();
    let old = Str::of(entry).expect("a string").text(&mut buffer);
    let len = old.len() + bytes.len();
    if len > INLINE_STRING_MAX {
        let mut all = old.to_vec();
        reserve(&mut all, bytes.len());
        all.extend_from_slice(bytes);
        slot.set(Content::Shared(SharedBytes::new(all)), Deadline::Keep);
    } else if entry.kind() == Kind::Int {
        let all = [old, bytes].concat();
        slot.set(Content::Inline(Kind::Edited, &all), Deadline::Keep);
    } else {
        let at = old.len();
        entry.open(at, 0, bytes.len())[at..].copy_from_slice(bytes);
        entry.mark_edited();
    }
    len
}

/// Gives `change` the bytes of the string in a slot, to be changed in place: at least `len` of them, with zeros behind
/// what was there; a missing key is all zeros. The deadline stays.
///
/// Cost: O(added), on average.
///
/// # Panics
/// If the slot holds something else.
pub fn edit<T>(slot: &mut Slot<'_>, len: usize, change: impl FnOnce(&mut [u8]) -> T) -> T {
    lengthen(slot, len);
    let entry = slot.entry_mut().expect("just made");
    if let Some(mut shared) = entry.shared_mut() {
        return change(shared.bytes());
    }
    entry.mark_edited();
    change(entry.inline_mut().expect("a short string is inline"))
}

/// Gives the key a new string that OBJECT ENCODING calls raw.
pub fn set_raw(slot: &mut Slot<'_>, bytes: Vec<u8>, deadline: Deadline) {
    if bytes.len() <= INLINE_STRING_MAX {
        slot.set(Content::Inline(Kind::Edited, &bytes), deadline);
    } else {
        slot.set(Content::Shared(SharedBytes::new(bytes)), deadline);
    }
}

/// Makes the string in a slot one of bytes, of at least `len`.
fn lengthen(slot: &mut Slot<'_>, len: usize) {
    let Some(entry) = slot.entry_mut() else { return set_raw(slot, vec![0; len], Deadline::Keep) };
    if let Some(mut shared) = entry.shared_mut() {
        return fill(shared.bytes(), len);
    }
    let mut buffer = itoa::Buffer::new();
    let old = Str::of(entry).expect("a string").text(&mut buffer);
    if entry.kind() == Kind::Int || len > INLINE_STRING_MAX {
        let mut bytes = vec![0; len.max(old.len())];
        bytes[..old.len()].copy_from_slice(old);
        set_raw(slot, bytes, Deadline::Keep);
    } else if len > old.len() {
        let (at, missing) = (old.len(), len - old.len());
        entry.open(at, 0, missing)[at..].fill(0);
    }
}

/// Adds zeros up to a length of `len`.
fn fill(bytes: &mut Vec<u8>, len: usize) {
    if len <= bytes.len() {
        return;
    }
    if len / 2 > bytes.capacity() {
        // Most of it is new: memory that comes zeroed is not touched before it is used.
        let mut fresh = vec![0; len];
        fresh[..bytes.len()].copy_from_slice(bytes);
        *bytes = fresh;
    } else {
        reserve(bytes, len - bytes.len());
        bytes.resize(len, 0);
    }
}

/// Makes room for more bytes, and for some that may follow: as many again, above 1 MiB a quarter more. Doubling any
/// string would waste too much, and adding a fixed amount would copy it too often.
fn reserve(bytes: &mut Vec<u8>, additional: usize) {
    const DOUBLING_MAX: usize = 1 << 20;
    let len = bytes.len() + additional;
    if len > bytes.capacity() {
        let spare = if len < DOUBLING_MAX { len } else { len / 4 };
        bytes.reserve_exact(additional + spare);
    }
}

#[cfg(all(test, not(kiba_loom)))]
mod tests {
    use super::*;
    use crate::store::part::tests::Owned;
    use proptest::prelude::*;

    #[test]
    fn content_follows_the_value() {
        assert!(matches!(content(b"12"), Content::Int(12)));
        assert!(matches!(content(b"-0"), Content::Inline(Kind::Bytes, b"-0")));
        assert!(matches!(content(b"012"), Content::Inline(Kind::Bytes, b"012")));
        assert!(matches!(content(b""), Content::Inline(Kind::Bytes, b"")));
        assert!(matches!(content(&[b'x'; INLINE_STRING_MAX]), Content::Inline(..)));
        assert!(matches!(content(&[b'x'; INLINE_STRING_MAX + 1]), Content::Shared(_)));
        assert!(matches!(text_content(b"12"), Content::Inline(Kind::Bytes, b"12")));
    }

    #[test]
    fn encodings_are_named_as_in_redis() {
        for (value, expected) in
            [(&b"1"[..], "int"), (&[b'x'; 44], "embstr"), (&[b'x'; 45], "raw"), (&[b'x'; 2000], "raw")]
        {
            let mut entry = Entry::new(b"k", content(value), None, 0);
            assert_eq!(encoding(&entry), expected);
            entry.set_deadline(Some(1));
            assert_eq!(encoding(&entry), expected);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(Vec<u8>),
        Append(Vec<u8>),
        Edit(usize, Vec<u8>),
        Share,
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let of_len = |len| prop::collection::vec(any::<u8>(), len);
        let ints = any::<i64>().prop_map(|int| int.to_string().into_bytes());
        prop_oneof![4 => of_len(0..50), 2 => of_len(0..2000), 1 => of_len(5000..9000), 1 => ints]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => bytes().prop_map(Step::Set),
            3 => bytes().prop_map(Step::Append),
            3 => (prop_oneof![0..100_usize, 0..5000_usize], bytes()).prop_map(|(at, bytes)| Step::Edit(at, bytes)),
            1 => Just(Step::Share),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_a_vector(steps in prop::collection::vec(step(), 1..20)) {
            let mut owned = Owned::new();
            let mut model: Option<(Vec<u8>, bool)> = None;
            let mut readers = Vec::new();
            for step in steps {
                owned.slot(b"k", 1, |slot| match &step {
                    Step::Set(bytes) => {
                        slot.set(content(bytes), Deadline::At(100));
                        model = Some((bytes.clone(), false));
                    }
                    Step::Append(bytes) => {
                        let (value, edited) = model.get_or_insert_default();
                        *edited = slot.exists();
                        value.extend_from_slice(bytes);
                        assert_eq!(append(slot, bytes), value.len());
                    }
                    Step::Edit(at, bytes) => {
                        let (value, edited) = model.get_or_insert_default();
                        *edited = true;
                        value.resize(value.len().max(at + bytes.len()), 0);
                        value[*at..at + bytes.len()].copy_from_slice(bytes);
                        edit(slot, at + bytes.len(), |it| it[*at..at + bytes.len()].copy_from_slice(bytes));
                    }
                    Step::Share => {
                        if let Some(Str::Shared(bytes)) = slot.entry().and_then(Str::of) {
                            readers.push((bytes.clone(), model.clone()));
                        }
                    }
                });
                owned.slot(b"k", 1, |slot| {
                    let Some((value, edited)) = &model else { return assert!(!slot.exists()) };
                    let entry = slot.entry().expect("set");
                    let mut buffer = itoa::Buffer::new();
                    assert_eq!(Str::of(entry).expect("a string").text(&mut buffer), value);
                    let is_int = parse_i64(value).is_some();
                    let expected = match value.len() {
                        _ if *edited => "raw",
                        _ if is_int => "int",
                        0..=44 => "embstr",
                        _ => "raw",
                    };
                    assert_eq!(encoding(entry), expected);
                });
            }
            for (bytes, model) in readers {
                assert_eq!(Some(&*bytes), model.map(|it| it.0).as_ref());
            }
        }
    }

    #[test]
    fn appending_copies_seldom() {
        let mut owned = Owned::new();
        let mut moves = 0;
        let mut last = std::ptr::null();
        for _ in 0..100_000 {
            owned.slot(b"k", 1, |slot| {
                append(slot, &[b'x'; 50]);
                if let Some(Str::Shared(bytes)) = slot.entry().and_then(Str::of) {
                    moves += usize::from(bytes.as_ptr() != last);
                    last = bytes.as_ptr();
                    assert!(bytes.capacity() <= 2 * bytes.len() + 50);
                }
            });
        }
        assert!(moves < 30, "{moves}");
    }
}
